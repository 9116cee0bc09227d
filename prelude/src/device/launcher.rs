//! Whether MPI programs can be started here.

use std::fmt;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// The launcher of MPI programs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mpi {
    /// What it says of its version, if it answered within a second.
    pub version: Option<String>,
}

impl fmt::Display for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{version}"),
            None => write!(f, "mpiexec is there and does not tell its version"),
        }
    }
}

/// Asked once: starting a process takes milliseconds, and some launchers think for long.
pub(super) fn mpi() -> Option<Mpi> {
    static MPI: OnceLock<Option<Mpi>> = OnceLock::new();
    MPI.get_or_init(|| {
        let path = std::env::var_os("PATH")?;
        let launcher = on_path("mpiexec", std::env::split_paths(&path))?;
        let version = answer(&launcher, Duration::from_secs(1));
        Some(Mpi {
            version: version.and_then(|text| version_line(&text)),
        })
    })
    .clone()
}

fn on_path(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// What `program --version` prints, if it ends in time.
fn answer(program: &Path, limit: Duration) -> Option<String> {
    // A socket and not a pipe: std can read it without waiting. A process that the program leaves behind may
    // hold it open for ever.
    let (mut ours, theirs) = UnixStream::pair().ok()?;
    ours.set_nonblocking(true).ok()?;
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ended_meanwhile = child.kill();
                let _reaped = child.wait();
                return None;
            }
        }
    }
    // It has ended: what is there is all, and its first lines are enough.
    let mut text = vec![0; 4 << 10];
    let n = ours.read(&mut text).ok()?;
    text.truncate(n);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The first line; MPICH and its kin say their version in a later one.
fn version_line(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let Some(name) = first.strip_suffix(" build details:") else {
        return Some(first.to_owned());
    };
    let version = lines.find_map(|line| line.strip_prefix("Version:"));
    Some(version.map_or(first.to_owned(), |version| {
        format!("{name} {}", version.trim())
    }))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::files::made_up;
    use super::*;

    #[test]
    fn the_version_is_found_in_what_launchers_say() {
        let version = |text| version_line(text);
        assert_eq!(
            version("mpiexec (OpenRTE) 4.1.4\n\nReport bugs to …").as_deref(),
            Some("mpiexec (OpenRTE) 4.1.4")
        );
        assert_eq!(
            version("HYDRA build details:\n    Version:         4.0\n    Release Date: …")
                .as_deref(),
            Some("HYDRA 4.0")
        );
        assert_eq!(version("\n"), None);
    }

    #[test]
    fn a_program_is_asked_and_not_waited_for_long() {
        let limit = Duration::from_secs(60);
        let text = answer(Path::new("/bin/echo"), limit).unwrap();
        assert!(!text.is_empty());
        assert_eq!(answer(Path::new("/no/such/program"), limit), None);
        let script = "#!/bin/sh\nexec sleep 1000000000\n";
        let folder = made_up("mpi", &[("slow", script)]);
        let slow = folder.join("slow");
        fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(answer(&slow, Duration::from_millis(1)), None);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_first_on_the_path_counts() {
        let folders = ["/no/such/folder", "/bin", "/usr/bin"].map(PathBuf::from);
        let found = on_path("sh", folders.into_iter()).unwrap();
        assert_eq!(found, Path::new("/bin/sh"));
        assert_eq!(on_path("sh", std::iter::empty()), None);
    }
}
