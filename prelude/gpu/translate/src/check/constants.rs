//! Numbers that are known before anything runs: lengths of arrays and local memory, constants, those of the standard library.

use syn::spanned::Spanned;

use super::{Checker, error, scalar_of};
use crate::ir::{Binary, Expr, ExprKind, Result};
use crate::types::Scalar;

impl Checker<'_, '_> {
    /// The value of a length.
    pub(super) fn length(&mut self, written: &syn::Expr) -> Result<u64> {
        let usize = self.types.scalar(Scalar::Usize);
        // Variables are no constants.
        let scopes = std::mem::take(&mut self.scopes);
        let checked = self.expression(written, Some(usize));
        self.scopes = scopes;
        let value = value(&checked?).and_then(|value| u64::try_from(value).ok());
        match value {
            Some(0) | None => Err(error(
                written.span(),
                "a length in a kernel is a constant above 0: a number, a const of the same kernel!, or + - * / of them",
            )),
            Some(value) => Ok(value),
        }
    }

    /// The value of a constant, put where its name stands.
    pub(super) fn constant(&mut self, name: &str, span: proc_macro2::Span) -> Option<Result<Expr>> {
        let constant = *self.program.constants.get(name)?;
        let Some(scalar) = scalar_of(&constant.ty) else {
            return Some(Err(error(
                constant.ty.span(),
                "a const of a kernel! is a number or a bool: make an array with let in the function",
            )));
        };
        if self.program.open.iter().any(|open| open == name) {
            return Some(Err(error(span, "this constant needs itself")));
        }
        self.program.open.push(name.to_owned());
        let scopes = std::mem::take(&mut self.scopes);
        let of = self.types.scalar(scalar);
        let value = self.expression(&constant.expr, Some(of));
        self.scopes = scopes;
        self.program.open.pop();
        Some(value)
    }
}

/// The value of an expression of integers, if it is a constant.
pub fn value(expression: &Expr) -> Option<i128> {
    match &expression.kind {
        ExprKind::Int(value) => Some(*value),
        ExprKind::Cast(inner) => value(inner),
        ExprKind::Unary('-', inner) => Some(-value(inner)?),
        ExprKind::Block(block) if block.statements.is_empty() => value(block.value.as_deref()?),
        ExprKind::Binary(operator, left, right) => {
            let (left, right) = (value(left)?, value(right)?);
            match operator {
                Binary::Add => left.checked_add(right),
                Binary::Sub => left.checked_sub(right),
                Binary::Mul => left.checked_mul(right),
                Binary::Div => left.checked_div(right),
                Binary::Rem => left.checked_rem(right),
                Binary::Shl => left.checked_shl(u32::try_from(right).ok()?),
                Binary::Shr => left.checked_shr(u32::try_from(right).ok()?),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A constant's value.
pub enum Number {
    Int(i128),
    Float(f64),
}

/// A constant of the standard library, by the end of its path.
pub fn standard(names: &[&str]) -> Option<(Number, Scalar)> {
    use std::f64::consts;
    let (of, name) = match names {
        [.., of, "consts", name] => {
            let scalar = Scalar::of(of).filter(|scalar| scalar.is_float())?;
            let value = match *name {
                "PI" => consts::PI,
                "TAU" => consts::TAU,
                "E" => consts::E,
                "SQRT_2" => consts::SQRT_2,
                "LN_2" => consts::LN_2,
                "LN_10" => consts::LN_10,
                "LOG2_E" => consts::LOG2_E,
                "LOG10_E" => consts::LOG10_E,
                "FRAC_PI_2" => consts::FRAC_PI_2,
                "FRAC_PI_3" => consts::FRAC_PI_3,
                "FRAC_PI_4" => consts::FRAC_PI_4,
                "FRAC_PI_6" => consts::FRAC_PI_6,
                "FRAC_PI_8" => consts::FRAC_PI_8,
                "FRAC_1_PI" => consts::FRAC_1_PI,
                "FRAC_2_PI" => consts::FRAC_2_PI,
                "FRAC_1_SQRT_2" => consts::FRAC_1_SQRT_2,
                _ => return None,
            };
            return Some((Number::Float(value), scalar));
        }
        [.., of, name] => (Scalar::of(of)?, *name),
        _ => return None,
    };
    if of.is_int() {
        let (least, greatest) = of.range();
        return match name {
            "MIN" => Some((Number::Int(least), of)),
            "MAX" => Some((Number::Int(greatest), of)),
            "BITS" => Some((Number::Int(of.bits().into()), Scalar::U32)),
            _ => None,
        };
    }
    let value = match (name, of) {
        ("INFINITY", _) => f64::INFINITY,
        ("NEG_INFINITY", _) => f64::NEG_INFINITY,
        ("NAN", _) => f64::NAN,
        ("MAX", Scalar::F32) => f32::MAX.into(),
        ("MAX", _) => f64::MAX,
        ("MIN", Scalar::F32) => f32::MIN.into(),
        ("MIN", _) => f64::MIN,
        ("EPSILON", Scalar::F32) => f32::EPSILON.into(),
        ("EPSILON", _) => f64::EPSILON,
        ("MIN_POSITIVE", Scalar::F32) => f32::MIN_POSITIVE.into(),
        ("MIN_POSITIVE", _) => f64::MIN_POSITIVE,
        _ => return None,
    };
    Some((Number::Float(value), of))
}
