//! What a fatal signal leaves behind, and how the whole group of processes ends.
//!
//! A handler runs on a damaged process, so it only makes system calls: it sends a fixed record over
//! a connection of its own (the ordinary one may be locked by the thread that crashed), forwards
//! what the C library had to say on stderr, and lets the signal take its course. Every thread gets a
//! stack for the handler, because a stack overflow leaves no room on its own.

use super::frames::{self, Kind};
use super::link::{Address, Purpose};
use std::os::fd::{IntoRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Length of a crash record: signal, whether it was a stack overflow, the address.
pub const RECORD: usize = 16;

/// Size of the handler's stack. The handler itself needs little; the kernel's saved registers may
/// need several KiB on processors with wide vectors.
const STACK: usize = 64 * 1024;

/// A fault this close to the stack pointer is taken for a stack overflow: the guard page, and the
/// largest frame that the compiler allocates without probing.
const NEAR_STACK: u64 = 128 * 1024;

// Written once before any handler can run, read by handlers only.
static SOCKET: AtomicI32 = AtomicI32::new(-1);
static STDERR_PIPE: AtomicI32 = AtomicI32::new(-1);

/// The kernel's process group, 0 if it shares one with its front end.
static KERNEL_GROUP: AtomicI32 = AtomicI32::new(0);

const FATAL: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
];

/// Installs the handlers. Without a connection a crash is still reported by its exit status.
pub fn install(address: &Address) {
    let group = std::env::var(super::KERNEL_GROUP).ok();
    let group = group.and_then(|text| text.parse().ok()).unwrap_or(0);
    KERNEL_GROUP.store(group, Ordering::Relaxed);
    if let Ok(socket) = address.connect(Purpose::Frames) {
        SOCKET.store(OwnedFd::from(socket).into_raw_fd(), Ordering::Relaxed);
    }
    // The main thread keeps its stack for handlers as long as the process lives.
    std::mem::forget(AlternateStack::install());
    // SAFETY: the handlers are async-signal-safe (system calls and atomics only), and the
    // structures are zeroed before use, which is valid for them.
    unsafe {
        for signal in FATAL {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fatal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_kernel_gone as *const () as usize;
        libc::sigaction(libc::SIGHUP, &action, std::ptr::null_mut());
    }
}

/// The pipe whose contents a crash forwards.
pub fn watch_pipe(read_end: RawFd) {
    STDERR_PIPE.store(read_end, Ordering::Relaxed);
}

/// Ends this process and all that it started.
pub fn end_group() -> ! {
    // SAFETY: plain system calls. The worker leads its own group, so the kernel is not in it.
    unsafe {
        libc::kill(0, libc::SIGKILL);
        libc::_exit(1)
    }
}

extern "C" fn on_kernel_gone(_signal: libc::c_int) {
    end_orphans();
}

/// The kernel may have ended without a word (killed, crashed): what it was compiling ends too, then
/// this process and all that it started.
pub fn end_orphans() -> ! {
    if frames::is_rank() {
        // The leader of the group takes care of the rest.
        end_group();
    }
    let kernel = KERNEL_GROUP.load(Ordering::Relaxed);
    // The death signal comes when the kernel's thread dies, a moment before the whole process is
    // gone. A kernel that lives on after that moment is not ended.
    for _ in 0..100 {
        // SAFETY: plain system calls, safe in a handler. The kernel led its group, and is gone if it
        // is not the parent of this process any more.
        unsafe {
            if kernel > 1 && libc::getppid() != kernel {
                libc::kill(-kernel, libc::SIGKILL);
                break;
            }
            let moment = libc::timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            };
            libc::nanosleep(&raw const moment, std::ptr::null_mut());
        }
    }
    end_group()
}

extern "C" fn on_fatal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let socket = SOCKET.load(Ordering::Relaxed);
    if socket >= 0 {
        // SAFETY: the kernel passes a valid siginfo to a handler with SA_SIGINFO.
        let address = unsafe { (*info).si_addr() } as u64;
        let stack = stack_pointer(context);
        let overflow =
            signal == libc::SIGSEGV && stack != 0 && address.abs_diff(stack) < NEAR_STACK;
        let mut record = [0; frames::HEADER + RECORD];
        record[..frames::HEADER].copy_from_slice(&frames::header(Kind::Crash, 0, RECORD));
        let payload = &mut record[frames::HEADER..];
        payload[0..4].copy_from_slice(&signal.to_le_bytes());
        payload[4] = u8::from(overflow);
        payload[8..16].copy_from_slice(&address.to_le_bytes());
        send(socket, &record);
        forward_stderr(socket);
    }
    // SA_RESETHAND has put the default action back: returning repeats a fault, an abort goes on in
    // abort() itself, and a signal sent from outside is raised again here.
    // SAFETY: raise is async-signal-safe.
    unsafe { libc::raise(signal) };
}

/// Sends what is in the stand-in of stderr: glibc's last words about a corrupted heap, for instance.
fn forward_stderr(socket: RawFd) {
    let pipe = STDERR_PIPE.load(Ordering::Relaxed);
    let mut buffer = [0; 4096];
    // SAFETY: the buffer is ours and as long as said; the pipe does not block.
    let count = unsafe { libc::read(pipe, buffer.as_mut_ptr().cast(), buffer.len()) };
    if count > 0 {
        send(socket, &frames::header(Kind::Stderr, 0, count as usize));
        send(socket, &buffer[..count as usize]);
    }
}

fn send(socket: RawFd, bytes: &[u8]) {
    // SAFETY: the pointer and the length describe `bytes`; send is async-signal-safe.
    unsafe {
        libc::send(
            socket,
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
        )
    };
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn stack_pointer(context: *mut libc::c_void) -> u64 {
    // SAFETY: the kernel passes a ucontext to a handler with SA_SIGINFO.
    unsafe {
        (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as u64
    }
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
fn stack_pointer(context: *mut libc::c_void) -> u64 {
    // SAFETY: as above.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn stack_pointer(_context: *mut libc::c_void) -> u64 {
    0
}

/// A stack for signal handlers of one thread, given back when the thread ends.
pub struct AlternateStack {
    memory: *mut libc::c_void,
}

impl AlternateStack {
    /// Gives the calling thread a stack for handlers, if memory allows.
    pub fn install() -> AlternateStack {
        // SAFETY: a fresh private mapping is handed to sigaltstack; it is unmapped only after the
        // thread has stopped using it (see Drop).
        unsafe {
            let memory = libc::mmap(
                std::ptr::null_mut(),
                STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            );
            if memory == libc::MAP_FAILED {
                return AlternateStack {
                    memory: std::ptr::null_mut(),
                };
            }
            let stack = libc::stack_t {
                ss_sp: memory,
                ss_flags: 0,
                ss_size: STACK,
            };
            libc::sigaltstack(&stack, std::ptr::null_mut());
            AlternateStack { memory }
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        if self.memory.is_null() {
            return;
        }
        // SAFETY: the thread stops using the mapping first; nothing else knows it.
        unsafe {
            let off = libc::stack_t {
                ss_sp: std::ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: STACK,
            };
            libc::sigaltstack(&off, std::ptr::null_mut());
            libc::munmap(self.memory, STACK);
        }
    }
}
