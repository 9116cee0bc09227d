//! A cell's text before it is compiled: where its statements are, what its last expression is,
//! whether it is finished.
//!
//! evcxr shows a cell's last expression by compiling it twice: first as `(…).evcxr_display()`, which
//! fails for most types, then with `{:?}`. Here the expression is put into the prelude's
//! `__result!`, which compiles at once and picks the richest form that the type has. Nothing but
//! that one line changes, and [`Prepared::column_in_cell`] maps its columns back.
//!
//! The text is cut into statements exactly as evcxr cuts it, because `source_map` finds them again
//! in the source that evcxr generates.

use super::annotate::MovedName;
use super::awaiting;
use super::driver::{Columns, Edits};
use super::{kernel_macro, thread_local};
use ra_ap_syntax::ast;
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken, TextSize};

const BEFORE: &str = "forkline::__result!(";
const AFTER: &str = ");";
/// What evcxr puts before a cell's text to parse it as statements.
pub(super) const WRAPPER: &str = "fn f(){";

/// A cell's text as evcxr gets it.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub text: String,
    columns: Columns,
    /// From the text with types written in, if evcxr got that, to `text`.
    types: Columns,
    names: Vec<MovedName>,
    pub statements: Vec<Statement>,
    /// Whether something is awaited outside of async blocks and functions.
    pub awaits: bool,
}

/// One statement of a cell, as it stands in the text given to evcxr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Line of the cell on which it begins, from 1.
    pub line: usize,
    pub text: String,
    /// Whether later cells see it too: a function, a type, an import.
    pub is_item: bool,
}

impl Prepared {
    /// The column in the cell as the user wrote it, from 1, of one in the text that evcxr got.
    pub fn column_in_cell(&self, line: usize, column: usize) -> usize {
        self.columns
            .original(line, self.types.original(line, column))
    }

    /// Line and column in the cell, from 1, of a place in the text that evcxr got.
    pub fn place_in_cell(&self, line: usize, column: usize) -> (usize, usize) {
        let moved = self.names.iter().find(|name| {
            let columns = name.at.1..=name.at.1 + name.length;
            name.at.0 == line && columns.contains(&column)
        });
        match moved {
            Some(name) => {
                let (line, start) = name.written;
                (
                    line,
                    self.columns.original(line, start + column - name.at.1),
                )
            }
            None => (line, self.column_in_cell(line, column)),
        }
    }

    /// evcxr got a text with types written in.
    pub fn with_types(&mut self, columns: Columns, names: Vec<MovedName>) {
        self.types = columns;
        self.names = names;
    }
}

/// Prepares a cell. `show_result` is false where the engine is to show the result in evcxr's way.
pub fn prepare(cell: &str, show_result: bool) -> Prepared {
    let code_start = code_start(cell);
    let (commands, code) = cell.split_at(code_start);
    let mut edits = Edits::default();
    // evcxr drops the lines above the first code that begin with `//`, doc comments included. With a
    // space before it the first one is code to evcxr too.
    if code.starts_with("//") {
        edits.insert(code_start, " ");
    }
    let mut awaits = false;
    if show_result {
        let (root, errors) = parse(code);
        // What does not parse goes to the compiler as it is: its message is about the user's text.
        if errors.is_empty()
            && let Some(list) = body(&root)
        {
            awaits = awaiting::awaits(&list);
            show_last(&list, code_start, &mut edits);
            expand_macros(&list, code_start, &mut edits);
        }
    }
    let (text, columns) = edits.apply(cell);
    let statements = statements(&text[code_start..], 1 + commands.matches('\n').count());
    Prepared {
        text,
        columns,
        types: Columns::default(),
        names: Vec::new(),
        statements,
        awaits,
    }
}

/// Puts the last expression into the prelude's macro, if it has a value.
fn show_last(list: &SyntaxNode, code_start: usize, edits: &mut Edits) {
    let (range, is_shown) = match last_expression(list) {
        Some(Last::Value(range)) => (range, true),
        Some(Last::Statement(range)) => (range, false),
        None => return,
    };
    if is_shown {
        edits.insert(code_start + range.start, BEFORE);
        edits.insert(code_start + range.end, AFTER);
    }
    // Without its semicolon evcxr would show a loop's `()`.
    else {
        edits.insert(code_start + range.end, ";");
    }
}

/// Makes the cell's own `thread_local!`s and `kernel!`s into items, which later cells see.
fn expand_macros(list: &SyntaxNode, code_start: usize, edits: &mut Edits) {
    let offset = |size: TextSize| usize::from(size) - WRAPPER.len() + code_start;
    for statement in list.children() {
        let expression = match statement.kind() {
            SyntaxKind::EXPR_STMT => statement.first_child(),
            _ => Some(statement.clone()),
        };
        let call = expression
            .filter(|node| node.kind() == SyntaxKind::MACRO_EXPR)
            .and_then(|node| node.children().find_map(ast::MacroCall::cast));
        let Some(call) = call else { continue };
        let is_expanded = thread_local::expand(&call, offset, edits, |_| String::new())
            || kernel_macro::expand(&call, offset, edits);
        if is_expanded
            && let Some(semicolon) = statement.last_token()
            && semicolon.kind() == SyntaxKind::SEMICOLON
        {
            let range = semicolon.text_range();
            edits.remove(offset(range.start())..offset(range.end()));
        }
    }
}

/// Where Rust begins: evcxr takes commands from the top of a cell only.
pub(super) fn code_start(cell: &str) -> usize {
    let mut offset = 0;
    for line in cell.split_inclusive('\n') {
        let trimmed = line.trim();
        let is_command = line.trim_start_matches(' ').starts_with(':') || line.starts_with('!');
        let is_doc = line.starts_with("///") || line.starts_with("//!");
        let is_comment = line.starts_with("//") && !is_doc;
        if !(is_command || trimmed.is_empty() || is_comment) {
            break;
        }
        offset += line.len();
    }
    offset
}

fn parse(code: &str) -> (SyntaxNode, Vec<usize>) {
    let parsed = SourceFile::parse(&format!("{WRAPPER}{code}\n}}"), Edition::Edition2024);
    let errors = parsed
        .errors()
        .iter()
        .map(|error| usize::from(error.range().start()).saturating_sub(WRAPPER.len()))
        .collect();
    (parsed.syntax_node(), errors)
}

/// The statements of a text that parses, and the byte at which they begin.
pub(super) fn statement_list(text: &str) -> Option<(SyntaxNode, usize)> {
    let start = code_start(text);
    let (root, errors) = parse(&text[start..]);
    errors
        .is_empty()
        .then(|| body(&root))?
        .map(|list| (list, start))
}

/// The name of an item that stands alone, if it has one.
pub(super) fn item_name(text: &str) -> Option<String> {
    let (root, _) = parse(text);
    let item = body(&root)?.children().find_map(ast::Item::cast)?;
    let name = item.syntax().children().find_map(ast::Name::cast)?;
    Some(name.text().to_string())
}

fn body(root: &SyntaxNode) -> Option<SyntaxNode> {
    let function = root.children().find_map(ast::Fn::cast)?;
    Some(function.body()?.stmt_list()?.syntax().clone())
}

fn statements(code: &str, first_line: usize) -> Vec<Statement> {
    let (root, _) = parse(code);
    let Some(list) = body(&root) else {
        return Vec::new();
    };
    let nodes: Vec<SyntaxNode> = list.children().collect();
    let mut statements = Vec::new();
    let mut start = 0;
    for (index, node) in nodes.iter().enumerate() {
        let end = nodes.get(index + 1).map_or(code.len(), |next| {
            (usize::from(next.text_range().start()) - WRAPPER.len()).min(code.len())
        });
        if start >= end {
            break;
        }
        statements.push(Statement {
            line: first_line + code[..start].matches('\n').count(),
            text: code[start..end].to_owned(),
            is_item: ast::Item::can_cast(node.kind()),
        });
        start = end;
    }
    statements
}

/// The last expression of a cell that has no semicolon.
enum Last {
    /// Its value is to be shown.
    Value(std::ops::Range<usize>),
    /// It has none.
    Statement(std::ops::Range<usize>),
}

fn last_expression(list: &SyntaxNode) -> Option<Last> {
    let last = list.children().last()?;
    if !ast::Expr::can_cast(last.kind()) {
        return None;
    }
    let range = last.text_range();
    let range =
        usize::from(range.start()) - WRAPPER.len()..usize::from(range.end()) - WRAPPER.len();
    Some(match last.kind() {
        SyntaxKind::WHILE_EXPR | SyntaxKind::FOR_EXPR => Last::Statement(range),
        SyntaxKind::MACRO_EXPR
            if thread_local::is_call_of(&last) || kernel_macro::is_call_of(&last) =>
        {
            return None;
        }
        // Macros with braces are items as a rule, which a value position cannot hold.
        SyntaxKind::MACRO_EXPR if is_braced_macro(&last) => Last::Statement(range),
        _ => Last::Value(range),
    })
}

fn is_braced_macro(node: &SyntaxNode) -> bool {
    let name = node.text().to_string();
    let name = name.split('!').next().unwrap_or_default();
    let name = name.rsplit("::").next().unwrap_or_default();
    // The prelude's macro for a value that is written as rows and columns.
    if name.trim() == "table" {
        return false;
    }
    node.descendants()
        .find_map(ast::TokenTree::cast)
        .is_some_and(|tree| tree.l_curly_token().is_some())
}

/// Whether a cell can be run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// More must follow; the next line is to be indented by so many spaces.
    Incomplete(usize),
    Invalid,
}

/// Judges Rust text for `is_complete_request`.
pub fn completeness(cell: &str) -> Completeness {
    let code = &cell[code_start(cell)..];
    match delimiters(code) {
        Delimiters::Stray(_) => return Completeness::Invalid,
        Delimiters::Open {
            count,
            unterminated,
        } if unterminated || count > 0 => return Completeness::Incomplete(4 * count),
        Delimiters::Open { .. } => {}
    }
    let (root, errors) = parse(code);
    let end = code.trim_end().len();
    let Some(first) = errors.iter().min() else {
        // `let x: T` without more parses, and so does a lone attribute or `#[derive]`.
        let attribute_only = body(&root)
            .and_then(|list| list.children().last())
            .is_some_and(|last| last.kind() == SyntaxKind::ATTR);
        return if attribute_only {
            Completeness::Incomplete(0)
        } else {
            Completeness::Complete
        };
    };
    let ends_open = code.trim_end().ends_with([
        '=', '+', '-', '*', '/', '|', '&', ',', '.', '<', '>', ':', '%', '^',
    ]) || last_word(code).is_some_and(|word| {
        matches!(
            word,
            "let"
                | "fn"
                | "struct"
                | "enum"
                | "impl"
                | "mod"
                | "use"
                | "if"
                | "else"
                | "match"
                | "while"
                | "for"
                | "in"
                | "mut"
                | "pub"
                | "trait"
                | "type"
                | "const"
                | "static"
                | "unsafe"
                | "move"
                | "async"
                | "where"
                | "as"
                | "return"
        )
    });
    // An error at the very end means that the parser wanted more.
    if *first >= end && ends_open {
        Completeness::Incomplete(0)
    } else if *first >= end && !code.trim_end().ends_with([';', '}']) {
        // `let x = 1` lacks its semicolon only; `fn f()` lacks its body.
        Completeness::Incomplete(0)
    } else {
        Completeness::Invalid
    }
}

fn last_word(code: &str) -> Option<&str> {
    code.trim_end()
        .rsplit(|char: char| !(char.is_alphanumeric() || char == '_'))
        .next()
        .filter(|word| !word.is_empty())
}

/// The byte of the first closing delimiter that closes nothing. evcxr would take it for the end of
/// the cell and drop what follows without a word.
pub fn stray_delimiter(cell: &str) -> Option<usize> {
    let start = code_start(cell);
    match delimiters(&cell[start..]) {
        Delimiters::Stray(offset) => Some(start + offset),
        Delimiters::Open { .. } => None,
    }
}

/// Whether a delimiter, a string or a comment is open at the end of the text.
pub fn is_open(code: &str) -> bool {
    match delimiters(code) {
        Delimiters::Stray(_) => false,
        Delimiters::Open {
            count,
            unterminated,
        } => count > 0 || unterminated,
    }
}

enum Delimiters {
    /// A closing delimiter without its opening one, at this byte.
    Stray(usize),
    /// How many are open at the end, and whether a string or a comment is.
    Open { count: usize, unterminated: bool },
}

fn delimiters(code: &str) -> Delimiters {
    let parsed = SourceFile::parse(code, Edition::Edition2024);
    let mut open = Vec::new();
    let mut unterminated = false;
    let mut token: Option<SyntaxToken> = parsed.syntax_node().first_token();
    while let Some(current) = token {
        let text = current.text();
        match current.kind() {
            SyntaxKind::L_PAREN => open.push(')'),
            SyntaxKind::L_BRACK => open.push(']'),
            SyntaxKind::L_CURLY => open.push('}'),
            // A wrong one among open ones is the compiler's to explain.
            SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY
                if open.pop().is_none() =>
            {
                return Delimiters::Stray(current.text_range().start().into());
            }
            SyntaxKind::STRING | SyntaxKind::BYTE_STRING | SyntaxKind::C_STRING => {
                unterminated |= !is_terminated(text);
            }
            SyntaxKind::COMMENT => {
                unterminated |= text.starts_with("/*")
                    && text.matches("/*").count() > text.matches("*/").count();
            }
            _ => {}
        }
        token = current.next_token();
    }
    Delimiters::Open {
        count: open.len(),
        unterminated,
    }
}

/// Whether the text of a string literal has its closing quote.
fn is_terminated(literal: &str) -> bool {
    let body = literal.trim_start_matches(['b', 'c', 'r']);
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body = &body[hashes..];
    let closing = format!("\"{}", "#".repeat(hashes));
    if body.len() < 1 + closing.len() || !body.ends_with(&closing) {
        return false;
    }
    if literal.starts_with('r') || literal.starts_with("br") || literal.starts_with("cr") {
        return true;
    }
    // An even number of backslashes before the quote leaves it a quote.
    let before = &body[..body.len() - 1];
    let backslashes = before.len() - before.trim_end_matches('\\').len();
    backslashes.is_multiple_of(2)
}

/// The identifier at or just before a position, as a byte range; for inspection.
pub fn word_at(code: &str, position: usize) -> std::ops::Range<usize> {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let start = code[..position]
        .char_indices()
        .rev()
        .take_while(|(_, char)| is_word(*char))
        .last()
        .map_or(position, |(index, _)| index);
    let end = code[position..]
        .char_indices()
        .find(|(_, char)| !is_word(*char))
        .map_or(code.len(), |(index, _)| position + index);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_expression_is_shown_and_nothing_else_changes() {
        let shown = |cell: &str| prepare(cell, true).text;
        assert_eq!(shown("1 + 1"), "forkline::__result!(1 + 1);");
        assert_eq!(
            shown("let x = 5;\nx // five"),
            "let x = 5;\nforkline::__result!(x); // five"
        );
        assert_eq!(
            shown(":dep itoa = \"1\"\nx"),
            ":dep itoa = \"1\"\nforkline::__result!(x);"
        );
        for cell in ["let x = 5;", "x;", "fn f() {}", "x +", ":vars", ""] {
            assert_eq!(shown(cell), cell);
        }
        assert_eq!(
            shown("table! { \"a\" => [1] }"),
            "forkline::__result!(table! { \"a\" => [1] });"
        );
        for cell in ["for i in 0..3 { g(i) }", "items! { static A: i32 = 1 }"] {
            assert_eq!(shown(cell), format!("{cell};"));
            assert_eq!(prepare(cell, false).text, cell);
        }
    }

    #[test]
    fn thread_locals_become_items() {
        for cell in [
            "f();\nthread_local! {\n    static A: u8 = 1;\n}",
            "thread_local!(static A: u8 = 1);",
            "thread_local! { static A: u8 = 1 } f();",
        ] {
            let prepared = prepare(cell, true);
            let items: Vec<_> = prepared
                .statements
                .iter()
                .filter(|statement| statement.is_item)
                .collect();
            assert_eq!(items.len(), 1, "{}", prepared.text);
            assert!(
                items[0].text.contains("static A: ::forkline::local"),
                "{}",
                prepared.text
            );
            assert_eq!(
                prepared.text.matches('\n').count(),
                cell.matches('\n').count()
            );
        }
    }

    #[test]
    fn columns_are_those_of_the_users_text() {
        let prepared = prepare("let a = 1; a + b", true);
        assert_eq!(prepared.text, "let a = 1; forkline::__result!(a + b);");
        let column = prepared.text.find("a + b").unwrap() + 1;
        assert_eq!(prepared.column_in_cell(1, column), 12);
        assert_eq!(prepared.column_in_cell(1, 5), 5);
        assert_eq!(prepared.column_in_cell(2, 40), 40);
    }

    #[test]
    fn statements_are_cut_where_evcxr_cuts_them() {
        let prepared = prepare("\nfn f() {\n}\nlet x = 1; x", true);
        let lines: Vec<_> = prepared
            .statements
            .iter()
            .map(|statement| (statement.line, statement.text.as_str(), statement.is_item))
            .collect();
        assert_eq!(
            lines,
            [
                (2, "fn f() {\n}\n", true),
                (4, "let x = 1; ", false),
                (4, "forkline::__result!(x);", false),
            ]
        );
    }

    #[test]
    fn completeness_is_judged_as_a_person_would() {
        use Completeness::*;
        for (code, expected) in [
            ("", Complete),
            ("let x = 1;", Complete),
            ("x + 1", Complete),
            ("fn f() {}", Complete),
            (":dep rand", Complete),
            ("\"a\\\"b\"", Complete),
            ("r#\"a\"#", Complete),
            ("fn f() {", Incomplete(4)),
            ("fn f() { if x {", Incomplete(8)),
            ("foo(1,", Incomplete(4)),
            ("let x =", Incomplete(0)),
            ("let x = 1", Incomplete(0)),
            ("x +", Incomplete(0)),
            ("let s = \"abc", Incomplete(0)),
            ("r#\"abc\"", Incomplete(0)),
            ("/* abc", Incomplete(0)),
            ("#[derive(Debug)]", Incomplete(0)),
            (")", Invalid),
            ("fn 1", Invalid),
            ("let = 5;", Invalid),
        ] {
            assert_eq!(completeness(code), expected, "{code:?}");
        }
    }

    #[test]
    fn a_doc_comment_at_the_top_belongs_to_its_item() {
        let text = prepare("/// Doubles.\nfn f() {}", true).text;
        assert_eq!(text, " /// Doubles.\nfn f() {}");
        assert_eq!(
            prepare("// note\nfn f() {}", true).text,
            "// note\nfn f() {}"
        );
    }

    #[test]
    fn stray_delimiters_are_found() {
        assert_eq!(stray_delimiter(":dep a\n}"), Some(7));
        assert_eq!(stray_delimiter("f(1)) + 2"), Some(4));
        assert_eq!(stray_delimiter("{ \"}\" } // }"), None);
    }

    #[test]
    fn words_are_found_under_the_cursor() {
        assert_eq!(word_at("Vec::new()", 6), 5..8);
        assert_eq!(word_at("é + ab", "é + ab".len()), 5..7);
        assert_eq!(word_at("", 0), 0..0);
    }
}
