//! The facts of the machine that a measurement in a notebook depends on.
//!
//! A number in a notebook is a claim about one machine: end a cell near the top in `device::info()`.
//!
//! What always holds:
//! * nothing personal is read: no host name, no user, no address;
//! * what cannot be found out is `None`, never a guess. Only Linux is asked today.
//!
//! ```
//! let here = forkline::device::info();
//! assert!(here.cpus_usable.is_some());
//! println!("{here}");
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;

use crate::display::{Bundle, Show, escape};

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
    /// The rustc that built this library and builds the cells.
    pub rustc: &'static str,
    /// The version of this library.
    pub forkline: &'static str,
}

/// One cache of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cache {
    /// 1 is the nearest to the core.
    pub level: u32,
    /// `Data`, `Instruction` or `Unified`.
    pub kind: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many logical cores share it.
    pub n_sharing: usize,
}

/// Finds out about the machine. Takes about a millisecond.
#[doc(alias = "cpu_count")]
pub fn info() -> DeviceInfo {
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    let meminfo = read("/proc/meminfo").unwrap_or_default();
    DeviceInfo {
        cpu_model: cpu_model(&cpuinfo),
        cores_physical: cores_physical(&cpuinfo),
        cores_logical: Some(fields(&cpuinfo, "processor").count()).filter(|&n| n > 0),
        // Heeds the affinity mask and the quotas of control groups, version 1 and 2.
        cpus_usable: thread::available_parallelism().ok().map(usize::from),
        caches: caches(Path::new("/sys/devices/system/cpu/cpu0/cache")),
        memory_total: mem_bytes(&meminfo, "MemTotal"),
        memory_available: mem_bytes(&meminfo, "MemAvailable"),
        memory_limit: memory_limit(),
        os: read("/etc/os-release").and_then(|text| os_name(&text)),
        os_kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        is_virtual: is_virtual(&cpuinfo),
        rustc: env!("FORKLINE_RUSTC"),
        forkline: env!("CARGO_PKG_VERSION"),
    }
}

impl DeviceInfo {
    /// The facts that are known, each with its name.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let count = |n: Option<usize>| n.map(|n| n.to_string());
        let caches: Vec<_> = self.caches.iter().map(Cache::to_string).collect();
        let rows = [
            ("processor", self.cpu_model.clone()),
            ("physical cores", count(self.cores_physical)),
            ("logical cores", count(self.cores_logical)),
            ("usable by this process", count(self.cpus_usable)),
            (
                "caches",
                Some(caches.join(", ")).filter(|text| !text.is_empty()),
            ),
            ("memory", self.memory_total.map(size)),
            ("memory available", self.memory_available.map(size)),
            ("memory limit", self.memory_limit.map(size)),
            ("system", self.os.clone()),
            ("system kernel", self.os_kernel.clone()),
            (
                "virtual machine",
                self.is_virtual
                    .map(|is| if is { "yes" } else { "no" }.into()),
            ),
            (
                "rustc",
                Some(self.rustc.to_owned()).filter(|text| !text.is_empty()),
            ),
            ("forkline", Some(self.forkline.to_owned())),
        ];
        rows.into_iter()
            .filter_map(|(name, fact)| Some((name, fact?)))
            .collect()
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, fact)) in self.rows().iter().enumerate() {
            write!(f, "{}{name:<24}{fact}", if at > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl Show for DeviceInfo {
    fn show(&self) -> Bundle {
        let row = |(name, fact): &(&str, String)| {
            let fact = escape(fact);
            format!(
                "<tr><th style=\"text-align:left\">{name}</th><td style=\"text-align:left\">{fact}</td></tr>"
            )
        };
        let rows: String = self.rows().iter().map(row).collect();
        Bundle::new()
            .html(format!("<table>{rows}</table>"))
            .text(self.to_string())
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        write!(f, "L{}{kind} {}", self.level, size(self.bytes))?;
        if self.n_sharing > 1 {
            write!(f, " for {} cores", self.n_sharing)?;
        }
        Ok(())
    }
}

/// Bytes in the units that memory and caches are sold in.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x10_0000 => (1_u64 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    match bytes % unit {
        0 => format!("{} {name}", bytes / unit),
        _ => format!("{:.1} {name}", bytes as f64 / unit as f64),
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The values of all lines `name : value`.
fn fields<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

/// ARM's `/proc/cpuinfo` has no model name; then nothing is said.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    fields(cpuinfo, "model name")
        .next()
        .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn cores_physical(cpuinfo: &str) -> Option<usize> {
    let packages = fields(cpuinfo, "physical id");
    let cores: BTreeSet<_> = packages.zip(fields(cpuinfo, "core id")).collect();
    Some(cores.len()).filter(|&n| n > 0)
}

/// x86 processors tell; of others nothing is said.
fn is_virtual(cpuinfo: &str) -> Option<bool> {
    fields(cpuinfo, "flags")
        .next()
        .map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn mem_bytes(meminfo: &str, name: &str) -> Option<u64> {
    let kib: u64 = fields(meminfo, name)
        .next()?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// Control groups, version 2, as seen from inside a container or a service.
fn memory_limit() -> Option<u64> {
    let own = read("/proc/self/cgroup")?;
    let group = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))?
        .to_owned();
    let root = Path::new("/sys/fs/cgroup");
    root.join(group)
        .ancestors()
        .take_while(|dir| dir.starts_with(root))
        .filter_map(limit_of)
        .min()
}

/// `max`, which means no limit, is no number.
fn limit_of(dir: &Path) -> Option<u64> {
    read(dir.join("memory.max"))?.trim().parse().ok()
}

fn os_name(os_release: &str) -> Option<String> {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

fn caches(dir: &Path) -> Vec<Cache> {
    let mut caches: Vec<_> = (0..8)
        .map_while(|index| cache(&dir.join(format!("index{index}"))))
        .collect();
    caches.sort_by_key(|cache| cache.level);
    caches
}

fn cache(dir: &Path) -> Option<Cache> {
    let fact = |name| read(dir.join(name)).map(|text| text.trim().to_owned());
    Some(Cache {
        level: fact("level")?.parse().ok()?,
        kind: fact("type")?,
        bytes: fact("size")?.strip_suffix('K')?.parse::<u64>().ok()? * 1024,
        n_sharing: fact("shared_cpu_list")
            .and_then(|list| n_in_cpu_list(&list))
            .unwrap_or(1),
    })
}

/// `0-3,8` names five cores.
fn n_in_cpu_list(list: &str) -> Option<usize> {
    list.split(',')
        .map(|part| match part.split_once('-') {
            Some((first, last)) => Some(
                last.parse::<usize>()
                    .ok()?
                    .checked_sub(first.parse().ok()?)?
                    + 1,
            ),
            None => part.parse::<usize>().ok().map(|_| 1),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "\
        processor\t: 0\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: 0\ncore id\t: 0\nflags\t: fpu sse2 hypervisor\n\n\
        processor\t: 1\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: 0\ncore id\t: 0\nflags\t: fpu sse2 hypervisor\n\n\
        processor\t: 2\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: 1\ncore id\t: 0\nflags\t: fpu sse2 hypervisor\n";

    #[test]
    fn cpuinfo_is_read() {
        assert_eq!(cpu_model(CPUINFO).as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(cores_physical(CPUINFO), Some(2));
        assert_eq!(fields(CPUINFO, "processor").count(), 3);
        assert_eq!(is_virtual(CPUINFO), Some(true));
        assert_eq!(
            (cpu_model(""), cores_physical(""), is_virtual("")),
            (None, None, None)
        );
    }

    #[test]
    fn meminfo_is_in_kibibytes() {
        assert_eq!(
            mem_bytes("MemTotal:       2048 kB\nMemFree: 1 kB", "MemTotal"),
            Some(2 << 20)
        );
        assert_eq!(mem_bytes("", "MemTotal"), None);
    }

    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(n_in_cpu_list("0-3,8"), Some(5));
        assert_eq!(n_in_cpu_list("7"), Some(1));
        assert_eq!(n_in_cpu_list(""), None);
    }

    #[test]
    fn sizes_are_in_binary_units() {
        assert_eq!(
            [size(32 << 10), size(3 << 19), size(1 << 34)],
            ["32 KiB", "1.5 MiB", "16 GiB"]
        );
    }

    #[test]
    fn the_table_escapes_and_leaves_out_what_is_unknown() {
        let info = DeviceInfo {
            cpu_model: Some("<A&B>".into()),
            rustc: "rustc 1",
            forkline: "0",
            ..Default::default()
        };
        let bundle = info.show();
        assert_eq!(bundle.plain_text().lines().count(), 3);
        assert!(bundle.get("text/html").unwrap().contains("&lt;A&amp;B&gt;"));
        assert!(!bundle.get("text/html").unwrap().contains("memory"));
    }

    #[test]
    fn this_machine_has_a_usable_cpu() {
        assert!(info().cpus_usable >= Some(1));
        assert!(info().rustc.starts_with("rustc "), "{}", info().rustc);
    }
}
