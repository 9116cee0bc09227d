//! The source that evcxr generates, put right before it is compiled.
//!
//! * The variable store is the prelude's: evcxr's own would be compiled into every cell.
//! * Variables that the cell does not name stay in the store: moving each one out and back costs code
//!   for its type in every cell.
//! * Variables carry a number that says what their type means (see `fingerprint`).
//! * Items that nothing in the cell leads to are left out: evcxr repeats all of them in every cell.
//! * Statics are exported, so that all cells share one (see `statics`).
//! * A cell that awaits at its top level is an async block on the prelude's runtime (see `async_block`).
//! * Loops begin with a check that lets an interrupt through: `loop` and `while` always, `for` and
//!   closures only if they call something or loop themselves, so that an innermost loop over numbers
//!   is vectorised as ever.
//!
//! Lines stay what they are, because evcxr finds its way by them. What this room does not recognise
//! it leaves alone.

use super::async_block;
use super::edits::{Columns, Edits};
use super::fingerprint::{Definitions, words};
use super::reach;
use super::statics::{EXPORTED, Given, Identity, Naming};
use crate::engine::thread_local;
use ra_ap_syntax::ast::{self, HasName, HasVisibility};
use ra_ap_syntax::{AstNode, Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxNode};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// The variable store as evcxr 0.22.0 puts it into cells; `reliance` fails when it changes. Another
/// text is left in place.
const EVCXR_STORE_SHA256: &str = "6aec0f4358cddd3961f5bd78c9f4f5fbd93761cd0efd856fd903ca5f896d7d64";
const STORE_BEGIN: &str = "mod evcxr_internal_runtime {\n";
const STORE_END: &str = "\n}\n#[unsafe(no_mangle)]\n";
/// What lets an interrupt through.
pub const CHECK: &str = "::forkline::__check();";

/// What a static is given to be one for all cells.
const EXPORT: &str = "#[unsafe(export_name = \"";
const EXPORT_END: &str = "\")] ";
/// With one blank more than a user's, to be told from it.
const ADDED_PUB: &str = " pub ";

/// The source without what was added to loops and statics, so that it has the user's lines.
pub fn as_written(source: &str) -> String {
    let source = source.replace(CHECK, "");
    let mut text = String::with_capacity(source.len());
    let mut rest = source.as_str();
    let begin = format!("{EXPORT}{EXPORTED}");
    while let Some(at) = rest.find(&begin) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.find(EXPORT_END) else {
            break;
        };
        rest = &rest[end + EXPORT_END.len()..];
        rest = rest.strip_prefix(ADDED_PUB).unwrap_or(rest);
    }
    text + rest
}
/// What stands in place of a line for a variable that the cell does not name.
pub const UNNAMED: &str = "// not named in this cell";

/// A crate that the session uses.
pub struct Dependency {
    pub name: String,
    /// As Cargo.toml has it.
    pub configuration: String,
    /// How often the configuration has changed in this session.
    pub changes: u32,
}

/// What is known when a cell is compiled.
pub struct Cell<'a> {
    /// Texts of the items that the cell itself defines.
    pub items: &'a [String],
    pub dependencies: &'a [Dependency],
    /// Whether its statements await something.
    pub awaits: bool,
    /// Leave out nothing, neither variables nor items.
    pub everything: bool,
}

/// What came of it.
pub struct Rewritten {
    pub text: String,
    pub columns: Columns,
    /// Whether a variable or an item was left out.
    pub left_out: bool,
    pub statics: Given,
}

/// Puts a generated source right.
pub fn rewrite(source: &str, cell: &Cell<'_>, statics: Naming<'_>) -> Rewritten {
    let mut rewriting = Rewriting {
        source,
        cell,
        edits: Edits::default(),
        statics,
        left_out: false,
    };
    let has_store = rewriting.replace_store();
    // The result's macro as a call of a function: what is in it can be seen then.
    let visible = source.replace("forkline::__result!(", "forkline::__result_(");
    let parsed = SourceFile::parse(&visible, Edition::Edition2024);
    // A source that does not parse is the compiler's to explain.
    if parsed.errors().is_empty() {
        let root = parsed.syntax_node();
        let definitions = definitions(&root, source, cell);
        let unreached = if cell.everything {
            Vec::new()
        } else {
            reach::unreached(&root, source, cell.items)
        };
        rewriting.left_out |= !unreached.is_empty();
        for item in root.children() {
            let range = range(&item);
            if unreached.contains(&range) {
                rewriting.edits.remove(range);
            } else {
                rewriting.item(&item, has_store, &definitions);
            }
        }
    }
    let Rewriting {
        edits,
        statics,
        left_out,
        ..
    } = rewriting;
    let (text, columns) = edits.apply(source);
    Rewritten {
        text,
        columns,
        left_out,
        statics: statics.finish(),
    }
}

/// Whether a source has the variable store that this room knows.
#[cfg(test)]
pub fn knows_store(source: &str) -> bool {
    store(source).is_some()
}

/// Where the known variable store stands.
fn store(source: &str) -> Option<std::ops::Range<usize>> {
    let start = source.find(STORE_BEGIN)?;
    let length = source[start..].find(STORE_END)? + "\n}\n".len();
    let block = &source[start..start + length];
    let digest: String = Sha256::digest(block.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (digest == EVCXR_STORE_SHA256).then_some(start..start + length)
}

/// All definitions that a type may lead to.
fn definitions<'a>(root: &SyntaxNode, source: &'a str, cell: &Cell<'_>) -> Definitions<'a> {
    let mut definitions = Definitions::default();
    for dependency in cell.dependencies {
        definitions.add_dependency(&dependency.name, &dependency.configuration);
    }
    let mut globs = Vec::new();
    for item in root.children().filter_map(ast::Item::cast) {
        let text = &source[range(item.syntax())];
        match &item {
            ast::Item::Use(import) => {
                let text_of_use = import.syntax().text().to_string();
                if text_of_use.contains('*') {
                    globs.push(text);
                } else if let Some(name) = words(&text_of_use).last() {
                    definitions.add(name, text);
                }
            }
            ast::Item::Fn(_) | ast::Item::Static(_) | ast::Item::Impl(_) => {}
            ast::Item::MacroRules(rules) => {
                if let Some(name) = rules.name() {
                    definitions.add(name.text(), text);
                }
            }
            ast::Item::MacroCall(_) => definitions.add_unknown(text, text),
            other => {
                let name = other.syntax().children().find_map(ast::Name::cast);
                // The store's own module is in every source.
                if let Some(name) = name.filter(|name| name.text() != "evcxr_internal_runtime") {
                    definitions.add(name.text(), text);
                }
            }
        }
    }
    for text in globs {
        let path = |word: &&str| !matches!(*word, "pub" | "use" | "crate" | "self");
        let Some(root_of_path) = words(text).find(path) else {
            continue;
        };
        // Everything in a module of the session: whatever the module defines may be meant.
        for module in definitions.texts(root_of_path) {
            definitions.add_unknown(module, module);
        }
        let dependency = cell
            .dependencies
            .iter()
            .find(|dependency| dependency.name.replace('-', "_") == root_of_path);
        if let Some(dependency) = dependency {
            definitions.add_glob(root_of_path, dependency.changes);
        }
    }
    definitions
}

pub(super) fn range(node: &SyntaxNode) -> std::ops::Range<usize> {
    let range = node.text_range();
    range.start().into()..range.end().into()
}

struct Rewriting<'a> {
    source: &'a str,
    cell: &'a Cell<'a>,
    edits: Edits,
    statics: Naming<'a>,
    left_out: bool,
}

impl Rewriting<'_> {
    fn replace_store(&mut self) -> bool {
        let Some(range) = store(self.source) else {
            return false;
        };
        let newlines = "\n".repeat(self.source[range.clone()].matches('\n').count());
        self.edits.replace(
            range,
            format!("use ::forkline::store as evcxr_internal_runtime;{newlines}"),
        );
        true
    }

    fn item(&mut self, item: &SyntaxNode, has_store: bool, definitions: &Definitions<'_>) {
        let name = ast::Fn::cast(item.clone()).and_then(|function| function.name());
        match name {
            Some(name) if name.text().starts_with("run_user_code_") => {
                if has_store {
                    self.variables(range(item), definitions);
                }
                if self.cell.awaits {
                    async_block::wrap(item, self.source, &mut self.edits);
                }
                self.checks(item);
            }
            Some(name) if name.text().starts_with("evcxr_") => {}
            _ => {
                let is_store = ast::Module::cast(item.clone())
                    .and_then(|module| module.name())
                    .is_some_and(|name| name.text() == "evcxr_internal_runtime");
                if !is_store {
                    self.export_statics(item, definitions);
                    if !is_constant(item) {
                        self.checks(item);
                    }
                }
            }
        }
    }

    /// Variables: unnamed ones stay in the store, named ones get the number of their type.
    fn variables(&mut self, function: std::ops::Range<usize>, definitions: &Definitions<'_>) {
        let mut lines = Vec::new();
        let mut offset = function.start;
        let mut named = HashSet::new();
        for line in self.source[function].split_inclusive('\n') {
            match Transfer::parse(line) {
                Some(transfer) => lines.push((offset, line, transfer)),
                None => named.extend(words(line)),
            }
            offset += line.len();
        }
        for (offset, line, transfer) in lines {
            let range = offset..offset + line.len();
            if !self.cell.everything && !named.contains(transfer.name) {
                self.left_out = true;
                self.edits.replace(range, format!("{UNNAMED}\n"));
                continue;
            }
            let fingerprint = definitions.fingerprint(transfer.kind);
            let argument = match transfer.way {
                Way::Take => continue,
                Way::Check | Way::Put => format!("{fingerprint}, "),
            };
            // `check_variable::<T>(` becomes `check_variable_of::<T>(number, `.
            let Some(method) = line.find("_variable::<") else {
                continue;
            };
            let open = offset + transfer.open;
            self.edits
                .insert(offset + method + "_variable".len(), "_of");
            self.edits.insert(open, argument);
        }
    }

    fn export_statics(&mut self, item: &SyntaxNode, definitions: &Definitions<'_>) {
        let text = &self.source[range(item)];
        if !text.contains("static") {
            return;
        }
        let trimmed = text.trim();
        let defined_here = self.cell.items.iter().any(|known| known.contains(trimmed));
        let mut ordinal = 0;
        let mut symbol = |statics: &mut Naming<'_>, name: &str, owner: &SyntaxNode| {
            let path = match holder(owner) {
                Some(holder) => format!("{holder}::{name}"),
                None => name.to_owned(),
            };
            let identity = Identity {
                path: path
                    .chars()
                    .map(|char| if char.is_ascii() { char } else { '_' })
                    .collect(),
                item: trimmed.to_owned(),
                ordinal,
                fingerprint: definitions.fingerprint_of_static(trimmed),
            };
            ordinal += 1;
            let symbol = statics.name(identity, defined_here);
            format!("{EXPORT}{symbol}{EXPORT_END}")
        };
        for node in item.descendants() {
            if let Some(found) = ast::Static::cast(node.clone()) {
                let in_extern_block = node
                    .ancestors()
                    .any(|up| ast::ExternBlock::can_cast(up.kind()));
                let is_generic_macro = node
                    .ancestors()
                    .any(|up| ast::MacroRules::can_cast(up.kind()));
                let has_symbol = node
                    .children()
                    .filter(|child| child.kind() == SyntaxKind::ATTR)
                    .any(|attribute| {
                        let text = attribute.text().to_string();
                        text.contains("no_mangle") || text.contains("export_name")
                    });
                let (Some(name), false) = (
                    found.name(),
                    in_extern_block || is_generic_macro || has_symbol,
                ) else {
                    continue;
                };
                let (at, add) = match found.visibility() {
                    Some(visibility) => (range(visibility.syntax()).start, ""),
                    None => match first_keyword(&node) {
                        Some(at) => (at, ADDED_PUB),
                        None => continue,
                    },
                };
                let attribute = symbol(&mut self.statics, name.text(), &node);
                self.edits.insert(at, attribute + add);
            } else if let Some(call) = ast::MacroCall::cast(node.clone()) {
                // Those of a cell itself are statics already, these stand in functions.
                thread_local::expand(&call, usize::from, &mut self.edits, |name| {
                    symbol(&mut self.statics, name, &node)
                });
            }
        }
    }

    /// Lets interrupts through at the beginning of each pass of a loop.
    fn checks(&mut self, node: &SyntaxNode) {
        for child in node.children() {
            if is_constant(&child) {
                continue;
            }
            let body = match child.kind() {
                SyntaxKind::LOOP_EXPR | SyntaxKind::WHILE_EXPR => block_of(&child),
                SyntaxKind::FOR_EXPR => block_of(&child).filter(does_much),
                SyntaxKind::CLOSURE_EXPR => block_of(&child).filter(does_much),
                _ => None,
            };
            if let Some(open) = body.and_then(|body| opening(&body)) {
                self.edits.insert(open, CHECK);
            }
            self.checks(&child);
        }
    }
}

/// One of the lines by which evcxr moves a variable between the store and the cell.
pub(super) struct Transfer<'a> {
    way: Way,
    pub name: &'a str,
    kind: &'a str,
    /// Where the arguments begin in the line.
    open: usize,
}

pub(super) enum Way {
    Check,
    Take,
    Put,
}

impl<'a> Transfer<'a> {
    pub fn parse(line: &'a str) -> Option<Transfer<'a>> {
        const CHECK: &str = "vars_ok &= evcxr_variable_store.check_variable::<";
        const PUT: &str = "evcxr_variable_store.put_variable::<";
        const TAKE: &str = " = evcxr_variable_store.take_variable::<";
        const ARGUMENT: &str = ">(stringify!(";
        let (way, start) = if line.starts_with(CHECK) {
            (Way::Check, CHECK.len())
        } else if line.starts_with(PUT) {
            (Way::Put, PUT.len())
        } else if line.starts_with("let ") {
            (Way::Take, line.find(TAKE)? + TAKE.len())
        } else {
            return None;
        };
        let end = line.rfind(ARGUMENT)?;
        let rest = &line[end + ARGUMENT.len()..];
        Some(Transfer {
            way,
            name: &rest[..rest.find(')')?],
            kind: line.get(start..end)?,
            open: end + ">(".len(),
        })
    }
}

/// The function in which a static stands.
fn holder(node: &SyntaxNode) -> Option<String> {
    node.ancestors()
        .skip(1)
        .find_map(ast::Fn::cast)
        .and_then(|function| function.name())
        .map(|name| name.text().to_string())
}

/// Where `static` or what precedes it but attributes and comments stands.
fn first_keyword(node: &SyntaxNode) -> Option<usize> {
    node.children_with_tokens()
        .filter_map(NodeOrToken::into_token)
        .find(|token| token.kind() == SyntaxKind::STATIC_KW)
        .map(|token| token.text_range().start().into())
}

/// Code that the compiler itself runs, where no function of ours can be called.
fn is_constant(node: &SyntaxNode) -> bool {
    match node.kind() {
        SyntaxKind::CONST
        | SyntaxKind::STATIC
        | SyntaxKind::CONST_ARG
        | SyntaxKind::ARRAY_TYPE
        | SyntaxKind::MACRO_RULES
        | SyntaxKind::VARIANT => true,
        SyntaxKind::FN | SyntaxKind::BLOCK_EXPR | SyntaxKind::CLOSURE_EXPR => node
            .children_with_tokens()
            .filter_map(NodeOrToken::into_token)
            .any(|token| token.kind() == SyntaxKind::CONST_KW),
        _ => false,
    }
}

/// The block that is the body of a loop or a closure.
fn block_of(node: &SyntaxNode) -> Option<SyntaxNode> {
    let block = node
        .children()
        .filter(|child| child.kind() == SyntaxKind::BLOCK_EXPR)
        .last()?;
    // `async {}` and the like are values, not what the closure does.
    let is_plain = block
        .children_with_tokens()
        .filter_map(NodeOrToken::into_token)
        .all(|token| token.kind().is_trivia());
    is_plain.then_some(block)
}

/// The byte behind a block's opening brace; none if attributes stand there.
fn opening(block: &SyntaxNode) -> Option<usize> {
    let list = block
        .children()
        .find(|child| child.kind() == SyntaxKind::STMT_LIST)?;
    if list
        .children()
        .any(|child| child.kind() == SyntaxKind::ATTR)
    {
        return None;
    }
    Some(usize::from(list.text_range().start()) + 1)
}

/// Whether a body calls something or loops: more than arithmetic, which is to be vectorised.
fn does_much(body: &SyntaxNode) -> bool {
    body.descendants().any(|node| match node.kind() {
        SyntaxKind::LOOP_EXPR
        | SyntaxKind::WHILE_EXPR
        | SyntaxKind::FOR_EXPR
        | SyntaxKind::AWAIT_EXPR => true,
        SyntaxKind::CALL_EXPR => !is_constructor(&node),
        SyntaxKind::METHOD_CALL_EXPR => ast::MethodCallExpr::cast(node)
            .and_then(|call| call.name_ref())
            .is_none_or(|name| !is_arithmetic(name.text())),
        SyntaxKind::MACRO_EXPR => {
            let text = node.text().to_string();
            !text.starts_with("assert") && !text.starts_with("debug_assert")
        }
        _ => false,
    })
}

/// `Some(…)` and other constructors: paths whose last part begins with a capital letter.
fn is_constructor(call: &SyntaxNode) -> bool {
    let Some(callee) = call.first_child() else {
        return false;
    };
    callee.kind() == SyntaxKind::PATH_EXPR
        && callee
            .text()
            .to_string()
            .rsplit("::")
            .next()
            .is_some_and(|name| name.starts_with(char::is_uppercase))
}

/// Methods of numbers and slices that the compiler turns into a few instructions.
fn is_arithmetic(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "wrapping_",
        "overflowing_",
        "saturating_",
        "checked_",
        "rotate_",
        "to_",
    ];
    matches!(
        name,
        "abs"
            | "abs_diff"
            | "acos"
            | "asin"
            | "atan"
            | "atan2"
            | "ceil"
            | "clamp"
            | "clone"
            | "copysign"
            | "cos"
            | "count_ones"
            | "exp"
            | "fetch_add"
            | "floor"
            | "fract"
            | "get"
            | "get_unchecked"
            | "get_unchecked_mut"
            | "hypot"
            | "is_nan"
            | "leading_zeros"
            | "len"
            | "ln"
            | "log10"
            | "log2"
            | "max"
            | "min"
            | "mul_add"
            | "pow"
            | "powf"
            | "powi"
            | "recip"
            | "rem_euclid"
            | "round"
            | "signum"
            | "sin"
            | "sqrt"
            | "swap"
            | "tan"
            | "tanh"
            | "trailing_zeros"
            | "trunc"
            | "unwrap_or"
    ) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::statics::Statics;
    use super::*;

    fn rewritten(source: &str) -> Rewritten {
        let cell = Cell {
            items: &[],
            dependencies: &[],
            awaits: false,
            everything: true,
        };
        rewrite(source, &cell, Statics::default().begin())
    }

    #[test]
    fn what_was_added_to_statics_and_loops_can_be_taken_out() {
        let written = "static A: u8 = 1;\npub static B: u8 = 1;\n\
                       fn f() { static C: u8 = 1; for _ in g() { h(); } }\n\
                       #[unsafe(export_name = \"mine\")] static D: u8 = 1;\n";
        let text = rewritten(written).text;
        assert_ne!(text, written);
        assert_eq!(as_written(&text), written);
    }

    #[test]
    fn statics_are_exported_wherever_they_stand() {
        let text = rewritten(
            "static A: u8 = 1;\npub static mut B: u8 = 1;\nfn f() { static C: u8 = 1; }\n\
             #[unsafe(no_mangle)]\nstatic D: u8 = 1;\nextern \"C\" { static E: u8; }\n",
        )
        .text;
        for expected in [
            "#[unsafe(export_name = \"forkline_static_A_0\")]  pub static A",
            "#[unsafe(export_name = \"forkline_static_B_1\")] pub static mut B",
            "#[unsafe(export_name = \"forkline_static_f_C_2\")]  pub static C",
            "#[unsafe(no_mangle)]\nstatic D",
            "{ static E",
        ] {
            assert!(text.contains(expected), "no {expected} in\n{text}");
        }
    }

    #[test]
    fn loops_that_can_be_vectorised_have_no_check() {
        for (with_check, body) in [
            (true, "loop { a += 1; }"),
            (true, "while a < 3 { a += 1; }"),
            (true, "for i in 0..3 { g(i); }"),
            (true, "for i in 0..3 { for j in 0..3 { a += i * j; } }"),
            (true, "v.iter().for_each(|x| { g(*x); });"),
            (true, "forkline::__result!(loop { a += 1; });"),
            (false, "for i in 0..3 { a += v[i]; }"),
            (
                false,
                "for x in &v { a += x.sqrt().max(1.0); b = Some(a); }",
            ),
            (false, "v.iter().map(|x| { x * 2 });"),
            (
                false,
                "const N: u8 = { let mut i = 0; while i < 3 { i += 1; } i };",
            ),
        ] {
            let source = format!("fn run_user_code_1() {{\n{body}\n}}\n");
            let count = rewritten(&source).text.matches(CHECK).count();
            assert_eq!(count > 0, with_check, "{body}");
        }
        let constant = "const fn f() { loop {} }\nstatic A: u8 = { loop {} };\n";
        assert_eq!(rewritten(constant).text.matches(CHECK).count(), 0);
    }

    #[test]
    fn what_does_not_parse_is_left_alone() {
        let source = "static A: u8 = 1;\nfn run_user_code_1() {\nloop { let = }\n}\n";
        assert_eq!(rewritten(source).text, source);
    }

    #[test]
    fn transfers_are_known_by_evcxrs_words() {
        let line =
            "let mut x = evcxr_variable_store.take_variable::<Vec<(u8, u8)>>(stringify!(x));\n";
        let transfer = Transfer::parse(line).unwrap();
        assert_eq!((transfer.name, transfer.kind), ("x", "Vec<(u8, u8)>"));
        let line = "evcxr_variable_store.put_variable::<u8>(stringify!(y), y);\n";
        let transfer = Transfer::parse(line).unwrap();
        assert_eq!(
            (transfer.name, &line[transfer.open..]),
            ("y", "stringify!(y), y);\n")
        );
        assert!(Transfer::parse("let x = take_variable::<u8>();\n").is_none());
    }
}
