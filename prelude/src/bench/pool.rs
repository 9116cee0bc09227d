//! Running work on exactly so many threads of rayon.
//!
//! rayon's global pool has one thread for each core. To see what fewer or more threads do, run the work in
//! a pool of another size: inside of [`in_pool`], `par_iter`, `join` and `scope` use that pool.
//!
//! What always holds: there is one pool for each size. It is made at the first use and kept, its threads
//! asleep, until the process ends; so only the first call pays for it.
//!
//! ```
//! use forkline::bench::in_pool;
//!
//! assert_eq!(in_pool(3, forkline::rayon::current_num_threads), 3);
//! ```

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::error::BenchError;
use crate::rt;

/// Runs `work` in a rayon pool of exactly `workers` threads and returns its result.
///
/// Handing the work over and waiting for it costs some microseconds for each call.
///
/// # Panics
///
/// If `workers` is 0 or the threads cannot be started, with the text of a [`BenchError`]: as a result it
/// would be measured by [`scaling`](super::scaling()) in place of the work. A panic of `work` goes through.
pub fn in_pool<T: Send>(workers: usize, work: impl FnOnce() -> T + Send) -> T {
    match pool(workers) {
        Ok(pool) => pool.install(work),
        Err(error) => panic!("{error}"),
    }
}

/// The pool of that size, made if it is the first time.
fn pool(workers: usize) -> Result<&'static ThreadPool, BenchError> {
    static POOLS: Mutex<BTreeMap<usize, &'static ThreadPool>> = Mutex::new(BTreeMap::new());
    if workers == 0 {
        let call = "bench::in_pool";
        return Err(BenchError::ZeroWorkers { call });
    }
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&workers) {
        return Ok(pool);
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(move |index| format!("pool-{workers}-{index}"))
        // What such a thread prints, and an interrupt, belong to the cell that runs then.
        .start_handler(|_| rt::mark_pool_thread())
        .build()
        .map_err(|source| BenchError::PoolNotMade { workers, source })?;
    // Kept for ever: ending and starting threads is what measurements should not see.
    let pool: &ThreadPool = Box::leak(Box::new(pool));
    pools.insert(workers, pool);
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_the_size_asked_for_and_is_made_once() {
        for workers in [1, 2, 5] {
            assert_eq!(in_pool(workers, rayon::current_num_threads), workers);
        }
        assert!(std::ptr::eq(pool(2).unwrap(), pool(2).unwrap()));
        let name = in_pool(2, || std::thread::current().name().map(str::to_owned));
        assert!(name.unwrap().starts_with("pool-2-"));
    }

    #[test]
    fn a_pool_may_be_used_inside_of_another_and_of_itself() {
        let sizes = in_pool(2, || {
            let inner = in_pool(3, rayon::current_num_threads);
            let same = in_pool(2, rayon::current_num_threads);
            (inner, same, rayon::current_num_threads())
        });
        assert_eq!(sizes, (3, 2, 2));
    }

    #[test]
    fn no_workers_and_too_many_are_refused() {
        // The panic is a frame, which is not to come in another test's turn.
        let _turn = crate::tests::host::turn();
        let error = pool(0).unwrap_err().to_string();
        assert!(
            error.starts_with("bench::in_pool: 0 workers given\nwhy: "),
            "{error}"
        );
        let panic = std::panic::catch_unwind(|| in_pool(0, || ())).unwrap_err();
        assert_eq!(*panic.downcast::<String>().unwrap(), error);
    }

    #[test]
    fn the_system_may_refuse_threads() {
        // rayon's own error stands in for the system's, which a test cannot provoke without harm.
        let source = ThreadPoolBuilder::new()
            .build_global()
            .and_then(|()| ThreadPoolBuilder::new().build_global());
        let error = BenchError::PoolNotMade {
            workers: 4,
            source: source.unwrap_err(),
        };
        let text = error.to_string();
        assert!(
            text.starts_with(
                "bench::in_pool: no pool of 4 threads\nwhy: the threads could not be started: "
            ),
            "{text}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}
