//! Reductions of whole arrays to a value on the host: what arrays offer.

use super::super::order::on_host;
use super::super::values::host as items_of;
use super::super::{Float, Numeric};
use super::host::{lanes, whole};
use super::whole::order;
use super::*;

impl<T: Numeric> Array<T> {
    /// The sum of all elements; 0 of none. Integers wrap. Floating-point numbers are added in blocks: the error stays near
    /// that of one addition, but the last digits differ between devices.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[1, 2, 3, 4])?;
    /// assert_eq!((a.sum()?, a.product()?, a.min()?, a.max()?), (10, 24, 1, 4));
    /// assert_eq!((a.mean()?, a.variance()?, a.argmax()?), (2.5, 1.25, 3));
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn sum(&self) -> GpuResult<T> {
        T::fold(self, Operation::Sum, T::ZERO)
    }

    /// The product of all elements; 1 of none. Integers wrap.
    ///
    /// # Errors
    /// The driver's.
    #[doc(alias = "prod")]
    pub fn product(&self) -> GpuResult<T> {
        T::fold(self, Operation::Product, T::ONE)
    }

    /// The smallest element; NaN if one is NaN, as in NumPy.
    ///
    /// # Errors
    /// There is no element; the driver's.
    pub fn min(&self) -> GpuResult<T> {
        T::extreme(self, Operation::Min, T::HIGHEST)
    }

    /// The largest element; NaN if one is NaN, as in NumPy.
    ///
    /// # Errors
    /// There is no element; the driver's.
    pub fn max(&self) -> GpuResult<T> {
        T::extreme(self, Operation::Max, T::LOWEST)
    }

    /// The place of the smallest element, counted row by row: the first of equal ones, the first NaN if there is one. The
    /// array is read twice.
    ///
    /// # Errors
    /// There is no element; the driver's.
    pub fn argmin(&self) -> GpuResult<usize> {
        T::place_of(self, "argmin", Operation::Min, T::HIGHEST)
    }

    /// The place of the largest element, counted row by row: the first of equal ones, the first NaN if there is one. The
    /// array is read twice.
    ///
    /// # Errors
    /// There is no element; the driver's.
    pub fn argmax(&self) -> GpuResult<usize> {
        T::place_of(self, "argmax", Operation::Max, T::LOWEST)
    }

    /// The mean of all elements. Integers of 32 bits are added without overflow, those of 64 as floating-point numbers.
    ///
    /// # Errors
    /// There is no element; the driver's.
    pub fn mean(&self) -> GpuResult<f64> {
        T::mean(self)
    }

    /// The mean square of the distances from the mean: the variance of just these elements, divided by their number (`ddof`
    /// is 0, as in NumPy). The mean is found first, so nothing is lost where it is large; calculated with 64 bits where the
    /// device can.
    ///
    /// # Errors
    /// There is no element; the driver's.
    #[doc(alias = "var")]
    pub fn variance(&self) -> GpuResult<f64> {
        T::variance(self)
    }

    /// The square root of the [`variance`](Array::variance).
    ///
    /// # Errors
    /// There is no element; the driver's.
    #[doc(alias = "std")]
    pub fn std_dev(&self) -> GpuResult<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The sum of the products of elements at the same place, 0 of none. Integers wrap. No array of products is made.
    ///
    /// # Errors
    /// The shapes differ, the arrays lie on different devices; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let (a, b) = (gpu::array(&[1.0, 2.0, 3.0])?, gpu::array(&[4.0, 5.0, 6.0])?);
    /// assert_eq!(a.dot(&b)?, 32.0);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn dot(&self, other: &Array<T>) -> GpuResult<T> {
        T::dot(self, other)
    }
}

impl<T: Float> Array<T> {
    /// The square root of the sum of the squares.
    ///
    /// # Errors
    /// The driver's.
    pub fn norm(&self) -> GpuResult<f64> {
        let array = self.contiguous()?;
        array.dot(&array).map(|square| square.to_f64().sqrt())
    }
}

impl Array<bool> {
    /// Whether one element is true; not of none.
    ///
    /// # Errors
    /// The driver's.
    pub fn any(&self) -> GpuResult<bool> {
        self.truth(Operation::Or, false, |a, b| a | b)
    }

    /// Whether all elements are true; so of none.
    ///
    /// # Errors
    /// The driver's.
    pub fn all(&self) -> GpuResult<bool> {
        self.truth(Operation::And, true, |a, b| a & b)
    }

    fn truth(
        &self,
        operation: Operation,
        identity: bool,
        combine: impl Fn(u8, u8) -> u8 + Sync + Copy,
    ) -> GpuResult<bool> {
        let (device, array) = (self.device(), self.contiguous()?);
        let name = operation.name();
        if Manner::of(device) != Manner::Rayon {
            let source = Source::new(array.len(), "X(i) != 0").with("X", &array);
            return by_kernel(device, name, operation, identity, &source);
        }
        let items = items_of(&array);
        let identity = u8::from(identity);
        let block = |first: usize, end: usize| {
            lanes(&items[first..end], identity, |x| u8::from(x != 0), combine)
        };
        let truth = on_host(
            device,
            || order::<bool>(name, items.len()),
            || whole(items.len(), identity, block, combine),
        );
        Ok(truth != 0)
    }

    /// How many elements are true.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[true, false, true])?;
    /// assert_eq!((a.count_true()?, a.any()?, a.all()?), (2, true, false));
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    #[doc(alias = "count_nonzero")]
    pub fn count_true(&self) -> GpuResult<usize> {
        let (device, array) = (self.device(), self.contiguous()?);
        if Manner::of(device) != Manner::Rayon {
            let source = Source::new(array.len(), "X(i) != 0").with("X", &array);
            let count = by_kernel(device, "count", Operation::Sum, 0_u64, &source)?;
            return Ok(count as usize);
        }
        let items = items_of(&array);
        let block = |first: usize, end: usize| {
            // A block's count needs no more than 32 bits.
            lanes(
                &items[first..end],
                0_u32,
                |x| u32::from(x != 0),
                |a, b| a + b,
            ) as usize
        };
        Ok(on_host(
            device,
            || order::<bool>("count", items.len()),
            || whole(items.len(), 0, block, |a, b| a + b),
        ))
    }
}
