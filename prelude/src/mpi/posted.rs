//! Receives that have been started: each takes the first message that it matches and no earlier one does.
//!
//! MPI has such a list itself, but Open MPI writes a message that is too long beyond the end of the memory that was posted
//! for it, and only then says so. So a message is matched first, its length is looked at, and then it is received: into
//! the memory that it is meant for, or, if it does not fit, into some of ours, and the receive fails.
//!
//! What always holds: whoever waits for anything drives all receives of the process, so that none holds up a rank that
//! another one is to hear from.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::{Call, MpiError, MpiResult};
use super::library;
use super::notes::{self, Side};
use super::point::too_long;
use super::table::{ANY, Handle, RawStatus, Table};
use super::wait;

struct Posted {
    number: u64,
    comm: Handle,
    from: i32,
    tag: i32,
    /// Where numbers go, and for how many bytes there is room; none for a value, whose length nobody knows before.
    room: Option<(usize, usize)>,
    /// For the recording of messages.
    start_ns: u64,
    state: State,
}

enum State {
    Waiting,
    /// Being received: the request, the status, and the memory if it is ours.
    Flying(Handle, RawStatus, Option<Vec<u8>>),
    /// MPI's code.
    Failed(i32),
}

static POSTED: Mutex<Vec<Posted>> = Mutex::new(Vec::new());
/// A hint, so that nobody takes the lock in vain.
static N_POSTED: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);

fn list() -> MutexGuard<'static, Vec<Posted>> {
    POSTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there are none.
#[inline]
pub(super) fn is_empty() -> bool {
    N_POSTED.load(Ordering::Relaxed) == 0
}

/// A receive in the list. When it is dropped before its end, the receive is cancelled.
pub(super) struct Ticket {
    table: &'static Table,
    number: u64,
    is_over: bool,
}

/// What a receive has brought: of a value its bytes.
pub(super) type Received = (RawStatus, Option<Vec<u8>>);

impl Ticket {
    /// Adds a receive to the list.
    ///
    /// # Safety
    /// The room, if there is one, is valid for writing and nobody else's until the ticket has given its message, or
    /// [`take_back`](Self::take_back) has returned without a request.
    pub(super) unsafe fn post(
        table: &'static Table,
        comm: Handle,
        from: i32,
        tag: i32,
        room: Option<(*mut u8, usize)>,
    ) -> Ticket {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut list = list();
        list.push(Posted {
            number,
            comm,
            from,
            tag,
            room: room.map(|(at, bytes)| (at as usize, bytes)),
            start_ns: notes::start(comm),
            state: State::Waiting,
        });
        N_POSTED.store(list.len(), Ordering::Relaxed);
        Ticket {
            table,
            number,
            is_over: false,
        }
    }

    /// What came, if it is all there.
    ///
    /// # Errors
    /// MPI's own, or the message is too long.
    pub(super) fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<Option<Received>> {
        for _ in 0..tests {
            library::is_open(call)?;
            let mut list = list();
            serve(self.table, &mut list);
            let Some(at) = list.iter().position(|posted| posted.number == self.number) else {
                return Err(MpiError::NoProcess { call: *call });
            };
            let posted = &mut list[at];
            let is_done = match &mut posted.state {
                State::Waiting => Ok(false),
                State::Failed(code) => library::check(self.table, *code, || *call).map(|()| true),
                // MPI's null process: there is no message to receive.
                State::Flying(0, ..) => Ok(true),
                State::Flying(handle, ..) => {
                    wait::test(self.table, handle, 1, &mut RawStatus::default(), call)
                }
            };
            if let Ok(false) = is_done {
                continue;
            }
            self.is_over = true;
            let posted = list.remove(at);
            N_POSTED.store(list.len(), Ordering::Relaxed);
            drop(list);
            is_done?;
            let State::Flying(_, status, memory) = posted.state else {
                return Err(MpiError::NoProcess { call: *call });
            };
            notes::received(posted.comm, Side::Requested, &status, posted.start_ns);
            if let (Some((_, room)), Some(memory)) = (posted.room, &memory) {
                return Err(too_long(call, memory.len(), room));
            }
            return Ok(Some((status, memory)));
        }
        Ok(None)
    }

    /// Whether a message has been matched that is not all there.
    pub(super) fn is_under_way(&self) -> bool {
        let list = list();
        let mut mine = list.iter().filter(|posted| posted.number == self.number);
        mine.any(|posted| matches!(posted.state, State::Flying(..)))
    }

    /// Takes the receive out of the list. The request is returned if it is writing to the room.
    pub(super) fn take_back(&mut self) -> Option<Handle> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let mut list = list();
        let at = list
            .iter()
            .position(|posted| posted.number == self.number)?;
        let posted = list.remove(at);
        N_POSTED.store(list.len(), Ordering::Relaxed);
        drop(list);
        match posted.state {
            State::Flying(handle @ 1.., _, Some(memory)) => {
                wait::adopt(handle, Box::new(memory), 0);
                None
            }
            State::Flying(handle @ 1.., _, None) => Some(handle),
            _ => None,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Whoever has lent room has called `take_back` before.
        self.take_back();
    }
}

/// Drives all receives, if there are any.
#[inline]
pub(super) fn drive(table: &Table) {
    if !is_empty() && !library::is_closed() {
        serve(table, &mut list());
    }
}

/// Looks for a message for each receive that has none.
fn serve(table: &Table, list: &mut [Posted]) {
    for at in 0..list.len() {
        if !matches!(list[at].state, State::Waiting) {
            continue;
        }
        match matched(table, &list[at]) {
            Err(code) => list[at].state = State::Failed(code),
            Ok(None) => {}
            Ok(Some((message, status))) => assign(table, list, at, message, status),
        }
    }
}

/// Gives a message that receive `at` has matched to the first that could have had it; one before it may have missed it
/// by a moment.
fn assign(table: &Table, list: &mut [Posted], at: usize, message: Handle, status: RawStatus) {
    let comm = list[at].comm;
    for posted in &mut list[..at] {
        let accepts = matches!(posted.state, State::Waiting)
            && posted.comm == comm
            && (posted.from == ANY || posted.from == status.source)
            && (posted.tag == ANY || posted.tag == status.tag);
        if !accepts {
            continue;
        }
        match matched(table, posted) {
            // What it can have by itself came before.
            Ok(Some((message, status))) => start(table, posted, message, status),
            _ => return start(table, posted, message, status),
        }
    }
    start(table, &mut list[at], message, status);
}

fn matched(table: &Table, posted: &Posted) -> Result<Option<(Handle, RawStatus)>, i32> {
    let (mut found, mut message, mut status) = (0, 0, RawStatus::default());
    // SAFETY: a communicator, and valid pointers.
    let code = unsafe {
        let (message, status) = (&raw mut message, &raw mut status);
        (table.improbe)(
            posted.from,
            posted.tag,
            posted.comm,
            &raw mut found,
            message,
            status,
        )
    };
    match code {
        0 => Ok((found != 0).then_some((message, status))),
        code => Err(code),
    }
}

/// Starts to receive a message that has been matched.
fn start(table: &Table, posted: &mut Posted, mut message: Handle, status: RawStatus) {
    if status.source < 0 {
        // From the null process; nothing is received, whatever room there is.
        let nothing = posted.room.is_none().then(Vec::new);
        posted.state = State::Flying(0, status, nothing);
        return;
    }
    let length = usize::try_from(status.bytes).unwrap_or(0);
    let mut ours = None;
    let buffer = match posted.room {
        Some((at, room)) if length <= room => at as *mut u8,
        _ => ours.insert(vec![0_u8; length]).as_mut_ptr(),
    };
    let (mut handle, length) = (0, status.bytes as i32);
    // SAFETY: room for the message, which stays until the request is done: ours in the list, lent by the promise of
    // `post`.
    let code = unsafe { (table.imrecv)(buffer.cast(), length, &raw mut message, &raw mut handle) };
    posted.state = match code {
        0 => State::Flying(handle, status, ours),
        code => State::Failed(code),
    };
}
