//! Arrays put together.

use super::array::Array;
use super::element::{Element, Scalar};
use super::error::{GpuError, GpuResult};
use super::manner::Manner;
use super::order::{Order, OrderKind, on_host};
use super::parallel;
use super::reduce::around;
use super::values::{Source, host as items_of, same_device};

/// Arrays one after the other along an axis. All other axes must be equal.
///
/// # Errors
/// There is no array, no such axis, or the shapes do not fit; the arrays lie on different devices; the device has no room;
/// the driver's.
///
/// ```
/// use forkline::gpu;
///
/// let (a, b) = (gpu::array(&[1, 2])?, gpu::array(&[3])?);
/// assert_eq!(gpu::concatenate(&[&a, &b], 0)?.to_vec()?, [1, 2, 3]);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn concatenate<T: Element>(arrays: &[&Array<T>], axis: usize) -> GpuResult<Array<T>> {
    T::concatenate(arrays, axis)
}

pub(super) fn concatenate_here<T: Element>(
    arrays: &[&Array<T>],
    axis: usize,
) -> GpuResult<Array<T>> {
    let Some(first) = arrays.first() else {
        return Err(GpuError::Empty {
            what: "concatenate".to_owned(),
        });
    };
    let device = first.device();
    let [outer, _, inner] = around(first.shape(), axis, "concatenate")?;
    let mut shape = first.shape().to_vec();
    shape[axis] = 0;
    for array in arrays {
        same_device("concatenate", first, array)?;
        let mut expected = first.shape().to_vec();
        if let Some(&length) = array.shape().get(axis) {
            expected[axis] = length;
            shape[axis] += length;
        }
        if array.shape() != expected {
            return Err(GpuError::shape(
                format!(
                    "concatenate along axis {axis} of arrays of shapes {:?} and {:?}",
                    first.shape(),
                    array.shape()
                ),
                "all other axes must be equal",
            ));
        }
    }
    let row = shape[axis] * inner;
    let mut out = Array::<T>::empty(device, shape)?;
    let mut begin = 0;
    for array in arrays {
        let array = array.contiguous()?;
        let width = array.shape()[axis] * inner;
        let bytes = array.len() * T::TYPE.size();
        if width == 0 || outer == 0 {
            continue;
        }
        if Manner::of(device) == Manner::Rayon {
            let items = items_of(&array);
            let room = &mut out.own_mut()?.host_mut::<T::Raw>()[..outer * row];
            let order = || Order::new(OrderKind::Kernel, "concatenate", 2 * bytes);
            on_host(device, order, || {
                parallel::parts_mut(room, row, &|part, room| {
                    let items = parallel::part_of(items, width, part);
                    room[begin..begin + width].copy_from_slice(items);
                });
            });
        } else {
            let number = |n: usize| Scalar::U64(n as u64);
            // On a narrow device each place is a row, so that there is no division in the loop.
            let by_rows = Manner::of(device) == Manner::Narrow && outer > 1;
            let (n, statement) = match by_rows {
                true => (
                    outer,
                    "for (u64 j = 0; j < width; j++) OUT((i) * row + begin + j) = X((i) * width + j);",
                ),
                false if outer == 1 => (array.len(), "OUT(begin + i) = X(i);"),
                false => (
                    array.len(),
                    "OUT(i / width * row + begin + i % width) = X(i);",
                ),
            };
            let source = Source::new(n, "")
                .with("X", &array)
                .with_room("OUT", &out)
                .with_value("width", number(width))
                .with_value("row", number(row))
                .with_value("begin", number(begin));
            device.each("concatenate", &source, statement, bytes)?;
        }
        begin += width;
    }
    Ok(out)
}
