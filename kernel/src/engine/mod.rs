//! evcxr made into an engine: the only room that calls it.
//!
//! * `cell`         a cell's text before it is compiled
//! * `analyzer`     what a cell's text means: types, completions, documentation
//! * `analysis`     how the engine asks it
//! * `annotate`     types written into a cell for evcxr
//! * `awaiting`     whether a cell awaits at its top level
//! * `blocks`       labelled blocks in a cell
//! * `driver`       the fast way to a compiled cell
//! * `ranks`        a second engine, whose cells run on the ranks of a group
//! * `plugins`      libraries built apart: `mpi_plugin`, `gpu_plugins`
//! * `template`     the workspace with the prelude built in
//! * `kernel_macro` kernels for devices as items
//! * `testing`      programs of the session's tests
//! * `thread_local` thread-local data that all cells share
//! * `rust_source`  when rust-analyzer sees the standard library
//! * `source_map`   from generated lines back to cells
//! * `symbols`      from addresses to generated lines
//! * `diagnostics`  compile errors as the user sees them
//!
//! The engine runs on a thread of its own. What a cell prints and shows does not pass here, it goes
//! from the worker to `session` directly; the engine says how the evaluation ended.

mod analysis;
mod analyzer;
mod annotate;
mod awaiting;
mod blocks;
mod cell;
mod diagnostics;
mod driver;
pub mod drivers;
pub mod gpu_plugins;
mod kernel_macro;
pub mod mpi_plugin;
pub mod packs;
mod plugins;
mod ranks;
#[cfg(test)]
mod reliance;
mod rust_source;
mod source_map;
mod symbols;
pub mod template;
mod testing;
mod thread_local;

pub use analyzer::host as analyzer_host;
pub use blocks::labelled_blocks;
pub use cell::{Completeness, completeness, is_open, word_at};
pub use diagnostics::CompileFailure;
pub use driver::stand_in::{
    as_the_user_has_it, is_rustc_for_analysis, run_if_named as run_if_stand_in, rustc_for_analysis,
    users_path,
};
pub use driver::{CacheSummary, Settings as CompilerSettings};
pub use ranks::RankSettings;
pub use rust_source::RustSource;
pub use source_map::Place;
pub use testing::{BuildKind, TestBuild, TestProgram};

use crate::worker;
use analysis::Analysis;
use cell::Prepared;
use driver::{CELL_SOURCE_DIR, CurrentCell, DebugBuilds, Driver};
use evcxr::{CommandContext, Error, EvalContext};
use source_map::SourceMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

/// Brings the prelude's names into scope of every cell.
const USE_PRELUDE: &str = "use forkline::prelude::*;";

/// How an evaluation failed, as far as the engine knows; `session` adds what the worker said.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The cell does not compile.
    Compile(CompileFailure),
    /// The worker is gone; the text is the exit status. A new one has been started.
    WorkerEnded(String),
    /// Anything else that evcxr refuses, in its words.
    Refused(String),
}

/// MIME type and text of what an evcxr command shows.
pub type Content = HashMap<String, String>;

/// One candidate of a completion.
pub struct Candidate {
    pub text: String,
    pub kind: String,
}

/// Candidates and the bytes of the text that they replace.
pub struct Completion {
    pub candidates: Vec<Candidate>,
    pub range: std::ops::Range<usize>,
}

/// Tells the cell places of lines in generated sources; for any thread.
#[derive(Clone)]
pub struct Locator {
    map: Arc<Mutex<SourceMap>>,
    source: Arc<PathBuf>,
}

impl Locator {
    /// A cell's library is about to run.
    pub fn loaded(&self, library: &str) {
        if let Ok(source) = std::fs::read_to_string(&*self.source) {
            lock(&self.map).loaded(library, source);
        }
    }

    /// The place of a line of a generated source, as panics name it; `library` is the compiled
    /// cell, the last one if it is not known.
    pub fn place(&self, library: Option<&str>, file: &str, line: usize) -> Option<Place> {
        let file = Path::new(file);
        // Those for the debugger have names of their own, but one library each as well.
        let is_generated = file == "src/lib.rs"
            || file == self.source.as_path()
            || file
                .strip_prefix(CELL_SOURCE_DIR)
                .unwrap_or(file)
                .starts_with("src");
        if !is_generated {
            return None;
        }
        lock(&self.map).place(library, line)
    }

    /// The user's functions at an address of a cell's library, innermost first.
    pub fn frames(&self, library: &str, address: u64) -> Vec<(String, Place)> {
        symbols::resolve(library, address)
            .into_iter()
            .filter_map(|symbol| {
                let place = self.place(Some(library), &symbol.file, symbol.line)?;
                Some((symbol.function, place))
            })
            .collect()
    }

    /// For many addresses at once.
    pub fn resolver(self) -> Resolver {
        Resolver {
            locator: self,
            libraries: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// The place of each line of a source that was compiled just now.
    pub fn places(&self, source: &str) -> Vec<Option<Place>> {
        lock(&self.map).places(source)
    }

    fn begin(&self, number: usize, prepared: &Prepared) {
        lock(&self.map).begin(number, &prepared.statements);
    }
}

/// Names the functions at many addresses. The libraries that it has read stay open.
pub struct Resolver {
    locator: Locator,
    libraries: HashMap<String, Option<symbols::Library>>,
    places: HashMap<(String, usize), Option<Place>>,
}

/// A function of a program, and the cell place in it if the user wrote it.
pub struct Function {
    pub name: String,
    pub place: Option<Place>,
}

impl Resolver {
    /// The functions at an address of a library, innermost first; several where calls were inlined, none
    /// if nothing is known. Inlined functions and places are known of cells only.
    pub fn functions(&mut self, library: &str, address: u64) -> Vec<Function> {
        let opened = self
            .libraries
            .entry(library.to_owned())
            .or_insert_with(|| symbols::Library::open(library));
        let Some(opened) = opened else {
            return Vec::new();
        };
        if !library.contains(worker::CELL_LIBRARY) {
            let name = opened.symbol(address);
            let function = name.map(|name| Function { name, place: None });
            return function.into_iter().collect();
        }
        opened
            .resolve(address)
            .into_iter()
            .map(|symbol| {
                // The text of the whole source is searched for a line, which most addresses share.
                let key = (format!("{library}\n{}", symbol.file), symbol.line);
                let place = *self.places.entry(key).or_insert_with(|| {
                    self.locator.place(Some(library), &symbol.file, symbol.line)
                });
                Function {
                    name: symbol.function,
                    place,
                }
            })
            .collect()
    }
}

/// A running evcxr with its worker and the prelude.
pub struct Engine {
    context: CommandContext,
    locator: Locator,
    driver: Driver,
    session: template::SessionDir,
    /// None where the template lacks what it needs: evcxr's own rust-analyzer does it then.
    analysis: Option<Analysis>,
    /// None where the prelude could not be built: cells run without it.
    prelude: Option<String>,
    /// The user chose evcxr's own way to show results (`:fmt`, `:types`).
    own_results: bool,
    /// How the cell in progress is compiled, if not as the session's cells are.
    cell_settings: Option<CompilerSettings>,
    record: Option<template::Record>,
    /// What cells have defined, for the engine of the ranks, and how much of it that one has.
    definitions: Vec<ranks::Definitions>,
    /// Macro calls of cells that make tests: evcxr takes them for statements.
    test_macros: Vec<testing::TestMacro>,
}

/// What a new engine needs.
pub struct Settings {
    /// The socket on which the worker finds the kernel.
    pub side_channel: PathBuf,
    /// The session's folder; `EVCXR_TMPDIR` must name the same.
    pub session: PathBuf,
    /// The kernel's process group, if it leads one.
    pub process_group: Option<i32>,
    /// Tells the user something while a cell is compiled.
    pub notify: Box<dyn Fn(&str) + Send>,
    /// What is to be done for the debugger.
    pub debugging: Debugging,
}

/// What an engine does for the debugger.
pub struct Debugging {
    /// Whether cells are compiled for it.
    pub is_on: Arc<AtomicBool>,
    /// Is told of each cell that was compiled for it, before it runs.
    pub compiled: Box<dyn Fn(DebugSource) + Send>,
}

impl Debugging {
    /// For the driver. The name is that of the engine, in front of the numbers of its sources.
    fn builds(self, name: &'static str, locator: &Locator) -> DebugBuilds {
        let locator = locator.clone();
        let compiled = self.compiled;
        DebugBuilds::new(
            name,
            self.is_on,
            Box::new(move |name, text| {
                compiled(DebugSource {
                    path: format!("{CELL_SOURCE_DIR}/{name}"),
                    places: locator.places(text),
                });
            }),
        )
    }
}

/// A source that was compiled for the debugger.
pub struct DebugSource {
    /// Its path in the debug information.
    pub path: String,
    /// The place of each of its lines; the first is that of line 1.
    pub places: Vec<Option<Place>>,
}

impl Engine {
    /// Builds the prelude if need be, starts evcxr and its worker.
    ///
    /// # Errors
    /// There is no usable Rust toolchain, or no place for the session's files.
    pub fn start(settings: Settings, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Engine> {
        // It reads the libraries while everything else starts.
        let early = template::recorded();
        let mut analysis = early
            .as_ref()
            .and_then(|_| Analysis::start(&settings.session));
        let record = match template::ensure(false, progress) {
            Ok(record) => Some(record),
            Err(error) => {
                progress(&format!(
                    "the prelude is not available in this session\n{error:#}\n"
                ));
                None
            }
        };
        if record != early {
            // It has begun with a template that is no more.
            analysis = record
                .as_ref()
                .and_then(|_| Analysis::start(&settings.session));
        }
        let session = template::SessionDir::create(settings.session)?;
        if analysis.is_some() {
            driver::stand_in::answer_analysis(&session.path)?;
        }
        let locator = Locator {
            map: Arc::default(),
            source: Arc::new(session.path.join("src/lib.rs")),
        };
        let debug = settings.debugging.builds("cell", &locator);
        let driver = Driver::start(
            &session.path,
            record.as_ref().map(|record| record.digest.clone()),
            settings.notify,
            debug,
        )?;
        let mut command = std::process::Command::new(std::env::current_exe()?);
        if let Some(group) = settings.process_group {
            command.env(worker::KERNEL_GROUP, group.to_string());
        }
        if let Err(error) = drivers::write_scripts() {
            progress(&format!(
                "cells cannot link drivers themselves in this session: {error}\n"
            ));
        }
        let source = RustSource::hidden(&session.path)?;
        let context = context(
            command,
            &settings.side_channel,
            &session.path,
            record.as_ref(),
        )?;
        if record.is_some() && analysis.is_none() {
            source.reveal()?;
        }
        let mut engine = Engine::assemble(context, driver, session, locator, analysis, record)?;
        engine.begin_with_prelude(progress);
        Ok(engine)
    }

    fn assemble(
        context: CommandContext,
        driver: Driver,
        session: template::SessionDir,
        locator: Locator,
        analysis: Option<Analysis>,
        record: Option<template::Record>,
    ) -> anyhow::Result<Engine> {
        let mut engine = Engine {
            context,
            locator,
            driver,
            session,
            analysis,
            prelude: record
                .as_ref()
                .map(|_| format!("{}\n{USE_PRELUDE}", template::dependency_lines().join("\n"))),
            own_results: false,
            cell_settings: None,
            record,
            definitions: Vec::new(),
            test_macros: Vec::new(),
        };
        engine
            .context
            .set_opt_level("3")
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(engine)
    }

    fn begin_with_prelude(&mut self, progress: &mut dyn FnMut(&str)) {
        if let Err(failure) = self.load_prelude() {
            progress(&format!(
                "the prelude is not available in this session: {failure:?}\n"
            ));
            self.prelude = None;
        }
    }

    /// Makes the prelude a dependency and brings its names into scope.
    fn load_prelude(&mut self) -> Result<(), Failure> {
        let Some(prelude) = self.prelude.clone() else {
            return Ok(());
        };
        self.context
            .execute(&prelude)
            .map(|_| ())
            .map_err(|error| failure(error, &prelude, &cell::prepare(&prelude, false), 0))
    }

    /// The user's evcxr configuration (`init.evcxr`, `prelude.rs`, `evcxr.toml`), as evcxr_jupyter
    /// loads it.
    pub fn load_user_config(&mut self) -> Result<(), Failure> {
        let text = ":load_config --quiet";
        self.context
            .execute(text)
            .map(|_| ())
            .map_err(|error| failure(error, text, &cell::prepare(text, false), 0))
    }

    /// Lets evcxr's own rust-analyzer read the standard library, if it has to.
    pub fn warm_up(&mut self) {
        if self.analysis.is_none() {
            let text = "let forkline_warm_up = String::from(\"a\"); forkline_warm_up.";
            let _ = self.context.completions(text, text.len());
        }
    }

    /// Tells places for this session's cells.
    pub fn locator(&self) -> Locator {
        self.locator.clone()
    }

    /// Evaluates a part of a cell. `text` has the cell's line numbers: what precedes the part is
    /// blank. `cell` is the whole cell, for messages.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn run(&mut self, number: usize, text: &str, cell: &str) -> Result<Content, Failure> {
        let show = self.prelude.is_some() && !self.own_results;
        if let Some(offset) = cell::stray_delimiter(text) {
            return Err(Failure::Compile(diagnostics::stray_delimiter(
                cell, offset, number,
            )));
        }
        let mut prepared = cell::prepare(text, show);
        let typed = self.with_types(&prepared.text);
        if let Some(typed) = &typed {
            prepared.with_types(typed.columns.clone(), typed.names.clone());
        }
        let given = typed.as_ref().map_or(&prepared.text, |typed| &typed.text);
        let described = self.documentation(given);
        let given = described.as_ref().map_or(given, |(text, _)| text);
        self.locator.begin(number, &prepared);
        let items = prepared
            .statements
            .iter()
            .filter(|statement| statement.is_item);
        self.driver.begin(CurrentCell {
            text: prepared.text.clone(),
            items: items.map(|item| item.text.clone()).collect(),
            awaits: prepared.awaits,
            settings: self.cell_settings.clone(),
        });
        let result = self.context.execute(given);
        self.note_commands(text);
        if result.is_ok() {
            self.note_definitions(number, text, &prepared);
            self.note_test_macros(number, text, &prepared);
        }
        result
            .map(|outputs| {
                let mut content = described.map_or_else(Content::new, |(_, content)| content);
                for (kind, text) in outputs.content_by_mime_type {
                    content.entry(kind).or_default().push_str(&text);
                }
                content
            })
            .map_err(|error| failure(error, cell, &prepared, number))
    }

    /// Follows evcxr commands that change what this engine has set up.
    fn note_commands(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            let mut words = line.splitn(2, ' ');
            match (words.next(), words.next().map(str::trim)) {
                (Some(":clear"), _) => {
                    let _ = self.load_prelude();
                }
                (Some(":fmt"), format) => {
                    self.own_results = !matches!(format, None | Some("{:?}"));
                }
                (Some(":types"), _) => self.own_results = !self.own_results,
                (Some(word), _) if word.is_empty() || word.starts_with([':', '/']) => {}
                _ => return,
            }
        }
    }

    /// Replaces a worker that has ended. Variables are gone, definitions stay.
    ///
    /// evcxr learns of the end by sending an order in vain. (Its own `:restart` would keep the names
    /// of the lost variables.)
    pub fn replace_worker(&mut self) -> Result<(), Failure> {
        match self.context.execute("();") {
            Ok(_) | Err(Error::SubprocessTerminated(_)) => Ok(()),
            Err(error) => Err(Failure::Refused(error.to_string())),
        }
    }

    /// The compiler's version; empty where there is no prelude.
    pub fn rustc_version(&self) -> String {
        self.record
            .as_ref()
            .map_or(String::new(), |record| record.rustc.clone())
    }

    /// How cells are compiled.
    pub fn compiler_settings(&self) -> CompilerSettings {
        self.driver.settings()
    }

    /// Changes how cells are compiled from now on.
    pub fn set_compiler_settings(&mut self, settings: CompilerSettings) {
        self.driver.set(|current| *current = settings);
    }

    /// How the cell in progress is compiled.
    pub fn cell_settings(&self) -> CompilerSettings {
        self.cell_settings
            .clone()
            .unwrap_or_else(|| self.driver.settings())
    }

    /// Changes how the cell in progress is compiled; none ends that.
    pub fn set_cell_settings(&mut self, settings: Option<CompilerSettings>) {
        self.cell_settings = settings;
    }

    /// What is known of the cells compiled before.
    pub fn cell_cache(&self) -> CacheSummary {
        self.driver.cache()
    }

    /// Forgets the cells compiled before.
    pub fn clear_cell_cache(&self) {
        self.driver.clear_cache();
    }

    /// Variables and their types, by name.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables: Vec<_> = self
            .context
            .variables_and_types()
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect();
        variables.sort();
        variables
    }

    /// Names of functions, types, macros and imports, sorted.
    pub fn items(&self) -> Vec<String> {
        let mut items: Vec<_> = self
            .context
            .defined_item_names()
            .map(str::to_owned)
            .collect();
        items.sort();
        items
    }
}

/// Starts evcxr, with this command for the process that runs cells.
fn context(
    mut command: std::process::Command,
    side_channel: &Path,
    session: &Path,
    record: Option<&template::Record>,
) -> anyhow::Result<CommandContext> {
    as_the_user_has_it(&mut command);
    command.env(worker::SIDE_CHANNEL, side_channel);
    if let Some(record) = record {
        command.env(worker::PRELUDE, session.join(&record.library));
        command.env(worker::RUST_LIBS, &record.rust_libs);
    }
    let (context, outputs) = EvalContext::with_subprocess_command(command)
        .map_err(|error| anyhow::anyhow!("evcxr cannot start: {error}"))?;
    // The worker sends its output by the side channel. What still comes this way is the failure
    // of a worker that cannot even start; evcxr waits until somebody has taken it.
    std::thread::spawn(move || while outputs.stdout.recv().is_ok() {});
    std::thread::spawn(move || {
        while let Ok(line) = outputs.stderr.recv() {
            eprintln!("{line}");
        }
    });
    Ok(CommandContext::with_eval_context(context))
}

fn failure(error: Error, cell: &str, prepared: &Prepared, number: usize) -> Failure {
    match error {
        Error::CompilationErrors(errors) => {
            Failure::Compile(diagnostics::failure(&errors, cell, prepared, number))
        }
        Error::SubprocessTerminated(text) => {
            let status = text
                .rsplit_once("terminated with status: ")
                .map_or(text.as_str(), |(_, status)| status);
            Failure::WorkerEnded(status.trim().to_owned())
        }
        other => Failure::Refused(other.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
