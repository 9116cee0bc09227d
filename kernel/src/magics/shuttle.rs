//! `%%shuttle`: a cell's code under many schedules of its threads, with the crate shuttle.
//!
//! Shuttle runs all threads on one and decides before each step at a lock, an atomic or a channel which goes
//! on. A failure comes with its schedule, and that schedule gives the same failure again. The code runs in a
//! process of its own, compiled against `assets/shuttle/lib.rs`, which is built when it is first needed, in a
//! folder of its own: the prelude and the session's dependencies know nothing of it.

mod options;
mod shim;

use super::test::{first_panic, first_place, panic_in, run_watched, without_note};
use super::{Call, Form, Magic, parse, readable};
use crate::engine::{BuildKind, CompilerSettings, TestProgram};
use crate::session::{CellContext, CellError};
use options::{Options, usage};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub static SHUTTLE: Magic = Magic {
    name: "shuttle",
    form: Form::Cell,
    usage: "%%shuttle [--iterations N] [--scheduler random|pct|dfs] [--seed S] [--replay TEXT]",
    summary: "run code under many schedules of its threads and find one that fails",
    details: "The code runs N times (1000), each time in another order of its threads' steps, until it panics or \
              all its threads wait for one another. `random` takes any thread at each step; `pct` keeps to \
              priorities and changes them D-1 times (--depth D, 3), which finds rare orders of few steps; `dfs` tries all \
              orders one after the other. The same S (1) gives the same schedules. A failure prints its \
              schedule; --replay with that text, or with `last`, runs it again. In the code, and in what it uses \
              of earlier cells, `std::sync`, `std::thread` and `std::hint` are shuttle's: Mutex, RwLock, Condvar, \
              Barrier, Once, atomics, mpsc, spawn, scope, park. Atomics are as if sequentially consistent. Not \
              simulated: OnceLock, LazyLock, statics (their values stay from run to run), and all that is not \
              std's: `threads`, rayon, tokio, parking_lot. --timeout SECONDS (60) ends it. `--expect failure` \
              makes a schedule that fails the good end. The crate is fetched and built when it is first \
              used. ThreadSanitizer and Miri, which watch real threads and memory, need a nightly toolchain: \
              write the code into a package, then `!cargo +nightly miri test` there.",
    run,
};

/// How the program ends if a schedule has steps that the code has not.
const OTHER_STEPS: i32 = 3;

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let mut options = Options::parse(call.arguments)?;
    let code = parse::without_magics(&call.code());
    if code.trim().is_empty() {
        return Err(usage(
            "there is nothing below it",
            "write code there that starts threads and checks what came of it",
        ));
    }
    let last = context.session_file("schedule");
    if options.replay.as_deref() == Some("last") {
        let text = std::fs::read_to_string(&last).map_err(|_| {
            usage(
                "no schedule has failed in this session yet",
                "%%shuttle    (looks for one)",
            )
        })?;
        options.replay = Some(text);
    }
    let shim = shim::built(context)?;
    let number = context.number();
    let (source, places) = context.engine()?.interleaving_source(number, &code);
    let kind = BuildKind::Main {
        source,
        places,
        arguments: vec![
            "--extern".to_owned(),
            format!("sim={}", shim.join("libsim.rlib").display()),
            "-L".to_owned(),
            format!("dependency={}", shim.join("deps").display()),
            // Shuttle tells by backtraces where threads wait.
            "-C".to_owned(),
            "debuginfo=line-tables-only".to_owned(),
        ],
    };
    let settings = CompilerSettings {
        opt_level: "1".to_owned(),
        checks: true,
        ..context.engine()?.cell_settings()
    };
    let program = context.build_tests(kind, settings)?;
    let folder = program.path.with_extension("schedules");
    let result = explore(context, &options, &program, &folder, &last);
    let _ = std::fs::remove_dir_all(&folder);
    let _ = std::fs::remove_file(&program.path);
    result
}

fn explore(
    context: &mut CellContext<'_>,
    options: &Options,
    program: &TestProgram,
    folder: &Path,
    last: &Path,
) -> Result<(), CellError> {
    let command = |context: &CellContext<'_>, request: &str| {
        let mut command = Command::new(&program.path);
        command
            .env_clear()
            .envs(context.environment())
            .env("RUST_BACKTRACE", "0")
            .env("FORKLINE_SHUTTLE", request);
        command
    };
    let mut first = None;
    let (schedule, found) = match &options.replay {
        Some(schedule) => (schedule.trim().to_owned(), None),
        None => {
            let _ = std::fs::create_dir_all(folder);
            let mut search = command(context, &options.request());
            search.env("FORKLINE_SHUTTLE_DIR", folder);
            let ended = run_watched(context, "%%shuttle", search, options.timeout)?;
            let count = std::fs::read_to_string(folder.join("count")).unwrap_or_default();
            if ended.status.success() {
                let text = passed(options, &count, ended.elapsed);
                if options.expects_failure {
                    return Err(CellError::new(
                        "ScheduleFailed",
                        format!(
                            "%%shuttle: no schedule failed, and one was to\nwhy: --expect failure says so; {}\n\
                             do:  more --iterations, another --scheduler, or without --expect",
                            text.trim_end()
                        ),
                    ));
                }
                context.print("stdout", &text);
                return Ok(());
            }
            let schedule = std::fs::read_to_string(folder.join("schedule000.txt"));
            match schedule {
                Ok(schedule) if !ended.timed_out => {
                    first = Some(ended.output);
                    (schedule, Some(count))
                }
                _ => return Err(stuck(options, ended.timed_out, &ended.output)),
            }
        }
    };
    let mut again = command(context, &format!("replay {schedule}"));
    // In the search they would cost more than all else.
    again.env("SHUTTLE_CAPTURE_BACKTRACE", "1");
    let ended = run_watched(context, "%%shuttle", again, options.timeout)?;
    let output = without_shuttles(&ended.output);
    if ended.status.success() {
        if let Some(first) = first {
            return Err(stuck(options, false, &first));
        }
        let text = format!("{output}\nthis schedule passes\n");
        context.print("stdout", text.trim_start());
        return Ok(());
    }
    // Shuttle's words where a step is not the one that the schedule has.
    let (place, reason, output) = deadlock_in(context, program, &output)
        .unwrap_or_else(|| panic_in(context, program, &output));
    let has_other_steps = ended.status.code() == Some(OTHER_STEPS)
        || reason.contains("next schedule step")
        || reason.starts_with("invalid schedule");
    if has_other_steps {
        return Err(CellError::new(
            "ScheduleFailed",
            "%%shuttle: the schedule does not belong to this code\n\
             why: a schedule says which thread takes each step, and this code has other steps\n\
             do:  %%shuttle without --replay looks for a schedule that fails",
        ));
    }
    let _the_text_is_shown_too = std::fs::write(last, &schedule);
    context.print("stdout", &format!("{output}\n"));
    let what = match &found {
        Some(count) => format!("schedule {count} of {} failed", options.iterations),
        None => "the schedule fails".to_owned(),
    };
    let at = if place.is_empty() {
        String::new()
    } else {
        format!(" in {place}")
    };
    if options.expects_failure {
        let text =
            format!("check: {what}{at}, as expected: {reason}\nits schedule is {schedule}\n");
        context.print("stdout", &text);
        return Ok(());
    }
    let replay = if schedule.len() <= 160 {
        schedule.as_str()
    } else {
        "last"
    };
    Err(CellError::new(
        "ScheduleFailed",
        format!(
            "%%shuttle: {what}{at}\n\
             why: {}; the order of the threads' steps leads to it\n\
             do:  %%shuttle --replay {replay}    (the same order again, for instance with more prints)\n     \
             when it is mended, run it without --replay",
            reason.lines().next().unwrap_or("it panicked"),
        ),
    ))
}

/// A deadlock that a program's output tells of, as [`panic_in`] tells of a panic: shuttle's report has a
/// backtrace for each thread, of which the first line of a cell is wanted.
fn deadlock_in(
    context: &CellContext<'_>,
    program: &TestProgram,
    output: &str,
) -> Option<(String, String, String)> {
    let (before, report) = output.split_once("deadlock! blocked tasks: [")?;
    let mut printed: Vec<&str> = before.lines().collect();
    // The line that says who panicked, which is no thread of the user's.
    printed.pop();
    let tasks: Vec<(bool, String)> = report
        .split(" (task ")
        .skip(1)
        .map(|task| {
            let is_main = task.split(')').next().is_some_and(|id| id.ends_with("(0"));
            let place = first_place(context, program, task);
            (is_main, place.unwrap_or_else(|| "a library".to_owned()))
        })
        .collect();
    let places: Vec<&str> = tasks.iter().map(|(_, place)| place.as_str()).collect();
    let waits: Vec<String> = tasks
        .iter()
        .map(|(is_main, place)| match is_main {
            true => format!("  the main thread in {place}"),
            false => format!("  another in {place}"),
        })
        .collect();
    let text = format!(
        "{}\nall threads wait for one another:\n{}",
        printed.join("\n").trim_end(),
        waits.join("\n")
    );
    let reason = format!("a deadlock: all threads wait, in {}", places.join(" and "));
    Some((String::new(), reason, text.trim_start().to_owned()))
}

/// What is said when nothing failed.
fn passed(options: &Options, count: &str, elapsed: Duration) -> String {
    let Options {
        scheduler,
        depth,
        seed,
        ..
    } = options;
    let how = match scheduler.as_str() {
        "pct" => format!("pct, depth {depth}, seed {seed}"),
        "dfs"
            if count
                .parse()
                .is_ok_and(|count: u64| count < options.iterations) =>
        {
            return format!("all {count} schedules pass (dfs, {})\n", readable(elapsed));
        }
        "dfs" => "dfs, there are more".to_owned(),
        other => format!("{other}, seed {seed}"),
    };
    format!("{count} schedules pass ({how}, {})\n", readable(elapsed))
}

/// The program ended without a schedule.
fn stuck(options: &Options, timed_out: bool, output: &str) -> CellError {
    let (what, why) = if timed_out {
        (
            format!("still running after {:?}", options.timeout),
            "there is a loop without an end, or a thread waits at something that is not simulated (OnceLock, \
             `threads`, a file), and with it all threads"
                .to_owned(),
        )
    } else {
        let told = first_panic(output).map(|(_, reason)| reason);
        let told = told.unwrap_or_else(|| without_shuttles(output));
        let why = match told.lines().last() {
            // Shuttle's words for it.
            Some(line) if line.contains("did not exercise any concurrency") => {
                "pct changes priorities between threads, and there is one thread only".to_owned()
            }
            Some(line) => line.to_owned(),
            None => "it said nothing".to_owned(),
        };
        ("it failed, and not by a schedule".to_owned(), why)
    };
    CellError::new(
        "ScheduleFailed",
        format!(
            "%%shuttle: {what}\nwhy: {why}\n\
             do:  use std's locks and threads only; --iterations 10 or --timeout 300 if it is only slow"
        ),
    )
}

/// The output without shuttle's own lines, which are about a library that the user does not call.
fn without_shuttles(output: &str) -> String {
    let is_own = |line: &&str| {
        line.starts_with("Task failed, serializing")
            || line.starts_with("test panicked in task")
            || line.starts_with("failing schedule")
            || line.starts_with("failing seed")
            || line.starts_with("Test deadlocked, and")
            || line.starts_with("pass that ")
    };
    let lines: Vec<&str> = output.lines().filter(|line| !is_own(line)).collect();
    without_note(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuttles_own_lines_are_not_shown() {
        let text = "a\nTask failed, serializing schedule\ntest panicked in task 'main-thread'\n\nthread 'main' \
                    panicked at x\nfailing seed:\n";
        assert_eq!(without_shuttles(text), "a\n\nthread 'main' panicked at x");
    }

    #[test]
    fn exhausted_schedules_are_all() {
        let options = Options::parse("--scheduler dfs").ok().unwrap();
        assert!(passed(&options, "252", Duration::ZERO).starts_with("all 252 schedules pass"));
        assert!(passed(&options, "1000", Duration::ZERO).contains("there are more"));
    }
}
