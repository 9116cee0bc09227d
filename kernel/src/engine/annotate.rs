//! Types written into a cell for evcxr's eyes, and taken out again before the compiler sees them.
//!
//! evcxr must know the type of each variable that a cell defines. It takes a type that is written out;
//! else it asks its own rust-analyzer, which knows nothing here (see `analyzer`). So each `let` that
//! lacks one gets its type in evcxr's copy of the cell: after the pattern if that is a plain name, else
//! in a `let` of its own for each variable, between this statement and the next. The driver takes all
//! of that out of what evcxr generates, so the compiler sees the statements as the user wrote them, with
//! the same inference and the same messages.
//!
//! What always holds: lines of the user's text stay what they are, in the cell and in the generated
//! source.

use super::analyzer::{Let, is_full};
use super::cell;
use super::driver::{Columns, Edits};
use ra_ap_syntax::ast::{self, HasName};
use ra_ap_syntax::{AstNode, SyntaxNode};

const BEGIN: &str = "/*forkline:*/";
/// Before the semicolon of a `let` that is put in: behind it, it would belong to an item that follows.
const END: &str = "/*:forkline*/";

/// A cell's text with types.
#[derive(Debug)]
pub struct Annotated {
    pub text: String,
    pub columns: Columns,
    /// Where evcxr finds the names that got a `let` of their own, and where the user wrote them.
    pub names: Vec<MovedName>,
}

/// A name in two texts: line and column of each, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedName {
    pub at: (usize, usize),
    pub length: usize,
    pub written: (usize, usize),
}

/// Whether evcxr would have to find out a type in this text.
pub fn is_needed(text: &str) -> bool {
    text.contains("let") && lets(text).is_some_and(|lets| lets.iter().any(lacks_type))
}

/// Writes the types of variables into a text. `known` has its `let`s in their order; none if these are
/// others.
pub fn annotate(text: &str, known: &[Let]) -> Option<Annotated> {
    let statements = lets(text)?;
    let same = statements.len() <= known.len()
        && statements
            .iter()
            .zip(known)
            .all(|(statement, known)| statement.node.syntax().text() == known.text.as_str());
    if !same {
        return None;
    }
    let mut edits = Edits::default();
    let mut last = String::new();
    let mut moved = Vec::new();
    for (statement, known) in statements.iter().zip(known) {
        if !lacks_type(statement) {
            continue;
        }
        if let Some(name) = plain_name(&statement.node)
            && statement.node.ty().is_none()
        {
            if let Some(kind) = known.variables.first().and_then(|one| one.kind.as_ref()) {
                let end = statement.start + usize::from(name.text_range().end());
                edits.insert(end, format!("{BEGIN}: {kind}{END}"));
            }
            continue;
        }
        let mut rebound = String::new();
        let names = statement
            .node
            .pat()
            .into_iter()
            .flat_map(|pattern| names(&pattern));
        for (variable, name) in known.variables.iter().zip(names) {
            if let Some(kind) = &variable.kind {
                let mutable = if variable.is_mutable { "mut " } else { "" };
                let written = statement.start + usize::from(name.text_range().start());
                let name = &variable.name;
                moved.push((name.clone(), written));
                rebound.push_str(&format!(
                    "{BEGIN}let {mutable}{name}: {kind} = {name}{END};"
                ));
            }
        }
        match statement.next {
            Some(next) => edits.insert(next, rebound),
            None => last.push_str(&rebound),
        }
    }
    let source = text;
    let (mut text, columns) = edits.apply(source);
    if !last.is_empty() {
        text.push('\n');
        text.push_str(&last);
    }
    let names = moved_names(&text, source, &moved);
    Some(Annotated {
        text,
        columns,
        names,
    })
}

/// Finds the `let`s that were put in, which stand in the order of the names.
fn moved_names(text: &str, source: &str, moved: &[(String, usize)]) -> Vec<MovedName> {
    let mut from = 0;
    let mut found = Vec::new();
    let begin = format!("{BEGIN}let ");
    for (name, written) in moved {
        let Some(start) = text[from..].find(&begin).map(|at| from + at + begin.len()) else {
            break;
        };
        from = start;
        let is_mutable = text[start..].starts_with("mut ");
        let at = start + if is_mutable { "mut ".len() } else { 0 };
        found.push(MovedName {
            at: place(text, at),
            length: name.chars().count(),
            written: place(source, *written),
        });
    }
    found
}

/// Line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let number = text[..at].matches('\n').count() + 1;
    (number, text[line..at].chars().count() + 1)
}

/// The names in a pattern, in the order in which the analyzer tells them.
fn names(pattern: &ast::Pat) -> Vec<SyntaxNode> {
    pattern
        .syntax()
        .descendants()
        .filter_map(ast::IdentPat::cast)
        .filter_map(|binding| Some(binding.name()?.syntax().clone()))
        .collect()
}

/// A generated source without what [`annotate`] has put in, and the way back.
pub fn strip(source: &str) -> (String, Columns) {
    let mut edits = Edits::default();
    let mut from = 0;
    while let Some(start) = source[from..].find(BEGIN).map(|at| from + at) {
        let Some(mut end) = source[start..].find(END).map(|at| start + at + END.len()) else {
            break;
        };
        // evcxr may have begun a new line behind the mark.
        let inner = source[start + BEGIN.len()..].trim_start();
        let is_statement = inner.starts_with("let ");
        if is_statement && source[end..].starts_with(';') {
            end += 1;
        }
        edits.remove(start..end);
        from = end;
    }
    edits.apply(source)
}

/// A `let` at the top of a cell.
struct Statement {
    node: ast::LetStmt,
    /// What is to be added to a place in the tree for the byte in the text.
    start: usize,
    /// The byte at which more can be added before the next statement; none if there is no next one.
    next: Option<usize>,
}

/// The `let`s of a text that parses.
fn lets(text: &str) -> Option<Vec<Statement>> {
    let (list, code_start) = cell::statement_list(text)?;
    let nodes: Vec<SyntaxNode> = list.children().collect();
    let offset = |node: &SyntaxNode| {
        usize::from(node.text_range().start()) - cell::WRAPPER.len() + code_start
    };
    let found = nodes.iter().enumerate().filter_map(|(index, node)| {
        Some(Statement {
            node: ast::LetStmt::cast(node.clone())?,
            start: offset(node).wrapping_sub(node.text_range().start().into()),
            next: nodes.get(index + 1).map(|next| {
                // evcxr takes items out, with the comments and the space before them.
                if ast::Item::can_cast(next.kind()) {
                    offset(node) + usize::from(node.text_range().len())
                } else {
                    offset(next)
                }
            }),
        })
    });
    Some(found.collect())
}

fn lacks_type(statement: &Statement) -> bool {
    let Some(pattern) = statement.node.pat() else {
        return false;
    };
    let is_typed = plain_name(&statement.node).is_some()
        && statement
            .node
            .ty()
            .is_some_and(|kind| is_full(&kind.syntax().text().to_string()));
    !is_typed
        && pattern
            .syntax()
            .descendants()
            .any(|node| ast::IdentPat::can_cast(node.kind()))
}

/// The name of `let name` and `let mut name`.
fn plain_name(statement: &ast::LetStmt) -> Option<SyntaxNode> {
    let ast::Pat::IdentPat(pattern) = statement.pat()? else {
        return None;
    };
    let is_plain = pattern.ref_token().is_none() && pattern.at_token().is_none();
    is_plain.then(|| pattern.name().map(|name| name.syntax().clone()))?
}

#[cfg(test)]
mod tests {
    use super::super::analyzer::Variable;
    use super::*;

    fn known(text: &str, variables: &[(&str, Option<&str>)]) -> Let {
        Let {
            text: text.to_owned(),
            variables: variables
                .iter()
                .map(|(name, kind)| Variable {
                    name: name.trim_start_matches("mut ").to_owned(),
                    is_mutable: name.starts_with("mut "),
                    kind: kind.map(str::to_owned),
                })
                .collect(),
        }
    }

    fn annotated(text: &str, lets: &[Let]) -> String {
        let annotated = annotate(text, lets).unwrap();
        let (stripped, _) = strip(&annotated.text);
        assert_eq!(stripped.trim_end(), text.trim_end());
        let text = annotated.text;
        text.replace(BEGIN, "<").replace(END, ">")
    }

    #[test]
    fn plain_names_get_their_type_in_place() {
        assert_eq!(
            annotated(
                "let a = 1; a",
                &[known("let a = 1;", &[("a", Some("i32"))])]
            ),
            "let a<: i32> = 1; a"
        );
        assert_eq!(
            annotated(
                "let mut a;\na = 1;",
                &[known("let mut a;", &[("a", Some("i32"))])]
            ),
            "let mut a<: i32>;\na = 1;"
        );
        assert_eq!(
            annotated("let f = |x| x;", &[known("let f = |x| x;", &[("f", None)])]),
            "let f = |x| x;"
        );
        let shadowing = [
            known("let a = 1;", &[("a", Some("i32"))]),
            known("let a = 'x';", &[("a", Some("char"))]),
        ];
        assert_eq!(
            annotated(":dep x\nlet a = 1; let a = 'x';", &shadowing),
            ":dep x\nlet a<: i32> = 1; let a<: char> = 'x';"
        );
    }

    #[test]
    fn other_patterns_are_followed_by_lets() {
        let pair = known(
            "let (a, mut b) = f();",
            &[("a", Some("A")), ("mut b", Some("B"))],
        );
        assert_eq!(
            annotated(
                "let (a, mut b) = f(); // pair\nb += 1;",
                std::slice::from_ref(&pair)
            ),
            "let (a, mut b) = f(); // pair\n<let a: A = a>;<let mut b: B = b>;b += 1;"
        );
        assert_eq!(
            annotated("let (a, mut b) = f(); // pair", &[pair]),
            "let (a, mut b) = f(); // pair\n<let a: A = a>;<let mut b: B = b>;"
        );
        let pair = || known("let (a, b) = f();", &[("a", Some("A")), ("b", Some("B"))]);
        let next = known("let c = 5;", &[("c", Some("i32"))]);
        assert_eq!(
            annotated("let (a, b) = f();\nfn g() {}\nlet c = 5;", &[pair(), next]),
            "let (a, b) = f();<let a: A = a>;<let b: B = b>;\nfn g() {}\nlet c<: i32> = 5;"
        );
        assert_eq!(
            annotated("let (a, b) = f();\nfn g() {}", &[pair()]),
            "let (a, b) = f();<let a: A = a>;<let b: B = b>;\nfn g() {}"
        );
        let (stripped, _) = strip("a;/*forkline:*/\nlet b: B = b/*:forkline*/;c");
        assert_eq!(stripped, "a;\nc");
        let gap = known("let v: Vec<_> = w();", &[("v", Some("Vec<u8>"))]);
        assert_eq!(
            annotated("let v: Vec<_> = w();\nv", &[gap]),
            "let v: Vec<_> = w();\n<let v: Vec<u8> = v>;v"
        );
    }

    #[test]
    fn full_types_and_other_cells_are_left_alone() {
        assert!(!is_needed("let a: u8 = 1; let _ = 2;"));
        assert!(!is_needed("fn f() { let a = 1; }"));
        assert!(is_needed("let (a, b) = c;"));
        assert!(is_needed("let a: Vec<_> = b;"));
        assert!(annotate("let a = 1;", &[known("let a = 2;", &[])]).is_none());
    }

    #[test]
    fn names_that_are_defined_again_stand_where_they_were_written() {
        let text = "let (a, mut b) = f();\nb += 1;";
        let pair = known(
            "let (a, mut b) = f();",
            &[("a", Some("A")), ("mut b", Some("B"))],
        );
        let annotated = annotate(text, &[pair]).unwrap();
        let written: Vec<_> = annotated.names.iter().map(|name| name.written).collect();
        assert_eq!(written, [(1, 6), (1, 13)]);
        for (name, expected) in annotated.names.iter().zip(["a: A", "b: B"]) {
            let line = annotated.text.lines().nth(name.at.0 - 1).unwrap();
            assert!(line[name.at.1 - 1..].starts_with(expected), "{line}");
        }
    }

    #[test]
    fn columns_lead_back_to_the_cell() {
        let text = "let a = 1; let b = oops;";
        let lets = [
            known("let a = 1;", &[("a", Some("i32"))]),
            known("let b = oops;", &[("b", None)]),
        ];
        let annotated = annotate(text, &lets).unwrap();
        let column = annotated.text.find("oops").unwrap() + 1;
        assert_eq!(
            annotated.columns.original(1, column),
            text.find("oops").unwrap() + 1
        );
        let (stripped, columns) = strip(&annotated.text);
        assert_eq!(stripped, text);
        assert_eq!(columns.original(1, text.find("oops").unwrap() + 1), column);
    }
}
