//! Operators: the types of their operands and of what they give.

use syn::spanned::Spanned;
use syn::{BinOp, UnOp};

use super::{Checker, error, place};
use crate::ir::{Binary, Expr, ExprKind, Result};
use crate::types::{Id, Scalar, Type};

impl Checker<'_, '_> {
    pub(super) fn unary(&mut self, unary: &syn::ExprUnary, expected: Option<Id>) -> Result<Expr> {
        let operator = match unary.op {
            UnOp::Neg(_) => '-',
            UnOp::Not(_) => '!',
            _ => {
                let inner = self.bare(&unary.expr, None)?;
                return match self.types.get(inner.of) {
                    Type::Slice(..) => Ok(inner),
                    _ => Err(error(
                        unary.span(),
                        "there are no references to follow in a kernel",
                    )),
                };
            }
        };
        let inner = self.expression(&unary.expr, expected)?;
        Ok(Expr {
            place: place(unary.span()),
            of: inner.of,
            kind: ExprKind::Unary(operator, Box::new(inner)),
        })
    }

    pub(super) fn binary(
        &mut self,
        written: &syn::ExprBinary,
        expected: Option<Id>,
    ) -> Result<Expr> {
        let span = written.span();
        let Some((operator, is_assignment)) = operator(&written.op) else {
            return Err(error(
                written.op.span(),
                "this operator is not supported in a kernel",
            ));
        };
        let is_shift = matches!(operator, Binary::Shl | Binary::Shr);
        if is_assignment {
            let place = self.element_or_variable(&written.left)?;
            let value = self.expression(&written.right, (!is_shift).then_some(place.of))?;
            let kind = ExprKind::AssignWith(operator, Box::new(place), Box::new(value));
            return Ok(self.unit(span, kind));
        }
        let bool = self.types.scalar(Scalar::Bool);
        let (left, right, of) = match operator {
            Binary::AndThen | Binary::OrElse => {
                let left = self.expression(&written.left, Some(bool))?;
                (left, self.expression(&written.right, Some(bool))?, bool)
            }
            Binary::Shl | Binary::Shr => {
                let left = self.expression(&written.left, expected)?;
                let of = left.of;
                (left, self.expression(&written.right, None)?, of)
            }
            Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
                let left = self.expression(&written.left, None)?;
                let right = self.expression(&written.right, Some(left.of))?;
                (left, right, bool)
            }
            _ => {
                let left = self.expression(&written.left, expected)?;
                let right = self.expression(&written.right, Some(left.of))?;
                let of = left.of;
                (left, right, of)
            }
        };
        Ok(Expr {
            place: place(span),
            kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)),
            of,
        })
    }
}

/// Our name of an operator, and whether it assigns.
fn operator(operator: &BinOp) -> Option<(Binary, bool)> {
    Some(match operator {
        BinOp::Add(_) => (Binary::Add, false),
        BinOp::Sub(_) => (Binary::Sub, false),
        BinOp::Mul(_) => (Binary::Mul, false),
        BinOp::Div(_) => (Binary::Div, false),
        BinOp::Rem(_) => (Binary::Rem, false),
        BinOp::And(_) => (Binary::AndThen, false),
        BinOp::Or(_) => (Binary::OrElse, false),
        BinOp::BitXor(_) => (Binary::Xor, false),
        BinOp::BitAnd(_) => (Binary::And, false),
        BinOp::BitOr(_) => (Binary::Or, false),
        BinOp::Shl(_) => (Binary::Shl, false),
        BinOp::Shr(_) => (Binary::Shr, false),
        BinOp::Eq(_) => (Binary::Eq, false),
        BinOp::Lt(_) => (Binary::Lt, false),
        BinOp::Le(_) => (Binary::Le, false),
        BinOp::Ne(_) => (Binary::Ne, false),
        BinOp::Ge(_) => (Binary::Ge, false),
        BinOp::Gt(_) => (Binary::Gt, false),
        BinOp::AddAssign(_) => (Binary::Add, true),
        BinOp::SubAssign(_) => (Binary::Sub, true),
        BinOp::MulAssign(_) => (Binary::Mul, true),
        BinOp::DivAssign(_) => (Binary::Div, true),
        BinOp::RemAssign(_) => (Binary::Rem, true),
        BinOp::BitXorAssign(_) => (Binary::Xor, true),
        BinOp::BitAndAssign(_) => (Binary::And, true),
        BinOp::BitOrAssign(_) => (Binary::Or, true),
        BinOp::ShlAssign(_) => (Binary::Shl, true),
        BinOp::ShrAssign(_) => (Binary::Shr, true),
        _ => return None,
    })
}
