//! What a measurement found, and how it is shown.

use std::fmt;

use super::error::BenchError;
use super::resample::{Interval, median_interval};
use super::stats::{Summary, check};
use super::table::Table;
use super::units::{counted, seconds};
use crate::display::{Bundle, Show};

/// How long one call took, sample by sample, in seconds.
///
/// As the last expression of a cell it is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    samples: Vec<f64>,
    loops: u64,
    summary: Summary,
    interval: Option<Interval>,
}

impl Timing {
    /// A timing of samples that you have measured yourself: seconds per call, and how many calls each sample
    /// had. The interval of the median is worked out here.
    ///
    /// # Errors
    ///
    /// [`TooFewSamples`](BenchError::TooFewSamples) for an empty list, [`NotFinite`](BenchError::NotFinite)
    /// if a sample is NaN or infinite.
    pub fn from_samples(samples: Vec<f64>, loops: u64) -> Result<Timing, BenchError> {
        check(&samples, 1, "bench::Timing::from_samples")?;
        Ok(Timing::of_checked(samples, loops))
    }

    /// As [`Timing::from_samples`], of samples that are known to be finite and not empty.
    pub(super) fn of_checked(samples: Vec<f64>, loops: u64) -> Timing {
        Timing {
            summary: Summary::of_checked(&samples),
            // Too few samples are no error here: then there is no interval.
            interval: median_interval(&samples).ok(),
            samples,
            loops,
        }
    }

    /// The time of one call in each sample, in seconds, in the order of measurement.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// How many calls each sample had.
    pub fn loops(&self) -> u64 {
        self.loops
    }

    /// Median, quartiles, mean, deviation and outliers, in seconds.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The shortest time, in seconds: the one with the least disturbance.
    pub fn min(&self) -> f64 {
        self.summary.min
    }

    /// The median time, in seconds.
    pub fn median(&self) -> f64 {
        self.summary.median
    }

    /// The mean time, in seconds.
    pub fn mean(&self) -> f64 {
        self.summary.mean
    }

    /// The 95 % interval of the median, in seconds, by bootstrap; none below 6 samples.
    pub fn median_interval(&self) -> Option<Interval> {
        self.interval
    }

    /// Each number with its name.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let summary = &self.summary;
        let to = |low, high| format!("{} to {}", seconds(low), seconds(high));
        let mut rows = vec![("median", seconds(summary.median))];
        if let Some(interval) = self.interval {
            rows.push(("95 % interval", to(interval.low, interval.high)));
        }
        rows.push(("min", seconds(summary.min)));
        rows.push(("mean", mean(summary)));
        rows.push(("quartiles", to(summary.q1, summary.q3)));
        rows
    }

    /// `100 samples of 7 calls each`.
    fn sample_in_words(&self) -> String {
        let each = if self.samples.len() == 1 { "" } else { " each" };
        let calls = if self.loops == 1 { "call" } else { "calls" };
        let samples = counted(self.samples.len(), "sample");
        format!("{samples} of {} {calls}{each}", self.loops)
    }
}

/// `1.23 ms ± 45.6 µs`.
pub(super) fn mean(summary: &Summary) -> String {
    match summary.std_dev {
        Some(std_dev) => format!("{} ± {}", seconds(summary.mean), seconds(std_dev)),
        None => seconds(summary.mean),
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = &self.summary;
        write!(f, "median {} per call", seconds(summary.median))?;
        if let Some(Interval { low, high }) = self.interval {
            let (low, high) = (seconds(low), seconds(high));
            write!(f, " (95 % interval {low} to {high})")?;
        }
        let (min, mean) = (seconds(summary.min), mean(summary));
        write!(f, "\nmin {min}, mean {mean}")?;
        if summary.std_dev.is_some() {
            write!(f, " (standard deviation)")?;
        }
        write!(f, "\n{}", self.sample_in_words())?;
        match summary.outliers_in_words() {
            Some(words) => write!(f, "\n{words}"),
            None => Ok(()),
        }
    }
}

impl Show for Timing {
    fn show(&self) -> Bundle {
        let rows = self.rows().into_iter();
        let table = Table {
            title: "time per call".into(),
            align: "lr",
            head: vec![],
            rows: rows
                .map(|(name, value)| vec![name.to_owned(), value])
                .collect(),
            notes: std::iter::once(self.sample_in_words())
                .chain(self.summary.outliers_in_words())
                .collect(),
        };
        table.bundle("").text(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_unit_spread_and_outliers() {
        let mut samples: Vec<f64> = (0..28).map(|i| 1.2e-3 + f64::from(i % 7) * 1e-5).collect();
        samples.extend([2e-3, 1.5e-3]);
        let timing = Timing::from_samples(samples, 5).unwrap();
        assert_eq!(
            timing.to_string(),
            "median 1.23 ms per call (95 % interval 1.22 ms to 1.25 ms)\n\
             min 1.20 ms, mean 1.26 ms ± 149 µs (standard deviation)\n\
             30 samples of 5 calls each\n\
             2 of 30 samples are outliers (high, severe)"
        );
        let bundle = timing.show();
        let html = bundle.get("text/html").unwrap();
        assert!(
            html.contains("median</td>") && html.contains("1.20 ms"),
            "{html}"
        );
        assert!(
            html.contains("<div>30 samples of 5 calls each</div>"),
            "{html}"
        );
        assert_eq!(bundle.plain_text(), timing.to_string());
    }

    #[test]
    fn one_sample_claims_no_spread() {
        let timing = Timing::from_samples(vec![2.0], 1).unwrap();
        assert_eq!(
            timing.to_string(),
            "median 2.00 s per call\nmin 2.00 s, mean 2.00 s\n1 sample of 1 call"
        );
        assert_eq!(timing.median_interval(), None);
    }

    #[test]
    fn times_that_are_no_numbers_are_refused() {
        let error = Timing::from_samples(vec![1.0, f64::INFINITY], 1).unwrap_err();
        assert!(error.to_string().contains("sample 1 is inf"), "{error}");
    }
}
