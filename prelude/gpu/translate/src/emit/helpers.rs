//! Functions that a text brings along, if it needs them.
//!
//! A template is in the common part of both languages. `$T` is the type that it is for, `$U` the unsigned integer of that
//! size, `$B` its bits, `$F` what a function of the device begins with, `$G` what a pointer to global memory does.

use std::collections::HashSet;

use super::Printer;
use crate::Dialect;
use crate::types::{Scalar, Space};

#[derive(Default)]
pub struct Helpers {
    known: HashSet<String>,
    text: String,
}

impl Helpers {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn has(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Adds a function once.
    pub fn add(&mut self, name: &str, text: impl FnOnce() -> String) {
        if self.known.insert(name.to_owned()) {
            let text = text();
            self.text.push_str(text.trim_start());
            self.text.push('\n');
        }
    }

    pub fn mark(&mut self, name: &str) {
        self.known.insert(name.to_owned());
    }
}

/// What every text begins with: Rust's names of types, and the note of a fault.
pub fn head(dialect: Dialect, needs_f64: bool, needs_atomic_64: bool, id: u32) -> String {
    let mut head = String::new();
    if dialect == Dialect::OpenCl {
        if needs_f64 {
            head.push_str("#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n");
        }
        if needs_atomic_64 {
            head.push_str("#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n");
            head.push_str("#pragma OPENCL EXTENSION cl_khr_int64_extended_atomics : enable\n");
        }
        head.push_str(
            "typedef char i8; typedef short i16; typedef int i32; typedef long i64; typedef long isize;\n\
             typedef uchar u8; typedef ushort u16; typedef uint u32; typedef ulong u64; typedef ulong usize;\n\
             typedef float f32;\n",
        );
    } else {
        head.push_str(
            "typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64; typedef long long isize;\n\
             typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;\n\
             typedef unsigned long long u64; typedef unsigned long long usize;\n\
             typedef float f32;\n",
        );
    }
    if needs_f64 {
        head.push_str("typedef double f64;\n");
    }
    let (cas, quality) = match dialect {
        Dialect::Cuda => ("atomicCAS", ""),
        Dialect::OpenCl => ("atomic_cmpxchg", "volatile "),
    };
    let note = NOTE
        .replace("$CAS", cas)
        .replace("$V", quality)
        .replace("$ID", &format!("{id:#010x}"));
    head.push('\n');
    head.push_str(&fixed(&note, dialect));
    head.push('\n');
    head
}

fn fixed(template: &str, dialect: Dialect) -> String {
    let text = template.trim_start();
    let text = text
        .replace("$F", dialect.function())
        .replace("$G", dialect.global());
    text + if template.ends_with('\n') { "" } else { "\n" }
}

pub fn typed(template: &str, dialect: Dialect, scalar: Scalar) -> String {
    let bits = scalar.bits();
    let wide = if bits == 64 { Scalar::U64 } else { Scalar::U32 };
    let text = template
        .replace("$T", scalar.name())
        .replace("$U", scalar.unsigned().name())
        .replace("$W", wide.name())
        .replace("$B", &bits.to_string());
    let text = match scalar.is_int() {
        true => {
            let (least, greatest) = scalar.range();
            text.replace("$MIN", &super::values::integer(least, scalar))
                .replace("$MAX", &super::values::integer(greatest, scalar))
        }
        false => text,
    };
    fixed(&text, dialect)
}

/// The first fault of a launch: its place, and what was asked of how much.
const NOTE: &str = "
$F void fl_note($V$Gu32 *fault, u32 site, u64 index, u64 length)
{
    if ($CAS(fault, 0u, site + 1u) == 0u) {
        fault[1] = $IDu;
        fault[2] = (u32)index;
        fault[3] = (u32)(index >> 32);
        fault[4] = (u32)length;
        fault[5] = (u32)(length >> 32);
    }
}
";

const INSIDE: &str = "
$F bool fl_inside(usize i, usize n, u32 site, $Gu32 *fault)
{
    if (i >= n) fl_note(fault, site, i, n);
    return i < n;
}
";

const HELD: &str = "
$F usize fl_held(usize i, usize n, u32 site, $Gu32 *fault)
{
    if (i >= n) fl_note(fault, site, i, n);
    return i < n ? i : 0;
}
";

const STEP: &str = "
$F usize fl_step(usize step, u32 site, $Gu32 *fault)
{
    if (step == 0) fl_note(fault, site, 0, 0);
    return step == 0 ? 1 : step;
}
";

const AT: &str = "
$F $T fl_at_$T$N(const $S$T *p, usize n, usize i, u32 site, $Gu32 *fault)
{
    if (i < n) return p[i];
    fl_note(fault, site, i, n);
    return 0;
}
";

const CAST: &str = "
$F $T fl_$A_to_$T($A x)
{
    if (!(x > $LOW)) return x != x ? ($T)0 : $MIN;
    return x >= $HIGH ? $MAX : ($T)x;
}
";

impl Printer<'_> {
    /// A helper without a type.
    pub(super) fn helper(&mut self, name: &'static str) -> &'static str {
        let dialect = self.shared.dialect;
        let is_cuda = dialect.is_cuda();
        self.shared.helpers.add(name, || match name {
            "fl_inside" => fixed(INSIDE, dialect),
            "fl_held" => fixed(HELD, dialect),
            "fl_step" => fixed(STEP, dialect),
            _ => {
                let (result, of, opencl, cuda) = match name {
                    "fl_f32_from_bits" => ("f32", "u32", "as_float(x)", "__uint_as_float(x)"),
                    "fl_f64_from_bits" => {
                        ("f64", "u64", "as_double(x)", "__longlong_as_double((i64)x)")
                    }
                    "fl_f32_to_bits" => ("u32", "f32", "as_uint(x)", "__float_as_uint(x)"),
                    _ => ("u64", "f64", "as_ulong(x)", "(u64)__double_as_longlong(x)"),
                };
                let body = if is_cuda { cuda } else { opencl };
                fixed(
                    &format!("$F {result} {name}({of} x)\n{{\n    return {body};\n}}\n"),
                    dialect,
                )
            }
        });
        name
    }

    /// A helper for a type, from its template.
    pub(super) fn helper_from(&mut self, name: &str, scalar: Scalar, template: &str) -> String {
        let full = format!("{name}_{}", scalar.name());
        let dialect = self.shared.dialect;
        self.shared
            .helpers
            .add(&full, || typed(template, dialect, scalar));
        full
    }

    /// A read of a slice in a space.
    pub(super) fn helper_at(&mut self, scalar: Scalar, space: Space) -> String {
        let suffix = if space == Space::Local { "_local" } else { "" };
        let name = format!("fl_at_{}{suffix}", scalar.name());
        let dialect = self.shared.dialect;
        self.shared.helpers.add(&name, || {
            let template = AT.replace("$N", suffix).replace("$S", dialect.space(space));
            typed(&template, dialect, scalar)
        });
        name
    }

    /// A cast of a float to an integer: saturating, NaN to 0.
    pub(super) fn helper_cast(&mut self, from: Scalar, to: Scalar) -> String {
        let name = format!("fl_{}_to_{}", from.name(), to.name());
        let dialect = self.shared.dialect;
        self.shared.helpers.add(&name, || {
            let (least, greatest) = to.range();
            // Both bounds are powers of two, or 0, so each float has them exactly.
            let suffix = if from == Scalar::F32 { "f" } else { "" };
            let bound = |value: i128| format!("({:?}{suffix})", value as f64);
            let low = if to.is_signed() {
                bound(least)
            } else {
                format!("0.0{suffix}")
            };
            let template = CAST
                .replace("$A", from.name())
                .replace("$LOW", &low)
                .replace("$HIGH", &bound(greatest + 1));
            typed(&template, dialect, to)
        });
        name
    }

    /// The name of a function of both languages' libraries.
    pub(super) fn math(&self, name: &str, scalar: Scalar) -> String {
        let is_single = self.shared.dialect.is_cuda() && scalar == Scalar::F32;
        format!("{name}{}", if is_single { "f" } else { "" })
    }
}
