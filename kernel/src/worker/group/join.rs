//! How a group begins: the launcher is started, and the ranks come, each with a word about itself.

use super::{Event, LAUNCHER, PLAN, Plan, watch};
use crate::worker::link::{Address, Listener, PROMPT, Purpose, Socket};
use crate::worker::{KERNEL_GROUP, SIDE_CHANNEL, files, lock, rank};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long ranks may take to begin.
const START: Duration = Duration::from_secs(60);
/// How much of the launcher's words is kept.
const WORDS: usize = 8 * 1024;

/// A rank that has come.
pub(super) struct Joined {
    socket: Socket,
    introduction: Introduction,
}

/// What a rank says of itself, as a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    pub rank: u32,
    /// How many there are; 0 if the launcher does not say.
    pub size: u32,
    /// Of forkline, there.
    pub version: String,
    /// The digests of the files that it needs, see [`files::digests`]; empty on the leader's machine.
    pub files: String,
    pub host: String,
}

impl Introduction {
    pub fn line(&self) -> String {
        let Introduction {
            rank,
            size,
            version,
            files,
            host,
        } = self;
        format!("{rank} {size} {version} {files} {host}\n")
    }

    fn read(line: &str) -> Option<Introduction> {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().map(str::to_owned);
        Some(Introduction {
            rank: word()?.parse().ok()?,
            size: word()?.parse().ok()?,
            version: word()?,
            files: word()?,
            host: word()?,
        })
    }
}

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Starts the launcher and waits for the ranks.
///
/// # Errors
/// What the user is to be told.
pub(super) fn start(
    plan: &Plan,
    events: &Receiver<Event>,
    sender: &Sender<Event>,
    launched: impl FnOnce(),
) -> Result<(Vec<Socket>, Child), String> {
    let internal = |error: io::Error| format!("the group could not begin\nwhy: {error}");
    let kernel = PathBuf::from(std::env::var_os(SIDE_CHANNEL).unwrap_or_default());
    let is_network = plan.leaves_this_machine();
    let listener = if is_network {
        Listener::network()
    } else {
        // Beside the kernel's socket: a short path, in a folder that only this user may enter.
        Listener::local(kernel.with_file_name(format!("leader-{}", std::process::id())))
    };
    let listener = Arc::new(listener.map_err(internal)?);
    let address = listener.address().map_err(internal)?;
    let (to_join, accepted) = (sender.clone(), Arc::clone(&listener));
    watch(move || accept(&accepted, &kernel, &to_join));
    let started = launch(plan, &address).and_then(|(mut launcher, words)| {
        launched();
        match wait_for_ranks(plan, is_network, &mut launcher, &words, events) {
            Ok(ranks) => Ok((ranks, launcher)),
            Err(why) => {
                super::end_launcher(launcher.id() as i32, &mut || {
                    launcher.try_wait().is_ok_and(|status| status.is_some())
                });
                Err(why)
            }
        }
    });
    listener.hide();
    started
}

/// Takes connections: those of the ranks, and over a network those for the kernel.
fn accept(listener: &Arc<Listener>, kernel: &Path, sender: &Sender<Event>) {
    while let Ok(mut socket) = listener.accept() {
        let (listener, sender) = (Arc::clone(listener), sender.clone());
        let kernel = kernel.to_owned();
        // One that says nothing keeps nobody else from it.
        watch(move || match listener.greet(&mut socket) {
            Some(Purpose::Orders) => {
                let line = socket.line(PROMPT);
                if let Some(introduction) = line.as_deref().and_then(Introduction::read) {
                    let joined = Joined {
                        socket,
                        introduction,
                    };
                    let _the_leader_ends = sender.send(Event::Joined(joined));
                }
            }
            Some(Purpose::Frames) => {
                let _closed_at_both_ends = relay(socket, &kernel);
            }
            None => {}
        });
    }
}

/// Passes on what goes between a rank and the kernel, until either closes.
fn relay(rank: Socket, kernel: &Path) -> io::Result<()> {
    let kernel = Socket::Local(UnixStream::connect(kernel)?);
    for (mut from, mut to) in [(rank.try_clone()?, kernel.try_clone()?), (kernel, rank)] {
        watch(move || {
            let _either_is_gone = io::copy(&mut from, &mut to);
            to.shutdown();
        });
    }
    Ok(())
}

/// The last that a launcher has written.
type Words = Arc<Mutex<Vec<u8>>>;

/// What ranks on other machines are told by the launcher, and so by nobody else.
fn carried(address: &Address) -> Vec<(String, OsString)> {
    if !address.is_network() {
        return Vec::new();
    }
    let own =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = own.filter(|(name, _)| {
        let is_here =
            [KERNEL_GROUP, PLAN, SIDE_CHANNEL, rank::LEADER, rank::TRACER].contains(&name.as_str());
        name.starts_with("FORKLINE_") && !is_here
    });
    ours.chain(files::variables())
        .chain([
            (rank::LEADER.to_owned(), address.text()),
            (SIDE_CHANNEL.to_owned(), address.text()),
        ])
        .collect()
}

fn launch(plan: &Plan, address: &Address) -> Result<(Child, Words), String> {
    let mut command: Command = plan.command(&carried(address));
    let program = std::env::current_exe()
        .map_err(|error| format!("the group could not begin\nwhy: {error}"))?;
    command
        .arg(program)
        .arg(rank::ROLE)
        .env(rank::LEADER, address.text())
        .env(
            rank::TRACER,
            std::os::unix::process::parent_id().to_string(),
        )
        .env_remove("EVCXR_IS_RUNTIME")
        .env_remove(KERNEL_GROUP)
        .env_remove(PLAN)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(target_os = "linux")]
    // SAFETY: a plain system call between fork and exec. The thread that starts the launcher is the main
    // one, which lives as long as the process.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    let mut launcher = command.spawn().map_err(|error| not_started(plan, &error))?;
    let words = Words::default();
    let sources: [Option<Box<dyn Read + Send>>; 2] = [
        launcher.stdout.take().map(|it| Box::new(it) as _),
        launcher.stderr.take().map(|it| Box::new(it) as _),
    ];
    for mut source in sources.into_iter().flatten() {
        let words = Arc::clone(&words);
        watch(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let mut words = lock(&words);
                words.extend_from_slice(&buffer[..count]);
                let surplus = words.len().saturating_sub(WORDS);
                words.drain(..surplus);
            }
        });
    }
    Ok((launcher, words))
}

fn not_started(plan: &Plan, error: &io::Error) -> String {
    let name = plan.launcher();
    if error.kind() != io::ErrorKind::NotFound {
        return format!(
            "{name} cannot be started\nwhy: {error}\ndo:  try it in a terminal: {name} --version"
        );
    }
    if name == LAUNCHER {
        return "there is no mpiexec\n\
                why: it is not on PATH; an MPI library brings it, and none seems to be installed\n\
                do:  apt-get install openmpi-bin    (as root), then run the cell again"
            .to_owned();
    }
    format!(
        "there is no {name}\n\
         why: it is not on PATH\n\
         do:  name another launcher with --launcher, or leave that out for mpiexec"
    )
}

/// All ranks in order, or why they did not come.
fn wait_for_ranks(
    plan: &Plan,
    is_network: bool,
    launcher: &mut Child,
    words: &Words,
    events: &Receiver<Event>,
) -> Result<Vec<Socket>, String> {
    let mut ranks: Vec<Option<Socket>> = (0..plan.ranks).map(|_| None).collect();
    let needed = if is_network {
        files::needed()
    } else {
        Vec::new()
    };
    let own_digests = files::digests(&needed);
    let begun = Instant::now();
    let name = plan.launcher();
    let told = || {
        // Its last words may still be on their way.
        std::thread::sleep(Duration::from_millis(100));
        let words = String::from_utf8_lossy(&lock(words)).trim().to_owned();
        if words.is_empty() {
            "it said nothing".to_owned()
        } else {
            words
        }
    };
    let elsewhere = if is_network {
        "\n     or, if another machine has no forkline: install it there, at the same place and of the same version"
    } else {
        ""
    };
    while ranks.iter().any(Option::is_none) {
        match events.recv_timeout(Duration::from_millis(20)) {
            Ok(Event::Joined(mut joined)) => {
                if is_network {
                    is_of_one_version(&joined.introduction)?;
                    let there = &joined.introduction.files;
                    // One that is gone meanwhile is told by its reader.
                    let _ = files::provide(&needed, &own_digests, there, &mut joined.socket);
                }
                let Introduction { rank, size, .. } = joined.introduction;
                let place = ranks.get_mut(rank as usize);
                match place {
                    Some(place @ None) if size == 0 || size == plan.ranks => {
                        *place = Some(joined.socket);
                    }
                    _ => {
                        return Err(format!(
                            "{name} did not start the group that was asked for\n\
                             why: rank {rank} of {size} came, and there are to be {}: \
                             another option asks for another number, or the launcher belongs to another MPI\n\
                             do:  leave the number to -n",
                            plan.ranks
                        ));
                    }
                }
            }
            Ok(Event::Close) => return Err("the group was ended before it began".to_owned()),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {
                if let Ok(Some(status)) = launcher.try_wait() {
                    return Err(format!(
                        "{name} could not start the group ({status})\nwhy: {}\n\
                         do:  look at the command, which was: {}{elsewhere}",
                        told(),
                        plan.command_line()
                    ));
                }
                if begun.elapsed() > START {
                    let missing = ranks.iter().filter(|rank| rank.is_none()).count();
                    return Err(format!(
                        "the group did not begin within {} s\n\
                         why: {missing} of {} ranks did not come; {name} says: {}\n\
                         do:  try the launcher in a terminal: {name} -n {} hostname{elsewhere}",
                        START.as_secs(),
                        plan.ranks,
                        told(),
                        plan.ranks
                    ));
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err("the group was ended before it began".to_owned());
            }
        }
    }
    Ok(ranks.into_iter().flatten().collect())
}

/// Whether a rank on another machine speaks as this leader does.
fn is_of_one_version(there: &Introduction) -> Result<(), String> {
    let Introduction {
        rank,
        version,
        host,
        ..
    } = there;
    if version == VERSION {
        return Ok(());
    }
    Err(format!(
        "rank {rank} on {host} has forkline {version}\n\
         why: the kernel is forkline {VERSION}, and all ranks must be the same\n\
         do:  install that version on {host}, or share the folder in which it lies"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_introduces_itself_by_a_line() {
        let introduction = Introduction {
            rank: 3,
            size: 4,
            version: "0.1.0".to_owned(),
            files: String::new(),
            host: "node 2".to_owned(),
        };
        let line = introduction.line();
        assert_eq!(line, "3 4 0.1.0  node 2\n");
        assert_eq!(Introduction::read(line.trim_end()), Some(introduction));
        assert_eq!(Introduction::read("3 x"), None);
    }

    #[test]
    fn a_rank_of_another_version_is_refused_in_words() {
        let there = |version: &str| Introduction {
            rank: 1,
            size: 2,
            version: version.to_owned(),
            files: String::new(),
            host: "node2".to_owned(),
        };
        assert_eq!(is_of_one_version(&there(VERSION)), Ok(()));
        let why = is_of_one_version(&there("0.0.1")).unwrap_err();
        assert!(
            why.starts_with("rank 1 on node2 has forkline 0.0.1"),
            "{why}"
        );
    }
}
