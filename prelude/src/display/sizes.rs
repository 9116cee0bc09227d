//! How big variables are, for the kernel's list of variables.
//!
//! The heap bytes are those of std's collections themselves, without what their elements own in turn:
//! following every pointer would take time that grows with the data. For maps they are an estimate.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::{json, rt};

/// Reports the sizes of variables, without moving them.
#[doc(hidden)]
#[macro_export]
macro_rules! __sizes {
    ($($name:ident),* $(,)?) => {{
        #[allow(unused_imports)]
        use $crate::display::sizes::{HeapKnown as _, HeapUnknown as _};
        $crate::display::sizes::report(&[$(
            (
                ::std::stringify!($name),
                ::std::mem::size_of_val(&$name),
                $crate::display::sizes::Variable(&$name).heap(),
            )
        ),*]);
    }};
}

/// Sends the report: name, bytes on the stack, bytes on the heap if known.
pub fn report(sizes: &[(&str, usize, Option<usize>)]) {
    let pair = |stack: usize, heap: Option<usize>| match heap {
        Some(heap) => format!("[{stack},{heap}]"),
        None => format!("[{stack},null]"),
    };
    rt::report(
        "sizes",
        json::object(
            sizes
                .iter()
                .map(|&(name, stack, heap)| (name, pair(stack, heap))),
        ),
    );
}

/// A variable to measure. Method lookup tries [`HeapKnown`], by value, before [`HeapUnknown`], by reference.
pub struct Variable<'a, T: ?Sized>(pub &'a T);

/// A type whose heap bytes can be told.
pub trait Heap {
    /// The bytes that it holds on the heap.
    fn heap_bytes(&self) -> usize;
}

/// The answer for types that can tell.
pub trait HeapKnown {
    /// The bytes on the heap.
    fn heap(self) -> Option<usize>;
}

impl<T: Heap + ?Sized> HeapKnown for Variable<'_, T> {
    fn heap(self) -> Option<usize> {
        Some(self.0.heap_bytes())
    }
}

/// The answer for all others.
pub trait HeapUnknown {
    /// Nothing is known.
    fn heap(&self) -> Option<usize> {
        None
    }
}

impl<T: ?Sized> HeapUnknown for Variable<'_, T> {}

impl<T> Heap for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

impl<T> Heap for VecDeque<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

impl Heap for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl<T> Heap for Box<[T]> {
    fn heap_bytes(&self) -> usize {
        size_of_val(&**self)
    }
}

impl Heap for Box<str> {
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

/// std's table has one control byte for each place and fills at most 7 of 8 places.
fn hash_table_bytes(capacity: usize, entry: usize) -> usize {
    if capacity == 0 {
        0
    } else {
        (capacity * 8 / 7) * (entry + 1)
    }
}

impl<K, V, S> Heap for HashMap<K, V, S> {
    fn heap_bytes(&self) -> usize {
        hash_table_bytes(self.capacity(), size_of::<(K, V)>())
    }
}

impl<T, S> Heap for HashSet<T, S> {
    fn heap_bytes(&self) -> usize {
        hash_table_bytes(self.capacity(), size_of::<T>())
    }
}

/// Nodes of std's tree are between half full and full; three quarters is the estimate.
fn tree_bytes(len: usize, entry: usize) -> usize {
    len * entry * 4 / 3
}

impl<K, V> Heap for BTreeMap<K, V> {
    fn heap_bytes(&self) -> usize {
        tree_bytes(self.len(), size_of::<(K, V)>())
    }
}

impl<T> Heap for BTreeSet<T> {
    fn heap_bytes(&self) -> usize {
        tree_bytes(self.len(), size_of::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_count_their_capacity() {
        assert_eq!(Vec::<u64>::with_capacity(10).heap_bytes(), 80);
        assert_eq!(String::with_capacity(10).heap_bytes(), 10);
        assert_eq!(vec![1u16, 2].into_boxed_slice().heap_bytes(), 4);
        assert_eq!(Box::<str>::from("abc").heap_bytes(), 3);
        assert_eq!(HashMap::<u8, u8>::new().heap_bytes(), 0);
        assert!(HashMap::from([(1u64, 2u64)]).heap_bytes() >= 17);
        assert_eq!(
            BTreeMap::from([(1u64, 2u64), (3, 4), (5, 6)]).heap_bytes(),
            64
        );
    }

    #[test]
    fn types_that_cannot_tell_say_so() {
        let (known, unknown) = (vec![0u8; 3], 5);
        assert_eq!(Variable(&known).heap(), Some(3));
        assert_eq!(Variable(&unknown).heap(), None);
    }
}
