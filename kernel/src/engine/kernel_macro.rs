//! `kernel!` made into modules, so that later cells see the kernels.
//!
//! To evcxr a call of a macro is a statement, which ends with its cell. A module is an item: evcxr repeats it, and one of
//! the same name takes its place.

use super::driver::Edits;
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{SyntaxElement, SyntaxKind, SyntaxNode, T, TextSize};

/// Writes the changes that put a call of `kernel!` into a module, with a module for each kernel; nothing if it is another
/// macro. `offset` leads from the tree to the text that is changed. Returns whether there was something to expand.
pub fn expand(
    call: &ast::MacroCall,
    offset: impl Fn(TextSize) -> usize,
    edits: &mut Edits,
) -> bool {
    let Some(path) = call.path().filter(|_| is_kernel(call)) else {
        return false;
    };
    let Some(tree) = call.token_tree() else {
        return false;
    };
    let names = kernels(tree.syntax());
    if names.is_empty() {
        return false;
    }
    let path = path.syntax().text_range();
    // Of all names: who defines one of them anew leaves the others where they are.
    let home = format!("kernels_{}", names.join("_"));
    let head = format!("mod {home} {{ ::forkline::kernel");
    edits.replace(offset(path.start())..offset(path.end()), head);
    let end = offset(call.syntax().text_range().end());
    let is_braced = tree.r_curly_token().is_some();
    let mut rest = String::from(if is_braced { " }" } else { "; }" });
    for name in &names {
        rest.push_str(&format!(
            " mod {name} {{ pub use super::{home}::{name}::*; }}"
        ));
    }
    edits.insert(end, rest);
    true
}

/// Whether an expression is a call of `kernel!`.
pub fn is_call_of(expression: &SyntaxNode) -> bool {
    let mut calls = expression.children().filter_map(ast::MacroCall::cast);
    calls.any(|call| is_kernel(&call))
}

fn is_kernel(call: &ast::MacroCall) -> bool {
    let path = call.path().map(|path| path.syntax().text().to_string());
    matches!(
        path.as_deref(),
        Some("kernel" | "forkline::kernel" | "::forkline::kernel")
    )
}

/// The names of the functions without a result, which are the kernels.
fn kernels(tree: &SyntaxNode) -> Vec<String> {
    let elements: Vec<SyntaxElement> = tree
        .children_with_tokens()
        .filter(|element| !element.kind().is_trivia())
        .collect();
    let kind = |at: usize| elements.get(at).map(SyntaxElement::kind);
    let mut names = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        let is_kernel = element.kind() == T![fn]
            && kind(at + 2) == Some(SyntaxKind::TOKEN_TREE)
            && kind(at + 3) == Some(SyntaxKind::TOKEN_TREE);
        if is_kernel && let Some(name) = elements.get(at + 1).and_then(SyntaxElement::as_token) {
            names.push(name.text().to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str) -> String {
        Edits::of_macro_calls(source, |call, edits| {
            expand(call, usize::from, edits);
        })
    }

    #[test]
    fn kernels_become_modules_on_the_same_lines() {
        assert_eq!(
            expanded(
                "kernel! {\n    fn a(x: &[f32]) {}\n    fn help(x: f32) -> f32 { x }\n    fn b() {}\n}\n"
            ),
            "mod kernels_a_b { ::forkline::kernel! {\n    fn a(x: &[f32]) {}\n    fn help(x: f32) -> f32 { x }\n    \
             fn b() {}\n} } mod a { pub use super::kernels_a_b::a::*; } mod b { pub use super::kernels_a_b::b::*; }\n"
        );
        let other = "other! { fn a() {} }";
        assert_eq!(expanded(other), other);
    }
}
