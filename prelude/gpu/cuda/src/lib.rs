//! CUDA behind the C interface of the prelude: each function of the table is a call or two of the driver.
//!
//! The prelude opens `libcuda.so.1` first and this library behind it, so a machine without a driver is an ordinary error of
//! the loader. cust brings the declarations; the calls go through `cust::sys`, because its own types belong to one thread's
//! context and end what they hold at times of their own.
//!
//! What always holds: no call here panics over what a driver answers; a device has one context, the primary one, which other
//! libraries in the process share; each call makes it current in its thread first; nothing here keeps a pointer of the
//! caller's beyond its call.
//!
//! * `facts`     what a device says of itself
//! * `memory`    buffers and copies
//! * `stream`    streams, and events with their times
//! * `program`   texts and modules
//! * `kernel`    kernels and launches

mod facts;
mod kernel;
mod memory;
mod program;
mod stream;
#[allow(dead_code, reason = "the prelude uses the rest")]
#[path = "../../../src/gpu/table.rs"]
mod table;

#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, OnceLock, PoisonError};

use cust::sys::{self, CUdevice_attribute as Attribute, CUresult};

use stream::Clock;
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
    stream_new: stream::stream_new,
    stream_free: stream::stream_free,
    stream_finish: stream::stream_finish,
    stream_wait: stream::stream_wait,
    stream_mark: stream::stream_mark,
    event_free: stream::event_free,
    event_is_done: stream::event_is_done,
    event_finish: stream::event_finish,
    event_times: stream::event_times,
    write: memory::write,
    read: memory::read,
    copy: memory::copy,
    fill: memory::fill,
    compiler: program::compiler,
    compile: program::compile,
    binary: program::binary,
    load: program::load,
    module_free: program::module_free,
    kernel: kernel::kernel,
    kernel_free: kernel::kernel_free,
    kernel_facts: kernel::kernel_facts,
    launch: kernel::launch,
};

/// The table, for ever valid.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_gpu_plugin() -> *const Table {
    &raw const TABLE
}

/// A device.
struct Device {
    id: sys::CUdevice,
    opening: Mutex<()>,
    opened: OnceLock<Opened>,
    compiler: OnceLock<forkline_nvrtc::Compiler>,
}

/// A device in use: what all its objects belong to.
struct Opened {
    context: sys::CUcontext,
    clock: Clock,
    limits: Limits,
}

/// What a launch may not exceed.
struct Limits {
    group_size: [usize; 3],
    /// Shared memory of a block, and what a kernel may have of it if it asks first.
    shared: usize,
    shared_on_request: usize,
}

// SAFETY: a context may be current in several threads at once.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

/// A failure that later calls get again, with its words.
struct Refusal {
    code: i32,
    words: String,
}

impl Refusal {
    /// The failure that has just been noted in this thread.
    fn noted(code: i32) -> Refusal {
        let words = LAST.with_borrow(String::clone);
        Refusal { code, words }
    }

    fn again(&self) -> i32 {
        fail(self.words.clone());
        self.code
    }
}

static DEVICES: OnceLock<Result<Vec<Device>, Refusal>> = OnceLock::new();

impl Device {
    /// The device with its context, which becomes that of the calling thread. A failure is not kept: memory that is taken
    /// now may be free later.
    fn open(&self) -> Result<&Opened, i32> {
        if let Some(opened) = self.opened.get() {
            make_current(opened.context)?;
            return Ok(opened);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = self.opened.get() {
            make_current(opened.context)?;
            return Ok(opened);
        }
        let mut context = null_mut();
        // SAFETY: a valid pointer and a device of the driver. The context is never released.
        check("cuDevicePrimaryCtxRetain", unsafe {
            sys::cuDevicePrimaryCtxRetain(&mut context, self.id)
        })?;
        make_current(context)?;
        let of = |what| self.attribute(what) as usize;
        let limits = Limits {
            group_size: [
                of(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
                of(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
                of(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z),
            ],
            shared: of(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
            shared_on_request: of(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
        };
        let clock = Clock::new()?;
        Ok(self.opened.get_or_init(|| Opened {
            context,
            clock,
            limits,
        }))
    }

    /// A number that the driver has of the device; 0 where it does not know it.
    fn attribute(&self, what: Attribute) -> u64 {
        let mut value = 0;
        // SAFETY: a valid pointer and a device of the driver.
        let result = unsafe { sys::cuDeviceGetAttribute(&mut value, what, self.id) };
        if result as i32 == 0 {
            value.max(0) as u64
        } else {
            0
        }
    }

    /// The compute capability: 80 for 8.0.
    fn arch(&self) -> u32 {
        let major = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
        let minor = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        (10 * major + minor) as u32
    }
}

fn make_current(context: sys::CUcontext) -> Result<(), i32> {
    // SAFETY: a context that is never released.
    check("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(context) })
}

/// The device of a number, not opened.
fn device(index: u32) -> Result<&'static Device, i32> {
    let devices = DEVICES.get_or_init(find).as_ref().map_err(Refusal::again)?;
    devices.get(index as usize).ok_or_else(|| {
        fail(format!(
            "there is no CUDA device {index}, but {}",
            devices.len()
        ));
        code::NO_DEVICE
    })
}

/// The device of a number; its context is current in this thread.
fn open(index: u32) -> Result<&'static Opened, i32> {
    device(index)?.open()
}

fn find() -> Result<Vec<Device>, Refusal> {
    // SAFETY: 0 is the only flag there may be.
    let result = unsafe { sys::cuInit(0) };
    // 100: the driver is there, and no device.
    if result as i32 == 100 {
        return Ok(Vec::new());
    }
    let find = || {
        check("cuInit", result)?;
        let mut n = 0;
        // SAFETY: a valid pointer.
        check("cuDeviceGetCount", unsafe { sys::cuDeviceGetCount(&mut n) })?;
        (0..n)
            .map(|index| {
                let mut id = 0;
                // SAFETY: a valid pointer and a number below that of the devices.
                check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut id, index) })?;
                Ok(Device {
                    id,
                    opening: Mutex::new(()),
                    opened: OnceLock::new(),
                    compiler: OnceLock::new(),
                })
            })
            .collect::<Result<Vec<Device>, i32>>()
    };
    find().map_err(Refusal::noted)
}

unsafe extern "C" fn start(n_devices: *mut u32) -> i32 {
    match DEVICES.get_or_init(find) {
        Ok(devices) => {
            // SAFETY: the caller gives a valid pointer.
            unsafe { *n_devices = devices.len() as u32 };
            0
        }
        Err(refusal) => refusal.again(),
    }
}

/// The newest CUDA that the driver knows: 12040 for 12.4.
fn driver_version() -> u32 {
    let mut version = 0;
    // SAFETY: a valid pointer.
    let result = unsafe { sys::cuDriverGetVersion(&mut version) };
    if result as i32 == 0 {
        version.max(0) as u32
    } else {
        0
    }
}

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes the words of a failure.
fn fail(words: String) {
    LAST.with_borrow_mut(|last| *last = words);
}

/// Turns an answer of the driver into the table's.
///
/// A driver newer than cust has codes that its enum does not list, so the answer is taken as the number that it is and never
/// matched as an enum.
fn check(call: &str, result: CUresult) -> Result<(), i32> {
    let result = result as i32;
    if result == 0 {
        return Ok(());
    }
    fail(format!("{call}: {} ({result})", words(result)));
    Err(match result {
        // CUDA_ERROR_OUT_OF_MEMORY
        2 => code::OUT_OF_MEMORY,
        // CUDA_ERROR_STUB_LIBRARY, NO_DEVICE, INVALID_DEVICE
        34 | 100 | 101 => code::NO_DEVICE,
        // CUDA_ERROR_JIT_COMPILER_NOT_FOUND
        221 => code::NO_COMPILER,
        // CUDA_ERROR_NOT_FOUND: the name of a kernel
        500 => code::NO_KERNEL,
        // CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many registers for so large a group
        701 => code::GROUP_TOO_LARGE,
        other => other,
    })
}

/// What the table's functions return.
fn answer(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(0)
}

/// The driver's functions that give words for a code, declared for any number: not all codes are in cust's enum.
type Words = unsafe extern "C" fn(i32, *mut *const c_char) -> i32;

/// The driver's name of a code, and what it means.
fn words(code: i32) -> String {
    type Declared = unsafe extern "C" fn(CUresult, *mut *const c_char) -> CUresult;
    let ask = |function: Declared| {
        // SAFETY: the enum is an `i32` to the driver.
        let function: Words = unsafe { std::mem::transmute::<Declared, Words>(function) };
        let mut text = null();
        // SAFETY: a valid pointer; the driver sets it to a constant text, or to null for a code that it does not know.
        unsafe {
            if function(code, &mut text) != 0 || text.is_null() {
                return None;
            }
            Some(CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    };
    match (ask(sys::cuGetErrorName), ask(sys::cuGetErrorString)) {
        (Some(name), Some(text)) => format!("{name}, {text}"),
        (Some(name), None) => name,
        _ => "an error of the driver".to_owned(),
    }
}

/// Writes a text as the table says.
///
/// # Safety
/// `out` is valid for `capacity` bytes.
unsafe fn write_bytes(bytes: &[u8], out: *mut u8, capacity: usize) -> usize {
    // SAFETY: not more than there is room for.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len().min(capacity)) };
    bytes.len()
}

unsafe extern "C" fn error_text(code: i32, out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller promises the room.
    unsafe { write_bytes(words(code).as_bytes(), out, capacity) }
}

unsafe extern "C" fn last_error(out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller promises the room.
    LAST.with_borrow(|last| unsafe { write_bytes(last.as_bytes(), out, capacity) })
}
