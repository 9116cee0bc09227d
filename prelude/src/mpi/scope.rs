//! Requests on borrowed slices: they are all over when the scope is.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::communicator::Communicator;
use super::datatype::{Number, Peer, Status, Tag};
use super::error::{Call, MpiResult};
use super::immediate::{self, Immediate};
use super::point::Lent;
use super::table::{Handle, RawStatus, Table, mode};
use super::wait::{self, Borrowed};
use super::{library, trace_span};
use crate::interrupt;

/// Where requests on borrowed slices live; [`scope`] makes it.
pub struct Scope<'scope, 'env: 'scope> {
    requests: RefCell<Vec<Option<(Request<'env>, Call)>>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

enum Request<'env> {
    /// Also a collective call that nothing was compared for.
    Send(Borrowed),
    Receive(Lent<'env>),
    Collective(Immediate<'env>),
    Done(Status),
}

/// A request of a scope. It may be dropped: the end of the scope waits for it.
pub struct ScopedRequest<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    at: usize,
}

/// Runs `body`, in which sends, receives and collective calls on slices may be started that are only borrowed; when it
/// returns, all of them are done.
///
/// ```no_run
/// # use forkline::mpi;
/// # let world = mpi::world()?;
/// # let (left, right) = (0, 0);
/// let (mine, mut halo) = ([1.0; 100], [0.0; 100]);
/// mpi::scope(|scope| {
///     scope.irecv_slice(&world, &mut halo, left, 0)?;
///     scope.isend_slice(&world, &mine, right, 0)?;
///     // … work that needs neither …
///     Ok(())
/// })?;
/// assert_eq!(halo[0], 1.0);
/// # Ok::<(), mpi::MpiError>(())
/// ```
///
/// # Errors
/// That of `body`, or the first message that failed.
pub fn scope<'env, R>(
    body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> MpiResult<R>,
) -> MpiResult<R> {
    let scope = Scope {
        requests: RefCell::new(Vec::new()),
        scope: PhantomData,
        env: PhantomData,
    };
    // What is left when this unwinds, also by an interrupt, is taken back by the requests' own ends.
    let result = catch_unwind(AssertUnwindSafe(|| body(&scope)));
    match result {
        Err(panic) => {
            scope.requests.borrow_mut().clear();
            resume_unwind(panic)
        }
        Ok(result) => {
            let mut first = None;
            for (request, call) in scope.requests.take().into_iter().flatten() {
                // After an error in `body` a partner may never come.
                if result.is_err() {
                    continue;
                }
                if let Err(error) = wait(request, &call) {
                    first.get_or_insert(error);
                }
            }
            match first {
                Some(error) => Err(error),
                None => result,
            }
        }
    }
}

fn wait(request: Request<'_>, call: &Call) -> MpiResult<Status> {
    match request {
        Request::Receive(lent) => lent.wait(call),
        Request::Collective(started) => {
            let _span = trace_span(call.name);
            started.wait(call).map(|()| RawStatus::default().into())
        }
        Request::Done(status) => Ok(status),
        Request::Send(sent) if sent.handle == 0 => Ok(sent.status.into()),
        Request::Send(sent) => sent
            .wait_sent(call, false)
            .map(|()| RawStatus::default().into()),
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    fn add(&'scope self, request: Request<'env>, call: Call) -> ScopedRequest<'scope, 'env> {
        let mut requests = self.requests.borrow_mut();
        requests.push(Some((request, call)));
        ScopedRequest {
            scope: self,
            at: requests.len() - 1,
        }
    }

    pub(super) fn add_collective(
        &'scope self,
        started: Immediate<'env>,
        call: Call,
    ) -> ScopedRequest<'scope, 'env> {
        self.add(Request::Collective(started), call)
    }

    /// Starts a collective call that nothing is compared for. `mpi` writes its request, on slices that are borrowed for
    /// `'env`.
    pub(super) fn begin_unchecked(
        &'scope self,
        communicator: &Communicator,
        call: Call,
        mpi: impl FnOnce(&Table, Handle, *mut Handle) -> i32,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        library::is_open(&call)?;
        communicator.settle(&call)?;
        let (table, mut handle) = (communicator.inner.table, 0);
        let code = mpi(table, communicator.inner.handle, &raw mut handle);
        library::check(table, code, || call)?;
        let request = Borrowed {
            table,
            handle,
            status: RawStatus::default(),
        };
        Ok(self.add(Request::Send(request), call))
    }

    /// Starts to send a slice.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn isend_slice<T: Number>(
        &'scope self,
        communicator: &Communicator,
        data: &'env [T],
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::with("isend_slice", to.into(), tag.into());
        let (at, length) = (data.as_ptr(), data.len());
        // SAFETY: the scope ends before `'env` does, and with it the request.
        let handle = unsafe { communicator.start_send(mode::STANDARD, at, length, &call)? };
        let request = Borrowed {
            table: communicator.inner.table,
            handle,
            status: RawStatus::default(),
        };
        Ok(self.add(Request::Send(request), call))
    }

    /// Starts to receive into a slice, which can be used again behind the scope.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn irecv_slice<T: Number>(
        &'scope self,
        communicator: &Communicator,
        data: &'env mut [T],
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::with("irecv_slice", from.into(), tag.into());
        let lent = Lent::new(communicator, data, &call)?;
        Ok(self.add(Request::Receive(lent), call))
    }
}

impl ScopedRequest<'_, '_> {
    /// Whether it is done, so that [`wait`](Self::wait) would return at once. MPI goes on with what is under way only when
    /// it is called, so work between is quicker with a test now and then.
    ///
    /// # Errors
    /// The message failed.
    pub fn test(&self) -> MpiResult<bool> {
        interrupt::check();
        let mut requests = self.scope.requests.borrow_mut();
        let Some((request, call)) = &mut requests[self.at] else {
            return Ok(true);
        };
        let call = *call;
        if let Some(table) = library::started() {
            immediate::drive(table);
        }
        let status = match request {
            Request::Done(_) => return Ok(true),
            Request::Send(sent) => {
                let (table, status) = (sent.table, &mut sent.status);
                (sent.handle == 0 || wait::test(table, &mut sent.handle, 1, status, &call)?)
                    .then_some(sent.status.into())
            }
            Request::Receive(lent) => lent.poll(&call)?,
            Request::Collective(started) => {
                started.poll(1, &call)?.then(|| RawStatus::default().into())
            }
        };
        if let Some(status) = status {
            *request = Request::Done(status);
        }
        Ok(status.is_some())
    }

    /// Waits until it is done.
    ///
    /// # Errors
    /// The message failed.
    pub fn wait(self) -> MpiResult<Status> {
        let request = self.scope.requests.borrow_mut()[self.at].take();
        match request {
            Some((request, call)) => wait(request, &call),
            None => Ok(RawStatus::default().into()),
        }
    }
}
