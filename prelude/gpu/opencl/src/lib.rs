//! OpenCL behind the C interface of the prelude: each function of the table is a call or two of OpenCL.
//!
//! The prelude opens `libOpenCL.so.1` first and this library behind it, so a machine without OpenCL is an ordinary error of
//! the loader. ocl brings the declarations and constants; the calls go through `ocl::ffi`, because its own wrappers wait ten
//! seconds and then panic where no driver is registered.
//!
//! What always holds: no call here panics over what a driver answers; a device has one context, made at its first use and
//! kept; nothing here keeps a pointer beyond its call.
//!
//! * `facts`     what a device says of itself
//! * `memory`    buffers, queues, events, copies
//! * `program`   texts, kernels, launches

mod facts;
mod memory;
mod program;
#[allow(dead_code, reason = "the prelude uses the rest")]
#[path = "../../../src/gpu/table.rs"]
mod table;

use std::cell::RefCell;
use std::sync::OnceLock;

use ocl::ffi;

use table::{Table, VERSION, code};

static TABLE: Table = Table {
    version: VERSION,
    start,
    facts: facts::facts,
    error_text,
    last_error,
    allocate: memory::allocate,
    free: memory::free,
    memory: memory::memory,
    stream_new: memory::stream_new,
    stream_free: memory::stream_free,
    stream_finish: memory::stream_finish,
    stream_wait: memory::stream_wait,
    stream_mark: memory::stream_mark,
    event_free: memory::event_free,
    event_is_done: memory::event_is_done,
    event_finish: memory::event_finish,
    event_times: memory::event_times,
    write: memory::write,
    read: memory::read,
    copy: memory::copy,
    fill: memory::fill,
    compiler: facts::compiler,
    compile: program::compile,
    binary: program::binary,
    load: program::load,
    module_free: program::module_free,
    kernel: program::kernel,
    kernel_free: program::kernel_free,
    kernel_facts: program::kernel_facts,
    launch: program::launch,
};

/// The table, for ever valid.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_gpu_plugin() -> *const Table {
    &raw const TABLE
}

/// A device and the context that all its objects belong to.
struct Device {
    platform: ffi::cl_platform_id,
    id: ffi::cl_device_id,
    context: OnceLock<Result<usize, i32>>,
}

// SAFETY: ids of OpenCL are constants that any thread may use.
unsafe impl Send for Device {}
// SAFETY: as above; the context is made once.
unsafe impl Sync for Device {}

static DEVICES: OnceLock<Result<Vec<Device>, i32>> = OnceLock::new();

impl Device {
    fn context(&self) -> Result<ffi::cl_context, i32> {
        let made = self.context.get_or_init(|| {
            let properties = [ffi::CL_CONTEXT_PLATFORM as isize, self.platform as isize, 0];
            let mut result = 0;
            // SAFETY: the list of properties ends with 0, one device, no callback.
            let context = unsafe {
                ffi::clCreateContext(
                    properties.as_ptr(),
                    1,
                    &self.id,
                    None,
                    std::ptr::null_mut(),
                    &mut result,
                )
            };
            check("clCreateContext", result).map(|()| context as usize)
        });
        (*made).map(|context| context as ffi::cl_context)
    }
}

/// The device of a number.
fn device(index: u32) -> Result<&'static Device, i32> {
    match DEVICES.get_or_init(find) {
        Ok(devices) => devices.get(index as usize).ok_or(code::NO_DEVICE),
        Err(code) => Err(*code),
    }
}

fn find() -> Result<Vec<Device>, i32> {
    let mut n = 0;
    // SAFETY: asks for the number only.
    let result = unsafe { ffi::clGetPlatformIDs(0, std::ptr::null_mut(), &mut n) };
    // -1001: the loader has no driver.
    if result == -1001 || n == 0 {
        return Ok(Vec::new());
    }
    check("clGetPlatformIDs", result)?;
    let mut platforms = vec![std::ptr::null_mut(); n as usize];
    // SAFETY: the room is as said.
    let result = unsafe { ffi::clGetPlatformIDs(n, platforms.as_mut_ptr(), std::ptr::null_mut()) };
    check("clGetPlatformIDs", result)?;
    let mut devices = Vec::new();
    for platform in platforms {
        let all = ffi::CL_DEVICE_TYPE_ALL;
        let mut n = 0;
        // SAFETY: asks for the number only.
        let result = unsafe { ffi::clGetDeviceIDs(platform, all, 0, std::ptr::null_mut(), &mut n) };
        // A driver without a device says "not found".
        if result != 0 || n == 0 {
            continue;
        }
        let mut ids = vec![std::ptr::null_mut(); n as usize];
        // SAFETY: the room is as said.
        let result = unsafe {
            ffi::clGetDeviceIDs(platform, all, n, ids.as_mut_ptr(), std::ptr::null_mut())
        };
        check("clGetDeviceIDs", result)?;
        devices.extend(ids.into_iter().map(|id| Device {
            platform,
            id,
            context: OnceLock::new(),
        }));
    }
    Ok(devices)
}

unsafe extern "C" fn start(n_devices: *mut u32) -> i32 {
    match DEVICES.get_or_init(find) {
        Ok(devices) => {
            // SAFETY: the caller gives a valid pointer.
            unsafe { *n_devices = devices.len() as u32 };
            0
        }
        Err(code) => *code,
    }
}

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes the words of a failure.
fn fail(words: String) {
    LAST.with_borrow_mut(|last| *last = words);
}

/// Turns an answer of OpenCL into the table's.
fn check(call: &str, result: i32) -> Result<(), i32> {
    if result == 0 {
        return Ok(());
    }
    fail(format!("{call}: {} ({result})", name(result)));
    Err(match result {
        // Out of device memory, of resources, of host memory; a buffer larger than one may be.
        -4 | -5 | -6 | -61 => code::OUT_OF_MEMORY,
        -1 | -2 | -1001 => code::NO_DEVICE,
        -3 => code::NO_COMPILER,
        -46 => code::NO_KERNEL,
        // Bad index, value or size of an argument, arguments missing.
        -52..=-49 => code::ARGUMENTS,
        // Work group or item too large.
        -54 | -55 => code::GROUP_TOO_LARGE,
        other => other,
    })
}

/// What the table's functions return.
fn answer(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(0)
}

/// OpenCL's name of a code, by the specification's header.
fn name(code: i32) -> &'static str {
    match code {
        0 => "CL_SUCCESS",
        -1 => "CL_DEVICE_NOT_FOUND",
        -2 => "CL_DEVICE_NOT_AVAILABLE",
        -3 => "CL_COMPILER_NOT_AVAILABLE",
        -4 => "CL_MEM_OBJECT_ALLOCATION_FAILURE",
        -5 => "CL_OUT_OF_RESOURCES",
        -6 => "CL_OUT_OF_HOST_MEMORY",
        -7 => "CL_PROFILING_INFO_NOT_AVAILABLE",
        -11 => "CL_BUILD_PROGRAM_FAILURE",
        -14 => "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
        -30 => "CL_INVALID_VALUE",
        -33 => "CL_INVALID_DEVICE",
        -34 => "CL_INVALID_CONTEXT",
        -36 => "CL_INVALID_COMMAND_QUEUE",
        -38 => "CL_INVALID_MEM_OBJECT",
        -43 => "CL_INVALID_BUILD_OPTIONS",
        -44 => "CL_INVALID_PROGRAM",
        -45 => "CL_INVALID_PROGRAM_EXECUTABLE",
        -46 => "CL_INVALID_KERNEL_NAME",
        -48 => "CL_INVALID_KERNEL",
        -49 => "CL_INVALID_ARG_INDEX",
        -50 => "CL_INVALID_ARG_VALUE",
        -51 => "CL_INVALID_ARG_SIZE",
        -52 => "CL_INVALID_KERNEL_ARGS",
        -53 => "CL_INVALID_WORK_DIMENSION",
        -54 => "CL_INVALID_WORK_GROUP_SIZE",
        -55 => "CL_INVALID_WORK_ITEM_SIZE",
        -57 => "CL_INVALID_EVENT_WAIT_LIST",
        -58 => "CL_INVALID_EVENT",
        -59 => "CL_INVALID_OPERATION",
        -61 => "CL_INVALID_BUFFER_SIZE",
        -63 => "CL_INVALID_GLOBAL_WORK_SIZE",
        -1001 => "no driver is registered",
        _ => "an error of the driver",
    }
}

/// Writes a text as the table says.
///
/// # Safety
/// `out` is valid for `capacity` bytes.
unsafe fn write_text(text: &str, out: *mut u8, capacity: usize) -> usize {
    // SAFETY: not more than there is room for.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, text.len().min(capacity)) };
    text.len()
}

unsafe extern "C" fn error_text(code: i32, out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller promises the room.
    unsafe { write_text(name(code), out, capacity) }
}

unsafe extern "C" fn last_error(out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller promises the room.
    LAST.with_borrow(|last| unsafe { write_text(last, out, capacity) })
}
