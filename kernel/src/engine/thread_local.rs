//! `thread_local!` made into statics, so that all cells share them.
//!
//! std's macro makes constants with storage of their own in each cell, and to evcxr it is a statement
//! that later cells do not see. The prelude's `LocalKey` is a `static` like any other: evcxr repeats
//! it, and the driver exports it.

use super::driver::Edits;
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{SyntaxElement, SyntaxKind, SyntaxNode, T, TextSize};

const KEY: &str = "::forkline::local::LocalKey";

/// Writes the changes that expand a call of `thread_local!`; nothing if it is another macro, or not
/// written as it should be. `offset` leads from the tree to the text that is changed; `attribute` says
/// what is to stand before the static of a name. Returns whether there was something to expand.
pub fn expand(
    call: &ast::MacroCall,
    offset: impl Fn(TextSize) -> usize,
    edits: &mut Edits,
    mut attribute: impl FnMut(&str) -> String,
) -> bool {
    let Some(tree) = call.token_tree().filter(|_| is_thread_local(call)) else {
        return false;
    };
    let elements: Vec<SyntaxElement> = tree
        .syntax()
        .children_with_tokens()
        .filter(|element| !element.kind().is_trivia() || element.kind() == SyntaxKind::COMMENT)
        .collect();
    let [open, inner @ .., close] = elements.as_slice() else {
        return false;
    };
    let Some(declarations) = declarations(inner) else {
        return false;
    };
    let start = |element: &SyntaxElement| offset(element.text_range().start());
    let end = |element: &SyntaxElement| offset(element.text_range().end());
    let call_start = offset(call.syntax().text_range().start());
    // The tree's first token ends the head of the call.
    edits.remove(call_start..end(open));
    for declaration in &declarations {
        let text = attribute(&declaration.name);
        edits.insert(start(declaration.first), text);
        edits.insert(end(declaration.colon), format!(" {KEY}<"));
        edits.insert(start(declaration.equals), "> ");
        edits.insert(end(declaration.equals), format!(" {KEY}::new(||"));
        match declaration.semicolon {
            Some(semicolon) => edits.insert(start(semicolon), ")"),
            None => edits.insert(start(close), ");"),
        }
    }
    edits.remove(start(close)..end(close));
    true
}

/// Whether an expression is a call of `thread_local!`.
pub fn is_call_of(expression: &SyntaxNode) -> bool {
    let mut calls = expression.children().filter_map(ast::MacroCall::cast);
    calls.any(|call| is_thread_local(&call))
}

fn is_thread_local(call: &ast::MacroCall) -> bool {
    let path = call.path().map(|path| path.syntax().text().to_string());
    matches!(path.as_deref(), Some("thread_local" | "std::thread_local"))
}

/// One `static NAME: TYPE = value;` within the call.
struct Declaration<'a> {
    name: String,
    /// Visibility or `static`, where attributes stand before.
    first: &'a SyntaxElement,
    colon: &'a SyntaxElement,
    equals: &'a SyntaxElement,
    semicolon: Option<&'a SyntaxElement>,
}

fn declarations(elements: &[SyntaxElement]) -> Option<Vec<Declaration<'_>>> {
    let kind = |at: usize| elements.get(at).map(SyntaxElement::kind);
    let mut found = Vec::new();
    let mut at = 0;
    while at < elements.len() {
        // Attributes and doc comments.
        let keyword = (at..elements.len()).find(|&at| kind(at) == Some(SyntaxKind::STATIC_KW))?;
        let before = |back: usize| keyword.checked_sub(back).and_then(kind);
        let first = match (before(1), before(2)) {
            (Some(T![pub]), _) => keyword - 1,
            (Some(SyntaxKind::TOKEN_TREE), Some(T![pub])) => keyword - 2,
            _ => keyword,
        };
        let name = elements.get(keyword + 1)?.as_token()?.text().to_owned();
        let colon = keyword + 2;
        if kind(colon) != Some(T![:]) {
            return None;
        }
        let equals = end_of_type(elements, colon + 1)?;
        let semicolon = (equals + 1..elements.len()).find(|&at| kind(at) == Some(T![;]));
        found.push(Declaration {
            name,
            first: &elements[first],
            colon: &elements[colon],
            equals: &elements[equals],
            semicolon: semicolon.map(|at| &elements[at]),
        });
        at = semicolon.map_or(elements.len(), |at| at + 1);
    }
    Some(found)
}

/// The `=` behind a type; one within `<…>` belongs to the type.
fn end_of_type(elements: &[SyntaxElement], from: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, element) in elements.iter().enumerate().skip(from) {
        match element.kind() {
            T![<] => depth += 1,
            // The arrow of a function's type is no bracket.
            T![>] if at > 0 && elements[at - 1].kind() != T![-] => depth -= 1,
            T![=] if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str) -> String {
        Edits::of_macro_calls(source, |call, edits| {
            expand(call, usize::from, edits, |name| format!("/*{name}*/ "));
        })
    }

    #[test]
    fn each_declaration_becomes_a_static() {
        assert_eq!(
            expanded(
                "thread_local! {\n    /// A.\n    pub static A: Cell<u32> = const { Cell::new(1) };\n}"
            ),
            "\n    /// A.\n    /*A*/ pub static A: ::forkline::local::LocalKey< Cell<u32> > = \
             ::forkline::local::LocalKey::new(|| const { Cell::new(1) });\n"
        );
        assert_eq!(
            expanded(
                "thread_local!(static B: Box<dyn Iterator<Item = u8>> = f(); static C: fn() -> u8 = g);"
            ),
            "/*B*/ static B: ::forkline::local::LocalKey< Box<dyn Iterator<Item = u8>> > = \
             ::forkline::local::LocalKey::new(|| f()); /*C*/ static C: ::forkline::local::LocalKey< fn() -> u8 > = \
             ::forkline::local::LocalKey::new(|| g);;"
        );
    }

    #[test]
    fn other_macros_are_left_alone() {
        for source in [
            "lazy_static! { static ref A: u8 = 1; }",
            "thread_local! { what }",
        ] {
            assert_eq!(expanded(source), source);
        }
    }
}
