//! Where spans go: one queue for each thread, emptied when a recording ends.
//!
//! A thread pushes into its own queue, which it shares only with the thread that ends a recording. The
//! queue is crossbeam's: no lock, no unsafe code here. Everything else is under one lock that no span takes.
//!
//! Recordings that overlap form a group. The group's number is what spans compare with: a span that ends in
//! another group than it began in is forgotten. Only when the last recording of a group ends is what the
//! queues gave thrown away, since the others still have a right to it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam::queue::SegQueue;

use super::data::{Recorded, Row, Trace};

/// The spans that recordings which overlap keep together, about 60 MB; what comes after is counted only.
pub const MAX_SPANS: usize = 1_000_000;

/// Threads take their share of [`MAX_SPANS`] in portions, so that they meet at the counter only seldom.
const PORTION: i64 = 250;

/// The group that is recorded now, 0 for none. A span that reads an old value is lost or is thrown away by
/// its start time; so no order with other data is needed.
static GROUP: AtomicU64 = AtomicU64::new(0);
/// What is left of [`MAX_SPANS`]; below 0 when threads asked in vain. A mere count.
static LEFT: AtomicI64 = AtomicI64::new(0);
/// Spans that found no place since the group began. A mere count.
static N_DROPPED: AtomicU64 = AtomicU64::new(0);

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    n_groups: 0,
    n_recordings: 0,
    by_start: None,
    lanes: Vec::new(),
    by_hand: Vec::new(),
});

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// What a thread keeps for itself.
struct Local {
    lane: Arc<Lane>,
    group: u64,
    n_allowed: i64,
}

/// What a thread shares with the end of a recording.
struct Lane {
    thread_name: Option<String>,
    spans: SegQueue<Recorded>,
    /// The group that `n_open` counts in. Written by the thread alone.
    group: AtomicU64,
    /// Spans of the thread that have begun and not ended. Written by the thread alone.
    n_open: AtomicU64,
}

struct Shared {
    n_groups: u64,
    /// How many recordings run.
    n_recordings: usize,
    /// The recording of [`start`] and [`stop`].
    by_start: Option<Recording>,
    /// The threads that have had spans, each with what its queue gave already.
    lanes: Vec<(Arc<Lane>, Vec<Recorded>)>,
    by_hand: Vec<(String, Recorded)>,
}

/// A panic under the lock leaves nothing half done that would matter to a trace.
fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the whole call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The group that is recorded now, or 0.
pub(super) fn group() -> u64 {
    GROUP.load(Ordering::Relaxed)
}

/// Notes that a span begins and returns its start.
pub(super) fn begin(group: u64) -> u64 {
    // A thread that is going down has no storage any more; its spans are lost.
    let _thread_ends = LOCAL.try_with(|local| {
        let mut local = local.borrow_mut();
        let local = local.get_or_insert_with(Local::new);
        if local.group != group {
            local.group = group;
            local.n_allowed = 0;
            local.lane.n_open.store(0, Ordering::Relaxed);
            local.lane.group.store(group, Ordering::Relaxed);
        }
        // One writer: a load and a store do, where an add would lock the bus.
        let n_open = local.lane.n_open.load(Ordering::Relaxed);
        local.lane.n_open.store(n_open + 1, Ordering::Relaxed);
    });
    // Last, so that the work above is not part of the span.
    now()
}

/// Keeps a span that ends now.
pub(super) fn end(group: u64, name: Cow<'static, str>, start_ns: u64) {
    // First, for the same reason.
    let end_ns = now();
    let _thread_ends = LOCAL.try_with(|local| {
        let mut local = local.borrow_mut();
        let Some(local) = local.as_mut().filter(|local| local.group == group) else {
            return;
        };
        let n_open = local.lane.n_open.load(Ordering::Relaxed);
        local
            .lane
            .n_open
            .store(n_open.saturating_sub(1), Ordering::Relaxed);
        if GROUP.load(Ordering::Relaxed) != group {
            return;
        }
        if local.n_allowed == 0 && !local.take_portion() {
            N_DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        local.n_allowed -= 1;
        local.lane.spans.push(Recorded {
            name,
            start_ns,
            end_ns,
        });
    });
}

impl Local {
    #[cold]
    fn new() -> Self {
        let lane = Arc::new(Lane {
            thread_name: thread_name(),
            spans: SegQueue::new(),
            group: AtomicU64::new(0),
            n_open: AtomicU64::new(0),
        });
        shared().lanes.push((Arc::clone(&lane), Vec::new()));
        Self {
            lane,
            group: 0,
            n_allowed: 0,
        }
    }

    #[cold]
    fn take_portion(&mut self) -> bool {
        if LEFT.load(Ordering::Relaxed) <= 0 || LEFT.fetch_sub(PORTION, Ordering::Relaxed) <= 0 {
            return false;
        }
        self.n_allowed = PORTION;
        true
    }
}

/// std knows the first thread of a process only in programs that std itself has started.
fn thread_name() -> Option<String> {
    if let Some(name) = thread::current().name() {
        return Some(name.to_owned());
    }
    // SAFETY: the call asks for nothing and cannot fail.
    let thread_id = unsafe { libc::gettid() };
    (thread_id.unsigned_abs() == std::process::id()).then(|| "main".to_owned())
}

/// A recording that runs. Dropping it throws away what it has.
pub(super) struct Recording {
    start_ns: u64,
    /// The thread that records: its row is `main` if it has no name.
    thread: thread::ThreadId,
}

impl Recording {
    pub(super) fn begin() -> Self {
        Self::begin_under(&mut shared())
    }

    fn begin_under(shared: &mut Shared) -> Self {
        if shared.n_recordings == 0 {
            shared.n_groups += 1;
            LEFT.store(MAX_SPANS as i64, Ordering::Relaxed);
            N_DROPPED.store(0, Ordering::Relaxed);
            GROUP.store(shared.n_groups, Ordering::Relaxed);
        }
        shared.n_recordings += 1;
        Self {
            start_ns: now(),
            thread: thread::current().id(),
        }
    }

    pub(super) fn end(self) -> Trace {
        let end_ns = now();
        let mut shared = shared();
        let trace = shared.collect(&self, end_ns);
        shared.leave();
        drop(shared);
        // `leave` was the part of `drop` that counts.
        std::mem::forget(self);
        trace
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        shared().leave();
    }
}

pub(super) fn start() {
    let mut shared = shared();
    if let Some(before) = shared.by_start.take() {
        shared.leave();
        // Its drop would leave once more, and take the lock.
        std::mem::forget(before);
    }
    let recording = Recording::begin_under(&mut shared);
    shared.by_start = Some(recording);
}

pub(super) fn stop() -> Trace {
    let recording = shared().by_start.take();
    recording.map_or_else(Trace::new, Recording::end)
}

pub(super) fn add_by_hand(row: &str, name: &str, start_ns: u64, end_ns: u64) {
    if group() == 0 {
        return;
    }
    if LEFT.fetch_sub(1, Ordering::Relaxed) <= 0 {
        N_DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let span = Recorded {
        name: Cow::Owned(name.to_owned()),
        start_ns,
        end_ns: end_ns.max(start_ns),
    };
    shared().by_hand.push((row.to_owned(), span));
}

impl Shared {
    /// A recording has ended; with the last one all is forgotten.
    fn leave(&mut self) {
        self.n_recordings -= 1;
        if self.n_recordings > 0 {
            return;
        }
        GROUP.store(0, Ordering::Relaxed);
        self.by_hand = Vec::new();
        for (lane, given) in &mut self.lanes {
            *given = Vec::new();
            while lane.spans.pop().is_some() {}
        }
        // Only this list holds the lane of a thread that has ended.
        self.lanes.retain(|(lane, _)| Arc::strong_count(lane) > 1);
    }

    fn collect(&mut self, recording: &Recording, end_ns: u64) -> Trace {
        let group = group();
        let own_lane = (thread::current().id() == recording.thread)
            .then(|| LOCAL.with(|local| local.borrow().as_ref().map(|local| local.lane.clone())))
            .flatten();
        let mut n_open = 0;
        let mut rows = Vec::new();
        for (lane, given) in &mut self.lanes {
            while let Some(span) = lane.spans.pop() {
                given.push(span);
            }
            if lane.group.load(Ordering::Relaxed) == group {
                n_open += lane.n_open.load(Ordering::Relaxed);
            }
            let records = own_lane.as_ref().is_some_and(|own| Arc::ptr_eq(own, lane));
            let name = match &lane.thread_name {
                None if records => Some("main".to_owned()),
                name => name.clone(),
            };
            rows.push((name, spans_in(given, recording.start_ns)));
        }
        let mut by_hand: HashMap<&str, Vec<Recorded>> = HashMap::new();
        for (row, span) in &self.by_hand {
            if span.start_ns >= recording.start_ns {
                by_hand.entry(row).or_default().push(span.clone());
            }
        }
        let mut rows = named_rows(rows);
        rows.extend(
            by_hand
                .into_iter()
                .map(|(name, spans)| Row::new(String::new(), name.to_owned(), spans)),
        );
        Trace::recorded(
            recording.start_ns,
            end_ns,
            rows,
            n_open,
            N_DROPPED.load(Ordering::Relaxed),
        )
    }
}

fn spans_in(spans: &[Recorded], start_ns: u64) -> Vec<Recorded> {
    spans
        .iter()
        .filter(|span| span.start_ns >= start_ns)
        .cloned()
        .collect()
}

/// Gives each thread a name of its own: numbers for those without one and for all but the first of a name.
fn named_rows(mut threads: Vec<(Option<String>, Vec<Recorded>)>) -> Vec<Row> {
    threads.retain(|(_, spans)| !spans.is_empty());
    let first = |spans: &[Recorded]| spans.iter().map(|span| span.start_ns).min();
    threads.sort_by_key(|(_, spans)| first(spans));
    let mut n_of_name: HashMap<String, usize> = HashMap::new();
    let mut count = |name: &str| {
        let n = n_of_name.entry(name.to_owned()).or_default();
        *n += 1;
        *n
    };
    threads
        .into_iter()
        .map(|(name, spans)| {
            let name = match name {
                None => format!("thread {}", count("")),
                Some(name) => match count(&name) {
                    1 => name,
                    n => format!("{name} {n}"),
                },
            };
            Row::new(String::new(), name, spans)
        })
        .collect()
}
