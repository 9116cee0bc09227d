//! The processes that this one has started and that still run, and who this one is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::child;
use super::known::Known;
use crate::device;

/// The name of a process that nobody started from a cell: the notebook's own.
const MAIN: &str = "MainProcess";

static RUNNING: Mutex<Vec<Arc<Known>>> = Mutex::new(Vec::new());
/// How many processes have been made. Only the numbers count, nothing is ordered by them.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The processes that run; held while one is forked, so that the child finds it free.
pub(crate) fn running() -> MutexGuard<'static, Vec<Arc<Known>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that has just been forked has no children.
pub(crate) fn forget(running: &mut Vec<Arc<Known>>) {
    // Their destructors would close what the parent's threads had open.
    std::mem::forget(std::mem::take(running));
    MADE.store(0, Ordering::Relaxed);
}

/// A number for one more process: the numbers of this one, and its own.
pub(crate) fn next_identity() -> Vec<u64> {
    let mut identity = child::this().map_or_else(Vec::new, |child| child.start.identity.clone());
    identity.push(MADE.fetch_add(1, Ordering::Relaxed) + 1);
    identity
}

/// The numbers of a process as part of its name: `2`, for a grandchild `2:1`.
pub(crate) fn numbered(kind: &str, identity: &[u64]) -> String {
    let numbers: Vec<String> = identity.iter().map(u64::to_string).collect();
    format!("{kind}-{}", numbers.join(":"))
}

/// At the end of a process: its daemons are ended, its other children are waited for.
pub(crate) fn end_children() {
    let children = running().clone();
    for daemon in children.iter().filter(|child| child.is_daemon()) {
        daemon.signal(libc::SIGTERM);
    }
    for child in children.iter().filter(|child| !child.is_daemon()) {
        child.wait_without_interrupt();
    }
}

/// Who a process is; see [`current`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    name: String,
    pid: u32,
    parent: Option<(u32, String)>,
}

impl ProcessInfo {
    /// Its name: `MainProcess` for the one in which cells run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the system.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of the process that started it; none for the notebook's own.
    pub fn parent_pid(&self) -> Option<u32> {
        self.parent.as_ref().map(|(pid, _)| *pid)
    }

    /// The name of the process that started it; none for the notebook's own.
    pub fn parent_name(&self) -> Option<&str> {
        self.parent.as_ref().map(|(_, name)| name.as_str())
    }
}

/// The process that asks.
///
/// ```
/// use forkline::prelude::*;
///
/// let me = processes::current();
/// assert_eq!(me.name(), "MainProcess");
/// assert_eq!(me.pid(), std::process::id());
/// ```
pub fn current() -> ProcessInfo {
    let child = child::this();
    ProcessInfo {
        name: child.map_or_else(|| MAIN.to_owned(), |child| child.start.name.clone()),
        pid: std::process::id(),
        parent: child.map(|child| (child.start.parent, child.start.parent_name.clone())),
    }
}

/// How many processes can run at the same time: the processors that this process may use.
pub fn cpu_count() -> usize {
    device::cpus_usable().unwrap_or(1)
}
