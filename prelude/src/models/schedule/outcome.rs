//! What came of a schedule: results, who ran what when, and who had nothing to do.

use std::fmt;
use std::time::Duration;

use super::row;
use crate::display::{Bundle, Show};
use crate::trace::Trace;

/// One task on one worker. Times are nanoseconds of [`trace::now`](crate::trace::now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The task, counted from 0.
    pub task: usize,
    /// The worker, counted from 0.
    pub worker: usize,
    /// When it began, in nanoseconds.
    pub start_ns: u64,
    /// When it ended, in nanoseconds.
    pub end_ns: u64,
}

impl Run {
    /// How long it took.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.end_ns - self.start_ns)
    }
}

/// What came of [`run`](super::run). As the last expression of a cell it is a timeline.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome<R> {
    /// What each task returned, in the order of the tasks.
    pub results: Vec<R>,
    /// Which task ran where, by the time of its start.
    pub runs: Vec<Run>,
    /// How many workers there were.
    pub n_workers: usize,
    /// From the common start of the workers to the end of the last.
    pub elapsed: Duration,
    /// How often a manager, or with stealing another worker, was asked for work.
    pub n_requests: u64,
    /// How many tasks were stolen.
    pub n_moved: u64,
}

impl<R> Outcome<R> {
    pub(super) fn new(
        n_workers: usize,
        start_ns: u64,
        end_ns: u64,
        mut done: Vec<(Run, R)>,
        n_requests: u64,
        n_moved: u64,
    ) -> Self {
        done.sort_by_key(|(run, _)| run.task);
        let (mut runs, results): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        runs.sort_by_key(|run| (run.start_ns, run.worker));
        Self {
            results,
            runs,
            n_workers,
            elapsed: Duration::from_nanos(end_ns.saturating_sub(start_ns)),
            n_requests,
            n_moved,
        }
    }

    /// The time that a worker spent in tasks; 0 if there is no such worker.
    pub fn busy(&self, worker: usize) -> Duration {
        let own = self.runs.iter().filter(|run| run.worker == worker);
        own.map(Run::elapsed).sum()
    }

    /// The time that a worker spent waiting or asking for tasks, to the end of the last worker.
    pub fn idle(&self, worker: usize) -> Duration {
        self.elapsed.saturating_sub(self.busy(worker))
    }

    /// How many tasks each worker ran.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_workers];
        for run in &self.runs {
            counts[run.worker] += 1;
        }
        counts
    }

    /// How uneven it was: the busy time of the busiest worker, divided by the mean of all. 1 is even. NaN without tasks.
    pub fn imbalance(&self) -> f64 {
        let busy: Vec<f64> = (0..self.n_workers)
            .map(|worker| self.busy(worker).as_secs_f64())
            .collect();
        let mean = busy.iter().sum::<f64>() / busy.len() as f64;
        busy.into_iter().fold(0.0, f64::max) / mean
    }

    /// Who ran what when, with the numbers of the tasks as names, for [`Trace::timeline`] and other pictures.
    pub fn trace(&self) -> Trace {
        let mut trace = Trace::new();
        // By worker, so that the rows stand in their order.
        let mut runs = self.runs.clone();
        runs.sort_by_key(|run| (run.worker, run.start_ns));
        for run in runs {
            let name = format!("task {}", run.task);
            trace.add(&row(run.worker), name, run.start_ns, run.end_ns);
        }
        trace
    }
}

impl<R> fmt::Display for Outcome<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(
            f,
            "{} tasks on {} workers in {:.2} ms; busiest / mean {:.2}; {} requests, {} tasks stolen",
            self.runs.len(),
            self.n_workers,
            ms(self.elapsed),
            self.imbalance(),
            self.n_requests,
            self.n_moved
        )?;
        write!(f, "{:<12}{:>6}{:>12}{:>12}", "", "tasks", "busy", "idle")?;
        for (worker, count) in self.counts().into_iter().enumerate() {
            let (busy, idle) = (ms(self.busy(worker)), ms(self.idle(worker)));
            write!(
                f,
                "\n{:<12}{count:>6}{busy:>9.2} ms{idle:>9.2} ms",
                row(worker)
            )?;
        }
        Ok(())
    }
}

/// The same text as `Display`: results may be many, and their type need not be `Debug`.
impl<R> fmt::Debug for Outcome<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<R> Show for Outcome<R> {
    /// The timeline, with the table of busy and idle times as text.
    fn show(&self) -> Bundle {
        let text = self.to_string();
        match self.runs.is_empty() {
            true => Bundle::new().text(text),
            false => self.trace().show().text(text),
        }
    }
}
