//! How long one thing takes: loops of calls, timed as samples.
//!
//! To set two ways of doing something against each other take [`compare`](super::compare()), which measures
//! them in turns: two runs of [`timeit()`] one after the other also differ by what the machine did meanwhile.
//!
//! What always holds:
//! * the first call is a warm-up and does not count; nor do the calls that find the loop count;
//! * a result is dropped inside the timed loop by [`timeit()`], and outside of it by [`timeit_with`];
//! * a panic of the closure goes through, as if the closure had been called directly.
//!
//! The loop around the closure costs up to a nanosecond for each call, which is not taken off. What the
//! compiler knows beforehand it still works out beforehand: give constants through
//! [`black_box`].
//!
//! ```
//! use std::hint::black_box;
//! use std::time::Duration;
//! use forkline::bench::Timer;
//!
//! let timing = Timer::new().budget(Duration::from_millis(50)).run(|| black_box(1e3_f64).sqrt());
//! assert!(timing.min() <= timing.median());
//! println!("{timing}");
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::timing::Timing;
use crate::interrupt;

/// A sample of this length is long enough: a look at the clock takes tens of nanoseconds, a hundred
/// thousandth of it.
const ENOUGH: Duration = Duration::from_millis(5);
/// What a sample may take where most of it is setup that is not timed.
const PATIENCE: Duration = Duration::from_millis(100);
/// From here on code is slow: its first call is all the warm-up that it gets, and 3 samples do.
const SLOW: Duration = Duration::from_secs(1);
/// Reached only where a call takes no time at all.
const MAX_LOOPS: u64 = 1 << 30;
/// How many inputs [`timeit_with`] makes at once. The clock then costs each call less than a nanosecond.
const BATCH: u64 = 100;

/// Measures how long a call of `body` takes.
///
/// A sample has as many calls as take 5 ms together (one call, if that takes longer). Samples are taken for
/// about 1 s: at most 100, at least 7, or at least 3 if one takes more than 1 s. What `body` returns is
/// dropped inside the timed loop, so the time to free it counts; [`timeit_with`] leaves it out.
///
/// ```
/// let mut numbers: Vec<u32> = (0..1_000).collect();
/// let timing = forkline::bench::timeit(|| numbers.reverse());
/// assert!(timing.samples().len() >= 7);
/// println!("{timing}");
/// ```
pub fn timeit<T>(body: impl FnMut() -> T) -> Timing {
    Timer::new().run(body)
}

/// As [`timeit()`], with a fresh input from `setup` for each call. Neither `setup` nor dropping the results is
/// timed. Up to 100 inputs, and as many results, are in memory at the same time.
///
/// ```
/// use forkline::bench::timeit_with;
///
/// let timing = timeit_with(|| (0..1_000).rev().collect::<Vec<u32>>(), |mut numbers| { numbers.sort(); numbers });
/// println!("{timing}");
/// ```
pub fn timeit_with<I, T>(setup: impl FnMut() -> I, body: impl FnMut(I) -> T) -> Timing {
    Timer::new().run_with(setup, body)
}

/// [`timeit()`] with settings of your own.
///
/// ```
/// use forkline::bench::Timer;
///
/// let timing = Timer::new().samples(30).loops(10).run(|| "one two three".split(' ').count());
/// assert_eq!((timing.samples().len(), timing.loops()), (30, 10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a timer measures nothing until `run` is called"]
pub struct Timer {
    samples: Option<usize>,
    loops: Option<u64>,
    budget: Duration,
}

impl Default for Timer {
    fn default() -> Timer {
        Timer {
            samples: None,
            loops: None,
            budget: Duration::from_secs(1),
        }
    }
}

impl Timer {
    /// The settings of [`timeit()`].
    pub fn new() -> Timer {
        Timer::default()
    }

    /// Takes exactly `n` samples, however long that takes. 0 counts as 1.
    pub fn samples(mut self, n: usize) -> Timer {
        self.samples = Some(n.max(1));
        self
    }

    /// Makes exactly `n` calls in each sample, after one call to warm up. 0 counts as 1.
    pub fn loops(mut self, n: u64) -> Timer {
        self.loops = Some(n.max(1));
        self
    }

    /// Takes samples for about that long, where [`samples`](Timer::samples) is not set. The least numbers of
    /// samples that [`timeit()`] names still hold.
    pub fn budget(mut self, budget: Duration) -> Timer {
        self.budget = budget;
        self
    }

    /// Measures how long a call of `body` takes, results dropped.
    pub fn run<T>(&self, mut body: impl FnMut() -> T) -> Timing {
        self.measure(&mut |loops| clock(loops, &mut body))
    }

    /// As [`timeit_with`].
    pub fn run_with<I, T>(
        &self,
        mut setup: impl FnMut() -> I,
        mut body: impl FnMut(I) -> T,
    ) -> Timing {
        self.measure(&mut |loops| {
            let mut timed = Duration::ZERO;
            let mut left = loops;
            while left > 0 {
                let n = left.min(BATCH);
                left -= n;
                let mut inputs: Vec<I> = (0..n).map(|_| setup()).collect();
                let mut results = Vec::with_capacity(inputs.len());
                let start = Instant::now();
                for input in inputs.drain(..) {
                    results.push(black_box(&mut body)(black_box(input)));
                }
                black_box(&mut results);
                timed += start.elapsed();
            }
            timed
        })
    }

    /// All that does not depend on the closure's type.
    #[inline(never)]
    fn measure(&self, sample: &mut dyn FnMut(u64) -> Duration) -> Timing {
        let (loops, wall) = match self.loops {
            Some(loops) => (loops, timed_wall(sample, 1)),
            None => calibrate(sample),
        };
        let (least, most) = match self.samples {
            Some(n) => (n, n),
            None if wall > SLOW => (3, 100),
            None => (7, 100),
        };
        let mut samples = Vec::with_capacity(most.min(1_000));
        let start = Instant::now();
        while samples.len() < least || (samples.len() < most && start.elapsed() < self.budget) {
            interrupt::check();
            samples.push(sample(loops).as_secs_f64() / loops as f64);
        }
        Timing::of_checked(samples, loops)
    }
}

/// The time of `loops` calls. This is what a cell compiles for each closure: nothing else belongs here.
#[inline]
pub(super) fn clock<T>(loops: u64, body: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    let mut left = loops;
    while left > 0 {
        left -= 1;
        // The compiler must take it that the closure's captures change with each call, or it could work the
        // result out once, before the loop.
        black_box(black_box(&mut *body)());
    }
    start.elapsed()
}

fn timed_wall(sample: &mut dyn FnMut(u64) -> Duration, loops: u64) -> Duration {
    let start = Instant::now();
    sample(loops);
    start.elapsed()
}

/// How many calls a sample needs, and how long such a sample took with all around it.
///
/// The first call is a warm-up: it may build a pool or fill a cache, and would be taken for slow code.
#[inline(never)]
pub(super) fn calibrate(sample: &mut dyn FnMut(u64) -> Duration) -> (u64, Duration) {
    let first = timed_wall(sample, 1);
    if first > SLOW {
        return (1, first);
    }
    let mut loops = 1;
    loop {
        interrupt::check();
        let start = Instant::now();
        let mut timed = sample(loops);
        let mut wall = start.elapsed();
        if timed >= ENOUGH && wall < 10 * ENOUGH {
            // A second look: the first may be long because the system let something else run meanwhile.
            wall = timed_wall(
                &mut |loops| {
                    timed = sample(loops);
                    timed
                },
                loops,
            );
        }
        if timed >= ENOUGH || wall >= PATIENCE || loops >= MAX_LOOPS {
            return (loops, wall);
        }
        // A fifth more than what seems to be needed, so that the next sample is long enough.
        let wanted = 1.2 * ENOUGH.as_secs_f64() / timed.as_secs_f64();
        let allowed = 1.2 * PATIENCE.as_secs_f64() / wall.as_secs_f64();
        loops = (loops as f64 * wanted.min(allowed).clamp(1.5, 10.0)).ceil() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock of the test's own: each call "takes" the given time, and none passes.
    fn pretend(seconds_per_call: f64) -> impl FnMut(u64) -> Duration {
        move |loops| Duration::from_secs_f64(seconds_per_call * loops as f64)
    }

    #[test]
    fn a_sample_takes_five_milliseconds_or_one_call() {
        for per_call in [1e-9, 3.7e-7, 1e-4, 4.9e-3] {
            let (loops, _) = calibrate(&mut pretend(per_call));
            let sample = per_call * loops as f64;
            assert!((5e-3..12e-3).contains(&sample), "{loops} of {per_call}");
        }
        assert_eq!(calibrate(&mut pretend(6e-3)).0, 1);
        assert!(calibrate(&mut pretend(0.0)).0 >= MAX_LOOPS);
    }

    #[test]
    fn a_slow_first_call_is_not_taken_for_slow_code() {
        let mut n_calls = 0;
        let (loops, _) = calibrate(&mut |loops| {
            n_calls += 1;
            let per_call = if n_calls == 1 { 0.5 } else { 1e-6 };
            Duration::from_secs_f64(per_call * loops as f64)
        });
        assert!(loops >= 5_000, "{loops}");
    }

    #[test]
    fn a_disturbed_sample_does_not_end_the_search() {
        let mut n_samples = 0;
        let (loops, _) = calibrate(&mut |loops| {
            n_samples += 1;
            let disturbance = if n_samples == 3 { 8e-3 } else { 0.0 };
            Duration::from_secs_f64(1e-6 * loops as f64 + disturbance)
        });
        assert!(loops >= 5_000, "{loops}");
    }

    #[test]
    fn the_settings_are_kept_exactly() {
        let mut n_calls = 0_u64;
        let timing = Timer::new().samples(30).loops(10).run(|| n_calls += 1);
        assert_eq!((timing.samples().len(), timing.loops()), (30, 10));
        assert_eq!(n_calls, 301);
        let timing = Timer::new().samples(0).loops(0).run(|| ());
        assert_eq!((timing.samples().len(), timing.loops()), (1, 1));
    }

    #[test]
    fn a_budget_of_nothing_still_gives_seven_samples() {
        let timing = Timer::new().budget(Duration::ZERO).run(|| 1 + 1);
        assert_eq!(timing.samples().len(), 7);
        assert!(timing.samples().iter().all(|&time| time >= 0.0));
    }

    #[test]
    fn each_call_has_an_input_of_its_own_and_results_live_until_the_clock_stops() {
        use std::cell::Cell;
        struct Counted<'a>(&'a Cell<u64>);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let (n_made, n_dropped, n_calls) = (Cell::new(0_u64), Cell::new(0), Cell::new(0_u64));
        let timing = Timer::new().samples(3).loops(250).run_with(
            || {
                n_made.set(n_made.get() + 1);
                Counted(&n_dropped)
            },
            |input| {
                // Only whole batches have been dropped so far: the warm-up's call, then 100, 100 and 50.
                let n_dropped = n_dropped.get();
                assert!(n_dropped == 0 || (n_dropped - 1) % 50 == 0, "{n_dropped}");
                n_calls.set(n_calls.get() + 1);
                input
            },
        );
        assert_eq!(timing.samples().len(), 3);
        assert_eq!(
            (n_made.get(), n_dropped.get(), n_calls.get()),
            (751, 751, 751)
        );
    }

    #[test]
    fn a_panic_goes_through() {
        // The panic is a frame, which is not to come in another test's turn.
        let _turn = crate::tests::host::turn();
        let panic =
            std::panic::catch_unwind(|| Timer::new().samples(1).run(|| panic!("as called")));
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "as called");
    }
}
