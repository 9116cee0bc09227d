//! The operations of whole-array algorithms: in Rust for the rayon device, in C for kernels.
//!
//! What always holds: integers wrap; the smaller and the larger of two numbers is NaN if one of them is, as in NumPy, so
//! that one bad value does not stay hidden.

use super::element::ElementType;
use super::text::type_name;

/// What can be done with numbers of every type.
#[doc(hidden)]
pub trait Arithmetic: Copy {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
    fn larger(self, other: Self) -> Self;
    fn is_nan(self) -> bool;
    /// A pattern of bits that is ordered as the numbers are, NaN after all.
    fn order_bits(self) -> u64;
}

macro_rules! integers {
    ($($type:ident $flip:literal;)*) => {$(
        impl Arithmetic for $type {
            #[inline(always)]
            fn plus(self, other: $type) -> $type {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: $type) -> $type {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: $type) -> $type {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn smaller(self, other: $type) -> $type {
                self.min(other)
            }
            #[inline(always)]
            fn larger(self, other: $type) -> $type {
                self.max(other)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
            #[inline(always)]
            fn order_bits(self) -> u64 {
                self as u64 ^ $flip
            }
        }
    )*};
}

integers! {
    i32 0x8000_0000_0000_0000;
    i64 0x8000_0000_0000_0000;
    u32 0;
    u64 0;
}

macro_rules! floats {
    ($($type:ident $bits:ident $signed:ident;)*) => {$(
        impl Arithmetic for $type {
            #[inline(always)]
            fn plus(self, other: $type) -> $type {
                self + other
            }
            #[inline(always)]
            fn minus(self, other: $type) -> $type {
                self - other
            }
            #[inline(always)]
            fn times(self, other: $type) -> $type {
                self * other
            }
            #[inline(always)]
            fn smaller(self, other: $type) -> $type {
                if self < other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn larger(self, other: $type) -> $type {
                if self > other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn order_bits(self) -> u64 {
                // A NaN of either sign comes last; zeros of both signs are equal.
                if self.is_nan() {
                    return $bits::MAX as u64;
                }
                let bits = (self + 0.0).to_bits();
                let sign = (bits as $signed >> ($bits::BITS - 1)) as $bits;
                (bits ^ (sign | 1 << ($bits::BITS - 1))) as u64
            }
        }
    )*};
}

floats! {
    f32 u32 i32;
    f64 u64 i64;
}

/// How two values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Sum,
    Product,
    Min,
    Max,
    Or,
    And,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Sum => "sum",
            Operation::Product => "product",
            Operation::Min => "min",
            Operation::Max => "max",
            Operation::Or => "any",
            Operation::And => "all",
        }
    }

    /// The function `combine` of two `A`, in C.
    pub(super) fn text(self, element: ElementType) -> String {
        // Signed numbers that overflow have no defined value in C; unsigned ones wrap.
        let wrapping = match element {
            ElementType::I32 => Some("u32"),
            ElementType::I64 => Some("u64"),
            _ => None,
        };
        let arithmetic = |sign: &str| match wrapping {
            Some(unsigned) => format!("(A)(({unsigned})a {sign} ({unsigned})b)"),
            None => format!("a {sign} b"),
        };
        let ordered = |sign: &str| match element.is_float() {
            true => format!("(a {sign} b || a != a) ? a : b"),
            false => format!("(a {sign} b) ? a : b"),
        };
        let value = match self {
            Operation::Sum => arithmetic("+"),
            Operation::Product => arithmetic("*"),
            Operation::Min => ordered("<"),
            Operation::Max => ordered(">"),
            Operation::Or => "(A)(a | b)".to_owned(),
            Operation::And => "(A)(a & b)".to_owned(),
        };
        let a = type_name(element);
        format!("typedef {a} A;\nDEVICE A combine(A a, A b) {{ return {value}; }}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_ordered_as_the_numbers() {
        let sorted = [
            f32::NEG_INFINITY,
            -2.5,
            -1e-40,
            0.0,
            1e-40,
            2.5,
            f32::INFINITY,
            f32::NAN,
        ];
        assert!(sorted.is_sorted_by_key(|x| x.order_bits()));
        assert_eq!((-0.0_f32).order_bits(), 0.0_f32.order_bits());
        assert_eq!((-f64::NAN).order_bits(), u64::MAX);
        assert!([i32::MIN, -1, 0, 1, i32::MAX].is_sorted_by_key(|x| x.order_bits()));
        assert!(1.0_f64.smaller(f64::NAN).is_nan() && f64::NAN.larger(1.0).is_nan());
    }
}
