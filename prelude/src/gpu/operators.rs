//! Operators of arrays: with arrays, which are broadcast, and with numbers; comparisons; functions of one array.
//!
//! An operator cannot return an error: one that fails panics with the error's text. The methods can.

use std::ops::{
    Add, AddAssign, BitAnd, BitOr, BitXor, Div, DivAssign, Mul, MulAssign, Neg, Not, Rem,
    RemAssign, Sub, SubAssign,
};

use super::array::Array;
use super::element::{Element, Float, Numeric};
use super::elementwise::common_shape;
use super::error::{GpuError, GpuResult};
use super::fuse::View;
use super::graph::{Binary, Graph, Op, Unary};
use super::instances::OfElements as _;

/// What stands beside an array.
#[doc(hidden)]
pub enum Other<'a, T: Element> {
    Array(&'a Array<T>),
    Scalar(T),
}

/// What can stand beside an array: an array, which is broadcast, or a number.
pub trait Operand<T: Element> {
    #[doc(hidden)]
    fn other(&self) -> Other<'_, T>;
}

impl<T: Element> Operand<T> for T {
    fn other(&self) -> Other<'_, T> {
        Other::Scalar(*self)
    }
}

impl<T: Element> Operand<T> for &Array<T> {
    fn other(&self) -> Other<'_, T> {
        Other::Array(self)
    }
}

/// One operation on two elements, as a pass.
pub(super) fn pair_here<T: Element, U: Element>(
    name: &'static str,
    op: Binary,
    first: &Array<T>,
    other: &Other<'_, T>,
    is_swapped: bool,
) -> GpuResult<Array<U>> {
    let mut graph = Graph::default();
    let a = graph.node(Op::Input(0), T::TYPE);
    let (b, shape) = match other {
        Other::Array(other) => (
            graph.node(Op::Input(1), T::TYPE),
            common_shape(name, &[first.shape(), other.shape()])?,
        ),
        Other::Scalar(value) => (graph.parameter(value.scalar()), first.shape().to_vec()),
    };
    let (a, b) = if is_swapped { (b, a) } else { (a, b) };
    let root = graph.node(Op::Binary(op, a, b), U::TYPE);
    let mut views = vec![View::of(first, &shape)?];
    if let Other::Array(other) = other {
        views.push(View::of(other, &shape)?);
    }
    U::run_pass(name, &graph, root, &views, &shape, first.device())
}

/// One operation on two elements, in place.
pub(super) fn assign_here<T: Element>(
    name: &'static str,
    op: Binary,
    first: &mut Array<T>,
    other: &Other<'_, T>,
) -> GpuResult<()> {
    let mut graph = Graph::default();
    let a = graph.node(Op::Input(0), T::TYPE);
    let (b, views) = match other {
        Other::Array(other) => (
            graph.node(Op::Input(1), T::TYPE),
            vec![View::of(other, first.shape())?],
        ),
        Other::Scalar(value) => (graph.parameter(value.scalar()), Vec::new()),
    };
    let root = graph.node(Op::Binary(op, a, b), T::TYPE);
    first.update_here(name, views, &graph, root)
}

/// One operation on each element, as a pass.
pub(super) fn single_here<T: Element>(
    name: &'static str,
    op: Unary,
    array: &Array<T>,
) -> GpuResult<Array<T>> {
    let mut graph = Graph::default();
    let a = graph.node(Op::Input(0), T::TYPE);
    let root = graph.node(Op::Unary(op, a), T::TYPE);
    let views = [View::of(array, array.shape())?];
    T::run_pass(name, &graph, root, &views, array.shape(), array.device())
}

#[track_caller]
fn must<R>(result: GpuResult<R>) -> R {
    match result {
        Ok(result) => result,
        Err(error) => fail(&error),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn fail(error: &GpuError) -> ! {
    panic!("{error}")
}

macro_rules! binary {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident;)*) => {$(
        impl<T: Numeric> $trait<&Array<T>> for &Array<T> {
            type Output = Array<T>;
            #[track_caller]
            fn $method(self, other: &Array<T>) -> Array<T> {
                must(T::pair(stringify!($method), Binary::$trait, self, &Other::Array(other), false))
            }
        }
        impl<T: Numeric> $trait<Array<T>> for &Array<T> {
            type Output = Array<T>;
            #[track_caller]
            fn $method(self, other: Array<T>) -> Array<T> {
                self.$method(&other)
            }
        }
        impl<T: Numeric> $trait<&Array<T>> for Array<T> {
            type Output = Array<T>;
            #[track_caller]
            fn $method(self, other: &Array<T>) -> Array<T> {
                (&self).$method(other)
            }
        }
        impl<T: Numeric> $trait for Array<T> {
            type Output = Array<T>;
            #[track_caller]
            fn $method(self, other: Array<T>) -> Array<T> {
                (&self).$method(&other)
            }
        }
        impl<T: Numeric> $trait<T> for &Array<T> {
            type Output = Array<T>;
            #[track_caller]
            fn $method(self, other: T) -> Array<T> {
                must(T::pair(stringify!($method), Binary::$trait, self, &Other::Scalar(other), false))
            }
        }
        impl<T: Numeric> $trait<T> for Array<T> {
            type Output = Array<T>;
            #[track_caller]
            fn $method(self, other: T) -> Array<T> {
                (&self).$method(other)
            }
        }
        impl<T: Numeric> $assign<&Array<T>> for Array<T> {
            #[track_caller]
            fn $assign_method(&mut self, other: &Array<T>) {
                must(T::assign(stringify!($assign_method), Binary::$trait, self, &Other::Array(other)));
            }
        }
        impl<T: Numeric> $assign<T> for Array<T> {
            #[track_caller]
            fn $assign_method(&mut self, other: T) {
                must(T::assign(stringify!($assign_method), Binary::$trait, self, &Other::Scalar(other)));
            }
        }
    )*};
}

binary! {
    Add add AddAssign add_assign;
    Sub sub SubAssign sub_assign;
    Mul mul MulAssign mul_assign;
    Div div DivAssign div_assign;
    Rem rem RemAssign rem_assign;
}

macro_rules! from_the_left {
    ($($type:ty)*: $traits:tt) => {$( from_the_left!(@one $type $traits); )*};
    (@one $type:ty [$($trait:ident $method:ident)*]) => {$(
        impl $trait<&Array<$type>> for $type {
            type Output = Array<$type>;
            #[track_caller]
            fn $method(self, other: &Array<$type>) -> Array<$type> {
                must(<$type>::pair(stringify!($method), Binary::$trait, other, &Other::Scalar(self), true))
            }
        }
        impl $trait<Array<$type>> for $type {
            type Output = Array<$type>;
            #[track_caller]
            fn $method(self, other: Array<$type>) -> Array<$type> {
                self.$method(&other)
            }
        }
    )*};
}

from_the_left!(f32 f64 i32 i64 u32 u64: [Add add Sub sub Mul mul Div div Rem rem]);

macro_rules! bits {
    ($($type:ty)*: $traits:tt) => {$( bits!(@one $type $traits); )*};
    (@one $type:ty [$($trait:ident $method:ident $op:ident)*]) => {$(
        impl $trait<&Array<$type>> for &Array<$type> {
            type Output = Array<$type>;
            #[track_caller]
            fn $method(self, other: &Array<$type>) -> Array<$type> {
                must(<$type>::pair(stringify!($method), Binary::$op, self, &Other::Array(other), false))
            }
        }
    )*};
}

bits!(bool i32 i64 u32 u64: [BitAnd bitand And BitOr bitor Or BitXor bitxor Xor]);

macro_rules! not {
    ($($type:ty)*) => {$(
        impl Not for &Array<$type> {
            type Output = Array<$type>;
            #[track_caller]
            fn not(self) -> Array<$type> {
                must(<$type>::single("not", Unary::Not, self))
            }
        }
    )*};
}

not!(bool i32 i64 u32 u64);

impl<T: Numeric> Neg for &Array<T> {
    type Output = Array<T>;
    #[track_caller]
    fn neg(self) -> Array<T> {
        must(T::single("neg", Unary::Neg, self))
    }
}

impl<T: Numeric> Neg for Array<T> {
    type Output = Array<T>;
    #[track_caller]
    fn neg(self) -> Array<T> {
        -&self
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The shapes do not fit, the arrays lie on different devices; no room; the driver's.
        pub fn $name(&self, other: impl Operand<T>) -> GpuResult<Array<bool>> {
            T::compare(stringify!($name), Binary::$op, self, &other.other(), false)
        }
    )*};
}

impl<T: Element> Array<T> {
    comparisons! {
        /// Where elements equal those of another array, or a number.
        eq Eq;
        /// Where elements differ.
        ne Ne;
        /// Where elements are less.
        lt Lt;
        /// Where elements are less or equal.
        le Le;
        /// Where elements are greater.
        gt Gt;
        /// Where elements are greater or equal.
        ge Ge;
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// No room; the driver's.
        pub fn $name(&self) -> GpuResult<Array<T>> {
            T::single(stringify!($name), Unary::$op, self)
        }
    )*};
}

impl<T: Numeric> Array<T> {
    functions! {
        /// The absolute value of each element.
        abs Abs;
    }

    /// The smaller one of each pair.
    ///
    /// # Errors
    /// The shapes do not fit, the arrays lie on different devices; no room; the driver's.
    pub fn minimum(&self, other: impl Operand<T>) -> GpuResult<Array<T>> {
        T::pair("minimum", Binary::Min, self, &other.other(), false)
    }

    /// The larger one of each pair.
    ///
    /// # Errors
    /// As [`minimum`](Array::minimum).
    pub fn maximum(&self, other: impl Operand<T>) -> GpuResult<Array<T>> {
        T::pair("maximum", Binary::Max, self, &other.other(), false)
    }

    /// Each element's power.
    ///
    /// # Errors
    /// As [`minimum`](Array::minimum).
    pub fn pow(&self, exponent: impl Operand<T>) -> GpuResult<Array<T>> {
        T::pair("pow", Binary::Pow, self, &exponent.other(), false)
    }
}

impl<T: Float> Array<T> {
    functions! {
        /// The square root of each element.
        sqrt Sqrt;
        /// e to the power of each element.
        exp Exp;
        /// The natural logarithm of each element.
        ln Ln;
        /// The sine of each element, of radians.
        sin Sin;
        /// The cosine of each element, of radians.
        cos Cos;
        /// The hyperbolic tangent of each element.
        tanh Tanh;
    }
}
