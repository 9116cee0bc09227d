//! Processes for tests: a copy of the test program that runs one closure and ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::tests::host;

pub(crate) struct Child(libc::pid_t);

/// Runs the closure in a forked child, whose exit status is 0, or 101 after a panic.
pub(crate) fn in_child(work: impl FnOnce()) -> Child {
    // Only this thread lives on in the child: what other threads hold would be held there for ever. So no test
    // is in the middle of the library's own locks.
    let turn = host::turn();
    fork(&turn, work)
}

/// [`in_child`] for a test that has its turn: no other test's child has copies of the descriptors that are made in
/// the meantime.
pub(crate) fn fork(_turn: &host::Turn, work: impl FnOnce()) -> Child {
    // SAFETY: the child runs the closure and leaves by `_exit`, without the test program's own end. glibc makes its
    // allocator usable in the child.
    match unsafe { libc::fork() } {
        0 => {
            let result = catch_unwind(AssertUnwindSafe(work));
            // SAFETY: ends the process.
            unsafe { libc::_exit(if result.is_ok() { 0 } else { 101 }) }
        }
        pid => {
            assert!(pid > 0, "{}", std::io::Error::last_os_error());
            Child(pid)
        }
    }
}

impl Child {
    /// Waits for its end: the exit status, or minus the signal that ended it.
    pub(crate) fn join(self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut status = 0;
            // SAFETY: the child is ours, and nobody else waits for it.
            let ended = unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) };
            if ended == self.0 {
                return if libc::WIFSIGNALED(status) {
                    -libc::WTERMSIG(status)
                } else {
                    libc::WEXITSTATUS(status)
                };
            }
            if Instant::now() > deadline {
                self.kill();
                panic!("the child process does not end");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it when `is_time`.
    pub(crate) fn kill_when(self, is_time: impl Fn() -> bool) {
        until(is_time);
        self.kill();
        assert_eq!(self.join(), -libc::SIGKILL);
    }

    pub(crate) fn kill(&self) {
        // SAFETY: the child is ours and was not waited for, so the number is still its.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// Runs the closure in a child and kills that when `is_time`.
pub(crate) fn kill_when(work: impl FnOnce(), is_time: impl Fn() -> bool) {
    in_child(work).kill_when(is_time);
}

/// Waits for something that another process does.
pub(crate) fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not happen");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Sends a value through a socket and back out, as to another process.
pub(crate) fn travelled<T: super::Message + Send>(value: &T) -> Result<T, super::MessageError> {
    use super::message::{decode, encode, receive, send};
    use std::os::fd::AsFd;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    send(ours.as_fd(), &encode(value, true)?).unwrap();
    decode(receive(theirs.as_fd()).unwrap().unwrap())
}
