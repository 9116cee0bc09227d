//! Programs of tests: a source compiled by rustc's own test harness, with the arguments of a cell.
//!
//! A cell is a library and has the prelude and the session's dependencies; a program of tests has the same,
//! because it is compiled by the same call of the compiler, in which only the kind of the result differs. The
//! call is known once a cell has been compiled, and every session has compiled one: the import of the prelude.

use super::command::CELL_SOURCE;
use super::{Driver, Manifest, Settings, json_lines, set_for_builds};
use crate::engine::lock;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// What is compiled into a program.
pub struct Harness<'a> {
    /// The source, as the compiler is to name it: a path, absolute or in the session's folder.
    pub source: &'a str,
    pub crate_name: &'a str,
    pub program: &'a Path,
    pub settings: Settings,
    /// `#[test]` functions are what it runs; otherwise it has a `main` of its own.
    pub is_tests: bool,
    /// Further arguments of the compiler.
    pub more: Vec<String>,
}

/// How that ended.
pub enum Built {
    Program,
    /// The compiler's messages, as it writes them in JSON.
    Failed(Vec<Value>),
}

impl Driver {
    /// The generated source of the last cell that compiled, as evcxr wrote it: all that the session defines.
    pub fn last_source(&self) -> Option<String> {
        lock(&self.shared)
            .last
            .as_ref()
            .map(|last| last.source.clone())
    }

    /// Compiles a program.
    ///
    /// # Errors
    /// No cell has been compiled in a way that could be repeated, or the compiler cannot be started.
    pub fn build_harness(&self, harness: &Harness<'_>) -> anyhow::Result<Built> {
        // The lock is not held while the compiler runs: the next cell's cargo may ask already.
        let (call, environment, session) = {
            let mut state = lock(&self.shared);
            let environment = state.last.as_ref().map(|last| last.environment.clone());
            let environment =
                environment.ok_or_else(|| anyhow::anyhow!("no cell has been compiled yet"))?;
            let session = state.session.clone();
            let manifest = Manifest::parse(&fs::read_to_string(session.join("Cargo.toml"))?);
            let lock_file = fs::read(session.join("Cargo.lock")).unwrap_or_default();
            let set = set_for_builds(&environment);
            let key = manifest.key(&lock_file, &set);
            let call = state.call(&key, &manifest, &set).ok_or_else(|| {
                anyhow::anyhow!("the compiler's call for this session's dependencies is not known")
            })?;
            (call, environment, session)
        };
        let mut arguments = Vec::new();
        let mut all = call.arguments(&harness.settings).into_iter();
        while let Some(argument) = all.next() {
            match argument.as_str() {
                "--crate-type" | "--out-dir" => {
                    all.next();
                }
                "--crate-name" => {
                    all.next();
                    arguments.extend([argument, harness.crate_name.to_owned()]);
                }
                CELL_SOURCE => arguments.push(harness.source.to_owned()),
                _ if argument.starts_with("--emit=") => arguments.push("--emit=link".to_owned()),
                _ => arguments.push(argument),
            }
        }
        if harness.is_tests {
            arguments.push("--test".to_owned());
        }
        arguments.extend(["-C", "debuginfo=0", "-o"].map(str::to_owned));
        arguments.push(harness.program.display().to_string());
        arguments.extend(harness.more.iter().cloned());
        let output = call
            .command(&session, &environment)
            .args(&arguments)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(Built::Program);
        }
        let mut messages = json_lines(&output.stderr);
        if messages.is_empty() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            messages.push(serde_json::json!({ "level": "error", "message": text }));
        }
        Ok(Built::Failed(messages))
    }
}

/// What is known of the last cell that compiled.
pub(super) struct Last {
    source: String,
    environment: Vec<(String, String)>,
}

impl Last {
    pub(super) fn new(source: &str, environment: &[(String, String)]) -> Last {
        Last {
            source: source.to_owned(),
            environment: environment.to_vec(),
        }
    }
}
