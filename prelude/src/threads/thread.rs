//! A thread: made, started, joined.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::info::{self, Info, State, ThreadInfo};
use super::waits::{self, Place};
use crate::runnable::Runnable;
use crate::{interrupt, panics};

/// A thread that runs a closure, or something [`Runnable`]. Clones are the same thread.
///
/// It begins with [`start`](Self::start), and [`join`](Self::join) waits for its end and gives its result. A handle
/// that is dropped lets the thread go on by itself.
///
/// ```
/// use forkline::prelude::*;
///
/// let thread = threads::Thread::new(|| 6 * 7).name("answer");
/// assert_eq!(thread.state(), threads::State::Created);
/// thread.start()?;
/// assert_eq!(thread.join()?, 42);
/// assert_eq!(thread.state(), threads::State::Finished);
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
pub struct Thread<R = ()> {
    shared: Arc<Shared<R>>,
}

struct Shared<R> {
    info: Arc<Info>,
    work: Mutex<Option<Box<dyn FnOnce() -> R + Send>>>,
    outcome: Mutex<Outcome<R>>,
}

enum Outcome<R> {
    NotStarted,
    Runs,
    Value(R),
    Taken,
    Panicked(String),
    Interrupted,
}

impl<R: Send + 'static> Thread<R> {
    /// A thread that will call `body`.
    pub fn new(body: impl FnOnce() -> R + Send + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                info: Info::created(),
                work: Mutex::new(Some(Box::new(body))),
                outcome: Mutex::new(Outcome::NotStarted),
            }),
        }
    }

    /// A thread that will run this; the work may have a name for it.
    ///
    /// ```
    /// use forkline::prelude::*;
    ///
    /// struct Square(u32);
    ///
    /// impl Runnable for Square {
    ///     type Output = u32;
    ///     fn name(&self) -> Option<String> { Some(format!("square of {}", self.0)) }
    ///     fn run(self) -> u32 { self.0 * self.0 }
    /// }
    /// let thread = threads::Thread::of(Square(7)).spawn()?;
    /// assert_eq!(thread.info().name(), "square of 7");
    /// assert_eq!(thread.join()?, 49);
    /// # Ok::<(), forkline::threads::ThreadError>(())
    /// ```
    pub fn of(work: impl Runnable<Output = R> + Send + 'static) -> Self {
        let name = work.name();
        let thread = Self::new(move || work.run());
        match name {
            Some(name) => thread.name(name),
            None => thread,
        }
    }

    /// Gives the thread a name; without one it is `Thread-1`, `Thread-2`, … A name that it has stays.
    pub fn name(self, name: impl Into<String>) -> Self {
        // std would panic on a NUL.
        self.shared
            .info
            .set_name(name.into().replace('\0', "\u{fffd}"));
        self
    }

    /// Whether [`join_all`] leaves it out. In a notebook nothing else follows: threads outlive their cells either way.
    pub fn daemon(self, is: bool) -> Self {
        self.shared.info.set_daemon(is);
        self
    }

    /// Lets the thread run.
    ///
    /// # Errors
    /// [`ThreadError::AlreadyStarted`], or [`ThreadError::NoThread`] if the system has none to give.
    pub fn start(&self) -> Result<(), ThreadError> {
        let info = &self.shared.info;
        let name = info.name();
        {
            let mut outcome = self.shared.outcome.lock();
            if !matches!(*outcome, Outcome::NotStarted) {
                return Err(ThreadError::AlreadyStarted { name });
            }
            *outcome = Outcome::Runs;
        }
        info.set_started(true);
        let shared = Arc::clone(&self.shared);
        let started = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || shared.run());
        started.map(|_detached| ()).map_err(|source| {
            info.set_started(false);
            *self.shared.outcome.lock() = Outcome::NotStarted;
            ThreadError::NoThread { name, source }
        })
    }

    /// The same, and gives the thread back: `Thread::new(…).name("a").spawn()?`.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn spawn(self) -> Result<Self, ThreadError> {
        self.start()?;
        Ok(self)
    }
}

impl<R> Thread<R> {
    /// Waits for the thread's end and gives what it returned, once.
    ///
    /// # Errors
    /// [`ThreadError::Panicked`] with the thread's name and message, each time; [`ThreadError::Joined`] if the result
    /// was given before; [`ThreadError::NotStarted`]; [`ThreadError::JoinsItself`].
    ///
    /// # Panics
    /// With a report, if threads join each other in a circle.
    #[track_caller]
    pub fn join(&self) -> Result<R, ThreadError> {
        self.join_until(None, Duration::ZERO, Location::caller())
    }

    /// The same, for so long at most.
    ///
    /// # Errors
    /// [`ThreadError::StillRunning`] after `time`, else as for [`join`](Self::join).
    #[track_caller]
    pub fn join_timeout(&self, time: Duration) -> Result<R, ThreadError> {
        self.join_until(interrupt::deadline(time), time, Location::caller())
    }

    /// Whether it was started and has not ended.
    pub fn is_alive(&self) -> bool {
        self.shared.info.is_alive()
    }

    /// Where it is in its life, at this moment; see [`ThreadInfo::state`].
    pub fn state(&self) -> State {
        self.info().state()
    }

    /// What is known of it: its name, its numbers, its time.
    pub fn info(&self) -> ThreadInfo {
        ThreadInfo(Arc::clone(&self.shared.info))
    }

    fn join_until(
        &self,
        deadline: Option<Instant>,
        time: Duration,
        at: Place,
    ) -> Result<R, ThreadError> {
        let shared = &*self.shared;
        let name = || shared.info.name();
        if shared.info.id() == info::id() {
            return Err(ThreadError::JoinsItself { name: name() });
        }
        if !shared.info.is_alive() {
            return shared.take();
        }
        let info = &*shared.info;
        match waits::wait(info, at, deadline, |slice| info.wait_for_end(slice)) {
            Some(()) => shared.take(),
            None => Err(ThreadError::StillRunning { name: name(), time }),
        }
    }
}

impl<R> Shared<R> {
    /// The thread's life.
    fn run(&self) {
        self.info.begin();
        let work = self.work.lock().take();
        let Some(work) = work else { return };
        let outcome = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(value) => Outcome::Value(value),
            Err(panic) if interrupt::is_interrupt(&*panic) => Outcome::Interrupted,
            Err(panic) => {
                let text = panics::text(&*panic).unwrap_or("a value that is no text");
                Outcome::Panicked(text.to_owned())
            }
        };
        *self.outcome.lock() = outcome;
        self.info.finish();
    }

    /// The result of a thread that does not run.
    fn take(&self) -> Result<R, ThreadError> {
        let mut outcome = self.outcome.lock();
        let name = self.info.name();
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Value(value) => Ok(value),
            Outcome::Taken => Err(ThreadError::Joined { name }),
            other => {
                let error = match &other {
                    Outcome::Panicked(message) => ThreadError::Panicked {
                        name,
                        message: message.clone(),
                    },
                    Outcome::Interrupted => ThreadError::Interrupted { name },
                    _ => ThreadError::NotStarted { name },
                };
                *outcome = other;
                Err(error)
            }
        }
    }
}

/// Starts a thread that calls `body`.
///
/// # Panics
/// The system has no thread to give, as in [`std::thread::spawn`]; [`Thread::spawn`] has the error instead.
///
/// ```
/// use forkline::prelude::*;
///
/// let thread = threads::spawn(|| 1 + 1);
/// assert_eq!(thread.join()?, 2);
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
pub fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Thread<R> {
    match Thread::new(body).spawn() {
        Ok(thread) => thread,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until all threads that were started in this module have ended, but for daemons and the calling one: what a
/// Python program does at its end. Results and panics stay for `join`.
#[track_caller]
pub fn join_all() {
    join_all_until(None, Location::caller());
}

/// The same, for so long at most; whether all have ended.
#[track_caller]
pub fn join_all_timeout(time: Duration) -> bool {
    join_all_until(interrupt::deadline(time), Location::caller())
}

fn join_all_until(deadline: Option<Instant>, at: Place) -> bool {
    let own = info::id();
    info::known()
        .into_iter()
        .filter(|thread| thread.is_ours() && thread.is_alive() && !thread.is_daemon())
        .filter(|thread| thread.id() != own)
        .all(|thread| {
            let ended = waits::wait(&*thread, at, deadline, |slice| thread.wait_for_end(slice));
            ended.is_some()
        })
}

impl<R> Clone for Thread<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R> fmt::Debug for Thread<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        f.debug_struct("Thread")
            .field("name", &info.name())
            .field("state", &info.state())
            .field("daemon", &info.is_daemon())
            .finish()
    }
}

/// Why a thread could not be started, or has no result to give.
#[derive(Debug)]
#[non_exhaustive]
pub enum ThreadError {
    /// A thread runs once.
    AlreadyStarted {
        /// The thread.
        name: String,
    },
    /// It has not begun, so it will not end.
    NotStarted {
        /// The thread.
        name: String,
    },
    /// It would wait for its own end.
    JoinsItself {
        /// The thread.
        name: String,
    },
    /// It had not ended when the time was over.
    StillRunning {
        /// The thread.
        name: String,
        /// How long it was waited for.
        time: Duration,
    },
    /// Its result was given before.
    Joined {
        /// The thread.
        name: String,
    },
    /// It panicked.
    Panicked {
        /// The thread.
        name: String,
        /// The panic's message.
        message: String,
    },
    /// It ended because the user interrupted its cell.
    Interrupted {
        /// The thread.
        name: String,
    },
    /// The system gave no thread.
    NoThread {
        /// The thread.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl fmt::Display for ThreadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted { name } => write!(
                f,
                "thread '{name}' cannot be started: it was started before, and a thread runs once; make another one"
            ),
            Self::NotStarted { name } => write!(
                f,
                "thread '{name}' cannot be joined: it was not started; call start() first"
            ),
            Self::JoinsItself { name } => write!(
                f,
                "thread '{name}' cannot be joined: it would wait for its own end; let another thread join it"
            ),
            Self::StillRunning { name, time } => write!(
                f,
                "thread '{name}' has not ended after {time:?}: it still runs or waits; join it again later"
            ),
            Self::Joined { name } => write!(
                f,
                "thread '{name}' has no result: an earlier join took it; keep the value that join returns"
            ),
            Self::Panicked { name, message } => write!(f, "thread '{name}' panicked: {message}"),
            Self::Interrupted { name } => write!(
                f,
                "thread '{name}' has no result: its cell was interrupted; run the cell again"
            ),
            Self::NoThread { name, source } => write!(
                f,
                "thread '{name}' cannot be started: the system has no thread to give ({source}); let some end first"
            ),
        }
    }
}

impl std::error::Error for ThreadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoThread { source, .. } => Some(source),
            _ => None,
        }
    }
}
