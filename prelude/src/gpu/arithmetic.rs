//! The operations of graphs on numbers of the host, as the texts for devices define them.

use super::element::Plain;

/// A number of the host, as the interpreter calculates with it. Operations that a type does not have are never asked of it;
/// they return the first operand.
pub(super) trait Number: Plain + PartialOrd {
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn rem(self, b: Self) -> Self;
    fn pow(self, b: Self) -> Self;
    fn smaller(self, b: Self) -> Self;
    fn larger(self, b: Self) -> Self;
    fn and(self, b: Self) -> Self;
    fn or(self, b: Self) -> Self;
    fn xor(self, b: Self) -> Self;
    fn shl(self, b: Self) -> Self;
    fn shr(self, b: Self) -> Self;
    fn neg(self) -> Self;
    fn not(self) -> Self;
    fn absolute(self) -> Self;
    fn sign(self) -> Self;
    /// A function of real numbers; itself for integers.
    fn real(self, of: impl Fn(f32) -> f32, of_wide: impl Fn(f64) -> f64) -> Self;
    /// A function of two real numbers; the first for integers.
    fn real2(
        self,
        b: Self,
        of: impl Fn(f32, f32) -> f32,
        of_wide: impl Fn(f64, f64) -> f64,
    ) -> Self;
    fn mul_add(self, b: Self, c: Self) -> Self;
}

macro_rules! float {
    ($type:ty, $($chosen:ident)+) => {
        impl Number for $type {
            #[inline(always)]
            fn add(self, b: $type) -> $type { self + b }
            #[inline(always)]
            fn sub(self, b: $type) -> $type { self - b }
            #[inline(always)]
            fn mul(self, b: $type) -> $type { self * b }
            #[inline(always)]
            fn div(self, b: $type) -> $type { self / b }
            #[inline(always)]
            fn rem(self, b: $type) -> $type { self % b }
            #[inline(always)]
            fn pow(self, b: $type) -> $type { self.powf(b) }
            #[inline(always)]
            fn smaller(self, b: $type) -> $type { self.min(b) }
            #[inline(always)]
            fn larger(self, b: $type) -> $type { self.max(b) }
            fn and(self, _: $type) -> $type { self }
            fn or(self, _: $type) -> $type { self }
            fn xor(self, _: $type) -> $type { self }
            fn shl(self, _: $type) -> $type { self }
            fn shr(self, _: $type) -> $type { self }
            #[inline(always)]
            fn neg(self) -> $type { -self }
            fn not(self) -> $type { self }
            #[inline(always)]
            fn absolute(self) -> $type { self.abs() }
            #[inline(always)]
            fn sign(self) -> $type {
                if self > 0.0 { 1.0 } else if self < 0.0 { -1.0 } else if self.is_nan() { self } else { 0.0 }
            }
            float!(@real $type, $($chosen)+);
            #[inline(always)]
            fn mul_add(self, b: $type, c: $type) -> $type { <$type>::mul_add(self, b, c) }
        }
    };
    (@real $type:ty, narrow) => {
        #[inline(always)]
        fn real(self, of: impl Fn(f32) -> f32, _: impl Fn(f64) -> f64) -> $type { of(self) }
        #[inline(always)]
        fn real2(self, b: $type, of: impl Fn(f32, f32) -> f32, _: impl Fn(f64, f64) -> f64) -> $type { of(self, b) }
    };
    (@real $type:ty, wide) => {
        #[inline(always)]
        fn real(self, _: impl Fn(f32) -> f32, of: impl Fn(f64) -> f64) -> $type { of(self) }
        #[inline(always)]
        fn real2(self, b: $type, _: impl Fn(f32, f32) -> f32, of: impl Fn(f64, f64) -> f64) -> $type { of(self, b) }
    };
}

float!(f32, narrow);
float!(f64, wide);

macro_rules! integer {
    ($($type:ty)*) => {$(
        // A `u8` is the memory of a `bool`: its bit operations stay within 0 and 1.
        #[allow(unused_comparisons, reason = "unsigned numbers are never negative")]
        #[allow(clippy::cast_lossless, reason = "the same text for all types")]
        impl Number for $type {
            #[inline(always)]
            fn add(self, b: $type) -> $type { self.wrapping_add(b) }
            #[inline(always)]
            fn sub(self, b: $type) -> $type { self.wrapping_sub(b) }
            #[inline(always)]
            fn mul(self, b: $type) -> $type { self.wrapping_mul(b) }
            #[inline(always)]
            fn div(self, b: $type) -> $type { if b == 0 { 0 } else { self.wrapping_div(b) } }
            #[inline(always)]
            fn rem(self, b: $type) -> $type { if b == 0 { 0 } else { self.wrapping_rem(b) } }
            fn pow(self, b: $type) -> $type {
                if b < 0 {
                    // One by a power of one or minus one is that power; of all others it is less than one.
                    let is_minus_one = self.wrapping_add(1) == 0;
                    return match self {
                        1 => 1,
                        _ if is_minus_one && b & 1 == 0 => 1,
                        _ if is_minus_one => self,
                        _ => 0,
                    };
                }
                let (mut power, mut square, mut left): ($type, $type, $type) = (1, self, b);
                while left > 0 {
                    if left & 1 == 1 {
                        power = power.wrapping_mul(square);
                    }
                    square = square.wrapping_mul(square);
                    left >>= 1;
                }
                power
            }
            #[inline(always)]
            fn smaller(self, b: $type) -> $type { Ord::min(self, b) }
            #[inline(always)]
            fn larger(self, b: $type) -> $type { Ord::max(self, b) }
            #[inline(always)]
            fn and(self, b: $type) -> $type { self & b }
            #[inline(always)]
            fn or(self, b: $type) -> $type { self | b }
            #[inline(always)]
            fn xor(self, b: $type) -> $type { self ^ b }
            #[inline(always)]
            fn shl(self, b: $type) -> $type { self.wrapping_shl(b as u32) }
            #[inline(always)]
            fn shr(self, b: $type) -> $type { self.wrapping_shr(b as u32) }
            #[inline(always)]
            fn neg(self) -> $type { (0 as $type).wrapping_sub(self) }
            #[inline(always)]
            fn not(self) -> $type { !self }
            #[inline(always)]
            fn absolute(self) -> $type { if self < 0 { (0 as $type).wrapping_sub(self) } else { self } }
            #[inline(always)]
            fn sign(self) -> $type { (self > 0) as $type - (self < 0) as $type }
            fn real(self, _: impl Fn(f32) -> f32, _: impl Fn(f64) -> f64) -> $type { self }
            fn real2(self, _: $type, _: impl Fn(f32, f32) -> f32, _: impl Fn(f64, f64) -> f64) -> $type { self }
            #[inline(always)]
            fn mul_add(self, b: $type, c: $type) -> $type { self.wrapping_mul(b).wrapping_add(c) }
        }
    )*};
}

integer!(i32 i64 u32 u64 u8);

/// A cast by the rules of `as`.
pub(super) trait CastTo<U> {
    fn cast_to(self) -> U;
}

macro_rules! casts {
    ($($from:ty)*: $to:tt) => {$( casts!(@from $from $to); )*};
    (@from $from:ty [$($to:ty)*]) => {$(
        #[allow(clippy::unnecessary_cast, reason = "the same text for all types")]
        impl CastTo<$to> for $from {
            #[inline(always)]
            fn cast_to(self) -> $to { self as $to }
        }
    )*};
}

casts!(f32 f64 i32 i64 u32 u64 u8: [f32 f64 i32 i64 u32 u64]);
