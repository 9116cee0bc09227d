//! What a comparison found: ratios, their intervals, and the finding in words.

use std::fmt;

use crate::bench::error::BenchError;
use crate::bench::resample::{Interval, N_FOR_INTERVAL, median_interval};
use crate::bench::stats::{check, median_of};
use crate::bench::table::Table;
use crate::bench::timing::{Timing, mean};
use crate::bench::units::{counted, seconds, significant};
use crate::display::{Bundle, Show};

/// What a comparison found.
///
/// As the last expression of a cell it is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    cases: Vec<ComparedCase>,
}

/// One case of a [`Comparison`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ComparedCase {
    /// Its label.
    pub label: String,
    /// Its times, by round.
    pub timing: Timing,
    /// The baseline's time over this case's time, the median of all rounds: above 1 this case is faster.
    /// 1 for the baseline itself.
    pub ratio: f64,
    /// The 95 % interval of the ratio.
    pub ratio_interval: Interval,
}

impl ComparedCase {
    /// Whether the interval holds 1, so that the samples show no difference from the baseline.
    pub fn is_same_as_baseline(&self) -> bool {
        self.ratio_interval.contains(1.0)
    }

    /// The finding in words.
    fn verdict(&self, baseline: &str) -> String {
        let Interval { low, high } = self.ratio_interval;
        if self.is_same_as_baseline() {
            let (low, high) = (ratio_text(low, low, high), ratio_text(high, low, high));
            return format!("no difference shown (95 % interval {low} to {high})");
        }
        // A number above 1 is read without thinking, so slower cases say how many times as long they take.
        let (ratio, low, high, word) = if self.ratio > 1.0 {
            (self.ratio, low, high, "as fast")
        } else {
            (1.0 / self.ratio, 1.0 / high, 1.0 / low, "as long")
        };
        let text = |value| ratio_text(value, low, high);
        format!(
            "{} times {word} as `{baseline}` (95 % interval {} to {})",
            text(ratio),
            text(low),
            text(high)
        )
    }
}

/// Three digits; four where the interval lies so near to 1 that three would show 1.00.
fn ratio_text(value: f64, low: f64, high: f64) -> String {
    let is_near = |end: f64| (end - 1.0).abs() < 0.05;
    let n_digits = if is_near(low) && is_near(high) { 4 } else { 3 };
    match value {
        ..1.0 => format!("{value:.*}", n_digits as usize - 1),
        _ => significant(value, n_digits),
    }
}

impl Comparison {
    /// Sets samples that were taken in the same rounds against each other.
    pub(super) fn of(labels: Vec<String>, timings: Vec<Timing>) -> Result<Comparison, BenchError> {
        let baseline = timings[0].samples().to_vec();
        let mut cases = Vec::new();
        for (at, (label, timing)) in labels.into_iter().zip(timings).enumerate() {
            let pairs = baseline.iter().zip(timing.samples());
            let mut ratios: Vec<f64> = match at {
                // A time of 0 over itself is NaN, and the baseline needs no measurement to equal itself.
                0 => vec![1.0; baseline.len()],
                _ => pairs.map(|(baseline, time)| baseline / time).collect(),
            };
            check(&ratios, N_FOR_INTERVAL, "bench::compare")?;
            let ratio_interval = median_interval(&ratios)?;
            cases.push(ComparedCase {
                label,
                timing,
                ratio: median_of(&mut ratios),
                ratio_interval,
            });
        }
        Ok(Comparison { cases })
    }

    /// The cases in the order in which they were added; the first is the baseline.
    pub fn cases(&self) -> &[ComparedCase] {
        &self.cases
    }

    /// The finding for the case `label` in one sentence: "1.32 times as fast as `a` (95 % interval 1.28 to
    /// 1.37)", "no difference shown (…)" or "baseline". `None` if no case is called so.
    pub fn verdict(&self, label: &str) -> Option<String> {
        let at = self.cases.iter().position(|case| case.label == label)?;
        Some(match at {
            0 => "baseline".to_owned(),
            _ => self.cases[at].verdict(&self.cases[0].label),
        })
    }

    fn table(&self) -> Table {
        let baseline = &self.cases[0];
        let row = |case: &ComparedCase| {
            vec![
                case.label.clone(),
                seconds(case.timing.median()),
                seconds(case.timing.min()),
                mean(case.timing.summary()),
                case.timing.loops().to_string(),
                self.verdict(&case.label).unwrap_or_default(),
            ]
        };
        let note = |case: &ComparedCase| {
            let words = case.timing.summary().outliers_in_words()?;
            Some(format!("`{}`: {words}", case.label))
        };
        Table {
            title: format!(
                "{} in turns, {}, time per call, baseline `{}`",
                counted(self.cases.len(), "case"),
                counted(baseline.timing.samples().len(), "round"),
                baseline.label
            ),
            align: "lrrrrl",
            head: vec![
                "case",
                "median",
                "min",
                "mean ± deviation",
                "loops",
                "against the baseline",
            ],
            rows: self.cases.iter().map(row).collect(),
            notes: self.cases.iter().filter_map(note).collect(),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table().text())
    }
}

impl Show for Comparison {
    fn show(&self) -> Bundle {
        self.table().bundle("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::resample::Random;

    /// Noisy times around each of `times`, with a drift that all rounds share.
    fn synthetic(seed: u64, times: &[f64]) -> Comparison {
        let mut random = Random::new(seed);
        let mut samples = vec![Vec::new(); times.len()];
        for round in 0..40 {
            for (samples, time) in samples.iter_mut().zip(times) {
                let drift = 1.0 + f64::from(round) / 100.0;
                samples.push(time * drift * (1.0 + 0.01 * random.normal()));
            }
        }
        let labels = ["a", "b", "c"].map(String::from)[..times.len()].to_vec();
        let timing = |samples| Timing::of_checked(samples, 5);
        Comparison::of(labels, samples.into_iter().map(timing).collect()).unwrap()
    }

    #[test]
    fn differences_are_stated_both_ways() {
        let comparison = synthetic(1, &[1.3e-3, 1e-3, 2.6e-3]);
        assert_eq!(comparison.verdict("a").unwrap(), "baseline");
        let faster = comparison.verdict("b").unwrap();
        assert!(
            faster.starts_with("1.3") && faster.contains(" times as fast as `a` (95 % interval 1."),
            "{faster}"
        );
        let slower = comparison.verdict("c").unwrap();
        assert!(
            slower.contains(" times")
                && slower.contains(" times as long as `a` (95 % interval 1.9"),
            "{slower}"
        );
        assert_eq!(comparison.verdict("d"), None);
        let ratio = comparison.cases()[1].ratio;
        assert!((1.28..1.32).contains(&ratio), "{ratio}");
    }

    /// Of 50 comparisons of a thing with itself about 5 % may claim a difference.
    #[test]
    fn equal_cases_show_no_difference() {
        let n_same = (0..50)
            .filter(|&seed| synthetic(seed, &[1e-6, 1e-6]).cases()[1].is_same_as_baseline())
            .count();
        assert!((42..=50).contains(&n_same), "{n_same} of 50");
        let comparison = synthetic(3, &[1e-6, 1e-6]);
        let verdict = comparison.verdict("b").unwrap();
        assert!(
            verdict.starts_with("no difference shown (95 % interval 0.99"),
            "{verdict}"
        );
        assert_eq!(comparison.cases()[0].ratio, 1.0);
    }

    #[test]
    fn ratios_near_one_have_four_digits() {
        let text = |value| ratio_text(value, 1.001, 1.004);
        assert_eq!(
            [text(1.001), text(1.004), text(0.9996)],
            ["1.001", "1.004", "1.000"]
        );
        assert_eq!(ratio_text(1.001, 1.001, 1.2), "1.00");
        assert_eq!(ratio_text(118.4, 110.0, 120.0), "118");
    }

    #[test]
    fn the_table_has_a_row_for_each_case() {
        let comparison = synthetic(1, &[1.3e-3, 1e-3]);
        let text = comparison.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "2 cases in turns, 40 rounds, time per call, baseline `a`"
        );
        assert!(lines[1].starts_with("case   median"), "{text}");
        assert!(lines[2].ends_with("      5  baseline"), "{text}");
        assert_eq!(comparison.show().plain_text(), text);
    }
}
