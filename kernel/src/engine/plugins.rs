//! What the plugins have in common: libraries that the prelude opens at first use, built apart from it.
//!
//! What always holds: a plugin counts as built only for the sources and the tools that its record names; a library that is
//! replaced is never written into, because another process may have it open; what cargo needed is gone afterwards.

use super::template;
use crate::home;
use anyhow::Context as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// A plugin's files, below [`home::plugins_dir`].
pub(super) struct Plugin {
    /// The library, which the prelude looks for by this name.
    pub library: &'static str,
    /// Says what the library was built from.
    pub record: &'static str,
}

impl Plugin {
    /// Whether it is there, built from `wanted`.
    pub fn is_built_from(&self, wanted: &str) -> bool {
        let dir = home::plugins_dir();
        let found = fs::read_to_string(dir.join(self.record)).unwrap_or_default();
        found == wanted && dir.join(self.library).exists()
    }

    /// Takes over what cargo has built from `wanted`.
    fn put(&self, built: &Path, wanted: &str) -> anyhow::Result<()> {
        let dir = home::plugins_dir();
        // Under another name first: a process may have the old one open, and must not see it change.
        let new = dir.join(format!("new-{}", self.library));
        fs::copy(built, &new).with_context(|| format!("{} was not built", built.display()))?;
        fs::rename(&new, dir.join(self.library))?;
        fs::write(dir.join(self.record), wanted)?;
        Ok(())
    }
}

/// What rustc says of itself; none without it.
pub(super) fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Only one process builds the plugins of a name; the others wait for it here.
///
/// # Errors
/// The folder cannot be written to.
pub(super) fn lock(name: &str) -> anyhow::Result<template::Lock> {
    let dir = home::plugins_dir();
    fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    template::Lock::wait(&dir.join(format!("{name}.lock")))
}

/// Builds the workspace in a folder of the prelude's sources, which are in place already, and takes over those of `plugins`
/// that were built from `wanted`. The result is cargo's.
///
/// # Errors
/// cargo cannot be started, or the disk is full.
pub(super) fn build(
    folder: &str,
    plugins: &[Plugin],
    wanted: &str,
    configure: impl FnOnce(&mut Command),
) -> anyhow::Result<ExitStatus> {
    let dir = home::plugins_dir();
    let target = dir.join(format!("build-{folder}"));
    let built = |plugin: &Plugin| target.join("release").join(plugin.library);
    for plugin in plugins {
        // A build that was killed may have left one of other sources.
        let _most_often_there_is_none = fs::remove_file(built(plugin));
    }
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--quiet"])
        .arg("--manifest-path")
        .arg(home::prelude_dir().join(folder).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // The folders of forkline have a configuration of cargo for cells, which is of no use here, and no harm.
        .current_dir(&dir)
        .stdin(Stdio::null());
    configure(&mut cargo);
    let status = cargo.status().context("cargo cannot be started")?;
    for plugin in plugins {
        let built = built(plugin);
        if status.success() || built.exists() {
            plugin.put(&built, wanted)?;
        }
    }
    // Many megabytes that nobody needs again.
    let _a_rest_does_no_harm = fs::remove_dir_all(&target);
    Ok(status)
}
