//! How an interrupt reaches running code.
//!
//! The kernel puts a check at the beginning of loops in cells. While nobody asks for an interrupt it is
//! one load and one branch. When somebody does, the check unwinds the thread as a panic would, without
//! a panic's message: evcxr catches it where the cell ends, and the variables stay.
//!
//! What always holds: only threads of the cell that is interrupted are unwound, not those that an
//! earlier cell left behind; and never one that is unwinding already.

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::rt;

/// Whether an interrupt was asked for. Read for its own sake only, so no order with other data is needed.
static PENDING: AtomicBool = AtomicBool::new(false);

/// What unwinds an interrupted thread.
struct Interrupted;

/// Whether this is what unwinds an interrupted thread, and no panic.
pub(crate) fn is_interrupt(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Interrupted>()
}

pub(crate) fn set_pending(pending: bool) {
    PENDING.store(pending, Ordering::Relaxed);
}

/// Ends the calling thread's part of the cell if the user has interrupted it. Cells have this call in
/// their loops already; long work in a crate of yours may call it too.
#[inline(always)]
pub fn check() {
    if PENDING.load(Ordering::Relaxed) {
        unwind();
    }
}

/// Whether the user has interrupted the cell, for code that wants to stop in its own way.
pub fn requested() -> bool {
    PENDING.load(Ordering::Relaxed)
}

/// How long a wait of this library goes on before it looks whether the cell was interrupted.
const SLICE: Duration = Duration::from_millis(50);

/// Waits in slices until `step` has a result or the deadline is over; an interrupt of the cell unwinds between two
/// slices. `step` waits no longer than it is told. It is called at least once, the last time with no time left.
pub(crate) fn wait<R>(
    deadline: Option<Instant>,
    mut step: impl FnMut(Duration) -> Option<R>,
) -> Option<R> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        if let Some(result) = step(slice) {
            return Some(result);
        }
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        check();
    }
}

/// The end of a wait of this length; none if the clock does not reach so far.
pub(crate) fn deadline(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

thread_local! {
    static IS_SPARED: Cell<bool> = const { Cell::new(false) };
}

/// No interrupt unwinds the calling thread: it serves other threads, and ends by itself.
pub(crate) fn spare_this_thread() {
    IS_SPARED.set(true);
}

/// The same, as long as the result lives: for a thread that goes on with other work, here and in crates of packs.
#[doc(hidden)]
pub fn spare() -> Spared {
    Spared {
        before: IS_SPARED.replace(true),
        _of_this_thread: PhantomData,
    }
}

/// No interrupt unwinds the thread that it is of.
#[doc(hidden)]
#[must_use = "the thread is spared as long as this lives"]
pub struct Spared {
    before: bool,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Spared {
    fn drop(&mut self) {
        IS_SPARED.set(self.before);
    }
}

#[cold]
#[inline(never)]
fn unwind() {
    if !IS_SPARED.get() && !std::thread::panicking() && rt::take_interrupt() {
        std::panic::resume_unwind(Box::new(Interrupted));
    }
}
