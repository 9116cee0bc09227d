//! What more workers can bring: speedup, efficiency, and the laws of Amdahl and Gustafson.
//!
//! Amdahl's law keeps the work and asks how much sooner it is done (strong scaling). Gustafson's law keeps
//! the time and asks how much more is done in it (weak scaling). To find the share from measured times take
//! [`amdahl_fit`](super::amdahl_fit) or [`gustafson_fit`](super::gustafson_fit).
//!
//! What always holds: a share says which one it is, [`Share::Serial`] or [`Share::Parallel`], so the two
//! cannot be mixed up; an argument that makes no sense is an error, never a NaN.
//!
//! ```
//! use forkline::bench::{Share, amdahl_limit, amdahl_speedup, gustafson_speedup};
//!
//! let amdahl = amdahl_speedup(Share::Parallel(0.9), 8)?;
//! let gustafson = gustafson_speedup(Share::Serial(0.1), 8)?;
//! assert_eq!(format!("{amdahl:.4} {gustafson:.1}"), "4.7059 7.3");
//! assert_eq!(format!("{:.1}", amdahl_limit(Share::Serial(0.1))?), "10.0");
//! # Ok::<(), forkline::bench::BenchError>(())
//! ```

use super::error::BenchError;

/// A part of the whole, from 0 to 1, and which part it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// The part that one worker must do alone.
    Serial(f64),
    /// The part that all workers share.
    Parallel(f64),
}

impl Share {
    /// The serial part, whichever was given.
    pub fn serial(self) -> f64 {
        match self {
            Share::Serial(share) => share,
            Share::Parallel(share) => 1.0 - share,
        }
    }

    /// The parallel part, whichever was given.
    pub fn parallel(self) -> f64 {
        1.0 - self.serial()
    }

    fn checked(self, call: &'static str) -> Result<Share, BenchError> {
        let (Share::Serial(value) | Share::Parallel(value)) = self;
        if (0.0..=1.0).contains(&value) {
            Ok(self)
        } else {
            Err(BenchError::NotAShare { call, share: self })
        }
    }
}

/// How many times as fast: `S = T_baseline / T`, both in the same unit.
///
/// The speedup is absolute if the baseline is the best sequential program, and relative if it is the parallel
/// program with one worker: say which.
///
/// # Errors
///
/// [`NotPositive`](BenchError::NotPositive) if a time is NaN, infinite, 0 or below.
///
/// ```
/// let speedup = forkline::bench::speedup(25.4288, 18.9299)?;
/// assert_eq!(format!("{speedup:.4}"), "1.3433");
/// # Ok::<(), forkline::bench::BenchError>(())
/// ```
pub fn speedup(baseline: f64, time: f64) -> Result<f64, BenchError> {
    for value in [baseline, time] {
        positive(value, "time", "bench::speedup")?;
    }
    Ok(baseline / time)
}

/// What part of the workers' time is used: `E = S / n`. 1 is ideal, above 1 is superlinear.
///
/// # Errors
///
/// [`NotPositive`](BenchError::NotPositive) if the speedup is NaN, infinite, 0 or below;
/// [`ZeroWorkers`](BenchError::ZeroWorkers).
///
/// ```
/// let efficiency = forkline::bench::efficiency(1.3433, 10)?;
/// assert_eq!(format!("{efficiency:.4}"), "0.1343");
/// # Ok::<(), forkline::bench::BenchError>(())
/// ```
pub fn efficiency(speedup: f64, workers: usize) -> Result<f64, BenchError> {
    let call = "bench::efficiency";
    positive(speedup, "speedup", call)?;
    Ok(speedup / some(workers, call)?)
}

/// The speedup that `workers` can bring for the same work: `S(n) = 1 / (s + (1 - s) / n)`, where `s` is the
/// serial share of the time that **one** worker takes.
///
/// Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities", 1967.
///
/// # Errors
///
/// [`NotAShare`](BenchError::NotAShare) outside 0 to 1, [`ZeroWorkers`](BenchError::ZeroWorkers).
pub fn amdahl_speedup(share: Share, workers: usize) -> Result<f64, BenchError> {
    let call = "bench::amdahl_speedup";
    let serial = share.checked(call)?.serial();
    Ok(1.0 / (serial + (1.0 - serial) / some(workers, call)?))
}

/// The speedup that no number of workers exceeds: `1 / s`, infinite if nothing is serial.
///
/// # Errors
///
/// [`NotAShare`](BenchError::NotAShare) outside 0 to 1.
pub fn amdahl_limit(share: Share) -> Result<f64, BenchError> {
    Ok(1.0 / share.checked("bench::amdahl_limit")?.serial())
}

/// The scaled speedup: how many times the work of one worker `workers` do in the same time,
/// `S(n) = n - a (n - 1)`, where `a` is the serial share of the time that **`n`** workers take.
///
/// Gustafson, "Reevaluating Amdahl's law", 1988.
///
/// # Errors
///
/// [`NotAShare`](BenchError::NotAShare) outside 0 to 1, [`ZeroWorkers`](BenchError::ZeroWorkers).
pub fn gustafson_speedup(share: Share, workers: usize) -> Result<f64, BenchError> {
    let call = "bench::gustafson_speedup";
    let serial = share.checked(call)?.serial();
    let n = some(workers, call)?;
    Ok(n - serial * (n - 1.0))
}

/// The serial share that a measured speedup amounts to: `e = (1/S - 1/n) / (1 - 1/n)`.
///
/// If it stays the same as `n` grows, serial work is what limits the speedup; if it grows, the cost of
/// starting and meeting does. It is below 0 where the speedup is superlinear.
///
/// Karp & Flatt, "Measuring parallel processor performance", 1990.
///
/// # Errors
///
/// [`NotPositive`](BenchError::NotPositive) if the speedup is NaN, infinite, 0 or below;
/// [`ZeroWorkers`](BenchError::ZeroWorkers); [`OneWorker`](BenchError::OneWorker), for which it is undefined.
///
/// ```
/// let share = forkline::bench::karp_flatt(4.7059, 8)?;
/// assert_eq!(format!("{share:.3}"), "0.100");
/// # Ok::<(), forkline::bench::BenchError>(())
/// ```
pub fn karp_flatt(speedup: f64, workers: usize) -> Result<f64, BenchError> {
    let call = "bench::karp_flatt";
    let n = some(workers, call)?;
    if workers == 1 {
        return Err(BenchError::OneWorker { call });
    }
    positive(speedup, "speedup", call)?;
    Ok((1.0 / speedup - 1.0 / n) / (1.0 - 1.0 / n))
}

/// A time or a speedup.
pub(super) fn positive(
    value: f64,
    what: &'static str,
    call: &'static str,
) -> Result<(), BenchError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(BenchError::NotPositive { call, what, value })
    }
}

/// One worker or more, as a number to calculate with.
pub(super) fn some(workers: usize, call: &'static str) -> Result<f64, BenchError> {
    match workers {
        0 => Err(BenchError::ZeroWorkers { call }),
        _ => Ok(workers as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-5, "{found} for {expected}");
    }

    #[test]
    fn amdahl_gives_the_published_numbers() {
        for (n, expected) in [
            (1, 1.0),
            (2, 1.8182),
            (4, 3.0769),
            (8, 4.7059),
            (16, 6.4),
            (81, 9.0),
            (100, 9.1743),
            (1000, 9.9108),
        ] {
            near(amdahl_speedup(Share::Parallel(0.9), n).unwrap(), expected);
            near(amdahl_speedup(Share::Serial(0.1), n).unwrap(), expected);
        }
        near(amdahl_limit(Share::Parallel(0.9)).unwrap(), 10.0);
        assert_eq!(amdahl_limit(Share::Serial(0.0)).unwrap(), f64::INFINITY);
        assert_eq!(amdahl_speedup(Share::Serial(0.0), 7).unwrap(), 7.0);
        assert_eq!(amdahl_speedup(Share::Serial(1.0), 7).unwrap(), 1.0);
    }

    #[test]
    fn gustafson_gives_the_published_numbers_and_never_less_than_amdahl() {
        for (n, expected) in [
            (1, 1.0),
            (2, 1.9),
            (4, 3.7),
            (8, 7.3),
            (10, 9.1),
            (100, 90.1),
            (1000, 900.1),
        ] {
            let share = Share::Serial(0.1);
            near(gustafson_speedup(share, n).unwrap(), expected);
            assert!(amdahl_speedup(share, n).unwrap() <= expected + 1e-9);
        }
    }

    #[test]
    fn speedup_and_efficiency_give_the_published_numbers() {
        let found = speedup(25.4288, 18.9299).unwrap();
        near(found, 1.3433);
        near(efficiency(found, 10).unwrap(), 0.1343);
    }

    /// The metric undoes Amdahl's law; above n it is negative.
    #[test]
    fn karp_flatt_finds_the_serial_share() {
        for n in [2, 4, 16, 1000] {
            let speedup = amdahl_speedup(Share::Serial(0.25), n).unwrap();
            near(karp_flatt(speedup, n).unwrap(), 0.25);
        }
        assert!(karp_flatt(4.5, 4).unwrap() < 0.0);
    }

    #[test]
    fn a_share_says_which_one_it_is() {
        assert_eq!(Share::Parallel(0.75).serial(), 0.25);
        assert_eq!(Share::Serial(0.75).parallel(), 0.25);
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused() {
        let starts = |result: Result<f64, BenchError>, text: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        };
        starts(
            amdahl_speedup(Share::Parallel(90.0), 2),
            "bench::amdahl_speedup: 90 is no parallel share\nwhy: ",
        );
        starts(
            gustafson_speedup(Share::Serial(f64::NAN), 2),
            "bench::gustafson_speedup: NaN is no serial share\nwhy: ",
        );
        starts(
            amdahl_limit(Share::Serial(-0.1)),
            "bench::amdahl_limit: -0.1 is no serial share\nwhy: ",
        );
        starts(
            amdahl_speedup(Share::Serial(0.1), 0),
            "bench::amdahl_speedup: 0 workers given\nwhy: ",
        );
        starts(
            efficiency(1.0, 0),
            "bench::efficiency: 0 workers given\nwhy: ",
        );
        starts(speedup(1.0, 0.0), "bench::speedup: 0 is no time\nwhy: ");
        starts(
            speedup(f64::INFINITY, 1.0),
            "bench::speedup: inf is no time\nwhy: ",
        );
        starts(
            karp_flatt(1.0, 1),
            "bench::karp_flatt: undefined for 1 worker\nwhy: ",
        );
        starts(
            karp_flatt(f64::NAN, 2),
            "bench::karp_flatt: NaN is no speedup\nwhy: ",
        );
    }
}
