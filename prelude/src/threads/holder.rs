//! Who holds a lock, and since which line: written when it is taken and given back, read when a deadlock is looked for.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::info;
use super::waits::{Holding, Resource};

/// Beside each lock. Only the thread that holds the lock writes `thread`, `since` and `depth`.
///
/// No access here orders any other data: the lock itself does that, and who looks for a deadlock reads about threads
/// that wait, whose last writes are older than their entry under the lock of all waits.
pub(super) struct Holder {
    kind: &'static str,
    made: &'static Location<'static>,
    /// Whether only its owner may release it.
    only_owner: bool,
    /// 0: nobody.
    thread: AtomicU64,
    since: AtomicPtr<Location<'static>>,
    /// How often its owner has taken it.
    depth: AtomicUsize,
    /// How many of these were `acquire()`, which `release()` may give back.
    n_raw: AtomicUsize,
    /// Whether it was ever released by a thread that did not hold it: then nobody knows who may release it next.
    is_shared: AtomicBool,
}

impl Holder {
    /// Beside a lock that any thread may release.
    pub(super) const fn of_lock(made: &'static Location<'static>) -> Self {
        Self::of("lock", false, made)
    }

    /// Beside a lock that only its owner may release.
    pub(super) const fn of_rlock(made: &'static Location<'static>) -> Self {
        Self::of("reentrant lock", true, made)
    }

    const fn of(kind: &'static str, only_owner: bool, made: &'static Location<'static>) -> Self {
        Self {
            kind,
            made,
            only_owner,
            thread: AtomicU64::new(0),
            since: AtomicPtr::new(std::ptr::null_mut()),
            depth: AtomicUsize::new(0),
            n_raw: AtomicUsize::new(0),
            is_shared: AtomicBool::new(false),
        }
    }

    /// The calling thread has taken the lock, which nobody held.
    #[inline]
    pub(super) fn set(&self, at: &'static Location<'static>) {
        self.since
            .store(std::ptr::from_ref(at).cast_mut(), Ordering::Relaxed);
        self.thread.store(info::id(), Ordering::Relaxed);
    }

    /// The calling thread is about to give the lock back.
    #[inline]
    pub(super) fn clear(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }

    /// The calling thread has the lock once more; `at` counts if it is the first time.
    #[inline]
    pub(super) fn enter(&self, at: &'static Location<'static>) {
        let depth = self.depth();
        self.depth.store(depth + 1, Ordering::Relaxed);
        if depth == 0 {
            self.set(at);
        }
    }

    /// The calling thread is about to give the lock back once.
    #[inline]
    pub(super) fn leave(&self) {
        let depth = self.depth().saturating_sub(1);
        self.depth.store(depth, Ordering::Relaxed);
        if depth == 0 {
            self.clear();
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    pub(super) fn add_raw(&self) {
        // Who takes the flag in `take_raw` unlocks, so the two pair.
        self.n_raw.fetch_add(1, Ordering::Release);
    }

    /// Takes the right to give back one `acquire()`; false if there is none.
    pub(super) fn take_raw(&self) -> bool {
        self.n_raw
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |n| n.checked_sub(1))
            .is_ok()
    }

    pub(super) fn is_raw(&self) -> bool {
        self.n_raw.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_held_here(&self) -> bool {
        self.thread.load(Ordering::Relaxed) == info::id()
    }

    pub(super) fn set_shared(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    /// The name of the thread that holds it.
    pub(super) fn thread_name(&self) -> Option<String> {
        info::name_of(self.thread.load(Ordering::Relaxed))
    }
}

impl Resource for Holder {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn made(&self) -> Option<&'static Location<'static>> {
        Some(self.made)
    }

    fn holders(&self) -> Option<Vec<Holding>> {
        let thread = self.thread.load(Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        if thread == 0 || self.is_shared.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: null, or made of a reference that lives for ever by `set`.
        let since = unsafe { since.as_ref() }?;
        Some(vec![Holding {
            thread,
            since,
            is_raw: self.is_raw(),
            is_certain: self.only_owner || !self.is_raw(),
        }])
    }
}
