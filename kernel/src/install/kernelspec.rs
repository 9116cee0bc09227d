//! `kernel.json`, by which Jupyter starts the kernel: its text, and what can be read from one.

use super::three_parts;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the toolchain and forkline's data lie, for those who moved them by these variables.
const FOLDERS: [&str; 3] = ["FORKLINE_HOME", "CARGO_HOME", "RUSTUP_HOME"];

/// Those of [`FOLDERS`] that are set here.
pub(super) fn moved_folders() -> Vec<(&'static str, OsString)> {
    FOLDERS
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// The text of `kernel.json`.
///
/// A desktop program starts kernels without the user's shell profile, so the toolchain's folder is
/// written down; so is every one of [`FOLDERS`] that is not the usual one.
pub(super) fn text(
    binary: &Path,
    display_name: &str,
    toolchain: &Path,
    folders: &[(&str, OsString)],
) -> Result<String> {
    let utf8 = |path: &OsStr| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            three_parts(
                &format!("{}: the path is not UTF-8", Path::new(path).display()),
                "kernel.json is UTF-8 and has to name this path",
                "install under another path: forkline install --prefix DIR",
            )
        })
    };
    let mut env = json!({ "FORKLINE_CARGO_BIN": utf8(toolchain.as_os_str())? });
    for (name, dir) in folders {
        let dir = std::path::absolute(dir).with_context(|| format!("{name}: not a path"))?;
        env[*name] = Value::String(utf8(dir.as_os_str())?);
    }
    let spec = json!({
        "argv": [utf8(binary.as_os_str())?, "kernel", "-f", "{connection_file}"],
        "display_name": display_name,
        "language": "rust",
        "interrupt_mode": "message",
        "env": env,
        "metadata": { "supported_encryption": ["curve"], "debugger": crate::session::has_debugger() },
    });
    Ok(serde_json::to_string_pretty(&spec)? + "\n")
}

/// The binary that the kernelspec in this folder starts, if there is one.
pub fn binary_of(kernelspec: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(kernelspec.join("kernel.json")).ok()?;
    let spec: Value = serde_json::from_str(&text).ok()?;
    Some(PathBuf::from(spec["argv"][0].as_str()?))
}
