//! All threads of this process, as a table.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::info::{self, Info, State};
use super::{system, waits};
use crate::display::{Bundle, Show};
use crate::rt::{self, place};
use crate::table::{self, Column, Table};

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
    /// Of a list that [`stacks`] made: the functions of cells in which it was, each with the line where it stood, innermost first.
    pub stack: Vec<String>,
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

/// As [`list`], with the stack of each thread: which functions of cells it is in, and in which lines.
///
/// Each thread is stopped by a signal for some microseconds, and says within 60 ms where it is; one that does not, or that
/// runs no code of a cell, has no stack here. Locks, queues and sleeps of this module and of std go on waiting afterwards; a
/// system call that the system does not begin anew by itself (`poll`, `epoll_wait`) ends with `EINTR`, as with any signal.
/// While `%%prof` makes a profile, and outside of a notebook, there are no stacks.
///
/// ```
/// use forkline::prelude::*;
///
/// let event = Arc::new(threads::Event::new());
/// let waiting = Arc::clone(&event);
/// let thread = threads::spawn(move || waiting.wait());
/// println!("{}", threads::stacks());
/// event.set();
/// thread.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "_current_frames")]
#[doc(alias = "dump_traceback")]
pub fn stacks() -> ThreadList {
    let mut list = list();
    for one in &mut list.0 {
        one.stack = one.system_id.map(rt::stack).unwrap_or_default();
    }
    list
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
        stack: Vec::new(),
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
        stack: Vec::new(),
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
        let rows = || self.0.iter();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let mut columns = vec![
            Column::new("name", rows().map(|one| &one.name)),
            Column::new("state", rows().map(|one| one.state.to_string())),
            Column::new(
                "waits for",
                rows().map(|one| one.waits_for.clone().unwrap_or_default()),
            ),
            Column::new(
                "daemon",
                rows().map(|one| if one.daemon { "yes" } else { "" }),
            ),
            Column::new(
                "processor time (ms)",
                rows().map(|one| milliseconds(one.cpu_time.unwrap_or_default())),
            ),
        ];
        if rows().any(|one| !one.stack.is_empty()) {
            let stacks = rows().map(|one| one.stack.join(" < "));
            columns.push(Column::new("stack, innermost first", stacks));
        }
        let table = table::columns(columns).expect("the columns are of one list");
        table.limit(100).width(200)
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
