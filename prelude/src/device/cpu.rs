//! Processor, caches, memory nodes, frequency.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::{cpu_list, fields, numbered_entries, read_line};

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

/// A part of the memory, and the cores that are near to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NumaNode {
    /// The system's number of the node.
    pub id: usize,
    /// The logical cores near to it; none for memory of its own.
    pub cpus: Vec<usize>,
}

/// ARM's `/proc/cpuinfo` has no model name; then nothing is said.
pub(super) fn model(cpuinfo: &str) -> Option<String> {
    fields(cpuinfo, "model name")
        .next()
        .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
}

pub(super) fn cores_physical(cpuinfo: &str) -> Option<usize> {
    let packages = fields(cpuinfo, "physical id");
    let cores: BTreeSet<_> = packages.zip(fields(cpuinfo, "core id")).collect();
    Some(cores.len()).filter(|&n| n > 0)
}

/// x86 processors tell; of others nothing is said.
pub(super) fn is_virtual(cpuinfo: &str) -> Option<bool> {
    fields(cpuinfo, "flags")
        .next()
        .map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

pub(super) fn caches(dir: &Path) -> Vec<Cache> {
    let mut caches: Vec<_> = (0..8)
        .map_while(|index| cache(&dir.join(format!("index{index}"))))
        .collect();
    caches.sort_by_key(|cache| cache.level);
    caches
}

fn cache(dir: &Path) -> Option<Cache> {
    let fact = |name| read_line(dir.join(name));
    Some(Cache {
        level: fact("level")?.parse().ok()?,
        kind: fact("type")?,
        bytes: fact("size")?.strip_suffix('K')?.parse::<u64>().ok()? * 1024,
        n_sharing: fact("shared_cpu_list")
            .and_then(|list| cpu_list(&list))
            .map_or(1, |cpus| cpus.len()),
    })
}

pub(super) fn numa_nodes(dir: &Path) -> Vec<NumaNode> {
    let node = |id| NumaNode {
        id,
        cpus: read_line(dir.join(format!("node{id}/cpulist")))
            .and_then(|list| cpu_list(&list))
            .unwrap_or_default(),
    };
    numbered_entries(dir, "node")
        .into_iter()
        .map(node)
        .collect()
}

/// Some machines tell in `/sys`, in kHz; x86 ones also in `/proc/cpuinfo`.
pub(super) fn frequency_now(cpus: &Path, cpuinfo: &str) -> Option<u32> {
    let told = || fields(cpuinfo, "cpu MHz").next()?.parse::<f64>().ok();
    mhz(&cpus.join("cpu0/cpufreq/scaling_cur_freq"))
        .or_else(|| told().map(|mhz| mhz.round() as u32))
}

pub(super) fn frequency_max(cpus: &Path) -> Option<u32> {
    mhz(&cpus.join("cpu0/cpufreq/cpuinfo_max_freq"))
}

fn mhz(file: &Path) -> Option<u32> {
    Some((read_line(file)?.parse::<u32>().ok()? + 500) / 1000)
}

pub(super) fn governor(cpus: &Path) -> Option<String> {
    let governors: BTreeSet<_> = numbered_entries(cpus, "cpu")
        .into_iter()
        .filter_map(|cpu| read_line(cpus.join(format!("cpu{cpu}/cpufreq/scaling_governor"))))
        .collect();
    let joined = governors.into_iter().collect::<Vec<_>>().join(", ");
    Some(joined).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::files::made_up;
    use super::*;

    const CPUINFO: &str = "\
        processor\t: 0\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: 0\ncore id\t: 0\ncpu MHz\t: 1999.6\nflags\t: fpu sse2 hypervisor\n\n\
        processor\t: 1\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: 0\ncore id\t: 0\nflags\t: fpu sse2 hypervisor\n\n\
        processor\t: 2\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: 1\ncore id\t: 0\nflags\t: fpu sse2 hypervisor\n";

    #[test]
    fn cpuinfo_is_read() {
        assert_eq!(model(CPUINFO).as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(cores_physical(CPUINFO), Some(2));
        assert_eq!(fields(CPUINFO, "processor").count(), 3);
        assert_eq!(is_virtual(CPUINFO), Some(true));
        assert_eq!(
            (model(""), cores_physical(""), is_virtual("")),
            (None, None, None)
        );
    }

    #[test]
    fn nodes_frequency_and_governor_are_read() {
        let root = made_up(
            "cpu",
            &[
                ("node/node0/cpulist", "0-1,4\n"),
                ("node/node1/cpulist", "2-3\n"),
                ("node/node10/cpulist", "\n"),
                ("node/online", "0-1\n"),
                ("cpu/cpu0/cpufreq/scaling_cur_freq", "2400500\n"),
                ("cpu/cpu0/cpufreq/cpuinfo_max_freq", "3600000\n"),
                ("cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
                ("cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
                ("cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
            ],
        );
        let nodes = numa_nodes(&root.join("node"));
        let expected = [(0, vec![0, 1, 4]), (1, vec![2, 3]), (10, vec![])];
        let cpus = root.join("cpu");
        let found = (
            frequency_now(&cpus, CPUINFO),
            frequency_max(&cpus),
            governor(&cpus),
        );
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(nodes, expected.map(|(id, cpus)| NumaNode { id, cpus }));
        assert_eq!(
            found,
            (
                Some(2401),
                Some(3600),
                Some("performance, powersave".into())
            )
        );
        // Now the folder is gone.
        assert_eq!(frequency_now(&cpus, CPUINFO), Some(2000));
        assert_eq!(frequency_now(&cpus, ""), None);
        assert_eq!((frequency_max(&cpus), governor(&cpus)), (None, None));
        assert_eq!(numa_nodes(&root.join("node")), []);
    }
}
