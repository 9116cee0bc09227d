//! Lines of a program's generated source, as the user knows them: lines of cells.

use super::outcome;
use crate::engine::TestProgram;
use crate::session::CellContext;

/// A place in a program's source as messages have it, and the lines around it if they are a cell's.
pub fn describe(
    context: &CellContext<'_>,
    program: &TestProgram,
    file: &str,
    line: usize,
) -> (String, Option<String>) {
    let in_cell = program.place(line).filter(|_| file == program.source_name);
    match in_cell {
        Some(place) => (context.describe_place(place), context.excerpt(place)),
        None => (format!("{file}, line {line}"), None),
    }
}

/// A text with cells' lines in place of the generated source's.
pub fn with_cells(context: &CellContext<'_>, program: &TestProgram, text: &str) -> String {
    outcome::with_places(text, &program.source_name, |line| {
        program
            .place(line)
            .map(|place| context.describe_place(place))
    })
}

/// The first place of a cell that a text has as a line of the generated source.
pub fn first_place(context: &CellContext<'_>, program: &TestProgram, text: &str) -> Option<String> {
    let line = outcome::first_line_of(text, &program.source_name)?;
    program
        .place(line)
        .map(|place| context.describe_place(place))
}

/// The first panic that a program's output tells of: its place (empty if it is a library's), its message, and
/// the output with the lines around that place and with cells' lines.
pub fn panic_in(
    context: &CellContext<'_>,
    program: &TestProgram,
    output: &str,
) -> (String, String, String) {
    let mut text = with_cells(context, program, output);
    let Some(((file, line, column), reason)) = outcome::first_panic(output) else {
        return (String::new(), String::new(), text);
    };
    let reason = with_cells(context, program, &reason);
    if file != program.source_name {
        let text = text.replace(
            &format!(" panicked at {file}:{line}:{column}:"),
            " panicked:",
        );
        return (String::new(), reason, text);
    }
    let (place, excerpt) = describe(context, program, &file, line);
    if let Some(excerpt) = excerpt {
        text = format!("{text}\n\n{excerpt}");
    }
    (place, reason, text)
}
