//! The array without a lock.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parts::{ArrayError, ArrayPart};
use super::{SHOWN, State, create, length_of, show, write_all};
use crate::processes::fork;
use crate::processes::plain::{Number, Plain};
use crate::processes::shared::Shared;

/// Numbers that processes share, without a lock. Clones, and what a process gets as an argument, are the same array.
///
/// Three ways lead to the numbers:
/// * one by one with [`get`](Self::get), [`set`](Self::set) and [`fetch_add`](Self::fetch_add), each of which is one
///   step, while other processes do the same;
/// * as slices of parts that do not overlap, each with one owner, which may be sent to a process and back:
///   [`into_parts`](Self::into_parts) and [`join`](Self::join);
/// * as one slice, by an `unsafe` promise that nobody writes meanwhile: [`as_slice`](Self::as_slice).
///
/// ```
/// use forkline::prelude::*;
///
/// let numbers = processes::SharedArray::from(vec![1.0, 2.0, 3.0, 4.0]);
/// numbers.set(0, 10.0);
/// let mut parts = numbers.into_parts(2)?;
/// thread::scope(|scope| {
///     for part in &mut parts {
///         scope.spawn(|| part.as_mut_slice().iter_mut().for_each(|n| *n *= 2.0));
///     }
/// });
/// let numbers = processes::SharedArray::join(parts)?;
/// assert_eq!(numbers.to_vec(), [20.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), processes::ArrayError>(())
/// ```
pub struct SharedArray<T: Plain> {
    /// Through [`SharedArray::shared`] only, which sees to it that the handle is counted.
    memory: Shared<State>,
    /// The process that this handle is counted for; another one after a fork.
    counted_in: AtomicU64,
    number: PhantomData<T>,
}

impl<T: Plain> SharedArray<T> {
    /// So many zeros (or `false`).
    ///
    /// # Panics
    /// There is no room for so many.
    #[track_caller]
    pub fn new(length: usize) -> Self {
        Self::counted(create::<T>(Self::kind(), length, |state| {
            state.handles.store(1, Ordering::Relaxed);
            state.id.store(new_id(), Ordering::Relaxed);
        }))
    }

    pub(super) fn kind() -> &'static str {
        std::any::type_name::<Self>()
    }

    /// A handle that has been counted.
    pub(super) fn counted(memory: Shared<State>) -> Self {
        SharedArray {
            memory,
            counted_in: AtomicU64::new(fork::generation()),
            number: PhantomData,
        }
    }

    /// The memory. In a copy of the process that made it, the handle is counted when it is first used.
    ///
    /// # Panics
    /// It cannot be counted any more: the array is in parts.
    #[track_caller]
    fn shared(&self) -> &Shared<State> {
        let here = fork::generation();
        if self.counted_in.load(Ordering::Relaxed) != here {
            self.count_in_copy(here);
        }
        &self.memory
    }

    #[cold]
    #[track_caller]
    fn count_in_copy(&self, here: u64) {
        let more = |handles| (handles > 0).then(|| handles + 1);
        let handles = &self.memory.handles;
        // Two threads that come here at once count it twice, which only forbids parts.
        let is_whole = handles.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        assert!(
            is_whole.is_ok(),
            "the array is in parts, and this process is a copy of the one that has them; \
             do: join the parts first, or give a part to a process as an argument"
        );
        self.counted_in.store(here, Ordering::Relaxed);
    }

    fn at(&self, index: usize) -> Option<*mut T> {
        let shared = self.shared();
        // SAFETY: within the memory.
        (index < length_of::<T>(shared)).then(|| unsafe { shared.extra().cast::<T>().add(index) })
    }

    #[track_caller]
    fn place(&self, index: usize) -> *mut T {
        let length = self.len();
        self.at(index).unwrap_or_else(|| {
            panic!("index out of bounds: the length is {length} but the index is {index}")
        })
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        length_of::<T>(self.shared())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at a place, if there is one. Never half of one that is being written; but two numbers that
    /// another process writes one after the other may be seen in the other order.
    pub fn get(&self, index: usize) -> Option<T> {
        // SAFETY: a number of this array; as long as there is a handle like this one all access is by such steps.
        self.at(index).map(|at| unsafe { T::load(at) })
    }

    /// Writes the number at a place.
    ///
    /// # Panics
    /// There is no such place.
    #[track_caller]
    pub fn set(&self, index: usize, number: T) {
        // SAFETY: as above.
        unsafe { T::store(self.place(index), number) };
    }

    /// A copy of the numbers, one after the other, while others may write.
    pub fn to_vec(&self) -> Vec<T> {
        (0..self.len())
            .filter_map(|index| self.get(index))
            .collect()
    }

    /// Writes numbers from a place on.
    ///
    /// # Panics
    /// They do not fit.
    #[track_caller]
    pub fn copy_from(&self, start: usize, numbers: &[T]) {
        let end = start.saturating_add(numbers.len());
        assert!(
            end <= self.len(),
            "{} numbers do not fit behind place {start} of {}",
            numbers.len(),
            self.len()
        );
        for (index, &number) in (start..).zip(numbers) {
            self.set(index, number);
        }
    }

    /// Reads numbers from a place on.
    ///
    /// # Panics
    /// There are not so many.
    #[track_caller]
    pub fn copy_to(&self, start: usize, numbers: &mut [T]) {
        for (index, number) in (start..).zip(numbers) {
            // SAFETY: as for `get`.
            *number = unsafe { T::load(self.place(index)) };
        }
    }

    /// The numbers as a slice, without copying.
    ///
    /// # Safety
    /// As long as the slice is used nobody writes to the array, in this process or another.
    pub unsafe fn as_slice(&self) -> &[T] {
        // SAFETY: the memory has so many numbers, and the caller's promise.
        unsafe { std::slice::from_raw_parts(self.shared().extra().cast(), self.len()) }
    }

    /// The numbers as a slice to write to, without copying.
    ///
    /// # Safety
    /// As long as the slice is used nobody else reads or writes the array, in this process or another.
    #[allow(
        clippy::mut_from_ref,
        reason = "what is borrowed is the memory, about which the caller promises"
    )]
    pub unsafe fn as_mut_slice(&self) -> &mut [T] {
        // SAFETY: the memory has so many numbers, and the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.shared().extra().cast(), self.len()) }
    }

    /// Cuts the array into so many parts, as equal as can be, each with one owner: its slice can be written without
    /// a lock and without `unsafe`, by the process that has the part.
    ///
    /// A copy of this process, made by [`fork`](crate::processes::fork()), cannot use the parts, nor a handle of the array
    /// as long as it is in parts.
    ///
    /// # Errors
    /// [`ArrayError::Shared`]: there are other handles of this array, in this process or another, or a process was
    /// killed with one.
    ///
    /// # Panics
    /// `parts` is 0.
    #[track_caller]
    pub fn into_parts(self, parts: usize) -> Result<Vec<ArrayPart<T>>, ArrayError> {
        assert!(parts > 0, "an array cannot be cut into 0 parts");
        // From 1 to 0: nobody else has a handle to make another from.
        let handles = &self.shared().handles;
        if let Err(others) = handles.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Acquire) {
            return Err(ArrayError::Shared {
                handles: usize::try_from(others).unwrap_or(usize::MAX),
            });
        }
        let shared = self.shared().clone();
        let length = self.len();
        self.uncounted();
        Ok((0..parts)
            .map(|part| {
                let (start, end) = (part * length / parts, (part + 1) * length / parts);
                ArrayPart::new(shared.clone(), start, end - start)
            })
            .collect())
    }

    /// Drops the handle without counting it down.
    fn uncounted(self) {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the handle is not used again.
        drop(unsafe { std::ptr::read(&raw const this.memory) });
    }

    /// Puts the parts together again, in any order.
    ///
    /// # Errors
    /// [`ArrayError::NotWhole`]: some are missing, or are parts of another array. The parts are gone then.
    pub fn join(parts: impl IntoIterator<Item = ArrayPart<T>>) -> Result<Self, ArrayError> {
        super::parts::join(parts.into_iter().collect())
    }
}

impl<T: Number> SharedArray<T> {
    /// Adds to the number at a place in one step that nobody comes between, and returns the number before. Integers
    /// wrap around.
    ///
    /// # Panics
    /// There is no such place.
    #[track_caller]
    pub fn fetch_add(&self, index: usize, more: T) -> T {
        // SAFETY: as for `get`.
        unsafe { T::add(self.place(index), more) }
    }
}

/// A number that no other array has.
fn new_id() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_nanos() as u64);
    (time << 8) ^ (u64::from(std::process::id()) << 40) ^ COUNT.fetch_add(1, Ordering::Relaxed)
}

impl<T: Plain> From<Vec<T>> for SharedArray<T> {
    #[track_caller]
    fn from(numbers: Vec<T>) -> Self {
        Self::from(&numbers[..])
    }
}

impl<T: Plain> From<&[T]> for SharedArray<T> {
    #[track_caller]
    fn from(numbers: &[T]) -> Self {
        let array = Self::new(numbers.len());
        write_all(array.shared(), numbers);
        array
    }
}

impl<T: Plain> Clone for SharedArray<T> {
    fn clone(&self) -> Self {
        self.shared().handles.fetch_add(1, Ordering::AcqRel);
        Self::counted(self.shared().clone())
    }
}

impl<T: Plain> Drop for SharedArray<T> {
    fn drop(&mut self) {
        if *self.counted_in.get_mut() == fork::generation() {
            self.memory.handles.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl<T: Plain> fmt::Debug for SharedArray<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<T> = (0..SHOWN).map_while(|index| self.get(index)).collect();
        show(formatter, "SharedArray", &first, self.len())
    }
}

impl<T: Plain> Serialize for SharedArray<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result = self.shared().serialize(serializer)?;
        // The handle that is on its way. If it gets lost the count stays too high, which only forbids parts.
        self.shared().handles.fetch_add(1, Ordering::AcqRel);
        Ok(result)
    }
}

impl<'de, T: Plain> Deserialize<'de> for SharedArray<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Shared::deserialize(Self::kind(), deserializer).map(Self::counted)
    }
}
