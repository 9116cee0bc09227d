//! Reductions: many values become one, of a whole array or along an axis.
//!
//! A reduction is done in passes: each work item, or group of them, makes one value of its part, and the next pass does the
//! same with these. Values can be made on the way ([`Source`]), so that `x·y` or `(x − mean)²` never is an array.
//!
//! What always holds: sums are made in blocks that are summed among themselves, so the error of rounding does not grow with
//! the length as that of a running sum does; on one device the same array gives the same sum.

mod axis;
mod host;
mod methods;
mod text;
mod whole;

pub(super) use axis::{along_here, around};
pub(super) use whole::{
    by_kernel, dot_here, extreme_here, fold_here, mean_here, place_here, variance_here,
};

use super::array::Array;
use super::device::Device;
use super::element::{Element, Scalar};
use super::error::GpuResult;
use super::manner::Manner;
use super::operation::Operation;
use super::order::{Order, OrderKind};
use super::program::{Given, Grid};
use super::values::Source;

/// Values that are combined before their total is joined with others.
const BLOCK: usize = 4096;

/// A reduction on a device with kernels.
pub(super) struct Reduction<'a, A: Element> {
    pub name: &'a str,
    /// Defines `A` and `combine`, in C.
    pub combine: &'a str,
    /// What `combine` names as `k0`, `k1`, …
    pub constants: &'a [Scalar],
    pub identity: A,
}

impl<A: Element> Reduction<'_, A> {
    fn kernel(
        &self,
        device: Device,
        source: &Source<'_>,
        name: &str,
    ) -> GpuResult<super::program::Kernel> {
        let manner = Manner::of(device);
        let text = text::text(manner, device.group(), self.combine, source);
        device.program(self.name, &text)?.kernel(name)
    }

    /// All values together.
    pub(super) fn whole(&self, device: Device, source: &Source<'_>) -> GpuResult<A> {
        if source.n == 0 {
            return Ok(self.identity);
        }
        let source = &source.clone().with_constants("k", self.constants);
        let kernel = self.kernel(device, source, "reduce")?;
        let grid = match Manner::of(device) {
            Manner::Wide => {
                let group = device.group();
                Grid::groups(device.n_groups(source.n.div_ceil(group * 8)), group)
            }
            _ => Grid::pieces(device.n_pieces(source.n.div_ceil(BLOCK))),
        };
        let n_totals = grid.groups[0];
        let totals = Array::<A>::empty(device, n_totals)?;
        let given = source.given_and(&[
            Given::Scalar(Scalar::U64(source.n as u64)),
            Given::Scalar(self.identity.scalar()),
            Given::Buffer(&totals.buffer),
        ]);
        kernel.launch(&device.stream()?, grid, 0, &given, || {
            self.order(source, n_totals)
        })?;
        if n_totals == 1 {
            return totals.item();
        }
        self.whole(device, &Source::of(&totals))
    }

    /// The middle axis of `outer` × `length` × `inner` values.
    pub(super) fn axis(
        &self,
        device: Device,
        source: &Source<'_>,
        sizes: [usize; 3],
    ) -> GpuResult<Array<A>> {
        let [outer, length, inner] = sizes;
        let n = outer * inner;
        if length == 0 || n == 0 {
            return Array::full(device, n, self.identity);
        }
        let source = &source.clone().with_constants("k", self.constants);
        let is_wide = Manner::of(device) == Manner::Wide;
        let segments = if is_wide {
            // Enough items for the device; and rows short enough that neighbours read the same line of the cache.
            let wanted = device.compute_units() * 2048;
            let for_lines = if length > 64 {
                32_usize.div_ceil(inner)
            } else {
                1
            };
            wanted.div_ceil(n).min(length.div_ceil(16)).max(for_lines)
        } else {
            let units = outer
                * if inner == 1 {
                    1
                } else {
                    inner.div_ceil(text::TILE)
                };
            let wanted = device.n_pieces(usize::MAX).div_ceil(units);
            wanted
                .min((length * inner).div_ceil(BLOCK))
                .min(length.div_ceil(8))
        };
        let name = match (is_wide, inner) {
            (true, _) => "reduce_axis",
            (false, 1) => "reduce_rows",
            (false, _) => "reduce_columns",
        };
        let kernel = self.kernel(device, source, name)?;
        let n_totals = n * segments;
        let grid = match is_wide {
            true => {
                let group = device.group();
                Grid::groups(
                    n_totals.div_ceil(group).min(device.compute_units() * 64),
                    group,
                )
            }
            false => Grid::pieces(device.n_pieces(n_totals)),
        };
        let totals = Array::<A>::empty(device, n_totals)?;
        let number = |n: usize| Given::Scalar(Scalar::U64(n as u64));
        let given = source.given_and(&[
            number(outer),
            number(length),
            number(inner),
            number(segments),
            Given::Scalar(self.identity.scalar()),
            Given::Buffer(&totals.buffer),
        ]);
        kernel.launch(&device.stream()?, grid, 0, &given, || {
            self.order(source, n_totals)
        })?;
        if segments == 1 {
            return Ok(totals);
        }
        self.axis(device, &Source::of(&totals), [outer, segments, inner])
    }

    fn order(&self, source: &Source<'_>, n_totals: usize) -> Order {
        let bytes = source.bytes + n_totals * A::TYPE.size();
        Order::new(OrderKind::Kernel, self.name.to_owned(), bytes).with_operations(source.n as u64)
    }
}
