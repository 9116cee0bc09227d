//! Processes that run functions of cells, and what they share.
//!
//! A thread sees all variables and must be kept from the others'; a process sees nothing but its arguments. For that it
//! may be killed, and what it breaks is its own.
//!
//! * [`Process`], [`spawn`], [`fork`](fork()): one process for one function, or a copy of this one;
//! * [`Pool`]: processes that stay, for many calls;
//! * [`Queue`], [`JoinableQueue`], [`pipe`](pipe()), [`duplex`]: messages;
//! * [`Lock`], [`RLock`], [`Semaphore`], [`BoundedSemaphore`], [`Condition`], [`Event`], [`Barrier`]: what they wait for;
//! * [`Value`], [`Array`], [`SharedArray`]: numbers in memory of all processes;
//! * [`Manager`]: dictionaries and lists that one serves to all.
//!
//! What always holds:
//! * what travels is a [`Message`], and a handle of one of the things above travels as an argument;
//! * a process that is killed leaves queues whole and locks free;
//! * a process ends when the one that started it is gone;
//! * a wait ends when the user interrupts the cell.
//!
//! ```
//! use forkline::prelude::*;
//!
//! fn square(numbers: processes::Queue<u64>, squares: processes::Queue<u64>) {
//!     let n = numbers.get().unwrap();
//!     squares.put(n * n).unwrap();
//! }
//! let (numbers, squares) = (processes::Queue::new(), processes::Queue::new());
//! let process = processes::spawn(square, (numbers.clone(), squares.clone()))?;
//! numbers.put(12)?;
//! assert_eq!(squares.get()?, 144);
//! process.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod active;
mod array;
mod barrier;
pub(crate) mod child;
mod condition;
mod entry;
mod error;
mod event;
mod fork;
mod known;
mod linux;
mod lock;
mod manager;
pub(crate) mod message;
mod outcome;
mod packets;
mod pipe;
mod plain;
pub(crate) mod pool;
mod process;
mod queue;
mod registry;
mod ring;
mod semaphore;
mod shared;
mod start;
mod supervise;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod value;

pub use active::{ActiveChild, active_children, wait_any};
pub use array::{Array, ArrayError, ArrayGuard, ArrayPart, SharedArray};
pub use barrier::{Arrival, Barrier, BarrierError};
pub use condition::Condition;
pub use error::ProcessError;
pub use event::Event;
pub use fork::fork;
pub use lock::{Lock, LockError, LockGuard, RLock, RLockGuard};
pub use manager::{ManagedDict, ManagedList, ManagedValue, Manager, ManagerError};
pub use message::{Message, MessageError};
pub use pipe::{Connection, IntoIter, Iter, PipeError, Receiver, Sender, duplex, one_way, pipe};
pub use plain::{Number, Plain};
pub use pool::{Imap, Pending, Pool, PoolBuilder};
pub use process::{Process, spawn};
pub use queue::{JoinableQueue, Queue, QueueError};
pub use registry::{ProcessInfo, cpu_count, current};
pub use semaphore::{BoundedPermit, BoundedSemaphore, Permit, Semaphore, SemaphoreError};
pub use value::{Value, ValueGuard};
