//! Atomic operations on elements of slices: relaxed, and checked as every access.

use super::helpers::typed;
use super::{Printer, SiteKind};
use crate::ir::{Expr, ExprKind};
use crate::types::{Scalar, Space, Type};

impl Printer<'_> {
    pub(super) fn atomic(&mut self, name: &str, element: &Expr, operands: &[Expr]) -> String {
        let ExprKind::Index(base, index) = &element.kind else {
            return "0".to_owned();
        };
        let mut all = vec![&**base, &**index];
        all.extend(operands);
        let texts = self.values(&all);
        let Some((variable, slice, length)) = self.slice(base) else {
            return "0".to_owned();
        };
        let Type::Slice(elements, _) = self.function.types.get(base.of) else {
            return "0".to_owned();
        };
        let called = self.function.variables[variable].name.clone();
        let site = self.site(index.place, SiteKind::Index, &called);
        let helper = self.helper_atomic(name, elements.scalar, elements.space);
        let operands: String = texts[2..].iter().map(|text| format!(", {text}")).collect();
        format!(
            "{helper}({slice}, {length}, {}{operands}, {site}u, fault)",
            texts[1]
        )
    }

    fn helper_atomic(&mut self, name: &str, scalar: Scalar, space: Space) -> String {
        let suffix = if space == Space::Local { "_local" } else { "" };
        let full = format!("fl_atomic_{name}_{}{suffix}", scalar.name());
        let dialect = self.shared.dialect;
        let is_cuda = dialect.is_cuda();
        if scalar.bits() == 64 {
            self.shared.helpers.mark("fl_atomic_64");
        }
        let (to_bits, from_bits) = match scalar {
            Scalar::F32 => (
                self.helper("fl_f32_to_bits"),
                self.helper("fl_f32_from_bits"),
            ),
            Scalar::F64 => (
                self.helper("fl_f64_to_bits"),
                self.helper("fl_f64_from_bits"),
            ),
            _ => ("", ""),
        };
        let (max, min) = (self.math("fmax", scalar), self.math("fmin", scalar));
        self.shared.helpers.add(&full, || {
            let parameters = match name {
                "load" => "",
                "compare_and_swap" => ", $T v, $T w",
                _ => ", $T v",
            };
            let body = if scalar.is_float() {
                let new = match name {
                    "load" => "old".to_owned(),
                    "store" | "swap" => "v".to_owned(),
                    "fetch_add" => "old + v".to_owned(),
                    "fetch_sub" => "old - v".to_owned(),
                    "fetch_max" => format!("{max}(old, v)"),
                    "fetch_min" => format!("{min}(old, v)"),
                    _ => format!("{to_bits}(old) == {to_bits}(v) ? w : old"),
                };
                by_exchange(&new, is_cuda, scalar, space, to_bits, from_bits)
            } else {
                format!("    return {};\n", direct(name, is_cuda, scalar))
            };
            let text = format!(
                "$F $T {full}(volatile {}$T *p, usize n, usize i{parameters}, u32 site, $Gu32 *fault)\n{{\n    \
                 if (i >= n) {{\n        fl_note(fault, site, i, n);\n        return 0;\n    }}\n{body}}}\n",
                dialect.space(space)
            );
            typed(&text, dialect, scalar)
        });
        full
    }
}

/// An operation that both languages have for integers. CUDA has those of 64 bits for its own name of u64 only.
fn direct(name: &str, is_cuda: bool, scalar: Scalar) -> String {
    let is_wide = scalar.bits() == 64;
    if !is_cuda {
        let prefix = if is_wide { "atom" } else { "atomic" };
        let (name, operands) = match name {
            "load" => ("or", "0"),
            "store" | "swap" => ("xchg", "v"),
            "compare_and_swap" => ("cmpxchg", "v, w"),
            name => (name.trim_start_matches("fetch_"), "v"),
        };
        return format!("{prefix}_{name}(p + i, {operands})");
    }
    // Max and min depend on the sign; the rest is the same for both.
    let is_ordered = matches!(name, "fetch_max" | "fetch_min");
    let of = match (is_wide, is_ordered && scalar.is_signed()) {
        (true, true) => "i64",
        (true, false) => "u64",
        (false, true) => "i32",
        (false, false) => "u32",
    };
    let (name, operands) = match name {
        "load" => ("Or", "0".to_owned()),
        "store" | "swap" => ("Exch", format!("({of})v")),
        "compare_and_swap" => ("CAS", format!("({of})v, ({of})w")),
        "fetch_add" => ("Add", format!("({of})v")),
        "fetch_sub" => ("Add", format!("({of})0 - ({of})v")),
        "fetch_max" => ("Max", format!("({of})v")),
        "fetch_min" => ("Min", format!("({of})v")),
        "fetch_and" => ("And", format!("({of})v")),
        "fetch_or" => ("Or", format!("({of})v")),
        _ => ("Xor", format!("({of})v")),
    };
    format!("($T)atomic{name}(({of} *)(p + i), {operands})")
}

/// An operation on floats: the new value is put there if the old one is there still, else once more.
fn by_exchange(
    new: &str,
    is_cuda: bool,
    scalar: Scalar,
    space: Space,
    to_bits: &str,
    from_bits: &str,
) -> String {
    let bits = if scalar == Scalar::F32 { "u32" } else { "u64" };
    let exchange = match (is_cuda, scalar) {
        (true, _) => "atomicCAS",
        (false, Scalar::F32) => "atomic_cmpxchg",
        (false, _) => "atom_cmpxchg",
    };
    let pointer = match (is_cuda, space) {
        (true, _) => format!("{bits} *"),
        (false, Space::Global) => format!("volatile __global {bits} *"),
        (false, Space::Local) => format!("volatile __local {bits} *"),
    };
    format!(
        "    {pointer}q = ({pointer})(p + i);\n    {bits} seen = *q, before;\n    do {{\n        before = seen;\n        \
         $T old = {from_bits}(before);\n        seen = {exchange}(q, before, {to_bits}({new}));\n    \
         }} while (seen != before);\n    return {from_bits}(before);\n"
    )
}
