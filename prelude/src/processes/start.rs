//! How a child process comes into being, and the ends of it that its parent holds.
//!
//! A child has two sockets to its parent. By the first come its work and go its results; by the second it asks the
//! parent to show something (displays, panics), and learns from its end that the parent is gone. Where output belongs
//! to a notebook, two pipes stand in for its stdout and stderr, and the parent passes on what comes out of them, so
//! that it appears under the cell that started the process.
//!
//! What always holds: every descriptor is closed on exec; a child inherits only what it needs.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry;
use crate::rt;

/// Environment variable of a child: the descriptors' numbers are fixed, its text names the libraries to load.
pub(crate) const CHILD: &str = "FORKLINE_CHILD";
/// The child's descriptor of its work.
pub(crate) const WORK: RawFd = 3;
/// The child's descriptor of what it asks its parent.
pub(crate) const LINK: RawFd = 4;

/// Descriptors of this process that no forked child may keep.
static PRIVATE: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

pub(crate) fn private() -> MutexGuard<'static, Vec<RawFd>> {
    PRIVATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A descriptor that a forked child closes.
#[derive(Debug)]
pub(crate) struct Private(OwnedFd);

impl Private {
    pub fn new(descriptor: OwnedFd) -> Private {
        private().push(descriptor.as_raw_fd());
        Private(descriptor)
    }
}

impl std::ops::Deref for Private {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        &self.0
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let mine = self.0.as_raw_fd();
        private().retain(|descriptor| *descriptor != mine);
    }
}

/// What a parent holds of its child.
#[derive(Debug)]
pub(crate) struct Ends {
    pub pid: i32,
    /// Becomes readable when the child has ended; none on a system without it.
    pub pidfd: Option<Private>,
    pub work: Private,
    pub link: Option<Private>,
    /// Reading ends of its stdout and stderr, where the parent passes them on.
    pub output: [Option<Private>; 2],
    /// Whether it has closed its end of the work.
    pub is_silent: bool,
}

/// Both sides of all that connects a parent and a child.
pub(crate) struct Wires {
    work: (OwnedFd, OwnedFd),
    link: (OwnedFd, OwnedFd),
    output: [Option<(OwnedFd, OwnedFd)>; 2],
}

/// What a child keeps of [`Wires`].
pub(crate) struct ChildWires {
    pub work: OwnedFd,
    pub link: OwnedFd,
    pub output: [Option<OwnedFd>; 2],
}

impl Wires {
    pub fn new() -> io::Result<Wires> {
        let pair = || -> io::Result<(OwnedFd, OwnedFd)> {
            let (ours, theirs) = UnixStream::pair()?;
            Ok((ours.into(), high(&theirs.into())?))
        };
        let output = || -> io::Result<Option<(OwnedFd, OwnedFd)>> {
            // Without a notebook there is one stdout for all.
            rt::has_host().then(pipe).transpose()
        };
        Ok(Wires {
            work: pair()?,
            link: pair()?,
            output: [output()?, output()?],
        })
    }

    /// In the parent: closes the child's side.
    pub fn ends(self, pid: i32) -> Ends {
        let [out, err] = self.output;
        let reading = |ends: Option<(OwnedFd, OwnedFd)>| ends.map(|(read, _)| Private::new(read));
        Ends {
            pid,
            pidfd: pidfd(pid).map(Private::new),
            work: Private::new(self.work.0),
            link: Some(Private::new(self.link.0)),
            output: [reading(out), reading(err)],
            is_silent: false,
        }
    }

    /// In a forked child: closes the parent's side.
    pub fn child(self) -> ChildWires {
        let [out, err] = self.output;
        ChildWires {
            work: self.work.1,
            link: self.link.1,
            output: [out.map(|ends| ends.1), err.map(|ends| ends.1)],
        }
    }
}

/// A copy with a number that none of the child's fixed ones meets.
fn high(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: duplicating has no effect on memory; the new descriptor is ours alone.
    unsafe {
        match libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 10) {
            -1 => Err(io::Error::last_os_error()),
            copy => Ok(OwnedFd::from_raw_fd(copy)),
        }
    }
}

/// A pipe whose reading end does not block.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors, which are new and ours alone.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        let (read, write) = (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]));
        libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        Ok((read, high(&write)?))
    }
}

fn pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: a plain system call; the new descriptor is ours alone, and closed on exec as the system makes it.
    unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        (descriptor >= 0).then(|| OwnedFd::from_raw_fd(descriptor as RawFd))
    }
}

/// Starts the program of this process anew, as a child that waits for its orders.
///
/// # Errors
/// The system gives no process, or no descriptors.
pub(crate) fn spawn(name: &str) -> io::Result<Ends> {
    let wires = Wires::new()?;
    let pid = {
        let clean = |text: &str| CString::new(text.replace('\0', "")).unwrap_or_default();
        let libraries = entry::own_libraries();
        let arguments = [clean("forkline"), clean("process"), clean(name)];
        let mut environment: Vec<CString> = std::env::vars_os()
            .filter(|(key, _)| key != CHILD)
            .filter_map(|(key, value)| joined(key, value))
            .collect();
        environment.push(clean(&format!("{CHILD}={}", libraries.join("\n"))));
        let pointers = |texts: &[CString]| -> Vec<*mut libc::c_char> {
            let texts = texts.iter().map(|text| text.as_ptr().cast_mut());
            texts.chain([std::ptr::null_mut()]).collect()
        };
        let (argv, envp) = (pointers(&arguments), pointers(&environment));
        // SAFETY: the lists are C strings and end with null, all live during the call.
        unsafe {
            if is_traced() {
                fork_and_exec(&wires, &argv, &envp)?
            } else {
                posix_spawn(&wires, &argv, &envp)?
            }
        }
    };
    Ok(wires.ends(pid))
}

fn joined(key: OsString, value: OsString) -> Option<CString> {
    let mut text = key.into_vec();
    text.push(b'=');
    text.extend(value.into_vec());
    CString::new(text).ok()
}

/// Whether a debugger is attached to this process.
fn is_traced() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|pid| pid.trim() != "0")
}

/// As [`posix_spawn`], by a copy of this process.
///
/// posix_spawn's child runs in this process's memory until it has its own program (vfork), and LLDB takes its traps out of that
/// memory meanwhile: the other threads would run past every breakpoint. A copy has a memory of its own, and costs a
/// millisecond or two more.
///
/// # Safety
/// Both lists hold C strings and end with null.
unsafe fn fork_and_exec(
    wires: &Wires,
    argv: &[*mut libc::c_char],
    envp: &[*mut libc::c_char],
) -> io::Result<i32> {
    // SAFETY: between fork and exec the child makes system calls only, which are async-signal-safe; the lists are the caller's
    // promise, the set of signals is initialised before it is used.
    unsafe {
        match libc::fork() {
            -1 => return Err(io::Error::last_os_error()),
            0 => {}
            pid => return Ok(pid),
        }
        libc::dup2(libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY), 0);
        for (number, ends) in (1..).zip(&wires.output) {
            if let Some((_, write)) = ends {
                libc::dup2(write.as_raw_fd(), number);
            }
        }
        libc::dup2(wires.work.1.as_raw_fd(), WORK);
        libc::dup2(wires.link.1.as_raw_fd(), LINK);
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const signals, std::ptr::null_mut());
        let argv = argv.as_ptr().cast();
        libc::execve(c"/proc/self/exe".as_ptr(), argv, envp.as_ptr().cast());
        // As a shell says it; the parent learns of it as of any process that ends.
        libc::_exit(127)
    }
}

/// # Safety
/// Both lists hold C strings and end with null.
unsafe fn posix_spawn(
    wires: &Wires,
    argv: &[*mut libc::c_char],
    envp: &[*mut libc::c_char],
) -> io::Result<i32> {
    let mut pid = 0;
    // SAFETY: the caller's promise. The attributes and actions are initialised before and destroyed after their use.
    let failed = unsafe {
        let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawn_file_actions_init(&raw mut actions);
        libc::posix_spawnattr_init(&raw mut attributes);
        let null = c"/dev/null".as_ptr();
        libc::posix_spawn_file_actions_addopen(&raw mut actions, 0, null, libc::O_RDONLY, 0);
        for (number, ends) in (1..).zip(&wires.output) {
            if let Some((_, write)) = ends {
                libc::posix_spawn_file_actions_adddup2(&raw mut actions, write.as_raw_fd(), number);
            }
        }
        for (descriptor, number) in [(&wires.work.1, WORK), (&wires.link.1, LINK)] {
            let from = descriptor.as_raw_fd();
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, from, number);
        }
        // What a thread of this process blocks or ignores, its child does not.
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const signals);
        for signal in 1..32 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                libc::sigaddset(&raw mut signals, signal);
            }
        }
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const signals);
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        libc::posix_spawnattr_setflags(&raw mut attributes, flags as libc::c_short);
        let failed = libc::posix_spawn(
            &raw mut pid,
            c"/proc/self/exe".as_ptr(),
            &raw const actions,
            &raw const attributes,
            argv.as_ptr(),
            envp.as_ptr(),
        );
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        failed
    };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    Ok(pid)
}
