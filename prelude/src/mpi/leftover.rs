//! Windows and files that nobody has freed or closed: they end with MPI, or MPICH's end would fail.
//!
//! All ranks of a window or file make it together and end it together. So what is left is the same on all of them, and in
//! the order in which it was made no rank waits for one that waits for it.

use std::sync::{Mutex, PoisonError};

use super::table::{Handle, Table};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Window,
    File,
}

static OPEN: Mutex<Vec<(Kind, Handle)>> = Mutex::new(Vec::new());

/// It is there from now on.
pub(super) fn opened(kind: Kind, handle: Handle) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.push((kind, handle));
}

/// It is about to be ended.
pub(super) fn closing(kind: Kind, handle: Handle) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|one| *one != (kind, handle));
}

/// Ends what is left, at the end of MPI: all ranks do.
pub(super) fn end_all(table: &Table) {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    for (kind, mut handle) in open {
        // SAFETY: it is there, and nobody uses it again: MPI ends.
        let _mpi_ends_in_any_case = unsafe {
            match kind {
                Kind::Window => (table.win_free)(&raw mut handle),
                Kind::File => (table.file_close)(&raw mut handle),
            }
        };
    }
}
