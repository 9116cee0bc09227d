//! Notes of the messages that this rank sends and receives, while a recording of their communicator runs.
//!
//! What always holds: while nothing is recorded a message costs one load more; notes are bounded, and what found no
//! place is counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::communicator::Communicator;
use super::error::Call;
use super::point::{peer, tag};
use super::table::{Handle, RawStatus};
use crate::trace;

/// The notes of a recording, about 5 MB.
const MOST: usize = 100_000;

/// The communicator whose messages are noted; 0 while none are. Read without order: a message that begins just when a
/// recording does is in it or not.
static RECORDED: AtomicUsize = AtomicUsize::new(0);
static NOTES: Mutex<Notes> = Mutex::new(Notes {
    list: Vec::new(),
    n_dropped: 0,
});

/// What was noted.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub list: Vec<Note>,
    /// Messages that found no place.
    pub n_dropped: u64,
}

/// One side of a message. Times are nanoseconds of [`trace::now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub what: Side,
    /// The other rank.
    pub peer: u32,
    pub tag: i32,
    pub bytes: u64,
    pub start_ns: u64,
    pub end_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Side {
    Sent,
    /// By a call that waited for it.
    Received,
    /// By a request: from its start to the moment when its end was noticed.
    Requested,
}

/// The notes of one communicator, from its making to its end. When it is dropped they are gone.
pub(super) struct Taking(());

impl Taking {
    /// None if one runs already.
    pub(super) fn begin(communicator: &Communicator) -> Option<Taking> {
        let handle = communicator.inner.handle;
        RECORDED
            .compare_exchange(0, handle, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .map(|_| Taking(()))
    }

    pub(super) fn end(self) -> Notes {
        take()
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        RECORDED.store(0, Ordering::Relaxed);
        drop(take());
    }
}

fn take() -> Notes {
    std::mem::take(&mut NOTES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether messages of a communicator are noted.
#[inline]
fn is_noted(comm: Handle) -> bool {
    let recorded = RECORDED.load(Ordering::Relaxed);
    recorded != 0 && recorded == comm
}

/// Now, if messages of this communicator are noted; else 0.
#[inline]
pub(super) fn start(comm: Handle) -> u64 {
    if is_noted(comm) { trace::now() } else { 0 }
}

/// Notes a message whose sending has begun; `start_ns` is what [`start`] gave before.
#[inline]
pub(super) fn sent(comm: Handle, call: &Call, bytes: usize, start_ns: u64) {
    if start_ns != 0 && peer(call) >= 0 && is_noted(comm) {
        let times = (start_ns, trace::now());
        add(Side::Sent, peer(call), tag(call), bytes as u64, times);
    }
}

/// Notes a message that has been received; `start_ns` is what [`start`] gave before.
#[inline]
pub(super) fn received(comm: Handle, what: Side, status: &RawStatus, start_ns: u64) {
    if start_ns != 0 && status.source >= 0 && is_noted(comm) {
        let bytes = u64::try_from(status.bytes).unwrap_or(0);
        let times = (start_ns, trace::now());
        add(what, status.source, status.tag, bytes, times);
    }
}

#[cold]
fn add(what: Side, peer: i32, tag: i32, bytes: u64, (start_ns, end_ns): (u64, u64)) {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.list.len() == MOST {
        notes.n_dropped += 1;
        return;
    }
    notes.list.push(Note {
        what,
        peer: peer.unsigned_abs(),
        tag,
        bytes,
        start_ns,
        end_ns,
    });
}
