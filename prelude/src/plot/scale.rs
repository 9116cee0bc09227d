//! From values to places on an axis: the range that is shown, and the ticks in it.
//!
//! What always holds: ticks stand at 1, 2 or 5 times a power of ten (at whole numbers for whole data, at powers of two
//! for data that are), and their labels have just the digits that tell them apart.

use super::Axis;
use super::text::{number, power_of_ten, trimmed};
use super::ticks::{binary, every, linear_labels, power, step, unit};

/// What is known of the values on an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) min: f64,
    pub(super) max: f64,
    /// All are whole numbers.
    is_whole: bool,
    /// All are whole powers of two.
    is_power: bool,
}

impl Extent {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Extent {
        let mut extent = Extent {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            is_whole: true,
            is_power: true,
        };
        for value in values {
            extent.min = extent.min.min(value);
            extent.max = extent.max.max(value);
            extent.is_whole &= value.fract() == 0.0;
            extent.is_power &= value >= 1.0 && value.log2().fract() == 0.0;
        }
        extent
    }

    /// The same, with ticks at whole numbers if that is so.
    pub(super) fn whole_if(self, is_whole: bool) -> Extent {
        Extent { is_whole, ..self }
    }
}

/// Whether a linear axis begins at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    /// Lengths from 0 are compared: bars.
    Always,
    /// Where that takes at most half of the axis.
    IfNear,
    Never,
}

/// How the range that is shown is made from the values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    pub(super) zero: Zero,
    /// Ends at ticks.
    pub(super) to_ticks: bool,
    /// Room at both ends, as a share of the range; of no effect at an end that is 0 or a tick.
    pub(super) margin: f64,
}

/// An axis with its range and ticks.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// The ends, or their logarithms.
    low: f64,
    high: f64,
    is_log: bool,
    /// How many of the unit that the ticks are in make one of the data's.
    factor: f64,
    /// The axis's text, with the unit that the ticks are in.
    pub(super) name: String,
    /// Values and labels.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// A scale with about `n_ticks` ticks.
    pub(super) fn new(axis: &Axis, extent: Extent, fit: Fit, n_ticks: usize) -> Scale {
        let n_ticks = n_ticks.max(2);
        if axis.is_log() {
            logarithmic(axis, extent, fit, n_ticks)
        } else {
            linear(axis, extent, fit, n_ticks)
        }
    }

    /// Where a value stands, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        // Halves: the difference of the largest numbers is infinite.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        share.clamp(0.0, 1.0)
    }

    /// The value at a share of the axis.
    pub(super) fn value(&self, share: f64) -> f64 {
        let value = self.low * (1.0 - share) + self.high * share;
        if self.is_log {
            10f64.powf(value)
        } else {
            value
        }
    }

    /// A value by itself, in the unit that the ticks are in.
    pub(super) fn text(&self, value: f64) -> String {
        number(value * self.factor)
    }

    /// Where 0 stands, or the end nearest to it.
    pub(super) fn base(&self) -> f64 {
        if self.is_log { 0.0 } else { self.share(0.0) }
    }
}

fn linear(axis: &Axis, extent: Extent, fit: Fit, n_ticks: usize) -> Scale {
    // Beyond this, sums of ends are infinite.
    const MOST: f64 = 4e307;
    let (mut low, mut high) = (extent.min.clamp(-MOST, MOST), extent.max.clamp(-MOST, MOST));
    let begins_at_zero = match fit.zero {
        Zero::Always => true,
        Zero::IfNear => (low > 0.0 && low <= high / 2.0) || (high < 0.0 && high >= low / 2.0),
        Zero::Never => false,
    };
    if begins_at_zero {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    // Equal, or so close that floats have no ticks in between.
    if high - low <= low.abs().max(high.abs()) * 1e-11 {
        let room = if extent.is_whole {
            (low.abs() / 2.0).ceil()
        } else {
            low.abs() / 2.0
        };
        (low, high) = if low == 0.0 && high == 0.0 {
            (0.0, 1.0)
        } else {
            (low - room, high + room)
        };
    }
    // Subnormal numbers have too few digits to be divided into steps.
    if high - low < 1e-300 {
        (low, high) = (low - 1e-300, high + 1e-300);
    }
    let (unit, factor) = unit(axis, low.abs().max(high.abs()));
    let (low_shown, high_shown) = (low * factor, high * factor);
    let (mut digit, mut exponent) = step(high_shown - low_shown, n_ticks);
    if extent.is_whole && factor == 1.0 && exponent < 0 {
        (digit, exponent) = (1.0, 0);
    }
    // Dividing by a whole power gives the nearest float; multiplying by 0.1 does not.
    let at = |n: f64| match exponent {
        0.. => n * digit * 10f64.powi(exponent),
        _ => n * digit / 10f64.powi(-exponent),
    };
    let steps = |value: f64| match exponent {
        0.. => value / (digit * 10f64.powi(exponent)),
        _ => value * 10f64.powi(-exponent) / digit,
    };
    if fit.to_ticks {
        low = at((steps(low_shown) + 1e-9).floor()) / factor;
        high = at((steps(high_shown) - 1e-9).ceil()) / factor;
    } else {
        let room = (high - low) * fit.margin;
        let keeps = |end: f64| end == 0.0 && fit.zero != Zero::Never;
        low -= if keeps(low) { 0.0 } else { room };
        high += if keeps(high) { 0.0 } else { room };
    }
    let first = (steps(low * factor) - 1e-9).ceil();
    let last = (steps(high * factor) + 1e-9).floor();
    let shown: Vec<f64> = (0..=((last - first).clamp(0.0, 100.0) as u32))
        .map(|n| at(first + f64::from(n)) + 0.0)
        .collect();
    let labels = linear_labels(&shown, exponent);
    Scale {
        low,
        high,
        is_log: false,
        factor,
        name: axis.with_unit(&unit),
        ticks: shown
            .iter()
            .map(|shown| shown / factor)
            .zip(labels)
            .collect(),
    }
}

fn logarithmic(axis: &Axis, extent: Extent, fit: Fit, n_ticks: usize) -> Scale {
    let (mut low, mut high) = (extent.min.log10(), extent.max.log10());
    if high - low < 1e-9 {
        (low, high) = (low - 0.5, high + 0.5);
    }
    if fit.zero == Zero::Always {
        // The shortest bar is to be seen, and the longest to have room at its end.
        (low, high) = (low - 0.05, high + 0.05);
    }
    let ticks: Vec<f64> = if extent.is_power && extent.max > extent.min {
        let (first, last) = (extent.min.log2() as i32, extent.max.log2() as i32);
        (first..=last)
            .step_by(every(first, last, n_ticks))
            .map(|exponent| 2f64.powi(exponent))
            .collect()
    } else if high - low > 1.5 || fit.to_ticks && high - low > 1.0 {
        if fit.to_ticks {
            (low, high) = ((low + 1e-9).floor(), (high - 1e-9).ceil());
        }
        let (first, last) = ((low - 1e-9).ceil() as i32, (high + 1e-9).floor() as i32);
        (first..=last)
            .step_by(every(first, last, n_ticks))
            .map(power)
            .collect()
    } else {
        let digits: &[f64] = if high - low > 0.7 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]
        };
        let decades = low.floor() as i32..=high.ceil() as i32;
        let all: Vec<f64> = decades
            .flat_map(|exponent| digits.iter().map(move |digit| digit * power(exponent)))
            .collect();
        if fit.to_ticks {
            let below = all.iter().rfind(|tick| tick.log10() <= low + 1e-9);
            let above = all.iter().find(|tick| tick.log10() >= high - 1e-9);
            low = below.map_or(low, |tick| tick.log10());
            high = above.map_or(high, |tick| tick.log10());
        }
        let range = low - 1e-9..=high + 1e-9;
        all.into_iter()
            .filter(|tick| range.contains(&tick.log10()))
            .collect()
    };
    if !fit.to_ticks || extent.is_power {
        let room = (high - low) * fit.margin;
        (low, high) = (low - room, high + room);
    }
    let is_plain = |tick: &f64| (1e-3..1e6).contains(tick);
    let as_power = |tick: f64| {
        let exponent = tick.log10().round() as i32;
        ((power(exponent) / tick - 1.0).abs() < 1e-9).then(|| power_of_ten(exponent))
    };
    let powers: Option<Vec<String>> = ticks.iter().map(|tick| as_power(*tick)).collect();
    let labels = match powers {
        Some(powers) if !ticks.iter().all(is_plain) => powers,
        _ if extent.is_power && !ticks.iter().all(is_plain) => {
            ticks.iter().map(|tick| binary(*tick)).collect()
        }
        _ => ticks
            .iter()
            .map(|tick| {
                if is_plain(tick) {
                    trimmed(*tick, 6)
                } else {
                    number(*tick)
                }
            })
            .collect(),
    };
    Scale {
        low,
        high,
        is_log: true,
        factor: 1.0,
        name: axis.to_string(),
        ticks: ticks.into_iter().zip(labels).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Fit = Fit {
        zero: Zero::IfNear,
        to_ticks: true,
        margin: 0.0,
    };

    fn check(axis: &Axis, values: &[f64], n_ticks: usize, name: &str, labels: &[&str]) {
        let scale = Scale::new(axis, Extent::of(values.iter().copied()), ROUND, n_ticks);
        let found: Vec<_> = scale
            .ticks
            .iter()
            .map(|(_, label)| label.as_str())
            .collect();
        assert_eq!((scale.name.as_str(), found.as_slice()), (name, labels));
        for value in values {
            assert!((0.0..=1.0).contains(&scale.share(*value)), "{value}");
        }
    }

    #[test]
    fn ticks_are_round_and_labels_short() {
        let plain = Axis::new("n", "");
        check(
            &plain,
            &[0.1, 0.5],
            5,
            "n",
            &["0", "0.1", "0.2", "0.3", "0.4", "0.5"],
        );
        check(
            &plain,
            &[0.0, 30_000.0],
            3,
            "n",
            &["0", "10,000", "20,000", "30,000"],
        );
        check(
            &plain,
            &[1_000_000.1, 1_000_000.3],
            2,
            "n",
            &["1,000,000.1", "1,000,000.2", "1,000,000.3"],
        );
        check(&plain, &[0.0, 0.0], 2, "n", &["0", "1"]);
        check(
            &plain,
            &[0.0, 2e6],
            4,
            "n",
            &["0", "0.5M", "1.0M", "1.5M", "2.0M"],
        );
        check(&plain, &[-3.5, 2.0], 3, "n", &["−4", "−2", "0", "2"]);
        check(
            &plain,
            &[1e-7, 4e-7],
            4,
            "n",
            &["0", "100×10⁻⁹", "200×10⁻⁹", "300×10⁻⁹", "400×10⁻⁹"],
        );
    }

    #[test]
    fn whole_numbers_have_whole_ticks() {
        check(
            &Axis::new("workers", ""),
            &[1.0, 2.0, 3.0],
            9,
            "workers",
            &["0", "1", "2", "3"],
        );
    }

    #[test]
    fn short_times_and_many_bytes_take_a_better_unit() {
        check(
            &Axis::new("time", "s"),
            &[0.001, 0.004],
            4,
            "time (ms)",
            &["0", "1", "2", "3", "4"],
        );
        check(
            &Axis::new("time", "s"),
            &[1.0, 4.0],
            4,
            "time (s)",
            &["0", "1", "2", "3", "4"],
        );
        check(
            &Axis::new("memory", "B"),
            &[1e9, 2e9],
            2,
            "memory (GB)",
            &["0", "1", "2"],
        );
    }

    #[test]
    fn log_ticks_are_decades_or_powers_of_two() {
        let log = Axis::new("n", "").log();
        check(
            &log,
            &[0.02, 300.0],
            6,
            "n",
            &["0.01", "0.1", "1", "10", "100", "1,000"],
        );
        check(
            &log,
            &[1e-6, 1.0],
            9,
            "n",
            &["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"],
        );
        check(&log, &[1.0, 2.0, 16.0], 9, "n", &["1", "2", "4", "8", "16"]);
        check(
            &log,
            &[2.0, 67_108_864.0],
            4,
            "n",
            &["2", "256", "32Ki", "4Mi"],
        );
        check(
            &log,
            &[10.5, 48.0],
            9,
            "n",
            &["10", "15", "20", "30", "40", "50"],
        );
        check(&log, &[1.5, 14.0], 9, "n", &["1", "2", "5", "10", "20"]);
    }

    #[test]
    fn awkward_values_still_have_places() {
        let axis = Axis::new("n", "s");
        for values in [
            &[0.0][..],
            &[5.0, 5.0],
            &[f64::MAX, f64::MIN],
            &[f64::MIN_POSITIVE, 5e-324],
            &[1e15, 1e15 + 0.125],
            &[-7.0, -7.0],
        ] {
            for axis in [&axis, &axis.clone().log()] {
                if axis.is_log() && values.iter().any(|value| *value <= 0.0) {
                    continue;
                }
                for fit in [
                    ROUND,
                    Fit {
                        zero: Zero::Never,
                        to_ticks: false,
                        margin: 0.05,
                    },
                ] {
                    let scale = Scale::new(axis, Extent::of(values.iter().copied()), fit, 5);
                    assert!(scale.ticks.len() < 30, "{values:?}: {scale:?}");
                    for value in values {
                        let share = scale.share(*value);
                        assert!(
                            (0.0..=1.0).contains(&share),
                            "{values:?}: {share} {scale:?}"
                        );
                    }
                }
            }
        }
    }
}
