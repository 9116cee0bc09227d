//! What a pool has to do, and what is known of its workers.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::num::NonZero;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::ProcessError;
use super::super::entry::Entry;
use super::super::message::Packet;
use super::super::outcome::Outcome;

pub(super) struct Inner {
    pub name: String,
    pub workers: usize,
    pub most_tasks: Option<NonZero<usize>>,
    /// What each worker does first: a function and its arguments.
    pub initializer: Option<(Entry, Packet)>,
    pub state: Mutex<State>,
    pub changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub queue: VecDeque<Batch>,
    pub slots: Vec<Slot>,
    /// How long an item took with each kind of function, messages included.
    pub costs: HashMap<u64, Duration>,
    /// Attendants that have not ended.
    pub attendants: usize,
    pub is_closed: bool,
    pub is_terminated: bool,
}

/// What is known of one worker.
pub(super) struct Slot {
    /// Wakes its attendant.
    pub wake: OwnedFd,
    pub is_idle: bool,
    pub pid: Option<i32>,
    pub job: Option<u64>,
}

/// Some items of a call on their way.
pub(super) struct Batch {
    pub job: Job,
    /// Which function it is for, as a number that is equal for equal functions.
    pub kind: u64,
    /// How many items it has.
    pub count: usize,
    /// The items and the function, as they travel.
    pub packet: Packet,
    /// Asked when a worker is about to get it: whether it is still wanted.
    pub begins: Option<Box<dyn FnOnce() -> bool + Send>>,
    pub reply: Box<dyn FnOnce(Reply) + Send>,
}

/// What a worker made of a batch.
pub(super) enum Reply {
    Outcome(Outcome),
    /// The worker died, or was not there, while it did the item with this place in the batch.
    Lost(usize, ProcessError),
    /// Nobody wants it any more.
    Cancelled,
    /// The pool ended before.
    Ended,
}

/// One call, as its batches know it.
#[derive(Clone)]
pub(super) struct Job {
    pub number: u64,
    pub is_cancelled: Arc<AtomicBool>,
}

impl Job {
    /// Calls that nobody gives up.
    pub fn of_all() -> Job {
        Job {
            number: 0,
            is_cancelled: Arc::default(),
        }
    }

    pub fn new() -> Job {
        // Only the numbers count, nothing is ordered by them.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Job {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            is_cancelled: Arc::default(),
        }
    }
}

impl Inner {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many items to a batch: four batches for each worker, or larger ones if it is known that a message costs
    /// more than such a batch's work.
    pub fn chunk_size(&self, kind: u64, items: usize) -> usize {
        const WORTH_A_MESSAGE: Duration = Duration::from_micros(100);
        let size = items.div_ceil(4 * self.workers);
        let cost = self.state().costs.get(&kind).copied();
        let worth = cost.map_or(0, |cost| {
            WORTH_A_MESSAGE.as_nanos() / cost.as_nanos().max(1)
        });
        let worth = usize::try_from(worth).unwrap_or(usize::MAX);
        size.max(worth.min(items.div_ceil(self.workers)))
    }

    /// Puts batches into the queue; answers them itself if the pool takes none.
    pub fn submit(&self, batches: impl IntoIterator<Item = Batch>) {
        let mut refused = Vec::new();
        {
            let mut state = self.state();
            for batch in batches {
                if state.is_closed {
                    refused.push(batch);
                    continue;
                }
                state.queue.push_back(batch);
                if let Some(slot) = state.slots.iter_mut().find(|slot| slot.is_idle) {
                    slot.is_idle = false;
                    wake(&slot.wake);
                }
            }
        }
        for batch in refused {
            (batch.reply)(Reply::Ended);
        }
    }

    /// Drops what is queued of a call. `kill`: workers that are busy with it are ended, and replaced.
    pub fn cancel(&self, job: &Job, kill: bool) {
        // Read with the queue's lock held, so no other order is needed.
        job.is_cancelled.store(true, Ordering::Relaxed);
        let dropped: VecDeque<Batch>;
        {
            let mut state = self.state();
            let (of_job, others) = std::mem::take(&mut state.queue)
                .into_iter()
                .partition(|batch| batch.job.number == job.number);
            dropped = of_job;
            state.queue = others;
            if kill {
                for slot in &state.slots {
                    slot.kill_if(|number| number == job.number);
                }
            }
        }
        for batch in dropped {
            (batch.reply)(Reply::Cancelled);
        }
    }

    pub fn terminate(&self) {
        let queue = {
            let mut state = self.state();
            state.is_closed = true;
            state.is_terminated = true;
            for slot in &state.slots {
                if let Some(pid) = slot.pid {
                    // SAFETY: a plain system call; the worker is not reaped while the lock is held.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
                wake(&slot.wake);
            }
            std::mem::take(&mut state.queue)
        };
        for batch in queue {
            (batch.reply)(Reply::Ended);
        }
    }
}

impl Slot {
    pub fn kill_if(&self, is_meant: impl Fn(u64) -> bool) {
        if let Some(pid) = self.pid
            && self.job.is_some_and(is_meant)
        {
            // SAFETY: a plain system call; the worker is not reaped while the pool's lock is held.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

pub(super) fn wake(event: &OwnedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes, as an eventfd takes them. It does not block; full, it wakes all the same.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

pub(super) fn event() -> io::Result<OwnedFd> {
    // SAFETY: a plain system call; the new descriptor is ours alone.
    unsafe {
        match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            descriptor => Ok(OwnedFd::from_raw_fd(descriptor)),
        }
    }
}
