//! All jobs of this process by their names.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::error::JobError;
use super::job::Shared;

/// In the order in which names first came.
static JOBS: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

/// How long a job may take to end when it is asked to.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Jobs that have ended are kept to be looked at, but not without end.
const MOST_ENDED: usize = 100;

/// Enters a job; one of that name is stopped first, and has ended then.
pub(super) fn begin(name: &str) -> Result<Arc<Shared>, JobError> {
    let mut replaces = false;
    loop {
        let old = {
            let mut jobs = JOBS.lock();
            let place = jobs.iter().position(|job| job.name == name);
            match place.filter(|place| !jobs[*place].is_over()) {
                Some(place) => Arc::clone(&jobs[place]),
                None => {
                    let new = Shared::new(name, replaces);
                    match place {
                        Some(place) => jobs[place] = Arc::clone(&new),
                        None => jobs.push(Arc::clone(&new)),
                    }
                    forget_some(&mut jobs);
                    return Ok(new);
                }
            }
        };
        if old.is_current() {
            return Err(JobError::Itself {
                name: name.to_owned(),
            });
        }
        stop(&old)?;
        replaces = true;
    }
}

fn forget_some(jobs: &mut Vec<Arc<Shared>>) {
    let n_ended = jobs.iter().filter(|job| job.is_over()).count();
    let mut n_surplus = n_ended.saturating_sub(MOST_ENDED);
    jobs.retain(|job| {
        let is_forgotten = n_surplus > 0 && job.is_over();
        n_surplus -= usize::from(is_forgotten);
        !is_forgotten
    });
}

/// The job could not begin.
pub(super) fn abandon(shared: &Arc<Shared>) {
    JOBS.lock().retain(|job| !Arc::ptr_eq(job, shared));
    shared.end(Ok(()));
}

pub(super) fn say_begun(shared: &Shared) {
    if shared.replaces {
        let name = &shared.name;
        println!("job {name}: the one before has been stopped, this one takes its place");
    }
}

pub(super) fn all() -> Vec<Arc<Shared>> {
    JOBS.lock().clone()
}

/// Stops a job and waits for its end.
fn stop(job: &Shared) -> Result<(), JobError> {
    job.request_stop();
    if job.wait_for_end(STOP_LIMIT) {
        return Ok(());
    }
    Err(JobError::DoesNotStop {
        name: job.name.clone(),
        time: STOP_LIMIT,
    })
}

/// Stops the job of a name and says so: for the magic.
#[doc(hidden)]
pub fn __stop(name: &str) -> Result<(), JobError> {
    let jobs = all();
    let Some(job) = jobs.iter().find(|job| job.name == name) else {
        let running = jobs.iter().filter(|job| !job.is_over());
        return Err(JobError::Unknown {
            name: name.to_owned(),
            running: running.map(|job| job.name.clone()).collect(),
        });
    };
    if job.is_over() {
        println!("job {name}: {} already", job.state());
        return Ok(());
    }
    stop(job)?;
    println!("job {name}: stopped");
    Ok(())
}

/// Stops all jobs and says so: for the magic.
#[doc(hidden)]
pub fn __stop_all() -> Result<(), JobError> {
    let running: Vec<Arc<Shared>> = all().into_iter().filter(|job| !job.is_over()).collect();
    if running.is_empty() {
        println!("no job runs");
    }
    // All are asked before the first is waited for.
    for job in &running {
        job.request_stop();
    }
    let mut result = Ok(());
    for job in &running {
        match stop(job) {
            Ok(()) => println!("job {}: stopped", job.name),
            Err(error) => result = result.and(Err(error)),
        }
    }
    result
}
