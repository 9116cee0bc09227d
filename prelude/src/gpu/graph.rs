//! What a traced closure calculates: a graph of operations on elements.
//!
//! Constants are parameters: they are handed to the compiled kernel, so that another constant needs no other kernel.
//!
//! What always holds: a node's operands come before it; equal operations on equal operands are one node.

use std::collections::HashMap;

use super::element::{ElementType, Scalar};

/// A node, by its place in the graph.
pub(super) type NodeId = u32;

/// Operations on one element. Those from `Sqrt` on are of floating-point numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unary {
    Neg,
    Not,
    Abs,
    Sign,
    Sqrt,
    Exp,
    Exp2,
    Ln,
    Log2,
    Log10,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Floor,
    Ceil,
    Round,
    Trunc,
    IsNan,
}

/// Operations on two elements of one type. The comparisons give `bool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Min,
    Max,
    Atan2,
    Hypot,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Binary {
    pub(super) fn is_comparison(self) -> bool {
        use Binary::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// The element of the input of this number.
    Input(u32),
    /// The constant of this number.
    Parameter(u32),
    /// The place in the result, counted row by row; a `u64`.
    Index,
    Unary(Unary, NodeId),
    Binary(Binary, NodeId, NodeId),
    /// The first decides: the second if it is true, else the third.
    Select(NodeId, NodeId, NodeId),
    /// The first times the second plus the third, rounded once.
    MulAdd(NodeId, NodeId, NodeId),
    Cast(NodeId),
}

impl Op {
    /// The nodes that it needs.
    pub(super) fn operands(self) -> impl Iterator<Item = NodeId> {
        let operands = match self {
            Op::Input(_) | Op::Parameter(_) | Op::Index => [None; 3],
            Op::Unary(_, a) | Op::Cast(a) => [Some(a), None, None],
            Op::Binary(_, a, b) => [Some(a), Some(b), None],
            Op::Select(a, b, c) | Op::MulAdd(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        operands.into_iter().flatten()
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub op: Op,
    pub element: ElementType,
}

/// A graph, with the constants that it was traced with.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<Scalar>,
    known: HashMap<(Op, ElementType), NodeId>,
}

impl Graph {
    /// Adds a node, or finds the same one.
    pub(super) fn node(&mut self, op: Op, element: ElementType) -> NodeId {
        let next = self.nodes.len() as NodeId;
        let id = *self.known.entry((op, element)).or_insert(next);
        if id == next {
            self.nodes.push(Node { op, element });
        }
        id
    }

    pub(super) fn parameter(&mut self, value: Scalar) -> NodeId {
        self.parameters.push(value);
        let number = self.parameters.len() as u32 - 1;
        self.node(Op::Parameter(number), value.element_type())
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn get(&self, id: NodeId) -> Node {
        self.nodes[id as usize]
    }

    pub(super) fn parameters(&self) -> &[Scalar] {
        &self.parameters
    }

    /// How often each node is wanted by others that lead to `root`, `root` itself once. 0: nothing leads from it to there.
    pub(super) fn uses(&self, root: NodeId) -> Vec<u32> {
        let mut uses = vec![0; self.nodes.len()];
        uses[root as usize] = 1;
        for id in (0..=root as usize).rev() {
            if uses[id] > 0 {
                for operand in self.nodes[id].op.operands() {
                    uses[operand as usize] += 1;
                }
            }
        }
        uses
    }

    /// How many arithmetic operations an element costs.
    pub(super) fn n_operations(&self, root: NodeId) -> u64 {
        let uses = self.uses(root);
        let used = self.nodes.iter().zip(uses).filter(|(_, uses)| *uses > 0);
        used.map(|(node, _)| match node.op {
            Op::Unary(..) | Op::Binary(..) => 1,
            Op::MulAdd(..) => 2,
            _ => 0,
        })
        .sum()
    }
}
