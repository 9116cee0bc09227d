//! Where NVRTC and nvcc may lie: the loader's folders, a toolkit, the packages of Python.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Names NVRTC's file; then no other is tried.
pub const OVERRIDE: &str = "FORKLINE_NVRTC";

/// The newest first. The plain name belongs to a toolkit for developers, of any version.
const NAMES: [&str; 4] = [
    "libnvrtc.so.13",
    "libnvrtc.so.12",
    "libnvrtc.so.11.2",
    "libnvrtc.so",
];

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Folders of toolkits: those that are named, then those of NVIDIA's and of distributions' packages.
fn toolkits() -> impl Iterator<Item = PathBuf> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(variable);
    named.chain(["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from))
}

/// The folders in `dir` whose names begin so, in order.
fn folders(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// Where pip puts NVIDIA's libraries below a prefix of Python.
fn wheels(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for python in folders(&prefix.join("lib"), "python3") {
        for packages in ["site-packages", "dist-packages"] {
            for wheel in folders(&python.join(packages).join("nvidia"), "") {
                found.push(wheel.join("lib"));
            }
        }
    }
    found
}

/// Prefixes under which a Python may have packages: those that are active, the Jupyter that `install.sh` made, the user's
/// own, those of the programs on PATH.
fn prefixes() -> Vec<PathBuf> {
    let home = variable("HOME");
    let data = variable("FORKLINE_HOME")
        .or_else(|| Some(variable("XDG_DATA_HOME")?.join("forkline")))
        .or_else(|| Some(home.as_ref()?.join(".local/share/forkline")));
    let mut found: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(variable)
        .chain(data.map(|data| data.join("venv")))
        .chain(home.map(|home| home.join(".local")))
        .collect();
    let path = env::var_os("PATH").unwrap_or_default();
    for bin in env::split_paths(&path).filter(|dir| dir.ends_with("bin")) {
        if let Some(prefix) = bin.parent() {
            found.push(prefix.to_owned());
        }
    }
    found
}

/// Files that may be NVRTC, in the order in which they are to be tried. A name without a folder is the loader's to find.
pub fn libraries() -> Vec<PathBuf> {
    if let Some(file) = variable(OVERRIDE) {
        return vec![file];
    }
    let mut dirs: Vec<PathBuf> = toolkits().map(|dir| dir.join("lib64")).collect();
    dirs.extend(variable("CONDA_PREFIX").map(|dir| dir.join("lib")));
    dirs.extend(prefixes().iter().flat_map(|prefix| wheels(prefix)));
    let mut found: Vec<PathBuf> = NAMES.map(PathBuf::from).into();
    for file in dirs.iter().flat_map(|dir| NAMES.map(|name| dir.join(name))) {
        if file.exists() && !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// The program nvcc: on PATH, or a toolkit's.
pub fn nvcc() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(toolkits().map(|dir| dir.join("bin")))
        .map(|dir| dir.join("nvcc"))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_of_any_python_and_any_release_are_found() {
        let prefix = env::temp_dir().join(format!("forkline-places-{}", std::process::id()));
        let wanted = [
            "lib/python3.11/site-packages/nvidia/cu13/lib",
            "lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib",
            "lib/python3.9/dist-packages/nvidia/cuda_nvrtc/lib",
        ]
        .map(|dir| prefix.join(dir));
        for dir in &wanted {
            fs::create_dir_all(dir).unwrap();
        }
        fs::create_dir_all(prefix.join("lib/ruby/site-packages/nvidia/cuda_nvrtc/lib")).unwrap();
        assert_eq!(wheels(&prefix), wanted);
        fs::remove_dir_all(prefix).unwrap();
    }
}
