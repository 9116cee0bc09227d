//! Who listens at a port, as far as `/proc` tells: of processes of other users it tells nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::registry;

/// What a message says of the process that listens at the port of this address.
pub(super) fn of(address: SocketAddr) -> Option<String> {
    let own_job = registry::all()
        .into_iter()
        .find(|job| !job.is_over() && job.address().is_some_and(|at| at.port() == address.port()));
    if let Some(job) = own_job {
        let name = &job.name;
        return Some(format!(
            "the job {name} of this notebook listens there (%stop {name} ends it)"
        ));
    }
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address.port()))
        .collect();
    let process = process_with(&inodes)?;
    if process == std::process::id() {
        return Some(format!(
            "a listener of this notebook, which is no job, holds it (process {process}); it is free when that is dropped"
        ));
    }
    let program = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let program = program.trim();
    Some(format!("process {process} ({program}) listens there"))
}

/// The inodes of the sockets that listen at a port, from the text of a table such as `/proc/net/tcp`: the second field
/// is the own address, the fourth the state, the tenth the inode.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTENS: &str = "0A";
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let own = fields.get(1)?.rsplit_once(':')?.1;
        let is_it = u16::from_str_radix(own, 16) == Ok(port) && fields.get(3) == Some(&LISTENS);
        is_it.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

/// The first process that has one of these sockets open.
fn process_with(inodes: &[String]) -> Option<u32> {
    if inodes.is_empty() {
        return None;
    }
    let wanted: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|process| has_open(*process, &wanted))
}

fn has_open(process: u32, wanted: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| wanted.iter().any(|socket| Path::new(socket) == target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n\
             1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1\n\
             garbage\n";
        assert_eq!(listening(table, 8080), ["4711"]);
        assert_eq!(listening(table, 8081), ["4713"]);
        assert!(listening(table, 1).is_empty());
        assert!(listening("", 8080).is_empty());
    }
}
