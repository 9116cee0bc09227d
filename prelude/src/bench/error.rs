//! What can go wrong in a measurement: one variant for each cure.
//!
//! What always holds: a message has three parts, what happened, `why:` and `do:`, and its first line stands
//! alone. `Debug` prints the same as `Display`, since `?` at the end of a cell prints `Debug`.
//!
//! ```
//! let error = forkline::bench::karp_flatt(1.0, 0).unwrap_err();
//! assert!(error.to_string().starts_with("bench::karp_flatt: 0 workers given\nwhy: "));
//! ```

use std::error::Error;
use std::fmt;

use super::laws::Share;
use super::units::{counted, seconds};

/// What went wrong in a measurement or in the arguments of a law.
#[non_exhaustive]
pub enum BenchError {
    /// A list of worker counts is empty.
    NoWorkers {
        /// The function that was called.
        call: &'static str,
    },
    /// A worker count is 0.
    ZeroWorkers {
        /// The function that was called.
        call: &'static str,
    },
    /// The Karp-Flatt metric was asked for with one worker.
    OneWorker {
        /// The function that was called.
        call: &'static str,
    },
    /// A fit has times of one worker count only.
    OneWorkerCount {
        /// The function that was called.
        call: &'static str,
        /// That worker count.
        workers: usize,
    },
    /// Times grow so fast with the workers that no law of Amdahl's fits them.
    NotAmdahl {
        /// The function that was called.
        call: &'static str,
        /// The fitted time of one worker, in seconds.
        one_worker: f64,
    },
    /// A comparison has fewer than two cases.
    TooFewCases {
        /// How many it has.
        n_cases: usize,
    },
    /// Two cases of a comparison have the same label.
    DuplicateLabel {
        /// That label.
        label: String,
    },
    /// Too few samples were given for what was asked.
    TooFewSamples {
        /// The function that was called.
        call: &'static str,
        /// How many were given.
        n_samples: usize,
        /// How many it needs.
        n_needed: usize,
    },
    /// Fewer rounds were asked for than the measurement needs.
    TooFewRounds {
        /// The type whose `rounds` was called.
        call: &'static str,
        /// How many were asked for.
        n_rounds: usize,
        /// How many it needs.
        n_needed: usize,
    },
    /// Two lists that belong together pair by pair differ in length.
    NotPaired {
        /// The function that was called.
        call: &'static str,
        /// The length of the first list.
        n_first: usize,
        /// The length of the second list.
        n_second: usize,
    },
    /// A sample is NaN or infinite.
    NotFinite {
        /// The function that was called.
        call: &'static str,
        /// The place of the sample in the list.
        index: usize,
        /// The sample.
        value: f64,
    },
    /// A time or a speedup is not a positive number: NaN, infinite, zero or below.
    NotPositive {
        /// The function that was called.
        call: &'static str,
        /// What the number should have been.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// A share is NaN or lies outside 0 to 1.
    NotAShare {
        /// The function that was called.
        call: &'static str,
        /// The share.
        share: Share,
    },
    /// The measured closure panicked.
    Panicked {
        /// The function that was called.
        call: &'static str,
        /// Which case, or how many workers: "case `a`", "2 workers".
        during: String,
        /// The text of the panic.
        message: String,
    },
    /// The system gave no threads for a pool.
    PoolNotMade {
        /// How many threads were asked for.
        workers: usize,
        /// rayon's own account.
        source: rayon::ThreadPoolBuildError,
    },
}

impl BenchError {
    /// What happened, why, what to do.
    fn parts(&self) -> [String; 3] {
        let parts = |what: String, why: &str, cure: String| [what, why.to_owned(), cure];
        match self {
            BenchError::NoWorkers { call } => parts(
                format!("{call}: no worker counts given"),
                "the list of worker counts is empty, so there is nothing to run",
                format!("give at least one count, such as {call}([1, 2, 4], |p| ..)"),
            ),
            BenchError::ZeroWorkers { call } => parts(
                format!("{call}: 0 workers given"),
                "work needs at least 1 worker; to rayon a 0 would mean as many as there are cores",
                "give counts from 1 on; (1..=4) counts from 1, (0..4) from 0\n\
                 for all cores: device::info().cpus_usable"
                    .into(),
            ),
            BenchError::OneWorker { call } => parts(
                format!("{call}: undefined for 1 worker"),
                "the metric sets a run on several workers against one on 1; here both are the same",
                "leave the run with 1 worker out of the list".into(),
            ),
            BenchError::OneWorkerCount { call, workers } => parts(
                format!("{call}: all times are for {}", counted(*workers, "worker")),
                "what is fitted is the change with the number of workers, and here is none",
                "add times of a second worker count, twice as many workers for example".into(),
            ),
            BenchError::NotAmdahl { call, one_worker } => [
                format!("{call}: the times do not follow Amdahl's law"),
                format!(
                    "they grow so fast with the number of workers that one worker would take {}",
                    seconds(*one_worker)
                ),
                "add times of 1 worker, and leave out counts above the number of cores".into(),
            ],
            BenchError::TooFewCases { n_cases } => parts(
                format!("bench::compare: {} given", counted(*n_cases, "case")),
                "a comparison needs a baseline and at least one case to set against it",
                "add cases: bench::compare().case(\"a\", || ..).case(\"b\", || ..).run()\n\
                 for one thing alone: bench::timeit(|| ..)"
                    .into(),
            ),
            BenchError::DuplicateLabel { label } => parts(
                format!("bench::compare: two cases are called `{label}`"),
                "the result names its cases by their labels, so it could not be read",
                "give each case a label of its own".into(),
            ),
            BenchError::TooFewSamples {
                call,
                n_samples,
                n_needed,
            } => parts(
                format!(
                    "{call}: {} given, {n_needed} needed",
                    counted(*n_samples, "sample")
                ),
                match n_needed {
                    6 => {
                        "with fewer than 6 samples even their whole range holds the true median \
                          in less than 95 of 100 cases"
                    }
                    2 => "the law has two unknowns: the time of one worker, and the serial share",
                    _ => "of no samples nothing can be said",
                },
                format!(
                    "give at least {n_needed}, such as timing.samples() of a Timing: \
                     bench::Timer::new().samples({n_needed}).run(|| ..)"
                ),
            ),
            BenchError::TooFewRounds {
                call,
                n_rounds,
                n_needed,
            } => parts(
                format!(
                    "{call}: {} asked for, {n_needed} needed",
                    counted(*n_rounds, "round")
                ),
                match n_needed {
                    6 => {
                        "a 95 % interval of a median needs 6 samples, and a round has one of each case"
                    }
                    _ => "without a round nothing is measured",
                },
                format!(
                    "ask for more: .rounds({n_needed}); without .rounds() the time budget decides"
                ),
            ),
            BenchError::NotPaired {
                call,
                n_first,
                n_second,
            } => parts(
                format!("{call}: {n_first} and {n_second} samples are not pairs"),
                "the samples are drawn again in pairs, the first with the first and so on, so that what \
                 disturbed both at once cancels",
                "measure both in the same rounds, as bench::compare() does".into(),
            ),
            BenchError::NotFinite { call, index, value } => parts(
                format!("{call}: sample {index} is {value}"),
                "with NaN or an infinite value among the samples their mean is meaningless",
                "look at where it comes from: 0.0 / 0.0 gives NaN, 1.0 / 0.0 an infinite value\n\
                 or leave it out: samples.retain(|value| value.is_finite())"
                    .into(),
            ),
            BenchError::NotPositive { call, what, value } => parts(
                format!("{call}: {value} is no {what}"),
                "a time and a speedup are finite numbers above 0",
                "give times in seconds: duration.as_secs_f64(), or timing.median() of a Timing\n\
                 if a measured time is 0, it is too short for the clock: bench::timeit loops it"
                    .into(),
            ),
            BenchError::NotAShare { call, share } => {
                let (name, value) = match share {
                    Share::Serial(value) => ("serial", value),
                    Share::Parallel(value) => ("parallel", value),
                };
                parts(
                    format!("{call}: {value} is no {name} share"),
                    "a share is a part of the whole: 0 is nothing, 1 is everything",
                    "give a number from 0 to 1; 90 % is 0.9".into(),
                )
            }
            BenchError::Panicked {
                call,
                during,
                message,
            } => [
                format!("{call}: panic in the run of {during}"),
                format!("the closure panicked: {message}"),
                "call it once outside of the measurement to see the panic's line\n\
                 it is called many times, so what it changes must allow another call"
                    .into(),
            ],
            BenchError::PoolNotMade { workers, source } => [
                format!("bench::in_pool: no pool of {}", counted(*workers, "thread")),
                format!("the threads could not be started: {source}"),
                "ask for fewer threads; `ulimit -u` tells how many this user may have".into(),
            ],
        }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [what, why, cure] = self.parts();
        // Lines after the first stand below the first.
        let indent = |text: String| text.replace('\n', "\n     ");
        write!(f, "{what}\nwhy: {}\ndo:  {}", indent(why), indent(cure))
    }
}

/// The same as `Display`.
impl fmt::Debug for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BenchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BenchError::PoolNotMade { source, .. } => Some(source),
            _ => None,
        }
    }
}
