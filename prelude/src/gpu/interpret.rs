//! Graphs on the processor: each operation on a block of elements at once, so that the compiler's vector code does the
//! work and the interpreter's share is small. Blocks are spread over rayon's pool.
//!
//! What always holds: a result is the same whatever the number of threads is.

use super::arithmetic::{CastTo, Number};
use super::element::{ElementType, Plain, Scalar};
use super::graph::{Binary, Graph, NodeId, Op, Unary};
use super::parallel;

/// Elements of a block: a few blocks of numbers of eight bytes fit into the first cache.
pub(super) const BLOCK: usize = 512;
/// Blocks that a thread takes at once, at least.
const BLOCKS_AT_ONCE: usize = 16;
/// Parts for each thread of a long array: each part has a machine of its own, which must be made.
const PARTS_OF_A_THREAD: usize = 8;

/// Room for a block of any type.
#[derive(Clone)]
struct Register([u64; BLOCK]);

impl Register {
    fn of<T: Plain>(&self, n: usize) -> &[T] {
        assert!(n <= BLOCK && size_of::<T>() <= 8);
        // SAFETY: there is room for as many numbers of eight bytes, aligned for them, and every pattern of bits is a number.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), n) }
    }

    fn of_mut<T: Plain>(&mut self, n: usize) -> &mut [T] {
        assert!(n <= BLOCK && size_of::<T>() <= 8);
        // SAFETY: as above, and nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), n) }
    }
}

/// Calls a function with the raw type of an element type.
macro_rules! with_type {
    ($element:expr, $T:ident => $body:expr) => {
        match $element {
            ElementType::F32 => {
                type $T = f32;
                $body
            }
            ElementType::F64 => {
                type $T = f64;
                $body
            }
            ElementType::I32 => {
                type $T = i32;
                $body
            }
            ElementType::I64 => {
                type $T = i64;
                $body
            }
            ElementType::U32 => {
                type $T = u32;
                $body
            }
            ElementType::U64 => {
                type $T = u64;
                $body
            }
            ElementType::Bool => {
                type $T = u8;
                $body
            }
        }
    };
}
pub(super) use with_type;

/// What brings the elements of an input, by the place of the first and their number.
pub(super) trait Inputs: Sync {
    /// Writes `bytes`, whole elements of input `number` from the place `first` on.
    fn load(&self, number: u32, first: usize, bytes: &mut [u8]);
}

/// A graph, ready to be run, with registers of its own.
#[derive(Clone)]
pub(super) struct Machine<'a> {
    graph: &'a Graph,
    root: NodeId,
    /// The register of each node that is needed.
    places: Vec<usize>,
    registers: Vec<Box<Register>>,
    /// What an operation writes to; then it changes places with the node's register.
    spare: Box<Register>,
    is_needed: Vec<bool>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(graph: &'a Graph, root: NodeId) -> Machine<'a> {
        let is_needed: Vec<bool> = graph.uses(root).iter().map(|&uses| uses > 0).collect();
        let nodes = graph.nodes();
        // The last node that needs each: then its register is free. Constants keep theirs, so they are filled once.
        let mut last = vec![0; is_needed.len()];
        for (id, node) in nodes[..is_needed.len()].iter().enumerate() {
            if is_needed[id] {
                for operand in node.op.operands() {
                    last[operand as usize] = id;
                }
            }
        }
        let (mut places, mut free, mut n) = (vec![usize::MAX; is_needed.len()], Vec::new(), 0);
        for id in 0..is_needed.len() {
            if !is_needed[id] {
                continue;
            }
            // Taken before the operands' are freed: no operation writes to what it reads. A constant's is nobody else's.
            let is_constant = matches!(nodes[id].op, Op::Parameter(_));
            let old = if is_constant { None } else { free.pop() };
            places[id] = old.unwrap_or_else(|| {
                n += 1;
                n - 1
            });
            if is_constant {
                continue;
            }
            let mut freed: Vec<usize> = Vec::new();
            for operand in nodes[id].op.operands() {
                let operand = operand as usize;
                let is_constant = matches!(nodes[operand].op, Op::Parameter(_));
                if last[operand] == id && !is_constant && !freed.contains(&operand) {
                    freed.push(operand);
                    free.push(places[operand]);
                }
            }
        }
        let mut machine = Machine {
            graph,
            root,
            places,
            registers: vec![Box::new(Register([0; BLOCK])); n],
            spare: Box::new(Register([0; BLOCK])),
            is_needed,
        };
        machine.fill_constants();
        machine
    }

    fn fill_constants(&mut self) {
        for (id, node) in self.graph.nodes()[..self.is_needed.len()]
            .iter()
            .enumerate()
        {
            if let (true, Op::Parameter(number)) = (self.is_needed[id], node.op) {
                let register = &mut self.registers[self.places[id]];
                match self.graph.parameters()[number as usize] {
                    Scalar::F32(value) => register.of_mut(BLOCK).fill(value),
                    Scalar::F64(value) => register.of_mut(BLOCK).fill(value),
                    Scalar::I32(value) => register.of_mut(BLOCK).fill(value),
                    Scalar::I64(value) => register.of_mut(BLOCK).fill(value),
                    Scalar::U32(value) => register.of_mut(BLOCK).fill(value),
                    Scalar::U64(value) => register.of_mut(BLOCK).fill(value),
                    Scalar::Bool(value) => register.of_mut(BLOCK).fill(u8::from(value)),
                }
            }
        }
    }

    /// The values of `root` at `n` places from `first` on. `own` are the elements of one input, if they do not come from
    /// `inputs`.
    pub(super) fn run<T: Plain>(
        &mut self,
        inputs: &dyn Inputs,
        own: Option<(u32, &[u8])>,
        first: usize,
        n: usize,
    ) -> &[T] {
        for id in 0..self.is_needed.len() {
            if self.is_needed[id] {
                self.step(id as NodeId, inputs, own, first, n);
            }
        }
        self.registers[self.places[self.root as usize]].of(n)
    }

    fn step(
        &mut self,
        id: NodeId,
        inputs: &dyn Inputs,
        own: Option<(u32, &[u8])>,
        first: usize,
        n: usize,
    ) {
        let node = self.graph.get(id);
        let place = self.places[id as usize];
        if let Op::Parameter(_) = node.op {
            return;
        }
        let out = &mut *self.spare;
        let element = |id: NodeId| self.graph.get(id).element;
        let register = |id: NodeId| &self.registers[self.places[id as usize]];
        match node.op {
            Op::Parameter(_) => {}
            Op::Input(number) => {
                let bytes = out.of_mut::<u64>(BLOCK);
                let size = node.element.size();
                // SAFETY: the same memory as bytes.
                let bytes = unsafe {
                    std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<u8>(), n * size)
                };
                match own {
                    Some((own, elements)) if own == number => bytes.copy_from_slice(elements),
                    _ => inputs.load(number, first, bytes),
                }
                if node.element == ElementType::Bool {
                    bytes
                        .iter_mut()
                        .for_each(|byte| *byte = u8::from(*byte != 0));
                }
            }
            Op::Index => {
                for (i, place) in out.of_mut::<u64>(n).iter_mut().enumerate() {
                    *place = (first + i) as u64;
                }
            }
            Op::Unary(Unary::Not, a) if element(a) == ElementType::Bool => {
                each(register(a).of::<u8>(n), out.of_mut::<u8>(n), |a| 1 - a);
            }
            Op::Unary(op, a) => {
                with_type!(element(a), T => unary::<T>(op, register(a).of(n), out, n))
            }
            Op::Binary(op, a, b) => with_type!(element(a), T => {
                binary::<T>(op, register(a).of(n), register(b).of(n), out, n);
            }),
            Op::Select(a, b, c) => with_type!(node.element, T => {
                let (choice, yes, no) = (register(a).of::<u8>(n), register(b).of::<T>(n), register(c).of::<T>(n));
                for (i, out) in out.of_mut::<T>(n).iter_mut().enumerate() {
                    *out = if choice[i] != 0 { yes[i] } else { no[i] };
                }
            }),
            Op::MulAdd(a, b, c) => with_type!(node.element, T => {
                let (a, b, c) = (register(a).of::<T>(n), register(b).of::<T>(n), register(c).of::<T>(n));
                for (i, out) in out.of_mut::<T>(n).iter_mut().enumerate() {
                    *out = Number::mul_add(a[i], b[i], c[i]);
                }
            }),
            Op::Cast(a) => {
                with_type!(element(a), T => cast::<T>(register(a).of(n), node.element, out, n))
            }
        }
        std::mem::swap(&mut self.registers[place], &mut self.spare);
    }
}

fn each<T: Plain, U: Plain>(a: &[T], out: &mut [U], f: impl Fn(T) -> U) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a);
    }
}

fn each2<T: Plain, U: Plain>(a: &[T], b: &[T], out: &mut [U], f: impl Fn(T, T) -> U) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

fn unary<T: Number>(op: Unary, a: &[T], out: &mut Register, n: usize) {
    if op == Unary::IsNan {
        each(a, out.of_mut::<u8>(n), |a| {
            u8::from(a.partial_cmp(&a).is_none())
        });
        return;
    }
    let out = out.of_mut::<T>(n);
    macro_rules! real {
        ($f:ident) => {
            each(a, out, |a| a.real(f32::$f, f64::$f))
        };
    }
    match op {
        Unary::Neg => each(a, out, T::neg),
        Unary::Not => each(a, out, T::not),
        Unary::Abs => each(a, out, T::absolute),
        Unary::Sign => each(a, out, T::sign),
        Unary::Sqrt => real!(sqrt),
        Unary::Exp => real!(exp),
        Unary::Exp2 => real!(exp2),
        Unary::Ln => real!(ln),
        Unary::Log2 => real!(log2),
        Unary::Log10 => real!(log10),
        Unary::Sin => real!(sin),
        Unary::Cos => real!(cos),
        Unary::Tan => real!(tan),
        Unary::Asin => real!(asin),
        Unary::Acos => real!(acos),
        Unary::Atan => real!(atan),
        Unary::Sinh => real!(sinh),
        Unary::Cosh => real!(cosh),
        Unary::Tanh => real!(tanh),
        Unary::Floor => real!(floor),
        Unary::Ceil => real!(ceil),
        Unary::Round => real!(round),
        Unary::Trunc => real!(trunc),
        Unary::IsNan => {}
    }
}

fn binary<T: Number>(op: Binary, a: &[T], b: &[T], out: &mut Register, n: usize) {
    if op.is_comparison() {
        let out = out.of_mut::<u8>(n);
        match op {
            Binary::Eq => each2(a, b, out, |a, b| u8::from(a == b)),
            Binary::Ne => each2(a, b, out, |a, b| u8::from(a != b)),
            Binary::Lt => each2(a, b, out, |a, b| u8::from(a < b)),
            Binary::Le => each2(a, b, out, |a, b| u8::from(a <= b)),
            Binary::Gt => each2(a, b, out, |a, b| u8::from(a > b)),
            _ => each2(a, b, out, |a, b| u8::from(a >= b)),
        }
        return;
    }
    let out = out.of_mut::<T>(n);
    match op {
        Binary::Add => each2(a, b, out, T::add),
        Binary::Sub => each2(a, b, out, T::sub),
        Binary::Mul => each2(a, b, out, T::mul),
        Binary::Div => each2(a, b, out, T::div),
        Binary::Rem => each2(a, b, out, T::rem),
        Binary::Pow => each2(a, b, out, T::pow),
        Binary::Min => each2(a, b, out, T::smaller),
        Binary::Max => each2(a, b, out, T::larger),
        Binary::Atan2 => each2(a, b, out, |a, b| a.real2(b, f32::atan2, f64::atan2)),
        Binary::Hypot => each2(a, b, out, |a, b| a.real2(b, f32::hypot, f64::hypot)),
        Binary::And => each2(a, b, out, T::and),
        Binary::Or => each2(a, b, out, T::or),
        Binary::Xor => each2(a, b, out, T::xor),
        Binary::Shl => each2(a, b, out, T::shl),
        Binary::Shr => each2(a, b, out, T::shr),
        _ => {}
    }
}

fn cast<T>(a: &[T], to: ElementType, out: &mut Register, n: usize)
where
    T: Number + CastTo<f32> + CastTo<f64> + CastTo<i32> + CastTo<i64> + CastTo<u32> + CastTo<u64>,
{
    match to {
        ElementType::F32 => each(a, out.of_mut::<f32>(n), CastTo::cast_to),
        ElementType::F64 => each(a, out.of_mut::<f64>(n), CastTo::cast_to),
        ElementType::I32 => each(a, out.of_mut::<i32>(n), CastTo::cast_to),
        ElementType::I64 => each(a, out.of_mut::<i64>(n), CastTo::cast_to),
        ElementType::U32 => each(a, out.of_mut::<u32>(n), CastTo::cast_to),
        ElementType::U64 => each(a, out.of_mut::<u64>(n), CastTo::cast_to),
        ElementType::Bool => {
            each(a, out.of_mut::<u8>(n), |a| {
                let value: f64 = a.cast_to();
                u8::from(value != 0.0)
            });
        }
    }
}

/// Calculates all elements of `out`, in parallel. If `own` is an input's number, its elements are those of `out` before.
pub(super) fn run<T: Plain>(
    graph: &Graph,
    root: NodeId,
    inputs: &dyn Inputs,
    own: Option<u32>,
    out: &mut [T],
) {
    let machine = Machine::new(graph, root);
    let parts = rayon::current_num_threads() * PARTS_OF_A_THREAD;
    let blocks = out.len().div_ceil(BLOCK).div_ceil(parts);
    let part = BLOCK * blocks.max(BLOCKS_AT_ONCE);
    parallel::parts_mut(out, part, &|number, out| {
        let (mut machine, first) = (machine.clone(), number * part);
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let own = own.map(|number| (number, bytes_of(out)));
            let values = machine.run(inputs, own, first + block * BLOCK, out.len());
            out.copy_from_slice(values);
        }
    });
}

/// The same memory as bytes.
pub(super) fn bytes_of<T: Plain>(items: &[T]) -> &[u8] {
    // SAFETY: plain memory has no gaps, and bytes may lie anywhere.
    unsafe { std::slice::from_raw_parts(items.as_ptr().cast(), size_of_val(items)) }
}
