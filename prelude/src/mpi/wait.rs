//! Waiting for MPI so that the user can interrupt it, and telling a monitor where each thread waits.
//!
//! MPI's own waits cannot be left. So a wait here is a row of tests: close together at first, then the processor is
//! given to others in between, and a wait of small messages that goes on and on sleeps a little, by less than a
//! hundredth of the time that it has taken already.
//!
//! What always holds: memory that MPI may still write to or read from is never given back to its owner. What is
//! owned waits among the [`ORPHANS`]; what is borrowed and cannot be had back stops MPI in this process for good.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{Call, MpiResult, Standing};
use super::table::{Handle, RawStatus, Table};
use super::{immediate, library, posted};
use crate::interrupt;

/// Tests before the first look at the clock: about 10 µs.
const FIRST_TESTS: u32 = 100;
/// Tests between two looks.
const TESTS: u32 = 10;
/// A wait longer than this may sleep.
const PATIENCE: Duration = Duration::from_millis(5);
const LONGEST_NAP: Duration = Duration::from_millis(1);
/// How long an interrupted exchange may take to come to its end.
pub(super) const GRACE: Duration = Duration::from_millis(200);
/// Messages up to this size come in one piece, so that a sleep delays them once only.
pub(super) const ONE_PIECE: usize = 4096;

static STANDING: Mutex<Vec<(u64, Standing)>> = Mutex::new(Vec::new());

/// The calls in which threads of this process wait now, the oldest first.
pub(super) fn standing() -> Vec<Standing> {
    let list = STANDING.lock().unwrap_or_else(PoisonError::into_inner);
    list.iter().map(|(_, standing)| standing.clone()).collect()
}

/// An entry of [`STANDING`], as long as it lives.
pub(super) struct Entry(u64);

impl Entry {
    pub(super) fn new(call: &Call, gives_up: bool) -> Entry {
        let mut list = STANDING.lock().unwrap_or_else(PoisonError::into_inner);
        let number = list.last().map_or(0, |(last, _)| last + 1);
        let since = Instant::now();
        let standing = Standing {
            call: *call,
            since,
            gives_up,
        };
        list.push((number, standing));
        Entry(number)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut list = STANDING.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(number, _)| *number != self.0);
    }
}

/// Asks `poll` until it has a result, is told how many tests it may make. None at the deadline. An interrupt of the
/// cell unwinds.
#[inline]
pub(super) fn until<R>(
    call: &Call,
    may_sleep: bool,
    deadline: Option<Instant>,
    mut poll: impl FnMut(u32) -> MpiResult<Option<R>>,
) -> MpiResult<Option<R>> {
    match poll(FIRST_TESTS)? {
        Some(result) => Ok(Some(result)),
        None => wait_long(call, may_sleep, deadline, &mut poll),
    }
}

#[cold]
fn wait_long<R>(
    call: &Call,
    may_sleep: bool,
    deadline: Option<Instant>,
    poll: &mut impl FnMut(u32) -> MpiResult<Option<R>>,
) -> MpiResult<Option<R>> {
    let _here = Entry::new(call, deadline.is_some());
    let start = Instant::now();
    loop {
        if let Some(result) = poll(TESTS)? {
            return Ok(Some(result));
        }
        interrupt::check();
        if let Some(table) = library::started() {
            posted::drive(table);
            immediate::drive(table);
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(None);
        }
        let waited = now - start;
        if may_sleep && waited > PATIENCE {
            thread::sleep((waited / 200).min(LONGEST_NAP));
        } else {
            thread::yield_now();
        }
    }
}

/// A request in progress, with the memory that it needs.
pub(super) struct Flight<B: Send + 'static> {
    pub table: &'static Table,
    pub handle: Handle,
    pub status: RawStatus,
    /// Taken when the request is done.
    pub memory: Option<B>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Send,
    /// Cannot be taken back.
    Collective,
}

impl<B: Send + 'static> Flight<B> {
    pub(super) fn new(table: &'static Table, kind: Kind, handle: Handle, memory: B) -> Self {
        Flight {
            table,
            handle,
            status: RawStatus::default(),
            memory: Some(memory),
            kind,
        }
    }

    /// Whether the request is done.
    ///
    /// # Errors
    /// The message failed; the request is over.
    pub(super) fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool> {
        test(self.table, &mut self.handle, tests, &mut self.status, call)
    }
}

impl Flight<Vec<u8>> {
    /// Lets it end by itself, as a buffered send.
    pub(super) fn leave(mut self) {
        if let (handle @ 1.., Some(bytes)) = (std::mem::take(&mut self.handle), self.memory.take())
        {
            let length = bytes.len();
            adopt(handle, Box::new(bytes), length);
        }
    }
}

impl<B: Send + 'static> Drop for Flight<B> {
    fn drop(&mut self) {
        if self.handle == 0 || library::is_closed() {
            // Done, or MPI makes no call any more: then the memory must stay.
            if self.handle != 0 {
                std::mem::forget(self.memory.take());
            }
            return;
        }
        if self.kind == Kind::Collective {
            library::set_broken();
        }
        if let Some(memory) = self.memory.take() {
            adopt(self.handle, Box::new(memory), 0);
        }
    }
}

/// A request that nobody waits for any more, with the memory that it needs.
struct Orphan {
    handle: Handle,
    _memory: Box<dyn Any + Send>,
    /// What it takes of the room for buffered sends.
    buffered: usize,
}

static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());
/// A hint, so that nobody takes the lock in vain.
static N_ORPHANS: AtomicUsize = AtomicUsize::new(0);

pub(super) fn adopt(handle: Handle, memory: Box<dyn Any + Send>, buffered: usize) {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    orphans.push(Orphan {
        handle,
        _memory: memory,
        buffered,
    });
    N_ORPHANS.store(orphans.len(), Ordering::Relaxed);
}

/// Frees the memory of those orphans that are done. Returns how many are left, and how many bytes they take of the room
/// for buffered sends.
pub(super) fn reap(table: &Table) -> (usize, usize) {
    if N_ORPHANS.load(Ordering::Relaxed) == 0 || library::is_closed() {
        return (0, 0);
    }
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    orphans.retain_mut(|orphan| {
        let (mut done, mut status) = (0, RawStatus::default());
        // SAFETY: a request that is not done, and valid pointers. An error ends it too.
        unsafe { (table.test)(&raw mut orphan.handle, 1, &raw mut done, &raw mut status) };
        done == 0
    });
    N_ORPHANS.store(orphans.len(), Ordering::Relaxed);
    let buffered = orphans.iter().map(|orphan| orphan.buffered).sum();
    (orphans.len(), buffered)
}

/// Whether a request is done.
#[inline]
pub(super) fn test(
    table: &Table,
    handle: &mut Handle,
    tests: u32,
    status: &mut RawStatus,
    call: &Call,
) -> MpiResult<bool> {
    test_raw(table, handle, tests, status, call)
}

/// The same; `status` is valid or null.
#[inline]
fn test_raw(
    table: &Table,
    handle: &mut Handle,
    tests: u32,
    status: *mut RawStatus,
    call: &Call,
) -> MpiResult<bool> {
    library::is_open(call)?;
    let mut done = 0;
    // SAFETY: a request that is not done, and valid pointers.
    let code = unsafe { (table.test)(handle, tests, &raw mut done, status) };
    library::check(table, code, || *call)?;
    Ok(done != 0)
}

/// A request on memory that is borrowed: it is over when this is dropped, or MPI is.
pub(super) struct Borrowed {
    pub table: &'static Table,
    pub handle: Handle,
    pub status: RawStatus,
}

impl Borrowed {
    /// Waits for the end of a send.
    ///
    /// # Errors
    /// The message failed.
    #[inline]
    pub(super) fn wait_sent(mut self, call: &Call, may_sleep: bool) -> MpiResult<()> {
        let done = until(call, may_sleep, None, |tests| {
            let none = std::ptr::null_mut();
            let is_done = test_raw(self.table, &mut self.handle, tests, none, call)?;
            Ok(is_done.then_some(()))
        })?;
        // Without a deadline there is always an end.
        debug_assert!(done.is_some());
        Ok(())
    }

    /// Waits for the end of a receive.
    ///
    /// # Errors
    /// The message failed.
    #[inline]
    pub(super) fn wait(mut self, call: &Call, may_sleep: bool) -> MpiResult<RawStatus> {
        until(call, may_sleep, None, |tests| {
            let table = self.table;
            let is_done = test(table, &mut self.handle, tests, &mut self.status, call)?;
            Ok(is_done.then_some(()))
        })?;
        Ok(self.status)
    }
}

impl Drop for Borrowed {
    #[inline]
    fn drop(&mut self) {
        if self.handle != 0 {
            self.take_back();
        }
    }
}

impl Borrowed {
    #[cold]
    fn take_back(&mut self) {
        if library::is_closed() {
            return;
        }
        // SAFETY: a request that is not done. A send that cannot be cancelled says so by going on.
        unsafe { (self.table.cancel)(&raw mut self.handle) };
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < GRACE {
            let (handle, status) = (&raw mut self.handle, &raw mut self.status);
            // SAFETY: as above, and valid pointers.
            unsafe { (self.table.test)(handle, TESTS, &raw mut done, status) };
            if done != 0 {
                return;
            }
            thread::yield_now();
        }
        library::set_broken();
    }
}
