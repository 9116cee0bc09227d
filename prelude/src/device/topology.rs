//! The nodes of memory, the processors near to each, and how far they are from each other.

use std::fmt;
use std::path::Path;

use super::files::{cpu_list, numbered_entries, read, read_line};
use super::{memory, show};
use crate::display::{Bundle, Show};
use crate::table;

/// A node of memory, as the system tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryNode {
    /// The system's number of the node.
    pub id: usize,
    /// The logical cores near to it that are switched on; none for memory of its own.
    pub cpus: Vec<usize>,
    /// Its memory, in bytes.
    pub memory_total: Option<u64>,
    /// What of it is free, in bytes.
    pub memory_free: Option<u64>,
    /// How far each node is, in the order of the nodes: 10 is its own, 20 takes about twice as long. The figures are the
    /// firmware's, not measured; empty if there are none.
    pub distances: Vec<u32>,
}

/// How memory and processors of the machine belong together. As the last expression of a cell it is a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    nodes: Vec<MemoryNode>,
}

/// Finds out which nodes of memory there are. A system that was built without nodes has one, with everything in it.
///
/// ```
/// let topology = forkline::device::topology();
/// assert!(!topology.nodes().is_empty());
/// println!("{} nodes, {} cores", topology.nodes().len(), topology.n_cpus());
/// ```
#[doc(alias = "numa")]
pub fn topology() -> Topology {
    Topology::read(Path::new("/sys/devices/system"), Path::new("/proc/meminfo"))
}

impl Topology {
    fn read(system: &Path, meminfo: &Path) -> Self {
        let folder = system.join("node");
        let nodes: Vec<_> = numbered_entries(&folder, "node")
            .into_iter()
            .map(|id| node(&folder.join(format!("node{id}")), id))
            .collect();
        if !nodes.is_empty() {
            return Self { nodes };
        }
        let meminfo = read(meminfo).unwrap_or_default();
        let cpus = read_line(system.join("cpu/online")).and_then(|list| cpu_list(&list));
        Self {
            nodes: vec![MemoryNode {
                id: 0,
                cpus: cpus.unwrap_or_default(),
                memory_total: memory::bytes_of(&meminfo, "MemTotal"),
                memory_free: memory::bytes_of(&meminfo, "MemFree"),
                distances: Vec::new(),
            }],
        }
    }

    /// The nodes, by their numbers; one at least.
    pub fn nodes(&self) -> &[MemoryNode] {
        &self.nodes
    }

    /// How many logical cores all nodes have together.
    pub fn n_cpus(&self) -> usize {
        self.nodes.iter().map(|node| node.cpus.len()).sum()
    }

    /// Whether all memory is equally far from all cores: one node.
    pub fn is_uniform(&self) -> bool {
        self.nodes.len() == 1
    }

    fn rows(&self) -> table::Table {
        let known = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), show::size);
        let header = ["node", "cores", "memory", "free", "distances"];
        let rows = self.nodes.iter().map(|node| {
            let distances: Vec<_> = node.distances.iter().map(ToString::to_string).collect();
            [
                node.id.to_string(),
                ranges(&node.cpus),
                known(node.memory_total),
                known(node.memory_free),
                distances.join(" "),
            ]
        });
        table::rows(header, rows).unwrap_or_else(|_| unreachable!("all rows have five cells"))
    }
}

fn node(folder: &Path, id: usize) -> MemoryNode {
    // Each line begins with `Node 0`.
    let meminfo = read(folder.join("meminfo")).unwrap_or_default();
    let prefix = format!("Node {id} ");
    let meminfo = meminfo.replace(&prefix, "");
    let distances = read_line(folder.join("distance")).and_then(|line| {
        line.split_whitespace()
            .map(|number| number.parse().ok())
            .collect()
    });
    MemoryNode {
        id,
        cpus: read_line(folder.join("cpulist"))
            .and_then(|list| cpu_list(&list))
            .unwrap_or_default(),
        memory_total: memory::bytes_of(&meminfo, "MemTotal"),
        memory_free: memory::bytes_of(&meminfo, "MemFree"),
        distances: distances.unwrap_or_default(),
    }
}

/// `0-3, 8`: neighbours are drawn together.
fn ranges(cpus: &[usize]) -> String {
    let runs = cpus.chunk_by(|a, b| a + 1 == *b);
    let texts: Vec<_> = runs
        .filter_map(|run| match run {
            [] => None,
            [one] => Some(one.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        })
        .collect();
    match texts.is_empty() {
        true => "none".to_owned(),
        false => texts.join(", "),
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.rows(), f)
    }
}

impl Show for Topology {
    fn show(&self) -> Bundle {
        self.rows().show()
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::made_up;
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn this_machine_has_all_its_cores_in_its_nodes() {
        let topology = topology();
        let online = read_line("/sys/devices/system/cpu/online").and_then(|list| cpu_list(&list));
        assert_eq!(Some(topology.n_cpus()), online.map(|cpus| cpus.len()));
        for node in topology.nodes() {
            assert!(node.memory_free <= node.memory_total);
        }
    }

    #[test]
    fn nodes_are_read() {
        let root = made_up(
            "topology",
            &[
                ("node/node0/cpulist", "0-2,8\n"),
                ("node/node0/distance", "10 21 30\n"),
                (
                    "node/node0/meminfo",
                    "Node 0 MemTotal:       8388608 kB\nNode 0 MemFree:  1048576 kB\n",
                ),
                ("node/node1/cpulist", "3-5\n"),
                ("node/node1/distance", "21 10 30\n"),
                ("node/node10/cpulist", "\n"),
                ("node/node10/distance", "30 x\n"),
            ],
        );
        let topology = Topology::read(&root, &root.join("meminfo"));
        std::fs::remove_dir_all(&root).unwrap();
        let ids: Vec<_> = topology.nodes().iter().map(|node| node.id).collect();
        assert_eq!(ids, [0, 1, 10]);
        assert_eq!((topology.n_cpus(), topology.is_uniform()), (7, false));
        let first = &topology.nodes()[0];
        assert_eq!(first.distances, [10, 21, 30]);
        assert_eq!(
            (first.memory_total, first.memory_free),
            (Some(8 * GIB), Some(GIB))
        );
        assert!(topology.nodes()[2].distances.is_empty());
        let text = topology.to_string();
        for part in ["0-2, 8", "10 21 30", "8 GiB", "none", "unknown"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(topology.show().get("text/html").unwrap().contains("<table"));
    }

    #[test]
    fn a_system_without_nodes_has_one() {
        let root = made_up(
            "no-nodes",
            &[
                ("cpu/online", "0-3\n"),
                ("meminfo", "MemTotal:  1048576 kB\n"),
            ],
        );
        let topology = Topology::read(&root, &root.join("meminfo"));
        std::fs::remove_dir_all(&root).unwrap();
        assert!(topology.is_uniform());
        assert_eq!(topology.n_cpus(), 4);
        assert_eq!(topology.nodes()[0].memory_total, Some(GIB));
        assert_eq!(topology.nodes()[0].memory_free, None);
    }
}
