//! Processes that run functions of cells, and what they share.

pub(crate) mod message;

pub use message::{Message, MessageError};

mod active;
pub(crate) mod child;
mod entry;
mod error;
mod fork;
mod known;
mod outcome;
pub(crate) mod pool;
mod process;
mod registry;
mod start;
mod supervise;
#[cfg(test)]
mod tests;

pub use active::{ActiveChild, active_children, wait_any};
pub use error::ProcessError;
pub use fork::fork;
pub use pool::{Imap, Pending, Pool, PoolBuilder};
pub use process::{Process, spawn};
pub use registry::{ProcessInfo, cpu_count, current};

mod array;
mod barrier;
mod condition;
mod event;
mod linux;
mod lock;
mod manager;
mod packets;
mod pipe;
mod plain;
mod queue;
mod ring;
mod semaphore;
mod shared;
#[cfg(test)]
mod testing;
mod value;

pub use array::{Array, ArrayError, ArrayGuard, ArrayPart, SharedArray};
pub use barrier::{Arrival, Barrier, BarrierError};
pub use condition::Condition;
pub use event::Event;
pub use lock::{Lock, LockError, LockGuard, RLock, RLockGuard};
pub use manager::{ManagedDict, ManagedList, ManagedValue, Manager, ManagerError};
pub use pipe::{Connection, IntoIter, Iter, PipeError, Receiver, Sender, duplex, one_way, pipe};
pub use plain::{Number, Plain};
pub use queue::{JoinableQueue, Queue, QueueError};
pub use semaphore::{BoundedPermit, BoundedSemaphore, Permit, Semaphore, SemaphoreError};
pub use value::{Value, ValueGuard};
