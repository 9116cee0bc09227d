//! Parts of an array, each with one owner.
//!
//! What always holds: as long as there are parts there is no handle of the array, and no place is in two parts. A
//! part that was sent cannot be used again where it was. Its slice is lent by `&mut` only, so nobody has one while
//! the part is being sent.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{SharedArray, State, length_of};
use crate::processes::plain::Plain;
use crate::processes::shared::Shared;
use crate::processes::{fork, message};

/// Why an array cannot be cut into parts or put together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArrayError {
    /// There are more handles than this one.
    Shared {
        /// How many in all.
        handles: usize,
    },
    /// These are not all parts of one array.
    NotWhole {
        /// The first place that is missing.
        missing: usize,
    },
}

impl fmt::Display for ArrayError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArrayError::Shared { handles } => write!(
                formatter,
                "the array cannot be cut into parts: {handles} handles of it exist, so others could read and write it; \
                 do: drop all but one, and let processes that have one end"
            ),
            ArrayError::NotWhole { missing } => write!(
                formatter,
                "the array cannot be put together: no part of the same array begins at place {missing}; \
                 do: get all parts back from the processes that have them"
            ),
        }
    }
}

impl std::error::Error for ArrayError {}

/// A part of a [`SharedArray`] with one owner, who may read and write its numbers as a slice. It may be sent to another
/// process and back; where it was sent from it cannot be used any more.
pub struct ArrayPart<T: Plain> {
    shared: Shared<State>,
    start: usize,
    length: usize,
    is_sent: AtomicBool,
    /// The process that has it; a copy of that one has not.
    owner: u64,
    number: PhantomData<T>,
}

impl<T: Plain> ArrayPart<T> {
    pub(super) fn new(shared: Shared<State>, start: usize, length: usize) -> Self {
        ArrayPart {
            shared,
            start,
            length,
            is_sent: AtomicBool::new(false),
            owner: fork::generation(),
            number: PhantomData,
        }
    }

    fn is_here(&self) -> bool {
        self.owner == fork::generation()
    }

    /// Where in the array it begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its numbers.
    ///
    /// # Panics
    /// The part was sent to another process, or belongs to the process that this one is a copy of.
    #[track_caller]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        assert!(
            !self.is_sent.load(Ordering::Relaxed),
            "this part of the array was sent to another process; do: use it there, and send it back"
        );
        assert!(
            self.is_here(),
            "this part of the array belongs to the process that this one is a copy of; \
             do: start a process with the part as an argument"
        );
        // SAFETY: the place is within the memory; this part is the only one that has it, it has not been sent nor
        // copied by a fork, and the borrow of it is the only one.
        unsafe {
            let first = self.shared.extra().cast::<T>().add(self.start);
            std::slice::from_raw_parts_mut(first, self.length)
        }
    }
}

impl<T: Plain> fmt::Debug for ArrayPart<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "ArrayPart({}..{})",
            self.start,
            self.start + self.length
        )
    }
}

impl<T: Plain> Serialize for ArrayPart<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.is_here() {
            return Err(S::Error::custom(
                "the part of the array belongs to the process that this one is a copy of",
            ));
        }
        let descriptor = message::attach::<S::Error>(self.shared.descriptor())?;
        if self.is_sent.swap(true, Ordering::Relaxed) {
            return Err(S::Error::custom("the part of the array was sent before"));
        }
        (descriptor, self.start as u64, self.length as u64).serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for ArrayPart<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (descriptor, start, length) = <(u32, u64, u64)>::deserialize(deserializer)?;
        let descriptor = message::detach::<D::Error>(descriptor)?;
        let shared = Shared::open(SharedArray::<T>::kind(), descriptor).map_err(message::refuse)?;
        let whole = length_of::<T>(&shared) as u64;
        if start.checked_add(length).is_none_or(|end| end > whole) {
            return Err(message::refuse(
                "the part is outside of its array".to_owned(),
            ));
        }
        Ok(ArrayPart::new(shared, start as usize, length as usize))
    }
}

pub(super) fn join<T: Plain>(mut parts: Vec<ArrayPart<T>>) -> Result<SharedArray<T>, ArrayError> {
    parts.retain(|part| part.is_here() && !part.is_sent.load(Ordering::Relaxed));
    parts.sort_by_key(|part| (part.start, part.length));
    let mut missing = 0;
    let id = |part: &ArrayPart<T>| part.shared.id.load(Ordering::Relaxed);
    let first = parts.first().map(id);
    for part in &parts {
        if part.start != missing || Some(id(part)) != first {
            break;
        }
        missing += part.length;
    }
    let Some(shared) = parts.first().map(|part| part.shared.clone()) else {
        return Err(ArrayError::NotWhole { missing });
    };
    let is_one = parts.iter().all(|part| Some(id(part)) == first);
    let covered: usize = parts.iter().map(|part| part.length).sum();
    if !is_one || missing != length_of::<T>(&shared) || covered != missing {
        return Err(ArrayError::NotWhole { missing });
    }
    drop(parts);
    shared.handles.store(1, Ordering::Release);
    Ok(SharedArray::counted(shared))
}
