//! Windows: memory of each rank that the others read and write.
//!
//! What always holds: a window is open to all ranks (a shared lock of MPI's on all of them, which nobody else asks for)
//! from its first moment to its last. So every call may be made at any time, and none waits for a rank to let it in.

use std::ffi::{c_int, c_void};

use mpi::ffi::{self, MPI_Comm, MPI_Win};

use crate::codes::{self, Raw as _};
use crate::table::{ANY, Handle, data};

/// The first code that is not 0.
macro_rules! all {
    ($($call:expr),* $(,)?) => {{
        $(
            let code = $call;
            if code != 0 {
                return code;
            }
        )*
        0
    }};
}

/// What decides, in Open MPI, whether ranks of one machine get windows by the memory that they share (priority 100) or by
/// those of a network (101 by default), whose compare and swap crashes there in Open MPI 4.1.
const PRIORITY: &str = "OMPI_MCA_osc_rdma_priority";
const BELOW_SHARED: &str = "50";

/// Prefers shared memory, unless the user has a wish of their own; other libraries do not read the variable. MPI is not
/// started yet: later Open MPI takes no wish any more, also not by its tool interface.
///
/// # Safety
/// As for starting MPI, which writes to the environment too: no other thread does meanwhile.
pub unsafe fn prefer_shared_memory() {
    if std::env::var_os(PRIORITY).is_none() {
        // SAFETY: the caller's promise.
        unsafe { std::env::set_var(PRIORITY, BELOW_SHARED) };
    }
}

pub unsafe extern "C" fn allocate(
    bytes: usize,
    comm: Handle,
    base: *mut *mut c_void,
    window: *mut Handle,
) -> c_int {
    let Ok(size) = ffi::MPI_Aint::try_from(bytes) else {
        return ffi::MPI_ERR_ARG as c_int;
    };
    // SAFETY: the pointers are valid; MPI writes the memory's address to what it takes as a plain pointer.
    unsafe {
        let (mut made, none) = (MPI_Win::null(), ffi::RSMPI_INFO_NULL);
        let comm = MPI_Comm::of(comm);
        all!(
            ffi::MPI_Win_allocate(size, 1, none, comm, base.cast(), &raw mut made),
            ffi::MPI_Win_set_errhandler(made, ffi::RSMPI_ERRORS_RETURN),
            ffi::MPI_Win_lock_all(ffi::MPI_MODE_NOCHECK as c_int, made),
        );
        *window = made.number();
        0
    }
}

pub unsafe extern "C" fn free(window: *mut Handle) -> c_int {
    // SAFETY: the pointer is valid, and the window is not used again.
    unsafe {
        let mut freed = MPI_Win::of(*window);
        *window = 0;
        all!(
            ffi::MPI_Win_unlock_all(freed),
            ffi::MPI_Win_free(&raw mut freed),
        )
    }
}

/// Lets MPI go on with what others want of this rank. A rank that asks for a value of its own memory again and again may
/// wait for another one, whose write needs this rank; Open MPI's windows over UCX see to that in other calls only.
///
/// # Safety
/// MPI is started.
unsafe fn progress() -> c_int {
    let (mut found, mut status) = (0, std::mem::MaybeUninit::uninit());
    // SAFETY: the pointers are valid.
    unsafe {
        let (any, tag, own) = (
            ffi::RSMPI_ANY_SOURCE,
            ffi::RSMPI_ANY_TAG,
            ffi::RSMPI_COMM_SELF,
        );
        ffi::MPI_Iprobe(any, tag, own, &raw mut found, status.as_mut_ptr())
    }
}

pub unsafe extern "C" fn put(
    from: *const c_void,
    count: i32,
    data: u32,
    rank: i32,
    at: usize,
    window: Handle,
) -> c_int {
    let (data, window) = (codes::datatype(data), MPI_Win::of(window));
    let at = at as ffi::MPI_Aint;
    // SAFETY: `count` numbers on both sides.
    unsafe {
        all!(
            ffi::MPI_Put(from, count, data, rank, at, count, data, window),
            ffi::MPI_Win_flush_local(rank, window),
        )
    }
}

pub unsafe extern "C" fn get(
    to: *mut c_void,
    count: i32,
    data: u32,
    rank: i32,
    at: usize,
    window: Handle,
) -> c_int {
    let (data, window) = (codes::datatype(data), MPI_Win::of(window));
    let at = at as ffi::MPI_Aint;
    // SAFETY: `count` numbers on both sides.
    unsafe {
        all!(
            ffi::MPI_Get(to, count, data, rank, at, count, data, window),
            ffi::MPI_Win_flush_local(rank, window),
            progress(),
        )
    }
}

pub unsafe extern "C" fn accumulate(
    from: *const c_void,
    count: i32,
    data: u32,
    operator: u32,
    rank: i32,
    at: usize,
    window: Handle,
) -> c_int {
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, window) = (codes::datatype(data), MPI_Win::of(window));
    let at = at as ffi::MPI_Aint;
    // SAFETY: `count` numbers on both sides.
    unsafe {
        all!(
            ffi::MPI_Accumulate(from, count, data, rank, at, count, data, operation, window),
            ffi::MPI_Win_flush_local(rank, window),
        )
    }
}

pub unsafe extern "C" fn get_accumulate(
    from: *const c_void,
    found: *mut c_void,
    count: i32,
    data: u32,
    operator: u32,
    rank: i32,
    at: usize,
    window: Handle,
) -> c_int {
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, window) = (codes::datatype(data), MPI_Win::of(window));
    let at = at as ffi::MPI_Aint;
    // SAFETY: `count` numbers at all three places.
    unsafe {
        all!(
            ffi::MPI_Get_accumulate(
                from, count, data, found, count, data, rank, at, count, data, operation, window
            ),
            ffi::MPI_Win_flush_local(rank, window),
        )
    }
}

pub unsafe extern "C" fn fetch_and_op(
    value: *const c_void,
    found: *mut c_void,
    data: u32,
    operator: u32,
    rank: i32,
    at: usize,
    window: Handle,
) -> c_int {
    if !matches!(data, data::U32 | data::I32 | data::U64 | data::I64) {
        // Open MPI over UCX does the short call with the hardware's numbers, whatever it is asked for.
        // SAFETY: the same conditions.
        return unsafe { get_accumulate(value, found, 1, data, operator, rank, at, window) };
    }
    let Some(operation) = codes::operation(operator, data) else {
        return ffi::MPI_ERR_OP as c_int;
    };
    let (data, window) = (codes::datatype(data), MPI_Win::of(window));
    let at = at as ffi::MPI_Aint;
    // SAFETY: a number at all three places.
    unsafe {
        all!(
            ffi::MPI_Fetch_and_op(value, found, data, rank, at, operation, window),
            ffi::MPI_Win_flush_local(rank, window),
            progress(),
        )
    }
}

pub unsafe extern "C" fn compare_and_swap(
    value: *const c_void,
    expected: *const c_void,
    found: *mut c_void,
    data: u32,
    rank: i32,
    at: usize,
    window: Handle,
) -> c_int {
    let (data, window) = (codes::datatype(data), MPI_Win::of(window));
    let at = at as ffi::MPI_Aint;
    // SAFETY: a whole number at all four places.
    unsafe {
        all!(
            ffi::MPI_Compare_and_swap(value, expected, found, data, rank, at, window),
            ffi::MPI_Win_flush_local(rank, window),
            progress(),
        )
    }
}

pub unsafe extern "C" fn flush(rank: i32, window: Handle) -> c_int {
    let window = MPI_Win::of(window);
    // SAFETY: a window.
    unsafe {
        if rank == ANY {
            ffi::MPI_Win_flush_all(window)
        } else {
            ffi::MPI_Win_flush(rank, window)
        }
    }
}
