//! The side of who asks: an object's number, and a connection to the server.
//!
//! A proxy that travels takes a connection of its own along: a new pair of sockets, of which one end goes to the
//! server by the connection that is there.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ManagerError;
use super::wire::{Answer, Ask, Bytes, End, Reply, Request};
use crate::processes::linux;
use crate::processes::message::{self, Message, MessageError};
use crate::processes::packets::{Passage, Socket};

pub(super) struct Connection(Mutex<Line>);

struct Line {
    socket: Socket,
    /// The process that uses it: a forked one needs another, or it would get the answers to this one's questions.
    process: u32,
    /// Of the last question.
    number: u64,
}

impl Connection {
    pub(super) fn new(socket: Socket) -> Self {
        Connection(Mutex::new(Line {
            socket,
            process: std::process::id(),
            number: 0,
        }))
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(&self, object: u64, ask: Ask) -> Result<Reply, ManagerError> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if line.process != std::process::id() {
            line.socket = line.socket.another()?.into();
            line.process = std::process::id();
        }
        line.number += 1;
        let number = line.number;
        line.socket.tell(&Request {
            number,
            object,
            ask,
        })?;
        loop {
            match line.socket.receive(None)? {
                Passage::Done(packet) => {
                    let answer: Answer = message::decode(packet)?;
                    // Earlier ones are of questions whose asker was interrupted.
                    if answer.number == number {
                        return Ok(answer.reply);
                    }
                }
                Passage::Late | Passage::Closed => return Err(ManagerError::Gone),
            }
        }
    }
}

impl Socket {
    fn tell(&self, request: &Request) -> Result<(), ManagerError> {
        let packet = message::encode(request, true)?;
        match self.send(&packet.bytes, &packet.descriptors, None)? {
            Passage::Done(()) => Ok(()),
            Passage::Late | Passage::Closed => Err(ManagerError::Gone),
        }
    }

    /// Another connection to the same server.
    fn another(&self) -> Result<OwnedFd, ManagerError> {
        let (ours, theirs) = linux::packet_sockets()?;
        self.tell(&Request {
            number: 0,
            object: 0,
            ask: Ask::Connect(End(theirs)),
        })?;
        Ok(ours)
    }
}

/// An object of the server.
#[derive(Clone)]
pub(super) struct Proxy {
    connection: Arc<Connection>,
    object: u64,
}

impl Proxy {
    pub(super) fn new(connection: Arc<Connection>, object: u64) -> Self {
        Proxy { connection, object }
    }

    pub(super) fn call(&self, ask: Ask) -> Result<Reply, ManagerError> {
        self.connection.call(self.object, ask)
    }

    pub(super) fn count(&self, ask: Ask) -> Result<usize, ManagerError> {
        match self.call(ask)? {
            Reply::Count(count) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            reply => Err(unexpected(&reply)),
        }
    }

    pub(super) fn flag(&self, ask: Ask) -> Result<bool, ManagerError> {
        match self.call(ask)? {
            Reply::Flag(flag) => Ok(flag),
            reply => Err(unexpected(&reply)),
        }
    }

    pub(super) fn found(&self, ask: Ask) -> Result<Option<Bytes>, ManagerError> {
        match self.call(ask)? {
            Reply::Found(found) => Ok(found),
            reply => Err(unexpected(&reply)),
        }
    }
}

/// The error that a reply of another kind than was asked for is.
pub(super) fn unexpected(reply: &Reply) -> ManagerError {
    MessageError::Decode(format!("the manager answered {reply:?}")).into()
}

/// # Errors
/// The value has no form in bytes, or a handle in it: the server would keep it as bytes, which mean nothing then.
pub(super) fn to_bytes<T: Message>(value: &T) -> Result<Bytes, ManagerError> {
    Ok(Bytes(message::encode(value, false)?.bytes))
}

pub(super) fn from_bytes<T: Message>(bytes: Bytes) -> Result<T, ManagerError> {
    Ok(message::decode(message::Packet {
        bytes: bytes.0,
        descriptors: Vec::new(),
    })?)
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = self
            .connection
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let socket = line.socket.another().map_err(serde::ser::Error::custom)?;
        let number = message::attach::<S::Error>(socket.as_fd())?;
        (number, self.object).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, object) = <(u32, u64)>::deserialize(deserializer)?;
        let socket = Socket::from(message::detach::<D::Error>(number)?);
        Ok(Proxy::new(Arc::new(Connection::new(socket)), object))
    }
}

/// Gives a typed proxy its way to other processes, clones, and what it shows.
macro_rules! proxy {
    ($proxy:ident<$($type:ident),*>) => {
        impl<$($type: Message),*> $proxy<$($type),*> {
            pub(super) fn of(proxy: Proxy) -> Self {
                $proxy { proxy, types: std::marker::PhantomData }
            }
        }

        impl<$($type: Message),*> Clone for $proxy<$($type),*> {
            fn clone(&self) -> Self {
                Self::of(self.proxy.clone())
            }
        }

        impl<$($type: Message),*> serde::Serialize for $proxy<$($type),*> {
            fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                self.proxy.serialize(serializer)
            }
        }

        impl<'de, $($type: Message),*> serde::Deserialize<'de> for $proxy<$($type),*> {
            fn deserialize<Z: serde::Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
                Proxy::deserialize(deserializer).map(Self::of)
            }
        }
    };
}
pub(super) use proxy;
