//! Models of machines and of memory, to experiment with: how far memory is, and who should run which task.
//!
//! | call | shows |
//! |---|---|
//! | [`pointer_chase`] | what one access to memory costs, for a set of any size |
//! | [`access_times`] | the same between nodes of memory, near and far |
//! | [`schedule::run`] | a list of tasks on workers: given out beforehand, by a queue, by groups, by stealing |
//!
//! What fits into a few lines of a cell is not here: vector lanes are arrays that the compiler turns into vector
//! instructions, and counters that share a cache line need no more than `CachePadded` of [`crossbeam::utils`].
//! The structure of the machine is told by [`device::topology`](crate::device::topology).
//!
//! What always holds:
//! * random orders come from fixed seeds, so a run can be repeated;
//! * what is measured comes with what was computed, so that it can be checked;
//! * an interrupt of the cell ends a measurement within moments.

mod chase;
mod error;
mod nodes;
pub mod schedule;

pub use chase::{Chased, PointerChase, pointer_chase};
pub use error::ModelError;
pub use nodes::{NodeAccess, access_times};
