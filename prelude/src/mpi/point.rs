//! Slices of numbers from one rank to another: nothing is encoded, nothing copied.

use std::time::{Duration, Instant};

use super::communicator::Communicator;
use super::datatype::{Number, Peer, Status, Tag};
use super::error::{Call, MpiError, MpiResult};
use super::library;
use super::parcel::count;
use super::request::Request;
use super::table::{Handle, RawStatus, mode};
use super::wait::{self, Borrowed, Flight, Kind, ONE_PIECE};
use super::{Datatype, trace_span};
use crate::interrupt;

impl Communicator {
    /// Starts a send.
    ///
    /// # Safety
    /// The memory stays as it is until the request is done.
    #[inline]
    pub(super) unsafe fn start_send<T: Datatype>(
        &self,
        how: u32,
        data: *const T,
        length: usize,
        call: &Call,
    ) -> MpiResult<Handle> {
        library::is_open(call)?;
        let (table, mut handle) = (self.inner.table, 0);
        let (length, to, tag) = (count(call, length)?, peer(call), tag(call));
        // SAFETY: the caller's promise.
        let code = unsafe {
            let (data, comm) = (data.cast(), self.inner.handle);
            (table.isend)(how, data, length, T::CODE, to, tag, comm, &raw mut handle)
        };
        library::check(table, code, || *call)?;
        Ok(handle)
    }

    /// Starts a receive.
    ///
    /// # Safety
    /// Nobody else touches the memory until the request is done.
    #[inline]
    pub(super) unsafe fn start_receive<T: Datatype>(
        &self,
        data: *mut T,
        length: usize,
        call: &Call,
    ) -> MpiResult<Handle> {
        library::is_open(call)?;
        let (table, mut handle) = (self.inner.table, 0);
        let (length, from, tag) = (count(call, length)?, peer(call), tag(call));
        // SAFETY: the caller's promise.
        let code = unsafe {
            let (data, comm) = (data.cast(), self.inner.handle);
            (table.irecv)(data, length, T::CODE, from, tag, comm, &raw mut handle)
        };
        library::check(table, code, || *call)?;
        Ok(handle)
    }

    fn borrowed(&self, handle: Handle) -> Borrowed {
        Borrowed {
            table: self.inner.table,
            handle,
            status: RawStatus::default(),
        }
    }

    #[inline]
    fn send_now<T: Datatype>(&self, how: u32, data: &[T], call: &Call) -> MpiResult<()> {
        let _span = trace_span(call.name);
        // SAFETY: the request is waited for, or taken back, before the borrow ends.
        let handle = unsafe { self.start_send(how, data.as_ptr(), data.len(), call)? };
        if handle != 0 {
            let may_sleep = size_of_val(data) <= ONE_PIECE;
            self.borrowed(handle).wait(call, may_sleep)?;
        }
        Ok(())
    }

    /// Sends a slice of numbers; returns when the slice may be changed again, which for a large one is when the other
    /// rank receives it (the library decides).
    ///
    /// # Errors
    /// There is no such rank or tag.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let mut row = [0.0; 1000];
    /// match world.rank() {
    ///     0 => world.send_slice(&[1.0; 1000], 1, 0)?,
    ///     1 => drop(world.recv_slice(&mut row, 0, 0)?),
    ///     _ => {}
    /// }
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn send_slice<T: Number>(
        &self,
        data: &[T],
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("send_slice", to.into(), tag.into());
        self.send_now(mode::STANDARD, data, &call)
    }

    /// The synchronous mode of [`send_slice`](Self::send_slice): returns when the other rank has begun to receive.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn ssend_slice<T: Number>(
        &self,
        data: &[T],
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("ssend_slice", to.into(), tag.into());
        self.send_now(mode::SYNCHRONOUS, data, &call)
    }

    /// The buffered mode of [`send_slice`](Self::send_slice): copies the slice and returns at once. The room for such
    /// copies is that of [`attach_buffer`](super::attach_buffer).
    ///
    /// # Errors
    /// There is no such rank or tag, or no room for the copy.
    #[track_caller]
    pub fn bsend_slice<T: Number>(
        &self,
        data: &[T],
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("bsend_slice", to.into(), tag.into());
        let _span = trace_span(call.name);
        // SAFETY: numbers are their bytes, every one of them initialised, and any alignment is enough for bytes.
        let bytes = unsafe {
            std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), size_of_val(data))
        };
        self.send_buffered(&call, bytes.to_vec())
    }

    /// The ready mode of [`send_slice`](Self::send_slice), for when the other rank certainly waits in its receive
    /// already. If it does not, the message may be lost: that is MPI's rule.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn rsend_slice<T: Number>(
        &self,
        data: &[T],
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("rsend_slice", to.into(), tag.into());
        self.send_now(mode::READY, data, &call)
    }

    /// Receives into a slice; [`Status::count`] tells how many numbers came. The rest of the slice stays as it is, and
    /// so does all of it if the null process was asked.
    ///
    /// # Errors
    /// There is no such rank or tag, or the message is longer than the slice.
    #[track_caller]
    #[inline]
    pub fn recv_slice<T: Number>(
        &self,
        data: &mut [T],
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
    ) -> MpiResult<Status> {
        let call = Call::with("recv_slice", from.into(), tag.into());
        self.recv_now(data, &call)
    }

    #[inline]
    fn recv_now<T: Datatype>(&self, data: &mut [T], call: &Call) -> MpiResult<Status> {
        let _span = trace_span(call.name);
        // SAFETY: the request is waited for, or taken back, before the borrow ends.
        let handle = unsafe { self.start_receive(data.as_mut_ptr(), data.len(), call)? };
        let may_sleep = size_of_val(data) <= ONE_PIECE;
        let status = self.borrowed(handle).wait(call, may_sleep)?;
        Ok(status.into())
    }

    /// Sends one slice and receives another, both at once: safe where two ranks exchange, at every length.
    ///
    /// # Errors
    /// As for [`send_slice`](Self::send_slice) and [`recv_slice`](Self::recv_slice).
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let (rank, size) = (world.rank(), world.size());
    /// let mut left = [0];
    /// world.sendrecv_slice(&[rank], (rank + 1) % size, 0, &mut left, (rank + size - 1) % size, 0)?;
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn sendrecv_slice<S: Number, R: Number>(
        &self,
        send: &[S],
        to: impl Into<Peer>,
        send_tag: i32,
        receive: &mut [R],
        from: impl Into<Peer>,
        recv_tag: impl Into<Tag>,
    ) -> MpiResult<Status> {
        let sending = Call::with("sendrecv_slice", to.into(), send_tag.into());
        let receiving = Call::with("sendrecv_slice: recv", from.into(), recv_tag.into());
        let _span = trace_span(sending.name);
        let (data, length) = (receive.as_mut_ptr(), receive.len());
        // SAFETY: both requests are waited for, or taken back, before the borrows end.
        let (receives, sends) = unsafe {
            let handle = self.start_receive(data, length, &receiving)?;
            let receives = self.borrowed(handle);
            let handle = self.start_send(mode::STANDARD, send.as_ptr(), send.len(), &sending)?;
            (receives, self.borrowed(handle))
        };
        let may_sleep = size_of_val(send).max(size_of_val(receive)) <= ONE_PIECE;
        let received = receives.wait(&receiving, may_sleep);
        if sends.handle != 0 {
            sends.wait(&sending, may_sleep)?;
        }
        received.map(Status::from)
    }

    /// Starts a send and returns at once; the request gives the numbers back when they may be changed again.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn isend_slice<T: Number>(
        &self,
        data: Vec<T>,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<Request<Vec<T>>> {
        let call = Call::with("isend_slice", to.into(), tag.into());
        wait::reap(self.inner.table);
        // SAFETY: the flight keeps the vector, whose numbers lie on the heap, until the request is done.
        let handle = unsafe { self.start_send(mode::STANDARD, data.as_ptr(), data.len(), &call)? };
        let flight = Flight::new(self.inner.table, Kind::Send, handle, data);
        Ok(Request::of_numbers(call, flight))
    }

    /// Starts a receive into the numbers of a vector, and returns at once; the request gives the vector back, of the
    /// same length. [`Request::wait_status`] tells how many came.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn irecv_slice<T: Number>(
        &self,
        mut data: Vec<T>,
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
    ) -> MpiResult<Request<Vec<T>>> {
        let call = Call::with("irecv_slice", from.into(), tag.into());
        wait::reap(self.inner.table);
        // SAFETY: as above.
        let handle = unsafe { self.start_receive(data.as_mut_ptr(), data.len(), &call)? };
        let flight = Flight::new(self.inner.table, Kind::Receive, handle, data);
        Ok(Request::of_numbers(call, flight))
    }

    /// Waits until there is a message to receive, and tells of it without receiving it.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn probe(&self, from: impl Into<Peer>, tag: impl Into<Tag>) -> MpiResult<Status> {
        let call = Call::with("probe", from.into(), tag.into());
        loop {
            if let Some(status) = self.look(&call, None)? {
                return Ok(status);
            }
        }
    }

    /// Tells of a message that can be received at once, if there is one.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn try_probe(
        &self,
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
    ) -> MpiResult<Option<Status>> {
        let call = Call::with("try_probe", from.into(), tag.into());
        interrupt::check();
        self.look_once(&call)
    }

    /// As [`probe`](Self::probe), but not longer than this: then none.
    ///
    /// # Errors
    /// There is no such rank or tag.
    #[track_caller]
    pub fn probe_timeout(
        &self,
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
        time: Duration,
    ) -> MpiResult<Option<Status>> {
        let call = Call::with("probe_timeout", from.into(), tag.into());
        self.look(&call, interrupt::deadline(time))
    }

    fn look(&self, call: &Call, deadline: Option<Instant>) -> MpiResult<Option<Status>> {
        wait::until(call, true, deadline, |tests| {
            for _ in 0..tests {
                if let Some(status) = self.look_once(call)? {
                    return Ok(Some(status));
                }
            }
            Ok(None)
        })
    }

    fn look_once(&self, call: &Call) -> MpiResult<Option<Status>> {
        library::is_open(call)?;
        let table = self.inner.table;
        let (mut found, mut status) = (0, RawStatus::default());
        // SAFETY: a communicator, and valid pointers.
        let code = unsafe {
            let (from, tag, comm) = (peer(call), tag(call), self.inner.handle);
            (table.iprobe)(from, tag, comm, &raw mut found, &raw mut status)
        };
        library::check(table, code, || *call)?;
        Ok((found != 0).then(|| status.into()))
    }

    /// Matches a message, which nobody else can receive then. Tells up to `tests` times whether there is one.
    pub(super) fn matched(
        &self,
        call: &Call,
        tests: u32,
    ) -> MpiResult<Option<(Handle, RawStatus)>> {
        library::is_open(call)?;
        let table = self.inner.table;
        let (from, tag, comm) = (peer(call), tag(call), self.inner.handle);
        for _ in 0..tests {
            let (mut found, mut message, mut status) = (0, 0, RawStatus::default());
            // SAFETY: a communicator, and valid pointers.
            let code = unsafe {
                let (message, status) = (&raw mut message, &raw mut status);
                (table.improbe)(from, tag, comm, &raw mut found, message, status)
            };
            library::check(table, code, || *call)?;
            if found != 0 {
                if status.source < 0 {
                    return Err(MpiError::NoProcess { call: *call });
                }
                return Ok(Some((message, status)));
            }
        }
        Ok(None)
    }
}

fn peer(call: &Call) -> i32 {
    call.peer.map_or(-1, |peer| peer.0)
}

fn tag(call: &Call) -> i32 {
    call.tag.map_or(-1, |tag| tag.0)
}
