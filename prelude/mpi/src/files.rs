//! Files that all ranks of a communicator have open.

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;

use mpi::ffi::{self, MPI_Comm, MPI_File};

use crate::codes::{self, Raw as _};
use crate::point;
use crate::table::{Handle, Pattern, access as how_to, open as how_to_open};

pub unsafe extern "C" fn open(
    comm: Handle,
    path: *const c_char,
    mode: u32,
    file: *mut Handle,
) -> c_int {
    let is = |bit: u32| mode & bit != 0;
    let mut bits = match (is(how_to_open::READ), is(how_to_open::WRITE)) {
        (true, true) => ffi::MPI_MODE_RDWR,
        (false, true) => ffi::MPI_MODE_WRONLY,
        _ => ffi::MPI_MODE_RDONLY,
    };
    for (bit, of_mpi) in [
        (how_to_open::CREATE, ffi::MPI_MODE_CREATE),
        (how_to_open::EXCLUSIVE, ffi::MPI_MODE_EXCL),
        (how_to_open::DELETE_ON_CLOSE, ffi::MPI_MODE_DELETE_ON_CLOSE),
    ] {
        if is(bit) {
            bits |= of_mpi;
        }
    }
    let mut made = MPI_File::null();
    // SAFETY: a C string, and a valid pointer.
    unsafe {
        let none = ffi::RSMPI_INFO_NULL;
        let comm = MPI_Comm::of(comm);
        let code = ffi::MPI_File_open(comm, path, bits as c_int, none, &raw mut made);
        *file = if code == 0 { made.number() } else { 0 };
        code
    }
}

pub unsafe extern "C" fn close(file: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid, and the file is not used again.
    unsafe {
        let mut closed = MPI_File::of(*file);
        *file = 0;
        ffi::MPI_File_close(&raw mut closed)
    }
}

pub unsafe extern "C" fn size(file: Handle, bytes: *mut i64) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { ffi::MPI_File_get_size(MPI_File::of(file), bytes) }
}

pub unsafe extern "C" fn set_size(file: Handle, bytes: i64) -> c_int {
    // SAFETY: a file.
    unsafe { ffi::MPI_File_set_size(MPI_File::of(file), bytes) }
}

pub unsafe extern "C" fn sync(file: Handle) -> c_int {
    // SAFETY: a file.
    unsafe { ffi::MPI_File_sync(MPI_File::of(file)) }
}

pub unsafe extern "C" fn access(
    how: u32,
    file: Handle,
    at: i64,
    buffer: *mut c_void,
    count: i32,
    data: u32,
    done: *mut i64,
) -> c_int {
    let (file, data) = (MPI_File::of(file), codes::datatype(data));
    let mut found = MaybeUninit::<ffi::MPI_Status>::zeroed();
    let told = found.as_mut_ptr();
    // SAFETY: `count` numbers, and valid pointers; the status is written by MPI, and nothing but numbers before.
    unsafe {
        let code = match how {
            how_to::READ => ffi::MPI_File_read_at(file, at, buffer, count, data, told),
            how_to::WRITE => ffi::MPI_File_write_at(file, at, buffer, count, data, told),
            how_to::READ_ALL => ffi::MPI_File_read_at_all(file, at, buffer, count, data, told),
            _ => ffi::MPI_File_write_at_all(file, at, buffer, count, data, told),
        };
        *done = point::status(&found).bytes;
        if how == how_to::READ_ALL && code == 0 {
            return clip(file, at, data, done);
        }
        code
    }
}

/// Takes from the count of a collective read what lies behind the file's end: Open MPI counts what was asked for.
///
/// # Safety
/// `done` is valid.
unsafe fn clip(file: MPI_File, at: i64, data: ffi::MPI_Datatype, done: *mut i64) -> c_int {
    let (mut item, mut end) = (0, 0);
    // SAFETY: the caller's promise, and valid pointers.
    unsafe {
        let code = ffi::MPI_Type_size(data, &raw mut item);
        if code != 0 || item == 0 {
            return code;
        }
        let code = ffi::MPI_File_get_size(file, &raw mut end);
        if code != 0 {
            return code;
        }
        let item = i64::from(item);
        // The most that can be there, then halfway between what is there and what is not: a view's items lie in ascending
        // order.
        let (mut n, mut beyond) = (0, *done / item + 1);
        let mut next = beyond - 1;
        while n + 1 < beyond {
            let mut byte = 0;
            let code = ffi::MPI_File_get_byte_offset(file, at + next - 1, &raw mut byte);
            if code != 0 {
                return code;
            }
            if byte + item <= end {
                n = next;
            } else {
                beyond = next;
            }
            next = n + (beyond - n) / 2;
        }
        *done = n * item;
        0
    }
}

/// The view's type: made of numbers, by the pattern.
///
/// # Safety
/// The pattern's arrays are as long as it says.
unsafe fn filetype(
    data: ffi::MPI_Datatype,
    bytes: c_int,
    pattern: &Pattern,
    made: &mut ffi::MPI_Datatype,
) -> c_int {
    let Pattern {
        block, stride, n, ..
    } = *pattern;
    // SAFETY: the caller's promise.
    unsafe {
        if n > 0 {
            let (sizes, parts, starts) = (pattern.sizes, pattern.part_sizes, pattern.starts);
            let order = ffi::MPI_ORDER_C as c_int;
            return ffi::MPI_Type_create_subarray(n, sizes, parts, starts, order, data, made);
        }
        let mut row = ffi::RSMPI_DATATYPE_NULL;
        let code = ffi::MPI_Type_contiguous(block, data, &raw mut row);
        if code != 0 {
            return code;
        }
        let code = ffi::MPI_Type_create_resized(
            row,
            0,
            stride as ffi::MPI_Aint * bytes as ffi::MPI_Aint,
            made,
        );
        ffi::MPI_Type_free(&raw mut row);
        code
    }
}

pub unsafe extern "C" fn set_view(
    file: Handle,
    displacement: i64,
    data: u32,
    pattern: *const Pattern,
) -> c_int {
    let (file, data) = (MPI_File::of(file), codes::datatype(data));
    // SAFETY: a pattern as the prelude lays it out; a type that is used may be freed, MPI keeps it as long as it needs it.
    unsafe {
        let (native, none) = (c"native".as_ptr(), ffi::RSMPI_INFO_NULL);
        let pattern = &*pattern;
        if pattern.n == 0 && pattern.stride == 0 {
            return ffi::MPI_File_set_view(file, displacement, data, data, native, none);
        }
        let mut bytes = 0;
        let code = ffi::MPI_Type_size(data, &raw mut bytes);
        if code != 0 {
            return code;
        }
        let mut view = ffi::RSMPI_DATATYPE_NULL;
        let code = filetype(data, bytes, pattern, &mut view);
        if code != 0 {
            return code;
        }
        let mut code = ffi::MPI_Type_commit(&raw mut view);
        if code == 0 {
            code = ffi::MPI_File_set_view(file, displacement, data, view, native, none);
        }
        ffi::MPI_Type_free(&raw mut view);
        code
    }
}
