//! From lines of the source that evcxr generates back to cells and their lines.
//!
//! evcxr copies each statement of a cell into its source as it is, on lines of its own, in an order
//! that it chooses. Panics and backtraces name lines of that source. Knowing the statements of all
//! cells, one finds them there again by their text.

use super::cell::Statement;
use super::driver::as_written;
use std::collections::VecDeque;
use std::sync::Arc;

/// A place in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The cell's execution count, as the front end shows it in brackets.
    pub cell: usize,
    /// Line of the cell, from 1.
    pub line: usize,
    /// Whether it lies in a function or another item, not in the statements of the cell itself.
    pub in_item: bool,
}

/// The statements of the session so far.
#[derive(Default)]
pub struct SourceMap {
    statements: Arc<Statements>,
    /// What each loaded library was compiled from, by its path; the latest last. A thread of an
    /// earlier cell may panic at any later time, in the code of its own library.
    loaded: VecDeque<(String, Snapshot)>,
}

#[derive(Default, Clone)]
struct Statements {
    /// Items of earlier cells, which evcxr repeats in every source; the latest last.
    items: Vec<(usize, Statement)>,
    current: Vec<(usize, Statement)>,
}

struct Snapshot {
    source: String,
    statements: Arc<Statements>,
}

/// How many compiled sources are kept. Each is some tens of KiB in a long notebook.
const SNAPSHOTS: usize = 128;

impl SourceMap {
    /// A cell is about to be compiled.
    pub fn begin(&mut self, cell: usize, statements: &[Statement]) {
        let mut next = Statements::clone(&self.statements);
        for (cell, statement) in std::mem::take(&mut next.current) {
            if statement.is_item {
                // The same text again: the newer cell is where the user will look.
                next.items.retain(|(_, known)| known.text != statement.text);
                next.items.push((cell, statement));
            }
        }
        next.current = statements
            .iter()
            .map(|statement| (cell, statement.clone()))
            .collect();
        self.statements = Arc::new(next);
    }

    /// A library is about to run that was compiled from this source.
    pub fn loaded(&mut self, library: &str, source: String) {
        // Loops were given a check and statics a name, which is not the user's text.
        let source = as_written(&source);
        self.loaded.retain(|(known, _)| known != library);
        self.loaded.push_back((
            library.to_owned(),
            Snapshot {
                source,
                statements: Arc::clone(&self.statements),
            },
        ));
        if self.loaded.len() > SNAPSHOTS {
            self.loaded.pop_front();
        }
    }

    /// The cell place of a line (from 1) of the source of a library, if the user wrote that line.
    /// Without a library: of the one loaded last.
    pub fn place(&self, library: Option<&str>, line: usize) -> Option<Place> {
        let snapshot = match library {
            Some(library) => self.loaded.iter().find(|(known, _)| known == library),
            None => self.loaded.back(),
        };
        let (_, snapshot) = snapshot?;
        snapshot.statements.place(&snapshot.source, line)
    }

    /// The place of each line of a source of the cell that was begun last; the first is that of line 1.
    pub fn places(&self, source: &str) -> Vec<Option<Place>> {
        self.statements.places(&as_written(source), usize::MAX)
    }
}

impl Statements {
    fn place(&self, source: &str, line: usize) -> Option<Place> {
        self.places(source, line)
            .get(line.checked_sub(1)?)
            .copied()?
    }

    /// The place of each line; at least of the first `until`, if there are so many.
    fn places(&self, source: &str, until: usize) -> Vec<Option<Place>> {
        let lines: Vec<&str> = source.lines().collect();
        let mut places = Vec::new();
        // Statements that are not items keep their order, so a repeated text is found in its turn.
        let mut next_statement = 0;
        while places.len() < lines.len().min(until) {
            let rest = &lines[places.len()..];
            let found = self
                .current
                .iter()
                .enumerate()
                .skip(next_statement)
                .find(|(_, (_, statement))| begins_at(rest, &statement.text))
                .map(|(position, found)| {
                    if !found.1.is_item {
                        next_statement = position + 1;
                    }
                    found
                })
                .or_else(|| {
                    let mut all = self.current.iter().chain(self.items.iter().rev());
                    all.find(|(_, item)| item.is_item && begins_at(rest, &item.text))
                });
            let Some((cell, statement)) = found else {
                places.push(None);
                continue;
            };
            let length = statement.text.lines().count();
            places.extend((0..length).map(|offset| {
                Some(Place {
                    cell: *cell,
                    line: statement.line + offset,
                    in_item: statement.is_item,
                })
            }));
        }
        places
    }
}

fn begins_at(lines: &[&str], text: &str) -> bool {
    let mut count = 0;
    for (expected, line) in text.lines().zip(lines) {
        if expected != *line {
            return false;
        }
        count += 1;
    }
    count > 0 && count == text.lines().count()
}

#[cfg(test)]
mod tests {
    use super::super::cell::prepare;
    use super::*;

    #[test]
    fn lines_are_found_in_the_cell_that_wrote_them() {
        let mut map = SourceMap::default();
        map.begin(
            1,
            &prepare("// first\nfn f() {\n    panic!()\n}", true).statements,
        );
        map.begin(
            2,
            &prepare("let x = 1;\nlet x = 1;\n\nf();", true).statements,
        );
        let source = "#![allow(unused)]\nfn f() {\n    panic!()\n}\nfn run() {\nlet x = 1;\n\
                      let x = 1;\n\nf();\n}\n";
        map.loaded("a", source.to_owned());
        map.begin(3, &prepare("f();", true).statements);
        let place = |line| map.place(Some("a"), line);
        assert_eq!(map.place(Some("b"), 3), None);
        assert_eq!(place(1), None);
        assert_eq!(
            place(3),
            Some(Place {
                cell: 1,
                line: 3,
                in_item: true
            })
        );
        assert_eq!(place(5), None);
        assert_eq!(
            place(6),
            Some(Place {
                cell: 2,
                line: 1,
                in_item: false
            })
        );
        assert_eq!(
            place(7),
            Some(Place {
                cell: 2,
                line: 2,
                in_item: false
            })
        );
        assert_eq!(
            place(9),
            Some(Place {
                cell: 2,
                line: 4,
                in_item: false
            })
        );
        assert_eq!(place(99), None);
    }

    #[test]
    fn a_function_is_found_although_its_loop_was_given_a_check() {
        let mut map = SourceMap::default();
        let function = "fn f() {\n    while g() {\n        h();\n    }\n}";
        map.begin(1, &prepare(function, true).statements);
        map.loaded(
            "a",
            function.replace("g() {", "g() {::forkline::__check();"),
        );
        assert_eq!(
            map.place(None, 3),
            Some(Place {
                cell: 1,
                line: 3,
                in_item: true
            })
        );
    }

    #[test]
    fn an_item_defined_again_belongs_to_the_later_cell() {
        let mut map = SourceMap::default();
        map.begin(1, &prepare("fn f() {}", true).statements);
        map.begin(2, &prepare("\nfn f() {}", true).statements);
        map.begin(3, &prepare("f()", true).statements);
        map.loaded("a", "fn f() {}\n".to_owned());
        assert_eq!(
            map.place(None, 1),
            Some(Place {
                cell: 2,
                line: 2,
                in_item: true
            })
        );
    }
}
