//! What can become of a task besides its result.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{interrupt, panics};

/// Why a task has no result. Clones are cheap.
#[derive(Clone)]
#[non_exhaustive]
pub enum TaskError {
    /// It was cancelled.
    Cancelled,
    /// It panicked, with this message.
    Panicked(Arc<str>),
    /// The user interrupted the cell while it ran.
    Interrupted,
    /// It did not end within this time. It goes on; ask again.
    TimedOut(Duration),
    /// Somebody has taken its result before.
    Taken,
    /// Whoever was to deliver the result is gone without one: the pool has shut down, or the promise was dropped.
    Abandoned(&'static str),
    /// To wait here would never end: the result depends on the code that asks for it.
    WouldDeadlock(&'static str),
    /// It was used in a way that its state does not allow: asked before it is done, or given two results.
    InvalidState(&'static str),
    /// It was given this error as its outcome.
    Failed(Arc<dyn Error + Send + Sync>),
}

impl TaskError {
    /// The outcome of a task that failed with an error: a text, or any error. A `TaskError` stays what it is.
    ///
    /// ```
    /// use forkline::executors::TaskError;
    ///
    /// assert_eq!(TaskError::failed("no such city").to_string(), "no such city");
    /// assert!(matches!(TaskError::failed(TaskError::Cancelled), TaskError::Cancelled));
    /// ```
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> TaskError {
        match error.into().downcast::<TaskError>() {
            Ok(error) => *error,
            Err(error) => TaskError::Failed(Arc::from(error)),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Cancelled => f.write_str("the task was cancelled"),
            TaskError::Panicked(message) => write!(f, "the task panicked: {message}"),
            TaskError::Interrupted => f.write_str("the task was interrupted with its cell"),
            TaskError::TimedOut(time) => write!(
                f,
                "no result within {time:?}: the task has not ended; wait longer, or cancel it"
            ),
            TaskError::Taken => f.write_str(
                "the result was taken before: a result can be taken once; keep it in a variable",
            ),
            TaskError::Abandoned(why) => write!(f, "there will be no result: {why}"),
            TaskError::WouldDeadlock(why) => write!(f, "this would wait for ever: {why}"),
            TaskError::InvalidState(why) => f.write_str(why),
            TaskError::Failed(error) => error.fmt(f),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TaskError::Failed(error) => error.source(),
            _ => None,
        }
    }
}

/// The outcome of a task that unwound with this payload.
pub(crate) fn panic_error(payload: &(dyn Any + Send)) -> TaskError {
    if interrupt::is_interrupt(payload) {
        return TaskError::Interrupted;
    }
    let message = panics::text(payload).unwrap_or("Box<dyn Any>");
    TaskError::Panicked(Arc::from(message))
}

/// Why there is no pool.
#[non_exhaustive]
pub enum PoolError {
    /// A pool of no workers was asked for.
    NoWorkers,
    /// The system has no thread for it.
    NoThread {
        /// How many workers were asked for.
        workers: usize,
        /// What the system said.
        source: std::io::Error,
    },
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::NoWorkers => f.write_str(
                "a pool of 0 workers would never begin a task: ask for one or more; \
                 `ThreadPool::default()` takes one for each usable processor",
            ),
            PoolError::NoThread { workers, source } => write!(
                f,
                "a pool of {workers} workers could not be started: {source}; ask for fewer workers"
            ),
        }
    }
}

/// The same text as `Display`, for `unwrap`.
impl fmt::Debug for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PoolError::NoWorkers => None,
            PoolError::NoThread { source, .. } => Some(source),
        }
    }
}
