//! Whether a cell awaits something at its top level, so that it has to run on the prelude's runtime.
//!
//! evcxr finds it out from the compiler's error, adds tokio to the session's crates and keeps a runtime of its own
//! among the variables: seconds for the first such cell, and tasks on two runtimes. So it is found out from the text.
//!
//! Macros are judged by their tokens. A cell that is taken for one that awaits runs on the runtime, which changes
//! nothing else for it; one that is overlooked goes evcxr's way.

use ra_ap_syntax::ast;
use ra_ap_syntax::{AstNode, NodeOrToken, SyntaxKind, SyntaxNode};

/// Macros that await what they are given.
const AWAITING_MACROS: [&str; 5] = [
    "join",
    "try_join",
    "tokio::join",
    "tokio::try_join",
    "tokio::select",
];

/// Whether something in a list of statements is awaited there, and not in an async block, a closure or an item.
pub fn awaits(node: &SyntaxNode) -> bool {
    node.children().any(|child| match child.kind() {
        SyntaxKind::AWAIT_EXPR => true,
        SyntaxKind::CLOSURE_EXPR => false,
        SyntaxKind::BLOCK_EXPR if is_async(&child) => false,
        SyntaxKind::TOKEN_TREE => awaits_in_tokens(&child),
        SyntaxKind::MACRO_CALL => is_awaiting_macro(&child) || awaits(&child),
        kind if ast::Item::can_cast(kind) => false,
        _ => awaits(&child),
    })
}

fn is_async(block: &SyntaxNode) -> bool {
    block
        .children_with_tokens()
        .any(|child| child.kind() == SyntaxKind::ASYNC_KW)
}

fn is_awaiting_macro(call: &SyntaxNode) -> bool {
    let path = call
        .children()
        .find(|child| child.kind() == SyntaxKind::PATH);
    path.is_some_and(|path| AWAITING_MACROS.contains(&path.text().to_string().as_str()))
}

fn awaits_in_tokens(tree: &SyntaxNode) -> bool {
    // The last tokens that are no space: what they are decides about the next.
    let mut before = String::new();
    let mut is_in_async = false;
    for child in tree.children_with_tokens() {
        match child {
            NodeOrToken::Token(token) if token.kind().is_trivia() => {}
            NodeOrToken::Token(token) => {
                if token.text() == "await" && before == "." {
                    return true;
                }
                is_in_async = token.text() == "async" || (is_in_async && token.text() == "move");
                before = token.text().to_owned();
            }
            NodeOrToken::Node(group) => {
                let is_block = group
                    .first_token()
                    .is_some_and(|token| token.kind() == SyntaxKind::L_CURLY);
                if !(is_in_async && is_block) && awaits_in_tokens(&group) {
                    return true;
                }
                is_in_async = false;
                before.clear();
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::cell::prepare;

    #[test]
    fn only_what_is_awaited_at_the_top_level_counts() {
        for (expected, cell) in [
            (true, "f().await"),
            (true, "let x = f().await?;"),
            (true, "for i in 0..3 { g(i).await; }"),
            (true, "if a { loop { f() . await; } }"),
            (true, "println!(\"{}\", f().await);"),
            (true, "vec![(f().await, 1)]"),
            (true, "async { 1 }.await"),
            (true, "let (a, b) = tokio::join!(f(), g());"),
            (true, "tokio::select! { _ = f() => {} }"),
            (false, "async fn f() { g().await }"),
            (false, "let task = tasks::spawn(async move { f().await });"),
            (false, "let f = async || g().await;"),
            (false, "block_on(async { f().await })"),
            (
                false,
                "println!(\"{}\", block_on(async move { f().await }));",
            ),
            (false, "let text = \"f().await\"; // .await"),
            (false, "let await_it = x.awaiting;"),
            (false, "mod m { async fn f() { g().await } }"),
            (false, "f().await +"),
        ] {
            assert_eq!(prepare(cell, true).awaits, expected, "{cell}");
        }
        assert!(
            !prepare("f().await", false).awaits,
            "without the prelude it is evcxr's"
        );
    }
}
