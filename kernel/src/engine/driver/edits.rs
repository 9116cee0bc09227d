//! Changes to a generated source that keep its lines, and the way back for the compiler's messages.
//!
//! evcxr finds out what a message is about by the line it names, and shows the user its columns. So
//! the driver only ever replaces text by text with as many lines, and the columns of a message are
//! counted back before evcxr sees it.

use serde_json::Value;

/// A source with changes to be made.
#[derive(Default)]
pub struct Edits {
    /// Byte range in the original and what stands there instead, in any order.
    changes: Vec<(std::ops::Range<usize>, String)>,
    removals: Vec<std::ops::Range<usize>>,
}

impl Edits {
    /// Puts text in at a byte offset.
    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Replaces a range. Both texts must have as many newlines.
    pub fn replace(&mut self, range: std::ops::Range<usize>, text: impl Into<String>) {
        self.changes.push((range, text.into()));
    }

    /// Takes a range out, newlines apart.
    pub fn remove(&mut self, range: std::ops::Range<usize>) {
        self.removals.push(range);
    }

    /// The changed source and the way back.
    pub fn apply(mut self, source: &str) -> (String, Columns) {
        for range in std::mem::take(&mut self.removals) {
            let newlines = "\n".repeat(source[range.clone()].matches('\n').count());
            self.changes.push((range, newlines));
        }
        // Stable: what was put in first at one place stands first.
        self.changes
            .sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::with_capacity(source.len() + 64 * self.changes.len());
        let mut columns = Columns::default();
        let mut end = 0;
        for (range, replacement) in self.changes {
            debug_assert!(range.start >= end, "changes overlap");
            text.push_str(&source[end..range.start]);
            let removed = &source[range.clone()];
            debug_assert_eq!(
                removed.matches('\n').count(),
                replacement.matches('\n').count()
            );
            if !removed.contains('\n') {
                columns.shifts.push(Shift {
                    line: text.matches('\n').count() + 1,
                    column: text[text.rfind('\n').map_or(0, |newline| newline + 1)..]
                        .chars()
                        .count()
                        + 1,
                    added: replacement.chars().count(),
                    removed: removed.chars().count(),
                });
            }
            text.push_str(&replacement);
            end = range.end;
        }
        text.push_str(&source[end..]);
        (text, columns)
    }

    /// A source in which `expand` has changed the macro calls: for the tests of those who do.
    #[cfg(test)]
    pub fn of_macro_calls(
        source: &str,
        expand: impl Fn(&ra_ap_syntax::ast::MacroCall, &mut Edits),
    ) -> String {
        use ra_ap_syntax::{AstNode as _, Edition, SourceFile, ast::MacroCall};
        let mut edits = Edits::default();
        let root = SourceFile::parse(source, Edition::Edition2024).syntax_node();
        for call in root.descendants().filter_map(MacroCall::cast) {
            expand(&call, &mut edits);
        }
        edits.apply(source).0
    }
}

/// From columns of the changed source to those of the original.
#[derive(Debug, Default, Clone)]
pub struct Columns {
    shifts: Vec<Shift>,
}

/// One change within a line; line and column (from 1) of the changed source.
#[derive(Debug, Clone)]
struct Shift {
    line: usize,
    column: usize,
    added: usize,
    removed: usize,
}

impl Columns {
    /// The column in the original of a column in the changed source, both from 1.
    pub fn original(&self, line: usize, column: usize) -> usize {
        let mut result = column as isize;
        for shift in self.shifts.iter().filter(|shift| shift.line == line) {
            if column >= shift.column + shift.added {
                result -= shift.added as isize - shift.removed as isize;
            } else if column > shift.column {
                // Inside of what was put in: where it was put in.
                result -= (column - shift.column) as isize;
            }
        }
        result.max(1) as usize
    }

    /// Counts the columns of one message of the compiler back, in all its spans.
    pub fn mend(&self, message: &mut Value) {
        if self.shifts.is_empty() {
            return;
        }
        match message {
            Value::Array(values) => values.iter_mut().for_each(|value| self.mend(value)),
            Value::Object(fields) => {
                let is_cell = fields
                    .get("file_name")
                    .and_then(Value::as_str)
                    .is_some_and(|name| name.ends_with("lib.rs"));
                if is_cell {
                    for (line, column) in
                        [("line_start", "column_start"), ("line_end", "column_end")]
                    {
                        let number = |name: &str| fields.get(name).and_then(Value::as_u64);
                        if let (Some(at_line), Some(at)) = (number(line), number(column)) {
                            let original = self.original(at_line as usize, at as usize);
                            fields.insert(column.to_owned(), Value::from(original));
                        }
                    }
                }
                fields.values_mut().for_each(|value| self.mend(value));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_lead_back_to_the_original() {
        let source = "ab\nloop { x }\nend";
        let mut edits = Edits::default();
        edits.insert(source.find(" x").unwrap(), "CHECK;");
        edits.replace(0..2, "");
        let (text, columns) = edits.apply(source);
        assert_eq!(text, "\nloop {CHECK; x }\nend");
        let column = text.lines().nth(1).unwrap().find('x').unwrap() + 1;
        assert_eq!(columns.original(2, column), "loop { x".len());
        assert_eq!(columns.original(2, 3), 3);
        // A place inside of the inserted text is the place of the insertion.
        assert_eq!(columns.original(2, 9), 7);
        assert_eq!(columns.original(3, 9), 9);
    }

    #[test]
    fn every_span_of_a_message_is_mended() {
        let mut edits = Edits::default();
        edits.insert(2, "12345");
        let (_, columns) = edits.apply("ab c");
        let span = |file: &str, start: u64, end: u64| {
            serde_json::json!({
                "file_name": file, "line_start": 1, "column_start": start,
                "line_end": 1, "column_end": end,
            })
        };
        let mut message = serde_json::json!({
            "spans": [span("src/lib.rs", 9, 10), span("elsewhere.rs", 9, 10)],
            "children": [{ "spans": [span("src/lib.rs", 1, 8)] }],
        });
        columns.mend(&mut message);
        assert_eq!(message["spans"][0], span("src/lib.rs", 4, 5));
        assert_eq!(message["spans"][1], span("elsewhere.rs", 9, 10));
        assert_eq!(message["children"][0]["spans"][0], span("src/lib.rs", 1, 3));
    }
}
