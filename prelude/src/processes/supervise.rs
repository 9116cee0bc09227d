//! How a parent attends to one child: passes on what it prints and shows, takes what it sends, learns of its end.
//!
//! Each child has a thread for it, so that a child never waits for a parent that is busy. The thread belongs to the
//! cell that started the child, and so does what the child prints.
//!
//! What always holds: when the end of a child is known, all that it wrote before has been passed on.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::child;
use super::message::{self, Packet};
use super::start::{Ends, Private};

/// What has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The child has sent something.
    Work(Packet),
    /// It has ended, and waits to be reaped.
    Ended,
    /// The descriptor that was given has become readable.
    Woken,
}

/// How long the end of a child may go unnoticed on a system without descriptors of processes.
const STEP: i32 = 10;
/// As much as a pipe holds: one read takes all that was written before.
const PIECE: usize = 64 * 1024;

impl Ends {
    /// Waits for the next thing that concerns the child's work.
    pub fn next(&mut self, wake: Option<BorrowedFd<'_>>) -> Event {
        loop {
            let [out, err] = &self.output;
            let ready = poll(
                [
                    out.as_ref().map(|ends| ends.as_raw_fd()),
                    err.as_ref().map(|ends| ends.as_raw_fd()),
                    self.link.as_ref().map(|link| link.as_raw_fd()),
                    (!self.is_silent).then(|| self.work.as_raw_fd()),
                    self.pidfd.as_ref().map(|pidfd| pidfd.as_raw_fd()),
                    wake.map(|wake| wake.as_raw_fd()),
                ],
                if self.pidfd.is_some() { -1 } else { STEP },
            );
            let has_ended = if self.pidfd.is_some() {
                ready[4]
            } else {
                has_ended(self.pid)
            };
            if ready[0] || ready[1] || ready[2] {
                self.pass_on();
            }
            if ready[2] {
                self.answer();
            }
            if ready[3] {
                match message::receive(self.work.as_fd()) {
                    Ok(Some(packet)) => return Event::Work(packet),
                    _ => self.is_silent = true,
                }
            }
            if has_ended {
                self.pass_on();
                return Event::Ended;
            }
            if ready[5] {
                return Event::Woken;
            }
        }
    }

    /// Shows what the child asks for.
    fn answer(&mut self) {
        let Some(link) = &self.link else { return };
        match message::receive(link.as_fd()) {
            Ok(Some(packet)) => {
                child::show(packet);
                let _it_may_be_gone = message::send(link.as_fd(), &Packet::default());
            }
            _ => self.link = None,
        }
    }

    /// Passes on what is in the pipes.
    fn pass_on(&mut self) {
        for (place, stream) in self.output.iter_mut().zip(1..) {
            if place.as_ref().is_some_and(|pipe| !copy(pipe, stream)) {
                *place = None;
            }
        }
    }

    /// Goes on passing on what programs print that the child has left behind.
    pub fn pass_on_the_rest(&mut self) {
        while self.output.iter().any(Option::is_some) {
            let [out, err] = &self.output;
            let of = |pipe: &Option<Private>| pipe.as_ref().map(|pipe| pipe.as_raw_fd());
            poll([of(out), of(err)], -1);
            self.pass_on();
        }
    }

    /// Takes the child out of the system's list of processes; its exit code, negative for a signal.
    pub fn reap(&self) -> i32 {
        let mut status = 0;
        loop {
            // SAFETY: `status` is writable, and the child is ours.
            let found = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
            if found == self.pid {
                return if libc::WIFSIGNALED(status) {
                    -libc::WTERMSIG(status)
                } else {
                    libc::WEXITSTATUS(status)
                };
            }
            if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                // Somebody else in this process waits for any child, and has taken the status.
                return 0;
            }
        }
    }
}

/// Copies what is in a pipe to a standard stream; `false` at its end.
fn copy(pipe: &Private, stream: i32) -> bool {
    let mut buffer = [0_u8; PIECE];
    // SAFETY: the buffer is as long as said; the pipe does not block.
    let count = unsafe { libc::read(pipe.as_raw_fd(), buffer.as_mut_ptr().cast(), PIECE) };
    let Ok(count) = usize::try_from(count) else {
        return std::io::Error::last_os_error().kind() != std::io::ErrorKind::BrokenPipe;
    };
    let mut rest = &buffer[..count];
    while !rest.is_empty() {
        // SAFETY: pointer and length describe `rest`. The worker takes this call in the C library's place.
        let written = unsafe { libc::write(stream, rest.as_ptr().cast(), rest.len()) };
        let Ok(written) = usize::try_from(written) else {
            break;
        };
        rest = &rest[written..];
    }
    count > 0
}

/// Waits until one of the descriptors is readable or at its end, and says which are.
fn poll<const N: usize>(descriptors: [Option<i32>; N], milliseconds: i32) -> [bool; N] {
    let mut asked = descriptors.map(|descriptor| libc::pollfd {
        // The system passes over negative numbers.
        fd: descriptor.unwrap_or(-1),
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: as many entries as said, which live during the call.
    let ready = unsafe { libc::poll(asked.as_mut_ptr(), N as libc::nfds_t, milliseconds) };
    asked.map(|one| ready > 0 && one.revents != 0)
}

/// Whether a child has ended, without reaping it.
fn has_ended(pid: i32) -> bool {
    // SAFETY: an all-zero siginfo is valid, and waitid writes only there.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, options) != 0
            || info.si_pid() == pid
    }
}
