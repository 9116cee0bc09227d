//! This program in cargo's, rustup's and a compiler wrapper's place.
//!
//! evcxr finds its tools through PATH; in a kernel (and while the template is built) the first folder
//! of PATH has links to this program under their names. What is not the build of a cell goes to the
//! real tool as it came, so a link does no harm wherever else it is met.

use super::command::{CompilerCall, Manifest, Settings};
use super::service::{self, Answer, Request};
use crate::engine::analyzer::REAL_TOOLS;
use crate::engine::template;
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

/// The file in a session's folder from which cargo's script answers evcxr's rust-analyzer.
const FOR_ANALYSIS: &str = ".for-analysis";
/// The folder beside the scripts that has this program under the names of tools.
const PROGRAMS: &str = "programs";
/// The script that is a compiler to evcxr's rust-analyzer alone.
const RUSTC_SCRIPT: &str = "rustc-for-analysis";

/// The package in whose name evcxr tries a dependency.
const TRIAL: &str = "\"evcxr_dummy_validate_dep\"";

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

/// Makes the links in a folder; they lead to this program. The one for cargo does so by way of a script,
/// which costs a millisecond where this program costs five: evcxr's rust-analyzer calls it often, and
/// is to learn nothing (see `analyzer`).
pub fn make_links(dir: &Path) -> std::io::Result<()> {
    let programs = dir.join(PROGRAMS);
    std::fs::create_dir_all(&programs)?;
    let program = std::env::current_exe()?;
    let link = |path: PathBuf| {
        if std::fs::read_link(&path).is_ok_and(|target| target == program) {
            return Ok(());
        }
        replace(&path, |new| std::os::unix::fs::symlink(&program, new))
    };
    for name in [RUSTUP, WRAPPER] {
        link(dir.join(name))?;
    }
    link(programs.join(CARGO))?;
    let script = |name: &str, text: String| {
        let path = dir.join(name);
        if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file())
            && std::fs::read_to_string(&path).is_ok_and(|found| found == text)
        {
            return Ok(());
        }
        replace(&path, |new| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write(new, &text)?;
            std::fs::set_permissions(new, std::fs::Permissions::from_mode(0o755))
        })
    };
    let cargo = programs.join(CARGO);
    let cargo = cargo.to_string_lossy().replace('\'', "'\\''");
    script(CARGO, cargo_script(&cargo))?;
    script(RUSTC_SCRIPT, rustc_script())
}

/// Renamed into place: another kernel may be looking for it at this moment.
fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = std::fs::remove_file(&new);
    make(&new)?;
    std::fs::rename(&new, path)
}

/// rust-analyzer names the manifest when it asks for metadata; evcxr does not.
fn cargo_script(program: &str) -> String {
    format!(
        "#!/bin/sh
# Written by forkline.
if [ -r {FOR_ANALYSIS} ] && [ -z \"${REAL_TOOLS}\" ]; then
    case \"$1 $*\" in
        metadata*--manifest-path*)
            IFS= read -r text < {FOR_ANALYSIS}
            printf '%s\\n' \"$text\"
            exit 0 ;;
        locate-project*|-Z*|--version*|rustc*) exit 1 ;;
    esac
fi
exec '{program}' \"$@\"
"
    )
}

/// A compiler without a standard library where rust-analyzer is to find none.
fn rustc_script() -> String {
    format!(
        "#!/bin/sh
# Written by forkline.
[ -r {FOR_ANALYSIS} ] && [ -z \"${REAL_TOOLS}\" ] && exit 1
exec rustc \"$@\"
"
    )
}

/// What `RUSTC` must say to evcxr's rust-analyzer.
pub fn rustc_for_analysis(dir: &Path) -> PathBuf {
    dir.join(RUSTC_SCRIPT)
}

/// Whether `RUSTC` in this process's environment is for rust-analyzer alone.
pub fn is_rustc_for_analysis() -> bool {
    std::env::var_os("RUSTC")
        .is_some_and(|value| Path::new(&value).file_name() == Some(OsStr::new(RUSTC_SCRIPT)))
}

/// PATH as the user has it: without the links through which evcxr finds the compile driver.
pub fn users_path() -> OsString {
    path_without_links(&std::env::var_os("PATH").unwrap_or_default())
}

/// Takes out of a program's environment what this process has set for evcxr's tools.
pub fn as_the_user_has_it(command: &mut Command) {
    command.env("PATH", users_path());
    if is_rustc_for_analysis() {
        command.env_remove("RUSTC");
    }
}

/// From now on evcxr's rust-analyzer sees a crate without dependencies in this session.
pub fn answer_analysis(session: &Path) -> std::io::Result<()> {
    let dir = session.to_string_lossy();
    let id = format!("path+file://{dir}#ctx@1.0.0");
    let metadata = serde_json::json!({
        "packages": [{
            "name": "ctx", "version": "1.0.0", "id": id, "source": null, "dependencies": [],
            "targets": [{
                "kind": ["cdylib"], "crate_types": ["cdylib"], "name": "ctx",
                "src_path": format!("{dir}/src/lib.rs"), "edition": "2024",
                "doc": true, "doctest": false, "test": true,
            }],
            "features": {}, "manifest_path": format!("{dir}/Cargo.toml"), "edition": "2024",
        }],
        "workspace_members": [id],
        "workspace_default_members": [id],
        "resolve": {
            "nodes": [{ "id": id, "dependencies": [], "deps": [], "features": [] }],
            "root": id,
        },
        "target_directory": format!("{dir}/target"),
        "version": 1,
        "workspace_root": dir,
        "metadata": null,
    });
    std::fs::write(session.join(FOR_ANALYSIS), format!("{metadata}\n"))
}

/// The wrapper's path in the folder of links.
pub fn wrapper_path(dir: &Path) -> PathBuf {
    dir.join(WRAPPER)
}

/// It sees what there is again.
pub fn stop_answering_analysis(session: &Path) {
    let _ = std::fs::remove_file(session.join(FOR_ANALYSIS));
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
    if is_trial_of_prelude() {
        println!("{{}}");
        std::process::exit(0)
    }
    let tried = service::is_session().then(trial).flatten();
    if let Some((mark, text)) = &tried
        && std::fs::read(mark).is_ok_and(|known| known == *text)
    {
        println!("{{}}");
        std::process::exit(0)
    }
    let versions = std::fs::read("Cargo.lock");
    let output = real(CARGO, arguments).and_then(|mut command| command.output().ok());
    let status = output.as_ref().map(|output| output.status);
    if let Some(output) = &output {
        use std::io::Write as _;
        let _ = std::io::stdout().write_all(&output.stdout);
        let _ = std::io::stderr().write_all(&output.stderr);
        // evcxr reads warnings: only what had none is known to be good.
        if let Some((mark, text)) =
            tried.filter(|_| output.status.success() && output.stderr.is_empty())
        {
            let _ = std::fs::write(mark, text);
        }
    }
    if let Ok(versions) = versions {
        let _ = std::fs::write("Cargo.lock", versions);
    }
    std::process::exit(status.and_then(|status| status.code()).unwrap_or(127))
}

/// A dependency that evcxr tries: the file that remembers the last good one, and what it is to hold. (A cell
/// with `:dep` is analysed before it is run, and evcxr tries its dependency each time.)
fn trial() -> Option<(&'static Path, Vec<u8>)> {
    let text = std::fs::read("Cargo.toml").ok()?;
    let is_trial = String::from_utf8_lossy(&text).contains(TRIAL);
    is_trial.then_some((Path::new(".last-trial"), text))
}

/// Whether the dependency that evcxr tries is the prelude, which is there.
fn is_trial_of_prelude() -> bool {
    let Ok(text) = std::fs::read_to_string("Cargo.toml") else {
        return false;
    };
    let manifest = Manifest::parse(&text);
    service::is_session()
        && text.contains(TRIAL)
        && matches!(&*manifest.dependencies, [(name, configuration)]
            if template::dependency_lines().contains(&format!(":dep {name} = {configuration}")))
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
    } else if let Some(level) = level_while_building(&rest) {
        for argument in &mut rest {
            if argument == "opt-level=3" {
                *argument = OsString::from(level);
            }
        }
    }
    let program = arguments.first().cloned().unwrap_or_default();
    let error = Command::new(&program).args(rest).exec();
    eprintln!("{}: {error}", program.to_string_lossy());
    std::process::exit(127)
}

/// How far a crate is optimised that only runs while others are built; none for the others. The profile of cells has all
/// crates optimised, and cargo offers no way to leave these out, which can be half of a build.
fn level_while_building(arguments: &[OsString]) -> Option<&'static str> {
    const OF_MACROS: [&str; 4] = ["proc_macro2", "quote", "syn", "unicode_ident"];
    let behind = |option: &str| {
        let position = arguments.iter().position(|argument| argument == option)?;
        arguments.get(position + 1)?.to_str()
    };
    let name = behind("--crate-name")?;
    // evcxr always names the target, and cargo leaves it out for what is to run here and now.
    if behind("--target").is_some() {
        return None;
    }
    // Each cell runs the macros.
    let is_of_macros = behind("--crate-type") == Some("proc-macro") || OF_MACROS.contains(&name);
    Some(if is_of_macros {
        "opt-level=1"
    } else {
        "opt-level=0"
    })
}

/// The folder of links through which this program was started.
fn links_dir() -> Option<PathBuf> {
    let program = PathBuf::from(std::env::args_os().next()?);
    if let Some(parent) = program
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        let dir = match parent.ends_with(PROGRAMS) {
            true => parent.parent()?,
            false => parent,
        };
        return Some(dir.to_owned());
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
    let program = std::env::split_paths(&users_path())
        .map(|dir| dir.join(name))
        .find(|program| program.is_file());
    let Some(program) = program else {
        eprintln!("{name}: not found on PATH");
        return None;
    };
    let mut command = Command::new(program);
    command.args(arguments);
    as_the_user_has_it(&mut command);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_only_while_building_is_known_by_its_call() {
        let call = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (text, expected) in [
            (
                "--crate-name build_script_build --crate-type bin",
                Some("opt-level=0"),
            ),
            ("--crate-name tokio --crate-type lib", Some("opt-level=0")),
            ("--crate-name tokio --crate-type lib --target x", None),
            (
                "--crate-name serde_derive --crate-type proc-macro",
                Some("opt-level=1"),
            ),
            ("--crate-name syn --crate-type lib", Some("opt-level=1")),
            ("-vV", None),
        ] {
            assert_eq!(level_while_building(&call(text)), expected, "{text}");
        }
    }
}
