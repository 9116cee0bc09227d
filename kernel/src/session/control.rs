//! The control socket, signals, and the end of a kernel.

use super::{Shared, info, interrupt};
use crate::protocol::Message;
use crossbeam_channel::Receiver;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Answers control requests one after the other, each between busy and idle. Returns never: the end
/// of the kernel is the end of the process.
pub fn serve(shared: &Arc<Shared>, control: &Receiver<Message>) {
    for message in control {
        // On a thread of its own, with busy and idle: whatever the debugger does, this one is free.
        if message.kind() == "debug_request" {
            shared.debugger.request(message);
            continue;
        }
        shared.wire.status(&message.parent, "busy");
        match message.kind() {
            "kernel_info_request" => {
                shared
                    .wire
                    .reply(&message, "kernel_info_reply", info::kernel_info());
            }
            "interrupt_request" => {
                // Which cell is meant is settled before the reply; the reply does not wait for its
                // end, because front ends wait for both.
                if let Some(execution) = shared.interrupts.request() {
                    let shared = Arc::clone(shared);
                    let body = move || {
                        shared.debugger.let_pass();
                        shared
                            .interrupts
                            .carry_out(execution, &shared.outputs, &shared.ranks)
                    };
                    let _ = std::thread::Builder::new()
                        .name("interrupt".to_owned())
                        .spawn(body);
                }
                shared
                    .wire
                    .reply(&message, "interrupt_reply", json!({ "status": "ok" }));
            }
            "shutdown_request" => {
                let restart = message.content["restart"].as_bool().unwrap_or(false);
                shared.wire.reply(
                    &message,
                    "shutdown_reply",
                    json!({ "status": "ok", "restart": restart }),
                );
                shared.wire.status(&message.parent, "idle");
                end(shared);
            }
            "usage_request" => {
                shared.wire.reply(&message, "usage_reply", usage(shared));
            }
            other => eprintln!("forkline: a control request of an unknown kind: {other}"),
        }
        shared.wire.status(&message.parent, "idle");
    }
}

/// Ends the kernel: the worker and all that cells started, the session's files, the sockets.
pub fn end(shared: &Shared) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    if ENDING.swap(true, Ordering::SeqCst) {
        // Another thread is at it and will end the process, this thread included.
        loop {
            std::thread::park();
        }
    }
    shared.ranks.end();
    if let Some(worker) = shared.outputs.worker_pid() {
        interrupt::kill_group(worker);
    }
    interrupt::kill_children(&[]);
    shared.wire.stop();
    shared.side_channel.remove();
    for _ in 0..5 {
        if std::fs::remove_dir_all(&shared.session_dir).is_ok() || !shared.session_dir.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::process::exit(0)
}

/// For JupyterLab's resource panel: memory and processor time of the kernel and its worker.
fn usage(shared: &Shared) -> serde_json::Value {
    let resident = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let pages: u64 = text
            .split_whitespace()
            .nth(1)
            .and_then(|pages| pages.parse().ok())
            .unwrap_or_default();
        pages * 4096
    };
    let kernel = std::process::id() as i32;
    let worker = shared.outputs.worker_pid();
    json!({
        "hostname": "",
        "pid": kernel,
        "kernel_memory": resident(kernel) + worker.map_or(0, resident),
    })
}

/// The signals that end a kernel; blocked in all threads, taken by one.
pub struct Signals(libc::sigset_t);

/// Blocks the signals of [`serve_signals`] in this thread and all that it starts from now on.
pub fn block_signals() -> Signals {
    // SAFETY: a zeroed set is initialised by sigemptyset before it is used; the rest are plain
    // calls on it. SIGINT is ignored: front ends interrupt by message, and a Ctrl-C in a terminal
    // is sent to the whole group although only the front end should see it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigaddset(&mut set, libc::SIGHUP);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        Signals(set)
    }
}

/// Ends the kernel at SIGTERM or SIGHUP.
pub fn serve_signals(shared: &Shared, signals: &Signals) {
    let mut signal = 0;
    // SAFETY: the set was initialised by `block_signals`, and `signal` is ours.
    while unsafe { libc::sigwait(&signals.0, &raw mut signal) } != 0 {}
    end(shared);
}

/// Ends the kernel when the process that started it is gone: a killed Jupyter server leaves no
/// kernels behind. Only under a front end that says that it wants this.
pub fn watch_parent(shared: &Arc<Shared>) {
    let wanted = std::env::var("JPY_PARENT_PID").is_ok_and(|pid| pid != "1" && !pid.is_empty());
    // SAFETY: getppid has no preconditions.
    let parent = || unsafe { libc::getppid() };
    let first = parent();
    if !wanted || first == 1 {
        return;
    }
    while parent() == first {
        std::thread::sleep(Duration::from_secs(1));
    }
    end(shared);
}
