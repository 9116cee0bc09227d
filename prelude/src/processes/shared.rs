//! A piece of memory that several processes see, with a known structure at its beginning.
//!
//! A handle holds the memory and its descriptor. Another process gets the descriptor, sees that the memory is
//! what its type says, and has a handle of its own. When the last handle of the last process is gone, so is the memory.
//!
//! What always holds: the structure is of atomics and other things that may change at any time; nobody makes a
//! reference to memory that another process may write in between.

use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::linux::{self, Attempt, Mapping, RawMutex};
use super::message;
use crate::interrupt;

/// What lies at the beginning of shared memory.
///
/// # Safety
/// All-zero memory is a valid value, all fields may be changed by other processes at any time (atomics, mutexes),
/// none is an address, and the alignment is at most [`ALIGNMENT`].
pub(crate) unsafe trait Layout: Send + Sync + 'static {}

/// Where the structure begins, after the head.
pub(crate) const ALIGNMENT: usize = 128;
const PAGE: usize = 4096;
const MAGIC: u64 = 0x0065_6e69_6c6b_726f;

/// What every shared memory begins with.
#[repr(C)]
struct Head {
    magic: u64,
    /// Of the type whose handles these are.
    kind: u64,
    /// How many bytes there are beyond the structure.
    extra: u64,
}

struct Region {
    descriptor: OwnedFd,
    mapping: Mapping,
    /// How many handles are kept alive by [`Shared::keep`].
    kept: AtomicUsize,
}

/// A handle of memory with an `L` at its beginning, to which it dereferences. Clones are the same memory.
pub(crate) struct Shared<L: Layout> {
    region: Arc<Region>,
    layout: PhantomData<fn() -> L>,
}

impl<L: Layout> Clone for Shared<L> {
    fn clone(&self) -> Self {
        Shared {
            region: Arc::clone(&self.region),
            layout: PhantomData,
        }
    }
}

impl<L: Layout> Shared<L> {
    /// Where the bytes beyond the structure begin.
    const EXTRA: usize = (ALIGNMENT + size_of::<L>()).next_multiple_of(PAGE);

    /// Makes memory with `extra` bytes beyond the structure. `kind` is the name of the handle's type.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub(crate) fn create(kind: &str, extra: usize, init: impl FnOnce(&L)) -> Shared<L> {
        match Self::try_create(kind, extra, init) {
            Ok(shared) => shared,
            Err(error) => panic!(
                "no shared memory of {extra} bytes: {error}; \
                 do: make it smaller, or drop queues, arrays and locks that are not used any more"
            ),
        }
    }

    fn try_create(kind: &str, extra: usize, init: impl FnOnce(&L)) -> io::Result<Shared<L>> {
        const { assert!(align_of::<L>() <= ALIGNMENT) };
        let length = Self::EXTRA
            .checked_add(extra)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let descriptor = linux::memory(length, true)?;
        let mapping = Mapping::new(descriptor.as_fd(), length)?;
        // SAFETY: the mapping begins with a page, nobody else knows it yet, and a head fits before the structure.
        unsafe {
            mapping.address().cast::<Head>().write(Head {
                magic: MAGIC,
                kind: digest(kind),
                extra: extra as u64,
            });
        }
        let shared = Shared {
            region: Arc::new(Region {
                descriptor,
                mapping,
                kept: AtomicUsize::new(0),
            }),
            layout: PhantomData,
        };
        init(&shared);
        Ok(shared)
    }

    /// The memory behind a descriptor that another process has sent.
    pub(crate) fn open(kind: &str, descriptor: OwnedFd) -> Result<Shared<L>, String> {
        let length = linux::length_of(descriptor.as_fd())
            .map_err(|error| format!("the descriptor is no shared memory: {error}"))?;
        if length < Self::EXTRA {
            return Err("the shared memory is too short".to_owned());
        }
        let mapping = Mapping::new(descriptor.as_fd(), length)
            .map_err(|error| format!("the shared memory cannot be seen from here: {error}"))?;
        // SAFETY: the mapping is longer than a head, which is written before the descriptor is sent, and never after.
        let head = unsafe { mapping.address().cast::<Head>().as_ref() };
        if head.magic != MAGIC
            || head.kind != digest(kind)
            || head.extra != (length - Self::EXTRA) as u64
        {
            return Err(format!("the shared memory is of another type than {kind}"));
        }
        Ok(Shared {
            region: Arc::new(Region {
                descriptor,
                mapping,
                kept: AtomicUsize::new(0),
            }),
            layout: PhantomData,
        })
    }

    /// The bytes beyond the structure.
    pub(crate) fn extra(&self) -> *mut u8 {
        // SAFETY: the mapping is at least so long.
        unsafe { self.region.mapping.address().as_ptr().add(Self::EXTRA) }
    }

    /// How many bytes there are beyond the structure.
    pub(crate) fn extra_length(&self) -> usize {
        self.region.mapping.length() - Self::EXTRA
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.region.descriptor.as_fd()
    }

    /// Keeps the memory where it is until [`unkeep`](Self::unkeep), also when all handles are dropped: a mutex that a
    /// thread holds is in that thread's list.
    pub(crate) fn keep(&self) {
        std::mem::forget(Arc::clone(&self.region));
        self.region.kept.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the memory is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.region.kept.load(Ordering::Relaxed) > 0
    }

    /// Ends one [`keep`](Self::keep), if there is one.
    pub(crate) fn unkeep(&self) {
        let kept = &self.region.kept;
        if kept
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                count.checked_sub(1)
            })
            .is_ok()
        {
            // SAFETY: `keep` forgot a clone of this Arc, and the count says that it was not dropped before.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(&self.region)) };
        }
    }

    /// Whether both are the same memory, mapped once.
    pub(crate) fn is_same(&self, other: &Shared<L>) -> bool {
        Arc::ptr_eq(&self.region, &other.region)
    }

    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        message::attach::<S::Error>(self.descriptor())?.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        kind: &str,
        deserializer: D,
    ) -> Result<Shared<L>, D::Error> {
        let descriptor = message::detach::<D::Error>(u32::deserialize(deserializer)?)?;
        Shared::open(kind, descriptor).map_err(message::refuse)
    }
}

impl<L: Layout> Deref for Shared<L> {
    type Target = L;

    fn deref(&self) -> &L {
        // SAFETY: the mapping holds an `L` at this place, which is aligned for it, as long as the handle lives; the
        // trait promises that shared access is all that is needed.
        unsafe {
            self.region
                .mapping
                .address()
                .add(ALIGNMENT)
                .cast::<L>()
                .as_ref()
        }
    }
}

/// FNV-1a: the same in all processes of one program.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Gives a handle, a struct with the one field `shared`, its way to other processes.
macro_rules! handle {
    ($handle:ident $(<$parameter:ident: $bound:path>)?) => {
        impl $(<$parameter: $bound>)? serde::Serialize for $handle $(<$parameter>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.shared.serialize(serializer)
            }
        }

        impl<'de $(, $parameter: $bound)?> serde::Deserialize<'de> for $handle $(<$parameter>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let kind = std::any::type_name::<Self>();
                $crate::processes::shared::Shared::deserialize(kind, deserializer).map(Self::of)
            }
        }

        impl $(<$parameter: $bound>)? Clone for $handle $(<$parameter>)? {
            fn clone(&self) -> Self {
                Self::of(self.shared.clone())
            }
        }
    };
}
pub(crate) use handle;

/// How an attempt to get a mutex ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The holder before was killed, or its thread ended, while it held the mutex.
    pub from_dead: bool,
}

/// A mutex between processes. A holder that is killed does not lock the others out.
#[repr(transparent)]
pub(crate) struct Mutex(RawMutex);

impl Mutex {
    /// Makes zeroed memory a mutex.
    pub(crate) fn init(&self, is_recursive: bool) {
        self.0.init(is_recursive);
    }

    pub(crate) fn try_lock(&self) -> Option<Taken> {
        taken(self.0.try_lock())
    }

    /// Waits for the mutex; none if the deadline comes first. An interrupt of the cell ends the wait.
    ///
    /// # Panics
    /// The calling thread holds it already, it is not recursive, and there is no deadline.
    #[track_caller]
    pub(crate) fn lock(&self, deadline: Option<Instant>) -> Option<Taken> {
        let first = self.0.try_lock();
        if let Some(taken) = taken(first) {
            return Some(taken);
        }
        assert!(
            first != Attempt::Own || deadline.is_some(),
            "this thread holds the lock already, so it would wait for itself for ever; \
             do: drop the guard first, or use an RLock"
        );
        interrupt::wait(deadline, |slice| {
            if slice.is_zero() {
                return taken(self.0.try_lock());
            }
            let attempt = self.0.lock_within(slice);
            if attempt == Attempt::Own {
                std::thread::sleep(slice);
            }
            taken(attempt)
        })
    }

    /// The system's number of the thread that holds it.
    pub(crate) fn holder(&self) -> Option<u32> {
        self.0.holder()
    }

    /// Gives it back; `false` if the calling thread does not hold it.
    pub(crate) fn unlock(&self) -> bool {
        self.0.unlock()
    }

    /// Waits for the mutex without end, and gives it back when the result goes.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.hold_until(None)
            .unwrap_or_else(|| unreachable!("a wait without a deadline ends with the mutex"))
    }

    pub(crate) fn hold_until(&self, deadline: Option<Instant>) -> Option<Held<'_>> {
        self.lock(deadline).map(|taken| self.held(taken))
    }

    pub(crate) fn try_hold(&self) -> Option<Held<'_>> {
        self.try_lock().map(|taken| self.held(taken))
    }

    fn held(&self, taken: Taken) -> Held<'_> {
        Held {
            mutex: self,
            from_dead: taken.from_dead,
            thread: PhantomData,
        }
    }
}

fn taken(attempt: Attempt) -> Option<Taken> {
    match attempt {
        Attempt::Taken => Some(Taken { from_dead: false }),
        Attempt::TakenFromDead => Some(Taken { from_dead: true }),
        Attempt::Busy | Attempt::Own => None,
    }
}

/// A mutex that this thread holds. For use within a function only: to forget it and then unmap the memory would
/// leave an address in the thread's list of robust mutexes. Guards that leave a function hold a [`Shared`].
pub(crate) struct Held<'a> {
    mutex: &'a Mutex,
    pub from_dead: bool,
    thread: PhantomData<*const ()>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.mutex.unlock();
    }
}

#[cfg(test)]
mod tests;
