//! A compiler's errors as the user sees them: against the cell's own lines, in rustc's own form.
//!
//! evcxr maps rustc's positions to the text that it was given; this module maps them on to the
//! cell as the user wrote it and lets `annotate-snippets`, rustc's renderer, draw the result.

use super::cell::Prepared;
use super::drivers;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};
use evcxr::CompilationError;
use std::ops::Range;

/// The name of an error that has no number of its own, such as a missing parenthesis.
const NO_CODE: &str = "CompileError";

/// A failed compile, as Jupyter wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileFailure {
    pub ename: String,
    pub evalue: String,
    /// One entry for each error, with ANSI colours.
    pub traceback: Vec<String>,
}

/// The linker's two pages, in three lines.
fn missing_driver(why: &str, cure: &str) -> CompileFailure {
    let what = "the cell compiles, but it cannot be linked";
    CompileFailure {
        ename: NO_CODE.to_owned(),
        evalue: what.to_owned(),
        traceback: vec![format!("{what}\nwhy: {why}\ndo:  {cure}")],
    }
}

/// Draws the errors of one compile.
///
/// `cell` is the whole cell as the user wrote it, `prepared` what evcxr was given, `number` the
/// cell's execution count.
pub fn failure(
    errors: &[CompilationError],
    cell: &str,
    prepared: &Prepared,
    number: usize,
) -> CompileFailure {
    let mut shown: Vec<&CompilationError> = errors
        .iter()
        .filter(|error| error.level() == "error")
        .collect();
    if shown.is_empty() {
        // evcxr may put forward the help that belongs to an error in its own code.
        shown = errors
            .iter()
            .filter(|error| error.level() != "warning")
            .collect();
    }
    let missing = shown
        .iter()
        .find_map(|error| drivers::advice(&error.rendered()));
    if let Some((why, cure)) = missing {
        return missing_driver(&why, cure);
    }
    // evcxr compiles more than once; the same error may come twice.
    let mut seen = Vec::new();
    shown.retain(|error| {
        let text = (
            error.message(),
            format!("{:?}", error.primary_spanned_message().map(|m| m.span)),
        );
        let new = !seen.contains(&text);
        if new {
            seen.push(text);
        }
        new
    });
    let first = shown.first();
    CompileFailure {
        ename: first
            .and_then(|error| error.code())
            .unwrap_or(NO_CODE)
            .to_owned(),
        evalue: first.map_or_else(
            || "the cell could not be compiled".to_owned(),
            |error| {
                error
                    .message()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            },
        ),
        traceback: shown
            .iter()
            .map(|error| render(error, cell, prepared, number))
            .collect(),
    }
}

/// The error for a closing delimiter that closes nothing, at a byte of the cell.
pub fn stray_delimiter(cell: &str, offset: usize, number: usize) -> CompileFailure {
    let found = cell[offset..].chars().next().unwrap_or('}');
    let message = format!("unexpected closing delimiter: `{found}`");
    let marked = Marked {
        range: offset..offset + found.len_utf8(),
        is_primary: true,
        label: "nothing is open here".to_owned(),
    };
    let source = (format!("cell [{number}]"), cell);
    let text = draw(&message, None, Some(&source), &[marked], &[]);
    CompileFailure {
        ename: NO_CODE.to_owned(),
        evalue: message,
        traceback: vec![text],
    }
}

fn render(error: &CompilationError, cell: &str, prepared: &Prepared, number: usize) -> String {
    let message = error.message();
    let spans: Vec<Marked> = error
        .spanned_messages()
        .iter()
        .filter_map(|spanned| {
            let span = spanned.span?;
            let start = (span.start_line, span.start_column);
            let range = byte_range(cell, prepared, start, (span.end_line, span.end_column))?;
            // The message itself need not be repeated under the code.
            let label = spanned.label.trim_start_matches("error: ");
            let label = if label == message { "" } else { label };
            Some(Marked {
                range,
                is_primary: spanned.is_primary,
                label: label.to_owned(),
            })
        })
        .collect();
    let source = (format!("cell [{number}]"), cell);
    let source = (!spans.is_empty()).then_some(&source);
    let mut text = draw(&message, error.code(), source, &spans, &notes(error));
    if spans.is_empty() {
        // The error lies in code of an earlier cell; rustc's own drawing is the best there is.
        let rendered = error.rendered();
        if !rendered.is_empty() {
            text.push_str("\n\n");
            text.push_str(rendered.trim_end());
        }
    }
    text
}

/// A place in a text, and what the compiler says of it.
pub(super) struct Marked {
    pub range: Range<usize>,
    pub is_primary: bool,
    pub label: String,
}

/// An error in rustc's own form: its title and number, the places of one text, which has a name, and notes, of which some
/// are help.
pub(super) fn draw(
    title: &str,
    code: Option<&str>,
    source: Option<&(String, &str)>,
    marked: &[Marked],
    notes: &[(bool, String)],
) -> String {
    let mut title = Level::ERROR.primary_title(title);
    if let Some(code) = code {
        title = title.id(code);
    }
    let mut group = match source {
        None => Group::with_title(title),
        Some((path, text)) => {
            let annotations = marked.iter().map(|one| {
                let kind = match one.is_primary {
                    true => AnnotationKind::Primary,
                    false => AnnotationKind::Context,
                };
                let annotation = kind.span(one.range.clone());
                match one.label.is_empty() {
                    true => annotation,
                    false => annotation.label(one.label.as_str()),
                }
            });
            let snippet = Snippet::source(*text).path(path.as_str());
            title.element(snippet.annotations(annotations))
        }
    };
    for (is_help, text) in notes {
        let level = if *is_help { Level::HELP } else { Level::NOTE };
        group = group.element(level.message(text.as_str()));
    }
    Renderer::styled()
        .decor_style(DecorStyle::Ascii)
        .render(&[group])
        .to_string()
}

/// The byte of a text at a line and a column, which count from 1, columns in characters.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let line = text[start..].lines().next().unwrap_or_default();
    let within = line
        .char_indices()
        .nth(column.checked_sub(1)?)
        .map_or(line.len(), |(index, _)| index);
    Some(start + within)
}

/// rustc's help and notes, and what is particular to cells.
fn notes(error: &CompilationError) -> Vec<(bool, String)> {
    let mut notes = Vec::new();
    for child in error.json["children"].as_array().into_iter().flatten() {
        let level = child["level"].as_str().unwrap_or_default();
        let Some(message) = child["message"].as_str() else {
            continue;
        };
        if !matches!(level, "help" | "note") || message.is_empty() {
            continue;
        }
        // Lint levels are evcxr's business, and it does not show the attribute that set them.
        if message.starts_with("`#[") {
            continue;
        }
        let mut text = message.to_owned();
        if let [span] = child["spans"].as_array().map_or(&[][..], Vec::as_slice)
            && let Some(replacement) = span["suggested_replacement"].as_str()
            && !replacement.trim().is_empty()
        {
            text = format!("{text}: `{}`", replacement.trim());
        }
        notes.push((level == "help", text));
    }
    if let Some(hint) = error.evcxr_extra_hint() {
        notes.push((true, hint.to_owned()));
    }
    if matches!(error.code(), Some("E0384" | "E0596")) {
        let text = "a variable of an earlier cell becomes mutable by `let mut x = x;`";
        notes.push((true, text.to_owned()));
    }
    notes
}

/// The bytes of the cell between two positions of the text that evcxr was given; lines and columns
/// count from 1, columns in characters.
fn byte_range(
    cell: &str,
    prepared: &Prepared,
    start: (usize, usize),
    end: (usize, usize),
) -> Option<Range<usize>> {
    let offset = |(line, column): (usize, usize)| {
        let (line, column) = prepared.place_in_cell(line, column);
        offset_of(cell, line, column)
    };
    let start = offset(start)?;
    Some(start..offset(end)?.max(start))
}

#[cfg(test)]
mod tests {
    use super::super::cell::prepare;
    use super::*;

    #[test]
    fn positions_are_characters_of_the_users_text() {
        let cell = "let é = 1;\né + zz";
        let prepared = prepare(cell, true);
        let line = prepared.text.lines().nth(1).unwrap();
        let column = line
            .find("zz")
            .map(|byte| line[..byte].chars().count() + 1)
            .unwrap();
        let range = byte_range(cell, &prepared, (2, column), (2, column + 2)).unwrap();
        assert_eq!(&cell[range], "zz");
        assert_eq!(byte_range(cell, &prepared, (0, 1), (1, 1)), None);
        let past = byte_range(cell, &prepared, (2, 80), (9, 9)).unwrap();
        assert_eq!(past, cell.len()..cell.len());
    }
}
