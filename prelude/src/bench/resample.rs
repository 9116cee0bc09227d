//! How sure a median or a ratio is: 95 % intervals by the bootstrap.
//!
//! The samples are drawn again and again from themselves, with replacement; the middle 95 % of what the
//! statistic then comes out as is the interval (Efron, "Bootstrap methods: another look at the jackknife",
//! 1979; percentile method, 2,000 draws). It covers what varied from sample to sample, and nothing that was
//! the same for all of them, such as a busy neighbour during the whole run.
//!
//! What always holds: the generator starts at [`SEED`] each time, so equal samples give equal intervals.
//!
//! ```
//! use forkline::bench;
//!
//! let interval = bench::median_interval(&[1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 0.8])?;
//! assert!(interval.contains(1.0) && !interval.contains(2.0));
//! # Ok::<(), bench::BenchError>(())
//! ```

use std::fmt;

use super::error::BenchError;
use super::stats::{check, median_of, quantile};
use super::units::significant;

/// Where the generator of every bootstrap starts: the letters of "forkline". Fixed, so that a notebook
/// that is shown the same samples again says the same again.
pub const SEED: u64 = u64::from_be_bytes(*b"forkline");

/// Enough that the ends of a 95 % interval hardly depend on the seed (50 draws lie beyond each).
const N_DRAWS: usize = 2_000;

/// With n samples the true median lies outside of their whole range with probability 2 / 2^n, which is
/// below 5 % from n = 6 on.
pub(super) const N_FOR_INTERVAL: usize = 6;

/// A 95 % interval: made anew from new data again and again, it holds the true value 95 times in 100.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in it, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value| significant(value, 4);
        write!(f, "{} to {}", text(self.low), text(self.high))
    }
}

/// The 95 % interval of the median, in the samples' own unit.
///
/// # Errors
///
/// [`TooFewSamples`](BenchError::TooFewSamples) below 6 samples, [`NotFinite`](BenchError::NotFinite) if one
/// is NaN or infinite.
pub fn median_interval(samples: &[f64]) -> Result<Interval, BenchError> {
    check(samples, N_FOR_INTERVAL, "bench::median_interval")?;
    let mut drawn = vec![0.0; samples.len()];
    Ok(bootstrap(samples.len(), &mut |draw| {
        for (place, &index) in drawn.iter_mut().zip(draw) {
            *place = samples[index];
        }
        median_of(&mut drawn)
    }))
}

/// The 95 % interval of the ratio of two medians, first over second, of samples that were taken in pairs:
/// the first of both together, and so on.
///
/// # Errors
///
/// [`NotPaired`](BenchError::NotPaired) if the lists differ in length,
/// [`TooFewSamples`](BenchError::TooFewSamples) below 6 pairs, [`NotFinite`](BenchError::NotFinite) if a
/// sample is NaN or infinite, [`NotPositive`](BenchError::NotPositive) if a sample is 0 or below.
pub fn ratio_interval(first: &[f64], second: &[f64]) -> Result<Interval, BenchError> {
    let call = "bench::ratio_interval";
    if first.len() != second.len() {
        return Err(BenchError::NotPaired {
            call,
            n_first: first.len(),
            n_second: second.len(),
        });
    }
    for samples in [first, second] {
        check(samples, N_FOR_INTERVAL, call)?;
        if let Some(&value) = samples.iter().find(|value| **value <= 0.0) {
            let what = "time";
            return Err(BenchError::NotPositive { call, what, value });
        }
    }
    let mut drawn = vec![0.0; first.len()];
    let mut median = |samples: &[f64], draw: &[usize]| {
        for (place, &index) in drawn.iter_mut().zip(draw) {
            *place = samples[index];
        }
        median_of(&mut drawn)
    };
    Ok(bootstrap(first.len(), &mut |draw| {
        median(first, draw) / median(second, draw)
    }))
}

/// The middle 95 % of `statistic` over draws of `n` indices below `n`.
fn bootstrap(n: usize, statistic: &mut dyn FnMut(&[usize]) -> f64) -> Interval {
    let mut random = Random::new(SEED);
    let mut draw = vec![0; n];
    let results = (0..N_DRAWS).map(|_| {
        draw.fill_with(|| random.below(n));
        statistic(&draw)
    });
    middle(results.collect())
}

/// The middle 95 % of what `statistic` makes of the medians of `groups`, each drawn again from itself.
pub(super) fn bootstrap_groups(groups: &[Vec<f64>], statistic: &dyn Fn(&[f64]) -> f64) -> Interval {
    let mut random = Random::new(SEED);
    let mut drawn = Vec::new();
    let mut medians = vec![0.0; groups.len()];
    let results = (0..N_DRAWS).map(|_| {
        for (median, group) in medians.iter_mut().zip(groups) {
            drawn.clear();
            drawn.extend(group.iter().map(|_| group[random.below(group.len())]));
            *median = median_of(&mut drawn);
        }
        statistic(&medians)
    });
    middle(results.collect())
}

fn middle(mut results: Vec<f64>) -> Interval {
    results.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&results, 0.025),
        high: quantile(&results, 0.975),
    }
}

/// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014): small, and good
/// enough to draw samples. Not for secrets.
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `n`. The high half of the product is near enough to even: `n` is far below 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// From 0 up to, but without, 1.
    #[cfg(test)]
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal with mean 0 and deviation 1: the sum of twelve uniform numbers, less 6.
    #[cfg(test)]
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567, as published with the generator's ports (rosettacode.org,
    /// "Pseudo-random numbers/Splitmix64").
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn draws_reach_every_index_evenly() {
        let mut random = Random::new(SEED);
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            counts[random.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|n| (850..1_150).contains(n)),
            "{counts:?}"
        );
    }

    #[test]
    fn equal_samples_give_equal_intervals() {
        let mut random = Random::new(1);
        let samples: Vec<f64> = (0..20).map(|_| random.normal()).collect();
        let interval = median_interval(&samples).unwrap();
        assert_eq!(median_interval(&samples).unwrap(), interval);
        assert!(interval.low < interval.high);
        assert_eq!(
            median_interval(&[2.5; 6]).unwrap(),
            Interval {
                low: 2.5,
                high: 2.5
            }
        );
    }

    /// 100 experiments with a known median: the share of intervals that hold it.
    #[test]
    fn an_interval_holds_the_true_median_about_95_times_in_100() {
        let mut random = Random::new(2);
        for n in [6, 20, 50] {
            let n_held = (0..100)
                .filter(|_| {
                    let samples: Vec<f64> = (0..n).map(|_| 10.0 + random.normal()).collect();
                    median_interval(&samples).unwrap().contains(10.0)
                })
                .count();
            assert!((87..=100).contains(&n_held), "{n_held} of 100 for n = {n}");
        }
    }

    #[test]
    fn a_disturbance_of_both_cancels_in_a_ratio() {
        let mut random = Random::new(3);
        let drift: Vec<f64> = (0..30).map(|i| 1.0 + f64::from(i) / 10.0).collect();
        let first: Vec<f64> = drift.iter().map(|d| 3.0 * d).collect();
        let second: Vec<f64> = drift
            .iter()
            .map(|d| d * (1.0 + 0.01 * random.normal()))
            .collect();
        let interval = ratio_interval(&first, &second).unwrap();
        assert!(interval.contains(3.0), "{interval}");
        assert!(interval.high - interval.low < 0.2, "{interval}");
    }

    #[test]
    fn samples_that_allow_no_interval_are_refused() {
        let starts = |error: BenchError, text: &str| {
            let error = error.to_string();
            assert!(error.starts_with(text), "{error}");
        };
        starts(
            median_interval(&[1.0; 5]).unwrap_err(),
            "bench::median_interval: 5 samples given, 6 needed\nwhy: with fewer than 6 samples",
        );
        starts(
            ratio_interval(&[1.0; 6], &[1.0; 7]).unwrap_err(),
            "bench::ratio_interval: 6 and 7 samples are not pairs\nwhy: ",
        );
        starts(
            ratio_interval(&[1.0; 6], &[0.0; 6]).unwrap_err(),
            "bench::ratio_interval: 0 is no time\nwhy: ",
        );
        starts(
            ratio_interval(&[f64::INFINITY; 6], &[1.0; 6]).unwrap_err(),
            "bench::ratio_interval: sample 0 is inf\nwhy: ",
        );
    }
}
