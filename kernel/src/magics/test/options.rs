//! What stands behind `%test` and `%%test`.

use crate::session::CellError;
use std::time::Duration;

/// Which tests with `#[ignore]` run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ignored {
    /// None; they are listed as ignored.
    Skip,
    /// They alone (`--ignored`).
    Only,
    /// They too (`--include-ignored`).
    Include,
}

/// How many tests end in each way.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    pub passed: usize,
    pub failures: usize,
    pub errors: usize,
    pub ignored: usize,
}

impl Counts {
    /// Reads `passed=1,errors=2`; what is not named is 0.
    fn parse(text: &str) -> Option<Counts> {
        let mut counts = Counts::default();
        for part in text.split(',') {
            let (name, number) = part.split_once('=')?;
            let number = number.parse().ok()?;
            match name {
                "passed" => counts.passed = number,
                "failures" => counts.failures = number,
                "errors" => counts.errors = number,
                "ignored" => counts.ignored = number,
                _ => return None,
            }
        }
        Some(counts)
    }
}

/// The options, read.
#[derive(PartialEq, Debug)]
pub struct Options {
    /// Texts, one of which a test's path has in it (or is, with `exact`); none means all.
    pub filters: Vec<String>,
    pub exact: bool,
    pub ignored: Ignored,
    /// Show what passing tests print, too.
    pub show_output: bool,
    /// Compile as cells are compiled: optimised, without checks.
    pub release: bool,
    pub list: bool,
    /// How many tests run at once; none means one for each core.
    pub threads: Option<usize>,
    /// After this a test is ended.
    pub timeout: Duration,
    /// What is to come of it: with any other counts the run has failed.
    pub expected: Option<Counts>,
    /// Targets behind `--path`.
    pub paths: Vec<String>,
    /// The folder that targets stand in (`--cd`).
    pub dir: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            filters: Vec::new(),
            exact: false,
            ignored: Ignored::Skip,
            show_output: false,
            release: false,
            list: false,
            threads: None,
            timeout: Duration::from_secs(60),
            expected: None,
            paths: Vec::new(),
            dir: None,
        }
    }
}

impl Options {
    /// Reads the arguments of `magic`, which is `%test` or `%%test`.
    ///
    /// # Errors
    /// An option is not known, or its value is missing.
    pub fn parse(arguments: &str, magic: &str) -> Result<Options, CellError> {
        let mut options = Options::default();
        let all = words(arguments);
        let mut words = all.iter().map(String::as_str);
        let mut in_paths = false;
        while let Some(word) = words.next() {
            // A target's own options end the list of targets, not its words.
            if word.starts_with("--") {
                in_paths = false;
            }
            let mut value = |what: &str| {
                words.next().ok_or_else(|| {
                    usage(
                        magic,
                        &format!("{word} needs {what} behind it"),
                        &format!("{magic} {word} …"),
                    )
                })
            };
            match word {
                "--exact" => options.exact = true,
                "--ignored" => options.ignored = Ignored::Only,
                "--include-ignored" => options.ignored = Ignored::Include,
                "--nocapture" | "--no-capture" | "--show-output" => options.show_output = true,
                "--release" => options.release = true,
                "--list" => options.list = true,
                "--threads" | "--test-threads" => {
                    let text = value("a number")?;
                    let number = text.parse().ok().filter(|number| *number > 0);
                    options.threads = Some(number.ok_or_else(|| {
                        let why = format!("{text} is not a number from 1 on");
                        usage(magic, &why, &format!("{magic} --threads 2"))
                    })?);
                }
                "--timeout" => {
                    let text = value("a number of seconds")?;
                    let seconds: Option<f64> = text.trim_end_matches('s').parse().ok();
                    let time = seconds
                        .filter(|seconds| *seconds > 0.0)
                        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                    options.timeout = time.ok_or_else(|| {
                        let why = format!("{text} is not a number of seconds");
                        usage(magic, &why, &format!("{magic} --timeout 10"))
                    })?;
                }
                "--expect" => {
                    let text = value("what is to come of it")?;
                    options.expected = Some(Counts::parse(text).ok_or_else(|| {
                        let why = format!("{text} does not say how many tests end in which way");
                        usage(
                            magic,
                            &why,
                            &format!("{magic} --expect passed=1,failures=1,errors=1,ignored=0"),
                        )
                    })?);
                }
                "--cd" => options.dir = Some(value("a folder")?.to_owned()),
                "--path" if magic == "%test" => {
                    options
                        .paths
                        .push(value("a file, a folder or a pattern")?.to_owned());
                    in_paths = true;
                }
                _ if word.starts_with('-') => {
                    return Err(usage(
                        magic,
                        &format!("{word} is not an option of it"),
                        &format!(
                            "%help {}    (lists the options)",
                            magic.trim_start_matches('%')
                        ),
                    ));
                }
                _ if in_paths => options.paths.push(word.to_owned()),
                _ => options.filters.push(word.to_owned()),
            }
        }
        if options.dir.is_some() && options.paths.is_empty() {
            return Err(usage(
                magic,
                "--cd is the folder of files, and no file is named",
                "%test --cd folder --path .",
            ));
        }
        Ok(options)
    }

    /// Whether a test is chosen by its path.
    pub fn chooses(&self, path: &str) -> bool {
        self.filters.is_empty()
            || self.filters.iter().any(|filter| match self.exact {
                true => path == filter,
                false => path.contains(filter.as_str()),
            })
    }
}

/// Words between blanks; quotes keep a word with blanks together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in text.chars() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, _) if char.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// Nothing was run, because of how it was written.
pub fn usage(magic: &str, why: &str, instead: &str) -> CellError {
    CellError::new(
        "UsageError",
        format!("{magic}: no test was run\nwhy: {why}\ndo:  {instead}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text, "%test").map_err(|error| error.traceback[0].clone())
    }

    #[test]
    fn words_are_filters_and_options_take_values() {
        let options = parse("add --threads 3 --timeout 0.5 tests:: --include-ignored").unwrap();
        assert_eq!(options.filters, ["add", "tests::"]);
        assert_eq!(options.threads, Some(3));
        assert_eq!(options.timeout, Duration::from_millis(500));
        assert_eq!(options.ignored, Ignored::Include);
        assert!(options.chooses("tests::x") && options.chooses("adds") && !options.chooses("x"));
        let options = parse("--exact add").unwrap();
        assert!(options.chooses("add") && !options.chooses("adds"));
        let expected = parse("--expect passed=1,errors=2")
            .unwrap()
            .expected
            .unwrap();
        assert_eq!(
            (expected.passed, expected.failures, expected.errors),
            (1, 0, 2)
        );
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("a 'b c'/d \"e\" ''"), ["a", "b c/d", "e", ""]);
    }

    #[test]
    fn words_behind_path_are_targets() {
        let options = parse("--path a.rs b.rs::m::x --cd there --list").unwrap();
        assert_eq!(options.paths, ["a.rs", "b.rs::m::x"]);
        assert_eq!(options.dir.as_deref(), Some("there"));
        assert!(options.list && options.filters.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (text, expected) in [
            ("--fast", "--fast is not an option"),
            ("--threads 0", "not a number from 1 on"),
            ("--threads", "needs a number"),
            ("--timeout soon", "not a number of seconds"),
            ("--cd x", "no file is named"),
            ("--expect passed", "does not say how many"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(
                told.contains(expected) && told.contains("\ndo:  "),
                "{told}"
            );
        }
    }
}
