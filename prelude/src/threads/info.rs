//! What is known of each thread: its number, its name, and where it is in its life.
//!
//! Threads that were not made in this module (the notebook's own, rayon's, std's) are entered when they first use it.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::system;
use super::waits::{self, Holding, Resource};
use crate::rt;

/// Where a thread is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// Made and not started: no thread of the system yet.
    Created,
    /// Ready to run, and waiting for a processor.
    Runnable,
    /// On a processor.
    Running,
    /// Waiting for something else: a lock, another thread, time, input.
    Waiting,
    /// At its end, by returning or by a panic.
    Finished,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Runnable => "runnable",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Finished => "finished",
        })
    }
}

const CREATED: u8 = 0;
const STARTED: u8 = 1;
const FINISHED: u8 = 2;

/// What is known of one thread.
pub(super) struct Info {
    id: u64,
    /// Given at the latest when somebody asks, so that a name given in time takes no number.
    name: OnceLock<String>,
    phase: AtomicU8,
    /// 0 until it runs.
    system_id: AtomicI32,
    is_daemon: AtomicBool,
    /// Whether it was made in this module.
    is_ours: bool,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

/// 0 is nobody.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// The number in the next name.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
static KNOWN: Mutex<BTreeMap<u64, Weak<Info>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Apart from `OWN`, because it is read with each lock and has nothing to drop.
    static ID: Cell<u64> = const { Cell::new(0) };
    static OWN: OnceCell<Own> = const { OnceCell::new() };
}

/// A thread's hold on what is known of it; it goes with the thread.
struct Own(Arc<Info>);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Info {
    /// A thread that is to be started.
    pub(super) fn created() -> Arc<Self> {
        Self::enter(CREATED, OnceLock::new(), 0)
    }

    fn enter(phase: u8, name: OnceLock<String>, system_id: i32) -> Arc<Self> {
        // A mere number: no order with other data is needed.
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let info = Arc::new(Self {
            id,
            name,
            phase: AtomicU8::new(phase),
            system_id: AtomicI32::new(system_id),
            is_daemon: AtomicBool::new(false),
            is_ours: phase == CREATED,
            has_ended: Mutex::new(false),
            ended: Condvar::new(),
        });
        KNOWN.lock().insert(id, Arc::downgrade(&info));
        info
    }

    /// The calling thread, which nobody has entered.
    fn foreign() -> Arc<Self> {
        let system_id = system::own_id();
        let current = thread::current();
        let name = match current.name() {
            Some(name) if name != "main" => name.to_owned(),
            // The thread that runs cells was not started by the cells' standard library.
            _ if rt::on_cell_thread() || system::is_first() => "MainThread".to_owned(),
            _ => system::name(system_id).unwrap_or_else(|| format!("thread {system_id}")),
        };
        Self::enter(STARTED, OnceLock::from(name), system_id)
    }

    /// The calling thread is this one from here on.
    pub(super) fn begin(self: &Arc<Self>) {
        self.system_id.store(system::own_id(), Ordering::Relaxed);
        self.phase.store(STARTED, Ordering::Relaxed);
        ID.set(self.id);
        // A new thread has none.
        let _set = OWN.with(|own| own.set(Own(Arc::clone(self))));
    }

    pub(super) fn finish(&self) {
        self.phase.store(FINISHED, Ordering::Relaxed);
        *self.has_ended.lock() = true;
        self.ended.notify_all();
    }

    /// A step of a wait for its end.
    pub(super) fn wait_for_end(&self, slice: Duration) -> Option<()> {
        let mut has_ended = self.has_ended.lock();
        if !*has_ended {
            self.ended.wait_for(&mut has_ended, slice);
        }
        has_ended.then_some(())
    }

    pub(super) fn set_started(&self, is: bool) {
        let phase = if is { STARTED } else { CREATED };
        self.phase.store(phase, Ordering::Relaxed);
    }

    pub(super) fn set_daemon(&self, is: bool) {
        self.is_daemon.store(is, Ordering::Relaxed);
    }

    /// Gives it this name; false if it has one.
    pub(super) fn set_name(&self, name: String) -> bool {
        self.name.set(name).is_ok()
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn name(&self) -> String {
        let numbered = || format!("Thread-{}", NEXT_NUMBER.fetch_add(1, Ordering::Relaxed));
        self.name.get_or_init(numbered).clone()
    }

    pub(super) fn is_daemon(&self) -> bool {
        self.is_daemon.load(Ordering::Relaxed)
    }

    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    pub(super) fn is_alive(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == STARTED
    }

    pub(super) fn system_id(&self) -> Option<i32> {
        let id = self.system_id.load(Ordering::Relaxed);
        (id != 0).then_some(id)
    }

    /// Whether it waits in this module.
    #[cfg(test)]
    pub(super) fn is_in_a_wait(&self) -> bool {
        waits::of(self.id).is_some()
    }

    /// How far it is, as far as that is known without a look at the processors: none if it runs or could.
    pub(super) fn state_at_rest(&self) -> Option<State> {
        match self.phase.load(Ordering::Relaxed) {
            CREATED => Some(State::Created),
            FINISHED => Some(State::Finished),
            _ if waits::of(self.id).is_some() => Some(State::Waiting),
            _ => match self.system_id() {
                Some(id) if id == system::own_id() => Some(State::Running),
                Some(id) => state_of_letter(system::letter(id)),
                // Started, and not yet at its first instruction.
                None => Some(State::Runnable),
            },
        }
    }
}

/// The end of a thread can be waited for.
impl Resource for Info {
    fn kind(&self) -> &'static str {
        "end of a thread"
    }

    fn thread(&self) -> Option<u64> {
        Some(self.id)
    }

    fn holders(&self) -> Option<Vec<Holding>> {
        Some(vec![Holding {
            thread: self.id,
            since: Location::caller(),
            is_raw: false,
            is_certain: true,
        }])
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        KNOWN.lock().remove(&self.id);
    }
}

/// None if it runs or could.
pub(super) fn state_of_letter(letter: Option<char>) -> Option<State> {
    match letter {
        Some('R') => None,
        // A thread that has ended and is not yet forgotten, or is.
        Some('Z' | 'X') | None => Some(State::Finished),
        Some(_) => Some(State::Waiting),
    }
}

/// Long enough for a clock to move if its thread has a processor, too short to notice.
const LOOK: Duration = Duration::from_micros(200);

/// Which of these threads of the system, all ready, have a processor: those whose clocks go on.
pub(super) fn on_a_processor(ids: &[i32]) -> Vec<bool> {
    let before: Vec<_> = ids.iter().map(|id| system::cpu_time(*id)).collect();
    if !ids.is_empty() {
        thread::sleep(LOOK);
    }
    ids.iter()
        .zip(before)
        .map(|(id, before)| system::cpu_time(*id) > before)
        .collect()
}

/// The number of the calling thread.
#[inline]
pub(super) fn id() -> u64 {
    match ID.get() {
        0 => enter_foreign(),
        id => id,
    }
}

#[cold]
#[inline(never)]
fn enter_foreign() -> u64 {
    own().id
}

/// What is known of the calling thread.
pub(super) fn own() -> Arc<Info> {
    let own = OWN.try_with(|own| Arc::clone(&own.get_or_init(|| Own(Info::foreign())).0));
    // While its thread-local values are dropped it has no entry that stays.
    let own = own.unwrap_or_else(|_| Info::foreign());
    ID.set(own.id);
    own
}

/// All threads that are known, by number.
pub(super) fn known() -> Vec<Arc<Info>> {
    // Upgraded under the lock, and dropped outside of it: the last clone takes the lock.
    KNOWN.lock().values().filter_map(Weak::upgrade).collect()
}

pub(super) fn name_of(id: u64) -> Option<String> {
    let info = KNOWN.lock().get(&id).and_then(Weak::upgrade)?;
    Some(info.name())
}

/// What is known of a thread; clones speak of the same one. [`current`] and [`Thread::info`](super::Thread::info)
/// give it.
#[derive(Clone)]
pub struct ThreadInfo(pub(super) Arc<Info>);

/// The calling thread.
///
/// The one that runs the notebook's cells is called `MainThread`; threads that were not made in this module keep
/// the name that std or the system knows.
///
/// ```
/// use forkline::prelude::*;
///
/// let name = threads::Thread::new(|| threads::current().name()).name("worker").spawn()?.join()?;
/// assert_eq!(name, "worker");
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
#[doc(alias = "current_thread")]
pub fn current() -> ThreadInfo {
    ThreadInfo(own())
}

impl ThreadInfo {
    /// The name; the first that had none given is `Thread-1`.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// A number that no other thread of this process has or had.
    #[doc(alias = "ident")]
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// The system's number of the thread, once it has run; the system may give it again when the thread is gone.
    #[doc(alias = "native_id")]
    pub fn system_id(&self) -> Option<i32> {
        self.0.system_id()
    }

    /// Whether [`join_all`](super::join_all) leaves it out.
    pub fn is_daemon(&self) -> bool {
        self.0.is_daemon()
    }

    /// Whether it was started and has not ended.
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Where it is in its life, at this moment.
    ///
    /// The system does not tell [`Runnable`](State::Runnable) from [`Running`](State::Running); two readings of the
    /// thread's processor clock do, 0.2 ms apart.
    pub fn state(&self) -> State {
        self.0.state_at_rest().unwrap_or_else(|| {
            let is_running = self.system_id().is_some_and(|id| on_a_processor(&[id])[0]);
            if is_running {
                State::Running
            } else {
                State::Runnable
            }
        })
    }

    /// The processor time that it has used so far; none before it runs and after its end.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.system_id()
            .filter(|_| self.is_alive())
            .and_then(system::cpu_time)
    }
}

impl fmt::Debug for ThreadInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadInfo")
            .field("name", &self.name())
            .field("state", &self.state())
            .field("daemon", &self.is_daemon())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ThreadInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.state())
    }
}

impl PartialEq for ThreadInfo {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for ThreadInfo {}
