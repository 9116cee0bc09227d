//! What a worker does to be debugged, and to survive a debugger that dies.
//!
//! A debugger writes trap instructions into the code. If it is killed it leaves them there, and the next thread
//! that meets one would end the process. The kernel takes them out again (see `session::debug`), but it has to learn of
//! the death first; so a thread that meets a trap without a debugger goes back and tries again for a while.

use crate::processes;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// How long threads try one place again, in milliseconds, and the pause before each try, in nanoseconds.
const PATIENCE: i64 = 3000;
const PAUSE: i64 = 2_000_000;

/// The place that was tried last, by any thread, and since when.
static PLACE: AtomicUsize = AtomicUsize::new(0);
static SINCE: AtomicI64 = AtomicI64::new(0);

/// Lets a process and those below it trace this one where the system allows that to ancestors only (Yama).
pub fn allow(tracer: u32) {
    #[cfg(target_os = "linux")]
    // SAFETY: a plain system call. Of a process that is not there it makes an error, which changes nothing.
    unsafe {
        libc::prctl(libc::PR_SET_PTRACER, libc::c_ulong::from(tracer));
    }
}

/// Whether a debugger is attached to this process.
pub fn is_traced() -> bool {
    processes::tracer_of(std::process::id()) != 0
}

/// Is ready for traps that nobody waits for.
pub fn prepare() {
    // SAFETY: plain system calls. The handler is async-signal-safe (system calls and an atomic only), and the
    // structure is zeroed before use, which is valid for it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
    }
}

extern "C" fn on_trap(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes a valid siginfo to a handler with SA_SIGINFO.
    let cause = unsafe { (*info).si_code };
    if BY_STEP.contains(&cause) {
        // The debugger was leading this thread over an instruction, which is done.
        return;
    }
    let is_instruction = cause == BY_INSTRUCTION;
    if is_instruction && go_back(context) {
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: PAUSE,
        };
        // SAFETY: nanosleep is async-signal-safe and reads a local.
        unsafe { libc::nanosleep(&raw const pause, std::ptr::null_mut()) };
        return;
    }
    // SAFETY: plain calls; the default action of a trap ends the process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// The trap instruction.
#[cfg(target_arch = "x86_64")]
const TRAP: u8 = 0xcc;

/// `si_code` of a trap instruction (`SI_KERNEL` in the system's headers).
const BY_INSTRUCTION: libc::c_int = 0x80;

/// `si_code` of a single step and the like (`TRAP_BRKPT` to `TRAP_HWBKPT`).
const BY_STEP: std::ops::RangeInclusive<libc::c_int> = 1..=4;

/// Lets the thread run the trap instruction again; false if it has done so long enough.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn go_back(context: *mut libc::c_void) -> bool {
    // SAFETY: the system passes a ucontext to a handler with SA_SIGINFO.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let place = &mut registers[libc::REG_RIP as usize];
    // A trap instruction has one byte, and the thread stands behind it; before it, if the debugger has put it
    // there already.
    // SAFETY: the thread has just run the byte before this place, or is about to run the one here.
    let is_trap = |at: i64| unsafe { (at as *const u8).read_volatile() } == TRAP;
    if is_trap(*place - 1) || !is_trap(*place) {
        *place -= 1;
    }
    let now = milliseconds();
    if PLACE.swap(*place as usize, Ordering::Relaxed) != *place as usize {
        SINCE.store(now, Ordering::Relaxed);
    }
    now - SINCE.load(Ordering::Relaxed) < PATIENCE
}

/// The time of a clock that only goes forward.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn milliseconds() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime is async-signal-safe and writes into a local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn go_back(_context: *mut libc::c_void) -> bool {
    false
}
