//! Frames as they lie in the ring's memory, around its end if need be.

use super::Ring;
use crate::processes::shared::Shared;

/// A message begins with this frame.
pub(super) const FIRST: u32 = 1 << 31;
/// A message ends with this frame.
pub(super) const LAST: u32 = 1 << 30;
/// No message: the rest of the ring is not used this time.
pub(super) const SKIP: u32 = 1 << 29;
pub(super) const LENGTH: u32 = SKIP - 1;

#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Header {
    /// Flags, and the length of this frame's bytes.
    pub(super) frame: u32,
    pub(super) unused: u32,
    /// Length of the whole message.
    pub(super) total: u64,
}

pub(super) const HEADER: u64 = size_of::<Header>() as u64;

impl Shared<Ring> {
    pub(super) fn put_header(&self, at: u64, frame: u32, total: u64) {
        let header = Header {
            frame,
            unused: 0,
            total,
        };
        // SAFETY: positions of frames are multiples of `STEP`, and so is the capacity, so the header lies within the
        // ring and is aligned. This writer holds the mutex, and no reader looks at free room.
        unsafe { self.place(at).cast::<Header>().write(header) };
    }

    pub(super) fn header(&self, at: u64) -> Header {
        // SAFETY: as above; the writer's store of `tail` made the header visible, and no writer touches it before
        // this reader has stored `head`.
        unsafe { self.place(at).cast::<Header>().read() }
    }

    /// Where in the ring a position is; the capacity is a power of two.
    pub(super) fn offset(&self, at: u64) -> u64 {
        at & (self.capacity() - 1)
    }

    /// The address of a position.
    pub(super) fn place(&self, at: u64) -> *mut u8 {
        // SAFETY: the offset is less than the capacity, which is the length of the memory there.
        unsafe { self.extra().add(self.offset(at) as usize) }
    }

    /// Copies bytes to a position, around the end of the ring if need be.
    pub(super) fn copy_in(&self, at: u64, bytes: &[u8]) {
        let to_end = (self.capacity() - self.offset(at)) as usize;
        let (before, after) = bytes.split_at(bytes.len().min(to_end));
        // SAFETY: the caller has seen that so much room is free, holds the writers' mutex, and no reader looks at
        // free room. Both parts stay within the ring.
        unsafe {
            self.place(at)
                .copy_from_nonoverlapping(before.as_ptr(), before.len());
            self.extra()
                .copy_from_nonoverlapping(after.as_ptr(), after.len());
        }
    }

    /// Appends the bytes at a position to a message.
    pub(super) fn copy_out(&self, at: u64, length: u64, message: &mut Vec<u8>) {
        let length = length as usize;
        message.reserve(length);
        let before = length.min((self.capacity() - self.offset(at)) as usize);
        // SAFETY: the message has room for `length` more bytes. In the ring they lie in a frame that the reader has
        // seen to be there, and no writer touches it before `head` is stored.
        unsafe {
            let to = message.as_mut_ptr().add(message.len());
            to.copy_from_nonoverlapping(self.place(at), before);
            to.add(before)
                .copy_from_nonoverlapping(self.extra(), length - before);
            message.set_len(message.len() + length);
        }
    }
}
