//! All threads that wait in this module, and the search for those that wait for each other.
//!
//! A wait is entered here before it begins and taken out before what it waited for is noted as held. So while the
//! lock of the list is held, what the threads on it hold does not change, but for what others may give back in their
//! place: a permit, or a lock taken by `acquire()`. Where a circle has such a link it must last for [`GRACE`].

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::deadlock;
use super::info::{self, Info};
use crate::interrupt;

/// A place in the source.
pub(super) type Place = &'static Location<'static>;

/// How long a circle lasts that another thread might still open before it counts as a deadlock.
const GRACE: Duration = Duration::from_secs(1);

/// One thread's hold on something.
pub(super) struct Holding {
    pub(super) thread: u64,
    pub(super) since: Place,
    /// Whether it was taken without a guard.
    pub(super) is_raw: bool,
    /// Whether only this thread can give it back.
    pub(super) is_certain: bool,
}

/// What a thread can wait for.
pub(super) trait Resource {
    /// What it is, in a word.
    fn kind(&self) -> &'static str;

    /// Where it was made.
    fn made(&self) -> Option<Place> {
        None
    }

    /// The thread whose end is waited for.
    fn thread(&self) -> Option<u64> {
        None
    }

    /// Those of whom one must go on for the wait to end; none if that is not known.
    fn holders(&self) -> Option<Vec<Holding>> {
        None
    }
}

/// What nobody holds: anybody may end the wait.
pub(super) struct Signal(pub(super) &'static str);

impl Resource for Signal {
    fn kind(&self) -> &'static str {
        self.0
    }
}

/// A thread's wait.
struct Wait {
    info: Arc<Info>,
    /// Valid while the entry is in the list.
    resource: *const dyn Resource,
    at: Place,
    is_endless: bool,
    begun: Instant,
}

// SAFETY: the pointer is followed only under the lock of the list, while its owner waits; resources are read by
// atomics and locks, so any thread may.
unsafe impl Send for Wait {}

static WAITS: Mutex<BTreeMap<u64, Wait>> = Mutex::new(BTreeMap::new());

/// What [`list`](super::list()) says of a wait.
pub(super) struct Waited {
    pub(super) kind: &'static str,
    pub(super) at: Place,
}

/// What the thread waits for in this module.
pub(super) fn of(thread: u64) -> Option<Waited> {
    let waits = WAITS.lock();
    let wait = waits.get(&thread)?;
    Some(Waited {
        kind: wait.resource().kind(),
        at: wait.at,
    })
}

/// Waits until `step` has a result, the deadline is over or the user interrupts. See [`interrupt::wait`].
///
/// # Panics
/// With a report, if there is no deadline and the wait can have no end.
pub(super) fn wait<R>(
    resource: &dyn Resource,
    at: Place,
    deadline: Option<Instant>,
    mut step: impl FnMut(Duration) -> Option<R>,
) -> Option<R> {
    let waiting = Waiting::begin(resource, at, deadline.is_none());
    waiting.check();
    interrupt::wait(deadline, |slice| {
        let result = step(slice);
        if result.is_none() {
            waiting.check();
        }
        result
    })
}

/// An entry in the list, taken out when this is dropped.
struct Waiting {
    id: u64,
    is_endless: bool,
    /// A wait inside a wait (a guard that is dropped while a condition waits) puts the outer one back.
    outer: Option<Wait>,
}

impl Waiting {
    fn begin(resource: &dyn Resource, at: Place, is_endless: bool) -> Self {
        let info = info::own();
        let id = info.id();
        let resource: *const (dyn Resource + '_) = resource;
        // SAFETY: only the lifetime changes. `wait` borrows the resource for longer than its entry is in the list.
        let resource = unsafe {
            std::mem::transmute::<*const (dyn Resource + '_), *const (dyn Resource + 'static)>(
                resource,
            )
        };
        let wait = Wait {
            info,
            resource,
            at,
            is_endless,
            begun: Instant::now(),
        };
        let outer = WAITS.lock().insert(id, wait);
        Self {
            id,
            is_endless,
            outer,
        }
    }

    /// Panics if this wait can have no end.
    fn check(&self) {
        // One panic is enough: a thread that unwinds waits on.
        if !self.is_endless || std::thread::panicking() {
            return;
        }
        let mut waits = WAITS.lock();
        let Some(circle) = circle(&waits, self.id) else {
            return;
        };
        // Out of the list under the same lock: so the others do not find the circle too.
        let own = waits.remove(&self.id);
        drop(waits);
        drop(own);
        deadlock::panic_with(&circle);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        match self.outer.take() {
            Some(outer) => waits.insert(self.id, outer),
            None => waits.remove(&self.id),
        };
    }
}

impl Wait {
    fn resource(&self) -> &dyn Resource {
        // SAFETY: the entry is in the list, whose lock the caller holds: so its owner still waits.
        unsafe { &*self.resource }
    }
}

/// One thread of a circle: what it waits for, and who holds that.
pub(super) struct Link {
    pub(super) thread: Arc<Info>,
    pub(super) waits_at: Place,
    pub(super) kind: &'static str,
    pub(super) made: Option<Place>,
    /// Tells one resource from another.
    pub(super) address: usize,
    /// Whether it is the end of a thread, the next one.
    pub(super) is_join: bool,
    /// Since when the next thread holds it.
    pub(super) since: Place,
    /// Whether it was taken without a guard.
    pub(super) is_raw: bool,
    is_certain: bool,
}

/// The threads that wait for each other, beginning with `own`; none if `own` is not one of them.
fn circle(waits: &BTreeMap<u64, Wait>, own: u64) -> Option<Vec<Link>> {
    let mut stuck: BTreeMap<u64, Vec<Holding>> = waits
        .iter()
        .filter(|(_, wait)| wait.is_endless)
        .filter_map(|(id, wait)| Some((*id, wait.resource().holders()?)))
        .collect();
    // Whoever waits for somebody that may go on may go on too. What is left, none of them ever will.
    loop {
        let free: Vec<u64> = stuck
            .iter()
            .filter(|(_, holders)| {
                holders.is_empty() || holders.iter().any(|held| !stuck.contains_key(&held.thread))
            })
            .map(|(id, _)| *id)
            .collect();
        if free.is_empty() {
            break;
        }
        for id in free {
            stuck.remove(&id);
        }
    }
    let path = shortest(&stuck, own)?;
    let links: Vec<Link> = path
        .iter()
        .map(|(id, held)| {
            let (wait, resource) = (&waits[id], waits[id].resource());
            Link {
                thread: Arc::clone(&wait.info),
                waits_at: wait.at,
                kind: resource.kind(),
                made: resource.made(),
                address: wait.resource.addr(),
                is_join: resource.thread().is_some(),
                since: held.since,
                is_raw: held.is_raw,
                is_certain: held.is_certain,
            }
        })
        .collect();
    let is_certain = links.iter().all(|link| link.is_certain);
    (is_certain || waits[&own].begun.elapsed() >= GRACE).then_some(links)
}

/// The shortest way from a thread to itself, each step with what the next thread holds.
fn shortest(stuck: &BTreeMap<u64, Vec<Holding>>, own: u64) -> Option<Vec<(u64, &Holding)>> {
    let mut ways = std::collections::VecDeque::from([vec![]]);
    let mut seen = std::collections::BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let at = way
            .last()
            .map_or(own, |(_, held): &(u64, &Holding)| held.thread);
        for held in stuck.get(&at)? {
            let longer = || {
                let mut way = way.clone();
                way.push((at, held));
                way
            };
            if held.thread == own {
                return Some(longer());
            }
            if seen.insert(held.thread) {
                ways.push_back(longer());
            }
        }
    }
    None
}
