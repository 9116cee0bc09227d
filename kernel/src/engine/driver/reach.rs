//! The items that a cell leads to.
//!
//! evcxr repeats all functions, types and constants of a session in every cell. Those that nothing in
//! the cell names, however indirectly, do not change what it does, but the compiler reads and checks
//! them each time. Names are words of the text here, so this errs on the side of keeping; and if a cell
//! does not compile without them, it is compiled with everything.
//!
//! Never left out: imports, traits, macros (and what these name), what has an exported name, and what
//! the cell itself defines. An `impl` is left out if a type of this session that it names is.

use super::fingerprint::words;
use super::rewrite::Transfer;
use ra_ap_syntax::ast::{self, HasName};
use ra_ap_syntax::{AstNode, SyntaxNode};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

struct Item<'a> {
    range: Range<usize>,
    text: &'a str,
    /// Kept if one of these is reached.
    names: Vec<String>,
    /// The words before the body of an `impl`: kept if all types among them are reached.
    header: Option<&'a str>,
}

/// The places of the items that nothing leads to. `defined` are the texts of the cell's own items.
pub fn unreached(root: &SyntaxNode, source: &str, defined: &[String]) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let mut pending: Vec<&str> = Vec::new();
    for node in root.children() {
        let range = node.text_range();
        let range = usize::from(range.start())..usize::from(range.end());
        let text = &source[range.clone()];
        let own = defined.iter().any(|item| item.contains(text.trim()));
        match (own, leavable(&node, source)) {
            (false, Some((names, header))) => items.push(Item {
                range,
                text,
                names,
                header,
            }),
            _ => pending.extend(roots(text)),
        }
    }
    let types: HashSet<&str> = items
        .iter()
        .filter(|item| item.header.is_none())
        .flat_map(|item| item.names.iter().map(String::as_str))
        .collect();
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        for name in &item.names {
            by_name.entry(name).or_default().push(index);
        }
    }
    let mut reached: HashSet<&str> = HashSet::new();
    let mut kept = vec![false; items.len()];
    loop {
        while let Some(word) = pending.pop() {
            if !reached.insert(word) {
                continue;
            }
            for &index in by_name.get(word).into_iter().flatten() {
                if !std::mem::replace(&mut kept[index], true) {
                    pending.extend(words(items[index].text));
                }
            }
        }
        // Implementations whose types are all reached by now; they may lead on.
        for (index, item) in items.iter().enumerate() {
            let Some(header) = item.header.filter(|_| !kept[index]) else {
                continue;
            };
            let mut named = words(header).filter(|word| types.contains(word));
            if named.all(|word| reached.contains(word)) {
                kept[index] = true;
                pending.extend(words(item.text));
            }
        }
        if pending.is_empty() {
            break;
        }
    }
    items
        .into_iter()
        .zip(kept)
        .filter(|(_, kept)| !kept)
        .map(|(item, _)| item.range)
        .collect()
}

/// What a text that is kept leads to; a line that moves a variable counts only if another names it.
fn roots(text: &str) -> Vec<&str> {
    let transfers: Vec<_> = text
        .lines()
        .map(|line| (Transfer::parse(line), line))
        .collect();
    let mut found: Vec<&str> = transfers
        .iter()
        .filter(|(transfer, _)| transfer.is_none())
        .flat_map(|(_, line)| words(line))
        .collect();
    let named: HashSet<&str> = found.iter().copied().collect();
    for (transfer, line) in &transfers {
        if transfer
            .as_ref()
            .is_some_and(|transfer| named.contains(transfer.name))
        {
            found.extend(words(line));
        }
    }
    found
}

/// Names, and the header of an `impl`, of an item that may be left out.
fn leavable<'a>(node: &SyntaxNode, source: &'a str) -> Option<(Vec<String>, Option<&'a str>)> {
    let item = ast::Item::cast(node.clone())?;
    let text = node.text().to_string();
    if text.contains("no_mangle") || text.contains("export_name") {
        return None;
    }
    let name = |name: Option<ast::Name>| name.map(|name| (vec![name.text().to_string()], None));
    match item {
        ast::Item::Fn(item) => {
            let found = item.name()?;
            let is_evcxrs =
                found.text().starts_with("run_user_code_") || found.text().starts_with("evcxr_");
            if is_evcxrs { None } else { name(Some(found)) }
        }
        ast::Item::Struct(item) => name(item.name()),
        ast::Item::Enum(item) => name(item.name()),
        ast::Item::Union(item) => name(item.name()),
        ast::Item::Const(item) => name(item.name()),
        ast::Item::Static(item) => name(item.name()),
        ast::Item::TypeAlias(item) => name(item.name()),
        ast::Item::Impl(item) => {
            let body = item.assoc_item_list()?;
            let start = usize::from(node.text_range().start());
            let end = usize::from(body.syntax().text_range().start());
            Some((Vec::new(), Some(&source[start..end])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ra_ap_syntax::{Edition, SourceFile};

    fn left(items: &str, cell: &str, defined: &[&str]) -> String {
        let source = format!("{items}\nfn run_user_code_1() {{\n{cell}\n}}\n");
        let root = SourceFile::parse(&source, Edition::Edition2024).syntax_node();
        let defined: Vec<String> = defined.iter().map(|&text| text.to_owned()).collect();
        let mut text = source.clone();
        for range in unreached(&root, &source, &defined).into_iter().rev() {
            text.replace_range(range, "");
        }
        let end = text.find("fn run_user_code_1").unwrap();
        text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_named_indirectly_stays() {
        let items = "fn f() { g() }\nfn g() {}\nfn h() {}\nconst N: u8 = 1;\nstruct S([u8; N]);";
        assert_eq!(left(items, "f();", &[]), "fn f() { g() } fn g() {}");
        assert_eq!(
            left(items, "let s: S;", &[]),
            "const N: u8 = 1; struct S([u8; N]);"
        );
        assert_eq!(left(items, "1 + 1", &["fn h() {}"]), "fn h() {}");
    }

    #[test]
    fn implementations_go_with_their_types() {
        let items = "struct A; struct B; impl A { fn b(&self) -> B { B } } impl Drop for B { fn drop(&mut self) {} }\n\
                     trait T {} impl T for u8 {} impl T for A {} impl From<B> for A {}";
        assert_eq!(left(items, "1", &[]), "trait T {} impl T for u8 {}");
        assert_eq!(
            left(
                "struct A; impl A {} struct B; impl From<B> for A {}",
                "A",
                &[]
            ),
            "struct A; impl A {}"
        );
        // A value of B comes out of a method of A.
        assert!(left(items, "A", &[]).contains("impl Drop for B"));
    }

    #[test]
    fn variables_that_are_not_named_lead_nowhere() {
        let items = "struct A; struct B;";
        let transfer = |name: &str, kind: &str| {
            format!(
                "let {name} = evcxr_variable_store.take_variable::<{kind}>(stringify!({name}));\n"
            )
        };
        let cell = transfer("x", "A") + &transfer("y", "B") + "drop(y);";
        assert_eq!(left(items, &cell, &[]), "struct B;");
    }

    #[test]
    fn macros_imports_and_exported_names_stay() {
        let items = "use m::*; mod m {} macro_rules! q { () => { f() } } fn f() {}\n\
                     #[unsafe(no_mangle)] extern \"C\" fn c() {}";
        assert_eq!(left(items, "1", &[]), items.replace('\n', " "));
    }
}
