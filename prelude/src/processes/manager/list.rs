//! Lists of a manager.

use std::fmt;
use std::marker::PhantomData;

use super::proxy::{proxy, unexpected};
use super::{Ask, ManagerError, Message, Proxy, Reply, from_bytes, to_bytes};

/// A proxy of a list. From [`Manager::list`](super::Manager::list).
///
/// Every call fails with [`ManagerError::Gone`] when the manager is gone, and with [`ManagerError::Message`] if a value
/// has no form in bytes.
pub struct ManagedList<T: Message> {
    pub(super) proxy: Proxy,
    types: PhantomData<fn(T) -> T>,
}

proxy!(ManagedList<T>);

fn no_place(index: usize, length: u64) -> ManagerError {
    ManagerError::Index {
        index,
        length: usize::try_from(length).unwrap_or(usize::MAX),
    }
}

impl<T: Message> ManagedList<T> {
    /// Puts a value at the end.
    ///
    /// # Errors
    /// See [`ManagedList`].
    #[doc(alias = "append")]
    pub fn push(&self, value: T) -> Result<(), ManagerError> {
        self.extend([value])
    }

    /// Puts values at the end in one step.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), ManagerError> {
        let values: Result<_, ManagerError> =
            values.into_iter().map(|value| to_bytes(&value)).collect();
        self.proxy.count(Ask::Extend(values?)).map(drop)
    }

    /// Takes the last value out.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn pop(&self) -> Result<Option<T>, ManagerError> {
        self.proxy.found(Ask::Pop)?.map(from_bytes).transpose()
    }

    /// The value at a place, if there is one.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn get(&self, index: usize) -> Result<Option<T>, ManagerError> {
        let found = self.proxy.found(Ask::At(index as u64))?;
        found.map(from_bytes).transpose()
    }

    /// Writes the value at a place; returns the one that was there.
    ///
    /// # Errors
    /// [`ManagerError::Index`]: there is no such place; others as for [`ManagedList`].
    pub fn set(&self, index: usize, value: T) -> Result<T, ManagerError> {
        self.value(index, Ask::SetAt(index as u64, to_bytes(&value)?))
    }

    /// Takes the value at a place out; those behind it move up.
    ///
    /// # Errors
    /// [`ManagerError::Index`]: there is no such place; others as for [`ManagedList`].
    pub fn remove(&self, index: usize) -> Result<T, ManagerError> {
        self.value(index, Ask::RemoveAt(index as u64))
    }

    fn value(&self, index: usize, ask: Ask) -> Result<T, ManagerError> {
        match self.proxy.call(ask)? {
            Reply::Found(Some(value)) => from_bytes(value),
            Reply::NoPlace(length) => Err(no_place(index, length)),
            reply => Err(unexpected(&reply)),
        }
    }

    /// Puts a value before the one at a place, or at the end.
    ///
    /// # Errors
    /// [`ManagerError::Index`]: there is no such place; others as for [`ManagedList`].
    pub fn insert(&self, index: usize, value: T) -> Result<(), ManagerError> {
        let ask = Ask::InsertAt(index as u64, to_bytes(&value)?);
        match self.proxy.call(ask)? {
            Reply::Flag(_) => Ok(()),
            Reply::NoPlace(length) => Err(no_place(index, length)),
            reply => Err(unexpected(&reply)),
        }
    }

    /// Makes a new value of the one at a place and returns it. Nobody comes between: if the value has changed
    /// meanwhile, `change` is called again with that one.
    ///
    /// # Errors
    /// [`ManagerError::Index`]: there is no such place; others as for [`ManagedList`].
    pub fn update(&self, index: usize, mut change: impl FnMut(T) -> T) -> Result<T, ManagerError> {
        loop {
            let Some(old) = self.proxy.found(Ask::At(index as u64))? else {
                return Err(no_place(index, self.len()? as u64));
            };
            let new = change(from_bytes(old.clone())?);
            let ask = Ask::ExchangeAt(index as u64, old, to_bytes(&new)?);
            match self.proxy.call(ask)? {
                Reply::Flag(true) => return Ok(new),
                Reply::Flag(false) => {}
                Reply::NoPlace(length) => return Err(no_place(index, length)),
                reply => return Err(unexpected(&reply)),
            }
        }
    }

    /// How many values there are.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.proxy.count(Ask::Len)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Takes all values out.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.proxy.flag(Ask::Clear).map(drop)
    }

    /// A copy of all values.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn to_vec(&self) -> Result<Vec<T>, ManagerError> {
        match self.proxy.call(Ask::Items)? {
            Reply::Items(items) => items.into_iter().map(from_bytes).collect(),
            reply => Err(unexpected(&reply)),
        }
    }

    /// Whether a value is among them.
    ///
    /// # Errors
    /// See [`ManagedList`].
    pub fn contains(&self, value: &T) -> Result<bool, ManagerError>
    where
        T: PartialEq,
    {
        Ok(self.to_vec()?.contains(value))
    }
}

impl<T: Message + fmt::Debug> fmt::Debug for ManagedList<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_vec() {
            Ok(values) => formatter.debug_list().entries(values).finish(),
            Err(error) => write!(formatter, "ManagedList({error})"),
        }
    }
}
