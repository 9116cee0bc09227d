//! Every way in which a cell can fail, and how it is told: what happened, why, what to do next.

use super::outputs::{Crash, Facts};
use super::panics::{self, PanicReport, UserError};
use crate::engine::{CompileFailure, Failure, Place};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What a front end shows for a failed cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    pub ename: String,
    pub evalue: String,
    pub traceback: Vec<String>,
}

impl CellError {
    /// An error out of the three-part form: the first line is its value.
    pub fn new(ename: &str, text: impl Into<String>) -> CellError {
        let text = text.into();
        let evalue = text.lines().next().unwrap_or_default().to_owned();
        CellError {
            ename: ename.to_owned(),
            traceback: vec![format!("\x1b[1;31m{ename}\x1b[0m: {text}")],
            evalue,
        }
    }

    /// The fields of Jupyter's error messages.
    pub fn to_json(&self) -> Value {
        json!({
            "ename": self.ename,
            "evalue": self.evalue,
            "traceback": self.traceback,
        })
    }
}

impl From<CompileFailure> for CellError {
    fn from(failure: CompileFailure) -> CellError {
        CellError {
            ename: failure.ename,
            evalue: failure.evalue,
            traceback: failure.traceback,
        }
    }
}

/// The texts of the session's cells, for excerpts.
pub type Cells = HashMap<usize, String>;

/// The error for a panic that nothing caught.
pub fn panic(report: &PanicReport, cells: &Cells) -> CellError {
    let place = match report.place {
        Some(place) => panics::describe(place),
        None => report.elsewhere.clone(),
    };
    let mut traceback = vec![format!(
        "\x1b[1;31mPanic\x1b[0m: {}\nin {place}, thread '{}'",
        report.message, report.thread
    )];
    traceback.extend(excerpt(report.place, cells));
    traceback.extend(panics::frames_text(&report.frames));
    CellError {
        ename: "Panic".to_owned(),
        evalue: report.message.clone(),
        traceback,
    }
}

/// The error for a `?` that returned one.
pub fn returned_error(error: &UserError, cells: &Cells) -> CellError {
    let place = error.frames.last().map(|frame| frame.place);
    let at = place.map_or(String::new(), |place| {
        format!("\nreturned by `?` in {}", panics::describe(place))
    });
    let mut traceback = vec![format!("\x1b[1;31mError\x1b[0m: {}{at}", error.text)];
    traceback.extend(excerpt(place, cells));
    CellError {
        ename: "Error".to_owned(),
        evalue: error.text.clone(),
        traceback,
    }
}

pub fn excerpt(place: Option<Place>, cells: &Cells) -> Option<String> {
    let place = place?;
    let text = panics::excerpt(cells.get(&place.cell)?, place.line);
    (!text.is_empty()).then_some(text)
}

/// The error for a cell whose code yielded to an interrupt.
pub fn yielded() -> CellError {
    CellError::new(
        "Interrupted",
        "the cell was interrupted\n\
         why: it was asked for, and the code ended at its next loop or sleep\n\
         do:  go on: variables of earlier cells are still there, but for those that the cell had moved",
    )
}

/// The error for a cell that was left behind where it waits; `lost` are the variables that it had.
pub fn left_behind(lost: &[String]) -> CellError {
    let lost = match lost {
        [] => "all variables are still there".to_owned(),
        names => format!(
            "the variables that the cell used are gone ({}), all others are still there",
            names.join(", ")
        ),
    };
    CellError::new(
        "Interrupted",
        format!(
            "the cell was interrupted\n\
             why: it was asked for; the code waits for something that does not come (a lock, a channel, \
             a foreign call), so its thread was stopped and left behind\n\
             do:  go on: {lost}; locks that the thread held stay locked"
        ),
    )
}

/// The error for a cell that was interrupted in another way.
pub fn interrupted(worker_ended: bool) -> CellError {
    CellError::new(
        "Interrupted",
        if worker_ended {
            "the cell was interrupted\n\
             why: its code did not yield, so the worker was ended: it computes in a library's code, or \
             rayon's threads wait for what it holds\n\
             do:  go on: the next cell runs in a fresh worker; variables are gone, functions, types \
             and imports are still defined"
        } else {
            "the cell was interrupted while it was being compiled\n\
             why: it had not started to run, so nothing has changed\n\
             do:  go on: all variables are still there"
        },
    )
}

/// The error for a worker that ended by itself.
pub fn worker_ended(status: &str, facts: &Facts) -> CellError {
    if let Some(why) = &facts.load_failed {
        return CellError::new(
            "LoadError",
            format!(
                "the compiled cell could not be loaded\n\
                 why: {why}\n\
                 do:  restart the kernel and run the cells again; if it stays, please report it"
            ),
        );
    }
    let (what, why) = match facts.crash {
        Some(crash) => crash_text(crash),
        None => exit_text(status),
    };
    CellError::new(
        "WorkerEnded",
        format!(
            "{what}\n\
             why: {why}\n\
             do:  run the cells again that made the variables you need: those are gone, functions, \
             types and imports are still defined; the next cell runs in a fresh worker"
        ),
    )
}

pub fn crash_text(crash: Crash) -> (String, String) {
    let name = signal_name(crash.signal);
    let what = if crash.stack_overflow {
        format!(
            "the cell's code overflowed its stack (signal {}, {name})",
            crash.signal
        )
    } else {
        format!(
            "the cell's code was ended by signal {} ({name})",
            crash.signal
        )
    };
    let why = if crash.stack_overflow {
        "probably a recursion without an end, or a large array on the stack".to_owned()
    } else {
        match crash.signal {
            libc::SIGSEGV | libc::SIGBUS => format!(
                "it touched memory at {:#x} that is not its own; unsafe code or a foreign library",
                crash.address
            ),
            libc::SIGABRT => "it called abort, or a library found its own state broken".to_owned(),
            libc::SIGILL => "it ran into an instruction that the processor refuses".to_owned(),
            libc::SIGFPE => "an arithmetic fault in the processor".to_owned(),
            _ => "the system ended the process".to_owned(),
        }
    };
    (what, why)
}

/// Out of the text of an exit status as Rust writes it.
fn exit_text(status: &str) -> (String, String) {
    if let Some(code) = status.strip_prefix("exit status: ") {
        return (
            format!("the cell's code ended its process with exit status {code}"),
            "it called std::process::exit, or a library did".to_owned(),
        );
    }
    if status.starts_with("signal: 9") {
        return (
            "the worker was killed by signal 9 (SIGKILL)".to_owned(),
            "somebody killed it, or the system was out of memory".to_owned(),
        );
    }
    (
        format!("the worker ended ({status})"),
        "the system says no more than that".to_owned(),
    )
}

/// The name of a signal.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGABRT => "SIGABRT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGTERM => "SIGTERM",
        _ => "a signal",
    }
}

/// How the system says that a disk is full (ENOSPC).
const NO_SPACE: &str = "No space left on device";

/// The error for a cell that could not be compiled because the disk is full; `told` is what the tool said.
fn disk_full(told: &str) -> CellError {
    let folder = crate::home::version_dir();
    let line = told.lines().find(|line| line.contains(NO_SPACE));
    CellError::new(
        "DiskFull",
        format!(
            "the cell could not be compiled: the disk is full\n\
             why: {}\n\
             do:  free some space where {} lies, then run the cell again; variables are still there\n     \
             %cache clear removes the cells that were compiled before",
            line.unwrap_or(NO_SPACE).trim(),
            folder.display(),
        ),
    )
}

/// The error for an evaluation that the engine gave up.
pub fn from_engine(failure: Failure, facts: &Facts) -> CellError {
    let told = match &failure {
        Failure::Compile(failure) => failure.traceback.join("\n"),
        Failure::WorkerEnded(text) | Failure::Refused(text) => text.clone(),
    };
    if told.contains(NO_SPACE) {
        return disk_full(&told);
    }
    match failure {
        Failure::Compile(failure) => failure.into(),
        Failure::WorkerEnded(status) => worker_ended(&status, facts),
        Failure::Refused(text) => CellError::new("EngineError", text.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_worker_is_named() {
        let ended = |status: &str, facts: &Facts| worker_ended(status, facts).evalue;
        let none = Facts::default();
        assert!(ended("exit status: 3", &none).contains("exit status 3"));
        assert!(ended("signal: 9 (SIGKILL)", &none).contains("SIGKILL"));
        let crash = |signal, stack_overflow| Facts {
            crash: Some(Crash {
                signal,
                stack_overflow,
                address: 16,
            }),
            ..Facts::default()
        };
        assert!(ended("", &crash(libc::SIGSEGV, true)).contains("overflowed its stack"));
        assert!(ended("", &crash(libc::SIGABRT, false)).contains("SIGABRT"));
        let text = worker_ended("", &crash(libc::SIGSEGV, false)).traceback[0].clone();
        assert!(text.contains("0x10") && text.contains("why:") && text.contains("do:"));
    }
}
