//! Locks between processes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::shared::{Layout, Mutex, Shared, handle};
use crate::interrupt;

/// The memory of a lock.
#[repr(C)]
pub(crate) struct State {
    mutex: Mutex,
    /// 1 if the holder got the lock from one that had ended.
    from_dead: AtomicU32,
}

// SAFETY: a mutex and an atomic; zero is a valid value of both.
unsafe impl Layout for State {}

impl State {
    fn take(&self, deadline: Option<Instant>) -> bool {
        let taken = self.mutex.lock(deadline);
        if let Some(taken) = taken {
            self.from_dead
                .store(taken.from_dead.into(), Ordering::Relaxed);
        }
        taken.is_some()
    }

    fn try_take(&self) -> bool {
        let taken = self.mutex.try_lock();
        if let Some(taken) = taken {
            self.from_dead
                .store(taken.from_dead.into(), Ordering::Relaxed);
        }
        taken.is_some()
    }
}

/// Why a lock cannot be released.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockError {
    /// Nobody has acquired it by this handle.
    NotAcquired,
    /// Another thread has acquired it.
    NotOwner,
}

impl fmt::Display for LockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LockError::NotAcquired => {
                "the lock cannot be released: nobody has acquired it here; do: call release() once for each acquire(), \
                 and drop a guard instead"
            }
            LockError::NotOwner => {
                "the lock cannot be released: another thread or process holds it, and a lock that outlives its killed \
                 holder belongs to who took it; do: let that one release it, or use a Semaphore of 1"
            }
        })
    }
}

impl std::error::Error for LockError {}

macro_rules! lock {
    ($(#[$doc:meta])* $lock:ident, $guard:ident, $is_recursive:literal) => {
        $(#[$doc])*
        pub struct $lock {
            shared: Shared<State>,
        }

        handle!($lock);

        impl Default for $lock {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $lock {
            /// A lock that is free.
            ///
            /// # Panics
            /// The system has no memory or no descriptors left.
            #[track_caller]
            pub fn new() -> Self {
                let kind = std::any::type_name::<Self>();
                Self::of(Shared::create(kind, 0, |state: &State| state.mutex.init($is_recursive)))
            }

            fn of(shared: Shared<State>) -> Self {
                Self { shared }
            }

            fn guard(&self) -> $guard<'_> {
                $guard {
                    from_dead: self.previous_holder_died(),
                    shared: self.shared.clone(),
                    lock: PhantomData,
                }
            }

            /// Waits until the lock is free and takes it.
            ///
            /// # Panics
            /// This thread would wait for itself for ever.
            #[track_caller]
            pub fn lock(&self) -> $guard<'_> {
                self.shared.take(None);
                self.guard()
            }

            /// Takes the lock if it is free.
            pub fn try_lock(&self) -> Option<$guard<'_>> {
                self.shared.try_take().then(|| self.guard())
            }

            /// Waits for so long at most; none if the lock was not free in that time.
            pub fn lock_timeout(&self, time: Duration) -> Option<$guard<'_>> {
                self.shared.take(interrupt::deadline(time)).then(|| self.guard())
            }

            /// Waits until the lock is free and takes it, without a guard: it is taken until this thread calls
            /// [`release`](Self::release).
            ///
            /// # Panics
            /// This thread would wait for itself for ever.
            #[track_caller]
            pub fn acquire(&self) {
                self.shared.take(None);
                self.shared.keep();
            }

            /// The same at once; whether the lock was free.
            pub fn try_acquire(&self) -> bool {
                let is_taken = self.shared.try_take();
                if is_taken {
                    self.shared.keep();
                }
                is_taken
            }

            /// The same, for so long at most; whether the lock was free in that time.
            pub fn acquire_timeout(&self, time: Duration) -> bool {
                let is_taken = self.shared.take(interrupt::deadline(time));
                if is_taken {
                    self.shared.keep();
                }
                is_taken
            }

            /// Gives back what [`acquire`](Self::acquire) took.
            ///
            /// # Errors
            /// Nobody has acquired it, or another thread has.
            pub fn release(&self) -> Result<(), LockError> {
                if !self.shared.is_kept() {
                    return Err(LockError::NotAcquired);
                }
                if !self.shared.mutex.unlock() {
                    return Err(LockError::NotOwner);
                }
                self.shared.unkeep();
                Ok(())
            }

            /// Whether somebody holds it, at this moment.
            pub fn is_locked(&self) -> bool {
                self.shared.mutex.holder().is_some()
            }

            /// For the holder: whether the one before it was killed, or its thread ended, while it held the lock.
            /// What the lock protects may then be half-changed. The next holder is not told again.
            pub fn previous_holder_died(&self) -> bool {
                self.shared.from_dead.load(Ordering::Relaxed) != 0
            }
        }

        impl fmt::Debug for $lock {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($lock));
                match self.shared.mutex.holder() {
                    Some(thread) => shown.field("holder", &thread),
                    None => shown.field("is_locked", &false),
                };
                shown.finish()
            }
        }

        /// Holds a lock, and gives it back when it is dropped.
        #[must_use = "the lock is given back when the guard is dropped: bind it to a name such as `_guard`"]
        pub struct $guard<'a> {
            /// A clone, so that the memory stays even if the guard is forgotten: the mutex is in this thread's list.
            shared: Shared<State>,
            from_dead: bool,
            lock: PhantomData<(&'a $lock, *const ())>,
        }

        impl $guard<'_> {
            /// Whether the holder before was killed, or its thread ended, while it held the lock. What the lock
            /// protects may then be half-changed. The next holder is not told again.
            pub fn previous_holder_died(&self) -> bool {
                self.from_dead
            }
        }

        impl Drop for $guard<'_> {
            fn drop(&mut self) {
                self.shared.mutex.unlock();
            }
        }

        impl fmt::Debug for $guard<'_> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($guard))
                    .field("previous_holder_died", &self.from_dead)
                    .finish()
            }
        }
    };
}

lock! {
    /// A lock that one thread of all processes holds at a time. Clones are the same lock.
    ///
    /// It belongs to the thread that took it, which gives it back by dropping the guard. If its process is killed
    /// meanwhile the next one gets the lock and is told. A lock that is given back by another than the one who took
    /// it, as Python's may be, is a [`Semaphore`](super::Semaphore) of 1.
    ///
    /// ```
    /// use forkline::prelude::*;
    ///
    /// let lock = processes::Lock::new();
    /// {
    ///     let guard = lock.lock();
    ///     assert!(!guard.previous_holder_died());
    ///     assert!(lock.is_locked() && lock.try_lock().is_none());
    /// }
    /// lock.acquire();
    /// lock.release()?;
    /// assert!(lock.release().is_err());
    /// # Ok::<(), processes::LockError>(())
    /// ```
    Lock, LockGuard, false
}

lock! {
    /// A lock that its holder may take again: it is free when it was given back as often as taken. Clones are the
    /// same lock. If the holder is killed the next one gets the lock, however often it was taken, and is told.
    ///
    /// ```
    /// use forkline::prelude::*;
    ///
    /// let lock = processes::RLock::new();
    /// let outer = lock.lock();
    /// let inner = lock.lock();
    /// drop(outer);
    /// assert!(lock.is_locked());
    /// drop(inner);
    /// assert!(!lock.is_locked());
    /// ```
    RLock, RLockGuard, true
}

impl LockGuard<'_> {
    /// Whether it is the guard of this handle, or of a clone of it.
    pub(crate) fn is_of(&self, lock: &Lock) -> bool {
        self.shared.is_same(&lock.shared)
    }

    /// Gives the lock back while `body` runs, and takes it again, also when `body` unwinds.
    pub(crate) fn without<R>(&mut self, body: impl FnOnce() -> R) -> R {
        struct Again<'a>(&'a State);
        impl Drop for Again<'_> {
            fn drop(&mut self) {
                // While an interrupt unwinds too: the guard of the caller will give the lock back.
                self.0.take(None);
            }
        }
        self.shared.mutex.unlock();
        let again = Again(&self.shared);
        let result = body();
        drop(again);
        self.from_dead = self.shared.from_dead.load(Ordering::Relaxed) != 0;
        result
    }
}

#[cfg(test)]
mod tests;
