//! Cartesian and graph topologies.

use std::ffi::{c_int, c_void};

use mpi::ffi::{self, MPI_Comm};

use crate::codes::{self, Raw as _};
use crate::collective::exchange;
use crate::groups::made;
use crate::table::{Handle, Part};

pub unsafe extern "C" fn cart_create(
    comm: Handle,
    n: i32,
    dimensions: *const i32,
    periods: *const i32,
    reorder: i32,
    out: *mut Handle,
) -> c_int {
    let comm = MPI_Comm::of(comm);
    // SAFETY: `n` dimensions and periods, and a valid pointer.
    unsafe {
        made(out, |new| {
            ffi::MPI_Cart_create(comm, n, dimensions, periods, reorder, new)
        })
    }
}

pub unsafe extern "C" fn cart_coords(
    comm: Handle,
    rank: i32,
    n: i32,
    coordinates: *mut i32,
) -> c_int {
    // SAFETY: room for `n` coordinates.
    unsafe { ffi::MPI_Cart_coords(MPI_Comm::of(comm), codes::rank(rank), n, coordinates) }
}

pub unsafe extern "C" fn cart_rank(comm: Handle, coordinates: *const i32, rank: *mut i32) -> c_int {
    // SAFETY: as many coordinates as the grid has dimensions, and a valid pointer.
    unsafe { ffi::MPI_Cart_rank(MPI_Comm::of(comm), coordinates, rank) }
}

pub unsafe extern "C" fn cart_shift(
    comm: Handle,
    dimension: i32,
    by: i32,
    source: *mut i32,
    destination: *mut i32,
) -> c_int {
    // SAFETY: the pointers are valid.
    unsafe {
        let code = ffi::MPI_Cart_shift(MPI_Comm::of(comm), dimension, by, source, destination);
        *source = codes::rank_back(*source);
        *destination = codes::rank_back(*destination);
        code
    }
}

pub unsafe extern "C" fn cart_sub(comm: Handle, remain: *const i32, out: *mut Handle) -> c_int {
    // SAFETY: one flag for each dimension, and a valid pointer.
    unsafe {
        made(out, |new| {
            ffi::MPI_Cart_sub(MPI_Comm::of(comm), remain, new)
        })
    }
}

pub unsafe extern "C" fn dims_create(nodes: i32, n: i32, dimensions: *mut i32) -> c_int {
    // SAFETY: room for `n` dimensions.
    unsafe { ffi::MPI_Dims_create(nodes, n, dimensions) }
}

pub unsafe extern "C" fn graph_create(
    comm: Handle,
    n: i32,
    index: *const i32,
    edges: *const i32,
    reorder: i32,
    out: *mut Handle,
) -> c_int {
    let comm = MPI_Comm::of(comm);
    // SAFETY: `n` indices, as many edges as the last of them says, and a valid pointer.
    unsafe {
        made(out, |new| {
            ffi::MPI_Graph_create(comm, n, index, edges, reorder, new)
        })
    }
}

pub unsafe extern "C" fn graph_neighbors_count(comm: Handle, rank: i32, n: *mut i32) -> c_int {
    // SAFETY: the pointer is valid.
    unsafe { ffi::MPI_Graph_neighbors_count(MPI_Comm::of(comm), codes::rank(rank), n) }
}

pub unsafe extern "C" fn graph_neighbors(comm: Handle, rank: i32, n: i32, out: *mut i32) -> c_int {
    // SAFETY: room for `n` ranks.
    unsafe { ffi::MPI_Graph_neighbors(MPI_Comm::of(comm), codes::rank(rank), n, out) }
}

pub unsafe extern "C" fn dist_graph_create_adjacent(
    comm: Handle,
    n_in: i32,
    sources: *const i32,
    n_out: i32,
    destinations: *const i32,
    reorder: i32,
    out: *mut Handle,
) -> c_int {
    // Every MPI has a constant of its own for "no weights"; ones mean the same.
    let ones = vec![1; usize::try_from(n_in.max(n_out)).unwrap_or(0).max(1)];
    // SAFETY: `n_in` sources, `n_out` destinations, as many weights, and a valid pointer.
    unsafe {
        made(out, |new| {
            ffi::MPI_Dist_graph_create_adjacent(
                MPI_Comm::of(comm),
                n_in,
                sources,
                ones.as_ptr(),
                n_out,
                destinations,
                ones.as_ptr(),
                ffi::RSMPI_INFO_NULL,
                reorder,
                new,
            )
        })
    }
}

pub unsafe extern "C" fn dist_graph_neighbors_count(
    comm: Handle,
    n_in: *mut i32,
    n_out: *mut i32,
) -> c_int {
    let mut is_weighted = 0;
    // SAFETY: the pointers are valid.
    unsafe {
        ffi::MPI_Dist_graph_neighbors_count(MPI_Comm::of(comm), n_in, n_out, &raw mut is_weighted)
    }
}

pub unsafe extern "C" fn dist_graph_neighbors(
    comm: Handle,
    n_in: i32,
    sources: *mut i32,
    n_out: i32,
    destinations: *mut i32,
) -> c_int {
    let room = |n: i32| vec![0; usize::try_from(n).unwrap_or(0).max(1)];
    let (mut weights_in, mut weights_out) = (room(n_in), room(n_out));
    // SAFETY: room for as many ranks and weights as is said.
    unsafe {
        ffi::MPI_Dist_graph_neighbors(
            MPI_Comm::of(comm),
            n_in,
            sources,
            weights_in.as_mut_ptr(),
            n_out,
            destinations,
            weights_out.as_mut_ptr(),
        )
    }
}

pub unsafe extern "C" fn neighbor_allgather(
    send: *const c_void,
    count: i32,
    receive: *mut c_void,
    data: u32,
    comm: Handle,
) -> c_int {
    let (data, comm) = (codes::datatype(data), MPI_Comm::of(comm));
    // SAFETY: `count` numbers to send, and room for as many from each neighbour.
    unsafe { ffi::MPI_Neighbor_allgather(send, count, data, receive, count, data, comm) }
}

exchange!(neighbor_alltoall MPI_Neighbor_alltoall MPI_Neighbor_alltoallv);
