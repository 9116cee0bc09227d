//! The runtime of this process, and how code outside of it waits for code inside.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::event_loop::EventLoop;
use super::task::{Task, task};
use crate::executors::Promise;
use crate::{interrupt, rt};

/// It lives as long as the process: its tasks go on between cells.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    let runtime = Builder::new_multi_thread()
        .enable_all()
        // A counter, read for names only.
        .thread_name_fn(|| format!("tasks-{}", THREADS.fetch_add(1, Ordering::Relaxed) + 1))
        .on_thread_start(rt::mark_pool_thread)
        .build();
    match runtime {
        Ok(runtime) => runtime,
        Err(error) => panic!(
            "the runtime for tasks could not be started: {error}; end programs or threads that you do not need"
        ),
    }
});

thread_local! {
    /// Whether this thread polls a future, and must not block.
    static POLLING: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread was lent to a blocking call.
    static BLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// Sets a thread's mark as long as it lives.
pub(super) struct Marked {
    mark: &'static std::thread::LocalKey<Cell<bool>>,
    before: bool,
}

impl Marked {
    pub fn polling() -> Marked {
        Marked::set(&POLLING, true)
    }

    fn set(mark: &'static std::thread::LocalKey<Cell<bool>>, value: bool) -> Marked {
        let before = mark.replace(value);
        Marked { mark, before }
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.mark.set(self.before);
    }
}

/// Whether the calling code runs inside of a task: to wait here would stop the thread for all others.
pub(super) fn is_inside() -> bool {
    POLLING.get() || (tokio::task::try_id().is_some() && !BLOCKING.get())
}

/// tokio's handle to the runtime, for what tokio offers and this module does not.
///
/// ```
/// let handle = forkline::tasks::handle();
/// let answer = handle.spawn(async { 42 });
/// assert_eq!(forkline::tasks::block_on(answer).unwrap(), 42);
/// ```
pub fn handle() -> Handle {
    RUNTIME.handle().clone()
}

/// How long the thread of a cell waits before it looks whether the user has interrupted it.
const TICK: Duration = Duration::from_millis(50);

/// Runs a future to its end on the calling thread, and waits for it. What it spawns runs on the runtime.
///
/// A cell may simply `.await`; this is for functions that are not `async`.
///
/// ```
/// let answer = forkline::tasks::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
///
/// # Panics
/// It is called inside of a task, which would stop the thread on which tasks run.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    __assert_outside("tasks::block_on");
    drive(future)
}

/// Panics inside of a task, where `what` would stop the thread on which tasks run: for what blocks, here and in crates of packs.
#[doc(hidden)]
#[track_caller]
pub fn __assert_outside(what: &str) {
    assert!(
        !is_inside(),
        "{what} was called inside of a task: it would stop the thread on which tasks run; \
         write `.await` behind the future, or move what blocks into tasks::spawn_blocking"
    );
}

/// What a cell with an `.await` at its top level is put into.
#[doc(hidden)]
pub fn __cell<F: Future>(future: F) -> F::Output {
    drive(future)
}

fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    RUNTIME.block_on(async {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        std::future::poll_fn(|context| {
            interrupt::check();
            {
                let _polling = Marked::polling();
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(output);
                }
            }
            // Each tick that is over asks for the next one.
            while tick.poll_tick(context).is_ready() {
                interrupt::check();
            }
            Poll::Pending
        })
        .await
    })
}

/// Starts a task and returns at once. The task goes on between cells; if its handle is dropped, too.
///
/// Inside of an [`EventLoop`] it becomes a task of that loop.
///
/// ```
/// use forkline::tasks;
///
/// let task = tasks::spawn(async { 6 * 7 });
/// assert_eq!(task.result().unwrap(), 42);
/// ```
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if let Some(event_loop) = EventLoop::running() {
        return event_loop.create_task(future);
    }
    spawn_on_runtime(future)
}

/// The same on the runtime, wherever it is called.
pub(crate) fn spawn_on_runtime<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (running, task) = task(future);
    RUNTIME.spawn(running);
    task
}

/// Runs a closure that blocks (reads a file, computes for long) on a thread kept for that, so that tasks go on.
///
/// It can be cancelled only before it begins.
///
/// ```
/// use forkline::tasks;
///
/// let size = tasks::block_on(async { tasks::spawn_blocking(|| "a slow computation".len()).await });
/// assert_eq!(size.unwrap(), 18);
/// ```
pub fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Task<R> {
    let (promise, future) = Promise::new();
    let run = rt::Run::here();
    RUNTIME.spawn_blocking(move || {
        let _entered = run.enter();
        let _blocking = Marked::set(&BLOCKING, true);
        promise.fulfil(work);
    });
    Task::of(future, None)
}
