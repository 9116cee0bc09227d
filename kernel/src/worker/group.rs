//! The leader of a group: what evcxr takes for its one process is N of them.
//!
//! The leader starts a launcher (`mpiexec` unless told otherwise), which starts the ranks. Each rank connects
//! to the leader and gets every load order of evcxr. Evcxr hears that an order has been carried out when
//! all ranks have said so; what a rank says before that (the cell has panicked, a variable is lost) is passed
//! on once, if any rank has said it. The leader runs no code of cells and sees no output of theirs.
//!
//! What always holds:
//! * a rank that is gone ends the group: the others have a moment to answer, for the kernel to tell how far they
//!   came, then all end;
//! * the leader ends with the kernel, the launcher and the ranks end with the leader.

use super::frames::{self, Kind};
use super::{CANNOT_LOAD, KERNEL_GROUP, SIDE_CHANNEL, rank};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The argument with which this program is a leader.
pub const ROLE: &str = "group";
/// Environment variable: the file with the [`Plan`].
pub const PLAN: &str = "FORKLINE_GROUP";

/// Exit status after a rank was lost.
const LOST: i32 = 98;
/// How long ranks may take to begin.
const START: Duration = Duration::from_secs(60);
/// How long the others may take to answer when a rank is gone.
const GRACE: Duration = Duration::from_millis(250);
/// How much of the launcher's words is kept.
const WORDS: usize = 8 * 1024;

const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

/// How a group is to be started. Nobody is started for a plan of no ranks; orders are answered all the same, so
/// that evcxr can get ready.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub ranks: u32,
    /// The launcher and its arguments; `-n` and what follows are added.
    pub launcher: Vec<String>,
    /// Further arguments, after `-n`.
    pub options: Vec<String>,
    /// Variables for the launcher and all ranks.
    pub environment: Vec<(String, String)>,
}

/// The launcher if none is named.
pub const LAUNCHER: &str = "mpiexec";

impl Plan {
    /// The launcher's name.
    pub fn launcher(&self) -> &str {
        self.launcher.first().map_or(LAUNCHER, String::as_str)
    }

    /// The launcher's command line without the program of the ranks, for people.
    pub fn command_line(&self) -> String {
        let mut words = vec![self.launcher().to_owned()];
        words.extend(self.launcher.iter().skip(1).cloned());
        words.extend(["-n".to_owned(), self.ranks.to_string()]);
        words.extend(self.options.iter().cloned());
        words.join(" ")
    }

    /// The launcher's command line up to the program of the ranks.
    fn command(&self) -> Command {
        let mut command = Command::new(self.launcher());
        command
            .args(self.launcher.iter().skip(1))
            .args(["-n", &self.ranks.to_string()])
            .args(&self.options);
        // SAFETY: geteuid has no preconditions.
        let is_root = unsafe { libc::geteuid() } == 0;
        // Open MPI refuses to start as root, and more ranks than cores, unless it is told; in a container
        // both are usual. What the user has set stays.
        let defaults = [
            ("OMPI_ALLOW_RUN_AS_ROOT", "1", is_root),
            ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", is_root),
            ("PRTE_ALLOW_RUN_AS_ROOT", "1", is_root),
            ("PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1", is_root),
            ("OMPI_MCA_rmaps_base_oversubscribe", "1", true),
            (
                "PRTE_MCA_rmaps_default_mapping_policy",
                ":oversubscribe",
                true,
            ),
            ("OMPI_MCA_mpi_yield_when_idle", "1", self.is_crowded()),
        ];
        for (name, value, wanted) in defaults {
            if wanted && std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        command.envs(self.environment.iter().cloned());
        command
    }

    /// More ranks than processors: one that waits must let others run.
    fn is_crowded(&self) -> bool {
        std::thread::available_parallelism().is_ok_and(|cores| self.ranks as usize > cores.get())
    }
}

enum Event {
    /// A line of evcxr's.
    Order(String),
    /// A rank's answer.
    Line(usize, String),
    RankGone(usize),
    LauncherEnded,
    /// Evcxr or the kernel wants no more.
    Close,
}

struct Leader {
    kernel: UnixStream,
    ranks: Vec<UnixStream>,
    launcher: i32,
    events: Receiver<Event>,
}

/// Leads a group until evcxr closes the pipe, a rank is lost or the kernel goes away.
pub fn main() -> ! {
    // SAFETY: plain system calls. The launcher stays in this group, so both can be ended together.
    unsafe {
        libc::setpgid(0, 0);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    let connected = connect().and_then(|kernel| Ok((kernel.try_clone()?, kernel)));
    let (mut kernel, mut to_watch) = match connected {
        Ok(both) => both,
        Err(error) => {
            eprintln!("forkline group: {error:#}");
            std::process::exit(CANNOT_LOAD)
        }
    };
    let (sender, events) = channel();
    let orders = sender.clone();
    watch(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            let _the_leader_ends = orders.send(Event::Order(line));
        }
        let _the_leader_ends = orders.send(Event::Close);
    });
    let closed = sender.clone();
    watch(move || {
        // The kernel says nothing on this connection; it closes it to end the group.
        let _ = to_watch.read(&mut [0]);
        let _the_leader_ends = closed.send(Event::Close);
    });
    // The group begins with the first order for which there is a plan.
    while let Ok(Event::Order(order)) = events.recv() {
        let plan = plan();
        if plan.ranks == 0 {
            say(COMPLETE);
            continue;
        }
        match start(&plan, &events) {
            Ok((ranks, launcher)) => {
                let leader = Leader {
                    kernel,
                    launcher: launcher.id() as i32,
                    ranks,
                    events,
                };
                leader.listen(launcher, &sender);
                leader.lead(&order)
            }
            Err(why) => {
                let frame = frames::encode(Kind::LoadFailed, 0, why.as_bytes());
                let _the_status_says_it_too = kernel.write_all(&frame);
                std::process::exit(CANNOT_LOAD)
            }
        }
    }
    std::process::exit(0)
}

fn plan() -> Plan {
    std::env::var_os(PLAN)
        .and_then(|file| std::fs::read(file).ok())
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// The leader's own connection to the kernel.
fn connect() -> anyhow::Result<UnixStream> {
    let address = std::env::var_os(SIDE_CHANNEL).ok_or_else(|| {
        anyhow::anyhow!("{SIDE_CHANNEL} is not set; only the kernel starts groups")
    })?;
    let mut kernel = UnixStream::connect(address)?;
    let hello = format!(r#"{{"pid":{}}}"#, std::process::id());
    kernel.write_all(&frames::encode(Kind::Hello, 0, hello.as_bytes()))?;
    Ok(kernel)
}

/// Tells evcxr a line; false if it does not listen any more.
fn say(line: &str) -> bool {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Starts the launcher and waits for the ranks.
fn start(plan: &Plan, events: &Receiver<Event>) -> Result<(Vec<UnixStream>, Child), String> {
    let internal = |error: io::Error| format!("the group could not begin\nwhy: {error}");
    let side = std::env::var_os(SIDE_CHANNEL).unwrap_or_default();
    // Beside the kernel's socket: a short path, in a folder that only this user may enter.
    let socket = Path::new(&side).with_file_name(format!("leader-{}", std::process::id()));
    let listener = UnixListener::bind(&socket).map_err(internal)?;
    listener.set_nonblocking(true).map_err(internal)?;
    let socket = Socket(socket);
    let (mut launcher, words) = launch(plan, &socket.0)?;
    let joined = wait_for_ranks(plan, &listener, &mut launcher, &words, events);
    match joined {
        Ok(ranks) => Ok((ranks, launcher)),
        Err(why) => {
            end_launcher(launcher.id() as i32, &mut || {
                launcher.try_wait().is_ok_and(|status| status.is_some())
            });
            Err(why)
        }
    }
}

fn watch(body: impl FnOnce() + Send + 'static) {
    std::thread::spawn(body);
}

/// A socket's file, removed when everybody has connected.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The last that a launcher has written.
type Words = Arc<Mutex<Vec<u8>>>;

fn launch(plan: &Plan, socket: &Path) -> Result<(Child, Words), String> {
    let mut command = plan.command();
    let program = std::env::current_exe()
        .map_err(|error| format!("the group could not begin\nwhy: {error}"))?;
    command
        .arg(program)
        .arg(rank::ROLE)
        .env(rank::LEADER, socket)
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
                let mut words = super::lock(&words);
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
    listener: &UnixListener,
    launcher: &mut Child,
    words: &Words,
    events: &Receiver<Event>,
) -> Result<Vec<UnixStream>, String> {
    let mut ranks: Vec<Option<UnixStream>> = (0..plan.ranks).map(|_| None).collect();
    let begun = Instant::now();
    let name = plan.launcher();
    let told = || {
        // Its last words may still be on their way.
        std::thread::sleep(Duration::from_millis(100));
        let words = String::from_utf8_lossy(&super::lock(words))
            .trim()
            .to_owned();
        if words.is_empty() {
            "it said nothing".to_owned()
        } else {
            words
        }
    };
    while ranks.iter().any(Option::is_none) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (rank, size) = introduction(&stream).ok_or_else(|| {
                    "a rank could not begin\nwhy: it did not say which one it is".to_owned()
                })?;
                let place = ranks.get_mut(rank as usize);
                match place {
                    Some(place @ None) if size == 0 || size == plan.ranks => *place = Some(stream),
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
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Ok(Some(status)) = launcher.try_wait() {
                    return Err(format!(
                        "{name} could not start the group ({status})\nwhy: {}\n\
                         do:  look at the command, which was: {}",
                        told(),
                        plan.command_line()
                    ));
                }
                if let Ok(Event::Close) = events.try_recv() {
                    return Err("the group was ended before it began".to_owned());
                }
                if begun.elapsed() > START {
                    let missing = ranks.iter().filter(|rank| rank.is_none()).count();
                    return Err(format!(
                        "the group did not begin within {} s\n\
                         why: {missing} of {} ranks did not come; {name} says: {}\n\
                         do:  try the launcher in a terminal: {name} -n {} hostname",
                        START.as_secs(),
                        plan.ranks,
                        told(),
                        plan.ranks
                    ));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(format!("the group could not begin\nwhy: {error}")),
        }
    }
    Ok(ranks.into_iter().flatten().collect())
}

/// The line with which a rank introduces itself: its number and how many it believes there are.
fn introduction(stream: &UnixStream) -> Option<(u32, u32)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    // Byte by byte: what comes after the line is for somebody else.
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" && line.len() < 32 {
        (&mut &*stream).read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    stream.set_read_timeout(None).ok()?;
    let line = String::from_utf8(line).ok()?;
    let (rank, size) = line.trim().split_once(' ')?;
    Some((rank.parse().ok()?, size.parse().ok()?))
}

impl Leader {
    /// Listens to the ranks and waits for the launcher, on threads of their own.
    fn listen(&self, mut launcher: Child, sender: &Sender<Event>) {
        for (number, stream) in self.ranks.iter().enumerate() {
            let sender = sender.clone();
            let stream = stream.try_clone();
            watch(move || {
                let lines = stream.map(|stream| BufReader::new(stream).lines());
                for line in lines.into_iter().flatten().map_while(Result::ok) {
                    let _the_leader_ends = sender.send(Event::Line(number, line));
                }
                let _the_leader_ends = sender.send(Event::RankGone(number));
            });
        }
        let sender = sender.clone();
        watch(move || {
            let _ = launcher.wait();
            let _the_leader_ends = sender.send(Event::LauncherEnded);
        });
    }

    fn lead(mut self, first: &str) -> ! {
        // Ranks that have not answered the order in progress.
        let mut missing = self.pass_on(first);
        // What they have said meanwhile, each thing once.
        let mut said: Vec<String> = Vec::new();
        let mut end: Option<Instant> = None;
        loop {
            let event = match end {
                None => self
                    .events
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(end) => self
                    .events
                    .recv_timeout(end.saturating_duration_since(Instant::now())),
            };
            match event {
                Ok(Event::Order(order)) => {
                    said.clear();
                    missing = self.pass_on(&order);
                }
                Ok(Event::Line(rank, line)) if line == COMPLETE => {
                    missing.remove(&rank);
                    if missing.is_empty() && end.is_none() {
                        said.drain(..).for_each(|line| {
                            say(&line);
                        });
                        say(COMPLETE);
                    }
                }
                Ok(Event::Line(_, line)) => {
                    if !said.contains(&line) {
                        said.push(line);
                    }
                }
                Ok(Event::RankGone(rank)) => {
                    missing.remove(&rank);
                    if end.is_none() {
                        end = Some(Instant::now() + GRACE);
                        // The kernel may see the others go before this one.
                        let frame = frames::encode(Kind::RankGone, 0, &(rank as u32).to_le_bytes());
                        let _the_kernel_is_gone = self.kernel.write_all(&frame);
                    }
                }
                Ok(Event::LauncherEnded) => {
                    end.get_or_insert_with(|| Instant::now() + GRACE);
                }
                Ok(Event::Close) => self.finish(0),
                Err(_) => self.finish(LOST),
            }
            if end.is_some() && missing.is_empty() {
                self.finish(LOST);
            }
        }
    }

    /// Gives all ranks an order; all are to answer.
    fn pass_on(&mut self, order: &str) -> BTreeSet<usize> {
        for rank in &mut self.ranks {
            // One that is gone is told by its reader.
            let _ = rank.write_all(format!("{order}\n").as_bytes());
        }
        (0..self.ranks.len()).collect()
    }

    /// Ends the ranks, then the launcher, then this process.
    fn finish(&mut self, status: i32) -> ! {
        for rank in &self.ranks {
            let _ = rank.shutdown(std::net::Shutdown::Both);
        }
        let events = &self.events;
        end_launcher(self.launcher, &mut || {
            // Somebody else waits for it.
            events
                .try_iter()
                .any(|event| matches!(event, Event::LauncherEnded))
                || !Path::new(&format!("/proc/{}", self.launcher)).exists()
        });
        std::process::exit(status)
    }
}

/// Waits a moment for a launcher that has lost its ranks, which cleans up then; asks it to end, and ends it.
fn end_launcher(pid: i32, has_ended: &mut dyn FnMut() -> bool) {
    for signal in [None, Some(libc::SIGTERM), Some(libc::SIGKILL)] {
        if let Some(signal) = signal {
            // SAFETY: a plain system call on a child of this process, which has not been waited for.
            unsafe { libc::kill(pid, signal) };
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(250) {
            if has_ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
