//! `%time` and `%%time`: what one run of some code costs.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};
use std::time::Duration;

pub static TIME: Magic = Magic {
    name: "time",
    form: Form::Both,
    usage: "%time code, or %%time above code",
    summary: "wall and processor time of one run, without its compile",
    details: "Wall time is measured in the worker around the code alone. User and system time are \
              those of all its threads; more than the wall time means that threads ran in parallel. Peak \
              memory is that of the worker during the run.",
    run,
};

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let before = (context.spent.compile, context.spent.runs.len());
    let result = context.run_code(&call.code());
    let runs = &context.spent.runs[before.1..];
    let compile = context.spent.compile - before.0;
    if result.is_ok() && !runs.is_empty() {
        let sum = |part: fn(&crate::session::RunTimes) -> Duration| -> Duration {
            runs.iter().map(part).sum()
        };
        let (wall, user, system) = (
            sum(|run| run.wall),
            sum(|run| run.user),
            sum(|run| run.system),
        );
        let peak = runs.iter().map(|run| run.peak_kib).max().unwrap_or(0);
        let before = runs.iter().map(|run| run.before_kib).min().unwrap_or(0);
        let text = format!(
            "CPU times: user {}, sys {}, total {}\nWall time: {}\nPeak memory: {} MiB, {} MiB more than \
             before\nCompile: {}, not counted\n",
            readable(user),
            readable(system),
            readable(user + system),
            readable(wall),
            peak / 1024,
            peak.saturating_sub(before) / 1024,
            readable(compile),
        );
        context.print("stdout", &text);
    }
    result
}

/// Three digits and a unit.
pub fn readable(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = if seconds >= 1.0 {
        (seconds, "s")
    } else if seconds >= 1e-3 {
        (seconds * 1e3, "ms")
    } else if seconds >= 1e-6 {
        (seconds * 1e6, "µs")
    } else {
        (seconds * 1e9, "ns")
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (nanoseconds, expected) in [
            (0, "0.00 ns"),
            (1_234, "1.23 µs"),
            (45_600_000, "45.6 ms"),
            (789_000_000, "789 ms"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(readable(Duration::from_nanos(nanoseconds)), expected);
        }
    }
}
