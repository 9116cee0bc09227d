//! Questions to the machine: a program's version, a library, the folders of Jupyter and OpenCL.
//!
//! What always holds: nothing is changed, and a program that hangs is ended after [`LIMIT`].

use crate::engine::drivers;
use crate::{home, install};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a program may take to tell its version.
const LIMIT: Duration = Duration::from_secs(5);

/// What became of a question to another program.
pub(super) enum Answer {
    /// It ended well; what it printed.
    Text(String),
    /// It ended with an error.
    Failed,
    NoProgram,
    TooSlow,
}

pub(super) fn ask<'a>(program: &Path, args: impl IntoIterator<Item = &'a str>) -> Answer {
    ask_within(LIMIT, program, args)
}

fn ask_within<'a>(
    limit: Duration,
    program: &Path,
    args: impl IntoIterator<Item = &'a str>,
) -> Answer {
    let started = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        return Answer::NoProgram;
    };
    let deadline = Instant::now() + limit;
    // The pipe is read on a thread of its own: a program that prints a lot would wait for us, and
    // a grandchild that outlives it would keep the pipe open for longer than the limit.
    let mut pipe = child.stdout.take().expect("stdout is piped");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Answer::TooSlow;
            }
        }
    };
    if !status.success() {
        return Answer::Failed;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    match receiver.recv_timeout(left) {
        Ok(bytes) => Answer::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Answer::TooSlow,
    }
}

/// The first line that is not empty of what a program prints, if it ends well and in time.
pub(super) fn first_line(program: &Path, args: &[&str]) -> Option<String> {
    let Answer::Text(text) = ask(program, args.iter().copied()) else {
        return None;
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}

pub(super) fn program(name: &str) -> Option<PathBuf> {
    install::on_path(name)
}

/// A program of the toolchain with which cells are compiled.
pub(super) fn toolchain_program(name: &str) -> Option<PathBuf> {
    let beside_cargo = install::cargo_bin_dir().map(|dir| dir.join(name));
    beside_cargo
        .filter(|file| file.exists())
        .or_else(|| program(name))
}

/// The folders in which Jupyter looks for kernels, the user's own first.
pub(super) fn kernel_folders() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name);
    let from_variable = variable("JUPYTER_PATH").unwrap_or_default();
    let beside = |program: Option<PathBuf>| {
        let program = program?;
        let prefix = program.parent()?.parent()?;
        Some(prefix.join("share/jupyter"))
    };
    let own_jupyter = home::data_dir().join("venv/share/jupyter");
    let mut folders: Vec<PathBuf> = std::env::split_paths(&from_variable)
        .filter(|dir| !dir.as_os_str().is_empty())
        .chain(install::jupyter_data_dir(variable))
        .chain(variable("VIRTUAL_ENV").map(|dir| Path::new(&dir).join("share/jupyter")))
        .chain(beside(std::env::current_exe().ok()))
        .chain(beside(program("jupyter")))
        .chain([own_jupyter])
        .chain(["/usr/local/share/jupyter", "/usr/share/jupyter"].map(PathBuf::from))
        .map(|dir| dir.join("kernels"))
        .collect();
    folders.dedup();
    folders
}

/// Whether the dynamic linker knows this library.
pub(super) fn has_library(name: &str) -> bool {
    // A user's PATH on Debian does not have the folder of ldconfig.
    let ldconfig = program("ldconfig").unwrap_or_else(|| PathBuf::from("/sbin/ldconfig"));
    matches!(ask(&ldconfig, ["-p"]), Answer::Text(text) if lists_library(&text, name))
}

fn lists_library(ldconfig: &str, name: &str) -> bool {
    drivers::listed(ldconfig, name).is_some()
}

/// The OpenCL drivers that are registered here, by the names of their files.
pub(super) fn opencl_drivers(vendors: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(vendors)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("icd")))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The first word of a line that looks like a version, `1.95.0` in `rustc 1.95.0 (f2d3ce0bd …)`.
pub(super) fn version_in(line: &str) -> Option<String> {
    line.split_whitespace()
        .map(|word| {
            word.trim_start_matches(['v', '('])
                .trim_end_matches([',', ')', ';'])
        })
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

/// Compares versions number by number; what follows a `-` does not count.
pub(super) fn is_older(version: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let release = text.split(['-', '+']).next().unwrap_or_default();
        let numbers = release.split('.');
        numbers.map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(version) < numbers(wanted)
}

/// From `jupyter --version`: the versions that matter to us, and the packages that are not there.
pub(super) fn jupyter_parts(text: &str) -> (String, Vec<&'static str>) {
    const PARTS: [(&str, &str); 3] = [
        ("jupyterlab", "lab"),
        ("jupyter_client", "client"),
        ("nbconvert", "nbconvert"),
    ];
    let mut found = Vec::new();
    let mut lacking = Vec::new();
    for (package, label) in PARTS {
        let version = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim() == package)
            .and_then(|(_, version)| version_in(version));
        match version {
            Some(version) => found.push(format!("{label} {version}")),
            None => lacking.push(package),
        }
    }
    (found.join(", "), lacking)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (line, version) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", "1.95.0"),
            ("cargo 1.97.0-nightly (abc 2026-05-01)", "1.97.0-nightly"),
            ("mold 1.10.1 (compatible with GNU ld)", "1.10.1"),
            ("Debian LLD 14.0.6 (compatible with GNU linkers)", "14.0.6"),
            ("mpiexec (OpenRTE) 4.1.4", "4.1.4"),
            ("v20.20.2", "20.20.2"),
        ] {
            assert_eq!(version_in(line).as_deref(), Some(version));
        }
        assert_eq!(version_in("no version here"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(is_older("1.94.1", "1.95"));
        assert!(is_older("1.9.0", "1.95"));
        assert!(!is_older("1.95.0", "1.95"));
        assert!(!is_older("1.96.0-nightly", "1.95"));
        assert!(!is_older("2.0.0", "1.95"));
    }

    #[test]
    fn jupyter_names_what_it_lacks() {
        let text = "Selected Jupyter core packages...\n\
                    IPython          : 8.26.0\n\
                    jupyter_client   : 8.10.0\n\
                    jupyterlab       : not installed\n\
                    nbconvert        : 7.17.2\n";
        let (found, lacking) = jupyter_parts(text);
        assert_eq!(found, "client 8.10.0, nbconvert 7.17.2");
        assert_eq!(lacking, ["jupyterlab"]);
    }

    #[test]
    fn library_is_matched_by_its_whole_name() {
        let listing = "2 libs found in cache\n\
                       \tlibOpenCL.so.1 (libc6,x86-64) => /usr/lib/libOpenCL.so.1\n\
                       \tlibcudart.so.12 (libc6,x86-64) => /usr/lib/libcudart.so.12\n";
        assert!(lists_library(listing, "libOpenCL.so.1"));
        assert!(!lists_library(listing, "libOpenCL.so"));
        assert!(!lists_library(listing, "libcuda.so.1"));
    }

    #[test]
    fn program_that_hangs_is_given_up() {
        let started = Instant::now();
        let limit = Duration::from_millis(200);
        let answer = ask_within(limit, Path::new("/bin/sh"), ["-c", "sleep 30 & wait"]);
        assert!(matches!(answer, Answer::TooSlow));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn missing_program_and_failing_program_are_ordinary() {
        assert!(matches!(
            ask(Path::new("/no/such/program"), ["-V"]),
            Answer::NoProgram
        ));
        assert!(matches!(
            ask(Path::new("/bin/sh"), ["-c", "exit 3"]),
            Answer::Failed
        ));
    }
}
