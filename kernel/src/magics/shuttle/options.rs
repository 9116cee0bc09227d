//! What stands behind `%%shuttle`.

use crate::session::CellError;
use std::time::Duration;

/// The options, read.
pub struct Options {
    pub iterations: u64,
    pub scheduler: String,
    pub depth: u64,
    pub seed: u64,
    pub replay: Option<String>,
    pub timeout: Duration,
    /// A schedule that fails is what is wanted.
    pub expects_failure: bool,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// An option is not known, or its value is none.
    pub fn parse(arguments: &str) -> Result<Options, CellError> {
        let mut options = Options {
            iterations: 1000,
            scheduler: "random".to_owned(),
            depth: 3,
            seed: 1,
            replay: None,
            timeout: Duration::from_secs(60),
            expects_failure: false,
        };
        let mut words = arguments.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            let number = || {
                let number = value
                    .parse()
                    .ok()
                    .filter(|number| *number > 0 || word == "--seed");
                number.ok_or_else(|| {
                    usage(
                        &format!("{word} is followed by `{value}`, not by a number from 1 on"),
                        &format!("%%shuttle {word} 100"),
                    )
                })
            };
            match word {
                "--iterations" => options.iterations = number()?,
                "--depth" => options.depth = number()?,
                "--seed" => options.seed = number()?,
                "--timeout" => options.timeout = Duration::from_secs(number()?),
                "--scheduler" if matches!(value, "random" | "pct" | "dfs") => {
                    value.clone_into(&mut options.scheduler);
                }
                "--scheduler" => {
                    return Err(usage(
                        &format!("there is no scheduler `{value}`"),
                        "%%shuttle --scheduler pct    (or random, dfs)",
                    ));
                }
                "--expect" if value == "failure" => options.expects_failure = true,
                "--replay" if !value.is_empty() => options.replay = Some(value.to_owned()),
                _ => {
                    return Err(usage(
                        &format!("`{word}` is not an option of it, or lacks its value"),
                        "%help shuttle    (lists the options)",
                    ));
                }
            }
        }
        Ok(options)
    }

    /// As the program reads it.
    pub fn request(&self) -> String {
        let Options {
            iterations,
            scheduler,
            depth,
            seed,
            ..
        } = self;
        format!("{scheduler} {iterations} {depth} {seed}")
    }
}

/// Nothing was run, because of how it was written.
pub fn usage(why: &str, instead: &str) -> CellError {
    CellError::new(
        "UsageError",
        format!("%%shuttle: nothing was run\nwhy: {why}\ndo:  {instead}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_values() {
        let options = Options::parse("--scheduler pct --depth 2 --iterations 50 --seed 0")
            .ok()
            .unwrap();
        assert_eq!(options.request(), "pct 50 2 0");
        for (text, expected) in [
            ("--iterations 0", "not by a number"),
            ("--scheduler fifo", "no scheduler `fifo`"),
            ("--replay", "lacks its value"),
            ("fast", "not an option"),
        ] {
            let error = Options::parse(text).err().unwrap();
            assert!(error.traceback[0].contains(expected), "{error:?}");
        }
    }
}
