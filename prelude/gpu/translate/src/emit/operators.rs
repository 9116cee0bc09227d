//! Arithmetic with the meaning that it has in Rust.

use super::statements::Target;
use super::values::{atom, integer, is_inside};
use super::{Printer, SiteKind};
use crate::ir::{Binary, Expr, ExprKind};
use crate::types::{Id, Scalar, Type};

impl Printer<'_> {
    pub(super) fn unary(&mut self, operator: char, inner: &Expr) -> String {
        let scalar = self.scalar(inner.of);
        if operator == '-' {
            match inner.kind {
                ExprKind::Int(value) => return integer(-value, scalar),
                ExprKind::Float(double, single) => {
                    let negative = ExprKind::Float(-double, -single);
                    return self.value(&Expr {
                        kind: negative,
                        ..*inner
                    });
                }
                _ => {}
            }
        }
        let text = atom(&self.value(inner));
        match (operator, scalar) {
            ('!', Scalar::Bool) => format!("!{text}"),
            ('!', _) if scalar.bits() < 32 => format!("({})~{text}", scalar.name()),
            ('!', _) => format!("~{text}"),
            (_, _) if scalar.is_float() => format!("-{text}"),
            _ => self.wrapping("-", scalar, "0", &text),
        }
    }

    /// An operation of two operands of these texts.
    pub(super) fn operation(
        &mut self,
        operator: Binary,
        left: &Expr,
        right: &Expr,
        a: &str,
        b: &str,
    ) -> String {
        let scalar = self.scalar(left.of);
        let (x, y) = (atom(a), atom(b));
        let symbol = symbol(operator);
        match operator {
            Binary::Add | Binary::Sub | Binary::Mul => match scalar.is_float() {
                true => format!("{x} {symbol} {y}"),
                false => self.wrapping(symbol, scalar, &x, &y),
            },
            Binary::Div | Binary::Rem if scalar.is_float() => match operator {
                Binary::Div => format!("{x} / {y}"),
                _ => {
                    let name = self.math("fmod", scalar);
                    format!("{name}({a}, {b})")
                }
            },
            Binary::Div | Binary::Rem => {
                if let ExprKind::Int(value) = right.kind
                    && value > 0
                {
                    return self.narrowed(scalar, format!("{x} {symbol} {y}"));
                }
                let kind = SiteKind::Division;
                let site = self.site(right.place, kind, "");
                let overflow = self.site(right.place, SiteKind::Overflow, "");
                let name = if operator == Binary::Div {
                    "fl_div"
                } else {
                    "fl_rem"
                };
                let name = self.helper_of(name, scalar);
                match scalar.is_signed() {
                    true => format!("{name}({a}, {b}, {site}u, {overflow}u, fault)"),
                    false => format!("{name}({a}, {b}, {site}u, fault)"),
                }
            }
            Binary::And | Binary::Or | Binary::Xor => match scalar {
                Scalar::Bool => format!("(bool)({x} {symbol} {y})"),
                _ => self.narrowed(scalar, format!("{x} {symbol} {y}")),
            },
            Binary::Shl | Binary::Shr => {
                let bits = i128::from(scalar.bits());
                let by = match right.kind {
                    ExprKind::Int(value) if (0..bits).contains(&value) => value.to_string(),
                    _ => format!("((u32){y} & {}u)", bits - 1),
                };
                let unsigned = match scalar.bits() {
                    64 => Scalar::U64,
                    _ => Scalar::U32,
                };
                let is_plain =
                    operator == Binary::Shr || scalar == unsigned || scalar == Scalar::Usize;
                match is_plain {
                    true => self.narrowed(scalar, format!("{x} {symbol} {by}")),
                    false => format!("({})(({}){x} << {by})", scalar.name(), unsigned.name()),
                }
            }
            _ => format!("{x} {symbol} {y}"),
        }
    }

    /// What C computes in `int`, in its own type again.
    fn narrowed(&self, scalar: Scalar, text: String) -> String {
        match scalar.bits() < 32 {
            true => format!("({})({text})", scalar.name()),
            false => text,
        }
    }

    /// Arithmetic that wraps: C promises that for unsigned integers only.
    pub(super) fn wrapping(&self, symbol: &str, scalar: Scalar, x: &str, y: &str) -> String {
        let of = scalar.name();
        match scalar.bits() {
            32 | 64 if !scalar.is_signed() => format!("{x} {symbol} {y}"),
            64 => format!("({of})((u64){x} {symbol} (u64){y})"),
            _ => format!("({of})((u32){x} {symbol} (u32){y})"),
        }
    }

    /// A cast with Rust's rules: floats saturate, NaN becomes 0.
    pub(super) fn cast(&mut self, text: &str, from: Id, to: Scalar) -> String {
        let from = self.scalar(from);
        if from == to {
            return text.to_owned();
        }
        if from.is_float() && to.is_int() {
            let name = self.helper_cast(from, to);
            return format!("{name}({text})");
        }
        format!("({}){}", to.name(), atom(text))
    }

    pub(super) fn assign(&mut self, place: &Expr, value: &Expr) {
        if let ExprKind::Variable(variable) = place.kind {
            let name = self.variables[variable].clone();
            if name.is_empty() {
                return self.deliver(value, Target::Drop);
            }
            return self.deliver(value, Target::Into(&name));
        }
        let ExprKind::Index(base, index) = &place.kind else {
            return;
        };
        if self.is_never(value) {
            return self.deliver(value, Target::Drop);
        }
        // The value comes first, then the index.
        let texts = self.values(&[value, index]);
        let place = self.place(base, index, &texts[1]);
        self.guarded(&place, &format!("{} = {};", place.text, texts[0]));
    }

    pub(super) fn assign_with(&mut self, operator: Binary, place: &Expr, value: &Expr) {
        if let ExprKind::Variable(variable) = place.kind {
            let text = self.value(value);
            let name = self.variables[variable].clone();
            let result = self.compound(operator, place, value, &name, &text);
            return self.push(result);
        }
        let ExprKind::Index(base, index) = &place.kind else {
            return;
        };
        let texts = self.values(&[value, index]);
        let at = if super::values::is_name(&texts[1]) {
            texts[1].clone()
        } else {
            self.spill(Scalar::Usize, &texts[1])
        };
        let written = self.place(base, index, &at);
        let result = self.compound(operator, place, value, &written.text, &texts[0]);
        self.guarded(&written, &result);
    }

    /// `x += y;`, in full where C's own operator would mean something else.
    fn compound(
        &mut self,
        operator: Binary,
        place: &Expr,
        value: &Expr,
        x: &str,
        y: &str,
    ) -> String {
        let scalar = self.scalar(place.of);
        let is_plain = match operator {
            Binary::Add | Binary::Sub | Binary::Mul => {
                scalar.is_float() || (!scalar.is_signed() && scalar.bits() >= 32)
            }
            Binary::Div => scalar.is_float(),
            Binary::And | Binary::Or | Binary::Xor => scalar != Scalar::Bool,
            _ => false,
        };
        if is_plain {
            return format!("{x} {}= {y};", symbol(operator));
        }
        let text = self.operation(operator, place, value, x, y);
        format!("{x} = {text};")
    }

    /// An element that is written, with the condition under which it is there.
    fn place(&mut self, base: &Expr, index: &Expr, at: &str) -> Written {
        if let Type::Slice(_, length) = self.function.types.get(base.of)
            && let Some((variable, name, n)) = self.slice(base)
        {
            if is_inside(index, length) {
                let text = format!("{name}[{at}]");
                return Written { text, guard: None };
            }
            let at = if super::values::is_name(at) {
                at.to_owned()
            } else {
                self.spill(Scalar::Usize, at)
            };
            let called = self.function.variables[variable].name.clone();
            let site = self.site(index.place, SiteKind::Index, &called);
            let inside = self.helper("fl_inside");
            return Written {
                text: format!("{name}[{at}]"),
                guard: Some(format!("{inside}({at}, {n}, {site}u, fault)")),
            };
        }
        let array = self.value(base);
        let text = self.array_place_at(base, index, &array, at);
        Written { text, guard: None }
    }

    fn guarded(&mut self, place: &Written, statement: &str) {
        match &place.guard {
            Some(guard) => self.push(format!("if ({guard}) {statement}")),
            None => self.push(statement),
        }
    }
}

struct Written {
    text: String,
    guard: Option<String>,
}

pub fn symbol(operator: Binary) -> &'static str {
    match operator {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Rem => "%",
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Xor => "^",
        Binary::Shl => "<<",
        Binary::Shr => ">>",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::AndThen => "&&",
        Binary::OrElse => "||",
    }
}
