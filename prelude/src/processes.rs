//! Processes that run functions of cells, and what they share.

pub(crate) mod message;

pub use message::{Message, MessageError};

pub(crate) mod child;
mod entry;
mod error;
mod fork;
mod outcome;
pub(crate) mod pool;
mod process;
mod registry;
mod start;
mod supervise;
#[cfg(test)]
mod tests;

pub use error::ProcessError;
pub use fork::fork;
pub use pool::{Imap, Pending, Pool, PoolBuilder};
pub use process::{ActiveChild, Process, active_children, spawn, wait_any};
pub use registry::{ProcessInfo, cpu_count, current};
