//! The statements of a cell that awaits, made an async block that the prelude's runtime runs (see `awaiting`).
//!
//! evcxr is told nothing of it. Lines stay what they are, and what this room does not recognise it leaves alone.

use super::edits::Edits;
use super::rewrite::{Transfer, range};
use ra_ap_syntax::ast;
use ra_ap_syntax::{AstNode, SyntaxKind, SyntaxNode};

/// How evcxr calls the statements of a cell.
pub const CATCH: &str = "std::panic::catch_unwind(";
/// What evcxr puts around statements in which a `?` stands.
pub const ASKING_BEGIN: &str = "let _ = (|| -> std::result::Result<(), EvcxrUserCodeError> {";
pub const ASKING_END: &str = "Ok(())})();";
/// The name by which evcxr keeps its own runtime.
pub const EVCXR_RUNTIME: &str = "evcxr_tokio_runtime";
const RUN_BEGIN: &str = " ::forkline::tasks::__cell(async {";
const RUN_END: &str = "});";

/// Makes the statements of a cell an async block, and has the prelude run it.
pub fn wrap(function: &SyntaxNode, source: &str, edits: &mut Edits) {
    // evcxr has found out before that something is awaited, and goes its own way.
    if source[range(function)].contains(EVCXR_RUNTIME) {
        return;
    }
    let catch = function.descendants().find(|node| {
        node.kind() == SyntaxKind::CALL_EXPR && source[range(node)].starts_with(CATCH)
    });
    // To show an error, and if the user wants no panics caught, evcxr leaves that call out.
    let list = match &catch {
        Some(catch) => statements_of_closure(catch),
        None => statements_of_function(function),
    };
    let Some(list) = list else { return };
    // With `?` in them evcxr puts the statements into one more closure.
    let asking = list.children().find(|child| {
        let text = &source[range(child)];
        text.starts_with(ASKING_BEGIN) && text.ends_with(ASKING_END)
    });
    if let Some(asking) = asking {
        let range = range(&asking);
        let begin = range.start..range.start + ASKING_BEGIN.len();
        let end = range.end - ASKING_END.len()..range.end;
        edits.replace(begin, format!("let _ ={RUN_BEGIN}"));
        edits.replace(end, format!("Ok::<(), EvcxrUserCodeError>(()){RUN_END}"));
    } else if catch.is_some() {
        let list = range(&list);
        edits.insert(list.start + 1, RUN_BEGIN);
        edits.insert(list.end - 1, RUN_END);
    } else if let Some((begin, end)) = between_variables(&list, source) {
        edits.insert(begin, RUN_BEGIN);
        edits.insert(end, RUN_END);
    }
}

/// Where the statements of a cell begin that stand in the function itself, behind the lines that fetch
/// variables, and where the function's value stands.
fn between_variables(list: &SyntaxNode, source: &str) -> Option<(usize, usize)> {
    const PREPARING: [&str; 3] = [
        "if evcxr_variable_store.is_null()",
        "let evcxr_variable_store = ",
        "{let mut vars_ok",
    ];
    let end = range(&list.last_child()?).start;
    let is_preparing = |child: &SyntaxNode| {
        let text = &source[range(child)];
        PREPARING.iter().any(|begin| text.starts_with(begin)) || Transfer::parse(text).is_some()
    };
    let last = list.children().take_while(is_preparing).last();
    let begin = last.map_or(range(list).start + 1, |last| range(&last).end);
    // Lines of variables may be replaced as a whole.
    let begin = source[begin..end]
        .find('\n')
        .map_or(begin, |newline| begin + newline + 1);
    Some((begin, end))
}

/// The statements of the first closure in a call.
fn statements_of_closure(call: &SyntaxNode) -> Option<SyntaxNode> {
    let closure = call
        .descendants()
        .find(|node| node.kind() == SyntaxKind::CLOSURE_EXPR)?;
    let block = closure
        .children()
        .find(|child| child.kind() == SyntaxKind::BLOCK_EXPR)?;
    block
        .children()
        .find(|child| child.kind() == SyntaxKind::STMT_LIST)
}

fn statements_of_function(function: &SyntaxNode) -> Option<SyntaxNode> {
    let body = ast::Fn::cast(function.clone())?.body()?;
    Some(body.stmt_list()?.syntax().clone())
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::{Cell, rewrite};
    use super::super::statics::Statics;
    use super::*;

    #[test]
    fn a_cell_that_awaits_becomes_an_async_block() {
        let wrapped = |source: &str| {
            let cell = Cell {
                items: &[],
                dependencies: &[],
                awaits: true,
                everything: true,
            };
            rewrite(source, &cell, Statics::default().begin()).text
        };
        let plain = "fn run_user_code_1() {\nif std::panic::catch_unwind(||{\nf().await;\n}).is_err() {\n}\n}\n";
        assert_eq!(
            wrapped(plain),
            plain
                .replace(
                    "(||{",
                    "(||{ ::forkline::tasks::__cell(async {::forkline::__check();"
                )
                .replace("}).is", "});}).is")
        );
        let asking = format!(
            "fn run_user_code_1() {{\nmatch {CATCH}\nstd::panic::AssertUnwindSafe(||{{\n{ASKING_BEGIN}\n\
             f().await?;\n{ASKING_END}\n}})) {{ \n  Ok(_) => {{}}\n}}}}\n"
        );
        let text = wrapped(&asking);
        assert!(
            text.contains("\nlet _ = ::forkline::tasks::__cell(async {::forkline::__check();\nf().await?;\nOk::<(), EvcxrUserCodeError>(())});\n"),
            "{text}"
        );
        let bare = "fn run_user_code_1() {\nlet evcxr_variable_store = unsafe {&mut *s};\n{let mut vars_ok = true;}\n\
                    let x = evcxr_variable_store.take_variable::<u8>(stringify!(x));\nf().await;\n\
                    evcxr_variable_store.put_variable::<u8>(stringify!(x), x);\nevcxr_variable_store\n}\n";
        let text = wrapped(bare);
        assert!(
            text.contains("\n ::forkline::tasks::__cell(async {f().await;\n"),
            "{text}"
        );
        assert!(text.contains("x);\n});evcxr_variable_store\n}"), "{text}");
        let own = plain.replace("f()", "evcxr_tokio_runtime()");
        assert!(!wrapped(&own).contains("__cell"));
    }
}
