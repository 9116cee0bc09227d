//! The time of a loop.

use std::cell::Cell;
use std::time::{Duration, Instant};

pub(super) enum Clock {
    Real(Instant),
    Virtual(Cell<Duration>),
}

impl Clock {
    pub fn real() -> Self {
        Clock::Real(Instant::now())
    }

    pub fn virtual_time() -> Self {
        Clock::Virtual(Cell::default())
    }

    pub fn now(&self) -> Duration {
        match self {
            Clock::Real(start) => start.elapsed(),
            Clock::Virtual(now) => now.get(),
        }
    }

    /// Nothing is to be done before `time`: a virtual clock goes there, never back.
    pub fn advance_to(&self, time: Duration) {
        if let Clock::Virtual(now) = self {
            now.set(now.get().max(time));
        }
    }
}
