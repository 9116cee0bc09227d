//! A rank under the debugger, in place of the worker that runs ordinary cells.
//!
//! LLDB's adapter has one process. For a cell of the ranks that names one it goes to that rank; with the next cell that
//! does not, it goes back. Nothing is lost by that: while ranks run a cell, the worker runs none.
//!
//! What always holds: the other ranks run on, and whoever waits for them knows that one stands still (`ranks::watch`).

use super::adapter::lock;
use super::{Debugger, attach};
use crate::engine::{Debugging, Engine};
use crate::session::Shared;
use crate::session::failure::CellError;
use crate::session::ranks::{CellText, Group, Ran, Request};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// For the engine of the ranks.
pub fn debugging(shared: &Arc<Shared>) -> Debugging {
    let for_compiled = Arc::clone(shared);
    Debugging {
        is_on: Arc::clone(&shared.debugger.is_on_for_ranks),
        compiled: Box::new(move |source| {
            let path = source.path.clone();
            for_compiled.debugger.cells.add(source);
            for_compiled.debugger.place_in(&path);
        }),
    }
}

/// Runs a cell on the ranks. Before that the debugger goes to the one that is to run under it, or leaves the one that
/// did; a group that is to be debugged is started first.
///
/// # Errors
/// One error for all ranks; or the debugger is off, or cannot go to that rank.
pub fn run(
    shared: &Arc<Shared>,
    group: &mut Group,
    engine: &mut Engine,
    request: &Request,
    cell: &CellText<'_>,
) -> Result<Ran, CellError> {
    let Some(rank) = request.debugged else {
        leave(shared);
        return group.run(engine, request, cell);
    };
    let refused = |text: String| CellError::new("DebuggerError", text);
    if !shared.debugger.is_on.load(Ordering::SeqCst) {
        return Err(refused(
            "%%mpi --debug: the debugger is off, and nothing was run\n\
             why: it is the front end that shows where a rank stands\n\
             do:  turn it on (the bug button above the notebook), then run the cell again"
                .to_owned(),
        ));
    }
    group.begin(engine, request, cell)?;
    enter(shared, rank).map_err(refused)?;
    let request = Request {
        fresh: false,
        ..request.clone()
    };
    let is_on = &shared.debugger.is_on_for_ranks;
    is_on.store(true, Ordering::SeqCst);
    let result = group.run(engine, &request, cell);
    is_on.store(false, Ordering::SeqCst);
    result
}

/// Attaches to a rank.
fn enter(shared: &Arc<Shared>, rank: u32) -> Result<(), String> {
    let processes = shared.ranks.processes();
    let found = processes.into_iter().find(|(number, ..)| *number == rank);
    let Some((_, pid, host)) = found else {
        return Err(format!(
            "%%mpi --debug {rank}: there is no such rank\nwhy: the group has lost it\ndo:  %mpi restart"
        ));
    };
    if let Some(host) = host {
        return Err(format!(
            "%%mpi --debug {rank}: nothing was run\n\
             why: the rank is on {host}, and LLDB debugs processes of this machine\n\
             do:  choose a rank that is here (%mpi status), or run the group on this machine"
        ));
    }
    attach::attach_to(shared, pid, true)
}

/// Back to the worker, if the debugger is with a rank.
fn leave(shared: &Arc<Shared>) {
    if !shared.debugger.is_with_a_rank() {
        return;
    }
    let Some(worker) = shared.outputs.worker_pid() else {
        // The next cell that is compiled goes to it when it is there.
        return attach::leave(shared);
    };
    if let Err(why) = attach::attach_to(shared, worker, false) {
        eprintln!("forkline: the debugger has lost the worker: {why}");
    }
}

impl Debugger {
    fn is_with_a_rank(&self) -> bool {
        let state = lock(&self.state);
        state
            .session
            .as_ref()
            .is_some_and(|session| session.is_rank)
    }

    /// Whether a rank stands still in the debugger.
    pub fn holds_a_rank(&self) -> bool {
        let state = lock(&self.state);
        let is_with_a_rank = state
            .session
            .as_ref()
            .is_some_and(|session| session.is_rank);
        is_with_a_rank && !state.stopped.is_empty()
    }
}
