//! Devices: which there are, what they say of themselves, and which one is used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use super::error::{GpuError, GpuResult};
use super::library::{self, DriverKind};
use super::memory::Pool;
use super::program::Module;
use super::stream::Stream;
use super::table::{Table, code};

/// Names the device that is used where none is chosen.
const VARIABLE: &str = "FORKLINE_DEVICE";

/// What drives a device, in the order in which the default is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A card of NVIDIA's, by CUDA.
    Cuda,
    /// A graphics card, by OpenCL.
    OpenClGpu,
    /// The processor, or something that is neither, by OpenCL.
    OpenClCpu,
    /// The processor's cores, by rayon: always there.
    Rayon,
}

/// The languages that kernels are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// CUDA C++.
    Cuda,
    /// OpenCL C 1.2.
    OpenCl,
}

/// The driver's side of a device.
#[derive(Clone, Copy)]
pub(super) struct Driver {
    pub table: &'static Table,
    /// Its number among the driver's devices.
    pub index: u32,
    pub dialect: Dialect,
}

/// A device: copied freely, known by its kind and number.
#[derive(Clone, Copy)]
pub struct Device {
    inner: &'static Inner,
}

struct Inner {
    /// Its place in the list of all.
    number: usize,
    kind: Kind,
    driver: Option<Driver>,
    facts: HashMap<String, String>,
    pool: Pool,
    stream: OnceLock<GpuResult<Stream>>,
    modules: Mutex<HashMap<u64, Vec<Arc<Module>>>>,
}

/// All devices of this machine, the best first; rayon, which is always there, last.
///
/// The first call starts the drivers.
pub fn devices() -> Vec<Device> {
    all().to_vec()
}

fn all() -> &'static [Device] {
    static ALL: OnceLock<Vec<Device>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut found = Vec::new();
        for kind in DriverKind::ALL {
            if let Ok(started) = kind.started() {
                for index in 0..started.n_devices {
                    found.push(of_driver(kind, started.table, index));
                }
            }
        }
        found.push((Kind::Rayon, None, super::facts::of_rayon()));
        found.sort_by_key(|(kind, ..)| *kind);
        let numbered = found.into_iter().enumerate();
        numbered
            .map(|(number, (kind, driver, facts))| Device {
                inner: Box::leak(Box::new(Inner {
                    number,
                    kind,
                    driver,
                    facts,
                    pool: Pool::default(),
                    stream: OnceLock::new(),
                    modules: Mutex::default(),
                })),
            })
            .collect()
    })
}

fn of_driver(
    kind: DriverKind,
    table: &'static Table,
    index: u32,
) -> (Kind, Option<Driver>, HashMap<String, String>) {
    // SAFETY: the room is as said.
    let text = library::text(|out, capacity| unsafe { (table.facts)(index, out, capacity) });
    let facts: HashMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let (kind, dialect) = match kind {
        DriverKind::Cuda => (Kind::Cuda, Dialect::Cuda),
        DriverKind::OpenCl if facts.get("kind").is_some_and(|kind| kind == "gpu") => {
            (Kind::OpenClGpu, Dialect::OpenCl)
        }
        DriverKind::OpenCl => (Kind::OpenClCpu, Dialect::OpenCl),
    };
    let driver = Driver {
        table,
        index,
        dialect,
    };
    (kind, Some(driver), facts)
}

thread_local! {
    /// The devices that this thread has chosen for a while, the last one in force.
    static CHOSEN: RefCell<Vec<Device>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
thread_local! {
    /// Tests run what is made for wide devices on others too.
    pub(super) static FORCED_WIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The device that all threads use, if they do not choose.
static DEFAULT: RwLock<Option<Device>> = RwLock::new(None);

/// The device that new arrays are made on: what [`Device::scope`] or [`set_default`] chose, else what the variable
/// `FORKLINE_DEVICE` names, else the first of [`devices`].
///
/// # Panics
/// `FORKLINE_DEVICE` names a device that is not there. [`device`] with the same name returns that error.
pub fn default() -> Device {
    if let Some(device) = CHOSEN.with_borrow(|chosen| chosen.last().copied()) {
        return device;
    }
    if let Some(device) = *DEFAULT.read().unwrap_or_else(PoisonError::into_inner) {
        return device;
    }
    match std::env::var(VARIABLE) {
        Ok(name) if !name.trim().is_empty() => {
            device(&name).unwrap_or_else(|error| panic!("{VARIABLE}={name}: {error}"))
        }
        _ => all()[0],
    }
}

/// Makes a device the default of all threads, from now on.
pub fn set_default(device: Device) {
    *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = Some(device);
}

/// The device of a name: `cuda`, `opencl`, `rayon` (or `cpu`), `gpu` for the first graphics card of any driver; with a
/// number for one of several (`cuda:1`); or a part of the device's own name.
///
/// # Errors
/// There is none; the text says why, and what to install.
///
/// ```
/// use forkline::gpu;
///
/// assert_eq!(gpu::device("rayon")?.kind(), gpu::Kind::Rayon);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn device(name: &str) -> GpuResult<Device> {
    let wanted = name.trim().to_lowercase();
    let (family, number) = match wanted.rsplit_once(':') {
        Some((family, number)) => match number.parse::<usize>() {
            Ok(number) => (family, number),
            Err(_) => (wanted.as_str(), 0),
        },
        None => (wanted.as_str(), 0),
    };
    let is_one = |device: &&Device| match family {
        "cuda" => device.kind() == Kind::Cuda,
        "opencl" => matches!(device.kind(), Kind::OpenClGpu | Kind::OpenClCpu),
        "opencl:gpu" => device.kind() == Kind::OpenClGpu,
        "opencl:cpu" | "pocl" => device.kind() == Kind::OpenClCpu,
        "gpu" => matches!(device.kind(), Kind::Cuda | Kind::OpenClGpu),
        "rayon" | "cpu" | "host" => device.kind() == Kind::Rayon,
        _ => device.name().to_lowercase().contains(family),
    };
    let fitting: Vec<_> = all().iter().filter(is_one).collect();
    if let Some(device) = fitting.get(number) {
        return Ok(**device);
    }
    let listed: Vec<_> = all().iter().map(Device::to_string).collect();
    let listed = listed.join("; ");
    let absent = |kind: DriverKind| kind.started().as_ref().err();
    let (why, cure) = match family {
        "cuda" | "gpu" if let Some(absence) = absent(DriverKind::Cuda) => {
            (absence.why.clone(), absence.cure.clone())
        }
        "opencl" | "opencl:gpu" | "opencl:cpu" | "pocl"
            if let Some(absence) = absent(DriverKind::OpenCl) =>
        {
            (absence.why.clone(), absence.cure.clone())
        }
        _ => (
            format!(
                "{} of this name, and number {number} was asked for",
                fitting.len()
            ),
            "choose one of those that are there".to_owned(),
        ),
    };
    Err(GpuError::NoDevice {
        wanted: name.to_owned(),
        why,
        cure: format!("{cure}\n     here are: {listed}"),
    })
}

/// Ends the choice of a device.
struct Choice;

impl Drop for Choice {
    fn drop(&mut self) {
        CHOSEN.with_borrow_mut(Vec::pop);
    }
}

impl Device {
    /// What drives it.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// Its place in [`devices`].
    pub fn number(&self) -> usize {
        self.inner.number
    }

    /// Its name for itself.
    pub fn name(&self) -> &str {
        self.fact("name").unwrap_or("unnamed")
    }

    /// A fact by its name, as text; [`facts`](Device::facts) has all.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.inner
            .facts
            .get(name)
            .map(String::as_str)
            .filter(|fact| !fact.is_empty())
    }

    /// All that the device says of itself, by name, in alphabetical order.
    pub fn facts(&self) -> Vec<(&str, &str)> {
        let mut facts: Vec<_> = self
            .inner
            .facts
            .iter()
            .map(|(name, fact)| (name.as_str(), fact.as_str()))
            .filter(|(_, fact)| !fact.is_empty())
            .collect();
        facts.sort_unstable();
        facts
    }

    /// A fact that is a number.
    pub fn number_of(&self, name: &str) -> Option<u64> {
        self.fact(name)?.parse().ok()
    }

    /// How many units work side by side: CUDA's multiprocessors, OpenCL's compute units, the cores.
    pub fn compute_units(&self) -> usize {
        self.number_of("compute_units").unwrap_or(1).max(1) as usize
    }

    /// The most work items that a group may have.
    pub fn max_group_size(&self) -> usize {
        self.number_of("max_group_size").unwrap_or(256).max(1) as usize
    }

    /// Whether it has 64-bit floating-point numbers. Some graphics cards do not.
    pub fn has_f64(&self) -> bool {
        self.number_of("has_f64").is_none_or(|has| has != 0)
    }

    /// The language of its kernels; none for rayon.
    pub fn dialect(&self) -> Option<Dialect> {
        self.inner.driver.map(|driver| driver.dialect)
    }

    /// Whether many thousands of work items are wanted, and memory is read best by neighbours together; else a few,
    /// each with a piece of its own.
    pub(super) fn is_wide(&self) -> bool {
        #[cfg(test)]
        if FORCED_WIDE.get() && self.dialect().is_some() {
            return true;
        }
        matches!(self.kind(), Kind::Cuda | Kind::OpenClGpu)
    }

    /// Runs `work` with this device as the default of the calling thread.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let rayon = gpu::device("rayon")?;
    /// let sum = rayon.scope(|| gpu::array(&[1.0_f32, 2.0])?.sum())?;
    /// assert_eq!(sum, 3.0);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        CHOSEN.with_borrow_mut(|chosen| chosen.push(*self));
        let _ends_with_the_work = Choice;
        work()
    }

    /// Waits until all that was ordered of it by this thread's stream is done.
    ///
    /// # Errors
    /// The driver's: an order that failed.
    pub fn finish(&self) -> GpuResult<()> {
        self.stream()?.finish()
    }

    /// The stream of this thread: what [`Stream::scope`] chose, else the device's own.
    ///
    /// # Errors
    /// The driver's.
    pub fn stream(&self) -> GpuResult<Stream> {
        if let Some(stream) = super::stream::chosen(*self) {
            return Ok(stream);
        }
        let own = self.inner.stream.get_or_init(|| Stream::new(*self));
        own.clone()
    }

    pub(super) fn driver(&self) -> Option<Driver> {
        self.inner.driver
    }

    pub(super) fn pool(&self) -> &'static Pool {
        &self.inner.pool
    }

    pub(super) fn modules(&self) -> &'static Mutex<HashMap<u64, Vec<Arc<Module>>>> {
        &self.inner.modules
    }

    /// Turns a code of the driver into an error.
    pub(super) fn check(&self, code: i32, what: impl FnOnce() -> String) -> GpuResult<()> {
        if code == 0 {
            return Ok(());
        }
        let text = match self.driver() {
            Some(driver) => library::last_error(driver.table, code),
            None => format!("code {code}"),
        };
        if code == code::OUT_OF_MEMORY {
            return Err(GpuError::OutOfMemory {
                device: *self,
                bytes: 0,
                held: self.pool().held(),
                text,
            });
        }
        Err(GpuError::Driver {
            device: *self,
            what: what(),
            text,
        })
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        std::ptr::eq(self.inner, other.inner)
    }
}

impl Eq for Device {}

/// `CUDA: NVIDIA H100`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.kind() {
            Kind::Cuda => "CUDA",
            Kind::OpenClGpu | Kind::OpenClCpu => "OpenCL",
            Kind::Rayon => "rayon",
        };
        write!(f, "{family}: {}", self.name())
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({self})")
    }
}
