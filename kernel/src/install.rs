//! `forkline install` and `forkline uninstall`: the binary and its kernelspec, where Jupyter looks.
//!
//! What the machine lacks is told by `doctor`; the workspace of the prelude is built by
//! `forkline template`. Here only files are put in place.
//!
//! What always holds:
//! * every file appears whole or not at all (written beside its place, then renamed), so that a
//!   running kernel and a Jupyter that reads at this moment are not disturbed;
//! * a second `install` changes nothing that is already as it should be, and says so;
//! * `uninstall` takes away only what names forkline.
//!
//! * `places`       where the pieces lie: the data folder, a prefix, a virtual environment
//! * `kernelspec`   the text of `kernel.json`, written and read
//! * `files`        files put in place and taken away

mod files;
mod kernelspec;
mod places;
#[cfg(test)]
mod tests;

pub use kernelspec::binary_of;
pub use places::{cargo_bin_dir, executable_in, jupyter_data_dir, on_path};

use crate::home;
use anyhow::{Context, Result, anyhow};
use places::Places;
use std::ffi::OsString;
use std::path::PathBuf;

/// The name under which Jupyter knows the kernel, unless `--name` says otherwise.
pub const DEFAULT_NAME: &str = "forkline";
/// What a front end shows in its launcher, unless `--display-name` says otherwise.
pub const DEFAULT_DISPLAY_NAME: &str = "Rust (forkline)";

const HELP: &str = "\
Usage: forkline install [OPTIONS]
       forkline uninstall [OPTIONS]

Puts the kernel where Jupyter finds it, or takes it away again.

Where (the last one given counts):
  --user               for the current user (this is the default)
  --prefix DIR         DIR/bin/forkline and DIR/share/jupyter/kernels
  --sys-prefix         the prefix of the Python that `python3` starts: its virtual environment

How it is called:
  --name NAME          the kernel's name for Jupyter              (default: forkline)
  --display-name TEXT  the name that the launcher shows           (default: Rust (forkline))
  --help               this text
";

/// What to install, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallOptions {
    pub target: Target,
    pub name: String,
    pub display_name: String,
}

/// For whom the kernel is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The current user.
    User,
    /// Everything that uses this prefix, such as a virtual environment or `/usr/local`.
    Prefix(PathBuf),
    /// The prefix of the Python on `PATH`.
    SysPrefix,
}

impl Default for InstallOptions {
    fn default() -> Self {
        Self {
            target: Target::User,
            name: DEFAULT_NAME.to_owned(),
            display_name: DEFAULT_DISPLAY_NAME.to_owned(),
        }
    }
}

/// Reads the arguments that follow `install` or `uninstall`.
///
/// `--help` prints the help and ends the process.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<InstallOptions> {
    use lexopt::prelude::*;

    let mut options = InstallOptions::default();
    let mut parser = lexopt::Parser::from_args(args);
    let usage = |error: lexopt::Error| {
        three_parts(
            &format!("forkline install: {error}"),
            "the options are --user, --prefix DIR, --sys-prefix, --name, --display-name",
            "forkline install --help",
        )
    };
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("user") => options.target = Target::User,
            Long("prefix") => {
                let dir = PathBuf::from(parser.value().map_err(usage)?);
                options.target = Target::Prefix(dir);
            }
            Long("sys-prefix") => options.target = Target::SysPrefix,
            Long("name") => {
                options.name = parser.value().and_then(|v| v.string()).map_err(usage)?;
            }
            Long("display-name") => {
                options.display_name = parser.value().and_then(|v| v.string()).map_err(usage)?;
            }
            Long("help") | Short('h') => {
                print!("{HELP}");
                std::process::exit(0);
            }
            other => return Err(usage(other.unexpected())),
        }
    }
    check_name(&options.name)?;
    Ok(options)
}

/// Installs the running binary as a Jupyter kernel; the lines say what was written.
pub fn install(options: &InstallOptions) -> Result<Vec<String>> {
    let places = Places::of(options)?;
    let running = std::env::current_exe().context("forkline install: cannot find itself")?;
    let toolchain = cargo_bin_dir().ok_or_else(|| {
        three_parts(
            "forkline install: no cargo found",
            "looked on PATH and in the bin folder of CARGO_HOME; cells are compiled with it",
            "install Rust (https://rustup.rs), then run forkline install again",
        )
    })?;
    let folders = kernelspec::moved_folders();
    let spec = kernelspec::text(&places.binary, &options.display_name, &toolchain, &folders)?;
    files::put(&places, &running, &spec)
}

/// Takes the kernel away again; the lines say what was removed and what was left.
pub fn uninstall(options: &InstallOptions) -> Result<Vec<String>> {
    let places = Places::of(options)?;
    let mut lines = files::take(&places)?;
    if options.target == Target::User {
        let data = home::data_dir();
        if data.exists() {
            lines.push(format!(
                "kept      {} (prelude, history); to remove it too: rm -r '{}'",
                data.display(),
                data.display()
            ));
        }
    }
    Ok(lines)
}

/// An error in the three parts that every message of forkline has.
fn three_parts(what: &str, why: &str, cure: &str) -> anyhow::Error {
    anyhow!("{what}\nwhy: {why}\ndo:  {cure}")
}

/// Jupyter ignores a kernel whose folder has any other character in its name.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(fits) {
        return Ok(());
    }
    Err(three_parts(
        &format!("--name {name:?}: Jupyter would not find a kernel of this name"),
        "a kernel's name has letters, digits, '.', '_' and '-' only, and does not begin with '.'",
        "forkline install --name forkline    (what people see is --display-name)",
    ))
}
