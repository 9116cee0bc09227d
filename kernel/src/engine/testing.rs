//! Programs of the session's tests.
//!
//! evcxr repeats everything that a session defines in the source of each cell. That source, without the
//! functions that run the cell, is a crate with all the session's `#[test]` functions, and rustc's own harness
//! makes a program of it: what a macro or an attribute of a crate (`rstest`, `proptest`) expands to is a test
//! as well, and a test sees what a cell sees, apart from variables.
//!
//! * `interleaving`  the source of a program for `%%shuttle`
//! * `messages`      compile errors of such a program against the cells' lines

mod interleaving;
mod messages;

use super::cell::{self, Prepared};
use super::driver::{Built, Harness};
use super::{CompilerSettings, Engine, Failure, Place};
use ra_ap_syntax::ast::{self, HasAttrs, HasModuleItem};
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxNode};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A macro call at the top of a cell that makes tests, such as `proptest! { … }`.
pub struct TestMacro {
    cell: usize,
    line: usize,
    text: String,
    /// Names of the functions in it.
    names: Vec<String>,
}

/// What a program is to be made of.
pub enum BuildKind<'a> {
    /// The tests of the cell with this number and code; the session's other tests are left out.
    Cell(usize, &'a str),
    /// All tests of the session.
    Session,
    /// Those of a file.
    File(&'a Path),
    /// Not tests: this source, with a `main`, each line of which has a place or none, and arguments for the
    /// compiler.
    Main {
        source: String,
        places: Vec<Option<Place>>,
        arguments: Vec<String>,
    },
}

/// How often the session's tests are tried without those that do not compile: one error may hide others.
const SESSION_PASSES: usize = 3;

/// A program that is to be built.
pub struct TestBuild<'a> {
    pub kind: BuildKind<'a>,
    pub settings: CompilerSettings,
    /// A number that no other program of this session has.
    pub serial: usize,
    /// The cells' texts, for messages.
    pub cells: &'a HashMap<usize, String>,
}

/// A program of tests.
pub struct TestProgram {
    pub path: PathBuf,
    /// The source's name in panics and messages.
    pub source_name: String,
    /// The source's text.
    pub source: String,
    /// The cell place of each line; none of a file's.
    pub places: Vec<Option<Place>>,
    /// Names at the crate's root that are another cell's.
    pub others: Vec<String>,
    /// Tests of the session that do not compile and were left out, with their places.
    pub broken: Vec<(String, Option<Place>)>,
    /// Ranges of lines, from 1, of the tests at the crate's root.
    tests: Vec<(String, std::ops::RangeInclusive<usize>)>,
}

impl TestProgram {
    /// The cell place of a line, from 1.
    pub fn place(&self, line: usize) -> Option<Place> {
        self.places.get(line.checked_sub(1)?).copied()?
    }
}

impl Engine {
    /// Notes the macro calls of a cell that make tests.
    pub(super) fn note_test_macros(&mut self, number: usize, text: &str, prepared: &Prepared) {
        if text.lines().any(|line| line.trim() == ":clear") {
            self.test_macros.clear();
        }
        for statement in &prepared.statements {
            if statement.is_item {
                if let Some(name) = cell::item_name(&statement.text) {
                    self.forget_test_macros(&[name]);
                }
                continue;
            }
            if !statement.text.contains("#[test]") || !is_macro_call(&statement.text) {
                continue;
            }
            let names = functions_in(&statement.text);
            self.forget_test_macros(&names);
            self.test_macros.push(TestMacro {
                cell: number,
                line: statement.line,
                text: statement.text.clone(),
                names,
            });
        }
    }

    fn forget_test_macros(&mut self, names: &[String]) {
        self.test_macros
            .retain(|known| !known.names.iter().any(|name| names.contains(name)));
    }

    /// Builds a program.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn build_tests(&mut self, build: &TestBuild<'_>) -> Result<TestProgram, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            Failure::Refused(format!(
                "the program of the tests could not be built\n\
                 why: {error}\n\
                 do:  run any cell, for instance `1 + 1`, then this one again"
            ))
        };
        let dir = self.session.path.join("tests");
        std::fs::create_dir_all(&dir).map_err(|error| refused(&error))?;
        let name = format!("unit_{}", build.serial);
        let path = dir.join(&name);
        let source_name = format!("tests/{name}.rs");
        // A test of another cell may not compile; a test of this one may need what that one has.
        let passes: &[bool] = match &build.kind {
            BuildKind::Cell(..) => &[true, false],
            BuildKind::Session => &[false; SESSION_PASSES],
            _ => &[false],
        };
        let mut failed = Vec::new();
        let mut broken: Vec<(String, Option<Place>)> = Vec::new();
        for only_own in passes {
            let mut program = TestProgram {
                path: path.clone(),
                source_name: source_name.clone(),
                source: String::new(),
                places: Vec::new(),
                others: Vec::new(),
                broken: broken.clone(),
                tests: Vec::new(),
            };
            let mut crate_name = "ctx".to_owned();
            let mut more = Vec::new();
            let mut is_tests = true;
            match &build.kind {
                BuildKind::File(file) => {
                    program.source_name = file.display().to_string();
                    program.source = std::fs::read_to_string(file).unwrap_or_default();
                    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                    crate_name = stem
                        .chars()
                        .map(|char| {
                            if char.is_ascii_alphanumeric() {
                                char
                            } else {
                                '_'
                            }
                        })
                        .collect();
                    if crate_name.starts_with(|char: char| char.is_ascii_digit()) {
                        crate_name.insert(0, '_');
                    }
                }
                BuildKind::Main {
                    source,
                    places,
                    arguments,
                } => {
                    is_tests = false;
                    program.source.clone_from(source);
                    program.places.clone_from(places);
                    more.clone_from(arguments);
                }
                BuildKind::Cell(number, code) => {
                    let own = Own::of(*number, code);
                    self.session_source(Some(&own), *only_own, &mut program);
                }
                BuildKind::Session => self.session_source(None, false, &mut program),
            }
            if !matches!(build.kind, BuildKind::File(_)) {
                let file = self.session.path.join(&source_name);
                std::fs::write(file, &program.source).map_err(|error| refused(&error))?;
            }
            let harness = Harness {
                source: &program.source_name,
                crate_name: &crate_name,
                program: &path,
                settings: build.settings.clone(),
                is_tests,
                more,
            };
            match self.driver.build_harness(&harness) {
                Ok(Built::Program) => return Ok(program),
                Ok(Built::Failed(messages)) => {
                    // A cell's own tests are to compile; of the whole session, some may be broken.
                    let found = match build.kind {
                        BuildKind::Session => messages::broken_tests(&messages, &program),
                        _ => Vec::new(),
                    };
                    let is_last = matches!(build.kind, BuildKind::Session) && found.is_empty();
                    broken.extend(found);
                    failed.push((messages, program));
                    if is_last {
                        break;
                    }
                }
                Err(error) => return Err(refused(&format!("{error:#}"))),
            }
        }
        let (messages, program) = failed.into_iter().next().expect("there is a pass");
        Err(Failure::Compile(messages::failure(
            &messages,
            &program,
            build.cells,
            &self.variables(),
        )))
    }

    /// What cells define, in a crate of its own, and the macro calls that make tests.
    fn session_source(&self, own: Option<&Own>, only_own: bool, program: &mut TestProgram) {
        let source = self.driver.last_source().unwrap_or_default();
        let broken: HashSet<String> = program
            .broken
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        let (mut text, tests) = crate_of(&source, |name| {
            broken.contains(name) || only_own && own.is_some_and(|own| !own.names.contains(name))
        });
        if let Some(own) = own {
            program.others = tests
                .into_iter()
                .filter(|name| !own.names.contains(name))
                .collect();
        }
        program.places = self.locator.places(&text);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        program.places.resize(text.matches('\n').count(), None);
        program.tests = lines_of_tests(&text);
        let mut append = |cell: usize, line: usize, macro_call: &str, names: &[String]| {
            let call = macro_call.trim().trim_end_matches(';');
            let blank = macro_call.len() - macro_call.trim_start().len();
            let line = line + macro_call[..blank].matches('\n').count();
            let begin = program.places.len() + 1;
            for name in names {
                let lines = begin..=begin + call.lines().count() - 1;
                program.tests.push((name.clone(), lines));
            }
            for (offset, line_of_call) in call.lines().enumerate() {
                text.push_str(line_of_call);
                text.push('\n');
                program.places.push(Some(Place {
                    cell,
                    line: line + offset,
                    in_item: true,
                }));
            }
        };
        let known = self.test_macros.iter();
        for known in known.filter(|known| own.is_none_or(|own| own.number != known.cell)) {
            if !only_own && !known.names.iter().any(|name| broken.contains(name)) {
                append(known.cell, known.line, &known.text, &known.names);
            }
            program.others.extend(known.names.iter().cloned());
        }
        for (line, call) in own.map_or(&[][..], |own| &own.macros) {
            append(own.map_or(0, |own| own.number), *line, call, &[]);
        }
        if own.is_none() {
            program.others.clear();
        }
        program.source = text;
    }
}

/// What a cell of tests defines itself.
struct Own {
    number: usize,
    names: HashSet<String>,
    /// Macro calls in braces, with their lines: in a cell of tests they are items.
    macros: Vec<(usize, String)>,
}

impl Own {
    fn of(number: usize, code: &str) -> Own {
        let mut own = Own {
            number,
            names: HashSet::new(),
            macros: Vec::new(),
        };
        for statement in cell::prepare(code, true).statements {
            if statement.is_item {
                own.names.extend(cell::item_name(&statement.text));
            } else if is_macro_call(&statement.text) {
                own.names.extend(functions_in(&statement.text));
                own.macros.push((statement.line, statement.text));
            }
        }
        own
    }
}

/// Whether a statement is a macro call in braces, such as items are made by.
fn is_macro_call(text: &str) -> bool {
    let Some((list, _)) = cell::statement_list(text) else {
        return false;
    };
    list.descendants()
        .find_map(ast::MacroCall::cast)
        .is_some_and(|call| {
            let trimmed = call.syntax().text_range().start() == first_code(&list);
            let tree = call.token_tree();
            trimmed && tree.is_some_and(|tree| tree.l_curly_token().is_some())
        })
}

/// Where the first statement of a list begins.
fn first_code(list: &SyntaxNode) -> ra_ap_syntax::TextSize {
    list.children()
        .next()
        .map_or(list.text_range().start(), |node| node.text_range().start())
}

/// The names of the functions in a text.
fn functions_in(text: &str) -> Vec<String> {
    let words: Vec<&str> = text
        .split(|char: char| !(char.is_alphanumeric() || char == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(2)
        .filter(|pair| pair[0] == "fn")
        .map(|pair| pair[1].to_owned())
        .collect()
}

/// A generated source without what runs the cell and without the tests whose names are to be left out; and
/// the names of all tests, and modules of tests, at its root.
pub(super) fn crate_of(source: &str, leave_out: impl Fn(&str) -> bool) -> (String, Vec<String>) {
    let root = SourceFile::parse(source, Edition::Edition2024).syntax_node();
    let mut text = String::with_capacity(source.len());
    let mut end = 0;
    let mut tests = Vec::new();
    for item in root.children().filter_map(ast::Item::cast) {
        let name = item.syntax().children().find_map(ast::Name::cast);
        let name = name.map_or(String::new(), |name| name.text().to_string());
        let is_test = has_tests(&item);
        if is_test {
            tests.push(name.clone());
        }
        let is_evcxrs = matches!(item, ast::Item::Fn(_) | ast::Item::Module(_))
            && (name.starts_with("run_user_code_") || name.starts_with("evcxr_"));
        if is_evcxrs || (is_test && leave_out(&name)) {
            let range = item.syntax().text_range();
            text.push_str(&source[end..usize::from(range.start())]);
            end = usize::from(range.end());
        }
    }
    text.push_str(&source[end..]);
    (text, tests)
}

/// The lines of the tests at the root of a source.
fn lines_of_tests(source: &str) -> Vec<(String, std::ops::RangeInclusive<usize>)> {
    let root = SourceFile::parse(source, Edition::Edition2024).syntax_node();
    let line = |offset: usize| 1 + source[..offset].matches('\n').count();
    let items = root
        .children()
        .filter_map(ast::Item::cast)
        .filter(has_tests);
    items
        .filter_map(|item| {
            let name = item.syntax().children().find_map(ast::Name::cast)?;
            let range = item.syntax().text_range();
            let lines = line(range.start().into())..=line(range.end().into());
            Some((name.text().to_string(), lines))
        })
        .collect()
}

/// Whether an item is a test, or a module that has some.
fn has_tests(item: &ast::Item) -> bool {
    is_test(item)
        || matches!(item, ast::Item::Module(module) if module
            .item_list()
            .is_some_and(|list| list.items().any(|inner| has_tests(&inner))))
}

fn is_test(item: &ast::Item) -> bool {
    item.attrs().any(|attribute| {
        let text = attribute.syntax().text().to_string();
        let text = text.trim_start_matches("#[").trim_end_matches(']');
        let path = text.split(['(', '=']).next().unwrap_or_default().trim();
        let name = path.rsplit("::").next().unwrap_or_default();
        name.contains("test")
            || name == "quickcheck"
            || text.split_whitespace().collect::<String>() == "cfg(test)"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#![allow(dead_code)]\nuse a::b;\nfn add() {}\n#[test]\nfn adds() {}\n\
        #[cfg(test)]\nmod tests {\n}\nmod more {\n    #[rstest]\n    fn x() {}\n}\n\
        mod evcxr_internal_runtime {\n}\npub extern \"C\" fn run_user_code_3() {\n}\n";

    #[test]
    fn what_runs_the_cell_is_left_out() {
        let (text, tests) = crate_of(SOURCE, |_| false);
        assert!(
            !text.contains("run_user_code") && !text.contains("evcxr"),
            "{text}"
        );
        assert!(text.contains("fn adds") && text.contains("mod more"));
        assert_eq!(tests, ["adds", "tests", "more"]);
    }

    #[test]
    fn tests_of_other_cells_are_left_out_and_functions_stay() {
        let (text, _) = crate_of(SOURCE, |name| name != "more");
        assert!(
            text.contains("fn add()") && text.contains("mod more"),
            "{text}"
        );
        assert!(
            !text.contains("fn adds") && !text.contains("mod tests"),
            "{text}"
        );
    }

    #[test]
    fn macro_calls_in_braces_are_a_cells_items() {
        let own = Own::of(
            4,
            "\nuse proptest::prelude::*;\nproptest! {\n    #[test]\n    fn p(x in 0..3) {}\n}\n\
             fn helper() {}\nvec![1];",
        );
        assert_eq!(own.macros.len(), 1);
        assert_eq!(own.macros[0].0, 3);
        assert!(own.names.contains("p") && own.names.contains("helper"));
    }
}
