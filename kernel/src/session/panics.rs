//! Panics and returned errors: what the worker reports, and how it reads in the notebook.

use crate::engine::{Locator, Place};
use serde_json::Value;
use std::fmt::Write as _;

/// One frame of a backtrace that lies in the user's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFrame {
    pub function: String,
    pub place: Place,
}

/// A panic.
#[derive(Debug, Clone)]
pub struct PanicReport {
    pub message: String,
    pub thread: String,
    pub on_cell_thread: bool,
    /// The process, if it was one that a cell has started.
    pub process: Option<String>,
    /// Where, in the user's code if it is known, else as the compiler names it.
    pub place: Option<Place>,
    pub elsewhere: String,
    pub frames: Vec<UserFrame>,
}

/// An error that a `?` of the cell returned.
#[derive(Debug, Clone)]
pub struct UserError {
    pub text: String,
    pub frames: Vec<UserFrame>,
}

impl PanicReport {
    pub fn from_json(value: &Value, locator: Option<&Locator>) -> PanicReport {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (file, line) = (text("file"), value["line"].as_u64().unwrap_or_default());
        let frames = user_frames(&value["frames"], locator);
        // The library of the innermost frame tells which generated source the line belongs to. A
        // panic inside the standard library is told at the user's innermost frame.
        let library = value["frames"][0][0].as_str();
        let place = locator
            .and_then(|locator| locator.place(library, &file, line as usize))
            .or_else(|| frames.first().map(|frame| frame.place));
        PanicReport {
            message: with_advice(text("message")),
            // The thread that runs cells was not started by the cells' standard library.
            thread: if value["on_cell_thread"] == true {
                "main".to_owned()
            } else {
                text("thread")
            },
            on_cell_thread: value["on_cell_thread"] == true,
            process: value["process"].as_str().map(str::to_owned),
            place,
            elsewhere: format!("{file}:{line}"),
            frames,
        }
    }

    /// A panic whose report did not come, for instance of a hook that the user installed.
    pub fn unknown() -> PanicReport {
        PanicReport {
            message: "the cell panicked".to_owned(),
            thread: "main".to_owned(),
            on_cell_thread: true,
            process: None,
            place: None,
            elsewhere: "an unknown place (the panic hook was replaced)".to_owned(),
            frames: Vec::new(),
        }
    }

    /// As a Rust program prints it, with the cell's line.
    pub fn as_stderr(&self) -> String {
        let place = match self.place {
            Some(place) => describe(place),
            None => self.elsewhere.clone(),
        };
        let who = match &self.process {
            Some(process) if self.thread == "main" => format!("process '{process}'"),
            Some(process) => format!("thread '{}' of process '{process}'", self.thread),
            None => format!("thread '{}'", self.thread),
        };
        format!("{who} panicked at {place}:\n{}\n", self.message)
    }
}

impl UserError {
    pub fn from_json(value: &Value, locator: Option<&Locator>) -> UserError {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        UserError {
            text: text("text"),
            frames: user_frames(&value["frames"], locator)
                .into_iter()
                .filter(|frame| !frame.function.contains("EvcxrUserCodeError"))
                .collect(),
        }
    }
}

/// A panic's message, and what to do about it if it is one that a notebook makes likely.
fn with_advice(mut message: String) -> String {
    if message.starts_with("there is no reactor running") {
        message.push_str(
            "\ndo: use tasks::spawn, which finds the runtime by itself; or have an `.await` in this cell, which then runs on it",
        );
    }
    message
}

/// `cell [3], line 2`.
pub fn describe(place: Place) -> String {
    format!("cell [{}], line {}", place.cell, place.line)
}

/// The user's frames, innermost first, out of the addresses that the worker sent.
pub fn user_frames(frames: &Value, locator: Option<&Locator>) -> Vec<UserFrame> {
    let Some(locator) = locator else {
        return Vec::new();
    };
    let mut found: Vec<UserFrame> = Vec::new();
    for frame in frames.as_array().into_iter().flatten() {
        let (Some(library), Some(address)) = (frame[0].as_str(), frame[1].as_u64()) else {
            continue;
        };
        for (function, place) in locator.frames(library, address) {
            let frame = UserFrame {
                function: readable(&function, place),
                place,
            };
            if found.last() != Some(&frame) {
                found.push(frame);
            }
        }
    }
    found
}

/// A function's name without what evcxr puts around it.
fn readable(name: &str, place: Place) -> String {
    if !place.in_item {
        return "(the cell itself)".to_owned();
    }
    name.trim().replace("ctx::", "")
}

/// The frames as lines of a traceback.
pub fn frames_text(frames: &[UserFrame]) -> Option<String> {
    if frames.is_empty() {
        return None;
    }
    let width = frames
        .iter()
        .map(|frame| frame.function.chars().count())
        .max()
        .unwrap_or_default();
    let mut text = String::from("backtrace of your functions, innermost first:");
    for (index, frame) in frames.iter().enumerate() {
        let _ = write!(
            text,
            "\n  {index}: {:width$}  {}",
            frame.function,
            describe(frame.place)
        );
    }
    Some(text)
}

/// The lines of a cell around one of them, with an arrow, in ANSI colours.
pub fn excerpt(cell: &str, line: usize) -> String {
    const AROUND: usize = 2;
    let lines: Vec<&str> = cell.lines().collect();
    let first = line.saturating_sub(AROUND).max(1);
    let last = (line + AROUND).min(lines.len());
    let mut text = String::new();
    for number in first..=last {
        let code = lines[number - 1];
        let end = if number == last { "" } else { "\n" };
        let _ = if number == line {
            write!(
                text,
                "\x1b[1;31m->\x1b[0m {number:>3} \x1b[2m|\x1b[0m \x1b[1m{code}\x1b[0m{end}"
            )
        } else {
            write!(text, "   {number:>3} \x1b[2m|\x1b[0m {code}{end}")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_points_at_the_line() {
        let text = excerpt("a\nb\nc\nd\ne\nf", 4);
        let plain = regex_free_strip(&text);
        assert_eq!(
            plain,
            "     2 | b\n     3 | c\n->   4 | d\n     5 | e\n     6 | f"
        );
        assert_eq!(regex_free_strip(&excerpt("a", 1)), "->   1 | a");
        assert_eq!(excerpt("a", 9), "");
    }

    /// Text without its ANSI codes.
    fn regex_free_strip(text: &str) -> String {
        let mut plain = String::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            if char == '\x1b' {
                chars.by_ref().find(|char| *char == 'm');
            } else {
                plain.push(char);
            }
        }
        plain
    }

    #[test]
    fn names_lose_what_evcxr_added() {
        let place = |in_item| Place {
            cell: 1,
            line: 1,
            in_item,
        };
        assert_eq!(readable("ctx::divide", place(true)), "divide");
        let own = readable("ctx::run_user_code_3::{{closure}}", place(false));
        assert_eq!(own, "(the cell itself)");
    }
}
