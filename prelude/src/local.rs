//! Thread-local data that all cells share.
//!
//! std's `thread_local!` makes a constant with the cell's own storage behind it, so each cell would
//! see another value. Here the key is a `static`, of which the kernel makes one for all cells, and
//! the values of a thread lie in a table of this library, by the key's address. The kernel writes
//! `thread_local!` so.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::thread::AccessError;

/// A thread-local value; has the methods of [`std::thread::LocalKey`] and their semantics.
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
    /// Gives each key an address of its own, whatever `T` is.
    _place: u8,
}

/// The values of one thread, by key.
type Values = RefCell<HashMap<usize, Box<dyn Any>>>;

std::thread_local! {
    static VALUES: Values = RefCell::default();
}

impl<T: 'static> LocalKey<T> {
    /// A key whose value is made by `init` on first use in each thread.
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        LocalKey { init, _place: 0 }
    }

    /// Calls `body` with this thread's value.
    ///
    /// # Panics
    /// While the thread's values are being dropped.
    pub fn with<R>(&'static self, body: impl FnOnce(&T) -> R) -> R {
        self.try_with(body)
            .expect("cannot access a thread-local value while the thread ends")
    }

    /// Calls `body` with this thread's value.
    ///
    /// # Errors
    /// The thread ends, and its values are being dropped.
    pub fn try_with<R>(&'static self, body: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let key = std::ptr::from_ref(self).addr();
        let value = VALUES.try_with(|values| -> *const T {
            if let Some(found) = values
                .borrow()
                .get(&key)
                .and_then(|value| value.downcast_ref::<T>())
            {
                return found;
            }
            // Outside of the borrow: it may use other thread-local values.
            let made = Box::new((self.init)());
            let place: *const T = &*made;
            values.borrow_mut().insert(key, made);
            place
        })?;
        // SAFETY: the value lies in a box of its own that stays where it is until the thread's table
        // is dropped, which `VALUES.try_with` has ruled out for as long as this thread runs `body`:
        // nothing removes entries. (A key whose `init` uses itself makes two values; the first box is
        // dropped only by the `insert` of the outer call, before anybody has seen it from here.)
        Ok(body(unsafe { &*value }))
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value.
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the value.
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value, leaving the default.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `body` with the value borrowed.
    pub fn with_borrow<R>(&'static self, body: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| body(&cell.borrow()))
    }

    /// Calls `body` with the value borrowed mutably.
    pub fn with_borrow_mut<R>(&'static self, body: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| body(&mut cell.borrow_mut()))
    }

    /// Sets the value.
    pub fn set(&'static self, value: T) {
        self.with(|cell| *cell.borrow_mut() = value);
    }

    /// Takes the value, leaving the default.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Replaces the value.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> std::fmt::Debug for LocalKey<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::LocalKey;
    use std::cell::{Cell, RefCell};

    static COUNT: LocalKey<Cell<u32>> = LocalKey::new(|| const { Cell::new(1) });
    static NAMES: LocalKey<RefCell<Vec<u32>>> = LocalKey::new(|| RefCell::new(vec![COUNT.get()]));

    #[test]
    fn each_thread_has_its_own() {
        COUNT.set(5);
        NAMES.with_borrow_mut(|names| names.push(7));
        let other = std::thread::spawn(|| (COUNT.get(), NAMES.take()));
        assert_eq!(other.join().unwrap(), (1, vec![1]));
        assert_eq!(COUNT.get(), 5);
        assert_eq!(NAMES.take(), [5, 7]);
    }

    #[test]
    fn values_are_dropped_with_their_thread() {
        use std::sync::Arc;
        static HELD: LocalKey<RefCell<Option<Arc<()>>>> = LocalKey::new(|| RefCell::new(None));
        let shared = Arc::new(());
        let inner = Arc::clone(&shared);
        std::thread::spawn(move || HELD.set(Some(inner)))
            .join()
            .unwrap();
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
