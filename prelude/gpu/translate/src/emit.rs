//! From our tree to the text: one text in the common part of OpenCL C and CUDA C, with the types' Rust names.
//!
//! What C leaves open is written so that it means what it means in Rust: signed arithmetic wraps, shifts are masked, casts
//! saturate, operands are taken from left to right. What would panic in Rust is noted in the buffer `fault`, and the
//! work item goes on with 0: an index out of range, a division by 0.
//!
//! * `statements` blocks, `let`, `if`, `match`
//! * `loops`      `for`, `while`, `loop`
//! * `values`     expressions
//! * `operators`  arithmetic and casts
//! * `methods`    methods of numbers
//! * `atomics`    atomic operations
//! * `helpers`    functions that the text brings along, if it needs them
//! * `names`      names of variables

mod atomics;
mod helpers;
mod loops;
mod methods;
mod names;
mod operators;
mod statements;
mod values;

use std::collections::HashMap;

use crate::Dialect;
use crate::ir::{Expr, Function, Place, Variable};
use crate::types::{Id, Scalar, Space, Type};
use helpers::Helpers;
use names::Names;

/// What may go wrong at a place of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub place: Place,
    pub kind: SiteKind,
    /// The slice, as the user calls it.
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// An index is not below the length.
    Index,
    /// A division by 0.
    Division,
    /// The least integer, divided by -1.
    Overflow,
    /// `step_by(0)`.
    Step,
}

impl SiteKind {
    pub fn name(self) -> &'static str {
        match self {
            SiteKind::Index => "index",
            SiteKind::Division => "division",
            SiteKind::Overflow => "overflow",
            SiteKind::Step => "step",
        }
    }
}

/// A kernel's text and what its host must know.
pub struct Text {
    pub text: String,
    /// What the kernel calls itself when it notes a fault.
    pub id: u32,
    pub sites: Vec<Site>,
    /// For each line of the text the line of the source that it comes from, 0 for none.
    pub lines: Vec<usize>,
    /// Bytes of local memory.
    pub local_bytes: u64,
    pub needs_f64: bool,
}

/// Prints functions, the last of which is the kernel.
pub fn print(functions: &[Function], dialect: Dialect) -> Text {
    let mut shared = Shared {
        dialect,
        helpers: Helpers::default(),
        sites: Vec::new(),
        signatures: HashMap::new(),
        local_bytes: 0,
    };
    let mut body = Vec::new();
    for (index, function) in functions.iter().enumerate() {
        let is_kernel = index + 1 == functions.len();
        body.extend(print_function(&mut shared, function, is_kernel));
        body.push(Line::new(0, String::new(), 0));
    }
    let mut all = shared.helpers.text().to_owned();
    for line in &body {
        all.push_str(&line.text);
    }
    let needs_f64 = all.contains("f64");
    let id = digest(&all);
    let mut head = helpers::head(dialect, needs_f64, shared.helpers.has("fl_atomic_64"), id);
    head.push_str(shared.helpers.text());
    let mut text = head;
    let mut lines = vec![0; text.lines().count()];
    for line in &body {
        text.push_str(&"    ".repeat(line.indent));
        text.push_str(&line.text);
        text.push('\n');
        lines.push(line.source);
    }
    Text {
        text,
        id,
        sites: shared.sites,
        lines,
        local_bytes: shared.local_bytes,
        needs_f64,
    }
}

/// A number for a text (FNV-1a): the same in every process, so that compiled texts can be kept.
fn digest(text: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, step)
}

/// What all functions of a text share.
struct Shared {
    dialect: Dialect,
    helpers: Helpers,
    sites: Vec<Site>,
    /// What functions need beside their parameters: global sizes.
    signatures: HashMap<String, bool>,
    local_bytes: u64,
}

/// A line of the text.
struct Line {
    indent: usize,
    text: String,
    source: usize,
}

impl Line {
    fn new(indent: usize, text: String, source: usize) -> Line {
        Line {
            indent,
            text,
            source,
        }
    }
}

/// A function that is being printed.
struct Printer<'p> {
    shared: &'p mut Shared,
    function: &'p Function,
    names: Names,
    variables: Vec<String>,
    /// Names of the lengths of slices.
    lengths: HashMap<Variable, String>,
    lines: Vec<Line>,
    /// Local memory, which C wants at the top of the kernel.
    top: Vec<Line>,
    indent: usize,
    source: usize,
    loops: Vec<loops::Open>,
    needs_sizes: bool,
}

fn print_function(shared: &mut Shared, function: &Function, is_kernel: bool) -> Vec<Line> {
    let mut printer = Printer {
        shared,
        function,
        names: Names::new(),
        variables: vec![String::new(); function.variables.len()],
        lengths: HashMap::new(),
        lines: Vec::new(),
        top: Vec::new(),
        indent: 1,
        source: function.place.line,
        loops: Vec::new(),
        needs_sizes: false,
    };
    let mut parameters = printer.parameters(is_kernel);
    let result = printer.function.types.final_scalar(function.result);
    printer.function_body(result.is_some());
    let dialect = printer.shared.dialect;
    if printer.needs_sizes || is_kernel {
        parameters.extend((0..3).map(|d| format!("usize size_{d}")));
    }
    parameters.push(format!("{}u32 *fault", dialect.global()));
    let returns = result.map_or("void", Scalar::name);
    let head = match is_kernel {
        true => format!("{} kernel_{}", dialect.kernel(), function.name),
        false => format!("{} {returns} fn_{}", dialect.function(), function.name),
    };
    let mut lines = vec![
        Line::new(
            0,
            format!("{head}({})", parameters.join(", ")),
            function.place.line,
        ),
        Line::new(0, "{".to_owned(), 0),
    ];
    if is_kernel && !function.has_barrier {
        let outside: Vec<_> = (0..3)
            .map(|d| format!("{} >= size_{d}", dialect.global_id(d)))
            .collect();
        lines.push(Line::new(
            1,
            format!("if ({}) return;", outside.join(" || ")),
            0,
        ));
    }
    lines.append(&mut printer.top);
    lines.append(&mut printer.lines);
    lines.push(Line::new(0, "}".to_owned(), 0));
    let needs_sizes = printer.needs_sizes;
    shared.signatures.insert(function.name.clone(), needs_sizes);
    lines
}

impl Printer<'_> {
    fn parameters(&mut self, is_kernel: bool) -> Vec<String> {
        let mut all = Vec::new();
        for &variable in &self.function.parameters {
            let facts = &self.function.variables[variable];
            let name = self.names.give(&facts.name);
            match self.function.types.get(facts.kind) {
                Type::Slice(elements, _) => {
                    let length = self.names.give(&format!("{name}_len"));
                    let dialect = self.shared.dialect;
                    let space = dialect.space(elements.space);
                    let quality = match (elements.is_atomic, elements.is_mutable) {
                        (true, _) => "volatile ",
                        (false, true) => "",
                        (false, false) => "const ",
                    };
                    all.push(format!(
                        "{space}{quality}{} *{name}",
                        elements.scalar.name()
                    ));
                    if is_kernel {
                        // An array may be a part of a larger one.
                        let start = self.names.give(&format!("{name}_start"));
                        all.push(format!("usize {start}"));
                        self.top
                            .push(Line::new(1, format!("{name} += {start};"), 0));
                    }
                    all.push(format!("usize {length}"));
                    self.lengths.insert(variable, length);
                }
                _ => {
                    // A kernel of OpenCL takes no bool.
                    let scalar = match self.scalar(facts.kind) {
                        Scalar::Bool if is_kernel => Scalar::U8,
                        scalar => scalar,
                    };
                    all.push(format!("{} {name}", scalar.name()));
                }
            }
            self.variables[variable] = name;
        }
        all
    }

    /// The number that a type is; literals that nothing else asked for are i32 and f64.
    fn scalar(&self, of: Id) -> Scalar {
        self.function.types.final_scalar(of).unwrap_or(Scalar::I32)
    }

    fn is_never(&self, expression: &Expr) -> bool {
        self.function.types.get(expression.of) == Type::Never
    }

    fn is_unit(&self, expression: &Expr) -> bool {
        matches!(
            self.function.types.get(expression.of),
            Type::Unit | Type::Never
        )
    }

    fn push(&mut self, text: impl Into<String>) {
        self.lines
            .push(Line::new(self.indent, text.into(), self.source));
    }

    /// What is printed between braces.
    fn braces(&mut self, head: &str, print: impl FnOnce(&mut Self)) {
        self.push(format!("{head} {{"));
        self.indent += 1;
        print(self);
        self.indent -= 1;
        self.push("}");
    }

    /// The lines that something prints, not yet put anywhere.
    fn aside<R>(&mut self, print: impl FnOnce(&mut Self) -> R) -> (R, Vec<Line>) {
        let before = std::mem::take(&mut self.lines);
        let result = print(self);
        (result, std::mem::replace(&mut self.lines, before))
    }

    /// The number of a place where something may go wrong.
    fn site(&mut self, place: Place, kind: SiteKind, name: &str) -> usize {
        let site = Site {
            place,
            kind,
            name: name.to_owned(),
        };
        let sites = &mut self.shared.sites;
        match sites.iter().position(|known| *known == site) {
            Some(found) => found,
            None => {
                sites.push(site);
                sites.len() - 1
            }
        }
    }

    /// A new variable that holds a value.
    fn spill(&mut self, of: Scalar, value: &str) -> String {
        let name = self.names.give("t");
        self.push(format!("{} {name} = {value};", of.name()));
        name
    }
}

/// How each language says what both have.
impl Dialect {
    fn is_cuda(self) -> bool {
        self == Dialect::Cuda
    }

    fn global(self) -> &'static str {
        if self.is_cuda() { "" } else { "__global " }
    }

    fn space(self, space: Space) -> &'static str {
        match space {
            _ if self.is_cuda() => "",
            Space::Global => "__global ",
            Space::Local => "__local ",
        }
    }

    fn kernel(self) -> &'static str {
        if self.is_cuda() {
            "extern \"C\" __global__ void"
        } else {
            "__kernel void"
        }
    }

    fn function(self) -> &'static str {
        if self.is_cuda() {
            "static __device__"
        } else {
            "static"
        }
    }

    fn global_id(self, d: usize) -> String {
        let axis = ["x", "y", "z"][d];
        if self.is_cuda() {
            format!("((usize)blockIdx.{axis} * blockDim.{axis} + threadIdx.{axis})")
        } else {
            format!("get_global_id({d})")
        }
    }
}
