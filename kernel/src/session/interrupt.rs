//! Interrupting whatever the engine does: a cell's code, or a compile.

use super::outputs::Outputs;
use super::ranks::{Cause, Ranks};
use crate::processes;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The state of interrupts, shared by the control thread and the engine's.
#[derive(Default)]
pub struct Interrupts {
    requested: AtomicBool,
    /// Which execution is in progress; even numbers mean none.
    execution: AtomicU64,
    worker_ended: AtomicBool,
    /// How often the cell in progress was interrupted.
    count: AtomicU32,
    /// A process below the kernel that no interrupt ends; 0 for none.
    spared: AtomicI32,
}

impl Interrupts {
    /// A cell begins.
    pub fn begin(&self) {
        self.requested.store(false, Ordering::SeqCst);
        self.worker_ended.store(false, Ordering::SeqCst);
        self.count.store(0, Ordering::SeqCst);
        self.execution.fetch_add(1, Ordering::SeqCst);
    }

    /// The cell is over.
    pub fn end(&self) {
        self.execution.fetch_add(1, Ordering::SeqCst);
    }

    /// No interrupt ends this process from now on, nor what is below it; 0 ends that.
    pub fn spare(&self, pid: i32) {
        self.spared.store(pid, Ordering::SeqCst);
    }

    /// Whether the cell in progress was interrupted.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Whether the interrupt ended the worker.
    pub fn ended_worker(&self) -> bool {
        self.worker_ended.load(Ordering::SeqCst)
    }

    /// Notes that the cell in progress is to end, if there is one. The answer is for
    /// [`Interrupts::carry_out`]: a cell that begins later is not meant.
    pub fn request(&self) -> Option<u64> {
        let execution = self.execution.load(Ordering::SeqCst);
        if execution.is_multiple_of(2) {
            return None;
        }
        self.requested.store(true, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
        Some(execution)
    }

    /// Ends what was requested to end, and returns when it is over or some seconds have passed. A
    /// cell goes from compiling to running at any moment, so both are looked for again and again.
    ///
    /// Running code is asked to end first, which keeps the variables. If it has not done so after
    /// [`PATIENCE`], or when the user asks a second time, the worker is to leave it behind where it waits;
    /// if it computes instead, the worker is ended after [`GRACE`].
    /// The same holds for the ranks of a group, which leave nothing behind: the group is ended at once then.
    pub fn carry_out(&self, execution: u64, outputs: &Outputs, ranks: &Ranks) {
        let mut asked: Option<Instant> = None;
        let mut urged: Option<Instant> = None;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE + Duration::from_secs(4) {
            if self.execution.load(Ordering::SeqCst) != execution {
                return;
            }
            if ranks.is_running() {
                match asked {
                    None => {
                        ranks.interrupt();
                        asked = Some(Instant::now());
                    }
                    Some(since)
                        if since.elapsed() > PATIENCE || self.count.load(Ordering::SeqCst) > 1 =>
                    {
                        ranks.end_for(Cause::Interrupted);
                    }
                    Some(_) => {}
                }
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            if ranks.is_launching() {
                // There is no code yet that could yield.
                ranks.end_for(Cause::Interrupted);
            }
            match (outputs.running_in(), asked) {
                (Some(pid), Some(since))
                    if since.elapsed() > PATIENCE || self.count.load(Ordering::SeqCst) > 1 =>
                {
                    let urged = *urged.get_or_insert_with(|| {
                        outputs.interrupt();
                        Instant::now()
                    });
                    if urged.elapsed() > GRACE {
                        self.worker_ended.store(true, Ordering::SeqCst);
                        kill_group(pid);
                    }
                }
                (Some(_), Some(_)) => {}
                (Some(_), None) => {
                    outputs.interrupt();
                    asked = Some(Instant::now());
                }
                (None, _) => {
                    let spared = self.spared.load(Ordering::SeqCst);
                    kill_children(&[outputs.worker_pid(), Some(spared)]);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// How long running code may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the worker may take to leave code behind.
const GRACE: Duration = Duration::from_millis(800);

/// Makes this process the leader of a group, so that what it starts can be ended together; none if
/// it must stay in its front end's.
pub fn own_process_group() -> Option<i32> {
    // SAFETY: plain system calls on this process.
    unsafe {
        libc::setpgid(0, 0);
        let group = libc::getpgrp();
        (group == libc::getpid()).then_some(group)
    }
}

/// Ends a worker and all that its cells started.
pub fn kill_group(pid: i32) {
    if pid > 1 {
        // SAFETY: a plain system call; the worker leads a group of its own.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
}

/// Ends all processes below this one, apart from these, the workers, and their own: cargo, rustc, a shell.
pub fn kill_children(others: &[Option<i32>]) {
    let spared = |pid: i32| others.contains(&Some(pid)) || is_worker(pid);
    let send = |pid: i32, signal: i32| {
        // SAFETY: a plain system call on a process that is below this one.
        unsafe { libc::kill(pid, signal) };
    };
    // Who stands still starts no process that would be missed here and keep the output open.
    let mut found: Vec<i32> = Vec::new();
    for _ in 0..MOST_LOOKS {
        let processes: Vec<(i32, i32)> =
            processes::all().map(|one| (one.pid, one.parent)).collect();
        let mut new = below(std::process::id() as i32, &processes, spared);
        new.retain(|pid| !found.contains(pid));
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|&pid| send(pid, libc::SIGSTOP));
        found.extend(new);
    }
    found.iter().for_each(|&pid| send(pid, libc::SIGKILL));
}

/// Each look finds what was started during the one before, of which there is little.
const MOST_LOOKS: usize = 20;

/// All processes below `root`, without those that are spared and what is below them.
fn below(root: i32, processes: &[(i32, i32)], spared: impl Fn(i32) -> bool) -> Vec<i32> {
    let mut found = vec![root];
    let mut index = 0;
    while let Some(parent) = found.get(index).copied() {
        let children = processes
            .iter()
            .filter(|(pid, of)| *of == parent && !spared(*pid));
        found.extend(children.map(|(pid, _)| *pid));
        index += 1;
    }
    found.remove(0);
    found
}

/// A worker that has not said hello yet is known by its program, which is this one.
fn is_worker(pid: i32) -> bool {
    let executable = |pid: &str| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    executable(&pid.to_string()).is_some_and(|exe| Some(exe) == executable("self"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_spared_process_is_spared() {
        let processes = [(2, 1), (3, 2), (4, 1), (5, 4), (6, 5), (7, 100)];
        assert_eq!(below(1, &processes, |pid| pid == 4), [2, 3]);
        assert_eq!(below(1, &processes, |_| false), [2, 4, 3, 5, 6]);
    }
}
