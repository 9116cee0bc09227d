//! Expressions. One that C can say becomes a text; one that needs statements puts them into lines before it.

use super::{Line, Printer, SiteKind};
use crate::ir::{Binary, Expr, ExprKind, Variable, Work};
use crate::types::{Scalar, Type};

impl Printer<'_> {
    /// The text of an expression, and before it, in lines, what it needs.
    pub(super) fn value(&mut self, expression: &Expr) -> String {
        let of = expression.of;
        match &expression.kind {
            ExprKind::Int(value) => self.number(*value, of),
            ExprKind::Float(double, single) => self.float(*double, *single, of),
            ExprKind::Bool(value) => value.to_string(),
            ExprKind::Variable(variable) => self.variables[*variable].clone(),
            ExprKind::Unary(operator, inner) => self.unary(*operator, inner),
            ExprKind::Binary(Binary::AndThen, left, right) => self.short(left, right, true),
            ExprKind::Binary(Binary::OrElse, left, right) => self.short(left, right, false),
            ExprKind::Binary(operator, left, right) => {
                let texts = self.values(&[left, right]);
                self.operation(*operator, left, right, &texts[0], &texts[1])
            }
            ExprKind::Cast(inner) => {
                let text = self.value(inner);
                self.cast(&text, inner.of, self.scalar(of))
            }
            ExprKind::Index(base, index) => self.element(base, index),
            ExprKind::Length(of) => self.length(of),
            ExprKind::Work(work, dimension) => self.work(*work, *dimension),
            ExprKind::Method(name, operands) => self.method(name, operands),
            ExprKind::Atomic(name, element, operands) => {
                let text = self.atomic(name, element, operands);
                if self.is_unit(expression) {
                    return text;
                }
                // In a line of its own: C takes operands in any order.
                self.spill(self.scalar(of), &text)
            }
            ExprKind::Call(name, arguments) => {
                let text = self.call(name, arguments);
                if self.is_unit(expression) || !self.changes(arguments) {
                    return text;
                }
                self.spill(self.scalar(of), &text)
            }
            ExprKind::If(condition, then, Some(otherwise)) if self.is_inline(expression) => {
                let condition = self.value(condition);
                let (then, otherwise) = (self.value(then), self.value(otherwise));
                format!(
                    "{} ? {} : {}",
                    atom(&condition),
                    atom(&then),
                    atom(&otherwise)
                )
            }
            ExprKind::Block(block) if block.statements.is_empty() => match &block.value {
                Some(value) => self.value(value),
                None => "0".to_owned(),
            },
            _ if self.is_unit(expression) => {
                self.deliver(expression, super::statements::Target::Drop);
                // Of what never has a value nobody asks for it; a compiler wants one.
                "0".to_owned()
            }
            _ => {
                let name = self.names.give("t");
                let scalar = self.scalar(of).name();
                self.push(format!("{scalar} {name};"));
                self.deliver(expression, super::statements::Target::Into(&name));
                name
            }
        }
    }

    /// The texts of several expressions that are evaluated one after the other.
    pub(super) fn values(&mut self, expressions: &[&Expr]) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for (index, expression) in expressions.iter().enumerate() {
            let (text, mut lines) = self.aside(|printer| printer.value(expression));
            if !lines.is_empty() {
                // What came before must not see what these lines do.
                for (earlier, text) in expressions[..index].iter().zip(&mut texts) {
                    let is_plain = matches!(
                        self.function.types.get(earlier.of),
                        Type::Slice(..) | Type::Array(..)
                    );
                    if !is_plain && !is_literal(text) {
                        *text = self.spill(self.scalar(earlier.of), text);
                    }
                }
                self.lines.append(&mut lines);
            }
            texts.push(text);
        }
        texts
    }

    /// A value that is evaluated once, whatever it is used for.
    pub(super) fn once(&mut self, expression: &Expr) -> String {
        let text = self.value(expression);
        match &expression.kind {
            ExprKind::Variable(_) => text,
            _ if is_literal(&text) => text,
            _ => self.spill(self.scalar(expression.of), &text),
        }
    }

    /// Whether an expression is one of C too, without a line before it.
    pub(super) fn is_inline(&self, expression: &Expr) -> bool {
        match &expression.kind {
            ExprKind::Int(_) | ExprKind::Float(..) | ExprKind::Bool(_) => true,
            ExprKind::Variable(_) | ExprKind::Work(..) | ExprKind::Length(_) => true,
            ExprKind::Unary(_, inner) | ExprKind::Cast(inner) => self.is_inline(inner),
            ExprKind::Binary(_, left, right) | ExprKind::Index(left, right) => {
                self.is_inline(left) && self.is_inline(right)
            }
            ExprKind::Method(_, operands) => operands.iter().all(|operand| self.is_inline(operand)),
            ExprKind::Call(_, arguments) => {
                !self.is_unit(expression)
                    && !self.changes(arguments)
                    && arguments.iter().all(|argument| self.is_inline(argument))
            }
            ExprKind::If(condition, then, Some(otherwise)) => {
                !self.is_unit(expression)
                    && !self.is_never(then)
                    && !self.is_never(otherwise)
                    && [condition, then, otherwise]
                        .iter()
                        .all(|part| self.is_inline(part))
            }
            ExprKind::Block(block) => {
                let is_bare = block.statements.is_empty();
                is_bare
                    && block
                        .value
                        .as_deref()
                        .is_some_and(|value| self.is_inline(value))
            }
            _ => false,
        }
    }

    /// Whether a function that takes these may write somewhere.
    fn changes(&self, arguments: &[Expr]) -> bool {
        let mut of = arguments
            .iter()
            .map(|argument| self.function.types.get(argument.of));
        of.any(|of| matches!(of, Type::Slice(elements, _) if elements.is_mutable || elements.is_atomic))
    }

    fn short(&mut self, left: &Expr, right: &Expr, is_and: bool) -> String {
        let left = self.value(left);
        let (right, lines) = self.aside(|printer| {
            printer.indent += 1;
            let right = printer.value(right);
            printer.indent -= 1;
            right
        });
        self.chained(&left, right, lines, is_and)
    }

    /// `left && right`, where the lines are to run only if `right` is asked for.
    pub(super) fn chained(
        &mut self,
        left: &str,
        right: String,
        mut lines: Vec<Line>,
        is_and: bool,
    ) -> String {
        if lines.is_empty() {
            let operator = if is_and { "&&" } else { "||" };
            return format!("{} {operator} {}", atom(left), atom(&right));
        }
        let name = self.spill(Scalar::Bool, left);
        let asked = if is_and {
            name.clone()
        } else {
            format!("!{name}")
        };
        self.braces(&format!("if ({asked})"), |printer| {
            printer.lines.append(&mut lines);
            printer.push(format!("{name} = {right};"));
        });
        name
    }

    fn number(&self, value: i128, of: crate::types::Id) -> String {
        integer(value, self.scalar(of))
    }

    fn float(&mut self, double: f64, single: f32, of: crate::types::Id) -> String {
        let is_single = self.scalar(of) == Scalar::F32;
        let text = if is_single {
            format!("{single:?}f")
        } else {
            format!("{double:?}")
        };
        if double.is_finite() && (!is_single || single.is_finite()) {
            // A sign is an operator in C.
            return if text.starts_with('-') {
                format!("({text})")
            } else {
                text
            };
        }
        if is_single {
            format!(
                "{}({:#x}u)",
                self.helper("fl_f32_from_bits"),
                single.to_bits()
            )
        } else {
            format!(
                "{}({:#x}ul)",
                self.helper("fl_f64_from_bits"),
                double.to_bits()
            )
        }
    }

    /// The variable of a slice, its text and its length.
    pub(super) fn slice(&mut self, base: &Expr) -> Option<(Variable, String, String)> {
        let ExprKind::Variable(variable) = base.kind else {
            return None;
        };
        let length = match self.function.types.get(base.of) {
            Type::Slice(_, Some(length)) => format!("{length}ul"),
            Type::Slice(_, None) => self.lengths.get(&variable)?.clone(),
            _ => return None,
        };
        Some((variable, self.variables[variable].clone(), length))
    }

    /// An element that is read.
    fn element(&mut self, base: &Expr, index: &Expr) -> String {
        if let Type::Slice(elements, length) = self.function.types.get(base.of) {
            let texts = self.values(&[base, index]);
            let Some((variable, name, n)) = self.slice(base) else {
                return "0".to_owned();
            };
            if is_inside(index, length) {
                return format!("{name}[{}]", texts[1]);
            }
            let called = self.function.variables[variable].name.clone();
            let site = self.site(index.place, SiteKind::Index, &called);
            let read = self.helper_at(elements.scalar, elements.space);
            return format!("{read}({name}, {n}, {}, {site}u, fault)", texts[1]);
        }
        self.array_place(base, index)
    }

    /// An element of an array, as C writes it. An index out of range is noted and becomes 0: an array has an element.
    pub(super) fn array_place(&mut self, base: &Expr, index: &Expr) -> String {
        let texts = self.values(&[base, index]);
        self.array_place_at(base, index, &texts[0], &texts[1])
    }

    /// As `array_place`, of what is printed already.
    pub(super) fn array_place_at(
        &mut self,
        base: &Expr,
        index: &Expr,
        array: &str,
        at: &str,
    ) -> String {
        let Type::Array(_, n) = self.function.types.get(base.of) else {
            return "0".to_owned();
        };
        if is_inside(index, Some(n)) {
            return format!("{array}[{at}]");
        }
        let called = self.called(base);
        let site = self.site(index.place, SiteKind::Index, &called);
        let held = self.helper("fl_held");
        format!("{array}[{held}({at}, {n}ul, {site}u, fault)]")
    }

    fn called(&self, base: &Expr) -> String {
        match &base.kind {
            ExprKind::Variable(variable) => self.function.variables[*variable].name.clone(),
            ExprKind::Index(base, _) => format!("{}[…]", self.called(base)),
            _ => String::new(),
        }
    }

    fn length(&mut self, of: &Expr) -> String {
        if let Some((_, _, length)) = self.slice(of) {
            return length;
        }
        match self.function.types.get(of.of) {
            Type::Array(_, n) => format!("{n}ul"),
            _ => "0ul".to_owned(),
        }
    }

    fn work(&mut self, work: Work, dimension: u8) -> String {
        let d = usize::from(dimension);
        let axis = ["x", "y", "z"][d];
        let is_cuda = self.shared.dialect.is_cuda();
        let (cuda, opencl) = match work {
            Work::GlobalId => return self.shared.dialect.global_id(d),
            Work::GlobalSize => {
                self.needs_sizes = true;
                return format!("size_{d}");
            }
            Work::LocalId => ("threadIdx", "get_local_id"),
            Work::GroupId => ("blockIdx", "get_group_id"),
            Work::LocalSize => ("blockDim", "get_local_size"),
            Work::Groups => ("gridDim", "get_num_groups"),
        };
        if is_cuda {
            format!("(usize){cuda}.{axis}")
        } else {
            format!("{opencl}({d})")
        }
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) -> String {
        let texts = self.values(&arguments.iter().collect::<Vec<_>>());
        let mut all = Vec::new();
        for (argument, text) in arguments.iter().zip(texts) {
            match self.slice(argument) {
                Some((_, name, length)) => all.extend([name, length]),
                None => all.push(text),
            }
        }
        if self.shared.signatures.get(name) == Some(&true) {
            self.needs_sizes = true;
            all.extend((0..3).map(|d| format!("size_{d}")));
        }
        all.push("fault".to_owned());
        format!("fn_{name}({})", all.join(", "))
    }
}

/// Whether an index is a number below the length.
pub fn is_inside(index: &Expr, length: Option<u64>) -> bool {
    let length = length.map(i128::from);
    matches!((&index.kind, length), (ExprKind::Int(value), Some(length)) if *value < length)
}

/// An integer of a type, as C writes it.
pub fn integer(value: i128, scalar: Scalar) -> String {
    if scalar.is_float() {
        let suffix = if scalar == Scalar::F32 { "f" } else { "" };
        return format!("{value}.0{suffix}");
    }
    let suffix = match scalar {
        Scalar::U32 => "u",
        Scalar::U64 | Scalar::Usize => "ul",
        Scalar::I64 | Scalar::Isize => "L",
        _ => "",
    };
    // C has no negative literals, and the least number has no positive one.
    if scalar.is_signed() && value == scalar.range().0 {
        return format!("({}{suffix} - 1)", value + 1);
    }
    if value < 0 {
        format!("({value}{suffix})")
    } else {
        format!("{value}{suffix}")
    }
}

/// An integer whose type does not matter, for a comparison.
pub fn any_integer(value: i128) -> String {
    let scalar = match value {
        _ if value < i128::from(i32::MIN) => Scalar::I64,
        _ if value <= i128::from(i32::MAX) => Scalar::I32,
        _ if value <= i128::from(i64::MAX) => Scalar::I64,
        _ => Scalar::U64,
    };
    integer(value, scalar)
}

pub fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub fn is_literal(text: &str) -> bool {
    let is_number = text.starts_with(|first: char| first.is_ascii_digit());
    (is_number
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'))
        || matches!(text, "true" | "false")
}

/// A text that may stand beside any operator: with braces, unless it is a name, a call or the like.
pub fn atom(text: &str) -> String {
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ if depth > 0 || letter.is_ascii_alphanumeric() || "_.".contains(letter) => {}
            _ => return format!("({text})"),
        }
    }
    text.to_owned()
}
