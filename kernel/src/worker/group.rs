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

mod join;
mod plan;

use super::frames::{self, Kind};
use super::link::Socket;
use super::{CANNOT_LOAD, SIDE_CHANNEL, files};
pub use join::{Introduction, VERSION};
pub use plan::{LAUNCHER, Plan};
use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The argument with which this program is a leader.
pub const ROLE: &str = "group";
/// Environment variable: the file with the [`Plan`].
pub const PLAN: &str = "FORKLINE_GROUP";

/// Exit status after a rank was lost.
const LOST: i32 = 98;
/// How long the others may take to answer when a rank is gone.
const GRACE: Duration = Duration::from_millis(250);

const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

enum Event {
    /// A rank has come.
    Joined(join::Joined),
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
    ranks: Vec<Socket>,
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
        let launched = || {
            let frame = frames::encode(Kind::Launched, 0, &[]);
            let _a_kernel_that_is_gone_closes = kernel.write_all(&frame);
        };
        match join::start(&plan, &events, &sender, launched) {
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

fn watch(body: impl FnOnce() + Send + 'static) {
    std::thread::spawn(body);
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
                // One too many, or too late.
                Ok(Event::Joined(_)) => {}
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
            if rank.is_network() {
                let _ = files::send(order, rank);
            }
            let _ = rank.write_all(format!("{order}\n").as_bytes());
        }
        (0..self.ranks.len()).collect()
    }

    /// Ends the ranks, then the launcher, then this process.
    fn finish(&mut self, status: i32) -> ! {
        for rank in &self.ranks {
            rank.shutdown();
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
