//! The frames of the side channel, in both directions: how they are laid out, written and read.
//!
//! The worker sends what a cell prints and shows as frames over a stream socket of its own, because
//! evcxr's pipe knows only whole lines of UTF-8. A frame is a header of 20 bytes and a payload:
//!
//! ```text
//! 0..4    length of the payload (little endian)
//! 4       kind
//! 5..8    zero
//! 8..12   1 + the rank that sends it, for a rank of a group (see `group`); else zero
//! 12..20  run: which load order of evcxr the frame belongs to, counted from 1 in each worker
//! ```
//!
//! This module knows bytes only; what a kind means is written at the kind.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};

/// Length of the header in bytes.
pub const HEADER: usize = 20;

/// A payload longer than this is taken for a broken stream, not for a large output.
const MAX_PAYLOAD: usize = 1 << 30;

/// What this process writes into bytes 8..12 of each header.
static SENDER: AtomicU32 = AtomicU32::new(0);

/// From now on this process sends as a rank of a group.
pub fn send_as_rank(rank: u32) {
    SENDER.store(rank + 1, Ordering::Relaxed);
}

/// Whether this process is a rank of a group.
pub fn is_rank() -> bool {
    SENDER.load(Ordering::Relaxed) != 0
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// What a frame says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $value,)* }

        impl Kind {
            fn from_byte(byte: u8) -> Option<Kind> {
                match byte { $($value => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    // From the prelude, passed on by the worker. The numbers are part of the prelude's C interface.
    /// JSON of a MIME bundle: shown at once.
    Display = 1,
    /// `0` or `1`: clear the cell's output, at once or when the next output comes.
    ClearOutput = 2,
    /// JSON of a panic, from the prelude's panic hook; the worker adds the stack, and the process id of its copy.
    Panic = 3,
    /// JSON of a named report, for instance the sizes of variables.
    Report = 4,
    /// Bytes of a value that is to be handed over to another process.
    Value = 5,

    // From the worker.
    /// JSON with the worker's process id; the first frame of a connection.
    Hello = 16,
    /// The path of a cell's library that is about to run.
    RunStarted = 17,
    /// JSON of the run's times and memory.
    RunEnded = 18,
    /// Bytes written to the standard output.
    Stdout = 19,
    /// Bytes written to the standard error.
    Stderr = 20,
    /// JSON of a prompt: user code waits for a line of input.
    InputRequest = 21,
    /// The cell's code ended by a panic that nothing caught.
    Panicked = 22,
    /// JSON of an error that a `?` of the cell returned.
    UserError = 23,
    /// The token of a `Sync`: all that was sent before it has been seen.
    Synced = 24,
    /// Signal number, flags and address of a fatal signal (see `crash`).
    Crash = 25,
    /// Text: the cell's library could not be loaded.
    LoadFailed = 26,
    /// The prelude's library on disk is no longer the one in memory; the cell has not run.
    PreludeChanged = 27,
    /// Text: the name of a variable that evcxr lost because its type was defined anew.
    VariableLost = 28,
    /// JSON of a line of a cell's generated source, with a token: which line of which cell is it? Or of `frames`, addresses in
    /// cells' libraries: which functions and lines are they?
    Locate = 29,
    /// JSON: the process of a rank calls `exit`, with this status, at this place.
    Exiting = 30,
    /// The number (u32, little endian) of the rank that the leader of a group has lost first.
    RankGone = 31,
    /// JSON: where this process stands, asked for by `Where`.
    Standing = 32,
    /// The leader of a group has started the launcher, and waits for the ranks.
    Launched = 33,

    // From the kernel.
    /// A token to be sent back as `Synced`.
    Sync = 64,
    /// JSON object of environment variables; null removes one.
    SetEnv = 65,
    /// The new current directory.
    Chdir = 66,
    /// JSON: the line typed, or why there is none.
    InputReply = 67,
    /// The number of a run (u64, little endian) that is to end, keeping what it can.
    Interrupt = 68,
    /// `0` or `1`: whether the runs to come are to be profiled.
    Profile = 69,
    /// JSON: the token of a `Locate` and the place as text, null if the user did not write the line; or the `frames` as texts.
    Located = 70,
    /// A token (u64, little endian), and a byte that is 1 if the stack of the cell's thread is wanted too.
    Where = 71,
    /// `0`, `1` or `2`: whether copies of panics are to be kept; 2 is no, and those that there are go.
    KeepPanics = 72,
}

/// One frame, read whole.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: Kind,
    /// The rank that has sent it, if a rank has.
    pub rank: Option<u32>,
    pub run: u64,
    pub payload: Vec<u8>,
}

/// The header of a frame with this payload length.
pub fn header(kind: Kind, run: u64, length: usize) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    // A payload never reaches 4 GiB: senders split streams, and a bundle that long is refused above.
    bytes[0..4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[4] = kind as u8;
    bytes[8..12].copy_from_slice(&SENDER.load(Ordering::Relaxed).to_le_bytes());
    bytes[12..20].copy_from_slice(&run.to_le_bytes());
    bytes
}

/// A frame as one run of bytes.
pub fn encode(kind: Kind, run: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&header(kind, run, payload.len()));
    bytes.extend_from_slice(payload);
    bytes
}

/// Cuts a byte stream into frames, however it was split on the way.
#[derive(Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes as they came from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, or none yet.
    ///
    /// # Errors
    /// `InvalidData` if the bytes cannot be a frame; the connection is then useless.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let bytes = &self.bytes[self.start..];
        if bytes.len() < HEADER {
            return Ok(None);
        }
        let number = |range: std::ops::Range<usize>| {
            u32::from_le_bytes(bytes[range].try_into().expect("four bytes"))
        };
        let length = number(0..4) as usize;
        let kind = Kind::from_byte(bytes[4]);
        let (Some(kind), true) = (kind, length <= MAX_PAYLOAD) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("not a frame: kind {}, length {length}", bytes[4]),
            ));
        };
        if bytes.len() < HEADER + length {
            return Ok(None);
        }
        let frame = Frame {
            kind,
            rank: number(8..12).checked_sub(1),
            run: u64::from_le_bytes(bytes[12..20].try_into().expect("eight bytes")),
            payload: bytes[HEADER..HEADER + length].to_vec(),
        };
        self.start += HEADER + length;
        Ok(Some(frame))
    }
}

/// Reads the next frame from a blocking socket; none at the end of the stream.
///
/// # Errors
/// What the socket says, or `InvalidData` for bytes that are no frame.
pub fn read_frame(socket: &mut impl Read, decoder: &mut Decoder) -> io::Result<Option<Frame>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(frame) = decoder.next_frame()? {
            return Ok(Some(frame));
        }
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_split_of_the_stream() {
        let mut stream = encode(Kind::Stdout, 7, b"hello");
        stream.extend(encode(Kind::RunEnded, 8, b""));
        for step in 1..stream.len() {
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                decoder.push(chunk);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), 2, "step {step}");
            assert_eq!(frames[0].kind, Kind::Stdout);
            assert_eq!(frames[0].run, 7);
            assert_eq!(frames[0].payload, b"hello");
            assert_eq!(frames[1].run, 8);
        }
    }

    #[test]
    fn an_unknown_kind_is_an_error_not_a_wait() {
        let mut bytes = encode(Kind::Stdout, 0, b"");
        bytes[4] = 200;
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert!(decoder.next_frame().is_err());
    }
}
