//! Blocks, `let`, loops.

use syn::spanned::Spanned;
use syn::{Block as Written, Expr as WrittenExpr, Local, Pat, Stmt, Type as WrittenType};

use super::{Checker, Loop, element, error, name_of, place, scalar_of};
use crate::ir::{Block, Expr, ExprKind, Range, Result, Statement, StatementKind};
use crate::types::{Elements, Id, Space, Type};

impl Checker<'_, '_> {
    /// A block; what its last expression is to be.
    pub(super) fn block(&mut self, block: &Written, expected: Option<Id>) -> Result<Block> {
        self.scopes.push(Vec::new());
        let block = self.open_block(block, expected);
        self.scopes.pop();
        block
    }

    fn open_block(&mut self, block: &Written, expected: Option<Id>) -> Result<Block> {
        let mut statements = Vec::new();
        let mut value = None;
        for (index, statement) in block.stmts.iter().enumerate() {
            let is_last = index + 1 == block.stmts.len();
            let at = place(statement.span());
            let kind = match statement {
                Stmt::Local(local) => self.binding(local)?,
                Stmt::Expr(expression, None) if is_last => {
                    let expression = self.expression(expression, expected)?;
                    value = Some(Box::new(expression));
                    continue;
                }
                Stmt::Expr(expression, _) => {
                    StatementKind::Expr(self.expression(expression, None)?)
                }
                Stmt::Macro(call) => StatementKind::Expr(self.macro_call(&call.mac)?),
                Stmt::Item(item) => {
                    return Err(error(
                        item.span(),
                        "an item inside of a function is not supported in a kernel: move it beside the function, \
                         inside of kernel!",
                    ));
                }
            };
            statements.push(Statement { place: at, kind });
        }
        if let (None, Some(expected)) = (&value, expected) {
            let diverges = statements.iter().any(|statement| self.diverges(statement));
            if !diverges {
                let unit = self.types.add(Type::Unit);
                self.unify(block.span(), expected, unit)?;
            }
        }
        Ok(Block { statements, value })
    }

    /// Whether what comes behind a statement is never reached.
    fn diverges(&self, statement: &Statement) -> bool {
        match &statement.kind {
            StatementKind::Expr(expression) | StatementKind::Let(_, Some(expression)) => {
                self.types.get(expression.of) == Type::Never
            }
            _ => false,
        }
    }

    /// The type of a block.
    pub(super) fn block_type(&mut self, block: &Block) -> Id {
        if let Some(value) = &block.value {
            return value.of;
        }
        let diverges = block
            .statements
            .iter()
            .any(|statement| self.diverges(statement));
        self.types
            .add(if diverges { Type::Never } else { Type::Unit })
    }

    fn binding(&mut self, local: &Local) -> Result<StatementKind> {
        let (pattern, of) = match &local.pat {
            Pat::Type(typed) => (&*typed.pat, self.written_type(&typed.ty)?),
            pattern => (pattern, self.types.add(Type::Unknown)),
        };
        let name = match pattern {
            Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => &name.ident,
            Pat::Wild(wild) => &syn::Ident::new("unused", wild.span()),
            other => {
                return Err(error(
                    other.span(),
                    "a pattern is not supported in a kernel: write one let for each name",
                ));
            }
        };
        let Some(init) = &local.init else {
            return Ok(StatementKind::Let(self.declare(name, of), None));
        };
        if let Some((_, otherwise)) = &init.diverge {
            return Err(error(
                otherwise.span(),
                "let … else is not supported in a kernel: write an if",
            ));
        }
        if let WrittenExpr::Macro(call) = &*init.expr
            && call.mac.path.is_ident("local")
        {
            return self.local_memory(name, &call.mac);
        }
        let value = self.expression(&init.expr, Some(of))?;
        match self.types.get(value.of) {
            Type::Array(..) if !matches!(value.kind, ExprKind::Array(_) | ExprKind::Repeat(..)) => {
                return Err(error(
                    init.expr.span(),
                    "an array is not copied as a whole in a kernel: copy its elements in a loop",
                ));
            }
            Type::Slice(..) => {
                return Err(error(
                    init.expr.span(),
                    "a slice has one name in a kernel: use the parameter itself",
                ));
            }
            _ => {}
        }
        Ok(StatementKind::Let(self.declare(name, of), Some(value)))
    }

    /// `local!([f32; 256])`.
    fn local_memory(&mut self, name: &syn::Ident, call: &syn::Macro) -> Result<StatementKind> {
        let form = "local memory is written local!([f32; 256]), with a length that is a constant";
        if !self.is_kernel {
            return Err(error(
                call.span(),
                "local memory is made in the kernel itself, not in a function that it calls: make it there and hand \
                 it over as &mut [f32]",
            ));
        }
        let WrittenType::Array(array) = call
            .parse_body::<WrittenType>()
            .map_err(|_| error(call.span(), form))?
        else {
            return Err(error(call.span(), form));
        };
        let (scalar, is_atomic) = element(&array.elem).ok_or_else(|| {
            error(
                array.elem.span(),
                "local memory is of numbers, in one dimension: [f32; 16 * 16]",
            )
        })?;
        let length = self.length(&array.len)?;
        let elements = Elements {
            scalar,
            is_atomic,
            is_mutable: true,
            space: Space::Local,
        };
        let of = self.types.add(Type::Slice(elements, Some(length)));
        let variable = self.declare(name, of);
        Ok(StatementKind::Local(variable, elements, length))
    }

    /// A type of `let` or of a constant.
    pub(super) fn written_type(&mut self, written: &WrittenType) -> Result<Id> {
        if let Some(scalar) = scalar_of(written) {
            return Ok(self.types.scalar(scalar));
        }
        match written {
            WrittenType::Infer(_) => Ok(self.types.add(Type::Unknown)),
            WrittenType::Array(array) => {
                let element = self.written_type(&array.elem)?;
                let length = self.length(&array.len)?;
                Ok(self.types.add(Type::Array(element, length)))
            }
            other => Err(error(
                other.span(),
                "this type is not supported in a kernel: there are numbers, bool, and arrays of them",
            )),
        }
    }

    fn label(&self, label: &Option<syn::Label>) -> Option<String> {
        label.as_ref().map(|label| name_of(&label.name.ident))
    }

    pub(super) fn while_loop(&mut self, written: &syn::ExprWhile) -> Result<Expr> {
        let condition = self.condition(&written.cond)?;
        let label = self.label(&written.label);
        let (body, _) = self.looped(&label, None, &written.body)?;
        let kind = ExprKind::While(label, Some(Box::new(condition)), body);
        Ok(self.unit(written.span(), kind))
    }

    pub(super) fn endless_loop(&mut self, written: &syn::ExprLoop) -> Result<Expr> {
        let label = self.label(&written.label);
        let value = self.types.add(Type::Unknown);
        let (body, has_break) = self.looped(&label, Some(value), &written.body)?;
        let of = match (has_break, self.types.get(value)) {
            (false, _) => self.types.add(Type::Never),
            (true, Type::Unknown) => self.types.add(Type::Unit),
            (true, _) => value,
        };
        Ok(Expr {
            place: place(written.span()),
            kind: ExprKind::While(label, None, body),
            of,
        })
    }

    fn looped(
        &mut self,
        label: &Option<String>,
        value: Option<Id>,
        body: &Written,
    ) -> Result<(Block, bool)> {
        self.loops.push(Loop {
            label: label.clone(),
            value,
            has_break: false,
        });
        let unit = self.types.add(Type::Unit);
        let body = self.block(body, Some(unit));
        let has_break = self.loops.pop().is_some_and(|the| the.has_break);
        Ok((body?, has_break))
    }

    pub(super) fn for_loop(&mut self, written: &syn::ExprForLoop) -> Result<Expr> {
        let of = self.types.add(Type::Int);
        let range = self.range(&written.expr, of)?;
        let ident = match &*written.pat {
            Pat::Ident(name) => name.ident.clone(),
            Pat::Wild(wild) => syn::Ident::new("turn", wild.span()),
            other => {
                return Err(error(
                    other.span(),
                    "the variable of a for is a name in a kernel",
                ));
            }
        };
        let label = self.label(&written.label);
        self.scopes.push(Vec::new());
        let variable = self.declare(&ident, of);
        let body = self.looped(&label, None, &written.body);
        self.scopes.pop();
        let kind = ExprKind::For(label, variable, Box::new(range), body?.0);
        Ok(self.unit(written.span(), kind))
    }

    fn range(&mut self, written: &WrittenExpr, of: Id) -> Result<Range> {
        match written {
            WrittenExpr::Paren(inner) => self.range(&inner.expr, of),
            WrittenExpr::Range(range) => {
                let (Some(start), Some(end)) = (&range.start, &range.end) else {
                    return Err(error(
                        range.span(),
                        "a range in a kernel has both ends: 0..n",
                    ));
                };
                let start = Box::new(self.expression(start, Some(of))?);
                let end = Box::new(self.expression(end, Some(of))?);
                Ok(Range {
                    start,
                    end,
                    is_inclusive: matches!(range.limits, syn::RangeLimits::Closed(_)),
                    is_reversed: false,
                    step: None,
                })
            }
            WrittenExpr::MethodCall(call) if call.method == "rev" => {
                let mut range = self.range(&call.receiver, of)?;
                range.is_reversed = !range.is_reversed;
                Ok(range)
            }
            WrittenExpr::MethodCall(call) if call.method == "step_by" && call.args.len() == 1 => {
                let mut range = self.range(&call.receiver, of)?;
                if range.step.is_some() {
                    return Err(error(call.span(), "one step_by is enough for a kernel"));
                }
                let usize = self.types.scalar(crate::types::Scalar::Usize);
                let step = self.expression(&call.args[0], Some(usize))?;
                range.step = Some((Box::new(step), !range.is_reversed));
                Ok(range)
            }
            other => Err(error(
                other.span(),
                "a for in a kernel goes over a range, with .rev() and .step_by(n): for i in 0..a.len() { let x = a[i]; … }",
            )),
        }
    }
}
