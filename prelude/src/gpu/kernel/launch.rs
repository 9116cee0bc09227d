//! The launch of a kernel: where it runs, in which groups, and what its errors say.

use super::arguments::{Bound, Parameters, Taken};
use super::host::{self, Fault, Sizes};
use super::translation::{Translation, translation};
use super::{KernelFunction, faults, shared};
use crate::gpu::device::{self, Device, Dialect};
use crate::gpu::element::Scalar;
use crate::gpu::error::{GpuError, GpuResult};
use crate::gpu::order::{Order, OrderKind, on_host};
use crate::gpu::program::{Given, Grid};
use crate::gpu::source::Dimensions;
use crate::rt;

/// How a kernel is to be launched.
#[must_use = "nothing is launched before run"]
pub struct LaunchOf<P> {
    kernel: KernelFunction<P>,
    items: [usize; 3],
    group: Option<[usize; 3]>,
    /// Bytes and operations, if they are given.
    work: Option<(usize, u64)>,
}

impl<P: Parameters> LaunchOf<P> {
    pub(super) fn new(kernel: KernelFunction<P>, items: [usize; 3]) -> LaunchOf<P> {
        LaunchOf {
            kernel,
            items,
            group: None,
            work: None,
        }
    }

    /// Work items of a group (CUDA: threads of a block) in each dimension. Chosen, if it is not given.
    pub fn group(mut self, items: impl Dimensions) -> LaunchOf<P> {
        self.group = Some(items.dimensions());
        self
    }

    /// What the launch moves and calculates, for a profile's rates: bytes, and arithmetic operations. If it is not said, the
    /// bytes are those of the slices, each read or written once.
    pub fn work(mut self, bytes: usize, operations: u64) -> LaunchOf<P> {
        self.work = Some((bytes, operations));
        self
    }

    /// Orders the launch, with a tuple of the arguments: `(&a, &mut b, 2.0)`. It runs where the arrays lie; without any, on the
    /// default device.
    ///
    /// On a device it is done later, as all orders; a fault of it is the error of the call that waits for it.
    ///
    /// # Errors
    /// The kernel holds what no device can do, the arrays lie on different devices, a group is too large; the driver's. On the
    /// processor also an index out of range, and a race.
    ///
    /// # Panics
    /// On the processor, where the kernel does: a division by 0.
    pub fn run(self, arguments: P::Arguments<'_>) -> GpuResult<()> {
        let taken = P::take(arguments)?;
        let device = self.device(&taken)?;
        let dialect = device.dialect().unwrap_or(Dialect::OpenCl);
        let translation = translation(self.kernel.definition, dialect)?;
        let global = self.items;
        if global.contains(&0) {
            return Ok(());
        }
        let order = || {
            let of_slices = || (taken.iter().map(Taken::bytes).sum(), 0);
            let (bytes, operations) = self.work.unwrap_or_else(of_slices);
            Order::new(OrderKind::Kernel, self.kernel.name(), bytes).with_operations(operations)
        };
        if device.driver().is_none() {
            let sizes = self.sizes(global, &translation, device, shared::LARGEST_GROUP)?;
            return on_host(device, order, || {
                self.on_processor(&taken, sizes, &translation)
            });
        }
        if translation.needs_f64 && !device.has_f64() {
            return Err(GpuError::NoDevice {
                wanted: format!("f64 on {device}, for kernel {}", self.kernel.name()),
                why: "this device calculates with 32 bits only".to_owned(),
                cure: "use f32 (write literals as 2.0_f32 where their type is open), or another device".to_owned(),
            });
        }
        let stream = device.stream()?;
        let module = device
            .module(self.kernel.name(), &translation.text, "")
            .map_err(|error| translation.refused(error))?;
        let kernel = module.kernel(&translation.name)?;
        let limit = kernel.max_group_size().min(device.max_group_size());
        let sizes = self.sizes(global, &translation, device, limit)?;
        let note = faults::note(&stream)?;
        let mut given = Vec::new();
        for taken in &taken {
            match taken {
                Taken::Scalar(scalar) => given.push(Given::Scalar(*scalar)),
                Taken::Slice(slice) => {
                    given.push(Given::Buffer(slice.buffer.buffer()));
                    given.push(Given::Scalar(Scalar::U64(slice.start as u64)));
                    given.push(Given::Scalar(Scalar::U64(slice.length as u64)));
                }
            }
        }
        given.extend(global.map(|n| Given::Scalar(Scalar::U64(n as u64))));
        given.push(Given::Buffer(&note));
        let grid = Grid {
            groups: sizes.groups,
            group_size: sizes.group,
        };
        kernel.launch(&stream, grid, 0, &given, order)
    }

    /// The device that the arrays lie on.
    fn device(&self, taken: &[Taken<'_>]) -> GpuResult<Device> {
        let mut devices = taken.iter().filter_map(Taken::device);
        let Some(first) = devices.next() else {
            return Ok(device::default());
        };
        match devices.find(|other| *other != first) {
            None => Ok(first),
            Some(other) => Err(GpuError::Devices {
                what: format!("kernel {}", self.kernel.name()),
                first,
                other,
            }),
        }
    }

    /// Groups and their sizes. With a barrier the groups must be whole.
    fn sizes(
        &self,
        global: [usize; 3],
        translation: &Translation,
        device: Device,
        limit: usize,
    ) -> GpuResult<Sizes> {
        let is_processor = device.driver().is_none();
        let name = self.kernel.name();
        let has_barrier = translation.has_barrier;
        let limit = if has_barrier && is_processor {
            host::LARGEST_TEAM
        } else {
            limit
        };
        let group = self
            .group
            .unwrap_or_else(|| chosen(global, limit, has_barrier));
        let refuse = |what: String, why: &str, cure: String| GpuError::Kernel {
            name: format!("kernel {name}"),
            what,
            why: why.to_owned(),
            cure,
        };
        if group.contains(&0) {
            let cure = "leave .group(…) out, then a size is chosen".to_owned();
            return Err(refuse(
                format!("groups of {group:?} work items"),
                "a group has one at least",
                cure,
            ));
        }
        if group.iter().product::<usize>() > limit {
            return Err(GpuError::GroupTooLarge {
                name: format!("kernel {name}"),
                group,
                limit,
                text: match has_barrier {
                    true => "each work item of a kernel with barrier() waits for all others of its group",
                    false => "the device allows no more",
                }
                .to_owned(),
            });
        }
        let groups = std::array::from_fn(|d| global[d].div_ceil(group[d]));
        if has_barrier && (0..3).any(|d| groups[d] * group[d] != global[d]) {
            let whole = std::array::from_fn(|d| groups[d] * group[d]);
            return Err(refuse(
                format!(
                    "{} work items are no whole number of groups of {}",
                    shown(global),
                    shown(group)
                ),
                "all work items of a group come to its barrier()",
                format!(
                    "launch over({}), and look in the kernel whether the index is within the data",
                    shown(whole)
                ),
            ));
        }
        if groups.iter().product::<usize>() > shared::MOST_GROUPS && is_processor {
            return Err(refuse(
                format!("{groups:?} groups"),
                "there are too many",
                "make groups larger".to_owned(),
            ));
        }
        Ok(Sizes {
            global,
            group,
            groups,
        })
    }

    fn on_processor(
        &self,
        taken: &[Taken<'_>],
        sizes: Sizes,
        translation: &Translation,
    ) -> GpuResult<()> {
        // SAFETY: what is taken lives until the launch is over, and this is the host's memory.
        let bound: Vec<_> = taken
            .iter()
            .map(|taken| unsafe { Bound::new(taken) })
            .collect();
        let form = self.kernel.definition.form;
        host::run(form, &bound, sizes, translation.has_barrier)
            .map_err(|fault| self.error(fault, sizes))
    }

    fn error(&self, fault: Fault, sizes: Sizes) -> GpuError {
        let name = self.kernel.name();
        let failed = |what: String, why: String, cure: &str| GpuError::Kernel {
            name: format!("kernel {name}"),
            what,
            why,
            cure: cure.to_owned(),
        };
        match fault {
            Fault::Index {
                location,
                name: slice,
                index,
                length,
            } => faults::out_of_range(name, &rt::place(location), slice, index, length),
            Fault::Race {
                location,
                name: slice,
                index,
                one,
                other,
            } => {
                let who = |identity| {
                    let (group, item) = shared::parts(identity);
                    format!("work item {item} of group {group}")
                };
                failed(
                    format!(
                        "a race for element {index} of `{slice}` ({})",
                        rt::place(location)
                    ),
                    format!(
                        "{} accesses it at the same time as {}, and one of them writes; on a device the result would be any \
                         number",
                        who(one),
                        match shared::parts(other).0 == shared::MOST_GROUPS {
                            true => "work items of other groups".to_owned(),
                            false => who(other),
                        }
                    ),
                    "let each work item write elements of its own, or make the elements atomic: &[Atomic<u32>] and \
                     a[i].fetch_add(1); within a group put a barrier() between",
                )
            }
            Fault::Barrier {
                location,
                waiting,
                ended,
            } => failed(
                format!(
                    "{waiting} of {} work items of a group wait at barrier(){}, {ended} have ended",
                    sizes.group.iter().product::<usize>(),
                    location
                        .map(|location| format!(" ({})", rt::place(location)))
                        .unwrap_or_default(),
                ),
                "all work items of a group must come to each barrier(), or none".to_owned(),
                "move barrier() out of the if, and leave no work item by return before it",
            ),
            Fault::Ended => failed(
                "was ended".to_owned(),
                "the cell was interrupted".to_owned(),
                "run the cell again",
            ),
        }
    }
}

/// A size without the dimensions that are not used: `8`, `[8, 4]`.
fn shown(size: [usize; 3]) -> String {
    match size {
        [n, 1, 1] => n.to_string(),
        [x, y, 1] => format!("{:?}", [x, y]),
        all => format!("{all:?}"),
    }
}

/// A size of groups: up to 256 work items, near to a square in two dimensions; whole divisors where groups must be whole.
fn chosen(global: [usize; 3], limit: usize, is_whole: bool) -> [usize; 3] {
    let wanted = match global {
        [_, 1, 1] => [256, 1, 1],
        [_, _, 1] => [16, 16, 1],
        _ => [8, 8, 4],
    };
    let mut left = limit.max(1);
    std::array::from_fn(|d| {
        let most = wanted[d].min(global[d]).min(left);
        let size = match is_whole {
            true => (1..=most)
                .rev()
                .find(|size| global[d].is_multiple_of(*size))
                .unwrap_or(1),
            false => most,
        };
        left /= size;
        size
    })
}
