//! The processes of this machine as the system lists them, for whoever has to end some.

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// When it was started, in clock ticks since the machine was.
    pub started: u64,
}

/// All processes that can be seen.
pub fn all() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything, spaces and parentheses included.
        let (_, rest) = status.rsplit_once(')')?;
        // Fields 4 and 22 of proc(5); the first of `rest` is field 3.
        let mut fields = rest.split_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Process {
            pid,
            parent,
            started,
        })
    })
}

/// The process that traces one, a debugger's; 0 for none.
pub fn tracer_of(pid: u32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_among_the_processes_and_younger_than_its_parent() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mine = std::process::id() as i32;
        let found: Vec<Process> = all().collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let of = |pid: i32| found.iter().find(|one| one.pid == pid).copied();
        let child = of(child.id() as i32).unwrap();
        assert_eq!(child.parent, mine);
        assert!(child.started >= of(mine).unwrap().started);
    }
}
