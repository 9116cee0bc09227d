//! One test in a process of its own.
//!
//! What always holds: when [`run`] returns, the process is gone, and so is what it had started in its group.
//! Output that was written before the end is there, however the process ended. A kernel that is killed takes the process with it.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much of a test's output is kept, in bytes.
const KEPT: usize = 1 << 20;

/// How a process ended.
pub struct Ended {
    /// Stdout and stderr, in the order in which they were written.
    pub output: String,
    pub status: ExitStatus,
    /// It was ended because its time was over.
    pub timed_out: bool,
    /// From the start of the process to its end.
    pub elapsed: Duration,
}

/// Runs a command until it ends, its time is over or `stop` is set.
///
/// # Errors
/// It cannot be started.
pub fn run(mut command: Command, timeout: Duration, stop: &AtomicBool) -> std::io::Result<Ended> {
    let (mut reader, writer) = std::io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    // SAFETY: what runs between fork and exec is one system call, which is async-signal-safe. The signal comes when this
    // thread ends, which waits for the process; so only when the kernel is gone.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let started = Instant::now();
    let mut child = command.spawn()?;
    // The command has the pipe's other end.
    drop(command);
    let mut output = Vec::new();
    let mut timed_out = false;
    let mut is_open = true;
    let status = loop {
        let is_readable = is_open && wait_readable(&reader, Duration::from_millis(20));
        if is_readable {
            is_open = take(&mut reader, &mut output);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if !is_open {
            std::thread::sleep(Duration::from_millis(1));
        }
        if started.elapsed() > timeout || stop.load(Ordering::Relaxed) {
            timed_out = started.elapsed() > timeout;
            end_group(child.id());
            break child.wait()?;
        }
    };
    let elapsed = started.elapsed();
    end_group(child.id());
    while is_open && wait_readable(&reader, Duration::ZERO) {
        is_open = take(&mut reader, &mut output);
    }
    Ok(Ended {
        output: String::from_utf8_lossy(&output).into_owned(),
        status,
        timed_out,
        elapsed,
    })
}

/// Reads what is there; false at the end.
fn take(reader: &mut std::io::PipeReader, output: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 16 * 1024];
    match reader.read(&mut buffer) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            let room = KEPT.saturating_sub(output.len());
            output.extend_from_slice(&buffer[..count.min(room)]);
            true
        }
    }
}

fn wait_readable(reader: &std::io::PipeReader, time: Duration) -> bool {
    let mut entry = libc::pollfd {
        fd: reader.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, which lives through the call; the descriptor is the reader's.
    let count = unsafe { libc::poll(&raw mut entry, 1, time.as_millis() as i32) };
    count > 0
}

/// Ends a test and all that it has started.
fn end_group(pid: u32) {
    // SAFETY: a plain system call. The process was started as the leader of a group of this number. Numbers are
    // given anew only when all others have had their turn, so the moments since its end do not matter.
    unsafe { libc::kill(-(pid as i32), libc::SIGKILL) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, timeout: Duration) -> Ended {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        run(command, timeout, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn both_streams_are_one_text() {
        let ended = shell(
            "echo a; echo b >&2; echo c; exit 3",
            Duration::from_secs(60),
        );
        assert_eq!(ended.output, "a\nb\nc\n");
        assert_eq!((ended.status.code(), ended.timed_out), (Some(3), false));
    }

    #[test]
    fn what_was_written_before_a_timeout_is_there() {
        let ended = shell("echo a; while :; do :; done", Duration::from_millis(300));
        assert_eq!(ended.output, "a\n");
        assert!(ended.timed_out && !ended.status.success());
    }

    #[test]
    fn what_a_test_leaves_behind_is_ended() {
        let ended = shell("sleep 1000 & echo $!", Duration::from_secs(60));
        let pid: i32 = ended.output.trim().parse().unwrap();
        // A killed process may stay as a zombie of whoever adopted it.
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_gone = || state().is_empty() || state().contains(") Z ");
        let since = Instant::now();
        while !is_gone() && since.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert!(is_gone());
    }
}
