//! A copy of this process that runs a closure.
//!
//! The copy has all memory of this one but only the thread that called. What other threads were doing is cut off in
//! the middle: locks that they held stay locked there for ever. What this library holds itself is in order in the
//! copy: the standard streams, the C library's allocator, the list of processes, and a pool of rayon's.
//!
//! One lock of the standard library's cannot be held from here: each thread takes it for a moment when it begins and ends. A
//! copy that finds it locked could never start a thread, so a copy starts one before anything else, and is made again if that fails.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::child::{self, Start};
use super::entry::Failure;
use super::known::Known;
use super::message::{self, Message};
use super::outcome::Outcome;
use super::process::{Process, attend_fork};
use super::start::{self, ChildWires, Wires};
use super::{ProcessError, registry};
use crate::{interrupt, rt};

/// Runs a closure in a copy of this process, which sees all variables as they are now.
///
/// Unlike [`spawn`](super::spawn()) it takes any closure, and statics keep their values. What the closure changes,
/// it changes in the copy only.
///
/// The danger of it: the copy has one thread. A lock that another thread held at this moment stays locked there, and
/// a thread pool or a runtime (tokio's, a GPU's) has no threads. Rayon works on the closure's own thread, which gets
/// a fresh pool; not on threads that the closure starts. With threads about, prefer `spawn`.
///
/// ```
/// use forkline::prelude::*;
///
/// let data = vec![1, 2, 3];
/// let process = processes::fork(|| data.iter().sum::<i32>())?;
/// assert_eq!(process.join()?, 6);
/// # Ok::<(), processes::ProcessError>(())
/// ```
///
/// # Errors
/// The system gives no process, or the caller is a thread of rayon's, which cannot be copied.
pub fn fork<R: Message>(body: impl FnOnce() -> R) -> Result<Process<R>, ProcessError> {
    let shared = Known::new(None);
    let failed = |error| ProcessError::Start {
        name: shared.name(),
        error,
    };
    if rayon::current_thread_index().is_some() {
        return Err(failed(io::Error::other(
            "a thread of rayon's pool cannot be copied without the others; fork outside of parallel loops",
        )));
    }
    let wires = Wires::new().map_err(failed)?;
    let start = shared.start_info();
    for _ in 0..TRIES {
        let (begun, mut begins) = io::pipe().map_err(failed)?;
        match copy().map_err(failed)? {
            None => {
                drop(begun);
                // Nothing was done yet that somebody could see.
                begin_threads(&mut begins);
                drop(begins);
                live(start, wires.child(), body);
            }
            Some(pid) => {
                drop(begins);
                if has_begun(&begun) {
                    return attend_fork(Arc::new(shared), wires.ends(pid));
                }
                // SAFETY: a child of this process, which nobody else waits for yet.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, std::ptr::null_mut(), 0);
                }
            }
        }
    }
    Err(failed(io::Error::other(
        "the copy cannot start threads: whenever it was made, another thread was just about to begin or to end",
    )))
}

/// A copy that has not started its thread after so long is given up. (It takes a tenth of a millisecond.)
const BEGINS_WITHIN: Duration = Duration::from_secs(2);
const TRIES: usize = 10;

/// The copy's number, and none in the copy.
fn copy() -> io::Result<Option<i32>> {
    // Held by this thread, so that no other one has them when it is cut off.
    let mut out = io::stdout().lock();
    let _err = io::stderr().lock();
    let _closed_stdout_is_no_news = out.flush();
    let mut running = registry::running();
    let mut private = start::private();
    // SAFETY: what is buffered would come out twice. The copy goes on with this thread alone; what it uses from
    // here on is held by this thread, is made anew, or is the caller's own, who is told of the danger.
    let pid = unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::fork()
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            for descriptor in private.drain(..) {
                // SAFETY: a descriptor of a thread that does not exist here.
                unsafe { libc::close(descriptor) };
            }
            registry::forget(&mut running);
            Ok(None)
        }
        pid => Ok(Some(pid)),
    }
}

/// Starts a thread and says so; never returns in a copy that cannot.
fn begin_threads(begins: &mut io::PipeWriter) {
    // Without a thread for want of memory the closure may still do without.
    if let Ok(thread) = std::thread::Builder::new().spawn(|| ()) {
        let _it_does_nothing = thread.join();
    }
    let _nobody_waits = begins.write_all(&[1]);
}

/// Whether the copy has started its thread, or has ended: then its end says why.
fn has_begun(begun: &io::PipeReader) -> bool {
    let mut poll = libc::pollfd {
        fd: begun.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let limit = std::time::Instant::now() + BEGINS_WITHIN;
    loop {
        let left = limit.saturating_duration_since(std::time::Instant::now());
        // SAFETY: one valid entry, which lives during the call.
        match unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as i32) } {
            0 => return false,
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return true,
        }
    }
}

/// How many forks lie between the program's start and this process.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// A number by which a handle knows whether it was made here, or in the process that this one is a copy of. (Whoever
/// calls the C library's `fork` by himself answers for it himself.)
pub(super) fn generation() -> u64 {
    // Written while there is one thread.
    GENERATION.load(Ordering::Relaxed)
}

/// The life of the copy.
fn live<R: Message>(start: Start, wires: ChildWires, body: impl FnOnce() -> R) -> ! {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    rt::forget_host();
    interrupt::set_pending(false);
    take_streams(&wires);
    as_after_exec();
    child::begin(start, wires.link);
    // The copied pool has no threads. This one takes the closure's thread as one of its own.
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread().build();
    let outcome = child::caught(|| {
        let value = message::encode(&body(), true).map_err(Failure::Result);
        value.map_or_else(Outcome::from, Outcome::Value)
    });
    // Ending it would wait for its threads.
    std::mem::forget(pool);
    let code = outcome.exit_code();
    let _nobody_waits = message::send(wires.work.as_fd(), &outcome.into_packet());
    child::end(code)
}

/// Puts the copy's own pipes, and nothing to read, in the places of the standard streams.
fn take_streams(wires: &ChildWires) {
    // SAFETY: plain system calls on descriptors that this process owns.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if null >= 0 {
            libc::dup2(null, 0);
            libc::close(null);
        }
        for (number, pipe) in (1..).zip(&wires.output) {
            if let Some(pipe) = pipe {
                libc::dup2(pipe.as_raw_fd(), number);
            }
        }
    }
}

/// Signals have their ordinary meaning: handlers of the worker would speak in its name.
fn as_after_exec() {
    // SAFETY: plain system calls.
    unsafe {
        for signal in 1..32 {
            if ![libc::SIGKILL, libc::SIGSTOP, libc::SIGPIPE].contains(&signal) {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use crate::processes;
    use crate::tests::host;
    use rayon::prelude::*;

    #[test]
    fn a_closure_sees_all_variables() {
        let data = [1, 2, 3];
        let process = processes::fork(|| data.iter().sum::<i32>()).unwrap();
        assert_eq!(process.join().unwrap(), 6);
        assert_eq!(process.exit_code(), Some(0));
    }

    #[test]
    fn rayon_and_threads_work_in_a_copy_of_a_process_that_has_used_them() {
        assert_eq!((0..1000_u64).into_par_iter().sum::<u64>(), 499_500);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                // Keeps the allocator busy at the moment of the fork.
                std::hint::black_box(vec![0_u8; 4096]);
            }
        });
        for _ in 0..20 {
            let process = processes::fork(|| {
                let in_thread = std::thread::spawn(|| 1_u64).join().unwrap_or(0);
                (0..1000_u64).into_par_iter().sum::<u64>() + in_thread
            })
            .unwrap();
            assert_eq!(process.join().unwrap(), 499_501);
        }
        drop(stop);
        other.join().unwrap();
    }

    #[test]
    fn a_copy_starts_threads_though_others_began_when_it_was_made() {
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        std::thread::spawn(|| ()).join().unwrap();
                    }
                });
            }
            for n in 0..40 {
                let process =
                    processes::fork(move || std::thread::spawn(move || n).join().unwrap_or(1000));
                assert_eq!(process.unwrap().join().unwrap(), n);
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_panic_and_an_exit_are_told_apart() {
        let _turn = host::turn();
        let process = processes::fork(|| -> u8 { panic!("no {}", "value") }).unwrap();
        let error = process.join().unwrap_err().to_string();
        assert!(error.ends_with("panicked: no value"), "{error}");
        assert_eq!(process.exit_code(), Some(101));
        let process = processes::fork(|| -> u8 { std::process::exit(3) }).unwrap();
        assert!(
            process
                .join()
                .unwrap_err()
                .to_string()
                .contains("exit status 3")
        );
        assert_eq!(process.exit_code(), Some(3));
    }

    #[test]
    fn in_a_parallel_loop_it_is_refused() {
        let refused = rayon::scope(|_| processes::fork(|| ()).is_err());
        assert!(refused);
    }
}
