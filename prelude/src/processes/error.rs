//! Why a process, or a task of a pool, gave no value.

use std::fmt;
use std::io;
use std::time::Duration;

use super::message::MessageError;

/// Why a process, or a task in a pool of processes, gave no value.
#[non_exhaustive]
pub enum ProcessError {
    /// It has not been started.
    NotStarted {
        /// The process.
        name: String,
    },
    /// It was started before; a process runs once.
    AlreadyStarted {
        /// The process.
        name: String,
    },
    /// The system gave no process.
    Start {
        /// The process.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// Its function could not be found by the process.
    Load {
        /// The process.
        name: String,
        /// What the dynamic linker said.
        why: String,
    },
    /// The arguments could not be sent, or not be read.
    Arguments {
        /// The process.
        name: String,
        /// Why.
        why: String,
    },
    /// What it returned could not be sent, or not be read.
    Result {
        /// The process.
        name: String,
        /// Why.
        why: String,
    },
    /// Its function panicked.
    Panicked {
        /// The process.
        name: String,
        /// The panic's message.
        message: String,
    },
    /// It ended by itself before its function returned.
    Exited {
        /// The process.
        name: String,
        /// The exit status.
        code: i32,
    },
    /// A signal ended it.
    Killed {
        /// The process.
        name: String,
        /// The signal's number.
        signal: i32,
    },
    /// It still ran when the time was over.
    TimedOut {
        /// What was waited for.
        name: String,
        /// How long.
        after: Duration,
    },
    /// The value was given to an earlier call.
    Taken {
        /// The process.
        name: String,
    },
    /// Only the process that started it can wait for it.
    NotAChild {
        /// The process.
        name: String,
    },
    /// One item of a pool's work failed.
    Item {
        /// Its place among the items, from 0.
        index: usize,
        /// Why it failed.
        source: Box<ProcessError>,
    },
    /// The pool takes no work any more.
    PoolClosed {
        /// The pool.
        name: String,
    },
}

impl ProcessError {
    pub(crate) fn arguments(name: &str, error: &MessageError) -> ProcessError {
        ProcessError::Arguments {
            name: name.to_owned(),
            why: error.to_string(),
        }
    }

    pub(crate) fn result(name: &str, error: &MessageError) -> ProcessError {
        ProcessError::Result {
            name: name.to_owned(),
            why: error.to_string(),
        }
    }

    /// By its exit code alone: negative is a signal.
    pub(crate) fn ended(name: &str, code: i32) -> ProcessError {
        let name = name.to_owned();
        if code < 0 {
            ProcessError::Killed {
                name,
                signal: -code,
            }
        } else {
            ProcessError::Exited { name, code }
        }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::NotStarted { name } => {
                write!(out, "{name} has not been started: call `start()` first")
            }
            ProcessError::AlreadyStarted { name } => write!(
                out,
                "{name} was started before: a process runs once; make another one for another run"
            ),
            ProcessError::Start { name, error } => write!(
                out,
                "{name} could not be started: {error}; fewer processes at a time, or `ulimit -u` and `ulimit -n`, may help"
            ),
            ProcessError::Load { name, why } => {
                write!(out, "{name} could not find its function: {why}")
            }
            ProcessError::Arguments { name, why } => {
                write!(out, "the arguments did not reach {name}: {why}")
            }
            ProcessError::Result { name, why } => {
                write!(out, "the value of {name} did not come back: {why}")
            }
            ProcessError::Panicked { name, message } => write!(out, "{name} panicked: {message}"),
            ProcessError::Exited { name, code } => write!(
                out,
                "{name} ended with exit status {code} before its function returned"
            ),
            ProcessError::Killed { name, signal } => {
                write!(out, "{name} was ended by signal {signal}{}", named(*signal))
            }
            ProcessError::TimedOut { name, after } => {
                write!(
                    out,
                    "{name} still runs after {after:?}: wait longer, or end it"
                )
            }
            ProcessError::Taken { name } => write!(
                out,
                "the value of {name} has been taken: an earlier call got it"
            ),
            ProcessError::NotAChild { name } => write!(
                out,
                "{name} is no child of this process: only the process that started it can wait for it"
            ),
            ProcessError::Item { index, source } => write!(out, "item {index}: {source}"),
            ProcessError::PoolClosed { name } => write!(
                out,
                "{name} takes no work: it was closed or terminated; make a new pool"
            ),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for ProcessError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for ProcessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProcessError::Start { error, .. } => Some(error),
            ProcessError::Item { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The name of a signal in parentheses, for those that one meets.
fn named(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP, hung up",
        libc::SIGINT => "SIGINT, interrupted",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL, illegal instruction",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT, aborted",
        libc::SIGBUS => "SIGBUS, bad memory access",
        libc::SIGFPE => "SIGFPE, arithmetic fault",
        libc::SIGKILL => "SIGKILL, killed",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV, bad memory access or stack overflow",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE, nobody reads",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM, asked to end",
        libc::SIGXCPU => "SIGXCPU, too much processor time",
        _ => return String::new(),
    };
    format!(" ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_code_is_a_signal_with_its_name() {
        let text = |code| ProcessError::ended("Process-1", code).to_string();
        assert_eq!(
            text(-15),
            "Process-1 was ended by signal 15 (SIGTERM, asked to end)"
        );
        assert_eq!(text(-40), "Process-1 was ended by signal 40");
        assert!(text(3).contains("exit status 3"));
    }
}
