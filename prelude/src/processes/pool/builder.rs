//! How a pool is made.

use std::io;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex};

use super::super::entry::{self, Entry};
use super::super::known::ATTENDANT_STACK;
use super::super::message::{self, Message, MessageError, Packet};
use super::super::{ProcessError, registry};
use super::queue::{Inner, Slot, State, event};
use super::{Pool, attendant};
use crate::Function;

/// How a pool is made; see [`Pool::builder`].
#[must_use = "`start` makes the pool"]
pub struct PoolBuilder {
    workers: usize,
    name: String,
    most_tasks: Option<NonZero<usize>>,
    initializer: Option<(Entry, Result<Packet, MessageError>)>,
}

impl PoolBuilder {
    pub(super) fn new() -> PoolBuilder {
        PoolBuilder {
            workers: registry::cpu_count(),
            name: "Pool".to_owned(),
            most_tasks: None,
            initializer: None,
        }
    }

    /// How many processes; without it as many as processors are usable.
    pub fn workers(mut self, workers: usize) -> PoolBuilder {
        self.workers = workers;
        self
    }

    /// What errors call it.
    pub fn name(mut self, name: &str) -> PoolBuilder {
        name.clone_into(&mut self.name);
        self
    }

    /// Each worker is replaced by a fresh one after so many batches, so that what it has gathered in memory is given
    /// back. 0 is never.
    pub fn max_tasks_per_child(mut self, tasks: usize) -> PoolBuilder {
        self.most_tasks = NonZero::new(tasks);
        self
    }

    /// A function that each worker calls first, with a tuple of arguments; what it returns is not kept.
    pub fn initializer<F, Args>(mut self, function: F, arguments: Args) -> PoolBuilder
    where
        F: Function<Args>,
        Args: Message,
    {
        let _carries_nothing = function;
        let entry = Entry::of(entry::body_without_value::<F, Args>);
        self.initializer = Some((entry, message::encode(&arguments, true)));
        self
    }

    /// Makes the pool and starts its workers.
    ///
    /// # Errors
    /// No workers were asked for, the initializer's arguments cannot be sent, or the system gives no threads.
    pub fn start(self) -> Result<Pool, ProcessError> {
        let failed = |error| ProcessError::Start {
            name: self.name.clone(),
            error,
        };
        if self.workers == 0 {
            let why = "a pool needs at least one worker";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let mut initializer = None;
        if let Some((entry, arguments)) = self.initializer {
            let arguments =
                arguments.map_err(|error| ProcessError::arguments(&self.name, &error))?;
            initializer = Some((entry, arguments));
        }
        let mut state = State::default();
        for _ in 0..self.workers {
            state.slots.push(Slot {
                wake: event().map_err(failed)?,
                is_idle: false,
                pid: None,
                job: None,
            });
        }
        let pool = Pool {
            inner: Arc::new(Inner {
                name: self.name.clone(),
                workers: self.workers,
                most_tasks: self.most_tasks,
                initializer,
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
        };
        for place in 0..self.workers {
            pool.inner.state().attendants += 1;
            let inner = Arc::clone(&pool.inner);
            let thread = std::thread::Builder::new()
                .name(format!("{} {place}", self.name))
                .stack_size(ATTENDANT_STACK)
                .spawn(move || attendant::attend(&inner, place));
            if let Err(error) = thread {
                pool.inner.state().attendants -= 1;
                return Err(failed(error));
            }
        }
        Ok(pool)
    }
}
