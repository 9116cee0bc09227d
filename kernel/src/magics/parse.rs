//! Cuts a cell into Rust, magics and shell commands.
//!
//! A magic may stand wherever a statement may begin: a line that begins with `%` in the middle of an
//! expression is the remainder operator. The comment forms `//% name` and `//%% name` are the same
//! magics, for editors that take a cell for a Rust file.

use super::Call;
use crate::engine::{Completeness, completeness, is_open};

/// A cell, taken apart.
pub enum Cell<'a> {
    /// `%%name`: the whole cell belongs to one magic.
    Magic {
        name: &'a str,
        call: Call<'a>,
    },
    /// `?path`: documentation.
    Describe(&'a str),
    Parts(Vec<Part<'a>>),
}

/// A part of a cell.
pub enum Part<'a> {
    /// Rust, or commands of evcxr, with blank lines for what precedes it in the cell.
    Code(String),
    Magic {
        name: &'a str,
        call: Call<'a>,
    },
    Shell(&'a str),
    /// `:quit`.
    Quit,
}

/// Takes a cell apart.
pub fn parse(cell: &str) -> Cell<'_> {
    if let Some((line, name, arguments, body)) = cell_magic(cell) {
        return Cell::Magic {
            name,
            call: Call {
                arguments,
                body: Some(body),
                line,
            },
        };
    }
    if let Some(path) = question(cell) {
        return Cell::Describe(path);
    }
    let mut parts = Vec::new();
    let mut code = String::new();
    let mut code_line = 0;
    for (index, line) in cell.split_inclusive('\n').enumerate() {
        let text = line.trim_end();
        let special = special_line(text).filter(|_| may_end(&code));
        let Some(special) = special else {
            code.push_str(line);
            continue;
        };
        push_code(&mut parts, code_line, &mut code);
        code_line = index + 1;
        parts.push(match special {
            Special::Magic(name, arguments) => Part::Magic {
                name,
                call: Call {
                    arguments,
                    body: None,
                    line: index + 1,
                },
            },
            Special::Shell(command) => Part::Shell(command),
            Special::Quit => Part::Quit,
            Special::Alone => Part::Code("\n".repeat(index) + text),
        });
    }
    push_code(&mut parts, code_line, &mut code);
    Cell::Parts(parts)
}

fn push_code(parts: &mut Vec<Part<'_>>, line: usize, code: &mut String) {
    if !code.trim().is_empty() {
        parts.push(Part::Code("\n".repeat(line) + code));
    }
    code.clear();
}

enum Special<'a> {
    Magic(&'a str, &'a str),
    Shell(&'a str),
    Quit,
    /// A command of evcxr that changes what later lines of the cell stand on.
    Alone,
}

fn special_line(line: &str) -> Option<Special<'_>> {
    let text = line.trim_start();
    if let Some(command) = line.strip_prefix('!') {
        return Some(Special::Shell(command.trim()));
    }
    if text == ":quit" {
        return Some(Special::Quit);
    }
    if text == ":clear" {
        return Some(Special::Alone);
    }
    // evcxr's would change Cargo.toml, and rust-analyzer would read everything again.
    if let Some(level) = text.strip_prefix(":opt")
        && (level.is_empty() || level.starts_with(' '))
    {
        return Some(Special::Magic("opt", level.trim()));
    }
    let (name, arguments) = magic_words(text, "%")?;
    Some(Special::Magic(name, arguments))
}

/// Name and arguments behind the sign: `%name` or, as a comment, `//% name`.
fn magic_words<'a>(text: &'a str, sign: &str) -> Option<(&'a str, &'a str)> {
    let rest = match text.strip_prefix("//") {
        Some(comment) => comment.strip_prefix(sign)?.trim_start(),
        None => text.strip_prefix(sign)?,
    };
    if !rest.starts_with(|char: char| char.is_ascii_alphabetic()) {
        return None;
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (name, arguments) = rest.split_at(end);
    Some((name, arguments.trim()))
}

/// Line, name, arguments and body of a cell magic on the first line that is not blank.
fn cell_magic(cell: &str) -> Option<(usize, &str, &str, &str)> {
    let mut offset = 0;
    for (index, line) in cell.split_inclusive('\n').enumerate() {
        offset += line.len();
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        let (name, arguments) = magic_words(text, "%%")?;
        return Some((index + 1, name, arguments, &cell[offset..]));
    }
    None
}

/// Whether a statement may begin after this code.
fn may_end(code: &str) -> bool {
    let trimmed = code.trim_end();
    if trimmed.is_empty() {
        return true;
    }
    if is_open(code) {
        return false;
    }
    let last_line = trimmed.lines().last().unwrap_or_default().trim_start();
    trimmed.ends_with([';', '}', ')'])
        || last_line.starts_with("//")
        || last_line.starts_with(':')
        || completeness(code) == Completeness::Complete
}

/// The path behind the question mark of a cell that is nothing else.
fn question(cell: &str) -> Option<&str> {
    let trimmed = cell.trim();
    let path = trimmed.strip_prefix('?')?.trim_start_matches('?').trim();
    (!path.is_empty() && !trimmed.contains('\n')).then_some(path)
}

/// Whether a cell asks for documentation: `?path`.
pub fn is_question(cell: &str) -> bool {
    question(cell).is_some()
}

/// Whether a cell begins with a cell magic.
pub fn is_magic_cell(cell: &str) -> bool {
    cell_magic(cell).is_some()
}

/// The cell with its magics blanked out by as many bytes, so that positions stay what they are.
pub fn without_magics(cell: &str) -> String {
    let first_is_cell_magic = is_magic_cell(cell);
    let mut text = String::with_capacity(cell.len());
    let mut blanked_first = false;
    for line in cell.split_inclusive('\n') {
        let is_first = first_is_cell_magic && !blanked_first && !line.trim().is_empty();
        let is_special = special_line(line.trim_end()).is_some() && may_end(&text);
        if is_first || is_special {
            blanked_first = true;
            let content = line.trim_end_matches(['\n', '\r']);
            text.push_str(&" ".repeat(content.len()));
            text.push_str(&line[content.len()..]);
        } else {
            text.push_str(line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(cell: &str) -> Vec<String> {
        match parse(cell) {
            Cell::Magic { name, call } => {
                vec![format!(
                    "%%{name}|{}|{}",
                    call.arguments,
                    call.body.unwrap()
                )]
            }
            Cell::Describe(path) => vec![format!("?{path}")],
            Cell::Parts(parts) => parts
                .into_iter()
                .map(|part| match part {
                    Part::Code(text) => text,
                    Part::Magic { name, call } => {
                        format!("%{name}|{}|{}", call.arguments, call.line)
                    }
                    Part::Shell(command) => format!("!{command}"),
                    Part::Quit => "quit".to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn parts_keep_their_lines() {
        assert_eq!(
            describe("%env A=1\nlet x = 1;\n!ls -l\nx"),
            ["%env|A=1|1", "\nlet x = 1;\n", "!ls -l", "\n\n\nx"]
        );
        assert_eq!(describe("let x = 1;\nx"), ["let x = 1;\nx"]);
        assert_eq!(describe(""), Vec::<String>::new());
    }

    #[test]
    fn a_remainder_is_not_a_magic() {
        assert_eq!(describe("let y = x\n%time"), ["let y = x\n%time"]);
        assert_eq!(describe("x\n% 3"), ["x\n% 3"]);
        let text = "let s = \"one;\n%who;\n\";";
        assert_eq!(describe(text), [text]);
    }

    #[test]
    fn comments_and_cell_magics_are_found() {
        assert_eq!(describe("//% who"), ["%who||1"]);
        assert_eq!(describe("\n//%% time x\nf()\n"), ["%%time|x|f()\n"]);
        assert_eq!(
            describe("%%writefile a b.rs\nx\n"),
            ["%%writefile|a b.rs|x\n"]
        );
        assert_eq!(describe("?Vec::push"), ["?Vec::push"]);
        assert_eq!(describe("// note\nlet a = 1;"), ["// note\nlet a = 1;"]);
    }

    #[test]
    fn clear_runs_by_itself() {
        assert_eq!(describe(":clear\nlet x = 1;"), [":clear", "\nlet x = 1;"]);
        assert_eq!(describe(":dep a\nx"), [":dep a\nx"]);
    }

    #[test]
    fn blanked_magics_keep_positions() {
        let cell = "%é x\nlet a = 1;";
        assert_eq!(without_magics(cell).len(), cell.len());
        assert_eq!(without_magics("%%time\nf()"), "      \nf()");
        assert_eq!(without_magics("%who\nf()"), "    \nf()");
    }
}
