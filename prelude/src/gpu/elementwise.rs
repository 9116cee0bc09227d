//! Calculating with each element: closures over one or several arrays, choices, casts, ranges.

use std::sync::Arc;

use super::array::Array;
use super::device::{self, Device};
use super::element::{Element, Float, Numeric};
use super::error::GpuResult;
use super::expr::{self, Expr};
use super::fuse::{Pass, View};
use super::graph::{Graph, NodeId};
use super::memory::Buffer;
use super::shape::{self, IntoShape};

/// Several arrays that are calculated with together: a tuple of references, or one reference.
pub trait Arrays {
    /// The expressions that stand for their elements.
    type Elements;
    #[doc(hidden)]
    fn elements() -> Self::Elements;
    #[doc(hidden)]
    fn shapes(&self) -> Vec<&[usize]>;
    #[doc(hidden)]
    fn views(&self, shape: &[usize]) -> GpuResult<Views>;
}

/// What a pass reads.
#[doc(hidden)]
pub struct Views(pub(super) Vec<View>);

impl<T: Element> Arrays for &Array<T> {
    type Elements = Expr<T>;
    fn elements() -> Expr<T> {
        expr::input(0)
    }
    fn shapes(&self) -> Vec<&[usize]> {
        vec![self.shape()]
    }
    fn views(&self, shape: &[usize]) -> GpuResult<Views> {
        Ok(Views(vec![T::view(self, shape)?]))
    }
}

macro_rules! tuples {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Element),*> Arrays for ($(&Array<$name>,)*) {
            type Elements = ($(Expr<$name>,)*);
            fn elements() -> Self::Elements {
                ($(expr::input::<$name>($place),)*)
            }
            fn shapes(&self) -> Vec<&[usize]> {
                vec![$(self.$place.shape()),*]
            }
            fn views(&self, shape: &[usize]) -> GpuResult<Views> {
                Ok(Views(vec![$($name::view(self.$place, shape)?),*]))
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

/// One pass over several arrays: the closure says what the result's element is, and all of it is one kernel. Arrays of
/// different shapes are broadcast.
///
/// # Errors
/// The shapes do not fit, the arrays lie on different devices; no room; the driver's.
///
/// ```
/// use forkline::gpu;
///
/// let (a, b) = (gpu::array(&[1.0_f32, 4.0])?, gpu::array(&[3.0_f32, 5.0])?);
/// let c = gpu::zip((&a, &b), |(a, b)| (a * a + b * b).sqrt() * 0.5)?;
/// assert_eq!(c.to_vec()?[0], 10.0_f32.sqrt() * 0.5);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn zip<A: Arrays, U: Element>(
    arrays: A,
    closure: impl FnOnce(A::Elements) -> Expr<U>,
) -> GpuResult<Array<U>> {
    pass("zip", &arrays, closure)
}

pub(super) fn pass<A: Arrays, U: Element>(
    name: &'static str,
    arrays: &A,
    closure: impl FnOnce(A::Elements) -> Expr<U>,
) -> GpuResult<Array<U>> {
    let shape = common_shape(name, &arrays.shapes())?;
    let views = arrays.views(&shape)?.0;
    let (graph, root) = expr::trace(|| closure(A::elements()));
    let device = views[0].buffer.device();
    U::run_pass(name, &graph, root, &views, &shape, device)
}

/// The shape that all have together.
pub(super) fn common_shape(name: &'static str, shapes: &[&[usize]]) -> GpuResult<Vec<usize>> {
    let mut shape = shapes[0].to_vec();
    for other in &shapes[1..] {
        shape = shape::broadcast(name, &shape, other)?;
    }
    Ok(shape)
}

/// Runs a graph into a new array of a device.
pub(super) fn run_pass_here<U: Element>(
    name: &'static str,
    graph: &Graph,
    root: NodeId,
    views: &[View],
    shape: &[usize],
    device: Device,
) -> GpuResult<Array<U>> {
    let pass = Pass {
        name,
        graph,
        root,
        views,
        shape,
    };
    pass.run(device)
}

impl<T: Element> Array<T> {
    /// A new array of the same shape, whose elements the closure calculates from this one's, in one kernel.
    ///
    /// # Errors
    /// No room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[1.0_f32, 4.0, 9.0])?;
    /// assert_eq!(a.map(|x| x.sqrt() + 1.0)?.to_vec()?, [2.0, 3.0, 4.0]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn map<U: Element>(&self, closure: impl FnOnce(Expr<T>) -> Expr<U>) -> GpuResult<Array<U>> {
        pass("map", &self, closure)
    }

    /// Replaces each element by what the closure calculates from it. Without new memory, if no other array shares it.
    ///
    /// # Errors
    /// No room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let mut a = gpu::array(&[1, 2, 3])?;
    /// a.apply(|x| x * 10)?;
    /// assert_eq!(a.to_vec()?, [10, 20, 30]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn apply(&mut self, closure: impl FnOnce(Expr<T>) -> Expr<T>) -> GpuResult<()> {
        let (graph, root) = expr::trace(|| closure(expr::input(0)));
        T::update(self, "apply", Vec::new(), &graph, root)
    }

    /// As [`apply`](Array::apply), with the elements of another array, which is broadcast to this one's shape.
    ///
    /// # Errors
    /// The shapes do not fit, the other lies elsewhere; no room; the driver's.
    pub fn apply_with<U: Element>(
        &mut self,
        other: &Array<U>,
        closure: impl FnOnce(Expr<T>, Expr<U>) -> Expr<T>,
    ) -> GpuResult<()> {
        self.apply_named("apply_with", other, closure)
    }

    pub(super) fn apply_named<U: Element>(
        &mut self,
        name: &'static str,
        other: &Array<U>,
        closure: impl FnOnce(Expr<T>, Expr<U>) -> Expr<T>,
    ) -> GpuResult<()> {
        let other = U::view(other, &self.shape)?;
        let (graph, root) = expr::trace(|| closure(expr::input(0), expr::input(1)));
        T::update(self, name, vec![other], &graph, root)
    }

    pub(super) fn update_here(
        &mut self,
        name: &'static str,
        others: Vec<View>,
        graph: &Graph,
        root: NodeId,
    ) -> GpuResult<()> {
        let (device, shape) = (self.device(), self.shape.clone());
        let is_own = self.is_contiguous() && Arc::get_mut(&mut self.buffer).is_some();
        let mut own = View::of(self, &shape)?;
        if is_own {
            // The pass reads it from the result; another owner would make that a copy.
            own.buffer = Arc::new(Buffer::new(device, 0)?);
        }
        let mut views = vec![own];
        views.extend(others);
        let pass = Pass {
            name,
            graph,
            root,
            views: &views,
            shape: &shape,
        };
        if is_own {
            pass.run_into(self, Some(0))
        } else {
            *self = pass.run(device)?;
            Ok(())
        }
    }

    /// Each element as another type, by the rules of `as`.
    ///
    /// # Errors
    /// No room; the driver's.
    pub fn cast<U: Element>(&self) -> GpuResult<Array<U>> {
        pass("cast", &self, Expr::cast)
    }

    /// A copy that shares nothing with this.
    ///
    /// # Errors
    /// No room; the driver's.
    pub fn copy(&self) -> GpuResult<Array<T>> {
        T::copy(self)
    }

    pub(super) fn copy_here(&self) -> GpuResult<Array<T>> {
        pass("copy", &self, |x| x)
    }

    /// The same elements, one after the other: itself if they lie so, else a copy.
    ///
    /// # Errors
    /// No room; the driver's.
    pub fn contiguous(&self) -> GpuResult<Array<T>> {
        if self.is_contiguous() {
            Ok(self.clone())
        } else {
            self.copy()
        }
    }
}

impl Array<bool> {
    /// `yes` where this is true, else `no`; of arrays that are broadcast.
    ///
    /// # Errors
    /// The shapes do not fit, the arrays lie on different devices; no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[3, -1, 2])?;
    /// let positive = a.gt(0)?.choose(&a, &gpu::array(&[0])?)?;
    /// assert_eq!(positive.to_vec()?, [3, 0, 2]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    #[doc(alias = "where")]
    pub fn choose<T: Element>(&self, yes: &Array<T>, no: &Array<T>) -> GpuResult<Array<T>> {
        pass("choose", &(self, yes, no), |(choice, yes, no)| {
            choice.select(yes, no)
        })
    }
}

/// An array of a shape, on the default device; the closure says what each element is, from its place counted row by row.
///
/// # Errors
/// No room; the driver's.
///
/// ```
/// use forkline::gpu;
///
/// let table = gpu::from_fn([3, 3], |i| (i / 3 + 1) * (i % 3 + 1))?;
/// assert_eq!(table.to_vec()?, [1, 2, 3, 2, 4, 6, 3, 6, 9]);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn from_fn<T: Element>(
    shape: impl IntoShape,
    closure: impl FnOnce(Expr<u64>) -> Expr<T>,
) -> GpuResult<Array<T>> {
    let shape = shape.into_shape();
    let (graph, root) = expr::trace(|| closure(expr::index()));
    T::run_pass("from_fn", &graph, root, &[], &shape, device::default())
}

/// 0, 1, 2, … on the default device.
///
/// # Errors
/// No room; the driver's.
pub fn arange<T: Numeric>(n: usize) -> GpuResult<Array<T>> {
    T::arange(n)
}

pub(super) fn arange_here<T: Numeric>(n: usize) -> GpuResult<Array<T>> {
    from_fn(n, Expr::cast)
}

/// `n` numbers from `start` to `end`, both included, at equal distances, on the default device.
///
/// # Errors
/// No room; the driver's.
///
/// ```
/// use forkline::gpu;
///
/// assert_eq!(gpu::linspace(0.0_f32, 1.0, 5)?.to_vec()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn linspace<T: Float>(start: T, end: T, n: usize) -> GpuResult<Array<T>> {
    let last = n.saturating_sub(1).max(1);
    let step = T::from_f64((end.to_f64() - start.to_f64()) / last as f64);
    from_fn(n, |i| {
        // The end itself, whatever the steps add up to.
        let is_end = i.eq((n.max(2) - 1) as u64);
        is_end.select(
            Expr::from(end),
            i.cast::<T>() * Expr::from(step) + Expr::from(start),
        )
    })
}
