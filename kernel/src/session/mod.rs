//! One notebook's life: requests come in, cells run one after the other, answers go out.
//!
//! * `info`, `history`, `queue`   what can be answered or kept without the engine
//! * `requests`                   the thread of the shell socket: answers at once or queues
//! * `control`, `interrupt`       the thread of the control socket: interrupt, shutdown
//! * `cells`, `context`           the engine's thread: one cell after the other
//! * `side_channel`, `outputs`    from the worker's frames to the front end's messages
//! * `ranks`                      the ranks of a group: their output, their state, their engine
//! * `debug`                      the front end's debugger
//! * `failure`, `panics`          how a failed cell is told
//! * `testing`                    programs of tests, and their places in cells
//! * `watched`                    a state that threads share and wait for
//! * `profile`                    where a cell's time went, as a picture and a table
//!
//! What always holds: control requests are answered whatever a cell does; only the engine's thread
//! runs cells; every request is framed by busy and idle under its own parent.

mod bundle;
mod cells;
mod context;
mod control;
mod debug;
mod failure;
mod history;
mod info;
mod interrupt;
mod outputs;
mod panics;
mod profile;
mod queue;
mod ranks;
mod requests;
mod side_channel;
mod testing;
mod watched;

pub use context::CellContext;
pub use debug::{adapter as debug_adapter, is_available as has_debugger};
pub use failure::CellError;
pub use outputs::RunTimes;
pub use ranks::{Form, Request as RankRequest};
pub use side_channel::{CARD, FOLDERS, TERMINALS};

use crate::engine::template::SessionDir;
use crate::engine::{RustSource, rustc_for_analysis};
use crate::home;
use crate::protocol::{self, Connection, Incoming, Parent};
use debug::Debugger;
use history::History;
use interrupt::Interrupts;
use outputs::Outputs;
use queue::Queue;
use ranks::Ranks;
use side_channel::SideChannel;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What the threads of a session share.
struct Shared {
    wire: protocol::Wire,
    outputs: Arc<Outputs>,
    ranks: Arc<Ranks>,
    queue: Queue,
    history: Mutex<History>,
    interrupts: Interrupts,
    side_channel: SideChannel,
    debugger: Debugger,
    session_dir: std::path::PathBuf,
    process_group: Option<i32>,
    /// Names for completion while the engine is busy.
    names: Mutex<Vec<(String, &'static str)>>,
}

/// Serves one connection until a front end asks for the end, or nobody is left.
///
/// # Errors
/// The connection file is unusable or a port is taken.
pub fn run(connection_file: &Path) -> anyhow::Result<()> {
    let connection = Connection::read(connection_file)?;
    // JupyterLab drops messages of another session than that of the kernel_info reply, so there is
    // one for the kernel's life.
    let session = uuid::Uuid::new_v4().to_string();
    let (shell_sender, shell) = crossbeam_channel::unbounded();
    let (control_sender, control) = crossbeam_channel::unbounded();
    let (stdin_sender, stdin) = crossbeam_channel::unbounded();
    let session_dir = SessionDir::new_path();
    prepare_environment(&session_dir);
    // The ports first: front ends wait until they can connect.
    let incoming = Incoming {
        shell: shell_sender,
        control: control_sender,
        stdin: stdin_sender,
    };
    let signals = control::block_signals();
    let wire = protocol::serve(&connection, incoming, &session)?;
    wire.status(&Parent::default(), "starting");
    let outputs = Arc::new(Outputs::new(wire.clone()));
    let ranks = Arc::new(Ranks::new(Arc::clone(&outputs)));
    let side_channel = SideChannel::listen(Arc::clone(&outputs), Arc::clone(&ranks))?;
    let (debugger, debug_requests) = Debugger::new(side_channel.path_for_cells());
    let shared = Arc::new(Shared {
        side_channel,
        debugger,
        ranks,
        history: Mutex::new(History::open(&home::history_file())),
        queue: Queue::default(),
        interrupts: Interrupts::default(),
        names: Mutex::default(),
        wire,
        outputs,
        session_dir,
        process_group: interrupt::own_process_group(),
    });
    shared.queue.set_busy();
    let thread = |name: &str, body: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
    };
    let with = |body: fn(&Arc<Shared>)| -> Box<dyn FnOnce() + Send> {
        let shared = Arc::clone(&shared);
        Box::new(move || body(&shared))
    };
    // The worker dies with the thread that started it, so this one lives as long as the kernel.
    thread("cells", with(cells::serve))?;
    let for_stdin = Arc::clone(&shared);
    thread(
        "stdin",
        Box::new(move || {
            for message in stdin {
                if message.kind() == "input_reply" {
                    for_stdin
                        .outputs
                        .input_reply(message.content["value"].as_str());
                }
            }
        }),
    )?;
    let for_shell = Arc::clone(&shared);
    thread(
        "shell",
        Box::new(move || requests::serve(&for_shell, &shell)),
    )?;
    let for_debugger = Arc::clone(&shared);
    thread(
        "debug",
        Box::new(move || debug::serve(&for_debugger, &debug_requests)),
    )?;
    let for_signals = Arc::clone(&shared);
    thread(
        "signals",
        Box::new(move || control::serve_signals(&for_signals, &signals)),
    )?;
    // A kernel without terminals is a kernel.
    let card = debug::card(connection_file).to_string();
    let opened = std::fs::write(shared.side_channel.path_of_card(), card)
        .and_then(|()| debug::doors(&shared, &shared.side_channel.path_for_terminals()));
    if let Err(error) = opened {
        eprintln!("forkline: no terminal can debug this kernel: {error}");
    }
    thread("parent", with(control::watch_parent))?;
    control::serve(&shared, &control);
    Ok(())
}

/// What evcxr reads from the environment. This is the last moment at which the process has one
/// thread, and so the only one at which its environment may change.
fn prepare_environment(session_dir: &Path) {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    // A front end started from a desktop has no cargo on its PATH; install.sh wrote down where it
    // was.
    if let Some(cargo) = std::env::var_os("FORKLINE_CARGO_BIN") {
        let known = std::env::split_paths(&path).any(|dir| dir == Path::new(&cargo));
        if !known {
            path.push(":");
            path.push(cargo);
        }
    }
    // The compile driver stands in for cargo. Nothing but evcxr is to find it: the worker and the
    // programs that cells start get the PATH without it.
    let mut with_links = home::links_dir().into_os_string();
    with_links.push(":");
    with_links.push(&path);
    // SAFETY: no other thread exists yet.
    unsafe {
        std::env::set_var("PATH", with_links);
        std::env::set_var("EVCXR_TMPDIR", session_dir);
        std::env::set_var("RUST_SRC_PATH", RustSource::path_in(session_dir));
        if std::env::var_os("RUSTC").is_none() {
            std::env::set_var("RUSTC", rustc_for_analysis(&home::links_dir()));
        }
    }
}
