//! The source of a program that runs a cell's code under many schedules of its threads.
//!
//! The code becomes a function, beside all items of the session that it leads to, and `std` becomes `sim`: a
//! crate that is the standard library but for what threads meet at (`assets/shuttle/lib.rs`).

use super::super::driver::unreached;
use super::super::{Engine, Place};
use super::crate_of;
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxToken};

/// Names that the prelude brings into scope from the standard library, and where the simulated ones are.
const NAMES: [(&str, &str); 7] = [
    ("Barrier", "sim::sync::Barrier"),
    ("Condvar", "sim::sync::Condvar"),
    ("Mutex", "sim::sync::Mutex"),
    ("RwLock", "sim::sync::RwLock"),
    ("atomic", "sim::sync::atomic"),
    ("mpsc", "sim::sync::mpsc"),
    ("thread", "sim::thread"),
];

const BODY: &str = "fn forkline_schedule_body() { let _ = {\n";

impl Engine {
    /// The source, and the cell place of each of its lines. `code` has the cell's line numbers.
    pub fn interleaving_source(&self, cell: usize, code: &str) -> (String, Vec<Option<Place>>) {
        let all = self.driver.last_source().unwrap_or_default();
        let (mut items, _) = crate_of(&all, |_| true);
        if !items.ends_with('\n') {
            items.push('\n');
        }
        let (items, rest) = source_of(&items, code);
        let mut places = self.locator.places(&items);
        places.resize(items.matches('\n').count() + 1, None);
        places.extend((1..=code.lines().count()).map(|line| {
            Some(Place {
                cell,
                line,
                in_item: false,
            })
        }));
        (simulated(&(items + &rest)), places)
    }
}

/// The items that the code leads to, on their lines, and what follows them.
fn source_of(items: &str, code: &str) -> (String, String) {
    let body = format!("{BODY}{code}\n}}; }}");
    let whole = format!("{items}{body}");
    let root = SourceFile::parse(&whole, Edition::Edition2024).syntax_node();
    let mut kept = String::with_capacity(items.len());
    let mut end = 0;
    for range in unreached(&root, &whole, std::slice::from_ref(&body)) {
        if range.end > items.len() || range.start < end {
            continue;
        }
        kept.push_str(&items[end..range.start]);
        kept.push_str(&"\n".repeat(items[range.clone()].matches('\n').count()));
        end = range.end;
    }
    kept.push_str(&items[end..]);
    let mut rest = format!("{body}\n");
    for (name, path) in NAMES {
        let is_imported = root.children().any(|item| {
            item.kind() == SyntaxKind::USE
                && item
                    .descendants_with_tokens()
                    .filter_map(NodeOrToken::into_token)
                    .any(|token| token.text() == name)
        });
        if !is_imported {
            rest.push_str(&format!("use {path}; "));
        }
    }
    rest.push_str("fn main() { sim::explore(forkline_schedule_body) }\n");
    (kept, rest)
}

/// A source in which paths that begin with `std` begin with `sim`.
fn simulated(source: &str) -> String {
    let root = SourceFile::parse(source, Edition::Edition2024).syntax_node();
    let mut text = source.to_owned().into_bytes();
    for token in root
        .descendants_with_tokens()
        .filter_map(NodeOrToken::into_token)
    {
        if token.kind() == SyntaxKind::IDENT && token.text() == "std" && begins_path(&token) {
            let start = usize::from(token.text_range().start());
            text[start..start + 3].copy_from_slice(b"sim");
        }
    }
    String::from_utf8(text).expect("one ASCII name became another")
}

/// Whether `::` follows a name, and none precedes it.
fn begins_path(name: &SyntaxToken) -> bool {
    let is_colon = |token: &SyntaxToken| token.kind() == SyntaxKind::COLON;
    let follows = match name.next_token() {
        Some(next) if next.kind() == SyntaxKind::COLON2 => true,
        // In a macro's tokens the two stand alone.
        Some(next) => is_colon(&next) && next.next_token().is_some_and(|next| is_colon(&next)),
        None => false,
    };
    let precedes = match name.prev_token() {
        Some(before) if before.kind() == SyntaxKind::COLON2 => true,
        Some(before) => {
            is_colon(&before) && before.prev_token().is_some_and(|before| is_colon(&before))
        }
        None => false,
    };
    follows && !precedes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_into_the_standard_library_lead_to_the_simulated_one() {
        let text = "use std::sync::{Arc, Mutex}; fn f() { let std = 1; let x: std::time::Duration = \
                    ::std::default::Default::default(); println!(\"{} std::x\", std::mem::size_of::<u8>()) }";
        let changed = simulated(text);
        assert_eq!(changed.len(), text.len());
        assert!(changed.starts_with("use sim::sync::"), "{changed}");
        assert!(
            changed.contains("let std = 1; let x: sim::time")
                && changed.contains("= ::std::default")
        );
        assert!(changed.contains("std::x\", sim::mem"), "{changed}");
    }

    #[test]
    fn items_that_nothing_leads_to_are_left_out_and_lines_stay() {
        let items = "use std::thread;\nfn used() {}\nfn unused() {\n}\nstruct Last;\n";
        let (kept, rest) = source_of(items, "\nused(); let _ = Last;");
        assert_eq!(kept.matches('\n').count(), items.matches('\n').count());
        assert!(kept.contains("fn used") && !kept.contains("fn unused") && kept.contains("Last"));
        assert!(
            rest.contains("use sim::sync::Mutex;") && !rest.contains("use sim::thread;"),
            "{rest}"
        );
    }
}
