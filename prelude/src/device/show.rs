//! The facts as a table.

use std::fmt;

use super::{Cache, DeviceInfo};
use crate::display::{Bundle, Show, escape};

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
            ("memory nodes", self.nodes()),
            ("frequency", self.frequency()),
            ("frequency governor", self.governor.clone()),
            ("load", self.load.map(|load| load.to_string())),
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
            ("MPI", self.mpi.as_ref().map(ToString::to_string)),
            ("OpenCL", self.opencl.as_ref().map(ToString::to_string)),
            ("CUDA", self.cuda.as_ref().map(ToString::to_string)),
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

    /// `2, with 8 and 8 cores`.
    fn nodes(&self) -> Option<String> {
        let cores: Vec<_> = self
            .numa_nodes
            .iter()
            .map(|node| node.cpus.len().to_string())
            .collect();
        match cores.as_slice() {
            [] => None,
            [_] => Some("1".to_owned()),
            [first @ .., last] => Some(format!(
                "{}, with {} and {last} cores",
                cores.len(),
                first.join(", ")
            )),
        }
    }

    fn frequency(&self) -> Option<String> {
        match (self.frequency_mhz, self.frequency_max_mhz) {
            (Some(now), Some(most)) => Some(format!("{now} MHz now, {most} MHz at most")),
            (Some(now), None) => Some(format!("{now} MHz now")),
            (None, Some(most)) => Some(format!("{most} MHz at most")),
            (None, None) => None,
        }
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
pub(super) fn size(bytes: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::super::NumaNode;
    use super::*;

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
    fn nodes_and_frequencies_are_one_line() {
        let node = |n| NumaNode {
            id: 0,
            cpus: (0..n).collect(),
        };
        let mut info = DeviceInfo {
            numa_nodes: vec![node(8)],
            frequency_max_mhz: Some(3600),
            ..Default::default()
        };
        assert_eq!(info.nodes().as_deref(), Some("1"));
        assert_eq!(info.frequency().as_deref(), Some("3600 MHz at most"));
        info.numa_nodes = vec![node(8), node(4), node(0)];
        info.frequency_mhz = Some(2400);
        assert_eq!(info.nodes().as_deref(), Some("3, with 8, 4 and 0 cores"));
        let both = "2400 MHz now, 3600 MHz at most";
        assert_eq!(info.frequency().as_deref(), Some(both));
    }
}
