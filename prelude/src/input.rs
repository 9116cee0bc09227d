//! Asking the user for a line of text in the middle of a cell.
//!
//! For values that the notebook shall remember write them into a cell: a run without a person in front of
//! it has nobody to ask, and says so with an error instead of waiting.
//!
//! ```no_run
//! use forkline::prelude::*;
//!
//! let n: usize = input("How many threads? ")?.trim().parse()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, Write};

use crate::rt::{self, Answer};

/// Why there is no line. It is the inner error of the [`io::Error`] that [`input`] returns.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputError {
    /// The front end takes no input: a headless run, or a client that has no input box.
    NotAllowed {
        /// The function that asked, `input` or `password`.
        asked_by: &'static str,
    },
    /// The user interrupted the cell while it waited.
    Interrupted {
        /// The function that asked, `input` or `password`.
        asked_by: &'static str,
    },
    /// What came is not UTF-8.
    NotText {
        /// The function that asked, `input` or `password`.
        asked_by: &'static str,
    },
    /// Standard input has ended. Only outside a notebook.
    Ended {
        /// The function that asked, `input` or `password`.
        asked_by: &'static str,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { asked_by } => write!(
                f,
                "{asked_by}(...): the front end takes no input\n\
                 why: it runs this notebook without a person, or has no box for input\n\
                 do:  run the cell in JupyterLab or VS Code\n     \
                      or write the value into a cell: let line = String::from(\"...\");"
            ),
            Self::Interrupted { asked_by } => write!(
                f,
                "{asked_by}(...): interrupted while waiting for a line\n\
                 why: the cell was interrupted before a line was entered\n\
                 do:  run the cell again and enter a line"
            ),
            Self::NotText { asked_by } => write!(
                f,
                "{asked_by}(...): the line is not text\n\
                 why: its bytes are not UTF-8\n\
                 do:  enter the line again, or read bytes from a file with std::fs::read"
            ),
            Self::Ended { asked_by } => write!(
                f,
                "{asked_by}(...): standard input has ended\n\
                 why: the program's standard input was closed or is an empty file\n\
                 do:  start the program from a terminal, or pipe the lines into it"
            ),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for InputError {}

impl From<InputError> for io::Error {
    fn from(error: InputError) -> Self {
        let kind = match error {
            InputError::NotAllowed { .. } => io::ErrorKind::Unsupported,
            InputError::Interrupted { .. } => io::ErrorKind::Interrupted,
            InputError::NotText { .. } => io::ErrorKind::InvalidData,
            InputError::Ended { .. } => io::ErrorKind::UnexpectedEof,
        };
        io::Error::new(kind, error)
    }
}

/// Asks for a line of text and returns it without its newline.
///
/// Outside a notebook it prints the prompt and reads standard input.
///
/// # Errors
///
/// [`InputError`], inside the [`io::Error`], says why there is no line and what to do.
#[doc(alias = "raw_input")]
pub fn input(prompt: impl AsRef<str>) -> io::Result<String> {
    ask("input", prompt.as_ref(), false)
}

/// Asks for a line of text that the front end hides while it is entered and does not store.
///
/// Outside a notebook standard input is read as it is: a terminal shows what is typed.
///
/// # Errors
///
/// As for [`input`].
#[doc(alias = "getpass")]
pub fn password(prompt: impl AsRef<str>) -> io::Result<String> {
    ask("password", prompt.as_ref(), true)
}

fn ask(asked_by: &'static str, prompt: &str, hidden: bool) -> io::Result<String> {
    rt::flush_stdout();
    match rt::ask(prompt, hidden) {
        Answer::Line(line) => {
            String::from_utf8(line).map_err(|_| InputError::NotText { asked_by }.into())
        }
        Answer::NotAllowed => Err(InputError::NotAllowed { asked_by }.into()),
        Answer::Interrupted => Err(InputError::Interrupted { asked_by }.into()),
        Answer::NoHost => {
            print!("{prompt}");
            io::stdout().flush()?;
            read_line(asked_by, &mut io::stdin().lock())
        }
    }
}

fn read_line(asked_by: &'static str, from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(InputError::Ended { asked_by }.into());
    }
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_without_its_newline() {
        assert_eq!(
            read_line("input", &mut &b"two words\r\nnext"[..]).unwrap(),
            "two words"
        );
        assert_eq!(read_line("input", &mut &b"last"[..]).unwrap(), "last");
    }

    #[test]
    fn ended_input_is_an_error_with_a_cure() {
        let error = read_line("input", &mut &b""[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let text = error.to_string();
        let starts: Vec<_> = text.lines().map(|line| &line[..5]).collect();
        assert_eq!(starts, ["input", "why: ", "do:  "]);
        assert!(
            format!("{error:?}").contains("\nwhy: "),
            "unwrap shows the lines too: {error:?}"
        );
    }
}
