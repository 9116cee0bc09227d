//! Where the pieces of an installation lie, and where the programs are that it names.

use super::{InstallOptions, Target, three_parts};
use crate::home;
use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the pieces of one installation lie.
pub(super) struct Places {
    pub(super) binary: PathBuf,
    pub(super) kernelspec: PathBuf,
    /// A link on the user's `PATH`, for a `--user` install.
    pub(super) link: Option<PathBuf>,
}

impl Places {
    pub(super) fn of(options: &InstallOptions) -> Result<Self> {
        let prefix = match &options.target {
            Target::User => return Self::of_user(&options.name),
            Target::Prefix(dir) => std::path::absolute(dir)
                .with_context(|| format!("--prefix {}: not a path", dir.display()))?,
            Target::SysPrefix => python_prefix()?,
        };
        Ok(Self {
            binary: prefix.join("bin/forkline"),
            kernelspec: prefix.join("share/jupyter/kernels").join(&options.name),
            link: None,
        })
    }

    fn of_user(name: &str) -> Result<Self> {
        let variable = |name: &str| std::env::var_os(name);
        let jupyter = jupyter_data_dir(variable).ok_or_else(|| {
            three_parts(
                "forkline install --user: no home folder",
                "neither HOME nor JUPYTER_DATA_DIR is set",
                "forkline install --prefix DIR",
            )
        })?;
        Ok(Self {
            binary: home::user_bin(),
            kernelspec: jupyter.join("kernels").join(name),
            link: variable("HOME").map(|home| Path::new(&home).join(".local/bin/forkline")),
        })
    }
}

fn python_prefix() -> Result<PathBuf> {
    let failed = |why: &str| {
        three_parts(
            "forkline install --sys-prefix: python3 does not tell its prefix",
            why,
            "forkline install --prefix DIR, or forkline install --user",
        )
    };
    let output = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.prefix)"])
        .output()
        .map_err(|error| failed(&format!("python3 did not start: {error}")))?;
    let prefix = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || prefix.is_empty() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().last().unwrap_or("it printed nothing");
        return Err(failed(last));
    }
    Ok(PathBuf::from(prefix))
}

/// The folder that holds `cargo`: the first on `PATH`, else the one that rustup makes.
///
/// Inside a session the first `cargo` on `PATH` is a stand-in of the kernel's own, so what an
/// earlier install wrote into the kernelspec comes first. The folder is not resolved any further:
/// rustup's `cargo` is a link to a proxy that goes by the name under which it was called.
pub fn cargo_bin_dir() -> Option<PathBuf> {
    let recorded = std::env::var_os("FORKLINE_CARGO_BIN").map(PathBuf::from);
    let on_path = on_path("cargo").and_then(|cargo| cargo.parent().map(Path::to_path_buf));
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .map(|dir| dir.join("bin"));
    [recorded, on_path, cargo_home]
        .into_iter()
        .flatten()
        .find(|dir| is_executable(&dir.join("cargo")))
        .and_then(|dir| std::path::absolute(dir).ok())
}

/// The first executable file of that name on `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    executable_in(&std::env::var_os("PATH")?, program)
}

/// The first executable file of that name in a list of folders, which is written as `PATH` is.
pub fn executable_in(path: &OsStr, program: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

/// The user's Jupyter data folder, by Jupyter's own rules; `variable` looks up the environment.
pub fn jupyter_data_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(dir) = set("JUPYTER_DATA_DIR") {
        return Some(PathBuf::from(dir));
    }
    let home = set("HOME").map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return home.map(|home| home.join("Library/Jupyter"));
    }
    set("XDG_DATA_HOME")
        .map(|base| PathBuf::from(base).join("jupyter"))
        .or_else(|| home.map(|home| home.join(".local/share/jupyter")))
}

pub(super) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
