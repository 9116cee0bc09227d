//! A value of which each thread has its own.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Thread-local data that can be made at any time and handed around; std's `thread_local!` makes a static.
///
/// Each thread has a value of its own, made at its first use there and dropped with the thread.
///
/// ```
/// use forkline::prelude::*;
/// use std::cell::Cell;
///
/// let count = Arc::new(threads::Local::new(|| Cell::new(0)));
/// count.with(|count| count.set(5));
/// let there = {
///     let count = Arc::clone(&count);
///     threads::spawn(move || count.with(Cell::get)).join()?
/// };
/// assert_eq!((count.with(Cell::get), there), (5, 0));
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
pub struct Local<T> {
    id: u64,
    init: Box<dyn Fn() -> T + Send + Sync>,
}

thread_local! {
    static VALUES: RefCell<HashMap<u64, Rc<dyn Any>>> = RefCell::default();
}

impl<T: 'static> Local<T> {
    /// Data whose value in each thread is made by `init`.
    pub fn new(init: impl Fn() -> T + Send + Sync + 'static) -> Self {
        // A mere number: no order with other data is needed.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            init: Box::new(init),
        }
    }

    /// Calls `body` with the calling thread's value.
    ///
    /// # Panics
    /// While the thread's values are being dropped.
    pub fn with<R>(&self, body: impl FnOnce(&T) -> R) -> R {
        let found = VALUES.with_borrow(|values| values.get(&self.id).cloned());
        let value = found.unwrap_or_else(|| {
            // Outside of the borrow: it may use other data of this kind.
            let made: Rc<dyn Any> = Rc::new((self.init)());
            VALUES.with_borrow_mut(|values| values.insert(self.id, Rc::clone(&made)));
            made
        });
        let value = value.downcast_ref::<T>();
        body(value.expect("what this number stands for is a `T`"))
    }

    /// A copy of the calling thread's value.
    ///
    /// # Panics
    /// As for [`with`](Self::with).
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| f.debug_tuple("Local").field(value).finish())
    }
}
