//! Processes that run functions of cells, and what they share.

pub(crate) mod message;

pub use message::{Message, MessageError};

mod linux;
mod queue;
mod ring;
mod shared;
#[cfg(test)]
mod testing;

pub use queue::{JoinableQueue, Queue, QueueError};
