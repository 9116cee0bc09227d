//! The methods of numbers that every device has, or that the text brings along.

use crate::types::Scalar;

/// The type of an operand or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The receiver's own.
    Own,
    Is(Scalar),
    /// The unsigned integer of the receiver's size.
    Unsigned,
}

use Of::{Is, Own, Unsigned};

/// Name, types of the operands behind the receiver, type of the result.
pub type Method = (&'static str, &'static [Of], Of);

const I32: Of = Is(Scalar::I32);
const U32: Of = Is(Scalar::U32);
const BOOL: Of = Is(Scalar::Bool);

const FLOAT: &[Method] = &[
    ("abs", &[], Own),
    ("acos", &[], Own),
    ("asin", &[], Own),
    ("atan", &[], Own),
    ("atan2", &[Own], Own),
    ("cbrt", &[], Own),
    ("ceil", &[], Own),
    ("clamp", &[Own, Own], Own),
    ("copysign", &[Own], Own),
    ("cos", &[], Own),
    ("cosh", &[], Own),
    ("div_euclid", &[Own], Own),
    ("exp", &[], Own),
    ("exp2", &[], Own),
    ("exp_m1", &[], Own),
    ("floor", &[], Own),
    ("fract", &[], Own),
    ("hypot", &[Own], Own),
    ("is_finite", &[], BOOL),
    ("is_infinite", &[], BOOL),
    ("is_nan", &[], BOOL),
    ("is_sign_negative", &[], BOOL),
    ("is_sign_positive", &[], BOOL),
    ("ln", &[], Own),
    ("ln_1p", &[], Own),
    ("log", &[Own], Own),
    ("log10", &[], Own),
    ("log2", &[], Own),
    ("max", &[Own], Own),
    ("min", &[Own], Own),
    ("mul_add", &[Own, Own], Own),
    ("powf", &[Own], Own),
    ("powi", &[I32], Own),
    ("recip", &[], Own),
    ("rem_euclid", &[Own], Own),
    ("round", &[], Own),
    ("signum", &[], Own),
    ("sin", &[], Own),
    ("sinh", &[], Own),
    ("sqrt", &[], Own),
    ("tan", &[], Own),
    ("tanh", &[], Own),
    ("to_bits", &[], Unsigned),
    ("to_degrees", &[], Own),
    ("to_radians", &[], Own),
    ("trunc", &[], Own),
];

const INT: &[Method] = &[
    ("abs", &[], Own),
    ("abs_diff", &[Own], Unsigned),
    ("clamp", &[Own, Own], Own),
    ("count_ones", &[], U32),
    ("count_zeros", &[], U32),
    ("div_euclid", &[Own], Own),
    ("is_power_of_two", &[], BOOL),
    ("leading_zeros", &[], U32),
    ("max", &[Own], Own),
    ("min", &[Own], Own),
    ("pow", &[U32], Own),
    ("rem_euclid", &[Own], Own),
    ("rotate_left", &[U32], Own),
    ("rotate_right", &[U32], Own),
    ("saturating_add", &[Own], Own),
    ("saturating_sub", &[Own], Own),
    ("signum", &[], Own),
    ("trailing_zeros", &[], U32),
    ("unsigned_abs", &[], Unsigned),
    ("wrapping_add", &[Own], Own),
    ("wrapping_mul", &[Own], Own),
    ("wrapping_neg", &[], Own),
    ("wrapping_shl", &[U32], Own),
    ("wrapping_shr", &[U32], Own),
    ("wrapping_sub", &[Own], Own),
];

/// Atomic operations: name and number of operands, all of the element's type.
pub const ATOMIC: &[(&str, usize)] = &[
    ("compare_and_swap", 2),
    ("fetch_add", 1),
    ("fetch_and", 1),
    ("fetch_max", 1),
    ("fetch_min", 1),
    ("fetch_or", 1),
    ("fetch_sub", 1),
    ("fetch_xor", 1),
    ("load", 0),
    ("store", 1),
    ("swap", 1),
];

/// The method of a name that a type has.
pub fn method(scalar: Scalar, name: &str) -> Option<&'static Method> {
    let all = if scalar.is_float() {
        FLOAT
    } else if scalar.is_int() {
        INT
    } else {
        &[]
    };
    all.iter().find(|(known, ..)| *known == name)
}

/// The name that is most like another one, for a message.
pub fn alike(scalar: Scalar, name: &str) -> Option<&'static str> {
    let all = if scalar.is_float() { FLOAT } else { INT };
    let names = all.iter().map(|(known, ..)| *known);
    let prefix = |known: &str| {
        let same = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b);
        same.count()
    };
    names
        .filter(|known| prefix(known) >= 3)
        .max_by_key(|known| prefix(known))
}
