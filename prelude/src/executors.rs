//! Pools behind one trait, and the futures that they return.
//!
//! For a loop whose passes do not depend on each other rayon's iterators are shorter; a pool is for work that
//! comes one by one and is to be looked after one by one: waited for, asked for its error, cancelled.
//!
//! What always holds:
//! * what is queued is begun in the order in which it was submitted;
//! * a task that panics fails its own [`Future`] and nothing else: the worker goes on;
//! * an error is never lost silently in a result: whoever takes the result gets it;
//! * a wait ends when the user interrupts the cell.
//!
//! ```
//! use forkline::prelude::*;
//! use executors::{Executor, ThreadPool, as_completed};
//!
//! fn square(n: u64) -> u64 { n * n }
//!
//! // The same for every kind of pool.
//! fn squares(executor: &impl Executor) -> Result<Vec<u64>, executors::TaskError> {
//!     executor.map(square, 1..=4).collect()
//! }
//! let pool = ThreadPool::new(2);
//! assert_eq!(squares(&pool)?, [1, 4, 9, 16]);
//!
//! // One by one, the first that is done first.
//! let futures: Vec<_> = (1..=4).map(|n| pool.submit(square, (n,))).collect();
//! let mut sum = 0;
//! for future in as_completed(futures) {
//!     sum += future.result()?;
//! }
//! assert_eq!(sum, 30);
//! # Ok::<(), executors::TaskError>(())
//! ```

mod error;
mod future;
mod map;
mod process_pool;
mod promise;
mod thread_pool;
mod wait;

pub(crate) use error::panic_error;
pub use error::{PoolError, TaskError};
pub use future::Future;
pub use map::Results;
pub use process_pool::ProcessPool;
pub use promise::Promise;
pub use thread_pool::{Builder, ThreadPool};
pub use wait::{AsCompleted, AsFuture, When, as_completed, as_completed_timeout, wait};

use crate::Function;
use crate::processes::Message;

/// Something that runs functions elsewhere and promises their results: a pool of threads or of processes.
///
/// Arguments and results are [`Message`]s, so that a function written for one pool runs in every other. What only
/// threads can do (closures that own things, results that cannot be sent) is [`ThreadPool::spawn`].
pub trait Executor {
    /// Queues one call of `function` and returns at once.
    ///
    /// Arguments come as a tuple, `(n,)` for one. After [`shutdown`](Self::shutdown) the future has failed already.
    fn submit<F, Args>(&self, function: F, arguments: Args) -> Future<F::Output>
    where
        F: Function<Args>,
        Args: Message + Send,
        F::Output: Message + Send;

    /// Queues a call of `function` for each item and returns the results in the order of the items.
    ///
    /// All calls are queued before this returns; the iterator waits for one result at a time. Collect it into
    /// `Result<Vec<_>, TaskError>`, or look at each. Dropping it cancels what has not begun.
    fn map<F, A, R, I>(&self, function: F, items: I) -> Results<R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message + Send,
        R: Message + Send,
        I: IntoIterator<Item = A>,
    {
        Results::new(
            items
                .into_iter()
                .map(|item| self.submit(function, (item,)))
                .collect(),
        )
    }

    /// [`map`](Self::map) for functions of several arguments: each item is a tuple of them.
    fn starmap<F, Args, I>(&self, function: F, items: I) -> Results<F::Output>
    where
        F: Function<Args>,
        Args: Message + Send,
        F::Output: Message + Send,
        I: IntoIterator<Item = Args>,
    {
        Results::new(
            items
                .into_iter()
                .map(|arguments| self.submit(function, arguments))
                .collect(),
        )
    }

    /// Takes no more work. What is queued is still done; `wait` says whether to wait until it is.
    fn shutdown(&self, wait: bool);
}

#[cfg(test)]
mod tests;
