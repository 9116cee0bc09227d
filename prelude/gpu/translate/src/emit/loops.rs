//! Loops. A `continue` of C goes to the loop's head, so all that a turn ends with stands there.

use super::statements::Target;
use super::{Line, Printer, SiteKind};
use crate::ir::{Block, Expr, ExprKind, Range};
use crate::types::Scalar;

/// A loop around what is printed.
pub struct Open {
    label: Option<String>,
    /// The marks that a `break` and a `continue` of an inner loop jump to, and whether one does.
    end: String,
    next: String,
    is_end_used: bool,
    is_next_used: bool,
    /// Where the value of a `break` goes; none for nowhere.
    result: Option<String>,
}

impl Printer<'_> {
    fn open_loop(&mut self, label: Option<&str>, result: Option<String>) {
        let end = self.names.give(&format!("{}_end", label.unwrap_or("loop")));
        let next = self
            .names
            .give(&format!("{}_next", label.unwrap_or("loop")));
        self.loops.push(Open {
            label: label.map(str::to_owned),
            end,
            next,
            is_end_used: false,
            is_next_used: false,
            result,
        });
    }

    /// A loop: its head, what stands before its body in each turn, its body.
    fn looped(&mut self, head: &str, before: Vec<Line>, body: &Block) {
        self.push(format!("{head} {{"));
        self.lines.extend(before);
        self.indent += 1;
        let ((), mut lines) = self.aside(|printer| printer.block(body, Target::Drop));
        let Some(closed) = self.loops.pop() else {
            return;
        };
        if closed.is_next_used {
            // Braces, because C++ lets no jump pass a declaration.
            self.push("{");
            for line in &mut lines {
                line.indent += 1;
            }
            self.lines.append(&mut lines);
            self.push("}");
            self.push(format!("{}: ;", closed.next));
        } else {
            self.lines.append(&mut lines);
        }
        self.indent -= 1;
        self.push("}");
        if closed.is_end_used {
            self.push(format!("{}: ;", closed.end));
        }
    }

    pub(super) fn while_loop(
        &mut self,
        label: Option<&str>,
        condition: Option<&Expr>,
        body: &Block,
        target: Target,
    ) {
        // A jump to the end of an outer loop passes what is declared behind the inner one, in C++ an error: braces.
        let result = match target {
            Target::Into(name) => Some(name.to_owned()),
            Target::Drop => None,
            Target::Return => {
                let result = self.function.types.final_scalar(self.function.result);
                result.filter(|_| condition.is_none()).map(|scalar| {
                    let name = self.names.give("t");
                    self.push(format!("{} {name};", scalar.name()));
                    name
                })
            }
        };
        let is_returned = matches!(target, Target::Return)
            .then(|| result.clone())
            .flatten();
        self.open_loop(label, result);
        let mut head = "while (true)".to_owned();
        let mut before = Vec::new();
        if let Some(condition) = condition {
            self.indent += 1;
            let (text, lines) = self.aside(|printer| printer.value(condition));
            if lines.is_empty() {
                head = format!("while ({text})");
            } else {
                before = lines;
                let stop = format!("if (!{}) break;", super::values::atom(&text));
                before.push(Line::new(self.indent, stop, self.source));
            }
            self.indent -= 1;
        }
        self.looped(&head, before, body);
        if let Some(name) = is_returned {
            self.push(format!("return {name};"));
        }
    }

    pub(super) fn break_loop(&mut self, label: Option<&str>, value: Option<&Expr>) {
        let innermost = self.loops.len().wrapping_sub(1);
        let Some(position) = self.position(label) else {
            return;
        };
        if let Some(value) = value {
            match self.loops[position].result.clone() {
                Some(name) => self.deliver(value, Target::Into(&name)),
                None => self.deliver(value, Target::Drop),
            }
        }
        if position == innermost {
            self.push("break;");
        } else {
            self.loops[position].is_end_used = true;
            let mark = self.loops[position].end.clone();
            self.push(format!("goto {mark};"));
        }
    }

    pub(super) fn continue_loop(&mut self, label: Option<&str>) {
        let Some(position) = self.position(label) else {
            return;
        };
        if position + 1 == self.loops.len() {
            self.push("continue;");
        } else {
            self.loops[position].is_next_used = true;
            let mark = self.loops[position].next.clone();
            self.push(format!("goto {mark};"));
        }
    }

    fn position(&self, label: Option<&str>) -> Option<usize> {
        let known = |open: &Open| label.is_none() || open.label.as_deref() == label;
        self.loops.iter().rposition(known)
    }

    pub(super) fn for_loop(
        &mut self,
        label: Option<&str>,
        variable: usize,
        range: &Range,
        body: &Block,
    ) {
        let scalar = self.scalar(self.function.variables[variable].kind);
        let of = scalar.name();
        let mut ends = vec![&*range.start, &*range.end];
        if let Some((step, _)) = &range.step {
            ends.push(step);
        }
        let ends_text = self.values(&ends);
        let (start, end) = (ends_text[0].clone(), ends_text[1].clone());
        let wanted = &self.function.variables[variable].name;
        let name = self.names.give(wanted);
        self.variables[variable] = name.clone();
        let mut before = Vec::new();
        let head = if let Some((step, is_first)) = &range.step {
            let count = self.count(range, scalar, &start, &end, &ends_text[2], step);
            let turn = self.names.give("turn");
            let (first, sign, last_first) = match (range.is_reversed, is_first) {
                (false, _) => (count.start, '+', false),
                // .step_by(n).rev(): the same elements, from the last on.
                (true, true) => (count.start, '+', true),
                (true, false) => (count.last, '-', false),
            };
            let order = if last_first {
                format!("({} - 1 - {turn})", count.turns)
            } else {
                turn.clone()
            };
            let offset = format!("({of})({order} * {})", count.step);
            let unsigned = scalar.unsigned().name();
            let text =
                format!("{of} {name} = ({of})(({unsigned}){first} {sign} ({unsigned}){offset});");
            before.push(Line::new(self.indent + 1, text, self.source));
            format!("for (u64 {turn} = 0; {turn} < {}; ++{turn})", count.turns)
        } else {
            let is_fixed = self.lengths.values().any(|length| *length == end);
            let end_text = if is_fixed || super::values::is_literal(&end) {
                end
            } else {
                let end_name = self.names.give(&format!("{name}_end"));
                self.push(format!("const {of} {end_name} = {end};"));
                end_name
            };
            let start = super::values::atom(&start);
            match (range.is_inclusive, range.is_reversed) {
                (false, false) => {
                    format!("for ({of} {name} = {start}; {name} < {end_text}; ++{name})")
                }
                (true, false) => {
                    let more = self.names.give("more");
                    let first = self.spill(scalar, &start);
                    self.push(format!("bool {more} = {first} <= {end_text};"));
                    format!(
                        "for ({of} {name} = {first}; {more}; {more} = {name} < {end_text}, {name} += {more})"
                    )
                }
                (is_inclusive, true) => {
                    let least = self.spill(scalar, &start);
                    let down = self.names.give("down");
                    if is_inclusive {
                        let more = self.names.give("more");
                        self.push(format!("bool {more} = {least} <= {end_text};"));
                        let text = format!("const {of} {name} = {down};");
                        before.push(Line::new(self.indent + 1, text, self.source));
                        format!(
                            "for ({of} {down} = {end_text}; {more}; {more} = {down} > {least}, {down} -= {more})"
                        )
                    } else {
                        let text = format!("const {of} {name} = {down} - 1;");
                        before.push(Line::new(self.indent + 1, text, self.source));
                        format!("for ({of} {down} = {end_text}; {down} > {least}; --{down})")
                    }
                }
            }
        };
        self.open_loop(label, None);
        self.looped(&head, before, body);
    }

    /// How often a loop with a step turns.
    fn count(
        &mut self,
        range: &Range,
        scalar: Scalar,
        start: &str,
        end: &str,
        step: &str,
        written: &Expr,
    ) -> Count {
        let start = self.spill(scalar, start);
        let end = self.spill(scalar, end);
        let step = match &written.kind {
            ExprKind::Int(value) if *value > 0 => format!("{value}"),
            _ => {
                let site = self.site(written.place, SiteKind::Step, "");
                let step = super::values::atom(step);
                let some = self.helper("fl_step");
                self.spill(Scalar::U64, &format!("{some}({step}, {site}u, fault)"))
            }
        };
        let turns = self.names.give("turns");
        let unsigned = scalar.unsigned().name();
        let (less, one) = if range.is_inclusive {
            ("<=", "")
        } else {
            ("<", " - 1")
        };
        let last = if range.is_inclusive {
            end.clone()
        } else {
            format!("({end} - 1)")
        };
        self.push(format!(
            "u64 {turns} = {start} {less} {end} ? (u64)(({unsigned}){end} - ({unsigned}){start}{one}) / {step} + 1 : 0;"
        ));
        Count {
            start,
            last,
            turns,
            step,
        }
    }
}

struct Count {
    start: String,
    last: String,
    turns: String,
    step: String,
}
