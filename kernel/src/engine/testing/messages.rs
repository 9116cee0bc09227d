//! Compile errors of a program of tests, against the cells' own lines and in rustc's own form.

use super::super::diagnostics::{self, CompileFailure, Marked};
use super::{Place, TestProgram};
use serde_json::Value;
use std::collections::HashMap;

/// Makes one failure of a compiler's messages.
pub fn failure(
    messages: &[Value],
    program: &TestProgram,
    cells: &HashMap<usize, String>,
    variables: &[(String, String)],
) -> CompileFailure {
    let text_of = |message: &Value| {
        let text = message["message"].as_str().unwrap_or_default();
        text.to_owned()
    };
    let errors: Vec<&Value> = messages
        .iter()
        .filter(|message| message["level"] == "error")
        .filter(|message| !text_of(message).starts_with("aborting due to"))
        .collect();
    let first = errors.first();
    let mut traceback: Vec<String> = errors
        .iter()
        .map(|message| draw(message, program, cells))
        .collect();
    let unknown: Vec<&str> = variables
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| {
            let text = format!("cannot find value `{name}`");
            errors.iter().any(|error| text_of(error).contains(&text))
        })
        .collect();
    if let Some(name) = unknown.first() {
        traceback.push(format!(
            "why: `{name}` is a variable; tests run in a process of their own, which has what cells define \
             (functions, types, statics, imports) and no variables\n\
             do:  make the value in the test, or in a function that the test calls"
        ));
    }
    CompileFailure {
        ename: first
            .and_then(|error| error["code"]["code"].as_str())
            .unwrap_or("CompileError")
            .to_owned(),
        evalue: first.map_or_else(
            || "the tests could not be compiled".to_owned(),
            |error| text_of(error).lines().next().unwrap_or_default().to_owned(),
        ),
        traceback,
    }
}

/// The tests in which the errors are, with the places of their first lines.
pub fn broken_tests(messages: &[Value], program: &TestProgram) -> Vec<(String, Option<Place>)> {
    let mut found: Vec<(String, Option<Place>)> = Vec::new();
    let spans = messages
        .iter()
        .filter(|message| message["level"] == "error")
        .flat_map(|message| message["spans"].as_array().into_iter().flatten())
        .filter(|span| span["is_primary"] == true);
    for span in spans {
        let line = in_source(span, program).and_then(|span| span["line_start"].as_u64());
        let Some(line) = line.map(|line| line as usize) else {
            continue;
        };
        let tests = program
            .tests
            .iter()
            .filter(|(_, lines)| lines.contains(&line));
        for (name, lines) in tests {
            if !found.iter().any(|(known, _)| known == name) {
                found.push((name.clone(), program.place(*lines.start())));
            }
        }
    }
    found
}

/// A place of the program's own source; what a macro made lies in the macro's file, and the call is the user's.
fn in_source<'a>(span: &'a Value, program: &TestProgram) -> Option<&'a Value> {
    let mut own = span;
    while own["file_name"].as_str() != Some(program.source_name.as_str()) {
        own = own.get("expansion")?.get("span")?;
    }
    Some(own)
}

fn draw(message: &Value, program: &TestProgram, cells: &HashMap<usize, String>) -> String {
    let rendered = || {
        let text = message["rendered"].as_str().or(message["message"].as_str());
        text.unwrap_or_default().trim_end().to_owned()
    };
    let title = message["message"].as_str().unwrap_or_default();
    let marked: Vec<(usize, Marked)> = message["spans"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|span| mark(span, title, program, cells))
        .collect();
    let primary = marked.iter().find(|(_, one)| one.is_primary);
    let cell = primary.or(marked.first()).map(|(cell, _)| *cell);
    let Some((cell, text)) = cell.and_then(|cell| Some((cell, cells.get(&cell)?))) else {
        return rendered();
    };
    let of_cell = marked.into_iter().filter(|(of, _)| *of == cell);
    let of_cell: Vec<Marked> = of_cell.map(|(_, one)| one).collect();
    let notes: Vec<(bool, String)> = message["children"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|child| {
            let level = child["level"].as_str()?;
            let text = child["message"].as_str()?;
            let is_wanted = matches!(level, "help" | "note") && !text.starts_with("`#[");
            is_wanted.then(|| (level == "help", text.to_owned()))
        })
        .collect();
    let code = message["code"]["code"].as_str();
    let source = (format!("cell [{cell}]"), text.as_str());
    diagnostics::draw(title, code, Some(&source), &of_cell, &notes)
}

/// The cell of a span, and its place there.
fn mark(
    span: &Value,
    title: &str,
    program: &TestProgram,
    cells: &HashMap<usize, String>,
) -> Option<(usize, Marked)> {
    let own = in_source(span, program)?;
    let number = |name: &str| own[name].as_u64().map(|number| number as usize);
    let offset = |line: usize, column: usize| {
        let place = program.place(line)?;
        let text = cells.get(&place.cell)?;
        Some((
            place.cell,
            diagnostics::offset_of(text, place.line, column)?,
        ))
    };
    let (cell, start) = offset(number("line_start")?, number("column_start")?)?;
    let end = offset(number("line_end")?, number("column_end")?);
    let end = end.map_or(start, |(_, end)| end.max(start));
    let label = span["label"].as_str().unwrap_or_default();
    let marked = Marked {
        range: start..end,
        is_primary: span["is_primary"].as_bool().unwrap_or(false),
        label: if label == title {
            String::new()
        } else {
            label.to_owned()
        },
    };
    Some((cell, marked))
}
