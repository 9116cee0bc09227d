//! Processes that run functions of cells, and what they share.

pub(crate) mod message;

pub use message::{Message, MessageError};

mod linux;
mod packets;
mod pipe;
mod queue;
mod ring;
mod shared;
#[cfg(test)]
mod testing;

pub use pipe::{Connection, IntoIter, Iter, PipeError, Receiver, Sender, duplex, one_way, pipe};
pub use queue::{JoinableQueue, Queue, QueueError};
