//! The life of a process that was started to run a function.
//!
//! It is this program again, or a copy of it (`fork`): it reads which function is wanted and its arguments, runs it,
//! sends what came of it, waits for its own children and ends. What it shows goes to its parent, which shows it.
//!
//! What always holds: a child ends when its parent is gone; no destructor of the parent's runs in it.

use std::any::Any;
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::message::{self, Packet};
use super::outcome::Outcome;
use super::registry;
use super::start::{CHILD, LINK, WORK};
use crate::{json, panics, rt};

/// What a child is told first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub name: String,
    /// Its number among its parent's children, after the numbers of the parent.
    pub identity: Vec<u64>,
    pub parent: u32,
    pub parent_name: String,
    /// Whether what it shows can be shown.
    pub in_notebook: bool,
    pub entry: Option<Entry>,
}

/// What a child knows of itself.
pub(crate) struct Child {
    pub start: Start,
    main_thread: ThreadId,
    /// To the parent, one question at a time.
    link: Mutex<OwnedFd>,
}

/// Null in a process that is nobody's child. Written before there is a second thread; what it points to stays.
static SELF: AtomicPtr<Child> = AtomicPtr::new(std::ptr::null_mut());

pub(crate) fn this() -> Option<&'static Child> {
    // SAFETY: null, or a box that `begin` leaked.
    unsafe { SELF.load(Ordering::Acquire).as_ref() }
}

/// Whether the calling thread runs the function of this child.
pub(crate) fn is_main_thread() -> bool {
    this().is_some_and(|child| child.main_thread == std::thread::current().id())
}

/// Has the parent show something, and waits until it is shown; `false` if nobody can.
pub(crate) fn ask(kind: u32, payload: &str) -> bool {
    let Some(child) = this().filter(|child| child.start.in_notebook) else {
        return false;
    };
    let link = child.link.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = payload.as_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_le_bytes());
    let packet = Packet {
        bytes,
        descriptors: Vec::new(),
    };
    message::send(link.as_fd(), &packet).is_ok()
        && matches!(message::receive(link.as_fd()), Ok(Some(_)))
}

/// The parent's side of [`ask`]: what is to be shown, and how.
pub(crate) fn show(mut packet: Packet) {
    let Some(at) = packet.bytes.len().checked_sub(4) else {
        return;
    };
    let kind = packet.bytes.split_off(at);
    let kind = u32::from_le_bytes([kind[0], kind[1], kind[2], kind[3]]);
    if matches!(kind, rt::DISPLAY | rt::CLEAR_OUTPUT | rt::PANIC) {
        rt::send(kind, &String::from_utf8_lossy(&packet.bytes));
    }
}

/// For programs that link this library: a child of theirs never comes to its `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static ON_LOAD: extern "C" fn() = on_load;

extern "C" fn on_load() {
    // SAFETY: a C string; no other thread exists that could change the environment.
    if unsafe { !libc::getenv(c"FORKLINE_CHILD".as_ptr()).is_null() } {
        forkline_rt_child();
    }
}

/// Runs this process as a child whose descriptors are in their places, and ends it.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_rt_child() -> ! {
    // A panic outside of the user's function is a mistake of this library: the process ends as by any other panic.
    let code = catch_unwind(run).unwrap_or(101);
    end(code)
}

fn run() -> i32 {
    // SAFETY: no other thread exists. The descriptors are those that the parent has put there for this process.
    let (work, link) = unsafe {
        std::env::remove_var(CHILD);
        libc::syscall(libc::SYS_close_range, LINK + 1, u32::MAX, 0);
        for descriptor in [WORK, LINK] {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        // As std does at the start of a program: writing to a pipe without a reader is an error, not the end.
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        (OwnedFd::from_raw_fd(WORK), OwnedFd::from_raw_fd(LINK))
    };
    rt::install_panic_hook();
    let Ok(Some(packet)) = message::receive(work.as_fd()) else {
        return 1;
    };
    let Ok(start) = message::decode::<Start>(packet) else {
        return 1;
    };
    let entry = start.entry.clone();
    begin(start, link);
    let Some(entry) = entry else {
        return super::pool::worker::serve(&work);
    };
    let Ok(Some(arguments)) = message::receive(work.as_fd()) else {
        return 1;
    };
    let outcome = call(&entry, arguments);
    let code = outcome.exit_code();
    let _nobody_waits = message::send(work.as_fd(), &outcome.into_packet());
    code
}

/// This process is a child from now on.
pub(crate) fn begin(start: Start, link: OwnedFd) {
    let name: Vec<u8> = start
        .name
        .bytes()
        .filter(|byte| *byte != 0)
        .take(15)
        .collect();
    let name = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: a C string; the call copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    let watched = link.as_raw_fd();
    let child = Box::new(Child {
        start,
        main_thread: std::thread::current().id(),
        link: Mutex::new(link),
    });
    SELF.store(Box::into_raw(child), Ordering::Release);
    // Without this thread the child outlives a parent that is killed alone.
    let _thread = std::thread::Builder::new()
        .name("forkline-parent".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || end_with_parent(watched));
}

/// Waits until nobody holds the other end of the link, and ends this process.
fn end_with_parent(link: i32) {
    let mut asked = libc::pollfd {
        fd: link,
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one entry, which lives during the call; the link is never closed.
    while unsafe { libc::poll(&raw mut asked, 1, -1) } <= 0 {}
    // SAFETY: plain system calls.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
}

/// Runs the function at an entry.
pub(crate) fn call(entry: &Entry, arguments: Packet) -> Outcome {
    // SAFETY: the parent took the entry from a body, in a process that had loaded the same file.
    match unsafe { entry.resolve() } {
        Ok(body) => caught(|| body(arguments).map_or_else(Outcome::from, Outcome::Value)),
        Err(why) => Outcome::Load(why),
    }
}

/// What comes of a body, panics included.
pub(crate) fn caught(body: impl FnOnce() -> Outcome) -> Outcome {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(outcome) => outcome,
        Err(payload) => Outcome::Panicked(message_of(payload.as_ref())),
    }
}

/// The text of a panic.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = panics::text(payload);
    text.unwrap_or("a value that is no text").to_owned()
}

/// Ends this process as a program ends: its own children first, then what is still to be written.
pub(crate) fn end(code: i32) -> ! {
    registry::end_children();
    rt::flush_stdout();
    // SAFETY: flushing all streams of the C library; `_exit` runs nothing of anybody's.
    unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::_exit(code)
    }
}

/// The calling thread's frames in the code of cells, innermost first, as JSON: library, address in it.
pub(crate) fn frames() -> String {
    const CELL_LIBRARY: &str = "libcode_";
    let mut addresses = [std::ptr::null_mut::<c_void>(); 256];
    // SAFETY: the array has room for as many addresses as said.
    let count = unsafe { libc::backtrace(addresses.as_mut_ptr(), 256) };
    let addresses = &addresses[..usize::try_from(count).unwrap_or(0)];
    let frames = addresses.iter().filter_map(|address| {
        // The return address is behind the call, perhaps on the next line.
        let address = (*address as usize).saturating_sub(1);
        // SAFETY: an all-zero Dl_info is valid; dladdr writes into it, and the name lives as long as its library.
        unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr(address as *const c_void, &raw mut info) == 0
                || info.dli_fname.is_null()
            {
                return None;
            }
            let library = std::ffi::CStr::from_ptr(info.dli_fname).to_string_lossy();
            library.contains(CELL_LIBRARY).then(|| {
                let offset = address - info.dli_fbase as usize;
                format!("[{},{offset}]", json::string(&library))
            })
        }
    });
    format!("[{}]", frames.collect::<Vec<_>>().join(","))
}
