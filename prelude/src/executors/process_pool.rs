//! A pool of processes behind the trait of executors.

use std::fmt;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::{Executor, Future, Promise, TaskError};
use crate::Function;
use crate::processes::{Message, Pool, ProcessError};

const SHUT_DOWN: &str = "the pool has been shut down; make a new one";

/// A number of processes that take tasks from one queue, the oldest first.
///
/// What a function in another process can see, and what can be sent to it, is told at
/// [`Process`](crate::processes::Process). For many short calls [`Pool::map`], which sends them in batches, is faster.
///
/// A pool that is dropped takes no more tasks and waits until what is queued is done; if a panic or an interrupt drops
/// it, its processes are ended.
///
/// ```
/// use forkline::executors::{Executor, ProcessPool};
///
/// fn square(n: u64) -> u64 { n * n }
///
/// let pool = ProcessPool::new(2);
/// assert_eq!(pool.submit(square, (7,)).result()?, 49);
/// let squares: Vec<u64> = pool.map(square, 0..4).collect::<Result<_, _>>()?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), forkline::executors::TaskError>(())
/// ```
pub struct ProcessPool {
    pool: Pool,
}

impl ProcessPool {
    /// A pool of so many processes.
    ///
    /// # Panics
    /// `workers` is 0, or the system gives no threads; `ProcessPool::from(Pool::new(workers)?)` returns that as an error.
    #[track_caller]
    pub fn new(workers: usize) -> Self {
        match Pool::new(workers) {
            Ok(pool) => ProcessPool { pool },
            Err(error) => panic!("{error}"),
        }
    }

    /// How many processes it has.
    pub fn workers(&self) -> usize {
        self.pool.workers()
    }
}

/// For a pool with an initializer, a name, or workers that are replaced: see [`Pool::builder`].
impl From<Pool> for ProcessPool {
    fn from(pool: Pool) -> Self {
        ProcessPool { pool }
    }
}

impl Default for ProcessPool {
    /// One process for each processor that this process may use.
    fn default() -> Self {
        ProcessPool::new(crate::processes::cpu_count())
    }
}

impl Executor for ProcessPool {
    fn submit<F, Args>(&self, function: F, arguments: Args) -> Future<F::Output>
    where
        F: Function<Args>,
        Args: Message + Send,
        F::Output: Message + Send,
    {
        let (promise, future) = Promise::new();
        // Asked when the task begins, and given the result at its end.
        let promise = Arc::new(Mutex::new(Some(promise.if_dropped(SHUT_DOWN))));
        let beginning = Arc::clone(&promise);
        self.pool.submit(
            function,
            arguments,
            move || beginning.lock().as_ref().is_some_and(Promise::start),
            move |value| {
                let promise = promise.lock().take();
                if let Some(promise) = promise {
                    promise.conclude(value.map_err(task_error));
                }
            },
        );
        future
    }

    fn shutdown(&self, wait: bool) {
        self.pool.close();
        if wait {
            self.pool.join();
        }
    }
}

fn task_error(error: ProcessError) -> TaskError {
    match error {
        ProcessError::Panicked { message, .. } => TaskError::Panicked(Arc::from(message)),
        ProcessError::PoolClosed { .. } => TaskError::Abandoned(SHUT_DOWN),
        error => TaskError::failed(error),
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.shutdown(true);
        }
    }
}

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessPool({:?})", self.pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executors::as_completed;
    use crate::tests::host;
    use std::time::Duration;

    fn square(n: u64) -> u64 {
        n * n
    }

    #[test]
    fn a_pool_of_processes_is_an_executor() {
        let pool = ProcessPool::new(2);
        assert_eq!(pool.submit(square, (7,)).result().unwrap(), 49);
        let squares: Vec<u64> = pool.map(square, 0..4).map(Result::unwrap).collect();
        assert_eq!(squares, [0, 1, 4, 9]);
        let products = pool.starmap(|a: u64, b: u64| a * b, [(2, 3), (4, 5)]);
        assert_eq!(products.map(Result::unwrap).sum::<u64>(), 26);
        let futures: Vec<_> = (1..=4).map(|n| pool.submit(square, (n,))).collect();
        let sum: u64 = as_completed(futures)
            .map(|future| future.result().unwrap())
            .sum();
        assert_eq!(sum, 30);
        pool.shutdown(true);
        let error = pool.submit(square, (1,)).result().unwrap_err();
        assert!(matches!(error, TaskError::Abandoned(_)), "{error}");
    }

    #[test]
    fn what_has_not_begun_can_be_cancelled_and_failures_have_their_kind() {
        let _turn = host::turn();
        let pool = ProcessPool::from(Pool::new(1).unwrap());
        let long = pool.submit(|| std::thread::sleep(Duration::from_millis(200)), ());
        let queued = pool.submit(square, (2,));
        assert!(queued.cancel());
        assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
        long.result().unwrap();
        let panicked = pool.submit(|n: u64| assert!(n > 5, "{n} is small"), (3,));
        assert!(
            matches!(panicked.result(), Err(TaskError::Panicked(text)) if &*text == "3 is small")
        );
        let killed = pool.submit(|| -> () { std::process::abort() }, ());
        let error = killed.result().unwrap_err().to_string();
        assert!(error.contains("signal 6"), "{error}");
        assert_eq!(pool.submit(square, (3,)).result().unwrap(), 9);
    }
}
