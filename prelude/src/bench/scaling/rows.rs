//! What a measurement of scaling found, worked out of the times: one row for each worker count, and the law.

use super::ScalingOptions;
use crate::bench::error::BenchError;
use crate::bench::fit::{AmdahlFit, GustafsonFit, amdahl_fit, gustafson_fit};
use crate::bench::laws::karp_flatt;
use crate::bench::resample::{Interval, ratio_interval};
use crate::bench::stats::check;
use crate::bench::timing::Timing;

/// What stays the same while the workers become more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingKind {
    /// The work: more workers should be done sooner.
    Strong,
    /// The work of each worker: more workers should do more in the same time.
    Weak,
}

/// What a measurement of scaling found.
///
/// As the last expression of a cell it is a table with three plots: time, speedup, efficiency.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    pub(super) kind: ScalingKind,
    pub(super) rows: Vec<ScalingRow>,
    pub(super) n_cores: Option<usize>,
    pub(super) amdahl: Option<AmdahlFit>,
    pub(super) gustafson: Option<GustafsonFit>,
}

/// What was found for one worker count.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScalingRow {
    /// How many workers there were.
    pub workers: usize,
    /// The times of one call in seconds, by round.
    pub timing: Timing,
    /// Strong: the baseline's median time over this one. Weak: that, times how much more work was done, which
    /// is Gustafson's scaled speedup.
    pub speedup: f64,
    /// The 95 % interval of the speedup, by bootstrap over the rounds; none for fewer than 6 rounds, and none
    /// for the baseline.
    pub speedup_interval: Option<Interval>,
    /// The speedup over how many times the baseline's workers there were: 1 is ideal.
    pub efficiency: f64,
    /// The [Karp-Flatt metric](crate::bench::karp_flatt): of strong scaling, from a baseline of 1 worker, and not
    /// for 1 worker.
    pub karp_flatt: Option<f64>,
    /// Whether there were more workers than cores that this process may use.
    pub is_oversubscribed: bool,
    /// Whether the speedup lies above the ideal line: with its whole interval, or in every round where there
    /// is no interval.
    pub is_superlinear: bool,
}

impl Scaling {
    /// Settings for a measurement. The same as [`ScalingOptions::new`].
    pub fn options() -> ScalingOptions {
        ScalingOptions::new()
    }

    /// Works out the rows of times that were taken in the same rounds, in ascending order of the workers.
    pub(super) fn of(
        kind: ScalingKind,
        timings: Vec<(usize, Timing)>,
        n_cores: Option<usize>,
    ) -> Result<Scaling, BenchError> {
        let (baseline, base) = timings[0].clone();
        let mut rows = Vec::new();
        for (workers, timing) in timings {
            let ideal = workers as f64 / baseline as f64;
            // How much more work than the baseline's was done.
            let work = match kind {
                ScalingKind::Strong => 1.0,
                ScalingKind::Weak => ideal,
            };
            let rounds: Vec<f64> = base
                .samples()
                .iter()
                .zip(timing.samples())
                .map(|(base, time)| work * base / time)
                .collect();
            check(&rounds, 1, "bench::scaling")?;
            let is_baseline = workers == baseline;
            let speedup = work * base.median() / timing.median();
            let interval = ratio_interval(base.samples(), timing.samples())
                .ok()
                .filter(|_| !is_baseline)
                .map(|interval| Interval {
                    low: work * interval.low,
                    high: work * interval.high,
                });
            let has_metric = kind == ScalingKind::Strong && baseline == 1;
            rows.push(ScalingRow {
                workers,
                speedup,
                speedup_interval: interval,
                efficiency: speedup / ideal,
                karp_flatt: karp_flatt(speedup, workers).ok().filter(|_| has_metric),
                is_oversubscribed: n_cores.is_some_and(|n| workers > n),
                is_superlinear: !is_baseline
                    && match interval {
                        Some(interval) => interval.low > ideal,
                        None => rounds.iter().all(|&speedup| speedup > ideal),
                    },
                timing,
            });
        }
        let mut found = Scaling {
            kind,
            rows,
            n_cores,
            amdahl: None,
            gustafson: None,
        };
        // Too few counts for a fit are no error here: then there is none.
        match kind {
            ScalingKind::Strong => found.amdahl = amdahl_fit(&found.points_to_fit(false)).ok(),
            ScalingKind::Weak if baseline == 1 => {
                found.gustafson = gustafson_fit(&found.points_to_fit(true)).ok();
            }
            ScalingKind::Weak => {}
        }
        Ok(found)
    }

    /// The times, or the scaled speedups, of each round of the counts that have a core for each worker.
    fn points_to_fit(&self, as_speedups: bool) -> Vec<(usize, f64)> {
        let base = self.rows[0].timing.samples();
        let fitted = self.rows.iter().filter(|row| !row.is_oversubscribed);
        fitted
            .flat_map(|row| {
                let rounds = base.iter().zip(row.timing.samples());
                rounds.map(move |(base, &time)| match as_speedups {
                    true => (row.workers, row.workers as f64 * base / time),
                    false => (row.workers, time),
                })
            })
            .collect()
    }

    /// Strong or weak.
    pub fn kind(&self) -> ScalingKind {
        self.kind
    }

    /// One row for each worker count, in ascending order; the first is the baseline.
    pub fn rows(&self) -> &[ScalingRow] {
        &self.rows
    }

    /// The worker count that speedup and efficiency are relative to: the smallest.
    pub fn baseline(&self) -> usize {
        self.rows[0].workers
    }

    /// How many cores this process may use, if that is known.
    pub fn n_cores(&self) -> Option<usize> {
        self.n_cores
    }

    /// Amdahl's law, fitted to the times of all rounds of strong scaling. None if fewer than 2 worker counts
    /// have a core for each worker.
    pub fn amdahl(&self) -> Option<&AmdahlFit> {
        self.amdahl.as_ref()
    }

    /// Gustafson's law, fitted to the scaled speedups of all rounds of weak scaling. None if the baseline is not
    /// 1 worker, or no other count has a core for each worker.
    pub fn gustafson(&self) -> Option<&GustafsonFit> {
        self.gustafson.as_ref()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::resample::Random;

    /// Times in rounds, with 1 % noise, that follow `law`.
    pub fn synthetic(
        kind: ScalingKind,
        counts: &[usize],
        n_rounds: usize,
        n_cores: usize,
        law: fn(f64) -> f64,
    ) -> Scaling {
        let mut random = Random::new(7);
        let timings = counts.iter().map(|&n| {
            let exact = law(n as f64);
            let noisy = (0..n_rounds).map(|_| exact * (1.0 + 0.01 * random.normal()));
            (n, Timing::of_checked(noisy.collect(), 3))
        });
        Scaling::of(kind, timings.collect(), Some(n_cores)).unwrap()
    }

    #[test]
    fn strong_scaling_finds_amdahls_share() {
        let found = synthetic(ScalingKind::Strong, &[1, 2, 4, 8], 20, 8, |n| {
            0.03 * (0.2 + 0.8 / n)
        });
        let fit = found.amdahl().unwrap();
        assert!(fit.interval.unwrap().contains(0.2), "{fit}");
        assert!(
            fit.interval.unwrap().high - fit.interval.unwrap().low < 0.02,
            "{fit}"
        );
        assert_eq!((found.baseline(), found.gustafson()), (1, None));
        for row in found.rows() {
            let n = row.workers as f64;
            let expected = 1.0 / (0.2 + 0.8 / n);
            assert!((row.speedup / expected - 1.0).abs() < 0.02, "{row:?}");
            assert_eq!(row.efficiency, row.speedup / n);
            let time = found.rows()[0].timing.median() / row.timing.median();
            assert_eq!(row.speedup, time);
            assert!(!row.is_superlinear && !row.is_oversubscribed);
            let is_first = row.workers == 1;
            assert_eq!(row.karp_flatt.is_none(), is_first);
            assert_eq!(row.speedup_interval.is_none(), is_first);
            assert!(
                row.karp_flatt
                    .is_none_or(|share| (share - 0.2).abs() < 0.02)
            );
        }
    }

    #[test]
    fn weak_scaling_finds_gustafsons_share() {
        // With a = 0.1 the scaled speedup of n workers is n - 0.1 (n - 1), so they take n over that as long.
        let found = synthetic(ScalingKind::Weak, &[1, 2, 4, 8], 20, 8, |n| {
            0.01 * n / (n - 0.1 * (n - 1.0))
        });
        let fit = found.gustafson().unwrap();
        assert!(fit.interval.unwrap().contains(0.1), "{fit}");
        let last = &found.rows()[3];
        assert!((last.speedup - 7.3).abs() < 0.15, "{last:?}");
        assert!((last.efficiency - 7.3 / 8.0).abs() < 0.02, "{last:?}");
        assert_eq!((last.karp_flatt, found.amdahl()), (None, None));
    }

    #[test]
    fn oversubscribed_counts_are_marked_and_not_fitted() {
        // Two cores: from there on nothing gets faster, which is not a serial share.
        let law = |n: f64| 0.1 * (0.05 + 0.95 / n.min(2.0));
        let found = synthetic(ScalingKind::Strong, &[1, 2, 4, 8], 20, 2, law);
        let marked: Vec<bool> = found
            .rows()
            .iter()
            .map(|row| row.is_oversubscribed)
            .collect();
        assert_eq!(marked, [false, false, true, true]);
        assert!(found.amdahl().unwrap().interval.unwrap().contains(0.05));
        let one_core = synthetic(ScalingKind::Strong, &[1, 2, 4], 20, 1, law);
        assert_eq!(one_core.amdahl(), None);
    }

    #[test]
    fn superlinear_points_are_marked() {
        let law = |n: f64| 0.1 / if n > 2.0 { 1.3 * n } else { n };
        let found = synthetic(ScalingKind::Strong, &[1, 2, 4], 20, 8, law);
        let marked: Vec<bool> = found.rows().iter().map(|row| row.is_superlinear).collect();
        assert_eq!(marked, [false, false, true]);
        assert!(found.rows()[2].efficiency > 1.2);
        // Too few rounds for an interval: then every round must lie above.
        let found = synthetic(ScalingKind::Strong, &[1, 2, 4], 3, 8, law);
        assert!(found.rows()[2].is_superlinear);
        assert_eq!(found.rows()[2].speedup_interval, None);
    }

    #[test]
    fn the_baseline_is_the_smallest_count() {
        let law = |n: f64| 1.0 / n;
        let found = synthetic(ScalingKind::Strong, &[2, 4], 20, 8, law);
        assert_eq!(found.baseline(), 2);
        let row = &found.rows()[1];
        assert!((row.speedup - 2.0).abs() < 0.05 && (row.efficiency - 1.0).abs() < 0.03);
        assert_eq!(row.karp_flatt, None);
        let weak = synthetic(ScalingKind::Weak, &[2, 4], 20, 8, |_| 1.0);
        assert!((weak.rows()[1].speedup - 2.0).abs() < 0.05);
        assert_eq!(weak.gustafson(), None);
    }
}
