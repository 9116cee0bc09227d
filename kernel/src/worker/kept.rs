//! A copy of this process as it was when it panicked, for a debugger to look at afterwards.
//!
//! A fork costs what its page tables cost, and memory is copied only where the worker goes on to change it. The copy has
//! the thread that panics and no other; it never runs anything of the user's: it closes all descriptors, so that
//! nobody waits for an end of file because of it, and waits for the end of the worker.
//!
//! What always holds: without the kernel's order nothing is copied; there are never more than [`MOST`] copies; none
//! outlives the worker.

use super::channel;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many panics of one run are kept: the first ones, because others follow from them.
const MOST: usize = 4;

static WANTED: AtomicBool = AtomicBool::new(false);
static COPIES: Mutex<Copies> = Mutex::new(Copies {
    run: 0,
    pids: Vec::new(),
});

struct Copies {
    run: u64,
    pids: Vec<i32>,
}

/// Whether panics are to be kept from now on. Those that are kept already stay.
pub fn want(on: bool) {
    WANTED.store(on, Ordering::SeqCst);
}

/// Ends all copies.
pub fn forget() {
    end(&mut channel::lock(&COPIES));
}

/// Copies this process for the calling thread, which panics; the copy's process id.
pub fn keep() -> Option<i32> {
    if !WANTED.load(Ordering::SeqCst) || !channel::is_owner() {
        return None;
    }
    let mut copies = channel::lock(&COPIES);
    let run = channel::current_run();
    if copies.run != run {
        end(&mut copies);
        copies.run = run;
    }
    if copies.pids.len() >= MOST {
        return None;
    }
    let pid = copy()?;
    copies.pids.push(pid);
    Some(pid)
}

fn end(copies: &mut Copies) {
    for pid in copies.pids.drain(..) {
        // SAFETY: plain system calls on a child that nobody else waits for: `__WALL` is needed to see it.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL);
        }
    }
}

#[cfg(target_os = "linux")]
fn copy() -> Option<i32> {
    // SAFETY: plain system calls. A clone without flags that share anything is a fork: the child returns here on a copy
    // of this stack. It makes system calls only, for locks may be held by threads that it does not have. It has no
    // signal for its parent at its end, so a `wait` of the user's does not see it, and no debugger
    // follows it (CLONE_UNTRACED).
    unsafe {
        let worker = libc::getpid();
        let kernel = libc::getppid();
        let flags = libc::CLONE_UNTRACED as libc::c_long;
        let pid = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if pid == 0 {
            stand_still(worker, kernel);
        }
        (pid > 0).then_some(pid as i32)
    }
}

#[cfg(not(target_os = "linux"))]
fn copy() -> Option<i32> {
    None
}

/// What the copy does.
#[cfg(target_os = "linux")]
fn stand_still(worker: i32, kernel: i32) -> ! {
    // SAFETY: plain system calls on numbers and on local memory. No descriptor is used after it was closed.
    unsafe {
        let all = [u64::MAX; 1];
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            all.as_ptr(),
            0,
            size_of_val(&all),
        );
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        libc::prctl(libc::PR_SET_PTRACER, kernel);
        let watched = libc::syscall(libc::SYS_pidfd_open, worker, 0) as i32;
        while libc::getppid() == worker {
            let mut entry = libc::pollfd {
                fd: watched,
                events: libc::POLLIN,
                revents: 0,
            };
            // A second is for systems without such descriptors, and for a debugger that has disturbed the wait.
            let limit = if watched < 0 { 1000 } else { -1 };
            if libc::poll(&raw mut entry, 1, limit) > 0 {
                break;
            }
        }
        libc::_exit(0)
    }
}
