//! What has a value: literals, names, elements, `if`, blocks.

use syn::spanned::Spanned;
use syn::{Expr as Written, Lit};

use super::{Checker, error, name_of, place, scalar_of};
use crate::ir::{Expr, ExprKind, Result};
use crate::types::{Id, Scalar, Type};

impl Checker<'_, '_> {
    /// An expression; `expected` is what it is to be, if that is known.
    pub(super) fn expression(&mut self, written: &Written, expected: Option<Id>) -> Result<Expr> {
        let expression = self.bare(written, expected)?;
        if let Some(expected) = expected
            && self.types.get(expression.of) != Type::Never
        {
            self.unify(written.span(), expected, expression.of)?;
        }
        Ok(expression)
    }

    pub(super) fn condition(&mut self, written: &Written) -> Result<Expr> {
        if let Written::Let(binding) = written {
            return Err(error(
                binding.span(),
                "if let and while let are not supported in a kernel",
            ));
        }
        let bool = self.types.scalar(Scalar::Bool);
        self.expression(written, Some(bool))
    }

    pub(super) fn unit(&mut self, span: proc_macro2::Span, kind: ExprKind) -> Expr {
        Expr {
            place: place(span),
            kind,
            of: self.types.add(Type::Unit),
        }
    }

    fn never(&mut self, span: proc_macro2::Span, kind: ExprKind) -> Expr {
        Expr {
            place: place(span),
            kind,
            of: self.types.add(Type::Never),
        }
    }

    pub(super) fn bare(&mut self, written: &Written, expected: Option<Id>) -> Result<Expr> {
        let span = written.span();
        match written {
            Written::Paren(inner) => self.bare(&inner.expr, expected),
            Written::Group(inner) => self.bare(&inner.expr, expected),
            Written::Lit(literal) => self.literal(&literal.lit),
            Written::Path(path) => self.path(path),
            Written::Unary(unary) => self.unary(unary, expected),
            Written::Binary(binary) => self.binary(binary, expected),
            Written::Assign(assign) => {
                let place = self.element_or_variable(&assign.left)?;
                let value = self.expression(&assign.right, Some(place.of))?;
                if matches!(self.types.get(place.of), Type::Array(..) | Type::Slice(..)) {
                    return Err(error(
                        span,
                        "an array is assigned element by element in a kernel",
                    ));
                }
                Ok(self.unit(span, ExprKind::Assign(Box::new(place), Box::new(value))))
            }
            Written::Cast(cast) => {
                let value = self.expression(&cast.expr, None)?;
                let Some(scalar) = scalar_of(&cast.ty) else {
                    return Err(error(cast.ty.span(), "a kernel casts to numbers only"));
                };
                let of = self.types.scalar(scalar);
                // As rustc: `1 as f32` is an i32 first, but a literal cast to an integer is that integer.
                if scalar.is_int() && self.types.get(value.of) == Type::Int {
                    self.unify(span, of, value.of)?;
                }
                Ok(Expr {
                    place: place(span),
                    kind: ExprKind::Cast(Box::new(value)),
                    of,
                })
            }
            Written::Index(index) => self.index(index),
            Written::If(written) => self.if_of(written, expected),
            Written::Match(written) => self.match_of(written, expected),
            Written::Block(block) if block.label.is_none() => {
                let block = self.block(&block.block, expected)?;
                let of = self.block_type(&block);
                Ok(Expr {
                    place: place(span),
                    kind: ExprKind::Block(block),
                    of,
                })
            }
            Written::While(written) => self.while_loop(written),
            Written::Loop(written) => self.endless_loop(written),
            Written::ForLoop(written) => self.for_loop(written),
            Written::Break(written) => {
                let label = written.label.as_ref().map(|label| name_of(&label.ident));
                let position = self
                    .loops
                    .iter()
                    .rposition(|known| label.is_none() || known.label == label);
                let Some(position) = position else {
                    return Err(error(span, "break is in no loop"));
                };
                self.loops[position].has_break = true;
                let of = self.loops[position].value;
                let value = match &written.expr {
                    Some(value) => Some(Box::new(self.expression(value, of)?)),
                    None => None,
                };
                Ok(self.never(span, ExprKind::Break(label, value)))
            }
            Written::Continue(written) => {
                let label = written.label.as_ref().map(|label| name_of(&label.ident));
                Ok(self.never(span, ExprKind::Continue(label)))
            }
            Written::Return(written) => {
                let result = self.result;
                let value = match &written.expr {
                    Some(value) => Some(Box::new(self.expression(value, Some(result))?)),
                    None => None,
                };
                Ok(self.never(span, ExprKind::Return(value)))
            }
            Written::Array(array) => {
                let element = self.types.add(Type::Unknown);
                if let Some(expected) = expected
                    && let Type::Array(known, _) = self.types.get(expected)
                {
                    self.unify(span, known, element)?;
                }
                let values = array.elems.iter();
                let values: Result<Vec<_>> = values
                    .map(|value| self.expression(value, Some(element)))
                    .collect();
                let values = values?;
                if values.is_empty() {
                    return Err(error(span, "an array in a kernel has an element at least"));
                }
                let of = self.types.add(Type::Array(element, values.len() as u64));
                Ok(Expr {
                    place: place(span),
                    kind: ExprKind::Array(values),
                    of,
                })
            }
            Written::Repeat(repeat) => {
                let value = self.expression(&repeat.expr, None)?;
                let length = self.length(&repeat.len)?;
                let of = self.types.add(Type::Array(value.of, length));
                Ok(Expr {
                    place: place(span),
                    kind: ExprKind::Repeat(Box::new(value), length),
                    of,
                })
            }
            Written::Call(call) => self.call(call),
            Written::MethodCall(call) => self.method_call(call),
            Written::Macro(call) => self.macro_call(&call.mac),
            Written::Reference(reference) => {
                let inner = self.bare(&reference.expr, None)?;
                match self.types.get(inner.of) {
                    Type::Slice(..) => Ok(inner),
                    _ => Err(error(
                        span,
                        "a reference to a value is not supported in a kernel: hand over the value, or the whole slice",
                    )),
                }
            }
            Written::Tuple(tuple) if tuple.elems.is_empty() => Ok(self.unit(span, ExprKind::Unit)),
            Written::Tuple(_) => Err(error(
                span,
                "a tuple is not supported in a kernel: write one let for each value",
            )),
            Written::Closure(_) => Err(error(
                span,
                "a closure is not supported in a kernel: write a fn beside the kernel, inside of kernel!",
            )),
            Written::Struct(_) | Written::Field(_) => Err(error(
                span,
                "a struct is not supported in a kernel: write one parameter or let for each field",
            )),
            Written::Range(_) => Err(error(
                span,
                "a range is only supported in `for i in 0..n` in a kernel",
            )),
            Written::Unsafe(_) => Err(error(span, "unsafe is not supported in a kernel")),
            Written::Try(_) => Err(error(
                span,
                "? is not supported in a kernel: nothing in it returns a Result",
            )),
            _ => Err(error(span, "this is not supported in a kernel")),
        }
    }

    fn literal(&mut self, literal: &Lit) -> Result<Expr> {
        let span = literal.span();
        let (kind, of) = match literal {
            Lit::Bool(value) => (ExprKind::Bool(value.value), self.types.scalar(Scalar::Bool)),
            Lit::Int(value) => {
                let of = match Scalar::of(value.suffix()) {
                    Some(scalar) => self.types.scalar(scalar),
                    None => self.types.add(Type::Int),
                };
                let number = value
                    .base10_parse::<i128>()
                    .map_err(|_| error(span, "this number is too large"))?;
                match self.types.known_scalar(of) {
                    Some(scalar) if scalar.is_float() => {
                        (ExprKind::Float(number as f64, number as f32), of)
                    }
                    _ => (ExprKind::Int(number), of),
                }
            }
            Lit::Float(value) => {
                let of = match Scalar::of(value.suffix()) {
                    Some(scalar) => self.types.scalar(scalar),
                    None => self.types.add(Type::Float),
                };
                let number = value
                    .base10_parse::<f64>()
                    .map_err(|_| error(span, "this is no number"))?;
                let single = value.base10_parse::<f32>().unwrap_or(number as f32);
                (ExprKind::Float(number, single), of)
            }
            Lit::Byte(value) => (
                ExprKind::Int(value.value().into()),
                self.types.scalar(Scalar::U8),
            ),
            Lit::Str(_) | Lit::ByteStr(_) | Lit::CStr(_) | Lit::Char(_) => {
                return Err(error(
                    span,
                    "a text is not supported in a kernel: devices have numbers only",
                ));
            }
            _ => return Err(error(span, "this literal is not supported in a kernel")),
        };
        Ok(Expr {
            place: place(span),
            kind,
            of,
        })
    }

    /// What stands to the left of an assignment.
    pub(super) fn element_or_variable(&mut self, written: &Written) -> Result<Expr> {
        match written {
            Written::Infer(_) => Err(error(
                written.span(),
                "`_ =` is not supported in a kernel: leave it out",
            )),
            Written::Paren(inner) => self.element_or_variable(&inner.expr),
            _ => {
                let checked = self.bare(written, None)?;
                match checked.kind {
                    ExprKind::Variable(_) | ExprKind::Index(..) => Ok(checked),
                    _ => Err(error(
                        written.span(),
                        "a kernel assigns to variables and elements only",
                    )),
                }
            }
        }
    }

    fn index(&mut self, index: &syn::ExprIndex) -> Result<Expr> {
        if let Written::Range(range) = &*index.index {
            return Err(error(
                range.span(),
                "a part of a slice is not supported in a kernel: hand over the whole slice and a start",
            ));
        }
        let base = self.bare(&index.expr, None)?;
        let usize = self.types.scalar(Scalar::Usize);
        let at = self.expression(&index.index, Some(usize))?;
        let of = match self.types.get(base.of) {
            Type::Array(element, _) => element,
            Type::Slice(elements, _) if elements.is_atomic => {
                // Only a method may follow; `method_call` takes it from here.
                self.types.add(Type::Unit)
            }
            Type::Slice(elements, _) => self.types.scalar(elements.scalar),
            _ => {
                return Err(error(
                    index.expr.span(),
                    "a kernel indexes slices and arrays only",
                ));
            }
        };
        Ok(Expr {
            place: place(index.span()),
            kind: ExprKind::Index(Box::new(base), Box::new(at)),
            of,
        })
    }

    fn if_of(&mut self, written: &syn::ExprIf, expected: Option<Id>) -> Result<Expr> {
        let condition = Box::new(self.condition(&written.cond)?);
        let span = written.span();
        let Some((_, otherwise)) = &written.else_branch else {
            let unit = self.types.add(Type::Unit);
            let then = self.block(&written.then_branch, Some(unit))?;
            let then = Box::new(self.block_expression(written.then_branch.span(), then));
            return Ok(self.unit(span, ExprKind::If(condition, then, None)));
        };
        let expected = expected.unwrap_or_else(|| self.types.add(Type::Unknown));
        let then = self.block(&written.then_branch, Some(expected))?;
        let then = Box::new(self.block_expression(written.then_branch.span(), then));
        let otherwise = Box::new(self.expression(otherwise, Some(expected))?);
        let of = match self.types.get(then.of) {
            Type::Never => otherwise.of,
            _ => then.of,
        };
        Ok(Expr {
            place: place(span),
            kind: ExprKind::If(condition, then, Some(otherwise)),
            of,
        })
    }

    fn block_expression(&mut self, span: proc_macro2::Span, block: crate::ir::Block) -> Expr {
        Expr {
            place: place(span),
            of: self.block_type(&block),
            kind: ExprKind::Block(block),
        }
    }
}
