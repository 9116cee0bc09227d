//! Messages between the ranks of a parallel program, by the standard of MPI and under its names.
//!
//! A program of MPI runs several times at once; each run is a *rank*, with memory of its own, and they work together
//! by messages only. [`world`] is the communicator of all ranks. Two families of calls:
//!
//! * **values** of any type that serde knows, by the plain names: [`send`](Communicator::send),
//!   [`recv`](Communicator::recv), [`bcast`](Communicator::bcast), [`scatter`](Communicator::scatter), …;
//! * **slices** of numbers, by the same names with `_slice`: nothing is encoded or copied, the length is known on
//!   both sides, and reductions take MPI's operators ([`SUM`], [`MAXLOC`], …).
//!
//! The two do not mix: what was sent by `send` is received by `recv`.
//!
//! And three things beside messages:
//! * [`Window`]s, memory of each rank that the others read and write by themselves: counters, tables that all add to;
//! * [`File`]s that all ranks have open, each at its own places;
//! * collective calls on slices that are started and waited for later, in a [`scope`] as sends and receives of borrowed
//!   slices are: [`Scope::iallreduce_slice`], …
//!
//! What always holds:
//! * MPI starts at the first call, with MPI_THREAD_MULTIPLE, and ends with the process. Outside of `mpiexec` the
//!   world has one rank, so a program can be tried in an ordinary cell;
//! * errors are returned ([`MpiError`]), with MPI's words and the call;
//! * a collective call compares first what the ranks gave it. Wrong counts, different roots or different calls are
//!   errors on every rank, and nobody hangs. [`unchecked`](Communicator::unchecked) leaves that out, for measurements;
//! * a wait can be interrupted, that for a window's lock too, and [`standing`] tells where this rank waits;
//! * places in windows are compared with their lengths, files are opened on all ranks or on none;
//! * what all ranks did and sent can be recorded ([`record`](Communicator::record)); grids and graphs show themselves as
//!   pictures;
//! * without an MPI library everything else of forkline works, and these calls say what to install.
//!
//! The library itself lies in a plugin that is opened at the first use. Whoever wants rsmpi, the bindings below it,
//! adds it with `:dep mpi` and writes `::mpi`.
//!
//! ```no_run
//! use forkline::prelude::*;
//!
//! # fn main() -> Result<(), mpi::MpiError> {
//! let world = mpi::world()?;
//! let square = (world.rank() + 1).pow(2);
//! if let Some(squares) = world.gather(square, 0)? {
//!     println!("{squares:?}"); // on 5 ranks: [1, 4, 9, 16, 25]
//! }
//! # Ok(())
//! # }
//! ```

mod buffered;
mod collective;
mod communicator;
mod datatype;
mod error;
mod file;
mod gate;
mod graph;
mod grid;
mod group;
mod immediate;
mod leftover;
mod library;
mod lock;
mod neighbors;
mod notes;
mod objects;
mod overlap;
mod parcel;
mod picture;
mod point;
mod posted;
mod reachable;
mod recording;
mod reduction;
mod remote;
mod request;
mod scope;
mod short;
mod state;
#[allow(dead_code, reason = "the plugin uses the rest")]
mod table;
#[doc(hidden)]
pub mod transfer;
mod values;
mod view;
mod wait;
mod window;

use std::sync::OnceLock;

pub use buffered::{attach_buffer, detach_buffer};
pub use communicator::{Communicator, Comparison};
pub use datatype::{
    ANY_SOURCE, ANY_TAG, Accumulates, BAND, BOR, BXOR, Datatype, LAND, LOR, LXOR, Located, MAX,
    MAXLOC, MIN, MINLOC, NO_OP, Number, Operator, PROC_NULL, PROD, Peer, PlaceOperator, REPLACE,
    Reduces, SUM, Status, Tag, Whole, WindowOperator,
};
pub use error::{Call, ErrorClass, MpiError, MpiResult, Standing};
pub use file::File;
pub use graph::Graph;
pub use grid::{Cartesian, Shift, dims_create};
pub use group::Group;
pub use lock::{LockKind, Locked, LockedAll};
pub use neighbors::Neighbors;
pub use parcel::Parcel;
pub use picture::Topology;
pub use recording::{Recording, Transfer};
pub use request::{Request, wait_all, wait_any};
pub use scope::{Scope, ScopedRequest, scope};
pub use view::{Mode, View};
pub use window::Window;

use table::Handle;

/// The communicator of all ranks. The first call starts MPI.
///
/// # Errors
/// There is no MPI; the text says what to install.
///
/// ```no_run
/// # use forkline::mpi;
/// let world = mpi::world()?;
/// println!("rank {} of {}", world.rank(), world.size());
/// # Ok::<(), mpi::MpiError>(())
/// ```
pub fn world() -> MpiResult<Communicator> {
    static WORLD: OnceLock<Communicator> = OnceLock::new();
    // SAFETY: MPI is started.
    predefined(&WORLD, |table| unsafe { (table.comm_world)() })
}

/// The communicator of this rank alone.
///
/// # Errors
/// As for [`world`].
pub fn own() -> MpiResult<Communicator> {
    static OWN: OnceLock<Communicator> = OnceLock::new();
    // SAFETY: MPI is started.
    predefined(&OWN, |table| unsafe { (table.comm_self)() })
}

fn predefined(
    place: &OnceLock<Communicator>,
    handle: impl FnOnce(&table::Table) -> Handle,
) -> MpiResult<Communicator> {
    if let Some(communicator) = place.get() {
        return Ok(communicator.clone());
    }
    let table = library::table()?;
    let communicator = Communicator::new(table, handle(table), &Call::here("world"))?;
    Ok(place.get_or_init(|| communicator).clone())
}

/// The name of the machine that this rank runs on.
///
/// # Errors
/// As for [`world`].
pub fn processor_name() -> MpiResult<String> {
    let table = library::table()?;
    library::is_open(&Call::here("processor_name"))?;
    // SAFETY: the room is as said.
    Ok(library::text(|out, capacity| unsafe {
        (table.processor_name)(out, capacity)
    }))
}

/// The MPI library's name and version, for instance `Open MPI v4.1.4, …`.
///
/// # Errors
/// As for [`world`].
pub fn library_version() -> MpiResult<String> {
    let table = library::table()?;
    // SAFETY: the room is as said.
    Ok(library::text(|out, capacity| unsafe {
        (table.library)(out, capacity)
    }))
}

/// MPI's clock, in seconds since some moment in the past. Clocks of several machines may differ.
///
/// # Errors
/// As for [`world`].
pub fn wtime() -> MpiResult<f64> {
    // SAFETY: MPI is started.
    library::table().map(|table| unsafe { (table.wtime)() })
}

/// The resolution of [`wtime`], in seconds.
///
/// # Errors
/// As for [`world`].
pub fn wtick() -> MpiResult<f64> {
    // SAFETY: MPI is started.
    library::table().map(|table| unsafe { (table.wtick)() })
}

/// The calls in which threads of this rank wait now, the oldest first; empty if none does.
///
/// Another thread of the rank may ask, for a report of who waits for whom.
pub fn standing() -> Vec<Standing> {
    wait::standing()
}

/// Ends MPI in this process, which the end of the process does by itself. It waits until all ranks call it; later calls
/// of this module are errors.
///
/// # Errors
/// MPI's own.
#[track_caller]
pub fn finalize() -> MpiResult<()> {
    library::finalize()
}

/// Ends all ranks at once, with this exit code; mpiexec says which rank did it.
///
/// # Errors
/// There is no MPI.
pub fn abort(code: i32) -> MpiResult<std::convert::Infallible> {
    let table = library::table()?;
    // SAFETY: it does not return; if it did, the process ends.
    unsafe { (table.abort)(code) };
    std::process::exit(code)
}

/// A span of a call, so that a recording shows when this rank was in it.
#[inline]
fn trace_span(name: &'static str) -> crate::trace::Span {
    crate::trace::span(name)
}

#[cfg(test)]
mod tests;
