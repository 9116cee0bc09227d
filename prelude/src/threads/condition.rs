//! Waiting under a lock until another thread says that something has changed.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::sync::{Parker, Unparker};
use parking_lot::Mutex;

use super::lock::{Lock, LockError, LockGuard};
use super::rlock::{RLock, RLockGuard};
use super::waits::{self, Place, Signal};
use crate::interrupt;

/// What a [`Condition`] can be bound to: a [`Lock`] or an [`RLock`]. It cannot be implemented elsewhere.
pub trait Lockable: sealed::Sealed {
    /// The lock's guard.
    type Guard<'a>
    where
        Self: 'a;

    #[doc(hidden)]
    fn lock_for(&self, at: Place) -> Self::Guard<'_>;
    #[doc(hidden)]
    fn is_of(&self, guard: &Self::Guard<'_>) -> bool;
    /// Gives the lock back as often as this thread has it, and says how often that was besides the guard. Callers
    /// call `take_again` or `abandon` afterwards, whatever happens.
    #[doc(hidden)]
    fn give_back(guard: &mut Self::Guard<'_>) -> usize;
    #[doc(hidden)]
    fn take_again(guard: &mut Self::Guard<'_>, others: usize, at: Place);
    #[doc(hidden)]
    fn abandon(guard: &mut Self::Guard<'_>, others: usize, at: Place);
    #[doc(hidden)]
    fn acquire_for(&self, at: Place);
    #[doc(hidden)]
    fn release_for(&self) -> Result<(), LockError>;
}

mod sealed {
    pub trait Sealed {}
    impl<T: ?Sized> Sealed for super::Lock<T> {}
    impl<T: ?Sized> Sealed for super::RLock<T> {}
}

impl<T: ?Sized> Lockable for Lock<T> {
    type Guard<'a>
        = LockGuard<'a, T>
    where
        T: 'a;

    fn lock_for(&self, at: Place) -> LockGuard<'_, T> {
        self.lock_at(at)
    }

    fn is_of(&self, guard: &LockGuard<'_, T>) -> bool {
        guard.is_of(self)
    }

    fn give_back(guard: &mut LockGuard<'_, T>) -> usize {
        guard.give_back();
        0
    }

    fn take_again(guard: &mut LockGuard<'_, T>, _others: usize, at: Place) {
        guard.take_again(at);
    }

    fn abandon(_guard: &mut LockGuard<'_, T>, _others: usize, _at: Place) {}

    fn acquire_for(&self, at: Place) {
        self.acquire_at(at);
    }

    fn release_for(&self) -> Result<(), LockError> {
        self.release()
    }
}

impl<T: ?Sized> Lockable for RLock<T> {
    type Guard<'a>
        = RLockGuard<'a, T>
    where
        T: 'a;

    fn lock_for(&self, at: Place) -> RLockGuard<'_, T> {
        self.lock_at(at)
    }

    fn is_of(&self, guard: &RLockGuard<'_, T>) -> bool {
        guard.is_of(self)
    }

    fn give_back(guard: &mut RLockGuard<'_, T>) -> usize {
        guard.give_back()
    }

    fn take_again(guard: &mut RLockGuard<'_, T>, others: usize, at: Place) {
        guard.take_again(others, at);
    }

    fn abandon(guard: &mut RLockGuard<'_, T>, others: usize, at: Place) {
        guard.take_others(others, at);
    }

    fn acquire_for(&self, at: Place) {
        self.acquire_at(at);
    }

    fn release_for(&self) -> Result<(), LockError> {
        self.release()
    }
}

/// A place where threads wait, under a lock, for what another thread will have changed.
///
/// [`wait`](Self::wait) gives the lock back, waits for a [`notify`](Self::notify), and has the lock again when it
/// returns. Another thread may have been faster by then; so what is waited for is looked at again, as
/// [`wait_while`](Self::wait_while) does. Several conditions may share one lock.
///
/// ```
/// use forkline::prelude::*;
///
/// let stock = Arc::new(threads::Lock::new(Vec::new()));
/// let not_empty = Arc::new(threads::Condition::on(&stock));
/// let consumer = {
///     let not_empty = Arc::clone(&not_empty);
///     threads::spawn(move || {
///         let mut stock = not_empty.lock();
///         not_empty.wait_while(&mut stock, |stock| stock.is_empty());
///         stock.pop()
///     })
/// };
/// stock.lock().push(7);
/// not_empty.notify();
/// assert_eq!(consumer.join()?, Some(7));
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
#[doc(alias = "Condvar")]
pub struct Condition<L: Lockable = RLock> {
    lock: Arc<L>,
    waiters: Mutex<VecDeque<Arc<Waiter>>>,
}

struct Waiter {
    /// Set once, before the thread is woken.
    is_notified: AtomicBool,
    unparker: Unparker,
}

impl Condition {
    /// A condition with a reentrant lock of its own, which [`lock`](Self::lock), [`acquire`](Self::acquire) and
    /// [`release`](Self::release) take and give back.
    #[track_caller]
    pub fn new() -> Self {
        Self::of(Arc::new(RLock::new(())))
    }
}

impl Default for Condition {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Lockable> Condition<L> {
    /// A condition that is bound to this lock.
    pub fn on(lock: &Arc<L>) -> Self {
        Self::of(Arc::clone(lock))
    }

    fn of(lock: Arc<L>) -> Self {
        Self {
            lock,
            waiters: Mutex::new(VecDeque::new()),
        }
    }

    /// Takes the lock.
    ///
    /// # Panics
    /// With a report, if that is a deadlock.
    #[track_caller]
    pub fn lock(&self) -> L::Guard<'_> {
        self.lock.lock_for(Location::caller())
    }

    /// Takes the lock without a guard.
    ///
    /// # Panics
    /// With a report, if that is a deadlock.
    #[track_caller]
    pub fn acquire(&self) {
        self.lock.acquire_for(Location::caller());
    }

    /// Gives back what [`acquire`](Self::acquire) took.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn release(&self) -> Result<(), LockError> {
        self.lock.release_for()
    }

    /// The lock.
    pub fn lock_of(&self) -> &Arc<L> {
        &self.lock
    }

    /// Gives the lock back, waits for a notification, and takes the lock again, so often as this thread had it.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[track_caller]
    pub fn wait(&self, guard: &mut L::Guard<'_>) {
        self.wait_until(guard, None, Location::caller());
    }

    /// The same, for so long at most; whether there was a notification.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[track_caller]
    pub fn wait_timeout(&self, guard: &mut L::Guard<'_>, time: Duration) -> bool {
        self.wait_until(guard, interrupt::deadline(time), Location::caller())
    }

    /// Waits as long as `condition` holds. It is looked at under the lock, first at once and then after each
    /// notification.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[track_caller]
    pub fn wait_while<'a>(
        &self,
        guard: &mut L::Guard<'a>,
        mut condition: impl FnMut(&mut L::Guard<'a>) -> bool,
    ) {
        let at = Location::caller();
        while condition(guard) {
            self.wait_until(guard, None, at);
        }
    }

    /// The same, for so long at most; whether `condition` does not hold any more.
    ///
    /// # Panics
    /// The guard is that of another lock.
    #[doc(alias = "wait_for")]
    #[track_caller]
    pub fn wait_while_timeout<'a>(
        &self,
        guard: &mut L::Guard<'a>,
        time: Duration,
        mut condition: impl FnMut(&mut L::Guard<'a>) -> bool,
    ) -> bool {
        let (deadline, at) = (interrupt::deadline(time), Location::caller());
        while condition(guard) {
            if !self.wait_until(guard, deadline, at) {
                return !condition(guard);
            }
        }
        true
    }

    /// Lets the thread go on that has waited longest. Without one nothing happens: a notification is not kept.
    pub fn notify(&self) {
        if let Some(waiter) = self.waiters.lock().pop_front() {
            waiter.wake();
        }
    }

    /// Lets all threads go on that wait.
    pub fn notify_all(&self) {
        for waiter in self.waiters.lock().drain(..) {
            waiter.wake();
        }
    }

    /// How many threads wait, at this moment.
    pub fn n_waiting(&self) -> usize {
        self.waiters.lock().len()
    }

    fn wait_until(&self, guard: &mut L::Guard<'_>, deadline: Option<Instant>, at: Place) -> bool {
        assert!(
            self.lock.is_of(guard),
            "a condition was waited for with the guard of another lock: take the condition's own, by its lock()"
        );
        let parker = Parker::new();
        let waiter = Arc::new(Waiter {
            is_notified: AtomicBool::new(false),
            unparker: parker.unparker().clone(),
        });
        // Under the lock: whoever takes it next and notifies finds this thread.
        self.waiters.lock().push_back(Arc::clone(&waiter));
        let others = L::give_back(guard);
        let mut unwound = Unwound {
            condition: self,
            waiter: &waiter,
            guard,
            others,
            at,
            is_over: false,
        };
        waits::wait(&Signal("notification"), at, deadline, |slice| {
            // May return early; then it is another step.
            parker.park_timeout(slice);
            waiter.is_notified().then_some(())
        });
        // A notification may have come with the end of the time.
        let is_notified = !self.leave(&waiter);
        unwound.is_over = true;
        L::take_again(unwound.guard, others, at);
        is_notified
    }

    /// Takes a waiter out; false if it was notified before.
    fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut waiters = self.waiters.lock();
        let at = waiters.iter().position(|other| Arc::ptr_eq(other, waiter));
        at.and_then(|at| waiters.remove(at)).is_some()
    }
}

impl Waiter {
    fn wake(&self) {
        // Pairs with the load in `is_notified`.
        self.is_notified.store(true, Ordering::Release);
        self.unparker.unpark();
    }

    fn is_notified(&self) -> bool {
        self.is_notified.load(Ordering::Acquire)
    }
}

/// Puts things right when a wait is unwound by an interrupt.
struct Unwound<'c, 'g, 'l, L: Lockable + 'l> {
    condition: &'c Condition<L>,
    waiter: &'c Arc<Waiter>,
    guard: &'g mut L::Guard<'l>,
    others: usize,
    at: Place,
    is_over: bool,
}

impl<'l, L: Lockable + 'l> Drop for Unwound<'_, '_, 'l, L> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if !self.condition.leave(self.waiter) {
            // The notification was for a thread that goes on.
            self.condition.notify();
        }
        L::abandon(self.guard, self.others, self.at);
    }
}

impl<L: Lockable + fmt::Debug> fmt::Debug for Condition<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("lock", &*self.lock)
            .field("n_waiting", &self.n_waiting())
            .finish()
    }
}
