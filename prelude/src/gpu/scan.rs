//! Scans: what all elements up to each one come to, a running sum for instance.
//!
//! Cut into parts, a scan is three steps: the total of each part, the scan of these totals, and the scan of each part with
//! what came before it. So the array is read twice and nothing waits for a neighbour. The last step may do something else
//! with what came before an element than to store it: that is how elements are selected.
//!
//! What always holds: values are combined in their order, so the operation need not be commutative.

mod host;
mod text;

pub(super) use host::PART;

use super::Numeric;
use super::array::Array;
use super::device::Device;
use super::element::{Element, Scalar};
use super::error::GpuResult;
use super::manner::Manner;
use super::operation::Operation;
use super::order::{Order, OrderKind, on_host};
use super::program::{Given, Grid, Kernel};
use super::text::type_name;
use super::values::{Source, host as items_of};
use text::{Emit, ITEMS};

/// Values of a piece of a narrow device, at least.
const PIECE: usize = 8192;

/// A scan on a device with kernels.
pub(super) struct Scan<'a, A: Element> {
    pub name: &'a str,
    /// Defines `A` and `combine`, in C.
    pub combine: &'a str,
    /// What `combine` names as `k0`, `k1`, …
    pub constants: &'a [Scalar],
    pub identity: A,
}

/// What came before each part.
pub(super) struct Carries<A: Element> {
    n_parts: usize,
    /// What came before each, and what all come to; none of a single part.
    before: Option<(Array<A>, Array<A>)>,
}

impl<A: Element> Carries<A> {
    /// What all values come to, if that is known before they are written.
    pub(super) fn sum(&self) -> GpuResult<Option<A>> {
        self.before.as_ref().map(|(_, sum)| sum.item()).transpose()
    }
}

impl<A: Element> Scan<'_, A> {
    fn kernel(
        &self,
        device: Device,
        source: &Source<'_>,
        emit: &Emit<'_>,
        name: &str,
    ) -> GpuResult<Kernel> {
        let manner = Manner::of(device);
        let text = text::text(manner, device.group(), self.combine, source, emit);
        device.program(self.name, &text)?.kernel(name)
    }

    fn grid(device: Device, n_parts: usize) -> Grid {
        match Manner::of(device) {
            Manner::Wide => Grid::groups(n_parts, device.group()),
            _ => Grid::pieces(n_parts),
        }
    }

    /// What came before each part, and what all values come to. `statement` is that of the [`write`](Scan::write) to come.
    pub(super) fn carries(
        &self,
        device: Device,
        source: &Source<'_>,
        more: &[(&str, &str)],
        statement: &str,
    ) -> GpuResult<Carries<A>> {
        let n_parts = match Manner::of(device) {
            Manner::Wide => source.n.div_ceil(device.group() * ITEMS).max(1),
            _ => device.n_pieces(source.n.div_ceil(PIECE)),
        };
        if n_parts == 1 {
            return Ok(Carries {
                n_parts,
                before: None,
            });
        }
        let source = &source.clone().with_constants("k", self.constants);
        let totals = Array::<A>::empty(device, n_parts)?;
        let emit = emit(more, statement);
        let kernel = self.kernel(device, source, &emit, "scan_totals")?;
        let given = source.given_and(&[
            Given::Scalar(Scalar::U64(source.n as u64)),
            Given::Scalar(self.identity.scalar()),
            Given::Buffer(&totals.buffer),
        ]);
        let grid = Self::grid(device, n_parts);
        kernel.launch(&device.stream()?, grid, 0, &given, || {
            self.order(source, n_parts * A::TYPE.size())
        })?;
        let before = self.exclusive(device, &Source::of(&totals))?;
        Ok(Carries {
            n_parts,
            before: Some(before),
        })
    }

    /// Runs the statement for each value, with what came before it. The result holds what all values come to.
    pub(super) fn write(
        &self,
        device: Device,
        source: &Source<'_>,
        carries: &Carries<A>,
        more: &[(&str, &str)],
        given: &[Given<'_>],
        statement: &str,
    ) -> GpuResult<Array<A>> {
        let source = &source.clone().with_constants("k", self.constants);
        let sum = Array::<A>::empty(device, 1)?;
        let emit = emit(more, statement);
        let kernel = self.kernel(device, source, &emit, "scan_write")?;
        let before = carries.before.as_ref().map_or(&sum, |(before, _)| before);
        let mut all = source.given.clone();
        all.extend_from_slice(given);
        all.extend([
            Given::Scalar(Scalar::U64(source.n as u64)),
            Given::Scalar(self.identity.scalar()),
            Given::Scalar(Scalar::U64(u64::from(carries.before.is_some()))),
            Given::Buffer(&before.buffer),
            Given::Buffer(&sum.buffer),
        ]);
        let grid = Self::grid(device, carries.n_parts);
        kernel.launch(&device.stream()?, grid, 0, &all, || {
            self.order(source, source.n * A::TYPE.size())
        })?;
        Ok(sum)
    }

    /// What came before each value, and what all come to.
    pub(super) fn exclusive(
        &self,
        device: Device,
        source: &Source<'_>,
    ) -> GpuResult<(Array<A>, Array<A>)> {
        self.stored(device, source, "out[i] = before")
    }

    /// What all values up to each one come to.
    pub(super) fn inclusive(&self, device: Device, source: &Source<'_>) -> GpuResult<Array<A>> {
        Ok(self
            .stored(device, source, "out[i] = combine(before, value)")?
            .0)
    }

    /// What all values up to each one come to, with or without the one itself.
    pub(super) fn running(
        &self,
        device: Device,
        source: &Source<'_>,
        is_inclusive: bool,
    ) -> GpuResult<Array<A>> {
        match is_inclusive {
            true => self.inclusive(device, source),
            false => Ok(self.exclusive(device, source)?.0),
        }
    }

    fn stored(
        &self,
        device: Device,
        source: &Source<'_>,
        statement: &str,
    ) -> GpuResult<(Array<A>, Array<A>)> {
        let out = Array::<A>::empty(device, source.n)?;
        let more = [(type_name(A::TYPE), "out")];
        let carries = self.carries(device, source, &more, statement)?;
        let given = [Given::Buffer(&out.buffer)];
        let sum = self.write(device, source, &carries, &more, &given, statement)?;
        Ok((out, sum))
    }

    fn order(&self, source: &Source<'_>, written: usize) -> Order {
        Order::new(
            OrderKind::Kernel,
            self.name.to_owned(),
            source.bytes + written,
        )
        .with_operations(source.n as u64)
    }
}

/// More arrays that a statement names, by type and name.
fn emit<'a>(more: &[(&str, &str)], statement: &'a str) -> Emit<'a> {
    let parameter = |(t, name): &(&str, &str)| format!("GLOBAL {t} *{name}, ");
    Emit {
        parameters: more.iter().map(parameter).collect(),
        statement,
    }
}

/// A scan of `n` elements on the processor, which reads them twice.
pub(super) fn order_on_host<T: Element>(name: &'static str, n: usize) -> Order {
    Order::new(OrderKind::Kernel, name, 3 * n * T::TYPE.size()).with_operations(2 * n as u64)
}

pub(super) fn running_here<T: Numeric>(
    array: &Array<T>,
    name: &'static str,
    operation: Operation,
    identity: T,
    is_inclusive: bool,
) -> GpuResult<Array<T>> {
    let (device, array) = (array.device(), array.contiguous()?);
    if Manner::of(device) != Manner::Rayon {
        let scan = Scan {
            name,
            combine: &operation.text(T::TYPE),
            constants: &[],
            identity,
        };
        return scan.running(device, &Source::of(&array), is_inclusive);
    }
    let items = items_of(&array);
    let mut out = Array::<T>::empty(device, items.len())?;
    let room = &mut out.own_mut()?.host_mut::<T::Raw>()[..items.len()];
    let order = || order_on_host::<T>(name, items.len());
    macro_rules! by {
        ($combine:expr, $write:expr) => {
            host::scan(items, room, identity, T::from_raw, $combine, $write)
        };
    }
    on_host(device, order, || match (operation, is_inclusive) {
        (Operation::Product, _) => by!(T::times, |_, after| after.to_raw()),
        (_, true) => by!(T::plus, |_, after| after.to_raw()),
        (_, false) => by!(T::plus, |before, _| before.to_raw()),
    });
    Ok(out)
}

impl<T: Numeric> Array<T> {
    /// The running sum, row by row, as an array of one axis: element `i` is the sum of all up to and with `i`. Integers wrap.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[3, 1, 4])?;
    /// assert_eq!(a.cumsum()?.to_vec()?, [3, 4, 8]);
    /// assert_eq!(a.cumsum_exclusive()?.to_vec()?, [0, 3, 4]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn cumsum(&self) -> GpuResult<Array<T>> {
        T::running(self, "cumsum", Operation::Sum, T::ZERO, true)
    }

    /// The running sum without the element itself: the first is 0. Where parts of these lengths begin, for instance.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn cumsum_exclusive(&self) -> GpuResult<Array<T>> {
        T::running(self, "cumsum_exclusive", Operation::Sum, T::ZERO, false)
    }

    /// The running product, row by row, as an array of one axis. Integers wrap.
    ///
    /// # Errors
    /// The device has no room; the driver's.
    pub fn cumprod(&self) -> GpuResult<Array<T>> {
        T::running(self, "cumprod", Operation::Product, T::ONE, true)
    }
}
