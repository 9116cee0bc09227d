//! Values as messages of MPI: bytes, and behind them a digest of the type, so that a receive of another type is told.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::error::{Call, MpiError, MpiResult};
use crate::processes::message::{self, Message, MessageError, Packet};

const DIGEST: usize = 8;

/// What can be sent to another rank: every [`Message`] type, and text and slices as what they are the borrowed form of,
/// `String` and `Vec`.
pub trait Parcel {
    /// What is received.
    type Owned: Message;

    #[doc(hidden)]
    fn bytes(&self, into: &mut Vec<u8>) -> Result<(), MessageError>;
}

impl<T: Message> Parcel for T {
    type Owned = T;

    fn bytes(&self, into: &mut Vec<u8>) -> Result<(), MessageError> {
        message::encode_into(self, false, into).map(drop)
    }
}

impl Parcel for str {
    type Owned = String;

    fn bytes(&self, into: &mut Vec<u8>) -> Result<(), MessageError> {
        message::encode_into(&self.to_owned(), false, into).map(drop)
    }
}

impl<T: Message + Clone> Parcel for [T] {
    type Owned = Vec<T>;

    fn bytes(&self, into: &mut Vec<u8>) -> Result<(), MessageError> {
        message::encode_into(&self.to_vec(), false, into).map(drop)
    }
}

/// A digest of a type's name, the same on all ranks: they run the same program.
pub(super) fn digest<T>() -> u64 {
    let mut hasher = DefaultHasher::new();
    std::any::type_name::<T>().hash(&mut hasher);
    hasher.finish()
}

/// Adds a value's bytes to those that are there.
pub(super) fn encode<P: Parcel + ?Sized>(
    call: &Call,
    value: &P,
    into: &mut Vec<u8>,
) -> MpiResult<()> {
    value.bytes(into).map_err(|source| MpiError::Message {
        call: *call,
        source,
    })
}

/// A value as a message of its own.
pub(super) fn pack<P: Parcel + ?Sized>(call: &Call, value: &P) -> MpiResult<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(call, value, &mut bytes)?;
    bytes.extend_from_slice(&digest::<P::Owned>().to_le_bytes());
    Ok(bytes)
}

pub(super) fn decode<T: Message>(call: &Call, bytes: Vec<u8>) -> MpiResult<T> {
    let descriptors = Vec::new();
    message::decode(Packet { bytes, descriptors }).map_err(|source| MpiError::Message {
        call: *call,
        source,
    })
}

/// The value of a message.
pub(super) fn unpack<T: Message>(call: &Call, mut bytes: Vec<u8>) -> MpiResult<T> {
    let at = bytes.len().saturating_sub(DIGEST);
    if bytes[at..] != digest::<T>().to_le_bytes() {
        let why = format!(
            "the message ({} bytes) is no {}: it was sent as another type, or from a slice",
            bytes.len(),
            std::any::type_name::<T>()
        );
        let source = MessageError::Decode(why);
        return Err(MpiError::Message {
            call: *call,
            source,
        });
    }
    bytes.truncate(at);
    decode(call, bytes)
}

/// A length as MPI counts.
pub(super) fn count(call: &Call, length: usize) -> MpiResult<i32> {
    i32::try_from(length).map_err(|_| MpiError::TooLong {
        call: *call,
        length,
    })
}
