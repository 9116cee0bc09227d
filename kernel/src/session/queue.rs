//! What waits for the engine, in the order in which it came.
//!
//! Only the engine's thread takes jobs out; anybody may put one in. When a cell fails, the cells
//! that a "run all" has queued behind it are taken out together.

use crate::protocol::{Message, Parent};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

/// One piece of work for the engine's thread.
pub enum Job {
    Execute(Message),
    Complete(Message),
    Inspect(Message),
    /// Show a variable by its name, to whoever waits for the data; the request is the one that asks.
    Show {
        name: String,
        parent: Parent,
        answer: crossbeam_channel::Sender<Map<String, Value>>,
    },
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    busy: bool,
}

/// See the module's text.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a job at the end.
    pub fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.changed.notify_one();
    }

    /// Adds a job unless the engine has something to do already; gives it back then.
    ///
    /// # Errors
    /// The job, if the engine is busy.
    pub fn push_if_idle(&self, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        if state.busy || !state.jobs.is_empty() {
            return Err(job);
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// The job in hand is as good as done: requests that come from now on may wait for its end.
    pub fn almost_done(&self) {
        self.lock().busy = false;
    }

    /// The next job; waits for one. From now on the engine counts as busy, until it asks again.
    pub fn next(&self) -> Job {
        let mut state = self.lock();
        state.busy = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.busy = true;
                return job;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// The engine begins with its start, which is work too.
    pub fn set_busy(&self) {
        self.lock().busy = true;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// Takes out all cells that wait.
    pub fn abort(&self) -> Vec<Message> {
        let mut state = self.lock();
        let mut aborted = Vec::new();
        let mut rest = VecDeque::new();
        for job in state.jobs.drain(..) {
            match job {
                Job::Execute(message) => aborted.push(message),
                other => rest.push_back(other),
            }
        }
        state.jobs = rest;
        aborted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Channel;

    fn message(id: &str) -> Message {
        Message {
            channel: Channel::Shell,
            parent: Parent {
                identities: Vec::new(),
                header: serde_json::json!({ "msg_id": id }),
            },
            content: serde_json::Value::Null,
        }
    }

    #[test]
    fn an_abort_takes_cells_and_leaves_the_rest() {
        let queue = Queue::default();
        queue.push(Job::Execute(message("a")));
        queue.push(Job::Complete(message("b")));
        queue.push(Job::Execute(message("c")));
        let ids: Vec<_> = queue
            .abort()
            .iter()
            .map(|m| m.parent.id().to_owned())
            .collect();
        assert_eq!(ids, ["a", "c"]);
        assert!(matches!(queue.next(), Job::Complete(_)));
    }

    #[test]
    fn a_busy_engine_gives_the_job_back() {
        let queue = Queue::default();
        assert!(queue.push_if_idle(Job::Complete(message("a"))).is_ok());
        assert!(queue.push_if_idle(Job::Complete(message("b"))).is_err());
        let _ = queue.next();
        assert!(queue.push_if_idle(Job::Complete(message("c"))).is_err());
    }
}
