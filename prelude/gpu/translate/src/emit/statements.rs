//! Blocks, `let`, `if`, `match`: what stands in lines of its own.

use super::values::any_integer;
use super::{Line, Printer};
use crate::ir::{Arm, Block, Expr, ExprKind, Pattern, Statement, StatementKind};
use crate::types::Type;

/// Where a value goes.
#[derive(Clone, Copy)]
pub enum Target<'t> {
    /// Nowhere.
    Drop,
    /// Into a variable that is declared already.
    Into(&'t str),
    /// It is what the function returns.
    Return,
}

impl Printer<'_> {
    pub(super) fn function_body(&mut self, has_result: bool) {
        let body = &self.function.body;
        let target = if has_result {
            Target::Return
        } else {
            Target::Drop
        };
        self.block(body, target);
    }

    /// A block's lines, without braces: no name occurs twice in a function.
    pub(super) fn block(&mut self, block: &Block, target: Target) {
        for statement in &block.statements {
            self.source = statement.place.line;
            self.statement(statement);
        }
        if let Some(value) = &block.value {
            self.source = value.place.line;
            self.deliver(value, target);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Expr(expression) => self.deliver(expression, Target::Drop),
            StatementKind::Let(variable, value) => self.binding(*variable, value.as_ref()),
            StatementKind::Local(variable, elements, length) => {
                let name = self.names.give(&self.function.variables[*variable].name);
                let space = if self.shared.dialect.is_cuda() {
                    "__shared__"
                } else {
                    "__local"
                };
                let line = format!("{space} {} {name}[{length}];", elements.scalar.name());
                self.top.push(Line::new(1, line, self.source));
                self.shared.local_bytes += length * u64::from(elements.scalar.bits() / 8);
                self.variables[*variable] = name;
            }
        }
    }

    fn binding(&mut self, variable: usize, value: Option<&Expr>) {
        let facts = &self.function.variables[variable];
        if let Type::Array(..) = self.function.types.get(facts.kind) {
            let mut of = facts.kind;
            let mut lengths = String::new();
            while let Type::Array(element, n) = self.function.types.get(of) {
                lengths.push_str(&format!("[{n}]"));
                of = element;
            }
            let scalar = self.scalar(of).name();
            let name = self.names.give(&facts.name);
            self.variables[variable] = name.clone();
            match value {
                Some(value) if is_zero(value) => {
                    self.push(format!("{scalar} {name}{lengths} = {{0}};"))
                }
                Some(value) => {
                    self.push(format!("{scalar} {name}{lengths};"));
                    self.fill(&name, value);
                }
                None => self.push(format!("{scalar} {name}{lengths};")),
            }
            return;
        }
        if let Some(value) = value
            && self.is_unit(value)
        {
            self.deliver(value, Target::Drop);
            return;
        }
        let scalar = self.scalar(facts.kind).name();
        let Some(value) = value else {
            let name = self.names.give(&facts.name);
            self.push(format!("{scalar} {name};"));
            self.variables[variable] = name;
            return;
        };
        // The name is given after the value is printed: `let x = x + 1.0`.
        if self.is_inline(value) || !is_branched(value) {
            let text = self.value(value);
            let name = self.names.give(&facts.name);
            self.push(format!("{scalar} {name} = {text};"));
            self.variables[variable] = name;
        } else {
            let name = self.names.give(&facts.name);
            self.push(format!("{scalar} {name};"));
            self.deliver(value, Target::Into(&name));
            self.variables[variable] = name;
        }
    }

    /// Gives an array its elements.
    fn fill(&mut self, place: &str, value: &Expr) {
        match &value.kind {
            ExprKind::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.fill(&format!("{place}[{index}]"), value);
                }
            }
            ExprKind::Repeat(value, n) => {
                let is_array = matches!(value.kind, ExprKind::Array(_) | ExprKind::Repeat(..));
                let text = match is_array {
                    true => String::new(),
                    false => self.once(value),
                };
                let index = self.names.give("t");
                let head = format!("for (u32 {index} = 0; {index} < {n}; ++{index})");
                let place = format!("{place}[{index}]");
                self.braces(&head, |printer| match is_array {
                    true => printer.fill(&place, value),
                    false => printer.push(format!("{place} = {text};")),
                });
            }
            _ => {
                let text = self.value(value);
                self.push(format!("{place} = {text};"));
            }
        }
    }

    /// Prints an expression whose value goes to the target.
    pub(super) fn deliver(&mut self, expression: &Expr, target: Target) {
        match &expression.kind {
            ExprKind::If(condition, then, otherwise)
                if matches!(target, Target::Drop) || !self.is_inline(expression) =>
            {
                let condition = self.value(condition);
                self.braces(&format!("if ({condition})"), |printer| {
                    printer.deliver(then, target)
                });
                if let Some(otherwise) = otherwise {
                    self.otherwise(|printer| printer.deliver(otherwise, target));
                }
            }
            ExprKind::Match(subject, arms) => {
                let scalar = self.scalar(subject.of);
                let subject = self.value(subject);
                let subject = self.spill(scalar, &subject);
                self.arms(&subject, arms, target);
            }
            ExprKind::Block(block) => self.block(block, target),
            ExprKind::While(label, condition, body) => {
                self.while_loop(label.as_deref(), condition.as_deref(), body, target);
            }
            ExprKind::For(label, variable, range, body) => {
                self.for_loop(label.as_deref(), *variable, range, body);
            }
            ExprKind::Break(label, value) => self.break_loop(label.as_deref(), value.as_deref()),
            ExprKind::Continue(label) => self.continue_loop(label.as_deref()),
            ExprKind::Return(value) => match value {
                Some(value) if !self.is_unit(value) => {
                    let value = self.value(value);
                    self.push(format!("return {value};"));
                }
                Some(value) => {
                    self.deliver(value, Target::Drop);
                    self.push("return;");
                }
                None => self.push("return;"),
            },
            ExprKind::Assign(place, value) => self.assign(place, value),
            ExprKind::AssignWith(operator, place, value) => {
                self.assign_with(*operator, place, value)
            }
            ExprKind::Barrier => {
                let barrier = match self.shared.dialect.is_cuda() {
                    true => "__syncthreads();",
                    false => "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);",
                };
                self.push(barrier);
            }
            ExprKind::Unit => {}
            _ if self.is_unit(expression) => {
                let text = self.value(expression);
                self.push(format!("{text};"));
            }
            _ => {
                let text = self.value(expression);
                match target {
                    Target::Into(name) => self.push(format!("{name} = {text};")),
                    Target::Return => self.push(format!("return {text};")),
                    // What is only called for its effect has been called; see `value`.
                    Target::Drop if super::values::is_name(&text) => {}
                    Target::Drop => self.push(format!("(void)({text});")),
                }
            }
        }
    }

    /// `else`, joined with an `if` that is all that follows.
    fn otherwise(&mut self, print: impl FnOnce(&mut Self)) {
        let ((), mut lines) = self.aside(|printer| {
            printer.indent += 1;
            print(printer);
            printer.indent -= 1;
        });
        let indent = self.indent;
        let is_chain = lines
            .first()
            .is_some_and(|line| line.text.starts_with("if ("))
            && lines[1..]
                .iter()
                .all(|line| line.indent > indent + 1 || line.text.starts_with('}'));
        if lines.is_empty() {
            return;
        }
        // The brace of the `if` before.
        self.lines.pop();
        if is_chain {
            for line in &mut lines {
                line.indent -= 1;
            }
            lines[0].text.insert_str(0, "} else ");
            self.lines.append(&mut lines);
        } else {
            self.push("} else {");
            self.lines.append(&mut lines);
            self.push("}");
        }
    }

    fn arms(&mut self, subject: &str, arms: &[Arm], target: Target) {
        let Some((arm, rest)) = arms.split_first() else {
            return;
        };
        bind(&arm.pattern, |variable| {
            self.variables[variable] = subject.to_owned()
        });
        let condition = test(&arm.pattern, subject);
        let condition = match (condition, &arm.guard) {
            (condition, None) => condition,
            (None, Some(guard)) => Some(self.value(guard)),
            (Some(condition), Some(guard)) => {
                let (guard, lines) = self.aside(|printer| printer.value(guard));
                Some(self.chained(&condition, guard, lines, true))
            }
        };
        match condition {
            // The last arm of a match is taken if no other is: rustc has seen that they are complete.
            Some(condition) if !rest.is_empty() || arm.guard.is_some() => {
                self.braces(&format!("if ({condition})"), |printer| {
                    printer.deliver(&arm.value, target);
                });
                self.otherwise(|printer| printer.arms(subject, rest, target));
            }
            _ => self.deliver(&arm.value, target),
        }
    }
}

fn bind(pattern: &Pattern, mut name: impl FnMut(usize)) {
    if let Pattern::Bind(variable) = pattern {
        name(*variable);
    }
}

/// The condition under which a pattern fits; none if it always does.
fn test(pattern: &Pattern, subject: &str) -> Option<String> {
    let least = |bound: i128| format!("{subject} >= {}", any_integer(bound));
    let most = |bound: i128| format!("{subject} <= {}", any_integer(bound));
    match pattern {
        Pattern::Any | Pattern::Bind(_) | Pattern::Between(None, None) => None,
        Pattern::Between(Some(a), Some(b)) if a == b => {
            Some(format!("{subject} == {}", any_integer(*a)))
        }
        Pattern::Between(Some(a), Some(b)) => Some(format!("({} && {})", least(*a), most(*b))),
        Pattern::Between(Some(a), None) => Some(least(*a)),
        Pattern::Between(None, Some(b)) => Some(most(*b)),
        Pattern::Either(cases) => {
            let tests: Option<Vec<_>> = cases.iter().map(|case| test(case, subject)).collect();
            Some(tests?.join(" || "))
        }
    }
}

/// Whether a value is made of statements, not of one expression.
fn is_branched(value: &Expr) -> bool {
    matches!(
        value.kind,
        ExprKind::If(..) | ExprKind::Match(..) | ExprKind::Block(_) | ExprKind::While(..)
    )
}

fn is_zero(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Int(value) => *value == 0,
        ExprKind::Float(value, _) => value.to_bits() == 0,
        ExprKind::Bool(value) => !value,
        ExprKind::Repeat(value, _) => is_zero(value),
        ExprKind::Array(values) => values.iter().all(is_zero),
        _ => false,
    }
}
