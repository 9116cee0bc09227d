//! Who runs which task: the ways to give a list of tasks to workers, and what each of them leaves idle.
//!
//! | [`Scheme`] | how a worker gets its next task |
//! |---|---|
//! | [`Assigned`](Scheme::Assigned) | they were given out beforehand: [`block`], [`cyclic`], [`by_cost`], [`by_speed`] |
//! | [`Central`](Scheme::Central) | from one queue that all share, the manager's |
//! | [`Groups`](Scheme::Groups) | from the queue of its group, which is filled from the manager's in portions |
//! | [`Stealing`](Scheme::Stealing) | from its own queue, and when that is empty from the other end of a neighbour's |
//!
//! To get work done use rayon, which steals; this is for looking at what the schemes do.
//!
//! What always holds:
//! * every task is run once, and the results are in the order of the tasks, whoever ran them;
//! * workers are threads named `worker 0`, `worker 1`, …, all ended when [`run`] returns;
//! * a panic in a task ends its worker and goes on in the caller when the others are done. Tasks that had been given
//!   to that worker only are then not run.
//!
//! ```
//! use forkline::prelude::*;
//! use models::schedule::{self, Scheme};
//!
//! let done = schedule::run(2, Scheme::Stealing, &[1, 2, 3, 4], |n| n * n)?;
//! assert_eq!(done.results, [1, 4, 9, 16]);
//! assert_eq!(done.runs.len(), 4);
//! # Ok::<(), models::ModelError>(())
//! ```

mod assign;
mod outcome;
mod queues;
#[cfg(test)]
mod tests;

use std::sync::{PoisonError, RwLock};
use std::thread;

pub use assign::{block, by_cost, by_speed, cyclic};
pub use outcome::{Outcome, Run};
use queues::Queues;

use super::ModelError;
use crate::{interrupt, trace};

/// More threads than this are a slip of the pen.
const MAX_WORKERS: usize = 4_096;

/// How workers get their tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// Given out beforehand: for each task its worker, counted from 0.
    Assigned(Vec<usize>),
    /// One manager has all tasks, and each worker asks it for every single one.
    Central,
    /// So many groups of workers, each with a manager of its own, which fetches a portion of tasks from the central
    /// one whenever it has none left.
    Groups(usize),
    /// Each worker begins with a block of its own, and takes from another when it has none left.
    Stealing,
}

/// Runs `work` once for each task, on `workers` threads of their own, and records who did what when.
///
/// All workers begin together. With [`Scheme::Groups`] a portion is what is left of the tasks, divided by twice the
/// number of groups, rounded up.
///
/// # Errors
/// No worker, or more than 4096; an [assignment](Scheme::Assigned) for other tasks or workers; a number of groups that does not fit; a
/// thread that cannot be started.
///
/// # Panics
/// As `work` does, when all workers have ended.
pub fn run<T: Sync, R: Send>(
    workers: usize,
    scheme: Scheme,
    tasks: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Result<Outcome<R>, ModelError> {
    let queues = Queues::new(&scheme, tasks.len(), workers)?;
    // Held while threads are started, so that all begin together; `false` sends them home.
    let gate = RwLock::new(true);
    let one_worker = |worker: usize| {
        let mut done: Vec<(Run, R)> = Vec::new();
        if !*gate.read().unwrap_or_else(PoisonError::into_inner) {
            return done;
        }
        while let Some(task) = queues.next(worker) {
            interrupt::check();
            let start_ns = trace::now();
            let span = trace::span("task");
            let result = work(&tasks[task]);
            drop(span);
            let run = Run {
                task,
                worker,
                start_ns,
                end_ns: trace::now(),
            };
            done.push((run, result));
        }
        done
    };
    let (start_ns, done) = thread::scope(|scope| {
        let one_worker = &one_worker;
        let mut closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let started: Result<Vec<_>, _> = (0..workers)
            .map(|worker| {
                thread::Builder::new()
                    .name(row(worker))
                    .spawn_scoped(scope, move || one_worker(worker))
            })
            .collect();
        *closed = started.is_ok();
        let start_ns = trace::now();
        drop(closed);
        let threads = started.map_err(|error| ModelError::CannotPlace {
            call: "schedule::run",
            reason: error.to_string(),
        })?;
        let mut done = Vec::with_capacity(tasks.len());
        for thread in threads {
            match thread.join() {
                Ok(runs) => done.extend(runs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok((start_ns, done))
    })?;
    Ok(Outcome::new(
        workers,
        start_ns,
        trace::now(),
        done,
        queues.n_requests(),
        queues.n_moved(),
    ))
}

/// The name of a worker, as thread and as row of a timeline.
fn row(worker: usize) -> String {
    format!("worker {worker}")
}
