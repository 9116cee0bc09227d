//! The arms of `match`: integers and bools, ranges, alternatives, a name.

use syn::Pat;
use syn::spanned::Spanned;

use super::constants::value;
use super::{Checker, error, place};
use crate::ir::{Arm, Expr, ExprKind, Pattern, Result};
use crate::types::{Id, Type};

impl Checker<'_, '_> {
    pub(super) fn match_of(
        &mut self,
        written: &syn::ExprMatch,
        expected: Option<Id>,
    ) -> Result<Expr> {
        let subject = self.expression(&written.expr, None)?;
        let result = expected.unwrap_or_else(|| self.types.add(Type::Unknown));
        let mut of = None;
        let mut arms = Vec::new();
        for arm in &written.arms {
            self.scopes.push(Vec::new());
            let checked = self.arm(arm, subject.of, result);
            self.scopes.pop();
            let arm = checked?;
            if self.types.get(arm.value.of) != Type::Never {
                of.get_or_insert(arm.value.of);
            }
            arms.push(arm);
        }
        let of = of.unwrap_or_else(|| self.types.add(Type::Never));
        Ok(Expr {
            place: place(written.span()),
            kind: ExprKind::Match(Box::new(subject), arms),
            of,
        })
    }

    fn arm(&mut self, arm: &syn::Arm, subject: Id, result: Id) -> Result<Arm> {
        let pattern = self.pattern(&arm.pat, subject)?;
        let guard = match &arm.guard {
            Some((_, guard)) => Some(self.condition(guard)?),
            None => None,
        };
        let value = self.expression(&arm.body, Some(result))?;
        Ok(Arm {
            pattern,
            guard,
            value,
        })
    }

    fn pattern(&mut self, written: &Pat, subject: Id) -> Result<Pattern> {
        match written {
            Pat::Wild(_) => Ok(Pattern::Any),
            Pat::Paren(inner) => self.pattern(&inner.pat, subject),
            Pat::Or(either) => {
                let cases = either.cases.iter();
                let cases: Result<_> = cases.map(|case| self.pattern(case, subject)).collect();
                Ok(Pattern::Either(cases?))
            }
            Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() => {
                let text = super::name_of(&name.ident);
                if let Some(constant) = self.constant(&text, name.span()) {
                    let constant = constant?;
                    self.unify(name.span(), subject, constant.of)?;
                    let bound = known(&constant, name)?;
                    return Ok(Pattern::Between(Some(bound), Some(bound)));
                }
                Ok(Pattern::Bind(self.declare(&name.ident, subject)))
            }
            Pat::Lit(literal) => {
                let bound = self.bound(&syn::Expr::Lit(literal.clone()), subject)?;
                Ok(Pattern::Between(Some(bound), Some(bound)))
            }
            Pat::Range(range) => {
                let start = match &range.start {
                    Some(start) => Some(self.bound(start, subject)?),
                    None => None,
                };
                let end = match &range.end {
                    Some(end) => Some(self.bound(end, subject)?),
                    None => None,
                };
                let is_open = matches!(range.limits, syn::RangeLimits::HalfOpen(_));
                let end = end.map(|end| if is_open { end - 1 } else { end });
                Ok(Pattern::Between(start, end))
            }
            other => Err(error(
                other.span(),
                "a match in a kernel is over integers: numbers, ranges such as 1..=3, alternatives with |, a name, _",
            )),
        }
    }

    fn bound(&mut self, written: &syn::Expr, subject: Id) -> Result<i128> {
        let checked = self.expression(written, Some(subject))?;
        known(&checked, written)
    }
}

fn known(checked: &Expr, written: &impl Spanned) -> Result<i128> {
    let found = match checked.kind {
        ExprKind::Bool(value) => Some(i128::from(value)),
        _ => value(checked),
    };
    found.ok_or_else(|| error(written.span(), "a match in a kernel is over integers"))
}
