//! What travels once both sides have proved the key: tarpc's messages, in postcard, in frames of a limited length.
//!
//! Arguments and answers are bytes here. Their types are known to the trait's own code in the cells (`object`); so tarpc is
//! compiled once, with the pack, and a cell with a new trait compiles in no more time than another.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};
use tarpc::serde_transport::{self, Transport};
use tokio::net::TcpStream;
use tokio_util::codec::LengthDelimitedCodec;

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub object: String,
    pub method: String,
    pub arguments: Bytes,
}

impl tarpc::RequestName for Request {
    fn name(&self) -> &str {
        &self.method
    }
}

/// An answer: what the method returned, as bytes, or why it was not called.
pub(crate) type Reply = Result<Bytes, Fault>;

/// Why there is no answer, as far as the server can say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Fault {
    /// The object is not there.
    NoObject,
    /// The object has other methods.
    NoMethod {
        /// Those that it has.
        exposed: Vec<String>,
    },
    /// The arguments cannot be read, or the answer cannot be written.
    Mismatch {
        /// Why.
        why: String,
    },
    /// The method panicked.
    Panicked {
        /// Its message.
        message: String,
    },
    /// The answer is longer than the limit.
    TooLarge {
        /// Its length.
        length: usize,
    },
}

/// Frames have this much around the arguments: the names, a number, a deadline.
const AROUND: usize = 4096;

/// A name or a URI within a request is no longer.
pub(crate) const LONGEST_NAME: usize = 200;

/// Messages over a connection on which the key was proved.
pub(crate) fn transport<Item, SinkItem>(
    stream: TcpStream,
    max_message: usize,
) -> Transport<TcpStream, Item, SinkItem, Postcard>
where
    Item: DeserializeOwned,
    SinkItem: Serialize,
{
    let framed = LengthDelimitedCodec::builder()
        .max_frame_length(max_message.saturating_add(AROUND))
        .new_framed(stream);
    serde_transport::new(framed, Postcard)
}

/// A peer that is gone without a word, or takes nothing, is found out within this time.
const SILENCE: Duration = Duration::from_secs(30);

/// Messages leave at once, and a peer that is gone is noticed.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(SILENCE)
            .with_interval(SILENCE / 6),
    )?;
    socket.set_tcp_user_timeout(Some(SILENCE))
}

/// The format of messages.
pub(crate) struct Postcard;

fn invalid(error: postcard::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<T: Serialize> tokio_serde::Serializer<T> for Postcard {
    type Error = io::Error;

    fn serialize(self: Pin<&mut Self>, item: &T) -> io::Result<Bytes> {
        postcard::to_stdvec(item).map(Bytes::from).map_err(invalid)
    }
}

impl<T: DeserializeOwned> tokio_serde::Deserializer<T> for Postcard {
    type Error = io::Error;

    fn deserialize(self: Pin<&mut Self>, bytes: &BytesMut) -> io::Result<T> {
        postcard::from_bytes(bytes).map_err(invalid)
    }
}
