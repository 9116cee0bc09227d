//! Calls that all ranks of a communicator make together.
//!
//! A [`Part`] with counts takes the vector form of the call, one without the plain form.

use std::ffi::{c_int, c_void};

use mpi::ffi::{self, MPI_Comm};

use crate::codes::{self, Raw as _};
use crate::table::{Handle, Part};

pub unsafe extern "C" fn barrier(comm: Handle) -> c_int {
    // SAFETY: no condition.
    unsafe { ffi::MPI_Barrier(MPI_Comm::of(comm)) }
}

pub unsafe extern "C" fn bcast(
    buffer: *mut c_void,
    count: i32,
    data: u32,
    root: i32,
    comm: Handle,
) -> c_int {
    // SAFETY: the buffer has `count` numbers.
    unsafe {
        ffi::MPI_Bcast(
            buffer,
            count,
            codes::datatype(data),
            root,
            MPI_Comm::of(comm),
        )
    }
}

pub unsafe extern "C" fn scatter(
    send: *const Part,
    receive: *mut c_void,
    count: i32,
    data: u32,
    root: i32,
    comm: Handle,
) -> c_int {
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: the prelude has compared the buffers with the counts.
    unsafe {
        let s = &*send;
        if s.counts.is_null() {
            ffi::MPI_Scatter(s.buffer, s.count, data, receive, count, data, root, comm)
        } else {
            let (counts, at) = (s.counts, s.displacements);
            ffi::MPI_Scatterv(s.buffer, counts, at, data, receive, count, data, root, comm)
        }
    }
}

pub unsafe extern "C" fn gather(
    send: *const c_void,
    count: i32,
    receive: *const Part,
    data: u32,
    root: i32,
    comm: Handle,
) -> c_int {
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: the prelude has compared the buffers with the counts.
    unsafe {
        let r = &*receive;
        if r.counts.is_null() {
            ffi::MPI_Gather(send, count, data, r.buffer, r.count, data, root, comm)
        } else {
            let (counts, at) = (r.counts, r.displacements);
            ffi::MPI_Gatherv(send, count, data, r.buffer, counts, at, data, root, comm)
        }
    }
}

pub unsafe extern "C" fn allgather(
    send: *const c_void,
    count: i32,
    receive: *const Part,
    data: u32,
    comm: Handle,
) -> c_int {
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: the prelude has compared the buffers with the counts.
    unsafe {
        let r = &*receive;
        if r.counts.is_null() {
            ffi::MPI_Allgather(send, count, data, r.buffer, r.count, data, comm)
        } else {
            let (counts, at) = (r.counts, r.displacements);
            ffi::MPI_Allgatherv(send, count, data, r.buffer, counts, at, data, comm)
        }
    }
}

/// A call in which everybody sends a piece to everybody, and its form with counts.
macro_rules! exchange {
    ($name:ident $plain:ident $vector:ident) => {
        pub unsafe extern "C" fn $name(
            send: *const Part,
            receive: *const Part,
            data: u32,
            comm: Handle,
        ) -> c_int {
            let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
            // SAFETY: the prelude has compared the buffers with the counts.
            unsafe {
                let (s, r) = (&*send, &*receive);
                let (to, from) = (s.buffer, r.buffer);
                if s.counts.is_null() {
                    ffi::$plain(to, s.count, data, from, r.count, data, comm)
                } else {
                    let (s_counts, s_at) = (s.counts, s.displacements);
                    let (r_counts, r_at) = (r.counts, r.displacements);
                    ffi::$vector(to, s_counts, s_at, data, from, r_counts, r_at, data, comm)
                }
            }
        }
    };
}
pub(crate) use exchange;

exchange!(alltoall MPI_Alltoall MPI_Alltoallv);

pub unsafe extern "C" fn reduce(
    send: *const c_void,
    receive: *mut c_void,
    count: i32,
    data: u32,
    operator: u32,
    root: i32,
    comm: Handle,
) -> c_int {
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: both buffers have `count` numbers, the second one at the root only.
    unsafe { ffi::MPI_Reduce(send, receive, count, data, operation, root, comm) }
}

macro_rules! reductions {
    ($($name:ident $call:ident),*) => {
        $(pub unsafe extern "C" fn $name(
            send: *const c_void,
            receive: *mut c_void,
            count: i32,
            data: u32,
            operator: u32,
            comm: Handle,
        ) -> c_int {
            let Some(operation) = codes::operation(operator, data) else {
                return ffi::MPI_ERR_OP as c_int;
            };
            let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
            // SAFETY: both buffers have `count` numbers.
            unsafe { ffi::$call(send, receive, count, data, operation, comm) }
        })*
    };
}

reductions!(allreduce MPI_Allreduce, scan MPI_Scan, exscan MPI_Exscan);

pub unsafe extern "C" fn reduce_scatter(
    send: *const c_void,
    receive: *mut c_void,
    counts: *const i32,
    data: u32,
    operator: u32,
    comm: Handle,
) -> c_int {
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: the first buffer has the sum of all counts, the second one the count of the caller.
    unsafe { ffi::MPI_Reduce_scatter(send, receive, counts, data, operation, comm) }
}
