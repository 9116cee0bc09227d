//! From a worker to a debugged one, and back.
//!
//! The adapter stops the worker for the moment of attaching only. A worker that ends takes its adapter along; the
//! next one is attached to before the next cell runs, so breakpoints outlive it. One that lives on, because the
//! debugger goes to a rank, is left as it was. An adapter that ends
//! by itself leaves traps, which are taken out, and the debugger is off.

use super::adapter::{self, Adapter, News, lock};
use super::{PATIENCE, Session, Told, events, traps};
use crate::engine::{DebugSource, Debugging};
use crate::session::Shared;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a worker may take to be there: the engine may just be starting.
const WORKER: Duration = Duration::from_secs(60);

/// Our addition to the toolchain's formatters.
const RUST_VALUES: &str = include_str!("rust_values.py");

/// The functions that always have a breakpoint while the debugger is on: `breakpoint!()`, and panics if wanted.
pub const BREAKPOINT: &str = "forkline_breakpoint";
pub const PANIC: &str = "rust_panic";

/// What the answer to `initialize` says.
pub fn capabilities() -> Value {
    json!({
        "supportsConfigurationDoneRequest": true,
        "supportsConditionalBreakpoints": true,
        "supportsHitConditionalBreakpoints": true,
        "supportsLogPoints": true,
        "supportsEvaluateForHovers": true,
        "supportsSetVariable": true,
        "supportsModulesRequest": true,
        "supportsTerminateRequest": true,
        "supportsExceptionInfoRequest": true,
        "supportsDelayedStackTraceLoading": true,
        "exceptionBreakpointFilters": [{ "filter": "panic", "label": "Panics", "default": false }],
    })
}

/// Turns the debugger on for the front end, which wants to hear of it.
pub fn attach(shared: &Arc<Shared>) -> Result<(), String> {
    if !shared.debugger.is_on.load(Ordering::SeqCst) {
        eprintln!(
            "forkline: the debugger is on: cells are compiled with debug information and, unless %opt says \
             otherwise, at optimisation level 0"
        );
    }
    turn_on(shared)?;
    shared.debugger.hold();
    let parent = lock(&shared.debugger.state).parent.clone();
    shared.wire.publish(
        &parent,
        "debug_event",
        json!({ "type": "event", "seq": 0, "event": "initialized" }),
    );
    Ok(())
}

/// Turns the debugger on. That it is on already is no error.
///
/// # Errors
/// In three parts: nothing runs cells, there is no adapter, or it may not attach.
pub fn turn_on(shared: &Arc<Shared>) -> Result<(), String> {
    let begun = Instant::now();
    let worker = loop {
        match shared.outputs.worker_pid() {
            Some(worker) => break worker,
            None if begun.elapsed() > WORKER => {
                return Err("attach: no process runs cells\n\
                     why: the engine has not started one within a minute\n\
                     do:  run a cell, which says what is wrong; then turn the debugger on again"
                    .to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    attach_to(shared, worker, false)?;
    shared.debugger.is_on.store(true, Ordering::SeqCst);
    Ok(())
}

/// Turns the debugger off; the worker goes on.
pub fn turn_off(shared: &Arc<Shared>) {
    shared.debugger.is_on.store(false, Ordering::SeqCst);
    lock(&shared.debugger.state).is_held = false;
    shared.outputs.keep_panics(false);
    shared.debugger.tell(&Told::Off);
    leave(shared);
}

/// Lets the process go that is attached to; the debugger may go to another one then.
pub fn leave(shared: &Shared) {
    let session = {
        let mut state = lock(&shared.debugger.state);
        state.stopped.clear();
        // Numbers of the adapter that goes.
        state.placed.clear();
        state.start = None;
        state.session.take()
    };
    shared.interrupts.spare(0);
    let Some(session) = session else { return };
    session.adapter.is_leaving.store(true, Ordering::SeqCst);
    if is_alive(session.worker) {
        let keep = json!({ "terminateDebuggee": false });
        let limit = Duration::from_secs(5);
        if session.adapter.ask("disconnect", keep, limit).is_err() {
            session.adapter.kill();
            traps::remove(session.worker);
        }
    }
    session.adapter.kill();
}

/// For the engine of ordinary cells.
pub fn debugging(shared: &Arc<Shared>) -> Debugging {
    let for_compiled = Arc::clone(shared);
    Debugging {
        is_on: Arc::clone(&shared.debugger.is_on),
        compiled: Box::new(move |source| compiled(&for_compiled, source)),
    }
}

/// A cell was compiled for the debugger: its breakpoints are set before it runs.
fn compiled(shared: &Arc<Shared>, source: DebugSource) {
    let path = source.path.clone();
    shared.debugger.cells.add(source);
    if !shared.debugger.is_on.load(Ordering::SeqCst) {
        return;
    }
    if let Some(worker) = shared.outputs.worker_pid()
        && let Err(why) = attach_to(shared, worker, false)
    {
        eprintln!("forkline: the debugger has lost the worker: {why}");
    }
    shared.debugger.place_in(&path);
}

/// Attaches to a worker or a rank, unless it is attached to already. Whatever was attached to before is let go.
pub fn attach_to(shared: &Arc<Shared>, worker: i32, is_rank: bool) -> Result<(), String> {
    let debugger = &shared.debugger;
    let _one_at_a_time = lock(&debugger.attaching);
    if debugger
        .session()
        .is_ok_and(|session| session.worker == worker)
    {
        return Ok(());
    }
    leave(shared);
    let program = adapter::wanted()?;
    let (sender, events) = crossbeam_channel::unbounded();
    let news = Box::new(move |news: News| {
        let _nobody_listens_at_the_end = sender.send(news);
    });
    let adapter = Adapter::start(program, news).map_err(|error| {
        format!(
            "attach: {} cannot be started\nwhy: {error}\ndo:  run it in a terminal to see what it lacks",
            program.display()
        )
    })?;
    // An interrupt of a compile ends all that the kernel has started, but not this.
    shared.interrupts.spare(adapter.pid);
    let for_events = Arc::clone(shared);
    let source_of_events = Arc::clone(&adapter);
    let started = std::thread::Builder::new()
        .name("debug-events".to_owned())
        .spawn(move || events::serve(&for_events, &source_of_events, worker, &events));
    started.map_err(|error| error.to_string())?;
    match prepare(shared, &adapter, worker) {
        Ok(functions) => {
            lock(&debugger.state).session = Some(Session {
                adapter,
                worker,
                is_rank,
                functions,
            });
            shared.outputs.keep_panics(true);
            // It may be one that was left for a while, with the libraries of cells that ran before.
            debugger.place_all();
            Ok(())
        }
        Err(why) => {
            adapter.kill();
            Err(explain(&why))
        }
    }
}

/// What every adapter is told first.
pub fn initialize(adapter: &Adapter) -> Result<Value, String> {
    let initialize = json!({
        "adapterID": "lldb-dap", "clientID": "forkline", "linesStartAt1": true, "columnsStartAt1": true,
        "pathFormat": "path", "supportsVariableType": true, "supportsVariablePaging": true,
    });
    adapter.ask("initialize", initialize, PATIENCE)
}

/// Gets an adapter to the point where the worker runs under it.
fn prepare(shared: &Shared, adapter: &Adapter, worker: i32) -> Result<[i64; 2], String> {
    initialize(adapter)?;
    let signals = "process handle -p true -s false -n false SIGPROF SIGALRM SIGVTALRM SIGINT SIGHUP SIGCHLD \
                   SIGPIPE SIGUSR1 SIGUSR2 SIGRTMIN SIGRTMIN+1 SIGRTMIN+2 SIGRTMIN+3 SIGRTMIN+4 SIGRTMIN+5 \
                   SIGRTMIN+6 SIGRTMIN+7 SIGRTMIN+8";
    let arguments = json!({
        "pid": worker,
        "stopOnEntry": false,
        "initCommands": init_commands(shared),
        "postRunCommands": [signals],
    });
    adapter.ask("attach", arguments, PATIENCE)?;
    adapter.ask("configurationDone", json!({}), PATIENCE)?;
    let stops_at_panics = lock(&shared.debugger.state).stops_at_panics;
    function_breakpoints(adapter, stops_at_panics)
}

/// Sets the breakpoints on functions; returns the adapter's numbers of the two, 0 for what is not set.
pub fn function_breakpoints(adapter: &Adapter, stops_at_panics: bool) -> Result<[i64; 2], String> {
    let names = if stops_at_panics {
        &[BREAKPOINT, PANIC][..]
    } else {
        &[BREAKPOINT][..]
    };
    let list: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    let body = adapter.ask(
        "setFunctionBreakpoints",
        json!({ "breakpoints": list }),
        PATIENCE,
    )?;
    let number = |index: usize| body["breakpoints"][index]["id"].as_i64().unwrap_or(0);
    Ok([number(0), number(1)])
}

/// What LLDB is told before it attaches: how Rust's values are shown, and where a step does not go.
pub fn init_commands(shared: &Shared) -> Vec<String> {
    let mut commands = vec![
        "settings set target.process.thread.step-avoid-regexp \
         ^<?(impl |&|dyn )?(std|core|alloc|hashbrown|rayon|rayon_core|crossbeam\\w*|tokio|parking_lot\\w*|forkline|__rust\\w*)\\b"
            .to_owned(),
        "settings set target.max-string-summary-length 4096".to_owned(),
        "type format add -f u \"unsigned char\"".to_owned(),
        "type format add -f d \"signed char\"".to_owned(),
        // What a reference to a number leads to. Those to bytes have none: LLDB takes them for C's texts.
        "type summary add -s \"${*var}\" \"double *\" \"float *\" \"int *\" \"unsigned int *\" \"long *\" \
         \"unsigned long *\" \"short *\" \"unsigned short *\" \"bool *\""
            .to_owned(),
    ];
    let Some(formatters) = formatters() else {
        return commands;
    };
    let ours = shared.session_dir.join("rust_values.py");
    let is_written = std::fs::write(&ours, RUST_VALUES).is_ok();
    commands.push(format!(
        "command script import \"{formatters}/lldb_lookup.py\""
    ));
    commands.push(format!(
        "command source -s 1 \"{formatters}/lldb_commands\""
    ));
    if is_written {
        commands.push(format!("command script import \"{}\"", ours.display()));
    }
    commands
}

/// The toolchain's folder with formatters for LLDB.
fn formatters() -> Option<String> {
    let libs = crate::engine::template::recorded()?.rust_libs;
    // `lib`, or `lib/rustlib/<target>/lib`, of the toolchain.
    let dir = Path::new(&libs)
        .ancestors()
        .map(|dir| dir.join("lib/rustlib/etc"))
        .find(|dir| dir.join("lldb_lookup.py").is_file());
    let asked = || {
        let output = Command::new("rustc")
            .args(["--print", "sysroot"])
            .output()
            .ok()?;
        let sysroot = String::from_utf8(output.stdout).ok()?;
        Some(Path::new(sysroot.trim()).join("lib/rustlib/etc"))
    };
    Some(dir.or_else(asked)?.display().to_string())
}

/// A refusal to attach in three parts.
pub fn explain(why: &str) -> String {
    let is_forbidden = ["permitted", "ptrace", "denied"]
        .iter()
        .any(|word| why.contains(word));
    let cure = if is_forbidden {
        "allow processes of one user to trace each other: sudo sysctl kernel.yama.ptrace_scope=1; \
         in a container: docker run --cap-add=SYS_PTRACE"
    } else {
        "turn the debugger on again; if it fails again, restart the kernel"
    };
    format!("attach: the debugger cannot attach to the worker\nwhy: {why}\ndo:  {cure}")
}

/// The adapter has ended, and nobody asked it to.
pub fn ended(shared: &Arc<Shared>, adapter: &Arc<Adapter>, worker: i32) {
    let debugger = &shared.debugger;
    let (parent, has_front_end) = {
        let mut state = lock(&debugger.state);
        let is_ours = state
            .session
            .as_ref()
            .is_some_and(|session| Arc::ptr_eq(&session.adapter, adapter));
        if !is_ours {
            return;
        }
        state.session = None;
        state.stopped.clear();
        (state.parent.clone(), state.has_front_end)
    };
    shared.interrupts.spare(0);
    if !is_alive(worker) {
        // It went with its worker. The next cell's worker is attached to.
        debugger.tell(&Told::WorkerGone);
        return;
    }
    debugger.is_on.store(false, Ordering::SeqCst);
    debugger.tell(&Told::Off);
    let traps = traps::remove(worker);
    eprintln!("forkline: the debugger has ended by itself; {traps} traps taken out of the worker");
    if has_front_end {
        shared.wire.publish(
            &parent,
            "debug_event",
            json!({ "type": "event", "seq": 0, "event": "terminated", "body": {} }),
        );
    }
}

/// Whether a process runs; one that has ended and was not waited for does not.
fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| {
        !text
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}
