//! `%test` and `%%test`: the session's tests, each in a process of its own.
//!
//! * `options`  what stands behind the magic
//! * `files`    tests in files
//! * `runs`     all chosen tests, some at once
//! * `process`  one test's process
//! * `outcome`  what that process has said
//! * `places`   lines of the generated source as the user knows them
//! * `told`     what is shown of a run
//! * `report`   the table
//!
//! The session's source becomes a program by rustc's test harness (`engine::testing`). The program is asked
//! for its tests and then started once for each of those that were chosen, so a test that aborts, hangs or
//! overflows its stack ends no other, and none sees what another has left in a static.

mod files;
mod options;
mod outcome;
mod places;
mod process;
mod report;
mod runs;
mod told;

use super::{Call, Form, Magic, parse};
use crate::engine::{BuildKind, CompilerSettings, TestProgram};
use crate::session::{CellContext, CellError};
use options::{Ignored, Options, usage};
pub use outcome::{first_panic, without_note};
pub use places::{first_place, panic_in};
pub use runs::run_watched;
use runs::{Environment, interrupted, run_all};
use std::collections::HashSet;
use std::path::Path;
use told::Report;

pub static TEST: Magic = Magic {
    name: "test",
    form: Form::Both,
    usage: "%test [NAME…] [--path FILE…] [options], or %%test [NAME…] [options] above tests",
    summary: "run #[test] functions, each in a process of its own",
    details: "`%%test` defines what is below it like any cell and runs the tests of that cell; `%test` runs all \
              tests that the session's cells have defined, `%test --path` those of Rust files (of a folder: \
              test_*.rs, *_test.rs and tests/*.rs). A test sees functions, types, statics and imports of the \
              session and its dependencies, so `:dep rstest` and `:dep proptest` work, but no variables. NAME \
              chooses the tests whose path contains it. Options: --exact, --ignored, --include-ignored, --list, \
              --show-output (also of tests that pass; --nocapture is the same), --threads N, --timeout SECONDS \
              (60), --release (compiled as cells are; without it tests are not optimised and check overflows \
              and debug assertions), --expect passed=N,failures=N,errors=N,ignored=N (any other outcome \
              fails), --cd FOLDER (where --path looks). --path takes files, folders, patterns and \
              FILE::NAME, several of them. A failure is an assertion that does not hold, an error anything \
              else that ends a test.",
    run,
};

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let magic = if call.body.is_some() {
        "%%test"
    } else {
        "%test"
    };
    let options = Options::parse(call.arguments, magic)?;
    let program = if let Some(body) = call.body {
        if body.trim().is_empty() {
            return Err(usage(
                magic,
                "there is nothing below it",
                "write the tests there, or %test, which runs those that earlier cells have defined",
            ));
        }
        let code = call.code();
        super::run(context, &code)?;
        let code = parse::without_magics(&code);
        let settings = settings(context, &options)?;
        let number = context.number();
        context.build_tests(BuildKind::Cell(number, &code), settings)?
    } else {
        let settings = settings(context, &options)?;
        if !options.paths.is_empty() {
            return files::run(context, &options, &settings);
        }
        context.build_tests(BuildKind::Session, settings)?
    };
    // Of a cell's own tests none is left out.
    for (name, place) in &program.broken {
        let at = place.map_or(String::new(), |place| {
            format!(" ({})", context.describe_place(place))
        });
        context.print(
            "stderr",
            &format!("left out, because it does not compile: {name}{at}\n"),
        );
    }
    let programs = vec![Built::of_session(program)];
    run_programs(context, magic, &options, programs, None)
}

/// How tests are compiled: as `cargo test` does, or as the session's cells.
fn settings(
    context: &mut CellContext<'_>,
    options: &Options,
) -> Result<CompilerSettings, CellError> {
    let mut settings = context.engine()?.cell_settings();
    if !options.release {
        settings.checks = true;
        if settings.opt_level == CompilerSettings::default().opt_level {
            "0".clone_into(&mut settings.opt_level);
        }
    }
    Ok(settings)
}

/// A program and what is to be run of it.
struct Built {
    program: TestProgram,
    /// Before the names of its tests, for a file.
    prefix: String,
    /// Paths that are chosen, with all that is below them; none means all.
    chosen: Vec<String>,
}

impl Built {
    fn of_session(program: TestProgram) -> Built {
        Built {
            program,
            prefix: String::new(),
            chosen: Vec::new(),
        }
    }
}

/// A test that is to be run or reported.
struct Test {
    /// Index of its program.
    program: usize,
    /// As the program has it.
    name: String,
    is_ignored: bool,
}

/// Runs the chosen tests of programs and shows what came of it. Removes the programs.
fn run_programs(
    context: &mut CellContext<'_>,
    magic: &str,
    options: &Options,
    programs: Vec<Built>,
    dir: Option<&Path>,
) -> Result<(), CellError> {
    let result = run_and_report(context, magic, options, &programs, dir);
    for built in &programs {
        let _ = std::fs::remove_file(&built.program.path);
    }
    result
}

fn run_and_report(
    context: &mut CellContext<'_>,
    magic: &str,
    options: &Options,
    programs: &[Built],
    dir: Option<&Path>,
) -> Result<(), CellError> {
    let environment = Environment::of(context, dir);
    let mut tests = Vec::new();
    let mut filtered = 0;
    for (index, built) in programs.iter().enumerate() {
        let all = environment.list(&built.program.path, false)?;
        let ignored: HashSet<String> = environment
            .list(&built.program.path, true)?
            .into_iter()
            .collect();
        for name in all {
            let root = name.split("::").next().unwrap_or_default();
            let others = &built.program.others;
            if others.iter().any(|other| other == root) {
                continue;
            }
            let is_ignored = ignored.contains(&name);
            let is_below =
                |chosen: &String| name == *chosen || name.starts_with(&format!("{chosen}::"));
            let is_chosen = options.chooses(&name)
                && (built.chosen.is_empty() || built.chosen.iter().any(is_below))
                && (options.ignored != Ignored::Only || is_ignored);
            if is_chosen {
                tests.push(Test {
                    program: index,
                    name,
                    is_ignored,
                });
            } else {
                filtered += 1;
            }
        }
    }
    let shown = |test: &Test| format!("{}{}", programs[test.program].prefix, test.name);
    tests.sort_by_key(shown);
    if tests.is_empty() {
        return Err(no_tests(magic, options, filtered));
    }
    if options.list {
        let mut text = String::new();
        for test in &tests {
            let ignored = if test.is_ignored { "    (ignored)" } else { "" };
            text += &format!("{}{ignored}\n", shown(test));
        }
        text += &format!("{} of {}\n", tests.len(), tests.len() + filtered);
        context.print("stdout", &text);
        return Ok(());
    }
    let outcomes = run_all(context, options, programs, &environment, &tests);
    if context.interrupted() {
        return Err(interrupted(magic));
    }
    let mut report = Report::new(context, options);
    for (test, outcome) in tests.iter().zip(outcomes) {
        let outcome = outcome.expect("every test was run, as there was no interrupt");
        report.add(shown(test), &programs[test.program].program, outcome);
    }
    report.show(magic, filtered)
}

/// Why nothing is run.
fn no_tests(magic: &str, options: &Options, filtered: usize) -> CellError {
    let (why, instead) = if filtered == 0 {
        (
            "no function with #[test] is defined there".to_owned(),
            "write one: #[test] fn adds() { assert_eq!(1 + 1, 2); }".to_owned(),
        )
    } else {
        let only = if options.ignored == Ignored::Only {
            " and is ignored"
        } else {
            ""
        };
        (
            format!("none of the {filtered} tests there fits the choice{only}"),
            format!("{magic} --list    (without a name it lists all)"),
        )
    };
    CellError::new(
        "NoTests",
        format!("{magic}: no test was run\nwhy: {why}\ndo:  {instead}"),
    )
}
