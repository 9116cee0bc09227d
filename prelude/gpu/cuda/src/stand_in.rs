//! A driver without a device, for the tests: its memory is the host's, and what is ordered is done at once.
//!
//! Its functions have the names and types that `cuda.h` gives them, and take the place of libcuda when the tests are linked.
//! It is as strict as the driver: without a context that is current nothing is done, and it counts what is not given back.
//! What it cannot show is that a device does the same.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

/// Objects that are not given back: buffers, events, streams, modules.
pub static BUFFERS: AtomicI64 = AtomicI64::new(0);
pub static EVENTS: AtomicI64 = AtomicI64::new(0);
pub static STREAMS: AtomicI64 = AtomicI64::new(0);
pub static MODULES: AtomicI64 = AtomicI64::new(0);

/// The memory of a device: a buffer may not be larger.
const MEMORY: usize = 1 << 30;
const N_DEVICES: c_int = 2;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

static FIRST: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

/// CUDA_ERROR_INVALID_CONTEXT, unless a context is current.
fn in_context(act: impl FnOnce() -> c_int) -> c_int {
    if CURRENT.get() == 0 { 201 } else { act() }
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(flags: c_uint) -> c_int {
    c_int::from(flags != 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: &mut c_int) -> c_int {
    *version = 12040;
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: &mut c_int) -> c_int {
    *count = N_DEVICES;
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(device: &mut c_int, ordinal: c_int) -> c_int {
    *device = ordinal + 10;
    if ordinal < N_DEVICES { 0 } else { 101 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) -> c_int {
    let text = format!("Stand-in {}\0", device - 10);
    assert!(text.len() <= length as usize);
    // SAFETY: there is room, as was said.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), name, text.len()) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceTotalMem_v2(bytes: &mut usize, _: c_int) -> c_int {
    *bytes = MEMORY;
    0
}

/// The numbers of an A100, where tests look at them.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetAttribute(value: &mut c_int, what: c_int, device: c_int) -> c_int {
    assert!((10..10 + N_DEVICES).contains(&device));
    *value = match what {
        // The most threads of a block: in all, in x, in y, in z.
        1..=3 => 1024,
        4 => 64,
        // Shared memory of a block, and on request.
        8 => 49_152,
        97 => 166_912,
        10 => 32,
        13 => 1_410_000,
        16 => 108,
        75 => 8,
        76 => 0,
        _ => 1,
    };
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRetain(context: &mut usize, device: c_int) -> c_int {
    *context = 1000 + device as usize;
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: usize) -> c_int {
    CURRENT.set(context);
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> c_int {
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(code: c_int, text: &mut *const c_char) -> c_int {
    let name = match code {
        1 => c"CUDA_ERROR_INVALID_VALUE",
        2 => c"CUDA_ERROR_OUT_OF_MEMORY",
        500 => c"CUDA_ERROR_NOT_FOUND",
        _ => {
            *text = std::ptr::null();
            return 1;
        }
    };
    *text = name.as_ptr();
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(code: c_int, text: &mut *const c_char) -> c_int {
    let result = cuGetErrorName(code, text);
    if result == 0 {
        *text = c"in words".as_ptr();
    }
    result
}

// ---- memory

fn layout(bytes: usize) -> std::alloc::Layout {
    // Before each buffer stands its size.
    std::alloc::Layout::from_size_align(bytes + 256, 256).expect("a size")
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAlloc_v2(address: &mut c_ulonglong, bytes: usize) -> c_int {
    in_context(|| match bytes {
        0 => 1,
        _ if bytes > MEMORY => 2,
        _ => {
            BUFFERS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: not empty; the size fits before the buffer.
            unsafe {
                let start = std::alloc::alloc(layout(bytes));
                start.cast::<usize>().write(bytes);
                *address = start.add(256) as c_ulonglong;
            }
            0
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(address: c_ulonglong) -> c_int {
    in_context(|| {
        BUFFERS.fetch_sub(1, Ordering::Relaxed);
        let start = (address as usize - 256) as *mut u8;
        // SAFETY: made by `cuMemAlloc_v2`.
        unsafe { std::alloc::dealloc(start, layout(start.cast::<usize>().read())) };
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: &mut usize, total: &mut usize) -> c_int {
    (*free, *total) = (MEMORY / 2, MEMORY);
    in_context(|| 0)
}

/// # Safety
/// Both are valid for `bytes`.
unsafe fn copy(to: usize, from: usize, bytes: usize, stream: usize) -> c_int {
    assert_ne!(stream, 0);
    // SAFETY: as the caller promises. A driver's copies may not overlap either.
    in_context(|| unsafe {
        std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes);
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: c_ulonglong,
    from: *const c_void,
    bytes: usize,
    stream: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { copy(to as usize, from as usize, bytes, stream) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut c_void,
    from: c_ulonglong,
    bytes: usize,
    stream: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { copy(to as usize, from as usize, bytes, stream) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoDAsync_v2(
    to: c_ulonglong,
    from: c_ulonglong,
    bytes: usize,
    stream: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { copy(to as usize, from as usize, bytes, stream) }
}

/// # Safety
/// `height` rows of `width` values have room, `pitch` bytes apart.
unsafe fn set<T: Copy>(
    to: c_ulonglong,
    pitch: usize,
    value: T,
    width: usize,
    height: usize,
) -> c_int {
    assert_eq!(to as usize % size_of::<T>(), 0);
    in_context(|| {
        for row in 0..height {
            for column in 0..width {
                let place = to as usize + row * pitch + column * size_of::<T>();
                // SAFETY: as the caller promises.
                unsafe { (place as *mut T).write(value) };
            }
        }
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8Async(to: c_ulonglong, value: u8, n: usize, _: usize) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { set(to, 0, value, n, 1) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD16Async(to: c_ulonglong, value: u16, n: usize, _: usize) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { set(to, 0, value, n, 1) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD32Async(to: c_ulonglong, value: u32, n: usize, _: usize) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { set(to, 0, value, n, 1) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD2D32Async(
    to: c_ulonglong,
    pitch: usize,
    value: u32,
    width: usize,
    height: usize,
    _: usize,
) -> c_int {
    assert!(pitch >= 4 * width);
    // SAFETY: as the caller promises.
    unsafe { set(to, pitch, value, width, height) }
}

// ---- streams and events

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: &mut usize, flags: c_uint) -> c_int {
    // 1: it does not wait for the default stream.
    assert_eq!(flags, 1);
    *stream = STREAMS.fetch_add(1, Ordering::Relaxed) as usize + 0x100;
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(_: usize) -> c_int {
    STREAMS.fetch_sub(1, Ordering::Relaxed);
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(_: usize) -> c_int {
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(_: usize, event: &AtomicU64, flags: c_uint) -> c_int {
    assert_eq!(flags, 0);
    assert_ne!(event.load(Ordering::Relaxed), 0);
    in_context(|| 0)
}

/// An event is the moment at which it was recorded, in nanoseconds; 0 before.
#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(event: &mut *mut AtomicU64, flags: c_uint) -> c_int {
    // 0: it has a time.
    assert_eq!(flags, 0);
    EVENTS.fetch_add(1, Ordering::Relaxed);
    *event = Box::into_raw(Box::default());
    in_context(|| 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventDestroy_v2(event: *mut AtomicU64) -> c_int {
    EVENTS.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: made by `cuEventCreate`.
    drop(unsafe { Box::from_raw(event) });
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: &AtomicU64, stream: usize) -> c_int {
    assert_ne!(stream, 0);
    event.store(FIRST.elapsed().as_nanos() as u64 + 1, Ordering::Relaxed);
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: &AtomicU64) -> c_int {
    in_context(|| {
        if event.load(Ordering::Relaxed) == 0 {
            600
        } else {
            0
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: &AtomicU64) -> c_int {
    cuEventQuery(event)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime(
    milliseconds: &mut f32,
    from: &AtomicU64,
    to: &AtomicU64,
) -> c_int {
    let [from, to] = [from, to].map(|event| event.load(Ordering::Relaxed) as i64);
    *milliseconds = ((to - from) as f64 / 1e6) as f32;
    // CUDA_ERROR_INVALID_HANDLE: not recorded.
    if from == 0 || to == 0 { 400 } else { 0 }
}

// ---- modules

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: &mut usize,
    image: *const u8,
    n: c_uint,
    options: *const c_int,
    values: *const *mut c_void,
) -> c_int {
    // SAFETY: an image of at least four bytes, and two options with their values.
    let (start, options, values) = unsafe {
        (
            std::slice::from_raw_parts(image, 4),
            std::slice::from_raw_parts(options, n as usize),
            std::slice::from_raw_parts(values, n as usize),
        )
    };
    // The room for what is said of a failure, and its size.
    assert_eq!(options, [5, 6]);
    if start != b"\x7fELF" {
        let words = b"line 1: no such thing\0";
        assert!(values[1].addr() > words.len());
        // SAFETY: there is room, as was said.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), values[0].cast(), words.len()) };
        return 218;
    }
    *module = 77;
    MODULES.fetch_add(1, Ordering::Relaxed);
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: usize) -> c_int {
    assert_eq!(module, 77);
    MODULES.fetch_sub(1, Ordering::Relaxed);
    in_context(|| 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(
    function: &mut usize,
    module: usize,
    name: *const c_char,
) -> c_int {
    assert_eq!(module, 77);
    *function = 88;
    // SAFETY: a name that ends with NUL.
    let is_there = unsafe { CStr::from_ptr(name) } == c"scale";
    in_context(|| if is_there { 0 } else { 500 })
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncGetAttribute(value: &mut c_int, what: c_int, function: usize) -> c_int {
    assert_eq!(function, 88);
    // The most threads of a block, shared memory, local memory, registers.
    *value = match what {
        0 => 512,
        1 => 1024,
        3 => 16,
        4 => 40,
        _ => return 1,
    };
    in_context(|| 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(function: usize, what: c_int, value: c_int) -> c_int {
    // Dynamic shared memory: what a block may have on request, less what the text asks for.
    assert_eq!((function, what, value), (88, 8, 166_912 - 1024));
    in_context(|| 0)
}

/// The one kernel there is: `scale(float *a, float factor, unsigned n)`, for each of the threads.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    stream: usize,
    parameters: *const *const c_void,
    extra: *const c_void,
) -> c_int {
    assert_eq!((function, extra.is_null()), (88, true));
    assert_ne!(stream, 0);
    assert!(shared <= 166_912 - 1024);
    let threads = grid_x * grid_y * grid_z * block_x * block_y * block_z;
    // SAFETY: three pointers to values of these types.
    in_context(|| unsafe {
        let a = (*parameters).cast::<*mut f32>().read();
        let factor = (*parameters.add(1)).cast::<f32>().read();
        let n = (*parameters.add(2)).cast::<u32>().read();
        for i in 0..threads.min(n) {
            *a.add(i as usize) *= factor;
        }
        0
    })
}
