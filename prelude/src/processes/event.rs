//! A flag that processes wait for.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::linux;
use super::shared::{Layout, Shared, handle};
use crate::interrupt;

/// The memory of an event.
#[repr(C)]
pub(crate) struct State {
    /// Twice the number of times it was set, plus 1 if it is.
    flag: AtomicU32,
}

// SAFETY: an atomic.
unsafe impl Layout for State {}

/// A flag for all processes: [`wait`](Self::wait) waits until it is set. Clones are the same event.
///
/// Setting it lets all go on that wait at that moment, also if it is cleared at once.
///
/// ```
/// use forkline::prelude::*;
///
/// let ready = processes::Event::new();
/// assert!(!ready.wait_timeout(Duration::ZERO));
/// ready.set();
/// ready.wait();
/// assert!(ready.is_set());
/// ```
pub struct Event {
    shared: Shared<State>,
}

handle!(Event);

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// A flag that is not set.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn new() -> Self {
        Self::of(Shared::create(
            std::any::type_name::<Self>(),
            0,
            |_: &State| {},
        ))
    }

    fn of(shared: Shared<State>) -> Self {
        Event { shared }
    }

    fn change(&self, change: impl Fn(u32) -> u32) {
        let _old = self
            .shared
            .flag
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |flag| {
                Some(change(flag))
            });
    }

    /// Sets the flag, and lets all go on that wait.
    pub fn set(&self) {
        self.change(|flag| (flag & !1).wrapping_add(2) | 1);
        linux::wake(&self.shared.flag, u32::MAX);
    }

    /// Takes the flag back.
    pub fn clear(&self) {
        self.change(|flag| flag & !1);
    }

    /// Whether it is set, at this moment.
    pub fn is_set(&self) -> bool {
        self.shared.flag.load(Ordering::Acquire) & 1 != 0
    }

    /// Waits until the flag is set; returns at once if it is.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// The same, for so long at most; whether it was set in that time.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.wait_until(interrupt::deadline(time))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let flag = &self.shared.flag;
        let begun = flag.load(Ordering::Acquire);
        let is_over = |flag: u32| flag & 1 != 0 || flag >> 1 != begun >> 1;
        interrupt::wait(deadline, |slice| {
            let seen = flag.load(Ordering::Acquire);
            if !is_over(seen) && !slice.is_zero() {
                linux::sleep_while(flag, seen, slice);
            }
            is_over(flag.load(Ordering::Acquire)).then_some(())
        })
        .is_some()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("is_set", &self.is_set())
            .finish()
    }
}

#[cfg(test)]
mod tests;
