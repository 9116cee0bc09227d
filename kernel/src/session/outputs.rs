//! From the worker's frames to the front end's messages.
//!
//! Frames come by the side channel on threads of their own while the engine runs a cell. This module
//! knows which request each frame belongs to, gathers stream text into messages of reasonable size,
//! keeps the order, and remembers what the engine will want to know when the evaluation is over:
//! a panic, an error of a `?`, a fatal signal, times.
//!
//! What always holds: after [`Outputs::finish`] nothing more is published for that request by the
//! cell's own thread; text of other threads that comes later goes to the request of the cell that
//! started them.

mod publish;
mod take;

pub use take::{answer_place, decode};

use super::panics::{PanicReport, UserError};
use super::watched::Watched;
use crate::engine::Locator;
use crate::protocol::{Parent, Wire};
use crate::worker::frames::{self, Kind};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::MutexGuard;
use std::time::Duration;

/// Text of one cell beyond this is dropped, so that an endless loop of prints can neither fill the
/// kernel's memory nor the front end's. `FORKLINE_OUTPUT_LIMIT_MB` changes it.
const OUTPUT_LIMIT_MB: usize = 16;

/// How many runs are remembered for the output of threads that outlive their cell.
const REMEMBERED_RUNS: usize = 4096;

/// Identifies one connection of a worker.
pub type ConnectionId = u64;

/// See the module's text.
pub struct Outputs {
    wire: Wire,
    state: Watched<State>,
    limit: usize,
}

struct State {
    locator: Option<Locator>,
    current: Option<Current>,
    /// The request that each run belongs to.
    runs: HashMap<(ConnectionId, u64), Parent>,
    run_order: VecDeque<(ConnectionId, u64)>,
    last_parent: Parent,
    /// The connections of workers, and the process at the other end of each.
    open: HashMap<ConnectionId, i32>,
    worker: Option<Worker>,
    worker_lost: bool,
    stream: Option<Stream>,
    /// Bytes of an unfinished character, for stdout and stderr.
    tails: [Vec<u8>; 2],
    synced: u64,
    sync_token: u64,
    environment: Map<String, Value>,
    /// Whether the runs of the current request are profiled, also by a worker that is new.
    profiling: bool,
    /// Panics of the last run that had some, of which there is a copy.
    kept: Vec<KeptPanic>,
}

/// A panic of which the worker has kept a copy of itself.
#[derive(Clone)]
pub struct KeptPanic {
    /// The process that is the copy.
    pub pid: i32,
    /// The panic's text, as a program prints it.
    pub title: String,
    run: (ConnectionId, u64),
}

struct Worker {
    connection: ConnectionId,
    socket: UnixStream,
    pid: i32,
}

/// Text that waits to be published.
struct Stream {
    parent: Parent,
    name: &'static str,
    text: String,
}

/// The request in progress.
struct Current {
    parent: Parent,
    count: usize,
    show_result: bool,
    allow_stdin: bool,
    /// Bytes of text so far; beyond the limit the rest is dropped.
    written: usize,
    /// The worker that runs the cell's code at this moment.
    running: Option<i32>,
    /// The number of the run there.
    run: u64,
    /// The worker that ran it last.
    ran_in: Option<i32>,
    /// A panic of the cell's thread that may still be caught.
    panic: Option<PanicReport>,
    /// A display of the convention that may be joined by its text twin.
    convention: Option<Map<String, Value>>,
    in_group: bool,
    capture: Option<Map<String, Value>>,
    capturing: bool,
    facts: Facts,
}

/// What the worker told about an evaluation.
#[derive(Default)]
pub struct Facts {
    /// The panic that ended the cell.
    pub panic: Option<PanicReport>,
    /// The error that a `?` returned.
    pub user_error: Option<UserError>,
    /// The signal that ended the worker.
    pub crash: Option<Crash>,
    /// Why the cell's library could not be loaded.
    pub load_failed: Option<String>,
    /// The cell's code has begun to run.
    pub started: bool,
    /// The prelude was built anew; the cell has not run.
    pub prelude_changed: bool,
    /// Variables lost because their type was defined anew.
    pub lost: Vec<String>,
    /// The cell's code yielded to an interrupt.
    pub interrupted: bool,
    pub runs: Vec<RunTimes>,
    pub reports: HashMap<String, Value>,
    /// Values that are to be handed over to another process, as bytes.
    pub values: Vec<Vec<u8>>,
    /// What the profiler of the worker says of each run.
    pub profiles: Vec<Value>,
    /// Text form of the result, for the history.
    pub result: Option<String>,
}

/// A fatal signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    pub signal: i32,
    pub stack_overflow: bool,
    pub address: u64,
}

/// What one run of a cell's code used.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunTimes {
    pub wall: Duration,
    pub user: Duration,
    pub system: Duration,
    /// Peak memory of the worker during the run, in KiB.
    pub peak_kib: u64,
    /// Memory of the worker before it, in KiB.
    pub before_kib: u64,
}

/// How a request's output is to be treated.
pub struct Begin {
    pub parent: Parent,
    pub count: usize,
    pub silent: bool,
    pub allow_stdin: bool,
}

impl Outputs {
    pub fn new(wire: Wire) -> Outputs {
        let limit = std::env::var("FORKLINE_OUTPUT_LIMIT_MB")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(OUTPUT_LIMIT_MB);
        Outputs {
            wire,
            state: Watched::new(State {
                locator: None,
                current: None,
                runs: HashMap::new(),
                run_order: VecDeque::new(),
                last_parent: Parent::default(),
                open: HashMap::new(),
                worker: None,
                worker_lost: false,
                stream: None,
                tails: Default::default(),
                synced: 0,
                sync_token: 0,
                environment: Map::new(),
                profiling: false,
                kept: Vec::new(),
            }),
            limit: limit << 20,
        }
    }

    /// How places in generated sources are found.
    pub fn set_locator(&self, locator: Locator) {
        self.state.lock().locator = Some(locator);
    }

    // ---- the engine's side ----

    /// A request begins.
    pub fn begin(&self, begin: Begin) {
        let mut state = self.state.lock();
        self.flush_stream(&mut state);
        state.last_parent = begin.parent.clone();
        let ran_in = state.worker.as_ref().map(|worker| worker.pid);
        state.current = Some(Current {
            parent: begin.parent,
            count: begin.count,
            show_result: !begin.silent,
            allow_stdin: begin.allow_stdin,
            written: 0,
            running: None,
            run: 0,
            ran_in,
            panic: None,
            convention: None,
            in_group: false,
            capture: None,
            capturing: false,
            facts: Facts::default(),
        });
    }

    /// From now on results are kept instead of published; see [`Outputs::take_captured`].
    pub fn capture(&self, on: bool) {
        if let Some(current) = &mut self.state.lock().current {
            current.capturing = on;
            current.capture = None;
        }
    }

    /// The data of the result that was captured.
    pub fn take_captured(&self) -> Option<Map<String, Value>> {
        self.state.lock().current.as_mut()?.capture.take()
    }

    /// Waits until all that the worker has sent so far is published, and returns what it told since
    /// the last call. `ended`: the worker is gone, so wait for the end of its connections instead.
    pub fn settle(&self, ended: bool) -> Facts {
        let mut state = self.state.lock();
        if ended {
            state = self
                .state
                .wait_while(state, Duration::from_secs(3), |state| {
                    let ran_in = state.current.as_ref().and_then(|current| current.ran_in);
                    ran_in.is_some_and(|pid| state.open.values().any(|open| *open == pid))
                });
            state.worker_lost = false;
        } else {
            state = self.sync(state);
        }
        self.flush_all(&mut state);
        let State {
            current, worker, ..
        } = &mut *state;
        let Some(current) = current else {
            return Facts::default();
        };
        current.running = None;
        current.ran_in = worker.as_ref().map(|worker| worker.pid);
        std::mem::take(&mut current.facts)
    }

    /// Waits until the worker has taken all that it was told so far, and all that it has sent is taken.
    fn sync<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.sync_token += 1;
        let token = state.sync_token;
        if !state.tell(Kind::Sync, &token.to_le_bytes()) {
            return state;
        }
        self.state
            .wait_while(state, Duration::from_secs(10), |state| {
                state.synced < token && state.worker.is_some()
            })
    }

    /// Whether the runs to come are to be profiled. The worker knows when this returns, so an order that
    /// evcxr sends afterwards comes later.
    pub fn profile(&self, on: bool) {
        let mut state = self.state.lock();
        state.profiling = on;
        state.tell(Kind::Profile, if on { b"1" } else { b"0" });
        drop(self.sync(state));
    }

    /// Whether the worker is to keep a copy of itself at panics. It knows when this returns.
    pub fn keep_panics(&self, on: bool) {
        let mut state = self.state.lock();
        state.tell(Kind::KeepPanics, if on { b"1" } else { b"0" });
        drop(self.sync(state));
    }

    /// No copy is kept any longer.
    pub fn forget_panics(&self) {
        let mut state = self.state.lock();
        state.kept.clear();
        state.tell(Kind::KeepPanics, b"2");
    }

    /// The copies that there are, in the order of the panics.
    pub fn kept_panics(&self) -> Vec<KeptPanic> {
        let kept = self.state.lock().kept.clone();
        let is_there =
            |one: &KeptPanic| std::path::Path::new(&format!("/proc/{}", one.pid)).exists();
        kept.into_iter().filter(is_there).collect()
    }

    /// The request is over.
    pub fn finish(&self) {
        let mut state = self.state.lock();
        self.flush_all(&mut state);
        state.current = None;
    }

    /// Text of the kernel itself, under the current request.
    pub fn text(&self, name: &'static str, text: &str) {
        let mut state = self.state.lock();
        let parent = state.parent_of_current();
        self.append(&mut state, parent, name, text);
        self.flush_stream(&mut state);
    }

    /// A display of the kernel itself, under the current request.
    pub fn display(&self, data: Map<String, Value>) {
        let mut state = self.state.lock();
        self.flush_all(&mut state);
        let parent = state.parent_of_current();
        self.publish_display(&parent, data);
    }

    /// A display that a rank has sent, under the current request.
    pub fn display_of_rank(&self, message: Value) {
        let mut state = self.state.lock();
        self.flush_all(&mut state);
        let parent = state.parent_of_current();
        self.show(&mut state, &parent, message);
    }

    /// A result of the kernel itself, such as the text of an evcxr command.
    pub fn result(&self, data: Map<String, Value>) {
        let mut state = self.state.lock();
        self.flush_all(&mut state);
        self.publish_result(&mut state, data, Map::new());
    }

    /// The request in progress, if there is one.
    pub fn parent_in_progress(&self) -> Option<Parent> {
        let state = self.state.lock();
        state.current.as_ref().map(|current| current.parent.clone())
    }

    /// Process id of the worker, if it is connected.
    pub fn worker_pid(&self) -> Option<i32> {
        self.state.lock().worker.as_ref().map(|worker| worker.pid)
    }

    /// The worker that runs a cell's code at this moment.
    pub fn running_in(&self) -> Option<i32> {
        self.state.lock().current.as_ref()?.running
    }

    /// Asks the cell's code to end, if it runs.
    pub fn interrupt(&self) {
        let mut state = self.state.lock();
        let run = state
            .current
            .as_ref()
            .filter(|current| current.running.is_some())
            .map(|current| current.run);
        if let Some(run) = run {
            state.tell(Kind::Interrupt, &run.to_le_bytes());
        }
    }

    /// Whether the worker has ended while no cell ran. Asking resets it.
    pub fn take_worker_lost(&self) -> bool {
        std::mem::take(&mut self.state.lock().worker_lost)
    }

    /// Sets or removes an environment variable of this worker and of all that follow it.
    pub fn set_environment(&self, name: &str, value: Option<&str>) {
        let mut state = self.state.lock();
        let value = value.map_or(Value::Null, Value::from);
        let change = json!({ name: value });
        state.environment.insert(name.to_owned(), value);
        state.tell(Kind::SetEnv, change.to_string().as_bytes());
    }

    /// The variables set by [`Outputs::set_environment`]; null means removed.
    pub fn environment(&self) -> Map<String, Value> {
        self.state.lock().environment.clone()
    }

    /// Moves the worker to the kernel's current directory.
    pub fn change_dir(&self, dir: &std::path::Path) {
        self.state
            .lock()
            .tell(Kind::Chdir, dir.as_os_str().as_encoded_bytes());
    }

    /// The user has typed a line.
    pub fn input_reply(&self, line: Option<&str>) {
        let reply = line.map_or_else(|| json!({}), |line| json!({ "line": line }));
        self.state
            .lock()
            .tell(Kind::InputReply, reply.to_string().as_bytes());
    }
}

impl State {
    fn parent_of_current(&self) -> Parent {
        self.current.as_ref().map_or_else(
            || self.last_parent.clone(),
            |current| current.parent.clone(),
        )
    }

    fn parent_of(&self, run: (ConnectionId, u64)) -> Parent {
        self.runs
            .get(&run)
            .cloned()
            .unwrap_or_else(|| self.parent_of_current())
    }

    fn remember(&mut self, run: (ConnectionId, u64), parent: Parent) {
        self.runs.insert(run, parent);
        self.run_order.push_back(run);
        if self.run_order.len() > REMEMBERED_RUNS
            && let Some(oldest) = self.run_order.pop_front()
        {
            self.runs.remove(&oldest);
        }
    }

    /// Sends a frame to the worker; false if there is none.
    fn tell(&mut self, kind: Kind, payload: &[u8]) -> bool {
        let Some(worker) = &mut self.worker else {
            return false;
        };
        worker
            .socket
            .write_all(&frames::encode(kind, 0, payload))
            .is_ok()
    }
}

impl Crash {
    /// Out of the record that a dying worker sends.
    pub fn from_record(record: &[u8]) -> Option<Crash> {
        Some(Crash {
            signal: i32::from_le_bytes(record.get(0..4)?.try_into().ok()?),
            stack_overflow: *record.get(4)? != 0,
            address: u64::from_le_bytes(record.get(8..16)?.try_into().ok()?),
        })
    }
}

impl RunTimes {
    pub fn from_json(value: &Value) -> RunTimes {
        let nanoseconds =
            |name: &str| Duration::from_nanos(value[name].as_u64().unwrap_or_default());
        RunTimes {
            wall: nanoseconds("wall"),
            user: nanoseconds("user"),
            system: nanoseconds("system"),
            peak_kib: value["peak_kib"].as_u64().unwrap_or_default(),
            before_kib: value["before_kib"].as_u64().unwrap_or_default(),
        }
    }
}
