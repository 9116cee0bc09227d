//! Measuring several things in turns, so that what disturbs the machine meanwhile meets them all.
//!
//! What always holds:
//! * each round has one sample of each thing, and every other round goes the other way (A B B A): a steady
//!   drift cancels, and nobody is always the first;
//! * a panic is an error that says which thing it was; an interrupt goes on unwinding.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::error::BenchError;
use super::timeit::calibrate;
use crate::{interrupt, panics};

/// Several things to measure, by their places.
pub(super) struct Rounds<'a> {
    /// The function that was called, for errors.
    pub call: &'static str,
    /// How many things there are.
    pub n_things: usize,
    /// How many rounds, if that was set.
    pub n_rounds: Option<usize>,
    /// The fewest rounds otherwise: in general, and if a sample takes more than a second.
    pub n_least: (usize, usize),
    /// How long rounds are begun for otherwise.
    pub budget: Duration,
    /// The name of the thing in a place.
    pub name: &'a dyn Fn(usize) -> String,
    /// The time of so many calls of the thing in a place.
    pub sample: &'a mut dyn FnMut(usize, u64) -> Duration,
}

/// What was found for one thing.
pub(super) struct Measured {
    /// How many calls each sample had.
    pub loops: u64,
    /// Seconds per call, by round.
    pub samples: Vec<f64>,
}

/// More rounds would not change what is seen.
const N_MOST: usize = 100;

impl Rounds<'_> {
    /// Finds the loop counts, then measures round by round.
    pub fn run(mut self) -> Result<Vec<Measured>, BenchError> {
        let mut measured = Vec::new();
        let mut slowest = Duration::ZERO;
        for at in 0..self.n_things {
            let (loops, wall) =
                self.guard(at, |sample| calibrate(&mut |loops| sample(at, loops)))?;
            slowest = slowest.max(wall);
            measured.push(Measured {
                loops,
                samples: Vec::new(),
            });
        }
        let is_slow = slowest > Duration::from_secs(1);
        let n_least = if is_slow {
            self.n_least.1
        } else {
            self.n_least.0
        };
        let (least, most) = match self.n_rounds {
            Some(n) => (n, n),
            None => (n_least, N_MOST),
        };
        let start = Instant::now();
        let mut n_done = 0;
        while n_done < least || (n_done < most && start.elapsed() < self.budget) {
            for step in 0..self.n_things {
                let at = match n_done % 2 {
                    0 => step,
                    _ => self.n_things - 1 - step,
                };
                interrupt::check();
                let loops = measured[at].loops;
                let timed = self.guard(at, |sample| sample(at, loops))?;
                measured[at]
                    .samples
                    .push(timed.as_secs_f64() / loops as f64);
            }
            n_done += 1;
        }
        Ok(measured)
    }

    fn guard<R>(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut dyn FnMut(usize, u64) -> Duration) -> R,
    ) -> Result<R, BenchError> {
        // What the closure left half done is its owner's to judge, as after any caught panic.
        catch_unwind(AssertUnwindSafe(|| run(self.sample))).map_err(|payload| {
            let message = message_unless(interrupt::requested(), payload);
            BenchError::Panicked {
                call: self.call,
                during: (self.name)(at),
                message,
            }
        })
    }
}

/// The text of a panic. An interrupt is no panic of the closure's: it must go on to the end of the cell.
fn message_unless(is_interrupted: bool, payload: Box<dyn Any + Send>) -> String {
    if is_interrupted {
        resume_unwind(payload);
    }
    let text = panics::text(&*payload);
    text.unwrap_or("a panic without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        n_rounds: usize,
        sample: &mut dyn FnMut(usize, u64) -> Duration,
    ) -> Result<Vec<Measured>, BenchError> {
        Rounds {
            call: "test",
            n_things: 3,
            n_rounds: Some(n_rounds),
            n_least: (1, 1),
            budget: Duration::ZERO,
            name: &|at| format!("thing {at}"),
            sample,
        }
        .run()
    }

    #[test]
    fn every_other_round_goes_the_other_way() {
        let mut order = Vec::new();
        let measured = run(3, &mut |at, loops| {
            order.push(at);
            Duration::from_millis(7 + at as u64) * loops as u32
        })
        .unwrap();
        // Before the rounds come calls to warm up and to find the loop counts, thing by thing.
        let (before, rounds) = order.split_at(order.len() - 9);
        assert!(before.is_sorted(), "{before:?}");
        assert_eq!(rounds, [0, 1, 2, 2, 1, 0, 0, 1, 2]);
        assert_eq!(measured[2].samples, [9e-3; 3]);
        assert_eq!(measured[2].loops, 1);
    }

    #[test]
    fn a_panic_in_any_round_names_the_thing() {
        let mut n_calls = 0;
        let error = run(3, &mut |at, _| {
            n_calls += usize::from(at == 1);
            // Three calls at most come before the rounds.
            assert!(n_calls < 5, "too many at {at}");
            Duration::from_millis(6)
        });
        let error = error.err().unwrap().to_string();
        assert!(
            error.starts_with(
                "test: panic in the run of thing 1\nwhy: the closure panicked: too many at 1"
            ),
            "{error}"
        );
    }

    #[test]
    fn an_interrupt_goes_on_unwinding() {
        struct Interrupt;
        let unwound = catch_unwind(|| message_unless(true, Box::new(Interrupt)));
        assert!(unwound.unwrap_err().is::<Interrupt>());
        assert_eq!(message_unless(false, Box::new("a panic")), "a panic");
    }

    #[test]
    fn a_panic_may_have_no_text() {
        assert_eq!(
            message_unless(false, Box::new(5_u8)),
            "a panic without a text"
        );
        assert_eq!(
            message_unless(false, Box::new(String::from("owned"))),
            "owned"
        );
    }
}
