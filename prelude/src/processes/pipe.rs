//! Pipes: connections of two ends, along which values go from one process to another.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::message::{self, Message, MessageError};
use super::packets::{Passage, Socket};
use crate::interrupt;

mod connection;

pub use connection::{Connection, duplex, one_way};

/// Why a value did not go through a pipe.
#[derive(Debug)]
pub enum PipeError {
    /// No process holds the other end any more, and all that was sent has been received.
    Closed,
    /// The other end did not take the value, or send one, in time.
    TimedOut,
    /// This end only sends, or only receives.
    Direction(&'static str),
    /// The value could not be written or read.
    Message(MessageError),
}

impl fmt::Display for PipeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PipeError::Closed => formatter.write_str(
                "the pipe has come to its end: no process holds the other end any more; \
                 do: end the loop here, or keep the other end for as long as it is needed",
            ),
            PipeError::TimedOut => formatter.write_str(
                "the pipe timed out: the other end did nothing in time; do: wait longer, or without a limit",
            ),
            PipeError::Direction(which) => write!(
                formatter,
                "wrong direction: this end of a one-way pipe only {which}; do: use the other end, or duplex()"
            ),
            PipeError::Message(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for PipeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PipeError::Message(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MessageError> for PipeError {
    fn from(error: MessageError) -> Self {
        PipeError::Message(error)
    }
}

/// A pipe in one direction: what is sent into the first end comes out of the second.
///
/// An end may be cloned, and given to processes. A value goes to one of those who receive, as a whole. When the
/// last [`Sender`] is gone, in all processes and however they ended, the [`Receiver`] comes to its end; so give an
/// end away by value, and keep no clone of it that you do not use. Queues, locks and other handles may be sent too.
///
/// A value waits in the pipe for its receiver, with others up to some hundred KiB; beyond that `send` waits.
///
/// ```
/// use forkline::prelude::*;
///
/// let (sender, receiver) = processes::pipe();
/// sender.send("one".to_owned())?;
/// sender.send("two".to_owned())?;
/// drop(sender);
/// assert_eq!(receiver.recv()?, "one");
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), ["two"]);
/// assert!(matches!(receiver.recv(), Err(processes::PipeError::Closed)));
/// # Ok::<(), processes::PipeError>(())
/// ```
///
/// # Panics
/// The system has no descriptors left.
#[track_caller]
pub fn pipe<T: Message>() -> (Sender<T>, Receiver<T>) {
    let (one, other) = sockets();
    (Sender::of(one), Receiver::of(other))
}

#[track_caller]
fn sockets() -> (Arc<Socket>, Arc<Socket>) {
    match Socket::pair() {
        Ok((one, other)) => (Arc::new(one), Arc::new(other)),
        Err(error) => {
            panic!("no pipe: {error}; do: drop pipes, queues and files that are not used any more")
        }
    }
}

/// The end of a [`pipe`] that sends.
pub struct Sender<T: Message> {
    socket: Arc<Socket>,
    message: PhantomData<fn(T)>,
}

/// The end of a [`pipe`] that receives.
pub struct Receiver<T: Message> {
    socket: Arc<Socket>,
    message: PhantomData<fn() -> T>,
}

impl<T: Message> Sender<T> {
    fn of(socket: Arc<Socket>) -> Self {
        Sender {
            socket,
            message: PhantomData,
        }
    }

    /// Sends a value; waits while the pipe is full.
    ///
    /// # Errors
    /// [`PipeError::Closed`]: nobody receives any more. [`PipeError::Message`]: the value has no form in bytes.
    pub fn send(&self, value: T) -> Result<(), PipeError> {
        send(&self.socket, &value, None)
    }

    /// Sends a value; waits for the time while the pipe is full.
    ///
    /// # Errors
    /// [`PipeError::TimedOut`]; others as for [`send`](Self::send).
    pub fn send_timeout(&self, value: T, time: Duration) -> Result<(), PipeError> {
        send(&self.socket, &value, interrupt::deadline(time))
    }
}

impl<T: Message> Receiver<T> {
    fn of(socket: Arc<Socket>) -> Self {
        Receiver {
            socket,
            message: PhantomData,
        }
    }

    /// Receives a value; waits for one.
    ///
    /// # Errors
    /// [`PipeError::Closed`]: nobody sends any more. [`PipeError::Message`]: what came is not a `T`.
    pub fn recv(&self) -> Result<T, PipeError> {
        receive(&self.socket, None)
    }

    /// Receives a value if one is there.
    ///
    /// # Errors
    /// [`PipeError::TimedOut`]: there is none yet; others as for [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<T, PipeError> {
        receive(&self.socket, Some(Instant::now()))
    }

    /// Receives a value; waits for one for the time.
    ///
    /// # Errors
    /// [`PipeError::TimedOut`]; others as for [`recv`](Self::recv).
    pub fn recv_timeout(&self, time: Duration) -> Result<T, PipeError> {
        receive(&self.socket, interrupt::deadline(time))
    }

    /// Whether `recv` would not wait, or not longer than this: a value is there, or the end.
    pub fn poll(&self, time: Duration) -> bool {
        self.socket.is_ready(time).unwrap_or(true)
    }

    /// The values that come, until the end.
    ///
    /// # Panics
    /// What came is not a `T`; [`recv`](Self::recv) returns an error instead.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }
}

/// The values that come out of a pipe. See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: Message> {
    receiver: &'a Receiver<T>,
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(self.receiver)
    }
}

/// The values that come out of a pipe, whose end goes with the iterator.
#[derive(Debug)]
pub struct IntoIter<T: Message> {
    receiver: Receiver<T>,
}

impl<T: Message> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(&self.receiver)
    }
}

impl<T: Message> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<'a, T: Message> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

fn next<T: Message>(receiver: &Receiver<T>) -> Option<T> {
    match receiver.recv() {
        Ok(value) => Some(value),
        Err(PipeError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

fn send<T: Message>(
    socket: &Socket,
    value: &T,
    deadline: Option<Instant>,
) -> Result<(), PipeError> {
    let sent = match message::plain_bytes(value) {
        Some(bytes) => socket.send(bytes, &[], deadline),
        None => {
            let packet = message::encode(value, true)?;
            socket.send(&packet.bytes, &packet.descriptors, deadline)
        }
    };
    passed(sent)
}

fn receive<T: Message>(socket: &Socket, deadline: Option<Instant>) -> Result<T, PipeError> {
    Ok(message::decode(passed(socket.receive(deadline))?)?)
}

fn passed<T>(passage: io::Result<Passage<T>>) -> Result<T, PipeError> {
    match passage {
        Ok(Passage::Done(value)) => Ok(value),
        Ok(Passage::Late) => Err(PipeError::TimedOut),
        Ok(Passage::Closed) => Err(PipeError::Closed),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(MessageError::Encode(error.to_string()).into())
        }
        Err(error) => Err(MessageError::Io(error).into()),
    }
}

macro_rules! end {
    ($end:ident) => {
        impl<T: Message> Clone for $end<T> {
            fn clone(&self) -> Self {
                Self::of(Arc::clone(&self.socket))
            }
        }

        impl<T: Message> fmt::Debug for $end<T> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    formatter,
                    "{}<{}>",
                    stringify!($end),
                    std::any::type_name::<T>()
                )
            }
        }

        impl<T: Message> Serialize for $end<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                message::attach::<S::Error>(self.socket.as_fd())?.serialize(serializer)
            }
        }

        impl<'de, T: Message> Deserialize<'de> for $end<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let descriptor = message::detach::<D::Error>(u32::deserialize(deserializer)?)?;
                Ok(Self::of(Arc::new(descriptor.into())))
            }
        }
    };
}

end!(Sender);
end!(Receiver);

#[cfg(test)]
mod tests;
