//! Work of the rayon device in parts. The loop over rayon's pool is compiled once and calls each part through a pointer: by
//! rayon's own iterators each use, for each type, would be a thousand lines of machine code.
//!
//! What always holds: a part is worth far more than the call; a result does not depend on how many threads there are.

use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Calls `work` with all numbers below `n`, in parallel.
#[inline(never)]
pub(super) fn each(n: usize, work: &(dyn Fn(usize) + Sync)) {
    if n == 1 {
        return work(0);
    }
    (0..n).into_par_iter().for_each(work);
}

/// What `work` returns for all numbers below `n`, in their order.
pub(super) fn collect<A: Send>(n: usize, work: &(dyn Fn(usize) -> A + Sync)) -> Vec<A> {
    let rooms: Vec<Mutex<Option<A>>> = (0..n).map(|_| Mutex::new(None)).collect();
    each(n, &|part| {
        let value = work(part);
        *rooms[part].lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    });
    // A part that panicked has ended the whole.
    let values = rooms.into_iter();
    values
        .filter_map(|room| room.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

/// Calls `work` with each part of `items`, `length` long but for the last, and its number; in parallel.
///
/// # Panics
/// `length` is 0.
pub(super) fn parts_mut<T: Send>(
    items: &mut [T],
    length: usize,
    work: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    /// Where the items begin.
    struct Start<T>(*mut T);
    // SAFETY: used for parts that have no item in common, and items may go to other threads.
    unsafe impl<T: Send> Sync for Start<T> {}
    impl<T> Start<T> {
        fn at(&self, place: usize) -> *mut T {
            self.0.wrapping_add(place)
        }
    }
    let (n, start) = (items.len(), Start(items.as_mut_ptr()));
    each(n.div_ceil(length), &|part| {
        let first = part * length;
        // SAFETY: the part lies within the items, has none in common with another, and `each` calls with every number once.
        let items =
            unsafe { std::slice::from_raw_parts_mut(start.at(first), length.min(n - first)) };
        work(part, items);
    });
}

/// Part number `part` of `items`, `length` long but for the last.
pub(super) fn part_of<T>(items: &[T], length: usize, part: usize) -> &[T] {
    let first = (part * length).min(items.len());
    &items[first..items.len().min(first + length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_one_part() {
        for n in [0, 1, 7, 8, 1000] {
            let mut items = vec![0; n];
            parts_mut(&mut items, 8, &|part, items| {
                items.iter_mut().for_each(|item| *item += part + 1);
            });
            let expected: Vec<usize> = (0..n).map(|i| i / 8 + 1).collect();
            assert_eq!(items, expected);
            let parts = collect(n.div_ceil(8), &|part| part_of(&items, 8, part).to_vec());
            assert_eq!(parts.concat(), items);
        }
    }
}
