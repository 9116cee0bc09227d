//! The compile driver: what answers in cargo's place when evcxr builds a cell.
//!
//! * `stand_in`     this program as `cargo`, `rustup` and the compiler's wrapper
//! * `service`      how such a process asks the kernel
//! * `command`      the compiler's call, known once cargo has made it for a set of dependencies
//! * `rewrite`      the generated source put right
//! * `async_block`  the statements of a cell that awaits
//! * `reach`        the items that a cell leads to
//! * `statics`      the names by which cells share statics
//! * `fingerprint`  what a type means
//! * `edits`        changes that keep lines, and columns counted back
//! * `cache`        cells compiled before
//! * `debug`        cells for the debugger
//! * `harness`      programs of tests, compiled as cells are
//!
//! A build takes the shortest of three ways: out of the cache, by calling rustc as cargo did for the
//! same dependencies, or through the real cargo. The source is put right before any of them, so all
//! three give the same answers (there is a test). What the driver does not understand goes through
//! cargo.

mod async_block;
mod cache;
mod command;
mod debug;
mod edits;
mod fingerprint;
mod harness;
mod reach;
mod rewrite;
#[cfg(test)]
pub use async_block::{ASKING_BEGIN, ASKING_END, CATCH};
#[cfg(test)]
pub use rewrite::knows_store;
mod service;
pub mod stand_in;
mod statics;

pub use cache::Summary as CacheSummary;
pub use command::Settings;
pub use debug::DebugBuilds;
pub use edits::{Columns, Edits};
pub use harness::{Built, Harness};
pub use reach::unreached;
pub use rewrite::as_written;

use super::{annotate, drivers, lock};
use crate::home;
use cache::Cache;
use command::{CompilerCall, Manifest};
use rewrite::Rewritten;
use serde_json::{Value, json};
use service::{Answer, Request};
use statics::Statics;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// Where compiled cells say that their source is; the session's own folder is not in them, so that
/// another session can use them.
pub const CELL_SOURCE_DIR: &str = "/forkline/session";

/// The cell that is compiled next.
#[derive(Default, Clone)]
pub struct CurrentCell {
    /// As the user wrote it.
    pub text: String,
    /// Texts of the items that it defines.
    pub items: Vec<String>,
    /// Whether it awaits something at its top level.
    pub awaits: bool,
    /// Settings for this cell alone.
    pub settings: Option<Settings>,
}

/// Tells the user something before the cell runs.
pub type Notify = Box<dyn Fn(&str) + Send>;

/// The driver of one session; clones are the same one.
#[derive(Clone)]
pub struct Driver {
    shared: Arc<Mutex<State>>,
}

struct State {
    session: PathBuf,
    /// Identity of the prelude and the compiler; none without a prelude.
    template: Option<String>,
    settings: Settings,
    cell: CurrentCell,
    statics: Statics,
    calls: HashMap<String, CompilerCall>,
    /// Configurations of the dependencies, and how often each has changed.
    dependencies: HashMap<String, (String, u32)>,
    cache: Arc<Cache>,
    notify: Notify,
    debug: DebugBuilds,
    last: Option<harness::Last>,
    /// For tests: never call rustc directly and keep nothing.
    only_cargo: bool,
}

impl Driver {
    /// Serves the session in this folder.
    ///
    /// # Errors
    /// The socket or the links cannot be made.
    pub fn start(
        session: &Path,
        template: Option<String>,
        notify: Notify,
        debug: DebugBuilds,
    ) -> anyhow::Result<Driver> {
        stand_in::make_links(&home::links_dir())?;
        let driver = Driver {
            shared: Arc::new(Mutex::new(State {
                session: session.to_owned(),
                template,
                settings: Settings::default(),
                cell: CurrentCell::default(),
                statics: Statics::default(),
                calls: HashMap::new(),
                dependencies: HashMap::new(),
                cache: Arc::new(Cache::new(home::cells_dir())),
                notify,
                debug,
                last: None,
                only_cargo: std::env::var_os("FORKLINE_ONLY_CARGO").is_some(),
            })),
        };
        let served = driver.clone();
        service::serve(session, move |request| {
            lock(&served.shared).answer(&request)
        })?;
        Ok(driver)
    }

    /// Says which cell will be compiled.
    pub fn begin(&self, cell: CurrentCell) {
        lock(&self.shared).cell = cell;
    }

    /// How cells are compiled from now on.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.shared).settings);
    }

    /// How cells are compiled.
    pub fn settings(&self) -> Settings {
        lock(&self.shared).settings.clone()
    }

    /// The cells compiled before.
    pub fn cache(&self) -> CacheSummary {
        self.cache_handle().summary()
    }

    /// Forgets them.
    pub fn clear_cache(&self) {
        self.cache_handle().clear();
    }

    fn cache_handle(&self) -> Arc<Cache> {
        Arc::clone(&lock(&self.shared).cache)
    }
}

/// Names and configurations of the dependencies in a Cargo.toml, sorted.
pub fn dependencies_in(manifest: &str) -> Vec<(String, String)> {
    Manifest::parse(manifest).dependencies
}

/// How a build ended: what cargo would print, and whether it succeeded.
struct Outcome {
    succeeded: bool,
    status: i32,
    messages: Vec<Value>,
    stdout: String,
    stderr: String,
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        // `:cache`, `:sccache` and `:static` of evcxr have a wrapper of their own.
        let has_wrapper = request
            .environment
            .iter()
            .any(|(name, _)| name == "RUSTC_WRAPPER");
        if has_wrapper || self.template.is_none() {
            return Answer::NotMine;
        }
        match self.build(request) {
            Ok(outcome) => Answer::Done {
                status: outcome.status,
                stdout: outcome.stdout,
                stderr: outcome.stderr,
            },
            Err(error) => {
                eprintln!("forkline: the compile driver gave up on a cell: {error:#}");
                Answer::NotMine
            }
        }
    }

    fn build(&mut self, request: &Request) -> anyhow::Result<Outcome> {
        let file = self.session.join("src/lib.rs");
        // Types that were written in for evcxr alone.
        let (source, types) = annotate::strip(&fs::read_to_string(&file)?);
        let manifest = Manifest::parse(&fs::read_to_string(self.session.join("Cargo.toml"))?);
        let has_prelude = manifest
            .dependencies
            .iter()
            .any(|(name, _)| name == "forkline");
        let items = std::mem::take(&mut self.cell.items);
        let dependencies = self.dependencies(&manifest);
        let mut result = None;
        self.debug.begin();
        // Once, unless it fails: a macro may use what the text does not name.
        for everything in [false, true] {
            let rewritten = has_prelude.then(|| {
                let cell = rewrite::Cell {
                    items: &items,
                    dependencies: &dependencies,
                    awaits: self.cell.awaits,
                    everything,
                };
                rewrite::rewrite(&source, &cell, self.statics.begin())
            });
            let text = rewritten
                .as_ref()
                .map_or(&source, |rewritten| &rewritten.text);
            fs::write(&file, text)?;
            let outcome = self.compile(request, &manifest, text)?;
            if outcome.succeeded && !request.is_check() {
                self.debug.compiled(text);
                self.last = Some(harness::Last::new(&source, &request.environment));
            }
            // A compiler that was ended by an interrupt has no messages.
            let try_again = !outcome.succeeded
                && !outcome.messages.is_empty()
                && rewritten
                    .as_ref()
                    .is_some_and(|rewritten| rewritten.left_out);
            result = Some((outcome, rewritten));
            if !try_again {
                break;
            }
        }
        self.cell.items = items;
        let (mut outcome, rewritten) = result.expect("there is at least one pass");
        if let Some(rewritten) = rewritten {
            self.conclude(&mut outcome, rewritten, request.is_check());
        }
        for message in &mut outcome.messages {
            types.mend(message);
        }
        outcome.print();
        Ok(outcome)
    }

    /// The dependencies, and what is known of their past.
    fn dependencies(&mut self, manifest: &Manifest) -> Vec<rewrite::Dependency> {
        let known = &mut self.dependencies;
        manifest
            .dependencies
            .iter()
            .map(|(name, configuration)| {
                let (last, changes) = known
                    .entry(name.clone())
                    .or_insert_with(|| (configuration.clone(), 0));
                if last != configuration {
                    last.clone_from(configuration);
                    *changes += 1;
                }
                rewrite::Dependency {
                    name: name.clone(),
                    configuration: configuration.clone(),
                    changes: *changes,
                }
            })
            .collect()
    }

    fn conclude(&mut self, outcome: &mut Outcome, rewritten: Rewritten, is_check: bool) {
        for message in &mut outcome.messages {
            rewritten.columns.mend(message);
        }
        if !outcome.succeeded || is_check {
            return;
        }
        for name in &rewritten.statics.anew {
            (self.notify)(&format!(
                "static `{name}` is defined anew and begins with its first value\n"
            ));
        }
        self.statics.commit(rewritten.statics);
    }

    /// The shortest way that is open.
    fn compile(
        &mut self,
        request: &Request,
        manifest: &Manifest,
        source: &str,
    ) -> anyhow::Result<Outcome> {
        let lock_file = fs::read(self.session.join("Cargo.lock")).unwrap_or_default();
        let environment = set_for_builds(&request.environment);
        let mut settings = self.cell.settings.clone().unwrap_or(self.settings.clone());
        if manifest.opt_level != "3" {
            settings.opt_level.clone_from(&manifest.opt_level);
        }
        self.debug.apply(&mut settings, &self.session, source)?;
        let direct = !self.only_cargo && !manifest.has_local_dependency(&home::prelude_dir());
        let key = manifest.key(&lock_file, &environment);
        let Some(call) = self.call(&key, manifest, &environment).filter(|_| direct) else {
            return self.through_cargo(request, &key, &settings);
        };
        let library = library_of(&call)?;
        let mut arguments = self.arguments(&call, &settings);
        if request.is_check() {
            for argument in arguments
                .iter_mut()
                .filter(|text| text.starts_with("--emit="))
            {
                "--emit=metadata".clone_into(argument);
            }
            let mut output = self.rustc(&call, &arguments, request)?;
            self.debug.rename(&mut output.stderr);
            let messages = json_lines(&output.stderr);
            return Ok(match output.status.success() {
                true => Outcome::success(&library, messages),
                false => Outcome::failure(&output, messages),
            });
        }
        let anonymous = arguments
            .join("\0")
            .replace(&*self.session.to_string_lossy(), "");
        let template = self.template.as_deref().unwrap_or_default();
        // What is compiled for the debugger has a name that no other cell has.
        let entry = match settings.debug {
            None => Cache::key(source, &[&anonymous, template, &self.cell.text]),
            Some(_) => None,
        };
        if let Some(entry) = &entry
            && let Some(kept) =
                self.cache
                    .fetch(entry, &library, &self.session, &request.environment)
        {
            fs::write(self.session.join("src/lib.rs"), kept)?;
            return Ok(Outcome::success(&library, Vec::new()));
        }
        let mut output = self.rustc(&call, &arguments, request)?;
        self.debug.rename(&mut output.stderr);
        let messages = json_lines(&output.stderr);
        if !output.status.success() {
            return Ok(Outcome::failure(&output, messages));
        }
        if let Some(entry) = entry {
            self.cache.store(
                &entry,
                &library,
                source,
                &library.with_file_name("ctx.d"),
                &self.session,
                &request.environment,
            );
        }
        Ok(Outcome::success(&library, messages))
    }

    fn rustc(
        &self,
        call: &CompilerCall,
        arguments: &[String],
        request: &Request,
    ) -> std::io::Result<Output> {
        call.command(&self.session, &request.environment)
            .args(arguments)
            .output()
    }

    fn arguments(&self, call: &CompilerCall, settings: &Settings) -> Vec<String> {
        let mut arguments = call.arguments(settings);
        arguments.push(format!(
            "--remap-path-prefix={}={CELL_SOURCE_DIR}",
            self.session.display()
        ));
        arguments
    }

    /// The call for a set of dependencies, from this session or from the template.
    fn call(
        &mut self,
        key: &str,
        manifest: &Manifest,
        environment: &[(String, String)],
    ) -> Option<CompilerCall> {
        if !self.calls.contains_key(key) {
            let name = format!("{key}.json");
            let of_session = read_call(&self.session.join("calls").join(&name));
            let call = of_session.or_else(|| self.call_of_template(manifest, environment))?;
            self.calls.insert(key.to_owned(), call);
        }
        self.calls.get(key).cloned()
    }

    /// The template's calls count while the versions are the template's.
    fn call_of_template(
        &self,
        manifest: &Manifest,
        environment: &[(String, String)],
    ) -> Option<CompilerCall> {
        let template = home::template_dir();
        let versions = |dir: &Path| fs::read(dir.join("Cargo.lock")).ok();
        if versions(&template) != versions(&self.session) {
            return None;
        }
        let key = manifest.key(b"", environment);
        let call = read_call(&template.join("calls").join(format!("{key}.json")))?;
        Some(call.moved(&template, &self.session))
    }

    /// Lets the real cargo build, and writes down how it calls the compiler.
    fn through_cargo(
        &mut self,
        request: &Request,
        key: &str,
        settings: &Settings,
    ) -> anyhow::Result<Outcome> {
        let record = self.session.join("calls").join(format!("{key}.json"));
        fs::create_dir_all(self.session.join("calls"))?;
        let _ = fs::remove_file(&record);
        let links = home::links_dir();
        let path = request.environment.iter().find(|(name, _)| name == "PATH");
        let path = stand_in::path_without_links(path.map_or("", |(_, path)| path).as_ref());
        let cargo = std::env::split_paths(&path)
            .map(|dir| dir.join("cargo"))
            .find(|program| program.is_file())
            .ok_or_else(|| anyhow::anyhow!("cargo is not on PATH"))?;
        let mut cargo = Command::new(cargo);
        // All crates are built, and a check would compile each of them once more for its own purposes, for half a minute.
        let arguments = request.arguments.iter().map(|argument| match &**argument {
            "check" => "build",
            other => other,
        });
        cargo
            .args(arguments)
            .current_dir(&self.session)
            .env_clear()
            .envs(request.environment.iter().cloned())
            .env("PATH", &path)
            .env("RUSTC_WRAPPER", stand_in::wrapper_path(&links))
            .env(stand_in::RECORD, &record)
            .env(stand_in::SETTINGS, serde_json::to_string(settings)?);
        drivers::put_in(&mut cargo, &request.environment);
        let mut output = cargo.output()?;
        self.debug.rename(&mut output.stdout);
        // Cargo may have written the versions that it chose: the call belongs to these.
        let lock_file = fs::read(self.session.join("Cargo.lock")).unwrap_or_default();
        let manifest = Manifest::parse(&fs::read_to_string(self.session.join("Cargo.toml"))?);
        let key_now = manifest.key(&lock_file, &set_for_builds(&request.environment));
        self.calls.remove(key);
        if key_now != key && record.exists() {
            fs::rename(&record, record.with_file_name(format!("{key_now}.json")))?;
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let (messages, artifacts): (Vec<Value>, Vec<Value>) = json_lines(&output.stdout)
            .into_iter()
            .partition(|line| line["reason"] == "compiler-message");
        let mut outcome = Outcome {
            succeeded: output.status.success(),
            status: output.status.code().unwrap_or(101),
            messages,
            stdout: String::new(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for line in artifacts {
            outcome.stdout.push_str(&format!("{line}\n"));
        }
        for line in stdout.lines().filter(|line| !line.starts_with('{')) {
            outcome.stdout.push_str(&format!("{line}\n"));
        }
        Ok(outcome)
    }
}

impl Outcome {
    fn success(library: &Path, messages: Vec<Value>) -> Outcome {
        let artifact = json!({
            "reason": "compiler-artifact",
            "target": { "name": "ctx" },
            "filenames": [library],
        });
        Outcome {
            succeeded: true,
            status: 0,
            messages,
            stdout: format!("{artifact}\n"),
            stderr: String::new(),
        }
    }

    fn failure(output: &Output, messages: Vec<Value>) -> Outcome {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let others: Vec<&str> = stderr
            .lines()
            .filter(|line| !line.starts_with('{'))
            .collect();
        Outcome {
            succeeded: false,
            // As cargo ends; a compiler ended by a signal has no status.
            status: 101,
            messages,
            stdout: String::new(),
            stderr: others.join("\n"),
        }
    }

    /// Puts the messages before what else is printed, as cargo does.
    fn print(&mut self) {
        let mut text = String::new();
        for message in &self.messages {
            // rustc's own, or cargo's that wraps one.
            let line = match message.get("reason") {
                Some(_) => message.clone(),
                None => json!({ "reason": "compiler-message", "message": message }),
            };
            text.push_str(&format!("{line}\n"));
        }
        self.stdout.insert_str(0, &text);
    }
}

/// The file for the call that belongs to the Cargo.toml in this folder; the versions are not known
/// before the template is done.
fn record_file(records: &Path) -> std::io::Result<PathBuf> {
    fs::create_dir_all(records)?;
    let manifest = Manifest::parse(&fs::read_to_string("Cargo.toml")?);
    let key = manifest.key(b"", &[]);
    Ok(records.join(format!("{key}.json")))
}

fn read_call(file: &Path) -> Option<CompilerCall> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The library that a call makes.
fn library_of(call: &CompilerCall) -> anyhow::Result<PathBuf> {
    let dir = call
        .arguments
        .windows(2)
        .find(|pair| pair[0] == "--out-dir")
        .ok_or_else(|| anyhow::anyhow!("the compiler's call has no --out-dir"))?;
    Ok(Path::new(&dir[1]).join("libctx.so"))
}

/// The environment that the user has set for builds (`:build_env`), sorted: what is in a request's
/// but neither the kernel's own nor evcxr's and the linker wrapper's.
fn set_for_builds(environment: &[(String, String)]) -> Vec<(String, String)> {
    const OTHERS: [&str; 8] = [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
        "RUSTC",
        "LD_PRELOAD",
        "MOLD_PATH",
        "PWD",
        "OLDPWD",
        "_",
    ];
    let mut set: Vec<(String, String)> = environment
        .iter()
        .filter(|(name, _)| !name.starts_with("EVCXR_") && !OTHERS.contains(&name.as_str()))
        .filter(|(name, value)| {
            (name != "RUSTFLAGS" || value != "-Cprefer-dynamic")
                && std::env::var(name).as_ref() != Ok(value)
        })
        .cloned()
        .collect();
    set.sort();
    set
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        // rustc also names the files that it writes.
        .filter(|value| value.is_object() && value["$message_type"] != "artifact")
        .collect()
}
