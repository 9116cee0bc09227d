//! The facts of the machine that a measurement in a notebook depends on, and whether it is quiet enough to measure.
//!
//! A number in a notebook is a claim about one machine: end a cell near the top in `device::info()`, begin a
//! benchmark with `device::warn_if_noisy()`, and put `device::stamp()` beside its results.
//!
//! What always holds:
//! * nothing personal is read: no host name, no user, no address, no path;
//! * what cannot be found out is `None`, never a guess. Only Linux is asked today;
//! * nothing is changed: files are read, two libraries are opened, and `mpiexec --version` is run once.
//!
//! ```
//! let here = forkline::device::info();
//! assert!(here.cpus_usable.is_some());
//! println!("{here}");
//! ```

mod accelerators;
mod cpu;
mod files;
mod launcher;
mod load;
mod memory;
mod noise;
mod show;
mod stamp;
mod topology;

use std::path::Path;
use std::thread;

pub use accelerators::{Cuda, OpenCl};
pub use cpu::{Cache, NumaNode};
use files::{fields, read};
pub use launcher::Mpi;
pub use load::Load;
pub use noise::{Noise, warn_if_noisy};
pub use stamp::{Stamp, stamp};
pub use topology::{MemoryNode, Topology, topology};

/// What is known of the machine and of the software that ran on it.
///
/// As the last expression of a cell it is a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The processor's name for itself.
    pub cpu_model: Option<String>,
    /// Cores that have arithmetic units of their own.
    pub cores_physical: Option<usize>,
    /// Cores that the system schedules on: twice the physical ones with simultaneous multithreading.
    pub cores_logical: Option<usize>,
    /// Logical cores that this process may use, by its affinity and its group's quota. Pools take this number.
    pub cpus_usable: Option<usize>,
    /// The caches that the first core sees.
    pub caches: Vec<Cache>,
    /// The nodes of memory that have cores near to them. One, unless access to memory is not uniform; none
    /// if the system does not say.
    pub numa_nodes: Vec<NumaNode>,
    /// What the first core runs at now, in MHz.
    pub frequency_mhz: Option<u32>,
    /// What the first core may run at, in MHz.
    pub frequency_max_mhz: Option<u32>,
    /// Who sets the frequency, such as `performance` or `powersave`; several joined by `, ` if cores differ.
    pub governor: Option<String>,
    /// How busy the machine is.
    pub load: Option<Load>,
    /// Memory of the machine, in bytes.
    pub memory_total: Option<u64>,
    /// Memory that could be had now without swapping, in bytes.
    pub memory_available: Option<u64>,
    /// The most that this process's control group may hold, in bytes, if there is such a limit.
    pub memory_limit: Option<u64>,
    /// The operating system's name and version.
    pub os: Option<String>,
    /// The release of the operating system's kernel.
    pub os_kernel: Option<String>,
    /// Whether this is a virtual machine. Timings on one may be disturbed by its neighbours.
    pub is_virtual: Option<bool>,
    /// The launcher of MPI programs, if `mpiexec` is on the PATH. Asked once in the life of the process.
    pub mpi: Option<Mpi>,
    /// What is there of OpenCL. Whether a device is behind it only a driver could say.
    pub opencl: Option<OpenCl>,
    /// What is there of CUDA.
    pub cuda: Option<Cuda>,
    /// The rustc that built this library and builds the cells.
    pub rustc: &'static str,
    /// The version of this library.
    pub forkline: &'static str,
}

/// How many processors this process may use. Heeds the affinity mask and the quotas of control groups, version 1 and 2.
pub(crate) fn cpus_usable() -> Option<usize> {
    thread::available_parallelism().ok().map(usize::from)
}

/// Finds out about the machine. Takes about a millisecond; the first call also runs `mpiexec --version`, if
/// there is one, for a second at most.
#[doc(alias = "cpu_count")]
pub fn info() -> DeviceInfo {
    DeviceInfo {
        mpi: launcher::mpi(),
        opencl: accelerators::opencl(),
        cuda: accelerators::cuda(),
        ..facts()
    }
}

/// What files tell, without starting or opening anything.
pub(crate) fn facts() -> DeviceInfo {
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    let meminfo = read("/proc/meminfo").unwrap_or_default();
    let cpus = Path::new("/sys/devices/system/cpu");
    DeviceInfo {
        cpu_model: cpu::model(&cpuinfo),
        cores_physical: cpu::cores_physical(&cpuinfo),
        cores_logical: Some(fields(&cpuinfo, "processor").count()).filter(|&n| n > 0),
        cpus_usable: cpus_usable(),
        caches: cpu::caches(&cpus.join("cpu0/cache")),
        numa_nodes: cpu::numa_nodes(Path::new("/sys/devices/system/node")),
        frequency_mhz: cpu::frequency_now(cpus, &cpuinfo),
        frequency_max_mhz: cpu::frequency_max(cpus),
        governor: cpu::governor(cpus),
        load: load::now(),
        memory_total: memory::bytes_of(&meminfo, "MemTotal"),
        memory_available: memory::bytes_of(&meminfo, "MemAvailable"),
        memory_limit: memory::limit(),
        os: read("/etc/os-release").and_then(|text| os_name(&text)),
        os_kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        is_virtual: cpu::is_virtual(&cpuinfo),
        mpi: None,
        opencl: None,
        cuda: None,
        rustc: env!("FORKLINE_RUSTC"),
        forkline: env!("CARGO_PKG_VERSION"),
    }
}

fn os_name(os_release: &str) -> Option<String> {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_usable_cpu() {
        assert!(info().cpus_usable >= Some(1));
        assert!(info().rustc.starts_with("rustc "), "{}", info().rustc);
        assert!(info().load.is_some());
    }

    #[test]
    fn the_systems_name_loses_its_quotes() {
        let name = os_name("ID=x\nPRETTY_NAME=\"Some OS 1\"\n");
        assert_eq!(name.as_deref(), Some("Some OS 1"));
        assert_eq!(os_name("ID=x"), None);
    }
}
