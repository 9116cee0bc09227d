//! An analyzer in another process: where it is found, what is asked and answered.
//!
//! Words travel as JSON, each behind its length in four bytes. Who may ask is settled by the folder of the socket, which only this
//! user may enter.

use super::{Answer, Question, host};
use crate::engine::template;
use crate::home;
use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Environment variable: `own` gives the kernel an analyzer in its own process.
const CHOICE: &str = "FORKLINE_ANALYZER";
/// A host that does not listen after so long is none.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// Another is started then, if the one before was just about to end.
const SOON: Duration = Duration::from_secs(1);
/// It reads all libraries before it answers, for two seconds on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A copy that has grown by so many MiB is given up for a fresh one.
const TOO_LARGE: u64 = 512;
/// What no question and no answer is long enough for.
const LONGEST: u32 = 256 << 20;

/// What a copy of the host must know to take the place of the kernel's own analyzer.
#[derive(Serialize, Deserialize)]
pub(super) struct Attach {
    /// The session's folder.
    pub session: PathBuf,
    /// The kernel's working folder, from which relative paths in its environment count.
    pub folder: PathBuf,
    /// The kernel's environment: rust-analyzer asks cargo.
    pub environment: Vec<(OsString, OsString)>,
}

/// What is sent for a question and where other kernels may get what knows its dependencies: an answer, or why there is none, and what
/// a person should be told beside it.
#[derive(Serialize, Deserialize)]
pub(super) struct Reply {
    pub answer: Result<Answer, String>,
    pub notes: Vec<String>,
    /// By how many MiB the process has grown since it was copied.
    pub grown: u64,
}

/// The end of a connection at which questions are asked.
pub struct Remote {
    stream: UnixStream,
    session: PathBuf,
    /// The dependencies that it was asked about last.
    dependencies: Vec<(String, String)>,
}

impl Remote {
    /// Gets a copy of the host for the session in this folder; starts a host if there is none.
    ///
    /// # Errors
    /// The user wants none, or it does not start.
    pub fn attach(session: &Path) -> anyhow::Result<Remote> {
        anyhow::ensure!(
            !cfg!(test) && std::env::var_os(CHOICE).is_none_or(|choice| choice != "own"),
            "it is to be the kernel's own"
        );
        anyhow::ensure!(host::is_possible(), "threads cannot be looked at");
        let socket = socket(&[])?;
        let attach = Attach::of(session);
        let begun = Instant::now();
        loop {
            let stream = match UnixStream::connect(&socket) {
                Ok(stream) => stream,
                Err(_) => start_host(&socket)?,
            };
            match greet(stream, &attach) {
                Ok(stream) => {
                    return Ok(Remote {
                        stream,
                        session: attach.session,
                        dependencies: Vec::new(),
                    });
                }
                // One that is about to end may still let us in.
                Err(_) if begun.elapsed() < SOON => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As [`Analyzer::answer`](super::Analyzer::answer).
    ///
    /// # Errors
    /// The other process is gone.
    pub fn ask(
        &mut self,
        question: &Question,
    ) -> io::Result<(anyhow::Result<Answer>, Vec<String>)> {
        let mut host = None;
        if question.dependencies != self.dependencies {
            host = host_knowing(&self.session, &question.dependencies);
            // Perhaps another kernel has brought the same ones.
            if let Some(socket) = &host
                && let Ok(stream) = UnixStream::connect(socket)
                && let Ok(stream) = greet(stream, &Attach::of(&self.session))
            {
                self.stream = stream;
            }
            self.dependencies = question.dependencies.clone();
        }
        send(&mut self.stream, &(question, host))?;
        let reply: Reply = receive(&mut self.stream)?;
        if reply.grown > TOO_LARGE
            && let Ok(fresh) = Remote::attach(&self.session)
        {
            *self = fresh;
        }
        Ok((reply.answer.map_err(anyhow::Error::msg), reply.notes))
    }
}

impl Attach {
    fn of(session: &Path) -> Attach {
        Attach {
            session: session.to_owned(),
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            environment: std::env::vars_os().collect(),
        }
    }
}

/// Where kernels with these dependencies, and the versions that the session has of them, find an analyzer that knows them. None if
/// their sources may change.
fn host_knowing(session: &Path, dependencies: &[(String, String)]) -> Option<PathBuf> {
    let own = format!("\"{}/", home::version_dir().display());
    if dependencies
        .iter()
        .any(|(_, what)| what.contains("path") && !what.contains(&own))
    {
        return None;
    }
    let versions = std::fs::read(session.join("Cargo.lock")).ok()?;
    let mut parts = vec![&*versions];
    for (name, what) in dependencies {
        parts.extend([name.as_bytes(), what.as_bytes()]);
    }
    socket(&parts).ok()
}

/// The stream, when there is a copy at its other end.
fn greet(mut stream: UnixStream, attach: &Attach) -> io::Result<UnixStream> {
    stream.set_read_timeout(Some(READY_WITHIN))?;
    send(&mut stream, attach)?;
    let () = receive(&mut stream)?;
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// Where the host for the template on disk and for this program listens, or one that knows more, which these parts say.
fn socket(more: &[&[u8]]) -> anyhow::Result<PathBuf> {
    let record = template::recorded().context("there is no template")?;
    let program = std::env::current_exe()?;
    let metadata = program.metadata()?;
    let place = home::template_dir();
    let identity = [metadata.mtime(), metadata.mtime_nsec()].map(i64::to_le_bytes);
    let inode = metadata.ino().to_le_bytes();
    let mut parts = vec![
        place.as_os_str().as_encoded_bytes(),
        record.digest.as_bytes(),
        program.as_os_str().as_encoded_bytes(),
        &inode,
        &identity[0],
        &identity[1],
    ];
    parts.extend(more);
    Ok(folder()?.join(&template::digest(parts)[..16]))
}

/// A folder for sockets that only this user may enter.
fn folder() -> anyhow::Result<PathBuf> {
    let folder = home::analyzers_dir();
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("{} cannot be made", folder.display()));
        }
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder)?;
    anyhow::ensure!(
        found.is_dir() && found.uid() == home::user_id() && found.mode() & 0o077 == 0,
        "{} is not this user's alone",
        folder.display()
    );
    Ok(folder)
}

/// Starts a host and waits until it listens. If another kernel does the same, one host stays.
fn start_host(socket: &Path) -> anyhow::Result<UnixStream> {
    let begun = Instant::now();
    while begun.elapsed() < LISTENS_WITHIN {
        // It goes on by itself; what is waited for here is only who has started it.
        let status = Command::new(std::env::current_exe()?)
            .arg(host::ROLE)
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        anyhow::ensure!(status.success(), "its process did not start ({status})");
        let started = Instant::now();
        while started.elapsed() < SOON {
            match UnixStream::connect(socket) {
                Ok(stream) => return Ok(stream),
                Err(_) => std::thread::sleep(Duration::from_millis(3)),
            }
        }
    }
    anyhow::bail!("its process does not listen")
}

pub(super) fn send(stream: &mut UnixStream, words: &impl Serialize) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, words)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    stream.write_all(&bytes)
}

pub(super) fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("words without an end"));
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_as_they_were_sent() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let attach = Attach {
            session: PathBuf::from("/a b"),
            folder: PathBuf::from("/"),
            environment: vec![("A".into(), "é=\n".into())],
        };
        send(&mut one, &attach).unwrap();
        let got: Attach = receive(&mut other).unwrap();
        assert_eq!(
            (got.session, got.environment),
            (attach.session, attach.environment)
        );
        one.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(receive::<Attach>(&mut other).is_err());
        drop(one);
        assert!(receive::<Attach>(&mut other).is_err());
    }
}
