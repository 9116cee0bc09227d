//! The few statistics that plots are made of. Samples are sorted, finite and not empty.

/// The value below which a share of the samples lies, between neighbours by proportion (R's type 7, numpy's default).
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let part = place - below as f64;
    sorted[below] * (1.0 - part) + sorted[above] * part
}

/// What a box plot shows of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FiveNumbers {
    /// The lowest sample within 1.5 box heights of the box, after Tukey.
    pub(super) low: f64,
    pub(super) quartile_1: f64,
    pub(super) median: f64,
    pub(super) quartile_3: f64,
    /// The highest sample within 1.5 box heights of the box.
    pub(super) high: f64,
    /// The samples beyond.
    pub(super) outliers: Vec<f64>,
}

impl FiveNumbers {
    pub(super) fn of(sorted: &[f64]) -> FiveNumbers {
        let [quartile_1, median, quartile_3] =
            [0.25, 0.5, 0.75].map(|share| quantile(sorted, share));
        let reach = 1.5 * (quartile_3 - quartile_1);
        let is_near = |value: &&f64| (quartile_1 - reach..=quartile_3 + reach).contains(*value);
        FiveNumbers {
            // A quartile lies between samples: the nearest sample may be inside the box, and whiskers are outside.
            low: sorted
                .iter()
                .find(is_near)
                .map_or(quartile_1, |low| low.min(quartile_1)),
            high: sorted
                .iter()
                .rfind(is_near)
                .map_or(quartile_3, |high| high.max(quartile_3)),
            outliers: sorted
                .iter()
                .filter(|value| !is_near(value))
                .copied()
                .collect(),
            quartile_1,
            median,
            quartile_3,
        }
    }
}

pub(super) fn sorted(mut samples: Vec<f64>) -> Vec<f64> {
    samples.sort_by(f64::total_cmp);
    samples
}

/// More bins than this are thinner than can be read in a picture.
const MOST_BINS: usize = 100;

/// The ends of equal bins that cover all samples: `n_bins` of them, or as many as Freedman and Diaconis' rule gives.
/// Without `n_bins`, whole numbers get bins around whole numbers.
pub(super) fn bins(sorted: &[f64], n_bins: Option<usize>) -> Vec<f64> {
    let n_bins = n_bins.map(|n| n.clamp(1, 10_000));
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    if low == high {
        let half = if low.fract() == 0.0 {
            0.5
        } else {
            low.abs() * 0.05
        };
        return edges(low - half, low + half, n_bins.unwrap_or(1));
    }
    if let Some(n) = n_bins {
        return edges(low, high, n);
    }
    let width = match 2.0 * (quantile(sorted, 0.75) - quantile(sorted, 0.25))
        / (sorted.len() as f64).cbrt()
    {
        // More than half of the samples are equal: the square root of their number, the rule before.
        0.0 => (high - low) / (sorted.len() as f64).sqrt(),
        width => width,
    };
    let width = width.max((high - low) / MOST_BINS as f64);
    if sorted.iter().all(|value| value.fract() == 0.0) && high - low < 1e15 {
        let width = width.round().max(1.0);
        let n = ((high - low + 1.0) / width).ceil() as u32;
        return (0..=n)
            .map(|at| low - 0.5 + f64::from(at) * width)
            .collect();
    }
    edges(low, high, ((high - low) / width).ceil().max(1.0) as usize)
}

fn edges(low: f64, high: f64, n: usize) -> Vec<f64> {
    let edge = |at: usize| {
        let share = at as f64 / n as f64;
        low * (1.0 - share) + high * share
    };
    (0..=n).map(edge).collect()
}

/// How many samples fall into each bin; the last one holds its upper end.
pub(super) fn counts(sorted: &[f64], edges: &[f64]) -> Vec<usize> {
    let mut from = 0;
    let last = edges.len().saturating_sub(2);
    (0..edges.len() - 1)
        .map(|bin| {
            let to = match bin == last {
                true => sorted.len(),
                false => sorted
                    .partition_point(|value| *value < edges[bin + 1])
                    .max(from),
            };
            let n = to - from;
            from = to;
            n
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 3, 4, 10], [25, 50, 75]) and of [1, 2, 3, 4].
        assert_eq!(
            [0.25, 0.5, 0.75].map(|share| quantile(&[1.0, 2.0, 3.0, 4.0, 10.0], share)),
            [2.0, 3.0, 4.0]
        );
        assert_eq!(
            [0.25, 0.5, 0.75].map(|share| quantile(&[1.0, 2.0, 3.0, 4.0], share)),
            [1.75, 2.5, 3.25]
        );
    }

    #[test]
    fn whiskers_end_at_samples_and_the_rest_are_outliers() {
        let numbers = FiveNumbers::of(&[1.0, 2.0, 3.0, 4.0, 10.0]);
        assert_eq!((numbers.low, numbers.high), (1.0, 4.0));
        assert_eq!(numbers.outliers, [10.0]);
        let single = FiveNumbers::of(&[7.0]);
        assert_eq!((single.low, single.median, single.high), (7.0, 7.0, 7.0));
    }

    #[test]
    fn bins_cover_all_samples() {
        for samples in [
            &[1.5][..],
            &[0.0, 0.0],
            &[1.0, 1.0, 1.0, 1.0, 9.5],
            &[-3.0, 0.1, 0.2, 5e9],
            &[1.0, 2.0, 7.0],
        ] {
            for n_bins in [None, Some(1), Some(7)] {
                let edges = bins(samples, n_bins);
                let counts = counts(samples, &edges);
                assert_eq!(
                    counts.iter().sum::<usize>(),
                    samples.len(),
                    "{samples:?} {edges:?}"
                );
                assert!(
                    edges[0] <= samples[0] && counts.len() <= MOST_BINS,
                    "{edges:?}"
                );
            }
        }
        assert_eq!(bins(&[1.0, 2.0, 2.0, 3.0], None), [0.5, 1.5, 2.5, 3.5]);
        assert_eq!(counts(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), [1, 2]);
    }
}
