//! `%jobs` and `%stop`: servers and other work that goes on behind the cells.
//!
//! Both speak to the prelude in the worker by a line of Rust: the kernel knows no job.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};

pub static JOBS: Magic = Magic {
    name: "jobs",
    form: Form::Line,
    usage: "%jobs",
    summary: "the jobs that cells have begun: state, address, since when, connections",
    details: "A job is begun by `jobs::spawn(name, |stop| …)`, `jobs::listen(name, address, |stream, peer| …)` or \
              `jobs::spawn_async(name, future)`, and goes on when its cell has ended. Those that have ended or failed \
              are listed too. In code: jobs::list().",
    run: jobs,
};

pub static STOP: Magic = Magic {
    name: "stop",
    form: Form::Line,
    usage: "%stop NAME | --all",
    summary: "ends a job, or all of them, and waits for the end",
    details: "A job is asked to stop: its sockets are shut down and its loop sees it. One that goes on after 5 s is an \
              error. An interrupt ends no job; a restart of the kernel ends all.",
    run: stop,
};

fn jobs(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    if !call.arguments.trim().is_empty() {
        return Err(usage(
            "%jobs",
            call,
            "%jobs takes no arguments",
            "%jobs    (lists all; %stop NAME ends one)",
        ));
    }
    let above = "\n".repeat(call.line - 1);
    context.run_code(&format!("{above}forkline::jobs::list()"))
}

fn stop(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let above = "\n".repeat(call.line - 1);
    match call.arguments.trim() {
        "" => Err(usage(
            "%stop",
            call,
            "it is not said which job",
            "%stop NAME, or %stop --all    (%jobs lists them)",
        )),
        "--all" => context.run_code(&format!("{above}forkline::jobs::__stop_all()?;")),
        name => context.run_code(&format!("{above}forkline::jobs::__stop({name:?})?;")),
    }
}

fn usage(magic: &str, call: &Call<'_>, why: &str, cure: &str) -> CellError {
    let written = format!("{magic} {}", call.arguments.trim());
    CellError::new(
        "UsageError",
        format!(
            "{}: not understood\nwhy: {why}\ndo:  {cure}",
            written.trim_end()
        ),
    )
}
