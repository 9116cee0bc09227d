//! Sorting.
//!
//! Graphics cards sort by radix: four bits at a time, from the lowest on; each pass counts the digits of each tile, sums the
//! counts, and moves each element to its place. Where the processor does the work, rayon sorts: on an OpenCL device of the
//! processor the elements are brought over for that, which costs two copies in the same memory.
//!
//! What always holds: the order is that of the numbers, NaN of either sign after all; equal ones keep their order (zeros of
//! both signs are equal), in descending order too.

mod host;
mod radix;

use super::Numeric;
use super::array::Array;
use super::error::GpuResult;
use super::manner::Manner;
use super::order::{Order, OrderKind, on_host};

/// How elements are put in order.
pub(super) fn sorted_here<T: Numeric>(
    array: &Array<T>,
    is_descending: bool,
) -> GpuResult<Array<T>> {
    let (device, array) = (array.device(), array.ravel()?);
    if Manner::of(device) == Manner::Wide {
        return Ok(radix::sort(&array, is_descending, false)?.0);
    }
    let mut items = array.to_vec()?;
    let bytes = 2 * items.len() * T::TYPE.size();
    let order = || Order::new(OrderKind::Kernel, "sort", bytes);
    on_host(device, order, || host::sort(&mut items, is_descending));
    Array::from_slice(device, items.len(), &items)
}

/// The places of the elements in order.
pub(super) fn places_here<T: Numeric>(
    array: &Array<T>,
    is_descending: bool,
) -> GpuResult<Array<u64>> {
    let (device, array) = (array.device(), array.ravel()?);
    if Manner::of(device) == Manner::Wide {
        let places = radix::sort(&array, is_descending, true)?.1;
        return places.map_or_else(|| Array::empty(device, 0), Ok);
    }
    let items = array.to_vec()?;
    let bytes = items.len() * (T::TYPE.size() + 8);
    let order = || Order::new(OrderKind::Kernel, "argsort", bytes);
    let places = on_host(device, order, || host::places(&items, is_descending));
    Array::from_slice(device, places.len(), &places)
}

impl<T: Numeric> Array<T> {
    /// The elements in ascending order, NaN last, as an array of one axis.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[3, 1, 2])?;
    /// assert_eq!(a.sort()?.to_vec()?, [1, 2, 3]);
    /// assert_eq!(a.sort_descending()?.to_vec()?, [3, 2, 1]);
    /// assert_eq!(a.argsort()?.to_vec()?, [1, 2, 0]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn sort(&self) -> GpuResult<Array<T>> {
        T::sorted(self, false)
    }

    /// The elements in descending order, NaN first, as an array of one axis.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn sort_descending(&self) -> GpuResult<Array<T>> {
        T::sorted(self, true)
    }

    /// The places of the elements in ascending order, counted row by row: [`take`](Array::take) with them gives the sorted
    /// array. Equal elements keep their order.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn argsort(&self) -> GpuResult<Array<u64>> {
        T::places(self, false)
    }

    /// The places of the elements in descending order. Equal elements keep their order.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn argsort_descending(&self) -> GpuResult<Array<u64>> {
        T::places(self, true)
    }
}
