//! Measuring code: how long it takes, which of several ways is faster, how it scales with workers.
//!
//! [`timeit()`] measures one thing. [`compare()`] measures several in turns and says whether a difference
//! was shown. [`scaling()`] and [`weak_scaling`] run one thing with more and more workers; the laws that
//! explain what they find (Amdahl's, Gustafson's, the Karp-Flatt metric) are functions here too. To see
//! where the time goes inside your code, take a profiler instead.
//!
//! What always holds:
//! * times are seconds per call, as `f64`; every number comes with its sample and its spread;
//! * results of measured closures go through [`std::hint::black_box`], so the work is not optimised away;
//! * an interval is a 95 % interval, found by bootstrap with the fixed [`SEED`]: the same samples give the
//!   same interval;
//! * an interrupt of the cell ends a measurement after the sample that is running.
//!
//! How it works: a sample is a loop of calls between two looks at the clock, and the number of calls is
//! chosen so that a sample takes 5 ms or longer. The loop alone is generic and compiled with your closure;
//! all else is compiled once, in this library.
//!
//! ```
//! use forkline::bench;
//!
//! let data: Vec<u64> = (0..10_000).collect();
//! let timing = bench::Timer::new().samples(10).loops(20).run(|| data.iter().sum::<u64>());
//! assert_eq!(timing.samples().len(), 10);
//! println!("{timing}");
//!
//! // 90 % of the work is parallel: four workers make it 3 times as fast, not 4 times.
//! let speedup = bench::amdahl_speedup(bench::Share::Parallel(0.9), 4)?;
//! assert_eq!(format!("{speedup:.4}"), "3.0769");
//! # Ok::<(), bench::BenchError>(())
//! ```

mod compare;
mod error;
mod fit;
mod laws;
mod pool;
mod resample;
mod rounds;
mod scaling;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod timeit;
mod timing;
mod units;

pub use compare::{Compare, ComparedCase, Comparison, compare};
pub use error::BenchError;
pub use fit::{AmdahlFit, GustafsonFit, amdahl_fit, gustafson_fit};
pub use laws::{
    Share, amdahl_limit, amdahl_speedup, efficiency, gustafson_speedup, karp_flatt, speedup,
};
pub use pool::in_pool;
pub(crate) use resample::Random;
pub use resample::{Interval, SEED, median_interval, ratio_interval};
pub use scaling::{Scaling, ScalingKind, ScalingOptions, ScalingRow, scaling, weak_scaling};
pub use stats::{Outlier, Summary};
pub use timeit::{Timer, timeit, timeit_with};
pub use timing::Timing;
