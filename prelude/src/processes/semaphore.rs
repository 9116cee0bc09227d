//! Semaphores between processes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::linux;
use super::shared::{Layout, Shared, handle};
use crate::interrupt;

/// The memory of a semaphore.
#[repr(C)]
pub(crate) struct State {
    value: AtomicU32,
    /// How many sleep, or were killed when they slept.
    waiting: AtomicU32,
    bound: AtomicU32,
}

// SAFETY: atomics.
unsafe impl Layout for State {}

impl State {
    fn try_take(&self) -> bool {
        self.value
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |value| {
                value.checked_sub(1)
            })
            .is_ok()
    }

    fn take(&self, deadline: Option<Instant>) -> bool {
        if self.try_take() {
            return true;
        }
        let _waiting = Waiting::of(&self.waiting);
        interrupt::wait(deadline, |slice| {
            if self.try_take() {
                return Some(());
            }
            if !slice.is_zero() {
                linux::sleep_while(&self.value, 0, slice);
            }
            self.try_take().then_some(())
        })
        .is_some()
    }

    fn give(&self, count: u32) -> Result<(), SemaphoreError> {
        let bound = self.bound.load(Ordering::Relaxed);
        self.value
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |value| {
                value.checked_add(count).filter(|&value| value <= bound)
            })
            .map_err(|_| SemaphoreError::TooMany {
                bound: bound as usize,
            })?;
        if self.waiting.load(Ordering::SeqCst) > 0 {
            linux::wake(&self.value, count);
        }
        Ok(())
    }
}

/// Counts the caller among those who wait, until it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl Waiting<'_> {
    fn of(count: &AtomicU32) -> Waiting<'_> {
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Why a semaphore takes no more permits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SemaphoreError {
    /// It was released more often than acquired.
    TooMany {
        /// How many permits it may have.
        bound: usize,
    },
}

impl fmt::Display for SemaphoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SemaphoreError::TooMany { bound } = self;
        write!(
            formatter,
            "the semaphore cannot be released: all of its {bound} permits are there, so one release() is too many; \
             do: call it once for each acquire()"
        )
    }
}

impl std::error::Error for SemaphoreError {}

macro_rules! semaphore {
    ($(#[$doc:meta])* $semaphore:ident, $permit:ident) => {
        $(#[$doc])*
        pub struct $semaphore {
            shared: Shared<State>,
        }

        handle!($semaphore);

        impl $semaphore {
            fn of(shared: Shared<State>) -> Self {
                Self { shared }
            }

            #[track_caller]
            fn with(value: usize, bound: u32) -> Self {
                let Ok(value) = u32::try_from(value) else {
                    panic!("a semaphore has at most {} permits", u32::MAX);
                };
                Self::of(Shared::create(std::any::type_name::<Self>(), 0, |state: &State| {
                    state.value.store(value, Ordering::Relaxed);
                    state.bound.store(bound, Ordering::Relaxed);
                }))
            }

            /// Takes a permit; waits for one.
            pub fn acquire(&self) {
                self.shared.take(None);
            }

            /// Takes a permit at once; whether there was one.
            pub fn try_acquire(&self) -> bool {
                self.shared.try_take()
            }

            /// Takes a permit; waits for so long at most. Whether there was one in that time.
            pub fn acquire_timeout(&self, time: Duration) -> bool {
                self.shared.take(interrupt::deadline(time))
            }

            /// Takes a permit, which is given back when the result is dropped; waits for one.
            pub fn permit(&self) -> $permit<'_> {
                self.acquire();
                $permit::of(self)
            }

            /// The same at once.
            pub fn try_permit(&self) -> Option<$permit<'_>> {
                self.try_acquire().then(|| $permit::of(self))
            }

            /// The same, for so long at most.
            pub fn permit_timeout(&self, time: Duration) -> Option<$permit<'_>> {
                self.acquire_timeout(time).then(|| $permit::of(self))
            }

            /// How many permits there are, at this moment.
            pub fn value(&self) -> usize {
                self.shared.value.load(Ordering::Relaxed) as usize
            }
        }

        impl fmt::Debug for $semaphore {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($semaphore));
                shown.field("value", &self.value());
                let bound = self.shared.bound.load(Ordering::Relaxed);
                if bound != u32::MAX {
                    shown.field("bound", &bound);
                }
                shown.finish()
            }
        }

        /// A permit of a semaphore; dropping it gives it back.
        #[must_use = "a permit is given back when it is dropped: bind it to a name such as `_permit`"]
        pub struct $permit<'a> {
            semaphore: &'a $semaphore,
            thread: PhantomData<*const ()>,
        }

        impl<'a> $permit<'a> {
            fn of(semaphore: &'a $semaphore) -> Self {
                Self { semaphore, thread: PhantomData }
            }
        }

        impl Drop for $permit<'_> {
            fn drop(&mut self) {
                // Fails only if somebody gave this permit back already, by a release() too many.
                let _given_back = self.semaphore.shared.give(1);
            }
        }

        impl fmt::Debug for $permit<'_> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(stringify!($permit))
            }
        }
    };
}

semaphore! {
    /// A number of permits, for all processes: so many may be inside at the same time. Clones are the same semaphore.
    ///
    /// Anybody may release. A process that is killed takes the permits that it had with it; where that must not
    /// happen use a [`Lock`](super::Lock).
    ///
    /// ```
    /// use forkline::prelude::*;
    ///
    /// let places = processes::Semaphore::new(1);
    /// {
    ///     let _permit = places.permit();
    ///     assert!(!places.try_acquire());
    /// }
    /// places.release();
    /// assert_eq!(places.value(), 2);
    /// ```
    Semaphore, Permit
}

impl Semaphore {
    /// A semaphore that begins with so many permits.
    ///
    /// # Panics
    /// There are more than 2³² - 1 of them, or the system has no memory or no descriptors left.
    #[track_caller]
    pub fn new(value: usize) -> Self {
        Self::with(value, u32::MAX)
    }

    /// Adds a permit, and lets one go on that waits.
    ///
    /// # Panics
    /// There would be more than 2³² - 1 permits.
    #[track_caller]
    pub fn release(&self) {
        self.release_many(1);
    }

    /// Adds so many permits, and lets as many go on that wait.
    ///
    /// # Panics
    /// There would be more than 2³² - 1 permits.
    #[track_caller]
    pub fn release_many(&self, n: usize) {
        let given = u32::try_from(n).ok().map(|n| self.shared.give(n));
        assert!(
            matches!(given, Some(Ok(()))),
            "a semaphore has at most {} permits",
            u32::MAX
        );
    }
}

semaphore! {
    /// A [`Semaphore`] that never has more permits than at its beginning: one release too many is an error.
    ///
    /// ```
    /// use forkline::prelude::*;
    ///
    /// let places = processes::BoundedSemaphore::new(2);
    /// places.acquire();
    /// places.release()?;
    /// assert!(places.release().is_err());
    /// # Ok::<(), processes::SemaphoreError>(())
    /// ```
    BoundedSemaphore, BoundedPermit
}

impl BoundedSemaphore {
    /// A semaphore that begins with so many permits, and never has more.
    ///
    /// # Panics
    /// There are more than 2³² - 1 of them, or the system has no memory or no descriptors left.
    #[track_caller]
    pub fn new(value: usize) -> Self {
        Self::with(value, u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// Adds a permit, and lets one go on that waits.
    ///
    /// # Errors
    /// All permits are there; nothing has changed then.
    pub fn release(&self) -> Result<(), SemaphoreError> {
        self.shared.give(1)
    }
}

#[cfg(test)]
mod tests;
