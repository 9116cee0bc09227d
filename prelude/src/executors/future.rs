//! The side on which a result is waited for.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use super::error::TaskError;
use super::promise::{Core, Ending, Phase};
use crate::interrupt;

/// A result that is not there yet.
///
/// It can be waited for by [`result`](Self::result), together with others by [`wait`](super::wait()) and
/// [`as_completed`](super::as_completed()), or by `.await`. Dropping it does not end the task.
///
/// ```
/// use forkline::executors::ThreadPool;
///
/// let pool = ThreadPool::new(1);
/// let future = pool.spawn(|| 6 * 7);
/// assert_eq!(future.result().unwrap(), 42);
/// ```
#[must_use = "a result that nobody takes takes its error along: call `result`, or `exception`"]
pub struct Future<R> {
    core: Arc<Core<R>>,
}

impl<R> Future<R> {
    pub(super) fn of(core: Arc<Core<R>>) -> Self {
        Future { core }
    }

    pub(super) fn core(&self) -> &Core<R> {
        &self.core
    }

    /// Waits for the result and takes it.
    ///
    /// # Errors
    /// The task panicked, was cancelled or failed; or the result was taken before.
    pub fn result(&self) -> Result<R, TaskError> {
        self.take_until(None).unwrap_or(Err(TaskError::Taken))
    }

    /// [`result`](Self::result), but no longer than `timeout`. With a time of zero it only looks.
    ///
    /// # Errors
    /// Also [`TaskError::TimedOut`]; the task goes on and can be asked again.
    pub fn result_timeout(&self, timeout: Duration) -> Result<R, TaskError> {
        self.take_until(Some(timeout))
            .unwrap_or(Err(TaskError::TimedOut(timeout)))
    }

    /// The result if it is there.
    ///
    /// # Errors
    /// As for [`result`](Self::result).
    pub fn try_result(&self) -> Option<Result<R, TaskError>> {
        self.take_until(Some(Duration::ZERO))
    }

    /// Waits until the task has ended and returns its error, if it has one. The result stays where it is.
    pub fn exception(&self) -> Option<TaskError> {
        self.when_settled(None, |phase| match phase {
            Phase::Done(Err(error)) => Some(error.clone()),
            _ => None,
        })
        .flatten()
    }

    /// Cancels the task if it has not begun. `false`: it runs, or has ended; a thread cannot be stopped from outside.
    pub fn cancel(&self) -> bool {
        self.core.cancel()
    }

    /// Whether the task was cancelled.
    pub fn cancelled(&self) -> bool {
        self.core.lock().ending == Some(Ending::Cancelled)
    }

    /// Whether the task has begun and has not ended.
    pub fn running(&self) -> bool {
        matches!(self.core.lock().phase, Phase::Running)
    }

    /// Whether the task has ended in any way: with a result, an error, or cancelled.
    pub fn done(&self) -> bool {
        self.core.lock().ending.is_some()
    }

    /// Has `callback` called with the outcome when the task ends, on the thread where it ends; at once and here if it
    /// has ended. Callbacks run in the order in which they were added, before the result can be taken.
    ///
    /// A panic in it is reported and goes no further.
    ///
    /// ```
    /// use forkline::executors::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let future = pool.spawn(|| 6 * 7);
    /// future.add_done_callback(|result| println!("{result:?}"));
    /// assert_eq!(future.result().unwrap(), 42);
    /// ```
    pub fn add_done_callback(
        &self,
        callback: impl FnOnce(Result<&R, &TaskError>) + Send + 'static,
    ) {
        self.core.add_callback(Box::new(callback));
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.core.lock().ending == Some(Ending::Failed)
    }

    /// Whether the task has ended; if not, the waker is told when it does.
    pub(crate) fn poll_done(&self, context: &Context<'_>) -> bool {
        let mut state = self.core.lock();
        let is_done = matches!(state.phase, Phase::Done(_) | Phase::Taken);
        if !is_done {
            state.waker = Some(context.waker().clone());
        }
        is_done
    }

    fn take_until(&self, timeout: Option<Duration>) -> Option<Result<R, TaskError>> {
        self.when_settled(timeout, take)
    }

    /// Gives the phase of a task that has ended to `body`; none if it does not end in time.
    fn when_settled<T>(
        &self,
        timeout: Option<Duration>,
        body: impl FnOnce(&mut Phase<R>) -> T,
    ) -> Option<T> {
        let mut body = Some(body);
        interrupt::wait(timeout.and_then(interrupt::deadline), |slice| {
            let until = Instant::now() + slice;
            let mut state = self.core.lock();
            loop {
                match &state.phase {
                    Phase::Done(_) | Phase::Taken => break,
                    // A callback that asks for the result that it was given: nobody else will deliver it.
                    Phase::Settling(thread) if *thread == thread::current().id() => {
                        let error = TaskError::WouldDeadlock(
                            "a callback of a future asks for its result, which is there when the callbacks have run; \
                             the callback gets it as its argument",
                        );
                        return body.take().map(|body| body(&mut Phase::Done(Err(error))));
                    }
                    _ => {}
                }
                if self.core.settled.wait_until(&mut state, until).timed_out()
                    && !matches!(state.phase, Phase::Done(_) | Phase::Taken)
                {
                    return None;
                }
            }
            body.take().map(|body| body(&mut state.phase))
        })
    }
}

/// Takes the outcome of a task that has ended. Errors stay, so that everybody who asks gets them.
fn take<R>(phase: &mut Phase<R>) -> Result<R, TaskError> {
    if let Phase::Done(Err(error)) = phase {
        return Err(error.clone());
    }
    match std::mem::replace(phase, Phase::Taken) {
        Phase::Done(outcome) => outcome,
        _ => Err(TaskError::Taken),
    }
}

impl<R> std::future::Future for Future<R> {
    type Output = Result<R, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.poll_done(context) {
            return Poll::Pending;
        }
        Poll::Ready(take(&mut self.core.lock().phase))
    }
}

impl<R> fmt::Debug for Future<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Future")?;
        self.describe(f)
    }
}

impl<R> Future<R> {
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.core.lock();
        let text = match (&state.phase, state.ending) {
            (Phase::Pending, _) => "pending",
            (Phase::Running, _) => "running",
            (Phase::Done(Err(error)), _) => return write!(f, "(failed: {error})"),
            (_, Some(Ending::Cancelled)) => "cancelled",
            (_, Some(Ending::Failed)) => "failed",
            (Phase::Taken, _) => "done, result taken",
            _ => "done",
        };
        write!(f, "({text})")
    }
}
