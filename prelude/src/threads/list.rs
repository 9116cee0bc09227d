//! All threads of this process, as a table.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::info::{self, Info, State};
use super::{system, waits};
use crate::display::{Bundle, Show};
use crate::rt::place;
use crate::table::Table;

/// What was known of a thread when [`list`] looked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ThreadFacts {
    /// Its name; of a thread that never used this module the one that the system knows, 15 bytes at most.
    pub name: String,
    /// Where it was in its life.
    pub state: State,
    /// What it waited for in this module, and in which line.
    pub waits_for: Option<String>,
    /// Whether [`join_all`](super::join_all) leaves it out.
    pub daemon: bool,
    /// The processor time that it had used.
    pub cpu_time: Option<Duration>,
    /// The system's number of the thread.
    pub system_id: Option<i32>,
}

/// All threads of this process that have not ended; as the last expression of a cell it is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadList(Vec<ThreadFacts>);

/// The threads of this process: the notebook's own `MainThread`, those of this module (also those that were made and
/// not started, while there is a handle), rayon's, and all others that the system knows.
///
/// ```
/// use forkline::prelude::*;
///
/// let thread = threads::Thread::new(|| ()).name("not yet started");
/// let threads = threads::list();
/// assert!(threads.iter().any(|one| one.name == "not yet started" && one.state == threads::State::Created));
/// ```
#[doc(alias = "enumerate")]
pub fn list() -> ThreadList {
    info::own();
    let mut known = info::known();
    known.retain(|info| info.state_at_rest() != Some(State::Finished));
    // Threads of the system that nobody has entered.
    let foreign: Vec<i32> = system::all()
        .into_iter()
        .filter(|id| known.iter().all(|info| info.system_id() != Some(*id)))
        .collect();
    let mut facts: Vec<ThreadFacts> = known.iter().map(|info| of_known(info)).collect();
    facts.sort_by_key(|one| one.name != "MainThread");
    facts.extend(foreign.into_iter().filter_map(of_foreign));
    tell_running_from_runnable(&mut facts);
    ThreadList(facts)
}

fn of_known(info: &Info) -> ThreadFacts {
    let waits_for = waits::of(info.id());
    ThreadFacts {
        name: info.name(),
        state: info.state_at_rest().unwrap_or(State::Runnable),
        waits_for: waits_for.map(|wait| format!("{}, {}", wait.kind, place(wait.at))),
        daemon: info.is_daemon(),
        cpu_time: info.system_id().and_then(system::cpu_time),
        system_id: info.system_id(),
    }
}

fn of_foreign(id: i32) -> Option<ThreadFacts> {
    let state = info::state_of_letter(system::letter(id)).unwrap_or(State::Runnable);
    (state != State::Finished).then_some(())?;
    Some(ThreadFacts {
        name: system::name(id)?,
        state,
        waits_for: None,
        daemon: false,
        cpu_time: system::cpu_time(id),
        system_id: Some(id),
    })
}

fn tell_running_from_runnable(facts: &mut [ThreadFacts]) {
    let own = system::own_id();
    let mut ready: Vec<&mut ThreadFacts> = facts
        .iter_mut()
        .filter(|one| one.state == State::Runnable && one.system_id.is_some_and(|id| id != own))
        .collect();
    let ids: Vec<i32> = ready.iter().filter_map(|one| one.system_id).collect();
    for (one, is_running) in ready.iter_mut().zip(info::on_a_processor(&ids)) {
        if is_running {
            one.state = State::Running;
        }
    }
}

impl ThreadList {
    fn table(&self) -> Table {
        let rows = self.0.iter();
        let columns = crate::table! {
            "name" => rows.clone().map(|one| &one.name),
            "state" => rows.clone().map(|one| one.state.to_string()),
            "waits for" => rows.clone().map(|one| one.waits_for.clone().unwrap_or_default()),
            "daemon" => rows.clone().map(|one| if one.daemon { "yes" } else { "" }),
            "processor time (ms)" => rows.map(|one| one.cpu_time.unwrap_or_default().as_secs_f64() * 1e3),
        };
        columns.expect("the columns are of one list").limit(100)
    }
}

impl Deref for ThreadList {
    type Target = [ThreadFacts];

    fn deref(&self) -> &[ThreadFacts] {
        &self.0
    }
}

impl IntoIterator for ThreadList {
    type Item = ThreadFacts;
    type IntoIter = std::vec::IntoIter<ThreadFacts>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ThreadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table().fmt(f)
    }
}

impl Show for ThreadList {
    fn show(&self) -> Bundle {
        self.table().show()
    }
}
