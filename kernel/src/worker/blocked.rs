//! What becomes of an interrupted cell whose thread waits for something that never comes: a lock that is
//! held for ever, a channel without a sender, a call of a C library.
//!
//! Such a thread cannot be unwound, since it stands in somebody else's code. It is left behind: a signal
//! stops it where it waits, for the rest of the process's life, and a new thread goes on with evcxr's
//! orders and all variables that the cell did not name. This happens when nothing else in the process
//! computes (half a second without work), or when the kernel asks for it.
//!
//! What always holds:
//! * only a thread that has stood in one and the same system call for a while is stopped, so it holds no
//!   lock of the allocator; and never while it may hold this process's own output lock;
//! * a thread that has been stopped runs no code again, so nobody else uses what is on its stack;
//! * programs that the cell has started are asked to end (SIGINT), as in a terminal, and killed when the
//!   cell is left behind.
//!
//! A thread that computes is not for this room: the kernel ends the worker then.

use super::channel;
use crate::processes::{self, Process};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The system's number of the thread that runs cells, and its handle; written by that thread before it
/// carries out its first order.
static CELL_THREAD: AtomicI32 = AtomicI32::new(0);
static CELL_PTHREAD: AtomicU64 = AtomicU64::new(0);
/// How far the stopping of the thread has come; the handler and [`stop`] each take one step.
static STOP: AtomicU8 = AtomicU8::new(NOBODY_ASKS);
const NOBODY_ASKS: u8 = 0;
const ASKED: u8 = 1;
const STOPPED: u8 = 2;

/// Whether the kernel has asked for the run to be left behind without further waiting.
static URGENT: AtomicBool = AtomicBool::new(false);

/// The signal that stops a thread; one that libraries have no other use for.
fn signal() -> i32 {
    libc::SIGRTMIN() + 5
}

/// How often a waiting thread is looked at.
const STEP: Duration = Duration::from_millis(50);
/// A thread that has not moved for so long, in a process that computes nothing, is left behind.
const STILL: Duration = Duration::from_millis(500);
/// The same when the kernel asks for it, whatever the rest of the process does.
const STILL_URGENT: Duration = Duration::from_millis(150);

/// Says that the calling thread runs cells from now on.
pub fn this_is_the_cell_thread() {
    // SAFETY: plain calls; the handler only makes system calls and stores an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_stop as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigaction(signal(), &action, std::ptr::null_mut());
        CELL_PTHREAD.store(libc::pthread_self() as u64, Ordering::SeqCst);
        CELL_THREAD.store(libc::syscall(libc::SYS_gettid) as i32, Ordering::SeqCst);
    }
}

/// The system's number of the thread that runs cells; 0 before the first.
pub fn cell_thread() -> i32 {
    CELL_THREAD.load(Ordering::SeqCst)
}

/// Whether a thread of this process waits in a system call.
pub fn waits(thread: i32) -> bool {
    Standing::of(thread).is_some()
}

/// The user has interrupted a run, perhaps not for the first time: watches it until it ends, and calls
/// `go_on` in a new thread if it has to be left behind.
pub fn watch(run: u64, go_on: fn(u64)) {
    static WATCHED: AtomicU64 = AtomicU64::new(0);
    if WATCHED.swap(run, Ordering::SeqCst) == run {
        URGENT.store(true, Ordering::SeqCst);
        return;
    }
    URGENT.store(false, Ordering::SeqCst);
    let begun = super::run_age();
    // Without a thread to watch, the kernel ends the worker in the end.
    let _ = std::thread::Builder::new()
        .name("forkline-watch".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || {
            channel::belong_to_no_run();
            signal_children(begun, libc::SIGINT);
            while wait_until_stuck(run) {
                if !stop(run) {
                    continue;
                }
                signal_children(begun, libc::SIGKILL);
                let started = std::thread::Builder::new()
                    .name("main".to_owned())
                    .stack_size(STACK)
                    .spawn(move || go_on(run));
                if started.is_err() {
                    super::crash::end_group();
                }
                return;
            }
        });
}

/// The stack of a thread that takes over, as large as that of a main thread.
const STACK: usize = 8 << 20;

/// True when the cell's thread does not move any more, false when the run has ended.
fn wait_until_stuck(run: u64) -> bool {
    let thread = CELL_THREAD.load(Ordering::SeqCst);
    let mut still_since = Instant::now();
    let mut last = None;
    let mut computed = processor_time();
    loop {
        std::thread::sleep(STEP);
        if !channel::is_running(run) {
            return false;
        }
        let standing = Standing::of(thread);
        let now = processor_time();
        let urgent = URGENT.load(Ordering::SeqCst);
        // A tenth of one core is what the watching itself and idle pools may take.
        let is_busy = now.saturating_sub(computed) > STEP / 10 && !urgent;
        computed = now;
        if standing.is_none() || standing != last || is_busy {
            still_since = Instant::now();
        }
        last = standing;
        let limit = if urgent { STILL_URGENT } else { STILL };
        if last.is_some() && still_since.elapsed() >= limit {
            return true;
        }
    }
}

/// Where a thread waits: the system call with its arguments, and how often it has begun to wait.
#[derive(PartialEq, Eq)]
struct Standing {
    call: String,
    waits: String,
}

impl Standing {
    /// None if the thread does not wait in a system call.
    fn of(thread: i32) -> Option<Standing> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/task/{thread}/{name}"));
        let call = read("syscall").ok()?;
        // `running`, or -1 outside of a system call.
        if !call.starts_with(|char: char| char.is_ascii_digit()) {
            return None;
        }
        let status = read("status").ok()?;
        let line = |name: &str| status.lines().find(|line| line.starts_with(name));
        line("State:").filter(|state| state.contains("S ("))?;
        Some(Standing {
            call,
            waits: line("voluntary_ctxt_switches:")?.to_owned(),
        })
    }
}

/// Stops the cell's thread; false if it went on just before, or the run has ended.
fn stop(run: u64) -> bool {
    channel::with_output_lock(|| {
        if !channel::is_running(run) {
            return false;
        }
        STOP.store(ASKED, Ordering::SeqCst);
        let thread = CELL_PTHREAD.load(Ordering::SeqCst) as libc::pthread_t;
        // SAFETY: the thread that runs cells never ends while the process lives.
        if unsafe { libc::pthread_kill(thread, signal()) } != 0 {
            return false;
        }
        for _ in 0..100 {
            if STOP.load(Ordering::SeqCst) == STOPPED {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // The handler may come to its step at this very moment; one of the two is the first.
        let withdrawn =
            STOP.compare_exchange(ASKED, NOBODY_ASKS, Ordering::SeqCst, Ordering::SeqCst);
        withdrawn.is_err()
    })
}

/// Stops the calling thread for ever if it was waiting in a system call.
extern "C" fn on_stop(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if !was_in_system_call(context)
        || STOP
            .compare_exchange(ASKED, STOPPED, Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
    {
        return;
    }
    // SAFETY: all signals that can be blocked are; the thread waits for one that never comes.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        loop {
            libc::sigsuspend(&all);
        }
    }
}

/// Whether the instruction before the interrupted one is a system call.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn was_in_system_call(context: *mut libc::c_void) -> bool {
    // SAFETY: the system passes a ucontext to a handler with SA_SIGINFO, and the bytes before the
    // instruction at which a thread stands are code of the same function.
    unsafe {
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let next = registers[libc::REG_RIP as usize] as *const u8;
        // A call that is to be made anew stands at the instruction itself.
        let at = |place: *const u8| place.cast::<[u8; 2]>().read_unaligned() == [0x0f, 0x05];
        at(next.sub(2)) || at(next)
    }
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
fn was_in_system_call(context: *mut libc::c_void) -> bool {
    // SAFETY: as above.
    unsafe {
        let next = (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc as *const u32;
        let at = |place: *const u32| place.read() == 0xd400_0001;
        at(next.sub(1)) || at(next)
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn was_in_system_call(_context: *mut libc::c_void) -> bool {
    false
}

/// Processor time of the whole process.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on every system, and `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sends a signal to the children of this process that are younger than the run, which is as old as said.
fn signal_children(age: Duration, signal: i32) {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let Some(uptime) = uptime
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok())
    else {
        return;
    };
    // SAFETY: sysconf has no preconditions.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let begun = (uptime - age.as_secs_f64()) * ticks;
    let mine = std::process::id() as i32;
    // Ticks are whole: a child of the first moment counts.
    let is_young = |one: &Process| one.parent == mine && one.started as f64 >= begun - 1.0;
    for child in processes::all().filter(is_young) {
        // SAFETY: a plain system call.
        unsafe { libc::kill(child.pid, signal) };
    }
}
