//! A process that has looked at the libraries, and is copied for each session.
//!
//! What an analyzer finds out at its start is the same in every session of a template, and costs seconds of two processors and
//! hundreds of MB. So one process does it for all kernels of a user: for each it makes a copy of itself (`fork`), which knows all that
//! at once and shares the memory.
//!
//! A copy that has learnt of more crates becomes a host itself, for kernels that need the same ones.
//!
//! rust-analyzer has threads of its own on which it drops what is large, and a copy has none of them. So it is made while they sleep
//! and hold nothing, and what a copy drops stays in its memory: it says how much it has grown, and a kernel takes a fresh one in time.
//!
//! What always holds: no other thread runs while a copy is made; a copy serves one kernel and ends with it; the process itself
//! ends some time after its last copy, or when its socket is gone, or soon where memory is short (a copy alone costs no more than
//! an analyzer in the kernel would).

use super::remote::{Attach, Reply, receive, send};
use super::{Analyzer, Question, STACK};
use crate::engine::template::Lock;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The argument with which this program is the host.
pub const ROLE: &str = "analyzer";
/// How long it stays when no kernel is left: a kernel that is started again, or the next notebook, finds it.
const STAYS: Duration = Duration::from_secs(60);
/// Another time, in seconds; for tests.
const STAYS_SECONDS: &str = "FORKLINE_ANALYZER_STAYS";
/// The first kernel's first cells need the processors more than what comes later.
const FIRST_CELLS: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(500);

/// The command `forkline analyzer SOCKET`. Returns at once; the host goes on in a process of its own, outside of the session and the
/// process group of who has started it.
///
/// # Errors
/// There can be no more processes.
pub fn start(socket: &Path) -> io::Result<()> {
    // Whatever this process was given by mistake would stay open as long as the host lives: somebody may wait for the end of a pipe.
    // SAFETY: this process has opened nothing yet. Where the call is not known nothing is closed.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    // SAFETY: this process has one thread, so the copy is in no half-done state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => live(socket, None),
        _ => Ok(()),
    }
}

/// The host's process, and the copies that it makes, from their beginning to their end. An analyzer that is given knows all that
/// its copies are to know.
fn live(socket: &Path, analyzer: Option<Analyzer>) -> ! {
    // SAFETY: no preconditions; it fails only for who leads a group already.
    unsafe { libc::setsid() };
    // No folder is kept from being removed.
    let _ = std::env::set_current_dir("/");
    // Where memory ends, this is missed least: a kernel gets another.
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    // A kernel without an answer has an analyzer of its own; what went wrong is read by who starts this by hand.
    let served = match host(socket, analyzer) {
        Ok(Some((stream, analyzer))) => serve(stream, analyzer).map_err(anyhow::Error::from),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        eprintln!("forkline {ROLE}: {error:#}");
    }
    // SAFETY: nothing is left to be done; what there is in memory takes long to be dropped.
    unsafe { libc::_exit(0) }
}

/// Makes copies for all who connect. Returns in each copy with its connection, and without one at its own end.
fn host(
    socket: &Path,
    analyzer: Option<Analyzer>,
) -> anyhow::Result<Option<(UnixStream, Analyzer)>> {
    let lock = socket.with_extension("lock");
    let Some(_only_one) = Lock::try_now(&lock) else {
        return Ok(None);
    };
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    let stays = std::env::var(STAYS_SECONDS).ok();
    let stays = stays.and_then(|seconds| seconds.parse().ok());
    let stays = stays.map_or(STAYS, Duration::from_secs);
    let mut has_more = analyzer.is_some();
    let mut analyzer = match analyzer {
        Some(analyzer) => analyzer,
        None => {
            let mut analyzer = Analyzer::of_template(socket)?;
            analyzer.warm_up();
            analyzer
        }
    };
    let mut n_copies = 0_usize;
    let mut last = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                anyhow::ensure!(others_sleep(), "its other threads do not sleep");
                // SAFETY: no other thread holds a lock that the copy could wait for. What the copy drops (listener, lock) closes
                // its own descriptors only.
                match unsafe { libc::fork() } {
                    -1 => {}
                    0 => {
                        stream.set_nonblocking(false)?;
                        return Ok(Some((stream, analyzer)));
                    }
                    _ => n_copies += 1,
                }
                last = Instant::now();
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        wait(&listener);
        match reap() {
            0 => {}
            ended => {
                n_copies -= ended;
                last = Instant::now();
            }
        }
        if !has_more && last.elapsed() > FIRST_CELLS {
            analyzer.warm_up_more();
            has_more = true;
        }
        let is_idle = match memory_is_short() {
            true => last.elapsed() > FIRST_CELLS * 2,
            false => n_copies == 0 && last.elapsed() > stays,
        };
        if is_idle || !socket.exists() {
            break;
        }
    }
    for file in [socket, &lock] {
        let _ = fs::remove_file(file);
    }
    Ok(None)
}

/// Until somebody connects, at most for a moment.
fn wait(listener: &UnixListener) {
    let mut poll = libc::pollfd {
        fd: listener.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid entry, which lives during the call.
    unsafe { libc::poll(&raw mut poll, 1, TICK.as_millis() as i32) };
}

/// How many copies have ended since the last time.
fn reap() -> usize {
    let mut n = 0;
    // SAFETY: only children of this process are asked for, and a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {
        n += 1;
    }
    n
}

/// Waits until all other threads sleep in a futex, for a message that only this thread could send: then none of them holds
/// anything. False if that does not come, or cannot be seen here.
fn others_sleep() -> bool {
    let begun = Instant::now();
    while !all_sleep() {
        if begun.elapsed() > Duration::from_secs(3) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Whether it can be seen on this system what threads do.
pub(super) fn is_possible() -> bool {
    fs::read_to_string("/proc/self/syscall").is_ok_and(|call| !call.trim().is_empty())
}

fn all_sleep() -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return false;
    };
    // SAFETY: no preconditions, and it cannot fail.
    let own = unsafe { libc::gettid() }.to_string();
    let futex = libc::SYS_futex.to_string();
    threads.flatten().all(|thread| {
        // The number of the call in which it is, then its arguments; or `running`.
        thread.file_name().to_string_lossy() == own
            || fs::read_to_string(thread.path().join("syscall"))
                .is_ok_and(|call| call.split_whitespace().next() == Some(&futex))
    })
}

/// Memory of this process's own, in KiB.
fn own_memory() -> u64 {
    kib_of("/proc/self/status", "RssAnon:").unwrap_or(0)
}

/// Whether less than a quarter of the machine's memory can be had.
fn memory_is_short() -> bool {
    let of = |name| kib_of("/proc/meminfo", name);
    matches!((of("MemAvailable:"), of("MemTotal:")), (Some(available), Some(total)) if available < total / 4)
}

/// The number on the line that begins with a name.
fn kib_of(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A copy: the analyzer of one session, until its kernel is gone.
fn serve(mut stream: UnixStream, mut analyzer: Analyzer) -> io::Result<()> {
    let attach: Attach = receive(&mut stream)?;
    for (name, _) in std::env::vars_os() {
        // SAFETY: this process, a copy, has one thread.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in attach.environment {
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var(name, value) };
    }
    let _ = std::env::set_current_dir(attach.folder);
    analyzer.move_to(&attach.session);
    send(&mut stream, &())?;
    let mut at_first = own_memory();
    let answers = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            while let Ok((question, host)) = receive::<(Question, Option<PathBuf>)>(&mut stream) {
                let knew = analyzer.n_follows;
                let (answer, notes) = analyzer.answer(&question);
                let answer = answer.map_err(|error| format!("{error:#}"));
                let grown = own_memory().saturating_sub(at_first) >> 10;
                let reply = Reply {
                    answer,
                    notes,
                    grown,
                };
                send(&mut stream, &reply)?;
                if analyzer.n_follows == knew {
                    continue;
                }
                // What other crates need is no growth that a fresh copy would not have as well.
                at_first = own_memory();
                if let Some(socket) = &host
                    && fork_twice()?
                {
                    // The kernel sees the end of its copy by the end of this connection.
                    drop(stream);
                    live(socket, Some(analyzer));
                }
            }
            Ok(())
        })?;
    answers
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the analyzer panicked")))
}

/// Makes a copy that is no child of this process. True in the copy; false if that is not possible now.
fn fork_twice() -> io::Result<bool> {
    if !others_sleep() {
        return Ok(false);
    }
    // SAFETY: the other threads sleep and hold nothing.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: this process has one thread. The one between goes at once, so that the last one is nobody's child.
            match unsafe { libc::fork() } {
                0 => Ok(true),
                // SAFETY: nothing is left to be done.
                _ => unsafe { libc::_exit(0) },
            }
        }
        between => {
            // SAFETY: it is a child of this process, and a null status is allowed.
            unsafe { libc::waitpid(between, std::ptr::null_mut(), 0) };
            Ok(false)
        }
    }
}
