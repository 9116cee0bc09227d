//! A worker that is one rank of a group: a launcher such as `mpiexec` has started it.
//!
//! It runs cells as every worker does. Its orders come from the leader of the group (see `group`), not from
//! evcxr, and its answers go there; what the cells print and show goes to the kernel directly, in frames
//! that carry the rank.
//!
//! What always holds: a rank ends when its leader does, whatever its cell does at that moment.

use super::group::{Introduction, VERSION};
use super::link::{self, Address, Purpose};
use super::{backtrace, channel, crash, files, frames, traced};
use frames::Kind;
use std::io::Write as _;
use std::os::fd::{IntoRawFd as _, OwnedFd, RawFd};

/// The argument with which this program is a rank.
pub const ROLE: &str = "rank";
/// Environment variable: the socket of the group's leader.
pub const LEADER: &str = "FORKLINE_LEADER";

/// Environment variable: the kernel's process. It may trace a rank of this machine, whose parent is the launcher.
pub const TRACER: &str = "FORKLINE_TRACER";

/// Environment variable: the rank's own number, whatever the launcher.
pub const NUMBER: &str = "FORKLINE_RANK";

/// Where launchers write a process's rank, and the number of all: Open MPI, PMIx, MPICH and Intel MPI, Slurm.
const RANK_NAMES: [&str; 4] = [
    "OMPI_COMM_WORLD_RANK",
    "PMIX_RANK",
    "PMI_RANK",
    "SLURM_PROCID",
];
const SIZE_NAMES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"];

/// Lives as a rank.
pub fn main() -> ! {
    match join() {
        Ok(leader) => super::live(Some(leader)),
        Err(error) => {
            eprintln!("forkline: a rank could not begin: {error:#}");
            std::process::exit(super::CANNOT_LOAD);
        }
    }
}

/// Finds out its rank and tells the leader.
fn join() -> anyhow::Result<RawFd> {
    let rank = number(&RANK_NAMES).ok_or_else(|| {
        anyhow::anyhow!(
            "the launcher does not say which rank it is (none of {} is set)",
            RANK_NAMES.join(", ")
        )
    })?;
    let leader = std::env::var_os(LEADER).ok_or_else(|| {
        anyhow::anyhow!("{LEADER} is not set; only a group's leader starts ranks")
    })?;
    if let Some(kernel) = number(&[TRACER]) {
        traced::allow(kernel);
    }
    // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
    unsafe {
        std::env::remove_var(LEADER);
        std::env::remove_var(TRACER);
        std::env::set_var(NUMBER, rank.to_string());
    }
    frames::send_as_rank(rank);
    let leader = Address::parse(&leader);
    let mut stream = leader.connect(Purpose::Orders)?;
    let introduction = Introduction {
        rank,
        // Of all processes that the launcher starts; not every launcher says it.
        size: number(&SIZE_NAMES).unwrap_or(0),
        version: VERSION.to_owned(),
        files: if leader.is_network() {
            files::digests(&files::needed_here())
        } else {
            String::new()
        },
        host: link::host_name(),
    };
    stream.write_all(introduction.line().as_bytes())?;
    if leader.is_network() {
        files::receive(&mut stream)?;
    }
    // SAFETY: the handler is a function with the signature that on_exit asks for.
    unsafe { on_exit(at_exit, std::ptr::null_mut()) };
    end_later_than_told();
    let leader = OwnedFd::from(stream).into_raw_fd();
    std::thread::Builder::new()
        .name("forkline-leader".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || {
            channel::belong_to_no_run();
            end_with(leader)
        })?;
    Ok(leader)
}

/// When one rank is gone, launchers end the others at once, with SIGTERM. A rank lives on for a second then: the kernel
/// asks it where it stands, and the leader ends it.
fn end_later_than_told() {
    extern "C" fn on_end(_: libc::c_int) {
        // SAFETY: safe in a handler. The signal that comes in a second ends the process.
        unsafe { libc::alarm(1) };
    }
    // SAFETY: an all-zero sigaction is valid, and so is the handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_end as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGTERM, &raw const action, std::ptr::null_mut());
    }
}

fn number(names: &[&str]) -> Option<u32> {
    names
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
}

/// Waits until the leader's end of the socket is closed. The orders on it are for the cells' thread, which
/// may be busy for ever.
fn end_with(leader: RawFd) -> ! {
    loop {
        let mut entry = libc::pollfd {
            fd: leader,
            events: libc::POLLRDHUP,
            revents: 0,
        };
        // SAFETY: one valid entry for the time of the call.
        let count = unsafe { libc::poll(&raw mut entry, 1, -1) };
        if count > 0 && entry.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0 {
            files::remove();
            crash::end_group();
        }
    }
}

unsafe extern "C" {
    /// glibc's `atexit` with the status.
    fn on_exit(
        function: extern "C" fn(status: libc::c_int, argument: *mut libc::c_void),
        argument: *mut libc::c_void,
    ) -> libc::c_int;
}

/// The kernel cannot ask for the status of a process that the launcher has started.
extern "C" fn at_exit(status: libc::c_int, _: *mut libc::c_void) {
    if !channel::is_owner() {
        return;
    }
    let report = serde_json::json!({ "status": status, "frames": backtrace::capture() });
    channel::end();
    channel::send(Kind::Exiting, report.to_string().as_bytes());
    files::remove();
}
