//! `forkline doctor`: a table of what this machine has, what each piece adds, and the command
//! that brings what is missing.
//!
//! What always holds:
//! * nothing is changed, and no piece that is missing is an error of the table;
//! * every program that is asked has [`LIMIT`] to answer, and all are asked at the same time;
//! * the exit code is 0 exactly if every required piece is there.
//!
//! Each row is one function from the machine to a [`Row`]; `rows` lists them in the order shown.

use crate::engine::template;
use crate::{home, install};
use serde::Serialize;
use std::ffi::OsStr;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a program may take to tell its version.
const LIMIT: Duration = Duration::from_secs(5);

/// One piece of the machine.
#[derive(Debug, Clone, Serialize)]
struct Row {
    piece: &'static str,
    required: bool,
    state: State,
    /// Its version or place; empty if it is missing.
    found: String,
    /// What it adds, or what is missing and the command that brings it.
    note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Missing,
}

impl Row {
    fn required(piece: &'static str) -> Self {
        Self {
            piece,
            required: true,
            state: State::Missing,
            found: String::new(),
            note: String::new(),
        }
    }

    fn optional(piece: &'static str) -> Self {
        Self {
            required: false,
            ..Self::required(piece)
        }
    }

    fn ok(self, found: impl Into<String>, adds: &str) -> Self {
        self.with(State::Ok, found.into(), adds.to_owned())
    }

    /// Present, but something about it is not as it should be.
    fn warn(self, found: impl Into<String>, note: impl Into<String>) -> Self {
        self.with(State::Warn, found.into(), note.into())
    }

    fn missing(self, note: impl Into<String>) -> Self {
        self.with(State::Missing, String::new(), note.into())
    }

    fn with(self, state: State, found: String, note: String) -> Self {
        Self {
            state,
            found,
            note,
            ..self
        }
    }
}

/// Prints the table, or the same as JSON; the result is the exit code.
pub fn run(json: bool) -> i32 {
    let rows = rows();
    if json {
        println!("{}", as_json(&rows));
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", as_table(&rows, colour));
    }
    i32::from(!is_complete(&rows))
}

fn rows() -> Vec<Row> {
    let questions: [fn() -> Row; 14] = [
        rustc,
        cargo,
        rust_src,
        c_linker,
        fast_linker,
        libzmq,
        jupyter,
        kernelspec,
        template,
        mpi,
        opencl,
        cuda,
        lldb_dap,
        data_folder,
    ];
    // A program that hangs costs one time limit in all, not one for each row.
    std::thread::scope(|scope| {
        let answers = questions.map(|question| scope.spawn(question));
        answers
            .into_iter()
            .map(|answer| answer.join().expect("a row of the table does not panic"))
            .collect()
    })
}

fn is_complete(rows: &[Row]) -> bool {
    rows.iter()
        .all(|row| !row.required || row.state != State::Missing)
}

// ---- the table -------------------------------------------------------------------------------

fn as_json(rows: &[Row]) -> String {
    let report = serde_json::json!({
        "forkline": env!("CARGO_PKG_VERSION"),
        "complete": is_complete(rows),
        "pieces": rows,
    });
    format!("{report:#}")
}

fn as_table(rows: &[Row], colour: bool) -> String {
    // A longer entry (a path, mostly) pushes its own note to the right, not everybody's.
    const WIDEST: usize = 44;
    let width = |texts: &mut dyn Iterator<Item = &str>| {
        let longest = texts.map(|text| text.chars().count()).max();
        longest.unwrap_or(0).min(WIDEST)
    };
    let piece_width = width(&mut rows.iter().map(|row| row.piece));
    let found_width = width(&mut rows.iter().map(|row| row.found.as_str()));
    let mut table = format!(
        "forkline {}\n\n{:<8}  {:<piece_width$}  {:<found_width$}  what it adds, or what brings it\n",
        env!("CARGO_PKG_VERSION"),
        "state",
        "piece",
        "found",
    );
    for row in rows {
        let (word, code) = match (row.state, row.required) {
            (State::Ok, _) => ("ok", "32"),
            (State::Warn, _) => ("warn", "33"),
            (State::Missing, true) => ("MISSING", "31"),
            (State::Missing, false) => ("absent", "2"),
        };
        let word = if colour {
            format!("\x1b[{code}m{word:<8}\x1b[0m")
        } else {
            format!("{word:<8}")
        };
        let line = format!(
            "{word}  {:<piece_width$}  {:<found_width$}  {}",
            row.piece, row.found, row.note
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    let missing: Vec<_> = rows
        .iter()
        .filter(|row| row.required && row.state == State::Missing)
        .map(|row| row.piece)
        .collect();
    table.push_str(&if missing.is_empty() {
        "\nEverything that the kernel needs is there; what is absent is optional.\n".to_owned()
    } else {
        format!(
            "\nThe kernel needs what is missing: {}.\n",
            missing.join(", ")
        )
    });
    table
}

// ---- the rows --------------------------------------------------------------------------------

fn rustc() -> Row {
    let row = Row::required("rustc");
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let Some(rustc) = toolchain_program("rustc") else {
        return row.missing("compiles the cells; install Rust: https://rustup.rs");
    };
    let Some(version) = first_line(&rustc, &["-V"]) else {
        return row.missing(format!(
            "{} is there and does not answer; probably no toolchain is chosen: \
             rustup default stable",
            rustc.display()
        ));
    };
    match version_in(&version) {
        Some(found) if is_older(&found, wanted) => row.missing(format!(
            "{found} is there, {wanted} or later is needed: rustup update stable"
        )),
        Some(found) => row.ok(found, "compiles the cells"),
        None => row.warn(version, "does not tell a version; it may be too old"),
    }
}

fn cargo() -> Row {
    let row = Row::required("cargo");
    match toolchain_program("cargo").and_then(|cargo| first_line(&cargo, &["-V"])) {
        Some(line) => row.ok(version_in(&line).unwrap_or(line), "fetches :dep crates"),
        None => row.missing("builds the cells; install Rust: https://rustup.rs"),
    }
}

fn rust_src() -> Row {
    let row = Row::required("rust-src");
    let library = toolchain_program("rustc")
        .and_then(|rustc| first_line(&rustc, &["--print", "sysroot"]))
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library"));
    match library {
        Some(library) if library.is_dir() => {
            row.ok("in the sysroot", "tells the types of variables")
        }
        _ => row.missing(
            "without it no variable has a type: rustup component add rust-src \
             (Debian's rustc: apt install rust-src)",
        ),
    }
}

fn c_linker() -> Row {
    let row = Row::required("C linker (cc)");
    match program("cc").and_then(|cc| first_line(&cc, &["--version"])) {
        Some(line) => row.ok(line, "links the cells"),
        None => row.missing("links the cells: sudo apt install build-essential"),
    }
}

fn fast_linker() -> Row {
    let row = Row::optional("fast linker");
    let found = ["mold", "ld.lld", "lld"]
        .iter()
        .filter_map(|name| Some((*name, first_line(&program(name)?, &["--version"])?)))
        .map(|(name, line)| format!("{name} {}", version_in(&line).unwrap_or_default()))
        .next();
    match found {
        Some(found) => row.ok(found.trim_end(), "links large cells sooner"),
        None => row.missing("links large cells sooner: sudo apt install mold"),
    }
}

fn libzmq() -> Row {
    let row = Row::required("libzmq");
    let (major, minor, patch) = zmq::version();
    let version = format!("{major}.{minor}.{patch}");
    if zmq::has("curve").unwrap_or(false) {
        row.ok(version + " with CURVE", "talks to Jupyter, encrypted too")
    } else {
        row.warn(
            version + " without CURVE",
            "no encrypted connections; Debian's has them: sudo apt install libzmq3-dev, build again",
        )
    }
}

fn jupyter() -> Row {
    let row = Row::required("Jupyter");
    // `jupyter` may be there and not work, as a version manager's placeholder does, or lack a part
    // that forkline's own has: a complete one counts before an incomplete one.
    let own = home::data_dir().join("venv/bin/jupyter");
    let mut incomplete = None;
    for jupyter in program("jupyter").into_iter().chain([own]) {
        let place = jupyter.display();
        match ask(&jupyter, ["--version"]) {
            Answer::Text(text) => match jupyter_parts(&text) {
                (found, _) if found.is_empty() => {}
                (found, lacking) if lacking.is_empty() => {
                    return row.ok(found, &format!("shows the notebooks: {place}"));
                }
                (found, lacking) => {
                    let note = format!("{place} lacks {0}: pip install {0}", lacking.join(" "));
                    incomplete.get_or_insert((found, note));
                }
            },
            Answer::TooSlow => {
                let note = "did not tell its version in 5 s".to_owned();
                incomplete.get_or_insert((place.to_string(), note));
            }
            Answer::Failed | Answer::NoProgram => {}
        }
    }
    if let Some((found, note)) = incomplete {
        return row.warn(found, note);
    }
    row.missing("shows the notebooks: pip install jupyterlab nbconvert    (./install.sh does it)")
}

fn kernelspec() -> Row {
    let row = Row::required("kernelspec");
    let mut broken = None;
    for dir in kernel_folders() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let Some(binary) = install::binary_of(&entry.path()) else {
                continue;
            };
            if binary.file_name() != Some(OsStr::new("forkline")) {
                continue;
            }
            let place = entry.path().display().to_string();
            if binary.is_file() {
                return row.ok(place, "tells Jupyter how to start the kernel");
            }
            broken.get_or_insert((place, binary));
        }
    }
    match broken {
        Some((place, binary)) => row.missing(format!(
            "{place} names {}, which is gone: forkline install",
            binary.display()
        )),
        None => row.missing("Jupyter does not know the kernel: forkline install"),
    }
}

fn template() -> Row {
    let row = Row::required("prelude");
    match template::check() {
        Ok(Ok(_)) => row.ok(
            home::template_dir().display().to_string(),
            "built once, used by each session",
        ),
        Ok(Err(why)) => row.missing(format!("{why}; takes about 40 s: forkline template")),
        Err(error) => row.missing(format!("{error}; then: forkline template")),
    }
}

fn mpi() -> Row {
    let row = Row::optional("MPI");
    let launcher = ["mpiexec", "mpirun"].iter().find_map(|name| program(name));
    match launcher.and_then(|launcher| first_line(&launcher, &["--version"])) {
        Some(line) => row.ok(line, "ranks (a later version)"),
        None => row.missing("ranks (a later version): sudo apt install openmpi-bin libopenmpi-dev"),
    }
}

fn opencl() -> Row {
    let row = Row::optional("OpenCL");
    if !has_library("libOpenCL.so.1") {
        return row.missing(
            "device arrays (a later version), on the CPU too: sudo apt install pocl-opencl-icd",
        );
    }
    let drivers = opencl_drivers(Path::new("/etc/OpenCL/vendors"));
    if drivers.is_empty() {
        return row.warn(
            "libOpenCL.so.1, no driver",
            "sudo apt install pocl-opencl-icd (the CPU), or your GPU maker's driver",
        );
    }
    row.ok(drivers.join(", "), "device arrays (a later version)")
}

fn cuda() -> Row {
    let row = Row::optional("CUDA");
    let query = ["--query-gpu=name,driver_version", "--format=csv,noheader"];
    let device = program("nvidia-smi").and_then(|smi| first_line(&smi, &query));
    match (has_library("libcuda.so.1"), device) {
        (true, Some(device)) => row.ok(device, "device arrays (a later version)"),
        (true, None) => row.warn("libcuda.so.1", "nvidia-smi names no device"),
        (false, Some(device)) => row.warn(device, "nvidia-smi answers, libcuda.so.1 is not found"),
        (false, None) => row.missing("needs an NVIDIA GPU and its driver"),
    }
}

fn lldb_dap() -> Row {
    let row = Row::optional("lldb-dap");
    let numbered = (19..=25).rev().map(|major| format!("lldb-dap-{major}"));
    match std::iter::once("lldb-dap".to_owned())
        .chain(numbered)
        .find_map(|name| program(&name))
    {
        Some(path) => row.ok(path.display().to_string(), "the debugger (a later version)"),
        None => row.missing("the debugger (a later version): sudo apt install lldb-19"),
    }
}

fn data_folder() -> Row {
    let dir = home::data_dir().display().to_string();
    Row::optional("data folder").ok(dir, "prelude, sessions, history")
}

// ---- asking the machine ----------------------------------------------------------------------

/// What became of a question to another program.
enum Answer {
    /// It ended well; what it printed.
    Text(String),
    /// It ended with an error.
    Failed,
    NoProgram,
    TooSlow,
}

fn ask<'a>(program: &Path, args: impl IntoIterator<Item = &'a str>) -> Answer {
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
fn first_line(program: &Path, args: &[&str]) -> Option<String> {
    let Answer::Text(text) = ask(program, args.iter().copied()) else {
        return None;
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}

fn program(name: &str) -> Option<PathBuf> {
    install::on_path(name)
}

/// A program of the toolchain with which cells are compiled.
fn toolchain_program(name: &str) -> Option<PathBuf> {
    let beside_cargo = install::cargo_bin_dir().map(|dir| dir.join(name));
    beside_cargo
        .filter(|file| file.exists())
        .or_else(|| program(name))
}

/// The folders in which Jupyter looks for kernels, the user's own first.
fn kernel_folders() -> Vec<PathBuf> {
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
fn has_library(name: &str) -> bool {
    // A user's PATH on Debian does not have the folder of ldconfig.
    let ldconfig = program("ldconfig").unwrap_or_else(|| PathBuf::from("/sbin/ldconfig"));
    matches!(ask(&ldconfig, ["-p"]), Answer::Text(text) if lists_library(&text, name))
}

fn lists_library(ldconfig: &str, name: &str) -> bool {
    ldconfig
        .lines()
        .any(|line| line.split_whitespace().next() == Some(name))
}

/// The OpenCL drivers that are registered here, by the names of their files.
fn opencl_drivers(vendors: &Path) -> Vec<String> {
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

// ---- reading versions ------------------------------------------------------------------------

/// The first word of a line that looks like a version, `1.95.0` in `rustc 1.95.0 (f2d3ce0bd …)`.
fn version_in(line: &str) -> Option<String> {
    line.split_whitespace()
        .map(|word| {
            word.trim_start_matches(['v', '('])
                .trim_end_matches([',', ')', ';'])
        })
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

/// Compares versions number by number; what follows a `-` does not count.
fn is_older(version: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let release = text.split(['-', '+']).next().unwrap_or_default();
        let numbers = release.split('.');
        numbers.map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(version) < numbers(wanted)
}

/// From `jupyter --version`: the versions that matter to us, and the packages that are not there.
fn jupyter_parts(text: &str) -> (String, Vec<&'static str>) {
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

    fn some_rows() -> Vec<Row> {
        vec![
            Row::required("rustc").ok("1.95.0", "compiles the cells"),
            Row::required("libzmq").warn("4.3.4 without CURVE", "no encrypted connections"),
            Row::optional("MPI").missing("ranks: sudo apt install openmpi-bin"),
        ]
    }

    #[test]
    fn table_has_a_line_for_each_piece_and_no_colour_in_a_file() {
        let table = as_table(&some_rows(), false);
        assert!(!table.contains('\x1b'));
        let lines: Vec<_> = table.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines[2].starts_with("ok        rustc "), "{table}");
        assert!(lines[3].starts_with("warn      libzmq"), "{table}");
        assert!(lines[4].starts_with("absent    MPI "), "{table}");
        let column = lines[2].find("compiles");
        assert_eq!(column, lines[3].find("no encrypted"), "{table}");
        assert_eq!(column, lines[4].find("ranks"), "{table}");
        assert!(as_table(&some_rows(), true).contains("\x1b[32mok"));
    }

    #[test]
    fn only_a_missing_required_piece_makes_it_incomplete() {
        let mut rows = some_rows();
        assert!(is_complete(&rows));
        rows.push(Row::required("Jupyter").missing("pip install jupyterlab"));
        assert!(!is_complete(&rows));
        let table = as_table(&rows, false);
        assert!(table.contains("MISSING   Jupyter"), "{table}");
        assert!(
            table.ends_with("The kernel needs what is missing: Jupyter.\n"),
            "{table}"
        );
    }

    #[test]
    fn json_says_the_same_as_the_table() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&some_rows())).unwrap();
        assert_eq!(report["complete"], true);
        assert_eq!(report["pieces"][0]["found"], "1.95.0");
        assert_eq!(report["pieces"][1]["state"], "warn");
        assert_eq!(report["pieces"][2]["required"], false);
    }

    #[test]
    fn every_missing_required_piece_names_a_cure() {
        for row in rows() {
            if row.required && row.state == State::Missing {
                assert!(row.note.contains(": "), "{row:?}");
            }
        }
    }

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
