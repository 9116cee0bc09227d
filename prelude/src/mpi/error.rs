//! What can go wrong: with MPI itself, with what a call was given, with what another rank did.

use std::fmt;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Instant;

use super::{Peer, Tag};
use crate::processes::message::MessageError;
use crate::rt;

/// What calls of MPI return.
pub type MpiResult<T> = Result<T, MpiError>;

/// A call of MPI: its name, whom it concerns, and where it stands in the cell.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The method, for instance `send`.
    pub name: &'static str,
    /// The other rank, for messages from one rank to another, or the root of a collective call.
    pub peer: Option<Peer>,
    /// The message's tag.
    pub tag: Option<Tag>,
    /// The line of the caller.
    pub location: &'static Location<'static>,
}

impl Call {
    #[track_caller]
    pub(super) fn here(name: &'static str) -> Call {
        Call {
            name,
            peer: None,
            tag: None,
            location: Location::caller(),
        }
    }

    #[track_caller]
    pub(super) fn with(name: &'static str, peer: Peer, tag: Tag) -> Call {
        Call {
            name,
            peer: Some(peer),
            tag: Some(tag),
            location: Location::caller(),
        }
    }

    #[track_caller]
    pub(super) fn rooted(name: &'static str, root: usize) -> Call {
        Call {
            name,
            peer: Some(root.into()),
            tag: None,
            location: Location::caller(),
        }
    }
}

impl Call {
    /// The call without its place: `recv from rank 1, tag 0`.
    pub(super) fn what(&self) -> String {
        let name = self.name;
        match (self.peer, self.tag) {
            (Some(peer), Some(tag)) => {
                let way = if name.contains("send") { "to" } else { "from" };
                format!("{name} {way} {peer}, {tag}")
            }
            (Some(peer), None) if of_windows(name) => format!("{name} at {peer}"),
            (Some(root), None) => format!("{name} with root {}", root.0),
            _ => name.to_owned(),
        }
    }
}

/// Whether a call concerns the window of one rank.
fn of_windows(name: &str) -> bool {
    matches!(
        name,
        "put"
            | "get"
            | "accumulate"
            | "get_accumulate"
            | "fetch_and_op"
            | "compare_and_swap"
            | "lock"
            | "unlock"
            | "flush"
    )
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Asked for before a word is written: the kernel answers when it has all that was printed, and half a message
        // would be on its way by then.
        let place = rt::place(self.location);
        write!(formatter, "{} ({place})", self.what())
    }
}

/// A call in which a thread of this rank waits.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The call.
    pub call: Call,
    /// When it began to wait.
    pub since: Instant,
    /// Whether it waits until some moment only.
    pub gives_up: bool,
}

/// The kind of an error of MPI's own, where it has a meaning for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// A message is longer than the buffer that it was to be received in.
    Truncate,
    /// There is no such rank.
    Rank,
    /// There is no such tag.
    Tag,
    /// A count is wrong.
    Count,
    /// There is no such root.
    Root,
    /// There is no buffer for a buffered send, or it is full.
    Buffer,
    /// The operator does not go with the type of the numbers.
    Operator,
    /// The dimensions of a grid are wrong.
    Dimensions,
    /// The communicator has no such topology.
    Topology,
    /// The library has no windows for these ranks.
    Window,
    /// There is no such file, or no such folder.
    NoSuchFile,
    /// The file exists, and was to be a new one.
    FileExists,
    /// The path names no file that can be opened: a folder, or something below what is no folder.
    BadFile,
    /// The file may not be read, or not be written.
    Access,
    /// The disk is full, or the user's part of it.
    NoSpace,
    /// Reading or writing the file failed.
    Io,
    /// Anything else; the text says what.
    Other,
}

/// Why a call of MPI failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum MpiError {
    /// There is no MPI to call.
    Unavailable {
        /// Why not.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// MPI returned an error.
    Failed {
        /// The call.
        call: Call,
        /// Its kind.
        class: ErrorClass,
        /// MPI's own words.
        text: String,
    },
    /// A rank gave another number of items to a collective call than it takes. Every rank gets this error.
    Count {
        /// The call.
        call: Call,
        /// The rank that gave them.
        rank: usize,
        /// How many it should be.
        expected: usize,
        /// How many it gave.
        found: usize,
    },
    /// The ranks are not in the same collective call, or not with the same arguments. Every rank gets this error.
    Mismatch {
        /// The caller's own call.
        call: Call,
        /// Who does what.
        text: String,
    },
    /// A value could not become a message, or a message not a value.
    Message {
        /// The call.
        call: Call,
        /// Why.
        source: MessageError,
    },
    /// Another rank could not take part in a collective call; its own error says why.
    Peer {
        /// The call.
        call: Call,
        /// The rank.
        rank: usize,
    },
    /// A value was to be received from the null process, which sends none.
    NoProcess {
        /// The call.
        call: Call,
    },
    /// A place is not in the window of the rank that it is said to be at. MPI has not been called.
    Bounds {
        /// The call.
        call: Call,
        /// The rank whose window it is.
        rank: usize,
        /// The first number.
        at: usize,
        /// How many numbers.
        length: usize,
        /// How many its window has.
        size: usize,
    },
    /// A file could not be opened, read or written.
    File {
        /// The call.
        call: Call,
        /// The file.
        path: PathBuf,
        /// The kind of the error.
        class: ErrorClass,
        /// Why: the system's words, or MPI's.
        text: String,
    },
    /// MPI's counts end at 2,147,483,647.
    TooLong {
        /// The call.
        call: Call,
        /// Items, or bytes of a value.
        length: usize,
    },
    /// An interrupt left an exchange half done, and MPI knows no way back.
    Broken {
        /// The call.
        call: Call,
    },
    /// MPI has been finalized in this process, and cannot be started again.
    Ended {
        /// The call.
        call: Call,
    },
}

impl MpiError {
    /// The call that failed; none if there is no MPI.
    pub fn call(&self) -> Option<&Call> {
        match self {
            MpiError::Unavailable { .. } => None,
            MpiError::Failed { call, .. }
            | MpiError::Count { call, .. }
            | MpiError::Mismatch { call, .. }
            | MpiError::Message { call, .. }
            | MpiError::Peer { call, .. }
            | MpiError::NoProcess { call }
            | MpiError::Bounds { call, .. }
            | MpiError::File { call, .. }
            | MpiError::TooLong { call, .. }
            | MpiError::Broken { call }
            | MpiError::Ended { call } => Some(call),
        }
    }

    /// The kind of an error of MPI's own, or of a file.
    pub fn class(&self) -> Option<ErrorClass> {
        match self {
            MpiError::Failed { class, .. } | MpiError::File { class, .. } => Some(*class),
            _ => None,
        }
    }
}

impl fmt::Display for MpiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MpiError::Unavailable { why, cure } => {
                write!(formatter, "MPI cannot be used: {why}; {cure}")
            }
            MpiError::Failed { call, class, text } => {
                write!(formatter, "{call}: {text}{}", advice(*class))
            }
            MpiError::Count {
                call,
                rank,
                expected,
                found,
            } => write!(
                formatter,
                "{call}: expecting {expected} items, got {found} on rank {rank}; \
                 no rank has taken part in the exchange"
            ),
            MpiError::Mismatch { call, text } => write!(
                formatter,
                "{call}: {text}; all ranks of a communicator make the same collective calls in the same order"
            ),
            MpiError::Message { call, source } => write!(formatter, "{call}: {source}"),
            MpiError::Peer { call, rank } => write!(
                formatter,
                "{call}: rank {rank} could not take part; its own error says why"
            ),
            MpiError::NoProcess { call } => write!(
                formatter,
                "{call}: the null process sends no value; ask the neighbour's `Option` first, or receive into a \
                 slice, which then stays as it is"
            ),
            MpiError::Bounds {
                call,
                rank,
                at,
                length,
                size,
            } => write!(
                formatter,
                "{call}: {length} items from place {at} on are not in the window of rank {rank}, which has {size}; \
                 nothing was read or written: `len_of({rank})` tells a window's length"
            ),
            MpiError::File {
                call,
                path,
                class,
                text,
            } => write!(
                formatter,
                "{call}: {}: {text}{}",
                path.display(),
                advice(*class)
            ),
            MpiError::TooLong { call, length } => write!(
                formatter,
                "{call}: {length} are too many for one message: MPI counts to {}; send it in parts",
                i32::MAX
            ),
            MpiError::Broken { call } => write!(
                formatter,
                "{call}: these ranks cannot go on: an interrupt left an exchange half done, which MPI cannot take \
                 back; start new ranks"
            ),
            MpiError::Ended { call } => write!(
                formatter,
                "{call}: MPI has been finalized, once for the life of a process; start new ranks"
            ),
        }
    }
}

fn advice(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Truncate => {
            "; the message is longer than the slice that it was to go into: `probe` tells its length"
        }
        ErrorClass::Rank | ErrorClass::Root => "; ranks go from 0 to `size() - 1`",
        ErrorClass::Tag => "; tags go from 0 to 32767 everywhere, on most machines further",
        ErrorClass::Buffer => {
            "; give buffered sends room for all that is under way with `mpi::attach_buffer(bytes)`"
        }
        ErrorClass::Operator => "; logical and bitwise operators take whole numbers",
        ErrorClass::Window => {
            "; between machines Open MPI 4 has windows only with UCX, as distributions build it; MPICH has them everywhere"
        }
        ErrorClass::NoSuchFile => {
            "; ranks look from their own working folder; `Mode::CREATE` makes a file, in a folder that is there"
        }
        ErrorClass::FileExists => "; without `Mode::EXCLUSIVE` it is opened as it is",
        ErrorClass::BadFile => "; give the path of a file in a folder",
        ErrorClass::Access => "; open it in a mode that its permissions allow",
        _ => "",
    }
}

impl std::error::Error for MpiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MpiError::Message { source, .. } => Some(source),
            _ => None,
        }
    }
}
