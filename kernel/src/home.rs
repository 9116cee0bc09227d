//! Where forkline keeps its files, and nothing else: every path is made here.
//!
//! All of it lies under one folder of the user, `$FORKLINE_HOME` if set, else
//! `$XDG_DATA_HOME/forkline`, else `~/.local/share/forkline`:
//!
//! ```text
//! bin/forkline        the installed kernel binary (a `--user` install)
//! venv/               a Jupyter of forkline's own, if install.sh found none
//! history.sqlite      what was typed, kept between sessions
//! <version>/prelude   the sources of the prelude, so that the clone can be deleted
//! <version>/template  the workspace with the prelude built, taken over by each session
//! <version>/sessions  one folder for each running kernel
//! <version>/rust-src  the part of the standard library's sources that cells can use
//! <version>/cells     cells compiled before
//! <version>/shuttle   the crate that `%%shuttle` compiles against, once it was used
//! <version>/plugins   the MPI plugin, if the machine has an MPI library
//! <version>/links     this program under the names of the tools that evcxr calls
//! ```
//!
//! Sockets, which need short paths, lie in the system's folder for what is temporary.

use std::path::PathBuf;

/// The folder under which everything else lies.
///
/// If neither a home nor an override is known, or the folder cannot be made, the system's
/// temporary folder serves, so that a kernel starts with a read-only home too.
pub fn data_dir() -> PathBuf {
    let wanted = std::env::var_os("FORKLINE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("XDG_DATA_HOME")
                .filter(|value| !value.is_empty())
                .map(|base| PathBuf::from(base).join("forkline"))
        })
        .or_else(|| {
            std::env::var_os("HOME")
                .filter(|value| !value.is_empty())
                .map(|home| PathBuf::from(home).join(".local/share/forkline"))
        });
    if let Some(dir) = wanted
        && std::fs::create_dir_all(&dir).is_ok()
        && is_writable(&dir)
    {
        return dir;
    }
    std::env::temp_dir().join(format!("forkline-{}", user_id()))
}

/// The folder of this version of forkline.
pub fn version_dir() -> PathBuf {
    data_dir().join(env!("CARGO_PKG_VERSION"))
}

/// Where a `--user` install puts the binary.
pub fn user_bin() -> PathBuf {
    data_dir().join("bin/forkline")
}

/// The database of typed cells.
pub fn history_file() -> PathBuf {
    data_dir().join("history.sqlite")
}

/// The sources of the prelude.
pub fn prelude_dir() -> PathBuf {
    version_dir().join("prelude")
}

/// The workspace in which the prelude is built once.
pub fn template_dir() -> PathBuf {
    version_dir().join("template")
}

/// The parent of the sessions' folders.
pub fn sessions_dir() -> PathBuf {
    version_dir().join("sessions")
}

/// The sources of the standard library for rust-analyzer.
pub fn rust_source_dir() -> PathBuf {
    version_dir().join("rust-src")
}

/// Cells compiled before, for all sessions.
pub fn cells_dir() -> PathBuf {
    version_dir().join("cells")
}

/// What the prelude opens at first use only.
pub fn plugins_dir() -> PathBuf {
    version_dir().join("plugins")
}

/// Crates that are compiled for all sessions, beside the prelude.
pub fn packs_dir() -> PathBuf {
    version_dir().join("packs")
}

/// Linker scripts that lead to the drivers of this machine.
pub fn drivers_dir() -> PathBuf {
    version_dir().join("drivers")
}

/// This program under the names of tools; first on the PATH of what builds cells.
pub fn links_dir() -> PathBuf {
    version_dir().join("links")
}

/// The parent of folders with sockets. A socket's path has about 100 bytes; a deep TMPDIR leaves no room.
pub fn sockets_base() -> PathBuf {
    let base = std::env::temp_dir();
    match base.as_os_str().len() {
        0..=60 => base,
        _ => PathBuf::from("/tmp"),
    }
}

/// The sockets of analyzers, which all kernels of a user share. (Folders that begin with `forkline-` are those of kernels.)
pub fn analyzers_dir() -> PathBuf {
    sockets_base().join(format!(".forkline-{}", user_id()))
}

/// The user as whom this process acts.
pub fn user_id() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

fn is_writable(dir: &std::path::Path) -> bool {
    let Ok(path) = std::ffi::CString::new(dir.as_os_str().as_encoded_bytes()) else {
        return false;
    };
    // SAFETY: `path` is a valid, NUL-terminated string that outlives the call.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}
