//! Functions of the same `kernel!`, of the device, methods, and constants of the standard library.

use syn::spanned::Spanned;
use syn::{Expr as Written, ExprCall, ExprMethodCall, ExprPath, FnArg};

use super::methods::{ATOMIC, Of, alike, method};
use super::{Checker, constants, error, instance_name, name_of, parameter, place, scalar_of};
use crate::ir::{Expr, ExprKind, ParameterKind, Result, Work};
use crate::types::{Id, Scalar, Space, Type};

/// The names of a path, outermost first.
fn names_of(path: &ExprPath) -> Vec<String> {
    let segments = path.path.segments.iter();
    segments.map(|segment| name_of(&segment.ident)).collect()
}

impl Checker<'_, '_> {
    pub(super) fn path(&mut self, path: &ExprPath) -> Result<Expr> {
        let names = names_of(path);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let span = path.span();
        if let [name] = names.as_slice() {
            if let Some(variable) = self.find(name) {
                let of = self.variables[variable].kind;
                return Ok(self.made(span, ExprKind::Variable(variable), of));
            }
            if let Some(constant) = self.constant(name, span) {
                return constant;
            }
        }
        match constants::standard(&names) {
            Some((constants::Number::Int(value), scalar)) => {
                let of = self.types.scalar(scalar);
                Ok(self.made(span, ExprKind::Int(value), of))
            }
            Some((constants::Number::Float(value), scalar)) => {
                let of = self.types.scalar(scalar);
                Ok(self.made(span, ExprKind::Float(value, value as f32), of))
            }
            None => Err(error(
                span,
                format!(
                    "`{}` is not known in a kernel: make it a parameter, or a const inside of kernel!",
                    names.join("::")
                ),
            )),
        }
    }

    fn made(&mut self, span: proc_macro2::Span, kind: ExprKind, of: Id) -> Expr {
        Expr {
            place: place(span),
            kind,
            of,
        }
    }

    pub(super) fn macro_call(&mut self, call: &syn::Macro) -> Result<Expr> {
        let name = call
            .path
            .segments
            .last()
            .map(|segment| name_of(&segment.ident))
            .unwrap_or_default();
        let text = match name.as_str() {
            "local" => {
                "local memory gets a name at once: let tile = local!([f32; 256]);".to_owned()
            }
            "println" | "print" | "eprintln" | "eprint" | "dbg" => {
                "a device cannot print: write the number into a slice and look at it afterwards"
                    .to_owned()
            }
            "vec" => "a device has no memory to give: use an array, [0.0_f32; 16], or a parameter"
                .to_owned(),
            "panic" | "assert" | "assert_eq" | "unreachable" => {
                "a device cannot panic: write a mark into a slice and look at it afterwards"
                    .to_owned()
            }
            name => format!("the macro `{name}!` is not supported in a kernel"),
        };
        Err(error(call.span(), text))
    }

    pub(super) fn call(&mut self, call: &ExprCall) -> Result<Expr> {
        let span = call.span();
        let Written::Path(path) = &*call.func else {
            return Err(error(span, "a kernel calls functions by their names only"));
        };
        let names = names_of(path);
        match names.as_slice() {
            [name] if self.program.functions.contains_key(name) => self.own_call(name, call),
            [name] => match work(name) {
                Some(work) => self.work(work, call),
                None if name == "barrier" && call.args.is_empty() => {
                    self.has_barrier = true;
                    Ok(self.unit(span, ExprKind::Barrier))
                }
                None => Err(unknown_call(call, name)),
            },
            [.., of, name] if Scalar::of(of).is_some() => {
                let scalar = Scalar::of(of).unwrap_or(Scalar::F32);
                self.associated(scalar, name, call)
            }
            _ => Err(unknown_call(call, &names.join("::"))),
        }
    }

    /// `f32::max(a, b)`, `u64::from(x)`, `f32::from_bits(x)`.
    fn associated(&mut self, scalar: Scalar, name: &str, call: &ExprCall) -> Result<Expr> {
        let of = self.types.scalar(scalar);
        let arguments: Vec<&Written> = call.args.iter().collect();
        match (name, arguments.as_slice()) {
            ("from", [value]) => {
                let value = Box::new(self.expression(value, None)?);
                Ok(self.made(call.span(), ExprKind::Cast(value), of))
            }
            ("from_bits", [value]) if scalar.is_float() => {
                let bits = if scalar == Scalar::F32 {
                    Scalar::U32
                } else {
                    Scalar::U64
                };
                let bits = self.types.scalar(bits);
                let value = self.expression(value, Some(bits))?;
                Ok(self.made(call.span(), ExprKind::Method("from_bits", vec![value]), of))
            }
            (name, [receiver, rest @ ..]) => {
                let receiver = self.expression(receiver, Some(of))?;
                self.method_of(scalar, receiver, name, rest, call.span())
            }
            _ => Err(unknown_call(call, &format!("{}::{name}", scalar.name()))),
        }
    }

    fn work(&mut self, work: Work, call: &ExprCall) -> Result<Expr> {
        let form = "the dimension is a number: 0, 1 or 2";
        let [dimension] = call.args.iter().collect::<Vec<_>>()[..] else {
            return Err(error(call.span(), form));
        };
        let usize = self.types.scalar(Scalar::Usize);
        let checked = self.expression(dimension, Some(usize))?;
        match constants::value(&checked) {
            Some(value @ 0..=2) => {
                Ok(self.made(call.span(), ExprKind::Work(work, value as u8), usize))
            }
            _ => Err(error(dimension.span(), form)),
        }
    }

    fn own_call(&mut self, name: &str, call: &ExprCall) -> Result<Expr> {
        let function = self.program.functions[name];
        let mut arguments = Vec::new();
        let mut spaces: Vec<Space> = Vec::new();
        if function.sig.inputs.len() != call.args.len() {
            return Err(error(
                call.span(),
                format!("`{name}` takes {} arguments", function.sig.inputs.len()),
            ));
        }
        for (input, argument) in function.sig.inputs.iter().zip(&call.args) {
            let FnArg::Typed(input) = input else {
                return Err(error(input.span(), "a kernel has no self"));
            };
            match parameter(&input.ty)? {
                ParameterKind::Scalar(scalar) => {
                    let of = self.types.scalar(scalar);
                    arguments.push(self.expression(argument, Some(of))?);
                }
                ParameterKind::Slice(_) => {
                    let checked = self.expression(argument, None)?;
                    let Type::Slice(elements, _) = self.types.get(checked.of) else {
                        return Err(error(
                            argument.span(),
                            "a slice parameter takes a slice of the kernel or local memory, not an array",
                        ));
                    };
                    spaces.push(elements.space);
                    arguments.push(checked);
                }
            }
        }
        if self.program.open.iter().any(|open| open == name) {
            return Err(error(
                call.span(),
                format!("`{name}` calls itself, and devices have no recursion: write it as a loop"),
            ));
        }
        let index = self.program.instance(function, &spaces, false)?;
        self.has_barrier |= self.program.instances[index].has_barrier;
        let of = match &function.sig.output {
            syn::ReturnType::Type(_, written) => {
                let scalar = scalar_of(written).unwrap_or(Scalar::F32);
                self.types.scalar(scalar)
            }
            syn::ReturnType::Default => self.types.add(Type::Unit),
        };
        Ok(self.made(
            call.span(),
            ExprKind::Call(instance_name(name, &spaces), arguments),
            of,
        ))
    }

    pub(super) fn method_call(&mut self, call: &ExprMethodCall) -> Result<Expr> {
        let name = name_of(&call.method);
        let receiver = self.expression(&call.receiver, None)?;
        let arguments: Vec<&Written> = call.args.iter().collect();
        let at = call.method.span();
        if let ExprKind::Index(base, _) = &receiver.kind
            && let Type::Slice(elements, _) = self.types.get(base.of)
            && elements.is_atomic
        {
            return self.atomic(elements.scalar, receiver, &name, &arguments, at);
        }
        match self.types.get(receiver.of) {
            Type::Slice(..) | Type::Array(..) if name == "len" && arguments.is_empty() => {
                let usize = self.types.scalar(Scalar::Usize);
                Ok(self.made(call.span(), ExprKind::Length(Box::new(receiver)), usize))
            }
            Type::Slice(..) | Type::Array(..) => Err(error(
                at,
                format!(
                    "the method `{name}` of slices is not supported in a kernel: there are len() and a[i], in loops \
                     for i in 0..a.len()"
                ),
            )),
            Type::Scalar(scalar) => self.method_of(scalar, receiver, &name, &arguments, at),
            _ => Err(error(
                at,
                format!(
                    "the type of what `{name}` is called on is not known here: write the type: let x: f32 = …, or 2.0_f32"
                ),
            )),
        }
    }

    fn method_of(
        &mut self,
        scalar: Scalar,
        receiver: Expr,
        name: &str,
        arguments: &[&Written],
        span: proc_macro2::Span,
    ) -> Result<Expr> {
        let found = method(scalar, name).filter(|(_, of, _)| of.len() == arguments.len());
        let Some((name, operands, result)) = found else {
            let hint = match alike(scalar, name) {
                Some(other) if other != name => format!("; there is `{other}`"),
                _ => String::new(),
            };
            return Err(error(
                span,
                format!(
                    "the method `{name}` of {} is not supported in a kernel{hint}",
                    scalar.name()
                ),
            ));
        };
        let mut all = vec![receiver];
        for (operand, written) in operands.iter().zip(arguments) {
            let of = self.types.scalar(which(*operand, scalar));
            all.push(self.expression(written, Some(of))?);
        }
        let of = self.types.scalar(which(*result, scalar));
        Ok(self.made(span, ExprKind::Method(name, all), of))
    }

    fn atomic(
        &mut self,
        scalar: Scalar,
        element: Expr,
        name: &str,
        arguments: &[&Written],
        span: proc_macro2::Span,
    ) -> Result<Expr> {
        let found = ATOMIC
            .iter()
            .find(|(known, n)| *known == name && *n == arguments.len());
        let is_bitwise = matches!(name, "fetch_and" | "fetch_or" | "fetch_xor");
        let Some((name, _)) = found.filter(|_| scalar.is_int() || !is_bitwise) else {
            let names: Vec<_> = ATOMIC.iter().map(|(name, _)| *name).collect();
            return Err(error(
                span,
                format!(
                    "atomic numbers have no method `{name}` in a kernel: there are {}",
                    names.join(", ")
                ),
            ));
        };
        let of = self.types.scalar(scalar);
        let operands = arguments
            .iter()
            .map(|written| self.expression(written, Some(of)));
        let operands = operands.collect::<Result<_>>()?;
        let of = if *name == "store" {
            self.types.add(Type::Unit)
        } else {
            of
        };
        Ok(self.made(
            span,
            ExprKind::Atomic(name, Box::new(element), operands),
            of,
        ))
    }
}

fn which(of: Of, own: Scalar) -> Scalar {
    match of {
        Of::Own => own,
        Of::Is(scalar) => scalar,
        Of::Unsigned if own == Scalar::F32 => Scalar::U32,
        Of::Unsigned if own == Scalar::F64 => Scalar::U64,
        Of::Unsigned => own.unsigned(),
    }
}

fn work(name: &str) -> Option<Work> {
    Some(match name {
        "global_id" => Work::GlobalId,
        "local_id" => Work::LocalId,
        "group_id" => Work::GroupId,
        "global_size" => Work::GlobalSize,
        "local_size" => Work::LocalSize,
        "n_groups" => Work::Groups,
        _ => return None,
    })
}

fn unknown_call(call: &ExprCall, name: &str) -> crate::ir::Error {
    let first = name.split("::").next().unwrap_or_default();
    let text = match first {
        "Vec" | "Box" | "String" | "HashMap" | "Rc" | "Arc" => {
            format!(
                "`{name}` is not supported in a kernel: a device has no memory to give. Use an array, [0.0_f32; 16], or \
                 a parameter"
            )
        }
        _ => format!(
            "`{name}` is not known in a kernel: write it as a fn inside of the same kernel!"
        ),
    };
    crate::ir::Error {
        place: place(call.span()),
        text,
    }
}
