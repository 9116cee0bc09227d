//! The types of the variables that a cell defines, written as evcxr writes them.

use super::Analyzer;
use super::sources::SESSION;
use ra_ap_base_db::EditionedFileId;
use ra_ap_hir::{HirDisplay, Module, Semantics, Type};
use ra_ap_ide::Edition;
use ra_ap_ide_db::RootDatabase;
use ra_ap_syntax::ast::{self, HasModuleItem, HasName};
use ra_ap_syntax::{AstNode, SourceFile, SyntaxKind};
use serde::{Deserialize, Serialize};

/// The function into which evcxr puts a cell's statements to analyse them.
const WRAPPER: &str = "evcxr_analysis_wrapper";

/// One `let` of a cell.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Let {
    /// Its text.
    pub text: String,
    /// The variables in its pattern, in their order.
    pub variables: Vec<Variable>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub is_mutable: bool,
    /// None if it cannot be written down.
    pub kind: Option<String>,
}

impl Analyzer {
    /// The `let`s of the cell in the text that was set.
    pub(super) fn variables(&self) -> Vec<Let> {
        let db = self.host.raw_database();
        let sema = Semantics::new(db);
        let file = sema.parse(EditionedFileId::new(db, SESSION, Edition::Edition2024));
        ra_ap_hir::attach_db(db, || {
            let function = file.items().find_map(|item| match item {
                ast::Item::Fn(function) => function
                    .name()
                    .is_some_and(|name| name.text() == WRAPPER)
                    .then_some(function),
                _ => None,
            });
            let Some(function) = function else {
                return Vec::new();
            };
            let (Some(body), Some(scope)) = (function.body(), sema.scope(function.syntax())) else {
                return Vec::new();
            };
            let module = scope.module();
            body.statements()
                .filter_map(|statement| match statement {
                    ast::Stmt::LetStmt(statement) => Some(statement),
                    _ => None,
                })
                .map(|statement| Let {
                    text: statement.syntax().text().to_string(),
                    variables: variables(&statement, &sema, module),
                })
                .collect()
        })
    }
}

fn variables(
    statement: &ast::LetStmt,
    sema: &Semantics<'_, RootDatabase>,
    module: Module,
) -> Vec<Variable> {
    let Some(pattern) = statement.pat() else {
        return Vec::new();
    };
    pattern
        .syntax()
        .descendants()
        .filter_map(ast::IdentPat::cast)
        .filter_map(|binding| {
            let name = binding.name()?;
            // `ref x` is a reference, and what matches a reference may be one.
            let kind = sema
                .type_of_binding_in_pat(&binding)
                .or_else(|| {
                    let whole = sema.type_of_pat(&ast::Pat::IdentPat(binding.clone()))?;
                    Some(whole.original())
                })
                .and_then(|kind| text_of(&kind, sema, module));
            Some(Variable {
                name: name.syntax().text().to_string(),
                is_mutable: binding.mut_token().is_some(),
                kind,
            })
        })
        .collect()
}

fn text_of(kind: &Type<'_>, sema: &Semantics<'_, RootDatabase>, module: Module) -> Option<String> {
    if kind.is_closure() || kind.contains_unknown() {
        return None;
    }
    let text = kind
        .display_source_code(sema.db, module.into(), true)
        .ok()?;
    (is_full(&text) && !text.contains(['\n', '\r'])).then(|| name_never(&text))
}

/// What stands for `!` in a text, which the compiler lets nobody write: the result of a task without an end.
const NEVER: &str = "::forkline::__Never";

/// A type in which `!` has a name that may be written.
fn name_never(kind: &str) -> String {
    const BEFORE: &str = "const _: ";
    if !kind.contains('!') {
        return kind.to_owned();
    }
    let parsed = SourceFile::parse(&format!("{BEFORE}{kind} = foo();"), Edition::Edition2024);
    let mut text = kind.to_owned();
    let found: Vec<usize> = parsed
        .syntax_node()
        .descendants()
        .filter(|node| node.kind() == SyntaxKind::NEVER_TYPE)
        .map(|node| usize::from(node.text_range().start()) - BEFORE.len())
        .collect();
    for at in found.into_iter().rev() {
        text.replace_range(at..at + 1, NEVER);
    }
    text
}

/// Whether a text is a type without `_`. (rust-analyzer writes some that are none, `[i32, _]` for one.)
pub fn is_full(kind: &str) -> bool {
    let parsed = SourceFile::parse(&format!("const _: {kind} = foo();"), Edition::Edition2024);
    parsed.errors().is_empty()
        && !parsed
            .syntax_node()
            .descendants()
            .any(|node| matches!(node.kind(), SyntaxKind::ERROR | SyntaxKind::INFER_TYPE))
}

#[cfg(test)]
mod tests {
    use super::{is_full, name_never};

    #[test]
    fn the_type_that_has_no_value_gets_a_name() {
        assert_eq!(name_never("Vec<u8>"), "Vec<u8>");
        assert_eq!(
            name_never("(Task<!>, fn() -> !)"),
            "(Task<::forkline::__Never>, fn() -> ::forkline::__Never)"
        );
    }

    #[test]
    fn a_full_type_has_no_gaps() {
        for full in ["Vec<String>", "&[i32]", "Foo<42>", "Box<dyn Fn(u8) -> u8>"] {
            assert!(is_full(full), "{full}");
        }
        for other in ["[i32, _]", "Vec<_>", "_", "{unknown}"] {
            assert!(!is_full(other), "{other}");
        }
    }
}
