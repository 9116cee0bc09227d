//! Arrays on a device: how they are made, looked at from other sides, and brought back.
//!
//! An array is a view of a buffer: shape, strides, and where it begins. Slices, transposed and broadcast arrays share the
//! buffer. Arrays are values: who writes to one whose buffer is shared gets a copy first, so no other array ever changes.
//! What is calculated with them lies in other modules.
//!
//! Methods whose name ends with `_here` are what a public method of that name does, as compiled in this library (`instances`).

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::device::{self, Device};
use super::element::{Element, ElementType};
use super::error::{GpuError, GpuResult};
use super::memory::Buffer;
use super::shape::{self, IntoShape, IntoSpans, Span};

/// An array of elements of one type on a device.
///
/// Copies are cheap: they share the elements until one of them is written to.
#[derive(Clone)]
pub struct Array<T: Element> {
    pub(super) buffer: Arc<Buffer>,
    pub(super) shape: Vec<usize>,
    /// How many elements further the next of an axis lies.
    pub(super) strides: Vec<isize>,
    /// Where the first element lies, in elements.
    pub(super) offset: usize,
    pub(super) element: PhantomData<T>,
}

/// An array of one axis out of a slice, on the default device.
///
/// # Errors
/// The device has no room; the driver's.
///
/// ```
/// use forkline::gpu;
///
/// let a = gpu::array(&[1.0_f32, 2.0, 3.0])?;
/// assert_eq!(a.shape(), [3]);
/// assert_eq!(a.to_vec()?, [1.0, 2.0, 3.0]);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn array<T: Element>(items: &[T]) -> GpuResult<Array<T>> {
    Array::from_slice(device::default(), items.len(), items)
}

/// An array of a shape out of a slice, row by row, on the default device. Of an `ndarray` array in standard order these are
/// `a.shape()` and `a.as_slice().unwrap()`.
///
/// # Errors
/// The slice has not as many items as the shape; the device has no room; the driver's.
pub fn array_of<T: Element>(shape: impl IntoShape, items: &[T]) -> GpuResult<Array<T>> {
    Array::from_slice(device::default(), shape, items)
}

/// An array of zeros (`false` for `bool`), on the default device.
///
/// # Errors
/// The device has no room; the driver's.
pub fn zeros<T: Element>(shape: impl IntoShape) -> GpuResult<Array<T>> {
    full(shape, T::ZERO)
}

/// An array of ones (`true` for `bool`), on the default device.
///
/// # Errors
/// The device has no room; the driver's.
pub fn ones<T: Element>(shape: impl IntoShape) -> GpuResult<Array<T>> {
    full(shape, T::ONE)
}

/// An array of one value, on the default device.
///
/// # Errors
/// The device has no room; the driver's.
pub fn full<T: Element>(shape: impl IntoShape, value: T) -> GpuResult<Array<T>> {
    Array::full(device::default(), shape, value)
}

/// An array whose elements are any, on the default device: for results of kernels that write all of them.
///
/// # Errors
/// The device has no room; the driver's.
pub fn empty<T: Element>(shape: impl IntoShape) -> GpuResult<Array<T>> {
    Array::empty(device::default(), shape)
}

impl<T: Element> Array<T> {
    /// An array of a shape out of a slice, row by row.
    ///
    /// # Errors
    /// The slice has not as many items as the shape; the device has no room; the driver's.
    pub fn from_slice(device: Device, shape: impl IntoShape, items: &[T]) -> GpuResult<Array<T>> {
        T::from_slice(device, shape.into_shape(), items)
    }

    pub(super) fn from_slice_here(
        device: Device,
        shape: Vec<usize>,
        items: &[T],
    ) -> GpuResult<Array<T>> {
        if shape::count(&shape)? != items.len() {
            return Err(GpuError::shape(
                format!("an array of shape {shape:?} out of {} items", items.len()),
                format!("the shape has {} elements", shape::count(&shape)?),
            ));
        }
        let mut array = Array::empty(device, shape)?;
        array.write_raw(items)?;
        Ok(array)
    }

    /// An array of one value.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn full(device: Device, shape: impl IntoShape, value: T) -> GpuResult<Array<T>> {
        T::full(device, shape.into_shape(), value)
    }

    pub(super) fn full_here(device: Device, shape: Vec<usize>, value: T) -> GpuResult<Array<T>> {
        let mut array = Array::empty(device, shape)?;
        array.own_mut()?.fill(value.to_raw())?;
        Ok(array)
    }

    /// An array whose elements are any.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn empty(device: Device, shape: impl IntoShape) -> GpuResult<Array<T>> {
        T::empty(device, shape.into_shape())
    }

    pub(super) fn empty_here(device: Device, shape: Vec<usize>) -> GpuResult<Array<T>> {
        let bytes = shape::count(&shape)? * T::TYPE.size();
        if T::TYPE == ElementType::F64 && !device.has_f64() {
            return Err(GpuError::NoDevice {
                wanted: format!("f64 on {device}"),
                why: "this device calculates with 32 bits only".to_owned(),
                cure: "use f32, or another device".to_owned(),
            });
        }
        Ok(Array {
            buffer: Arc::new(Buffer::new(device, bytes)?),
            strides: shape::row_major(&shape),
            shape,
            offset: 0,
            element: PhantomData,
        })
    }

    /// An array of the same shape and type on the same device, whose elements are any.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn empty_like(&self) -> GpuResult<Array<T>> {
        Array::empty(self.device(), &self.shape)
    }

    /// An array of zeros of the same shape and type on the same device.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn zeros_like(&self) -> GpuResult<Array<T>> {
        Array::full(self.device(), &self.shape, T::ZERO)
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many axes it has.
    pub fn n_axes(&self) -> usize {
        self.shape.len()
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its elements.
    pub fn element_type(&self) -> ElementType {
        T::TYPE
    }

    /// The device that it lies on.
    pub fn device(&self) -> Device {
        self.buffer.device()
    }

    /// How many elements further in memory the next of each axis lies.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Whether its elements lie one after the other.
    pub fn is_contiguous(&self) -> bool {
        self.shape.contains(&0) || {
            let expected = shape::row_major(&self.shape);
            let axes = self.shape.iter().zip(&self.strides).zip(&expected);
            // The stride of an axis of one element leads nowhere.
            axes.into_iter()
                .all(|((&length, stride), expected)| length == 1 || stride == expected)
        }
    }

    /// Its elements, row by row. Waits for all that was ordered before.
    ///
    /// # Errors
    /// The driver's; also of orders that came before.
    pub fn to_vec(&self) -> GpuResult<Vec<T>> {
        T::to_vec(self)
    }

    pub(super) fn to_vec_here(&self) -> GpuResult<Vec<T>> {
        let array = self.contiguous()?;
        let raw = array.buffer.read::<T::Raw>(array.offset, array.len())?;
        Ok(raw.into_iter().map(T::from_raw).collect())
    }

    /// The only element of an array that has one.
    ///
    /// # Errors
    /// It has another number of elements; the driver's.
    pub fn item(&self) -> GpuResult<T> {
        T::item(self)
    }

    pub(super) fn item_here(&self) -> GpuResult<T> {
        if self.len() != 1 {
            return Err(GpuError::shape(
                format!("the one element of an array of shape {:?}", self.shape),
                format!("it has {} elements", self.len()),
            ));
        }
        let raw = self.buffer.read::<T::Raw>(self.offset, 1)?;
        Ok(T::from_raw(raw[0]))
    }

    /// One element by its place. Each call waits for the device: to look at many take [`to_vec`](Array::to_vec).
    ///
    /// # Errors
    /// There is no such element; the driver's.
    pub fn get(&self, index: impl IntoShape) -> GpuResult<T> {
        T::get(self, &index.into_shape())
    }

    pub(super) fn get_here(&self, index: &[usize]) -> GpuResult<T> {
        let is_within = index.len() == self.shape.len()
            && index.iter().zip(&self.shape).all(|(i, length)| i < length);
        if !is_within {
            return Err(GpuError::shape(
                format!("element {index:?} of an array of shape {:?}", self.shape),
                "there is none",
            ));
        }
        let further: isize = index
            .iter()
            .zip(&self.strides)
            .map(|(&i, stride)| i as isize * stride)
            .sum();
        let place = self.offset.wrapping_add_signed(further);
        let raw = self.buffer.read::<T::Raw>(place, 1)?;
        Ok(T::from_raw(raw[0]))
    }

    /// Replaces all elements, row by row.
    ///
    /// # Errors
    /// The slice has another number of items; the driver's.
    pub fn write(&mut self, items: &[T]) -> GpuResult<()> {
        T::write(self, items)
    }

    pub(super) fn write_here(&mut self, items: &[T]) -> GpuResult<()> {
        if items.len() != self.len() {
            return Err(GpuError::shape(
                format!(
                    "writing {} items to an array of shape {:?}",
                    items.len(),
                    self.shape
                ),
                format!("it has {} elements", self.len()),
            ));
        }
        *self = Array::empty(self.device(), &self.shape)?;
        self.write_raw(items)
    }

    /// The same array on another device; itself, if it is there.
    ///
    /// # Errors
    /// The device has no room; the drivers'.
    pub fn to_device(&self, device: Device) -> GpuResult<Array<T>> {
        if device == self.device() {
            return Ok(self.clone());
        }
        Array::from_slice(device, &self.shape, &self.to_vec()?)
    }

    /// The same elements under another shape; a view if they lie one after the other, else a copy.
    ///
    /// # Errors
    /// The shape has another number of elements.
    pub fn reshape(&self, shape: impl IntoShape) -> GpuResult<Array<T>> {
        T::reshape(self, shape.into_shape())
    }

    pub(super) fn reshape_here(&self, shape: Vec<usize>) -> GpuResult<Array<T>> {
        if shape::count(&shape)? != self.len() {
            return Err(GpuError::shape(
                format!(
                    "an array of shape {:?} as one of shape {shape:?}",
                    self.shape
                ),
                format!(
                    "they have {} and {} elements",
                    self.len(),
                    shape::count(&shape)?
                ),
            ));
        }
        let array = self.contiguous()?;
        Ok(Array {
            strides: shape::row_major(&shape),
            shape,
            ..array
        })
    }

    /// The same elements in one axis.
    ///
    /// # Errors
    /// As [`reshape`](Array::reshape).
    pub fn ravel(&self) -> GpuResult<Array<T>> {
        self.reshape(self.len())
    }

    /// The axes in reverse order, as a view: a matrix becomes its transposed.
    #[doc(alias = "T")]
    pub fn transpose(&self) -> Array<T> {
        let mut array = self.clone();
        array.shape.reverse();
        array.strides.reverse();
        array
    }

    /// The axes in another order, as a view: axis `i` of the result is axis `axes[i]` of this.
    ///
    /// # Errors
    /// `axes` does not name each axis once.
    pub fn permute(&self, axes: &[usize]) -> GpuResult<Array<T>> {
        T::permute(self, axes)
    }

    pub(super) fn permute_here(&self, axes: &[usize]) -> GpuResult<Array<T>> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.n_axes()) {
            return Err(GpuError::shape(
                format!("the axes {axes:?} of an array of shape {:?}", self.shape),
                "each axis must be named once",
            ));
        }
        let mut array = self.clone();
        array.shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        array.strides = axes.iter().map(|&axis| self.strides[axis]).collect();
        Ok(array)
    }

    /// A part of the array, as a view: a range for each of the first axes, with [`step`](super::step) for every n-th.
    ///
    /// # Errors
    /// There are not as many axes, or a range ends beyond its axis.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&(0..12).collect::<Vec<i32>>())?.reshape([3, 4])?;
    /// assert_eq!(a.slice((1.., 0..2))?.to_vec()?, [4, 5, 8, 9]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn slice(&self, spans: impl IntoSpans) -> GpuResult<Array<T>> {
        T::slice(self, spans.into_spans())
    }

    pub(super) fn slice_here(&self, spans: Vec<Span>) -> GpuResult<Array<T>> {
        if spans.len() > self.n_axes() {
            return Err(GpuError::shape(
                format!(
                    "{} ranges of an array of shape {:?}",
                    spans.len(),
                    self.shape
                ),
                format!("it has {} axes", self.n_axes()),
            ));
        }
        let mut array = self.clone();
        let mut further = 0;
        for (axis, span) in spans.into_iter().enumerate() {
            let (first, n, step) = span.resolve(axis, self.shape[axis])?;
            further += first as isize * self.strides[axis];
            array.shape[axis] = n;
            array.strides[axis] *= step;
        }
        array.offset = self.offset.wrapping_add_signed(further);
        if array.is_empty() {
            array.offset = 0;
        }
        Ok(array)
    }

    /// One index of an axis, as a view with an axis less: row 2 of a matrix is `a.at(0, 2)`.
    ///
    /// # Errors
    /// There is no such axis or index.
    pub fn at(&self, axis: usize, index: usize) -> GpuResult<Array<T>> {
        T::at(self, axis, index)
    }

    pub(super) fn at_here(&self, axis: usize, index: usize) -> GpuResult<Array<T>> {
        if self.shape.get(axis).is_none_or(|&length| index >= length) {
            return Err(GpuError::shape(
                format!(
                    "index {index} of axis {axis} of an array of shape {:?}",
                    self.shape
                ),
                "there is none",
            ));
        }
        let mut array = self.clone();
        array.offset = self
            .offset
            .wrapping_add_signed(index as isize * self.strides[axis]);
        array.shape.remove(axis);
        array.strides.remove(axis);
        if array.is_empty() {
            array.offset = 0;
        }
        Ok(array)
    }

    /// The array as one of a larger shape, as a view: axes of length 1, and axes that it does not have, are repeated.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn broadcast_to(&self, shape: impl IntoShape) -> GpuResult<Array<T>> {
        T::broadcast_to(self, shape.into_shape())
    }

    pub(super) fn broadcast_to_here(&self, shape: Vec<usize>) -> GpuResult<Array<T>> {
        if shape::broadcast("broadcasting", &self.shape, &shape)? != shape {
            return Err(GpuError::shape(
                format!(
                    "broadcasting an array of shape {:?} to {shape:?}",
                    self.shape
                ),
                "no axis may become shorter",
            ));
        }
        shape::count(&shape)?;
        let missing = shape.len() - self.n_axes();
        let strides = (0..shape.len())
            .map(|axis| match axis.checked_sub(missing) {
                Some(own) if self.shape[own] == shape[axis] => self.strides[own],
                _ => 0,
            })
            .collect();
        Ok(Array {
            buffer: Arc::clone(&self.buffer),
            shape,
            strides,
            offset: self.offset,
            element: PhantomData,
        })
    }

    fn write_raw(&mut self, items: &[T]) -> GpuResult<()> {
        const { assert!(size_of::<T>() == size_of::<T::Raw>()) };
        // SAFETY: a number is its own raw form, and a `bool` is a byte; every pattern of bits is a raw value.
        let raw =
            unsafe { std::slice::from_raw_parts(items.as_ptr().cast::<T::Raw>(), items.len()) };
        self.own_mut()?.write(raw)
    }

    /// The buffer, for this array alone: copied first if others share it.
    ///
    /// # Errors
    /// No room; the driver's.
    pub(super) fn own_mut(&mut self) -> GpuResult<&mut Buffer> {
        if Arc::get_mut(&mut self.buffer).is_none() {
            self.buffer = Arc::new(self.buffer.duplicate()?);
        }
        match Arc::get_mut(&mut self.buffer) {
            Some(buffer) => Ok(buffer),
            None => unreachable!("the copy has one owner"),
        }
    }
}

/// Shape, type and device; the values would have to be fetched.
impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array<{}>{:?} on {}", T::TYPE, self.shape, self.device())
    }
}
