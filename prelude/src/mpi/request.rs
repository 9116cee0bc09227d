//! Requests: messages that are under way while the rank does something else.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::datatype::{Datatype, Status};
use super::error::{Call, MpiError, MpiResult};
use super::parcel::unpack;
use super::posted::{Received, Ticket};
use super::table::RawStatus;
use super::trace_span;
use super::wait::{self, Flight};
use crate::interrupt;
use crate::processes::message::Message;

/// A message under way, and what it gives when it is done: the value received, the numbers sent or received.
///
/// [`wait`](Self::wait) waits for it, [`test`](Self::test) asks. If it is dropped before, a receive is cancelled, and a
/// send goes on by itself.
#[must_use = "a request that is dropped is a receive that is cancelled, or a send of which nobody learns the end"]
pub struct Request<R> {
    call: Call,
    operation: Box<dyn Operation<R>>,
    is_done: bool,
}

/// What a request does.
trait Operation<R>: Send {
    /// Whether it is done.
    fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool>;
    /// What it gives; called once, when it is done.
    fn take(&mut self, call: &Call) -> MpiResult<(R, Status)>;
}

struct Numbers<T: Datatype>(Flight<Vec<T>>);

impl<T: Datatype> Operation<Vec<T>> for Numbers<T> {
    fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool> {
        Ok(self.0.handle == 0 || self.0.poll(tests, call)?)
    }

    fn take(&mut self, _: &Call) -> MpiResult<(Vec<T>, Status)> {
        let numbers = self.0.memory.take().unwrap_or_default();
        Ok((numbers, self.0.status.into()))
    }
}

struct Sending(Flight<Vec<u8>>);

impl Operation<()> for Sending {
    fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool> {
        Ok(self.0.handle == 0 || self.0.poll(tests, call)?)
    }

    fn take(&mut self, _: &Call) -> MpiResult<((), Status)> {
        Ok(((), self.0.status.into()))
    }
}

struct Receiving<T> {
    ticket: Ticket,
    received: Option<Received>,
    gives: PhantomData<fn() -> T>,
}

impl<T: Message> Operation<T> for Receiving<T> {
    fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool> {
        self.received = self.ticket.poll(tests, call)?;
        Ok(self.received.is_some())
    }

    fn take(&mut self, call: &Call) -> MpiResult<(T, Status)> {
        let (status, bytes) = self.received.take().unwrap_or_default();
        if status.source < 0 {
            return Err(MpiError::NoProcess { call: *call });
        }
        Ok((unpack(call, bytes.unwrap_or_default())?, status.into()))
    }
}

/// A receive into numbers that it owns.
struct ReceivingNumbers<T: Datatype> {
    ticket: Ticket,
    status: RawStatus,
    numbers: Vec<T>,
}

impl<T: Datatype> Operation<Vec<T>> for ReceivingNumbers<T> {
    fn poll(&mut self, tests: u32, call: &Call) -> MpiResult<bool> {
        let received = self.ticket.poll(tests, call)?;
        if let Some((status, _)) = &received {
            self.status = *status;
        }
        Ok(received.is_some())
    }

    fn take(&mut self, _: &Call) -> MpiResult<(Vec<T>, Status)> {
        Ok((std::mem::take(&mut self.numbers), self.status.into()))
    }
}

impl<T: Datatype> Drop for ReceivingNumbers<T> {
    fn drop(&mut self) {
        if let Some(handle) = self.ticket.take_back() {
            wait::adopt(handle, Box::new(std::mem::take(&mut self.numbers)), 0);
        }
    }
}

impl Request<()> {
    pub(super) fn sending(call: Call, flight: Flight<Vec<u8>>) -> Self {
        Request::new(call, Box::new(Sending(flight)))
    }
}

impl<T: Datatype> Request<Vec<T>> {
    pub(super) fn of_numbers(call: Call, flight: Flight<Vec<T>>) -> Self {
        Request::new(call, Box::new(Numbers(flight)))
    }

    pub(super) fn receiving_numbers(call: Call, ticket: Ticket, numbers: Vec<T>) -> Self {
        Request::new(
            call,
            Box::new(ReceivingNumbers {
                ticket,
                status: RawStatus::default(),
                numbers,
            }),
        )
    }
}

impl<T: Message> Request<T> {
    pub(super) fn receiving(call: Call, ticket: Ticket) -> Self {
        Request::new(
            call,
            Box::new(Receiving {
                ticket,
                received: None,
                gives: PhantomData,
            }),
        )
    }
}

impl<R> Request<R> {
    fn new(call: Call, operation: Box<dyn Operation<R>>) -> Self {
        Request {
            call,
            operation,
            is_done: false,
        }
    }

    fn poll(&mut self, tests: u32) -> MpiResult<bool> {
        if !self.is_done {
            self.is_done = self.operation.poll(tests, &self.call)?;
        }
        Ok(self.is_done)
    }

    /// Whether it is done, so that [`wait`](Self::wait) would return at once.
    ///
    /// # Errors
    /// The message failed.
    pub fn test(&mut self) -> MpiResult<bool> {
        interrupt::check();
        self.poll(1)
    }

    /// Waits until it is done, but not longer than this; then `false`, and it goes on.
    ///
    /// # Errors
    /// The message failed.
    pub fn wait_timeout(&mut self, time: Duration) -> MpiResult<bool> {
        let (call, deadline) = (self.call, interrupt::deadline(time));
        let _span = trace_span("wait_timeout");
        let is_done = wait::until(&call, false, deadline, |tests| {
            Ok(self.poll(tests)?.then_some(()))
        })?;
        Ok(is_done.is_some())
    }

    /// Waits until it is done, and takes what it gives.
    ///
    /// # Errors
    /// The message failed, or is of another type than asked for.
    pub fn wait(self) -> MpiResult<R> {
        self.wait_status().map(|(result, _)| result)
    }

    /// As [`wait`](Self::wait), and tells of the message; of a send there is nothing to tell.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn wait_status(mut self) -> MpiResult<(R, Status)> {
        let call = self.call;
        let _span = trace_span("wait");
        loop {
            let done = wait::until(&call, false, None, |tests| {
                Ok(self.poll(tests)?.then_some(()))
            })?;
            if done.is_some() {
                return self.operation.take(&call);
            }
        }
    }
}

impl<R> fmt::Debug for Request<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_done { "done" } else { "under way" };
        write!(formatter, "Request({}, {state})", self.call)
    }
}

/// Waits for all of them, and gives their results in the same order. All of them are driven at the same time.
///
/// # Errors
/// The first that failed.
pub fn wait_all<R>(requests: impl IntoIterator<Item = Request<R>>) -> MpiResult<Vec<R>> {
    let mut requests: Vec<Request<R>> = requests.into_iter().collect();
    let Some(first) = requests.first() else {
        return Ok(Vec::new());
    };
    let call = first.call;
    let _span = trace_span("wait_all");
    wait::until(&call, false, None, |tests| {
        for _ in 0..tests {
            let mut n_done = 0;
            for request in &mut requests {
                n_done += usize::from(request.poll(1)?);
            }
            if n_done == requests.len() {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })?;
    requests.into_iter().map(Request::wait).collect()
}

/// Waits for the first that is done, takes it out of the list, and gives its place there and its result; none if the
/// list is empty.
///
/// # Errors
/// One has failed.
pub fn wait_any<R>(requests: &mut Vec<Request<R>>) -> MpiResult<Option<(usize, R)>> {
    let Some(first) = requests.first() else {
        return Ok(None);
    };
    let call = first.call;
    let found = wait::until(&call, false, None, |tests| {
        for _ in 0..tests {
            for (at, request) in requests.iter_mut().enumerate() {
                if request.poll(1)? {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    })?;
    let Some(at) = found else { return Ok(None) };
    let result = requests.remove(at).wait()?;
    Ok(Some((at, result)))
}
