//! The standard library as a cell under `%%shuttle` sees it: what threads meet at is shuttle's.
//!
//! In the cell's source each `std` is written `sim`, a name of the same length, so lines and columns stay. What
//! is not named below is the standard library's own.

pub use ::std::*;

/// `std::sync`, with shuttle's locks, atomics and channels.
pub mod sync {
    pub use ::std::sync::*;
    pub use shuttle::sync::{
        Barrier, BarrierWaitResult, Condvar, Mutex, MutexGuard, Once, OnceState, RwLock, RwLockReadGuard,
        RwLockWriteGuard, WaitTimeoutResult,
    };

    /// `std::sync::atomic`. Every access is a point at which another thread may go on; all are as strong as
    /// sequentially consistent ones.
    pub mod atomic {
        pub use ::std::sync::atomic::*;
        pub use shuttle::sync::atomic::{
            AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16,
            AtomicU32, AtomicU64, AtomicUsize, fence,
        };
    }

    /// `std::sync::mpsc`.
    pub mod mpsc {
        pub use ::std::sync::mpsc::*;
        pub use shuttle::sync::mpsc::{
            IntoIter, Iter, Receiver, Sender, SyncSender, TryIter, channel, sync_channel,
        };
    }
}

/// `std::thread`, with shuttle's threads: all run in turns on one, in the order that the schedule says.
pub mod thread {
    pub use ::std::thread::*;
    pub use shuttle::thread::{
        Builder, JoinHandle, Scope, ScopedJoinHandle, Thread, ThreadId, current, park, park_timeout, scope, sleep,
        spawn, yield_now,
    };
}

/// `std::hint`; `spin_loop` lets another thread go on.
pub mod hint {
    pub use ::std::hint::*;
    pub use shuttle::hint::spin_loop;
}

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};

/// Runs a body as the environment says: `FORKLINE_SHUTTLE` has scheduler, iterations, depth and seed, or
/// `replay` and a schedule; `FORKLINE_SHUTTLE_DIR` is where the schedule of a failure and the number of
/// schedules that were run are left.
pub fn explore(body: fn()) {
    let request = ::std::env::var("FORKLINE_SHUTTLE").unwrap_or_default();
    let words: Vec<&str> = request.split(' ').collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok()).unwrap_or(1);
    let iterations = number(1) as usize;
    let seed = number(3);
    match words[0] {
        "replay" => {
            let mut replay = ReplayScheduler::new_from_encoded(words.get(1).copied().unwrap_or_default());
            // It ends where the code failed; threads that were left over have no step in it.
            replay.set_allow_incomplete();
            run(replay, body);
        }
        "pct" => run(PctScheduler::new_from_seed(seed, number(2) as usize, iterations), body),
        "dfs" => run(DfsScheduler::new(Some(iterations), false), body),
        _ => run(RandomScheduler::new_from_seed(seed, iterations), body),
    }
}

/// The status of a replay that ended before the code did: the schedule is another code's.
const OTHER_STEPS: i32 = 3;

fn run(scheduler: impl Scheduler + 'static, body: fn()) {
    let dir = ::std::env::var_os("FORKLINE_SHUTTLE_DIR").map(::std::path::PathBuf::from);
    let mut config = shuttle::Config::new();
    config.silence_warnings = true;
    config.failure_persistence = match &dir {
        Some(dir) => shuttle::FailurePersistence::File(Some(dir.clone())),
        None => shuttle::FailurePersistence::None,
    };
    let count = ::std::sync::Arc::new(::std::sync::atomic::AtomicUsize::new(0));
    let counted = ::std::sync::Arc::clone(&count);
    let finished = ::std::sync::Arc::new(::std::sync::atomic::AtomicBool::new(false));
    let finishing = ::std::sync::Arc::clone(&finished);
    let result = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| {
        shuttle::Runner::new(scheduler, config).run(move || {
            counted.fetch_add(1, ::std::sync::atomic::Ordering::Relaxed);
            body();
            finishing.store(true, ::std::sync::atomic::Ordering::Relaxed);
        })
    }));
    if let Some(dir) = dir {
        let count = count.load(::std::sync::atomic::Ordering::Relaxed).to_string();
        let _the_kernel_does_without = ::std::fs::write(dir.join("count"), count);
    }
    if result.is_err() {
        ::std::process::exit(101);
    }
    if !finished.load(::std::sync::atomic::Ordering::Relaxed) {
        ::std::process::exit(OTHER_STEPS);
    }
}
