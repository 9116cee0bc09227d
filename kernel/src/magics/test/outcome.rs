//! What a test's process has said, read: how the test ended, why, and where.
//!
//! The text is that of rustc's harness with one test in it and nothing captured: a line before, the test's own
//! output, and behind it the harness's word. A process that ends without that word did not end by the test.

use super::process::Ended;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Ok,
    /// Something that was claimed does not hold: an assertion, or a panic that was expected and did not come.
    Failure,
    /// Anything else that ends a test: another panic, a returned error, a signal, an exit, the time limit.
    Error,
    Ignored,
}

impl Verdict {
    /// As the table has it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Failure => "FAILED",
            Verdict::Error => "ERROR",
            Verdict::Ignored => "ignored",
        }
    }
}

/// File, line and column, from 1.
pub type Location = (String, usize, usize);

/// What came of a test.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Why it is not ok, or why it is ignored; several lines at times.
    pub reason: String,
    /// Where its panic was.
    pub location: Option<Location>,
    /// What it printed, the message of its panic included.
    pub output: String,
    pub elapsed: Duration,
}

const BEGIN: &str = "running 1 test\n";
const END: &str = "\ntest result: ";
const FAILURES: &str = "\nfailures:\n";
const PANICKED: &str = " panicked at ";
const BACKTRACE_NOTE: &str = "note: run with `RUST_BACKTRACE=";

/// Reads what a process has said that ran the test of this name.
pub fn read(name: &str, ended: &Ended, timeout: Duration) -> Outcome {
    let text = match ended.output.find(BEGIN) {
        Some(at) => &ended.output[at + BEGIN.len()..],
        None => ended.output.as_str(),
    };
    let mut outcome = Outcome {
        verdict: Verdict::Error,
        reason: String::new(),
        location: None,
        output: without_note(text),
        elapsed: ended.elapsed,
    };
    let Some((body, rest)) = text.rsplit_once(END) else {
        outcome.reason = ended_early(ended, timeout, text);
        return outcome;
    };
    if rest.starts_with("ok.") {
        let ignored = rest.contains("; 1 ignored;");
        let sign = if ignored { 'i' } else { '.' };
        outcome.output = without_note(
            body.trim_end_matches('\n')
                .strip_suffix(sign)
                .unwrap_or(body),
        );
        outcome.verdict = if ignored {
            Verdict::Ignored
        } else {
            Verdict::Ok
        };
        let message = rest.split_once("ignore_message: ");
        outcome.reason = message.map_or("", |(_, message)| message.trim()).to_owned();
        return outcome;
    }
    // Twice if the harness has something to say of the test, once if not.
    let before_names = body
        .rsplit_once(FAILURES)
        .map_or(body, |(before, _)| before);
    let (own, notes) = match before_names.rsplit_once(FAILURES) {
        Some((own, notes)) => (own, notes),
        None => (before_names, ""),
    };
    let own = own.trim_end_matches('\n');
    let failed = format!("{name} --- FAILED");
    let own = own
        .strip_suffix(failed.as_str())
        .or(own.strip_suffix('F'))
        .unwrap_or(own);
    outcome.output = without_note(own);
    let note = notes
        .lines()
        .skip_while(|line| line.starts_with("---- ") || line.is_empty());
    let note = note.collect::<Vec<_>>().join("\n");
    let note = note.trim().strip_prefix("note: ").unwrap_or(note.trim());
    let panic = panic_of(name, own);
    if note.starts_with("test did not panic") || note.starts_with("panic did not contain") {
        outcome.verdict = Verdict::Failure;
        // Where the test stands is known from the table.
        outcome.reason = match note.split_once(" at ") {
            Some((what, _)) if note.starts_with("test did not") => what.to_owned(),
            _ => note.to_owned(),
        };
        outcome.location = panic.map(|(location, _)| location);
        return outcome;
    }
    if let Some((location, message)) = panic {
        let is_claim = message.starts_with("assertion ")
            || message.starts_with("Test failed: ")
            || message.contains("assertion failed: ");
        outcome.verdict = if is_claim {
            Verdict::Failure
        } else {
            Verdict::Error
        };
        outcome.location = Some(location);
        outcome.reason = message;
        return outcome;
    }
    let returned = own
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Error: "));
    outcome.reason = match returned {
        Some(error) => format!("returned Err({error})"),
        None => "it failed without a word".to_owned(),
    };
    outcome
}

/// The last panic of the thread that bears the test's name: its place and its message.
fn panic_of(name: &str, text: &str) -> Option<(Location, String)> {
    let thread = format!("thread '{name}'");
    let at = text
        .match_indices(&thread)
        .map(|(at, _)| at)
        .filter(|at| {
            let line = text[*at..].lines().next();
            line.is_some_and(|line| line.contains(PANICKED))
        })
        .last()?;
    panic_at(&text[at..])
}

/// The first panic of a text, whoever panicked.
pub fn first_panic(text: &str) -> Option<(Location, String)> {
    let at = text.find(PANICKED)?;
    panic_at(&text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..])
}

/// The panic whose first line begins a text.
fn panic_at(text: &str) -> Option<(Location, String)> {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (_, place) = head.split_once(PANICKED)?;
    let mut numbers = place.trim_end_matches(':').rsplitn(3, ':');
    let column = numbers.next()?.parse().ok()?;
    let line = numbers.next()?.parse().ok()?;
    let file = numbers.next()?.to_owned();
    let end = rest.find(BACKTRACE_NOTE).unwrap_or(rest.len());
    let end = rest[..end].find("\n\nthread '").unwrap_or(end);
    Some(((file, line, column), rest[..end].trim_end().to_owned()))
}

/// The text without the harness's advice, which is about a program that the user does not have, and without the
/// numbers of threads, which no run has again.
pub fn without_note(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.starts_with(BACKTRACE_NOTE) {
            continue;
        }
        let numbered = line.strip_prefix("thread '").and_then(|rest| {
            let (name, behind) = rest.split_once("' (")?;
            let (number, behind) = behind.split_once(") ")?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| format!("thread '{name}' {behind}"))
        });
        kept.push_str(numbered.as_deref().unwrap_or(line));
    }
    kept.trim_matches('\n').to_owned()
}

/// Why a process ended that should have gone on.
fn ended_early(ended: &Ended, timeout: Duration, text: &str) -> String {
    if ended.timed_out {
        return format!("still running after {timeout:?}, the time limit");
    }
    if text.contains("has overflowed its stack") {
        return "its stack overflowed".to_owned();
    }
    match (ended.status.signal(), ended.status.code()) {
        (Some(libc::SIGABRT), _) => "it aborted (signal 6, SIGABRT)".to_owned(),
        (Some(libc::SIGSEGV), _) => {
            "it touched memory that is not its own (signal 11, SIGSEGV)".to_owned()
        }
        (Some(libc::SIGKILL), _) => "it was killed (signal 9, SIGKILL)".to_owned(),
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, code) => format!(
            "it ended its process with exit status {}, before the test was over",
            code.unwrap_or_default()
        ),
    }
}

/// A text in which places of a source (`file:3:5`, `file:3`) are written as `place` has them.
pub fn with_places(text: &str, file: &str, place: impl Fn(usize) -> Option<String>) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    let begin = format!("{file}:");
    while let Some(at) = rest.find(&begin) {
        let behind = &rest[at + begin.len()..];
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let line = digits(behind);
        let column = match behind[line..].strip_prefix(':') {
            Some(column) if digits(column) > 0 => 1 + digits(column),
            _ => 0,
        };
        let known = behind[..line].parse().ok().and_then(&place);
        changed.push_str(&rest[..at]);
        let end = at + begin.len() + line + column;
        match known {
            Some(known) => changed.push_str(&known),
            None => changed.push_str(&rest[at..end]),
        }
        rest = &rest[end..];
    }
    changed + rest
}

/// The first line of a source that a text names.
pub fn first_line_of(text: &str, file: &str) -> Option<usize> {
    let (_, behind) = text.split_once(&format!("{file}:"))?;
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    behind[..digits].parse().ok()
}

/// Whether a macro for a claim is called at a column (from 1) of a line: its panic is a failure also when its
/// message is the user's own.
pub fn is_claim_at(line: &str, column: usize) -> bool {
    let rest: String = line.chars().skip(column.saturating_sub(1)).collect();
    let Some((path, _)) = rest.split_once('!') else {
        return false;
    };
    let is_path = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
    let name = path.rsplit("::").next().unwrap_or_default();
    path.chars().all(is_path) && (name.contains("assert") || name.starts_with("check"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(output: &str, status: i32) -> Outcome {
        let ended = Ended {
            output: output.to_owned(),
            status: std::process::ExitStatus::from_raw(status),
            timed_out: false,
            elapsed: Duration::ZERO,
        };
        read("a::b", &ended, Duration::from_secs(2))
    }

    #[test]
    fn what_a_passing_test_prints_is_its_output() {
        let outcome = ended(
            "\nrunning 1 test\nhello\nno end.\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 m\n\n",
            0,
        );
        assert_eq!(
            (outcome.verdict, outcome.output.as_str()),
            (Verdict::Ok, "hello\nno end")
        );
    }

    #[test]
    fn a_panic_has_place_and_message_and_a_claim_is_a_failure() {
        let text = |message: &str| {
            format!(
                "\nrunning 1 test\nout\n\nthread 'a::b' (7) panicked at tests/unit_1.rs:7:28:\n{message}\n\
                 note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\na::b --- FAILED\n\
                 \nfailures:\n\nfailures:\n    a::b\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored;\n\n"
            )
        };
        let outcome = ended(
            &text("assertion `left == right` failed\n  left: 1\n right: 2"),
            101 << 8,
        );
        assert_eq!(outcome.verdict, Verdict::Failure);
        assert_eq!(
            outcome.location,
            Some(("tests/unit_1.rs".to_owned(), 7, 28))
        );
        assert_eq!(
            outcome.reason,
            "assertion `left == right` failed\n  left: 1\n right: 2"
        );
        assert!(outcome.output.starts_with("out\n") && !outcome.output.contains("BACKTRACE"));
        assert!(
            outcome.output.contains("thread 'a::b' panicked"),
            "{}",
            outcome.output
        );
        assert!(!outcome.output.contains("FAILED"), "{}", outcome.output);
        assert_eq!(
            ended(&text("index out of bounds"), 101 << 8).verdict,
            Verdict::Error
        );
    }

    #[test]
    fn an_expected_panic_that_does_not_come_is_a_failure() {
        let outcome = ended(
            "\nrunning 1 test\na::b --- FAILED\n\nfailures:\n\n---- a::b stdout ----\n\
             note: test did not panic as expected at src/lib.rs:14:28\n\nfailures:\n    a::b\n\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored;\n",
            101 << 8,
        );
        assert_eq!(outcome.verdict, Verdict::Failure);
        assert_eq!(outcome.reason, "test did not panic as expected");
    }

    #[test]
    fn an_error_that_is_returned_is_told() {
        let outcome = ended(
            "\nrunning 1 test\nError: Bad { a: 1 }\na::b --- FAILED\n\nfailures:\n\nfailures:\n    a::b\n\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored;\n",
            101 << 8,
        );
        assert_eq!(outcome.verdict, Verdict::Error);
        assert_eq!(outcome.reason, "returned Err(Bad { a: 1 })");
    }

    #[test]
    fn a_process_that_ends_early_says_how() {
        let early = |status| ended("\nrunning 1 test\nbefore\n", status);
        assert!(early(6).reason.contains("SIGABRT"));
        assert!(early(0).reason.contains("exit status 0"));
        assert_eq!(early(0).output, "before");
        let overflow = "\nrunning 1 test\n\nthread 'a::b' has overflowed its stack\n";
        assert_eq!(ended(overflow, 6).reason, "its stack overflowed");
    }

    #[test]
    fn an_ignored_test_has_its_reason() {
        let outcome = ended(
            "\nrunning 1 test\ni\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured;\n\n\
             test: a::b, ignore_message: slow\n\n",
            0,
        );
        assert_eq!(
            (outcome.verdict, outcome.reason.as_str()),
            (Verdict::Ignored, "slow")
        );
    }

    #[test]
    fn places_are_replaced_wherever_they_stand() {
        let place = |line: usize| (line < 9).then(|| format!("cell, line {}", line - 1));
        let text = "at a.rs:3:14:\nb (a.rs:4). a.rs:9:1 a.rs:x";
        let changed = with_places(text, "a.rs", place);
        assert_eq!(
            changed,
            "at cell, line 2:\nb (cell, line 3). a.rs:9:1 a.rs:x"
        );
    }

    #[test]
    fn claims_are_known_by_the_macro() {
        assert!(is_claim_at("    assert!(x, \"no\");", 5));
        assert!(is_claim_at("std::assert_eq!(1, 2)", 1));
        assert!(!is_claim_at("    v[3] = assert!(x)", 5));
        assert!(!is_claim_at("panic!(\"x\")", 1) && !is_claim_at("", 4));
    }
}
