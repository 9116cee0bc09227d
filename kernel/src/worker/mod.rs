//! The process in which cells run. Nothing else runs user code.
//!
//! evcxr starts it (see `engine`), sends it one load order per cell on its standard input and reads
//! its own protocol lines back. Everything else that a cell produces leaves by the side channel:
//!
//! * `frames`     the layout of what travels on the side channel; the kernel reads with it too
//! * `channel`    one ordered stream out of all that a process prints and shows
//! * `interpose`  how the C library's `write`, `read` and `pthread_create` lead here
//! * `sentinels`  evcxr's own words in the standard output
//! * `prelude`    the prelude's library and its C interface
//! * `backtrace`  the cells' part of a stack
//! * `png`        pictures out of SVG images
//! * `crash`      what a fatal signal leaves behind
//! * `traced`     being debugged
//! * `spawns`     new processes one at a time, while being debugged
//! * `kept`       copies of the process as it was when it panicked
//! * `blocked`    what becomes of a cell that waits for ever
//! * `child`      a process that a cell has started to run a function
//! * `group`      the leader of a group of ranks, which all run the same cells
//! * `link`       how a rank reaches its leader, on one machine or over a network
//! * `files`      cells' libraries, for a rank on another machine
//! * `rank`       a worker that is one rank of a group
//! * `standing`   where a rank stands, for a report of who waits for whom
//! * `profile`    where a cell's threads spend their processor time
//!
//! What always holds: a cell's load order is answered to evcxr only after everything that the cell
//! wrote has been sent; the process and its children end when the kernel does.

mod backtrace;
mod blocked;
mod channel;
mod child;
mod crash;
mod files;
pub mod frames;
pub mod group;
mod interpose;
mod kept;
mod link;
mod locate;
mod png;
mod prelude;
#[cfg_attr(not(target_arch = "x86_64"), path = "profile/absent.rs")]
mod profile;
pub mod rank;
mod sentinels;
mod spawns;
mod standing;
mod traced;

pub use backtrace::CELL_LIBRARY;
use channel::lock;
pub use child::run_if_child;
use frames::Kind;
use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{BufRead, BufReader};
use std::os::fd::{FromRawFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

/// Environment variable: path of the kernel's side channel socket.
pub const SIDE_CHANNEL: &str = "FORKLINE_SIDE_CHANNEL";
/// Environment variable: path of the prelude's library.
pub const PRELUDE: &str = "FORKLINE_PRELUDE";
/// Environment variable: the folder of the toolchain's own libraries.
pub const RUST_LIBS: &str = "FORKLINE_RUST_LIBS";

/// Environment variable: the process group of the kernel, if it has one of its own.
pub const KERNEL_GROUP: &str = "FORKLINE_KERNEL_GROUP";

/// Whether cells can be profiled here.
pub const CAN_PROFILE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Exit status when evcxr's order could not be carried out; evcxr's own runtime uses the same.
const CANNOT_LOAD: i32 = 99;

/// Runs cells until evcxr closes the pipe or the kernel goes away.
pub fn main() -> ! {
    live(None)
}

/// The same for evcxr's orders as they come from the leader of a group.
fn live(leader: Option<RawFd>) -> ! {
    let here = 0_u8;
    profile::know_main_stack(&raw const here);
    let commands = match start(leader) {
        Ok(commands) => commands,
        Err(error) => {
            eprintln!("forkline worker: {error:#}");
            std::process::exit(CANNOT_LOAD);
        }
    };
    *lock(&ORDERS) = Some(BufReader::new(commands));
    serve()
}

/// evcxr's orders. A static, like all that follows, because another thread goes on with it if a cell has to
/// be left behind.
static ORDERS: Mutex<Option<BufReader<std::fs::File>>> = Mutex::new(None);
/// evcxr's variable store; null before the first cell. Its type is known to the cells' code only.
static STORE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// When the run in progress began, and what the process had used by then.
static BEFORE: Mutex<Option<Usage>> = Mutex::new(None);

/// Carries out orders on the calling thread.
fn serve() -> ! {
    blocked::this_is_the_cell_thread();
    while let Some(line) = next_order() {
        if let Err(error) = carry_out(&line) {
            channel::send(Kind::LoadFailed, error.as_bytes());
            channel::end();
            std::process::exit(CANNOT_LOAD);
        }
    }
    // evcxr has closed the pipe, or the kernel is gone. Destructors of the cells' libraries do not
    // run: threads of the user may still use what they would tear down.
    channel::end();
    files::remove();
    crash::end_orphans()
}

/// The next line of evcxr's, none at the end of the pipe.
fn next_order() -> Option<String> {
    let mut orders = lock(&ORDERS);
    let orders = orders.as_mut()?;
    loop {
        let mut line = String::new();
        if orders.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end_matches('\n');
        match files::take(line, orders) {
            Ok(false) => return Some(line.to_owned()),
            Ok(true) => {}
            Err(error) => {
                let dir = std::env::temp_dir();
                let why = format!(
                    "the cell's library could not be laid down on {}: {}: {error}",
                    link::host_name(),
                    dir.display()
                );
                channel::send(Kind::LoadFailed, why.as_bytes());
                return None;
            }
        }
    }
}

/// Goes on, on a thread of its own, after the thread of this run has been stopped for ever.
fn go_on(run: u64) {
    channel::belong_to_no_run();
    profile::stop();
    if !prelude::left_behind() {
        channel::end();
        crash::end_group();
    }
    prelude::cell_end();
    let report = report(true);
    profile::send();
    channel::tell_panicked();
    channel::become_cell_thread();
    channel::end_run(run, &report);
    serve()
}

/// Takes over the standard streams, opens the side channel and loads the prelude.
fn start(leader: Option<RawFd>) -> anyhow::Result<std::fs::File> {
    let address = std::env::var_os(SIDE_CHANNEL).ok_or_else(|| {
        anyhow::anyhow!("{SIDE_CHANNEL} is not set; only the kernel starts workers")
    })?;
    // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
    unsafe {
        // A process that the cell starts is not a worker, and a kernel in it is not one either.
        std::env::remove_var("EVCXR_IS_RUNTIME");
        std::env::remove_var(SIDE_CHANNEL);
    }
    // SAFETY: plain system calls. A process group of our own lets the kernel end all that a cell
    // started; the death signal makes the group follow a killed kernel (see `crash::install`).
    unsafe {
        libc::setpgid(0, 0);
        #[cfg(target_os = "linux")]
        if leader.is_none() {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGHUP);
        }
    }
    let address = link::Address::parse(&address);
    crash::install(&address);
    if leader.is_none() {
        traced::allow(std::os::unix::process::parent_id());
    }
    traced::prepare();
    // Before the channel: the kernel's first settings go to the prelude.
    prelude::load()?;
    let commands = channel::open(&address, leader)?;
    channel::wait_until_configured(Duration::from_secs(10));
    // SAFETY: `commands` is a descriptor that `channel::open` made and gave away.
    Ok(unsafe { std::fs::File::from_raw_fd(commands) })
}

/// Carries out one line of evcxr's protocol.
fn carry_out(line: &str) -> Result<(), String> {
    // The path may hold spaces; the function's name cannot.
    let order = line
        .strip_prefix("LOAD_AND_RUN ")
        .and_then(|rest| rest.rsplit_once(' '));
    let Some((path, function)) = order else {
        return Err(format!("evcxr sent an unknown order: {line}"));
    };
    if prelude::has_changed() {
        channel::send(Kind::PreludeChanged, &[]);
        channel::end();
        std::process::exit(CANNOT_LOAD);
    }
    let run = channel::begin_run(path);
    let function = load(&files::here(path), function)?;
    prelude::cell_begin();
    profile::start();
    *lock(&BEFORE) = Some(Usage::begin());
    // SAFETY: evcxr generated the function for this store, which it created itself in an earlier call
    // (null in the first). Panics do not cross: evcxr catches them inside. One thread at a time is here:
    // another one comes only after this one has been stopped for ever.
    let store = unsafe { function(STORE.load(Ordering::Relaxed)) };
    profile::stop();
    STORE.store(store, Ordering::Relaxed);
    let report = report(channel::has_yielded(run));
    *lock(&BEFORE) = None;
    prelude::cell_end();
    profile::send();
    channel::end_run(run, &report);
    Ok(())
}

/// What the run in progress has used, as the report that ends it.
fn report(interrupted: bool) -> String {
    lock(&BEFORE)
        .as_ref()
        .map(|before| before.report(interrupted))
        .unwrap_or_default()
}

/// How long the run in progress has been running.
fn run_age() -> Duration {
    lock(&BEFORE)
        .as_ref()
        .map_or(Duration::ZERO, |before| before.wall.elapsed())
}

type CellFunction = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// Loads a cell's library and finds its function. Libraries stay loaded for ever: threads and
/// destructors of thread-locals may run their code at any later time.
fn load(path: &str, function: &str) -> Result<CellFunction, String> {
    let no_nul = |text: &str| CString::new(text).map_err(|_| format!("a NUL byte in `{text}`"));
    let (path, function) = (no_nul(path)?, no_nul(function)?);
    // Global: the dynamic linker binds the exported statics of a later cell to those of the first.
    // SAFETY: loading runs the library's initialisers, which is what was asked for.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if library.is_null() {
        return Err(format!(
            "the cell's library cannot be loaded: {}",
            dl_error()
        ));
    }
    // SAFETY: `library` is a handle from dlopen, `function` a valid C string.
    let address = unsafe { libc::dlsym(library, function.as_ptr()) };
    if address.is_null() {
        return Err(format!("the cell's function is missing: {}", dl_error()));
    }
    // SAFETY: evcxr generates this function with exactly this C signature.
    Ok(unsafe { std::mem::transmute::<*mut c_void, CellFunction>(address) })
}

/// What the dynamic linker says about its last failure.
fn dl_error() -> String {
    // SAFETY: dlerror returns null or a C string that stays valid until the next dl call of this
    // thread.
    unsafe {
        let message: *const c_char = libc::dlerror();
        if message.is_null() {
            "no reason given".to_owned()
        } else {
            CStr::from_ptr(message).to_string_lossy().into_owned()
        }
    }
}

/// Time and memory at the beginning of a run, to be compared with its end.
struct Usage {
    wall: Instant,
    user: Duration,
    system: Duration,
    memory_kib: u64,
}

impl Usage {
    /// The present state; the peak of memory is counted anew from here on.
    fn begin() -> Usage {
        // A system that cannot do it has the peak of the whole life (proc(5): clear_refs).
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let memory_kib = memory("VmRSS:");
        let (user, system) = processor_times();
        Usage {
            wall: Instant::now(),
            user,
            system,
            memory_kib,
        }
    }

    /// JSON of what has been used since: nanoseconds, and memory in KiB; and whether the run yielded to an
    /// interrupt.
    fn report(&self, interrupted: bool) -> String {
        let wall = self.wall.elapsed();
        let (user, system) = processor_times();
        format!(
            r#"{{"wall":{},"user":{},"system":{},"peak_kib":{},"before_kib":{},"interrupted":{interrupted}}}"#,
            wall.as_nanos(),
            (user - self.user).as_nanos(),
            (system - self.system).as_nanos(),
            memory("VmHWM:"),
            self.memory_kib,
        )
    }
}

/// Processor time of this process so far, in user code and in the system.
fn processor_times() -> (Duration, Duration) {
    // SAFETY: an all-zero rusage is valid, and getrusage only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::new(time.tv_sec as u64, 0) + Duration::from_micros(time.tv_usec as u64)
    };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// A line of the process's status, in KiB. (The peak that getrusage tells begins with that of the kernel, from
/// which this process was forked.)
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|found| found.strip_prefix(line))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
