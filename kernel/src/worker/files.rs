//! Files for a rank on another machine: the leader sends them over the orders' connection, and they are laid into a folder
//! of the rank's process.
//!
//! Before the first order these are the prelude, the standard library and the MPI plugin, if they are not there in the
//! same build, as they are where the machines share forkline's data folder; then the library of each cell. The kernel
//! knows a library by its path on the leader's machine, so reports name that one.

use super::link::Socket;
use super::{PRELUDE, RUST_LIBS};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// How a line begins that announces a file: its length and its path follow, and on the next line its bytes.
const FILE: &str = "FORKLINE_FILE ";

/// Where each file lies here, and the folder.
static FILES: Mutex<Option<Files>> = Mutex::new(None);

struct Files {
    folder: PathBuf,
    /// Free when the process has ended, however it did.
    _lock: std::fs::File,
    /// The path here of each path there, and the other way round.
    here: HashMap<String, String>,
    there: HashMap<String, String>,
}

/// Environment variable for ranks on other machines: the paths of the files that they need.
const NEEDED: &str = "FORKLINE_FILES";
/// Environment variable: the MPI plugin, as the prelude reads it.
const PLUGIN: &str = "FORKLINE_MPI_PLUGIN";
/// The line behind the last file that a rank needs before its first order.
const BEGIN: &str = "FORKLINE_BEGIN";
/// How long the leader may take to send them, one rank after the other.
const PATIENCE: Duration = Duration::from_secs(60);
/// In place of a digest: there is no such file.
const MISSING: &str = "missing";

/// The files that ranks need before their first order.
pub fn needed() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::env::var_os(PRELUDE)
        .map(PathBuf::from)
        .into_iter()
        .collect();
    if let Some(libs) = std::env::var_os(RUST_LIBS) {
        let entries = std::fs::read_dir(libs).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| is_std(path)),
        );
    }
    found.extend(plugin());
    found
}

fn is_std(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libstd-") && name.ends_with(".so")
}

fn plugin() -> Option<PathBuf> {
    let own = || crate::home::plugins_dir().join("libforkline_mpi.so");
    let path = std::env::var_os(PLUGIN).map_or_else(own, PathBuf::from);
    path.exists().then_some(path)
}

/// Variables by which ranks on other machines know what they need.
pub fn variables() -> Vec<(String, OsString)> {
    let mut found = Vec::new();
    if let Ok(paths) = std::env::join_paths(needed()) {
        found.push((NEEDED.to_owned(), paths));
    }
    found.extend(plugin().map(|path| (PLUGIN.to_owned(), path.into_os_string())));
    found
}

/// What a rank needs, as its leader has told it.
pub fn needed_here() -> Vec<PathBuf> {
    let paths = std::env::var_os(NEEDED).unwrap_or_default();
    std::env::split_paths(&paths).collect()
}

/// What tells one build of each file from another: cells are linked against one of them.
pub fn digests(files: &[PathBuf]) -> String {
    use sha2::Digest as _;
    let digest = |path: &PathBuf| match std::fs::read(path) {
        Ok(bytes) => {
            let digest = sha2::Sha256::digest(&bytes);
            let bytes = digest.iter().take(8);
            bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
        }
        Err(_) => MISSING.to_owned(),
    };
    let all: Vec<String> = files.iter().map(digest).collect();
    all.join(",")
}

/// Sends a rank those files that it does not have in this build, and says that these were all.
///
/// # Errors
/// A file cannot be read, or the rank is gone.
pub fn provide(files: &[PathBuf], own: &str, there: &str, to: &mut impl Write) -> io::Result<()> {
    let mut known = there.split(',');
    for (file, own) in files.iter().zip(own.split(',')) {
        if known.next() != Some(own) {
            send_file(&file.to_string_lossy(), to)?;
        }
    }
    to.write_all(format!("{BEGIN}\n").as_bytes())
}

/// Takes what the leader sends before the first order, and lets this process use it.
///
/// # Errors
/// There is no room, or the leader is gone.
pub fn receive(from: &mut Socket) -> io::Result<()> {
    loop {
        let line = from.line(PATIENCE).ok_or(io::ErrorKind::UnexpectedEof)?;
        if line == BEGIN {
            break;
        }
        if !take(&line, from)? {
            return Err(io::Error::other(format!(
                "the leader sent an unknown line: {line}"
            )));
        }
    }
    for path in needed_here() {
        let path = path.to_string_lossy().into_owned();
        let copy = PathBuf::from(here(&path));
        // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
        unsafe {
            for name in [PRELUDE, PLUGIN] {
                if std::env::var_os(name).is_some_and(|value| value == *path) {
                    std::env::set_var(name, &copy);
                }
            }
            if is_std(&copy)
                && let Some(folder) = copy.parent()
            {
                std::env::set_var(RUST_LIBS, folder);
            }
        }
    }
    Ok(())
}

/// Sends the library that an order names; nothing if the order names none.
///
/// # Errors
/// The library cannot be read, or the rank is gone.
pub fn send(order: &str, to: &mut impl Write) -> io::Result<()> {
    let path = order
        .strip_prefix("LOAD_AND_RUN ")
        .and_then(|rest| rest.rsplit_once(' '));
    let Some((path, _)) = path else { return Ok(()) };
    send_file(path, to)
}

fn send_file(path: &str, to: &mut impl Write) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    to.write_all(format!("{FILE}{} {path}\n", bytes.len()).as_bytes())?;
    to.write_all(&bytes)
}

/// Takes the file that a line announces; false if it announces none.
///
/// # Errors
/// There is no room for it here, or the connection ends.
pub fn take(line: &str, from: &mut impl Read) -> io::Result<bool> {
    let announced = line
        .strip_prefix(FILE)
        .and_then(|rest| rest.split_once(' '));
    let Some((length, path)) = announced else {
        return Ok(false);
    };
    let length = length.parse().map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    let mut files = super::lock(&FILES);
    if files.is_none() {
        *files = Some(Files::new()?);
    }
    if let Some(files) = files.as_mut() {
        files.lay_down(path, &bytes)?;
    }
    Ok(true)
}

/// How the folders' names begin.
const FOLDER: &str = "forkline-rank-";
/// The file in each whose lock says that its process lives.
const LOCK: &str = "lock";

/// Removes what ranks have left that were killed.
fn remove_abandoned(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(FOLDER);
        let age = entry.metadata().and_then(|it| it.modified()).ok();
        let age = age.and_then(|time| time.elapsed().ok());
        // A new one may not have its lock yet.
        if !is_ours || age.is_none_or(|age| age < Duration::from_secs(60)) {
            continue;
        }
        let lock = std::fs::File::open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Files {
    fn new() -> io::Result<Files> {
        let base = std::env::temp_dir();
        remove_abandoned(&base);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let folder = base.join(format!("{FOLDER}{}", &id[..12]));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let lock = std::fs::File::create(folder.join(LOCK))?;
        lock.lock()?;
        Ok(Files {
            folder,
            _lock: lock,
            here: HashMap::new(),
            there: HashMap::new(),
        })
    }

    fn lay_down(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let name = Path::new(path).file_name().unwrap_or_default();
        let here = self.folder.join(name);
        std::fs::write(&here, bytes)?;
        let here = here.to_string_lossy().into_owned();
        self.here.insert(path.to_owned(), here.clone());
        self.there.insert(here, path.to_owned());
        Ok(())
    }
}

/// Where a library lies here.
pub fn here(path: &str) -> String {
    let files = super::lock(&FILES);
    let found = files.as_ref().and_then(|files| files.here.get(path));
    found.map_or_else(|| path.to_owned(), String::clone)
}

/// What the kernel calls it.
pub fn there(path: String) -> String {
    let files = super::lock(&FILES);
    let found = files.as_ref().and_then(|files| files.there.get(&path));
    found.cloned().unwrap_or(path)
}

/// Removes them, before the process ends.
pub fn remove() {
    if let Some(files) = super::lock(&FILES).take() {
        let _ = std::fs::remove_dir_all(files.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_sent() {
        let dir = std::env::temp_dir().join(format!("forkline-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let files = [dir.join("one"), dir.join("two"), dir.join("none")];
        std::fs::write(&files[0], "1").unwrap();
        std::fs::write(&files[1], "2").unwrap();
        let own = digests(&files[..2]);
        let sent = |there: &str| {
            let mut sent = Vec::new();
            provide(&files[..2], &own, there, &mut sent).unwrap();
            String::from_utf8(sent).unwrap()
        };
        assert_eq!(sent(&own), "FORKLINE_BEGIN\n");
        let second = format!("FORKLINE_FILE 1 {}\n2FORKLINE_BEGIN\n", files[1].display());
        let (first, _) = own.split_once(',').unwrap();
        assert_eq!(sent(&format!("{first},{MISSING}")), second);
        assert!(sent("").starts_with("FORKLINE_FILE 1 "));
        assert!(digests(&files).ends_with(",missing"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_library_goes_before_its_order() {
        let source = std::env::temp_dir().join(format!("libcode_{}.so", std::process::id()));
        std::fs::write(&source, b"a\nlibrary\n").unwrap();
        let path = source.to_str().unwrap();
        let mut sent = Vec::new();
        send(&format!("LOAD_AND_RUN {path} run_1"), &mut sent).unwrap();
        send("SOMETHING ELSE", &mut sent).unwrap();
        let end = sent.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&sent[..end]).unwrap();
        let mut rest = &sent[end + 1..];
        assert!(take(line, &mut rest).unwrap());
        assert!(rest.is_empty());
        let copy = here(path);
        assert_ne!(copy, path);
        assert_eq!(std::fs::read(&copy).unwrap(), b"a\nlibrary\n");
        assert_eq!(there(copy.clone()), path);
        assert_eq!(here("/other"), "/other");
        remove();
        assert!(!Path::new(&copy).exists());
        assert!(!take("LOAD_AND_RUN x y", &mut rest).unwrap());
        std::fs::remove_file(source).unwrap();
    }
}
