//! C texts for the device: what every text begins with, and the graph of a closure as an expression.
//!
//! One text serves both dialects: the preamble gives the types Rust's names and hides what CUDA and OpenCL call differently.
//!
//! What always holds: no operation of a graph is undefined in C: integers wrap by way of unsigned ones, divisors are looked
//! at first, shifts are masked.

use std::fmt::Write as _;

use super::device::Dialect;
use super::element::ElementType;
use super::graph::{Binary, Graph, NodeId, Op, Unary};

/// What every text begins with.
///
/// It defines the types `i32`, `i64`, `u32`, `u64`, `f32`, `f64`, `u8` (which a `bool` is in memory), and `KERNEL`, `GLOBAL`,
/// `LOCAL`, `DEVICE` (before a function), `BARRIER`, `GLOBAL_ID(d)`, `LOCAL_ID(d)`, `GROUP_ID(d)`, `LOCAL_SIZE(d)`,
/// `GLOBAL_SIZE(d)`, `N_GROUPS(d)`, all of which are `u64`.
pub(super) fn preamble(dialect: Dialect, has_f64: bool) -> String {
    match dialect {
        Dialect::OpenCl => {
            let f64 = if has_f64 {
                "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\ntypedef double f64;\n"
            } else {
                ""
            };
            format!("{f64}{OPENCL}")
        }
        Dialect::Cuda => CUDA.to_owned(),
    }
}

const OPENCL: &str = "\
typedef int i32; typedef uint u32; typedef long i64; typedef ulong u64; typedef float f32; typedef uchar u8;
#define KERNEL __kernel
#define GLOBAL __global
#define LOCAL __local
#define DEVICE inline static
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define GLOBAL_ID(d) ((u64)get_global_id(d))
#define LOCAL_ID(d) ((u64)get_local_id(d))
#define GROUP_ID(d) ((u64)get_group_id(d))
#define LOCAL_SIZE(d) ((u64)get_local_size(d))
#define GLOBAL_SIZE(d) ((u64)get_global_size(d))
#define N_GROUPS(d) ((u64)get_num_groups(d))
";

const CUDA: &str = "\
typedef int i32; typedef unsigned int u32; typedef long long i64; typedef unsigned long long u64;
typedef float f32; typedef double f64; typedef unsigned char u8;
#define KERNEL extern \"C\" __global__
#define GLOBAL
#define LOCAL __shared__
#define DEVICE __device__ inline static
#define BARRIER __syncthreads()
#define AXIS(v, d) ((u64)((d) == 0 ? v.x : (d) == 1 ? v.y : v.z))
#define GLOBAL_ID(d) (AXIS(blockIdx, d) * AXIS(blockDim, d) + AXIS(threadIdx, d))
#define LOCAL_ID(d) AXIS(threadIdx, d)
#define GROUP_ID(d) AXIS(blockIdx, d)
#define LOCAL_SIZE(d) AXIS(blockDim, d)
#define GLOBAL_SIZE(d) (AXIS(gridDim, d) * AXIS(blockDim, d))
#define N_GROUPS(d) AXIS(gridDim, d)
";

/// A type's name in a text. In expressions a `bool` is a `u8` of 0 or 1, as in memory.
pub(super) fn type_name(element: ElementType) -> &'static str {
    match element {
        ElementType::Bool => "u8",
        other => other.name(),
    }
}

/// The unsigned type of the same size.
fn unsigned(element: ElementType) -> &'static str {
    match element {
        ElementType::I64 | ElementType::U64 => "u64",
        _ => "u32",
    }
}

/// The statements that calculate a node, and the expression that is its value.
///
/// `input` names the element of an input, `parameter` a constant, `index` the place.
pub(super) struct Writer<'a> {
    pub graph: &'a Graph,
    pub input: &'a dyn Fn(u32) -> String,
    pub parameter: &'a dyn Fn(u32) -> String,
    pub index: &'a str,
    /// What each statement begins with.
    pub indent: &'a str,
    /// What the names of intermediate values begin with.
    pub prefix: &'a str,
}

impl Writer<'_> {
    /// Writes what `root` needs as statements to `out`, and returns `root` itself as an expression. A value that is used once
    /// stands where it is used.
    pub(super) fn write(&self, root: NodeId, out: &mut String) -> String {
        let uses = self.graph.uses(root);
        let mut texts: Vec<String> = Vec::with_capacity(uses.len());
        for (id, &uses) in uses.iter().enumerate() {
            if uses == 0 {
                texts.push(String::new());
                continue;
            }
            let node = self.graph.get(id as NodeId);
            let text = self.expression(node.op, node.element, &texts);
            let is_simple = matches!(node.op, Op::Parameter(_) | Op::Index);
            let is_long = text.len() > 160;
            if is_simple
                || (id as NodeId == root)
                || (uses == 1 && !is_long && !self.repeats(id, root))
            {
                texts.push(text);
                continue;
            }
            let name = format!("{}{id}", self.prefix);
            let kind = type_name(node.element);
            let _strings_take_all = writeln!(out, "{}{kind} {name} = {text};", self.indent);
            texts.push(name);
        }
        texts[root as usize].clone()
    }

    /// Whether a node's text would stand more than once in that of the one node that uses it.
    fn repeats(&self, id: usize, root: NodeId) -> bool {
        let nodes = &self.graph.nodes()[id..=root as usize];
        nodes.iter().any(|node| {
            node.op.operands().any(|operand| operand as usize == id)
                && match node.op {
                    Op::Binary(Binary::Div | Binary::Rem, ..) => !node.element.is_float(),
                    Op::Unary(Unary::Sign | Unary::IsNan | Unary::Abs, _) => true,
                    Op::Cast(_) => !node.element.is_float(),
                    _ => false,
                }
        })
    }

    fn expression(&self, op: Op, element: ElementType, texts: &[String]) -> String {
        let text = |id: NodeId| texts[id as usize].as_str();
        match op {
            Op::Input(number) => match element {
                ElementType::Bool => format!("(u8)({} != 0)", (self.input)(number)),
                _ => (self.input)(number),
            },
            Op::Parameter(number) => (self.parameter)(number),
            Op::Index => format!("((u64){})", self.index),
            Op::Unary(op, a) => unary(op, self.graph.get(a).element, text(a)),
            Op::Binary(op, a, b) => binary(op, self.graph.get(a).element, text(a), text(b)),
            Op::Select(a, b, c) => format!("({} ? {} : {})", text(a), text(b), text(c)),
            Op::MulAdd(a, b, c) => format!("fma({}, {}, {})", text(a), text(b), text(c)),
            Op::Cast(a) => cast(self.graph.get(a).element, element, text(a)),
        }
    }
}

fn unary(op: Unary, element: ElementType, a: &str) -> String {
    let kind = type_name(element);
    let function = match op {
        Unary::Neg if element.is_float() => return format!("(-{a})"),
        Unary::Neg => return format!("({kind})(0 - ({}){a})", unsigned(element)),
        Unary::Not if element == ElementType::Bool => return format!("(u8)(!{a})"),
        Unary::Not => return format!("(~{a})"),
        Unary::Abs if element.is_float() => "fabs",
        Unary::Abs => {
            return match element {
                ElementType::U32 | ElementType::U64 => a.to_owned(),
                _ => format!("({a} < 0 ? ({kind})(0 - ({}){a}) : {a})", unsigned(element)),
            };
        }
        // A NaN is neither greater nor less; added, it stays.
        Unary::Sign if element.is_float() => {
            return format!("({a} != {a} ? {a} : ({kind})(({a} > 0) - ({a} < 0)))");
        }
        Unary::Sign => return format!("(({kind})(({a} > 0) - ({a} < 0)))"),
        Unary::IsNan => return format!("(u8)({a} != {a})"),
        Unary::Sqrt => "sqrt",
        Unary::Exp => "exp",
        Unary::Exp2 => "exp2",
        Unary::Ln => "log",
        Unary::Log2 => "log2",
        Unary::Log10 => "log10",
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Tan => "tan",
        Unary::Asin => "asin",
        Unary::Acos => "acos",
        Unary::Atan => "atan",
        Unary::Sinh => "sinh",
        Unary::Cosh => "cosh",
        Unary::Tanh => "tanh",
        Unary::Floor => "floor",
        Unary::Ceil => "ceil",
        Unary::Round => "round",
        Unary::Trunc => "trunc",
    };
    format!("{function}({a})")
}

fn binary(op: Binary, element: ElementType, a: &str, b: &str) -> String {
    let kind = type_name(element);
    let is_float = element.is_float();
    let unsigned = unsigned(element);
    let is_signed = matches!(element, ElementType::I32 | ElementType::I64);
    let operator = match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div if is_float => return format!("({a} / {b})"),
        Binary::Rem if is_float => return format!("fmod({a}, {b})"),
        // The smallest number by −1 overflows: it is negated instead, and wraps.
        Binary::Div if is_signed => {
            return format!(
                "({b} == 0 ? 0 : {b} == -1 ? ({kind})(0 - ({unsigned}){a}) : {a} / {b})"
            );
        }
        Binary::Rem if is_signed => {
            return format!("(({b} == 0 || {b} == -1) ? 0 : {a} % {b})");
        }
        Binary::Div => return format!("({b} == 0 ? 0 : {a} / {b})"),
        Binary::Rem => return format!("({b} == 0 ? 0 : {a} % {b})"),
        Binary::Pow if is_float => return format!("pow({a}, {b})"),
        Binary::Pow => return format!("pow_{kind}({a}, {b})"),
        Binary::Min if is_float => return format!("fmin({a}, {b})"),
        Binary::Max if is_float => return format!("fmax({a}, {b})"),
        Binary::Min => return format!("min({a}, {b})"),
        Binary::Max => return format!("max({a}, {b})"),
        Binary::Atan2 => return format!("atan2({a}, {b})"),
        Binary::Hypot => return format!("hypot({a}, {b})"),
        Binary::And => return format!("({kind})({a} & {b})"),
        Binary::Or => return format!("({kind})({a} | {b})"),
        Binary::Xor => return format!("({kind})({a} ^ {b})"),
        Binary::Shl => {
            let bits = element.size() * 8 - 1;
            return format!("({kind})(({unsigned}){a} << ({b} & {bits}))");
        }
        Binary::Shr => {
            let bits = element.size() * 8 - 1;
            return format!("({a} >> ({b} & {bits}))");
        }
        Binary::Eq => return format!("(u8)({a} == {b})"),
        Binary::Ne => return format!("(u8)({a} != {b})"),
        Binary::Lt => return format!("(u8)({a} < {b})"),
        Binary::Le => return format!("(u8)({a} <= {b})"),
        Binary::Gt => return format!("(u8)({a} > {b})"),
        Binary::Ge => return format!("(u8)({a} >= {b})"),
    };
    if is_signed {
        format!("({kind})(({unsigned}){a} {operator} ({unsigned}){b})")
    } else {
        format!("({a} {operator} {b})")
    }
}

/// A cast by the rules of `as`.
fn cast(from: ElementType, to: ElementType, a: &str) -> String {
    let kind = type_name(to);
    if to == ElementType::Bool {
        return format!("(u8)({a} != 0)");
    }
    if !from.is_float() || to.is_float() {
        return format!("({kind})({a})");
    }
    // The first number beyond the range, exact in both types, and the ends of the range.
    let (beyond, most, least) = match to {
        ElementType::I32 => ("2147483648.0", "2147483647", "(-2147483647 - 1)"),
        ElementType::U32 => ("4294967296.0", "4294967295u", "0"),
        ElementType::I64 => (
            "9223372036854775808.0",
            "9223372036854775807L",
            "(-9223372036854775807L - 1)",
        ),
        _ => ("18446744073709551616.0", "18446744073709551615UL", "0"),
    };
    let suffix = if from == ElementType::F32 { "f" } else { "" };
    let low = match to {
        ElementType::I32 | ElementType::I64 => format!("-{beyond}{suffix}"),
        // Between −1 and 0 it is cut off to 0 anyway.
        _ => format!("-1.0{suffix}"),
    };
    format!(
        "({a} >= {beyond}{suffix} ? ({kind}){most} : {a} > {low} ? ({kind}){a} : ({kind})({a} != {a} ? 0 : {least}))"
    )
}

/// Functions that a graph's text calls and that the language does not have: powers of integers.
pub(super) fn helpers(graph: &Graph, root: NodeId) -> String {
    let mut text = String::new();
    let mut done = Vec::new();
    for (node, uses) in graph.nodes().iter().zip(graph.uses(root)) {
        if uses == 0 || node.element.is_float() || done.contains(&node.element) {
            continue;
        }
        if matches!(node.op, Op::Binary(Binary::Pow, ..)) {
            done.push(node.element);
            text.push_str(&integer_power(node.element));
        }
    }
    text
}

fn integer_power(element: ElementType) -> String {
    let (kind, unsigned) = (type_name(element), unsigned(element));
    let negative = match element {
        ElementType::I32 | ElementType::I64 => {
            "    if (b < 0) return a == 1 ? 1 : a == -1 ? ((b & 1) ? -1 : 1) : 0;\n"
        }
        _ => "",
    };
    format!(
        "DEVICE {kind} pow_{kind}({kind} a, {kind} b) {{\n{negative}    {unsigned} power = 1, square = ({unsigned})a;\n    \
         for ({unsigned} left = ({unsigned})b; left > 0; left >>= 1) {{\n        if (left & 1) power *= square;\n        \
         square *= square;\n    }}\n    return ({kind})power;\n}}\n"
    )
}
