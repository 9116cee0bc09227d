//! What is known of a process that was made here: its state, for all who ask, and the thread that attends to it.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::child::Start;
use super::entry::Entry;
use super::message::{self, MessageError, Packet};
use super::outcome::Outcome;
use super::start::Ends;
use super::supervise::Event;
use super::{ProcessError, registry};
use crate::{interrupt, rt};

/// What all who know a process share.
pub(crate) struct Known {
    identity: Vec<u64>,
    /// The process that made it.
    owner: u32,
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) struct State {
    pub name: String,
    pub is_daemon: bool,
    pub phase: Phase,
    pub outcome: Option<Outcome>,
}

pub(super) enum Phase {
    Created(Option<Result<Order, MessageError>>),
    Running(i32),
    Ended { pid: i32, code: i32 },
}

/// What it is to do.
pub(super) struct Order {
    pub entry: Entry,
    pub arguments: Packet,
}

/// The end of any process, for those who wait for several.
pub(super) static ENDS: Mutex<()> = Mutex::new(());
pub(super) static ENDED: Condvar = Condvar::new();

/// The stack of the thread that attends to a child: a buffer, and whatever a message needs.
pub(crate) const ATTENDANT_STACK: usize = 256 * 1024;

impl Known {
    /// Of a process with the next number. A copy of this process has no order.
    pub fn new(order: Option<Result<Order, MessageError>>) -> Known {
        let identity = registry::next_identity();
        Known {
            owner: std::process::id(),
            state: Mutex::new(State {
                name: registry::numbered("Process", &identity),
                is_daemon: false,
                phase: Phase::Created(order),
                outcome: None,
            }),
            identity,
            changed: Condvar::new(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn name(&self) -> String {
        self.state().name.clone()
    }

    pub fn is_daemon(&self) -> bool {
        self.state().is_daemon
    }

    /// Sends a signal, if there is somebody to get it. The lock keeps the number from going to another process.
    pub fn signal(&self, signal: i32) {
        let state = self.state();
        if let Phase::Running(pid) = state.phase
            && self.owner == std::process::id()
        {
            // SAFETY: a plain system call; the child is not reaped while the lock is held.
            unsafe { libc::kill(pid, signal) };
        }
    }

    pub fn start_info(&self) -> Start {
        let parent = registry::current();
        Start {
            name: self.name(),
            identity: self.identity.clone(),
            parent: parent.pid(),
            parent_name: parent.name().to_owned(),
            in_notebook: rt::has_host(),
            entry: None,
        }
    }

    /// Attends to a child that runs, on a thread of its own.
    pub fn attend(self: Arc<Known>, mut ends: Ends, packets: Vec<Packet>) -> std::io::Result<()> {
        self.state().phase = Phase::Running(ends.pid);
        registry::running().push(Arc::clone(&self));
        let shared = Arc::clone(&self);
        let pid = ends.pid;
        let thread = std::thread::Builder::new()
            .name(format!("attends {}", self.name()))
            .stack_size(ATTENDANT_STACK)
            .spawn(move || {
                interrupt::spare_this_thread();
                for packet in packets {
                    // A child that is gone tells why by its end.
                    if message::send(ends.work.as_fd(), &packet).is_err() {
                        break;
                    }
                }
                let mut outcome = None;
                while let Event::Work(packet) = ends.next(None) {
                    outcome = Some(Outcome::from_packet(packet));
                }
                shared.end(&ends, outcome);
                drop(shared);
                ends.pass_on_the_rest();
            });
        if let Err(error) = thread {
            // SAFETY: plain system calls on a child that nobody else knows yet.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
            }
            self.state().phase = Phase::Ended {
                pid,
                code: -libc::SIGKILL,
            };
            registry::running().retain(|one| !Arc::ptr_eq(one, &self));
            return Err(error);
        }
        Ok(())
    }

    pub fn end(self: &Arc<Known>, ends: &Ends, outcome: Option<Outcome>) {
        {
            let mut state = self.state();
            let code = ends.reap();
            state.phase = Phase::Ended {
                pid: ends.pid,
                code,
            };
            state.outcome = outcome;
        }
        registry::running().retain(|one| !Arc::ptr_eq(one, self));
        self.changed.notify_all();
        let _so_that_nobody_misses_it = ENDS.lock().unwrap_or_else(PoisonError::into_inner);
        ENDED.notify_all();
    }

    pub fn wait_without_interrupt(&self) {
        let mut state = self.state();
        while matches!(state.phase, Phase::Running(_)) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn exit_code(&self) -> Option<i32> {
        match self.state().phase {
            Phase::Ended { code, .. } => Some(code),
            _ => None,
        }
    }

    pub fn pid(&self) -> Option<u32> {
        match self.state().phase {
            Phase::Created(_) => None,
            Phase::Running(pid) | Phase::Ended { pid, .. } => u32::try_from(pid).ok(),
        }
    }

    /// Waits for its end; the exit code.
    pub fn wait(&self, deadline: Option<Instant>, limit: Duration) -> Result<i32, ProcessError> {
        let name = self.name();
        if self.owner != std::process::id() {
            return Err(ProcessError::NotAChild { name });
        }
        if matches!(self.state().phase, Phase::Created(_)) {
            return Err(ProcessError::NotStarted { name });
        }
        let code = interrupt::wait(deadline, |slice| {
            let state = self.state();
            let (state, _) = self
                .changed
                .wait_timeout_while(state, slice, |state| {
                    matches!(state.phase, Phase::Running(_))
                })
                .unwrap_or_else(PoisonError::into_inner);
            match state.phase {
                Phase::Ended { code, .. } => Some(code),
                _ => None,
            }
        });
        // The user's interrupt ends children too; it is the interrupt that counts.
        interrupt::check();
        code.ok_or(ProcessError::TimedOut { name, after: limit })
    }
}

/// `<Process name="Process-1" pid=4711 started daemon>`.
pub(super) fn describe(shared: &Known, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let state = shared.state();
    write!(out, "<Process name={:?}", state.name)?;
    match state.phase {
        Phase::Created(_) => write!(out, " initial")?,
        Phase::Running(pid) => write!(out, " pid={pid} started")?,
        Phase::Ended { pid, code } => write!(out, " pid={pid} stopped exit_code={code}")?,
    }
    write!(out, "{}>", if state.is_daemon { " daemon" } else { "" })
}
