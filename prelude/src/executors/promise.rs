//! The side on which a result comes in, and what both sides share.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::error::{TaskError, panic_error};
use super::future::Future;
use super::wait::Signal;

pub(super) type Outcome<R> = Result<R, TaskError>;
pub(super) type Callback<R> = Box<dyn FnOnce(Result<&R, &TaskError>) + Send>;

/// How far a task is.
pub(super) enum Phase<R> {
    /// Queued; can be cancelled.
    Pending,
    Running,
    /// It has ended, and this thread runs the callbacks. The outcome is with it.
    Settling(ThreadId),
    Done(Outcome<R>),
    /// Done, and the result is with whoever asked first.
    Taken,
}

/// How a task ended, as long as it is remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Value,
    Cancelled,
    Failed,
}

pub(super) struct State<R> {
    pub phase: Phase<R>,
    pub ending: Option<Ending>,
    callbacks: Vec<Callback<R>>,
    /// Those that wait for several futures, with the number that this one has there.
    listeners: Vec<(Arc<Signal>, usize)>,
    pub waker: Option<Waker>,
}

/// What a promise and its future share.
pub(super) struct Core<R> {
    state: Mutex<State<R>>,
    pub settled: Condvar,
}

impl<R> Core<R> {
    pub fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock()
    }

    /// Ends the task if it has not ended; the callbacks have run when this returns.
    fn settle(&self, outcome: Outcome<R>, may_settle: impl FnOnce(&Phase<R>) -> bool) -> bool {
        let mut state = self.lock();
        if !may_settle(&state.phase) {
            return false;
        }
        state.ending = Some(match &outcome {
            Ok(_) => Ending::Value,
            Err(TaskError::Cancelled) => Ending::Cancelled,
            Err(_) => Ending::Failed,
        });
        self.run_callbacks(state, outcome);
        true
    }

    /// Runs the callbacks, also those that come in meanwhile, then lets everybody see the outcome.
    fn run_callbacks<'a>(&'a self, mut state: MutexGuard<'a, State<R>>, outcome: Outcome<R>) {
        while !state.callbacks.is_empty() {
            let callbacks = std::mem::take(&mut state.callbacks);
            state.phase = Phase::Settling(thread::current().id());
            drop(state);
            for callback in callbacks {
                let seen = outcome.as_ref();
                // The panic hook has told it; there is nobody else to be told.
                let _told = catch_unwind(AssertUnwindSafe(|| callback(seen)));
            }
            state = self.lock();
        }
        state.phase = Phase::Done(outcome);
        let listeners = std::mem::take(&mut state.listeners);
        let waker = state.waker.take();
        drop(state);
        self.settled.notify_all();
        for (listener, number) in listeners {
            listener.add(number);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn cancel(&self) -> bool {
        let is_cancelled = self.settle(Err(TaskError::Cancelled), |phase| {
            matches!(phase, Phase::Pending)
        });
        is_cancelled || self.lock().ending == Some(Ending::Cancelled)
    }

    pub fn add_callback(&self, callback: Callback<R>) {
        let mut state = self.lock();
        match std::mem::replace(&mut state.phase, Phase::Taken) {
            Phase::Done(outcome) => {
                state.callbacks.push(callback);
                self.run_callbacks(state, outcome);
            }
            Phase::Taken => {
                drop(state);
                let _told = catch_unwind(AssertUnwindSafe(|| callback(Err(&TaskError::Taken))));
            }
            phase => {
                state.phase = phase;
                state.callbacks.push(callback);
            }
        }
    }

    /// Has `signal` told when the task ends; at once if it has.
    pub fn listen(&self, signal: &Arc<Signal>, number: usize) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Done(_) | Phase::Taken) {
            drop(state);
            signal.add(number);
        } else {
            state.listeners.push((Arc::clone(signal), number));
        }
    }

    pub fn forget(&self, signal: &Arc<Signal>) {
        self.lock()
            .listeners
            .retain(|(known, _)| !Arc::ptr_eq(known, signal));
    }
}

/// The side of whoever delivers a result: what a pool of yours is built on.
///
/// A promise that is dropped without a result fails its future, so nobody waits for ever.
///
/// ```
/// use forkline::executors::Promise;
///
/// let (promise, future) = Promise::new();
/// std::thread::spawn(move || promise.set_result(6 * 7));
/// assert_eq!(future.result().unwrap(), 42);
/// ```
pub struct Promise<R> {
    core: Arc<Core<R>>,
    /// What the future is told if this is dropped first.
    if_dropped: &'static str,
}

impl<R> Promise<R> {
    /// A promise and the future that it is about.
    #[allow(clippy::new_ret_no_self, reason = "the two come as a pair")]
    pub fn new() -> (Promise<R>, Future<R>) {
        let core = Arc::new(Core {
            state: Mutex::new(State {
                phase: Phase::Pending,
                ending: None,
                callbacks: Vec::new(),
                listeners: Vec::new(),
                waker: None,
            }),
            settled: Condvar::new(),
        });
        let future = Future::of(Arc::clone(&core));
        let promise = Promise {
            core,
            if_dropped: "its promise was dropped",
        };
        (promise, future)
    }

    /// What the future is told if the promise is dropped without a result.
    pub(crate) fn if_dropped(mut self, why: &'static str) -> Self {
        self.if_dropped = why;
        self
    }

    /// The task begins and can no longer be cancelled. `false`: it was cancelled before, and is not to be run.
    pub fn start(&self) -> bool {
        let mut state = self.core.lock();
        if matches!(state.phase, Phase::Pending) {
            state.phase = Phase::Running;
        }
        matches!(state.phase, Phase::Running)
    }

    /// Whether the future was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.core.lock().ending == Some(Ending::Cancelled)
    }

    /// Delivers the result. `false`: the future had been cancelled.
    pub fn set_result(self, result: R) -> bool {
        self.settle(Ok(result))
    }

    /// Delivers an error, such as a text, in place of a result. `false`: the future had been cancelled.
    pub fn set_exception(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> bool {
        self.settle(Err(TaskError::failed(error)))
    }

    /// Ends the task as cancelled, also one that runs. `false`: the future had been cancelled.
    pub fn set_cancelled(self) -> bool {
        self.settle(Err(TaskError::Cancelled))
    }

    /// Delivers what came of the task.
    pub(crate) fn conclude(self, outcome: Result<R, TaskError>) {
        self.settle(outcome);
    }

    /// Runs a task and delivers what comes of it, also a panic. What was cancelled is not run.
    pub(crate) fn fulfil(self, task: impl FnOnce() -> R) {
        if !self.start() {
            return;
        }
        self.settle(catch_unwind(AssertUnwindSafe(task)).map_err(|payload| panic_error(&*payload)));
    }

    fn settle(&self, outcome: Outcome<R>) -> bool {
        self.core.settle(outcome, |phase| {
            matches!(phase, Phase::Pending | Phase::Running)
        })
    }
}

impl<R> Drop for Promise<R> {
    fn drop(&mut self) {
        self.settle(Err(TaskError::Abandoned(self.if_dropped)));
    }
}
