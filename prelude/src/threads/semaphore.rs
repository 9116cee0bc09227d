//! A counter of permits: each thread takes one, and waits where there is none.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::info;
use super::waits::{self, Holding, Place, Resource};
use crate::interrupt;

/// A counter that is never below 0: [`acquire`](Self::acquire) waits until it is above 0 and takes 1,
/// [`release`](Self::release) adds 1.
///
/// Began at 0 it is a signal from one thread to another, at 1 a lock that any thread may release, at `n` a way to let
/// at most `n` in. [`permit`](Self::permit) gives a guard, which releases when it is dropped.
///
/// ```
/// use forkline::prelude::*;
///
/// let places = threads::Semaphore::new(1);
/// {
///     let _place = places.permit();
///     assert!(!places.try_acquire());
/// }
/// assert_eq!(places.value(), 1);
/// ```
pub struct Semaphore {
    made: Place,
    count: Mutex<Count>,
    free: Condvar,
    /// As a whole it never goes above its beginning, for the bounded kind.
    is_bounded: bool,
}

struct Count {
    value: usize,
    /// At the beginning.
    total: usize,
    /// The permits that are out, with the thread that took each.
    holders: Vec<Holding>,
    /// Whether it was ever released by a thread that held no permit: then nobody knows who may release next.
    is_signal: bool,
}

impl Semaphore {
    /// A semaphore that begins with this many permits. A `static` may hold it.
    #[track_caller]
    pub const fn new(value: usize) -> Self {
        Self::of(value, false)
    }

    #[track_caller]
    const fn of(value: usize, is_bounded: bool) -> Self {
        Self {
            made: Location::caller(),
            count: Mutex::new(Count {
                value,
                total: value,
                holders: Vec::new(),
                is_signal: false,
            }),
            free: Condvar::new(),
            is_bounded,
        }
    }

    /// Waits for a permit and takes it; it comes back by [`release`](Self::release).
    ///
    /// # Panics
    /// With a report, if all permits are with threads that wait for each other.
    #[track_caller]
    pub fn acquire(&self) {
        self.take(None, Location::caller(), true);
    }

    /// Takes a permit if there is one.
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.take_now(Location::caller(), true)
    }

    /// Waits for so long at most; whether there was a permit.
    #[track_caller]
    pub fn acquire_timeout(&self, time: Duration) -> bool {
        self.take(interrupt::deadline(time), Location::caller(), true)
    }

    /// Waits for a permit; it comes back when the guard is dropped.
    ///
    /// # Panics
    /// As for [`acquire`](Self::acquire).
    #[track_caller]
    pub fn permit(&self) -> Permit<'_> {
        self.take(None, Location::caller(), false);
        Permit::of(self)
    }

    /// The same at once.
    #[track_caller]
    pub fn try_permit(&self) -> Option<Permit<'_>> {
        self.take_now(Location::caller(), false)
            .then(|| Permit::of(self))
    }

    /// The same, for so long at most.
    #[track_caller]
    pub fn permit_timeout(&self, time: Duration) -> Option<Permit<'_>> {
        self.take(interrupt::deadline(time), Location::caller(), false)
            .then(|| Permit::of(self))
    }

    /// Adds a permit, and lets one thread go on that waits. Any thread may, whether it holds one or not.
    ///
    /// # Panics
    /// The counter is at the end of its range.
    pub fn release(&self) {
        self.give_back().expect("a semaphore counts no further");
    }

    /// Adds `n` permits, and lets as many threads go on.
    ///
    /// # Panics
    /// As for [`release`](Self::release).
    pub fn release_many(&self, n: usize) {
        for _ in 0..n {
            self.release();
        }
    }

    /// How many permits there are, at this moment.
    pub fn value(&self) -> usize {
        self.count.lock().value
    }

    fn give_back(&self) -> Result<(), SemaphoreError> {
        let mut count = self.count.lock();
        let bound = if self.is_bounded {
            count.total
        } else {
            usize::MAX
        };
        if count.value >= bound {
            return Err(SemaphoreError::TooMany { bound });
        }
        count.value += 1;
        count.forget_holder();
        drop(count);
        self.free.notify_one();
        Ok(())
    }

    fn take_now(&self, at: Place, is_raw: bool) -> bool {
        let is_taken = self.count.lock().take();
        if is_taken {
            self.note(at, is_raw);
        }
        is_taken
    }

    fn take(&self, deadline: Option<Instant>, at: Place, is_raw: bool) -> bool {
        if self.take_now(at, is_raw) {
            return true;
        }
        let is_taken = waits::wait(self, at, deadline, |slice| {
            let mut count = self.count.lock();
            if count.take() {
                return Some(());
            }
            self.free.wait_for(&mut count, slice);
            count.take().then_some(())
        })
        .is_some();
        if is_taken {
            self.note(at, is_raw);
        }
        is_taken
    }

    /// The calling thread has a permit, and waits no more.
    fn note(&self, at: Place, is_raw: bool) {
        self.count.lock().holders.push(Holding {
            thread: info::id(),
            since: at,
            is_raw,
            // Nothing keeps another thread from calling release().
            is_certain: false,
        });
    }
}

impl Count {
    fn take(&mut self) -> bool {
        let is_there = self.value > 0;
        self.value -= usize::from(is_there);
        is_there
    }

    fn forget_holder(&mut self) {
        let own = info::id();
        match self.holders.iter().rposition(|held| held.thread == own) {
            Some(at) => drop(self.holders.swap_remove(at)),
            None => self.is_signal = true,
        }
    }
}

impl Resource for Semaphore {
    fn kind(&self) -> &'static str {
        "semaphore"
    }

    fn made(&self) -> Option<Place> {
        Some(self.made)
    }

    fn holders(&self) -> Option<Vec<Holding>> {
        let count = self.count.lock();
        let all_are_known = count.value == 0 && count.holders.len() == count.total;
        (all_are_known && !count.is_signal).then(|| {
            count
                .holders
                .iter()
                .map(|held| Holding { ..*held })
                .collect()
        })
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_bounded {
            "BoundedSemaphore"
        } else {
            "Semaphore"
        };
        let count = self.count.lock();
        let mut text = f.debug_struct(name);
        text.field("value", &count.value);
        if self.is_bounded {
            text.field("bound", &count.total);
        }
        text.finish()
    }
}

/// A permit of a semaphore; dropping it releases.
#[must_use = "a permit is given back when it is dropped: bind it to a name such as `_permit`"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl<'a> Permit<'a> {
    fn of(semaphore: &'a Semaphore) -> Self {
        Self {
            semaphore,
            _stays_on_its_thread: PhantomData,
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Fails only if somebody gave this permit back already, by a release() too many.
        let _given_back = self.semaphore.give_back();
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A [`Semaphore`] that never has more permits than at its beginning: one release too many is an error.
///
/// ```
/// use forkline::prelude::*;
///
/// let places = threads::BoundedSemaphore::new(2);
/// places.acquire();
/// places.release()?;
/// assert!(places.release().is_err());
/// # Ok::<(), forkline::threads::SemaphoreError>(())
/// ```
#[derive(Debug)]
#[repr(transparent)]
pub struct BoundedSemaphore(Semaphore);

impl BoundedSemaphore {
    /// A semaphore that begins with this many permits, and never has more.
    #[track_caller]
    pub const fn new(value: usize) -> Self {
        Self(Semaphore::of(value, true))
    }

    /// As [`Semaphore::acquire`].
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn acquire(&self) {
        self.0.acquire();
    }

    /// As [`Semaphore::try_acquire`].
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.0.try_acquire()
    }

    /// As [`Semaphore::acquire_timeout`].
    #[track_caller]
    pub fn acquire_timeout(&self, time: Duration) -> bool {
        self.0.acquire_timeout(time)
    }

    /// As [`Semaphore::permit`].
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn permit(&self) -> Permit<'_> {
        self.0.permit()
    }

    /// As [`Semaphore::try_permit`].
    #[track_caller]
    pub fn try_permit(&self) -> Option<Permit<'_>> {
        self.0.try_permit()
    }

    /// As [`Semaphore::permit_timeout`].
    #[track_caller]
    pub fn permit_timeout(&self, time: Duration) -> Option<Permit<'_>> {
        self.0.permit_timeout(time)
    }

    /// Adds a permit, and lets one thread go on that waits.
    ///
    /// # Errors
    /// [`SemaphoreError::TooMany`] if all are there; nothing has changed then.
    pub fn release(&self) -> Result<(), SemaphoreError> {
        self.0.give_back()
    }

    /// How many permits there are, at this moment.
    pub fn value(&self) -> usize {
        self.0.value()
    }
}

/// Why a semaphore takes no more permits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SemaphoreError {
    /// A bounded semaphore was released more often than acquired.
    TooMany {
        /// With how many it began.
        bound: usize,
    },
}

impl fmt::Display for SemaphoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { bound } => write!(
                f,
                "the semaphore cannot be released: all of its {bound} permits are there, so one release() is too many; \
                 call it once for each acquire()"
            ),
        }
    }
}

impl std::error::Error for SemaphoreError {}
