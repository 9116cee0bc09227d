//! Values of any type from one rank to another.

use std::time::{Duration, Instant};

use super::communicator::Communicator;
use super::datatype::{Peer, Status, Tag};
use super::error::{Call, MpiError, MpiResult};
use super::library;
use super::notes::{self, Side};
use super::parcel::{Parcel, pack, unpack};
use super::point::{self, finish};
use super::posted::{self, Ticket};
use super::request::Request;
use super::table::mode;
use super::trace_span;
use super::wait::{self, Flight, Kind};
use crate::interrupt;
use crate::processes::message::Message;

impl Communicator {
    fn start<P: Parcel + ?Sized>(
        &self,
        how: u32,
        value: &P,
        call: &Call,
    ) -> MpiResult<Flight<Vec<u8>>> {
        wait::reap(self.inner.table);
        let bytes = pack(call, value)?;
        // SAFETY: the flight keeps the bytes, which lie on the heap, until the request is done.
        let handle = unsafe { self.start_send(how, bytes.as_ptr(), bytes.len(), call)? };
        Ok(Flight::new(self.inner.table, Kind::Send, handle, bytes))
    }

    fn send_value<P: Parcel + ?Sized>(&self, how: u32, value: &P, call: &Call) -> MpiResult<()> {
        let _span = trace_span(call.name);
        let flight = self.start(how, value, call)?;
        finish(flight, call).map(drop)
    }

    /// Sends a value; returns when this rank has nothing more to do for it, which for a large one is when the other
    /// rank receives it (the library decides).
    ///
    /// # Errors
    /// There is no such rank or tag, or the value cannot be a message.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// match world.rank() {
    ///     0 => world.send("hello", 1, 0)?,
    ///     1 => println!("{}", world.recv::<String>(0, 0)?),
    ///     _ => {}
    /// }
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn send<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("send", to.into(), tag.into());
        self.send_value(mode::STANDARD, value, &call)
    }

    /// The synchronous mode of [`send`](Self::send): returns when the other rank has begun to receive.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    #[track_caller]
    pub fn ssend<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("ssend", to.into(), tag.into());
        self.send_value(mode::SYNCHRONOUS, value, &call)
    }

    /// The buffered mode of [`send`](Self::send): returns at once. The room for such messages is that of
    /// [`attach_buffer`](super::attach_buffer).
    ///
    /// # Errors
    /// As for [`send`](Self::send), or there is no room for the message.
    #[track_caller]
    pub fn bsend<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("bsend", to.into(), tag.into());
        let _span = trace_span(call.name);
        self.send_buffered(&call, pack(&call, value)?)
    }

    /// The ready mode of [`send`](Self::send), for when the other rank certainly waits in its receive already.
    /// Here it is the standard mode, as the standard allows.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    #[track_caller]
    pub fn rsend<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<()> {
        let call = Call::with("rsend", to.into(), tag.into());
        self.send_value(mode::STANDARD, value, &call)
    }

    /// Starts to send a value and returns at once.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    #[track_caller]
    pub fn isend<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<Request<()>> {
        let call = Call::with("isend", to.into(), tag.into());
        Ok(Request::sending(
            call,
            self.start(mode::STANDARD, value, &call)?,
        ))
    }

    /// As [`isend`](Self::isend), in the synchronous mode: done when the other rank has begun to receive.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    #[track_caller]
    pub fn issend<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        tag: i32,
    ) -> MpiResult<Request<()>> {
        let call = Call::with("issend", to.into(), tag.into());
        Ok(Request::sending(
            call,
            self.start(mode::SYNCHRONOUS, value, &call)?,
        ))
    }

    /// Waits for a value and receives it.
    ///
    /// # Errors
    /// There is no such rank or tag, or the message is a value of another type: it is gone then.
    #[track_caller]
    pub fn recv<T: Message>(&self, from: impl Into<Peer>, tag: impl Into<Tag>) -> MpiResult<T> {
        let call = Call::with("recv", from.into(), tag.into());
        self.receive_value(&call).map(|(value, _)| value)
    }

    /// As [`recv`](Self::recv), and tells whose message it was.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_status<T: Message>(
        &self,
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
    ) -> MpiResult<(T, Status)> {
        let call = Call::with("recv_status", from.into(), tag.into());
        self.receive_value(&call)
    }

    /// As [`recv`](Self::recv), but waits for the message no longer than this: then none, and nothing is lost.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_timeout<T: Message>(
        &self,
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
        time: Duration,
    ) -> MpiResult<Option<T>> {
        let call = Call::with("recv_timeout", from.into(), tag.into());
        let _span = trace_span(call.name);
        self.value_until(&call, interrupt::deadline(time))
            .map(|found| found.map(|(value, _)| value))
    }

    /// Receives a value; none at the deadline, if its message has not been matched then.
    fn value_until<T: Message>(
        &self,
        call: &Call,
        deadline: Option<Instant>,
    ) -> MpiResult<Option<(T, Status)>> {
        library::is_open(call)?;
        if posted::is_empty() {
            let start = notes::start(self.inner.handle);
            let Some((message, status)) = self.matched(call, deadline)? else {
                return Ok(None);
            };
            if status.source < 0 {
                return Err(MpiError::NoProcess { call: *call });
            }
            let length = Status::from(status).bytes;
            let bytes = finish(self.receive_matched(call, message, length)?, call)?;
            notes::received(self.inner.handle, Side::Received, &status, start);
            let value = unpack(call, bytes)?;
            return Ok(Some((value, status.into())));
        }
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: no room is lent.
        let mut ticket =
            unsafe { Ticket::post(table, comm, point::peer(call), point::tag(call), None) };
        let mut received = wait::until(call, true, deadline, |tests| ticket.poll(tests, call))?;
        if received.is_none() && ticket.is_under_way() {
            received = wait::until(call, false, None, |tests| ticket.poll(tests, call))?;
        }
        let Some((status, bytes)) = received else {
            return Ok(None);
        };
        if status.source < 0 {
            return Err(MpiError::NoProcess { call: *call });
        }
        let value = unpack(call, bytes.unwrap_or_default())?;
        Ok(Some((value, status.into())))
    }

    fn receive_value<T: Message>(&self, call: &Call) -> MpiResult<(T, Status)> {
        let _span = trace_span(call.name);
        self.receive_whole(call)
    }

    fn receive_whole<T: Message>(&self, call: &Call) -> MpiResult<(T, Status)> {
        loop {
            if let Some(received) = self.value_until(call, None)? {
                return Ok(received);
            }
        }
    }

    /// Starts to receive a value and returns at once.
    ///
    /// # Errors
    /// MPI has ended; all else is told by the request's own calls.
    #[track_caller]
    pub fn irecv<T: Message>(
        &self,
        from: impl Into<Peer>,
        tag: impl Into<Tag>,
    ) -> MpiResult<Request<T>> {
        let call = Call::with("irecv", from.into(), tag.into());
        library::is_open(&call)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: no room is lent.
        let ticket =
            unsafe { Ticket::post(table, comm, point::peer(&call), point::tag(&call), None) };
        Ok(Request::receiving(call, ticket))
    }

    /// Sends one value and receives another, both at once: safe where two ranks exchange, at every size.
    ///
    /// # Errors
    /// As for [`send`](Self::send) and [`recv`](Self::recv).
    #[track_caller]
    pub fn sendrecv<P: Parcel + ?Sized>(
        &self,
        value: &P,
        to: impl Into<Peer>,
        send_tag: i32,
        from: impl Into<Peer>,
        recv_tag: impl Into<Tag>,
    ) -> MpiResult<P::Owned> {
        let sending = Call::with("sendrecv", to.into(), send_tag.into());
        let receiving = Call::with("sendrecv: recv", from.into(), recv_tag.into());
        let _span = trace_span(sending.name);
        let flight = self.start(mode::STANDARD, value, &sending)?;
        let received = self.receive_whole(&receiving);
        finish(flight, &sending)?;
        received.map(|(value, _)| value)
    }
}
