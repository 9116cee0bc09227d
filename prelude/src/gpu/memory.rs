//! Memory of devices: buffers, and the pool that keeps what was freed for the next.
//!
//! Drivers take long to give and to take back memory, and freeing waits for the device on some. So a freed piece stays in
//! the device's pool, by size. It may be used again at once, even if orders for the old owner are not carried out: they
//! come first in the stream, and another stream waits for them.
//!
//! The rayon device has a pool too: the first touch of fresh memory costs several times what an element-wise pass over it does.
//!
//! What always holds: a buffer's memory belongs to it alone until it is dropped; what the pool holds is given back when the
//! device says that it is full; the rayon device's buffers are plain memory that this library owns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::device::Device;
use super::element::Plain;
use super::error::{GpuError, GpuResult};
use super::order::{Order, OrderKind};
use super::stream::Stream;
use super::table::{Handle, code};

/// More than this is not kept: it would be missed elsewhere. As a share of the device's memory.
const LARGEST_SHARE: usize = 4;
/// The same for the rayon device, whose memory all programs of the machine share.
const LARGEST_SHARE_OF_HOST: usize = 16;
/// Bytes of the host's memory that are kept at least: the allocator has less ready by itself.
const LEAST_KEPT_OF_HOST: usize = 1 << 16;

/// Sixty-four bytes that begin at a multiple of their size.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Memory itself, by who gave it.
enum Memory {
    /// Whole lines of the host's.
    Host(Vec<Line>),
    /// The driver's.
    Device(Handle),
}

/// A piece of a device's memory.
pub(crate) struct Buffer {
    device: Device,
    bytes: usize,
    /// Bytes that there are; as many as asked for, or more.
    capacity: usize,
    memory: Memory,
    /// The stream that used it last.
    last: Mutex<Option<Stream>>,
}

/// A freed piece, and the stream that used it last.
struct Piece {
    memory: Memory,
    last: Option<Stream>,
}

/// What a device keeps.
#[derive(Default)]
pub(super) struct Pool {
    pieces: Mutex<BTreeMap<usize, Vec<Piece>>>,
    /// Bytes of all buffers.
    held: AtomicUsize,
    /// Bytes of all pieces.
    kept: AtomicUsize,
}

impl Pool {
    /// Bytes that arrays hold.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes that are kept for the next.
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    fn take(&self, capacity: usize) -> Option<Piece> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = pieces.get_mut(&capacity)?.pop()?;
        self.kept.fetch_sub(capacity, Ordering::Relaxed);
        Some(piece)
    }

    fn keep(&self, capacity: usize, piece: Piece) {
        self.kept.fetch_add(capacity, Ordering::Relaxed);
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.entry(capacity).or_default().push(piece);
    }

    /// Gives all that is kept back.
    fn clear(&self, device: Device) {
        let pieces =
            std::mem::take(&mut *self.pieces.lock().unwrap_or_else(PoisonError::into_inner));
        for (capacity, pieces) in pieces {
            for piece in pieces {
                self.kept.fetch_sub(capacity, Ordering::Relaxed);
                piece.memory.free(device);
            }
        }
    }
}

impl Memory {
    /// Fresh memory of a device.
    ///
    /// # Errors
    /// No room, as `full` puts it; the driver's.
    fn new(
        device: Device,
        capacity: usize,
        full: &dyn Fn(String) -> GpuError,
    ) -> GpuResult<Memory> {
        let Some(driver) = device.driver() else {
            return Memory::of_host(capacity).or_else(|_| {
                device.pool().clear(device);
                Memory::of_host(capacity).map_err(|error| full(error.to_string()))
            });
        };
        let mut handle = 0;
        let mut allocate = || {
            // SAFETY: the pointer is valid.
            unsafe { (driver.table.allocate)(driver.index, capacity, &raw mut handle) }
        };
        let mut code = allocate();
        if code == code::OUT_OF_MEMORY && device.pool().kept() > 0 {
            device.pool().clear(device);
            code = allocate();
        }
        match device.check(code, || "an array".to_owned()) {
            Ok(()) => Ok(Memory::Device(handle)),
            Err(GpuError::OutOfMemory { text, .. }) => Err(full(text)),
            Err(other) => Err(other),
        }
    }

    /// Fresh memory of the host, all zeros.
    ///
    /// # Errors
    /// There is not as much.
    fn of_host(capacity: usize) -> Result<Memory, std::collections::TryReserveError> {
        let n = capacity.div_ceil(64);
        Vec::<Line>::new().try_reserve_exact(n)?;
        // From zeroed pages, without a byte written.
        let mut lines = vec![Line([0; 64]); n];
        use_large_pages(&mut lines);
        Ok(Memory::Host(lines))
    }

    /// Gives it back to who gave it.
    fn free(self, device: Device) {
        if let (Memory::Device(handle), Some(driver)) = (self, device.driver()) {
            // SAFETY: nobody else has it.
            unsafe { (driver.table.free)(driver.index, handle) };
        }
    }
}

/// Asks the system for large pages, of which each first touch brings two mebibytes and not four kibibytes. It may decline.
fn use_large_pages<T>(room: &mut [T]) {
    const LARGE: usize = 2 << 20;
    let (begin, bytes) = (room.as_mut_ptr() as usize, size_of_val(room));
    let first = begin.next_multiple_of(4096);
    if bytes < 2 * LARGE {
        return;
    }
    let length = (begin + bytes - first) / 4096 * 4096;
    // SAFETY: whole pages within memory that the caller has; what is in them does not change.
    let _declined = unsafe { libc::madvise(first as *mut _, length, libc::MADV_HUGEPAGE) };
}

/// Sizes of pieces: powers of two up to a mebibyte, then eighths of one.
fn capacity(bytes: usize) -> usize {
    let up = bytes.max(256).checked_next_power_of_two().unwrap_or(bytes);
    if up <= 1 << 20 {
        return up;
    }
    bytes.checked_next_multiple_of(up / 16).unwrap_or(bytes)
}

impl Device {
    /// Bytes that arrays hold on this device.
    pub fn memory_held(&self) -> usize {
        self.pool().held()
    }

    /// Bytes that are kept for new arrays.
    pub fn memory_kept(&self) -> usize {
        self.pool().kept()
    }

    /// Gives the memory that is kept for new arrays back to the driver, or to the allocator.
    pub fn release_kept_memory(&self) {
        self.pool().clear(*self);
    }
}

impl Buffer {
    /// A buffer whose contents are any.
    ///
    /// # Errors
    /// No room.
    pub(super) fn new(device: Device, bytes: usize) -> GpuResult<Buffer> {
        let pool = device.pool();
        let full = |text: String| GpuError::OutOfMemory {
            device,
            bytes,
            held: pool.held(),
            text,
        };
        let capacity = match device.driver() {
            None if bytes < LEAST_KEPT_OF_HOST => bytes,
            None => capacity(bytes),
            Some(_) => {
                let largest = device.number_of("largest_buffer").unwrap_or(u64::MAX) as usize;
                if bytes > largest {
                    let largest = super::error::size(largest);
                    return Err(full(format!("one buffer may have {largest} there")));
                }
                capacity(bytes).min(largest).max(bytes)
            }
        };
        let piece = match pool.take(capacity) {
            Some(piece) => piece,
            None => Piece {
                memory: Memory::new(device, capacity, &full)?,
                last: None,
            },
        };
        pool.held.fetch_add(bytes, Ordering::Relaxed);
        let buffer = Buffer {
            device,
            bytes,
            capacity,
            memory: piece.memory,
            last: Mutex::new(piece.last),
        };
        #[cfg(test)]
        let buffer = buffer.poisoned()?;
        Ok(buffer)
    }

    /// In tests nothing is found that was not written: not-a-number, −1, the largest number, `true`.
    #[cfg(test)]
    fn poisoned(mut self) -> GpuResult<Buffer> {
        self.fill(u8::MAX)?;
        Ok(self)
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// The driver's handle, for an order in this stream, which waits for the stream that used the buffer before.
    ///
    /// # Errors
    /// The driver's.
    pub(super) fn handle(&self, stream: &Stream) -> GpuResult<Handle> {
        let Memory::Device(handle) = self.memory else {
            return Ok(0);
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(before) if before == stream => {}
            before => {
                if let Some(before) = before {
                    stream.wait_for(&before.mark()?)?;
                }
                *last = Some(stream.clone());
            }
        }
        Ok(handle)
    }

    /// The stream that used it last.
    fn last_stream(&self) -> Option<Stream> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// The memory of a buffer of the rayon device, as items.
    ///
    /// # Panics
    /// The buffer lies elsewhere.
    pub(super) fn host<T: Plain>(&self) -> &[T] {
        let Memory::Host(lines) = &self.memory else {
            panic!("the buffer lies on a device");
        };
        let n = self.bytes / size_of::<T>();
        // SAFETY: the lines are at least that long, aligned for every plain type, and every pattern of bits is one.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), n) }
    }

    /// The same, to be written.
    ///
    /// # Panics
    /// As above.
    pub(super) fn host_mut<T: Plain>(&mut self) -> &mut [T] {
        let n = self.bytes / size_of::<T>();
        let Memory::Host(lines) = &mut self.memory else {
            panic!("the buffer lies on a device");
        };
        // SAFETY: as above, and nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), n) }
    }

    /// Fills the first items from a slice of at most its length.
    ///
    /// # Errors
    /// The driver's.
    pub(super) fn write<T: Plain>(&mut self, items: &[T]) -> GpuResult<()> {
        let bytes = size_of_val(items);
        assert!(bytes <= self.bytes, "more items than there is room for");
        if bytes == 0 {
            return Ok(());
        }
        let describe = || Order::new(OrderKind::Write, "write", bytes);
        if matches!(self.memory, Memory::Host(_)) {
            let device = self.device;
            let room = &mut self.host_mut::<T>()[..items.len()];
            super::order::on_host(device, describe, || copy_parallel(items, room));
            return Ok(());
        }
        let stream = self.device.stream()?;
        let to = self.handle(&stream)?;
        stream.settle()?;
        stream.order(describe, |driver, stream, event| {
            // SAFETY: the buffer has room for the bytes, which are read before this returns.
            unsafe {
                (driver.table.write)(
                    driver.index,
                    stream,
                    to,
                    0,
                    items.as_ptr().cast(),
                    bytes,
                    event,
                )
            }
        })
    }

    /// Brings items from the place `first`, counted in items.
    ///
    /// # Errors
    /// The driver's; also of orders that came before.
    pub(super) fn read<T: Plain>(&self, first: usize, n: usize) -> GpuResult<Vec<T>> {
        let (offset, bytes) = (first * size_of::<T>(), n * size_of::<T>());
        assert!(offset + bytes <= self.bytes, "more items than there are");
        if n == 0 {
            return Ok(Vec::new());
        }
        let describe = || Order::new(OrderKind::Read, "read", bytes);
        if matches!(self.memory, Memory::Host(_)) {
            let from = &self.host::<T>()[first..first + n];
            return Ok(super::order::on_host(self.device, describe, || {
                let mut items = fresh(n);
                copy_parallel(from, &mut items);
                items
            }));
        }
        let mut items = Vec::<T>::with_capacity(n);
        use_large_pages(items.spare_capacity_mut());
        let stream = self.device.stream()?;
        let before = self.last_stream();
        let from = self.handle(&stream)?;
        stream.settle()?;
        stream.order(describe, |driver, stream, event| {
            let to = items.as_mut_ptr().cast();
            // SAFETY: the vector has room for the bytes, which are there when this returns.
            unsafe { (driver.table.read)(driver.index, stream, from, offset, to, bytes, event) }
        })?;
        // SAFETY: every item has been written, and every pattern of bits is one.
        unsafe { items.set_len(n) };
        stream.is_settled();
        super::kernel::check_faults(&stream)?;
        if let Some(before) = before.filter(|before| *before != stream) {
            super::kernel::check_faults(&before)?;
        }
        Ok(items)
    }

    /// Fills all with a pattern of 1, 2, 4 or 8 bytes.
    ///
    /// # Errors
    /// The driver's.
    pub(super) fn fill<T: Plain>(&mut self, value: T) -> GpuResult<()> {
        let bytes = self.bytes / size_of::<T>() * size_of::<T>();
        if bytes == 0 {
            return Ok(());
        }
        let describe = || Order::new(OrderKind::Copy, "fill", bytes);
        if matches!(self.memory, Memory::Host(_)) {
            let device = self.device;
            let room = self.host_mut::<T>();
            super::order::on_host(device, describe, || {
                super::parallel::parts_mut(room, 1 << 16, &|_, part| part.fill(value));
            });
            return Ok(());
        }
        let stream = self.device.stream()?;
        let to = self.handle(&stream)?;
        stream.order(describe, |driver, stream, event| {
            // SAFETY: the pattern is plain bytes of a size that the driver takes.
            unsafe {
                (driver.table.fill)(
                    driver.index,
                    stream,
                    to,
                    0,
                    (&raw const value).cast(),
                    size_of::<T>(),
                    bytes,
                    event,
                )
            }
        })
    }

    /// A copy of its own.
    ///
    /// # Errors
    /// No room; the driver's.
    pub(super) fn duplicate(&self) -> GpuResult<Buffer> {
        let mut new = Buffer::new(self.device, self.bytes)?;
        let describe = || Order::new(OrderKind::Copy, "copy", 2 * self.bytes);
        if matches!(self.memory, Memory::Host(_)) {
            let room = new.host_mut::<u8>();
            super::order::on_host(self.device, describe, || {
                copy_parallel(self.host::<u8>(), room);
            });
            return Ok(new);
        }
        if self.bytes == 0 {
            return Ok(new);
        }
        let stream = self.device.stream()?;
        let (from, to) = (self.handle(&stream)?, new.handle(&stream)?);
        stream.order(describe, |driver, stream, event| {
            // SAFETY: both have that many bytes.
            unsafe { (driver.table.copy)(driver.index, stream, from, 0, to, 0, self.bytes, event) }
        })?;
        Ok(new)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let (pool, capacity) = (self.device.pool(), self.capacity);
        pool.held.fetch_sub(self.bytes, Ordering::Relaxed);
        let memory = std::mem::replace(&mut self.memory, Memory::Host(Vec::new()));
        let total = self.device.number_of("global_memory").unwrap_or(0) as usize;
        let (least, share) = match memory {
            Memory::Host(_) => (LEAST_KEPT_OF_HOST, LARGEST_SHARE_OF_HOST),
            Memory::Device(_) => (0, LARGEST_SHARE),
        };
        if capacity >= least && pool.kept() + capacity <= total / share {
            let last = self.last.get_mut().unwrap_or_else(PoisonError::into_inner);
            let last = last.take();
            pool.keep(capacity, Piece { memory, last });
        } else {
            memory.free(self.device);
        }
    }
}

/// Zeros in fresh memory.
fn fresh<T: Plain>(n: usize) -> Vec<T> {
    // SAFETY: a number whose bits are all 0.
    let mut items = vec![unsafe { std::mem::zeroed::<T>() }; n];
    use_large_pages(&mut items);
    items
}

/// Copies large slices with all cores: one alone does not use the memory's whole width.
fn copy_parallel<T: Plain>(from: &[T], to: &mut [T]) {
    const PART: usize = 1 << 18;
    super::parallel::parts_mut(to, PART, &|part, to| {
        to.copy_from_slice(super::parallel::part_of(from, PART, part));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_grow_by_small_steps() {
        assert_eq!(capacity(1), 256);
        assert_eq!(capacity(257), 512);
        assert_eq!(capacity(1 << 20), 1 << 20);
        let large = (1 << 20) + 1;
        assert_eq!(capacity(large), (1 << 20) + (1 << 17));
        for bytes in [3_000_000, 100_000_001] {
            assert!(capacity(bytes) >= bytes && capacity(bytes) < bytes + bytes / 7);
        }
    }
}
