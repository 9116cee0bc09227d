//! Elements inside of a traced closure.
//!
//! A closure such as `|x| x * 2.0 + x.sin()` is called once, with an [`Expr`] in place of a number. What it does with it is
//! noted as a graph, which is then compiled for the device. So the closure may calculate, choose by
//! [`select`](Expr::select) and call functions that take an `Expr`; `if`, `match` and loops over values are decided once,
//! for all elements.
//!
//! What always holds: integers wrap around; dividing one by zero gives 0, also as a remainder; a shift counts modulo the
//! number of bits; casts are those of `as`.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};
use std::sync::atomic::{AtomicU32, Ordering};

use super::element::{Element, ElementType, Float, Numeric, Scalar};
use super::graph::{Binary, Graph, NodeId, Op, Unary};

/// A value of each element, to be calculated on the device.
///
/// Arguments of its methods may be other expressions or numbers.
pub struct Expr<T> {
    pub(super) node: NodeId,
    /// Which closure it belongs to.
    trace: u32,
    element: PhantomData<T>,
}

impl<T> Clone for Expr<T> {
    fn clone(&self) -> Expr<T> {
        *self
    }
}

impl<T> Copy for Expr<T> {}

thread_local! {
    /// The closures that are being traced, and what they have noted.
    static TRACES: RefCell<Vec<(u32, Graph)>> = const { RefCell::new(Vec::new()) };
}

/// Takes back the newest trace, also if its closure panics.
struct Tracing;

impl Drop for Tracing {
    fn drop(&mut self) {
        TRACES.with_borrow_mut(Vec::pop);
    }
}

/// Calls `closure` and returns what it calculated.
pub(super) fn trace<U: Element>(closure: impl FnOnce() -> Expr<U>) -> (Graph, NodeId) {
    let tracing = begin();
    let result = closure();
    end(tracing, checked(&result))
}

// What does not depend on the types is compiled here, once, and not in each cell.

#[inline(never)]
fn begin() -> Tracing {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    TRACES.with_borrow_mut(|traces| traces.push((number, Graph::default())));
    Tracing
}

#[inline(never)]
fn end(tracing: Tracing, root: NodeId) -> (Graph, NodeId) {
    let graph = TRACES.with_borrow_mut(|traces| match traces.last_mut() {
        Some((_, graph)) => std::mem::take(graph),
        None => Graph::default(),
    });
    drop(tracing);
    (graph, root)
}

#[inline]
#[track_caller]
fn checked<T>(expr: &Expr<T>) -> NodeId {
    check(expr.node, expr.trace)
}

/// The node of an expression, if it belongs to the closure that is being traced.
///
/// # Panics
/// It does not.
#[inline(never)]
#[track_caller]
fn check(node: NodeId, trace: u32) -> NodeId {
    let current = TRACES.with_borrow(|traces| traces.last().map(|(number, _)| *number));
    assert!(
        current == Some(trace),
        "an Expr was used outside of the closure that it was given to\nwhy: it stands for a value that is calculated on the \
         device, element by element\ndo:  calculate inside of the closure, or bring arrays in by gpu::zip"
    );
    node
}

#[inline]
#[track_caller]
fn note<T>(element: ElementType, op: Op) -> Expr<T> {
    let (node, trace) = add(element, op);
    Expr {
        node,
        trace,
        element: PhantomData,
    }
}

/// Notes a node, and says for which closure.
///
/// # Panics
/// No closure is being traced.
#[inline(never)]
#[track_caller]
fn add(element: ElementType, op: Op) -> (NodeId, u32) {
    in_trace(|number, graph| (graph.node(op, element), number))
}

#[inline(never)]
#[track_caller]
fn add_constant(value: Scalar) -> (NodeId, u32) {
    in_trace(|number, graph| (graph.parameter(value), number))
}

#[track_caller]
fn in_trace<R>(work: impl FnOnce(u32, &mut Graph) -> R) -> R {
    TRACES.with_borrow_mut(|traces| {
        let Some((number, graph)) = traces.last_mut() else {
            panic!(
                "an Expr was made outside of a closure\nwhy: it stands for a value that is calculated on the device\ndo:  \
                 calculate inside of the closure of map, zip or reduce"
            )
        };
        work(*number, graph)
    })
}

/// The element of an input.
pub(super) fn input<T: Element>(number: u32) -> Expr<T> {
    note(T::TYPE, Op::Input(number))
}

/// The place in the result.
pub(super) fn index() -> Expr<u64> {
    note(ElementType::U64, Op::Index)
}

impl<T: Element> From<T> for Expr<T> {
    #[track_caller]
    fn from(value: T) -> Expr<T> {
        let (node, trace) = add_constant(value.scalar());
        Expr {
            node,
            trace,
            element: PhantomData,
        }
    }
}

#[track_caller]
fn unary<T: Element, U: Element>(op: Unary, a: Expr<T>) -> Expr<U> {
    let a = checked(&a);
    note(U::TYPE, Op::Unary(op, a))
}

#[track_caller]
fn binary<T: Element, U: Element>(op: Binary, a: Expr<T>, b: impl Into<Expr<T>>) -> Expr<U> {
    let (a, b) = (checked(&a), checked(&b.into()));
    note(U::TYPE, Op::Binary(op, a, b))
}

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        #[track_caller]
        pub fn $name(self) -> Expr<T> {
            unary(Unary::$op, self)
        }
    )*};
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident $op:ident -> $out:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        #[track_caller]
        pub fn $name(self, other: impl Into<Expr<T>>) -> Expr<$out> {
            binary(Binary::$op, self, other)
        }
    )*};
}

impl<T: Element> Expr<T> {
    binary_methods! {
        /// Whether both are equal.
        eq Eq -> bool;
        /// Whether they differ.
        ne Ne -> bool;
        /// Whether this is less.
        lt Lt -> bool;
        /// Whether this is less or equal.
        le Le -> bool;
        /// Whether this is greater.
        gt Gt -> bool;
        /// Whether this is greater or equal.
        ge Ge -> bool;
    }

    /// As another type, by the rules of `as`: floating-point numbers are cut off towards zero and stay within the
    /// integer's range, NaN becomes 0.
    #[must_use]
    #[track_caller]
    pub fn cast<U: Element>(self) -> Expr<U> {
        let a = checked(&self);
        if T::TYPE == U::TYPE {
            return Expr {
                node: a,
                trace: self.trace,
                element: PhantomData,
            };
        }
        note(U::TYPE, Op::Cast(a))
    }
}

impl<T: Numeric> Expr<T> {
    unary_methods! {
        /// Its absolute value; that of the smallest integer is itself.
        abs Abs;
        /// −1, 0 or 1 (NaN for NaN), by its sign; also of 0.0, unlike `f32::signum`.
        signum Sign;
    }

    binary_methods! {
        /// The smaller one; a NaN only if both are.
        min Min -> T;
        /// The larger one; a NaN only if both are.
        max Max -> T;
        /// Its power. Of integers with a negative exponent it is 0, except of 1 and −1.
        pow Pow -> T;
    }

    /// Not below `low`, not above `high`.
    #[must_use]
    #[track_caller]
    pub fn clamp(self, low: impl Into<Expr<T>>, high: impl Into<Expr<T>>) -> Expr<T> {
        self.max(low).min(high)
    }
}

impl<T: Float> Expr<T> {
    unary_methods! {
        /// Its square root.
        sqrt Sqrt;
        /// e to its power.
        exp Exp;
        /// 2 to its power.
        exp2 Exp2;
        /// Its natural logarithm.
        ln Ln;
        /// Its logarithm to base 2.
        log2 Log2;
        /// Its logarithm to base 10.
        log10 Log10;
        /// Its sine, of radians.
        sin Sin;
        /// Its cosine, of radians.
        cos Cos;
        /// Its tangent, of radians.
        tan Tan;
        /// Its inverse sine, in radians.
        asin Asin;
        /// Its inverse cosine, in radians.
        acos Acos;
        /// Its inverse tangent, in radians.
        atan Atan;
        /// Its hyperbolic sine.
        sinh Sinh;
        /// Its hyperbolic cosine.
        cosh Cosh;
        /// Its hyperbolic tangent.
        tanh Tanh;
        /// The integer below or equal.
        floor Floor;
        /// The integer above or equal.
        ceil Ceil;
        /// The nearest integer, halves away from zero.
        round Round;
        /// Without what comes after the point.
        trunc Trunc;
    }

    binary_methods! {
        /// The angle of the point (`other`, this), in radians.
        atan2 Atan2 -> T;
        /// The length of the hypotenuse.
        hypot Hypot -> T;
        /// Its power; as [`pow`](Expr::pow), under std's name.
        powf Pow -> T;
    }

    /// Its power, by multiplications.
    #[must_use]
    #[track_caller]
    pub fn powi(self, exponent: i32) -> Expr<T> {
        let mut power = None;
        let mut square = self;
        let mut left = exponent.unsigned_abs();
        while left > 0 {
            if left & 1 == 1 {
                power = Some(power.map_or(square, |power: Expr<T>| power * square));
            }
            left >>= 1;
            if left > 0 {
                square = square * square;
            }
        }
        let power = power.unwrap_or_else(|| T::ONE.into());
        if exponent < 0 { power.recip() } else { power }
    }

    /// One by it.
    #[must_use]
    #[track_caller]
    pub fn recip(self) -> Expr<T> {
        Expr::from(T::ONE) / self
    }

    /// It times `factor` plus `term`, rounded once.
    #[must_use]
    #[track_caller]
    pub fn mul_add(self, factor: impl Into<Expr<T>>, term: impl Into<Expr<T>>) -> Expr<T> {
        let (a, b, c) = (
            checked(&self),
            checked(&factor.into()),
            checked(&term.into()),
        );
        note(T::TYPE, Op::MulAdd(a, b, c))
    }

    /// Whether it is no number.
    #[must_use]
    #[track_caller]
    pub fn is_nan(self) -> Expr<bool> {
        unary(Unary::IsNan, self)
    }
}

impl Expr<bool> {
    /// `yes` where it is true, else `no`. Both are calculated.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[-1.0_f32, 2.0])?;
    /// assert_eq!(a.map(|x| x.gt(0.0).select(x, 0.0))?.to_vec()?, [0.0, 2.0]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn select<T: Element>(self, yes: impl Into<Expr<T>>, no: impl Into<Expr<T>>) -> Expr<T> {
        let (a, b, c) = (checked(&self), checked(&yes.into()), checked(&no.into()));
        note(T::TYPE, Op::Select(a, b, c))
    }
}

macro_rules! bit_operators {
    ($($trait:ident $method:ident $op:ident: $($type:ty),*;)*) => {$($(
        impl $trait for Expr<$type> {
            type Output = Expr<$type>;
            #[track_caller]
            fn $method(self, other: Expr<$type>) -> Expr<$type> {
                binary(Binary::$op, self, other)
            }
        }
        impl $trait<$type> for Expr<$type> {
            type Output = Expr<$type>;
            #[track_caller]
            fn $method(self, other: $type) -> Expr<$type> {
                binary(Binary::$op, self, other)
            }
        }
    )*)*};
}

bit_operators! {
    BitAnd bitand And: i32, i64, u32, u64, bool;
    BitOr bitor Or: i32, i64, u32, u64, bool;
    BitXor bitxor Xor: i32, i64, u32, u64, bool;
    Shl shl Shl: i32, i64, u32, u64;
    Shr shr Shr: i32, i64, u32, u64;
}

impl<T: Numeric> Neg for Expr<T> {
    type Output = Expr<T>;
    #[track_caller]
    fn neg(self) -> Expr<T> {
        unary(Unary::Neg, self)
    }
}

macro_rules! not {
    ($($type:ty)*) => {$(
        impl Not for Expr<$type> {
            type Output = Expr<$type>;
            #[track_caller]
            fn not(self) -> Expr<$type> {
                unary(Unary::Not, self)
            }
        }
    )*};
}

not!(i32 i64 u32 u64 bool);

macro_rules! operators {
    ($($trait:ident $method:ident: $($type:ty)*;)*) => {$(
        impl<T: Numeric> $trait for Expr<T> {
            type Output = Expr<T>;
            #[track_caller]
            fn $method(self, other: Expr<T>) -> Expr<T> {
                binary(Binary::$trait, self, other)
            }
        }
        $(
            impl $trait<$type> for Expr<$type> {
                type Output = Expr<$type>;
                #[track_caller]
                fn $method(self, other: $type) -> Expr<$type> {
                    binary(Binary::$trait, self, other)
                }
            }
            impl $trait<Expr<$type>> for $type {
                type Output = Expr<$type>;
                #[track_caller]
                fn $method(self, other: Expr<$type>) -> Expr<$type> {
                    binary(Binary::$trait, Expr::from(self), other)
                }
            }
        )*
    )*};
}

operators! {
    Add add: f32 f64 i32 i64 u32 u64;
    Sub sub: f32 f64 i32 i64 u32 u64;
    Mul mul: f32 f64 i32 i64 u32 u64;
    Div div: f32 f64 i32 i64 u32 u64;
    Rem rem: f32 f64 i32 i64 u32 u64;
}

impl<T> fmt::Debug for Expr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.node)
    }
}
