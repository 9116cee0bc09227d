//! What an array may hold.

use std::fmt;

use super::instances::{OfElements, OfFloats, OfNumbers};
use super::operation::Arithmetic;

/// The types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// A truth value, one byte.
    Bool,
}

impl ElementType {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            ElementType::Bool => 1,
            ElementType::F32 | ElementType::I32 | ElementType::U32 => 4,
            ElementType::F64 | ElementType::I64 | ElementType::U64 => 8,
        }
    }

    /// Whether it is a floating-point number.
    pub fn is_float(self) -> bool {
        matches!(self, ElementType::F32 | ElementType::F64)
    }

    /// The type's name in Rust.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::F32 => "f32",
            ElementType::F64 => "f64",
            ElementType::I32 => "i32",
            ElementType::I64 => "i64",
            ElementType::U32 => "u32",
            ElementType::U64 => "u64",
            ElementType::Bool => "bool",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value of any of the types.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each holds a value of the type that it names")]
pub enum Scalar {
    F32(f32),
    F64(f64),
    I32(i32),
    I64(i64),
    U32(u32),
    U64(u64),
    Bool(bool),
}

impl Scalar {
    /// Its type.
    pub fn element_type(self) -> ElementType {
        match self {
            Scalar::F32(_) => ElementType::F32,
            Scalar::F64(_) => ElementType::F64,
            Scalar::I32(_) => ElementType::I32,
            Scalar::I64(_) => ElementType::I64,
            Scalar::U32(_) => ElementType::U32,
            Scalar::U64(_) => ElementType::U64,
            Scalar::Bool(_) => ElementType::Bool,
        }
    }

    /// Its bytes as they lie in memory, and how many of the eight they are.
    pub(super) fn bytes(self) -> ([u8; 8], usize) {
        let mut all = [0; 8];
        let mut put = |bytes: &[u8]| {
            all[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        };
        let n = match self {
            Scalar::F32(value) => put(&value.to_ne_bytes()),
            Scalar::F64(value) => put(&value.to_ne_bytes()),
            Scalar::I32(value) => put(&value.to_ne_bytes()),
            Scalar::I64(value) => put(&value.to_ne_bytes()),
            Scalar::U32(value) => put(&value.to_ne_bytes()),
            Scalar::U64(value) => put(&value.to_ne_bytes()),
            Scalar::Bool(value) => put(&[u8::from(value)]),
        };
        (all, n)
    }
}

mod sealed {
    /// Plain memory: every pattern of bits is a value, and there are no gaps.
    ///
    /// # Safety
    /// That is so.
    pub unsafe trait Plain: Copy + Send + Sync + 'static {}
}
pub(crate) use sealed::Plain;

/// What an array may hold: `f32`, `f64`, `i32`, `i64`, `u32`, `u64`, and `bool`.
pub trait Element:
    OfElements + Copy + Send + Sync + fmt::Debug + PartialEq + PartialOrd + 'static
{
    /// How it lies in memory: itself, and a byte for `bool`.
    #[doc(hidden)]
    type Raw: Plain;
    /// Its type.
    const TYPE: ElementType;
    /// The value 0, or `false`.
    const ZERO: Self;
    /// The value 1, or `true`.
    const ONE: Self;
    /// As a value of any type.
    fn scalar(self) -> Scalar;
    #[doc(hidden)]
    fn to_raw(self) -> Self::Raw;
    #[doc(hidden)]
    fn from_raw(raw: Self::Raw) -> Self;
}

/// An element that one can calculate with: all but `bool`.
pub trait Numeric: Element + Arithmetic + OfNumbers {
    /// The smallest value; minus infinity for floating-point numbers.
    const LOWEST: Self;
    /// The largest value; infinity for floating-point numbers.
    const HIGHEST: Self;
    /// The nearest value of this type, as by `as`.
    fn from_f64(value: f64) -> Self;
    /// As a floating-point number, as by `as`.
    fn to_f64(self) -> f64;
}

/// `f32` or `f64`.
pub trait Float: Numeric + OfFloats {}

macro_rules! numeric {
    ($($type:ident $kind:ident $zero:literal $one:literal $low:expr, $high:expr;)*) => {$(
        // SAFETY: a number.
        unsafe impl sealed::Plain for $type {}
        impl Element for $type {
            type Raw = $type;
            const TYPE: ElementType = ElementType::$kind;
            const ZERO: $type = $zero;
            const ONE: $type = $one;
            fn scalar(self) -> Scalar {
                Scalar::$kind(self)
            }
            #[inline(always)]
            fn to_raw(self) -> $type {
                self
            }
            #[inline(always)]
            fn from_raw(raw: $type) -> $type {
                raw
            }
        }
        impl Numeric for $type {
            const LOWEST: $type = $low;
            const HIGHEST: $type = $high;
            fn from_f64(value: f64) -> $type {
                value as $type
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

numeric! {
    f32 F32 0.0 1.0 f32::NEG_INFINITY, f32::INFINITY;
    f64 F64 0.0 1.0 f64::NEG_INFINITY, f64::INFINITY;
    i32 I32 0 1 i32::MIN, i32::MAX;
    i64 I64 0 1 i64::MIN, i64::MAX;
    u32 U32 0 1 u32::MIN, u32::MAX;
    u64 U64 0 1 u64::MIN, u64::MAX;
}

impl Float for f32 {}
impl Float for f64 {}

// SAFETY: a number.
unsafe impl sealed::Plain for u8 {}

impl Element for bool {
    type Raw = u8;
    const TYPE: ElementType = ElementType::Bool;
    const ZERO: bool = false;
    const ONE: bool = true;
    fn scalar(self) -> Scalar {
        Scalar::Bool(self)
    }
    #[inline(always)]
    fn to_raw(self) -> u8 {
        u8::from(self)
    }
    #[inline(always)]
    fn from_raw(raw: u8) -> bool {
        raw != 0
    }
}
