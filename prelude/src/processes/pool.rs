//! Processes that stay and take one task after the other.
//!
//! A task is a batch: some items of one call, which go to a worker in one message and come back in one. Each worker
//! has an attendant, a thread of this process, which fetches batches for it and replaces it when it dies.
//!
//! * `builder`    how a pool is made
//! * `queue`      what is to be done, and what is known of the workers
//! * `worker`     the worker's side
//! * `attendant`  the thread that serves one worker
//! * `pending`    what a call returns before its values are there
//! * `iterate`    values as they come
//!
//! What always holds: every batch that was taken is answered once, with values or with the reason why there are none;
//! a worker that dies takes only its own batch with it.

mod attendant;
mod builder;
mod iterate;
mod pending;
mod queue;
pub(crate) mod worker;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub use builder::PoolBuilder;
pub use iterate::Imap;
pub use pending::Pending;

use super::ProcessError;
use super::entry::{Body, Entry};
use super::message::{self, Message};
use crate::{Function, interrupt};
use pending::Assembly;
use queue::{Batch, Inner, Job, Reply, wake};

/// A number of processes that work off what they are given.
///
/// The workers are started once, and run whatever function a call names; see [`Process`](super::Process) for what a
/// function in another process can see. Work that is submitted first is begun first. A worker that dies is replaced.
/// A pool that is dropped is terminated.
///
/// ```
/// use forkline::prelude::*;
/// use processes::Pool;
///
/// let pool = Pool::new(2)?;
/// assert_eq!(pool.map(|n: u64| n * n, 0..5)?, [0, 1, 4, 9, 16]);
/// # Ok::<(), processes::ProcessError>(())
/// ```
pub struct Pool {
    inner: Arc<Inner>,
}

impl Pool {
    /// A pool of so many processes, which are started now.
    ///
    /// # Errors
    /// No workers were asked for, or the system gives no threads.
    pub fn new(workers: usize) -> Result<Pool, ProcessError> {
        Pool::builder().workers(workers).start()
    }

    /// A pool with more to say about it.
    ///
    /// ```
    /// use forkline::prelude::*;
    /// use processes::Pool;
    ///
    /// fn greet(name: String) { println!("worker of {name}: {}", processes::current().name()); }
    ///
    /// let pool = Pool::builder().workers(2).initializer(greet, ("a".to_owned(),)).max_tasks_per_child(10).start()?;
    /// assert_eq!(pool.apply(|a: u32, b: u32| a + b, (1, 2))?, 3);
    /// # Ok::<(), processes::ProcessError>(())
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// How many processes it has.
    pub fn workers(&self) -> usize {
        self.inner.workers
    }

    /// Calls a function with each item and waits for all values. Items travel in batches, four for each worker, or fewer
    /// when the function has turned out to be very short.
    ///
    /// # Errors
    /// An item failed: [`ProcessError::Item`] names the first. What had not been begun by then is left out. Or the
    /// pool takes no work.
    pub fn map<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, ProcessError>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
    {
        self.map_async(function, items).get_or_cancel()
    }

    /// [`map`](Pool::map) in batches of `chunk_size` items.
    ///
    /// # Errors
    /// As for `map`.
    pub fn map_chunked<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunk_size: usize,
    ) -> Result<Vec<R>, ProcessError>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
    {
        self.map_as(function, items, Some(chunk_size), None)
            .get_or_cancel()
    }

    /// [`map`](Pool::map) that does not wait.
    pub fn map_async<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Pending<Vec<R>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
    {
        self.map_as(function, items, None, None)
    }

    /// [`map_async`](Pool::map_async) with a function that is called when all values are there, or when there is an
    /// error. It runs on a thread that serves a worker, so it shall return quickly.
    pub fn map_async_with<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        callback: impl FnOnce(Result<&Vec<R>, &ProcessError>) + Send + 'static,
    ) -> Pending<Vec<R>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
    {
        self.map_as(function, items, None, Some(Box::new(callback)))
    }

    fn map_as<F, A, R>(
        &self,
        _carries_nothing: F,
        items: impl IntoIterator<Item = A>,
        chunk_size: Option<usize>,
        callback: Option<pending::Callback<Vec<R>>>,
    ) -> Pending<Vec<R>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
    {
        let items: Vec<A> = items.into_iter().collect();
        self.send_all(worker::map::<F, A, R, true>, items, chunk_size, callback)
    }

    /// [`map`](Pool::map) for a function of several arguments: each item is a tuple of them.
    ///
    /// # Errors
    /// As for `map`.
    pub fn starmap<F, Args>(
        &self,
        function: F,
        items: impl IntoIterator<Item = Args>,
    ) -> Result<Vec<F::Output>, ProcessError>
    where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        let _carries_nothing = function;
        let items: Vec<Args> = items.into_iter().collect();
        self.send_all(worker::starmap::<F, Args>, items, None, None)
            .get_or_cancel()
    }

    /// The values in the order of the items, each as soon as it and those before it are there. Items are taken as they
    /// are needed, some dozens ahead, so they may be endless. An item that fails is an error in its place, and the rest goes on.
    pub fn imap<F, A, R, I>(&self, function: F, items: I) -> Imap<'_, A, R, I::IntoIter>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
        I: IntoIterator<Item = A>,
    {
        let _carries_nothing = function;
        Imap::new(self, worker::map::<F, A, R, false>, items.into_iter(), true)
    }

    /// [`imap`](Pool::imap) with the values in the order in which they come.
    pub fn imap_unordered<F, A, R, I>(&self, function: F, items: I) -> Imap<'_, A, R, I::IntoIter>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Message,
        R: Message + Send,
        I: IntoIterator<Item = A>,
    {
        let _carries_nothing = function;
        Imap::new(
            self,
            worker::map::<F, A, R, false>,
            items.into_iter(),
            false,
        )
    }

    /// Calls a function once in one of the workers, with a tuple of arguments, and waits for its value.
    ///
    /// # Errors
    /// It panicked, its worker died, or the pool takes no work.
    pub fn apply<F, Args>(&self, function: F, arguments: Args) -> Result<F::Output, ProcessError>
    where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        self.apply_as(Job::new(), function, arguments, None)
            .get_or_cancel()
    }

    /// [`apply`](Pool::apply) that does not wait.
    pub fn apply_async<F, Args>(&self, function: F, arguments: Args) -> Pending<F::Output>
    where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        self.apply_as(Job::of_all(), function, arguments, None)
    }

    /// [`apply_async`](Pool::apply_async) with a function that is called with the value or the error. It runs on a
    /// thread that serves a worker, so it shall return quickly.
    pub fn apply_async_with<F, Args>(
        &self,
        function: F,
        arguments: Args,
        callback: impl FnOnce(Result<&F::Output, &ProcessError>) + Send + 'static,
    ) -> Pending<F::Output>
    where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        let callback = Some(Box::new(callback) as pending::Callback<F::Output>);
        self.apply_as(Job::of_all(), function, arguments, callback)
    }

    fn apply_as<F, Args>(
        &self,
        job: Job,
        function: F,
        arguments: Args,
        callback: Option<pending::Callback<F::Output>>,
    ) -> Pending<F::Output>
    where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        let (pending, completion) = Pending::new(self, job, callback);
        let on_done = move |value| completion.complete(value);
        self.send_one(function, arguments, &pending.job(), None, on_done);
        pending
    }

    /// Calls a function once in one of the workers and hands what came of it to `on_done`, on a thread that serves a
    /// worker. `begins` is asked when its turn comes: whether it is still wanted.
    pub(crate) fn submit<F, Args>(
        &self,
        function: F,
        arguments: Args,
        begins: impl FnOnce() -> bool + Send + 'static,
        on_done: impl FnOnce(Result<F::Output, ProcessError>) + Send + 'static,
    ) where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        self.send_one(
            function,
            arguments,
            &Job::of_all(),
            Some(Box::new(begins)),
            on_done,
        );
    }

    fn send_one<F, Args>(
        &self,
        function: F,
        arguments: Args,
        job: &Job,
        begins: Option<Box<dyn FnOnce() -> bool + Send>>,
        on_done: impl FnOnce(Result<F::Output, ProcessError>) + Send + 'static,
    ) where
        F: Function<Args, Output: Message + Send>,
        Args: Message,
    {
        let _carries_nothing = function;
        let name = self.inner.name.clone();
        let entry = Entry::of(super::entry::body::<F, Args>);
        let packet =
            message::encode(&arguments, true).and_then(|items| worker::with_entry(items, &entry));
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return on_done(Err(ProcessError::arguments(&name, &error))),
        };
        self.inner.submit([Batch {
            job: job.clone(),
            kind: entry.number(),
            count: 1,
            packet,
            begins,
            reply: Box::new(move |reply| {
                let value = match reply {
                    Reply::Outcome(outcome) => outcome.into_value(&format!("a worker of {name}")),
                    Reply::Lost(_, error) => Err(error),
                    Reply::Cancelled | Reply::Ended => Err(ProcessError::PoolClosed { name }),
                };
                on_done(value);
            }),
        }]);
    }

    /// Cuts items into batches and sends all; what they give comes together in the order of the items.
    fn send_all<A: Message, R: Message + Send>(
        &self,
        body: Body,
        items: Vec<A>,
        chunk_size: Option<usize>,
        callback: Option<pending::Callback<Vec<R>>>,
    ) -> Pending<Vec<R>> {
        let entry = Entry::of(body);
        let kind = entry.number();
        let size = chunk_size.unwrap_or_else(|| self.inner.chunk_size(kind, items.len()));
        let size = size.max(1);
        let (pending, completion) = Pending::new(self, Job::new(), callback);
        let job = pending.job();
        let count = items.len().div_ceil(size);
        let name = self.inner.name.clone();
        let assembly = Arc::new(Assembly::new(name, count, completion));
        let mut items = items.into_iter();
        let mut batches = Vec::with_capacity(count);
        for number in 0..count {
            let part: Vec<A> = items.by_ref().take(size).collect();
            let assembly = Arc::clone(&assembly);
            match message::encode(&part, true).and_then(|items| worker::with_entry(items, &entry)) {
                Ok(packet) => {
                    let (cancelled, pool) = (job.clone(), Arc::downgrade(&self.inner));
                    batches.push(Batch {
                        job: job.clone(),
                        kind,
                        count: part.len(),
                        packet,
                        begins: None,
                        reply: Box::new(move |reply| {
                            if assembly.add(number, number * size, reply)
                                && let Some(pool) = pool.upgrade()
                            {
                                pool.cancel(&cancelled, false);
                            }
                        }),
                    });
                }
                Err(error) => {
                    let error = ProcessError::arguments(&self.inner.name, &error);
                    assembly.add(number, number * size, Reply::Lost(0, error));
                }
            }
        }
        self.inner.submit(batches);
        pending
    }

    /// Takes no more work. What it has is still done, then its processes end.
    pub fn close(&self) {
        let mut state = self.inner.state();
        state.is_closed = true;
        for slot in &state.slots {
            wake(&slot.wake);
        }
    }

    /// Ends its processes at once. Work that is not done fails.
    pub fn terminate(&self) {
        self.inner.terminate();
    }

    /// Closes the pool and waits until its work is done and its processes have ended.
    pub fn join(&self) {
        self.close();
        self.wait_for_end(None);
    }

    /// [`join`](Pool::join) that gives up after some time; whether all have ended.
    pub fn join_timeout(&self, time: Duration) -> bool {
        self.close();
        self.wait_for_end(interrupt::deadline(time))
    }

    fn wait_for_end(&self, deadline: Option<Instant>) -> bool {
        interrupt::wait(deadline, |slice| {
            let state = self.inner.state();
            let (state, _) = self
                .inner
                .changed
                .wait_timeout_while(state, slice, |state| state.attendants > 0)
                .unwrap_or_else(PoisonError::into_inner);
            (state.attendants == 0).then_some(())
        })
        .is_some()
    }

    /// The numbers of its processes in the system, of those that run now.
    pub fn pids(&self) -> Vec<u32> {
        let state = self.inner.state();
        let pids = state.slots.iter().filter_map(|slot| slot.pid);
        pids.filter_map(|pid| u32::try_from(pid).ok()).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.terminate();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state();
        let phase = match (state.is_terminated, state.is_closed) {
            (true, _) => "terminated",
            (false, true) => "closed",
            (false, false) => "open",
        };
        let (name, workers, queued) = (&self.inner.name, self.inner.workers, state.queue.len());
        write!(
            out,
            "<Pool name={name:?} workers={workers} {phase} queued={queued}>"
        )
    }
}
