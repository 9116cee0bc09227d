//! The MPI plugin: built at install where there is an MPI library, opened by the prelude at first use.
//!
//! Its sources are the folder `mpi` of the prelude's. It belongs to the MPI library whose `mpicc` is first on PATH, Open MPI
//! or MPICH; where another one is there, it is built again.
//!
//! What always holds: without MPI, and also if the plugin does not build, everything else works. A kernel that starts
//! never builds it.

use super::template;
use crate::home;
use anyhow::Context as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The plugin's library, which the prelude looks for by this name.
const LIBRARY: &str = "libforkline_mpi.so";
/// The file that says what the plugin was built from.
const RECORD: &str = "mpi.txt";

/// What the plugin is.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// Built for the MPI library that is there.
    Ready,
    /// There is no `mpicc`.
    NoMpi,
    /// Not built, or from something else than what is there now.
    Outdated,
}

fn library() -> PathBuf {
    home::plugins_dir().join(LIBRARY)
}

/// What the plugin is built from, as text; none without `mpicc`.
fn ingredients() -> Option<String> {
    // Both say what they would call, with the library's folders: Open MPI and MPICH know `-show`.
    let shown = Command::new("mpicc")
        .arg("-show")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let rustc = Command::new("rustc").arg("-vV").output().ok()?;
    Some(format!(
        "{}{}{}\n",
        String::from_utf8_lossy(&shown.stdout),
        String::from_utf8_lossy(&rustc.stdout),
        template::plugin_digest(),
    ))
}

/// Whether the plugin can be used.
pub fn state() -> State {
    let Some(wanted) = ingredients() else {
        return State::NoMpi;
    };
    let found = fs::read_to_string(home::plugins_dir().join(RECORD)).unwrap_or_default();
    if found == wanted && library().exists() {
        State::Ready
    } else {
        State::Outdated
    }
}

/// Builds the plugin if there is an MPI library and the plugin is not up to date; says what it does. The prelude's sources
/// are in place already.
///
/// # Errors
/// It does not build: no libclang, no network. What is there stays as it is.
pub fn ensure(rebuild: bool, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let Some(wanted) = ingredients() else {
        progress(
            "no mpicc, so no MPI in cells; for ranks: sudo apt install openmpi-bin libopenmpi-dev libclang-dev, \
             then forkline template",
        );
        return Ok(());
    };
    let dir = home::plugins_dir();
    fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let _lock = template::Lock::wait(&dir.join("mpi.lock"))?;
    if !rebuild && state() == State::Ready {
        return Ok(());
    }
    progress("building the MPI plugin, once for all sessions (a minute on 2 cores)");
    let target = dir.join("build");
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet"])
        .arg("--manifest-path")
        .arg(home::prelude_dir().join("mpi/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // The folders of forkline have a configuration of cargo for cells, which is of no use here, and no harm.
        .current_dir(&dir)
        .stdin(Stdio::null())
        .status()
        .context("cargo cannot be started")?;
    anyhow::ensure!(
        status.success(),
        "the MPI plugin could not be built ({status}); everything but MPI works\n\
         why: the messages above say; most often libclang is missing\n\
         do:  sudo apt install libopenmpi-dev libclang-dev, then forkline template"
    );
    // Under another name first: a rank may have the old one open, and must not see it change.
    let built = target.join("release").join(LIBRARY);
    let new = dir.join("new.so");
    fs::copy(&built, &new).with_context(|| format!("{} was not built", built.display()))?;
    fs::rename(&new, library())?;
    fs::write(dir.join(RECORD), wanted)?;
    // 150 MB that nobody needs again.
    let _a_rest_does_no_harm = fs::remove_dir_all(&target);
    Ok(())
}
