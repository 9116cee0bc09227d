//! Programs of tests are started: to list their tests, and once for each test that was chosen.

use super::options::{Ignored, Options};
use super::outcome::{self, Outcome, Verdict};
use super::process::{self, Ended};
use super::{Built, Test};
use crate::session::{CellContext, CellError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// What the processes of tests get.
pub struct Environment {
    variables: Vec<(String, String)>,
    dir: Option<PathBuf>,
}

impl Environment {
    /// As cells see it; in this folder, or else in the kernel's.
    pub fn of(context: &CellContext<'_>, dir: Option<&Path>) -> Environment {
        Environment {
            variables: context.environment(),
            dir: dir.map(Path::to_owned),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("RUST_BACKTRACE", "0")
            // It would keep failing inputs beside the source, which is not the user's file.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .env_remove("RUST_TEST_THREADS")
            .env_remove("RUST_TEST_SHUFFLE");
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// The names of a program's tests, or of the ignored ones among them.
    pub fn list(&self, program: &Path, only_ignored: bool) -> Result<Vec<String>, CellError> {
        let mut command = self.command(program);
        command.args(["--list", "--format", "terse"]);
        if only_ignored {
            command.arg("--ignored");
        }
        let output = command.output();
        let told = match &output {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
                return Ok(names.map(str::to_owned).collect());
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Err(CellError::new(
            "TestsNotRun",
            format!(
                "the program of the tests does not start\nwhy: {told}\n\
                 do:  run the cell again; if it stays, restart the kernel"
            ),
        ))
    }
}

/// Runs tests, some at once, each in its process. None for those that an interrupt kept from running.
pub fn run_all(
    context: &CellContext<'_>,
    options: &Options,
    programs: &[Built],
    environment: &Environment,
    tests: &[Test],
) -> Vec<Option<Outcome>> {
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let stop = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<Option<Outcome>> = tests.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads.min(tests.len()) {
            let sender = sender.clone();
            let (stop, next) = (&stop, &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(test) = tests.get(index).filter(|_| !stop.load(Ordering::Relaxed))
                    else {
                        break;
                    };
                    let program = &programs[test.program].program.path;
                    let outcome = run_one(program, test, options, environment, stop);
                    let _the_receiver_waits_for_all = sender.send((index, outcome));
                }
            });
        }
        drop(sender);
        loop {
            match receiver.recv_timeout(Duration::from_millis(20)) {
                Ok((index, outcome)) => outcomes[index] = Some(outcome),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if context.interrupted() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    outcomes
}

fn run_one(
    program: &Path,
    test: &Test,
    options: &Options,
    environment: &Environment,
    stop: &AtomicBool,
) -> Outcome {
    let mut command = environment.command(program);
    // Two threads: with one the harness would run the test on the main thread, which has another name.
    command.args([
        &test.name,
        "--exact",
        "--nocapture",
        "--quiet",
        "--test-threads=2",
    ]);
    if options.ignored != Ignored::Skip {
        command.arg("--include-ignored");
    }
    match process::run(command, options.timeout, stop) {
        Ok(ended) => outcome::read(&test.name, &ended, options.timeout),
        Err(error) => Outcome {
            verdict: Verdict::Error,
            reason: format!("its process could not be started: {error}"),
            location: None,
            output: String::new(),
            elapsed: Duration::ZERO,
        },
    }
}

/// Runs one program of this session to its end; an interrupt ends it.
///
/// # Errors
/// It cannot be started, or it was interrupted.
pub fn run_watched(
    context: &CellContext<'_>,
    what: &str,
    command: Command,
    timeout: Duration,
) -> Result<Ended, CellError> {
    let stop = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let running = scope.spawn(|| process::run(command, timeout, &stop));
        while !running.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
            stop.store(context.interrupted(), Ordering::Relaxed);
        }
        running.join()
    });
    if context.interrupted() {
        return Err(interrupted(what));
    }
    let ended = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    ended.map_err(|error| {
        CellError::new(
            "TestsNotRun",
            format!("{what}: the program does not start\nwhy: {error}\ndo:  run the cell again"),
        )
    })
}

/// The error for programs that an interrupt has ended.
pub fn interrupted(what: &str) -> CellError {
    CellError::new(
        "Interrupted",
        format!(
            "{what}: interrupted\n\
             why: it was asked for, and all processes of it were ended\n\
             do:  go on: all variables are still there"
        ),
    )
}
