//! Short receives into memory of ours, with so much room behind it that no message can go beyond.
//!
//! Matching first and receiving then (see `posted`) takes MPI twice, which a short message feels. So it is received in one
//! call, and copied.

use std::cell::Cell;
use std::ptr::NonNull;

use super::communicator::Communicator;
use super::datatype::Datatype;
use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::library;
use super::parcel::count;
use super::point::{peer, tag};
use super::table::{NO_PROCESS, RawStatus};
use super::wait::{Borrowed, ONE_PIECE};

/// More than the longest message of this library, which counts bytes with 31 bits.
const ROOM: usize = (1 << 31) + (1 << 12);

/// Address space, of which pages are taken only when they are written to.
struct Room(NonNull<u8>);

impl Room {
    fn new() -> Option<Room> {
        // SAFETY: a mapping of its own, which touches no other memory.
        let at = unsafe {
            let (protection, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            );
            libc::mmap(std::ptr::null_mut(), ROOM, protection, flags, -1, 0)
        };
        if at == libc::MAP_FAILED {
            return None;
        }
        NonNull::new(at.cast()).map(Room)
    }

    /// Gives the pages back of a message that was too long.
    fn shrink(&self) {
        // SAFETY: our own mapping, from its second page on.
        unsafe {
            libc::madvise(
                self.0.as_ptr().add(ONE_PIECE).cast(),
                ROOM - ONE_PIECE,
                libc::MADV_DONTNEED,
            );
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // MPI may still write to it where an exchange was left half done.
        if !library::is_closed() {
            // SAFETY: our own mapping, which nobody uses any more.
            unsafe { libc::munmap(self.0.as_ptr().cast(), ROOM) };
        }
    }
}

thread_local! {
    /// Each thread's own; empty while a receive uses it, and where there is no address space.
    static ROOMS: Cell<Option<Room>> = const { Cell::new(None) };
}

impl Communicator {
    /// Receives into a short slice; none if it is not short, or there is no room.
    ///
    /// # Errors
    /// MPI's own, or the message is too long.
    #[inline]
    pub(super) fn recv_short<T: Datatype>(
        &self,
        data: &mut [T],
        call: &Call,
    ) -> MpiResult<Option<RawStatus>> {
        let bytes = size_of_val(data);
        // MPICH tells nothing of a message from the null process; `recv_long` does.
        if bytes > ONE_PIECE || peer(call) == NO_PROCESS {
            return Ok(None);
        }
        let Some(room) = ROOMS.take().or_else(Room::new) else {
            return Ok(None);
        };
        library::is_open(call)?;
        let (table, mut handle) = (self.inner.table, 0);
        let length = count(call, data.len())?;
        // SAFETY: the room is as large as any message, and stays until the request is done or MPI is stopped.
        let code = unsafe {
            let (buffer, comm) = (room.0.as_ptr().cast(), self.inner.handle);
            (table.irecv)(
                buffer,
                length,
                T::CODE,
                peer(call),
                tag(call),
                comm,
                &raw mut handle,
            )
        };
        library::check(table, code, || *call)?;
        let request = Borrowed {
            table,
            handle,
            status: RawStatus::default(),
        };
        let result = request.wait(call, true);
        match &result {
            Ok(status) => {
                let came = usize::try_from(status.bytes).unwrap_or(0).min(bytes);
                // SAFETY: so many bytes have been written, the slice has room for them, and every pattern of bytes is a
                // number.
                unsafe {
                    let to = data.as_mut_ptr().cast::<u8>();
                    std::ptr::copy_nonoverlapping(room.0.as_ptr(), to, came);
                }
            }
            Err(MpiError::Failed {
                class: ErrorClass::Truncate,
                ..
            }) => room.shrink(),
            Err(_) => {}
        }
        ROOMS.set(Some(room));
        result.map(Some)
    }
}
