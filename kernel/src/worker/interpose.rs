//! The C library's `write`, `writev`, `read` and `pthread_create` as the worker's executable
//! exports them.
//!
//! The dynamic linker looks a symbol up in the executable first, so the calls that Rust's standard
//! library makes on behalf of a cell arrive here, before the C library. That is how output keeps one
//! order over stdout, stderr and displays, how a read of the standard input can ask the front end,
//! and how a thread is known to belong to the cell that started it. In the kernel itself, and for
//! every other descriptor, these functions are the system call and nothing more. C code that prints
//! through stdio does not pass here; its bytes take the pipes of `channel`.
//!
//! `build.rs` asks the linker to export the names.

use super::channel;
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
                take(
                    2,
                    b"stdin: this front end takes no input\n\
                      why: the request was sent with allow_stdin = false, as headless runs do\n\
                      do:  give the value in the cell, or run it in JupyterLab or VS Code\n",
                );
                // SAFETY: errno belongs to the calling thread.
                unsafe { *libc::__errno_location() = libc::EOPNOTSUPP };
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
    let new = Box::into_raw(Box::new(NewThread {
        start,
        argument,
        run: channel::run_to_inherit(),
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
    } = *new;
    channel::inherit_run(run);
    let _stack = super::crash::AlternateStack::install();
    start(argument)
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

/// Keeps the functions above in the executable although nothing in it calls them by these paths.
#[used]
static EXPORTED: (Write, WriteVectors, Read, PthreadCreate) = (write, writev, read, pthread_create);
