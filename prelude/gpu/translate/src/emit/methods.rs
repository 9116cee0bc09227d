//! Methods of numbers: the library's function where both languages have it, else one of our own.

use super::values::{atom, integer};
use super::{Printer, SiteKind};
use crate::ir::{Binary, Expr, ExprKind};
use crate::types::Scalar;

/// Methods of floats that the libraries have, by their names there.
const LIBRARY: &[(&str, &str)] = &[
    ("abs", "fabs"),
    ("exp_m1", "expm1"),
    ("ln", "log"),
    ("ln_1p", "log1p"),
    ("max", "fmax"),
    ("min", "fmin"),
    ("mul_add", "fma"),
    ("powf", "pow"),
];

/// Those that have the same name there.
const SAME: &[&str] = &[
    "acos", "asin", "atan", "atan2", "cbrt", "ceil", "copysign", "cos", "cosh", "exp", "exp2",
    "floor", "hypot", "log10", "log2", "round", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
];

impl Printer<'_> {
    pub(super) fn method(&mut self, name: &str, operands: &[Expr]) -> String {
        let scalar = self.scalar(operands[0].of);
        let texts = self.values(&operands.iter().collect::<Vec<_>>());
        let all = texts.join(", ");
        if name == "from_bits" {
            let of = if scalar == Scalar::U32 {
                "fl_f32_from_bits"
            } else {
                "fl_f64_from_bits"
            };
            return format!("{}({all})", self.helper(of));
        }
        if scalar.is_float() {
            self.float_method(name, scalar, &texts, &all)
        } else {
            self.int_method(name, scalar, operands, &texts, &all)
        }
    }

    fn float_method(&mut self, name: &str, scalar: Scalar, texts: &[String], all: &str) -> String {
        let of = scalar.name();
        let library = LIBRARY.iter().find(|(ours, _)| *ours == name);
        if let Some((_, theirs)) = library {
            return format!("{}({all})", self.math(theirs, scalar));
        }
        if SAME.contains(&name) {
            return format!("{}({all})", self.math(name, scalar));
        }
        let x = atom(&texts[0]);
        let is_single = scalar == Scalar::F32;
        let bits = if is_single {
            "fl_f32_to_bits"
        } else {
            "fl_f64_to_bits"
        };
        let (magnitude, infinity, sign) = match is_single {
            true => ("0x7fffffffu", "0x7f800000u", "31"),
            false => ("0x7ffffffffffffffful", "0x7ff0000000000000ul", "63"),
        };
        match name {
            "to_bits" => format!("{}({all})", self.helper(bits)),
            "is_nan" => format!("({}({all}) & {magnitude}) > {infinity}", self.helper(bits)),
            "is_infinite" => format!("({}({all}) & {magnitude}) == {infinity}", self.helper(bits)),
            "is_finite" => format!("({}({all}) & {magnitude}) < {infinity}", self.helper(bits)),
            "is_sign_negative" => format!("({}({all}) >> {sign}) == 1", self.helper(bits)),
            "is_sign_positive" => format!("({}({all}) >> {sign}) == 0", self.helper(bits)),
            "recip" => format!("{} / {x}", if is_single { "1.0f" } else { "1.0" }),
            "log" => {
                let log = self.math("log", scalar);
                format!("{log}({}) / {log}({})", texts[0], texts[1])
            }
            "to_degrees" if is_single => format!("{x} * 57.29578f"),
            "to_degrees" => format!("{x} * {:?}", 180.0 / std::f64::consts::PI),
            "to_radians" if is_single => format!("{x} * {:?}f", std::f32::consts::PI / 180.0),
            "to_radians" => format!("{x} * {:?}", std::f64::consts::PI / 180.0),
            _ => {
                let fmod = self.math("fmod", scalar);
                let (fabs, trunc) = (self.math("fabs", scalar), self.math("trunc", scalar));
                let copysign = self.math("copysign", scalar);
                let body = match name {
                    "clamp" => "($T x, $T low, $T high)\n{\n    if (x < low) x = low;\n    return x > high ? high : x;\n}\n".to_owned(),
                    "fract" => format!("($T x)\n{{\n    return x - {trunc}(x);\n}}\n"),
                    "signum" => format!("($T x)\n{{\n    return x != x ? x : {copysign}(($T)1, x);\n}}\n"),
                    "rem_euclid" => format!(
                        "($T x, $T y)\n{{\n    $T r = {fmod}(x, y);\n    return r < 0 ? r + {fabs}(y) : r;\n}}\n"
                    ),
                    "div_euclid" => format!(
                        "($T x, $T y)\n{{\n    $T q = {trunc}(x / y);\n    if ({fmod}(x, y) >= 0) return q;\n    \
                         return y > 0 ? q - 1 : q + 1;\n}}\n"
                    ),
                    _ => POWI.to_owned(),
                };
                let full = self.helper_from(
                    &format!("fl_{name}"),
                    scalar,
                    &format!("$F $T fl_{name}_{of}{body}"),
                );
                format!("{full}({all})")
            }
        }
    }

    fn int_method(
        &mut self,
        name: &str,
        scalar: Scalar,
        operands: &[Expr],
        texts: &[String],
        all: &str,
    ) -> String {
        let of = scalar.name();
        let x = atom(&texts[0]);
        let y = texts.get(1).map(|text| atom(text)).unwrap_or_default();
        let is_signed = scalar.is_signed();
        match name {
            "wrapping_add" => return self.wrapping("+", scalar, &x, &y),
            "wrapping_sub" => return self.wrapping("-", scalar, &x, &y),
            "wrapping_mul" => return self.wrapping("*", scalar, &x, &y),
            "wrapping_neg" => return self.wrapping("-", scalar, "0", &x),
            "wrapping_shl" => {
                return self.operation(Binary::Shl, &operands[0], &operands[1], &x, &y);
            }
            "wrapping_shr" => {
                return self.operation(Binary::Shr, &operands[0], &operands[1], &x, &y);
            }
            "count_ones" => return format!("(u32){}", self.ones(scalar, &texts[0])),
            "count_zeros" => {
                return format!("{}u - (u32){}", scalar.bits(), self.ones(scalar, &texts[0]));
            }
            "is_power_of_two" => return format!("{} == 1", self.ones(scalar, &texts[0])),
            "rem_euclid" | "div_euclid" => return self.euclid(name, scalar, operands, all),
            "unsigned_abs" if !is_signed => return texts[0].clone(),
            "abs" if !is_signed => return texts[0].clone(),
            _ => {}
        }
        let body = match name {
            "abs" => "($T x)\n{\n    return x < 0 ? ($T)(($W)0 - ($W)x) : x;\n}\n",
            "unsigned_abs" => {
                return format!(
                    "({}){}",
                    scalar.unsigned().name(),
                    self.int_method("abs", scalar, operands, texts, all)
                );
            }
            "abs_diff" => {
                return {
                    let body = "($T a, $T b)\n{\n    return a > b ? ($U)(($W)a - ($W)b) : ($U)(($W)b - ($W)a);\n}\n";
                    let text = format!("$F $U fl_abs_diff_{of}{body}");
                    format!("{}({all})", self.helper_from("fl_abs_diff", scalar, &text))
                };
            }
            "clamp" => {
                "($T x, $T low, $T high)\n{\n    return x < low ? low : x > high ? high : x;\n}\n"
            }
            "max" => "($T a, $T b)\n{\n    return a > b ? a : b;\n}\n",
            "min" => "($T a, $T b)\n{\n    return a < b ? a : b;\n}\n",
            "signum" => "($T x)\n{\n    return ($T)((x > 0) - (x < 0));\n}\n",
            "rotate_left" => {
                "($T x, u32 n)\n{\n    n &= $B - 1;\n    return n == 0 ? x : ($T)((($U)x << n) | (($U)x >> ($B - n)));\n}\n"
            }
            "rotate_right" => {
                "($T x, u32 n)\n{\n    n &= $B - 1;\n    return n == 0 ? x : ($T)((($U)x >> n) | (($U)x << ($B - n)));\n}\n"
            }
            "pow" => {
                "($T x, u32 n)\n{\n    $W r = 1, a = ($W)x;\n    for (; n != 0; n >>= 1) {\n        if (n & 1) r *= a;\n        \
                 a *= a;\n    }\n    return ($T)r;\n}\n"
            }
            "saturating_add" if is_signed => {
                "($T a, $T b)\n{\n    if (b > 0 && a > $MAX - b) return $MAX;\n    if (b < 0 && a < $MIN - b) return $MIN;\n    \
                 return a + b;\n}\n"
            }
            "saturating_sub" if is_signed => {
                "($T a, $T b)\n{\n    if (b < 0 && a > $MAX + b) return $MAX;\n    if (b > 0 && a < $MIN + b) return $MIN;\n    \
                 return a - b;\n}\n"
            }
            "saturating_add" => {
                "($T a, $T b)\n{\n    return a > $MAX - b ? $MAX : ($T)(a + b);\n}\n"
            }
            "saturating_sub" => "($T a, $T b)\n{\n    return a < b ? ($T)0 : ($T)(a - b);\n}\n",
            // leading_zeros, trailing_zeros
            _ => {
                let ones = self.ones(scalar, "x");
                let body = match name {
                    "leading_zeros" => {
                        "    for (u32 n = 1; n < $B; n <<= 1) x |= x >> n;\n    x = ($U)~x;\n"
                    }
                    _ => "    x = ($U)(~x & (x - 1));\n",
                };
                let text =
                    format!("$F u32 fl_{name}_{of}($U x)\n{{\n{body}    return (u32){ones};\n}}\n");
                return format!(
                    "{}({all})",
                    self.helper_from(&format!("fl_{name}"), scalar, &text)
                );
            }
        };
        let full = self.helper_from(
            &format!("fl_{name}"),
            scalar,
            &format!("$F $T fl_{name}_{of}{body}"),
        );
        format!("{full}({all})")
    }

    /// How many bits are set.
    fn ones(&self, scalar: Scalar, text: &str) -> String {
        let unsigned = scalar.unsigned().name();
        let text = atom(text);
        match (self.shared.dialect.is_cuda(), scalar.bits()) {
            (false, _) => format!("popcount(({unsigned}){text})"),
            (true, 64) => format!("__popcll(({unsigned}){text})"),
            (true, _) => format!("__popc(({unsigned}){text})"),
        }
    }

    fn euclid(&mut self, name: &str, scalar: Scalar, operands: &[Expr], all: &str) -> String {
        let place = operands[1].place;
        let site = self.site(place, SiteKind::Division, "");
        let overflow = self.site(place, SiteKind::Overflow, "");
        let basis = if name == "rem_euclid" {
            "fl_rem"
        } else {
            "fl_div"
        };
        if let ExprKind::Int(value) = operands[1].kind
            && value > 0
            && !scalar.is_signed()
        {
            let symbol = if name == "rem_euclid" { "%" } else { "/" };
            return format!(
                "{} {symbol} {}",
                atom(&all[..all.rfind(", ").unwrap_or(0)]),
                integer(value, scalar)
            );
        }
        let rem = self.helper_of("fl_rem", scalar);
        if !scalar.is_signed() {
            return format!("{}({all}, {site}u, fault)", self.helper_of(basis, scalar));
        }
        let div = self.helper_of("fl_div", scalar);
        let of = scalar.name();
        let body = match name {
            "rem_euclid" => format!("    return r < 0 ? (b < 0 ? r - b : r + b) : r;\n{}", ""),
            _ => format!(
                "    $T q = {div}(a, b, site, overflow, fault);\n    return r < 0 ? (b > 0 ? q - 1 : q + 1) : q;\n"
            ),
        };
        let text = format!(
            "$F $T fl_{name}_{of}($T a, $T b, u32 site, u32 overflow, $Gu32 *fault)\n{{\n    \
             $T r = {rem}(a, b, site, overflow, fault);\n{body}}}\n"
        );
        let full = self.helper_from(&format!("fl_{name}"), scalar, &text);
        format!("{full}({all}, {site}u, {overflow}u, fault)")
    }

    /// Division that notes what Rust would panic at: `fl_div` and `fl_rem`.
    pub(super) fn helper_of(&mut self, name: &str, scalar: Scalar) -> String {
        let of = scalar.name();
        let symbol = if name == "fl_div" { "/" } else { "%" };
        let (parameter, overflow) = match scalar.is_signed() {
            true => (
                ", u32 overflow",
                format!(
                    "    if (a == $MIN && b == -1) {{\n        fl_note(fault, overflow, 0, 0);\n        return {};\n    }}\n",
                    if name == "fl_div" { "a" } else { "0" }
                ),
            ),
            false => ("", String::new()),
        };
        let text = format!(
            "$F $T {name}_{of}($T a, $T b, u32 site{parameter}, $Gu32 *fault)\n{{\n    if (b == 0) {{\n        \
             fl_note(fault, site, 0, 0);\n        return 0;\n    }}\n{overflow}    return a {symbol} b;\n}}\n"
        );
        self.helper_from(name, scalar, &text)
    }
}

/// As the compilers' run-time library does it, so that results are the same.
const POWI: &str = "($T x, i32 n)
{
    bool is_inverse = n < 0;
    $T r = 1;
    while (true) {
        if (n & 1) r *= x;
        n /= 2;
        if (n == 0) break;
        x *= x;
    }
    return is_inverse ? 1 / r : r;
}
";
