//! The ranks of a group, as far as the kernel sees them: what each prints and shows, and how far it has come.
//!
//! * `labels`   output under the numbers of its ranks
//! * `failure`  how a failed cell of a group is told
//! * `group`    the engine of the ranks, and the life of their group
//!
//! Frames come by a side channel of their own, on threads of their own, while the engine of the ranks waits for
//! the leader. What always holds: a rank is known by the number in its frames; after [`Ranks::settle`] all that
//! the ranks had sent by then is here.

mod failure;
mod group;
mod labels;

pub use group::{CellText, Group, Request};

use super::outputs::{Crash, Outputs, RunTimes, answer_place, decode};
use super::panics::{PanicReport, UserError, UserFrame, user_frames};
use super::side_channel::Receiver;
use super::watched::Watched;
use crate::engine::Locator;
use crate::worker::frames::{self, Frame, Kind};
use labels::{Lines, Piece};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// Why the leader could not begin.
    launch_failed: Option<String>,
    cause: Option<Cause>,
    /// Ranks in the order in which they went.
    lost: Vec<u32>,
    token: u64,
}

struct Peer {
    connection: u64,
    socket: UnixStream,
    pid: i32,
}

/// One rank.
#[derive(Default)]
struct Rank {
    peer: Option<Peer>,
    /// The run in progress there.
    run: Option<u64>,
    synced: u64,
    pieces: Vec<Piece>,
    lines: Lines,
    tails: [Vec<u8>; 2],
    in_group: bool,
    /// A panic that may still be caught.
    panic: Option<PanicReport>,
    told: Told,
}

/// What a rank has told about the cell.
#[derive(Default, Clone)]
struct Told {
    /// It has begun to run the cell's code.
    begun: bool,
    /// It has come to the end, in whatever way.
    ended: bool,
    panic: Option<PanicReport>,
    user_error: Option<UserError>,
    crash: Option<Crash>,
    exit: Option<Exit>,
    load_failed: Option<String>,
    prelude_changed: bool,
    interrupted: bool,
    lost_variables: Vec<String>,
    times: RunTimes,
    gone: bool,
}

/// A rank's process called `exit`.
#[derive(Clone)]
struct Exit {
    status: i64,
    frames: Vec<UserFrame>,
}

/// What became of a cell.
struct Outcome {
    ranks: BTreeMap<u32, Told>,
    lost: Vec<u32>,
    launch_failed: Option<String>,
    cause: Option<Cause>,
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
        }
    }

    /// Whether a group is there. One that has lost a rank is not.
    pub fn is_alive(&self) -> bool {
        let state = self.state.lock();
        !state.leaders.is_empty() && state.lost.is_empty() && !state.ranks.is_empty()
    }

    /// Process ids by rank.
    pub fn processes(&self) -> Vec<(u32, i32)> {
        let state = self.state.lock();
        let with_pid = state
            .ranks
            .iter()
            .filter_map(|(number, rank)| rank.peer.as_ref().map(|peer| (*number, peer.pid)));
        with_pid.collect()
    }

    /// Whether ranks run a cell's code at this moment.
    pub fn is_running(&self) -> bool {
        let state = self.state.lock();
        state.running && state.ranks.values().any(|rank| rank.run.is_some())
    }

    /// Asks the cell's code to end, on all ranks that run it.
    pub fn interrupt(&self) {
        for rank in self.state.lock().ranks.values_mut() {
            if let Some(run) = rank.run {
                rank.tell(Kind::Interrupt, &run.to_le_bytes());
            }
        }
    }

    /// Ends the group that runs a cell, for this cause, if it still runs.
    pub fn end_for(&self, cause: Cause) {
        {
            let mut state = self.state.lock();
            if !state.running || state.cause.is_some() || !state.lost.is_empty() {
                return;
            }
            state.cause = Some(cause);
        }
        self.end();
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
            .filter_map(|rank| Some(rank.peer.as_ref()?.pid))
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
        if !self.lost.contains(&number) {
            self.lost.push(number);
        }
    }

    /// What is said when ranks go on after others have panicked.
    fn who_goes_on(&self) -> Option<String> {
        let which = |holds: fn(&Rank) -> bool| -> Vec<u32> {
            let found = self.ranks.iter().filter(|(_, rank)| holds(rank));
            found.map(|(number, _)| *number).collect()
        };
        let panicked = which(|rank| rank.told.panic.is_some());
        let running = which(|rank| rank.run.is_some() && rank.told.panic.is_none());
        let message = self
            .ranks
            .values()
            .find_map(|rank| rank.told.panic.as_ref())
            .map_or("", |report| &report.message);
        let text = || {
            format!(
                "{} panicked ({message}), and {} went on for {} s since: if they wait for it, interrupt the cell\n",
                failure::named(&panicked),
                failure::named(&running),
                PATIENCE.as_secs(),
            )
        };
        (!running.is_empty()).then(text)
    }
}

impl Peer {
    fn new(connection: u64, socket: &UnixStream, hello: &Value) -> Option<Peer> {
        Some(Peer {
            connection,
            socket: socket.try_clone().ok()?,
            pid: hello["pid"].as_i64().unwrap_or_default() as i32,
        })
    }
}

impl Rank {
    fn tell(&mut self, kind: Kind, payload: &[u8]) {
        if let Some(peer) = &mut self.peer {
            // One that is gone is told by its thread.
            let _ = peer.socket.write_all(&frames::encode(kind, 0, payload));
        }
    }

    fn take(
        &mut self,
        number: u32,
        frame: &Frame,
        locator: Option<&Locator>,
        form: Form,
        outputs: &Outputs,
    ) {
        let text = || String::from_utf8_lossy(&frame.payload).into_owned();
        let parse = || serde_json::from_slice::<Value>(&frame.payload).unwrap_or_default();
        match frame.kind {
            Kind::RunStarted => {
                self.run = Some(frame.run);
                self.told.begun = true;
                if let Some(locator) = locator {
                    locator.loaded(&text());
                }
            }
            Kind::RunEnded => {
                self.flush_panic(number, form, outputs);
                let report = parse();
                self.run = None;
                self.told.ended = true;
                self.told.interrupted |= report["interrupted"] == true;
                self.told.times = RunTimes::from_json(&report);
            }
            Kind::Stdout | Kind::Stderr => {
                self.flush_panic(number, form, outputs);
                let index = usize::from(frame.kind == Kind::Stderr);
                let text = decode(&mut self.tails[index], &frame.payload);
                self.text(number, index, &text, form, outputs);
            }
            Kind::Display => {
                self.flush_panic(number, form, outputs);
                self.display(number, parse(), form, outputs);
            }
            Kind::ClearOutput => self.pieces.clear(),
            Kind::Panic => {
                self.flush_panic(number, form, outputs);
                let report = PanicReport::from_json(&parse(), locator);
                if report.on_cell_thread {
                    self.panic = Some(report);
                } else {
                    self.text(number, 1, &report.as_stderr(), form, outputs);
                }
            }
            Kind::Panicked => {
                let report = self.panic.take().unwrap_or_else(PanicReport::unknown);
                self.told.panic = Some(report);
            }
            Kind::UserError => self.told.user_error = Some(UserError::from_json(&parse(), locator)),
            Kind::Report => {
                let report = parse();
                if report["report"] == "group" {
                    self.in_group = report["value"] == "begin";
                    if self.in_group {
                        self.pieces.push(Piece::Mark);
                    }
                }
            }
            // Nobody can type to one of many.
            Kind::InputRequest => self.tell(Kind::InputReply, b"{}"),
            Kind::Synced => {
                if let Ok(token) = frame.payload.as_slice().try_into() {
                    self.synced = u64::from_le_bytes(token);
                }
            }
            Kind::Crash => self.told.crash = Crash::from_record(&frame.payload),
            Kind::Exiting => {
                let report = parse();
                self.told.exit = Some(Exit {
                    status: report["status"].as_i64().unwrap_or_default(),
                    frames: user_frames(&report["frames"], locator),
                });
            }
            Kind::LoadFailed => self.told.load_failed = Some(text()),
            Kind::PreludeChanged => self.told.prelude_changed = true,
            Kind::VariableLost => self.told.lost_variables.push(text()),
            _ => {}
        }
    }

    fn text(&mut self, number: u32, stream: usize, text: &str, form: Form, outputs: &Outputs) {
        match form {
            Form::Grouped => labels::append(&mut self.pieces, stream, text),
            Form::Interleaved => {
                for line in self.lines.push(stream, text) {
                    outputs.text(labels::STREAMS[stream], &format!("[{number}] {line}"));
                }
            }
            Form::Rank(wanted) if wanted == number => outputs.text(labels::STREAMS[stream], text),
            Form::Rank(_) => {}
        }
    }

    fn display(&mut self, number: u32, mut message: Value, form: Form, outputs: &Outputs) {
        match form {
            Form::Grouped => labels::add_display(&mut self.pieces, message, self.in_group),
            Form::Rank(wanted) if wanted != number => {}
            _ => {
                if form == Form::Interleaved {
                    self.finish_text(number, form, outputs);
                    if message["update"] != true {
                        outputs.text("stdout", &format!("[{number}]\n"));
                    }
                }
                // Several ranks may use one id for displays of their own.
                if let Some(id) = message["display_id"].as_str() {
                    message["display_id"] = json!(format!("{id}-rank-{number}"));
                }
                // A cell has one result, and here are several.
                message["result"] = json!(false);
                outputs.display_of_rank(message);
            }
        }
    }

    /// A panic that was not the end of the cell was caught.
    fn flush_panic(&mut self, number: u32, form: Form, outputs: &Outputs) {
        if let Some(report) = self.panic.take() {
            self.text(number, 1, &report.as_stderr(), form, outputs);
        }
    }

    /// What has no newline behind it counts as a line at the end.
    fn finish_text(&mut self, number: u32, form: Form, outputs: &Outputs) {
        for stream in 0..2 {
            let tail = std::mem::take(&mut self.tails[stream]);
            if !tail.is_empty() {
                let text = String::from_utf8_lossy(&tail).into_owned();
                self.text(number, stream, &text, form, outputs);
            }
            if let Some(line) = self.lines.finish(stream) {
                outputs.text(labels::STREAMS[stream], &format!("[{number}] {line}\n"));
            }
        }
    }
}

/// How long ranks may go on after another one has panicked before the user is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Watches the cell in progress: ends the group when it has run for so long, and tells when ranks go on after
/// another has panicked, for which they may wait in vain.
fn watch(ranks: &Arc<Ranks>, limit: Option<Duration>) {
    let ranks = Arc::clone(ranks);
    let cell = ranks.state.lock().cells;
    // Without a thread there is no limit, and the user can interrupt.
    let _ = std::thread::Builder::new()
        .name("watch-ranks".to_owned())
        .spawn(move || {
            let mut begun: Option<Instant> = None;
            let mut panicked: Option<Instant> = None;
            let mut is_told = false;
            loop {
                {
                    let state = ranks.state.lock();
                    let is_over = |state: &mut State| !state.running || state.cells != cell;
                    let mut state = ranks.state.wait_while(state, STEP, |state| !is_over(state));
                    if is_over(&mut state) {
                        return;
                    }
                    if panicked.is_none()
                        && state.ranks.values().any(|rank| rank.told.panic.is_some())
                    {
                        panicked = Some(Instant::now());
                    }
                    if !is_told && panicked.is_some_and(|since| since.elapsed() > PATIENCE) {
                        is_told = true;
                        let text = state.who_goes_on();
                        drop(state);
                        ranks.outputs.text("stderr", &text.unwrap_or_default());
                    }
                }
                // Compiling does not count, nor does starting the group.
                if begun.is_none() && ranks.is_running() {
                    begun = Some(Instant::now());
                }
                if let (Some(begun), Some(limit)) = (begun, limit)
                    && begun.elapsed() >= limit
                {
                    ranks.end_for(Cause::TimedOut(limit));
                    return;
                }
            }
        });
}

/// How often the watch looks.
const STEP: Duration = Duration::from_millis(20);
