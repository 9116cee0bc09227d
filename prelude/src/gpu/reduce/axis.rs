//! Reductions along an axis: an array with one axis less.

use super::super::order::on_host;
use super::super::values::host as items_of;
use super::super::{Expr, Float, GpuError, Numeric};
use super::*;

/// How many elements lie before, on and after an axis.
pub(crate) fn around(shape: &[usize], axis: usize, what: &str) -> GpuResult<[usize; 3]> {
    let Some(&length) = shape.get(axis) else {
        return Err(GpuError::shape(
            format!("{what} along axis {axis} of an array of shape {shape:?}"),
            format!("it has {} axes, numbered from 0", shape.len()),
        ));
    };
    let outer = shape[..axis].iter().product();
    let inner = shape[axis + 1..].iter().product();
    Ok([outer, length, inner])
}

pub(crate) fn along_here<T: Numeric>(
    array: &Array<T>,
    axis: usize,
    operation: Operation,
    identity: T,
    name: &'static str,
) -> GpuResult<Array<T>> {
    let [outer, length, inner] = around(array.shape(), axis, name)?;
    if length == 0 && matches!(operation, Operation::Min | Operation::Max) {
        return Err(GpuError::Empty {
            what: format!("{name} along axis {axis}"),
        });
    }
    let mut shape = array.shape().to_vec();
    shape.remove(axis);
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let reduction = Reduction {
            name,
            combine: &operation.text(T::TYPE),
            constants: &[],
            identity,
        };
        let sizes = [outer, length, inner];
        return reduction
            .axis(device, &Source::of(&array), sizes)?
            .reshape(shape);
    }
    let mut out = Array::<T>::empty(device, shape)?;
    let n_bytes = (array.len() + out.len()) * T::TYPE.size();
    let items = items_of(&array);
    let room = out.own_mut()?.host_mut::<T::Raw>();
    let room = &mut room[..outer * inner];
    macro_rules! by {
        ($combine:expr) => {
            host::axis(items, length, inner, room, identity.to_raw(), |a, b| {
                $combine(T::from_raw(a), T::from_raw(b)).to_raw()
            })
        };
    }
    on_host(
        device,
        || Order::new(OrderKind::Kernel, name, n_bytes).with_operations(items.len() as u64),
        || match operation {
            Operation::Product => by!(T::times),
            Operation::Min => by!(T::smaller),
            Operation::Max => by!(T::larger),
            _ => by!(T::plus),
        },
    );
    Ok(out)
}

impl<T: Numeric> Array<T> {
    /// The sums along an axis, which disappears. Integers wrap.
    ///
    /// # Errors
    /// There is no such axis; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array_of([2, 3], &[1, 2, 3, 4, 5, 6])?;
    /// assert_eq!(a.sum_axis(0)?.to_vec()?, [5, 7, 9]);
    /// assert_eq!(a.sum_axis(1)?.to_vec()?, [6, 15]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn sum_axis(&self, axis: usize) -> GpuResult<Array<T>> {
        T::along(self, axis, Operation::Sum, T::ZERO, "sum_axis")
    }

    /// The products along an axis, which disappears. Integers wrap.
    ///
    /// # Errors
    /// There is no such axis; the device has no room; the driver's.
    pub fn product_axis(&self, axis: usize) -> GpuResult<Array<T>> {
        T::along(self, axis, Operation::Product, T::ONE, "product_axis")
    }

    /// The smallest elements along an axis, which disappears; NaN where one is NaN.
    ///
    /// # Errors
    /// There is no such axis, or it has no elements; the device has no room; the driver's.
    pub fn min_axis(&self, axis: usize) -> GpuResult<Array<T>> {
        T::along(self, axis, Operation::Min, T::HIGHEST, "min_axis")
    }

    /// The largest elements along an axis, which disappears; NaN where one is NaN.
    ///
    /// # Errors
    /// There is no such axis, or it has no elements; the device has no room; the driver's.
    pub fn max_axis(&self, axis: usize) -> GpuResult<Array<T>> {
        T::along(self, axis, Operation::Max, T::LOWEST, "max_axis")
    }
}

impl<T: Float> Array<T> {
    /// The means along an axis, which disappears; NaN of no elements.
    ///
    /// # Errors
    /// There is no such axis; the device has no room; the driver's.
    pub fn mean_axis(&self, axis: usize) -> GpuResult<Array<T>> {
        let sum = T::along(self, axis, Operation::Sum, T::ZERO, "mean_axis")?;
        let n = T::from_f64(self.shape()[axis] as f64);
        sum.map(|x| x / Expr::from(n))
    }
}
