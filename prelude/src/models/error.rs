//! What can be wrong with the arguments of a model.

use std::error::Error;
use std::fmt;

/// Why a model could not be run.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// A set of memory has no room for two nodes.
    SetTooSmall {
        /// The call that was made.
        call: &'static str,
        /// The size that was asked for, in bytes.
        bytes: usize,
    },
    /// A set of memory is larger than what this machine has left.
    SetTooLarge {
        /// The call that was made.
        call: &'static str,
        /// The size that was asked for, in bytes.
        bytes: usize,
        /// What could be had, in bytes.
        available: u64,
    },
    /// Tasks were to be run by nobody.
    ZeroWorkers {
        /// The call that was made.
        call: &'static str,
    },
    /// More workers than any machine has use for.
    TooManyWorkers {
        /// How many were asked for.
        workers: usize,
    },
    /// A thread could not be started or placed on a processor.
    CannotPlace {
        /// The call that was made.
        call: &'static str,
        /// What the system says.
        reason: String,
    },
    /// An assignment names a worker that is not there.
    NoSuchWorker {
        /// The task, counted from 0.
        task: usize,
        /// The worker that it was given to.
        worker: usize,
        /// How many workers there are.
        workers: usize,
    },
    /// An assignment is for another number of tasks.
    UnequalTasks {
        /// How many tasks are in the assignment.
        assigned: usize,
        /// How many there are.
        tasks: usize,
    },
    /// There are no groups, or more groups than workers.
    WrongGroups {
        /// How many groups were asked for.
        groups: usize,
        /// How many workers there are.
        workers: usize,
    },
    /// A cost or a speed is no number that work can be shared by.
    NotPositive {
        /// The call that was made.
        call: &'static str,
        /// Where it stands, counted from 0.
        at: usize,
        /// Its value, as text.
        value: String,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetTooSmall { call, bytes } => write!(
                f,
                "{call}: {bytes} bytes hold no chain\n\
                 why: each node has a cache line of 64 bytes of its own, and a chain has two nodes or more\n\
                 do:  give 128 bytes or more"
            ),
            Self::SetTooLarge {
                call,
                bytes,
                available,
            } => write!(
                f,
                "{call}: {bytes} bytes are more than there are\n\
                 why: {available} bytes are available now; beyond that the system would swap, or end this process\n\
                 do:  give less, half of what is available at most: device::info().memory_available"
            ),
            Self::ZeroWorkers { call } => write!(
                f,
                "{call}: 0 workers given\n\
                 why: somebody has to do the tasks\n\
                 do:  give 1 or more; device::info().cpus_usable says how many run at the same time"
            ),
            Self::TooManyWorkers { workers } => write!(
                f,
                "schedule::run: {workers} workers given\n\
                 why: each is a thread of its own, and more than 4096 of them only wait for each other\n\
                 do:  give about as many as device::info().cpus_usable"
            ),
            Self::CannotPlace { call, reason } => write!(
                f,
                "{call}: a thread could not be started on a processor\n\
                 why: the system says: {reason}\n\
                 do:  look at device::topology(), at what this process may use (taskset -p) and at its limits (ulimit -u)"
            ),
            Self::NoSuchWorker {
                task,
                worker,
                workers,
            } => write!(
                f,
                "schedule::run: task {task} is given to worker {worker} of {workers}\n\
                 why: workers count from 0, so the last is {}\n\
                 do:  give the assignment as many workers as the run",
                workers - 1
            ),
            Self::UnequalTasks { assigned, tasks } => write!(
                f,
                "schedule::run: the assignment is for {assigned} tasks, and there are {tasks}\n\
                 why: it names one worker for each task\n\
                 do:  make it for this list: schedule::block(tasks.len(), workers)"
            ),
            Self::WrongGroups { groups, workers } => write!(
                f,
                "schedule::run: {groups} groups of {workers} workers\n\
                 why: each group has one worker or more\n\
                 do:  give a number of groups from 1 to {workers}"
            ),
            Self::NotPositive { call, at, value } => write!(
                f,
                "{call}: number {at} is {value}\n\
                 why: work is shared by costs and speeds that are finite and above 0; numbers count from 0\n\
                 do:  look at where it comes from; for a task that costs nothing give a very small cost"
            ),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ModelError {}

#[cfg(test)]
mod tests {
    use super::ModelError;

    #[test]
    fn every_message_has_its_three_parts() {
        let call = "f";
        for error in [
            ModelError::SetTooSmall { call, bytes: 1 },
            ModelError::SetTooLarge {
                call,
                bytes: 2,
                available: 1,
            },
            ModelError::ZeroWorkers { call },
            ModelError::TooManyWorkers { workers: 5_000 },
            ModelError::CannotPlace {
                call,
                reason: "no".into(),
            },
            ModelError::NoSuchWorker {
                task: 0,
                worker: 2,
                workers: 2,
            },
            ModelError::UnequalTasks {
                assigned: 1,
                tasks: 2,
            },
            ModelError::WrongGroups {
                groups: 0,
                workers: 2,
            },
            ModelError::NotPositive {
                call,
                at: 0,
                value: "NaN".into(),
            },
        ] {
            let text = format!("{error:?}");
            let starts: Vec<&str> = text.lines().map(|line| &line[..5]).collect();
            assert_eq!(starts[1..], ["why: ", "do:  "], "{text}");
        }
    }
}
