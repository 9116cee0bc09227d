//! Buffers and copies. A buffer's handle is its address on the device.

use std::ffi::c_void;

use cust::sys::{self, CUdeviceptr, CUstream};

use crate::stream::Began;
use crate::table::{Handle, code};
use crate::{answer, check, fail, open};

/// Of a pattern of 8 bytes so many are set one by one; the rest is copied from them.
const SEED: usize = 4096;

fn address(buffer: Handle, offset: usize) -> CUdeviceptr {
    (buffer + offset) as CUdeviceptr
}

pub unsafe extern "C" fn allocate(index: u32, bytes: usize, out: *mut Handle) -> i32 {
    answer((|| {
        open(index)?;
        let mut buffer = 0;
        // SAFETY: a valid pointer.
        check("cuMemAlloc", unsafe {
            sys::cuMemAlloc_v2(&mut buffer, bytes)
        })?;
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = buffer as Handle };
        Ok(())
    })())
}

pub unsafe extern "C" fn free(index: u32, buffer: Handle) -> i32 {
    answer(open(index).and_then(|_| {
        // SAFETY: the caller gives a buffer that it does not use again. What is ordered may still use it, so the device is
        // to be done first; whether that went well is the business of who ordered it.
        let result = unsafe {
            let _other_calls_say_so = sys::cuCtxSynchronize();
            sys::cuMemFree_v2(address(buffer, 0))
        };
        check("cuMemFree", result)
    }))
}

pub unsafe extern "C" fn memory(index: u32, free: *mut u64, total: *mut u64) -> i32 {
    answer((|| {
        open(index)?;
        let (mut left, mut all) = (0_usize, 0_usize);
        // SAFETY: valid pointers.
        check("cuMemGetInfo", unsafe {
            sys::cuMemGetInfo_v2(&mut left, &mut all)
        })?;
        // SAFETY: the caller gives valid pointers.
        unsafe {
            *free = left as u64;
            *total = all as u64;
        }
        Ok(())
    })())
}

/// Orders something between the two moments of an event.
///
/// # Safety
/// A stream of the device, and `event` is null or valid.
unsafe fn order(
    index: u32,
    stream: CUstream,
    event: *mut Handle,
    order: impl FnOnce() -> Result<(), i32>,
) -> Result<(), i32> {
    let device = open(index)?;
    // SAFETY: as the caller promises.
    unsafe {
        let began = Began::new(device, stream, event)?;
        order()?;
        began.end(stream, event)
    }
}

/// Waits for what was ordered.
fn finish(stream: CUstream) -> Result<(), i32> {
    // SAFETY: a stream of the context that is current.
    check("cuStreamSynchronize", unsafe {
        sys::cuStreamSynchronize(stream)
    })
}

pub unsafe extern "C" fn write(
    index: u32,
    stream: Handle,
    to: Handle,
    offset: usize,
    from: *const c_void,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    let stream = stream as CUstream;
    // SAFETY: the caller gives a stream, a buffer that is large enough, and memory to read; it waits until that is read.
    answer(unsafe {
        order(index, stream, event, || {
            check(
                "cuMemcpyHtoDAsync",
                sys::cuMemcpyHtoDAsync_v2(address(to, offset), from, bytes, stream),
            )
        })
        .and_then(|()| finish(stream))
    })
}

pub unsafe extern "C" fn read(
    index: u32,
    stream: Handle,
    from: Handle,
    offset: usize,
    to: *mut c_void,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    let stream = stream as CUstream;
    // SAFETY: as above, the other way.
    answer(unsafe {
        order(index, stream, event, || {
            check(
                "cuMemcpyDtoHAsync",
                sys::cuMemcpyDtoHAsync_v2(to, address(from, offset), bytes, stream),
            )
        })
        .and_then(|()| finish(stream))
    })
}

pub unsafe extern "C" fn copy(
    index: u32,
    stream: Handle,
    from: Handle,
    from_offset: usize,
    to: Handle,
    to_offset: usize,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    let stream = stream as CUstream;
    let (from, to) = (address(from, from_offset), address(to, to_offset));
    // SAFETY: the caller gives a stream and buffers that are large enough.
    answer(unsafe {
        order(index, stream, event, || {
            check(
                "cuMemcpyDtoDAsync",
                sys::cuMemcpyDtoDAsync_v2(to, from, bytes, stream),
            )
        })
    })
}

pub unsafe extern "C" fn fill(
    index: u32,
    stream: Handle,
    to: Handle,
    offset: usize,
    pattern: *const c_void,
    pattern_bytes: usize,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    if !matches!(pattern_bytes, 1 | 2 | 4 | 8) {
        fail(format!(
            "a pattern of {pattern_bytes} bytes; there are those of 1, 2, 4 and 8"
        ));
        return code::ARGUMENTS;
    }
    let stream = stream as CUstream;
    let to = address(to, offset);
    let n = bytes / pattern_bytes;
    // SAFETY: the caller gives a stream, a buffer that is large enough, and a pattern of these bytes, at any address.
    answer(unsafe {
        order(index, stream, event, || match pattern_bytes {
            1 => {
                let value = pattern.cast::<u8>().read();
                check(
                    "cuMemsetD8Async",
                    sys::cuMemsetD8Async(to, value, n, stream),
                )
            }
            2 => {
                let value = pattern.cast::<u16>().read_unaligned();
                check(
                    "cuMemsetD16Async",
                    sys::cuMemsetD16Async(to, value, n, stream),
                )
            }
            4 => fill_4(to, pattern.cast::<u32>().read_unaligned(), n, stream),
            _ => match pattern.cast::<[u32; 2]>().read_unaligned() {
                [low, high] if low == high => fill_4(to, low, 2 * n, stream),
                halves => fill_8(to, halves, n, stream),
            },
        })
    })
}

/// # Safety
/// `n` values of 4 bytes have room at `to`, on the device of the stream.
unsafe fn fill_4(to: CUdeviceptr, value: u32, n: usize, stream: CUstream) -> Result<(), i32> {
    // SAFETY: as the caller promises.
    check("cuMemsetD32Async", unsafe {
        sys::cuMemsetD32Async(to, value, n, stream)
    })
}

/// CUDA sets at most 4 bytes at a time: rows of 8 bytes get their halves in two goes. How many rows there may be is not
/// written down, so there are few, and the rest are copies of them, twice as many each time.
///
/// # Safety
/// `n` values of 8 bytes have room at `to`, on the device of the stream.
unsafe fn fill_8(to: CUdeviceptr, halves: [u32; 2], n: usize, stream: CUstream) -> Result<(), i32> {
    let seed = n.min(SEED);
    for (place, half) in [to, to + 4].into_iter().zip(halves) {
        // SAFETY: `seed` rows of one value of 4 bytes, 8 bytes apart.
        check("cuMemsetD2D32Async", unsafe {
            sys::cuMemsetD2D32Async(place, 8, half, 1, seed, stream)
        })?;
    }
    for (from, count) in doublings(seed, n) {
        let place = to + 8 * from as CUdeviceptr;
        // SAFETY: inside of the room; the copies of a stream are made one after the other, and no two overlap.
        check("cuMemcpyDtoDAsync", unsafe {
            sys::cuMemcpyDtoDAsync_v2(place, to, 8 * count, stream)
        })?;
    }
    Ok(())
}

/// Copies of what is there, from the beginning, that make `n` of `there`: where each goes, and how many it has.
fn doublings(there: usize, n: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::successors(Some(there), |done| done.checked_mul(2));
    starts
        .take_while(move |&done| done > 0 && done < n)
        .map(move |done| (done, done.min(n - done)))
}

#[cfg(test)]
mod tests {
    use super::doublings;

    #[test]
    fn doublings_reach_every_place_once_from_places_that_are_filled() {
        for (there, n) in [(0, 0), (1, 1), (1, 2), (1, 9), (4, 4), (4, 5), (4, 1000)] {
            let mut done = there;
            for (start, count) in doublings(there, n) {
                assert_eq!(start, done);
                assert!(count > 0 && count <= done);
                done += count;
            }
            assert_eq!(done, n);
        }
    }
}
