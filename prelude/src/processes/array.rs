//! Arrays of numbers that processes share: one with a lock, one without.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use super::plain::Plain;
use super::shared::{Layout, Mutex, Shared, handle};

mod parts;
mod unlocked;

pub use parts::{ArrayError, ArrayPart};
pub use unlocked::SharedArray;

/// The memory of an array before its numbers.
#[repr(C)]
pub(crate) struct State {
    mutex: Mutex,
    /// How many numbers there are.
    length: AtomicU64,
    /// Of the arrays without a lock: how many handles there are or are on their way.
    handles: AtomicU64,
    /// Tells it from all other arrays.
    id: AtomicU64,
}

// SAFETY: a mutex and atomics; zero is a valid value of all.
unsafe impl Layout for State {}

/// How many bytes so many numbers take; more than any memory if the number has no place.
fn bytes<T>(length: usize) -> usize {
    length.checked_mul(size_of::<T>()).unwrap_or(usize::MAX / 2)
}

/// Memory with these numbers.
#[track_caller]
fn create<T: Plain>(kind: &str, length: usize, init: impl FnOnce(&State)) -> Shared<State> {
    Shared::create(kind, bytes::<T>(length), |state: &State| {
        state.mutex.init(false);
        state.length.store(length as u64, Ordering::Relaxed);
        init(state);
    })
}

fn write_all<T: Plain>(shared: &Shared<State>, numbers: &[T]) {
    // SAFETY: the memory was made for so many numbers, and nobody else knows it yet.
    unsafe {
        shared
            .extra()
            .cast::<T>()
            .copy_from_nonoverlapping(numbers.as_ptr(), numbers.len());
    }
}

/// How many numbers the memory has: what its maker says, as far as it is there.
fn length_of<T>(shared: &Shared<State>) -> usize {
    let said = usize::try_from(shared.length.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    said.min(shared.extra_length() / size_of::<T>())
}

/// Numbers that processes share, with a lock. Clones, and what a process gets as an argument, are the same array.
///
/// Every access takes the lock; for more than one number take it once, by [`lock`](Self::lock), whose guard is the
/// slice itself, without copying. For numbers without a lock there is [`SharedArray`].
///
/// ```
/// use forkline::prelude::*;
///
/// let squares = processes::Array::from(vec![1, 2, 3]);
/// let theirs = squares.clone();
/// for n in theirs.lock().iter_mut() {
///     *n *= *n;
/// }
/// squares.set(0, 100);
/// assert_eq!(squares.to_vec(), [100, 4, 9]);
/// assert_eq!(squares.get(3), None);
/// ```
pub struct Array<T: Plain> {
    shared: Shared<State>,
    number: PhantomData<T>,
}

handle!(Array<T: Plain>);

impl<T: Plain> Array<T> {
    /// So many zeros (or `false`).
    ///
    /// # Panics
    /// There is no room for so many.
    #[track_caller]
    pub fn new(length: usize) -> Self {
        Self::of(create::<T>(std::any::type_name::<Self>(), length, |_| {}))
    }

    fn of(shared: Shared<State>) -> Self {
        Array {
            shared,
            number: PhantomData,
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        length_of::<T>(&self.shared)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the lock. The guard is the slice.
    ///
    /// # Panics
    /// This thread holds the lock already.
    #[track_caller]
    pub fn lock(&self) -> ArrayGuard<'_, T> {
        let from_dead = self
            .shared
            .mutex
            .lock(None)
            .is_some_and(|taken| taken.from_dead);
        ArrayGuard {
            shared: self.shared.clone(),
            from_dead,
            array: PhantomData,
        }
    }

    /// The number at a place, if there is one.
    ///
    /// # Panics
    /// This thread holds the lock.
    #[track_caller]
    pub fn get(&self, index: usize) -> Option<T> {
        self.lock().get(index).copied()
    }

    /// Writes the number at a place.
    ///
    /// # Panics
    /// There is no such place, or this thread holds the lock.
    #[track_caller]
    pub fn set(&self, index: usize, number: T) {
        self.lock()[index] = number;
    }

    /// A copy of the numbers.
    ///
    /// # Panics
    /// This thread holds the lock.
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        self.lock().to_vec()
    }
}

impl<T: Plain> From<Vec<T>> for Array<T> {
    #[track_caller]
    fn from(numbers: Vec<T>) -> Self {
        Self::from(&numbers[..])
    }
}

impl<T: Plain> From<&[T]> for Array<T> {
    #[track_caller]
    fn from(numbers: &[T]) -> Self {
        let array = Self::new(numbers.len());
        write_all(&array.shared, numbers);
        array
    }
}

/// Shows some numbers, and how many there are.
fn show<T: Plain>(
    formatter: &mut fmt::Formatter<'_>,
    name: &str,
    first: &[T],
    length: usize,
) -> fmt::Result {
    write!(formatter, "{name}({length})")?;
    let mut list = formatter.debug_list();
    list.entries(first);
    if first.len() < length {
        list.finish_non_exhaustive()
    } else {
        list.finish()
    }
}

/// How many numbers an array shows.
const SHOWN: usize = 10;

impl<T: Plain> fmt::Debug for Array<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.len();
        match self.shared.mutex.try_hold() {
            Some(_held) => {
                // SAFETY: this thread holds the lock for as long as the slice is used.
                let first = unsafe {
                    std::slice::from_raw_parts(self.shared.extra().cast::<T>(), length.min(SHOWN))
                };
                show(formatter, "Array", first, length)
            }
            None => write!(formatter, "Array({length})[locked]"),
        }
    }
}

/// The lock of an [`Array`]; dereferences to the slice of its numbers.
#[must_use = "the lock is given back when the guard is dropped: bind it to a name"]
pub struct ArrayGuard<'a, T: Plain> {
    /// A clone, so that the memory stays even if the guard is forgotten: the mutex is in this thread's list.
    shared: Shared<State>,
    from_dead: bool,
    array: PhantomData<(&'a Array<T>, *const ())>,
}

impl<T: Plain> ArrayGuard<'_, T> {
    /// Whether the holder before was killed, or its thread ended, while it held the lock. The numbers may then be
    /// half-changed. The next holder is not told again.
    pub fn previous_holder_died(&self) -> bool {
        self.from_dead
    }
}

impl<T: Plain> Deref for ArrayGuard<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the memory has so many numbers and is aligned to a page. All safe access to it, in all processes,
        // is under the lock, which this guard holds; a process that was killed with it writes no more.
        unsafe {
            std::slice::from_raw_parts(self.shared.extra().cast(), length_of::<T>(&self.shared))
        }
    }
}

impl<T: Plain> DerefMut for ArrayGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and this borrow of the guard is the only one.
        unsafe {
            std::slice::from_raw_parts_mut(self.shared.extra().cast(), length_of::<T>(&self.shared))
        }
    }
}

impl<T: Plain> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&**self).finish()
    }
}

impl<T: Plain> Drop for ArrayGuard<'_, T> {
    fn drop(&mut self) {
        self.shared.mutex.unlock();
    }
}

#[cfg(test)]
mod tests;
