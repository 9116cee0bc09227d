//! What processes share, as Linux has it: memory without a file, sleep on a word of it, and a mutex whose holder
//! may be killed. Nothing else in `processes` makes these calls.
//!
//! What always holds: memory cannot be made shorter once it is there, so no access to it ends in SIGBUS; all
//! times are of the monotonic clock.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Memory that has a descriptor and no name in the file system: zeros, which cost nothing until they are touched.
/// With `is_final` its length can never be changed.
///
/// # Errors
/// There are no descriptors left, or the length is beyond what the system can address.
pub(crate) fn memory(length: usize, is_final: bool) -> io::Result<OwnedFd> {
    const NAME: &CStr = c"forkline";
    // SAFETY: the name is a C string.
    let fd =
        unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, so nobody else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(fd) };
    let size =
        libc::off_t::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: calls with an open descriptor and numbers.
    let is_made = unsafe {
        libc::ftruncate(fd, size) == 0
            && (!is_final
                || libc::fcntl(
                    fd,
                    libc::F_ADD_SEALS,
                    libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL,
                ) == 0)
    };
    if is_made {
        Ok(descriptor)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A pair of connected sockets, on which each message is one packet: it comes as a whole to one reader, or not at
/// all.
///
/// # Errors
/// There are no descriptors left.
pub(crate) fn packet_sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut pair = [-1; 2];
    // SAFETY: room for two descriptors, which are new and nobody else's when the call succeeds.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        if libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(pair[0]), OwnedFd::from_raw_fd(pair[1])))
    }
}

/// The length of memory that another process made, if it can no longer change.
///
/// # Errors
/// The descriptor is not such memory.
pub(crate) fn length_of(descriptor: BorrowedFd<'_>) -> io::Result<usize> {
    let wanted = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: an open descriptor; an all-zero stat is valid, and fstat fills it.
    unsafe {
        let seals = libc::fcntl(descriptor.as_raw_fd(), libc::F_GET_SEALS);
        if seals < 0 || seals & wanted != wanted {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut found: libc::stat = std::mem::zeroed();
        if libc::fstat(descriptor.as_raw_fd(), &raw mut found) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(usize::try_from(found.st_size).unwrap_or(0))
    }
}

/// Memory in the address space of this process, which other processes see too.
pub(crate) struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping is an address; who reads and writes behind it takes care of the rest.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// # Errors
    /// There is no room in the address space.
    pub(crate) fn new(descriptor: BorrowedFd<'_>, length: usize) -> io::Result<Mapping> {
        // SAFETY: a mapping at an address of the kernel's choice touches nothing that is there.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                descriptor.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping {
            address: NonNull::new(address.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?,
            length,
        })
    }

    pub(crate) fn address(&self) -> NonNull<u8> {
        self.address
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and its owner is the last who could use it.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.length) };
    }
}

/// Sleeps as long as the word has this value, at most for the time; may return earlier.
pub(crate) fn sleep_while(word: &AtomicU32, value: u32, time: Duration) {
    let time = timespec(time);
    // SAFETY: the word and the time live during the call. Without the private flag the kernel finds sleepers by
    // the memory, not by the address, so it reaches those of other processes.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            &raw const time,
        )
    };
}

/// Wakes up to so many of those who sleep on the word, in all processes.
pub(crate) fn wake(word: &AtomicU32, count: u32) {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: the word lives during the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

fn timespec(time: Duration) -> libc::timespec {
    // SAFETY: an all-zero timespec is valid; some targets have padding in it.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
    spec.tv_nsec = time.subsec_nanos() as _;
    spec
}

// libc has no declarations of these three; they are in glibc since 2.12 and, the last one, 2.30.
unsafe extern "C" {
    fn pthread_mutexattr_setrobust(
        attributes: *mut libc::pthread_mutexattr_t,
        robust: c_int,
    ) -> c_int;
    fn pthread_mutex_consistent(mutex: *mut libc::pthread_mutex_t) -> c_int;
    fn pthread_mutex_clocklock(
        mutex: *mut libc::pthread_mutex_t,
        clock: libc::clockid_t,
        until: *const libc::timespec,
    ) -> c_int;
}

/// What came of an attempt to get a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The calling thread holds it.
    Taken,
    /// The calling thread holds it, and the one before it ended, or was killed, while it held it.
    TakenFromDead,
    /// Somebody else holds it.
    Busy,
    /// The calling thread holds it already.
    Own,
}

/// A POSIX mutex in shared memory, robust and with its owner checked.
///
/// Robust means: each thread has a list of the mutexes that it holds, and the Linux kernel itself goes through it
/// when the thread ends, however it ends (SIGKILL too), marks each mutex and wakes a waiter. So nobody guesses from
/// process numbers, which may have been given anew, whether a holder is alive.
#[repr(transparent)]
pub(crate) struct RawMutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: the functions of a POSIX mutex may be called on it by all threads at the same time.
unsafe impl Sync for RawMutex {}
// SAFETY: it is never moved after `init`; before that it is plain memory.
unsafe impl Send for RawMutex {}

impl RawMutex {
    /// Makes zeroed memory a mutex. To be called once, before other processes know of the memory.
    pub(crate) fn init(&self, is_recursive: bool) {
        let kind = if is_recursive {
            libc::PTHREAD_MUTEX_RECURSIVE
        } else {
            libc::PTHREAD_MUTEX_ERRORCHECK
        };
        // SAFETY: the attributes are initialised before their use, and the caller is the only user of the mutex.
        unsafe {
            let mut attributes: libc::pthread_mutexattr_t = std::mem::zeroed();
            let result = [
                libc::pthread_mutexattr_init(&raw mut attributes),
                libc::pthread_mutexattr_settype(&raw mut attributes, kind),
                libc::pthread_mutexattr_setpshared(
                    &raw mut attributes,
                    libc::PTHREAD_PROCESS_SHARED,
                ),
                // 1 is PTHREAD_MUTEX_ROBUST.
                pthread_mutexattr_setrobust(&raw mut attributes, 1),
                libc::pthread_mutex_init(self.0.get(), &raw const attributes),
                libc::pthread_mutexattr_destroy(&raw mut attributes),
            ];
            assert_eq!(result, [0; 6], "a mutex between processes cannot be made");
        }
    }

    pub(crate) fn try_lock(&self) -> Attempt {
        // SAFETY: the mutex was initialised by who made the memory.
        self.settle(unsafe { libc::pthread_mutex_trylock(self.0.get()) })
    }

    /// Waits for the mutex, at most for the time.
    pub(crate) fn lock_within(&self, time: Duration) -> Attempt {
        // SAFETY: an all-zero timespec is valid, and clock_gettime fills it; the mutex was initialised.
        let result = unsafe {
            let mut until: libc::timespec = std::mem::zeroed();
            libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut until);
            let nanoseconds = until.tv_nsec as u64 + u64::from(time.subsec_nanos());
            until.tv_sec += (time.as_secs() + nanoseconds / 1_000_000_000) as libc::time_t;
            until.tv_nsec = (nanoseconds % 1_000_000_000) as _;
            pthread_mutex_clocklock(self.0.get(), libc::CLOCK_MONOTONIC, &raw const until)
        };
        self.settle(result)
    }

    fn settle(&self, result: c_int) -> Attempt {
        match result {
            0 => Attempt::Taken,
            libc::EOWNERDEAD => {
                // SAFETY: this thread holds the mutex. What it protects is repaired, or told as broken, by the caller.
                unsafe { pthread_mutex_consistent(self.0.get()) };
                Attempt::TakenFromDead
            }
            libc::EBUSY | libc::ETIMEDOUT | libc::EINTR => Attempt::Busy,
            libc::EDEADLK => Attempt::Own,
            libc::EAGAIN => panic!("the lock is held more times than can be counted"),
            other => panic!(
                "the mutex in shared memory is damaged: {}",
                io::Error::from_raw_os_error(other)
            ),
        }
    }

    /// The kernel's number of the thread that holds it; none if it is free or its holder has ended.
    pub(crate) fn holder(&self) -> Option<u32> {
        // SAFETY: glibc's mutex begins with the word that it shares with the kernel, which every access to it
        // treats as an atomic.
        let word = unsafe { AtomicU32::from_ptr(self.0.get().cast()) }.load(Ordering::Relaxed);
        Some(word & libc::FUTEX_TID_MASK).filter(|&thread| thread != 0)
    }

    /// Gives the mutex back; `false` if the calling thread does not hold it.
    pub(crate) fn unlock(&self) -> bool {
        // SAFETY: the mutex was initialised; its kind checks the owner.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) == 0 }
    }
}
