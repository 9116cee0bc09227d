//! What a call to a pool returns before its values are there.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::queue::{Inner, Job, Reply};
use super::worker;
use super::{Message, Pool, ProcessError};
use crate::interrupt;

/// Called with what came of a call, on a thread of the pool.
pub(super) type Callback<T> = Box<dyn FnOnce(Result<&T, &ProcessError>) + Send>;

/// The value of a call that a pool works on. The work goes on if this is dropped.
///
/// ```
/// use forkline::prelude::*;
/// use processes::Pool;
///
/// let pool = Pool::new(2)?;
/// let value = pool.apply_async(|n: u64| n + 1, (41,));
/// assert_eq!(value.get()?, 42);
/// # Ok::<(), processes::ProcessError>(())
/// ```
pub struct Pending<T> {
    shared: Arc<Shared<T>>,
    pool: Weak<Inner>,
    name: String,
    job: Job,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Option<Result<T, ProcessError>>,
    is_ready: bool,
    callback: Option<Callback<T>>,
}

/// The other end of a [`Pending`].
pub(super) struct Completion<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Completion<T> {
    pub fn complete(self, value: Result<T, ProcessError>) {
        let callback = self.shared.state().callback.take();
        if let Some(callback) = callback {
            // A panic of the user's function is told by the hook; the value is there all the same.
            let call = || callback(value.as_ref());
            let _told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
        }
        let mut state = self.shared.state();
        state.value = Some(value);
        state.is_ready = true;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Pending<T> {
    pub(super) fn new(
        pool: &Pool,
        job: Job,
        callback: Option<Callback<T>>,
    ) -> (Pending<T>, Completion<T>) {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                value: None,
                is_ready: false,
                callback,
            }),
            changed: Condvar::new(),
        });
        let pending = Pending {
            shared: Arc::clone(&shared),
            pool: Arc::downgrade(&pool.inner),
            name: pool.inner.name.clone(),
            job,
        };
        (pending, Completion { shared })
    }

    pub(super) fn job(&self) -> Job {
        self.job.clone()
    }

    /// Whether the value, or the error, is there.
    pub fn ready(&self) -> bool {
        self.shared.state().is_ready
    }

    /// Whether the call is done and gave a value; none while it is not done, or when it has been taken.
    pub fn successful(&self) -> Option<bool> {
        self.shared.state().value.as_ref().map(Result::is_ok)
    }

    /// Waits until the value is there, and leaves it.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// [`wait`](Pending::wait) that gives up after some time; whether the value is there.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.wait_until(interrupt::deadline(time))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        interrupt::wait(deadline, |slice| {
            let state = self.shared.state();
            let (state, _) = self
                .shared
                .changed
                .wait_timeout_while(state, slice, |state| !state.is_ready)
                .unwrap_or_else(PoisonError::into_inner);
            state.is_ready.then_some(())
        })
        .is_some()
    }

    /// Waits for the value and takes it.
    ///
    /// # Errors
    /// The call failed, the pool ended before, or the value has been taken.
    pub fn get(&self) -> Result<T, ProcessError> {
        self.wait();
        self.take()
    }

    /// [`get`](Pending::get) that gives up after some time.
    ///
    /// # Errors
    /// As for `get`; or the value is not there yet. The work goes on then.
    pub fn get_timeout(&self, time: Duration) -> Result<T, ProcessError> {
        if self.wait_timeout(time) {
            self.take()
        } else {
            Err(ProcessError::TimedOut {
                name: self.name.clone(),
                after: time,
            })
        }
    }

    fn take(&self) -> Result<T, ProcessError> {
        let value = self.shared.state().value.take();
        value.unwrap_or_else(|| {
            Err(ProcessError::Taken {
                name: self.name.clone(),
            })
        })
    }

    /// [`get`](Pending::get) for those who alone wait: if an interrupt unwinds them, the work is given up.
    pub(super) fn get_or_cancel(self) -> Result<T, ProcessError> {
        struct GiveUp<'a, T>(&'a Pending<T>);
        impl<T> Drop for GiveUp<'_, T> {
            fn drop(&mut self) {
                if let Some(pool) = self.0.pool.upgrade() {
                    pool.cancel(&self.0.job, true);
                }
            }
        }
        let give_up = GiveUp(&self);
        self.wait();
        std::mem::forget(give_up);
        self.take()
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = if self.ready() { "ready" } else { "working" };
        write!(out, "<Pending of {:?} {ready}>", self.name)
    }
}

/// Brings the batches of one call together.
pub(super) struct Assembly<R> {
    name: String,
    parts: Mutex<Parts<R>>,
}

struct Parts<R> {
    values: Vec<Vec<R>>,
    left: usize,
    /// The first item that failed, of those that are known.
    failure: Option<(usize, ProcessError)>,
    ended: bool,
    completion: Option<Completion<Vec<R>>>,
}

impl<R: Message + Send> Assembly<R> {
    /// Of so many batches; if there are none, the call is complete.
    pub fn new(name: String, batches: usize, completion: Completion<Vec<R>>) -> Assembly<R> {
        let mut completion = Some(completion);
        if batches == 0
            && let Some(completion) = completion.take()
        {
            completion.complete(Ok(Vec::new()));
        }
        Assembly {
            name,
            parts: Mutex::new(Parts {
                values: (0..batches).map(|_| Vec::new()).collect(),
                left: batches,
                failure: None,
                ended: false,
                completion,
            }),
        }
    }

    /// Takes what came of a batch whose first item has a place; whether the rest is in vain.
    pub fn add(&self, number: usize, first: usize, reply: Reply) -> bool {
        let worker = || format!("a worker of {}", self.name);
        let failed = match reply {
            Reply::Outcome(outcome) => match outcome.into_result(&worker()) {
                Ok(packet) => match worker::values_and_panics::<R>(packet) {
                    Ok((values, panics)) => {
                        let failed = panics.into_iter().next().map(|(place, message)| {
                            let name = worker();
                            (place as usize, ProcessError::Panicked { name, message })
                        });
                        self.lock().values[number] = values;
                        failed
                    }
                    Err(error) => Some((0, ProcessError::result(&worker(), &error))),
                },
                Err(error) => Some((0, error)),
            },
            Reply::Lost(place, error) => Some((place, error)),
            Reply::Cancelled => None,
            Reply::Ended => {
                self.lock().ended = true;
                None
            }
        };
        let mut parts = self.lock();
        let is_failure = failed.is_some();
        if let Some((place, error)) = failed {
            let place = first + place;
            if parts
                .failure
                .as_ref()
                .is_none_or(|(other, _)| place < *other)
            {
                parts.failure = Some((place, error));
            }
        }
        parts.left -= 1;
        if parts.left > 0 {
            return is_failure;
        }
        let result = match parts.failure.take() {
            Some((index, source)) => Err(ProcessError::Item {
                index,
                source: Box::new(source),
            }),
            None if parts.ended => Err(ProcessError::PoolClosed {
                name: self.name.clone(),
            }),
            None => Ok(std::mem::take(&mut parts.values)
                .into_iter()
                .flatten()
                .collect()),
        };
        let completion = parts.completion.take();
        drop(parts);
        if let Some(completion) = completion {
            completion.complete(result);
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Parts<R>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
