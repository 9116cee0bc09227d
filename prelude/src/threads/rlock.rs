//! A lock that its owner may take again.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::time::{Duration, Instant};

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

use super::holder::Holder;
use super::lock::LockError;
use super::waits::{self, Place};
use crate::interrupt;

/// A reentrant lock: its owner may take it again, and must give it back as often. parking_lot's reentrant mutex, with
/// a name for whoever holds it.
///
/// Guards give the value as `&T` only, because its owner may have several; so values that change are in a `Cell` or
/// a `RefCell`. Only the owner may [`release`](Self::release) what it acquired.
///
/// ```
/// use forkline::prelude::*;
/// use std::cell::Cell;
///
/// let count = threads::RLock::new(Cell::new(0));
/// let outer = count.lock();
/// let inner = count.lock(); // the same thread, again
/// inner.set(inner.get() + 1);
/// drop((inner, outer));
/// assert_eq!(count.lock().get(), 1);
/// ```
#[doc(alias = "ReentrantMutex")]
pub struct RLock<T: ?Sized = ()> {
    holder: Holder,
    inner: ReentrantMutex<T>,
}

impl<T> RLock<T> {
    /// A lock that is free, with this value. A `static` may hold it.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self {
            holder: Holder::of_rlock(Location::caller()),
            inner: ReentrantMutex::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RLock<T> {
    /// Waits until the lock is free or this thread's own, and takes it (once more).
    ///
    /// # Panics
    /// With a report, if that is a deadlock.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> RLockGuard<'_, T> {
        self.lock_at(Location::caller())
    }

    /// Takes the lock if it is free or this thread's own.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<RLockGuard<'_, T>> {
        Some(self.guard(self.inner.try_lock()?, Location::caller()))
    }

    /// Waits for so long at most; none if the lock was another thread's all that time.
    #[track_caller]
    pub fn lock_timeout(&self, time: Duration) -> Option<RLockGuard<'_, T>> {
        self.take(interrupt::deadline(time), Location::caller())
    }

    /// Takes the lock without a guard; it is taken until this thread calls [`release`](Self::release).
    ///
    /// # Panics
    /// With a report, if that is a deadlock.
    #[track_caller]
    pub fn acquire(&self) {
        self.acquire_at(Location::caller());
    }

    /// The same at once; whether the lock was free or this thread's own.
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        let guard = self.try_lock();
        guard.map(|guard| self.keep(guard)).is_some()
    }

    /// The same, for so long at most.
    #[track_caller]
    pub fn acquire_timeout(&self, time: Duration) -> bool {
        let guard = self.lock_timeout(time);
        guard.map(|guard| self.keep(guard)).is_some()
    }

    /// Gives back one [`acquire`](Self::acquire) of this thread.
    ///
    /// # Errors
    /// [`LockError::NotOwner`] if this thread does not hold the lock, [`LockError::HeldByGuard`] if only guards do.
    pub fn release(&self) -> Result<(), LockError> {
        if !self.is_owned() {
            let owner = self.holder.thread_name();
            return Err(LockError::NotOwner { owner });
        }
        if !self.holder.take_raw() {
            return Err(LockError::HeldByGuard);
        }
        self.holder.leave();
        // SAFETY: this thread owns the lock, and one `acquire()` whose guard was forgotten has not been given back:
        // `take_raw` counted it down.
        unsafe { self.inner.force_unlock() };
        Ok(())
    }

    /// Whether somebody holds it, at this moment.
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    /// Whether the calling thread holds it.
    pub fn is_owned(&self) -> bool {
        self.inner.is_owned_by_current_thread()
    }

    /// The value, for whoever has the lock to itself.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    #[inline]
    pub(super) fn lock_at(&self, at: Place) -> RLockGuard<'_, T> {
        match self.inner.try_lock() {
            Some(inner) => self.guard(inner, at),
            None => self.wait(at),
        }
    }

    pub(super) fn acquire_at(&self, at: Place) {
        self.keep(self.lock_at(at));
    }

    fn keep(&self, guard: RLockGuard<'_, T>) {
        self.holder.add_raw();
        std::mem::forget(guard);
    }

    #[inline]
    fn guard<'a>(&'a self, inner: ReentrantMutexGuard<'a, T>, at: Place) -> RLockGuard<'a, T> {
        self.holder.enter(at);
        RLockGuard {
            lock: self,
            inner: Some(inner),
        }
    }

    #[cold]
    fn wait(&self, at: Place) -> RLockGuard<'_, T> {
        self.take(None, at)
            .expect("a wait without a deadline ends with the lock")
    }

    fn take(&self, deadline: Option<Instant>, at: Place) -> Option<RLockGuard<'_, T>> {
        let inner = self.inner.try_lock().or_else(|| {
            waits::wait(&self.holder, at, deadline, |slice| {
                self.inner.try_lock_for(slice)
            })
        })?;
        Some(self.guard(inner, at))
    }
}

impl<T: Default> Default for RLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RLock");
        if let Some(name) = self.holder.thread_name() {
            text.field("held_by", &name);
            text.field("times", &self.holder.depth());
        }
        match self.inner.try_lock() {
            Some(value) => text.field("value", &&*value),
            None => text.field("value", &format_args!("<locked>")),
        };
        text.finish()
    }
}

/// The right to use an [`RLock`]'s value; dropping it gives the lock back once.
#[must_use = "the lock is given back when its guard is dropped: bind it to a name such as `_guard`"]
pub struct RLockGuard<'a, T: ?Sized> {
    lock: &'a RLock<T>,
    /// None while a condition waits, and if that wait was unwound.
    inner: Option<ReentrantMutexGuard<'a, T>>,
}

impl<'a, T: ?Sized> RLockGuard<'a, T> {
    pub(super) fn is_of(&self, lock: &RLock<T>) -> bool {
        std::ptr::addr_eq(self.lock, lock)
    }

    /// Gives the lock back as often as this thread has taken it, and says how often it did besides this guard.
    pub(super) fn give_back(&mut self) -> usize {
        let lock = self.lock;
        let others = lock.holder.depth().saturating_sub(1);
        for _ in 0..others {
            lock.holder.leave();
            // SAFETY: this thread owns the lock so often, by guards or `acquire()`. It stands in the wait of a
            // condition until `take_again` has made good for them, also when that wait is unwound: so none of them
            // is used or dropped meanwhile.
            unsafe { lock.inner.force_unlock() };
        }
        if let Some(inner) = self.inner.take() {
            lock.holder.leave();
            drop(inner);
        }
        others
    }

    /// Makes good for `give_back`.
    pub(super) fn take_again(&mut self, others: usize, at: Place) {
        // First without a look for deadlocks: a panic here would leave the other guards without what they count on.
        self.take_others(others, at);
        let mut again = self.lock.lock_at(at);
        self.inner = again.inner.take();
    }

    /// Only for the guards besides this one, whatever else happens: they count on it.
    pub(super) fn take_others(&self, others: usize, at: Place) {
        for _ in 0..others {
            self.lock.holder_enter_blocking(at);
        }
    }
}

impl<T: ?Sized> RLock<T> {
    /// Takes the lock once more for a guard that is there already.
    fn holder_enter_blocking(&self, at: Place) {
        std::mem::forget(self.inner.lock());
        self.holder.enter(at);
    }
}

impl<T: ?Sized> Deref for RLockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.inner
            .as_ref()
            .expect("the lock was lost in a wait that was interrupted")
    }
}

impl<T: ?Sized> Drop for RLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Before the lock is free: afterwards the entry is another thread's.
        if self.inner.is_some() {
            self.lock.holder.leave();
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
