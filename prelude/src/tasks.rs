//! Asynchronous tasks on the one runtime of this process, and an event loop to learn from.
//!
//! Tasks are for work that waits: thousands of them share a few threads, because a task gives its thread back at
//! each `.await`. Work that computes belongs into a pool ([`executors`](crate::executors), rayon).
//!
//! There are two places where a task can run. The runtime (tokio's, with one thread for each usable processor)
//! runs tasks at the same time, between cells too. An [`EventLoop`] runs on the thread that calls it, one task
//! after the other in an order that is always the same, if need be with a clock that does not wait.
//!
//! What always holds:
//! * there is one runtime, made when it is first needed; a cell with an `.await` at its top level runs on it;
//! * [`spawn`], [`sleep`] and what is made of them follow the place that they are called in;
//! * a [`Task`] that is dropped goes on; one that is cancelled ends at its next `.await`;
//! * a panic in a task fails its [`Task`] and nothing else;
//! * waiting for a task ends when the user interrupts the cell.
//!
//! ```
//! use forkline::prelude::*;
//!
//! async fn square(n: u64) -> u64 {
//!     tasks::sleep(Duration::from_millis(1)).await;
//!     n * n
//! }
//!
//! let sum = tasks::block_on(async {
//!     let first = tasks::spawn(square(3));
//!     let second = tasks::spawn(square(4));
//!     first.await.unwrap() + second.await.unwrap()
//! });
//! assert_eq!(sum, 25);
//! assert_eq!(tasks::block_on(tasks::gather((square(1), square(2)))), (1, 4));
//! ```

mod combine;
mod event_loop;
mod gather;
mod runtime;
mod task;
mod time;

pub use combine::{timeout, wait, wait_timeout};
pub use event_loop::{CallbackId, EventLoop, LoopFuture, TimerHandle};
pub use gather::{Gather, GatherAll, GatherTuple, Member, gather};
pub(crate) use runtime::spawn_on_runtime;
#[doc(hidden)]
pub use runtime::{__assert_outside, __cell};
pub use runtime::{block_on, handle, spawn, spawn_blocking};
pub use task::Task;
pub use time::{Sleep, YieldNow, sleep, yield_now};

pub use crate::executors::{TaskError, When};

#[cfg(test)]
mod tests;
