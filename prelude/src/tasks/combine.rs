//! Waiting for the first of several tasks, and for no longer than a time.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::task::Task;
use super::time::sleep;
use crate::executors::{TaskError, When};

/// Waits for several tasks and returns those that have ended and those that have not, each in the order given.
///
/// ```
/// use forkline::prelude::*;
/// use tasks::When;
///
/// # tasks::block_on(async {
/// let fast = tasks::spawn(async { 1 });
/// let slow = tasks::spawn(async { tasks::sleep(Duration::from_secs(60)).await; 2 });
/// let (done, pending) = tasks::wait([fast, slow], When::FirstCompleted).await;
/// assert_eq!((done.len(), pending.len()), (1, 1));
/// pending[0].cancel();
/// # });
/// ```
pub async fn wait<T>(
    tasks: impl IntoIterator<Item = Task<T>>,
    when: When,
) -> (Vec<Task<T>>, Vec<Task<T>>) {
    let tasks: Vec<Task<T>> = tasks.into_iter().collect();
    std::future::poll_fn(|context| poll_all(&tasks, when, context)).await;
    tasks.into_iter().partition(Task::done)
}

/// [`wait`](wait()), but no longer than `time`. A time of zero only looks.
pub async fn wait_timeout<T>(
    tasks: impl IntoIterator<Item = Task<T>>,
    when: When,
    time: Duration,
) -> (Vec<Task<T>>, Vec<Task<T>>) {
    let tasks: Vec<Task<T>> = tasks.into_iter().collect();
    let all = std::future::poll_fn(|context| poll_all(&tasks, when, context));
    let _in_time = timeout(time, all).await;
    tasks.into_iter().partition(Task::done)
}

fn poll_all<T>(tasks: &[Task<T>], when: When, context: &mut Context<'_>) -> Poll<()> {
    let mut n_done = 0;
    let mut has_failed = false;
    // Each is asked, so that each knows whom to wake.
    for task in tasks {
        if task.poll_done(context) {
            n_done += 1;
            has_failed |= task.has_failed();
        }
    }
    let is_over = n_done == tasks.len()
        || match when {
            When::FirstCompleted => n_done > 0,
            When::FirstException => has_failed,
            When::AllCompleted => false,
        };
    if is_over {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

/// Waits for a future, but no longer than `time`; then the future is dropped, which ends it. (A [`Task`] that is
/// dropped goes on: cancel it.)
///
/// # Errors
/// [`TaskError::TimedOut`].
///
/// ```
/// use forkline::prelude::*;
///
/// # tasks::block_on(async {
/// let slow = tasks::sleep(Duration::from_secs(60));
/// let result = tasks::timeout(Duration::from_millis(5), slow).await;
/// assert!(matches!(result, Err(tasks::TaskError::TimedOut(_))));
/// # });
/// ```
pub async fn timeout<F: Future>(time: Duration, future: F) -> Result<F::Output, TaskError> {
    let mut future = pin!(future);
    let mut time_is_up = pin!(sleep(time));
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        if time.is_zero() {
            return Poll::Ready(Err(TaskError::TimedOut(time)));
        }
        time_is_up
            .as_mut()
            .poll(context)
            .map(|()| Err(TaskError::TimedOut(time)))
    })
    .await
}
