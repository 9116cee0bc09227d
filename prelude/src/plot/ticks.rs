//! Ticks: how far apart they are, in which unit, and what is written at them.

use super::Axis;
use super::text::{grouped, number, power_of_ten};

/// The step that gives about `n` steps: 1, 2 or 5 times 10 to the power of the exponent.
pub(super) fn step(range: f64, n: usize) -> (f64, i32) {
    let rough = range / n as f64;
    let mut exponent = rough.log10().floor() as i32;
    let digit = rough / 10f64.powi(exponent);
    let digit = match digit {
        ..1.5 => 1.0,
        ..3.5 => 2.0,
        ..7.5 => 5.0,
        _ => {
            exponent += 1;
            1.0
        }
    };
    (digit, exponent)
}

/// Which of the whole numbers from `first` to `last` to take, every first, second, ..., so that at most `n` stay.
pub(super) fn every(first: i32, last: i32, n: usize) -> usize {
    usize::try_from(last - first + 1)
        .unwrap_or(1)
        .div_ceil(n)
        .max(1)
}

/// A unit in which values up to `size` are easier to read, and how many of it make one of the axis's unit.
pub(super) fn unit(axis: &Axis, size: f64) -> (String, f64) {
    let prefixes: &[(f64, &str)] = match axis.unit() {
        "s" if size > 0.0 && size < 0.5 => &[(1e-3, "m"), (1e-6, "µ"), (1e-9, "n")],
        "B" | "B/s" | "Hz" | "FLOP/s" if size >= 2e3 => {
            &[(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        }
        _ => &[],
    };
    // The last serves for what is smaller still.
    match prefixes
        .iter()
        .find(|(factor, _)| size >= *factor)
        .or(prefixes.last())
    {
        Some((factor, prefix)) => (format!("{prefix}{}", axis.unit()), 1.0 / factor),
        None => (axis.unit().to_owned(), 1.0),
    }
}

/// Labels for ticks that are a multiple of 10 to the power of `exponent` apart.
pub(super) fn linear_labels(ticks: &[f64], exponent: i32) -> Vec<String> {
    let most = ticks.iter().fold(0.0f64, |most, tick| most.max(tick.abs()));
    let in_thousands = if most > 0.0 {
        (most.log10() + 1e-9).div_euclid(3.0) as i32 * 3
    } else {
        0
    };
    let (power, suffix) = match in_thousands {
        6 => (6, "M".to_owned()),
        9 => (9, "G".to_owned()),
        12 => (12, "T".to_owned()),
        15.. | ..=-6 => (in_thousands, format!("×{}", power_of_ten(in_thousands))),
        -3 if most < 1e-2 => (-3, format!("×{}", power_of_ten(-3))),
        _ => (0, String::new()),
    };
    let mut decimals = usize::try_from(power - exponent).unwrap_or(0);
    let (mut power, mut suffix) = (power, suffix);
    if (6..15).contains(&power) && decimals > 3 {
        // Close to each other and far from 0: 1,000,000.2 and not 1.0000002M.
        decimals = usize::try_from(-exponent).unwrap_or(0);
        (power, suffix) = (0, String::new());
    }
    let label = |tick: &f64| match *tick == 0.0 {
        true => "0".to_owned(),
        // In two factors: 10 to the power of -310 is no full float.
        false => format!(
            "{}{suffix}",
            grouped(
                tick / 10f64.powi(power / 2) / 10f64.powi(power - power / 2),
                decimals
            )
        ),
    };
    ticks.iter().map(label).collect()
}

/// A power of two: 512, 64Ki, 4Mi.
pub(super) fn binary(tick: f64) -> String {
    let (mut value, mut suffixes) = (
        tick,
        ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().peekable(),
    );
    while value >= 1024.0 && suffixes.len() > 1 {
        value /= 1024.0;
        suffixes.next();
    }
    format!("{}{}", number(value), suffixes.next().unwrap_or(&""))
}

/// 10 to a power: parsing gives the nearest float, `powi` does not for negative ones.
pub(super) fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::MAX)
}
