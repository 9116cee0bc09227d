//! A function of the subset with all types known to be found: what the checker makes and the printer prints.

use crate::types::{Elements, Id, Scalar, Types};

/// A place in the text: line from 1, column from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub place: Place,
    /// What is there and what to write instead.
    pub text: String,
}

pub type Result<T> = std::result::Result<T, Error>;

/// A variable of a function, by its number.
pub type Variable = usize;

/// What a variable is.
pub struct VariableFacts {
    pub name: String,
    pub kind: Id,
    pub place: Place,
}

pub struct Function {
    pub name: String,
    pub parameters: Vec<Variable>,
    pub variables: Vec<VariableFacts>,
    pub types: Types,
    pub result: Id,
    pub body: Block,
    /// Calls `barrier()`, itself or in what it calls.
    pub has_barrier: bool,
    pub place: Place,
}

#[derive(Debug)]
pub struct Block {
    pub statements: Vec<Statement>,
    pub value: Option<Box<Expr>>,
}

#[derive(Debug)]
pub struct Statement {
    pub place: Place,
    pub kind: StatementKind,
}

#[derive(Debug)]
pub enum StatementKind {
    /// A variable and its first value.
    Let(Variable, Option<Expr>),
    /// Local memory, of a number of elements.
    Local(Variable, Elements, u64),
    Expr(Expr),
}

#[derive(Debug)]
pub struct Expr {
    pub place: Place,
    pub kind: ExprKind,
    pub of: Id,
}

/// An index of work items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    GlobalId,
    LocalId,
    GroupId,
    GlobalSize,
    LocalSize,
    Groups,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
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
    AndThen,
    OrElse,
}

/// What a loop goes over.
#[derive(Debug)]
pub struct Range {
    pub start: Box<Expr>,
    pub end: Box<Expr>,
    pub is_inclusive: bool,
    pub is_reversed: bool,
    /// The step, and whether it was taken before the order was reversed.
    pub step: Option<(Box<Expr>, bool)>,
}

/// A pattern of `match`.
#[derive(Debug)]
pub enum Pattern {
    Any,
    Bind(Variable),
    /// From the first to the second; none is the type's end.
    Between(Option<i128>, Option<i128>),
    Either(Vec<Pattern>),
}

#[derive(Debug)]
pub struct Arm {
    pub pattern: Pattern,
    pub guard: Option<Expr>,
    pub value: Expr,
}

#[derive(Debug)]
pub enum ExprKind {
    Int(i128),
    /// As f64, and rounded to f32 in one step.
    Float(f64, f32),
    Bool(bool),
    Unit,
    Variable(Variable),
    Unary(char, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Cast(Box<Expr>),
    /// A slice or an array and an index.
    Index(Box<Expr>, Box<Expr>),
    Assign(Box<Expr>, Box<Expr>),
    AssignWith(Binary, Box<Expr>, Box<Expr>),
    Array(Vec<Expr>),
    Repeat(Box<Expr>, u64),
    Length(Box<Expr>),
    Work(Work, u8),
    Barrier,
    /// A method of numbers by its name, the receiver first.
    Method(&'static str, Vec<Expr>),
    /// An atomic operation: name, element of a slice of atomics, operands.
    Atomic(&'static str, Box<Expr>, Vec<Expr>),
    /// A function of the same `kernel!`.
    Call(String, Vec<Expr>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Match(Box<Expr>, Vec<Arm>),
    Block(Block),
    /// A label and a loop.
    While(Option<String>, Option<Box<Expr>>, Block),
    For(Option<String>, Variable, Box<Range>, Block),
    Break(Option<String>, Option<Box<Expr>>),
    Continue(Option<String>),
    Return(Option<Box<Expr>>),
}

/// The type of a parameter, before anything else is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    Scalar(Scalar),
    Slice(Elements),
}
