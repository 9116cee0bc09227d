//! Names in the text: those of the user where C allows them, each variable with one of its own.

use std::collections::HashSet;

/// Words that mean something to one of the two languages, and functions that the text itself calls.
const RESERVED: &str = "alignas alignof and and_eq asm atomic_add atomic_and atomic_cmpxchg atomic_max atomic_min \
    atomic_or atomic_sub atomic_xchg atomic_xor atomicAdd atomicAnd atomicCAS atomicExch atomicMax atomicMin atomicOr \
    atomicXor as_double as_float as_int as_long as_uint as_ulong auto barrier bitand bitor blockDim blockIdx bool break \
    case catch char char16_t char32_t class clz compl complex concept const const_cast constant constexpr continue \
    copysign decltype default delete do double dynamic_cast else enum event_t explicit export extern false fault float \
    for fma fmax fmin fmod friend get_global_id get_group_id get_local_id get_local_size get_num_groups global goto \
    gridDim half hypot i8 i16 i32 i64 if image1d_t image2d_t image3d_t imaginary inline int isize kernel linux local \
    log long main max min mutable namespace new noexcept not not_eq nullptr operator or or_eq popcount private \
    protected ptrdiff_t public quad read_only read_write register reinterpret_cast requires restrict return rotate \
    sampler_t short signed size_0 size_1 size_2 size_t sizeof static static_assert static_cast struct switch template \
    this thread_local threadIdx throw true try typedef typeid typename u8 u16 u32 u64 uchar uint uintptr_t ulong union \
    uniform unix unsigned ushort using usize vec_step virtual void volatile warpSize wchar_t while write_only xor xor_eq \
    f32 f64 abs acos asin atan atan2 cbrt ceil clamp cos cosh exp exp2 expm1 fabs floor ldexp log10 log1p log2 mad pow \
    pown rint round rsqrt select sign sin sinh sqrt step tan tanh trunc isfinite isinf isnan signbit INFINITY NAN NULL";

/// The names that one function has used.
pub struct Names {
    used: HashSet<String>,
}

impl Names {
    pub fn new() -> Names {
        Names {
            used: RESERVED.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// A name for a new variable, as near as can be to what the user wrote.
    pub fn give(&mut self, wanted: &str) -> String {
        let plain = plain(wanted);
        let mut name = plain.clone();
        if self.used.contains(&name) && RESERVED.split_whitespace().any(|word| word == name) {
            name.push('_');
        }
        let mut n = 2;
        while !self.used.insert(name.clone()) {
            name = format!("{plain}_{n}");
            n += 1;
        }
        name
    }
}

/// A name of Rust in the letters of C. What compilers keep for themselves, and what may be a macro of theirs, is made
/// another name: leading and double underscores, capitals only, vector types, and our own `fl_`.
fn plain(wanted: &str) -> String {
    let mut name = String::new();
    for letter in wanted.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            name.push(letter);
        } else {
            name.push_str(&format!("u{:x}", u32::from(letter)));
        }
    }
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    let is_vector = name.ends_with(|last: char| last.is_ascii_digit())
        && ["char", "short", "int", "long", "float", "double", "half"]
            .iter()
            .any(|base| name.trim_start_matches('u').starts_with(base));
    let is_loud = name.len() > 1 && !name.contains(|letter: char| letter.is_ascii_lowercase());
    if name.starts_with('_') || name.starts_with("fl_") {
        name.insert(0, 'v');
    }
    if is_vector || is_loud {
        name.push('_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_has_a_name_that_means_something_in_c() {
        let mut names = Names::new();
        assert_eq!(names.give("x"), "x");
        assert_eq!(names.give("x"), "x_2");
        assert_eq!(names.give("half"), "half_");
        assert_eq!(names.give("float4"), "float4_");
        assert_eq!(names.give("__x"), "v_x");
        assert_eq!(names.give("größe"), "gruf6udfe");
        assert_eq!(names.give("M_PI"), "M_PI_");
    }
}
