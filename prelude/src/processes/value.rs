//! A number that processes share.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use super::plain::{Number, Plain};
use super::shared::{Layout, Mutex, Shared, handle};

/// The memory of a value.
#[repr(C)]
pub(crate) struct State {
    mutex: Mutex,
    word: AtomicU64,
}

// SAFETY: a mutex and an atomic; zero is a valid value of both.
unsafe impl Layout for State {}

/// A number that processes share, with a lock. Clones, and what a process gets as an argument, are the same number.
///
/// Each call is one step that nobody comes between; two calls, a [`get`](Self::get) and a [`set`](Self::set), are
/// not. To read, compute and write in one step use [`with`](Self::with), [`fetch_add`](Self::fetch_add) or
/// [`lock`](Self::lock). A process that is killed in the middle leaves the number as it was before.
///
/// ```
/// use forkline::prelude::*;
///
/// let total = processes::Value::new(10);
/// let theirs = total.clone();
/// theirs.with(|total| *total *= 2);
/// theirs.fetch_add(1);
/// assert_eq!(total.get(), 21);
/// *total.lock() -= 1;
/// assert_eq!(theirs.get(), 20);
/// ```
pub struct Value<T: Plain> {
    shared: Shared<State>,
    number: PhantomData<T>,
}

handle!(Value<T: Plain>);

impl<T: Plain> Value<T> {
    /// A number in memory of its own.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn new(number: T) -> Self {
        let kind = std::any::type_name::<Self>();
        Self::of(Shared::create(kind, 0, |state: &State| {
            state.mutex.init(false);
            state.word.store(number.to_word(), Ordering::Release);
        }))
    }

    fn of(shared: Shared<State>) -> Self {
        Value {
            shared,
            number: PhantomData,
        }
    }

    /// The number. It waits for nobody.
    pub fn get(&self) -> T {
        T::from_word(self.shared.word.load(Ordering::Acquire))
    }

    /// Writes the number; waits for the lock.
    ///
    /// # Panics
    /// This thread holds the lock.
    #[track_caller]
    pub fn set(&self, number: T) {
        self.with(|value| *value = number);
    }

    /// Changes the number under the lock, in one step. If `change` panics the number stays as it was.
    ///
    /// # Panics
    /// This thread holds the lock.
    #[track_caller]
    pub fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let _held = self.shared.mutex.hold();
        let mut number = self.get();
        let result = change(&mut number);
        self.shared.word.store(number.to_word(), Ordering::Release);
        result
    }

    /// Takes the lock: the guard is the number, and what was made of it is written when the guard is dropped.
    ///
    /// # Panics
    /// This thread holds the lock already.
    #[track_caller]
    pub fn lock(&self) -> ValueGuard<'_, T> {
        self.shared.mutex.lock(None);
        ValueGuard {
            number: self.get(),
            shared: self.shared.clone(),
            value: PhantomData,
        }
    }
}

impl<T: Number> Value<T> {
    /// Adds in one step, and returns the number before. Integers wrap around.
    ///
    /// # Panics
    /// This thread holds the lock.
    #[track_caller]
    pub fn fetch_add(&self, more: T) -> T {
        self.with(|number| {
            let before = *number;
            *number = before.plus(more);
            before
        })
    }
}

impl<T: Plain + fmt::Display> fmt::Display for Value<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), formatter)
    }
}

impl<T: Plain> fmt::Debug for Value<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Value").field(&self.get()).finish()
    }
}

/// The lock of a [`Value`], and its number.
#[must_use = "the lock is given back when the guard is dropped: bind it to a name"]
pub struct ValueGuard<'a, T: Plain> {
    number: T,
    /// A clone, so that the memory stays even if the guard is forgotten: the mutex is in this thread's list.
    shared: Shared<State>,
    value: PhantomData<(&'a Value<T>, *const ())>,
}

impl<T: Plain> Deref for ValueGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.number
    }
}

impl<T: Plain> DerefMut for ValueGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.number
    }
}

impl<T: Plain> fmt::Debug for ValueGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.number, formatter)
    }
}

impl<T: Plain> Drop for ValueGuard<'_, T> {
    fn drop(&mut self) {
        self.shared
            .word
            .store(self.number.to_word(), Ordering::Release);
        self.shared.mutex.unlock();
    }
}

#[cfg(test)]
mod tests;
