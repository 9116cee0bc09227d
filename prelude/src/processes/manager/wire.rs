//! What proxies and the server say to each other. Keys and values are bytes there: the server knows no types.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::processes::message;

/// A key or value in bytes, written in one go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl Visitor<'_> for Take {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Take)
    }
}

/// An end of a connection that goes to the server.
#[derive(Debug)]
pub(super) struct End(pub OwnedFd);

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        message::attach::<S::Error>(self.0.as_fd())?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        message::detach::<D::Error>(u32::deserialize(deserializer)?).map(End)
    }
}

/// A question, about an object.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// Comes back with the answer. A question whose asker was interrupted is answered all the same.
    pub number: u64,
    pub object: u64,
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Take this connection too. Has no answer.
    Connect(End),
    NewDict,
    NewList,
    Len,
    Clear,
    // Of dictionaries.
    Get(Bytes),
    Insert(Vec<(Bytes, Bytes)>),
    Remove(Bytes),
    /// Put the second value, or none, if the first, or none, is what the key has.
    Exchange(Bytes, Option<Bytes>, Option<Bytes>),
    Entries,
    // Of lists.
    At(u64),
    SetAt(u64, Bytes),
    /// Put the second value if the first is there.
    ExchangeAt(u64, Bytes, Bytes),
    InsertAt(u64, Bytes),
    RemoveAt(u64),
    Pop,
    Extend(Vec<Bytes>),
    Items,
}

/// An answer, with its question's number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub number: u64,
    pub reply: Reply,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Count(u64),
    Found(Option<Bytes>),
    Flag(bool),
    Entries(Vec<(Bytes, Bytes)>),
    Items(Vec<Bytes>),
    /// There is no such place; the length of the list.
    NoPlace(u64),
    /// The object does not know this question.
    Strange,
}
