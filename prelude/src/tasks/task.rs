//! A task: a future that somebody runs, and the handle to it.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::runtime::{Marked, is_inside};
use crate::executors::{self, Promise, TaskError, panic_error};
use crate::rt::Run;

/// A task that runs. `.await` it for its result, which is an error if the task panicked or was cancelled.
///
/// Dropping it does not end the task.
///
/// ```
/// use forkline::prelude::*;
///
/// let task = tasks::spawn(async {
///     tasks::sleep(Duration::from_secs(60)).await;
///     "too late"
/// });
/// assert!(task.cancel());
/// assert!(matches!(task.result(), Err(tasks::TaskError::Cancelled)));
/// ```
pub struct Task<T> {
    future: executors::Future<T>,
    /// None for work that runs on a thread of its own.
    control: Option<Arc<Control>>,
}

/// How a handle reaches its task.
#[derive(Default)]
pub(super) struct Control {
    state: Mutex<ControlState>,
}

#[derive(Default)]
struct ControlState {
    is_cancelled: bool,
    waker: Option<Waker>,
}

const WAIT_INSIDE: &str =
    "a task is waited for inside of a task, whose thread would stand still; write `.await` instead";

impl<T> Task<T> {
    pub(super) fn of(future: executors::Future<T>, control: Option<Arc<Control>>) -> Self {
        Task { future, control }
    }

    /// Ends the task at its next `.await`, also one that has not begun. `false`: it has ended before.
    ///
    /// What the task holds is dropped there. Code between two `.await`s is not stopped.
    pub fn cancel(&self) -> bool {
        let Some(control) = &self.control else {
            return self.future.cancel();
        };
        if self.done() {
            return false;
        }
        let waker = {
            let mut state = control.state.lock();
            state.is_cancelled = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Whether it has ended because it was cancelled.
    pub fn cancelled(&self) -> bool {
        self.future.cancelled()
    }

    /// Whether it has ended in any way.
    pub fn done(&self) -> bool {
        self.future.done()
    }

    /// Waits for the result and takes it: for code that is not `async`.
    ///
    /// # Errors
    /// The task panicked or was cancelled; its result was taken before; or this is called inside of a task.
    pub fn result(&self) -> Result<T, TaskError> {
        self.may_wait()?;
        self.future.result()
    }

    /// [`result`](Self::result), but no longer than `timeout`; with a time of zero it only looks.
    ///
    /// # Errors
    /// Also [`TaskError::TimedOut`]; the task goes on.
    pub fn result_timeout(&self, timeout: Duration) -> Result<T, TaskError> {
        if !timeout.is_zero() {
            self.may_wait()?;
        }
        self.future.result_timeout(timeout)
    }

    /// Waits until the task has ended and returns its error, if it has one. The result stays.
    pub fn exception(&self) -> Option<TaskError> {
        match self.may_wait() {
            Ok(()) => self.future.exception(),
            Err(error) => Some(error),
        }
    }

    /// Has `callback` called with the outcome when the task ends, on the thread where it ends; at once and here if it
    /// has ended. A panic in it is reported and goes no further.
    pub fn add_done_callback(
        &self,
        callback: impl FnOnce(Result<&T, &TaskError>) + Send + 'static,
    ) {
        self.future.add_done_callback(callback);
    }

    fn may_wait(&self) -> Result<(), TaskError> {
        if is_inside() && !self.done() {
            return Err(TaskError::WouldDeadlock(WAIT_INSIDE));
        }
        Ok(())
    }

    /// Whether it has ended; if not, the waker is told when it does.
    pub(super) fn poll_done(&self, context: &Context<'_>) -> bool {
        self.future.poll_done(context)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.future.has_failed()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.future).poll(context)
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")?;
        self.future.describe(f)
    }
}

/// A future on its way through an executor: it can be cancelled, and panics stay in it.
pub(super) struct Running<F: Future> {
    /// In a box, so that no unsafe projection of the pin is needed. None: it has ended.
    future: Option<Pin<Box<F>>>,
    promise: Option<Promise<F::Output>>,
    control: Arc<Control>,
    /// What it prints belongs to the cell that spawned it, and so does the interrupt that ends it.
    run: Run,
}

/// A future to be run, and the handle to it.
pub(super) fn task<F: Future>(future: F) -> (Running<F>, Task<F::Output>) {
    let (promise, result) = Promise::new();
    let control = Arc::new(Control::default());
    let running = Running {
        future: Some(Box::pin(future)),
        promise: Some(promise.if_dropped("the event loop of the task is gone")),
        control: Arc::clone(&control),
        run: Run::here(),
    };
    (running, Task::of(result, Some(control)))
}

impl<F: Future> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let running = &mut *self;
        let (Some(future), Some(promise)) = (&mut running.future, &running.promise) else {
            return Poll::Ready(());
        };
        let is_cancelled = {
            let mut state = running.control.state.lock();
            state.waker = Some(context.waker().clone());
            state.is_cancelled
        };
        let _entered = running.run.enter();
        let _polling = Marked::polling();
        let outcome = if is_cancelled {
            Err(TaskError::Cancelled)
        } else {
            promise.start();
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) => Err(panic_error(&*payload)),
            }
        };
        // What the task holds goes before anybody sees that it has ended. A panic there has been told by the hook.
        let future = running.future.take();
        let _told = catch_unwind(AssertUnwindSafe(|| drop(future)));
        running.control.state.lock().waker = None;
        if let Some(promise) = running.promise.take() {
            promise.conclude(outcome);
        }
        Poll::Ready(())
    }
}
