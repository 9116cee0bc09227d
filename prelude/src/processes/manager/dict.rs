//! Dictionaries of a manager.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Add;

use super::proxy::{proxy, unexpected};
use super::{Ask, ManagerError, Message, Proxy, Reply, from_bytes, to_bytes};

/// A proxy of a dictionary: keys with values, in the order in which the keys came. From [`Manager::dict`](super::Manager::dict).
///
/// Keys are the same if they have the same form in bytes. Every call fails with [`ManagerError::Gone`] when the
/// manager is gone, and with [`ManagerError::Message`] if a key or value has no form in bytes.
pub struct ManagedDict<K: Message, V: Message> {
    proxy: Proxy,
    types: PhantomData<fn() -> (K, V)>,
}

proxy!(ManagedDict<K, V>);

impl<K: Message, V: Message> ManagedDict<K, V> {
    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn get(&self, key: &K) -> Result<Option<V>, ManagerError> {
        let found = self.proxy.found(Ask::Get(to_bytes(key)?))?;
        found.map(from_bytes).transpose()
    }

    /// Gives a key a value; returns the one that it had.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>, ManagerError> {
        let entry = (to_bytes(&key)?, to_bytes(&value)?);
        let old = self.proxy.found(Ask::Insert(vec![entry]))?;
        old.map(from_bytes).transpose()
    }

    /// Gives many keys a value in one step.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<(), ManagerError> {
        let entries: Result<_, ManagerError> = entries
            .into_iter()
            .map(|(key, value)| Ok((to_bytes(&key)?, to_bytes(&value)?)))
            .collect();
        self.proxy.found(Ask::Insert(entries?)).map(drop)
    }

    /// Takes a key out; returns the value that it had.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn remove(&self, key: &K) -> Result<Option<V>, ManagerError> {
        let old = self.proxy.found(Ask::Remove(to_bytes(key)?))?;
        old.map(from_bytes).transpose()
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn contains_key(&self, key: &K) -> Result<bool, ManagerError> {
        Ok(self.proxy.found(Ask::Get(to_bytes(key)?))?.is_some())
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.proxy.count(Ask::Len)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Takes all keys out.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.proxy.flag(Ask::Clear).map(drop)
    }

    /// All keys and values, in the order in which the keys came.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn items(&self) -> Result<Vec<(K, V)>, ManagerError> {
        match self.proxy.call(Ask::Entries)? {
            Reply::Entries(entries) => entries
                .into_iter()
                .map(|(key, value)| Ok((from_bytes(key)?, from_bytes(value)?)))
                .collect(),
            reply => Err(unexpected(&reply)),
        }
    }

    /// All keys, in the order in which they came.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn keys(&self) -> Result<Vec<K>, ManagerError> {
        Ok(self.items()?.into_iter().map(|(key, _)| key).collect())
    }

    /// A copy as a map of this process.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn to_map(&self) -> Result<HashMap<K, V>, ManagerError>
    where
        K: Eq + Hash,
    {
        Ok(self.items()?.into_iter().collect())
    }

    /// Makes a new value of the one that a key has, or has not, and returns it. Nobody comes between: if the value
    /// has changed meanwhile, `change` is called again with that one.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn update(
        &self,
        key: K,
        mut change: impl FnMut(Option<V>) -> V,
    ) -> Result<V, ManagerError> {
        let key = to_bytes(&key)?;
        loop {
            let old = self.proxy.found(Ask::Get(key.clone()))?;
            let new = change(old.clone().map(from_bytes).transpose()?);
            let bytes = to_bytes(&new)?;
            if self
                .proxy
                .flag(Ask::Exchange(key.clone(), old, Some(bytes)))?
            {
                return Ok(new);
            }
        }
    }

    /// Adds to the value of a key, which is the default (0 for numbers) if it has none, and returns the sum. Nobody
    /// comes between.
    ///
    /// # Errors
    /// See [`ManagedDict`].
    pub fn add(&self, key: K, more: V) -> Result<V, ManagerError>
    where
        V: Add<Output = V> + Default + Clone,
    {
        self.update(key, |old| old.unwrap_or_default() + more.clone())
    }
}

impl<K: Message + fmt::Debug, V: Message + fmt::Debug> fmt::Debug for ManagedDict<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.items() {
            Ok(items) => formatter.debug_map().entries(items).finish(),
            Err(error) => write!(formatter, "ManagedDict({error})"),
        }
    }
}
