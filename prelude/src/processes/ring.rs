//! Messages of bytes in a ring of shared memory, from any number of writers to any number of readers.
//!
//! A message is one frame, or several if it is large; each frame has a header and stands at a multiple of
//! [`STEP`]. `tail` counts the bytes that writers have put in since the beginning, `head` those that readers have
//! taken out. Writers take turns by one robust mutex, readers by another.
//!
//! What always holds, also when a process is killed between any two instructions:
//! * a frame is there from the moment when `tail` is stored, and gone from the moment when `head` is; before that
//!   the other side does not look at it, so half a frame is never read and no room is written while it is read;
//! * a message whose writer ends in the middle is never delivered: the next frame is a first one again, or, if none
//!   comes, a reader that waits in mid-message gets hold of the writers' mutex and so knows that nobody writes;
//! * a message whose reader ends in the middle is lost as a whole: the next reader skips to the next first frame;
//! * the counts of messages go with `tail` and `head`: what they will be is noted beforehand, and whoever gets
//!   the mutex from a dead holder looks whether the step was taken.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::linux;
use super::shared::{Layout, Shared};
use crate::interrupt;

mod frames;
mod side;

use frames::{FIRST, HEADER, LAST, LENGTH, SKIP};
use side::Side;

/// Frames begin at multiples of this.
const STEP: u64 = 16;
/// Smallest capacity: a frame for each of a few pieces must fit.
pub(crate) const LEAST_CAPACITY: usize = 4096;
/// Beyond this offset an empty ring is used from its beginning again, so that a queue that is kept short stays in
/// the processor's cache however large its ring is.
const NEAR: u64 = 1 << 20;
/// How many bytes go by before a writer looks again whether the ring is empty.
const SELDOM: u64 = 32 << 10;
/// Large messages go in pieces of at most so many bytes, so that one side copies in while the other copies out.
const MOST_PIECE: u64 = 256 << 10;

/// The beginning of a ring's memory.
#[repr(C)]
pub(crate) struct Ring {
    writers: Side,
    readers: Side,
    /// How many messages may be in the ring.
    most: AtomicU64,
    /// Messages that were worked through, for those who wait until all are.
    done: AtomicU64,
    /// Counts the changes of `done` that somebody may wait for.
    done_changed: AtomicU32,
}

// SAFETY: atomics and mutexes; zero is a valid value of all.
unsafe impl Layout for Ring {}

/// Why a message was not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Why no message was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is none.
    Empty,
    /// There was one, and this process has no memory for its so many bytes.
    TooLarge(u64),
}

/// How long an attempt "at once" waits for the mutex: its holder is in the middle of a message.
const MOMENT: Duration = Duration::from_millis(20);

impl Shared<Ring> {
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub(crate) fn ring(kind: &str, most: usize, capacity: usize) -> Shared<Ring> {
        let capacity = capacity.max(LEAST_CAPACITY);
        let capacity = capacity.checked_next_power_of_two().unwrap_or(capacity);
        Shared::create(kind, capacity, |ring: &Ring| {
            ring.writers.mutex.init(false);
            ring.readers.mutex.init(false);
            ring.most.store(most as u64, Ordering::Relaxed);
        })
    }

    fn capacity(&self) -> u64 {
        self.extra_length() as u64
    }

    /// How many messages are in the ring.
    pub(crate) fn len(&self) -> usize {
        let taken = self.readers.shown.messages.load(Ordering::Acquire);
        let put = self.writers.shown.messages.load(Ordering::Acquire);
        // The two are read one after the other, and a reader may count a message just before its writer does.
        usize::try_from(put.saturating_sub(taken)).unwrap_or(usize::MAX)
    }

    /// How many messages may be in the ring.
    pub(crate) fn most(&self) -> usize {
        usize::try_from(self.most.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn is_full(&self) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        most != u64::MAX && self.len() as u64 >= most
    }

    fn free(&self) -> u64 {
        let tail = self.writers.shown.position.load(Ordering::Relaxed);
        // Without the mutex the tail may be an old one, and the head be beyond it.
        let used = tail.saturating_sub(self.readers.shown.position.load(Ordering::Acquire));
        self.capacity().saturating_sub(used)
    }

    /// Whether so many bytes are free, for the writer.
    fn has_room(&self, size: u64) -> bool {
        let at = self.writers.shown.position.load(Ordering::Relaxed);
        let known = &self.writers.known;
        if at + size <= known.load(Ordering::Relaxed) + self.capacity() {
            return true;
        }
        known.store(
            self.readers.shown.position.load(Ordering::Acquire),
            Ordering::Relaxed,
        );
        at + size <= known.load(Ordering::Relaxed) + self.capacity()
    }

    /// Puts a message in; waits for room until the deadline.
    ///
    /// # Errors
    /// There was no room in time.
    pub(crate) fn write(&self, message: &[u8], deadline: Option<Instant>) -> Result<(), Full> {
        self.write_in_turn(message, deadline, deadline)
    }

    /// [`write`](Self::write), with a deadline of its own for the mutex.
    fn write_in_turn(
        &self,
        message: &[u8],
        turn: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Result<(), Full> {
        let side = &self.writers;
        let held = side.mutex.hold_until(turn).ok_or(Full)?;
        if held.from_dead {
            side.repair();
        }
        self.await_room(deadline, || !self.is_full())?;
        let total = message.len() as u64;
        let piece = (self.capacity() / 4 / STEP * STEP - HEADER).min(MOST_PIECE);
        let needed = total.next_multiple_of(STEP) + total.div_ceil(piece).max(1) * HEADER;
        self.begin_anew(needed);
        // What fits as a whole is begun when there is room for all of it, so that it needs no reader to end.
        let whole = if needed <= self.capacity() { needed } else { 0 };
        self.await_room(deadline, || self.has_room(whole))?;
        let mut rest = message;
        let mut flags = FIRST;
        loop {
            let (now, later) = rest.split_at(rest.len().min(piece as usize));
            let size = HEADER + (now.len() as u64).next_multiple_of(STEP);
            self.await_room(deadline, || self.has_room(size))?;
            if later.is_empty() {
                flags |= LAST;
            }
            let at = side.shown.position.load(Ordering::Relaxed);
            self.put_header(at, flags | now.len() as u32, total);
            self.copy_in(at + HEADER, now);
            let messages = side.shown.messages.load(Ordering::Relaxed);
            side.step(at + size, messages + u64::from(later.is_empty()));
            self.readers.wake();
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
            flags = 0;
        }
    }

    /// Goes back to the beginning of the ring's memory if nothing is in the ring and it is far from there.
    fn begin_anew(&self, needed: u64) {
        let side = &self.writers;
        let at = side.shown.position.load(Ordering::Relaxed);
        let offset = self.offset(at);
        if offset < NEAR || needed > offset || at < side.looked.load(Ordering::Relaxed) + SELDOM {
            return;
        }
        side.looked.store(at, Ordering::Relaxed);
        if self.readers.shown.position.load(Ordering::Acquire) == at {
            self.put_header(at, SKIP, 0);
            let messages = side.shown.messages.load(Ordering::Relaxed);
            side.step(at - offset + self.capacity(), messages);
        }
    }

    fn await_room(
        &self,
        deadline: Option<Instant>,
        is_there: impl Fn() -> bool,
    ) -> Result<(), Full> {
        if is_there() {
            return Ok(());
        }
        interrupt::wait(deadline, |slice| {
            if !is_there() && !slice.is_zero() {
                self.writers.sleep_unless(slice, &is_there);
            }
            is_there().then_some(())
        })
        .ok_or(Full)
    }

    /// Takes the oldest message out; waits for one until the deadline. Once a message has begun the deadline no
    /// longer counts, as long as its writer is alive.
    ///
    /// # Errors
    /// There was none in time, or no memory for it.
    pub(crate) fn read(&self, deadline: Option<Instant>) -> Result<Vec<u8>, Unread> {
        self.read_in_turn(deadline, deadline)
    }

    /// [`read`](Self::read), with a deadline of its own for the mutex.
    fn read_in_turn(
        &self,
        turn: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Unread> {
        let side = &self.readers;
        let held = side.mutex.hold_until(turn).ok_or(Unread::Empty)?;
        if held.from_dead {
            side.repair();
        }
        let mut message: Option<Vec<u8>> = None;
        let mut too_large = None;
        loop {
            let at = side.shown.position.load(Ordering::Relaxed);
            let is_in_message = message.is_some() || too_large.is_some();
            if !self.await_frame(at, is_in_message, deadline) {
                if is_in_message {
                    (message, too_large) = (None, None);
                    continue;
                }
                return Err(Unread::Empty);
            }
            let available = side.known.load(Ordering::Relaxed) - at;
            let header = self.header(at);
            let length = u64::from(header.frame & LENGTH);
            let (is_last, is_skip) = (header.frame & LAST != 0, header.frame & SKIP != 0);
            let size = if is_skip {
                self.capacity() - self.offset(at)
            } else {
                HEADER + length.next_multiple_of(STEP)
            };
            assert!(
                size <= available,
                "the queue's memory was overwritten; do: make a new queue"
            );
            if header.frame & FIRST != 0 {
                (message, too_large) = (None, None);
                let mut buffer = Vec::new();
                match usize::try_from(header.total).map(|total| buffer.try_reserve_exact(total)) {
                    Ok(Ok(())) => message = Some(buffer),
                    _ => too_large = Some(header.total),
                }
            }
            if let Some(message) = &mut message
                && !is_skip
            {
                self.copy_out(at + HEADER, length, message);
            }
            let messages = side.shown.messages.load(Ordering::Relaxed);
            side.step(at + size, messages + u64::from(is_last));
            self.writers.wake();
            if is_last {
                if let Some(message) = message {
                    return Ok(message);
                }
                if let Some(size) = too_large {
                    return Err(Unread::TooLarge(size));
                }
            }
        }
    }

    /// Waits for a frame at a position. `false` if the deadline is over or, within a message, if nobody goes on
    /// with it.
    fn await_frame(&self, at: u64, is_in_message: bool, deadline: Option<Instant>) -> bool {
        let known = &self.readers.known;
        if known.load(Ordering::Relaxed) > at {
            return true;
        }
        let is_there = || {
            known.store(
                self.writers.shown.position.load(Ordering::Acquire),
                Ordering::Relaxed,
            );
            known.load(Ordering::Relaxed) != at
        };
        if is_there() {
            return true;
        }
        let deadline = deadline.filter(|_| !is_in_message);
        interrupt::wait(deadline, |slice| {
            if !slice.is_zero() {
                self.readers.sleep_unless(slice, is_there);
            }
            if is_there() {
                return Some(true);
            }
            if is_in_message && let Some(held) = self.writers.mutex.try_hold() {
                if held.from_dead {
                    self.writers.repair();
                }
                return Some(is_there());
            }
            None
        })
        .unwrap_or(false)
    }

    /// Takes the oldest message out if there is one.
    ///
    /// # Errors
    /// There is none, or no memory for it.
    pub(crate) fn try_read(&self) -> Result<Vec<u8>, Unread> {
        if self.len() == 0 {
            return Err(Unread::Empty);
        }
        // A reader that holds the mutex now is either copying, which ends soon, or has found nothing.
        self.read_in_turn(interrupt::deadline(MOMENT), Some(Instant::now()))
    }

    /// Puts a message in if there is room.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn try_write(&self, message: &[u8]) -> Result<(), Full> {
        let size = message.len() as u64 + HEADER;
        if self.is_full() || size > self.free() {
            return Err(Full);
        }
        self.write_in_turn(message, interrupt::deadline(MOMENT), Some(Instant::now()))
    }

    /// How many messages have not been worked through.
    pub(crate) fn unfinished(&self) -> u64 {
        let done = self.done.load(Ordering::Acquire);
        self.writers
            .shown
            .messages
            .load(Ordering::Acquire)
            .saturating_sub(done)
    }

    /// One more message was worked through; `false` if all have been told before.
    pub(crate) fn task_done(&self) -> bool {
        let is_counted = self
            .done
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |done| {
                (done < self.writers.shown.messages.load(Ordering::Acquire)).then_some(done + 1)
            })
            .is_ok();
        if is_counted && self.unfinished() == 0 {
            self.done_changed.fetch_add(1, Ordering::AcqRel);
            linux::wake(&self.done_changed, u32::MAX);
        }
        is_counted
    }

    /// Waits until all messages have been worked through; `false` if the deadline comes first.
    pub(crate) fn join(&self, deadline: Option<Instant>) -> bool {
        interrupt::wait(deadline, |slice| {
            let seen = self.done_changed.load(Ordering::Acquire);
            if self.unfinished() != 0 && !slice.is_zero() {
                linux::sleep_while(&self.done_changed, seen, slice);
            }
            (self.unfinished() == 0).then_some(())
        })
        .is_some()
    }
}

#[cfg(test)]
mod tests;
