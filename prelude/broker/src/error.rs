//! What can go wrong with a broker or a task.

use std::fmt;
use std::time::Duration;

use crate::config::without_password;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a broker or a task.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The URL names no broker.
    BadUrl {
        /// The URL, without its password.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// No broker answers there, or it refuses us.
    Unreachable {
        /// The URL, without its password.
        url: String,
        /// What the connection said.
        why: String,
    },
    /// The broker has refused what was asked of it.
    Broker {
        /// What was to be done.
        what: String,
        /// What it said.
        why: String,
    },
    /// The task has failed; this is its error.
    Failed {
        /// The task's id.
        id: String,
        /// Its words.
        message: String,
    },
    /// The task was revoked or terminated.
    Revoked {
        /// The task's id.
        id: String,
    },
    /// The result was not there in time. The task may still be done.
    NoResult {
        /// The task's id.
        id: String,
        /// The time.
        time: Duration,
    },
    /// Arguments or a result cannot be written as JSON, or are not what is expected.
    Mismatch {
        /// What was to be converted.
        what: String,
        /// What does not fit.
        why: String,
    },
    /// A server program is not there or did not start.
    NotStarted {
        /// The program.
        program: String,
        /// What happened.
        why: String,
        /// What helps.
        cure: String,
    },
}

impl Error {
    pub(crate) fn unreachable(url: &str, why: impl fmt::Display) -> Error {
        Error::Unreachable {
            url: without_password(url),
            why: why.to_string(),
        }
    }

    pub(crate) fn broker(what: &str, why: impl fmt::Display) -> Error {
        Error::Broker {
            what: what.to_owned(),
            why: why.to_string(),
        }
    }

    pub(crate) fn mismatch(what: impl Into<String>, why: impl fmt::Display) -> Error {
        Error::Mismatch {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BadUrl { url, why } => write!(
                out,
                "{url:?} names no broker\nwhy: {why}\n\
                 do:  use a URL like amqp://localhost:5672 or redis://localhost:6379"
            ),
            Error::Unreachable { url, why } => write!(
                out,
                "{url}: no broker that lets us in\nwhy: {why}\n\
                 do:  start it, or take one for this notebook alone: broker::Server::redis(), broker::Server::rabbitmq()"
            ),
            Error::Broker { what, why } => write!(
                out,
                "the broker did not do this: {what}\nwhy: {why}\n\
                 do:  look at the broker's log; what was confirmed before is not lost"
            ),
            Error::Failed { message, .. } => out.write_str(message),
            Error::Revoked { id } => write!(out, "{id}: the task was revoked"),
            Error::NoResult { id, time } => write!(
                out,
                "{id}: no result within {time:?}\nwhy: no worker is there, all are busy, the task is scheduled for later, or \
                 its result was for somebody else\ndo:  look at app.workers() and app.n_waiting(); wait longer"
            ),
            Error::Mismatch { what, why } => write!(
                out,
                "{what}: other types than expected\nwhy: {why}\n\
                 do:  send and ask for what the task takes and returns; JSON has no other way to tell"
            ),
            Error::NotStarted { program, why, cure } => {
                write!(out, "{program} was not started\nwhy: {why}\ndo:  {cure}")
            }
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Error {}
