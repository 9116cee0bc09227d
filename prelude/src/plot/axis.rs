//! What an axis means, and which types of numbers may stand on it.
//!
//! What always holds: a name and a unit are asked for, so no picture leaves the reader guessing.
//!
//! ```
//! use forkline::plot::Axis;
//!
//! let time = Axis::new("time", "ms").log();
//! assert_eq!(time.to_string(), "time (ms)");
//! assert_eq!(Axis::from(("workers", "")).to_string(), "workers");
//! ```

use std::fmt;
use std::time::Duration;

/// A name and a unit, shown as `time (ms)`; an empty unit for a plain number.
///
/// A pair of texts is an axis too: `("time", "ms")`. With the unit `s`, short times are shown in ms, µs or ns, and
/// with `B`, `B/s`, `Hz`, `FLOP/s` large numbers in kB, MB, GB and so on; the data stay in the unit that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    name: String,
    unit: String,
    is_log: bool,
}

impl Axis {
    /// An axis for `name`, measured in `unit`.
    pub fn new(name: &str, unit: &str) -> Axis {
        Axis {
            name: name.to_owned(),
            unit: unit.to_owned(),
            is_log: false,
        }
    }

    /// Makes the axis logarithmic: equal factors are equal lengths. All values must then be above 0.
    #[doc(alias = "loglog")]
    pub fn log(mut self) -> Axis {
        self.is_log = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }

    /// The axis's text with another unit in place of its own.
    pub(super) fn with_unit(&self, unit: &str) -> String {
        match (self.name.is_empty(), unit.is_empty()) {
            (_, true) => self.name.clone(),
            (true, false) => unit.to_owned(),
            (false, false) => format!("{} ({unit})", self.name),
        }
    }
}

impl From<(&str, &str)> for Axis {
    fn from((name, unit): (&str, &str)) -> Axis {
        Axis::new(name, unit)
    }
}

/// As it stands at the axis: `time (ms)`.
impl fmt::Display for Axis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.with_unit(&self.unit))
    }
}

/// What can be plotted: std's integers and floats, durations (in seconds), and references to them.
///
/// Integers above 2⁵³ lose their last digits, which no picture can show.
pub trait Number: Copy {
    /// The number as a float.
    fn to_f64(self) -> f64;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Number for $number {
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

numbers!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64
);

/// In seconds.
impl Number for Duration {
    fn to_f64(self) -> f64 {
        self.as_secs_f64()
    }
}

impl<N: Number> Number for &N {
    fn to_f64(self) -> f64 {
        (*self).to_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_names_its_unit() {
        let time = Axis::new("time", "ms").log();
        assert_eq!(time.to_string(), "time (ms)");
        assert_eq!(Axis::from(("workers", "")).to_string(), "workers");
        assert_eq!(Axis::from(("", "m")).to_string(), "m");
    }

    #[test]
    fn numbers_durations_and_references_become_floats() {
        assert_eq!(3u8.to_f64(), 3.0);
        assert_eq!((&&-2i128).to_f64(), -2.0);
        assert_eq!(Duration::from_micros(1_500).to_f64(), 0.0015);
    }
}
