//! Numbers that several work items may write at the same time.

use std::ops::Index;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::shared::within;
use crate::gpu::element::{Element, Plain};

/// A number of a kernel that several work items may write at the same time: parameters are `&[Atomic<u32>]`, local memory is
/// `local!([Atomic<u32>; 64])`, and outside it is an array of `u32`.
///
/// For `u32`, `i32`, `u64`, `i64`, `f32` and `f64`. Each operation is one step that no other divides; there is no order
/// among different elements (`Relaxed`). Sums of floats depend on the order of the work items in their last digits.
#[repr(transparent)]
pub struct Atomic<T: AtomicElement>(T::Cell);

mod sealed {
    /// The cell of the standard library that holds a number's bits.
    pub trait Bits: Sized + Copy + PartialEq {
        type Cell;
        fn load(cell: &Self::Cell) -> Self;
        /// Puts the new value there if the old one is there still; the value that was there.
        fn exchange(cell: &Self::Cell, old: Self, new: Self) -> Result<Self, Self>;
        fn plus(self, other: Self) -> Self;
        fn minus(self, other: Self) -> Self;
        fn greater(self, other: Self) -> Self;
        fn less(self, other: Self) -> Self;
    }
    /// A number with bits to be set.
    pub trait Integer: Bits {
        fn and(self, other: Self) -> Self;
        fn or(self, other: Self) -> Self;
        fn xor(self, other: Self) -> Self;
    }
}
use sealed::{Bits, Integer};

/// What may be atomic.
pub trait AtomicElement: Element + Plain + Bits {}

macro_rules! atomic {
    ($($type:ident in $cell:ident: $to:expr, $from:expr, $plus:expr, $minus:expr;)*) => {$(
        impl Bits for $type {
            type Cell = $cell;
            fn load(cell: &$cell) -> $type {
                $from(cell.load(Relaxed))
            }
            fn exchange(cell: &$cell, old: $type, new: $type) -> Result<$type, $type> {
                let done = cell.compare_exchange_weak($to(old), $to(new), Relaxed, Relaxed);
                done.map($from).map_err($from)
            }
            fn plus(self, other: $type) -> $type {
                $plus(self, other)
            }
            fn minus(self, other: $type) -> $type {
                $minus(self, other)
            }
            fn greater(self, other: $type) -> $type {
                self.max(other)
            }
            fn less(self, other: $type) -> $type {
                self.min(other)
            }
        }
        impl AtomicElement for $type {}
    )*};
}

atomic! {
    u32 in AtomicU32: |x| x, |x| x, u32::wrapping_add, u32::wrapping_sub;
    i32 in AtomicI32: |x| x, |x| x, i32::wrapping_add, i32::wrapping_sub;
    u64 in AtomicU64: |x| x, |x| x, u64::wrapping_add, u64::wrapping_sub;
    i64 in AtomicI64: |x| x, |x| x, i64::wrapping_add, i64::wrapping_sub;
    f32 in AtomicU32: f32::to_bits, f32::from_bits, |x: f32, y: f32| x + y, |x: f32, y: f32| x - y;
    f64 in AtomicU64: f64::to_bits, f64::from_bits, |x: f64, y: f64| x + y, |x: f64, y: f64| x - y;
}

macro_rules! integers {
    ($($type:ident)*) => {$(
        impl Integer for $type {
            fn and(self, other: $type) -> $type {
                self & other
            }
            fn or(self, other: $type) -> $type {
                self | other
            }
            fn xor(self, other: $type) -> $type {
                self ^ other
            }
        }
    )*};
}

integers!(u32 i32 u64 i64);

impl<T: AtomicElement> Atomic<T> {
    /// Replaces the value by one made of it; the value before.
    fn update(&self, new: impl Fn(T) -> T) -> T {
        let mut old = T::load(&self.0);
        loop {
            match T::exchange(&self.0, old, new(old)) {
                Ok(before) => return before,
                Err(now) => old = now,
            }
        }
    }

    /// The value.
    pub fn load(&self) -> T {
        T::load(&self.0)
    }

    /// Replaces the value.
    pub fn store(&self, value: T) {
        self.swap(value);
    }

    /// Replaces the value; the one before.
    pub fn swap(&self, value: T) -> T {
        self.update(|_| value)
    }

    /// Replaces the value if it is `current`; the one before in either case.
    pub fn compare_and_swap(&self, current: T, new: T) -> T {
        self.update(|old| if old == current { new } else { old })
    }

    /// Adds, and wraps around if it must; the value before.
    pub fn fetch_add(&self, value: T) -> T {
        self.update(|old| old.plus(value))
    }

    /// Subtracts, and wraps around if it must; the value before.
    pub fn fetch_sub(&self, value: T) -> T {
        self.update(|old| old.minus(value))
    }

    /// The greater of both; the value before.
    pub fn fetch_max(&self, value: T) -> T {
        self.update(|old| old.greater(value))
    }

    /// The less of both; the value before.
    pub fn fetch_min(&self, value: T) -> T {
        self.update(|old| old.less(value))
    }
}

impl<T: AtomicElement + Integer> Atomic<T> {
    /// Bits that both have; the value before.
    pub fn fetch_and(&self, value: T) -> T {
        self.update(|old| old.and(value))
    }

    /// Bits that either has; the value before.
    pub fn fetch_or(&self, value: T) -> T {
        self.update(|old| old.or(value))
    }

    /// Bits that one of them has; the value before.
    pub fn fetch_xor(&self, value: T) -> T {
        self.update(|old| old.xor(value))
    }
}

/// A slice of atomic numbers in a kernel that runs on the processor.
pub struct Atomics<T: AtomicElement> {
    start: *const Atomic<T>,
    length: usize,
    name: &'static str,
}

impl<T: AtomicElement> Atomics<T> {
    /// A slice for one work item.
    ///
    /// # Safety
    /// `start` is valid for `length` elements as long as this lives, and they are reached through `Atomics` alone.
    pub(super) unsafe fn new(start: *const T, length: usize, name: &'static str) -> Atomics<T> {
        Atomics {
            start: start.cast(),
            length,
            name,
        }
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "kernels have len() only")]
    pub fn len(&self) -> usize {
        self.length
    }
}

impl<T: AtomicElement> Index<usize> for Atomics<T> {
    type Output = Atomic<T>;

    #[inline]
    #[track_caller]
    fn index(&self, index: usize) -> &Atomic<T> {
        within(index, self.length, self.name);
        // SAFETY: below the length; an atomic cell has size and alignment of its number.
        unsafe { &*self.start.add(index) }
    }
}
