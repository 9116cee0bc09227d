//! The MPI plugin: built at install where there is an MPI library, opened by the prelude at first use.
//!
//! Its sources are the folder `mpi` of the prelude's. It belongs to the MPI library whose `mpicc` is first on PATH, Open MPI
//! or MPICH; where another one is there, it is built again.
//!
//! What always holds: without MPI, and also if the plugin does not build, everything else works. A kernel that starts
//! never builds it.

use super::plugins::{self, Plugin};
use super::template;
use std::process::{Command, Stdio};

const PLUGIN: Plugin = Plugin {
    library: "libforkline_mpi.so",
    record: "mpi.txt",
};

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

/// What the plugin is built from, as text; none without `mpicc`.
fn ingredients() -> Option<String> {
    // Both say what they would call, with the library's folders: Open MPI and MPICH know `-show`.
    let shown = Command::new("mpicc")
        .arg("-show")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(format!(
        "{}{}{}\n",
        String::from_utf8_lossy(&shown.stdout),
        plugins::rustc()?,
        // The interface is a file of both.
        template::digest_of(|name| name.starts_with("mpi/") || name == "src/mpi/table.rs"),
    ))
}

/// Whether the plugin can be used.
pub fn state() -> State {
    match ingredients() {
        None => State::NoMpi,
        Some(wanted) if PLUGIN.is_built_from(&wanted) => State::Ready,
        Some(_) => State::Outdated,
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
    let _lock = plugins::lock("mpi")?;
    if !rebuild && state() == State::Ready {
        return Ok(());
    }
    progress("building the MPI plugin, once for all sessions (a minute on 2 cores)");
    let status = plugins::build("mpi", &[PLUGIN], &wanted, |_| {})?;
    anyhow::ensure!(
        status.success(),
        "the MPI plugin could not be built ({status}); everything but MPI works\n\
         why: the messages above say; most often libclang is missing\n\
         do:  sudo apt install libopenmpi-dev libclang-dev, then forkline template"
    );
    Ok(())
}
