//! The C interface between the prelude and the MPI plugin: this file is a part of both.
//!
//! The two have standard libraries of their own, so nothing but plain data and C functions crosses here. Names are
//! MPI's, without the prefix. A function that can fail returns MPI's error code, 0 for success.
//!
//! What always holds:
//! * a [`Handle`] is what MPI calls one (communicator, group, request, message), as a number; 0 is MPI's null;
//! * ranks, tags and counts are MPI's, except for the codes below, which are the same for every MPI library;
//! * no function waits for another rank, except those of the last group of [`Table`]; those of windows may wait until the
//!   target's MPI makes some progress.

use std::ffi::c_void;

/// The version of this file. A plugin of another one is refused.
pub const VERSION: u32 = 2;

/// The name of the plugin's only exported function, which returns a `*const Table` that is valid for ever.
pub const ENTRY: &std::ffi::CStr = c"forkline_mpi_plugin";

pub type Handle = usize;

/// The rank of the null process.
pub const NO_PROCESS: i32 = i32::MIN;
/// Any source, any tag.
pub const ANY: i32 = i32::MIN + 1;
/// A place that does not exist: no colour, no rank in a group.
pub const NONE: i32 = -1;

/// Codes of data types.
pub mod data {
    pub const U8: u32 = 0;
    pub const I8: u32 = 1;
    pub const U16: u32 = 2;
    pub const I16: u32 = 3;
    pub const U32: u32 = 4;
    pub const I32: u32 = 5;
    pub const U64: u32 = 6;
    pub const I64: u32 = 7;
    pub const F32: u32 = 8;
    pub const F64: u32 = 9;
    /// Added to the code of a number: [`Located`](super::Located) of that number.
    pub const LOCATED: u32 = 16;
}

/// Codes of the operators of a reduction.
pub mod operator {
    pub const SUM: u32 = 0;
    pub const PROD: u32 = 1;
    pub const MAX: u32 = 2;
    pub const MIN: u32 = 3;
    pub const LAND: u32 = 4;
    pub const BAND: u32 = 5;
    pub const LOR: u32 = 6;
    pub const BOR: u32 = 7;
    pub const LXOR: u32 = 8;
    pub const BXOR: u32 = 9;
    pub const MAXLOC: u32 = 10;
    pub const MINLOC: u32 = 11;
    /// Of windows only: what is new takes the place of what is there.
    pub const REPLACE: u32 = 12;
    /// Of windows only: what is there stays.
    pub const NO_OP: u32 = 13;
}

/// Codes of the modes of a send.
pub mod mode {
    pub const STANDARD: u32 = 0;
    pub const SYNCHRONOUS: u32 = 1;
}

/// Codes of what is done with a file at a place.
pub mod access {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    /// The same by all ranks together.
    pub const READ_ALL: u32 = 2;
    pub const WRITE_ALL: u32 = 3;
}

/// Bits of how a file is opened.
pub mod open {
    pub const READ: u32 = 1;
    pub const WRITE: u32 = 2;
    pub const CREATE: u32 = 4;
    pub const EXCLUSIVE: u32 = 8;
    pub const DELETE_ON_CLOSE: u32 = 16;
}

/// Codes of MPI's error classes.
pub mod class {
    pub const OTHER: u32 = 0;
    pub const TRUNCATE: u32 = 1;
    pub const RANK: u32 = 2;
    pub const TAG: u32 = 3;
    pub const COUNT: u32 = 4;
    pub const ROOT: u32 = 5;
    pub const BUFFER: u32 = 6;
    pub const OPERATOR: u32 = 7;
    pub const DIMENSIONS: u32 = 8;
    pub const TOPOLOGY: u32 = 9;
    pub const WINDOW: u32 = 10;
    pub const NO_SUCH_FILE: u32 = 11;
    pub const FILE_EXISTS: u32 = 12;
    pub const BAD_FILE: u32 = 13;
    pub const ACCESS: u32 = 14;
    pub const NO_SPACE: u32 = 15;
    pub const IO: u32 = 16;
}

/// A value and the place that it comes from, for the operators MAXLOC and MINLOC.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Located<T> {
    /// What is compared.
    pub value: T,
    /// Where it is: a rank, or any other number. Of equal values the lowest place wins.
    pub place: u64,
}

/// What MPI tells of a message.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RawStatus {
    pub source: i32,
    pub tag: i32,
    pub bytes: i64,
}

/// One side of a collective call on numbers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Part {
    pub buffer: *mut c_void,
    /// Numbers for each rank, if `counts` is null.
    pub count: i32,
    /// Null, or a count and a displacement for each rank, in numbers.
    pub counts: *const i32,
    pub displacements: *const i32,
}

/// Which part of a file a rank sees, in items: of each `stride` the first `block`, if `n` is 0 (all, if `stride` is
/// 0 too); else, of an array of `n` dimensions in C's order, a part of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pattern {
    pub block: i32,
    pub stride: i32,
    pub n: i32,
    pub sizes: *const i32,
    pub part_sizes: *const i32,
    pub starts: *const i32,
}

type C = i32;
type Text = unsafe extern "C" fn(out: *mut u8, capacity: usize) -> usize;
type TwoGroups = unsafe extern "C" fn(Handle, Handle, *mut Handle) -> C;
type Members = unsafe extern "C" fn(Handle, n: i32, ranks: *const i32, *mut Handle) -> C;

/// What the plugin offers. Pointers need to be valid during the call only, except the buffers of requests.
///
/// Texts are written to `out`, at most `capacity` bytes of them; the result is their length.
#[repr(C)]
pub struct Table {
    pub version: u32,

    // ---- the library
    pub library: Text,
    /// Writes the level of thread support to `level`: 3 is MPI_THREAD_MULTIPLE.
    pub init: unsafe extern "C" fn(level: *mut i32) -> C,
    pub finalize: unsafe extern "C" fn() -> C,
    pub abort: unsafe extern "C" fn(code: i32),
    pub error_text: unsafe extern "C" fn(code: C, out: *mut u8, capacity: usize) -> usize,
    pub error_class: unsafe extern "C" fn(code: C) -> u32,
    pub processor_name: Text,
    pub wtime: unsafe extern "C" fn() -> f64,
    pub wtick: unsafe extern "C" fn() -> f64,

    // ---- what does not wait for others
    pub comm_world: unsafe extern "C" fn() -> Handle,
    pub comm_self: unsafe extern "C" fn() -> Handle,
    pub comm_rank: unsafe extern "C" fn(Handle, *mut i32) -> C,
    pub comm_size: unsafe extern "C" fn(Handle, *mut i32) -> C,
    pub comm_name: unsafe extern "C" fn(Handle, out: *mut u8, capacity: usize) -> usize,
    pub comm_set_name: unsafe extern "C" fn(Handle, name: *const std::ffi::c_char) -> C,
    /// 0 the same, 1 congruent, 2 similar, 3 unequal.
    pub comm_compare: unsafe extern "C" fn(Handle, Handle, *mut i32) -> C,
    pub comm_group: unsafe extern "C" fn(Handle, *mut Handle) -> C,
    pub group_size: unsafe extern "C" fn(Handle, *mut i32) -> C,
    /// [`NONE`] if the caller is not in the group.
    pub group_rank: unsafe extern "C" fn(Handle, *mut i32) -> C,
    pub group_incl: Members,
    pub group_excl: Members,
    pub group_union: TwoGroups,
    pub group_intersection: TwoGroups,
    pub group_difference: TwoGroups,
    /// [`NONE`] for those that are not in the second group.
    pub group_translate:
        unsafe extern "C" fn(Handle, n: i32, ranks: *const i32, Handle, out: *mut i32) -> C,
    pub group_free: unsafe extern "C" fn(*mut Handle) -> C,
    pub isend: unsafe extern "C" fn(
        mode: u32,
        buffer: *const c_void,
        count: i32,
        data: u32,
        to: i32,
        tag: i32,
        comm: Handle,
        request: *mut Handle,
    ) -> C,
    pub irecv: unsafe extern "C" fn(
        buffer: *mut c_void,
        count: i32,
        data: u32,
        from: i32,
        tag: i32,
        comm: Handle,
        request: *mut Handle,
    ) -> C,
    /// Asks up to `times` whether the request is done. `done` becomes 1 also with an error of the message. `status` may be
    /// null.
    pub test: unsafe extern "C" fn(
        request: *mut Handle,
        times: u32,
        done: *mut i32,
        status: *mut RawStatus,
    ) -> C,
    pub cancel: unsafe extern "C" fn(request: *mut Handle) -> C,
    pub iprobe: unsafe extern "C" fn(
        from: i32,
        tag: i32,
        comm: Handle,
        found: *mut i32,
        status: *mut RawStatus,
    ) -> C,
    pub improbe: unsafe extern "C" fn(
        from: i32,
        tag: i32,
        comm: Handle,
        found: *mut i32,
        message: *mut Handle,
        status: *mut RawStatus,
    ) -> C,
    pub imrecv: unsafe extern "C" fn(
        buffer: *mut c_void,
        bytes: i32,
        message: *mut Handle,
        request: *mut Handle,
    ) -> C,
    pub ibcast: unsafe extern "C" fn(
        *mut c_void,
        count: i32,
        data: u32,
        root: i32,
        Handle,
        request: *mut Handle,
    ) -> C,
    pub iallgather: Immediate,
    pub ialltoall: Immediate,
    /// `count` for each rank, as in the next.
    pub iscatter: ImmediateRooted,
    pub igather: ImmediateRooted,
    pub ireduce: unsafe extern "C" fn(
        send: *const c_void,
        receive: *mut c_void,
        count: i32,
        data: u32,
        operator: u32,
        root: i32,
        Handle,
        request: *mut Handle,
    ) -> C,
    pub iallreduce: unsafe extern "C" fn(
        send: *const c_void,
        receive: *mut c_void,
        count: i32,
        data: u32,
        operator: u32,
        Handle,
        request: *mut Handle,
    ) -> C,
    pub ibarrier: unsafe extern "C" fn(Handle, request: *mut Handle) -> C,
    pub cart_coords: unsafe extern "C" fn(Handle, rank: i32, n: i32, coordinates: *mut i32) -> C,
    pub cart_rank: unsafe extern "C" fn(Handle, coordinates: *const i32, rank: *mut i32) -> C,
    /// [`NO_PROCESS`] beyond an edge.
    pub cart_shift: unsafe extern "C" fn(
        Handle,
        dimension: i32,
        by: i32,
        source: *mut i32,
        destination: *mut i32,
    ) -> C,
    pub dims_create: unsafe extern "C" fn(nodes: i32, n: i32, dimensions: *mut i32) -> C,
    pub graph_neighbors_count: unsafe extern "C" fn(Handle, rank: i32, n: *mut i32) -> C,
    pub graph_neighbors: unsafe extern "C" fn(Handle, rank: i32, n: i32, out: *mut i32) -> C,
    pub dist_graph_neighbors_count:
        unsafe extern "C" fn(Handle, n_in: *mut i32, n_out: *mut i32) -> C,
    pub dist_graph_neighbors: unsafe extern "C" fn(
        Handle,
        n_in: i32,
        sources: *mut i32,
        n_out: i32,
        destinations: *mut i32,
    ) -> C,

    // ---- windows: `at` is in bytes; what is read is there, and what is written may be changed, when the call returns
    pub win_put: unsafe extern "C" fn(
        from: *const c_void,
        count: i32,
        data: u32,
        rank: i32,
        at: usize,
        window: Handle,
    ) -> C,
    pub win_get: unsafe extern "C" fn(
        to: *mut c_void,
        count: i32,
        data: u32,
        rank: i32,
        at: usize,
        window: Handle,
    ) -> C,
    pub win_accumulate: unsafe extern "C" fn(
        from: *const c_void,
        count: i32,
        data: u32,
        operator: u32,
        rank: i32,
        at: usize,
        window: Handle,
    ) -> C,
    /// What was there before is written to `found`.
    pub win_get_accumulate: unsafe extern "C" fn(
        from: *const c_void,
        found: *mut c_void,
        count: i32,
        data: u32,
        operator: u32,
        rank: i32,
        at: usize,
        window: Handle,
    ) -> C,
    /// The same of one number.
    pub win_fetch_and_op: unsafe extern "C" fn(
        value: *const c_void,
        found: *mut c_void,
        data: u32,
        operator: u32,
        rank: i32,
        at: usize,
        window: Handle,
    ) -> C,
    pub win_compare_and_swap: unsafe extern "C" fn(
        value: *const c_void,
        expected: *const c_void,
        found: *mut c_void,
        data: u32,
        rank: i32,
        at: usize,
        window: Handle,
    ) -> C,
    /// Until what this rank has written is at the target; [`ANY`]: at all ranks.
    pub win_flush: unsafe extern "C" fn(rank: i32, window: Handle) -> C,

    // ---- files: `at` is in items of the view
    pub file_size: unsafe extern "C" fn(Handle, bytes: *mut i64) -> C,
    /// By a code of [`access`]. `done` gets the number of bytes.
    pub file_access: unsafe extern "C" fn(
        how: u32,
        file: Handle,
        at: i64,
        buffer: *mut c_void,
        count: i32,
        data: u32,
        done: *mut i64,
    ) -> C,

    // ---- what waits for others
    /// Memory of this many bytes on each rank, which any rank may read and write until it is freed.
    pub win_allocate: unsafe extern "C" fn(
        bytes: usize,
        Handle,
        base: *mut *mut c_void,
        window: *mut Handle,
    ) -> C,
    pub win_free: unsafe extern "C" fn(window: *mut Handle) -> C,
    /// By the bits of [`open`].
    pub file_open: unsafe extern "C" fn(
        Handle,
        path: *const std::ffi::c_char,
        mode: u32,
        file: *mut Handle,
    ) -> C,
    pub file_set_view:
        unsafe extern "C" fn(Handle, displacement: i64, data: u32, *const Pattern) -> C,
    pub file_set_size: unsafe extern "C" fn(Handle, bytes: i64) -> C,
    pub file_sync: unsafe extern "C" fn(Handle) -> C,
    pub file_close: unsafe extern "C" fn(*mut Handle) -> C,
    pub comm_dup: unsafe extern "C" fn(Handle, *mut Handle) -> C,
    /// [`NONE`] as colour: no communicator.
    pub comm_split: unsafe extern "C" fn(Handle, color: i32, key: i32, *mut Handle) -> C,
    /// By the memory that ranks share: one communicator for each machine.
    pub comm_split_shared: unsafe extern "C" fn(Handle, key: i32, *mut Handle) -> C,
    pub comm_create: unsafe extern "C" fn(Handle, group: Handle, *mut Handle) -> C,
    pub comm_free: unsafe extern "C" fn(*mut Handle) -> C,
    pub barrier: unsafe extern "C" fn(Handle) -> C,
    pub bcast: unsafe extern "C" fn(*mut c_void, count: i32, data: u32, root: i32, Handle) -> C,
    pub scatter: unsafe extern "C" fn(
        send: *const Part,
        receive: *mut c_void,
        count: i32,
        data: u32,
        root: i32,
        Handle,
    ) -> C,
    pub gather: unsafe extern "C" fn(
        send: *const c_void,
        count: i32,
        receive: *const Part,
        data: u32,
        root: i32,
        Handle,
    ) -> C,
    pub allgather: unsafe extern "C" fn(
        send: *const c_void,
        count: i32,
        receive: *const Part,
        data: u32,
        Handle,
    ) -> C,
    pub alltoall:
        unsafe extern "C" fn(send: *const Part, receive: *const Part, data: u32, Handle) -> C,
    pub reduce: unsafe extern "C" fn(
        send: *const c_void,
        receive: *mut c_void,
        count: i32,
        data: u32,
        operator: u32,
        root: i32,
        Handle,
    ) -> C,
    pub allreduce: Reduction,
    pub scan: Reduction,
    pub exscan: Reduction,
    pub reduce_scatter: unsafe extern "C" fn(
        send: *const c_void,
        receive: *mut c_void,
        counts: *const i32,
        data: u32,
        operator: u32,
        Handle,
    ) -> C,
    /// `dimensions` and `periods` of the grid; no communicator for ranks that are left over.
    pub cart_create: unsafe extern "C" fn(
        Handle,
        n: i32,
        dimensions: *const i32,
        periods: *const i32,
        reorder: i32,
        *mut Handle,
    ) -> C,
    pub cart_sub: unsafe extern "C" fn(Handle, remain: *const i32, *mut Handle) -> C,
    pub graph_create: unsafe extern "C" fn(
        Handle,
        n: i32,
        index: *const i32,
        edges: *const i32,
        reorder: i32,
        *mut Handle,
    ) -> C,
    pub dist_graph_create_adjacent: unsafe extern "C" fn(
        Handle,
        n_in: i32,
        sources: *const i32,
        n_out: i32,
        destinations: *const i32,
        reorder: i32,
        *mut Handle,
    ) -> C,
    pub neighbor_allgather:
        unsafe extern "C" fn(*const c_void, count: i32, *mut c_void, data: u32, Handle) -> C,
    pub neighbor_alltoall:
        unsafe extern "C" fn(send: *const Part, receive: *const Part, data: u32, Handle) -> C,
}

type Immediate = unsafe extern "C" fn(
    send: *const c_void,
    receive: *mut c_void,
    count: i32,
    data: u32,
    Handle,
    request: *mut Handle,
) -> C;

type ImmediateRooted = unsafe extern "C" fn(
    send: *const c_void,
    receive: *mut c_void,
    count: i32,
    data: u32,
    root: i32,
    Handle,
    request: *mut Handle,
) -> C;

type Reduction = unsafe extern "C" fn(
    send: *const c_void,
    receive: *mut c_void,
    count: i32,
    data: u32,
    operator: u32,
    Handle,
) -> C;

// SAFETY: function pointers and a number, never written.
unsafe impl Sync for Table {}
