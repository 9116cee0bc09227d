//! The C library's `write`, `writev`, `read`, `pthread_create` and `clock_nanosleep` as the worker's
//! executable exports them.
//!
//! The dynamic linker looks a symbol up in the executable first, so the calls that Rust's standard
//! library makes on behalf of a cell arrive here, before the C library. That is how output keeps one
//! order over stdout, stderr and displays, how a read of the standard input can ask the front end,
//! and how a thread is known to belong to the cell that started it. In the kernel itself, and for
//! every other descriptor, these functions are the system call and nothing more. C code that prints
//! through stdio does not pass here; its bytes take the pipes of `channel`.
//!
//! `build.rs` asks the linker to export the names.

use super::frames;
use super::{channel, profile};
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

/// # Safety
/// As for write(2): `buffer` must be readable for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize {
    if (fd == 1 || fd == 2) && !buffer.is_null() && channel::owns(fd) {
        // SAFETY: the caller promises that `count` bytes can be read.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) };
        take(fd, bytes);
        return count as isize;
    }
    // SAFETY: the caller's promise is passed on; syscall sets errno as write does.
    unsafe { libc::syscall(libc::SYS_write, fd, buffer, count) as isize }
}

/// # Safety
/// As for writev(2): `vectors` must describe `count` readable pieces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, vectors: *const libc::iovec, count: c_int) -> isize {
    if (fd == 1 || fd == 2) && count > 0 && channel::owns(fd) {
        // SAFETY: the caller promises `count` valid entries, each readable for its length.
        let bytes = unsafe {
            std::slice::from_raw_parts(vectors, count as usize)
                .iter()
                .filter(|vector| vector.iov_len > 0)
                .flat_map(|vector| {
                    std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), vector.iov_len)
                })
                .copied()
                .collect::<Vec<u8>>()
        };
        take(fd, &bytes);
        return bytes.len() as isize;
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { libc::syscall(libc::SYS_writev, fd, vectors, count) as isize }
}

/// # Safety
/// As for read(2): `buffer` must be writable for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize {
    if fd == 0 && count > 0 && channel::serves_input() {
        // SAFETY: the caller promises that `count` bytes can be written.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), count) };
        return match channel::read_stdin(buffer) {
            Ok(count) => count as isize,
            Err(channel::NoInput::NotAllowed) => {
                let rank: &[u8] = b"stdin: a rank of a group has no input\n\
                      why: nobody can type to one of many\n\
                      do:  give the value in the cell\n";
                let any: &[u8] = b"stdin: this front end takes no input\n\
                      why: the request was sent with allow_stdin = false, as headless runs do\n\
                      do:  give the value in the cell, or run it in JupyterLab or VS Code\n";
                take(2, if frames::is_rank() { rank } else { any });
                // SAFETY: errno belongs to the calling thread.
                unsafe { *libc::__errno_location() = libc::EOPNOTSUPP };
                -1
            }
            Err(channel::NoInput::Interrupted) => {
                // Not EINTR, after which the standard library would read again.
                // SAFETY: as above.
                unsafe { *libc::__errno_location() = libc::ECANCELED };
                -1
            }
        };
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { libc::syscall(libc::SYS_read, fd, buffer, count) as isize }
}

type StartRoutine = extern "C" fn(*mut c_void) -> *mut c_void;
type PthreadCreate = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    StartRoutine,
    *mut c_void,
) -> c_int;

struct NewThread {
    start: StartRoutine,
    argument: *mut c_void,
    run: u64,
    /// The size of its stack.
    stack: usize,
}

/// # Safety
/// As for pthread_create(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: StartRoutine,
    argument: *mut c_void,
) -> c_int {
    static NEXT: OnceLock<PthreadCreate> = OnceLock::new();
    let next = *NEXT.get_or_init(|| {
        // SAFETY: the name is a C string; RTLD_NEXT finds the C library's own function, whose
        // signature this is.
        unsafe {
            let address = libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr());
            assert!(!address.is_null(), "the C library has pthread_create");
            std::mem::transmute::<*mut c_void, PthreadCreate>(address)
        }
    });
    let mut stack = 0;
    // SAFETY: the caller promises null or attributes; the size is only written.
    let known = !attributes.is_null()
        && unsafe { libc::pthread_attr_getstacksize(attributes, &raw mut stack) } == 0;
    if !known {
        stack = profile::default_stack();
    }
    let new = Box::into_raw(Box::new(NewThread {
        start,
        argument,
        run: channel::current_run(),
        stack,
    }));
    // SAFETY: the caller's promises are passed on; `begin` takes `new` back.
    let result = unsafe { next(thread, attributes, begin, new.cast()) };
    if result != 0 {
        // SAFETY: no thread was started, so the box is still ours alone.
        drop(unsafe { Box::from_raw(new) });
    }
    result
}

/// The first code of every new thread.
extern "C" fn begin(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` made this box for this thread alone.
    let new = unsafe { Box::from_raw(argument.cast::<NewThread>()) };
    let NewThread {
        start,
        argument,
        run,
        stack,
    } = *new;
    channel::enter_run(run);
    let here = 0_u8;
    profile::know_stack(&raw const here, stack);
    let _stack = super::crash::AlternateStack::install();
    // Dropped first: no signal of it comes when the stack for handlers is gone.
    let _timer = profile::thread_begins();
    start(argument)
}

/// How long a sleep goes on before it looks whether the cell was interrupted.
const SLEEP_STEP: i64 = 50_000_000;

/// A sleep that an interrupt of the cell cuts short; it then reports success, and the cell's next
/// check unwinds. (Unwinding from here would pass through the standard library's C call.)
///
/// # Safety
/// As for clock_nanosleep(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    request: *const libc::timespec,
    remaining: *mut libc::timespec,
) -> c_int {
    let steady = clock == libc::CLOCK_MONOTONIC || clock == libc::CLOCK_REALTIME;
    let is_valid =
        |time: &libc::timespec| time.tv_sec >= 0 && (0..NANOSECONDS).contains(&time.tv_nsec);
    // SAFETY: the caller promises null or a valid time.
    let wanted = unsafe { request.as_ref() };
    let Some(wanted) = wanted.filter(|time| steady && is_valid(time) && channel::serves_input())
    else {
        // SAFETY: the caller's promise is passed on.
        return unsafe { system_sleep(clock, flags, request, remaining) };
    };
    let absolute = flags & libc::TIMER_ABSTIME != 0;
    // A relative sleep does not follow a clock that is set.
    let clock = if absolute {
        clock
    } else {
        libc::CLOCK_MONOTONIC
    };
    let deadline = if absolute {
        nanoseconds(wanted)
    } else {
        now(clock).saturating_add(nanoseconds(wanted))
    };
    loop {
        let now = now(clock);
        if now >= deadline || channel::take_interrupt() {
            return 0;
        }
        let step = timespec(deadline.min(now + i128::from(SLEEP_STEP)));
        // SAFETY: `step` lives during the call, and no remaining time is asked for.
        let result = unsafe {
            system_sleep(
                clock,
                libc::TIMER_ABSTIME,
                &raw const step,
                std::ptr::null_mut(),
            )
        };
        if result != 0 {
            if result == libc::EINTR && !absolute && !remaining.is_null() {
                let rest = (deadline - self::now(clock)).max(0);
                // SAFETY: the caller promises null or a place for a time.
                unsafe { remaining.write(timespec(rest)) };
            }
            return result;
        }
    }
}

const NANOSECONDS: i64 = 1_000_000_000;

fn nanoseconds(time: &libc::timespec) -> i128 {
    i128::from(time.tv_sec) * i128::from(NANOSECONDS) + i128::from(time.tv_nsec)
}

fn timespec(nanoseconds: i128) -> libc::timespec {
    libc::timespec {
        tv_sec: (nanoseconds / i128::from(NANOSECONDS)) as libc::time_t,
        tv_nsec: (nanoseconds % i128::from(NANOSECONDS)) as i64,
    }
}

fn now(clock: libc::clockid_t) -> i128 {
    let mut time = timespec(0);
    // SAFETY: the clock is one that every system has, and `time` is writable.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    nanoseconds(&time)
}

/// # Safety
/// As for clock_nanosleep(2), whose result this returns.
unsafe fn system_sleep(
    clock: libc::clockid_t,
    flags: c_int,
    request: *const libc::timespec,
    remaining: *mut libc::timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match libc::syscall(libc::SYS_clock_nanosleep, clock, flags, request, remaining) {
            0 => 0,
            _ => *libc::__errno_location(),
        }
    }
}

/// The system call itself.
pub fn system_write(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: the pointer and the length describe `bytes`.
    unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) as isize }
}

fn take(fd: c_int, bytes: &[u8]) {
    if fd == 1 {
        channel::write_stdout(bytes);
    } else {
        channel::write_stderr(bytes);
    }
}

type Write = unsafe extern "C" fn(c_int, *const c_void, usize) -> isize;
type WriteVectors = unsafe extern "C" fn(c_int, *const libc::iovec, c_int) -> isize;
type Read = unsafe extern "C" fn(c_int, *mut c_void, usize) -> isize;

type Sleep = unsafe extern "C" fn(
    libc::clockid_t,
    c_int,
    *const libc::timespec,
    *mut libc::timespec,
) -> c_int;

/// Keeps the functions above in the executable although nothing in it calls them by these paths.
#[used]
static EXPORTED: (Write, WriteVectors, Read, PthreadCreate, Sleep) =
    (write, writev, read, pthread_create, clock_nanosleep);
