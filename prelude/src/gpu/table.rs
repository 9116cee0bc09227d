//! The C interface between the prelude and the GPU plugins: this file is a part of all three.
//!
//! They have standard libraries of their own, so nothing but plain data and C functions crosses here. A plugin speaks for
//! one driver, CUDA's or OpenCL's, and does no more than the driver does: no pool, no cache, no choice of sizes.
//!
//! What always holds:
//! * a function that can fail returns the driver's code, 0 for success; [`Table::last_error`] has the words of the last
//!   failure in the calling thread;
//! * a [`Handle`] is a pointer of the driver, as a number; 0 is none;
//! * devices are numbered from 0 in the order in which the driver lists them, and opened at the first call that needs one;
//! * any function may be called from any thread; orders for one stream come from one thread at a time.

use std::ffi::c_void;

/// The version of this file. A plugin of another one is refused.
pub const VERSION: u32 = 1;

/// The name of a plugin's only exported function, which returns a `*const Table` that is valid for ever.
pub const ENTRY: &std::ffi::CStr = c"forkline_gpu_plugin";

pub type Handle = usize;

/// Codes that mean the same for both drivers. The drivers' own are passed on, negative for OpenCL, positive for CUDA; these
/// lie far from both.
pub mod code {
    /// No memory is left on the device, or the buffer is larger than it may be.
    pub const OUT_OF_MEMORY: i32 = 1_000_001;
    /// The source does not compile; the log says why.
    pub const COMPILE: i32 = 1_000_002;
    /// No such kernel in the module.
    pub const NO_KERNEL: i32 = 1_000_003;
    /// The driver is there, but no device.
    pub const NO_DEVICE: i32 = 1_000_004;
    /// The group has more work items, or needs more registers or local memory, than the device gives one.
    pub const GROUP_TOO_LARGE: i32 = 1_000_005;
    /// The arguments are not those of the kernel.
    pub const ARGUMENTS: i32 = 1_000_006;
    /// The compiler for source texts is missing.
    pub const NO_COMPILER: i32 = 1_000_007;
}

/// What an argument of a kernel is.
pub mod argument {
    /// `handle` is a buffer.
    pub const BUFFER: u32 = 0;
    /// `size` bytes at `value`.
    pub const VALUE: u32 = 1;
    /// Local memory of `size` bytes; OpenCL only.
    pub const LOCAL: u32 = 2;
}

/// An argument of a kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub kind: u32,
    pub handle: Handle,
    pub value: *const c_void,
    pub size: usize,
}

/// A launch of a kernel: how many groups, of how many work items each, in three dimensions.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    pub groups: [usize; 3],
    pub group_size: [usize; 3],
    /// Bytes of dynamic shared memory; CUDA only.
    pub shared: usize,
    pub arguments: *const Argument,
    pub n_arguments: usize,
}

/// What a compiled kernel needs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// The most work items that a group may have.
    pub max_group_size: usize,
    /// Local (CUDA: shared) memory that the text itself asks for, in bytes.
    pub local_memory: usize,
    /// Memory of each work item that lies outside of registers, in bytes.
    pub private_memory: usize,
    /// Registers of each work item; 0 where the driver does not say.
    pub registers: usize,
    /// A good group size is a multiple of this; CUDA's warp.
    pub preferred_multiple: usize,
    /// How many arguments it takes; 0 where the driver does not say.
    pub n_arguments: usize,
}

type C = i32;

/// What a plugin offers. Pointers need to be valid during the call only.
///
/// Texts are written to `out`, at most `capacity` bytes of them; the result is their whole length. Where an `event` is asked
/// for (not null), it is to be freed.
#[repr(C)]
pub struct Table {
    pub version: u32,

    // ---- the driver
    /// Starts the driver and counts its devices.
    pub start: unsafe extern "C" fn(n_devices: *mut u32) -> C,
    /// Facts of a device, a line `key\tvalue` for each.
    pub facts: unsafe extern "C" fn(device: u32, out: *mut u8, capacity: usize) -> usize,
    /// The driver's words for a code.
    pub error_text: unsafe extern "C" fn(code: C, out: *mut u8, capacity: usize) -> usize,
    /// What more is known of the last failure in this thread: the call that failed.
    pub last_error: unsafe extern "C" fn(out: *mut u8, capacity: usize) -> usize,

    // ---- memory
    pub allocate: unsafe extern "C" fn(device: u32, bytes: usize, *mut Handle) -> C,
    pub free: unsafe extern "C" fn(device: u32, Handle) -> C,
    /// Free and total bytes of the device; OpenCL does not know what is free and says 0.
    pub memory: unsafe extern "C" fn(device: u32, free: *mut u64, total: *mut u64) -> C,

    // ---- streams (OpenCL: in-order queues with profiling)
    pub stream_new: unsafe extern "C" fn(device: u32, *mut Handle) -> C,
    pub stream_free: unsafe extern "C" fn(device: u32, Handle) -> C,
    /// Waits until all that was ordered is done.
    pub stream_finish: unsafe extern "C" fn(device: u32, Handle) -> C,
    /// What is ordered from now on waits for the event.
    pub stream_wait: unsafe extern "C" fn(device: u32, Handle, event: Handle) -> C,
    /// An event that is done when all that was ordered is.
    pub stream_mark: unsafe extern "C" fn(device: u32, Handle, event: *mut Handle) -> C,

    // ---- events. A pair of CUDA's events is one of these.
    pub event_free: unsafe extern "C" fn(device: u32, Handle) -> C,
    pub event_is_done: unsafe extern "C" fn(device: u32, Handle, *mut u32) -> C,
    pub event_finish: unsafe extern "C" fn(device: u32, Handle) -> C,
    /// Begin and end on the device, in nanoseconds after a moment that is the same for all events of a device.
    pub event_times: unsafe extern "C" fn(device: u32, Handle, begin: *mut f64, end: *mut f64) -> C,

    // ---- copies. `write` has taken the bytes when it returns; `read` has brought them.
    pub write: unsafe extern "C" fn(
        device: u32,
        stream: Handle,
        to: Handle,
        offset: usize,
        from: *const c_void,
        bytes: usize,
        event: *mut Handle,
    ) -> C,
    pub read: unsafe extern "C" fn(
        device: u32,
        stream: Handle,
        from: Handle,
        offset: usize,
        to: *mut c_void,
        bytes: usize,
        event: *mut Handle,
    ) -> C,
    pub copy: unsafe extern "C" fn(
        device: u32,
        stream: Handle,
        from: Handle,
        from_offset: usize,
        to: Handle,
        to_offset: usize,
        bytes: usize,
        event: *mut Handle,
    ) -> C,
    /// Fills with a pattern of 1, 2, 4 or 8 bytes; `bytes` and `offset` are multiples of it.
    pub fill: unsafe extern "C" fn(
        device: u32,
        stream: Handle,
        to: Handle,
        offset: usize,
        pattern: *const c_void,
        pattern_bytes: usize,
        bytes: usize,
        event: *mut Handle,
    ) -> C,

    // ---- programs
    /// What compiles source texts for the device, with its version; a cache of binaries is kept by it.
    pub compiler: unsafe extern "C" fn(device: u32, out: *mut u8, capacity: usize) -> usize,
    /// Compiles a text. `log` gets what the compiler said, also of a text that compiles; `log_length` its whole length.
    pub compile: unsafe extern "C" fn(
        device: u32,
        source: *const u8,
        length: usize,
        options: *const std::ffi::c_char,
        module: *mut Handle,
        log: *mut u8,
        capacity: usize,
        log_length: *mut usize,
    ) -> C,
    /// A compiled module as bytes, for [`load`](Table::load); 0 where there are none.
    pub binary:
        unsafe extern "C" fn(device: u32, module: Handle, *mut u8, capacity: usize) -> usize,
    pub load: unsafe extern "C" fn(device: u32, *const u8, length: usize, module: *mut Handle) -> C,
    pub module_free: unsafe extern "C" fn(device: u32, Handle) -> C,
    pub kernel: unsafe extern "C" fn(
        device: u32,
        module: Handle,
        name: *const std::ffi::c_char,
        kernel: *mut Handle,
    ) -> C,
    pub kernel_free: unsafe extern "C" fn(device: u32, Handle) -> C,
    pub kernel_facts: unsafe extern "C" fn(device: u32, Handle, *mut KernelFacts) -> C,
    pub launch: unsafe extern "C" fn(
        device: u32,
        stream: Handle,
        kernel: Handle,
        launch: *const Launch,
        event: *mut Handle,
    ) -> C,
}

// SAFETY: function pointers and a number, never written.
unsafe impl Sync for Table {}
