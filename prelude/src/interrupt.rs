//! How an interrupt reaches running code.
//!
//! The kernel puts a check at the beginning of loops in cells. While nobody asks for an interrupt it is
//! one load and one branch. When somebody does, the check unwinds the thread as a panic would, without
//! a panic's message: evcxr catches it where the cell ends, and the variables stay.
//!
//! What always holds: only threads of the cell that is interrupted are unwound, not those that an
//! earlier cell left behind; and never one that is unwinding already.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::rt;

/// Whether an interrupt was asked for. Read for its own sake only, so no order with other data is needed.
static PENDING: AtomicBool = AtomicBool::new(false);

/// What unwinds an interrupted thread.
struct Interrupted;

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

#[cold]
#[inline(never)]
fn unwind() {
    if !std::thread::panicking() && rt::take_interrupt() {
        std::panic::resume_unwind(Box::new(Interrupted));
    }
}
