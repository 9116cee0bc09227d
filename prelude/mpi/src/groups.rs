//! Communicators and groups.

use std::ffi::{c_char, c_int};

use mpi::ffi::{self, MPI_Comm, MPI_Group};

use crate::codes::{self, Raw as _};
use crate::table::Handle;

/// Writes a new communicator's number to `out`, after it was told to return errors.
///
/// # Safety
/// `make` is a call of MPI that writes a communicator, or the null one; `out` is valid.
pub unsafe fn made(out: *mut Handle, make: impl FnOnce(*mut MPI_Comm) -> c_int) -> c_int {
    let mut comm = MPI_Comm::null();
    let code = make(&raw mut comm);
    // SAFETY: the communicator is new and valid.
    unsafe {
        *out = comm.number();
        if code == 0 && !comm.is_null() {
            return ffi::MPI_Comm_set_errhandler(comm, ffi::RSMPI_ERRORS_RETURN);
        }
    }
    code
}

/// The same for a group.
///
/// # Safety
/// As for [`made`].
unsafe fn made_group(out: *mut Handle, make: impl FnOnce(*mut MPI_Group) -> c_int) -> c_int {
    let mut group = MPI_Group::null();
    let code = make(&raw mut group);
    // SAFETY: the caller's promise.
    unsafe { *out = group.number() };
    code
}

pub unsafe extern "C" fn world() -> Handle {
    // SAFETY: a constant of the shim.
    unsafe { ffi::RSMPI_COMM_WORLD }.number()
}

pub unsafe extern "C" fn own() -> Handle {
    // SAFETY: a constant of the shim.
    unsafe { ffi::RSMPI_COMM_SELF }.number()
}

pub unsafe extern "C" fn rank(comm: Handle, out: *mut i32) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { ffi::MPI_Comm_rank(MPI_Comm::of(comm), out) }
}

pub unsafe extern "C" fn size(comm: Handle, out: *mut i32) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { ffi::MPI_Comm_size(MPI_Comm::of(comm), out) }
}

pub unsafe extern "C" fn name(comm: Handle, out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller promises the room.
    unsafe {
        crate::text(out, capacity, |t, n| {
            ffi::MPI_Comm_get_name(MPI_Comm::of(comm), t, n)
        })
    }
}

pub unsafe extern "C" fn set_name(comm: Handle, name: *const c_char) -> c_int {
    // SAFETY: a C string, which MPI copies.
    unsafe { ffi::MPI_Comm_set_name(MPI_Comm::of(comm), name) }
}

pub unsafe extern "C" fn compare(one: Handle, other: Handle, out: *mut i32) -> c_int {
    let mut found = 0;
    // SAFETY: the pointer is valid.
    unsafe {
        let code = ffi::MPI_Comm_compare(MPI_Comm::of(one), MPI_Comm::of(other), &raw mut found);
        *out = if found == ffi::RSMPI_IDENT {
            0
        } else if found == ffi::RSMPI_CONGRUENT {
            1
        } else if found == ffi::RSMPI_SIMILAR {
            2
        } else {
            3
        };
        code
    }
}

pub unsafe extern "C" fn group(comm: Handle, out: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { made_group(out, |g| ffi::MPI_Comm_group(MPI_Comm::of(comm), g)) }
}

pub unsafe extern "C" fn group_size(group: Handle, out: *mut i32) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { ffi::MPI_Group_size(MPI_Group::of(group), out) }
}

pub unsafe extern "C" fn group_rank(group: Handle, out: *mut i32) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe {
        let code = ffi::MPI_Group_rank(MPI_Group::of(group), out);
        *out = codes::rank_back(*out);
        code
    }
}

pub unsafe extern "C" fn incl(group: Handle, n: i32, ranks: *const i32, out: *mut Handle) -> c_int {
    // SAFETY: `n` ranks, and a valid pointer.
    unsafe {
        made_group(out, |g| {
            ffi::MPI_Group_incl(MPI_Group::of(group), n, ranks, g)
        })
    }
}

pub unsafe extern "C" fn excl(group: Handle, n: i32, ranks: *const i32, out: *mut Handle) -> c_int {
    // SAFETY: `n` ranks, and a valid pointer.
    unsafe {
        made_group(out, |g| {
            ffi::MPI_Group_excl(MPI_Group::of(group), n, ranks, g)
        })
    }
}

macro_rules! two_groups {
    ($($name:ident $call:ident),*) => {
        $(pub unsafe extern "C" fn $name(one: Handle, other: Handle, out: *mut Handle) -> c_int {
            // SAFETY: the pointer is valid.
            unsafe {
                made_group(out, |g| ffi::$call(MPI_Group::of(one), MPI_Group::of(other), g))
            }
        })*
    };
}

two_groups!(
    union MPI_Group_union,
    intersection MPI_Group_intersection,
    difference MPI_Group_difference
);

pub unsafe extern "C" fn translate(
    from: Handle,
    n: i32,
    ranks: *const i32,
    to: Handle,
    out: *mut i32,
) -> c_int {
    // SAFETY: `n` ranks on both sides.
    unsafe {
        let (from, to) = (MPI_Group::of(from), MPI_Group::of(to));
        let code = ffi::MPI_Group_translate_ranks(from, n, ranks, to, out);
        if code == 0 {
            for at in 0..usize::try_from(n).unwrap_or(0) {
                let place = out.add(at);
                *place = codes::rank_back(*place);
            }
        }
        code
    }
}

pub unsafe extern "C" fn group_free(group: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid, and the group is not used again.
    unsafe {
        let mut freed = MPI_Group::of(*group);
        *group = 0;
        ffi::MPI_Group_free(&raw mut freed)
    }
}

pub unsafe extern "C" fn dup(comm: Handle, out: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { made(out, |new| ffi::MPI_Comm_dup(MPI_Comm::of(comm), new)) }
}

pub unsafe extern "C" fn split(comm: Handle, color: i32, key: i32, out: *mut Handle) -> c_int {
    let color = codes::color(color);
    // SAFETY: the pointer is valid.
    unsafe {
        made(out, |new| {
            ffi::MPI_Comm_split(MPI_Comm::of(comm), color, key, new)
        })
    }
}

pub unsafe extern "C" fn split_shared(comm: Handle, key: i32, out: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe {
        made(out, |new| {
            ffi::MPI_Comm_split_type(
                MPI_Comm::of(comm),
                ffi::RSMPI_COMM_TYPE_SHARED,
                key,
                ffi::RSMPI_INFO_NULL,
                new,
            )
        })
    }
}

pub unsafe extern "C" fn create(comm: Handle, group: Handle, out: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe {
        made(out, |new| {
            ffi::MPI_Comm_create(MPI_Comm::of(comm), MPI_Group::of(group), new)
        })
    }
}

pub unsafe extern "C" fn free(comm: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid, and the communicator is not used again.
    unsafe {
        let mut freed = MPI_Comm::of(*comm);
        *comm = 0;
        ffi::MPI_Comm_free(&raw mut freed)
    }
}
