//! A flag that threads wait for.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::waits::{self, Place, Signal};
use crate::interrupt;

/// A flag: [`wait`](Self::wait) waits until it is set.
///
/// Setting it lets all threads go on that wait at that moment, also if it is cleared at once. A thread that comes to
/// its `wait` after the clearing has missed it: what must not be missed goes through a [`Queue`](super::Queue) or a
/// [`Semaphore`](super::Semaphore).
///
/// ```
/// use forkline::prelude::*;
///
/// static READY: threads::Event = threads::Event::new();
/// let waiter = threads::spawn(|| READY.wait());
/// READY.set();
/// waiter.join()?;
/// assert!(READY.is_set());
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
pub struct Event {
    flag: Mutex<Flag>,
    set: Condvar,
}

struct Flag {
    is_set: bool,
    /// How often it was set.
    n_sets: u64,
}

impl Event {
    /// A flag that is not set. A `static` may hold it.
    pub const fn new() -> Self {
        Self {
            flag: Mutex::new(Flag {
                is_set: false,
                n_sets: 0,
            }),
            set: Condvar::new(),
        }
    }

    /// Sets the flag, and lets all threads go on that wait.
    pub fn set(&self) {
        let mut flag = self.flag.lock();
        flag.is_set = true;
        flag.n_sets += 1;
        self.set.notify_all();
    }

    /// Takes the flag back.
    pub fn clear(&self) {
        self.flag.lock().is_set = false;
    }

    /// Whether it is set, at this moment.
    pub fn is_set(&self) -> bool {
        self.flag.lock().is_set
    }

    /// Waits until the flag is set; returns at once if it is.
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None, Location::caller());
    }

    /// The same, for so long at most; whether it was set in that time.
    #[track_caller]
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.wait_until(interrupt::deadline(time), Location::caller())
    }

    fn wait_until(&self, deadline: Option<Instant>, at: Place) -> bool {
        let n_sets = {
            let flag = self.flag.lock();
            if flag.is_set {
                return true;
            }
            flag.n_sets
        };
        waits::wait(&Signal("event"), at, deadline, |slice| {
            let mut flag = self.flag.lock();
            if flag.n_sets == n_sets {
                self.set.wait_for(&mut flag, slice);
            }
            (flag.n_sets != n_sets).then_some(())
        })
        .is_some()
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set())
            .finish()
    }
}
