//! Several processes at a time: those that run, and the first of some to end.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::known::{ENDED, ENDS, Known, describe};
use super::process::Process;
use super::{ProcessError, registry};
use crate::interrupt;

/// A process that runs, as [`active_children`] lists it: what can be done with it without knowing its value's type.
pub struct ActiveChild {
    shared: Arc<Known>,
}

impl ActiveChild {
    /// Its name.
    pub fn name(&self) -> String {
        self.shared.name()
    }

    /// Its number in the system.
    pub fn pid(&self) -> Option<u32> {
        self.shared.pid()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.shared.signal(libc::SIGTERM);
    }

    /// Ends it by SIGKILL.
    pub fn kill(&self) {
        self.shared.signal(libc::SIGKILL);
    }

    /// Waits until it has ended; its exit code.
    ///
    /// # Errors
    /// Another process started it.
    pub fn wait(&self) -> Result<i32, ProcessError> {
        self.shared.wait(None, Duration::MAX)
    }
}

impl fmt::Debug for ActiveChild {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.shared, out)
    }
}

/// The processes that this one has started and that still run, in the order of their starts.
pub fn active_children() -> Vec<ActiveChild> {
    let running = registry::running();
    let children = running.iter().map(|shared| ActiveChild {
        shared: Arc::clone(shared),
    });
    children.collect()
}

/// Waits until at least one of several processes has ended; the places of all that have.
///
/// # Errors
/// One has not been started, or another process started it.
pub fn wait_any<R>(processes: &[&Process<R>]) -> Result<Vec<usize>, ProcessError> {
    for process in processes {
        match process.wait_timeout(Duration::ZERO) {
            Ok(_) | Err(ProcessError::TimedOut { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if processes.is_empty() {
        return Ok(Vec::new());
    }
    let found = interrupt::wait(None, |slice| {
        let ends = ENDS.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = |place: &usize| processes[*place].exit_code().is_some();
        let found: Vec<usize> = (0..processes.len()).filter(has_ended).collect();
        if found.is_empty() {
            // The next look is at once.
            let _unlocked = ENDED.wait_timeout(ends, slice);
            return None;
        }
        Some(found)
    });
    Ok(found.unwrap_or_default())
}
