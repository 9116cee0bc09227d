//! Reductions and scans by a closure of two values, which is traced as those of `map` are.
//!
//! What always holds: a reduction may join values in any order, a scan keeps it; so a reduction's closure must be associative
//! and commutative, a scan's associative.

mod host;

use super::array::Array;
use super::device::Device;
use super::element::{Element, ElementType, Scalar};
use super::elementwise::{Arrays, common_shape, run_pass_here};
use super::error::{GpuError, GpuResult};
use super::expr::{self, Expr};
use super::fuse::View;
use super::graph::{Graph, NodeId};
use super::manner::Manner;
use super::order::{Order, OrderKind, on_host};
use super::reduce::Reduction;
use super::scan::{Scan, order_on_host};
use super::shape;
use super::text::{self, Writer, type_name};
use super::values::{Source, host as items_of};

/// A traced closure.
pub(super) struct Traced {
    graph: Graph,
    root: NodeId,
}

impl Traced {
    fn of_two<T: Element>(closure: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>) -> Traced {
        let (graph, root) = expr::trace(|| closure(expr::input(0), expr::input(1)));
        Traced { graph, root }
    }

    fn constants(&self) -> &[Scalar] {
        self.graph.parameters()
    }

    /// A function of these inputs, and of the constants by the names that begin with `prefix`; and a macro `name` of the inputs
    /// alone.
    fn function(
        &self,
        name: &str,
        prefix: &str,
        inputs: &[ElementType],
        out: ElementType,
    ) -> String {
        let mut body = String::new();
        let writer = Writer {
            graph: &self.graph,
            input: &|number| format!("x{number}"),
            parameter: &|number| format!("{prefix}{number}"),
            index: "0",
            indent: "    ",
            prefix: "v",
        };
        let value = writer.write(self.root, &mut body);
        let typed = |types: &mut dyn Iterator<Item = ElementType>, name: &str| {
            let one = |(i, element)| format!("{} {name}{i}", type_name(element));
            types.enumerate().map(one).collect::<Vec<_>>()
        };
        let mut parameters = typed(&mut inputs.iter().copied(), "x");
        let constants = self.constants().iter().map(|scalar| scalar.element_type());
        parameters.extend(typed(&mut constants.into_iter(), prefix));
        let arguments: Vec<_> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
        let constants = (0..self.constants().len()).map(|i| format!("{prefix}{i}"));
        let all: Vec<_> = arguments.iter().cloned().chain(constants).collect();
        format!(
            "{}DEVICE {} {name}_of({}) {{\n{body}    return {value};\n}}\n#define {name}({}) {name}_of({})\n",
            text::helpers(&self.graph, self.root),
            type_name(out),
            parameters.join(", "),
            arguments.join(", "),
            all.join(", "),
        )
    }

    /// Defines `A` and `combine`.
    fn combine(&self, element: ElementType) -> String {
        let function = self.function("combine", "k", &[element; 2], element);
        format!("typedef {} A;\n{function}", type_name(element))
    }
}

/// All elements joined to one value by a closure, which must be associative and commutative; `identity` changes nothing that
/// it is joined with, and is the value of no elements.
///
/// # Errors
/// The driver's.
///
/// ```
/// use forkline::gpu;
///
/// let v = gpu::array(&[3, 1, 4, 1, 5])?;
/// assert_eq!(gpu::reduce(&v, 0, |a, b| a + b)?, 14);
/// assert_eq!(gpu::reduce(&v, i32::MIN, |a, b| a.max(b))?, 5);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn reduce<T: Element>(
    array: &Array<T>,
    identity: T,
    combine: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>,
) -> GpuResult<T> {
    T::reduce_traced(array, identity, &Traced::of_two(combine))
}

/// What a closure makes of each element of one or several arrays, joined to one value by a second closure, in one pass: no
/// array of the values is made. The second closure must be associative and commutative.
///
/// # Errors
/// The shapes do not fit, the arrays lie on different devices; the driver's. Views that do not lie in order are copied first.
///
/// ```
/// use forkline::gpu;
///
/// let (a, b) = (gpu::array(&[1.0, 5.0])?, gpu::array(&[3.0, 4.0])?);
/// let farthest = gpu::map_reduce((&a, &b), |(a, b)| (a - b).abs(), 0.0, |x, y| x.max(y))?;
/// assert_eq!(farthest, 2.0);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn map_reduce<A: Arrays, T: Element>(
    arrays: A,
    map: impl FnOnce(A::Elements) -> Expr<T>,
    identity: T,
    combine: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>,
) -> GpuResult<T> {
    let shape = common_shape("map_reduce", &arrays.shapes())?;
    let views = arrays.views(&shape)?.0;
    let (graph, root) = expr::trace(|| map(A::elements()));
    let map = Traced { graph, root };
    T::map_reduce_traced(&map, &views, &shape, identity, &Traced::of_two(combine))
}

pub(super) fn reduce_here<T: Element>(
    array: &Array<T>,
    identity: T,
    combine: &Traced,
) -> GpuResult<T> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        return by_kernel(device, "reduce", combine, identity, &Source::of(&array));
    }
    let items = items_of(&array);
    let n_bytes = items.len() * T::TYPE.size();
    let order =
        || Order::new(OrderKind::Kernel, "reduce", n_bytes).with_operations(items.len() as u64);
    let values = host::Values::<T::Raw>::Items(items);
    let raw = on_host(device, order, || {
        host::reduce(
            &combine.graph,
            combine.root,
            identity.to_raw(),
            &values,
            items.len(),
        )
    });
    Ok(T::from_raw(raw))
}

pub(super) fn map_reduce_here<T: Element>(
    map: &Traced,
    views: &[View],
    shape: &[usize],
    identity: T,
    combine: &Traced,
) -> GpuResult<T> {
    let device = views[0].buffer.device();
    for view in views {
        if view.buffer.device() != device {
            return Err(GpuError::Devices {
                what: "map_reduce".to_owned(),
                first: device,
                other: view.buffer.device(),
            });
        }
    }
    let n = shape::count(shape)?;
    if Manner::of(device) == Manner::Rayon {
        let order = || {
            let bytes: usize = views.iter().map(|view| view.element.size()).sum();
            let operations = 1 + map.graph.n_operations(map.root);
            Order::new(OrderKind::Kernel, "map_reduce", n * bytes)
                .with_operations(n as u64 * operations)
        };
        let raw = on_host(device, order, || {
            let values = host::Values::mapped(&map.graph, map.root, views, shape);
            host::reduce(&combine.graph, combine.root, identity.to_raw(), &values, n)
        });
        return Ok(T::from_raw(raw));
    }
    let is_in_order = |view: &View| is_plain(view, shape) || is_single(view);
    if !views.iter().all(is_in_order) {
        let mapped = run_pass_here::<T>("map_reduce", &map.graph, map.root, views, shape, device)?;
        return reduce_here(&mapped, identity, combine);
    }
    let loads: Vec<_> = (0..views.len())
        .map(|i| match is_single(&views[i]) {
            true => format!("Y{i}(0)"),
            false => format!("Y{i}(i)"),
        })
        .collect();
    let mut source = Source::new(n, format!("mapped({})", loads.join(", ")));
    for (i, view) in views.iter().enumerate() {
        source = source.with_view(&format!("Y{i}"), view, n);
    }
    source = source.with_constants("m", map.constants());
    let types: Vec<_> = views.iter().map(|view| view.element).collect();
    source.declarations += &map.function("mapped", "m", &types, T::TYPE);
    by_kernel(device, "map_reduce", combine, identity, &source)
}

fn is_plain(view: &View, shape: &[usize]) -> bool {
    let in_order = shape::row_major(shape);
    let mut axes = shape.iter().zip(view.strides.iter().zip(&in_order));
    axes.all(|(&length, (stride, in_order))| length == 1 || stride == in_order)
}

fn is_single(view: &View) -> bool {
    view.strides.iter().all(|stride| *stride == 0)
}

fn by_kernel<T: Element>(
    device: Device,
    name: &str,
    combine: &Traced,
    identity: T,
    source: &Source<'_>,
) -> GpuResult<T> {
    let reduction = Reduction {
        name,
        combine: &combine.combine(T::TYPE),
        constants: combine.constants(),
        identity,
    };
    reduction.whole(device, source)
}

pub(super) fn scan_here<T: Element>(
    array: &Array<T>,
    identity: T,
    combine: &Traced,
    is_inclusive: bool,
) -> GpuResult<Array<T>> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let scan = Scan {
            name: "scan",
            combine: &combine.combine(T::TYPE),
            constants: combine.constants(),
            identity,
        };
        return scan.running(device, &Source::of(&array), is_inclusive);
    }
    let items = items_of(&array);
    let mut out = Array::<T>::empty(device, items.len())?;
    let room = &mut out.own_mut()?.host_mut::<T::Raw>()[..items.len()];
    let order = || order_on_host::<T>("scan", items.len());
    on_host(device, order, || {
        let identity = identity.to_raw();
        host::scan(
            &combine.graph,
            combine.root,
            identity,
            items,
            room,
            is_inclusive,
        );
    });
    Ok(out)
}

impl<T: Element> Array<T> {
    /// As [`reduce`].
    ///
    /// # Errors
    /// The driver's.
    pub fn reduce(
        &self,
        identity: T,
        combine: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>,
    ) -> GpuResult<T> {
        reduce(self, identity, combine)
    }

    /// What all elements up to and with each one come to, joined row by row by an associative closure; an array of one axis.
    /// `identity` changes nothing that it is joined with.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[3, 1, 4, 1, 5])?;
    /// assert_eq!(a.scan(i32::MIN, |a, b| a.max(b))?.to_vec()?, [3, 3, 4, 4, 5]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn scan(
        &self,
        identity: T,
        combine: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>,
    ) -> GpuResult<Array<T>> {
        T::scan_traced(self, identity, &Traced::of_two(combine), true)
    }

    /// As [`scan`](Array::scan), without the element itself: the first is `identity`.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn scan_exclusive(
        &self,
        identity: T,
        combine: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>,
    ) -> GpuResult<Array<T>> {
        T::scan_traced(self, identity, &Traced::of_two(combine), false)
    }
}
