//! Threads with a name and a state, and what they wait for: locks, semaphores, conditions, events, barriers, queues.
//!
//! std's threads and locks are there as well and are the right ones for a program. These are for looking at
//! threads: they have the words and the semantics of Python's `threading` and `queue`, with Rust's guards.
//!
//! What always holds:
//! * each way to wait has three forms: `try_x()` at once, `x_timeout(time)` for so long at most, `x()` until it is
//!   there. All of them end when the user interrupts the cell, and what guards hold is then free;
//! * nothing is poisoned: a thread that panics gives back what its guards hold, and the others go on;
//! * threads that can only wait for each other, for ever, do not: one of them panics with a report that names each
//!   thread, what it holds and what it wants, with the lines of the cells. Seen are locks, semaphores and `join`;
//!   a wait with a time-out ends by itself and is no deadlock, and what waits elsewhere (in std's locks, in channels)
//!   is taken for something that may go on;
//! * what nobody waits for costs a few nanoseconds more than parking_lot's mutex, on which it is built.
//!
//! ```
//! use forkline::prelude::*;
//!
//! static TOTAL: threads::Lock<u64> = threads::Lock::new(0);
//! let adders: Vec<_> = (1..=3).map(|n| threads::spawn(move || *TOTAL.lock() += n)).collect();
//! for adder in &adders {
//!     adder.join()?;
//! }
//! assert_eq!(*TOTAL.lock(), 6);
//! # Ok::<(), forkline::threads::ThreadError>(())
//! ```

mod barrier;
mod condition;
mod deadlock;
mod event;
mod holder;
mod info;
mod list;
mod local;
mod lock;
mod queue;
mod rlock;
mod semaphore;
mod system;
mod thread;
mod timer;
mod waits;

pub use barrier::{Arrival, Barrier, BarrierError};
pub use condition::{Condition, Lockable};
pub use event::Event;
pub use info::{State, ThreadInfo, current};
pub use list::{ThreadFacts, ThreadList, list, stacks};
pub use local::Local;
pub use lock::{Lock, LockError, LockGuard};
pub use queue::{Empty, Full, Queue, QueueError};
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreError};
pub use thread::{Thread, ThreadError, join_all, join_all_timeout, spawn};
pub use timer::Timer;

#[cfg(test)]
mod tests;
