//! Sorting by rayon.
//!
//! What is sorted are keys: whole numbers in the order of the elements. So there are two sorts to compile, for elements of
//! four bytes and of eight, and not one for each type and order.

use rayon::prelude::*;

use super::super::Numeric;
use super::super::parallel;

/// Elements of a part in which keys are made, or made to elements.
const PART: usize = 1 << 15;

/// A key that is in ascending order where the elements are in the wanted one.
fn key<T: Numeric>(item: T, is_descending: bool) -> u64 {
    match is_descending {
        true => !item.order_bits(),
        false => item.order_bits(),
    }
}

pub(super) fn sort<T: Numeric>(items: &mut [T], is_descending: bool) {
    let places = places(items, is_descending);
    let old = items.to_vec();
    parallel::parts_mut(items, PART, &|part, items| {
        let places = parallel::part_of(&places, PART, part);
        for (item, place) in items.iter_mut().zip(places) {
            *item = old[*place as usize];
        }
    });
}

/// The places of the elements in the wanted order; those of equal ones keep theirs.
pub(super) fn places<T: Numeric>(items: &[T], is_descending: bool) -> Vec<u64> {
    if T::TYPE.size() == 4 && u32::try_from(items.len()).is_ok() {
        return packed_places(items, is_descending);
    }
    let mut keyed = vec![(0_u64, 0_u64); items.len()];
    parallel::parts_mut(&mut keyed, PART, &|part, keyed| {
        let first = part * PART;
        for (i, (place, item)) in keyed.iter_mut().zip(&items[first..]).enumerate() {
            *place = (key(*item, is_descending), (first + i) as u64);
        }
    });
    keyed.par_sort_unstable();
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// The same of elements of four bytes: key and place are one number.
fn packed_places<T: Numeric>(items: &[T], is_descending: bool) -> Vec<u64> {
    const PLACE: u64 = u32::MAX as u64;
    let lowest = T::LOWEST.order_bits();
    let mut keyed = vec![0_u64; items.len()];
    parallel::parts_mut(&mut keyed, PART, &|part, keyed| {
        let first = part * PART;
        for (i, (keyed, item)) in keyed.iter_mut().zip(&items[first..]).enumerate() {
            let key = item.order_bits().wrapping_sub(lowest);
            let key = if is_descending { PLACE - key } else { key };
            *keyed = key << 32 | (first + i) as u64;
        }
    });
    keyed.par_sort_unstable();
    keyed.iter_mut().for_each(|keyed| *keyed &= PLACE);
    keyed
}
