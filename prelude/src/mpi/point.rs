//! Slices of numbers from one rank to another: nothing is encoded, nothing copied.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::communicator::Communicator;
use super::datatype::{Number, Peer, Status, Tag};
use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::library;
use super::notes::{self, Side};
use super::parcel::count;
use super::posted::{self, Ticket};
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
        // Bytes, not numbers: receivers count them so.
        count(call, length.saturating_mul(size_of::<T>()))?;
        let start = notes::start(self.inner.handle);
        let (bytes, length) = (length * size_of::<T>(), length as i32);
        let (to, tag) = (peer(call), tag(call));
        // SAFETY: the caller's promise.
        let code = unsafe {
            let (data, comm) = (data.cast(), self.inner.handle);
            (table.isend)(how, data, length, T::CODE, to, tag, comm, &raw mut handle)
        };
        library::check(table, code, || *call)?;
        notes::sent(self.inner.handle, call, bytes, start);
        Ok(handle)
    }

    /// Starts a receive.
    ///
    /// # Safety
    /// Nobody else touches the memory until the ticket has given its message or has been taken back.
    pub(super) unsafe fn post<T: Datatype>(
        &self,
        data: *mut T,
        length: usize,
        call: &Call,
    ) -> MpiResult<Ticket> {
        library::is_open(call)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let room = Some((data.cast(), length * size_of::<T>()));
        // SAFETY: the caller's promise.
        Ok(unsafe { Ticket::post(table, comm, peer(call), tag(call), room) })
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
            self.borrowed(handle).wait_sent(call, may_sleep)?;
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
        let bytes =
            unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), size_of_val(data)) };
        self.send_buffered(&call, bytes.to_vec())
    }

    /// The ready mode of [`send_slice`](Self::send_slice), for when the other rank certainly waits in its receive
    /// already. Here it is the standard mode, as the standard allows: MPI could lose a message that comes too early.
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
        self.send_now(mode::STANDARD, data, &call)
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
        if posted::is_empty() {
            let start = notes::start(self.inner.handle);
            let status = match self.recv_short(data, call)? {
                Some(status) => status,
                None => self.recv_long(data, call)?,
            };
            notes::received(self.inner.handle, Side::Received, &status, start);
            return Ok(status.into());
        }
        let lent = Lent::new(self, data, call)?;
        lent.wait(call)
    }

    /// Matches a message, looks at its length and receives it.
    fn recv_long<T: Datatype>(&self, data: &mut [T], call: &Call) -> MpiResult<RawStatus> {
        let (mut message, status) = self
            .matched(call, None)?
            .ok_or(MpiError::NoProcess { call: *call })?;
        let (length, room) = (
            usize::try_from(status.bytes).unwrap_or(0),
            size_of_val(data),
        );
        if status.source < 0 {
            return Ok(status);
        }
        if length > room {
            let flight = self.receive_matched(call, message, length)?;
            finish(flight, call)?;
            return Err(too_long(call, length, room));
        }
        let (table, mut handle) = (self.inner.table, 0);
        // SAFETY: the message fits, and the request is waited for, or taken back, before the borrow ends.
        let code = unsafe {
            let data = data.as_mut_ptr().cast();
            (table.imrecv)(data, length as i32, &raw mut message, &raw mut handle)
        };
        library::check(table, code, || *call)?;
        self.borrowed(handle).wait(call, false)?;
        Ok(status)
    }

    /// Waits for a message and matches it, which nobody else can receive then. None at the deadline.
    pub(super) fn matched(
        &self,
        call: &Call,
        deadline: Option<Instant>,
    ) -> MpiResult<Option<(Handle, RawStatus)>> {
        let table = self.inner.table;
        let (from, tag, comm) = (peer(call), tag(call), self.inner.handle);
        wait::until(call, true, deadline, |tests| {
            for _ in 0..tests {
                library::is_open(call)?;
                let (mut found, mut message, mut status) = (0, 0, RawStatus::default());
                // SAFETY: a communicator, and valid pointers.
                let code = unsafe {
                    let (message, status) = (&raw mut message, &raw mut status);
                    (table.improbe)(from, tag, comm, &raw mut found, message, status)
                };
                library::check(table, code, || *call)?;
                if found != 0 {
                    return Ok(Some((message, status)));
                }
            }
            Ok(None)
        })
    }

    /// Starts to receive a message that has been matched, into memory of ours.
    pub(super) fn receive_matched(
        &self,
        call: &Call,
        mut message: Handle,
        length: usize,
    ) -> MpiResult<Flight<Vec<u8>>> {
        let (table, mut handle) = (self.inner.table, 0);
        let mut bytes = vec![0; length];
        // SAFETY: the flight keeps the bytes, which lie on the heap, until the request is done.
        let code = unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            (table.imrecv)(buffer, length as i32, &raw mut message, &raw mut handle)
        };
        library::check(table, code, || *call)?;
        Ok(Flight::new(table, Kind::Send, handle, bytes))
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
        let receives = Lent::new(self, receive, &receiving)?;
        // SAFETY: the request is waited for, or taken back, before the borrow ends.
        let sends = unsafe {
            let handle = self.start_send(mode::STANDARD, send.as_ptr(), send.len(), &sending)?;
            self.borrowed(handle)
        };
        let received = receives.wait(&receiving);
        if sends.handle != 0 {
            sends.wait_sent(&sending, false)?;
        }
        received
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
        // SAFETY: the request keeps the vector, whose numbers lie on the heap, until the ticket is over.
        let ticket = unsafe { self.post(data.as_mut_ptr(), data.len(), &call)? };
        Ok(Request::receiving_numbers(call, ticket, data))
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
}

/// A receive into memory that is borrowed: it is over when this is dropped, or MPI is.
pub(super) struct Lent<'a> {
    ticket: Ticket,
    may_sleep: bool,
    borrows: PhantomData<&'a mut [u8]>,
}

impl<'a> Lent<'a> {
    pub(super) fn new<T: Datatype>(
        communicator: &Communicator,
        data: &'a mut [T],
        call: &Call,
    ) -> MpiResult<Lent<'a>> {
        // SAFETY: the memory is borrowed as long as this lives, and its end is that of the receive.
        let ticket = unsafe { communicator.post(data.as_mut_ptr(), data.len(), call)? };
        Ok(Lent {
            ticket,
            may_sleep: size_of_val(data) <= ONE_PIECE,
            borrows: PhantomData,
        })
    }

    /// What is known of the message, if it is all there; then the request is over.
    pub(super) fn poll(&mut self, call: &Call) -> MpiResult<Option<Status>> {
        let received = self.ticket.poll(1, call)?;
        Ok(received.map(|(status, _)| status.into()))
    }

    pub(super) fn wait(mut self, call: &Call) -> MpiResult<Status> {
        loop {
            let received = wait::until(call, self.may_sleep, None, |tests| {
                self.ticket.poll(tests, call)
            })?;
            if let Some((status, _)) = received {
                return Ok(status.into());
            }
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let (Some(handle), Some(table)) = (self.ticket.take_back(), library::started()) {
            // Waits for the rest of the message, or stops MPI.
            drop(Borrowed {
                table,
                handle,
                status: RawStatus::default(),
            });
        }
    }
}

/// Waits for the end of a request and takes its memory.
pub(super) fn finish(mut flight: Flight<Vec<u8>>, call: &Call) -> MpiResult<Vec<u8>> {
    if flight.handle != 0 {
        let may_sleep = flight
            .memory
            .as_ref()
            .is_some_and(|bytes| bytes.len() <= ONE_PIECE);
        wait::until(call, may_sleep, None, |tests| {
            Ok(flight.poll(tests, call)?.then_some(()))
        })?;
    }
    Ok(flight.memory.take().unwrap_or_default())
}

/// The error of a message that does not fit.
pub(super) fn too_long(call: &Call, length: usize, room: usize) -> MpiError {
    MpiError::Failed {
        call: *call,
        class: ErrorClass::Truncate,
        text: format!("a message of {length} bytes, room for {room}"),
    }
}

pub(super) fn peer(call: &Call) -> i32 {
    call.peer.map_or(-1, |peer| peer.0)
}

pub(super) fn tag(call: &Call) -> i32 {
    call.tag.map_or(-1, |tag| tag.0)
}
