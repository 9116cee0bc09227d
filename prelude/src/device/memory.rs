//! How much memory there is, and how much of it this process may have.

use std::path::Path;

use super::files::{fields, read};

/// The value of a line of `/proc/meminfo`, in bytes.
pub(super) fn bytes_of(meminfo: &str, name: &str) -> Option<u64> {
    let kib: u64 = fields(meminfo, name)
        .next()?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// Control groups, version 2, as seen from inside a container or a service.
pub(super) fn limit() -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_in_kibibytes() {
        assert_eq!(
            bytes_of("MemTotal:       2048 kB\nMemFree: 1 kB", "MemTotal"),
            Some(2 << 20)
        );
        assert_eq!(bytes_of("", "MemTotal"), None);
    }
}
