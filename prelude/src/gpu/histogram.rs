//! Counting: how many elements have a value, or lie in a range.
//!
//! Each group, or each piece, counts for itself; their counts are then added.

use std::sync::{Mutex, PoisonError};

use super::Numeric;
use super::array::Array;
use super::device::Device;
use super::element::{Element, ElementType, Scalar};
use super::error::{GpuError, GpuResult};
use super::gather::{Index, check_places};
use super::manner::Manner;
use super::operation::Operation;
use super::order::{Order, OrderKind, on_host};
use super::parallel;
use super::program::{Given, Grid};
use super::reduce::Reduction;
use super::values::{Source, host as items_of};

/// The most bins that a group counts in local memory.
const LOCAL_BINS: usize = 2048;

const NARROW: &str = r"
KERNEL void count_bins(PARAMETERS u64 n, u64 bins, u64 copies, GLOBAL u32 *counts) {
    GLOBAL u32 *mine = counts + GLOBAL_ID(0) * bins;
    u64 end = n * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    for (u64 i = n * GLOBAL_ID(0) / GLOBAL_SIZE(0); i < end; i++) {
        u64 bin = BIN(i);
        if (bin < bins) mine[bin]++;
    }
}
";

const WIDE: &str = r"
KERNEL void count_bins(PARAMETERS u64 n, u64 bins, u64 copies, GLOBAL u32 *counts) {
    LOCAL u32 mine[LOCAL_BINS];
    for (u64 b = LOCAL_ID(0); b < bins; b += LOCAL_SIZE(0)) mine[b] = 0;
    BARRIER;
    for (u64 i = GLOBAL_ID(0); i < n; i += GLOBAL_SIZE(0)) {
        u64 bin = BIN(i);
        if (bin < bins) ATOMIC_ADD(&mine[bin], 1);
    }
    BARRIER;
    for (u64 b = LOCAL_ID(0); b < bins; b += LOCAL_SIZE(0)) counts[GROUP_ID(0) * bins + b] = mine[b];
}

// More bins than local memory has room for: straight to the device's memory, in copies so that no count overflows.
KERNEL void count_many_bins(PARAMETERS u64 n, u64 bins, u64 copies, GLOBAL u32 *counts) {
    GLOBAL u32 *mine = counts + GROUP_ID(0) % copies * bins;
    for (u64 i = GLOBAL_ID(0); i < n; i += GLOBAL_SIZE(0)) {
        u64 bin = BIN(i);
        if (bin < bins) ATOMIC_ADD(&mine[bin], 1);
    }
}
";

/// The counts of the bins that `source` names for each place; a number that is too large is no bin.
fn by_kernel(
    device: Device,
    name: &'static str,
    source: &Source<'_>,
    bins: usize,
) -> GpuResult<Array<u64>> {
    let is_wide = Manner::of(device) == Manner::Wide;
    let text = format!(
        "{}#define PARAMETERS {}\n#define BIN(i) ({})\n#define LOCAL_BINS {LOCAL_BINS}\n{}",
        source.declarations,
        source.parameters,
        source.load,
        if is_wide { WIDE } else { NARROW },
    );
    let is_local = is_wide && bins <= LOCAL_BINS;
    let (grid, copies) = if is_wide {
        let group = device.group();
        let groups = device.n_groups(source.n.div_ceil(group * 16));
        let copies = if is_local {
            groups
        } else {
            (source.n >> 31) + 1
        };
        (Grid::groups(groups, group), copies)
    } else {
        let pieces = device.n_pieces(source.n.div_ceil(4096.max(bins)));
        (Grid::pieces(pieces), pieces)
    };
    let counts = Array::<u32>::full(device, copies * bins, 0)?;
    let module = device.program(name, &text)?;
    let kernel = module.kernel(if is_wide && !is_local {
        "count_many_bins"
    } else {
        "count_bins"
    })?;
    let number = |n: usize| Given::Scalar(Scalar::U64(n as u64));
    let given = source.given_and(&[
        number(source.n),
        number(bins),
        number(copies),
        Given::Buffer(&counts.buffer),
    ]);
    kernel.launch(&device.stream()?, grid, 0, &given, || {
        Order::new(OrderKind::Kernel, name, source.bytes + copies * bins * 4)
            .with_operations(source.n as u64)
    })?;
    let sum = Reduction {
        name,
        combine: &Operation::Sum.text(ElementType::U64),
        constants: &[],
        identity: 0_u64,
    };
    sum.axis(device, &Source::of(&counts), [1, copies, bins])
}

/// The same by rayon.
fn on_cores<T: Element>(
    array: &Array<T>,
    name: &'static str,
    bins: usize,
    bin: impl Fn(T) -> Option<usize> + Sync,
) -> GpuResult<Array<u64>> {
    let items = items_of(array);
    let order = || {
        Order::new(OrderKind::Kernel, name, items.len() * T::TYPE.size())
            .with_operations(items.len() as u64)
    };
    let counts = on_host(array.device(), order, || {
        let part = (1 << 16).max(bins);
        let totals = Mutex::new(vec![0_u64; bins]);
        parallel::each(items.len().div_ceil(part), &|number| {
            let mut counts = vec![0_u64; bins];
            for raw in parallel::part_of(items, part, number) {
                if let Some(count) = bin(T::from_raw(*raw)).and_then(|bin| counts.get_mut(bin)) {
                    *count += 1;
                }
            }
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.iter_mut().zip(counts).for_each(|(a, b)| *a += b);
        });
        totals.into_inner().unwrap_or_else(PoisonError::into_inner)
    });
    Array::from_slice(array.device(), bins, &counts)
}

pub(super) fn bincount_here<T: Index>(array: &Array<T>, n_bins: usize) -> GpuResult<Array<u64>> {
    let array = array.contiguous()?;
    let device = array.device();
    check_places("bincount", &array, n_bins)?;
    if array.is_empty() {
        return Array::full(device, n_bins, 0);
    }
    if Manner::of(device) == Manner::Rayon {
        return on_cores(&array, "bincount", n_bins, |x| x.place());
    }
    let source = Source::new(array.len(), "(u64)X(i)").with("X", &array);
    by_kernel(device, "bincount", &source, n_bins)
}

pub(super) fn histogram_here<T: Numeric>(
    array: &Array<T>,
    n_bins: usize,
    low: f64,
    high: f64,
) -> GpuResult<Array<u64>> {
    let is_range = low < high && (high - low).is_finite();
    if n_bins == 0 || !is_range {
        return Err(GpuError::shape(
            format!("a histogram of {n_bins} bins from {low} to {high}"),
            "there must be a bin, and the lower end must be below the upper one",
        ));
    }
    let array = array.contiguous()?;
    let device = array.device();
    if array.is_empty() {
        return Array::full(device, n_bins, 0);
    }
    let scale = n_bins as f64 / (high - low);
    let last = n_bins - 1;
    let is_short = T::TYPE == ElementType::F32 || !device.has_f64();
    if Manner::of(device) == Manner::Rayon {
        if is_short {
            let (low, high, scale) = (low as f32, high as f32, scale as f32);
            return on_cores(&array, "histogram", n_bins, |x| {
                let x = x.to_f64() as f32;
                (x >= low && x <= high).then(|| (((x - low) * scale) as usize).min(last))
            });
        }
        return on_cores(&array, "histogram", n_bins, |x| {
            let x = x.to_f64();
            (x >= low && x <= high).then(|| (((x - low) * scale) as usize).min(last))
        });
    }
    let f = if is_short { "f32" } else { "f64" };
    let value = |x: f64| match is_short {
        true => Scalar::F32(x as f32),
        false => Scalar::F64(x),
    };
    let text = format!("bin_of(({f})X(i), low, high, scale, last)");
    let mut source = Source::new(array.len(), text)
        .with("X", &array)
        .with_value("low", value(low))
        .with_value("high", value(high))
        .with_value("scale", value(scale))
        .with_value("last", Scalar::U64(last as u64));
    source.declarations += &format!(
        "DEVICE u64 bin_of({f} x, {f} low, {f} high, {f} scale, u64 last) {{\n    \
         if (!(x >= low && x <= high)) return ~(u64)0;\n    \
         u64 bin = (u64)((x - low) * scale);\n    return bin < last ? bin : last;\n}}\n"
    );
    by_kernel(device, "histogram", &source, n_bins)
}

impl<T: Index> Array<T> {
    /// How often each of the values 0 up to `n_bins` occurs.
    ///
    /// # Errors
    /// A value is negative or not below `n_bins`; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[0, 2, 2, 1, 2])?;
    /// assert_eq!(a.bincount(4)?.to_vec()?, [1, 1, 3, 0]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn bincount(&self, n_bins: usize) -> GpuResult<Array<u64>> {
        T::bincount(self, n_bins)
    }
}

impl<T: Numeric> Array<T> {
    /// How many elements lie in each of `n_bins` ranges of equal width from `low` to `high`. The last one includes `high`;
    /// what lies outside, and NaN, is not counted. An element's bin is `(x − low) · (n_bins / (high − low))`, rounded down,
    /// calculated in the type of the elements (integers: in `f64`): very near to an edge it may be the neighbour.
    ///
    /// # Errors
    /// There is no bin, or `low` is not below `high`; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array(&[0.1, 0.2, 0.6, 1.0, 7.0])?;
    /// assert_eq!(a.histogram(2, 0.0, 1.0)?.to_vec()?, [2, 2]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn histogram(&self, n_bins: usize, low: f64, high: f64) -> GpuResult<Array<u64>> {
        T::histogram(self, n_bins, low, high)
    }
}
