//! A second engine, whose cells run on the ranks of a group.
//!
//! It is an evcxr of its own, because the variables that evcxr keeps in mind must be those of all ranks. Its
//! process is the leader of the group (see `worker::group`). What belongs to both engines is shared: the
//! template, the cells compiled before, and the analyzer, which is lent for the time of a cell.
//!
//! What the session's ordinary cells define is known to it too: before a cell of the ranks it compiles the
//! items, and follows the commands, that have come since the last one. Variables stay where they are.

use super::cell::{self, Prepared, Statement};
use super::{
    Content, Debugging, Driver, Engine, Failure, Locator, context, driver, lock, template,
};
use crate::worker::group;
use std::path::PathBuf;
use std::sync::Arc;

/// What a new engine for ranks needs.
pub struct RankSettings {
    /// The socket on which the leader and the ranks find the kernel.
    pub side_channel: PathBuf,
    /// A folder of its own, below the session's.
    pub session: PathBuf,
    /// The file with the leader's plan.
    pub plan: PathBuf,
    /// Tells the user something while a cell is compiled.
    pub notify: Box<dyn Fn(&str) + Send>,
    /// What is to be done for the debugger.
    pub debugging: Debugging,
}

/// What one cell has defined.
#[derive(Clone)]
pub struct Definitions {
    cell: usize,
    /// Lines such as `:dep`.
    commands: String,
    /// Line in the cell, and text of each item.
    items: Vec<(usize, String)>,
    /// The cell had forgotten everything before.
    is_clear: bool,
}

impl Engine {
    /// Notes what a cell that has run has defined.
    pub(super) fn note_definitions(&mut self, number: usize, text: &str, prepared: &Prepared) {
        let (commands, _) = text.split_at(cell::code_start(text));
        let commands: Vec<&str> = commands.lines().map(str::trim).collect();
        let starting = |words: &[&str]| -> String {
            let wanted = commands
                .iter()
                .filter(|line| words.iter().any(|word| line.starts_with(word)));
            wanted.map(|line| format!("{line}\n")).collect()
        };
        let definitions = Definitions {
            cell: number,
            commands: starting(&[":dep", ":build_env", ":toolchain"]),
            items: prepared
                .statements
                .iter()
                .filter(|statement| statement.is_item)
                .map(|item| (item.line, item.text.clone()))
                .collect(),
            is_clear: commands.contains(&":clear"),
        };
        let is_empty = definitions.commands.is_empty() && definitions.items.is_empty();
        if definitions.is_clear || !is_empty {
            self.definitions.push(definitions);
        }
    }

    /// Starts the engine of the ranks. The group itself begins with the next order, as the plan says.
    ///
    /// # Errors
    /// There is no place for its files, or evcxr cannot start.
    pub fn for_ranks(&mut self, settings: RankSettings) -> anyhow::Result<Engine> {
        // If this one has no analyzer, neither has that one; the answer may come with a change of links.
        let has_analyzer = self.has_analyzer();
        let session = template::SessionDir::create(settings.session)?;
        if has_analyzer {
            driver::stand_in::answer_analysis(&session.path)?;
        }
        let digest = self.record.as_ref().map(|record| record.digest.clone());
        let locator = Locator {
            map: Arc::default(),
            source: Arc::new(session.path.join("src/lib.rs")),
        };
        let debug = settings.debugging.builds("ranks", &locator);
        let driver = Driver::start(&session.path, digest, settings.notify, debug)?;
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.arg(group::ROLE).env(group::PLAN, &settings.plan);
        let record = self.record.clone();
        let context = {
            let _folder = Folder::set(&session.path);
            context(
                command,
                &settings.side_channel,
                &session.path,
                record.as_ref(),
            )?
        };
        let mut engine = Engine::assemble(context, driver, session, locator, None, record)?;
        engine.begin_with_prelude(&mut |text| eprintln!("forkline: ranks: {text}"));
        // What belongs to the constructor is no cell's.
        engine.definitions.clear();
        Ok(engine)
    }

    /// Runs a cell on the ranks, which are those of this engine; `main` is that of the session, whose
    /// settings and analyzer apply.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn run_on_ranks(
        &mut self,
        main: &mut Engine,
        number: usize,
        text: &str,
        cell: &str,
    ) -> Result<Content, Failure> {
        self.set_compiler_settings(main.compiler_settings());
        self.set_cell_settings(main.cell_settings.clone());
        self.own_results = main.own_results;
        self.with_analyzer_of(main, |engine| engine.run(number, text, cell))
    }

    /// Whether the user has cleared everything since so much was defined.
    pub fn is_cleared_since(&self, known: usize) -> bool {
        let new = self.definitions.get(known..).unwrap_or_default();
        new.iter().any(|one| one.is_clear)
    }

    /// Compiles what the session's cells have defined from `known` on; returns how much that is now, and what
    /// could not be taken over.
    pub fn take_definitions(&mut self, main: &mut Engine, known: usize) -> (usize, Vec<String>) {
        let all = main.definitions.len();
        let new = main.definitions.get(known..).unwrap_or_default();
        // Before a `:clear` nothing counts.
        let begin = new.iter().rposition(|one| one.is_clear).unwrap_or(0);
        let new = new[begin..].to_vec();
        let mut failed = Vec::new();
        if new.is_empty() {
            return (all, failed);
        }
        let own = self.definitions.len();
        self.set_compiler_settings(main.compiler_settings());
        self.with_analyzer_of(main, |engine| {
            if new.first().is_some_and(|first| first.is_clear) {
                let _the_rest_tells = engine.run(0, ":clear", ":clear");
            }
            for batch in batches(&new) {
                if engine.define_together(batch) {
                    continue;
                }
                for definitions in batch {
                    if let Err(failure) = engine.define(definitions) {
                        let why = match failure {
                            Failure::Compile(failure) => failure.evalue,
                            Failure::WorkerEnded(text) | Failure::Refused(text) => text,
                        };
                        failed.push(format!("cell [{}]: {}", definitions.cell, why.trim()));
                    }
                }
            }
        });
        self.definitions.truncate(own);
        (all, failed)
    }

    /// The analyzer belongs to whoever asks.
    fn with_analyzer_of<R>(&mut self, main: &mut Engine, body: impl FnOnce(&mut Engine) -> R) -> R {
        self.analysis = main.analysis.take();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(self)));
        main.analysis = self.analysis.take();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// One cell's definitions, on their own lines.
    fn define(&mut self, definitions: &Definitions) -> Result<(), Failure> {
        let text = definitions.text();
        self.run(definitions.cell, &text, &text).map(|_| ())
    }

    /// Those of several cells at once; places are known of each. False if that does not compile.
    fn define_together(&mut self, batch: &[Definitions]) -> bool {
        let [_, .., last] = batch else { return false };
        let mut text = String::new();
        for definitions in batch {
            for (_, item) in &definitions.items {
                text.push_str(item.trim_end());
                text.push('\n');
            }
        }
        if self.run(last.cell, &text, &text).is_err() {
            return false;
        }
        // From here on each item is known as that of its own cell.
        for definitions in batch {
            let statements: Vec<Statement> = definitions
                .items
                .iter()
                .map(|(line, item)| Statement {
                    line: *line,
                    text: format!("{}\n", item.trim_end()),
                    is_item: true,
                })
                .collect();
            lock(&self.locator.map).begin(definitions.cell, &statements);
        }
        true
    }
}

impl Definitions {
    /// The items on the lines that they have in their cell.
    fn text(&self) -> String {
        let mut text = self.commands.clone();
        let mut line = 1 + text.matches('\n').count();
        for (begins, item) in &self.items {
            while line < *begins {
                text.push('\n');
                line += 1;
            }
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
                line += 1;
            }
            text.push_str(item);
            line += item.matches('\n').count();
        }
        text
    }
}

/// Cuts definitions where a name comes again or a command stands: what is between can be compiled at once.
fn batches(all: &[Definitions]) -> Vec<&[Definitions]> {
    let mut found = Vec::new();
    let mut names = std::collections::HashSet::new();
    let mut begin = 0;
    for (index, one) in all.iter().enumerate() {
        // An import or an impl has no name; its text is one.
        let own: Vec<String> = one
            .items
            .iter()
            .map(|(_, text)| cell::item_name(text).unwrap_or_else(|| text.trim().to_owned()))
            .collect();
        let clashes = own.iter().any(|name| names.contains(name)) || !one.commands.is_empty();
        if clashes && index > begin {
            found.push(&all[begin..index]);
            begin = index;
            names.clear();
        }
        names.extend(own);
    }
    found.push(&all[begin..]);
    found
}

/// The folder that the next evcxr takes for its own.
struct Folder(Option<std::ffi::OsString>);

/// Where evcxr reads it.
const FOLDER: &str = "EVCXR_TMPDIR";

impl Folder {
    fn set(path: &std::path::Path) -> Folder {
        let before = std::env::var_os(FOLDER);
        // SAFETY: the session has set this variable when it began, so the C library replaces one pointer in
        // its table and neither moves the table nor frees the text, for which a thread might be looking.
        // Readers in Rust are kept away by the standard library's lock.
        unsafe { std::env::set_var(FOLDER, path) };
        Folder(before)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: as above.
            unsafe { std::env::set_var(FOLDER, before) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions(cell: usize, items: &[(usize, &str)]) -> Definitions {
        Definitions {
            cell,
            commands: String::new(),
            items: items
                .iter()
                .map(|(line, text)| (*line, (*text).to_owned()))
                .collect(),
            is_clear: false,
        }
    }

    #[test]
    fn items_keep_their_lines() {
        let cell = definitions(3, &[(2, "fn f() {}\n\n"), (5, "fn g() {}")]);
        assert_eq!(cell.text(), "\nfn f() {}\n\n\nfn g() {}");
    }

    #[test]
    fn a_name_that_comes_again_begins_a_batch() {
        let all = [
            definitions(1, &[(1, "fn f() {}")]),
            definitions(2, &[(1, "fn g() {}")]),
            definitions(3, &[(1, "fn f() { g() }")]),
        ];
        let lengths: Vec<usize> = batches(&all).iter().map(|batch| batch.len()).collect();
        assert_eq!(lengths, [2, 1]);
    }
}
