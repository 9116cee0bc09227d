//! All jobs as a table.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::job::{Shared, State};
use super::registry;
use crate::display::{Bundle, Show};
use crate::table::Table;

/// What was known of a job when [`list`] looked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFacts {
    /// Its name.
    pub name: String,
    /// Where it was in its life.
    pub state: State,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// When it began.
    pub since: SystemTime,
    /// How many connections it has served.
    pub n_served: u64,
    /// How many connections were closed at once, because too many waited already.
    pub n_refused: u64,
    /// Its last error, or that of the handler of a connection.
    pub last_error: Option<String>,
}

/// All jobs of this process; as the last expression of a cell it is a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobList(Vec<JobFacts>);

/// The jobs of this process, also those that have ended (the last hundred of these). `%jobs` shows the same.
///
/// ```
/// use forkline::prelude::*;
///
/// let job = jobs::spawn("short", |_| ())?;
/// job.join(Duration::from_secs(10))?;
/// assert!(jobs::list().iter().any(|one| one.name == "short" && one.state == jobs::State::Ended));
/// # Ok::<(), forkline::jobs::JobError>(())
/// ```
pub fn list() -> JobList {
    JobList(registry::all().iter().map(|job| facts(job)).collect())
}

fn facts(job: &Shared) -> JobFacts {
    JobFacts {
        name: job.name.clone(),
        state: job.state(),
        address: job.address(),
        since: job.begun,
        n_served: job.n_served.load(Ordering::Relaxed),
        n_refused: job.n_refused.load(Ordering::Relaxed),
        last_error: job.last_error(),
    }
}

impl JobFacts {
    /// What there is to say of its last error, unless its state says it already.
    fn remark(&self) -> String {
        match (&self.state, &self.last_error) {
            (State::Failed(_), _) | (_, None) => String::new(),
            (_, Some(error)) => error.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

impl JobList {
    fn table(&self) -> Table {
        let rows = self.0.iter();
        let columns = crate::table! {
            "name" => rows.clone().map(|one| &one.name),
            "state" => rows.clone().map(|one| one.state.to_string()),
            "address" => rows.clone().map(|one| one.address.map(|at| at.to_string()).unwrap_or_default()),
            "since" => rows.clone().map(|one| time_of_day(one.since)),
            "connections" => rows.clone().map(|one| one.n_served),
            "refused" => rows.clone().map(|one| one.n_refused),
            "last error" => rows.map(JobFacts::remark),
        };
        columns.expect("the columns are of one list").limit(100)
    }
}

/// In the time zone of the process.
fn time_of_day(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let seconds = libc::time_t::try_from(seconds).unwrap_or_default();
    // SAFETY: all fields of a `tm` are integers and a pointer, for which zero is a value.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values of this function.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut parts) };
    format!(
        "{:02}:{:02}:{:02}",
        parts.tm_hour, parts.tm_min, parts.tm_sec
    )
}

impl Deref for JobList {
    type Target = [JobFacts];

    fn deref(&self) -> &[JobFacts] {
        &self.0
    }
}

impl IntoIterator for JobList {
    type Item = JobFacts;
    type IntoIter = std::vec::IntoIter<JobFacts>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

const NONE: &str = "no jobs; jobs::spawn(name, |stop| …) and jobs::listen(name, address, |stream, peer| …) begin one";

impl fmt::Display for JobList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        self.table().fmt(f)
    }
}

impl Show for JobList {
    fn show(&self) -> Bundle {
        if self.0.is_empty() {
            return Bundle::new().text(NONE);
        }
        self.table().show()
    }
}
