//! The words of kernels: what their text may call beside the methods of numbers.

use super::atomic::{AtomicElement, Atomics};
use super::host;
use super::shared::Shared;
use crate::gpu::element::Plain;

/// The place of this work item among all, in a dimension from 0 to 2.
pub fn global_id(dimension: usize) -> usize {
    host::global_id(dimension)
}

/// The place of this work item in its group.
pub fn local_id(dimension: usize) -> usize {
    host::local_id(dimension)
}

/// The place of this work item's group among all groups.
pub fn group_id(dimension: usize) -> usize {
    host::group_id(dimension)
}

/// How many work items were asked for.
pub fn global_size(dimension: usize) -> usize {
    host::sizes().global[dimension]
}

/// How many work items a group has.
pub fn local_size(dimension: usize) -> usize {
    host::sizes().group[dimension]
}

/// How many groups there are.
pub fn n_groups(dimension: usize) -> usize {
    host::sizes().groups[dimension]
}

/// Waits until all work items of the group are here. What one wrote before, all others see behind it. All of a group come to
/// it, or none.
#[track_caller]
pub fn barrier() {
    host::barrier();
}

/// Local memory of numbers; the macro `local!` calls it.
#[doc(hidden)]
#[track_caller]
pub fn local_memory<T: Plain>(n: usize) -> Shared<T> {
    host::local(n)
}

/// Local memory of atomic numbers; the macro `local!` calls it.
#[doc(hidden)]
#[track_caller]
pub fn local_atomics<T: AtomicElement>(n: usize) -> Atomics<T> {
    host::local_atomics(n)
}
