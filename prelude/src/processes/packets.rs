//! Messages through a socket, each of them one packet.
//!
//! What is larger than a packet may be goes with it in memory of its own, whose descriptor the packet has.
//!
//! What always holds: a message comes to one reader as a whole or not at all, however many processes read and
//! write and whenever one of them is killed, because the system's own packets do. The end of the last socket on
//! the other side is an end here.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::linux;
use super::message::{self, HEADER, MOST_DESCRIPTORS, Packet};
use crate::interrupt;

/// What a packet has of a message; the system's limit is some 200 KiB. A writer is held up when a few packets wait,
/// so this is also what keeps many large messages from being on their way at the same time.
const WITHIN: usize = 32 << 10;

/// One end of a connection.
pub(crate) struct Socket(OwnedFd);

impl From<OwnedFd> for Socket {
    fn from(descriptor: OwnedFd) -> Socket {
        Socket(descriptor)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether a message went, or came.
pub(crate) enum Passage<T> {
    Done(T),
    /// Not in time.
    Late,
    /// Nobody is on the other side.
    Closed,
}

thread_local! {
    /// Where this thread receives packets.
    static RECEIVED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Socket {
    pub(crate) fn pair() -> io::Result<(Socket, Socket)> {
        let (one, other) = linux::packet_sockets()?;
        Ok((Socket(one), Socket(other)))
    }

    /// Sends a message; waits until there is room for it, at most until the deadline.
    ///
    /// # Errors
    /// There are too many handles, or no memory.
    pub(crate) fn send(
        &self,
        bytes: &[u8],
        handles: &[OwnedFd],
        deadline: Option<Instant>,
    ) -> io::Result<Passage<()>> {
        // One more is for the memory of a large message.
        if handles.len() >= MOST_DESCRIPTORS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "one message carries at most {} handles",
                    MOST_DESCRIPTORS - 1
                ),
            ));
        }
        // Of the whole message; the memory beyond is no handle.
        let header = message::header(bytes.len(), handles.len());
        let (within, beyond) = bytes.split_at(bytes.len().min(WITHIN));
        let mut descriptors: Vec<RawFd> = handles.iter().map(AsRawFd::as_raw_fd).collect();
        let beyond = (!beyond.is_empty())
            .then(|| {
                let file = File::from(linux::memory(0, false)?);
                file.write_all_at(beyond, 0).map(|()| file)
            })
            .transpose()?;
        descriptors.extend(beyond.as_ref().map(AsRawFd::as_raw_fd));
        let parts = [IoSlice::new(&header), IoSlice::new(within)];
        self.attempt(libc::POLLOUT, deadline, || {
            message::send_some(self.as_fd(), &parts, &descriptors).map(|_| Some(()))
        })
    }

    /// Receives a message; waits for one, at most until the deadline.
    ///
    /// # Errors
    /// What came is no message, or there is no memory for it.
    pub(crate) fn receive(&self, deadline: Option<Instant>) -> io::Result<Passage<Packet>> {
        let mut buffer = RECEIVED.take();
        buffer.resize(HEADER + WITHIN, 0);
        let mut descriptors = Vec::new();
        let received = self.attempt(libc::POLLIN, deadline, || {
            let length = message::receive_some(self.as_fd(), &mut buffer, &mut descriptors)?;
            Ok((length > 0).then_some(length))
        });
        let result = match received {
            Ok(Passage::Done(length)) => unpack(&buffer[..length], descriptors).map(Passage::Done),
            Ok(Passage::Late) => Ok(Passage::Late),
            Ok(Passage::Closed) => Ok(Passage::Closed),
            Err(error) => Err(error),
        };
        RECEIVED.set(buffer);
        result
    }

    /// Tries, and waits until the socket is ready to try again. `None` of the attempt is the end.
    fn attempt<T>(
        &self,
        events: i16,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> io::Result<Option<T>>,
    ) -> io::Result<Passage<T>> {
        let mut once = || match attempt() {
            Ok(Some(done)) => Some(Ok(Passage::Done(done))),
            Ok(None) => Some(Ok(Passage::Closed)),
            Err(error) if message::is_again(&error) => None,
            Err(error) => match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    Some(Ok(Passage::Closed))
                }
                _ => Some(Err(error)),
            },
        };
        // Most often it is ready, and then nobody needs to ask whether it is.
        if let Some(result) = once() {
            return result;
        }
        interrupt::wait(deadline, |slice| {
            match message::poll(self.as_fd(), events, slice) {
                Ok(true) => once(),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        })
        .unwrap_or(Ok(Passage::Late))
    }

    /// Whether a message, or the end, is there within the time.
    ///
    /// # Errors
    /// poll(2) fails.
    pub(crate) fn is_ready(&self, time: Duration) -> io::Result<bool> {
        interrupt::wait(interrupt::deadline(time), |slice| {
            message::poll(self.as_fd(), libc::POLLIN, slice)
                .map(|is_ready| is_ready.then_some(true))
                .transpose()
        })
        .unwrap_or(Ok(false))
    }
}

fn unpack(received: &[u8], mut descriptors: Vec<OwnedFd>) -> io::Result<Packet> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "this is no message of a pipe");
    let (header, within) = received.split_first_chunk::<HEADER>().ok_or_else(damaged)?;
    let (total, handles) = message::read_header(header);
    let beyond = total.checked_sub(within.len()).ok_or_else(damaged)?;
    let file = if beyond > 0 { descriptors.pop() } else { None };
    if descriptors.len() != handles || (beyond > 0) != file.is_some() {
        // The process may have no more descriptors, and then the system drops those that came.
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the message came without its descriptors; this process may have too many open files",
        ));
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(total)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.extend_from_slice(within);
    if let Some(file) = file {
        bytes.resize(total, 0);
        File::from(file).read_exact_at(&mut bytes[within.len()..], 0)?;
    }
    Ok(Packet { bytes, descriptors })
}
