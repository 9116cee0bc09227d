//! Something that is done later, unless it is called off.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::Event;
use super::thread::{Thread, ThreadError};
use super::{State, ThreadInfo};

/// A thread that waits for a while and then calls a closure, unless [`cancel`](Self::cancel) comes first.
///
/// ```
/// use forkline::prelude::*;
///
/// let timer = threads::Timer::new(Duration::from_secs(3_600), || println!("an hour later"));
/// timer.start()?;
/// timer.cancel();
/// assert!(timer.join()?.is_none());
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
pub struct Timer<R = ()> {
    thread: Thread<Option<R>>,
    off: Arc<Event>,
}

impl<R: Send + 'static> Timer<R> {
    /// A timer that will call `body` so long after its start.
    pub fn new(after: Duration, body: impl FnOnce() -> R + Send + 'static) -> Self {
        let off = Arc::new(Event::new());
        let waited = Arc::clone(&off);
        Self {
            thread: Thread::new(move || (!waited.wait_timeout(after)).then(body)),
            off,
        }
    }

    /// Gives its thread a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.thread = self.thread.name(name);
        self
    }

    /// Lets the time run.
    ///
    /// # Errors
    /// As for [`Thread::start`].
    pub fn start(&self) -> Result<(), ThreadError> {
        self.thread.start()
    }
}

impl<R> Timer<R> {
    /// Calls it off, if its time has not come yet.
    pub fn cancel(&self) {
        self.off.set();
    }

    /// Waits for its end: what the closure returned, or none if it was called off.
    ///
    /// # Errors
    /// As for [`Thread::join`].
    #[track_caller]
    pub fn join(&self) -> Result<Option<R>, ThreadError> {
        self.thread.join()
    }

    /// The same, for so long at most.
    ///
    /// # Errors
    /// As for [`Thread::join_timeout`].
    #[track_caller]
    pub fn join_timeout(&self, time: Duration) -> Result<Option<R>, ThreadError> {
        self.thread.join_timeout(time)
    }

    /// Whether it was started, and neither came nor was called off.
    pub fn is_alive(&self) -> bool {
        self.thread.is_alive()
    }

    /// Where its thread is in its life, at this moment.
    pub fn state(&self) -> State {
        self.thread.state()
    }

    /// What is known of its thread.
    pub fn info(&self) -> ThreadInfo {
        self.thread.info()
    }
}

impl<R> fmt::Debug for Timer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("name", &self.info().name())
            .field("state", &self.state())
            .field("is_cancelled", &self.off.is_set())
            .finish()
    }
}
