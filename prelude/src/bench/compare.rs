//! Which of several ways is faster, and whether the samples show it at all.
//!
//! For one thing alone take [`timeit`](super::timeit()).
//!
//! What always holds:
//! * the cases are measured in turns, round by round, every other round in the other order;
//! * the first case is the baseline;
//! * a ratio comes with its 95 % interval, and where that holds 1 the answer is "no difference shown".
//!
//! How it works: in each round the baseline's time is divided by the case's. The ratio is the median of
//! these, and its interval is found by bootstrap over the rounds, so that what slowed a whole round cancels.
//! It speaks of these two pieces of machine code on this machine: moved to another place in memory the same
//! source can differ by a few per cent.
//!
//! ```
//! use std::time::Duration;
//! use forkline::bench::compare;
//!
//! let numbers: Vec<u64> = (0..2_000).collect();
//! let comparison = compare()
//!     .case("all", || numbers.iter().sum::<u64>())
//!     .case("half", || numbers[..1_000].iter().sum::<u64>())
//!     .budget(Duration::from_millis(100))
//!     .run()?;
//! println!("{comparison}");
//! assert_eq!(comparison.cases().len(), 2);
//! # Ok::<(), forkline::bench::BenchError>(())
//! ```

mod comparison;

use std::fmt;
use std::time::Duration;

use super::error::BenchError;
use super::resample::N_FOR_INTERVAL;
use super::rounds::Rounds;
use super::timeit::clock;
use super::timing::Timing;

pub use comparison::{ComparedCase, Comparison};

/// An empty comparison, to which cases are added. The same as [`Compare::new`].
pub fn compare<'a>() -> Compare<'a> {
    Compare::new()
}

/// A comparison to be made.
#[must_use = "a comparison measures nothing until `run` is called"]
pub struct Compare<'a> {
    cases: Vec<Case<'a>>,
    n_rounds: Option<usize>,
    budget: Duration,
}

struct Case<'a> {
    label: String,
    sample: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl Default for Compare<'_> {
    fn default() -> Self {
        Compare {
            cases: Vec::new(),
            n_rounds: None,
            budget: Duration::from_secs(2),
        }
    }
}

impl<'a> Compare<'a> {
    /// A comparison without cases. It takes rounds for about 2 s: at most 100, at least 6.
    pub fn new() -> Compare<'a> {
        Compare::default()
    }

    /// Adds a case; the first is the baseline. What `body` returns is dropped inside the timed loop.
    pub fn case<T>(mut self, label: &str, mut body: impl FnMut() -> T + 'a) -> Compare<'a> {
        self.cases.push(Case {
            label: label.to_owned(),
            sample: Box::new(move |loops| clock(loops, &mut body)),
        });
        self
    }

    /// Makes exactly `n` rounds, 6 or more, however long that takes.
    pub fn rounds(mut self, n: usize) -> Compare<'a> {
        self.n_rounds = Some(n);
        self
    }

    /// Begins rounds for about that long, where [`rounds`](Compare::rounds) is not set. There are 6 at least.
    pub fn budget(mut self, budget: Duration) -> Compare<'a> {
        self.budget = budget;
        self
    }

    /// Measures.
    ///
    /// # Errors
    ///
    /// [`TooFewCases`](BenchError::TooFewCases) below 2 cases, [`DuplicateLabel`](BenchError::DuplicateLabel),
    /// [`TooFewRounds`](BenchError::TooFewRounds) below 6 rounds, and [`Panicked`](BenchError::Panicked) with
    /// the case's label if a closure panics.
    pub fn run(mut self) -> Result<Comparison, BenchError> {
        let n_cases = self.cases.len();
        if n_cases < 2 {
            return Err(BenchError::TooFewCases { n_cases });
        }
        let labels: Vec<String> = self.cases.iter().map(|case| case.label.clone()).collect();
        if let Some(label) = duplicate(&labels) {
            return Err(BenchError::DuplicateLabel { label });
        }
        if let Some(n_rounds) = self.n_rounds.filter(|&n| n < N_FOR_INTERVAL) {
            return Err(BenchError::TooFewRounds {
                call: "bench::compare",
                n_rounds,
                n_needed: N_FOR_INTERVAL,
            });
        }
        let measured = Rounds {
            call: "bench::compare",
            n_things: n_cases,
            n_rounds: self.n_rounds,
            n_least: (N_FOR_INTERVAL, N_FOR_INTERVAL),
            budget: self.budget,
            name: &|at| format!("case `{}`", labels[at]),
            sample: &mut |at, loops| (self.cases[at].sample)(loops),
        }
        .run()?;
        let timings = measured
            .into_iter()
            .map(|thing| Timing::of_checked(thing.samples, thing.loops))
            .collect();
        Comparison::of(labels, timings)
    }
}

impl fmt::Debug for Compare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<&str> = self.cases.iter().map(|case| case.label.as_str()).collect();
        f.debug_struct("Compare")
            .field("cases", &labels)
            .finish_non_exhaustive()
    }
}

fn duplicate(labels: &[String]) -> Option<String> {
    let is_repeated = |(at, label): &(usize, &String)| labels[..*at].contains(label);
    let repeated = labels.iter().enumerate().find(is_repeated);
    repeated.map(|(_, label)| label.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Show;

    #[test]
    fn cases_are_run_and_named() {
        let mut n_calls = [0_u64; 2];
        let (first, second) = n_calls.split_at_mut(1);
        let comparison = compare()
            .case("a", || {
                first[0] += 1;
                std::thread::sleep(Duration::from_millis(8));
            })
            .case("<b>", || {
                second[0] += 1;
                std::thread::sleep(Duration::from_millis(8));
                "another type"
            })
            .rounds(6)
            .run()
            .unwrap();
        // The warm-up and one or two looks at how long a call takes, then the rounds.
        assert!(n_calls.iter().all(|n| (8..=9).contains(n)), "{n_calls:?}");
        let labels: Vec<&str> = comparison
            .cases()
            .iter()
            .map(|case| case.label.as_str())
            .collect();
        assert_eq!(labels, ["a", "<b>"]);
        assert_eq!(comparison.cases()[1].timing.samples().len(), 6);
        assert!(
            comparison
                .show()
                .get("text/html")
                .unwrap()
                .contains("&lt;b&gt;")
        );
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        // The panic is a frame, which is not to come in another test's turn.
        let _turn = crate::tests::host::turn();
        let starts = |error: BenchError, text: &str| {
            let error = error.to_string();
            assert!(error.starts_with(text), "{error}");
        };
        starts(
            compare().run().unwrap_err(),
            "bench::compare: 0 cases given\nwhy: ",
        );
        starts(
            compare().case("a", || ()).run().unwrap_err(),
            "bench::compare: 1 case given\nwhy: ",
        );
        starts(
            compare()
                .case("a", || ())
                .case("a", || ())
                .run()
                .unwrap_err(),
            "bench::compare: two cases are called `a`\nwhy: ",
        );
        starts(
            compare()
                .case("a", || ())
                .case("b", || ())
                .rounds(5)
                .run()
                .unwrap_err(),
            "bench::compare: 5 rounds asked for, 6 needed\nwhy: a 95 % interval",
        );
        starts(
            compare()
                .case("a", || ())
                .case("b", || panic!("no {}", 7))
                .rounds(6)
                .run()
                .unwrap_err(),
            "bench::compare: panic in the run of case `b`\nwhy: the closure panicked: no 7\ndo:  ",
        );
        let timing = |time| Timing::of_checked(vec![time; 6], 1);
        starts(
            Comparison::of(vec!["a".into(), "b".into()], vec![timing(1.0), timing(0.0)])
                .unwrap_err(),
            "bench::compare: sample 0 is inf\nwhy: ",
        );
    }
}
