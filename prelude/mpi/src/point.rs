//! Messages from one rank to another, and requests.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

use mpi::ffi;

use crate::codes::{self, Raw as _};
use crate::table::{Handle, RawStatus, mode};

/// What the prelude wants to know of a status.
///
/// # Safety
/// MPI has written the status.
pub unsafe fn status(status: &MaybeUninit<ffi::MPI_Status>) -> RawStatus {
    let mut bytes = 0;
    // SAFETY: the caller's promise; of every status MPI tells the count in bytes.
    unsafe {
        ffi::MPI_Get_count(status.as_ptr(), ffi::RSMPI_UINT8_T, &raw mut bytes);
        let status = status.assume_init_ref();
        RawStatus {
            source: codes::rank_back(status.MPI_SOURCE),
            tag: status.MPI_TAG,
            bytes: bytes.into(),
        }
    }
}

pub unsafe extern "C" fn isend(
    how: u32,
    buffer: *const c_void,
    count: i32,
    data: u32,
    to: i32,
    tag: i32,
    comm: Handle,
    request: *mut Handle,
) -> c_int {
    let call = match how {
        mode::SYNCHRONOUS => ffi::MPI_Issend,
        _ => ffi::MPI_Isend,
    };
    let mut made = ffi::MPI_Request::null();
    // SAFETY: the prelude keeps the buffer until the request is done.
    unsafe {
        let code = call(
            buffer,
            count,
            codes::datatype(data),
            codes::rank(to),
            codes::tag(tag),
            ffi::MPI_Comm::of(comm),
            &raw mut made,
        );
        *request = made.number();
        code
    }
}

pub unsafe extern "C" fn irecv(
    buffer: *mut c_void,
    count: i32,
    data: u32,
    from: i32,
    tag: i32,
    comm: Handle,
    request: *mut Handle,
) -> c_int {
    let mut made = ffi::MPI_Request::null();
    // SAFETY: the prelude keeps the buffer, and touches it not, until the request is done.
    unsafe {
        let code = ffi::MPI_Irecv(
            buffer,
            count,
            codes::datatype(data),
            codes::rank(from),
            codes::tag(tag),
            ffi::MPI_Comm::of(comm),
            &raw mut made,
        );
        *request = made.number();
        code
    }
}

pub unsafe extern "C" fn test(
    request: *mut Handle,
    times: u32,
    done: *mut i32,
    out: *mut RawStatus,
) -> c_int {
    let mut found = MaybeUninit::uninit();
    // SAFETY: the pointers are valid; MPI writes the status when it says that the request is done.
    unsafe {
        let mut asked = ffi::MPI_Request::of(*request);
        for _ in 0..times {
            let mut flag = 0;
            let code = ffi::MPI_Test(&raw mut asked, &raw mut flag, found.as_mut_ptr());
            if code != 0 {
                // The message is over, with this error.
                if !asked.is_null() {
                    ffi::MPI_Request_free(&raw mut asked);
                }
                *request = 0;
                *done = 1;
                return code;
            }
            if flag != 0 {
                *request = 0;
                *done = 1;
                if !out.is_null() {
                    *out = status(&found);
                }
                return 0;
            }
        }
        *done = 0;
        *request = asked.number();
        0
    }
}

pub unsafe extern "C" fn cancel(request: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid, and the request is not done.
    unsafe {
        let mut asked = ffi::MPI_Request::of(*request);
        ffi::MPI_Cancel(&raw mut asked)
    }
}

pub unsafe extern "C" fn iprobe(
    from: i32,
    tag: i32,
    comm: Handle,
    found: *mut i32,
    out: *mut RawStatus,
) -> c_int {
    let mut seen = MaybeUninit::uninit();
    // SAFETY: the pointers are valid; MPI writes the status when it has found a message.
    unsafe {
        *found = 0;
        let comm = ffi::MPI_Comm::of(comm);
        let (from, tag) = (codes::rank(from), codes::tag(tag));
        let code = ffi::MPI_Iprobe(from, tag, comm, found, seen.as_mut_ptr());
        if code == 0 && *found != 0 {
            *out = status(&seen);
        }
        code
    }
}

pub unsafe extern "C" fn improbe(
    from: i32,
    tag: i32,
    comm: Handle,
    found: *mut i32,
    message: *mut Handle,
    out: *mut RawStatus,
) -> c_int {
    let mut seen = MaybeUninit::uninit();
    let mut matched = ffi::MPI_Message::null();
    // SAFETY: the pointers are valid; MPI writes the status when it has found a message.
    unsafe {
        *found = 0;
        let code = ffi::MPI_Improbe(
            codes::rank(from),
            codes::tag(tag),
            ffi::MPI_Comm::of(comm),
            found,
            &raw mut matched,
            seen.as_mut_ptr(),
        );
        if code == 0 && *found != 0 {
            *out = status(&seen);
            *message = matched.number();
        }
        code
    }
}

pub unsafe extern "C" fn imrecv(
    buffer: *mut c_void,
    bytes: i32,
    message: *mut Handle,
    request: *mut Handle,
) -> c_int {
    let mut made = ffi::MPI_Request::null();
    // SAFETY: the prelude keeps the buffer, and touches it not, until the request is done.
    unsafe {
        let mut matched = ffi::MPI_Message::of(*message);
        let code = ffi::MPI_Imrecv(
            buffer,
            bytes,
            ffi::RSMPI_UINT8_T,
            &raw mut matched,
            &raw mut made,
        );
        *message = matched.number();
        *request = made.number();
        code
    }
}
