//! A lock that one thread holds at a time.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::holder::Holder;
use super::waits::{self, Place};
use crate::interrupt;

/// A value that one thread at a time may use: parking_lot's mutex, with a name for whoever holds it.
///
/// [`lock`](Self::lock) gives a guard, which gives the lock back when it is dropped, also by a panic. A second `lock`
/// by the same thread is a deadlock, and is reported as one; [`RLock`](super::RLock) can be taken again.
///
/// [`acquire`](Self::acquire) and [`release`](Self::release) have no guard, for protocols that no scope fits: any
/// thread may release what another has acquired.
///
/// ```
/// use forkline::prelude::*;
///
/// let total = threads::Lock::new(0);
/// thread::scope(|scope| {
///     for n in 1..=3 {
///         let total = &total;
///         scope.spawn(move || *total.lock() += n);
///     }
/// });
/// assert_eq!(*total.lock(), 6);
/// assert!(total.try_acquire() && !total.try_acquire());
/// total.release()?;
/// # Ok::<(), forkline::threads::LockError>(())
/// ```
#[doc(alias = "Mutex")]
pub struct Lock<T: ?Sized = ()> {
    holder: Holder,
    inner: Mutex<T>,
}

impl<T> Lock<T> {
    /// A lock that is free, with this value. A `static` may hold it.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self {
            holder: Holder::of_lock(Location::caller()),
            inner: Mutex::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Lock<T> {
    /// Waits until the lock is free and takes it.
    ///
    /// # Panics
    /// With a report, if that is a deadlock.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockGuard<'_, T> {
        self.lock_at(Location::caller())
    }

    /// Takes the lock if it is free.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        Some(self.guard(self.inner.try_lock()?, Location::caller()))
    }

    /// Waits for so long at most; none if the lock was not free in that time.
    #[track_caller]
    pub fn lock_timeout(&self, time: Duration) -> Option<LockGuard<'_, T>> {
        self.take(interrupt::deadline(time), Location::caller())
    }

    /// Waits until the lock is free and takes it, without a guard: it is taken until somebody calls
    /// [`release`](Self::release).
    ///
    /// # Panics
    /// With a report, if that is a deadlock.
    #[track_caller]
    pub fn acquire(&self) {
        self.acquire_at(Location::caller());
    }

    /// The same at once; whether the lock was free.
    #[doc(alias = "acquire(False)")]
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        let guard = self.try_lock();
        guard.map(|guard| self.keep(guard)).is_some()
    }

    /// The same, for so long at most; whether the lock was free in that time.
    #[track_caller]
    pub fn acquire_timeout(&self, time: Duration) -> bool {
        let guard = self.lock_timeout(time);
        guard.map(|guard| self.keep(guard)).is_some()
    }

    /// Gives back what [`acquire`](Self::acquire) took. Any thread may.
    ///
    /// # Errors
    /// [`LockError::NotAcquired`] if the lock is free, [`LockError::HeldByGuard`] if a guard holds it.
    pub fn release(&self) -> Result<(), LockError> {
        if !self.holder.take_raw() {
            return Err(if self.is_locked() {
                LockError::HeldByGuard
            } else {
                LockError::NotAcquired
            });
        }
        if !self.holder.is_held_here() {
            self.holder.set_shared();
        }
        self.holder.clear();
        // SAFETY: an `acquire()` whose guard was forgotten has not been given back before: `take_raw` counted it
        // down. parking_lot's lock knows no owner, so that the thread does not matter.
        unsafe { self.inner.force_unlock() };
        Ok(())
    }

    /// Whether somebody holds it, at this moment.
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    /// The value, for whoever has the lock to itself.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    #[inline]
    pub(super) fn lock_at(&self, at: Place) -> LockGuard<'_, T> {
        match self.inner.try_lock() {
            Some(inner) => self.guard(inner, at),
            None => self.wait(at),
        }
    }

    pub(super) fn acquire_at(&self, at: Place) {
        self.keep(self.lock_at(at));
    }

    fn keep(&self, guard: LockGuard<'_, T>) {
        self.holder.add_raw();
        std::mem::forget(guard);
    }

    #[inline]
    fn guard<'a>(&'a self, inner: MutexGuard<'a, T>, at: Place) -> LockGuard<'a, T> {
        self.holder.set(at);
        LockGuard {
            lock: self,
            inner: Some(inner),
        }
    }

    #[cold]
    fn wait(&self, at: Place) -> LockGuard<'_, T> {
        self.take(None, at)
            .expect("a wait without a deadline ends with the lock")
    }

    fn take(&self, deadline: Option<Instant>, at: Place) -> Option<LockGuard<'_, T>> {
        let inner = self.inner.try_lock().or_else(|| {
            waits::wait(&self.holder, at, deadline, |slice| {
                self.inner.try_lock_for(slice)
            })
        })?;
        Some(self.guard(inner, at))
    }
}

impl<T: Default> Default for Lock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Lock");
        match self.inner.try_lock() {
            Some(value) => text.field("value", &&*value),
            None => match self.holder.thread_name() {
                Some(name) => text.field("held_by", &name),
                None => text.field("value", &format_args!("<locked>")),
            },
        };
        text.finish()
    }
}

/// The right to use a [`Lock`]'s value; dropping it gives the lock back.
#[must_use = "the lock is given back when its guard is dropped: bind it to a name such as `_guard`"]
pub struct LockGuard<'a, T: ?Sized> {
    lock: &'a Lock<T>,
    /// None while a condition waits, and if that wait was unwound.
    inner: Option<MutexGuard<'a, T>>,
}

impl<T: ?Sized> LockGuard<'_, T> {
    pub(super) fn is_of(&self, lock: &Lock<T>) -> bool {
        std::ptr::addr_eq(self.lock, lock)
    }

    pub(super) fn give_back(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.lock.holder.clear();
            drop(inner);
        }
    }

    pub(super) fn take_again(&mut self, at: Place) {
        let mut again = self.lock.lock_at(at);
        self.inner = again.inner.take();
    }
}

impl<T: ?Sized> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.inner.as_ref().expect(LOST)
    }
}

impl<T: ?Sized> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect(LOST)
    }
}

const LOST: &str = "the lock was lost in a wait that was interrupted";

impl<T: ?Sized> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Before the lock is free: afterwards the entry is another thread's.
        if self.inner.is_some() {
            self.lock.holder.clear();
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Why a lock cannot be released.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockError {
    /// Nobody has acquired it.
    NotAcquired,
    /// A guard holds it, and gives it back itself.
    HeldByGuard,
    /// Another thread holds it, and only the owner may release this kind of lock.
    NotOwner {
        /// The owner, if it is known.
        owner: Option<String>,
    },
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAcquired => f.write_str(
                "the lock cannot be released: nobody has acquired it; call release() once for each acquire()",
            ),
            Self::HeldByGuard => f.write_str(
                "the lock cannot be released: a guard holds it; drop the guard, release() is for acquire()",
            ),
            Self::NotOwner { owner: Some(owner) } => write!(
                f,
                "the lock cannot be released: thread '{owner}' holds it, and only its owner may release an RLock; \
                 let that thread do it"
            ),
            Self::NotOwner { owner: None } => f.write_str(
                "the lock cannot be released: this thread does not hold it, and only its owner may release an RLock; \
                 acquire it first",
            ),
        }
    }
}

impl std::error::Error for LockError {}
