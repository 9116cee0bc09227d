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

use super::bundle;
use super::panics::{PanicReport, UserError};
use crate::engine::Locator;
use crate::protocol::{Channel, Outgoing, Parent, Wire};
use crate::worker::frames::{self, Frame, Kind};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

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
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

struct State {
    locator: Option<Locator>,
    current: Option<Current>,
    /// The request that each run belongs to.
    runs: HashMap<(ConnectionId, u64), Parent>,
    run_order: VecDeque<(ConnectionId, u64)>,
    last_parent: Parent,
    open: HashSet<ConnectionId>,
    worker: Option<Worker>,
    worker_lost: bool,
    stream: Option<Stream>,
    /// Bytes of an unfinished character, for stdout and stderr.
    tails: [Vec<u8>; 2],
    synced: u64,
    sync_token: u64,
    environment: Map<String, Value>,
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
    written: usize,
    running: bool,
    connections: HashSet<ConnectionId>,
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
    /// The prelude was built anew; the cell has not run.
    pub prelude_changed: bool,
    /// Variables lost because their type was defined anew.
    pub lost: Vec<String>,
    pub runs: Vec<RunTimes>,
    pub reports: HashMap<String, Value>,
    /// Text form of the result, for the history.
    pub result: Option<String>,
    pub output_cut: bool,
}

/// A fatal signal.
#[derive(Debug, Clone, Copy)]
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
    /// Peak memory of the worker so far, in KiB.
    pub peak_kib: u64,
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
            state: Mutex::new(State {
                locator: None,
                current: None,
                runs: HashMap::new(),
                run_order: VecDeque::new(),
                last_parent: Parent::default(),
                open: HashSet::new(),
                worker: None,
                worker_lost: false,
                stream: None,
                tails: Default::default(),
                synced: 0,
                sync_token: 0,
                environment: Map::new(),
            }),
            changed: Condvar::new(),
            limit: limit << 20,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How places in generated sources are found.
    pub fn set_locator(&self, locator: Locator) {
        self.lock().locator = Some(locator);
    }

    // ---- the engine's side ----

    /// A request begins.
    pub fn begin(&self, begin: Begin) {
        let mut state = self.lock();
        self.flush_stream(&mut state);
        state.last_parent = begin.parent.clone();
        let connections = state.open.clone();
        state.current = Some(Current {
            parent: begin.parent,
            count: begin.count,
            show_result: !begin.silent,
            allow_stdin: begin.allow_stdin,
            written: 0,
            running: false,
            connections,
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
        if let Some(current) = &mut self.lock().current {
            current.capturing = on;
            current.capture = None;
        }
    }

    /// The data of the result that was captured.
    pub fn take_captured(&self) -> Option<Map<String, Value>> {
        self.lock().current.as_mut()?.capture.take()
    }

    /// Waits until all that the worker has sent so far is published, and returns what it told since
    /// the last call. `ended`: the worker is gone, so wait for the end of its connections instead.
    pub fn settle(&self, ended: bool) -> Facts {
        let deadline = Instant::now() + Duration::from_secs(if ended { 3 } else { 10 });
        let mut state = self.lock();
        if ended {
            while state
                .current
                .as_ref()
                .is_some_and(|current| !current.connections.is_disjoint(&state.open))
            {
                let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                    break;
                };
                state = self
                    .changed
                    .wait_timeout(state, rest)
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .0;
            }
            state.worker_lost = false;
        } else {
            state.sync_token += 1;
            let token = state.sync_token;
            if state.tell(Kind::Sync, &token.to_le_bytes()) {
                while state.synced < token && state.worker.is_some() {
                    let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                        break;
                    };
                    state = self
                        .changed
                        .wait_timeout(state, rest)
                        .unwrap_or_else(|poisoned| poisoned.into_inner())
                        .0;
                }
            }
        }
        self.flush_all(&mut state);
        let State { current, open, .. } = &mut *state;
        let Some(current) = current else {
            return Facts::default();
        };
        current.running = false;
        current.connections = open.clone();
        std::mem::take(&mut current.facts)
    }

    /// The request is over.
    pub fn finish(&self) {
        let mut state = self.lock();
        self.flush_all(&mut state);
        state.current = None;
    }

    /// Text of the kernel itself, under the current request.
    pub fn text(&self, name: &'static str, text: &str) {
        let mut state = self.lock();
        let parent = state.parent_of_current();
        self.append(&mut state, parent, name, text);
        self.flush_stream(&mut state);
    }

    /// A display of the kernel itself, under the current request.
    pub fn display(&self, data: Map<String, Value>) {
        let mut state = self.lock();
        self.flush_all(&mut state);
        let parent = state.parent_of_current();
        self.wire.publish(
            &parent,
            "display_data",
            json!({ "data": data, "metadata": {}, "transient": {} }),
        );
    }

    /// A result of the kernel itself, such as the text of an evcxr command.
    pub fn result(&self, data: Map<String, Value>) {
        let mut state = self.lock();
        self.flush_all(&mut state);
        self.publish_result(&mut state, data, Map::new());
    }

    /// Process id of the worker, if it is connected.
    pub fn worker_pid(&self) -> Option<i32> {
        self.lock().worker.as_ref().map(|worker| worker.pid)
    }

    /// Whether a cell's code is running at this moment.
    pub fn is_running(&self) -> bool {
        self.lock()
            .current
            .as_ref()
            .is_some_and(|current| current.running)
    }

    /// Whether the worker has ended while no cell ran. Asking resets it.
    pub fn take_worker_lost(&self) -> bool {
        std::mem::take(&mut self.lock().worker_lost)
    }

    /// Sets or removes an environment variable of this worker and of all that follow it.
    pub fn set_environment(&self, name: &str, value: Option<&str>) {
        let mut state = self.lock();
        let value = value.map_or(Value::Null, Value::from);
        let change = json!({ name: value });
        state.environment.insert(name.to_owned(), value);
        state.tell(Kind::SetEnv, change.to_string().as_bytes());
    }

    /// The variables set by [`Outputs::set_environment`]; null means removed.
    pub fn environment(&self) -> Map<String, Value> {
        self.lock().environment.clone()
    }

    /// Moves the worker to the kernel's current directory.
    pub fn change_dir(&self, dir: &std::path::Path) {
        self.lock()
            .tell(Kind::Chdir, dir.as_os_str().as_encoded_bytes());
    }

    /// The user has typed a line.
    pub fn input_reply(&self, line: Option<&str>) {
        let reply = line.map_or_else(|| json!({}), |line| json!({ "line": line }));
        self.lock()
            .tell(Kind::InputReply, reply.to_string().as_bytes());
    }

    // ---- the side channel's side ----

    /// A worker has connected.
    pub fn connected(&self, connection: ConnectionId) {
        let mut state = self.lock();
        state.open.insert(connection);
        let State { current, .. } = &mut *state;
        if let Some(current) = current {
            current.connections.insert(connection);
        }
    }

    /// A worker's connection has ended.
    pub fn disconnected(&self, connection: ConnectionId) {
        let mut state = self.lock();
        self.flush_all(&mut state);
        state.open.remove(&connection);
        if state
            .worker
            .as_ref()
            .is_some_and(|worker| worker.connection == connection)
        {
            state.worker = None;
            if state.current.is_none() {
                state.worker_lost = true;
            }
        }
        self.changed.notify_all();
    }

    /// Nothing has come for a moment: publish what waits.
    pub fn flush(&self) {
        let mut state = self.lock();
        self.flush_convention(&mut state);
        self.flush_stream(&mut state);
    }

    /// Takes one frame. `socket` is the connection by which it came.
    pub fn take(&self, connection: ConnectionId, socket: &UnixStream, frame: &Frame) {
        let mut state = self.lock();
        let text = || String::from_utf8_lossy(&frame.payload).into_owned();
        let parse = || serde_json::from_slice::<Value>(&frame.payload).unwrap_or_default();
        match frame.kind {
            Kind::Hello => {
                let pid = parse()["pid"].as_i64().unwrap_or_default() as i32;
                if let Ok(socket) = socket.try_clone() {
                    state.worker = Some(Worker {
                        connection,
                        socket,
                        pid,
                    });
                    state.worker_lost = false;
                    if let Ok(dir) = std::env::current_dir() {
                        state.tell(Kind::Chdir, dir.as_os_str().as_encoded_bytes());
                    }
                    let environment = Value::from(state.environment.clone()).to_string();
                    state.tell(Kind::SetEnv, environment.as_bytes());
                }
            }
            Kind::RunStarted => {
                let parent = state.parent_of_current();
                state.remember((connection, frame.run), parent);
                if let Some(locator) = &state.locator {
                    locator.loaded(&text());
                }
                if let Some(current) = &mut state.current {
                    current.running = true;
                }
            }
            Kind::RunEnded => {
                self.flush_convention(&mut state);
                self.flush_panic(&mut state);
                if let Some(current) = &mut state.current {
                    current.running = false;
                    current.facts.runs.push(RunTimes::from_json(&parse()));
                }
            }
            Kind::Stdout | Kind::Stderr => {
                self.flush_convention(&mut state);
                self.flush_panic(&mut state);
                let index = usize::from(frame.kind == Kind::Stderr);
                let name = ["stdout", "stderr"][index];
                let parent = state.parent_of((connection, frame.run));
                let text = decode(&mut state.tails[index], &frame.payload);
                self.append(&mut state, parent, name, &text);
            }
            Kind::Display => {
                self.flush_panic(&mut state);
                let parent = state.parent_of((connection, frame.run));
                self.show(&mut state, &parent, parse());
            }
            Kind::ClearOutput => {
                self.flush_all(&mut state);
                let parent = state.parent_of((connection, frame.run));
                let wait = frame.payload == b"1";
                self.wire
                    .publish(&parent, "clear_output", json!({ "wait": wait }));
            }
            Kind::Panic => {
                self.flush_convention(&mut state);
                self.flush_panic(&mut state);
                let report = PanicReport::from_json(&parse(), state.locator.as_ref());
                if report.on_cell_thread
                    && let Some(current) = &mut state.current
                {
                    current.panic = Some(report);
                } else {
                    let parent = state.parent_of((connection, frame.run));
                    self.append(&mut state, parent, "stderr", &report.as_stderr());
                }
            }
            Kind::Panicked => {
                if let Some(current) = &mut state.current {
                    let report = current.panic.take().unwrap_or_else(PanicReport::unknown);
                    current.facts.panic = Some(report);
                }
            }
            Kind::UserError => {
                self.flush_panic(&mut state);
                let error = UserError::from_json(&parse(), state.locator.as_ref());
                if let Some(current) = &mut state.current {
                    current.facts.user_error = Some(error);
                }
            }
            Kind::Report => self.report(&mut state, &parse()),
            Kind::InputRequest => {
                self.flush_all(&mut state);
                self.ask(&mut state, &parse());
            }
            Kind::Synced => {
                if let Ok(token) = frame.payload.as_slice().try_into() {
                    state.synced = u64::from_le_bytes(token);
                }
                self.changed.notify_all();
            }
            Kind::Crash => {
                let payload = &frame.payload;
                if payload.len() >= 16
                    && let Some(current) = &mut state.current
                {
                    current.facts.crash = Some(Crash {
                        signal: i32::from_le_bytes(payload[0..4].try_into().expect("four bytes")),
                        stack_overflow: payload[4] != 0,
                        address: u64::from_le_bytes(payload[8..16].try_into().expect("eight")),
                    });
                }
            }
            Kind::LoadFailed => {
                if let Some(current) = &mut state.current {
                    current.facts.load_failed = Some(text());
                }
            }
            Kind::PreludeChanged => {
                if let Some(current) = &mut state.current {
                    current.facts.prelude_changed = true;
                }
            }
            Kind::VariableLost => {
                if let Some(current) = &mut state.current {
                    current.facts.lost.push(text());
                }
            }
            // What only the kernel says.
            Kind::Sync | Kind::SetEnv | Kind::Chdir | Kind::InputReply => {}
        }
    }

    // ---- publishing ----

    fn append(&self, state: &mut State, parent: Parent, name: &'static str, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut text = text;
        let mut note = String::new();
        if let Some(current) = &mut state.current
            && current.parent.id() == parent.id()
        {
            if current.facts.output_cut {
                return;
            }
            current.written += text.len();
            if current.written > self.limit {
                current.facts.output_cut = true;
                let mut keep = text.len() - (current.written - self.limit);
                while !text.is_char_boundary(keep) {
                    keep -= 1;
                }
                text = &text[..keep];
                note = format!(
                    "\n[output cut: this cell has written more than {} MB; the rest is dropped. \
                     FORKLINE_OUTPUT_LIMIT_MB in the kernel's environment changes the limit]\n",
                    self.limit >> 20
                );
            }
        }
        if let Some(stream) = &mut state.stream
            && stream.name == name
            && stream.parent.id() == parent.id()
        {
            stream.text.push_str(text);
        } else {
            self.flush_stream(state);
            state.stream = Some(Stream {
                parent,
                name,
                text: text.to_owned(),
            });
        }
        if let Some(stream) = &mut state.stream {
            stream.text.push_str(&note);
            if stream.text.len() > 64 * 1024 {
                self.flush_stream(state);
            }
        }
    }

    fn flush_stream(&self, state: &mut State) {
        if let Some(stream) = state.stream.take()
            && !stream.text.is_empty()
        {
            self.wire.publish(
                &stream.parent,
                "stream",
                json!({ "name": stream.name, "text": stream.text }),
            );
        }
    }

    /// A panic that was not the end of the cell was caught: it is told as text, like everywhere.
    fn flush_panic(&self, state: &mut State) {
        let Some(current) = &mut state.current else {
            return;
        };
        if let Some(report) = current.panic.take() {
            let parent = current.parent.clone();
            self.append(state, parent, "stderr", &report.as_stderr());
        }
    }

    fn flush_convention(&self, state: &mut State) {
        let Some(current) = &mut state.current else {
            return;
        };
        if current.in_group {
            return;
        }
        if let Some(data) = current.convention.take() {
            let parent = current.parent.clone();
            self.flush_stream(state);
            self.wire.publish(
                &parent,
                "display_data",
                json!({ "data": data, "metadata": {}, "transient": {} }),
            );
        }
    }

    fn flush_all(&self, state: &mut State) {
        self.flush_convention(state);
        self.flush_panic(state);
        for (index, name) in ["stdout", "stderr"].into_iter().enumerate() {
            if !state.tails[index].is_empty() {
                let text =
                    String::from_utf8_lossy(&std::mem::take(&mut state.tails[index])).into_owned();
                let parent = state.parent_of_current();
                self.append(state, parent, name, &text);
            }
        }
        self.flush_stream(state);
    }

    fn show(&self, state: &mut State, parent: &Parent, message: Value) {
        let data = bundle::with_text(message["data"].as_object().cloned().unwrap_or_default());
        if data.is_empty() {
            return;
        }
        if message["convention"] == true {
            self.show_convention(state, parent, data);
            return;
        }
        self.flush_convention(state);
        self.flush_stream(state);
        let metadata = message["metadata"].as_object().cloned().unwrap_or_default();
        if message["result"] == true {
            self.publish_result(state, data, metadata);
            return;
        }
        let kind = if message["update"] == true {
            "update_display_data"
        } else {
            "display_data"
        };
        let transient = match message["display_id"].as_str() {
            Some(id) => json!({ "display_id": id }),
            None => json!({}),
        };
        self.wire.publish(
            parent,
            kind,
            json!({ "data": data, "metadata": metadata, "transient": transient }),
        );
    }

    /// A block of evcxr's display convention. Crates print the same thing as HTML and as text one
    /// after the other; two blocks of which neither is text are two things.
    fn show_convention(&self, state: &mut State, parent: &Parent, data: Map<String, Value>) {
        let twin = |one: &Map<String, Value>, other: &Map<String, Value>| {
            let is_text =
                |map: &Map<String, Value>| map.len() == 1 && map.contains_key("text/plain");
            is_text(one) != is_text(other) && !one.keys().any(|key| other.contains_key(key))
        };
        let is_current = state
            .current
            .as_ref()
            .is_some_and(|current| current.parent.id() == parent.id());
        if !is_current {
            self.flush_stream(state);
            self.wire.publish(
                parent,
                "display_data",
                json!({ "data": data, "metadata": {}, "transient": {} }),
            );
            return;
        }
        if let Some(current) = &mut state.current
            && let Some(open) = &mut current.convention
            && (current.in_group || twin(open, &data))
        {
            open.extend(data);
            return;
        }
        self.flush_convention(state);
        self.flush_stream(state);
        if let Some(current) = &mut state.current {
            current.convention = Some(data);
        }
    }

    fn publish_result(
        &self,
        state: &mut State,
        data: Map<String, Value>,
        metadata: Map<String, Value>,
    ) {
        let data = bundle::with_text(data);
        let Some(current) = &mut state.current else {
            return;
        };
        if current.capturing {
            current.capture = Some(data);
            return;
        }
        current.facts.result = data
            .get("text/plain")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if current.show_result && !data.is_empty() {
            let content = json!({
                "execution_count": current.count,
                "data": data,
                "metadata": metadata,
            });
            self.wire
                .publish(&current.parent, "execute_result", content);
        }
    }

    fn report(&self, state: &mut State, message: &Value) {
        let name = message["report"].as_str().unwrap_or_default();
        if name != "group" {
            if let Some(current) = &mut state.current {
                current
                    .facts
                    .reports
                    .insert(name.to_owned(), message["value"].clone());
            }
            return;
        }
        // The display convention of a cell's last expression: all it prints is one result.
        self.flush_convention(state);
        self.flush_stream(state);
        let begins = message["value"] == "begin";
        let Some(current) = &mut state.current else {
            return;
        };
        current.in_group = begins;
        if !begins && let Some(data) = current.convention.take() {
            self.publish_result(state, data, Map::new());
        }
    }

    fn ask(&self, state: &mut State, request: &Value) {
        let allowed = state
            .current
            .as_ref()
            .filter(|current| current.allow_stdin)
            .map(|current| current.parent.clone());
        match allowed {
            Some(parent) => self.wire.send(Outgoing {
                channel: Channel::Stdin,
                kind: "input_request",
                parent,
                metadata: json!({}),
                content: request.clone(),
            }),
            None => {
                state.tell(Kind::InputReply, b"{}");
            }
        }
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
            .write_all(&frames::encode(kind, 0, 0, payload))
            .is_ok()
    }
}

impl RunTimes {
    fn from_json(value: &Value) -> RunTimes {
        let nanoseconds =
            |name: &str| Duration::from_nanos(value[name].as_u64().unwrap_or_default());
        RunTimes {
            wall: nanoseconds("wall"),
            user: nanoseconds("user"),
            system: nanoseconds("system"),
            peak_kib: value["peak_kib"].as_u64().unwrap_or_default(),
        }
    }
}

/// Text out of bytes: an unfinished character waits in `tail`, what can never be one becomes the
/// replacement character.
fn decode(tail: &mut Vec<u8>, bytes: &[u8]) -> String {
    let mut all = std::mem::take(tail);
    all.extend_from_slice(bytes);
    let mut text = String::with_capacity(all.len());
    let mut rest = all.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                return text;
            }
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap_or_default());
                let Some(length) = error.error_len() else {
                    tail.extend_from_slice(bad);
                    return text;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &bad[length..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_survive_a_split_and_other_bytes_are_replaced() {
        let mut tail = Vec::new();
        let bytes = "aé€😀".as_bytes();
        let mut text = String::new();
        for byte in bytes {
            text.push_str(&decode(&mut tail, &[*byte]));
        }
        assert_eq!(text, "aé€😀");
        assert_eq!(decode(&mut tail, b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
        assert!(tail.is_empty());
        assert_eq!(decode(&mut tail, b"\xe2\x82"), "");
        assert_eq!(decode(&mut tail, b"x"), "\u{fffd}x");
    }
}
