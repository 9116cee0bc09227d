//! MPI behind the C interface of the prelude: each function of the table is one call of MPI.
//!
//! The prelude opens this library at the first use of `forkline::mpi`, so that no cell needs libmpi to load. rsmpi
//! finds the machine's MPI, whichever it is, and brings its constants; the calls go through `mpi::ffi`.
//!
//! What always holds: errors are returned, never fatal (MPI_ERRORS_RETURN on every communicator); nothing here
//! keeps a pointer beyond its call, except the buffers of requests.
//!
//! * `codes`        between the table's codes and MPI's constants, handles and data types
//! * `point`        messages from one rank to another, and requests
//! * `collective`   calls that all ranks make together
//! * `immediate`    the same, as requests
//! * `groups`       communicators and groups
//! * `grids`        Cartesian and graph topologies
//! * `windows`      memory that other ranks read and write
//! * `files`        files that all ranks have open

mod codes;
mod collective;
mod files;
mod grids;
mod groups;
mod immediate;
mod point;
#[allow(dead_code, reason = "the prelude uses the rest")]
#[path = "../../src/mpi/table.rs"]
mod table;
mod windows;

use std::ffi::{c_char, c_int};

use mpi::ffi;

use table::{Table, VERSION};

static TABLE: Table = Table {
    version: VERSION,
    library,
    init,
    finalize,
    abort,
    error_text,
    error_class,
    processor_name,
    wtime,
    wtick,
    comm_world: groups::world,
    comm_self: groups::own,
    comm_rank: groups::rank,
    comm_size: groups::size,
    comm_name: groups::name,
    comm_set_name: groups::set_name,
    comm_compare: groups::compare,
    comm_group: groups::group,
    group_size: groups::group_size,
    group_rank: groups::group_rank,
    group_incl: groups::incl,
    group_excl: groups::excl,
    group_union: groups::union,
    group_intersection: groups::intersection,
    group_difference: groups::difference,
    group_translate: groups::translate,
    group_free: groups::group_free,
    isend: point::isend,
    irecv: point::irecv,
    test: point::test,
    cancel: point::cancel,
    iprobe: point::iprobe,
    improbe: point::improbe,
    imrecv: point::imrecv,
    ibcast: immediate::bcast,
    iallgather: immediate::allgather,
    ialltoall: immediate::alltoall,
    iscatter: immediate::scatter,
    igather: immediate::gather,
    ireduce: immediate::reduce,
    iallreduce: immediate::allreduce,
    ibarrier: immediate::barrier,
    cart_coords: grids::cart_coords,
    cart_rank: grids::cart_rank,
    cart_shift: grids::cart_shift,
    dims_create: grids::dims_create,
    graph_neighbors_count: grids::graph_neighbors_count,
    graph_neighbors: grids::graph_neighbors,
    dist_graph_neighbors_count: grids::dist_graph_neighbors_count,
    dist_graph_neighbors: grids::dist_graph_neighbors,
    win_put: windows::put,
    win_get: windows::get,
    win_accumulate: windows::accumulate,
    win_get_accumulate: windows::get_accumulate,
    win_fetch_and_op: windows::fetch_and_op,
    win_compare_and_swap: windows::compare_and_swap,
    win_flush: windows::flush,
    file_size: files::size,
    file_access: files::access,
    win_allocate: windows::allocate,
    win_free: windows::free,
    file_open: files::open,
    file_set_view: files::set_view,
    file_set_size: files::set_size,
    file_sync: files::sync,
    file_close: files::close,
    comm_dup: groups::dup,
    comm_split: groups::split,
    comm_split_shared: groups::split_shared,
    comm_create: groups::create,
    comm_free: groups::free,
    barrier: collective::barrier,
    bcast: collective::bcast,
    scatter: collective::scatter,
    gather: collective::gather,
    allgather: collective::allgather,
    alltoall: collective::alltoall,
    reduce: collective::reduce,
    allreduce: collective::allreduce,
    scan: collective::scan,
    exscan: collective::exscan,
    reduce_scatter: collective::reduce_scatter,
    cart_create: grids::cart_create,
    cart_sub: grids::cart_sub,
    graph_create: grids::graph_create,
    dist_graph_create_adjacent: grids::dist_graph_create_adjacent,
    neighbor_allgather: grids::neighbor_allgather,
    neighbor_alltoall: grids::neighbor_alltoall,
};

/// The table, for ever valid.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_mpi_plugin() -> *const Table {
    &raw const TABLE
}

/// Copies what `fill` writes (a C string and its length) to `out`, without line ends; returns its length there.
///
/// # Safety
/// `out` is valid for `capacity` bytes; `fill` writes at most 8191 bytes.
unsafe fn text(
    out: *mut u8,
    capacity: usize,
    fill: impl FnOnce(*mut c_char, *mut c_int) -> c_int,
) -> usize {
    // More than any MPI_MAX_…: MPICH's longest, of the library's version, is 8192 with its end.
    let mut buffer = [0_u8; 8192];
    let mut length = 0;
    if fill(buffer.as_mut_ptr().cast(), &mut length) != 0 {
        return 0;
    }
    let text = &buffer[..usize::try_from(length).unwrap_or(0).min(buffer.len())];
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let length = text.len().min(capacity);
    // SAFETY: the caller promises the room.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, length) };
    length
}

unsafe extern "C" fn library(out: *mut u8, capacity: usize) -> usize {
    // SAFETY: MPI allows this at any time; the caller promises the room.
    unsafe { text(out, capacity, |t, n| ffi::MPI_Get_library_version(t, n)) }
}

unsafe extern "C" fn init(level: *mut i32) -> i32 {
    // SAFETY: null arguments are allowed since MPI 2; the prelude calls this once, and `level` is valid.
    unsafe {
        let mut is_done = 0;
        let code = ffi::MPI_Initialized(&raw mut is_done);
        if code != 0 {
            return code;
        }
        let code = if is_done == 0 {
            windows::prefer_shared_memory();
            let (none, wanted) = (std::ptr::null_mut(), ffi::RSMPI_THREAD_MULTIPLE);
            ffi::MPI_Init_thread(std::ptr::null_mut(), none, wanted, level)
        } else {
            ffi::MPI_Query_thread(level)
        };
        if code != 0 {
            return code;
        }
        *level = if *level == ffi::RSMPI_THREAD_MULTIPLE {
            3
        } else {
            0
        };
        for comm in [ffi::RSMPI_COMM_WORLD, ffi::RSMPI_COMM_SELF] {
            let code = ffi::MPI_Comm_set_errhandler(comm, ffi::RSMPI_ERRORS_RETURN);
            if code != 0 {
                return code;
            }
        }
        0
    }
}

unsafe extern "C" fn finalize() -> i32 {
    let mut is_done = 0;
    // SAFETY: the prelude calls this after `init`, and makes no call afterwards.
    unsafe {
        match ffi::MPI_Finalized(&raw mut is_done) {
            0 if is_done == 0 => ffi::MPI_Finalize(),
            code => code,
        }
    }
}

unsafe extern "C" fn abort(code: i32) {
    // SAFETY: ends all ranks; nothing is asked of the arguments.
    unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
}

unsafe extern "C" fn error_text(code: i32, out: *mut u8, capacity: usize) -> usize {
    // SAFETY: MPI takes any code; the caller promises the room.
    unsafe {
        text(out, capacity, |t, n| {
            ffi::MPI_Error_string(code as c_int, t, n)
        })
    }
}

unsafe extern "C" fn error_class(code: i32) -> u32 {
    let mut class = 0;
    // SAFETY: MPI takes any code.
    unsafe { ffi::MPI_Error_class(code, &raw mut class) };
    codes::class(class)
}

unsafe extern "C" fn processor_name(out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller promises the room.
    unsafe { text(out, capacity, |t, n| ffi::MPI_Get_processor_name(t, n)) }
}

unsafe extern "C" fn wtime() -> f64 {
    // SAFETY: no condition.
    unsafe { ffi::RSMPI_Wtime() }
}

unsafe extern "C" fn wtick() -> f64 {
    // SAFETY: no condition.
    unsafe { ffi::RSMPI_Wtick() }
}
