//! Single values of a manager.

use std::fmt;
use std::marker::PhantomData;

use super::proxy::proxy;
use super::{Ask, ManagedList, ManagerError, Message, Proxy};

/// A proxy of one value of any type that is a message. From [`Manager::value`](super::Manager::value).
///
/// Every call fails with [`ManagerError::Gone`] when the manager is gone, and with [`ManagerError::Message`] if the value
/// has no form in bytes.
///
/// ```
/// use forkline::prelude::*;
///
/// let manager = processes::Manager::new();
/// let best = manager.value(("nobody".to_owned(), 0))?;
/// best.update(|best| if best.1 < 7 { ("Ada".to_owned(), 7) } else { best })?;
/// assert_eq!(best.get()?, ("Ada".to_owned(), 7));
/// # Ok::<(), processes::ManagerError>(())
/// ```
pub struct ManagedValue<T: Message> {
    proxy: Proxy,
    types: PhantomData<fn(T) -> T>,
}

proxy!(ManagedValue<T>);

impl<T: Message> ManagedValue<T> {
    /// To the server it is a list of one.
    fn list(&self) -> ManagedList<T> {
        ManagedList::of(self.proxy.clone())
    }

    /// A copy of the value.
    ///
    /// # Errors
    /// See [`ManagedValue`].
    pub fn get(&self) -> Result<T, ManagerError> {
        match self.proxy.found(Ask::At(0))? {
            Some(value) => super::from_bytes(value),
            None => Err(ManagerError::Index {
                index: 0,
                length: 0,
            }),
        }
    }

    /// Writes the value; returns the one that was there.
    ///
    /// # Errors
    /// See [`ManagedValue`].
    pub fn set(&self, value: T) -> Result<T, ManagerError> {
        self.list().set(0, value)
    }

    /// Makes a new value of the one that is there and returns it. Nobody comes between: if it has changed
    /// meanwhile, `change` is called again.
    ///
    /// # Errors
    /// See [`ManagedValue`].
    pub fn update(&self, change: impl FnMut(T) -> T) -> Result<T, ManagerError> {
        self.list().update(0, change)
    }
}

impl<T: Message + fmt::Debug> fmt::Debug for ManagedValue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Ok(value) => formatter.debug_tuple("ManagedValue").field(&value).finish(),
            Err(error) => write!(formatter, "ManagedValue({error})"),
        }
    }
}
