//! How the time of one thing changes with the number of workers.
//!
//! Strong scaling ([`scaling()`]): the work stays the same, and more workers should be done sooner. Weak
//! scaling ([`weak_scaling`]): the work grows with the workers, and they should take no longer.
//!
//! What always holds:
//! * the worker counts are measured in turns, round by round, every other round the other way round, so a
//!   drift of the machine meets them all;
//! * the baseline is the smallest count, and the table says so: a speedup is relative to the same program
//!   with that many workers;
//! * nothing is hidden: points above the ideal line are marked as superlinear, and counts above the cores
//!   that this process may use as oversubscribed. Oversubscribed counts do not go into the fitted law, which
//!   knows nothing of workers that wait for a core.
//!
//! ```
//! use std::time::Duration;
//! use forkline::bench::{ScalingOptions, in_pool};
//! use forkline::prelude::*;
//!
//! let data: Vec<u64> = (0..100_000).collect();
//! let found = ScalingOptions::new()
//!     .budget(Duration::from_millis(100))
//!     .strong([1, 2], |p| in_pool(p, || data.par_iter().sum::<u64>()))?;
//! println!("{found}");
//! assert_eq!(found.rows().len(), 2);
//! assert_eq!(found.rows()[0].speedup, 1.0);
//! # Ok::<(), forkline::bench::BenchError>(())
//! ```

mod report;
mod rows;

use std::time::Duration;

use super::error::BenchError;
use super::rounds::Rounds;
use super::timeit::clock;
use super::timing::Timing;
use super::units::counted;
use crate::device;

pub use rows::{Scaling, ScalingKind, ScalingRow};

/// Measures strong scaling: `body(p)` does the same work with `p` workers, for each count in `workers`.
///
/// The counts are measured once each, in ascending order, whatever order they come in. The first call with
/// each count is a warm-up (threads are started then). Rounds are taken for about 3 s: at most 100, at least
/// 6, or at least 3 if a call takes more than 1 s, and then there are no intervals of the speedups.
///
/// # Errors
///
/// [`NoWorkers`](BenchError::NoWorkers), [`ZeroWorkers`](BenchError::ZeroWorkers), and
/// [`Panicked`](BenchError::Panicked) with the worker count if `body` panics.
///
/// ```no_run
/// use forkline::bench::{in_pool, scaling};
/// use forkline::prelude::*;
///
/// let data: Vec<f64> = (0..5_000_000).map(f64::from).collect();
/// let found = scaling([1, 2, 4], |p| in_pool(p, || data.par_iter().map(|x| x.sqrt()).sum::<f64>()))?;
/// println!("{found}");
/// # Ok::<(), forkline::bench::BenchError>(())
/// ```
pub fn scaling<T>(
    workers: impl IntoIterator<Item = usize>,
    body: impl FnMut(usize) -> T,
) -> Result<Scaling, BenchError> {
    ScalingOptions::new().strong(workers, body)
}

/// Measures weak scaling: `body(p)` does `p` times the work of one worker, with `p` workers. All else is as
/// for [`scaling()`].
///
/// # Errors
///
/// As [`scaling()`].
pub fn weak_scaling<T>(
    workers: impl IntoIterator<Item = usize>,
    body: impl FnMut(usize) -> T,
) -> Result<Scaling, BenchError> {
    ScalingOptions::new().weak(workers, body)
}

/// [`scaling()`] and [`weak_scaling`] with settings of your own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options measure nothing until `strong` or `weak` is called"]
pub struct ScalingOptions {
    n_rounds: Option<usize>,
    budget: Duration,
}

impl Default for ScalingOptions {
    fn default() -> ScalingOptions {
        ScalingOptions {
            n_rounds: None,
            budget: Duration::from_secs(3),
        }
    }
}

impl ScalingOptions {
    /// The settings of [`scaling()`].
    pub fn new() -> ScalingOptions {
        ScalingOptions::default()
    }

    /// Makes exactly `n` rounds, each with one sample of each worker count, however long that takes. Below 6
    /// there are no intervals of the speedups.
    pub fn rounds(mut self, n: usize) -> ScalingOptions {
        self.n_rounds = Some(n);
        self
    }

    /// Begins rounds for about that long, where [`rounds`](ScalingOptions::rounds) is not set. The least
    /// numbers of rounds that [`scaling()`] names still hold.
    pub fn budget(mut self, budget: Duration) -> ScalingOptions {
        self.budget = budget;
        self
    }

    /// As [`scaling()`].
    ///
    /// # Errors
    ///
    /// As [`scaling()`], and [`TooFewRounds`](BenchError::TooFewRounds) for 0 rounds.
    pub fn strong<T>(
        &self,
        workers: impl IntoIterator<Item = usize>,
        mut body: impl FnMut(usize) -> T,
    ) -> Result<Scaling, BenchError> {
        self.measure(
            ScalingKind::Strong,
            workers.into_iter().collect(),
            &mut |p, loops| clock(loops, &mut || body(p)),
        )
    }

    /// As [`weak_scaling`].
    ///
    /// # Errors
    ///
    /// As [`scaling()`], and [`TooFewRounds`](BenchError::TooFewRounds) for 0 rounds.
    pub fn weak<T>(
        &self,
        workers: impl IntoIterator<Item = usize>,
        mut body: impl FnMut(usize) -> T,
    ) -> Result<Scaling, BenchError> {
        self.measure(
            ScalingKind::Weak,
            workers.into_iter().collect(),
            &mut |p, loops| clock(loops, &mut || body(p)),
        )
    }

    /// All that does not depend on the closure's type.
    #[inline(never)]
    fn measure(
        &self,
        kind: ScalingKind,
        mut workers: Vec<usize>,
        sample: &mut dyn FnMut(usize, u64) -> Duration,
    ) -> Result<Scaling, BenchError> {
        let call = match kind {
            ScalingKind::Strong => "bench::scaling",
            ScalingKind::Weak => "bench::weak_scaling",
        };
        workers.sort_unstable();
        workers.dedup();
        match workers.first() {
            None => return Err(BenchError::NoWorkers { call }),
            Some(0) => return Err(BenchError::ZeroWorkers { call }),
            Some(_) => {}
        }
        if self.n_rounds == Some(0) {
            return Err(BenchError::TooFewRounds {
                call,
                n_rounds: 0,
                n_needed: 1,
            });
        }
        let measured = Rounds {
            call,
            n_things: workers.len(),
            n_rounds: self.n_rounds,
            n_least: (6, 3),
            budget: self.budget,
            name: &|at| counted(workers[at], "worker"),
            sample: &mut |at, loops| sample(workers[at], loops),
        }
        .run()?;
        let timings = measured
            .into_iter()
            .map(|thing| Timing::of_checked(thing.samples, thing.loops));
        Scaling::of(
            kind,
            workers.iter().copied().zip(timings).collect(),
            device::cpus_usable(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_measured_in_turns_ascending_and_once() {
        let mut order = Vec::new();
        let found = Scaling::options()
            .rounds(2)
            .strong([2, 1, 2], |p| {
                order.push(p);
                std::thread::sleep(Duration::from_millis(6));
            })
            .unwrap();
        let (before, rounds) = order.split_at(order.len() - 4);
        assert!(before.is_sorted(), "{before:?}");
        assert_eq!(rounds, [1, 2, 2, 1]);
        assert_eq!(
            found
                .rows()
                .iter()
                .map(|row| row.workers)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(found.rows()[1].timing.samples().len(), 2);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let starts = |result: Result<Scaling, BenchError>, text: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        };
        starts(
            scaling([], |_| ()),
            "bench::scaling: no worker counts given\nwhy: ",
        );
        starts(
            weak_scaling(0..3, |_| ()),
            "bench::weak_scaling: 0 workers given\nwhy: ",
        );
        starts(
            Scaling::options().rounds(0).strong([1], |_| ()),
            "bench::scaling: 0 rounds asked for, 1 needed\nwhy: ",
        );
        starts(
            weak_scaling([1, 2], |p| assert!(p < 2, "p is {p}")),
            "bench::weak_scaling: panic in the run of 2 workers\nwhy: the closure panicked: p is 2\ndo:  ",
        );
    }
}
