//! The listening ends of side channels: each connection gets a thread that reads its frames and hands them to
//! a [`Receiver`]. The worker has one, the ranks of a group have another.

use crate::home;
use crate::worker::frames::{Decoder, Frame};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stream text waits this many milliseconds for more, so that a loop of prints becomes a few
/// messages instead of thousands; nobody sees the difference.
const GATHER: i32 = 8;

/// The socket for terminals, and the file that says whose it is, in the folder of each kernel.
pub const TERMINALS: &str = "terminals";
pub const CARD: &str = "kernel.json";

/// How the names of those folders begin.
pub const FOLDERS: &str = "forkline-";

/// What is done with the frames of a side channel.
pub trait Receiver: Send + Sync + 'static {
    /// Somebody has connected; `pid` is the process.
    fn connected(&self, connection: u64, pid: i32);
    /// One frame; `socket` is the connection by which it came.
    fn take(&self, connection: u64, socket: &UnixStream, frame: &Frame);
    /// Nothing has come for a moment.
    fn flush(&self);
    /// The connection has ended.
    fn disconnected(&self, connection: u64);
}

/// The sockets' place, removed when the kernel ends.
pub struct SideChannel {
    dir: PathBuf,
}

impl SideChannel {
    /// Listens in a new folder that only this user may enter.
    ///
    /// # Errors
    /// No temporary folder can be written to.
    pub fn listen(
        outputs: Arc<impl Receiver>,
        ranks: Arc<impl Receiver>,
    ) -> anyhow::Result<SideChannel> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{FOLDERS}{}", &id[..12]);
        let base = home::sockets_base();
        remove_abandoned(&base);
        let dir = base.join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|error| {
                anyhow::anyhow!(
                    "{} cannot be made\nwhy: {error}\ndo:  set TMPDIR to a folder that can be written to",
                    dir.display()
                )
            })?;
        let channel = SideChannel { dir };
        listen_at(&channel.path(), outputs)?;
        listen_at(&channel.path_for_ranks(), ranks)?;
        Ok(channel)
    }

    /// The socket for workers to connect to.
    pub fn path(&self) -> PathBuf {
        self.dir.join("side")
    }

    /// The socket for the ranks of a group, and for their leader.
    pub fn path_for_ranks(&self) -> PathBuf {
        self.dir.join("ranks")
    }

    /// The folder for the files of cells, by which the debugger's front end knows them.
    pub fn path_for_cells(&self) -> PathBuf {
        self.dir.join("cells")
    }

    /// The socket for terminals that debug.
    pub fn path_for_terminals(&self) -> PathBuf {
        self.dir.join(TERMINALS)
    }

    /// What the kernel says of itself, for who looks for it.
    pub fn path_of_card(&self) -> PathBuf {
        self.dir.join(CARD)
    }

    /// Removes the sockets and their folder.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all::<&Path>(&self.dir);
    }
}

/// Removes what killed kernels have left: sockets to which nobody listens any more.
fn remove_abandoned(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(FOLDERS) {
            continue;
        }
        let refused = UnixStream::connect(entry.path().join("side"))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn listen_at(path: &Path, receiver: Arc<impl Receiver>) -> std::io::Result<()> {
    let listener = UnixListener::bind(path)?;
    std::thread::Builder::new()
        .name("side-channel".to_owned())
        .spawn(move || accept(&listener, &receiver))
        .map(|_| ())
}

fn accept(listener: &UnixListener, outputs: &Arc<impl Receiver>) {
    for (connection, stream) in (1..).zip(listener.incoming()) {
        let Ok(stream) = stream else { continue };
        outputs.connected(connection, peer(&stream));
        let outputs = Arc::clone(outputs);
        let name = format!("worker-{connection}");
        let started = std::thread::Builder::new()
            .name(name)
            .spawn(move || read(connection, stream, &*outputs));
        if let Err(error) = started {
            eprintln!("forkline: no thread for a worker's output: {error}");
        }
    }
}

/// The process at the other end.
fn peer(stream: &UnixStream) -> i32 {
    // SAFETY: a zeroed ucred is valid; the call writes at most its length.
    unsafe {
        let mut credentials: libc::ucred = std::mem::zeroed();
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &mut length,
        );
        credentials.pid
    }
}

fn read(connection: u64, mut stream: UnixStream, outputs: &impl Receiver) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut waiting = false;
    loop {
        if waiting && !is_readable(&stream) {
            outputs.flush();
            waiting = false;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => outputs.take(connection, &stream, &frame),
                Ok(None) => break,
                Err(error) => {
                    eprintln!("forkline: a worker's output cannot be understood: {error}");
                    outputs.disconnected(connection);
                    return;
                }
            }
        }
        waiting = true;
    }
    outputs.disconnected(connection);
}

/// Whether more comes within [`GATHER`] milliseconds.
fn is_readable(stream: &UnixStream) -> bool {
    let mut entry = libc::pollfd {
        fd: stream.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid entry for the time of the call.
    unsafe { libc::poll(&raw mut entry, 1, GATHER) > 0 }
}
