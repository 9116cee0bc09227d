//! Selection: the elements that a mask or a rule names, one after the other.
//!
//! How many are chosen before an element is the place that it goes to: a scan, whose last step stores the chosen ones.

use std::sync::{Mutex, PoisonError};

use super::Numeric;
use super::array::Array;
use super::device::Device;
use super::element::{Element, ElementType, Plain};
use super::error::{GpuError, GpuResult};
use super::manner::Manner;
use super::operation::Operation;
use super::order::{Order, OrderKind, on_host};
use super::parallel;
use super::program::Given;
use super::scan::{PART, Scan};
use super::sort::sorted_here;
use super::text::type_name;
use super::values::{Source, host as items_of, same_device};

/// The chosen ones: `source` says of each place whether it is one, `value` (in C) what is stored of it.
fn chosen<T: Element>(
    device: Device,
    name: &str,
    source: &Source<'_>,
    value: &str,
) -> GpuResult<Array<T>> {
    let scan = Scan {
        name,
        combine: &Operation::Sum.text(ElementType::U64),
        constants: &[],
        identity: 0_u64,
    };
    let more = [(type_name(T::TYPE), "out")];
    let statement = format!("if (value) out[before] = {value}");
    let carries = scan.carries(device, source, &more, &statement)?;
    // Of a short array the room for all is taken, and the count comes with them.
    let known = carries.sum()?;
    let room = known.map_or(source.n, |count| count as usize);
    let out = Array::<T>::empty(device, room)?;
    let given = [Given::Buffer(&out.buffer)];
    let sum = scan.write(device, source, &carries, &more, &given, &statement)?;
    let count = match known {
        Some(count) => count,
        None => sum.item()?,
    };
    Ok(Array {
        shape: vec![count as usize],
        strides: vec![1],
        ..out
    })
}

/// The same by rayon: the values of the places that are chosen, of `n`.
fn chosen_on_host<T: Element>(
    device: Device,
    name: &'static str,
    n: usize,
    bytes: usize,
    is_chosen: impl Fn(usize) -> bool + Sync,
    value: impl Fn(usize) -> T::Raw + Sync,
) -> GpuResult<Array<T>> {
    let part = |p: usize| p * PART..n.min((p + 1) * PART);
    let count = |p: usize| part(p).filter(|i| is_chosen(*i)).count();
    let order = || Order::new(OrderKind::Kernel, name, bytes).with_operations(n as u64);
    on_host(device, order, || {
        let counts = parallel::collect(n.div_ceil(PART), &count);
        let mut out = Array::<T>::empty(device, counts.iter().sum::<usize>())?;
        let mut rest = &mut out.own_mut()?.host_mut::<T::Raw>()[..];
        let mut rooms: Vec<Mutex<&mut [T::Raw]>> = Vec::with_capacity(counts.len());
        for count in counts {
            let (room, after) = rest.split_at_mut(count);
            rooms.push(Mutex::new(room));
            rest = after;
        }
        parallel::each(rooms.len(), &|p| {
            let mut room = rooms[p].lock().unwrap_or_else(PoisonError::into_inner);
            let places = part(p).filter(|i| is_chosen(*i));
            for (room, i) in room.iter_mut().zip(places) {
                *room = value(i);
            }
        });
        Ok(out)
    })
}

fn is_zero<R: Plain, T: Element<Raw = R>>(raw: R) -> bool {
    T::from_raw(raw) == T::ZERO
}

pub(super) fn compress_here<T: Element>(
    array: &Array<T>,
    mask: &Array<bool>,
) -> GpuResult<Array<T>> {
    if array.shape() != mask.shape() {
        return Err(GpuError::shape(
            format!(
                "compress of an array of shape {:?} with a mask of shape {:?}",
                array.shape(),
                mask.shape()
            ),
            "they must be equal",
        ));
    }
    let device = same_device("compress", array, mask)?;
    let (array, mask) = (array.contiguous()?, mask.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let source = Source::new(array.len(), "MASK(i) != 0")
            .with("MASK", &mask)
            .with("X", &array);
        return chosen(device, "compress", &source, "X(i)");
    }
    let (items, mask) = (items_of(&array), items_of(&mask));
    let bytes = items.len() * (2 + T::TYPE.size());
    let (is_chosen, value) = (|i: usize| mask[i] != 0, |i: usize| items[i]);
    chosen_on_host(device, "compress", items.len(), bytes, is_chosen, value)
}

pub(super) fn nonzero_here<T: Element>(array: &Array<T>) -> GpuResult<Array<u64>> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let source = Source::new(array.len(), "X(i) != 0").with("X", &array);
        return chosen(device, "nonzero", &source, "(u64)(i)");
    }
    let items = items_of(&array);
    let bytes = 2 * items.len() * T::TYPE.size();
    let is_chosen = |i: usize| !is_zero::<T::Raw, T>(items[i]);
    chosen_on_host(device, "nonzero", items.len(), bytes, is_chosen, |i| {
        i as u64
    })
}

pub(super) fn unique_here<T: Numeric>(array: &Array<T>) -> GpuResult<Array<T>> {
    let (device, sorted) = (array.device(), sorted_here(array, false)?);
    if Manner::of(device) != Manner::Rayon {
        let differs = match T::TYPE.is_float() {
            true => "!(X(i) == X((i) - 1) || (X(i) != X(i) && X((i) - 1) != X((i) - 1)))",
            false => "X(i) != X((i) - 1)",
        };
        let text = format!("((i) == 0 || {differs})");
        let source = Source::new(sorted.len(), text).with("X", &sorted);
        return chosen(device, "unique", &source, "X(i)");
    }
    let items = items_of(&sorted);
    let bytes = 2 * items.len() * T::TYPE.size();
    let bits = |i: usize| T::from_raw(items[i]).order_bits();
    let is_chosen = |i: usize| i == 0 || bits(i) != bits(i - 1);
    chosen_on_host(device, "unique", items.len(), bytes, is_chosen, |i| {
        items[i]
    })
}

impl<T: Element> Array<T> {
    /// The elements where a mask of the same shape is true, row by row, as an array of one axis.
    ///
    /// # Errors
    /// The shapes differ, the arrays lie on different devices; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[1.5, 2.5, 3.5])?;
    /// let mask = gpu::array(&[true, false, true])?;
    /// assert_eq!(a.compress(&mask)?.to_vec()?, [1.5, 3.5]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn compress(&self, mask: &Array<bool>) -> GpuResult<Array<T>> {
        T::compress(self, mask)
    }

    /// The places of the elements that are not 0 (`false`), counted row by row, in ascending order.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// assert_eq!(gpu::array(&[0, 7, 0, -1])?.nonzero()?.to_vec()?, [1, 3]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn nonzero(&self) -> GpuResult<Array<u64>> {
        T::nonzero(self)
    }
}

impl<T: Numeric> Array<T> {
    /// The different elements in ascending order, as an array of one axis. Zeros of both signs are one, NaN comes last and
    /// once.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// assert_eq!(gpu::array(&[3, 1, 3, 2, 1])?.unique()?.to_vec()?, [1, 2, 3]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn unique(&self) -> GpuResult<Array<T>> {
        T::unique(self)
    }
}
