//! Reductions of whole arrays to a value on the host: how each is done.

use super::super::order::on_host;
use super::super::values::host as items_of;
use super::super::{ElementType, GpuError, Numeric};
use super::host::{lanes, lanes_of_two, whole};
use super::*;

fn empty(what: &str) -> GpuError {
    GpuError::Empty {
        what: what.to_owned(),
    }
}

/// The order of a reduction by rayon.
pub(super) fn order<T: Element>(name: &'static str, n: usize) -> Order {
    Order::new(OrderKind::Kernel, name, n * T::TYPE.size()).with_operations(n as u64)
}

/// All values of a source of one device with kernels, by one of the operations.
pub(crate) fn by_kernel<A: Element>(
    device: Device,
    name: &str,
    operation: Operation,
    identity: A,
    source: &Source<'_>,
) -> GpuResult<A> {
    let reduction = Reduction {
        name,
        combine: &operation.text(A::TYPE),
        constants: &[],
        identity,
    };
    reduction.whole(device, source)
}

/// What is made of each element, and all of that added up as `A`: `text` in C, `load` in Rust.
fn sum_of<T: Numeric, A: Numeric>(
    array: &Array<T>,
    name: &'static str,
    text: &str,
    value: Option<A>,
    load: impl Fn(T) -> A + Sync,
) -> GpuResult<A> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let mut source = Source::new(array.len(), text).with("X", &array);
        if let Some(value) = value {
            source = source.with_value("value", value.scalar());
        }
        return by_kernel(device, name, Operation::Sum, A::ZERO, &source);
    }
    let items = items_of(&array);
    let load = |raw| load(T::from_raw(raw));
    let block = |first, end| lanes(&items[first..end], A::ZERO, load, A::plus);
    Ok(on_host(
        device,
        || order::<T>(name, items.len()),
        || whole(items.len(), A::ZERO, block, A::plus),
    ))
}

/// The smallest (or largest) element.
pub(crate) fn extreme_here<T: Numeric>(
    array: &Array<T>,
    operation: Operation,
    identity: T,
) -> GpuResult<T> {
    if array.is_empty() {
        return Err(empty(operation.name()));
    }
    fold_here(array, operation, identity)
}

pub(crate) fn fold_here<T: Numeric>(
    array: &Array<T>,
    operation: Operation,
    identity: T,
) -> GpuResult<T> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let source = Source::of(&array);
        return by_kernel(device, operation.name(), operation, identity, &source);
    }
    let items = items_of(&array);
    // Each operation has a loop of its own, which the compiler makes vectors of.
    macro_rules! by {
        ($combine:expr) => {
            whole(
                items.len(),
                identity,
                |first, end| lanes(&items[first..end], identity, T::from_raw, $combine),
                $combine,
            )
        };
    }
    Ok(on_host(
        device,
        || order::<T>(operation.name(), items.len()),
        || match operation {
            Operation::Product => by!(T::times),
            Operation::Min => by!(T::smaller),
            Operation::Max => by!(T::larger),
            _ => by!(T::plus),
        },
    ))
}

/// The first place of the smallest or largest element.
pub(crate) fn place_here<T: Numeric>(
    array: &Array<T>,
    name: &'static str,
    operation: Operation,
    identity: T,
) -> GpuResult<usize> {
    if array.is_empty() {
        return Err(empty(name));
    }
    let array = array.contiguous()?;
    let wanted = fold_here(&array, operation, identity)?;
    first_place(&array, name, wanted)
}

/// The first place of a value that is there.
fn first_place<T: Numeric>(array: &Array<T>, name: &'static str, wanted: T) -> GpuResult<usize> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let is_it = match T::TYPE.is_float() {
            true => "(X(i) == wanted || (X(i) != X(i) && wanted != wanted))",
            false => "(X(i) == wanted)",
        };
        let text = format!("{is_it} ? (u64)(i) : ~(u64)0");
        let source = Source::new(array.len(), text)
            .with("X", &array)
            .with_value("wanted", wanted.scalar());
        let place = by_kernel(device, name, Operation::Min, u64::MAX, &source)?;
        return Ok(place as usize);
    }
    let items = items_of(&array);
    let is_it = |raw: &T::Raw| {
        let item = T::from_raw(*raw);
        item == wanted || (item.is_nan() && wanted.is_nan())
    };
    let block = |first: usize, end: usize| {
        let place = items[first..end].iter().position(is_it);
        place.map_or(usize::MAX, |place| first + place)
    };
    Ok(on_host(
        device,
        || order::<T>(name, items.len()),
        || whole(items.len(), usize::MAX, block, usize::min),
    ))
}

/// The sum of all, and what it is divided by for the mean, as floating-point numbers.
pub(crate) fn mean_here<T: Numeric>(array: &Array<T>) -> GpuResult<f64> {
    let n = array.len() as f64;
    if array.is_empty() {
        return Err(empty("mean"));
    }
    let sum = match T::TYPE {
        ElementType::F32 => fold_here(array, Operation::Sum, T::ZERO)?.to_f64(),
        // Sums of these cannot overflow.
        ElementType::I32 | ElementType::U32 => {
            sum_of(array, "mean", "X(i)", None, |x| x.to_f64() as i64)? as f64
        }
        _ if !array.device().has_f64() => {
            f64::from(sum_of(array, "mean", "X(i)", None, |x| x.to_f64() as f32)?)
        }
        _ => sum_of(array, "mean", "X(i)", None, T::to_f64)?,
    };
    Ok(sum / n)
}

pub(crate) fn variance_here<T: Numeric>(array: &Array<T>) -> GpuResult<f64> {
    if array.is_empty() {
        return Err(empty("variance"));
    }
    let (array, n) = (array.contiguous()?, array.len() as f64);
    let mean = mean_here(&array)?;
    let text = "((A)X(i) - value) * ((A)X(i) - value)";
    let name = "variance";
    if array.device().has_f64() {
        let square = |x: T| (x.to_f64() - mean).powi(2);
        return Ok(sum_of(&array, name, text, Some(mean), square)? / n);
    }
    let mean = mean as f32;
    let square = |x: T| (x.to_f64() as f32 - mean).powi(2);
    Ok(f64::from(sum_of(&array, name, text, Some(mean), square)?) / n)
}

pub(crate) fn dot_here<T: Numeric>(array: &Array<T>, other: &Array<T>) -> GpuResult<T> {
    if array.shape() != other.shape() {
        return Err(GpuError::shape(
            format!(
                "dot of arrays of shapes {:?} and {:?}",
                array.shape(),
                other.shape()
            ),
            "they must be equal; matmul multiplies matrices",
        ));
    }
    let device = super::super::values::same_device("dot", array, other)?;
    let (a, b) = (array.contiguous()?, other.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let text = match T::TYPE {
            ElementType::I32 => "(A)((u32)X(i) * (u32)Y(i))",
            ElementType::I64 => "(A)((u64)X(i) * (u64)Y(i))",
            _ => "X(i) * Y(i)",
        };
        let source = Source::new(a.len(), text).with("X", &a).with("Y", &b);
        return by_kernel(device, "dot", Operation::Sum, T::ZERO, &source);
    }
    let (x, y) = (items_of(&a), items_of(&b));
    let load = |x, y| T::from_raw(x).times(T::from_raw(y));
    let block = |first: usize, end: usize| {
        lanes_of_two((&x[first..end], &y[first..end]), T::ZERO, load, T::plus)
    };
    Ok(on_host(
        device,
        || {
            Order::new(OrderKind::Kernel, "dot", 2 * x.len() * T::TYPE.size())
                .with_operations(2 * x.len() as u64)
        },
        || whole(x.len(), T::ZERO, block, T::plus),
    ))
}
