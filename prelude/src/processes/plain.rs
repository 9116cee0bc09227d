//! Numbers that may lie in shared memory.

use std::fmt::Debug;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

/// What a [`Value`](super::Value) or an array in shared memory may be made of: integers of up to 64 bits, floats,
/// and `bool`. They are plain memory, so that every process sees them without copying.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in memory that processes share",
    label = "only plain numbers can",
    note = "integers up to 64 bits, `f32`, `f64` and `bool` can; for other types use a `processes::Queue`, a pipe, \
            or a `processes::Manager`"
)]
pub trait Plain:
    sealed::Access + Copy + Default + PartialEq + Debug + Send + Sync + 'static
{
}

/// A [`Plain`] number that can be added to.
pub trait Number: Plain + sealed::Add {}

pub(crate) mod sealed {
    /// How a number is in memory that changes at any time.
    pub trait Access: Sized {
        /// All of its bits, the rest zero.
        fn to_word(self) -> u64;
        /// The number of these bits.
        fn from_word(word: u64) -> Self;
        /// Reads it without order to other accesses.
        ///
        /// # Safety
        /// The address is valid and aligned, and all who write there at the same time do it by `store` or `add`.
        unsafe fn load(at: *const Self) -> Self;
        /// Writes it without order to other accesses.
        ///
        /// # Safety
        /// As for `load`, and nobody reads in another way.
        unsafe fn store(at: *mut Self, number: Self);
    }

    /// Sums.
    pub trait Add: Access {
        /// The sum; integers wrap around.
        fn plus(self, more: Self) -> Self;
        /// Adds in one step that nobody comes between; the number before.
        ///
        /// # Safety
        /// As for `store`.
        unsafe fn add(at: *mut Self, more: Self) -> Self;
    }
}

macro_rules! integers {
    ($($number:ty: $atomic:ty),*) => {$(
        impl Plain for $number {}
        impl Number for $number {}

        impl sealed::Access for $number {
            fn to_word(self) -> u64 {
                self as u64
            }

            fn from_word(word: u64) -> Self {
                word as $number
            }

            unsafe fn load(at: *const Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { <$atomic>::from_ptr(at.cast_mut()) }.load(Ordering::Relaxed)
            }

            unsafe fn store(at: *mut Self, number: Self) {
                // SAFETY: the caller's promise.
                unsafe { <$atomic>::from_ptr(at) }.store(number, Ordering::Relaxed);
            }
        }

        impl sealed::Add for $number {
            fn plus(self, more: Self) -> Self {
                self.wrapping_add(more)
            }

            unsafe fn add(at: *mut Self, more: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { <$atomic>::from_ptr(at) }.fetch_add(more, Ordering::Relaxed)
            }
        }
    )*};
}

integers!(
    u8: AtomicU8, i8: AtomicI8, u16: AtomicU16, i16: AtomicI16, u32: AtomicU32, i32: AtomicI32, u64: AtomicU64,
    i64: AtomicI64, usize: AtomicUsize, isize: AtomicIsize
);

macro_rules! floats {
    ($($number:ty: $atomic:ty),*) => {$(
        impl Plain for $number {}
        impl Number for $number {}

        impl sealed::Access for $number {
            fn to_word(self) -> u64 {
                self.to_bits().into()
            }

            fn from_word(word: u64) -> Self {
                Self::from_bits(word as _)
            }

            unsafe fn load(at: *const Self) -> Self {
                // SAFETY: the caller's promise; an integer of the same size has the same alignment.
                Self::from_bits(unsafe { <$atomic>::from_ptr(at.cast_mut().cast()) }.load(Ordering::Relaxed))
            }

            unsafe fn store(at: *mut Self, number: Self) {
                // SAFETY: as above.
                unsafe { <$atomic>::from_ptr(at.cast()) }.store(number.to_bits(), Ordering::Relaxed);
            }
        }

        impl sealed::Add for $number {
            fn plus(self, more: Self) -> Self {
                self + more
            }

            unsafe fn add(at: *mut Self, more: Self) -> Self {
                // SAFETY: as above.
                let bits = unsafe { <$atomic>::from_ptr(at.cast()) }.fetch_update(
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                    |bits| Some((Self::from_bits(bits) + more).to_bits()),
                );
                Self::from_bits(bits.unwrap_or_else(|bits| bits))
            }
        }
    )*};
}

floats!(f32: AtomicU32, f64: AtomicU64);

impl Plain for bool {}

impl sealed::Access for bool {
    fn to_word(self) -> u64 {
        self.into()
    }

    fn from_word(word: u64) -> Self {
        word != 0
    }

    unsafe fn load(at: *const Self) -> Self {
        // SAFETY: the caller's promise; only `store` has written there, or nobody, and zero is `false`.
        unsafe { AtomicBool::from_ptr(at.cast_mut()) }.load(Ordering::Relaxed)
    }

    unsafe fn store(at: *mut Self, number: Self) {
        // SAFETY: the caller's promise.
        unsafe { AtomicBool::from_ptr(at) }.store(number, Ordering::Relaxed);
    }
}
