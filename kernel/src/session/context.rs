//! What a magic can do: run code, print, show, look at the session.
//!
//! One context lives as long as one cell. Magics know this type and nothing else of the session.

use super::bundle;
use super::cells::Runner;
use super::debug;
use super::failure::{self, CellError};
use super::outputs::{Facts, RunTimes, decode};
use super::profile;
use super::ranks::{CellText, Group, Request};
use crate::engine::{
    Content, Engine, Failure, as_the_user_has_it, is_rustc_for_analysis, users_path,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// See the module's text.
pub struct CellContext<'a> {
    pub(super) runner: &'a mut Runner,
    pub(super) number: usize,
    cell: &'a str,
    /// Payloads of the reply.
    pub payload: Vec<Value>,
    /// Text of the cell's result, for the history.
    pub result: Option<String>,
    /// Set by `:quit`.
    pub wants_end: bool,
    /// Time and memory of what [`CellContext::run_code`] has run so far.
    pub spent: Spent,
    reports: std::collections::HashMap<String, Value>,
    /// Values that code has handed over since the cell began, as bytes; those of ranks by rank.
    values: Vec<Vec<u8>>,
    rank_values: BTreeMap<u32, Vec<Vec<u8>>>,
    /// What the worker's profiler has said of each run since the cell began.
    profiles: Vec<Value>,
}

/// What the code of a cell has cost.
#[derive(Default, Clone)]
pub struct Spent {
    /// From the text to the loaded library, and everything else that is not the code's own run.
    pub compile: Duration,
    pub runs: Vec<RunTimes>,
}

impl<'a> CellContext<'a> {
    pub fn new(runner: &'a mut Runner, number: usize, cell: &'a str) -> CellContext<'a> {
        CellContext {
            runner,
            number,
            cell,
            payload: Vec::new(),
            result: None,
            wants_end: false,
            spent: Spent::default(),
            reports: std::collections::HashMap::new(),
            values: Vec::new(),
            rank_values: BTreeMap::new(),
            profiles: Vec::new(),
        }
    }

    /// What the session's threads share.
    pub(super) fn shared(&self) -> &std::sync::Arc<super::Shared> {
        &self.runner.shared
    }

    /// Runs Rust. The text keeps the cell's line numbers: what precedes it is blank lines.
    ///
    /// # Errors
    /// What the front end is to show.
    pub fn run_code(&mut self, text: &str) -> Result<(), CellError> {
        self.bring_back_worker()?;
        let (mut result, mut facts) = self.attempt(text);
        if matches!(result, Err(Failure::WorkerEnded(_))) && facts.prelude_changed {
            // A `:dep` that shares a crate with the prelude may have built the prelude anew. The
            // cell has not run yet, so it can be tried once more in a worker with the new one.
            self.print(
                "stderr",
                "the new dependency changed a crate that the prelude uses, so the worker was \
                 started again: variables of earlier cells are gone\n",
            );
            (result, facts) = self.attempt(text);
        } else if matches!(result, Err(Failure::WorkerEnded(_)))
            && !facts.started
            && facts.load_failed.is_none()
            && !self.interrupted()
        {
            // It ended before this cell, which only the order to run it has shown.
            self.print("stderr", WORKER_LOST);
            (result, facts) = self.attempt(text);
        }
        let (behind, anew): (Vec<&String>, _) = facts
            .lost
            .iter()
            .partition(|name| self.runner.left_behind.contains(*name));
        for (why, names) in [
            ("lost because their type was defined anew", anew),
            ("lost with the interrupted cell that used them", behind),
        ] {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            if !names.is_empty() {
                self.print("stderr", &format!("{why}: {}\n", names.join(", ")));
            }
        }
        for name in &facts.lost {
            self.runner.left_behind.remove(name);
        }
        match result {
            Ok(()) => self.conclude(facts),
            Err(failure) => Err(self.explain(failure, &facts)),
        }
    }

    /// One evaluation, with all that the worker said about it.
    fn attempt(&mut self, text: &str) -> (Result<(), Failure>, Facts) {
        let shared = std::sync::Arc::clone(&self.runner.shared);
        let started = Instant::now();
        let result = match &mut self.runner.engine {
            Ok(engine) => {
                let run = std::panic::AssertUnwindSafe(|| engine.run(self.number, text, self.cell));
                std::panic::catch_unwind(run).unwrap_or_else(|_| {
                    Err(Failure::Refused(
                        "the engine failed on this cell\n\
                         why: evcxr or rust-analyzer panicked; this is a bug there, not in the cell\n\
                         do:  write it in another way; if later cells behave oddly, restart the kernel"
                            .to_owned(),
                    ))
                })
            }
            Err(why) => Err(Failure::Refused(why.clone())),
        };
        let ended = matches!(result, Err(Failure::WorkerEnded(_)));
        let mut facts = shared.outputs.settle(ended);
        let ran: Duration = facts.runs.iter().map(|run| run.wall).sum();
        self.spent.compile += started.elapsed().saturating_sub(ran);
        self.spent.runs.append(&mut facts.runs);
        self.reports.extend(std::mem::take(&mut facts.reports));
        self.values.append(&mut facts.values);
        self.profiles.append(&mut facts.profiles);
        let result = result.map(|content| self.show_content(content, facts.result.is_some()));
        (result, facts)
    }

    /// What evcxr's own commands return. A cell has one result: if its code has one, the commands'
    /// text is shown beside it.
    fn show_content(&mut self, content: Content, has_result: bool) {
        if content.is_empty() {
            return;
        }
        let data = bundle::with_text(bundle::from_content(content));
        let outputs = &self.runner.shared.outputs;
        if !has_result {
            outputs.result(data);
        } else if data.len() == 1 {
            let text = data["text/plain"].as_str().unwrap_or_default();
            outputs.text("stdout", text);
        } else {
            outputs.display(data);
        }
    }

    fn explain(&self, failure: Failure, facts: &Facts) -> CellError {
        let interrupts = &self.runner.shared.interrupts;
        if interrupts.requested() {
            let ended = matches!(failure, Failure::WorkerEnded(_)) || interrupts.ended_worker();
            return failure::interrupted(ended);
        }
        failure::from_engine(failure, facts)
    }

    /// An evaluation that evcxr takes for a success may still have failed.
    fn conclude(&mut self, facts: Facts) -> Result<(), CellError> {
        if let Some(names) = self.reports.remove("left_behind") {
            let names: Vec<String> = serde_json::from_value(names).unwrap_or_default();
            self.runner.left_behind.extend(names.iter().cloned());
            return Err(failure::left_behind(&names));
        }
        if facts.interrupted {
            return Err(failure::yielded());
        }
        if let Some(report) = &facts.panic {
            return Err(failure::panic(report, &self.runner.cells));
        }
        if let Some(error) = &facts.user_error {
            return Err(failure::returned_error(error, &self.runner.cells));
        }
        if facts.result.is_some() {
            self.result = facts.result;
        }
        Ok(())
    }

    /// A worker that ended between cells is replaced before evcxr notices, so that this cell runs.
    fn bring_back_worker(&mut self) -> Result<(), CellError> {
        if !self.runner.shared.outputs.take_worker_lost() {
            return Ok(());
        }
        self.print("stderr", WORKER_LOST);
        match &mut self.runner.engine {
            Ok(engine) => engine
                .replace_worker()
                .map_err(|failure| failure::from_engine(failure, &Facts::default())),
            Err(why) => Err(CellError::new("EngineError", why.clone())),
        }
    }

    /// Writes to the cell's `stdout` or `stderr`.
    pub fn print(&self, stream: &'static str, text: &str) {
        self.runner.shared.outputs.text(stream, text);
    }

    /// Shows something.
    pub fn display(&self, mime: &str, text: &str) {
        let mut data = Map::new();
        data.insert(mime.to_owned(), Value::from(text));
        self.runner.shared.outputs.display(bundle::with_text(data));
    }

    /// Shows something in all these forms.
    pub fn show(&self, data: Map<String, Value>) {
        self.runner.shared.outputs.display(data);
    }

    /// Shows text in the front end's pager.
    pub fn page(&mut self, data: Map<String, Value>) {
        self.payload
            .push(json!({ "source": "page", "data": data, "start": 0 }));
    }

    /// Documentation of a path such as `Vec::push`.
    pub fn describe(&mut self, path: &str) -> Option<Map<String, Value>> {
        self.runner.describe(path, path.len())
    }

    /// Variables and their types.
    pub fn variables(&self) -> Vec<(String, String)> {
        match &self.runner.engine {
            Ok(engine) => engine.variables(),
            Err(_) => Vec::new(),
        }
    }

    /// The engine, for magics that ask it or change it.
    ///
    /// # Errors
    /// It could not be started.
    pub fn engine(&mut self) -> Result<&mut Engine, CellError> {
        self.runner
            .engine
            .as_mut()
            .map_err(|why| CellError::new("EngineError", why.clone()))
    }

    /// What code has reported under a name since the cell began.
    pub fn take_report(&mut self, name: &str) -> Option<Value> {
        self.reports.remove(name)
    }

    /// What code has handed over since the cell began, as bytes.
    pub fn take_values(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.values)
    }

    /// The same of the ranks, by rank.
    pub fn take_rank_values(&mut self) -> BTreeMap<u32, Vec<Vec<u8>>> {
        std::mem::take(&mut self.rank_values)
    }

    /// A file of this session, which goes with it.
    pub fn session_file(&self, name: &str) -> std::path::PathBuf {
        self.runner.shared.session_dir.join(name)
    }

    /// Whether the code that this cell goes on to run is profiled.
    pub fn set_profiling(&self, on: bool) {
        self.runner.shared.outputs.profile(on);
    }

    /// Shows where the time went of all that was profiled since the cell began, with this many lines in the
    /// table. Nothing, if nothing was run.
    ///
    /// # Errors
    /// The engine could not be started.
    pub fn show_profile(&mut self, top: usize) -> Result<(), CellError> {
        let reports = std::mem::take(&mut self.profiles);
        if reports.is_empty() {
            return Ok(());
        }
        let mut resolver = self.engine()?.locator().resolver();
        let profile = profile::read(&reports, &mut |library, address| {
            resolver.functions(library, address)
        });
        let outputs = &self.runner.shared.outputs;
        match profile::show(&profile, &self.runner.cells, top) {
            Ok(data) => outputs.display(data),
            Err(why) => outputs.text("stdout", &why),
        }
        Ok(())
    }

    /// The environment as cells see it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let changed = self.runner.shared.outputs.environment();
        let mut all: std::collections::BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        all.insert(
            "PATH".to_owned(),
            users_path().to_string_lossy().into_owned(),
        );
        if is_rustc_for_analysis() {
            all.remove("RUSTC");
        }
        for (name, value) in changed {
            match value.as_str() {
                Some(value) => all.insert(name, value.to_owned()),
                None => all.remove(&name),
            };
        }
        all.into_iter().collect()
    }

    /// Sets or removes an environment variable for this worker and its successors.
    pub fn set_environment(&self, name: &str, value: Option<&str>) {
        self.runner.shared.outputs.set_environment(name, value);
        self.runner.shared.ranks.set_environment(name, value);
    }

    /// Runs Rust on the ranks of a group. The text keeps the cell's line numbers.
    ///
    /// # Errors
    /// One error for all ranks.
    pub fn run_on_ranks(&mut self, request: &Request, text: &str) -> Result<(), CellError> {
        let shared = std::sync::Arc::clone(&self.runner.shared);
        let runner = &mut *self.runner;
        let engine = runner
            .engine
            .as_mut()
            .map_err(|why| CellError::new("EngineError", why.clone()))?;
        let started = Instant::now();
        let group = match &mut runner.group {
            Some(group) => group,
            none => {
                let group = Group::start(&shared, engine).map_err(|error| {
                    CellError::new(
                        "EngineError",
                        format!("the engine of the ranks cannot start\nwhy: {error:#}"),
                    )
                })?;
                none.insert(group)
            }
        };
        if let Some(text) = group.notice_loss()? {
            shared.outputs.text("stderr", &text);
        }
        let failed = group.take_definitions(engine)?;
        if shared.interrupts.requested() {
            return Err(failure::interrupted(false));
        }
        let cell = CellText {
            number: self.number,
            text,
            cell: self.cell,
            cells: &runner.cells,
        };
        let result = debug::run_on_ranks(&shared, group, engine, request, &cell);
        let failed: String = failed.iter().map(|line| format!("{line}\n")).collect();
        if !failed.is_empty() && result.is_err() {
            shared.outputs.text(
                "stderr",
                &format!("what these cells define is not known to the ranks:\n{failed}"),
            );
        }
        let ran = result.map_err(|error| {
            if shared.interrupts.requested() && !matches!(error.ename.as_str(), "Interrupted") {
                return failure::interrupted(false);
            }
            hint_at_variables(error, engine.variables())
        })?;
        if !ran.lost.is_empty() {
            let names = ran.lost.join(", ");
            self.print(
                "stderr",
                &format!("lost because their type was defined anew: {names}\n"),
            );
        }
        self.show_content(ran.content, false);
        let longest = ran.times.values().map(|times| times.wall).max();
        self.spent.compile += started
            .elapsed()
            .saturating_sub(longest.unwrap_or_default());
        self.spent.runs.extend(ran.times.into_values());
        self.rank_values = ran.values;
        Ok(())
    }

    /// The group of ranks, if there has been one.
    pub fn group(&mut self) -> Option<&mut Group> {
        self.runner.group.as_mut()
    }

    /// Process ids of the ranks that live, by rank, with the machine if it may be another one.
    pub fn rank_processes(&self) -> Vec<(u32, i32, Option<String>)> {
        self.runner.shared.ranks.processes()
    }

    /// Moves the kernel and its worker to another folder.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn change_dir(&self, dir: &std::path::Path) -> std::io::Result<()> {
        std::env::set_current_dir(dir)?;
        self.runner
            .shared
            .outputs
            .change_dir(&std::env::current_dir()?);
        self.runner
            .shared
            .ranks
            .change_dir(&std::env::current_dir()?);
        Ok(())
    }

    /// Whether the user has interrupted this cell.
    pub fn interrupted(&self) -> bool {
        self.runner.shared.interrupts.requested()
    }

    /// Runs a program and shows what it writes while it writes it. `input` is its standard input.
    ///
    /// # Errors
    /// It cannot be started, or it does not end with success.
    pub fn run_program(
        &mut self,
        what: &str,
        command: &mut Command,
        input: Option<&str>,
    ) -> Result<(), CellError> {
        command
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        as_the_user_has_it(command);
        for (name, value) in self.runner.shared.outputs.environment() {
            match value.as_str() {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn().map_err(|error| {
            let program = command.get_program().to_string_lossy();
            CellError::new(
                "ShellError",
                format!(
                    "{what}: {program} cannot be started\n\
                     why: {error}\n\
                     do:  install it, or put its folder on PATH with %env"
                ),
            )
        })?;
        let outputs = &self.runner.shared.outputs;
        let forward = |mut source: Box<dyn Read + Send>, stream: &'static str| {
            let mut buffer = [0; 16 * 1024];
            let mut tail = Vec::new();
            loop {
                let count = match source.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => count,
                };
                outputs.text(stream, &decode(&mut tail, &buffer[..count]));
            }
            outputs.text(stream, &String::from_utf8_lossy(&tail));
        };
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                scope.spawn(move || {
                    use std::io::Write as _;
                    let _ = stdin.write_all(input.as_bytes());
                });
            }
            if let Some(stdout) = stdout {
                scope.spawn(|| forward(Box::new(stdout), "stdout"));
            }
            if let Some(stderr) = stderr {
                forward(Box::new(stderr), "stderr");
            }
        });
        let status = child
            .wait()
            .map_err(|error| CellError::new("ShellError", error.to_string()))?;
        if self.interrupted() {
            return Err(CellError::new(
                "Interrupted",
                format!(
                    "{what} was interrupted\nwhy: it was asked for\ndo:  go on: all variables are still there"
                ),
            ));
        }
        if status.success() {
            return Ok(());
        }
        Err(CellError::new(
            "ShellError",
            format!(
                "{what} ended with {status}\n\
                 why: the program says so; what it wrote is above\n\
                 do:  put `|| true` behind the command if its failure does not matter"
            ),
        ))
    }

    /// The kernel is to end after this cell.
    pub fn end_kernel(&mut self) {
        self.wants_end = true;
    }
}

/// Says where a name that the ranks do not know does exist.
fn hint_at_variables(mut error: CellError, variables: Vec<(String, String)>) -> CellError {
    let text = error.traceback.join("\n");
    let is_unknown = |name: &str| text.contains(&format!("cannot find value `{name}`"));
    let names: Vec<String> = variables
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| is_unknown(name))
        .collect();
    if !names.is_empty() {
        error.traceback.push(format!(
            "why: {} {} of ordinary cells; each rank has variables of its own, those of %%mpi cells\n\
             do:  give the ranks a copy with %mpi push {}, or write its `let` in a %%mpi cell",
            names.join(", "),
            if names.len() == 1 { "is a variable" } else { "are variables" },
            names[0],
        ));
    }
    error
}

/// What is said when a worker has ended between cells.
const WORKER_LOST: &str = "the worker ended while no cell was running (killed from outside, or by a thread of an earlier cell): \
     variables are gone, functions, types and imports are still defined\n";
