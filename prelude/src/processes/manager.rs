//! A manager: dictionaries, lists and values that live in one place and that all processes use by proxies.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::message::{Message, MessageError};
use super::packets::Socket;

mod dict;
mod list;
mod proxy;
mod server;
mod value;
mod wire;

pub use dict::ManagedDict;
pub use list::ManagedList;
pub use value::ManagedValue;

use proxy::{Proxy, from_bytes, to_bytes};
use wire::{Ask, Reply};

/// Why a manager did not do what it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum ManagerError {
    /// The manager was dropped or shut down, or its process has ended.
    Gone,
    /// The list has no such place.
    Index {
        /// The place.
        index: usize,
        /// How long the list is.
        length: usize,
    },
    /// A key or value could not be written or read.
    Message(MessageError),
}

impl fmt::Display for ManagerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManagerError::Gone => formatter.write_str(
                "the manager is gone: it was dropped or shut down, or its process has ended; \
                 do: keep the Manager in a variable for as long as its proxies are used",
            ),
            ManagerError::Index { index, length } => write!(
                formatter,
                "the list has no place {index}: its length is {length}; do: use a smaller index, or push()"
            ),
            ManagerError::Message(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ManagerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ManagerError::Message(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MessageError> for ManagerError {
    fn from(error: MessageError) -> Self {
        ManagerError::Message(error)
    }
}

impl From<io::Error> for ManagerError {
    fn from(error: io::Error) -> Self {
        ManagerError::Message(MessageError::Io(error))
    }
}

/// A server, a thread of this process, that holds dictionaries, lists and values for all processes.
///
/// What it makes are proxies: they may be cloned, given to processes and sent through pipes, and every call is
/// answered by the server, one after the other. So each call is one step that nobody comes between. A call takes
/// some ten microseconds; for plain numbers a [`Value`](super::Value) or an [`Array`](super::Array) is far faster.
///
/// The objects live as long as the manager, and the proxies' calls fail when it is dropped.
///
/// ```
/// use forkline::prelude::*;
///
/// let manager = processes::Manager::new();
/// let ages = manager.dict::<String, u32>();
/// ages.insert("Ada".to_owned(), 36)?;
/// ages.add("Ada".to_owned(), 1)?;
/// assert_eq!(ages.get(&"Ada".to_owned())?, Some(37));
///
/// let log = manager.list::<String>();
/// log.push("one".to_owned())?;
/// log.extend(["two".to_owned()])?;
/// assert_eq!(log.to_vec()?, ["one", "two"]);
///
/// manager.shutdown();
/// assert!(matches!(log.len(), Err(processes::ManagerError::Gone)));
/// # Ok::<(), processes::ManagerError>(())
/// ```
pub struct Manager {
    /// The server ends when this is shut down.
    control: Socket,
    connection: Arc<proxy::Connection>,
}

impl Default for Manager {
    fn default() -> Self {
        Self::new()
    }
}

impl Manager {
    /// Starts a server.
    ///
    /// # Panics
    /// The system has no thread or no descriptors left.
    #[track_caller]
    pub fn new() -> Self {
        match Self::start() {
            Ok(manager) => manager,
            Err(error) => panic!(
                "no manager: {error}; do: drop managers, pipes and threads that are not used any more"
            ),
        }
    }

    fn start() -> io::Result<Self> {
        let (control, end) = Socket::pair()?;
        let (ours, theirs) = Socket::pair()?;
        std::thread::Builder::new()
            .name("manager".to_owned())
            .spawn(move || server::run(end, theirs))?;
        Ok(Manager {
            control,
            connection: Arc::new(proxy::Connection::new(ours)),
        })
    }

    #[track_caller]
    fn make(&self, ask: Ask) -> Proxy {
        match self.connection.call(0, ask) {
            Ok(Reply::Count(object)) => Proxy::new(Arc::clone(&self.connection), object),
            Ok(_) | Err(_) => panic!("the manager's thread has ended; do: make a new manager"),
        }
    }

    /// A dictionary, which is empty.
    #[track_caller]
    pub fn dict<K: Message, V: Message>(&self) -> ManagedDict<K, V> {
        ManagedDict::of(self.make(Ask::NewDict))
    }

    /// A list, which is empty.
    #[track_caller]
    pub fn list<T: Message>(&self) -> ManagedList<T> {
        ManagedList::of(self.make(Ask::NewList))
    }

    /// A value of any type that is a message.
    ///
    /// # Errors
    /// [`ManagerError::Message`]: the value has no form in bytes.
    #[track_caller]
    pub fn value<T: Message>(&self, value: T) -> Result<ManagedValue<T>, ManagerError> {
        let bytes = to_bytes(&value)?;
        let proxy = self.make(Ask::NewList);
        proxy.call(Ask::Extend(vec![bytes]))?;
        Ok(ManagedValue::of(proxy))
    }

    /// Ends the server, as dropping the manager does: calls of proxies fail from now on.
    pub fn shutdown(self) {}
}

impl Drop for Manager {
    fn drop(&mut self) {
        use std::os::fd::AsRawFd;
        // Not only closed: a forked process may have a copy of the descriptor.
        // SAFETY: the descriptor is open.
        unsafe { libc::shutdown(self.control.as_fd().as_raw_fd(), libc::SHUT_RDWR) };
        // Until the server has let go of everything: what comes after finds it gone.
        drop(
            self.control
                .receive(crate::interrupt::deadline(std::time::Duration::from_secs(
                    1,
                ))),
        );
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Manager").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
