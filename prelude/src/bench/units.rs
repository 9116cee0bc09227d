//! Numbers as a reader wants them: few digits, and times in the unit that suits.

/// `value` with so many significant digits, without an exponent: `1.32`, `0.0419`, `118`.
///
/// Digits before the point are never cut, so 12,345 with three digits stays `12345`.
pub(super) fn significant(value: f64, n_digits: i32) -> String {
    let decimals = n_digits - 1 - exponent(value, n_digits);
    format!("{value:.*}", decimals.max(0) as usize)
}

/// A time in seconds with three significant digits: `12.3 µs`.
pub(super) fn seconds(value: f64) -> String {
    let (per_second, unit) = time_unit(value);
    if value == 0.0 {
        return format!("0 {unit}");
    }
    format!("{} {unit}", significant(value * per_second, 3))
}

/// The unit in which `value` seconds read well, and how many of it are one second.
pub(super) fn time_unit(value: f64) -> (f64, &'static str) {
    match exponent(value, 3) {
        _ if value == 0.0 || !value.is_finite() => (1.0, "s"),
        ..=-7 => (1e9, "ns"),
        -6..=-4 => (1e6, "µs"),
        -3..=-1 => (1e3, "ms"),
        0.. => (1.0, "s"),
    }
}

/// `1 sample`, `2 samples`.
pub(super) fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The power of ten of the first digit, after rounding to `n_digits`: 9.996 is 10.0 and has 1.
fn exponent(value: f64, n_digits: i32) -> i32 {
    let scientific = format!("{value:.*e}", (n_digits - 1).max(0) as usize);
    scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (value, text) in [
            (0.0, "0 s"),
            (3.2e-10, "0.320 ns"),
            (1e-9, "1.00 ns"),
            (4.56e-8, "45.6 ns"),
            (9.996e-7, "1.00 µs"),
            (1.234e-5, "12.3 µs"),
            (0.123_4, "123 ms"),
            (0.999_9, "1.00 s"),
            (75.04, "75.0 s"),
            (12_345.6, "12346 s"),
            (-1.5e-3, "-1.50 ms"),
        ] {
            assert_eq!(seconds(value), text);
        }
    }

    #[test]
    fn digits_are_counted_from_the_first_that_is_not_zero() {
        for (value, text) in [
            (1.0, "1.00"),
            (0.041_89, "0.0419"),
            (9.999, "10.0"),
            (117.6, "118"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(significant(value, 3), text);
        }
        assert_eq!(significant(1.00345, 4), "1.003");
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(counted(1, "call"), "1 call");
        assert_eq!(counted(0, "call"), "0 calls");
    }
}
