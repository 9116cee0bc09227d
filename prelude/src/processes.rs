//! Processes that run functions of cells, and what they share.

pub(crate) mod message;

pub use message::{Message, MessageError};
