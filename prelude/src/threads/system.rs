//! What the operating system says of the threads of this process. Where it says nothing, there is nothing.

use std::time::Duration;

/// A thread's number in the system (`gettid`).
pub(super) fn own_id() -> i32 {
    // SAFETY: the call asks for nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Whether the calling thread is the one with which the process began.
pub(super) fn is_first() -> bool {
    own_id().unsigned_abs() == std::process::id()
}

/// The numbers of all threads, in order.
pub(super) fn all() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task");
    let mut ids: Vec<i32> = tasks
        .into_iter()
        .flatten()
        .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    ids.sort_unstable();
    ids
}

/// The name that the system knows, 15 bytes at most.
pub(super) fn name(id: i32) -> Option<String> {
    let name = std::fs::read(format!("/proc/self/task/{id}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name).trim_end().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The letter of the scheduler's state: `R` is ready for a processor or has one, `S` and `D` wait.
pub(super) fn letter(id: i32) -> Option<char> {
    let stat = std::fs::read(format!("/proc/self/task/{id}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name stands in brackets before it, and may itself hold brackets and blanks.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The processor time that the thread has used.
pub(super) fn cpu_time(id: i32) -> Option<Duration> {
    // How `pthread_getcpuclockid` makes a thread's clock of its number, which unlike a `pthread_t` may be that of a
    // thread that has ended: the system then refuses.
    const SCHEDULER_CLOCK_OF_A_THREAD: i32 = 0b110;
    let clock = (!id << 3) | SCHEDULER_CLOCK_OF_A_THREAD;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the whole call.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    (status == 0).then(|| Duration::new(time.tv_sec.unsigned_abs(), nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_thread_is_known_and_runs() {
        let id = own_id();
        assert!(all().contains(&id));
        assert_eq!(letter(id), Some('R'));
        assert!(name(id).is_some());
        let before = cpu_time(id).unwrap();
        while cpu_time(id).unwrap() == before {}
    }

    #[test]
    fn a_thread_that_is_not_there_has_nothing() {
        let gone = std::thread::spawn(own_id).join().unwrap();
        assert_eq!(letter(i32::MAX - 1), None);
        assert_eq!(name(i32::MAX - 1), None);
        let begun = std::time::Instant::now();
        // The system takes a moment to forget a thread that was joined.
        while cpu_time(gone).is_some() {
            assert!(begun.elapsed().as_secs() < 10);
        }
    }
}
