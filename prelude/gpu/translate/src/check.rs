//! From syn's tree to ours: names are resolved, types are found, and what no device can do is refused.
//!
//! rustc has seen the same text, so wrong programs do not come here; the question is only which of the right ones can run
//! on a device. Each refusal says what to write instead.
//!
//! * `statements`  functions, blocks, `let`, loops
//! * `expressions` what has a value
//! * `operators`   operators
//! * `calls`       functions, methods, constants of the standard library
//! * `methods`     the methods of numbers
//! * `patterns`    the arms of `match`
//! * `constants`   what is known before anything runs

mod calls;
mod constants;
mod expressions;
pub mod methods;
mod operators;
mod patterns;
mod statements;

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{FnArg, Item, ItemConst, ItemFn, Pat, ReturnType, Type as Written};

use crate::ir::{Error, Function, ParameterKind, Place, Result, Variable, VariableFacts};
use crate::types::{Elements, Id, Scalar, Space, Type, Types};

/// All functions that a kernel needs, in an order in which each comes after those that it calls; the kernel last.
pub fn check(items: &[Item], kernel: &str) -> Result<Vec<Function>> {
    let mut program = Program::default();
    for item in items {
        match item {
            Item::Fn(function) => {
                program
                    .functions
                    .insert(name_of(&function.sig.ident), function);
            }
            Item::Const(constant) => {
                program.constants.insert(name_of(&constant.ident), constant);
            }
            other => {
                return Err(error(
                    other.span(),
                    "a kernel! holds functions and constants only: move this out of it",
                ));
            }
        }
    }
    let Some(function) = program.functions.get(kernel).copied() else {
        return Err(Error {
            place: Place { line: 1, column: 1 },
            text: format!("there is no function `{kernel}` in this kernel!"),
        });
    };
    program.instance(function, &[], true)?;
    Ok(program.instances)
}

/// What a text may name.
#[derive(Default)]
struct Program<'a> {
    functions: BTreeMap<String, &'a ItemFn>,
    constants: BTreeMap<String, &'a ItemConst>,
    instances: Vec<Function>,
    /// The functions that are being checked: each is called by the one before.
    open: Vec<String>,
}

/// A function that is being checked.
struct Checker<'p, 'a> {
    program: &'p mut Program<'a>,
    types: Types,
    variables: Vec<VariableFacts>,
    scopes: Vec<Vec<(String, Variable)>>,
    result: Id,
    loops: Vec<Loop>,
    has_barrier: bool,
    is_kernel: bool,
}

/// A loop around a statement.
struct Loop {
    label: Option<String>,
    /// The type of what `break` gives; only of `loop`.
    value: Option<Id>,
    has_break: bool,
}

fn place(span: Span) -> Place {
    let start = span.start();
    Place {
        line: start.line,
        column: start.column + 1,
    }
}

fn error(span: Span, text: impl Into<String>) -> Error {
    Error {
        place: place(span),
        text: text.into(),
    }
}

/// A name without `r#`.
fn name_of(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// The name of an instance: the function's, and where its slices lie if not all in global memory.
fn instance_name(name: &str, spaces: &[Space]) -> String {
    if spaces.iter().all(|space| *space == Space::Global) {
        return name.to_owned();
    }
    let letters = spaces.iter().map(|space| match space {
        Space::Global => 'g',
        Space::Local => 'l',
    });
    format!("{name}__{}", letters.collect::<String>())
}

impl<'a> Program<'a> {
    /// Checks a function for slices in such spaces, once. Returns its place in the list.
    fn instance(
        &mut self,
        function: &'a ItemFn,
        spaces: &[Space],
        is_kernel: bool,
    ) -> Result<usize> {
        let name = name_of(&function.sig.ident);
        let full = instance_name(&name, spaces);
        if let Some(found) = self.instances.iter().position(|known| known.name == full) {
            return Ok(found);
        }
        if self.open.contains(&name) {
            return Err(error(
                function.sig.ident.span(),
                format!("`{name}` calls itself, and devices have no recursion: write it as a loop"),
            ));
        }
        self.open.push(name);
        let mut checked = check_function(self, function, spaces, is_kernel)?;
        self.open.pop();
        checked.name = full;
        self.instances.push(checked);
        Ok(self.instances.len() - 1)
    }
}

fn check_function<'a>(
    program: &mut Program<'a>,
    function: &'a ItemFn,
    spaces: &[Space],
    is_kernel: bool,
) -> Result<Function> {
    let signature = &function.sig;
    if let Some(generics) = signature.generics.params.first() {
        return Err(error(
            generics.span(),
            "a function in a kernel! has no generic parameters: write one function for each type",
        ));
    }
    let mut types = Types::default();
    let result = match &signature.output {
        ReturnType::Default => types.add(Type::Unit),
        ReturnType::Type(_, written) => {
            let scalar = scalar_of(written).ok_or_else(|| {
                error(
                    written.span(),
                    "a function in a kernel! returns a number, a bool or nothing",
                )
            })?;
            types.scalar(scalar)
        }
    };
    let mut checker = Checker {
        program,
        types,
        variables: Vec::new(),
        scopes: vec![Vec::new()],
        result,
        loops: Vec::new(),
        has_barrier: false,
        is_kernel,
    };
    let mut parameters = Vec::new();
    let mut spaces = spaces.iter();
    for input in &signature.inputs {
        let FnArg::Typed(input) = input else {
            return Err(error(input.span(), "a kernel has no self"));
        };
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(error(
                input.pat.span(),
                "a parameter of a kernel is a name: take it apart in the body",
            ));
        };
        let of = match parameter(&input.ty)? {
            ParameterKind::Scalar(scalar) => checker.types.scalar(scalar),
            ParameterKind::Slice(mut elements) => {
                elements.space = spaces.next().copied().unwrap_or(Space::Global);
                checker.types.add(Type::Slice(elements, None))
            }
        };
        parameters.push(checker.declare(&pattern.ident, of));
    }
    let body = checker.block(&function.block, Some(result))?;
    checker.all_known()?;
    Ok(Function {
        name: String::new(),
        parameters,
        variables: checker.variables,
        types: checker.types,
        result,
        body,
        has_barrier: checker.has_barrier,
        place: place(signature.ident.span()),
    })
}

/// What a parameter's type says.
pub fn parameter(written: &Written) -> Result<ParameterKind> {
    if let Some(scalar) = scalar_of(written) {
        return Ok(ParameterKind::Scalar(scalar));
    }
    let refused = || {
        error(
            written.span(),
            "a parameter is a number, a bool, or a slice: &[f32] to read, &mut [f32] to write, &[Atomic<u32>] to write \
             from several work items",
        )
    };
    let Written::Reference(reference) = written else {
        return Err(refused());
    };
    let Written::Slice(slice) = &*reference.elem else {
        return Err(refused());
    };
    let is_mutable = reference.mutability.is_some();
    let (scalar, is_atomic) = element(&slice.elem).ok_or_else(refused)?;
    Ok(ParameterKind::Slice(Elements {
        scalar,
        is_atomic,
        is_mutable,
        space: Space::Global,
    }))
}

/// What a slice or local memory is made of: a number, or an atomic one.
fn element(written: &Written) -> Option<(Scalar, bool)> {
    if let Some(scalar) = scalar_of(written) {
        return (scalar != Scalar::Bool).then_some((scalar, false));
    }
    let Written::Path(path) = written else {
        return None;
    };
    let last = path.path.segments.last()?;
    if last.ident != "Atomic" {
        return None;
    }
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let Some(syn::GenericArgument::Type(inner)) = arguments.args.first() else {
        return None;
    };
    let scalar = scalar_of(inner)?;
    (scalar.bits() >= 32).then_some((scalar, true))
}

fn scalar_of(written: &Written) -> Option<Scalar> {
    match written {
        Written::Path(path) => Scalar::of(&path.path.get_ident()?.to_string()),
        Written::Paren(inner) => scalar_of(&inner.elem),
        _ => None,
    }
}

impl Checker<'_, '_> {
    fn declare(&mut self, ident: &syn::Ident, of: Id) -> Variable {
        let variable = self.variables.len();
        let name = name_of(ident);
        self.variables.push(VariableFacts {
            name: name.clone(),
            kind: of,
            place: place(ident.span()),
        });
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((name, variable));
        }
        variable
    }

    fn find(&self, name: &str) -> Option<Variable> {
        let mut names = self
            .scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.iter().rev());
        names
            .find(|(known, _)| known == name)
            .map(|(_, variable)| *variable)
    }

    /// Every variable has a type at the end.
    fn all_known(&self) -> Result<()> {
        for variable in &self.variables {
            let mut of = variable.kind;
            while let Type::Array(element, _) = self.types.get(of) {
                of = element;
            }
            if self.types.get(of) == Type::Unknown {
                return Err(Error {
                    place: variable.place,
                    text: format!(
                        "the type of `{0}` is not known: write the type: let {0}: f32 = …",
                        variable.name
                    ),
                });
            }
        }
        Ok(())
    }

    fn unify(&mut self, span: Span, expected: Id, found: Id) -> Result<()> {
        if self.types.unify(expected, found) {
            return Ok(());
        }
        Err(error(
            span,
            format!(
                "{} is expected here, and this is {}: write the types",
                self.types.text(expected),
                self.types.text(found)
            ),
        ))
    }
}
