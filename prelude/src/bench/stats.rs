//! What a list of samples says: its middle, its spread, and which samples stand apart.
//!
//! For times of code the median and the quartiles say more than the mean: disturbances only ever make a
//! run longer, and a few long runs pull the mean up.
//!
//! What always holds: nothing is thrown away. Outliers are named, and they count in every other number.
//!
//! ```
//! let summary = forkline::bench::Summary::new(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])?;
//! assert_eq!((summary.mean, summary.median), (5.0, 4.5));
//! # Ok::<(), forkline::bench::BenchError>(())
//! ```

use std::fmt;

use super::error::BenchError;
use super::units::significant;
use crate::display::{Bundle, Show};

/// The numbers that describe a list of samples, in the samples' own unit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// How many samples there are.
    pub n: usize,
    /// The smallest.
    pub min: f64,
    /// The first quartile: a quarter of the samples lies below it.
    pub q1: f64,
    /// The middle sample, or the mean of the two in the middle.
    pub median: f64,
    /// The third quartile: a quarter of the samples lies above it.
    pub q3: f64,
    /// The largest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The standard deviation of a sample (its square is divided by n - 1); unknown for a single sample.
    pub std_dev: Option<f64>,
    /// The samples outside of Tukey's fences, in the order in which they came.
    pub outliers: Vec<Outlier>,
}

/// A sample that stands apart.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outlier {
    /// Its place in the list, from 0.
    pub index: usize,
    /// The sample.
    pub value: f64,
    /// Whether it lies above the others; else it lies below.
    pub is_high: bool,
    /// Whether it lies outside of the outer fences (severe); else only outside of the inner ones (mild).
    pub is_severe: bool,
}

impl Summary {
    /// Describes `samples`, which may come in any order.
    ///
    /// Quartiles are interpolated between neighbours as R and NumPy do by default (Hyndman & Fan, "Sample
    /// quantiles in statistical packages", 1996, type 7). The fences stand 1.5 (mild) and 3 (severe) times
    /// the distance of the quartiles away from the quartiles (Tukey, "Exploratory data analysis", 1977).
    ///
    /// # Errors
    ///
    /// [`TooFewSamples`](BenchError::TooFewSamples) for an empty list, [`NotFinite`](BenchError::NotFinite)
    /// if a sample is NaN or infinite.
    pub fn new(samples: &[f64]) -> Result<Summary, BenchError> {
        check(samples, 1, "bench::Summary::new")?;
        Ok(Summary::of_checked(samples))
    }

    /// As [`Summary::new`], of samples that are known to be finite and not empty.
    pub(super) fn of_checked(samples: &[f64]) -> Summary {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let mean = samples.iter().sum::<f64>() / n as f64;
        let squares: f64 = samples.iter().map(|value| (value - mean).powi(2)).sum();
        let (q1, q3) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
        let outlier = |(index, &value): (usize, &f64)| {
            let is_high = value > q3;
            let beyond = if is_high { value - q3 } else { q1 - value };
            (beyond > 1.5 * (q3 - q1)).then_some(Outlier {
                index,
                value,
                is_high,
                is_severe: beyond > 3.0 * (q3 - q1),
            })
        };
        Summary {
            n,
            min: sorted[0],
            q1,
            median: quantile(&sorted, 0.5),
            q3,
            max: sorted[n - 1],
            mean,
            std_dev: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
            outliers: samples.iter().enumerate().filter_map(outlier).collect(),
        }
    }

    /// The outliers in words: `2 of 30 samples are outliers (high)`; nothing if there are none.
    pub fn outliers_in_words(&self) -> Option<String> {
        let count = |test: fn(&Outlier) -> bool| self.outliers.iter().filter(|o| test(o)).count();
        let (high, low) = (count(|o| o.is_high), count(|o| !o.is_high));
        let sides = match (high, low) {
            (0, 0) => return None,
            (_, 0) => "high".to_owned(),
            (0, _) => "low".to_owned(),
            _ => format!("{high} high, {low} low"),
        };
        let severe = match count(|o| o.is_severe) {
            0 => String::new(),
            severe if severe == high + low => ", severe".to_owned(),
            severe => format!(", {severe} severe"),
        };
        let is = match high + low {
            1 => "is an outlier",
            _ => "are outliers",
        };
        let n = high + low;
        Some(format!("{n} of {} samples {is} ({sides}{severe})", self.n))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value| significant(value, 4);
        write!(
            f,
            "median {} of {} samples, quartiles {} and {}, from {} to {}\nmean {}",
            text(self.median),
            self.n,
            text(self.q1),
            text(self.q3),
            text(self.min),
            text(self.max),
            text(self.mean),
        )?;
        if let Some(std_dev) = self.std_dev {
            write!(f, " ± {} (standard deviation)", text(std_dev))?;
        }
        match self.outliers_in_words() {
            Some(words) => write!(f, "\n{words}"),
            None => Ok(()),
        }
    }
}

impl Show for Summary {
    fn show(&self) -> Bundle {
        Bundle::new().text(self.to_string())
    }
}

/// Whether there are enough samples, all of them numbers.
pub(super) fn check(
    samples: &[f64],
    n_needed: usize,
    call: &'static str,
) -> Result<(), BenchError> {
    if let Some(index) = samples.iter().position(|value| !value.is_finite()) {
        let value = samples[index];
        return Err(BenchError::NotFinite { call, index, value });
    }
    match samples.len() {
        n_samples if n_samples < n_needed => Err(BenchError::TooFewSamples {
            call,
            n_samples,
            n_needed,
        }),
        _ => Ok(()),
    }
}

/// The median of values in any order, which are put into another order. There must be one at least.
pub(super) fn median_of(values: &mut [f64]) -> f64 {
    let is_odd = values.len() % 2 == 1;
    let middle = values.len() / 2;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp);
    (lower.unwrap_or(upper) + upper) / 2.0
}

/// The value below which a share `at` of the sorted values lies: linear between neighbours.
pub(super) fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quartiles are those of R's `quantile` and NumPy's `percentile`; the list is the one of
    /// Wikipedia's article "Quartile", where these are the second method's.
    #[test]
    fn quartiles_are_those_of_r_and_numpy() {
        let samples = [
            6.0, 7.0, 15.0, 36.0, 39.0, 40.0, 41.0, 42.0, 43.0, 47.0, 49.0,
        ];
        let summary = Summary::new(&samples).unwrap();
        assert_eq!((summary.q1, summary.median, summary.q3), (25.5, 40.0, 42.5));
        assert_eq!((summary.n, summary.min, summary.max), (11, 6.0, 49.0));
    }

    /// By hand: the squares of the distances from the mean 5 are 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32.
    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let summary = Summary::new(&[9.0, 2.0, 4.0, 5.0, 4.0, 7.0, 4.0, 5.0]).unwrap();
        assert_eq!((summary.mean, summary.median), (5.0, 4.5));
        assert_eq!(summary.std_dev, Some((32.0_f64 / 7.0).sqrt()));
        let one = Summary::new(&[3.0]).unwrap();
        assert_eq!((one.median, one.q1, one.std_dev), (3.0, 3.0, None));
    }

    /// By hand: sorted 0 10 11 12 12 13 14 15 16 18 26, so the quartiles are 11.5 and 15.5, and the fences
    /// stand at 5.5 and 21.5 (mild), -0.5 and 27.5 (severe).
    #[test]
    fn outliers_are_named_by_tukeys_fences() {
        let samples = [
            10.0, 26.0, 11.0, 12.0, 13.0, 15.0, 16.0, 12.0, 18.0, 14.0, 0.0,
        ];
        let summary = Summary::new(&samples).unwrap();
        assert_eq!((summary.q1, summary.q3), (11.5, 15.5));
        let kinds: Vec<_> = summary
            .outliers
            .iter()
            .map(|o| (o.index, o.value, o.is_high, o.is_severe))
            .collect();
        assert_eq!(kinds, [(1, 26.0, true, false), (10, 0.0, false, false)]);
        assert_eq!(
            summary.outliers_in_words().unwrap(),
            "2 of 11 samples are outliers (1 high, 1 low)"
        );
    }

    #[test]
    fn a_value_on_a_fence_is_inside() {
        // Quartiles 1 and 2: fences at -0.5 and 3.5, -2 and 5.
        let summary = Summary::new(&[1.0, 1.0, 1.0, 1.5, 2.0, 2.0, 3.5]).unwrap();
        assert_eq!((summary.q1, summary.q3), (1.0, 2.0));
        assert_eq!(summary.outliers, []);
        assert_eq!(summary.outliers_in_words(), None);
    }

    #[test]
    fn outliers_are_counted_in_words() {
        let words = |extra: &[f64]| {
            let mut samples: Vec<f64> = (0..100).map(|i| f64::from(i % 5) + 100.0).collect();
            samples.extend(extra);
            Summary::new(&samples).unwrap().outliers_in_words().unwrap()
        };
        assert_eq!(words(&[106.5]), "1 of 101 samples is an outlier (high)");
        assert_eq!(words(&[96.0, 97.0]), "2 of 102 samples are outliers (low)");
        assert_eq!(
            words(&[200.0]),
            "1 of 101 samples is an outlier (high, severe)"
        );
        assert_eq!(
            words(&[1.0, 106.5, 106.7]),
            "3 of 103 samples are outliers (2 high, 1 low, 1 severe)"
        );
    }

    #[test]
    fn samples_that_are_no_numbers_are_refused() {
        let error = Summary::new(&[1.0, f64::NAN]).unwrap_err().to_string();
        assert!(
            error.starts_with("bench::Summary::new: sample 1 is NaN\nwhy: "),
            "{error}"
        );
        let error = Summary::new(&[]).unwrap_err().to_string();
        assert!(
            error.starts_with("bench::Summary::new: 0 samples given, 1 needed\nwhy: of no samples"),
            "{error}"
        );
    }

    #[test]
    fn the_median_needs_no_order() {
        assert_eq!(median_of(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median_of(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median_of(&mut [7.0]), 7.0);
    }

    #[test]
    fn the_text_has_all_numbers() {
        let summary = Summary::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 50.0]).unwrap();
        assert_eq!(
            summary.to_string(),
            "median 3.500 of 6 samples, quartiles 2.250 and 4.750, from 1.000 to 50.00\n\
             mean 10.83 ± 19.24 (standard deviation)\n\
             1 of 6 samples is an outlier (high, severe)"
        );
    }
}
