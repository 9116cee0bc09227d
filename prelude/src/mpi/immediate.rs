//! Collective calls that have been started and that nobody waits for yet.
//!
//! The gate before a collective call waits; here it is a request too. A call first gathers what all ranks say; when that
//! is there and they agree, its own request is started, and where they do not, it is over with an error, and no rank's
//! memory has been touched.
//!
//! MPI wants all ranks to start the calls of a communicator in one order, and when a gate is through differs from rank to
//! rank. So the calls of a communicator stand in a lane: a gate is begun when the call before it is started, and a call
//! that waits first lets the lane settle, which waits for no more than that all ranks start what stands there.
//! (MPI_Comm_idup would give started calls a communicator to themselves; in Open MPI 4.1 it gets in the way of others.)
//!
//! What always holds: whoever waits for anything drives all started calls of the process.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::Instant;

use super::communicator::{Communicator, Inner};
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, Headers};
use super::library;
use super::table::{Handle, RawStatus, Table, data};
use super::wait::{self, GRACE};

/// The started calls of a communicator, the oldest first.
#[derive(Default)]
pub(super) struct Lane {
    calls: VecDeque<Started>,
    next: u64,
}

struct Started {
    number: u64,
    n_ranks: usize,
    call: Call,
    state: State,
    start: Option<Start>,
    verdict: Option<Verdict>,
}

enum State {
    /// Behind calls whose gates are not through.
    Queued(Header),
    /// What all ranks say is being gathered, by this request into this memory.
    Gathering(Handle, Box<(Header, Vec<Header>)>),
    /// The call's own request.
    Running(Handle),
    Over(MpiResult<()>),
}

/// Starts the call itself, on the communicator that it is given.
pub(super) type Start = Box<dyn FnOnce(&Table, Handle, *mut Handle) -> i32 + Send>;
/// Looks at what all ranks said.
pub(super) type Verdict = Box<dyn FnOnce(&Headers) -> MpiResult<()> + Send>;

/// How many calls are started in this process: a hint, so that nobody takes a lock in vain.
static N_STARTED: AtomicUsize = AtomicUsize::new(0);
/// The communicators that have such calls.
static LANES: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

fn lane(inner: &Inner) -> MutexGuard<'_, Lane> {
    inner.lane.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    /// Goes on with all calls as far as that is possible without a wait.
    fn serve(&mut self, table: &Table, comm: Handle) {
        for started in &mut self.calls {
            if !started.go_on(table, comm) {
                // Those behind it wait for it.
                return;
            }
        }
    }

    fn at(&self, number: u64) -> Option<usize> {
        self.calls.iter().position(|one| one.number == number)
    }

    /// Whether all gates are through.
    fn is_settled(&self) -> bool {
        let mut states = self.calls.iter().map(|one| &one.state);
        !states.any(|state| matches!(state, State::Queued(_) | State::Gathering(..)))
    }
}

impl Started {
    /// Whether the gate is through.
    fn go_on(&mut self, table: &Table, comm: Handle) -> bool {
        if let State::Queued(header) = self.state {
            self.state = self.gather(table, comm, header);
        }
        if let State::Gathering(request, _) = &mut self.state {
            match test(table, request) {
                Ok(false) => return false,
                Ok(true) => self.pass(table, comm),
                Err(code) => self.fail(table, code),
            }
        }
        if let State::Running(request) = &mut self.state {
            match test(table, request) {
                Ok(false) => {}
                Ok(true) => self.state = State::Over(Ok(())),
                Err(code) => self.fail(table, code),
            }
        }
        true
    }

    fn fail(&mut self, table: &Table, code: i32) {
        self.state = State::Over(Err(library::failed(table, code, self.call)));
    }

    /// Begins the gate.
    fn gather(&self, table: &Table, comm: Handle, header: Header) -> State {
        let mut memory = Box::new((header, vec![Header::default(); self.n_ranks]));
        let mut request = 0;
        // SAFETY: both buffers live on the heap, in the lane, until the request is done.
        let code = unsafe {
            (table.iallgather)(
                (&raw const memory.0).cast(),
                memory.1.as_mut_ptr().cast(),
                size_of::<Header>() as i32,
                data::U8,
                comm,
                &raw mut request,
            )
        };
        match code {
            0 => State::Gathering(request, memory),
            code => State::Over(Err(library::failed(table, code, self.call))),
        }
    }

    /// Starts the call itself, if all ranks agree.
    fn pass(&mut self, table: &Table, comm: Handle) {
        let State::Gathering(_, memory) = &mut self.state else {
            return;
        };
        let said = std::mem::take(&mut memory.1);
        let agreed = Headers::agreed(&self.call, said);
        let verdict = match (self.verdict.take(), agreed) {
            (Some(verdict), Ok(headers)) => verdict(&headers),
            (_, agreed) => agreed.map(drop),
        };
        self.state = match (verdict, self.start.take()) {
            (Err(error), _) => State::Over(Err(error)),
            (Ok(()), None) => State::Over(Ok(())),
            (Ok(()), Some(start)) => {
                let mut request = 0;
                match start(table, comm, &raw mut request) {
                    0 => State::Running(request),
                    code => State::Over(Err(library::failed(table, code, self.call))),
                }
            }
        };
    }
}

/// Whether a request is done; 0 always is.
fn test(table: &Table, request: &mut Handle) -> Result<bool, i32> {
    if *request == 0 {
        return Ok(true);
    }
    let (mut done, mut status) = (0, RawStatus::default());
    // SAFETY: a request that is not done, and valid pointers.
    let code = unsafe { (table.test)(request, 1, &raw mut done, &raw mut status) };
    if code == 0 { Ok(done != 0) } else { Err(code) }
}

/// Drives all started calls, if there are any.
#[inline]
pub(super) fn drive(table: &Table) {
    if N_STARTED.load(Ordering::Relaxed) != 0 && !library::is_closed() {
        drive_all(table);
    }
}

#[cold]
fn drive_all(table: &Table) {
    let lanes: Vec<Arc<Inner>> = {
        let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|lane| lane.strong_count() > 0);
        lanes.iter().filter_map(Weak::upgrade).collect()
    };
    for inner in lanes {
        match inner.lane.try_lock() {
            Ok(mut lane) => lane.serve(table, inner.handle),
            Err(TryLockError::Poisoned(lane)) => lane.into_inner().serve(table, inner.handle),
            // Somebody drives it.
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

impl Communicator {
    /// Starts a call: what this rank says at its gate, what is to hold of what all say, and the call itself; none is one
    /// that is over when all ranks are there. An error of this rank's own is given when the call is over, for the others
    /// must learn of it.
    ///
    /// # Safety
    /// The memory that `start` uses stays, and nobody else touches it, until the call is over or
    /// [`Immediate`] is dropped.
    pub(super) unsafe fn start_immediate<'env>(
        &self,
        call: &Call,
        header: Header,
        fits: MpiResult<()>,
        verdict: impl FnOnce(&Headers) -> MpiResult<()> + Send + 'static,
        start: Option<Start>,
    ) -> MpiResult<Immediate<'env>> {
        library::is_open(call)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        wait::reap(table);
        let own = fits.err();
        let (header, start) = match own {
            Some(_) => (header.failed(), None),
            None => (header, start),
        };
        let mut lane = lane(&self.inner);
        let number = lane.next;
        lane.next += 1;
        if number == 0 {
            let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.push(Arc::downgrade(&self.inner));
        }
        lane.calls.push_back(Started {
            number,
            n_ranks: self.size(),
            call: *call,
            state: State::Queued(header),
            start,
            verdict: Some(Box::new(verdict)),
        });
        lane.serve(table, comm);
        drop(lane);
        N_STARTED.fetch_add(1, Ordering::Relaxed);
        Ok(Immediate {
            communicator: self.clone(),
            number,
            own,
            is_over: false,
            borrows: PhantomData,
        })
    }

    /// Waits until all started calls of this communicator are through their gates, so that the next call comes behind
    /// them on every rank.
    ///
    /// # Errors
    /// MPI is closed.
    #[inline]
    pub(super) fn settle(&self, call: &Call) -> MpiResult<()> {
        if N_STARTED.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.settle_now(call)
    }

    #[cold]
    fn settle_now(&self, call: &Call) -> MpiResult<()> {
        wait::until(call, true, None, |tests| {
            for _ in 0..tests {
                library::is_open(call)?;
                let mut lane = lane(&self.inner);
                lane.serve(self.inner.table, self.inner.handle);
                if lane.is_settled() {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .map(drop)
    }
}

/// A started call on memory that is borrowed: it is over when this is dropped, or MPI is.
pub(super) struct Immediate<'env> {
    communicator: Communicator,
    number: u64,
    /// What this rank gave wrongly: says more than what the gate says of it.
    own: Option<MpiError>,
    is_over: bool,
    borrows: PhantomData<&'env mut [u8]>,
}

impl Immediate<'_> {
    /// Whether the call is over.
    ///
    /// # Errors
    /// It failed; then it is over too.
    pub(super) fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool> {
        for _ in 0..tests {
            library::is_open(call)?;
            let inner = &self.communicator.inner;
            let mut lane = lane(inner);
            lane.serve(inner.table, inner.handle);
            // What is not there any more is over.
            let at = lane.at(self.number);
            if let Some(at) = at
                && !matches!(lane.calls[at].state, State::Over(_))
            {
                continue;
            }
            let started = at.and_then(|at| lane.calls.remove(at));
            drop(lane);
            self.is_over = true;
            let Some(started) = started else {
                return Ok(true);
            };
            N_STARTED.fetch_sub(1, Ordering::Relaxed);
            return match (self.own.take(), started.state) {
                (Some(error), _) | (None, State::Over(Err(error))) => Err(error),
                _ => Ok(true),
            };
        }
        Ok(false)
    }

    /// Waits until the call is over.
    ///
    /// # Errors
    /// It failed.
    pub(super) fn wait(mut self, call: &Call) -> MpiResult<()> {
        wait::until(call, false, None, |tests| {
            Ok(self.poll(tests, call)?.then_some(()))
        })
        .map(drop)
    }
}

impl Drop for Immediate<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (call, start) = (Call::here("scope"), Instant::now());
        while !library::is_closed() && start.elapsed() < GRACE {
            if self.poll(1, &call).is_err() || self.is_over {
                return;
            }
            thread::yield_now();
        }
        // The others may be in the middle of it, and there is no way back.
        if !library::is_closed() {
            library::set_broken();
        }
        let mut lane = lane(&self.communicator.inner);
        if let Some(at) = lane.at(self.number) {
            // MPI may still write to the memory.
            std::mem::forget(lane.calls.remove(at));
            N_STARTED.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
