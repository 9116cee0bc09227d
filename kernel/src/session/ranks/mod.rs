//! The ranks of a group, as far as the kernel sees them: what each prints and shows, and how far it has come.
//!
//! * `rank`     what one rank has said and shown
//! * `labels`   output under the numbers of its ranks
//! * `failure`  how a failed cell of a group is told
//! * `standing` where a rank stands, as it says when it is asked
//! * `watch`    what is done about ranks that wait in vain
//! * `progress` how many ranks are done, for a cell that takes long
//! * `last`     the last value of each rank, as a table
//! * `group`    the engine of the ranks, and the life of their group
//!
//! Frames come by a side channel of their own, on threads of their own, while the engine of the ranks waits for
//! the leader. What always holds: a rank is known by the number in its frames; after [`Ranks::settle`] all that
//! the ranks had sent by then is here.

mod failure;
mod group;
mod labels;
mod last;
mod progress;
mod rank;
mod standing;
mod watch;

pub use group::{CellText, Group, Ran, Request};

use super::outputs::{Outputs, answer_place};
use super::side_channel::Receiver;
use super::watched::Watched;
use crate::engine::Locator;
use crate::worker::frames::{Frame, Kind};
use rank::{Rank, Told};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// How the output of the ranks is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// By rank when all are done; what several have in common once.
    #[default]
    Grouped,
    /// Line by line as it comes.
    Interleaved,
    /// That of one rank, as it comes.
    Rank(u32),
}

/// Why a group was ended from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The cell ran longer than this.
    TimedOut(Duration),
    Interrupted,
    /// Its ranks waited for one that had failed, and did not stop when they were told.
    InVain,
}

/// See the module's text.
pub struct Ranks {
    outputs: Arc<Outputs>,
    state: Watched<State>,
}

#[derive(Default)]
struct State {
    locator: Option<Locator>,
    form: Form,
    /// Variables for the ranks beside those of the session.
    environment: Map<String, Value>,
    ranks: BTreeMap<u32, Rank>,
    /// By connection. There are two for a moment, when evcxr has replaced one that has ended.
    leaders: BTreeMap<u64, Peer>,
    /// The rank of each connection, once it has sent something; none for the leader.
    connections: HashMap<u64, Option<u32>>,
    /// Whether a cell is in progress, and how many there have been.
    running: bool,
    cells: u64,
    /// The launcher was started for the cell in progress.
    is_launched: bool,
    /// Why the leader could not begin.
    launch_failed: Option<String>,
    cause: Option<Cause>,
    /// Ranks that waited in vain were told to wait no longer.
    is_released: bool,
    /// Ranks in the order in which they went.
    lost: Vec<u32>,
    token: u64,
    /// The line that says how many ranks are done.
    line: Option<progress::Line>,
}

struct Peer {
    connection: u64,
    socket: UnixStream,
    pid: i32,
    /// The machine, if it was reached over a network: its processes are not looked for here.
    host: Option<String>,
}

/// What became of a cell.
struct Outcome {
    ranks: BTreeMap<u32, Told>,
    lost: Vec<u32>,
    launch_failed: Option<String>,
    cause: Option<Cause>,
    is_released: bool,
    /// The group is gone.
    is_ended: bool,
}

impl Ranks {
    pub fn new(outputs: Arc<Outputs>) -> Ranks {
        Ranks {
            outputs,
            state: Watched::default(),
        }
    }

    // ---- the engine's side ----

    fn set_locator(&self, locator: Locator) {
        self.state.lock().locator = Some(locator);
    }

    /// A cell begins.
    fn begin(&self, form: Form) {
        let mut state = self.state.lock();
        state.form = form;
        state.running = true;
        state.cells += 1;
        state.cause = None;
        state.is_released = false;
        state.is_launched = false;
        state.line = None;
        state.launch_failed = None;
        for rank in state.ranks.values_mut() {
            rank.told = Told::default();
            rank.pieces.clear();
        }
    }

    /// A group is about to be started: of those before nothing counts any more.
    fn forget(&self, environment: Map<String, Value>) {
        let mut state = self.state.lock();
        state.ranks.clear();
        state.lost.clear();
        state.launch_failed = None;
        state.environment = environment;
    }

    /// Waits until all that the ranks have sent is here, shows it, and returns what they have told.
    /// `ended`: the leader is gone, and the ranks are going.
    fn settle(&self, ended: bool) -> Outcome {
        let mut state = self.state.lock();
        if ended {
            state = self
                .state
                .wait_while(state, Duration::from_secs(2), |state| {
                    // Evcxr has waited for its end, but the last frames may be on their way.
                    let has_ended =
                        |leader: &Peer| !Path::new(&format!("/proc/{}", leader.pid)).exists();
                    state.leaders.values().any(has_ended)
                        || state.ranks.values().any(|rank| rank.peer.is_some())
                });
        } else {
            state.token += 1;
            let token = state.token;
            for rank in state.ranks.values_mut() {
                rank.tell(Kind::Sync, &token.to_le_bytes());
            }
            state = self
                .state
                .wait_while(state, Duration::from_secs(10), |state| {
                    let mut ranks = state.ranks.values();
                    ranks.any(|rank| rank.peer.is_some() && rank.synced < token)
                });
        }
        state.running = false;
        if let Some(message) = state.end_progress() {
            self.outputs.display_of_rank(message);
        }
        let form = state.form;
        for (number, rank) in &mut state.ranks {
            rank.flush_panic(*number, form, &self.outputs);
            rank.finish_text(*number, form, &self.outputs);
        }
        if form == Form::Grouped {
            let pieces = state
                .ranks
                .iter_mut()
                .map(|(number, rank)| (*number, std::mem::take(&mut rank.pieces)))
                .collect();
            labels::show(pieces, &self.outputs);
        }
        Outcome {
            ranks: state
                .ranks
                .iter()
                .map(|(number, rank)| (*number, rank.told.clone()))
                .collect(),
            lost: state.lost.clone(),
            launch_failed: state.launch_failed.take(),
            cause: state.cause,
            is_released: state.is_released,
            is_ended: ended,
        }
    }

    /// Whether a group is there. One that has lost a rank is not.
    pub fn is_alive(&self) -> bool {
        let state = self.state.lock();
        !state.leaders.is_empty() && state.lost.is_empty() && !state.ranks.is_empty()
    }

    /// Process id, and machine if it may be another one, by rank.
    pub fn processes(&self) -> Vec<(u32, i32, Option<String>)> {
        let state = self.state.lock();
        let with_pid = state.ranks.iter().filter_map(|(number, rank)| {
            let peer = rank.peer.as_ref()?;
            Some((*number, peer.pid, peer.host.clone()))
        });
        with_pid.collect()
    }

    /// Whether ranks run a cell's code at this moment.
    pub fn is_running(&self) -> bool {
        self.state.lock().is_running()
    }

    /// Whether the launcher of the group is at work, and no rank runs the cell yet.
    pub fn is_launching(&self) -> bool {
        let state = self.state.lock();
        let has_begun = state.ranks.values().any(|rank| rank.told.begun);
        state.running && state.is_launched && !has_begun
    }

    /// Asks the cell's code to end, on all ranks that run it.
    pub fn interrupt(&self) {
        self.state.lock().interrupt();
    }

    /// Ends the group that runs a cell, for this cause, if it still runs.
    pub fn end_for(&self, cause: Cause) {
        {
            let mut state = self.state.lock();
            if !state.running || state.cause.is_some() || !state.lost.is_empty() {
                return;
            }
            state.cause = Some(cause);
            let _some_may_not_answer = self.ask_where(state, Stack::Too);
        }
        self.end();
    }

    /// Asks the ranks that run the cell where they stand, and waits a moment for their answers.
    fn ask_where<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        stack: Stack,
    ) -> MutexGuard<'a, State> {
        let token = state.ask_where(stack);
        self.state.wait_while(state, ANSWER, |state| {
            let waited_for = |rank: &Rank| rank.is_at_work() && rank.said_where < token;
            state.ranks.values().any(waited_for)
        })
    }

    /// Whether an interrupt has broken MPI on some rank: then messages of the cell that was interrupted may still
    /// come, and the group is of no use.
    fn has_broken_mpi(&self) -> bool {
        let mut state = self.state.lock();
        let token = state.ask_all_where();
        let state = self.state.wait_while(state, ANSWER, |state| {
            let mut ranks = state.ranks.values();
            ranks.any(|rank| rank.peer.is_some() && rank.said_where < token)
        });
        let mut ranks = state.ranks.values();
        ranks.any(|rank| rank.told.standing.as_ref().is_some_and(|it| it.is_broken))
    }

    /// Whether the group has lost a rank, or was ended.
    fn is_broken(&self) -> bool {
        let is_empty = self.state.lock().ranks.is_empty();
        !is_empty && !self.is_alive()
    }

    /// Ends the leader, and with it all ranks.
    pub fn end(&self) {
        let mut state = self.state.lock();
        let mut pids: Vec<i32> = state
            .ranks
            .values()
            .filter_map(|rank| rank.peer.as_ref())
            .filter(|peer| peer.host.is_none())
            .map(|peer| peer.pid)
            .collect();
        for leader in state.leaders.values() {
            let _gone_already = leader.socket.shutdown(Shutdown::Both);
            pids.push(leader.pid);
        }
        state = self
            .state
            .wait_while(state, Duration::from_millis(800), |state| {
                !state.leaders.is_empty() || state.ranks.values().any(|rank| rank.peer.is_some())
            });
        drop(state);
        // Whoever does not end by itself: stopped, or deep in the system.
        for pid in pids {
            if self.is_connected(pid) {
                super::interrupt::kill_group(pid);
            }
        }
    }

    fn is_connected(&self, pid: i32) -> bool {
        let state = self.state.lock();
        let mut peers = state
            .ranks
            .values()
            .filter_map(|rank| rank.peer.as_ref())
            .chain(state.leaders.values());
        peers.any(|peer| peer.pid == pid)
    }

    /// Sets or removes a variable on all ranks.
    pub fn set_environment(&self, name: &str, value: Option<&str>) {
        let change = json!({ name: value }).to_string();
        for rank in self.state.lock().ranks.values_mut() {
            rank.tell(Kind::SetEnv, change.as_bytes());
        }
    }

    /// Moves all ranks to a folder.
    pub fn change_dir(&self, dir: &std::path::Path) {
        for rank in self.state.lock().ranks.values_mut() {
            rank.tell(Kind::Chdir, dir.as_os_str().as_encoded_bytes());
        }
    }
}

impl Receiver for Ranks {
    fn connected(&self, connection: u64, _pid: i32) {
        self.state.lock().connections.insert(connection, None);
    }

    fn flush(&self) {}

    fn take(&self, connection: u64, socket: &UnixStream, frame: &Frame) {
        let mut state = self.state.lock();
        let parse = || serde_json::from_slice::<Value>(&frame.payload).unwrap_or_default();
        let Some(number) = frame.rank else {
            match frame.kind {
                Kind::Hello => {
                    if let Some(leader) = Peer::new(connection, socket, &parse()) {
                        state.leaders.insert(connection, leader);
                    }
                }
                Kind::RankGone => {
                    if let Ok(number) = frame.payload.as_slice().try_into() {
                        state.note_loss(u32::from_le_bytes(number));
                    }
                }
                Kind::Launched => state.is_launched = true,
                Kind::LoadFailed => {
                    state.launch_failed =
                        Some(String::from_utf8_lossy(&frame.payload).into_owned());
                }
                _ => {}
            }
            return;
        };
        if frame.kind == Kind::Hello {
            let mut settings = self.outputs.environment();
            settings.extend(state.environment.clone());
            let rank = state.ranks.entry(number).or_default();
            *rank = Rank {
                peer: Peer::new(connection, socket, &parse()),
                ..Rank::default()
            };
            if let Ok(dir) = std::env::current_dir() {
                rank.tell(Kind::Chdir, dir.as_os_str().as_encoded_bytes());
            }
            rank.tell(Kind::SetEnv, Value::from(settings).to_string().as_bytes());
            state.connections.insert(connection, Some(number));
            return;
        }
        let State {
            ranks,
            locator,
            form,
            running,
            ..
        } = &mut *state;
        let Some(rank) = ranks.get_mut(&number) else {
            return;
        };
        // What comes when no cell runs, of a thread that goes on, is shown as it comes.
        let form = match form {
            Form::Grouped if !*running => Form::Interleaved,
            form => *form,
        };
        if let Kind::Locate = frame.kind {
            answer_place(&parse(), locator.as_ref(), socket);
            return;
        }
        rank.take(number, frame, locator.as_ref(), form, &self.outputs);
        self.state.notify();
    }

    fn disconnected(&self, connection: u64) {
        let mut state = self.state.lock();
        let number = state.connections.remove(&connection).flatten();
        state.leaders.remove(&connection);
        let is_rank = |rank: &Rank| {
            rank.peer
                .as_ref()
                .is_some_and(|peer| peer.connection == connection)
        };
        if let Some(number) = number
            && state.ranks.get(&number).is_some_and(is_rank)
        {
            state.note_loss(number);
            if let Some(rank) = state.ranks.get_mut(&number) {
                rank.peer = None;
                rank.run = None;
                rank.told.gone = true;
            }
        }
        self.state.notify();
    }
}

impl State {
    /// A rank is gone, as its own connection or the leader says.
    fn note_loss(&mut self, number: u32) {
        if self.lost.is_empty() && self.running {
            // The others have a moment to answer before they go too.
            self.ask_where(Stack::Too);
        }
        if !self.lost.contains(&number) {
            self.lost.push(number);
        }
    }

    /// Asks the ranks that run the cell where they stand; returns the token of the question.
    fn ask_where(&mut self, stack: Stack) -> u64 {
        self.token += 1;
        for rank in self.ranks.values_mut().filter(|rank| rank.is_at_work()) {
            rank.tell(Kind::Where, &question(self.token, stack));
        }
        self.token
    }

    /// The same of all ranks, for what they know of MPI.
    fn ask_all_where(&mut self) -> u64 {
        self.token += 1;
        for rank in self.ranks.values_mut() {
            rank.tell(Kind::Where, &question(self.token, Stack::No));
        }
        self.token
    }

    /// Asks the cell's code to end, on all ranks that run it; they say first where they stand.
    fn interrupt(&mut self) {
        self.ask_where(Stack::Too);
        for rank in self.ranks.values_mut() {
            if let Some(run) = rank.run {
                rank.tell(Kind::Interrupt, &run.to_le_bytes());
            }
        }
    }
}

impl Peer {
    fn new(connection: u64, socket: &UnixStream, hello: &Value) -> Option<Peer> {
        Some(Peer {
            connection,
            socket: socket.try_clone().ok()?,
            pid: hello["pid"].as_i64().unwrap_or_default() as i32,
            host: hello["host"].as_str().map(str::to_owned),
        })
    }
}

/// Whether the stack of the cell's thread is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stack {
    No,
    /// If the rank does not wait in MPI. A system call of the cell may notice.
    Too,
}

/// The payload of a [`Kind::Where`].
fn question(token: u64, stack: Stack) -> Vec<u8> {
    let mut payload = token.to_le_bytes().to_vec();
    payload.push(u8::from(stack == Stack::Too));
    payload
}

/// How long ranks may take to say where they stand.
const ANSWER: Duration = Duration::from_millis(300);
