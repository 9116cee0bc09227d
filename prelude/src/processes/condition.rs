//! A place where processes wait, under a lock, for what another will have changed.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::linux;
use super::lock::{Lock, LockError, LockGuard};
use super::shared::{Layout, Shared};
use crate::interrupt;

/// The memory of a condition, apart from its lock.
#[repr(C)]
struct State {
    /// How many wait, and 65536 times how many of them have been notified and not gone on yet. One word, so that
    /// both always fit together.
    waiting: AtomicU32,
}

// SAFETY: an atomic.
unsafe impl Layout for State {}

const NOTIFIED: u32 = 1 << 16;

impl State {
    /// Goes on, if one of those who wait was notified.
    fn take(&self) -> bool {
        self.waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                word.checked_sub(NOTIFIED)
                    .map(|word| word.saturating_sub(1))
            })
            .is_ok()
    }

    fn notify(&self, most: u32) {
        let changed = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let (notified, waiting) = (word / NOTIFIED, word % NOTIFIED);
                let more = waiting.saturating_sub(notified).min(most);
                (more > 0).then_some(word + more * NOTIFIED)
            });
        if changed.is_ok() {
            linux::wake(&self.waiting, most);
        }
    }
}

/// One who waits; counted until it goes on.
struct Waiter<'a> {
    state: &'a State,
    is_counted: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // Out of time or interrupted. A notification that came just now would be of no use to anybody else who was
        // not told, so it is taken along with the place.
        if self.is_counted && !self.state.take() {
            self.state.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A place where processes wait, under a [`Lock`], for what another will have changed. Clones are the same condition.
///
/// [`wait`](Self::wait) gives the lock back, waits for a [`notify`](Self::notify), and has the lock again when it
/// returns. Another may have been faster by then; and after a process was killed while it waited one `wait` may
/// return without a notification. So what is waited for is looked at again, as [`wait_while`](Self::wait_while) does.
///
/// ```
/// use forkline::prelude::*;
///
/// let stock = processes::Value::new(0);
/// let filled = processes::Condition::new();
/// let (their_stock, their_filled) = (stock.clone(), filled.clone());
/// let supplier = thread::spawn(move || {
///     let _guard = their_filled.lock();
///     their_stock.set(5);
///     their_filled.notify();
/// });
/// let mut guard = filled.lock();
/// filled.wait_while(&mut guard, || stock.get() == 0);
/// assert_eq!(stock.get(), 5);
/// # drop(guard);
/// # supplier.join().unwrap();
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Condition {
    lock: Lock,
    state: Waiting,
}

/// The part of a condition that is not its lock.
struct Waiting {
    shared: Shared<State>,
}

impl Waiting {
    fn of(shared: Shared<State>) -> Self {
        Waiting { shared }
    }
}

super::shared::handle!(Waiting);

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl Condition {
    /// A condition with a lock of its own.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn new() -> Self {
        Self::on(&Lock::new())
    }

    /// A condition that is bound to this lock. Several may share one; each is then waited for with a guard of its
    /// own [`lock`](Self::lock).
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn on(lock: &Lock) -> Self {
        let kind = std::any::type_name::<Waiting>();
        Condition {
            lock: lock.clone(),
            state: Waiting::of(Shared::create(kind, 0, |_: &State| {})),
        }
    }

    /// Takes the lock.
    ///
    /// # Panics
    /// This thread holds it already.
    #[track_caller]
    pub fn lock(&self) -> LockGuard<'_> {
        self.lock.lock()
    }

    /// Takes the lock without a guard.
    ///
    /// # Panics
    /// This thread holds it already.
    #[track_caller]
    pub fn acquire(&self) {
        self.lock.acquire();
    }

    /// Gives back what [`acquire`](Self::acquire) took.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn release(&self) -> Result<(), LockError> {
        self.lock.release()
    }

    /// Gives the lock back, waits for a notification, and takes the lock again.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[track_caller]
    pub fn wait(&self, guard: &mut LockGuard<'_>) {
        self.wait_until(guard, None);
    }

    /// The same, for so long at most; whether there was a notification.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[track_caller]
    pub fn wait_timeout(&self, guard: &mut LockGuard<'_>, time: Duration) -> bool {
        self.wait_until(guard, interrupt::deadline(time))
    }

    /// Waits as long as `condition` holds. It is looked at under the lock, first at once and then after each
    /// notification.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[track_caller]
    pub fn wait_while(&self, guard: &mut LockGuard<'_>, mut condition: impl FnMut() -> bool) {
        while condition() {
            self.wait_until(guard, None);
        }
    }

    /// The same, for so long at most; whether `condition` does not hold any more.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[doc(alias = "wait_for")]
    #[track_caller]
    pub fn wait_while_timeout(
        &self,
        guard: &mut LockGuard<'_>,
        time: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> bool {
        let deadline = interrupt::deadline(time);
        while condition() {
            if !self.wait_until(guard, deadline) {
                return !condition();
            }
        }
        true
    }

    /// Lets one go on that waits. Without one nothing happens: a notification is not kept.
    pub fn notify(&self) {
        self.state.shared.notify(1);
    }

    /// Lets all go on that wait.
    pub fn notify_all(&self) {
        self.state.shared.notify(u32::from(u16::MAX));
    }

    /// How many wait, at this moment; those that were killed while they waited are still among them.
    pub fn n_waiting(&self) -> usize {
        (self.state.shared.waiting.load(Ordering::Acquire) % NOTIFIED) as usize
    }

    #[track_caller]
    fn wait_until(&self, guard: &mut LockGuard<'_>, deadline: Option<Instant>) -> bool {
        assert!(
            guard.is_of(&self.lock),
            "a condition was waited for with the guard of another lock; do: take the condition's own, by its lock()"
        );
        let state: &State = &self.state.shared;
        // Under the lock: whoever takes it next and notifies finds this one.
        state.waiting.fetch_add(1, Ordering::AcqRel);
        let mut waiter = Waiter {
            state,
            is_counted: true,
        };
        guard.without(|| {
            let is_notified = interrupt::wait(deadline, |slice| {
                let seen = state.waiting.load(Ordering::Acquire);
                if seen < NOTIFIED && !slice.is_zero() {
                    linux::sleep_while(&state.waiting, seen, slice);
                }
                state.take().then_some(())
            })
            .is_some();
            waiter.is_counted = !is_notified;
            is_notified
        })
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Condition")
            .field("lock", &self.lock)
            .field("n_waiting", &self.n_waiting())
            .finish()
    }
}

#[cfg(test)]
mod tests;
