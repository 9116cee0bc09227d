//! The debugger: the Debug Adapter Protocol over LLDB's adapter, for the front end on the control channel and for
//! terminals.
//!
//! * `adapter`      the program `lldb-dap`, and how it is asked
//! * `attach`       from a worker to a debugged one, and back
//! * `breakpoints`  of cells, set in the libraries that have their code
//! * `cell`         what a magic has of it
//! * `cells`        cells as files; lines of compiled sources
//! * `events`       what the adapter tells by itself
//! * `frames`       stacks, variables and values in the words of cells and of Rust
//! * `lab`          what JupyterLab wants otherwise
//! * `names`        LLDB's words for them
//! * `postmortem`   copies of what has panicked, to be looked at
//! * `ranks`        a rank under the debugger
//! * `terminal`     the same debugger by lines of text: a terminal, a socket, a script
//! * `traps`        what a killed debugger leaves in the code
//!
//! While the debugger is on, cells are compiled with debug information (`engine::driver::debug`), and the adapter is
//! told the breakpoints of each before it runs. Requests are answered on a thread of their own, so neither
//! the shell nor interrupts ever wait for LLDB.
//!
//! What always holds: the end of the adapter ends no cell; nothing of this is there before the first request to
//! attach.

mod adapter;
mod attach;
mod breakpoints;
mod cell;
mod cells;
mod events;
mod frames;
mod lab;
mod names;
mod postmortem;
mod ranks;
mod terminal;
mod traps;

pub use attach::{debugging as for_cells, turn_off, turn_on};
pub use ranks::{debugging as for_ranks, run as run_on_ranks};
pub use terminal::{card, doors};

use super::Shared;
use super::queue::Job;
use crate::protocol::{Message, Parent};
use adapter::{Adapter, lock};
use breakpoints::Breakpoint;
use cells::Cells;
use crossbeam_channel::{Receiver, Sender};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long the adapter may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this machine has what the debugger needs.
pub fn is_available() -> bool {
    adapter().is_some()
}

/// The program that it needs.
pub fn adapter() -> Option<&'static std::path::Path> {
    adapter::program()
}

/// See the module's text.
pub struct Debugger {
    is_on: Arc<AtomicBool>,
    /// Whether a cell of ranks is compiled for it.
    is_on_for_ranks: Arc<AtomicBool>,
    cells: Arc<Cells>,
    requests: Sender<Message>,
    state: Mutex<State>,
    /// Who wants to know of stops, beside the front end.
    listeners: Mutex<Vec<Sender<Told>>>,
    /// Who sits at a terminal, and how one may.
    seats: terminal::Seats,
    /// Held while a worker is being attached to.
    attaching: Mutex<()>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// What belongs to no cell is published under the request that came last.
    parent: Parent,
    /// The front end is JupyterLab.
    is_lab: bool,
    /// The breakpoints of each cell's file.
    breakpoints: BTreeMap<String, Vec<Breakpoint>>,
    /// Whether panics stop.
    stops_at_panics: bool,
    /// The last number that a breakpoint was given.
    last_number: u32,
    /// The breakpoint behind each of the adapter's numbers.
    placed: BTreeMap<i64, u32>,
    /// The next cell stops at its first statement.
    stops_at_start: bool,
    /// The adapter's number for that.
    start: Option<i64>,
    /// Somebody has turned the debugger on until it is turned off: who comes and goes leaves it on.
    is_held: bool,
    /// A front end has asked for something, and so wants to hear of events.
    has_front_end: bool,
    /// How often something was asked for that lets threads go on.
    resumes: u64,
    /// Threads that are known to stand still.
    stopped: BTreeSet<i64>,
    /// Everything that stops goes on at once, because the cell is to end.
    is_passing: bool,
    /// Steps that were made on the way out of what is not the user's.
    hidden_steps: u32,
    /// The last of them was one out of a function.
    has_stepped_out: bool,
    /// What was asked for last that lets a thread go on.
    last_command: String,
    /// The breakpoint that stopped a thread last.
    last_hit: Option<events::Hit>,
    /// The signal that stopped a thread last.
    last_signal: Option<String>,
    /// Why the thread stopped that is being led out of `breakpoint!()`.
    leaving: Option<Value>,
    /// Values of which more is to be had: the adapter's number, and the first that is missing.
    pages: Vec<(i64, usize)>,
    /// Variables of the session and their types.
    variables: Vec<(String, String)>,
}

/// What listeners hear of.
#[derive(Clone, Debug)]
pub enum Told {
    /// A thread stands still.
    Stopped {
        /// The value of `State::resumes` when it did: a later one means that this is past.
        resumes: u64,
        thread: i64,
        /// For instance `breakpoint 2`, `step`, `panic`.
        reason: String,
    },
    /// The cell of this number has ended.
    CellOver(usize),
    /// The debugger is off: it was turned off, or has died.
    Off,
    /// The worker has ended. The debugger is on, and goes to the next one.
    WorkerGone,
}

/// One attached worker, or rank.
#[derive(Clone)]
struct Session {
    adapter: Arc<Adapter>,
    worker: i32,
    is_rank: bool,
    /// The adapter's numbers of the breakpoints for `breakpoint!()` and for panics.
    functions: [i64; 2],
}

impl Debugger {
    /// Off. Cells' files will lie in this folder; requests are to be served by [`serve`].
    pub fn new(dir: PathBuf) -> (Debugger, Receiver<Message>) {
        let (requests, receiver) = crossbeam_channel::unbounded();
        let debugger = Debugger {
            is_on: Arc::default(),
            is_on_for_ranks: Arc::default(),
            cells: Arc::new(Cells::new(dir)),
            requests,
            state: Mutex::default(),
            listeners: Mutex::default(),
            seats: terminal::Seats::default(),
            attaching: Mutex::new(()),
        };
        (debugger, receiver)
    }

    /// One over a process that stands still for good, with the cells of another.
    fn over(cells: &Arc<Cells>, state: State) -> Debugger {
        Debugger {
            is_on: Arc::default(),
            is_on_for_ranks: Arc::default(),
            cells: Arc::clone(cells),
            requests: crossbeam_channel::bounded(0).0,
            state: Mutex::new(state),
            listeners: Mutex::default(),
            seats: terminal::Seats::default(),
            attaching: Mutex::new(()),
        }
    }

    /// The process that is attached to.
    fn worker(&self) -> Option<i32> {
        Some(lock(&self.state).session.as_ref()?.worker)
    }

    /// All that happens from now on.
    fn listen(&self) -> Receiver<Told> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        lock(&self.listeners).push(sender);
        receiver
    }

    fn tell(&self, told: &Told) {
        lock(&self.listeners).retain(|listener| listener.send(told.clone()).is_ok());
    }

    /// It stays on until it is turned off.
    pub fn hold(&self) {
        lock(&self.state).is_held = true;
    }

    /// Whether it does.
    fn is_held(&self) -> bool {
        lock(&self.state).is_held
    }

    /// A cell has ended.
    pub fn cell_over(&self, number: usize) {
        self.tell(&Told::CellOver(number));
    }

    /// Whether cells are compiled for the debugger.
    pub fn is_on(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_on)
    }

    /// Puts a `debug_request` in the queue.
    pub fn request(&self, message: Message) {
        let _serves_as_long_as_the_kernel = self.requests.send(message);
    }

    /// A cell is about to be compiled.
    pub fn begin(&self, number: usize, code: &str) {
        self.cells.begin(number, code);
        let mut state = lock(&self.state);
        state.is_passing = false;
        state.last_command.clear();
    }

    /// What variables there are now.
    pub fn set_variables(&self, variables: Vec<(String, String)>) {
        lock(&self.state).variables = variables;
    }

    /// The cell in progress is to end: nothing stops it any more.
    pub fn let_pass(&self) {
        if !self.is_on.load(Ordering::SeqCst) {
            return;
        }
        let thread = {
            let mut state = lock(&self.state);
            state.is_passing = true;
            state.stopped.first().copied()
        };
        if let (Some(thread), Ok(session)) = (thread, self.session()) {
            let arguments = json!({ "threadId": thread });
            if let Err(why) = session
                .adapter
                .ask("continue", arguments, Duration::from_secs(2))
            {
                eprintln!("forkline: a stopped cell cannot be continued: {why}");
            }
        }
    }

    /// The attached worker.
    fn session(&self) -> Result<Session, String> {
        lock(&self.state).session.clone().ok_or_else(|| {
            "the debugger is not on\nwhy: it is turned on by attach\ndo:  the bug button above the notebook".to_owned()
        })
    }

    fn ask(&self, command: &str, arguments: &Value) -> Result<Value, String> {
        self.session()?
            .adapter
            .ask(command, arguments.clone(), PATIENCE)
    }
}

/// Answers the requests, one after the other.
pub fn serve(shared: &Arc<Shared>, requests: &Receiver<Message>) {
    for message in requests {
        shared.wire.status(&message.parent, "busy");
        {
            let mut state = lock(&shared.debugger.state);
            state.parent = message.parent.clone();
            state.has_front_end = true;
        }
        let command = message.content["command"].as_str().unwrap_or_default();
        let result = answer(shared, command, &message.content["arguments"]);
        let mut content = json!({
            "type": "response",
            "seq": 0,
            "request_seq": message.content["seq"],
            "command": command,
            "success": result.is_ok(),
        });
        match result {
            Ok(body) => content["body"] = shared.debugger.adapted(command, body),
            Err(why) => {
                content["message"] = json!(why);
                // JupyterLab takes these lists out of whatever it gets.
                content["body"] = json!({
                    "threads": [], "stackFrames": [], "scopes": [], "variables": [], "breakpoints": [],
                });
            }
        }
        shared.wire.reply(&message, "debug_reply", content);
        shared.wire.status(&message.parent, "idle");
    }
}

fn answer(shared: &Arc<Shared>, command: &str, arguments: &Value) -> Result<Value, String> {
    let debugger = &shared.debugger;
    match command {
        "debugInfo" => Ok(debugger.info()),
        "initialize" => {
            debugger.note_client(arguments);
            Ok(attach::capabilities())
        }
        "attach" => attach::attach(shared).map(|()| json!({})),
        "disconnect" | "terminate" => {
            turn_off(shared);
            Ok(json!({}))
        }
        // The worker goes on as soon as it is attached to; front ends send this again and again.
        "configurationDone" => Ok(json!({})),
        "dumpCell" => {
            let code = arguments["code"].as_str().unwrap_or_default();
            let file = debugger.cells.dump(code);
            file.map(|file| json!({ "sourcePath": file })).map_err(|error| {
                format!("the cell cannot be written to a file\nwhy: {error}\ndo:  set TMPDIR to a folder with room")
            })
        }
        "source" => source(debugger, arguments),
        "setBreakpoints" => debugger.set_breakpoints(arguments),
        "setExceptionBreakpoints" => debugger.set_exception_breakpoints(arguments),
        "threads" => {
            // Before attaching there are none to be seen.
            debugger.ask("threads", arguments).or_else(|_| Ok(json!({ "threads": [] })))
        }
        "stackTrace" => debugger.stack(arguments),
        "scopes" => debugger.scopes(arguments),
        "variables" => debugger.variables(arguments),
        "evaluate" => debugger.evaluate(arguments),
        "inspectVariables" => Ok(debugger.inspect()),
        "richInspectVariables" => inspect_richly(shared, arguments),
        "modules" => debugger.modules(arguments),
        "continue" | "next" | "stepIn" | "stepOut" => {
            {
                let mut state = lock(&debugger.state);
                state.hidden_steps = 0;
                state.has_stepped_out = false;
                state.resumes += 1;
                command.clone_into(&mut state.last_command);
            }
            debugger.ask(command, arguments).map(frames::object)
        }
        "pause" => {
            let mut arguments = arguments.clone();
            if arguments["threadId"].is_null() {
                arguments = json!({ "threadId": debugger.session()?.worker });
            }
            debugger.ask("pause", &arguments).map(frames::object)
        }
        "setVariable" | "exceptionInfo" => debugger.ask(command, arguments),
        "copyToGlobals" => Err(
            "copyToGlobals: a value cannot be copied into the session\n\
             why: a Rust value belongs to its frame; a copy of its bytes would own the same memory twice\n\
             do:  return it from the function, or print it"
                .to_owned(),
        ),
        other => Err(format!(
            "{other}: the debugger of forkline does not know this request\n\
             why: debugInfo and the capabilities in the answer to initialize say what there is\n\
             do:  use those"
        )),
    }
}

/// One variable as it is shown: in a frame its value, else what a cell would show.
fn inspect_richly(shared: &Shared, arguments: &Value) -> Result<Value, String> {
    let debugger = &shared.debugger;
    let name = arguments["variableName"].as_str().unwrap_or_default();
    let rich = |data: Value| json!({ "data": data, "metadata": {} });
    let asked = json!({ "expression": name, "frameId": arguments["frameId"] });
    let why = match debugger.evaluate(&asked) {
        Ok(body) => return Ok(rich(json!({ "text/plain": body["result"] }))),
        Err(why) => why,
    };
    let (kind, parent) = {
        let mut state = lock(&debugger.state);
        let known = state.variables.iter().find(|(known, _)| known == name);
        let kind = known.map(|(_, kind)| kind.clone()).ok_or(why)?;
        if state.stopped.is_empty() {
            // Whoever waits for the value cannot continue what would stop on the way to it.
            state.is_passing = true;
        }
        (kind, state.parent.clone())
    };
    let (answer, receiver) = crossbeam_channel::bounded(1);
    let job = Job::Show {
        name: name.to_owned(),
        parent,
        answer,
    };
    let data = match shared.queue.push_if_idle(job) {
        Ok(()) => receiver.recv_timeout(PATIENCE).unwrap_or_default(),
        Err(_) => Default::default(),
    };
    Ok(rich(match data.is_empty() {
        true => json!({ "text/plain": format!("{name}: {kind}") }),
        false => Value::from(data),
    }))
}

/// The text of a cell's file, or of a library's source.
fn source(debugger: &Debugger, arguments: &Value) -> Result<Value, String> {
    let path = arguments["source"]["path"].as_str().unwrap_or_default();
    let is_library = path.contains("/rustlib/src/rust/") && path.ends_with(".rs");
    if !debugger.cells.is_cell(path) && !is_library {
        return Err(format!(
            "source: {path} cannot be shown\nwhy: it is neither a cell nor a source of the standard library\n\
             do:  choose a frame of a cell"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("source: {path} cannot be read\nwhy: {error}\ndo:  dump the cell first (dumpCell)")
    })?;
    Ok(json!({ "content": text, "mimeType": "text/x-rust" }))
}

impl Debugger {
    fn info(&self) -> Value {
        let state = lock(&self.state);
        let breakpoints: Vec<Value> = state
            .breakpoints
            .iter()
            .filter(|(_, breakpoints)| !breakpoints.is_empty())
            .map(|(file, breakpoints)| {
                let enabled = breakpoints.iter().filter(|one| one.is_enabled);
                let list: Vec<&Value> = enabled.map(|one| &one.asked).collect();
                json!({ "source": file, "breakpoints": list })
            })
            .collect();
        json!({
            "isStarted": self.is_on.load(Ordering::SeqCst),
            "hashMethod": "Murmur2",
            "hashSeed": cells::SEED,
            "tmpFilePrefix": self.cells.prefix(),
            "tmpFileSuffix": cells::SUFFIX,
            "breakpoints": breakpoints,
            "stoppedThreads": state.stopped,
            "richRendering": true,
            "exceptionPaths": ["Panics"],
            "copyToGlobals": false,
        })
    }
}
