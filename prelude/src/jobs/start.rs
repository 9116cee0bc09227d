//! Jobs begin: as a thread, or as a task of the runtime.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::thread;

use super::error::JobError;
use super::job::{Job, Shared};
use super::outcome::Outcome;
use super::registry;
use super::stop::Stop;
use crate::executors::TaskError;
use crate::{interrupt, panics, rt, tasks};

/// Begins a job: `work` runs on a thread of its own and is told when it is to stop.
///
/// ```
/// use forkline::prelude::*;
///
/// let job = jobs::spawn("ticker", |stop| {
///     while !stop.wait(Duration::from_millis(10)) {}
/// })?;
/// assert_eq!(job.state(), jobs::State::Running);
/// job.stop();
/// job.join(Duration::from_secs(10))?;
/// # Ok::<(), forkline::jobs::JobError>(())
/// ```
///
/// # Errors
/// [`JobError::DoesNotStop`] if one of the same name goes on although it was asked to stop, [`JobError::Itself`], and
/// [`JobError::NoThread`].
pub fn spawn<R: Outcome>(
    name: impl Into<String>,
    work: impl FnOnce(Stop) -> R + Send + 'static,
) -> Result<Job, JobError> {
    let shared = registry::begin(&name.into())?;
    start(&shared, work)
}

/// Begins a job: `future` runs as a task of the prelude's runtime. When it is to stop it ends at its next `.await`.
///
/// ```
/// use forkline::prelude::*;
///
/// let job = jobs::spawn_async("sleeper", async { tasks::sleep(Duration::from_secs(600)).await })?;
/// job.stop();
/// job.join(Duration::from_secs(10))?;
/// # Ok::<(), forkline::jobs::JobError>(())
/// ```
///
/// # Errors
/// [`JobError::DoesNotStop`] if one of the same name goes on although it was asked to stop.
pub fn spawn_async<F>(name: impl Into<String>, future: F) -> Result<Job, JobError>
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    let shared = registry::begin(&name.into())?;
    let job = Job(Arc::clone(&shared));
    let task = tasks::spawn_on_runtime(async move {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _spared = interrupt::spare();
            future.as_mut().poll(context)
        })
        .await
        .outcome()
    });
    let ended = Arc::clone(&shared);
    task.add_done_callback(move |outcome| match outcome {
        Ok(outcome) => ended.end(outcome.clone()),
        Err(TaskError::Cancelled) => ended.end(Ok(())),
        Err(error) => ended.end_by_panic(error.to_string()),
    });
    shared.on_stop(Box::new(move || {
        task.cancel();
    }));
    registry::say_begun(&shared);
    Ok(job)
}

/// The thread of a job that is entered. If there is no thread to be had the job is taken out again.
pub(super) fn start<R: Outcome>(
    shared: &Arc<Shared>,
    work: impl FnOnce(Stop) -> R + Send + 'static,
) -> Result<Job, JobError> {
    let own = Arc::clone(shared);
    let started = thread::Builder::new()
        .name(shared.name.replace('\0', "\u{fffd}"))
        .spawn(move || run(&own, work));
    match started {
        Ok(_detached) => {
            registry::say_begun(shared);
            Ok(Job(Arc::clone(shared)))
        }
        Err(source) => {
            registry::abandon(shared);
            Err(JobError::NoThread {
                name: shared.name.clone(),
                source,
            })
        }
    }
}

fn run<R: Outcome>(shared: &Arc<Shared>, work: impl FnOnce(Stop) -> R) {
    shared.enter_for_ever();
    let stop = Stop(Arc::clone(shared));
    // The panic's text is with the user already, by the hook.
    let outcome = catch_unwind(AssertUnwindSafe(|| work(stop).outcome()));
    rt::flush_stdout();
    match outcome {
        Ok(outcome) => shared.end(outcome),
        Err(payload) => shared.end_by_panic(why(&*payload)),
    }
}

/// Why something unwound, in a few words.
pub(super) fn why(payload: &(dyn std::any::Any + Send)) -> String {
    if interrupt::is_interrupt(payload) {
        return "what it waited for on rayon's pool was interrupted together with a cell"
            .to_owned();
    }
    match panics::text(payload) {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".to_owned(),
    }
}
