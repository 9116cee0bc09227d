//! Slices of a kernel that runs on the processor: every access is checked, and no race goes unseen.
//!
//! In the text of a kernel every work item has `&mut [T]` of the same elements. Real references of that kind would be
//! undefined behaviour, so on the processor a parameter `&mut [T]` is a [`Shared`]: it is indexed like a slice, and each
//! access first claims its element for the work item, by one atomic operation in a table of owners beside the elements. A
//! claim that meets another work item's, one of the two writing and no barrier between them, ends the launch with an
//! error that names the element. So two work items never reach an element at the same time unless both read: the
//! references that indexing makes are sound, and a race, which on a device is a number that is wrong now and then, is an
//! error on the processor every time. Relaxed atomic elements would have been sound too, but `c[i] = x` needs a reference to a
//! plain number, and they would have hidden the race.
//!
//! What always holds:
//! * a claim is never given back before the launch ends, except to the same group after a barrier;
//! * the translator has accepted the kernel before it runs here, so no reference outlives its expression.

use std::cell::Cell;
use std::ops::{Index, IndexMut};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use super::host::{Fault, raise};
use crate::gpu::element::Plain;

/// Ends the work item at an index that a slice does not have.
#[inline]
#[track_caller]
pub(super) fn within(index: usize, length: usize, name: &'static str) {
    if index >= length {
        raise(Fault::Index {
            location: Location::caller(),
            name,
            index: index as u64,
            length: length as u64,
        });
    }
}

/// A slice that all work items of a launch have.
pub struct Shared<T> {
    start: *mut T,
    length: usize,
    /// The owners of the elements; null for what is only read.
    owners: *const AtomicU64,
    /// Who accesses.
    me: *const Cell<u64>,
    name: &'static str,
}

impl<T: Plain> Shared<T> {
    /// A slice for one work item.
    ///
    /// # Safety
    /// `start` is valid for `length` elements as long as this lives, and is reached through `Shared` alone meanwhile; so
    /// are as many owners, or they are null and nobody writes. `me` is valid as long.
    pub(super) unsafe fn new(
        start: *mut T,
        length: usize,
        owners: *const AtomicU64,
        me: *const Cell<u64>,
        name: &'static str,
    ) -> Shared<T> {
        Shared {
            start,
            length,
            owners,
            me,
            name,
        }
    }

    /// How many elements there are.
    #[expect(clippy::len_without_is_empty, reason = "kernels have len() only")]
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    #[inline]
    #[track_caller]
    fn claim(&self, index: usize, is_write: bool) {
        within(index, self.length, self.name);
        if self.owners.is_null() {
            return;
        }
        // SAFETY: there are as many owners as elements, and `me` is valid.
        let (owner, me) = unsafe { (&*self.owners.add(index), (*self.me).get()) };
        let seen = owner.load(Ordering::Relaxed);
        // What most accesses meet: an element that is the work item's already.
        if seen == (WRITTEN | HELD | me) {
            return;
        }
        if let Err(other) = settle(owner, seen, me, is_write) {
            raise(Fault::Race {
                location: Location::caller(),
                name: self.name,
                index: index as u64,
                one: me,
                other,
            });
        }
    }
}

impl<T: Plain> Index<usize> for Shared<T> {
    type Output = T;

    #[inline]
    #[track_caller]
    fn index(&self, index: usize) -> &T {
        self.claim(index, false);
        // SAFETY: the index is below the length. Whoever would write has to claim the element and cannot.
        unsafe { &*self.start.add(index) }
    }
}

impl<T: Plain> IndexMut<usize> for Shared<T> {
    #[inline]
    #[track_caller]
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.claim(index, true);
        // SAFETY: as above; the element is claimed for this work item alone, which has no other reference to it, because
        // the translator accepts none that outlives its expression.
        unsafe { &mut *self.start.add(index) }
    }
}

// An owner: two bits for what was done, one for whether the group has written, group, item of the group, barriers passed.
const KIND: u64 = 3 << 62;
const READ: u64 = 1 << 62;
/// Read by several work items of a group, or by several groups ([`ALL`]).
const SEVERAL: u64 = 2 << 62;
const WRITTEN: u64 = 3 << 62;
/// The group has written, so no other group may access.
const HELD: u64 = 1 << 61;
const GROUP_BITS: u32 = 25;
const ITEM_BITS: u32 = 10;
const EPOCH_BITS: u32 = 26;
const GROUP: u64 = ((1 << GROUP_BITS) - 1) << (ITEM_BITS + EPOCH_BITS);
const EPOCH: u64 = (1 << EPOCH_BITS) - 1;
const ITEM: u64 = ((1 << ITEM_BITS) - 1) << EPOCH_BITS;
/// Read by work items of several groups; no group has this number.
const ALL: u64 = SEVERAL | GROUP;

/// The most groups, and work items of one, that a launch may have here.
pub(super) const MOST_GROUPS: usize = (1 << GROUP_BITS) - 1;
pub(super) const LARGEST_GROUP: usize = 1 << ITEM_BITS;
pub(super) const MOST_BARRIERS: u64 = EPOCH;

/// A work item, as a claim names it.
pub(super) fn identity(group: usize, item: usize, epoch: u64) -> u64 {
    (group as u64) << (ITEM_BITS + EPOCH_BITS) | (item as u64) << EPOCH_BITS | epoch
}

/// Group and item of a name.
pub(super) fn parts(identity: u64) -> (usize, usize) {
    let group = (identity & GROUP) >> (ITEM_BITS + EPOCH_BITS);
    (group as usize, ((identity & ITEM) >> EPOCH_BITS) as usize)
}

/// Claims an element. The error is the owner that it belongs to.
#[cold]
fn settle(owner: &AtomicU64, mut seen: u64, me: u64, is_write: bool) -> Result<(), u64> {
    loop {
        let new = next(seen, me, is_write).ok_or(seen)?;
        // Relaxed: claims of one element have one order anyway, and accesses that it lets through are ordered by a barrier
        // or by nothing, when both read.
        match owner.compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => seen = now,
        }
    }
}

/// The owner after an access; none if it is a race.
fn next(seen: u64, me: u64, is_write: bool) -> Option<u64> {
    let mine = if is_write {
        WRITTEN | HELD | me
    } else {
        READ | me
    };
    if seen == 0 {
        return Some(mine);
    }
    if seen & (GROUP | KIND) == ALL {
        return (!is_write).then_some(seen);
    }
    if (seen ^ me) & GROUP != 0 {
        // Another group: nothing orders the two.
        return (!is_write && seen & HELD == 0).then_some(ALL);
    }
    let held = seen & HELD;
    let is_same = (seen ^ me) & (ITEM | EPOCH) == 0 && seen & KIND != SEVERAL;
    let is_before = seen & EPOCH != me & EPOCH;
    if is_same {
        let stays = if is_write { mine } else { seen };
        return Some(stays);
    }
    if is_before {
        return Some(mine | held);
    }
    match seen & KIND {
        READ | SEVERAL if !is_write => Some(SEVERAL | held | (me & (GROUP | EPOCH))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_of_two_work_items_go_together() {
        let (a, b) = (identity(0, 0, 0), identity(0, 1, 0));
        let other_group = identity(1, 0, 0);
        let read = next(0, a, false).unwrap();
        let by_two = next(read, b, false).unwrap();
        assert_eq!(next(by_two, a, true), None);
        assert_eq!(next(by_two, other_group, false), Some(ALL));
        assert_eq!(next(ALL, a, true), None);
        let written = next(0, a, true).unwrap();
        assert_eq!(next(written, a, false), Some(written));
        assert_eq!(next(written, b, false), None);
        assert_eq!(next(written, other_group, false), None);
    }

    #[test]
    fn a_barrier_orders_a_group_and_no_other() {
        let (a, b) = (identity(0, 0, 0), identity(0, 1, 1));
        let written = next(0, a, true).unwrap();
        let read = next(written, b, false).unwrap();
        // The group has written it, whoever read it since.
        assert_eq!(next(read, identity(1, 0, 5), false), None);
        assert_eq!(next(read, identity(0, 2, 1), true), None);
        assert!(next(read, identity(0, 2, 2), true).is_some());
    }
}
