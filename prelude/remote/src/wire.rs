//! What travels once both sides have proved the key: a request, its answer, the next request, each in a frame with its length.
//!
//! The caller's thread writes a request and reads its answer, the server's thread for that connection does the opposite, and
//! nobody else has a hand in it: no call is handed from thread to thread. So a connection has one call at a time, and who
//! wants several opens more connections.
//!
//! What always holds: a length is judged before anything is read or reserved for it, and memory is touched only as far as bytes
//! have come; a frame is written by one call of the system as long as the peer takes it.
//!
//! ```text
//! request: length u32 | milliseconds left u32 | length of method u16 | of object u16 | arguments | method | object
//! answer:  length u32 | 0 and the value, or 1 and the fault
//! ```
//!
//! Numbers are big-endian, a length counts what comes behind it. Values are in postcard's format; a block of bytes is in it
//! as it lies in memory, whatever the machine, so it is copied as a whole ([`Block`]).

use std::io::{self, Read, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;

use forkline::libc;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};

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

/// Frames have this much around the arguments: the names, a time, and in an answer a fault's words.
pub(crate) const AROUND: usize = 4096;

/// A name or a URI within a request is no longer.
pub(crate) const LONGEST_NAME: usize = 200;

/// A buffer that has grown larger is not kept for the next message.
const KEPT: usize = 2 << 20;

/// A peer that is gone without a word, or takes nothing, is found out within this time.
const SILENCE: Duration = Duration::from_secs(30);

/// Messages leave at once, and a peer that is gone is noticed.
pub(crate) fn prepare(stream: &tokio::net::TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(SILENCE)
            .with_interval(SILENCE / 6),
    )?;
    socket.set_tcp_user_timeout(Some(SILENCE))
}

/// A connection on which the key was proved, for threads that block: a wait for the peer is cut into slices of this length.
pub(crate) fn blocking(
    stream: tokio::net::TcpStream,
    read: Duration,
    write: Option<Duration>,
) -> io::Result<TcpStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(read))?;
    stream.set_write_timeout(write)?;
    Ok(stream)
}

/// Whether the peer is there and has said nothing more, as far as this machine knows.
pub(crate) fn is_quiet(stream: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    let peeked = SockRef::from(stream).recv_with_flags(&mut byte, flags);
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Why there is no frame.
pub(crate) enum Broken {
    /// The peer closed the connection between two frames.
    Ended,
    /// It closed it within one.
    HalfWay,
    /// One was announced that is longer than the limit.
    TooLong { length: usize, limit: usize },
    /// The connection failed.
    Io(io::Error),
    /// The time is over.
    Late,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Ended => out.write_str("the other side closed it"),
            Broken::HalfWay => out.write_str("it ended in the middle of a message"),
            Broken::TooLong { length, limit } => {
                write!(
                    out,
                    "frame size too big: {length} bytes, the limit is {limit}"
                )
            }
            Broken::Io(error) => error.fmt(out),
            Broken::Late => out.write_str("the time is over"),
        }
    }
}

/// Whether a wait was cut short and may go on.
fn is_slice(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Writes all of a frame. After each slice of a wait `go_on` is asked.
pub(crate) fn send(
    mut stream: &TcpStream,
    mut frame: &[u8],
    mut go_on: impl FnMut() -> bool,
) -> Result<(), Broken> {
    while !frame.is_empty() {
        match stream.write(frame) {
            Ok(0) => return Err(Broken::Ended),
            Ok(n) => frame = &frame[n..],
            Err(error) if is_slice(&error) => {
                if !go_on() {
                    return Err(Broken::Late);
                }
            }
            Err(error) => return Err(Broken::Io(error)),
        }
    }
    Ok(())
}

/// What comes over a connection, frame by frame.
pub(crate) struct Frames {
    /// Most frames come into it with one read; what is between `start` and `end` has come and was not given out.
    short: Box<[u8]>,
    start: usize,
    end: usize,
    /// For a frame that is longer.
    long: Vec<u8>,
    /// Where in `short` the last frame is; none: it is `long`.
    last: Option<Range<usize>>,
}

impl Frames {
    pub fn new() -> Frames {
        Frames {
            short: vec![0; 8 << 10].into_boxed_slice(),
            start: 0,
            end: 0,
            long: Vec::new(),
            last: None,
        }
    }

    /// The last frame, without its length.
    pub fn last(&self) -> &[u8] {
        match &self.last {
            Some(place) => &self.short[place.clone()],
            None => &self.long,
        }
    }

    /// Waits for the next frame. After each slice of the wait `go_on` is asked.
    pub fn next(
        &mut self,
        mut stream: &TcpStream,
        limit: usize,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<(), Broken> {
        self.short.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let length = loop {
            if let Some(length) = self.short[..self.end].first_chunk() {
                break u32::from_be_bytes(*length) as usize;
            }
            match stream.read(&mut self.short[self.end..]) {
                Ok(0) if self.end == 0 => return Err(Broken::Ended),
                Ok(0) => return Err(Broken::HalfWay),
                Ok(n) => self.end += n,
                Err(error) if is_slice(&error) => {
                    // Nothing comes for a while: what a long frame needed is not kept until then.
                    self.long = Vec::new();
                    if !go_on() {
                        return Err(Broken::Late);
                    }
                }
                Err(error) => return Err(Broken::Io(error)),
            }
        };
        if length > limit {
            return Err(Broken::TooLong { length, limit });
        }
        self.start = size_of::<u32>();
        let come = &self.short[self.start..self.end];
        if come.len() >= length {
            let frame = self.start..self.start + length;
            self.start = frame.end;
            self.last = Some(frame);
            return Ok(());
        }
        self.last = None;
        self.long.clear();
        self.long
            .try_reserve_exact(length)
            .map_err(|_| Broken::Io(io::ErrorKind::OutOfMemory.into()))?;
        self.long.extend_from_slice(come);
        (self.start, self.end) = (0, 0);
        while self.long.len() < length {
            let missing = (length - self.long.len()) as u64;
            // What has come before an error is in the vector.
            match Read::take(stream, missing).read_to_end(&mut self.long) {
                Ok(_) if self.long.len() < length => return Err(Broken::HalfWay),
                Ok(_) => {}
                Err(error) if is_slice(&error) => {
                    if !go_on() {
                        return Err(Broken::Late);
                    }
                }
                Err(error) => return Err(Broken::Io(error)),
            }
        }
        Ok(())
    }

    /// Whether nothing has come behind the last frame.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The last frame is not needed any more.
    pub fn done(&mut self) {
        reuse(&mut self.long);
    }
}

/// Empties a buffer for the next message.
pub(crate) fn reuse(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
    buffer.clear();
}

/// A call, as it came.
pub(crate) struct Request<'a> {
    pub left: Duration,
    pub arguments: &'a [u8],
    pub method: &'a str,
    pub object: &'a str,
}

/// What a request begins with, its length included.
const HEAD: usize = 12;

impl<'a> Request<'a> {
    /// An empty one, to which the arguments are appended.
    pub fn begin(buffer: &mut Vec<u8>) {
        reuse(buffer);
        buffer.extend_from_slice(&[0; HEAD]);
    }

    /// How long the arguments are that were appended.
    pub fn length(buffer: &[u8]) -> usize {
        buffer.len() - HEAD
    }

    /// Makes it whole. None: a name is too long.
    pub fn finish(buffer: &mut Vec<u8>, left: Duration, method: &str, object: &str) -> Option<()> {
        buffer.extend_from_slice(method.as_bytes());
        buffer.extend_from_slice(object.as_bytes());
        let length = u32::try_from(buffer.len() - size_of::<u32>()).ok()?;
        // Rounded up, so that the server does not give up before the caller does.
        let left = u32::try_from(left.as_millis() + 1).unwrap_or(u32::MAX);
        let method = u16::try_from(method.len()).ok()?;
        let object = u16::try_from(object.len()).ok()?;
        buffer[..4].copy_from_slice(&length.to_be_bytes());
        buffer[4..8].copy_from_slice(&left.to_be_bytes());
        buffer[8..10].copy_from_slice(&method.to_be_bytes());
        buffer[10..HEAD].copy_from_slice(&object.to_be_bytes());
        Some(())
    }

    /// What a frame says, if it is a request.
    pub fn parse(frame: &'a [u8]) -> Option<Request<'a>> {
        let (left, frame) = frame.split_first_chunk()?;
        let (method, frame) = frame.split_first_chunk()?;
        let (object, frame) = frame.split_first_chunk()?;
        let object = frame
            .len()
            .checked_sub(u16::from_be_bytes(*object).into())?;
        let (frame, object) = frame.split_at(object);
        let method = frame
            .len()
            .checked_sub(u16::from_be_bytes(*method).into())?;
        let (arguments, method) = frame.split_at(method);
        Some(Request {
            left: Duration::from_millis(u32::from_be_bytes(*left).into()),
            arguments,
            method: std::str::from_utf8(method).ok()?,
            object: std::str::from_utf8(object).ok()?,
        })
    }
}

/// An answer, in a buffer.
pub(crate) struct Reply;

/// What an answer begins with, its length included.
const REPLY_HEAD: usize = 5;

impl Reply {
    /// An empty one, to which the value is appended.
    pub fn begin(buffer: &mut Vec<u8>) {
        reuse(buffer);
        buffer.extend_from_slice(&[0; REPLY_HEAD]);
    }

    /// Makes it whole: the value was appended, no longer than the limit, or there is a fault.
    pub fn finish(buffer: &mut Vec<u8>, limit: usize, mut outcome: Result<(), Fault>) {
        let length = buffer.len() - REPLY_HEAD;
        if outcome.is_ok() && length > limit {
            outcome = Err(Fault::TooLarge { length });
        }
        if let Err(fault) = outcome {
            Reply::begin(buffer);
            buffer[4] = 1;
            let fault = shortened(fault);
            // A fault is of plain types, which postcard can write; if it could not, an empty one is one that nobody can read.
            let _written = encode(&fault, buffer);
        }
        let length = u32::try_from(buffer.len() - size_of::<u32>()).unwrap_or(u32::MAX);
        buffer[..4].copy_from_slice(&length.to_be_bytes());
    }

    /// What a frame says: the value, as bytes, or a fault. None: it is no answer.
    pub fn parse(frame: &[u8]) -> Option<Result<&[u8], Fault>> {
        match frame.split_first()? {
            (0, value) => Some(Ok(value)),
            (1, fault) => postcard::from_bytes(fault).ok().map(Err),
            _ => None,
        }
    }
}

/// A fault whose words fit into any frame.
fn shortened(fault: Fault) -> Fault {
    let short = |text: String| text.chars().take(AROUND / 8).collect();
    match fault {
        Fault::Mismatch { why } => Fault::Mismatch { why: short(why) },
        Fault::Panicked { message } => Fault::Panicked {
            message: short(message),
        },
        other => other,
    }
}

/// Appends a value to a buffer.
///
/// # Errors
/// serde cannot write it.
pub(crate) fn encode(
    value: &(impl Serialize + ?Sized),
    buffer: &mut Vec<u8>,
) -> Result<(), postcard::Error> {
    postcard::serialize_with_flavor(value, Appended(buffer))
}

/// postcard's own writers take the buffer away and give it back, and lose it with an error.
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The bytes of a `Vec<u8>`, written and read as a whole: serde would hand them over one by one. In postcard's format they
/// are the same, so the other side may read a `Vec<u8>`.
pub struct Block(pub Vec<u8>);

/// The same, written by one who keeps it.
pub struct BlockRef<'a>(pub &'a [u8]);

impl Serialize for Block {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl Serialize for BlockRef<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Block, D::Error> {
        <&[u8]>::deserialize(deserializer).map(|bytes| Block(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_bytes_is_what_a_vector_is() {
        let bytes = vec![0, 1, 127, 128, 255];
        let plain = postcard::to_stdvec(&(7_u8, &bytes)).unwrap();
        let mut block = Vec::new();
        encode(&(7_u8, BlockRef(&bytes)), &mut block).unwrap();
        assert_eq!(block, plain);
        let (_, read): (u8, Block) = postcard::from_bytes(&plain).unwrap();
        assert_eq!(read.0, bytes);
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let mut buffer = vec![1; 100];
        Request::begin(&mut buffer);
        encode("arguments", &mut buffer).unwrap();
        assert_eq!(Request::length(&buffer), 10);
        let left = Duration::from_millis(1500);
        Request::finish(&mut buffer, left, "method", "object").unwrap();
        let length = u32::from_be_bytes(*buffer.first_chunk().unwrap());
        assert_eq!(length as usize, buffer.len() - 4);
        let request = Request::parse(&buffer[4..]).unwrap();
        assert_eq!((request.method, request.object), ("method", "object"));
        assert_eq!(request.arguments, b"\x09arguments");
        assert!(request.left >= left);
    }

    #[test]
    fn what_is_no_request_is_none() {
        for bad in [
            &[][..],
            &[0xff; 5],
            &[0xff; 100],
            &[0, 0, 0, 0, 0, 1, 0, 0],
            &[0, 0, 0, 0, 0, 1, 0, 1, b'a'],
            &[0, 0, 0, 0, 0, 1, 0, 0, 0xff],
        ] {
            assert!(Request::parse(bad).is_none(), "{bad:?}");
        }
    }
}
