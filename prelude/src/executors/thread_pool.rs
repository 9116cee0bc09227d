//! A pool of threads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use super::{Executor, Future, PoolError, Promise, Results};
use crate::processes::{Message, cpu_count};
use crate::{Function, interrupt, rt};

/// What is queued. Dropped without being called it fails its future.
type Job = Box<dyn FnOnce(Order) + Send>;

/// What is to become of a job.
enum Order {
    Run,
    Cancel,
}

const SHUT_DOWN: &str = "the pool has been shut down; make a new one";

/// A number of threads that take tasks from one queue, the oldest first.
///
/// A pool that is dropped takes no more tasks and waits until what is queued is done; if a panic or an interrupt
/// drops it, what has not begun is cancelled and nothing is waited for. What its tasks print belongs to the cell that
/// runs meanwhile, as with rayon's threads.
///
/// ```
/// use forkline::executors::ThreadPool;
///
/// let pool = ThreadPool::new(2);
/// let text = String::from("owned by the task");
/// assert_eq!(pool.spawn(move || text.len()).result().unwrap(), 17);
/// ```
pub struct ThreadPool {
    name: String,
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    /// None: the pool takes no more tasks.
    sender: Mutex<Option<Sender<Job>>>,
    queue: Receiver<Job>,
    alive: Mutex<usize>,
    one_ended: Condvar,
    running: AtomicUsize,
}

/// How a [`ThreadPool`] is to be; [`ThreadPool::builder`] makes it.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: Option<usize>,
    name: Option<String>,
}

impl Builder {
    /// How many threads. Without this one for each processor that this process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The name of the pool; its threads are `name_1`, `name_2`, … Without this it is `ThreadPool-N`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// Zero workers were asked for, or the system has no more threads.
    pub fn build(self) -> Result<ThreadPool, PoolError> {
        static POOLS: AtomicUsize = AtomicUsize::new(0);
        let wanted = self.workers.unwrap_or_else(cpu_count);
        if wanted == 0 {
            return Err(PoolError::NoWorkers);
        }
        let name = self.name.unwrap_or_else(|| {
            // A counter, read for names only.
            format!("ThreadPool-{}", POOLS.fetch_add(1, Ordering::Relaxed) + 1)
        });
        let (sender, queue) = unbounded();
        let pool = ThreadPool {
            name,
            shared: Arc::new(Shared {
                sender: Mutex::new(Some(sender)),
                queue,
                alive: Mutex::new(0),
                one_ended: Condvar::new(),
                running: AtomicUsize::new(0),
            }),
            workers: Mutex::new(Vec::with_capacity(wanted)),
        };
        for number in 1..=wanted {
            let shared = Arc::clone(&pool.shared);
            *shared.alive.lock() += 1;
            let started = thread::Builder::new()
                .name(format!("{}_{number}", pool.name))
                .spawn(move || shared.work());
            match started {
                Ok(worker) => pool.workers.lock().push(worker),
                Err(source) => {
                    *pool.shared.alive.lock() -= 1;
                    return Err(PoolError::NoThread {
                        workers: wanted,
                        source,
                    });
                }
            }
        }
        Ok(pool)
    }
}

impl Shared {
    fn work(&self) {
        rt::mark_pool_thread();
        while let Ok(job) = self.queue.recv() {
            // Counters for `Debug` alone.
            self.running.fetch_add(1, Ordering::Relaxed);
            job(Order::Run);
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
        *self.alive.lock() -= 1;
        self.one_ended.notify_all();
    }
}

impl ThreadPool {
    /// A pool of so many threads.
    ///
    /// # Panics
    /// `workers` is 0, or the system has no more threads; [`builder`](Self::builder) returns that as an error.
    #[track_caller]
    pub fn new(workers: usize) -> Self {
        match Self::builder().workers(workers).build() {
            Ok(pool) => pool,
            Err(error) => panic!("{error}"),
        }
    }

    /// A pool with a name, or where a failure is to be an error.
    ///
    /// ```
    /// use forkline::executors::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().workers(3).name("reader").build()?;
    /// assert_eq!(pool.workers(), 3);
    /// # Ok::<(), forkline::executors::PoolError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// How many threads it has.
    pub fn workers(&self) -> usize {
        self.workers.lock().len()
    }

    /// How many tasks have not begun.
    pub fn queued(&self) -> usize {
        self.shared.queue.len()
    }

    /// Queues a closure of any kind and returns at once.
    pub fn spawn<R: Send + 'static>(&self, task: impl FnOnce() -> R + Send + 'static) -> Future<R> {
        let (promise, future) = Promise::new();
        let promise = promise.if_dropped(SHUT_DOWN);
        // Without a sender the job is dropped here, and its promise fails.
        if let Some(sender) = &*self.shared.sender.lock() {
            // What it prints belongs to the cell that wants it, and so does the interrupt that ends it.
            let run = rt::Run::here();
            let job: Job = Box::new(move |order| match order {
                Order::Run => {
                    let _entered = run.enter();
                    promise.fulfil(task);
                }
                Order::Cancel => {
                    promise.set_cancelled();
                }
            });
            // The pool has a receiver itself, so this cannot fail.
            let _sent = sender.send(job);
        }
        future
    }

    /// Queues one call of `function`, with its arguments in a tuple, and returns at once.
    pub fn submit<F, Args>(&self, function: F, arguments: Args) -> Future<F::Output>
    where
        F: Function<Args>,
        Args: Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(move || function.call(arguments))
    }

    /// Queues a call of `function` for each item and returns the results in the order of the items.
    ///
    /// See [`Executor::map`]; here arguments and results need not be messages.
    ///
    /// ```
    /// use forkline::executors::ThreadPool;
    ///
    /// let pool = ThreadPool::new(2);
    /// let lengths: Result<Vec<_>, _> = pool.map(|word: &str| word.len(), ["a", "bc", ""]).collect();
    /// assert_eq!(lengths.unwrap(), [1, 2, 0]);
    /// ```
    pub fn map<F, A, R, I>(&self, function: F, items: I) -> Results<R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Send + 'static,
        R: Send + 'static,
        I: IntoIterator<Item = A>,
    {
        let calls = items
            .into_iter()
            .map(|item| self.spawn(move || function(item)));
        Results::new(calls.collect())
    }

    /// [`map`](Self::map) for functions of several arguments: each item is a tuple of them.
    pub fn starmap<F, Args, I>(&self, function: F, items: I) -> Results<F::Output>
    where
        F: Function<Args>,
        Args: Send + 'static,
        F::Output: Send + 'static,
        I: IntoIterator<Item = Args>,
    {
        let calls = items
            .into_iter()
            .map(|arguments| self.submit(function, arguments));
        Results::new(calls.collect())
    }

    /// Takes no more tasks. What is queued is still done; with `wait` this returns when it is.
    ///
    /// A task that shuts its own pool down does not wait for itself.
    pub fn shutdown(&self, wait: bool) {
        self.shared.sender.lock().take();
        if wait {
            self.join();
        }
    }

    /// Takes no more tasks and cancels those that have not begun; returns how many. Those that run go on.
    pub fn shutdown_now(&self) -> usize {
        self.shared.sender.lock().take();
        self.cancel_pending()
    }

    /// Cancels the tasks that have not begun; returns how many.
    pub fn cancel_pending(&self) -> usize {
        let jobs = self.shared.queue.try_iter();
        jobs.map(|job| job(Order::Cancel)).count()
    }

    /// Waits until all workers but the calling thread have ended.
    fn join(&self) {
        let here = thread::current().id();
        let is_worker = self
            .workers
            .lock()
            .iter()
            .any(|worker| worker.thread().id() == here);
        interrupt::wait(None, |slice| {
            let until = Instant::now() + slice;
            let mut alive = self.shared.alive.lock();
            while *alive > usize::from(is_worker) {
                if self
                    .shared
                    .one_ended
                    .wait_until(&mut alive, until)
                    .timed_out()
                {
                    return None;
                }
            }
            Some(())
        });
        for worker in self.workers.lock().drain(..) {
            if worker.thread().id() != here {
                // A worker catches the panics of its tasks.
                let _never_panics = worker.join();
            }
        }
    }
}

impl Default for ThreadPool {
    /// One thread for each processor that this process may use.
    fn default() -> Self {
        ThreadPool::new(cpu_count())
    }
}

impl Executor for ThreadPool {
    fn submit<F, Args>(&self, function: F, arguments: Args) -> Future<F::Output>
    where
        F: Function<Args>,
        Args: Message + Send,
        F::Output: Message + Send,
    {
        ThreadPool::submit(self, function, arguments)
    }

    fn shutdown(&self, wait: bool) {
        ThreadPool::shutdown(self, wait);
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shutdown_now();
        } else {
            self.shutdown(true);
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ThreadPool({:?}: {} workers, {} running, {} queued)",
            self.name,
            self.workers(),
            self.shared.running.load(Ordering::Relaxed),
            self.queued()
        )
    }
}
