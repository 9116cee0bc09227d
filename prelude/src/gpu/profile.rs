//! Where the time of a device goes: kernels and copies, with their times by the device's own clock.
//!
//! What always holds: what is counted as moved and calculated is what the work needs at least, so rates are lower bounds
//! of what the device did.

use std::collections::BTreeMap;
use std::time::Instant;

use super::device::Device;
use super::error::GpuResult;
use super::order::{self, OrderKind, When};
use crate::display::{Bundle, Show};
use crate::plot::{Timeline, timeline};
use crate::table::{self, Table, TableError};

/// An order that a device carried out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The device.
    pub device: Device,
    /// Kernel or copy.
    pub kind: OrderKind,
    /// The kernel's name; of copies their direction.
    pub name: String,
    /// When it was given, in seconds on the host's clock after the profile's begin.
    pub given: f64,
    /// When it began, in seconds on the device's clock after the first entry of the device.
    pub begin: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Bytes that it moved at least.
    pub bytes: u64,
    /// Arithmetic operations, 0 if not known.
    pub operations: u64,
}

/// What devices did while some work ran: shown as a table, a row for each kernel and kind of copy.
#[derive(Clone, Debug)]
pub struct Profile<R> {
    /// What the work returned.
    pub value: R,
    /// All orders, as they were given.
    pub entries: Vec<Entry>,
    /// How long the work took, in seconds on the host's clock, until all of it was done.
    pub seconds: f64,
}

/// Runs `work`, waits until the devices have done it, and tells what they did. Orders of other threads meanwhile count too.
///
/// # Errors
/// The driver's: an order that failed, times that it does not tell.
///
/// ```
/// use forkline::gpu;
///
/// let profile = gpu::profile(|| gpu::arange::<f32>(1000)?.map(|x| x * x)?.to_vec())?;
/// assert!(profile.entries.len() >= 2);
/// println!("{}", profile.table()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn profile<R>(work: impl FnOnce() -> R) -> GpuResult<Profile<R>> {
    /// Ends the recording, also if the work panics.
    struct Recording;
    impl Drop for Recording {
        fn drop(&mut self) {
            order::record(false);
        }
    }
    let begin = Instant::now();
    order::record(true);
    let recording = Recording;
    let value = work();
    std::mem::forget(recording);
    finish(begin, value)
}

/// Begins a profile that `end` ends: for cells.
#[doc(hidden)]
pub fn __profile_begin() {
    order::record(true);
    *BEGUN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
}

static BEGUN: std::sync::Mutex<Option<Instant>> = std::sync::Mutex::new(None);

/// Ends what `begin` began, and shows it.
#[doc(hidden)]
pub fn __profile_end() -> GpuResult<()> {
    let begun = BEGUN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    let profile = finish(begun.unwrap_or_else(Instant::now), ())?;
    if profile.entries.is_empty() {
        println!("no device was asked for anything");
        return Ok(());
    }
    crate::display::display(&profile);
    crate::display::display(&profile.timeline());
    Ok(())
}

fn finish<R>(begin: Instant, value: R) -> GpuResult<Profile<R>> {
    let records = order::record(false);
    let mut entries = Vec::with_capacity(records.len());
    let mut first: BTreeMap<usize, f64> = BTreeMap::new();
    for record in records {
        let (start, end) = match &record.when {
            When::Event(event) => event.times()?,
            When::Host(start, end) => (
                start.duration_since(begin).as_secs_f64(),
                end.duration_since(begin).as_secs_f64(),
            ),
        };
        let earliest = first.entry(record.device.number()).or_insert(start);
        *earliest = earliest.min(start);
        entries.push(Entry {
            device: record.device,
            kind: record.order.kind,
            name: record.order.name.into_owned(),
            given: record.given.saturating_duration_since(begin).as_secs_f64(),
            begin: start,
            seconds: end - start,
            bytes: record.order.bytes,
            operations: record.order.operations,
        });
    }
    let seconds = begin.elapsed().as_secs_f64();
    for entry in &mut entries {
        entry.begin -= first[&entry.device.number()];
    }
    Ok(Profile {
        value,
        entries,
        seconds,
    })
}

/// The sums over all orders of a name.
#[derive(Default)]
struct Sum {
    n: usize,
    seconds: f64,
    longest: f64,
    bytes: u64,
    operations: u64,
}

impl<R> Profile<R> {
    /// How long the devices worked, in seconds: all orders together.
    pub fn busy(&self) -> f64 {
        self.entries.iter().map(|entry| entry.seconds).sum()
    }

    /// A row for each kernel and kind of copy, those that took longest first: how often, time, share, and what was moved and
    /// calculated in a second, beside the device's peak where it is known.
    ///
    /// # Errors
    /// None; tables are results.
    pub fn table(&self) -> Result<Table, TableError> {
        let mut sums: BTreeMap<(usize, &str), Sum> = BTreeMap::new();
        for entry in &self.entries {
            let sum = sums
                .entry((entry.device.number(), &entry.name))
                .or_default();
            sum.n += 1;
            sum.seconds += entry.seconds;
            sum.longest = sum.longest.max(entry.seconds);
            sum.bytes += entry.bytes;
            sum.operations += entry.operations;
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
        let busy = self.busy().max(f64::MIN_POSITIVE);
        let devices = super::device::devices();
        let peak = |number: usize| devices.get(number).and_then(peak_bandwidth);
        let has_peak = sums.iter().any(|((number, _), _)| peak(*number).is_some());
        let has_several = sums.windows(2).any(|pair| pair[0].0.0 != pair[1].0.0);
        let mut header = vec![
            "what",
            "times",
            "ms",
            "share %",
            "longest ms",
            "GB/s",
            "GFLOP/s",
        ];
        if has_peak {
            header.push("% of peak GB/s");
        }
        if has_several {
            header.push("device");
        }
        let rounded = |value: f64, digits: usize| format!("{value:.digits$}");
        let rows = sums.iter().map(|((number, name), sum)| {
            let rate = |amount: u64| match sum.seconds {
                seconds if seconds > 0.0 => amount as f64 / seconds * 1e-9,
                _ => 0.0,
            };
            let rate_text = |amount: u64| match amount {
                0 => "—".to_owned(),
                _ => rounded(rate(amount), 2),
            };
            let mut row = vec![
                (*name).to_owned(),
                sum.n.to_string(),
                rounded(sum.seconds * 1e3, 4),
                rounded(100.0 * sum.seconds / busy, 1),
                rounded(sum.longest * 1e3, 4),
                rate_text(sum.bytes),
                rate_text(sum.operations),
            ];
            if has_peak {
                row.push(peak(*number).map_or("—".to_owned(), |peak| {
                    rounded(100.0 * rate(sum.bytes) / peak, 0)
                }));
            }
            if has_several {
                row.push(devices[*number].to_string());
            }
            row.into_iter().map(Plain).collect::<Vec<_>>()
        });
        table::rows(header, rows)
    }

    /// What ran when, by the devices' clocks: a row for the kernels and for each direction of copies.
    pub fn timeline(&self) -> Timeline {
        let longest = self
            .entries
            .iter()
            .map(|entry| entry.begin + entry.seconds)
            .fold(0.0, f64::max);
        let (factor, unit) = if longest < 1e-3 {
            (1e6, "µs")
        } else {
            (1e3, "ms")
        };
        let several = self
            .entries
            .windows(2)
            .any(|pair| pair[0].device != pair[1].device);
        let mut figure = timeline("Orders to the device", ("time on the device", unit));
        for entry in &self.entries {
            let mut row = match entry.kind {
                OrderKind::Kernel => "kernels",
                OrderKind::Write => "host to device",
                OrderKind::Read => "device to host",
                OrderKind::Copy => "within the device",
            }
            .to_owned();
            if several {
                row = format!("{} {row}", entry.device.number());
            }
            let (begin, end) = (entry.begin, entry.begin + entry.seconds);
            figure = figure.bar(&row, &entry.name, begin * factor, end * factor);
        }
        figure
    }
}

/// A cell of a table that is shown as it is.
struct Plain(String);

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The device's peak of memory in GB/s, where it tells what is needed for it: two transfers a clock over the whole bus.
fn peak_bandwidth(device: &Device) -> Option<f64> {
    let clock = device
        .number_of("memory_clock_mhz")
        .filter(|&mhz| mhz > 0)?;
    let bits = device
        .number_of("bus_width_bits")
        .filter(|&bits| bits > 0)?;
    Some(2.0 * clock as f64 * 1e6 * bits as f64 / 8.0 * 1e-9)
}

impl<R> Show for Profile<R> {
    fn show(&self) -> Bundle {
        self.table().show()
    }
}
