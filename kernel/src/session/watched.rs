//! A state that several threads share, and waiting for it to change.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A mutex's content, whatever has become of other holders.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state, under a lock that a panic elsewhere does not close.
#[derive(Default)]
pub struct Watched<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    pub fn new(state: T) -> Watched<T> {
        Watched {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.state)
    }

    /// Whoever waits looks again.
    pub fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits until the condition is false, or the limit is over.
    pub fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, T>,
        limit: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        self.changed
            .wait_timeout_while(state, limit, condition)
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .0
    }
}
