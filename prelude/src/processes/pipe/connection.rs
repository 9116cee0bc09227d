//! Connections whose ends do both, or one direction that is known when the program runs.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PipeError, receive, send, sockets};
use crate::interrupt;
use crate::processes::message::{self, Message};
use crate::processes::packets::Socket;

/// A pipe in both directions. The first end sends `A` and receives `B`, the second the other way round.
///
/// ```
/// use forkline::prelude::*;
///
/// let (ours, theirs) = processes::duplex::<u32, String>();
/// ours.send(7)?;
/// let number = theirs.recv()?;
/// theirs.send(format!("got {number}"))?;
/// assert_eq!(ours.recv()?, "got 7");
/// # Ok::<(), processes::PipeError>(())
/// ```
///
/// # Panics
/// The system has no descriptors left.
#[track_caller]
pub fn duplex<A: Message, B: Message>() -> (Connection<A, B>, Connection<B, A>) {
    let (one, other) = sockets();
    (
        Connection::of(one, Way::Both),
        Connection::of(other, Way::Both),
    )
}

/// A pipe in one direction whose ends have one type, as Python's `Pipe(duplex=False)`: the first end only receives
/// and the second only sends, and the other call is an error when the program runs. With [`pipe`](super::pipe) the
/// compiler tells.
///
/// ```
/// use forkline::prelude::*;
///
/// let (receiving, sending) = processes::one_way();
/// sending.send(1)?;
/// assert_eq!(receiving.recv()?, 1);
/// assert!(matches!(receiving.send(2), Err(processes::PipeError::Direction(_))));
/// # Ok::<(), processes::PipeError>(())
/// ```
///
/// # Panics
/// The system has no descriptors left.
#[track_caller]
pub fn one_way<T: Message>() -> (Connection<T, T>, Connection<T, T>) {
    let (one, other) = sockets();
    (
        Connection::of(one, Way::Receives),
        Connection::of(other, Way::Sends),
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Both,
    Receives,
    Sends,
}

/// An end of a connection that sends `S` and receives `R`. From [`duplex`] or [`one_way`].
pub struct Connection<S: Message, R: Message> {
    socket: Arc<Socket>,
    way: Way,
    message: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> Connection<S, R> {
    fn of(socket: Arc<Socket>, way: Way) -> Self {
        Connection {
            socket,
            way,
            message: PhantomData,
        }
    }

    fn receiving(&self) -> Result<&Socket, PipeError> {
        match self.way {
            Way::Sends => Err(PipeError::Direction("sends")),
            Way::Both | Way::Receives => Ok(&self.socket),
        }
    }

    fn sending(&self) -> Result<&Socket, PipeError> {
        match self.way {
            Way::Receives => Err(PipeError::Direction("receives")),
            Way::Both | Way::Sends => Ok(&self.socket),
        }
    }

    /// Sends a value; waits while the connection is full.
    ///
    /// # Errors
    /// [`PipeError::Closed`]: nobody receives any more. [`PipeError::Direction`]: this end only receives.
    /// [`PipeError::Message`]: the value has no form in bytes.
    pub fn send(&self, value: S) -> Result<(), PipeError> {
        send(self.sending()?, &value, None)
    }

    /// Sends a value; waits for the time while the connection is full.
    ///
    /// # Errors
    /// [`PipeError::TimedOut`]; others as for [`send`](Self::send).
    pub fn send_timeout(&self, value: S, time: Duration) -> Result<(), PipeError> {
        send(self.sending()?, &value, interrupt::deadline(time))
    }

    /// Receives a value; waits for one.
    ///
    /// # Errors
    /// [`PipeError::Closed`]: nobody sends any more. [`PipeError::Direction`]: this end only sends.
    /// [`PipeError::Message`]: what came is not an `R`.
    pub fn recv(&self) -> Result<R, PipeError> {
        receive(self.receiving()?, None)
    }

    /// Receives a value if one is there.
    ///
    /// # Errors
    /// [`PipeError::TimedOut`]: there is none yet; others as for [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<R, PipeError> {
        receive(self.receiving()?, Some(Instant::now()))
    }

    /// Receives a value; waits for one for the time.
    ///
    /// # Errors
    /// [`PipeError::TimedOut`]; others as for [`recv`](Self::recv).
    pub fn recv_timeout(&self, time: Duration) -> Result<R, PipeError> {
        receive(self.receiving()?, interrupt::deadline(time))
    }

    /// Whether `recv` would not wait, or not longer than this: a value is there, or the end.
    ///
    /// # Errors
    /// [`PipeError::Direction`]: this end only sends.
    pub fn poll(&self, time: Duration) -> Result<bool, PipeError> {
        Ok(self.receiving()?.is_ready(time).unwrap_or(true))
    }
}

impl<S: Message, R: Message> Clone for Connection<S, R> {
    fn clone(&self) -> Self {
        Connection::of(Arc::clone(&self.socket), self.way)
    }
}

impl<S: Message, R: Message> fmt::Debug for Connection<S, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sends, receives) = (std::any::type_name::<S>(), std::any::type_name::<R>());
        match self.way {
            Way::Both => write!(formatter, "Connection(sends {sends}, receives {receives})"),
            Way::Receives => write!(formatter, "Connection(only receives {receives})"),
            Way::Sends => write!(formatter, "Connection(only sends {sends})"),
        }
    }
}

impl<S: Message, R: Message> Serialize for Connection<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        (message::attach::<Z::Error>(self.socket.as_fd())?, self.way).serialize(serializer)
    }
}

impl<'de, S: Message, R: Message> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, way) = <(u32, Way)>::deserialize(deserializer)?;
        let descriptor = message::detach::<D::Error>(number)?;
        Ok(Connection::of(Arc::new(descriptor.into()), way))
    }
}
