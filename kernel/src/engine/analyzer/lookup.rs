//! Completion and documentation, with the settings and the choice that evcxr has.

use super::Analyzer;
use super::sources::SESSION;
use ra_ap_hir::PrefixKind;
use ra_ap_ide::{
    CallableSnippets, CompletionConfig, CompletionFieldsToResolve, CompletionItemKind as Kind,
    FilePosition, FileRange, HoverConfig, HoverDocFormat, RaFixtureConfig, SubstTyLen, TextRange,
    TextSize,
};
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig};
use ra_ap_ide_db::{SnippetCap, SymbolKind};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Names that are evcxr's own.
const INTERNAL: [&str; 3] = [
    "evcxr_variable_store",
    "evcxr_internal_runtime",
    "evcxr_analysis_wrapper",
];

/// A candidate.
#[derive(Serialize, Deserialize)]
pub struct Item {
    pub text: String,
    pub kind: String,
}

/// Candidates and the bytes of the analysed text that they replace.
#[derive(Serialize, Deserialize)]
pub struct Found {
    pub items: Vec<Item>,
    pub range: Range<usize>,
}

impl Analyzer {
    /// Candidates at a byte of the text that was set.
    pub(super) fn complete(&self, position: usize) -> anyhow::Result<Found> {
        let mut items = Vec::new();
        let mut range: Option<TextRange> = None;
        let position_in_file = FilePosition {
            file_id: SESSION,
            offset: TextSize::new(position as u32),
        };
        let analysis = self.host.analysis();
        let candidates = analysis.completions(&completion_config(), position_in_file, None);
        for item in candidates.ok().flatten().unwrap_or_default() {
            let mut edits = item.text_edit.iter();
            if let Some(edit) = edits.next() {
                let typed = &self.text[edit.delete];
                // rust-analyzer offers everything that is possible, whatever has been typed.
                if !item.lookup().starts_with(typed) {
                    continue;
                }
                anyhow::ensure!(
                    range.is_none_or(|range| range == edit.delete),
                    "candidates for different parts of the text"
                );
                range = Some(edit.delete);
                let text = without_placeholders(&edit.insert);
                if !INTERNAL.contains(&text.as_str()) {
                    items.push(Item {
                        text,
                        kind: jupyter_kind(item.kind).to_owned(),
                    });
                }
            }
            anyhow::ensure!(edits.next().is_none(), "a candidate with several changes");
        }
        let range = range.map_or(position..position, |range| {
            range.start().into()..range.end().into()
        });
        Ok(Found { items, range })
    }

    /// What is known of the name at a byte of the text that was set: as plain text and as Markdown.
    pub(super) fn describe(&self, position: usize) -> Option<(String, String)> {
        let at = TextSize::new(position as u32);
        let range = FileRange {
            file_id: SESSION,
            range: TextRange::empty(at),
        };
        let analysis = self.host.analysis();
        let describe = |format| {
            let found = analysis.hover(&hover_config(format), range).ok()??;
            Some(String::from(found.info.markup))
        };
        Some((
            describe(HoverDocFormat::PlainText)?,
            describe(HoverDocFormat::Markdown)?,
        ))
    }
}

/// `push(${1:value})$0` as one would type it: `push(value)`.
fn without_placeholders(snippet: &str) -> String {
    let mut text = String::with_capacity(snippet.len());
    let mut rest = snippet;
    while let Some(start) = rest.find("${") {
        let (before, placeholder) = rest.split_at(start);
        let body = &placeholder[2..];
        let parts = body.split_once(':').and_then(|(number, after)| {
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| after.split_once('}')).flatten()
        });
        text.push_str(before);
        match parts {
            Some((name, after)) => {
                text.push_str(name);
                rest = after;
            }
            None => {
                text.push_str("${");
                rest = body;
            }
        }
    }
    text.push_str(rest);
    text.replace("$0", "")
}

fn completion_config() -> CompletionConfig<'static> {
    CompletionConfig {
        enable_postfix_completions: true,
        snippet_cap: SnippetCap::new(true),
        enable_imports_on_the_fly: false,
        enable_self_on_the_fly: true,
        enable_private_editable: true,
        prefer_no_std: false,
        full_function_signatures: true,
        snippets: vec![],
        insert_use: InsertUseConfig {
            prefix_kind: PrefixKind::ByCrate,
            group: false,
            granularity: ImportGranularity::Item,
            enforce_granularity: false,
            skip_glob_imports: false,
        },
        callable: Some(CallableSnippets::FillArguments),
        limit: None,
        prefer_prelude: false,
        enable_term_search: true,
        term_search_fuel: 400,
        prefer_absolute: false,
        add_semicolon_to_unit: true,
        fields_to_resolve: CompletionFieldsToResolve::empty(),
        exclude_flyimport: vec![],
        exclude_traits: &[],
        enable_auto_iter: true,
        enable_auto_await: true,
        ra_fixture: RaFixtureConfig::default(),
        add_colons_to_module: true,
    }
}

fn hover_config(format: HoverDocFormat) -> HoverConfig<'static> {
    HoverConfig {
        links_in_hover: true,
        memory_layout: None,
        documentation: true,
        keywords: true,
        format,
        max_trait_assoc_items_count: None,
        max_fields_count: Some(5),
        max_enum_variants_count: Some(5),
        max_subst_ty_len: SubstTyLen::Unlimited,
        show_drop_glue: false,
        ra_fixture: RaFixtureConfig::default(),
    }
}

/// evcxr's words for kinds, which front ends show.
fn jupyter_kind(kind: Kind) -> &'static str {
    use SymbolKind as Symbol;
    match kind {
        Kind::SymbolKind(
            Symbol::Function
            | Symbol::Method
            | Symbol::Macro
            | Symbol::ProcMacro
            | Symbol::Derive
            | Symbol::DeriveHelper
            | Symbol::Attribute
            | Symbol::BuiltinAttr,
        ) => "function",
        Kind::SymbolKind(
            Symbol::Struct
            | Symbol::Enum
            | Symbol::Union
            | Symbol::Trait
            | Symbol::TypeAlias
            | Symbol::TypeParam
            | Symbol::SelfType,
        ) => "class",
        Kind::SymbolKind(Symbol::Module | Symbol::CrateRoot | Symbol::ToolModule) => "module",
        Kind::Keyword => "keyword",
        _ => "instance",
    }
}

#[cfg(test)]
mod tests {
    use super::without_placeholders;

    #[test]
    fn placeholders_become_their_names() {
        for (snippet, text) in [
            ("push(${1:value})$0", "push(value)"),
            ("zip(${1:a}, ${2:b})", "zip(a, b)"),
            ("plain", "plain"),
            ("${x} ${1", "${x} ${1"),
        ] {
            assert_eq!(without_placeholders(snippet), text);
        }
    }
}
