//! Calls that all ranks of a communicator make together, as requests: the prelude keeps the buffers until they are done.

use std::ffi::{c_int, c_void};

use mpi::ffi::{self, MPI_Comm};

use crate::codes::{self, Raw as _};
use crate::table::Handle;

/// The request that `make` writes.
///
/// # Safety
/// `out` is valid.
unsafe fn made(out: *mut Handle, make: impl FnOnce(*mut ffi::MPI_Request) -> c_int) -> c_int {
    let mut made = ffi::MPI_Request::null();
    let code = make(&raw mut made);
    // SAFETY: the caller's promise.
    unsafe { *out = made.number() };
    code
}

pub unsafe extern "C" fn barrier(comm: Handle, request: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { made(request, |r| ffi::MPI_Ibarrier(MPI_Comm::of(comm), r)) }
}

pub unsafe extern "C" fn bcast(
    buffer: *mut c_void,
    count: i32,
    data: u32,
    root: i32,
    comm: Handle,
    request: *mut Handle,
) -> c_int {
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: the buffer has `count` numbers.
    unsafe {
        made(request, |r| {
            ffi::MPI_Ibcast(buffer, count, data, root, comm, r)
        })
    }
}

macro_rules! pieces {
    ($($name:ident $call:ident),*; $($rooted:ident $rooted_call:ident),*) => {
        $(pub unsafe extern "C" fn $name(
            send: *const c_void,
            receive: *mut c_void,
            count: i32,
            data: u32,
            comm: Handle,
            request: *mut Handle,
        ) -> c_int {
            let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
            // SAFETY: the prelude has compared the buffers with the count.
            unsafe {
                made(request, |r| ffi::$call(send, count, data, receive, count, data, comm, r))
            }
        })*
        $(pub unsafe extern "C" fn $rooted(
            send: *const c_void,
            receive: *mut c_void,
            count: i32,
            data: u32,
            root: i32,
            comm: Handle,
            request: *mut Handle,
        ) -> c_int {
            let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
            // SAFETY: as above.
            unsafe {
                made(request, |r| {
                    ffi::$rooted_call(send, count, data, receive, count, data, root, comm, r)
                })
            }
        })*
    };
}

pieces!(
    allgather MPI_Iallgather, alltoall MPI_Ialltoall;
    scatter MPI_Iscatter, gather MPI_Igather
);

pub unsafe extern "C" fn reduce(
    send: *const c_void,
    receive: *mut c_void,
    count: i32,
    data: u32,
    operator: u32,
    root: i32,
    comm: Handle,
    request: *mut Handle,
) -> c_int {
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: both buffers have `count` numbers, the second one at the root only.
    unsafe {
        made(request, |r| {
            ffi::MPI_Ireduce(send, receive, count, data, operation, root, comm, r)
        })
    }
}

pub unsafe extern "C" fn allreduce(
    send: *const c_void,
    receive: *mut c_void,
    count: i32,
    data: u32,
    operator: u32,
    comm: Handle,
    request: *mut Handle,
) -> c_int {
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: both buffers have `count` numbers.
    unsafe {
        made(request, |r| {
            ffi::MPI_Iallreduce(send, receive, count, data, operation, comm, r)
        })
    }
}
