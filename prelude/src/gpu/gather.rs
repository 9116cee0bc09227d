//! Gather and scatter: elements by their places.

use super::Numeric;
use super::array::Array;
use super::element::{Element, ElementType};
use super::error::{GpuError, GpuResult};
use super::fuse::View;
use super::instances::OfIndices;
use super::interpret::with_type;
use super::manner::Manner;
use super::operation::Operation;
use super::order::{Order, OrderKind, on_host};
use super::parallel;
use super::reduce::by_kernel;
use super::values::{Source, host as items_of, same_device};

/// What places may be: an integer of any type.
pub trait Index: Numeric + OfIndices {
    #[doc(hidden)]
    fn place(self) -> Option<usize>;
    /// Wrapped to 64 bits, and back.
    #[doc(hidden)]
    fn to_bits(self) -> u64;
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
}

macro_rules! index {
    ($($type:ident)*) => {$(
        impl Index for $type {
            fn place(self) -> Option<usize> {
                usize::try_from(self).ok()
            }
            fn to_bits(self) -> u64 {
                self as u64
            }
            fn from_bits(bits: u64) -> $type {
                bits as $type
            }
        }
    )*};
}

index!(i32 i64 u32 u64);

/// Places of any type, in order and known to be within.
pub(super) struct Places {
    shape: Vec<usize>,
    view: View,
}

impl Places {
    fn n(&self) -> usize {
        self.shape.iter().product()
    }

    /// As numbers, on the rayon device: calls `each` with what brings a place by its number.
    fn on_host<R>(&self, work: impl FnOnce(&(dyn Fn(usize) -> usize + Sync)) -> R) -> R {
        let first = self.view.offset;
        with_type!(self.view.element, I => {
            let items = &self.view.buffer.host::<I>()[first..first + self.n()];
            work(&|i| items[i] as usize)
        })
    }
}

/// The places that an array names, all of which must be below `n`.
pub(super) fn places_within_here<I: Index>(
    what: &str,
    indices: &Array<I>,
    n: usize,
) -> GpuResult<Places> {
    let indices = indices.contiguous()?;
    check_places(what, &indices, n)?;
    Ok(Places {
        shape: indices.shape().to_vec(),
        view: View::of(&indices, indices.shape())?,
    })
}

/// Looks whether all places are below `n`; `indices` is contiguous.
pub(super) fn check_places<I: Index>(what: &str, indices: &Array<I>, n: usize) -> GpuResult<()> {
    let device = indices.device();
    let first = if Manner::of(device) == Manner::Rayon {
        let items = items_of(indices);
        let is_outside = |raw: &I::Raw| I::from_raw(*raw).place().is_none_or(|place| place >= n);
        const PART: usize = 1 << 14;
        let parts = parallel::collect(items.len().div_ceil(PART), &|part| {
            let items = parallel::part_of(items, PART, part);
            items
                .iter()
                .position(is_outside)
                .map(|place| part * PART + place)
        });
        parts.into_iter().flatten().next()
    } else {
        let is_outside = match I::TYPE {
            ElementType::I32 | ElementType::I64 => "(X(i) < 0 || (u64)X(i) >= limit)",
            _ => "((u64)X(i) >= limit)",
        };
        let text = format!("{is_outside} ? (u64)(i) : ~(u64)0");
        let source = Source::new(indices.len(), text)
            .with("X", indices)
            .with_value("limit", super::Scalar::U64(n as u64));
        let first = by_kernel(device, "check_places", Operation::Min, u64::MAX, &source)?;
        Some(first as usize).filter(|first| *first < indices.len())
    };
    match first {
        None => Ok(()),
        Some(first) => {
            let place = indices.ravel()?.get(first)?;
            Err(GpuError::shape(
                format!("{what} with {place:?}, item {first}"),
                format!("places go from 0 up to {n}, without it"),
            ))
        }
    }
}

pub(super) fn take_here<T: Element>(array: &Array<T>, places: &Places) -> GpuResult<Array<T>> {
    let (device, array) = (array.device(), array.contiguous()?);
    let mut out = Array::<T>::empty(device, &places.shape)?;
    let (n, written) = (places.n(), out.len() * T::TYPE.size());
    if Manner::of(device) != Manner::Rayon {
        let source = Source::new(n, "")
            .with_view("INDEX", &places.view, n)
            .with("X", &array)
            .with_room("OUT", &out);
        let source = Source {
            bytes: n * places.view.element.size() + written,
            ..source
        };
        device.each("take", &source, "OUT(i) = X(INDEX(i));", written)?;
        return Ok(out);
    }
    let items = items_of(&array);
    let room = &mut out.own_mut()?.host_mut::<T::Raw>()[..n];
    let bytes = n * places.view.element.size() + 2 * written;
    let order = || Order::new(OrderKind::Kernel, "take", bytes);
    on_host(device, order, || {
        places.on_host(|place| {
            const PART: usize = 1 << 13;
            parallel::parts_mut(room, PART, &|part, room| {
                for (i, room) in room.iter_mut().enumerate() {
                    *room = items[place(part * PART + i)];
                }
            });
        });
    });
    Ok(out)
}

pub(super) fn put_here<T: Element>(
    array: &mut Array<T>,
    places: &Places,
    values: &Array<T>,
) -> GpuResult<()> {
    let (device, n, values) = (array.device(), array.len(), values.contiguous()?);
    let mut own = std::mem::replace(array, Array::empty(device, 0)?).contiguous()?;
    own.own_mut()?;
    *array = own;
    let written = values.len() * T::TYPE.size();
    if Manner::of(device) != Manner::Rayon {
        let source = Source::new(places.n(), "")
            .with_view("INDEX", &places.view, places.n())
            .with("VALUE", &values)
            .with_room("OUT", array);
        return device.each("put", &source, "OUT(INDEX(i)) = VALUE(i);", written);
    }
    let values = items_of(&values);
    let bytes = values.len() * places.view.element.size() + 2 * written;
    let offset = array.offset;
    let room = &mut array.own_mut()?.host_mut::<T::Raw>()[offset..offset + n];
    let order = || Order::new(OrderKind::Kernel, "put", bytes);
    on_host(device, order, || {
        // Each core has a part of the array, and looks through all places for those in it.
        let cores = match values.len() {
            ..32_768 => 1,
            _ => rayon::current_num_threads(),
        };
        let part = n.div_ceil(cores).max(1);
        places.on_host(|place| {
            parallel::parts_mut(room, part, &|p, room| {
                for (i, value) in values.iter().enumerate() {
                    if let Some(room) = room.get_mut(place(i).wrapping_sub(p * part)) {
                        *room = *value;
                    }
                }
            });
        });
    });
    Ok(())
}

impl<T: Element> Array<T> {
    /// The elements at the places that `indices` names, counted row by row, in the shape of `indices`.
    ///
    /// # Errors
    /// A place is outside: looked for before anything is taken, by one reading of the indices. The arrays lie on different
    /// devices; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[10, 20, 30])?;
    /// assert_eq!(a.take(&gpu::array(&[2, 0, 2])?)?.to_vec()?, [30, 10, 30]);
    /// assert!(a.take(&gpu::array(&[3])?).is_err());
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn take<I: Index>(&self, indices: &Array<I>) -> GpuResult<Array<T>> {
        same_device("take", self, indices)?;
        T::take(self, &I::places_within("take", indices, self.len())?)
    }

    /// Replaces the elements at the places that `indices` names, counted row by row, by those of `values`. Which value stays
    /// where a place is named twice is left open.
    ///
    /// # Errors
    /// There are not as many values as places; a place is outside, then nothing is replaced; the arrays lie on different
    /// devices; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let mut a = gpu::zeros::<f32>(4)?;
    /// a.put(&gpu::array(&[3, 1])?, &gpu::array(&[0.5, 1.5])?)?;
    /// assert_eq!(a.to_vec()?, [0.0, 1.5, 0.0, 0.5]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn put<I: Index>(&mut self, indices: &Array<I>, values: &Array<T>) -> GpuResult<()> {
        if indices.len() != values.len() {
            return Err(GpuError::shape(
                format!(
                    "put at indices of shape {:?} of values of shape {:?}",
                    indices.shape(),
                    values.shape()
                ),
                "there must be a value for each",
            ));
        }
        same_device("put", self, indices)?;
        same_device("put", self, values)?;
        T::put(self, &I::places_within("put", indices, self.len())?, values)
    }
}
