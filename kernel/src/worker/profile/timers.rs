//! One timer for each thread, on the thread's own processor time, whose signal goes to that thread.

use super::ring;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How the names of the worker's own threads begin. They are no part of what a cell costs.
pub const OWN: &str = "forkline-";

/// Whether threads that begin need a timer; a hint that spares them the lock. A thread that has seen it
/// false before it became true is in the system's list of threads by then.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// The system's number of each thread that has a timer, and of the timer; none while there is no profile.
static TIMERS: Mutex<Option<Timers>> = Mutex::new(None);

struct Timers {
    interval: Duration,
    by_thread: HashMap<i32, libc::c_int>,
}

impl Timers {
    /// A timer for a thread of this process. One that cannot be had is not told: the thread may just have
    /// ended.
    fn arm(&mut self, thread: i32) {
        if self.by_thread.contains_key(&thread) {
            return;
        }
        // SAFETY: plain system calls; the structures live during the calls and are as the system expects
        // them (an all-zero sigevent is valid). The system's own calls instead of the C library's, which
        // hands out pointers in place of numbers.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = ring::SIGNAL;
            event.sigev_notify_thread_id = thread;
            let mut timer: libc::c_int = 0;
            let clock = clock_of(thread);
            if libc::syscall(
                libc::SYS_timer_create,
                clock,
                &raw mut event,
                &raw mut timer,
            ) != 0
            {
                return;
            }
            let step = libc::timespec {
                tv_sec: 0,
                tv_nsec: self.interval.subsec_nanos().into(),
            };
            let times = libc::itimerspec {
                it_interval: step,
                it_value: step,
            };
            libc::syscall(
                libc::SYS_timer_settime,
                timer,
                0,
                &raw const times,
                std::ptr::null_mut::<libc::itimerspec>(),
            );
            self.by_thread.insert(thread, timer);
        }
    }
}

fn remove(timer: libc::c_int) {
    // SAFETY: a plain system call on a timer that is ours and is forgotten now.
    unsafe { libc::syscall(libc::SYS_timer_delete, timer) };
}

/// Gives all threads of the process a timer, but for the worker's own.
pub fn start(interval: Duration) {
    let mut timers = super::super::lock(&TIMERS);
    let timers = timers.insert(Timers {
        interval,
        by_thread: HashMap::new(),
    });
    ACTIVE.store(true, Ordering::SeqCst);
    for entry in std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let thread = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if let Some(thread) = thread.filter(|_| !name.starts_with(OWN)) {
            timers.arm(thread);
        }
    }
}

/// Removes all timers.
pub fn stop() {
    ACTIVE.store(false, Ordering::SeqCst);
    if let Some(timers) = super::super::lock(&TIMERS).take() {
        timers.by_thread.into_values().for_each(remove);
    }
}

/// How many timers there are.
#[cfg(test)]
pub fn count() -> usize {
    let timers = super::super::lock(&TIMERS);
    timers.as_ref().map_or(0, |timers| timers.by_thread.len())
}

/// The timer of the calling thread, as long as the thread lives.
pub struct OwnTimer(Option<i32>);

/// The calling thread is new: it gets a timer if a profile is being made.
pub fn thread_begins() -> OwnTimer {
    if !ACTIVE.load(Ordering::SeqCst) {
        return OwnTimer(None);
    }
    // SAFETY: gettid has no preconditions.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    if let Some(timers) = super::super::lock(&TIMERS).as_mut() {
        timers.arm(thread);
    }
    OwnTimer(Some(thread))
}

impl Drop for OwnTimer {
    fn drop(&mut self) {
        let Some(thread) = self.0 else { return };
        if let Some(timers) = super::super::lock(&TIMERS).as_mut()
            && let Some(timer) = timers.by_thread.remove(&thread)
        {
            remove(timer);
        }
    }
}

/// The clock of a thread's processor time, as the system numbers it (posix-timers.h: bits 0 and 1 are the
/// kind, 2 the scheduler's count, and 4 says that the number is that of a thread).
pub fn clock_of(thread: i32) -> libc::clockid_t {
    (!thread << 3) | 6
}

/// What a clock of processor time shows.
pub fn processor_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable; a clock that does not exist leaves it as it is.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
