//! This program in cargo's, rustup's and a compiler wrapper's place.
//!
//! evcxr finds its tools through PATH; in a kernel (and while the template is built) the first folder
//! of PATH has links to this program under their names. What is not the build of a cell goes to the
//! real tool as it came, so a link does no harm wherever else it is met.

use super::command::{CompilerCall, Settings};
use super::service::{self, Answer, Request};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Environment variable: where the wrapper writes down the call for a cell.
pub const RECORD: &str = "FORKLINE_RECORD";
/// Environment variable: the folder for that while the template is built.
pub const RECORD_DIR: &str = "FORKLINE_RECORD_DIR";
/// Environment variable: [`Settings`] for the wrapper, as JSON.
pub const SETTINGS: &str = "FORKLINE_CELL_SETTINGS";

const CARGO: &str = "cargo";
const RUSTUP: &str = "rustup";
const WRAPPER: &str = "forkline-rustc-wrapper";

/// Runs in the place of another tool if this program was started under its name.
pub fn run_if_named() {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if name == CARGO {
        cargo(&arguments);
    } else if name == RUSTUP {
        rustup(&arguments);
    } else if name == WRAPPER {
        wrapper(arguments);
    }
}

/// Makes the links in a folder; they lead to this program.
pub fn make_links(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let program = std::env::current_exe()?;
    for name in [CARGO, RUSTUP, WRAPPER] {
        let link = dir.join(name);
        if std::fs::read_link(&link).is_ok_and(|target| target == program) {
            continue;
        }
        // Renamed into place: another kernel may be looking for it at this moment.
        let new = dir.join(format!("{name}.{}", std::process::id()));
        let _ = std::fs::remove_file(&new);
        std::os::unix::fs::symlink(&program, &new)?;
        std::fs::rename(&new, &link)?;
    }
    Ok(())
}

/// The wrapper's path in the folder of links.
pub fn wrapper_path(dir: &Path) -> PathBuf {
    dir.join(WRAPPER)
}

fn cargo(arguments: &[OsString]) -> ! {
    if arguments
        .first()
        .is_some_and(|first| first == "build" || first == "check")
    {
        match service::ask(&Request::here(arguments)) {
            Some(Ok(Answer::Done {
                status,
                stdout,
                stderr,
            })) => {
                use std::io::Write as _;
                let _ = std::io::stdout().write_all(stdout.as_bytes());
                let _ = std::io::stderr().write_all(stderr.as_bytes());
                std::process::exit(status);
            }
            Some(Ok(Answer::NotMine)) => {}
            Some(Err(error)) => eprintln!("forkline: the compile driver does not answer: {error}"),
            None => record_here(),
        }
    }
    if arguments.first().is_some_and(|first| first == "metadata")
        && (service::is_session() || std::env::var_os(RECORD_DIR).is_some())
    {
        metadata(arguments);
    }
    exec(CARGO, arguments)
}

/// evcxr tries a new dependency in a Cargo.toml without all others; the versions of those must not
/// be forgotten over it.
fn metadata(arguments: &[OsString]) -> ! {
    let versions = std::fs::read("Cargo.lock");
    let status = real(CARGO, arguments).and_then(|mut command| command.status().ok());
    if let Ok(versions) = versions {
        let _ = std::fs::write("Cargo.lock", versions);
    }
    std::process::exit(status.and_then(|status| status.code()).unwrap_or(127))
}

/// While the template is built there is no kernel: calls of the compiler are written down beside it.
fn record_here() {
    let (Some(dir), Some(links)) = (std::env::var_os(RECORD_DIR), links_dir()) else {
        return;
    };
    let Ok(file) = super::record_file(Path::new(&dir)) else {
        return;
    };
    // SAFETY: this process has one thread.
    unsafe {
        std::env::set_var(RECORD, file);
        std::env::set_var("RUSTC_WRAPPER", wrapper_path(&links));
    }
}

fn rustup(arguments: &[OsString]) -> ! {
    let asks_for_cargo = arguments == [OsStr::new("which"), OsStr::new(CARGO)];
    if asks_for_cargo && let Some(links) = links_dir() {
        println!("{}", links.join(CARGO).display());
        std::process::exit(0);
    }
    exec(RUSTUP, arguments)
}

/// `wrapper rustc arguments…`, as cargo calls it.
fn wrapper(arguments: Vec<OsString>) -> ! {
    let texts: Option<Vec<String>> = arguments
        .iter()
        .map(|argument| argument.to_str().map(str::to_owned))
        .collect();
    let mut rest = arguments.get(1..).unwrap_or_default().to_vec();
    if let Some(call) = texts.and_then(|texts| CompilerCall::of_cell(&texts)) {
        if let Some(file) = std::env::var_os(RECORD)
            && let Ok(text) = serde_json::to_string(&call)
        {
            let _ = std::fs::write(file, text);
        }
        let settings = std::env::var(SETTINGS)
            .ok()
            .and_then(|text| serde_json::from_str::<Settings>(&text).ok())
            .unwrap_or_default();
        rest = call
            .arguments(&settings)
            .into_iter()
            .map(OsString::from)
            .collect();
    }
    let program = arguments.first().cloned().unwrap_or_default();
    let error = Command::new(&program).args(rest).exec();
    eprintln!("{}: {error}", program.to_string_lossy());
    std::process::exit(127)
}

/// The folder of links through which this program was started.
fn links_dir() -> Option<PathBuf> {
    let program = PathBuf::from(std::env::args_os().next()?);
    if let Some(parent) = program
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        return Some(parent.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|dir| wrapper_path(dir).exists())
}

/// PATH without folders of links.
pub fn path_without_links(path: &OsStr) -> OsString {
    let dirs = std::env::split_paths(path).filter(|dir| !wrapper_path(dir).exists());
    std::env::join_paths(dirs).unwrap_or_else(|_| path.to_owned())
}

/// Goes on as the real tool.
fn exec(name: &str, arguments: &[OsString]) -> ! {
    if let Some(mut command) = real(name, arguments) {
        let error = command.exec();
        eprintln!("{}: {error}", command.get_program().to_string_lossy());
    }
    std::process::exit(127)
}

/// The real tool's command.
fn real(name: &str, arguments: &[OsString]) -> Option<Command> {
    let path = path_without_links(&std::env::var_os("PATH").unwrap_or_default());
    let program = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file());
    let Some(program) = program else {
        eprintln!("{name}: not found on PATH");
        return None;
    };
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", &path);
    Some(command)
}
