//! The serial share that measured times speak for: Amdahl's and Gustafson's laws, fitted.
//!
//! What always holds:
//! * the law is fitted to the median of each worker count, so a few disturbed runs hardly count;
//! * least squares of the *relative* deviations: 1 % weighs the same for a long time as for a short one;
//! * the share's interval is found by bootstrap over the repetitions of each count ([`SEED`](super::SEED)),
//!   so give every repetition, not their medians. It covers the spread of the repetitions; whether the law
//!   holds at all is what [`AmdahlFit::largest_deviation`] tells;
//! * nothing is forced between 0 and 1: a share below 0 says that the law does not hold (superlinear).
//!
//! ```
//! use forkline::bench::amdahl_fit;
//!
//! // One fifth serial: 1 s on one worker, 0.6 s on two, 0.4 s on four.
//! let fit = amdahl_fit(&[(1, 1.01), (1, 0.99), (2, 0.60), (2, 0.61), (4, 0.40), (4, 0.399)])?;
//! assert!((fit.serial_share - 0.2).abs() < 0.01);
//! println!("{fit}");
//! # Ok::<(), forkline::bench::BenchError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;

use super::error::BenchError;
use super::laws::{positive, some};
use super::resample::{Interval, N_FOR_INTERVAL, bootstrap_groups};
use super::stats::median_of;
use super::units::{seconds, significant};

/// Amdahl's law with the share that fits best.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AmdahlFit {
    /// The serial share of the time that one worker takes.
    pub serial_share: f64,
    /// Its 95 % interval, by bootstrap; none below 6 repetitions of a worker count.
    pub interval: Option<Interval>,
    /// The fitted time of one worker, in seconds.
    pub one_worker: f64,
    /// How far the median time of a worker count lies from the law at most, as a part of the median; none for
    /// two worker counts, which any such law fits exactly.
    pub largest_deviation: Option<f64>,
}

impl AmdahlFit {
    /// The law's time for `workers`, in seconds; no finite number for 0 workers.
    pub fn seconds(&self, workers: usize) -> f64 {
        let serial = self.serial_share;
        self.one_worker * (serial + (1.0 - serial) / workers as f64)
    }

    /// The speedup that no number of workers exceeds; infinite if the share is 0 or below.
    pub fn limit(&self) -> f64 {
        match self.serial_share {
            ..=0.0 => f64::INFINITY,
            share => 1.0 / share,
        }
    }
}

impl fmt::Display for AmdahlFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = share_text(self.serial_share, self.interval);
        write!(f, "Amdahl's law fitted: serial share {share}, ")?;
        match self.limit() {
            f64::INFINITY => write!(f, "no limit of the speedup")?,
            limit => write!(f, "limit of the speedup {}", significant(limit, 3))?,
        }
        write!(f, "\none worker {} by the law", seconds(self.one_worker))?;
        match self.largest_deviation {
            Some(part) => write!(f, ", medians up to {:.1} % away from it", 100.0 * part),
            None => write!(f, ", which two worker counts always fit"),
        }
    }
}

/// Gustafson's law with the share that fits best.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GustafsonFit {
    /// The serial share of the time that all workers together take.
    pub serial_share: f64,
    /// Its 95 % interval, by bootstrap; none below 6 repetitions of a worker count.
    pub interval: Option<Interval>,
}

impl GustafsonFit {
    /// The law's scaled speedup for `workers`.
    pub fn speedup(&self, workers: usize) -> f64 {
        let n = workers as f64;
        n - self.serial_share * (n - 1.0)
    }
}

impl fmt::Display for GustafsonFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = share_text(self.serial_share, self.interval);
        write!(f, "Gustafson's law fitted: serial share {share}")
    }
}

fn share_text(share: f64, interval: Option<Interval>) -> String {
    match interval {
        Some(Interval { low, high }) => {
            format!("{share:.3} (95 % interval {low:.3} to {high:.3}, by bootstrap)")
        }
        None => format!("{share:.3} (too few repetitions for an interval)"),
    }
}

/// Fits Amdahl's law to times for the same work: pairs of workers and seconds, one for each repetition.
///
/// The law is `T(n) = T(1) (s + (1 - s) / n)`, a straight line over `1 / n` whose height at 0 is `T(1) s`. So
/// weighted linear least squares give both unknowns.
///
/// # Errors
///
/// [`ZeroWorkers`](BenchError::ZeroWorkers); [`NotPositive`](BenchError::NotPositive) for a time that is NaN,
/// infinite, 0 or below; [`TooFewSamples`](BenchError::TooFewSamples) below 2 times;
/// [`OneWorkerCount`](BenchError::OneWorkerCount); [`NotAmdahl`](BenchError::NotAmdahl).
pub fn amdahl_fit(times: &[(usize, f64)]) -> Result<AmdahlFit, BenchError> {
    let call = "bench::amdahl_fit";
    let (counts, mut groups) = grouped(times, 2, "time", call)?;
    if let [workers] = counts[..] {
        let workers = workers as usize;
        return Err(BenchError::OneWorkerCount { call, workers });
    }
    let medians: Vec<f64> = groups.iter_mut().map(|times| median_of(times)).collect();
    let (serial, parallel) = amdahl_line(&counts, &medians);
    let one_worker = serial + parallel;
    if one_worker <= 0.0 {
        return Err(BenchError::NotAmdahl { call, one_worker });
    }
    let deviation = |(&n, &median): (&f64, &f64)| ((serial + parallel / n) / median - 1.0).abs();
    let deviations = counts.iter().zip(&medians).map(deviation);
    Ok(AmdahlFit {
        serial_share: serial / one_worker,
        interval: interval(&groups, &|medians| {
            let (serial, parallel) = amdahl_line(&counts, medians);
            serial / (serial + parallel)
        }),
        one_worker,
        largest_deviation: (counts.len() > 2).then(|| deviations.fold(0.0, f64::max)),
    })
}

/// The time that is serial and the time that is divided by the workers.
fn amdahl_line(counts: &[f64], times: &[f64]) -> (f64, f64) {
    // Sums of weight, weight x, weight x², weight y, weight x y, with weight 1 / y².
    let mut sums = [0.0; 5];
    for (n, y) in counts.iter().zip(times) {
        let (x, weight) = (1.0 / n, 1.0 / (y * y));
        for (sum, term) in sums.iter_mut().zip([1.0, x, x * x, *y, x * y]) {
            *sum += weight * term;
        }
    }
    let [w, wx, wxx, wy, wxy] = sums;
    let determinant = w * wxx - wx * wx;
    let serial = (wxx * wy - wx * wxy) / determinant;
    let parallel = (w * wxy - wx * wy) / determinant;
    (serial, parallel)
}

/// Fits Gustafson's law to scaled speedups: pairs of workers and speedup, one for each repetition. The
/// speedup is `n` times the time of one worker over the time of `n` workers with `n` times the work.
///
/// The law is `n - S = a (n - 1)`, a straight line through the origin with the slope `a`. Speedups of one
/// worker are left out: they are 1 whatever the share.
///
/// # Errors
///
/// [`ZeroWorkers`](BenchError::ZeroWorkers); [`NotPositive`](BenchError::NotPositive) for a speedup that is
/// NaN, infinite, 0 or below; [`TooFewSamples`](BenchError::TooFewSamples) if none is for 2 workers or more.
pub fn gustafson_fit(speedups: &[(usize, f64)]) -> Result<GustafsonFit, BenchError> {
    let call = "bench::gustafson_fit";
    grouped(speedups, 0, "speedup", call)?;
    let several: Vec<(usize, f64)> = speedups.iter().copied().filter(|&(n, _)| n > 1).collect();
    let (counts, mut groups) = grouped(&several, 1, "speedup", call)?;
    let medians: Vec<f64> = groups.iter_mut().map(|values| median_of(values)).collect();
    Ok(GustafsonFit {
        serial_share: gustafson_slope(&counts, &medians),
        interval: interval(&groups, &|medians| gustafson_slope(&counts, medians)),
    })
}

fn gustafson_slope(counts: &[f64], speedups: &[f64]) -> f64 {
    let (mut xx, mut xy) = (0.0, 0.0);
    for (n, speedup) in counts.iter().zip(speedups) {
        // Divided by the speedup, which makes the deviations relative.
        let (x, y) = ((n - 1.0) / speedup, (n - speedup) / speedup);
        xx += x * x;
        xy += x * y;
    }
    xy / xx
}

/// The interval of what `statistic` makes of the medians, if each group has enough repetitions.
fn interval(groups: &[Vec<f64>], statistic: &dyn Fn(&[f64]) -> f64) -> Option<Interval> {
    let is_enough = groups.iter().all(|group| group.len() >= N_FOR_INTERVAL);
    is_enough.then(|| bootstrap_groups(groups, statistic))
}

/// The worker counts in ascending order, and the values of each.
fn grouped(
    points: &[(usize, f64)],
    n_needed: usize,
    what: &'static str,
    call: &'static str,
) -> Result<(Vec<f64>, Vec<Vec<f64>>), BenchError> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for &(workers, value) in points {
        some(workers, call)?;
        positive(value, what, call)?;
        groups.entry(workers).or_default().push(value);
    }
    if points.len() < n_needed {
        return Err(BenchError::TooFewSamples {
            call,
            n_samples: points.len(),
            n_needed,
        });
    }
    Ok(groups
        .into_iter()
        .map(|(n, group)| (n as f64, group))
        .unzip())
}

#[cfg(test)]
mod tests {
    use super::super::resample::Random;
    use super::*;

    /// Eleven repetitions for each count, with relative noise.
    fn amdahl_times(seed: u64, share: f64, noise: f64, counts: &[usize]) -> Vec<(usize, f64)> {
        let mut random = Random::new(seed);
        let repeated = counts.iter().flat_map(|&n| [n; 11]);
        repeated
            .map(|n| {
                let time = 0.25 * (share + (1.0 - share) / n as f64);
                (n, time * (1.0 + noise * random.normal()))
            })
            .collect()
    }

    #[test]
    fn exact_times_give_the_exact_share() {
        let fit = amdahl_fit(&amdahl_times(1, 0.1, 0.0, &[1, 2, 4, 8])).unwrap();
        assert!(fit.largest_deviation.unwrap() < 1e-12);
        assert!((fit.serial_share - 0.1).abs() < 1e-12);
        assert!((fit.one_worker - 0.25).abs() < 1e-12);
        assert!((fit.seconds(4) - 0.25 / 3.076_923).abs() < 1e-6);
        assert!((fit.limit() - 10.0).abs() < 1e-9);
    }

    /// 50 experiments for each known share with 3 % noise: how often the interval holds it.
    #[test]
    fn the_known_share_is_recovered_from_noisy_times() {
        for (share, counts) in [
            (0.1, &[1, 2, 4, 8, 16][..]),
            (0.4, &[1, 2, 4][..]),
            (0.02, &[2, 4, 8][..]),
        ] {
            let fits: Vec<AmdahlFit> = (0..50)
                .map(|seed| amdahl_fit(&amdahl_times(seed, share, 0.03, counts)).unwrap())
                .collect();
            let n_held = fits
                .iter()
                .filter(|fit| fit.interval.unwrap().contains(share))
                .count();
            assert!((42..=50).contains(&n_held), "{n_held} of 50 for {share}");
            let mean = fits.iter().map(|fit| fit.serial_share).sum::<f64>() / 50.0;
            assert!((mean - share).abs() < 0.01, "{mean} for {share}");
        }
    }

    #[test]
    fn a_disturbed_run_weighs_little() {
        let mut times = amdahl_times(4, 0.1, 0.01, &[1, 2, 4, 8]);
        times[10].1 *= 5.0;
        let fit = amdahl_fit(&times).unwrap();
        assert!((fit.serial_share - 0.1).abs() < 0.05, "{fit}");
        assert!(fit.interval.unwrap().contains(0.1), "{fit}");
    }

    #[test]
    fn superlinear_times_give_a_share_below_zero() {
        let fit = amdahl_fit(&[(1, 1.0), (2, 0.45), (4, 0.2), (4, 0.2)]).unwrap();
        assert!(fit.serial_share < 0.0);
        assert_eq!(fit.limit(), f64::INFINITY);
        assert!(fit.to_string().contains("no limit of the speedup"), "{fit}");
    }

    #[test]
    fn gustafsons_share_is_recovered_from_noisy_speedups() {
        let n_held = (0..50)
            .filter(|&seed| {
                let mut random = Random::new(seed);
                let counts = [1, 2, 4, 8].into_iter().flat_map(|n| [n; 11]);
                let speedups: Vec<(usize, f64)> = counts
                    .map(|n| {
                        let exact = n as f64 - 0.1 * (n as f64 - 1.0);
                        (n, exact * (1.0 + 0.02 * random.normal()))
                    })
                    .collect();
                gustafson_fit(&speedups)
                    .unwrap()
                    .interval
                    .unwrap()
                    .contains(0.1)
            })
            .count();
        assert!((42..=50).contains(&n_held), "{n_held} of 50");
        let exact = gustafson_fit(&[(2, 1.9), (4, 3.7), (10, 9.1)]).unwrap();
        assert!((exact.serial_share - 0.1).abs() < 1e-12);
        assert!((exact.speedup(100) - 90.1).abs() < 1e-9);
        assert_eq!(
            exact.to_string(),
            "Gustafson's law fitted: serial share 0.100 (too few repetitions for an interval)"
        );
    }

    #[test]
    fn times_that_cannot_be_fitted_are_refused() {
        let starts = |error: BenchError, text: &str| {
            let error = error.to_string();
            assert!(error.starts_with(text), "{error}");
        };
        starts(
            amdahl_fit(&[(1, 1.0)]).unwrap_err(),
            "bench::amdahl_fit: 1 sample given, 2 needed\nwhy: the law has two unknowns",
        );
        starts(
            amdahl_fit(&[(2, 1.0), (2, 0.5), (2, 0.5)]).unwrap_err(),
            "bench::amdahl_fit: all times are for 2 workers\nwhy: ",
        );
        starts(
            amdahl_fit(&[(1, 1.0), (0, 0.5), (2, 0.5)]).unwrap_err(),
            "bench::amdahl_fit: 0 workers given\nwhy: ",
        );
        starts(
            amdahl_fit(&[(1, 1.0), (2, f64::NAN), (4, 0.5)]).unwrap_err(),
            "bench::amdahl_fit: NaN is no time\nwhy: ",
        );
        starts(
            amdahl_fit(&[(2, 1.0), (3, 5.0)]).unwrap_err(),
            "bench::amdahl_fit: the times do not follow Amdahl's law\n\
             why: they grow so fast with the number of workers that one worker would take -11.0 s\n",
        );
        starts(
            gustafson_fit(&[(1, 1.0), (1, 1.0)]).unwrap_err(),
            "bench::gustafson_fit: 0 samples given, 1 needed\nwhy: ",
        );
        starts(
            gustafson_fit(&[(2, -1.0)]).unwrap_err(),
            "bench::gustafson_fit: -1 is no speedup\nwhy: ",
        );
    }
}
