//! The workspace in which the prelude is built once, and the copies that sessions make of it.
//!
//! evcxr compiles the dependencies of a notebook in a workspace of its own; with the prelude that
//! would take most of a minute in every session. So `install.sh` lets evcxr build such a workspace
//! once, with exactly the flags that sessions use, and a session starts from a copy: compiled
//! libraries as hard links, everything that cargo may write to as real copies. Cargo then finds all
//! dependencies fresh.
//!
//! Beside what is compiled it has the crates written down for rust-analyzer (see `analyzer`), so that a session
//! need not ask cargo for them.
//!
//! What always holds: a template is used only by the toolchain, the forkline version and the prelude
//! text that it was built from (its `forkline.json` says which); nothing in a session writes to it.

use super::analyzer;
use super::driver::stand_in;
use super::rust_source::{self, RustSource};
use crate::home;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The prelude's files as they were when this binary was built: name and contents.
static PRELUDE_FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/prelude_files.rs"));

/// The versions of all dependencies that the repository was tested with.
static LOCK_FILE: &[u8] = include_bytes!("../../../Cargo.lock");

/// How cells and their dependencies are compiled. Cells are release code: evcxr's own profile has
/// overflow checks and debug assertions on, which would distort every measurement. `:opt` still
/// chooses the level of the cell; the dependencies stay at 3, so that a change of the level does
/// not build them again (and with them a second prelude beside the one that is loaded). Line tables
/// are what a backtrace needs to name the cell's line.
const CARGO_CONFIG: &str = r#"# Written by forkline; it is replaced when forkline is updated.
[profile.dev.package."*"]
opt-level = 3
debug = false
debug-assertions = false
overflow-checks = false
incremental = false
codegen-units = 16

[profile.dev.package.ctx]
debug = "line-tables-only"
strip = "none"
debug-assertions = false
overflow-checks = false
incremental = false
codegen-units = 1
"#;

/// The file that says what a template was built from.
const RECORD: &str = "forkline.json";

/// What a template was built from, and what sessions need to know of it.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Digest of everything that goes into the build.
    pub digest: String,
    /// Version of the Rust compiler, for instance `1.95.0`.
    pub rustc: String,
    /// The folder of the compiler's own libraries.
    pub rust_libs: PathBuf,
    /// The prelude's library, relative to the template.
    pub library: PathBuf,
    /// Digest of what goes into the crates that others have written; none in older records.
    #[serde(default)]
    pub crates: String,
}

/// The record of the template on disk, if there is one, without asking whether it is up to date.
pub fn recorded() -> Option<Record> {
    let text = fs::read_to_string(home::template_dir().join(RECORD)).ok()?;
    serde_json::from_str(&text).ok()
}

/// The lines that make the prelude a dependency of the cells, and serde, which is the prelude's own copy: the
/// code that its derive macros write names the crate, which no `use` could give.
pub fn dependency_lines() -> [String; 2] {
    let path = home::prelude_dir();
    // TOML's basic strings escape as JSON's do.
    let path = serde_json::Value::from(path.to_string_lossy());
    [
        format!(":dep forkline = {{ path = {path} }}"),
        ":dep serde = { version = \"1\", features = [\"derive\"] }".to_owned(),
    ]
}

/// What goes into a template now.
struct Ingredients {
    digest: String,
    crates: String,
    rustc: String,
    rust_libs: PathBuf,
}

fn ingredients() -> anyhow::Result<Ingredients> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let rust_libs = output(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let place = home::version_dir();
    // What crates of others are built from, with the features that the prelude asks for.
    let manifest = PRELUDE_FILES.iter().find(|(name, _)| *name == "Cargo.toml");
    let common: [&[u8]; 5] = [
        manifest.map_or(b"", |(_, contents)| contents),
        LOCK_FILE,
        CARGO_CONFIG.as_bytes(),
        version.as_bytes(),
        place.as_os_str().as_encoded_bytes(),
    ];
    // Plugins and the crates of packs are built apart (see `plugins` and `packs`).
    let apart = |name: &str| {
        ["mpi/", "gpu/", "remote/", "broker/"]
            .iter()
            .any(|one| name.starts_with(one))
    };
    let sources = PRELUDE_FILES
        .iter()
        .filter(|(name, _)| !apart(name))
        .flat_map(|(name, contents)| [name.as_bytes(), contents]);
    // What else is written into a template has the form that these say: another form, another template.
    let forms: [&[u8]; 3] = [
        env!("CARGO_PKG_VERSION").as_bytes(),
        include_bytes!("analyzer/project.rs"),
        include_bytes!("rust_source.rs"),
    ];
    let rustc = version
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .unwrap_or("unknown")
        .to_owned();
    Ok(Ingredients {
        digest: digest(sources.chain(common).chain(forms)),
        crates: digest(common),
        rustc,
        rust_libs: PathBuf::from(rust_libs.trim()),
    })
}

/// SHA-256 of all parts, in hexadecimal.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A digest of those of the prelude's files whose names `is_part` chooses.
pub(super) fn digest_of(is_part: impl Fn(&str) -> bool) -> String {
    let files = PRELUDE_FILES.iter().filter(|(name, _)| is_part(name));
    digest(files.map(|(_, contents)| *contents))
}

/// Whether the prelude's sources have a file of this name.
pub(super) fn has_file(name: &str) -> bool {
    PRELUDE_FILES.iter().any(|(of, _)| *of == name)
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| {
        format!(
            "{name} cannot be started\n\
             why: it is not on PATH\n\
             do:  install Rust with rustup, then run install.sh again"
        )
    })?;
    anyhow::ensure!(
        output.status.success(),
        "{name} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Why the template on disk cannot be used, or its record if it can.
pub fn check() -> anyhow::Result<Result<Record, String>> {
    let ingredients = ingredients()?;
    let Some(record) = recorded() else {
        return Ok(Err("the prelude has not been built yet".to_owned()));
    };
    if record.rustc != ingredients.rustc {
        return Ok(Err(format!(
            "the prelude was built by rustc {}, and now there is rustc {}",
            record.rustc, ingredients.rustc
        )));
    }
    if record.digest != ingredients.digest {
        return Ok(Err("the prelude was built from other sources".to_owned()));
    }
    if !home::template_dir().join(&record.library).exists()
        || !home::rust_source_dir().exists()
        || !analyzer::has_project(&home::template_dir())
    {
        return Ok(Err("the prelude's library is missing".to_owned()));
    }
    Ok(Ok(record))
}

/// Builds the template if it is missing or out of date; tells `progress` what is being done.
/// Several processes may ask at once: one builds, the others wait for it.
///
/// # Errors
/// There is no Rust toolchain, no space, or the build fails.
pub fn ensure(rebuild: bool, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Record> {
    if !rebuild && let Ok(record) = check()? {
        return Ok(record);
    }
    let dir = home::version_dir();
    fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let _lock = Lock::wait(&dir.join("template.lock"))?;
    // Another process may have built it while this one waited.
    let why = match check()? {
        Ok(record) if !rebuild => return Ok(record),
        Ok(_) => "it was asked for".to_owned(),
        Err(why) => why,
    };
    progress(&format!(
        "building the prelude, once for all sessions (some minutes on 2 cores): {why}"
    ));
    let ingredients = ingredients()?;
    let template = home::template_dir();
    let before = Before::of(
        &template,
        !rebuild && recorded().is_some_and(|record| record.crates == ingredients.crates),
    )?;
    write_prelude(&home::prelude_dir())?;
    fs::create_dir_all(dir.join(".cargo"))?;
    fs::write(dir.join(".cargo/config.toml"), CARGO_CONFIG)?;
    fs::create_dir_all(&template)?;
    fs::write(template.join("Cargo.lock"), LOCK_FILE)?;
    before.hand_on(&[])?;
    build(&template, "")?;
    remove_dir(&home::rust_source_dir())?;
    rust_source::slim(&ingredients.rust_libs, &home::rust_source_dir())?;
    analyzer::write_project(&template)
        .context("the crates that cells can use cannot be written down for rust-analyzer")?;
    let library = find_library(&template)?;
    let record = Record {
        digest: ingredients.digest,
        rustc: ingredients.rustc,
        rust_libs: ingredients.rust_libs,
        library: library.strip_prefix(&template)?.to_owned(),
        crates: ingredients.crates,
    };
    fs::write(
        template.join(RECORD),
        serde_json::to_string_pretty(&record)?,
    )?;
    Ok(record)
}

/// A folder that is about to be built anew. What it has of crates of others is as good as new where only our own crates have
/// changed, and most of the time of a build.
pub(super) struct Before {
    dir: PathBuf,
    aside: PathBuf,
}

impl Before {
    /// Puts the folder aside, or removes it if nothing of it `is_good`.
    ///
    /// # Errors
    /// It cannot be moved or removed.
    pub(super) fn of(dir: &Path, is_good: bool) -> io::Result<Before> {
        let before = Before {
            dir: dir.to_owned(),
            aside: dir.with_extension("before"),
        };
        remove_dir(&before.aside)?;
        if is_good {
            fs::rename(dir, &before.aside)?;
        } else {
            remove_dir(dir)?;
        }
        Ok(before)
    }

    /// Gives what was compiled of crates of others to the folder that has taken its place. `own` are ours beside the prelude.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn hand_on(&self, own: &[&str]) -> io::Result<()> {
        let target = self.aside.join("target");
        if !target.exists() {
            return Ok(());
        }
        let is_ours = |name: &str| {
            let name = name.strip_prefix("lib").unwrap_or(name);
            name.starts_with("forkline") || own.iter().any(|own| name.starts_with(own))
        };
        copy_what(&target, &self.dir.join("target"), &|name| !is_ours(name))
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        // What stays is removed before the next build.
        let _ = remove_dir(&self.aside);
    }
}

/// The environment variable with the lines that a workspace has beside the prelude's.
const MORE_LINES: &str = "FORKLINE_MORE_LINES";

/// Lets evcxr build a workspace with the prelude and what `more` lines bring, in a process of its own: evcxr takes its folder
/// from the environment, and this process may be a kernel whose environment is not to change any more.
///
/// # Errors
/// It does not build; the compiler has said why.
pub(super) fn build(template: &Path, more: &str) -> anyhow::Result<()> {
    let links = home::links_dir();
    stand_in::make_links(&links)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut with_links = links.into_os_string();
    with_links.push(":");
    with_links.push(stand_in::path_without_links(&path));
    // evcxr's rust-analyzer would read all libraries, half of the time of a small pack; nobody asks it here.
    RustSource::hidden(template)?;
    stand_in::answer_analysis(template)?;
    let rustc = std::env::var_os("RUSTC")
        .unwrap_or_else(|| stand_in::rustc_for_analysis(&home::links_dir()).into());
    let status = Command::new(std::env::current_exe()?)
        .arg("template-build")
        // The stand-in for cargo writes down how the compiler is called, for all sessions.
        .env("PATH", with_links)
        .env(stand_in::RECORD_DIR, template.join("calls"))
        .env("RUST_SRC_PATH", RustSource::path_in(template))
        .env("RUSTC", rustc)
        .env("EVCXR_TMPDIR", template)
        .env("EVCXR_CONFIG_DIR", template)
        .env(MORE_LINES, more)
        .current_dir(template)
        .stdin(std::process::Stdio::null())
        .status()?;
    anyhow::ensure!(
        status.success(),
        "it could not be built ({status})\n\
         why: the compiler's messages are above\n\
         do:  forkline doctor    (names what is missing), then try again"
    );
    Ok(())
}

/// The argument with which this program is evcxr's runtime while the template is built.
pub const RUNTIME: &str = "template-runtime";

/// Answers evcxr's orders without carrying them out: the template wants what is compiled, not what it does.
/// (evcxr's own runtime takes a path to end at its first space.)
pub fn answer_orders() -> ! {
    for line in io::stdin().lines() {
        if line.is_err() {
            break;
        }
        println!("EVCXR_EXECUTION_COMPLETE");
    }
    std::process::exit(0)
}

/// The command `forkline template-build`: everything happens in the folder that the environment
/// names.
pub fn build_here() -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(RUNTIME);
    let (context, outputs) = evcxr::EvalContext::with_subprocess_command(command)?;
    let mut context = evcxr::CommandContext::with_eval_context(context);
    std::thread::spawn(move || while outputs.stdout.recv().is_ok() {});
    std::thread::spawn(move || {
        while let Ok(line) = outputs.stderr.recv() {
            eprintln!("{line}");
        }
    });
    // evcxr has tried the compiler with no dependency, over which cargo forgot the versions.
    fs::write("Cargo.lock", LOCK_FILE)?;
    context.execute(&format!(
        "{}\n{}\nuse forkline::prelude::*;",
        dependency_lines().join("\n"),
        std::env::var(MORE_LINES).unwrap_or_default()
    ))?;
    Ok(())
}

fn find_library(template: &Path) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(template.join("target"))?.flatten() {
        let library = entry.path().join("debug/deps/libforkline.so");
        if library.exists() {
            return Ok(library);
        }
    }
    anyhow::bail!("the prelude was built, but its library was not found")
}

/// Writes the prelude's sources, leaving files alone that are right already: cargo judges by their
/// times whether it must build again.
pub fn write_prelude(dir: &Path) -> io::Result<()> {
    for (name, contents) in PRELUDE_FILES {
        let path = dir.join(name);
        if fs::read(&path).is_ok_and(|found| found == *contents) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, contents)?;
    }
    Ok(())
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A session's folder. Whoever ends the kernel removes it; if nobody does, a later session will.
pub struct SessionDir {
    pub path: PathBuf,
    /// Says to other kernels that this folder is in use.
    _lock: Lock,
}

impl SessionDir {
    /// A name for a new session; nothing is made yet, because a kernel must answer first.
    pub fn new_path() -> PathBuf {
        let id = uuid::Uuid::new_v4().simple().to_string();
        home::sessions_dir().join(format!("{}-{}", std::process::id(), &id[..8]))
    }

    /// Makes the folder from the template.
    ///
    /// # Errors
    /// The disk is full or cannot be written to.
    pub fn create(path: PathBuf) -> anyhow::Result<SessionDir> {
        fs::create_dir_all(&path).with_context(|| {
            format!(
                "the session's folder {} cannot be made\n\
                 do:  free some space, or set FORKLINE_HOME to a folder with some",
                path.display()
            )
        })?;
        let lock = Lock::wait(&path.join(".lock"))?;
        remove_stale_sessions(&path);
        copy_into(&path)
            .context("the prebuilt prelude cannot be taken over into the session's folder")?;
        Ok(SessionDir { path, _lock: lock })
    }
}

/// A new copy of the template, in place of what is at `dir`.
pub(super) fn copy_to(dir: &Path) -> io::Result<()> {
    remove_dir(dir)?;
    fs::create_dir_all(dir)?;
    copy_into(dir)
}

fn copy_into(dir: &Path) -> io::Result<()> {
    let template = home::template_dir();
    for name in ["Cargo.toml", "Cargo.lock"] {
        if template.join(name).exists() {
            fs::copy(template.join(name), dir.join(name))?;
        }
    }
    copy_target(&template.join("target"), &dir.join("target"))
}

/// Removes the folders of kernels that were killed: nobody holds their lock any more.
fn remove_stale_sessions(mine: &Path) {
    for entry in fs::read_dir(home::sessions_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        if path == mine {
            continue;
        }
        let lock = path.join(".lock");
        let young = fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() < 60));
        if (lock.exists() || !young) && Lock::try_now(&lock).is_some() {
            let _ = remove_dir(&path);
        }
    }
}

/// Copies a cargo target folder without what belongs to evcxr's own crate. What is there already stays: it is the same, or
/// in use.
pub(super) fn copy_target(from: &Path, to: &Path) -> io::Result<()> {
    copy_what(from, to, &|_| true)
}

/// The same without the files and folders whose names are not `wanted`.
fn copy_what(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let of_cell = ["libctx", "ctx-", "ctx.", "libcode_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if of_cell || name == "incremental" || name == ".cargo-lock" || !wanted(&name) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&*name));
        if entry.file_type()?.is_dir() {
            copy_what(&source, &target, wanted)?;
        } else if target.exists() {
            continue;
        } else if is_final(&source) && fs::hard_link(&source, &target).is_ok() {
            // Compilers replace these files, they never write into them.
        } else {
            fs::copy(&source, &target)?;
            // Cargo compares times of its notes with those of the sources.
            if let Ok(modified) = entry.metadata()?.modified() {
                let _ = fs::File::options()
                    .write(true)
                    .open(&target)
                    .and_then(|file| file.set_modified(modified));
            }
        }
    }
    Ok(())
}

fn is_final(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rlib" | "rmeta" | "so" | "a" | "o"))
        || (extension.is_none()
            && path
                .parent()
                .and_then(Path::parent)
                .is_some_and(|parent| parent.ends_with("build")))
}

/// An advisory lock on a file, held as long as this lives, gone when the process is.
pub struct Lock {
    _file: fs::File,
}

impl Lock {
    fn open(path: &Path) -> io::Result<fs::File> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
    }

    pub fn wait(path: &Path) -> anyhow::Result<Lock> {
        let file =
            Self::open(path).with_context(|| format!("{} cannot be written", path.display()))?;
        file.lock()?;
        Ok(Lock { _file: file })
    }

    /// The lock, if nobody has it.
    pub(super) fn try_now(path: &Path) -> Option<Lock> {
        let file = Self::open(path).ok()?;
        file.try_lock().ok()?;
        Some(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("forkline-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn crates_of_others_are_handed_on() {
        let dir = scratch("before");
        let folder = dir.join("pack");
        let libraries = ["libforkline.so", "libserde-1.rlib", "libremote-1.rlib"];
        let fill = || {
            let deps = folder.join("target/debug/deps");
            fs::create_dir_all(&deps).unwrap();
            for library in libraries {
                fs::write(deps.join(library), library).unwrap();
            }
        };
        let found = || {
            let entries = fs::read_dir(folder.join("target/debug/deps"));
            let names = entries.into_iter().flatten().flatten();
            let mut names: Vec<_> = names
                .map(|entry| entry.file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        fill();
        let before = Before::of(&folder, true).unwrap();
        assert!(!folder.exists());
        before.hand_on(&["remote"]).unwrap();
        assert_eq!(found(), ["libserde-1.rlib"]);
        drop(before);
        fill();
        let before = Before::of(&folder, false).unwrap();
        before.hand_on(&["remote"]).unwrap();
        assert!(!folder.exists());
        drop(before);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_copy_links_libraries_and_copies_notes() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = scratch("copy");
        let from = dir.join("from/debug");
        for file in [
            "deps/libforkline.so",
            "deps/libctx.so",
            ".fingerprint/forkline-1/lib-forkline",
            ".fingerprint/ctx-1/lib-ctx",
            "incremental/x",
        ] {
            let path = from.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let to = dir.join("to");
        copy_target(&dir.join("from"), &to).unwrap();
        let to = to.join("debug");
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(
            inode(to.join("deps/libforkline.so")),
            inode(from.join("deps/libforkline.so"))
        );
        let note = ".fingerprint/forkline-1/lib-forkline";
        assert_ne!(inode(to.join(note)), inode(from.join(note)));
        assert_eq!(
            fs::metadata(to.join(note)).unwrap().modified().unwrap(),
            fs::metadata(from.join(note)).unwrap().modified().unwrap()
        );
        for absent in ["deps/libctx.so", ".fingerprint/ctx-1", "incremental"] {
            assert!(!to.join(absent).exists(), "{absent}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let dir = scratch("lock");
        let path = dir.join("lock");
        let held = Lock::wait(&path).unwrap();
        assert!(Lock::try_now(&path).is_none());
        drop(held);
        assert!(Lock::try_now(&path).is_some());
        fs::remove_dir_all(dir).unwrap();
    }
}
