//! The compiler's command for cells, as cargo gave it once, and what it depends on.
//!
//! Cargo looks at every dependency for each cell. For one set of dependencies it always calls rustc
//! in the same way, so that call is written down (`stand_in` sees it, being cargo's RUSTC_WRAPPER)
//! and repeated. The key of a call says everything that cargo would make it from.

use crate::engine::drivers;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The generated source of a cell, in the session's folder.
pub const CELL_SOURCE: &str = "src/lib.rs";

/// How cells are compiled; the same for cargo's call and for a repeated one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// Overflow checks and debug assertions.
    pub checks: bool,
    /// For the debugger: the source's name in the debug information, in place of `src/lib.rs`.
    #[serde(default)]
    pub debug: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            opt_level: "3".to_owned(),
            checks: false,
            debug: None,
        }
    }
}

impl Settings {
    /// The arguments that decide, being the last.
    fn arguments(&self) -> Vec<String> {
        let checks = if self.checks { "yes" } else { "no" };
        let debug = self.debug.as_ref().map(|_| "debuginfo=2".to_owned());
        [
            format!("opt-level={}", self.opt_level),
            format!("overflow-checks={checks}"),
            format!("debug-assertions={checks}"),
            // Statics are one over all cells, functions are not: a cell calls its own.
            "link-arg=-Wl,-Bsymbolic-functions".to_owned(),
        ]
        .into_iter()
        .chain(debug)
        .flat_map(|value| ["-C".to_owned(), value])
        .collect()
    }
}

/// One call of the compiler.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompilerCall {
    pub rustc: String,
    pub arguments: Vec<String>,
    /// What cargo adds to the environment.
    pub environment: BTreeMap<String, String>,
}

impl CompilerCall {
    /// A call as cargo's wrapper is asked for it, if it compiles a cell.
    pub fn of_cell(arguments: &[String]) -> Option<CompilerCall> {
        let (rustc, arguments) = arguments.split_first()?;
        let follows = |name: &str, value: &str| {
            arguments
                .windows(2)
                .any(|pair| pair[0] == name && pair[1] == value)
        };
        if !follows("--crate-name", "ctx") || !follows("--crate-type", "cdylib") {
            return None;
        }
        let environment = std::env::vars()
            .filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_MAKEFLAGS")
            .collect();
        Some(CompilerCall {
            rustc: rustc.clone(),
            arguments: arguments.to_vec(),
            environment,
        })
    }

    /// The arguments for a cell. Whatever the dependencies, the crate has one identity, so that a
    /// type of the user is the same type before and after a `:dep`.
    pub fn arguments(&self, settings: &Settings) -> Vec<String> {
        self.arguments
            .iter()
            .map(|argument| match argument.strip_prefix("metadata=") {
                Some(_) => "metadata=forkline".to_owned(),
                None => match &settings.debug {
                    Some(source) if argument == CELL_SOURCE => source.clone(),
                    _ => argument.clone(),
                },
            })
            .chain(settings.arguments())
            .collect()
    }

    /// The compiler with the call's environment, in a session's folder; the arguments are to be added. `environment` is
    /// evcxr's.
    pub fn command(&self, session: &Path, environment: &[(String, String)]) -> Command {
        let mut rustc = Command::new(&self.rustc);
        rustc
            .current_dir(session)
            .env_clear()
            .envs(environment.iter().cloned())
            .envs(&self.environment);
        drivers::put_in(&mut rustc, environment);
        rustc
    }

    /// The same call in another folder.
    pub fn moved(&self, from: &Path, to: &Path) -> CompilerCall {
        let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
        let text = |text: &String| text.replace(&*from, &to);
        CompilerCall {
            rustc: self.rustc.clone(),
            arguments: self.arguments.iter().map(text).collect(),
            environment: self
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        }
    }
}

/// The Cargo.toml that evcxr writes.
pub struct Manifest {
    /// Names and configurations of the dependencies, sorted.
    pub dependencies: Vec<(String, String)>,
    /// `:opt` as evcxr knows it.
    pub opt_level: String,
    rest: Vec<String>,
}

impl Manifest {
    pub fn parse(text: &str) -> Manifest {
        let mut manifest = Manifest {
            dependencies: Vec::new(),
            opt_level: "3".to_owned(),
            rest: Vec::new(),
        };
        let mut in_dependencies = false;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with('[') {
                in_dependencies = line == "[dependencies]";
            }
            match line.split_once('=') {
                Some((name, configuration)) if in_dependencies => manifest
                    .dependencies
                    .push((name.trim().to_owned(), configuration.trim().to_owned())),
                Some((name, level)) if name.trim() == "opt-level" => {
                    manifest.opt_level = level.trim().trim_matches('"').to_owned();
                }
                _ => manifest.rest.push(line.to_owned()),
            }
        }
        manifest.dependencies.sort();
        manifest
    }

    /// Whether cargo must be asked each time: the source of a dependency may change between cells.
    pub fn has_local_dependency(&self, prelude: &Path) -> bool {
        let prelude = prelude.to_string_lossy();
        self.dependencies.iter().any(|(name, configuration)| {
            configuration.contains("path")
                && !(name == "forkline" && configuration.contains(&*prelude))
        })
    }

    /// What cargo makes a call of the compiler from: this, the versions and its environment.
    pub fn key(&self, lock_file: &[u8], environment: &[(String, String)]) -> String {
        let mut hasher = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (name, configuration) in &self.dependencies {
            add(name.as_bytes());
            add(configuration.as_bytes());
        }
        for line in &self.rest {
            add(line.as_bytes());
        }
        add(lock_file);
        for (name, value) in environment {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        hex(hasher)
    }
}

/// A digest in hexadecimal digits.
pub fn hex(hasher: Sha256) -> String {
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "\n[package]\nname = \"ctx\"\n[profile.dev]\nopt-level = 2\n\n[dependencies]\n\
                        b = \"1\"\na = { path = \"/p/prelude\" }\n";

    #[test]
    fn the_order_of_dependencies_and_the_level_do_not_count() {
        let one = Manifest::parse(TOML);
        let other = TOML
            .replace("b = \"1\"\n", "")
            .replace("opt-level = 2", "opt-level = 0")
            + "b = \"1\"\n";
        let other = Manifest::parse(&other);
        assert_eq!(
            (one.opt_level.as_str(), other.opt_level.as_str()),
            ("2", "0")
        );
        assert_eq!(one.key(b"", &[]), other.key(b"", &[]));
        assert_ne!(one.key(b"", &[]), other.key(b"lock", &[]));
        let newer = Manifest::parse(&TOML.replace("\"1\"", "\"2\""));
        assert_ne!(one.key(b"", &[]), newer.key(b"", &[]));
    }

    #[test]
    fn only_the_prelude_may_be_local() {
        let toml = TOML.replace("a = ", "forkline = ");
        assert!(!Manifest::parse(&toml).has_local_dependency(Path::new("/p/prelude")));
        assert!(Manifest::parse(TOML).has_local_dependency(Path::new("/p/prelude")));
    }

    #[test]
    fn settings_come_last_and_the_identity_is_one() {
        let call = CompilerCall {
            rustc: "rustc".to_owned(),
            arguments: ["-C", "opt-level=1", "-C", "metadata=123"]
                .map(str::to_owned)
                .to_vec(),
            environment: BTreeMap::new(),
        };
        let arguments = call.arguments(&Settings::default());
        assert_eq!(arguments[3], "metadata=forkline");
        let last = arguments
            .iter()
            .rposition(|argument| argument.starts_with("opt-level"));
        assert_eq!(arguments[last.unwrap()], "opt-level=3");
    }
}
