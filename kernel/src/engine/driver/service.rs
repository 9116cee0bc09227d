//! How the stand-in for cargo, a process of its own, asks the kernel to build a cell: one request and
//! one answer over a unix socket, as JSON.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A call of cargo.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub dir: PathBuf,
}

/// What the stand-in is to do.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    /// Print this and end so.
    Done {
        status: i32,
        stdout: String,
        stderr: String,
    },
    /// Let the real cargo do it.
    NotMine,
}

impl Request {
    /// evcxr asks for the messages only, after a build that failed. (cargo would check all dependencies anew
    /// for that, which takes seconds in each session.)
    pub fn is_check(&self) -> bool {
        self.arguments.first().is_some_and(|first| first == "check")
    }

    /// The call of this process.
    pub fn here(arguments: &[OsString]) -> Request {
        Request {
            arguments: arguments
                .iter()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            dir: std::env::current_dir().unwrap_or_default(),
        }
    }
}

/// The socket's name in the folder of a session, which is where evcxr starts cargo. Only the name is
/// ever used to bind or connect: a whole path may be longer than a socket's may be.
const SOCKET: &str = "driver";

/// Whether this process is in the folder of a session.
pub fn is_session() -> bool {
    Path::new(SOCKET).exists()
}

/// Sends a request to the kernel whose session's folder this process is in; none if it is in no such
/// folder.
pub fn ask(request: &Request) -> Option<std::io::Result<Answer>> {
    if !is_session() {
        return None;
    }
    Some((|| {
        let mut stream = UnixStream::connect(SOCKET)?;
        serde_json::to_writer(&mut stream, request)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        receive(&mut stream)
    })())
}

/// Answers requests until the process ends.
pub fn serve(
    session: &Path,
    answer: impl Fn(Request) -> Answer + Send + 'static,
) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let dir = std::fs::File::open(session)?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))?;
    std::thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Ok(request) = receive(&mut stream) else {
                    continue;
                };
                // A panic here costs this build only.
                let answered =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| answer(request)));
                let answered = answered.unwrap_or(Answer::NotMine);
                if let Ok(text) = serde_json::to_vec(&answered) {
                    let _ = stream.write_all(&text);
                }
            }
        })?;
    Ok(())
}

fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> std::io::Result<T> {
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
