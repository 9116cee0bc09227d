//! `forkline debug`: this terminal as that of a kernel's debugger.
//!
//! It finds the kernel by its connection file, its id or its process, opens the socket in its folder, and passes on lines
//! and text. All else is done there (`session::debug::terminal`).

use crate::home::sockets_base;
use crate::session::{CARD, FOLDERS, TERMINALS};
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

/// Ctrl-C, as the kernel reads it.
const PAUSE: u8 = 3;

/// The socket for the signal's handler.
static SOCKET: AtomicI32 = AtomicI32::new(-1);

/// A kernel that runs.
struct Kernel {
    pid: i32,
    connection_file: PathBuf,
    socket: PathBuf,
}

impl Kernel {
    /// The id that Jupyter gave it.
    fn id(&self) -> String {
        let stem = self.connection_file.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy();
        stem.strip_prefix("kernel-").unwrap_or(&stem).to_owned()
    }

    fn is_meant(&self, name: &str) -> bool {
        let is_file = std::fs::canonicalize(name).is_ok_and(|file| file == self.connection_file);
        let id = self.id();
        is_file
            || name == self.pid.to_string()
            || name == id
            || (name.len() >= 4 && id.starts_with(name))
    }

    fn line(&self) -> String {
        format!(
            "  {}  {}  {}\n",
            self.pid,
            self.id(),
            self.connection_file.display()
        )
    }
}

/// Carries out `forkline debug`.
///
/// # Errors
/// In three parts: no kernel runs, none of that name, several.
pub fn run(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    use lexopt::prelude::*;
    let (mut name, mut only_lists) = (None, false);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            // Which one it is stands behind it, or nowhere.
            Long("attach") => {}
            Long("list") => only_lists = true,
            Value(value) if name.is_none() => name = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let kernels = all(&sockets_base());
    if only_lists {
        for kernel in &kernels {
            print!("{}", kernel.line());
        }
        return Ok(());
    }
    let kernel = choose(&kernels, name.as_deref())?;
    let stream = UnixStream::connect(&kernel.socket).map_err(|error| {
        anyhow::anyhow!(
            "kernel {} cannot be reached\nwhy: {error}\ndo:  forkline debug --list    (shows what runs)",
            kernel.pid
        )
    })?;
    converse(stream)
}

/// The kernels of this user that can be reached.
fn all(base: &Path) -> Vec<Kernel> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let mut found: Vec<Kernel> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDERS))
        .filter_map(|entry| {
            let text = std::fs::read(entry.path().join(CARD)).ok()?;
            let card: serde_json::Value = serde_json::from_slice(&text).ok()?;
            let pid = card["pid"].as_i64()? as i32;
            let is_running = Path::new(&format!("/proc/{pid}")).exists();
            is_running.then(|| Kernel {
                pid,
                connection_file: PathBuf::from(
                    card["connection_file"].as_str().unwrap_or_default(),
                ),
                socket: entry.path().join(TERMINALS),
            })
        })
        .collect();
    found.sort_by_key(|kernel| kernel.pid);
    found
}

/// The one that is meant.
fn choose<'a>(kernels: &'a [Kernel], name: Option<&str>) -> anyhow::Result<&'a Kernel> {
    let meant: Vec<&Kernel> = kernels
        .iter()
        .filter(|kernel| name.is_none_or(|name| kernel.is_meant(name)))
        .collect();
    let list: String = kernels.iter().map(Kernel::line).collect();
    match (meant.as_slice(), name) {
        ([one], _) => Ok(one),
        ([], None) => anyhow::bail!(
            "no kernel runs\nwhy: none of this user has a socket under {}\ndo:  start a notebook of forkline's",
            sockets_base().display()
        ),
        ([], Some(name)) => anyhow::bail!(
            "no kernel {name} runs\nwhy: a kernel is named by its connection file, its id or its process id\n\
             do:  choose one of\n{list}"
        ),
        _ => anyhow::bail!(
            "several kernels run\nwhy: one of them must be named\ndo:  forkline debug --attach PID, of\n{list}"
        ),
    }
}

/// Lines there, text here, until one of the two ends.
fn converse(mut stream: UnixStream) -> anyhow::Result<()> {
    use std::os::fd::AsRawFd as _;
    SOCKET.store(stream.as_raw_fd(), Ordering::SeqCst);
    // SAFETY: the handler is async-signal-safe: it sends one byte.
    unsafe { libc::signal(libc::SIGINT, on_interrupt as *const () as usize) };
    let mut sending = stream.try_clone()?;
    std::thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            for line in std::io::stdin().lines() {
                let Ok(line) = line else { break };
                if sending.write_all(format!("{line}\n").as_bytes()).is_err() {
                    return;
                }
            }
            let _is_gone = sending.shutdown(Shutdown::Write);
        })?;
    let mut buffer = [0; 4096];
    let mut output = std::io::stdout();
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        if count == 0 {
            println!();
            return Ok(());
        }
        output.write_all(&buffer[..count])?;
        output.flush()?;
    }
}

extern "C" fn on_interrupt(_signal: libc::c_int) {
    let byte = [PAUSE];
    // SAFETY: one byte of a local; the descriptor is open as long as the process lives.
    unsafe {
        libc::send(
            SOCKET.load(Ordering::SeqCst),
            byte.as_ptr().cast(),
            1,
            libc::MSG_NOSIGNAL,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(pid: i32, file: &str) -> Kernel {
        Kernel {
            pid,
            connection_file: PathBuf::from(file),
            socket: PathBuf::new(),
        }
    }

    #[test]
    fn a_kernel_is_named_by_file_id_or_process() {
        let kernels = [
            kernel(7, "/r/kernel-ab12cd.json"),
            kernel(8, "/r/kernel-ef34.json"),
        ];
        let pid = |name| {
            choose(&kernels, name)
                .map(|kernel| kernel.pid)
                .map_err(|error| error.to_string())
        };
        assert_eq!(pid(Some("7")), Ok(7));
        assert_eq!(pid(Some("ef34")), Ok(8));
        assert_eq!(pid(Some("ab12")), Ok(7));
        assert!(pid(Some("nothing")).is_err_and(|why| why.contains("/r/kernel-ef34.json")));
        assert!(pid(None).is_err_and(|why| why.contains("several kernels run")));
        assert_eq!(
            choose(&kernels[..1], None).map(|kernel| kernel.pid).ok(),
            Some(7)
        );
        assert!(choose(&[], None).is_err_and(|error| error.to_string().contains("no kernel runs")));
    }
}
