//! One side of a ring: its writers or its readers.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use crate::processes::linux;
use crate::processes::shared::Mutex;

/// What the other side looks at, in a cache line of its own.
#[repr(C, align(128))]
pub(super) struct Shown {
    /// Bytes since the beginning: `tail` or `head`.
    pub(super) position: AtomicU64,
    /// Whole messages since the beginning.
    pub(super) messages: AtomicU64,
}

/// What writers or readers keep for themselves, under their mutex.
#[repr(C, align(128))]
pub(super) struct Side {
    pub(super) mutex: Mutex,
    /// What `position` becomes by the step that is being taken …
    pub(super) next_position: AtomicU64,
    /// … and `messages` with it.
    pub(super) next_messages: AtomicU64,
    /// The other side's position when it was last looked at: it is looked at again only when this is not enough,
    /// because each look takes the cache line from the other side.
    pub(super) known: AtomicU64,
    /// Where the writers last looked whether the ring was empty.
    pub(super) looked: AtomicU64,
    /// 1 if one of this side sleeps until the other side moves.
    pub(super) sleeps: Alone,
    pub(super) shown: Shown,
}

/// Read by the other side after each step, and written only by who sleeps.
#[repr(C, align(128))]
pub(super) struct Alone(pub(super) AtomicU32);

impl Side {
    /// Takes a step: the frames up to `position` are there, or gone, and `messages` with them.
    pub(super) fn step(&self, position: u64, messages: u64) {
        // In this order: while `next_messages` is the old one, `next_position` already differs from `position`.
        self.next_position.store(position, Ordering::Relaxed);
        self.next_messages.store(messages, Ordering::Release);
        self.shown.position.store(position, Ordering::Release);
        self.shown.messages.store(messages, Ordering::Release);
    }

    /// Ends the step of a dead holder of the mutex, if it got so far that the other side could see it.
    pub(super) fn repair(&self) {
        if self.shown.position.load(Ordering::Acquire) == self.next_position.load(Ordering::Acquire)
        {
            let messages = self.next_messages.load(Ordering::Relaxed);
            self.shown.messages.store(messages, Ordering::Release);
        }
    }

    /// Wakes the one of this side who sleeps, if there is one.
    pub(super) fn wake(&self) {
        // The sleeper stores `sleeps` and then looks at the other side's position; this side has stored the
        // position and looks at `sleeps`. The fence puts one of the two orders in force, so one sees the other.
        fence(Ordering::SeqCst);
        if self.sleeps.0.load(Ordering::Relaxed) != 0
            && self.sleeps.0.swap(0, Ordering::Relaxed) != 0
        {
            linux::wake(&self.sleeps.0, 1);
        }
    }

    /// Sleeps until the other side wakes this one, at most for the time, unless `is_ready`.
    pub(super) fn sleep_unless(&self, time: Duration, is_ready: impl Fn() -> bool) {
        for _ in 0..SPINS {
            if is_ready() {
                return;
            }
            std::hint::spin_loop();
        }
        self.sleeps.0.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !is_ready() {
            linux::sleep_while(&self.sleeps.0, 1, time);
        }
        self.sleeps.0.store(0, Ordering::Relaxed);
    }
}

/// How often a side looks again before it sleeps: some ten microseconds, about what falling asleep and waking cost.
pub(super) const SPINS: u32 = 500;
