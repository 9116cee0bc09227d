//! The plugin: found, opened and started once, at the first use; ended with the process.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::leftover;
use super::table::{ENTRY, Table, VERSION, class};
use crate::plugin::{self, Fault};

/// Names the plugin's file, for those who build it elsewhere.
const OVERRIDE: &str = "FORKLINE_MPI_PLUGIN";
/// The plugin's own file.
const FILE: &str = "libforkline_mpi.so";
const CURE: &str = "sudo apt install openmpi-bin libopenmpi-dev libclang-dev (or the same of MPICH), then \
                    forkline template, then restart the kernel";
/// How long the end of the process waits for the other ranks' ends.
const END: Duration = Duration::from_secs(5);

static STARTED: OnceLock<&'static Table> = OnceLock::new();

/// Why no call may reach MPI any more: 0 for no reason. Read for its own sake only.
static CLOSED: AtomicU8 = AtomicU8::new(0);
/// An exchange was left half done: MPI would go on with memory that its owner has taken back.
const BROKEN: u8 = 1;
/// MPI has been finalized.
const ENDED: u8 = 2;

/// MPI, started.
///
/// # Errors
/// There is no plugin, no MPI library, or it does not start.
pub(super) fn table() -> MpiResult<&'static Table> {
    if let Some(table) = STARTED.get() {
        return Ok(table);
    }
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(table) = STARTED.get() {
        return Ok(table);
    }
    let table = open()?;
    start(table)?;
    Ok(STARTED.get_or_init(|| table))
}

/// MPI, if it has been started.
#[inline]
pub(super) fn started() -> Option<&'static Table> {
    STARTED.get().copied()
}

/// Whether MPI has been started in this process.
pub(super) fn is_started() -> bool {
    STARTED.get().is_some()
}

/// Whether no call may reach MPI any more.
#[inline]
pub(super) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed) != 0
}

/// Whether an interrupt left an exchange half done.
pub(super) fn is_broken() -> bool {
    CLOSED.load(Ordering::Relaxed) == BROKEN
}

/// Stops MPI in this process: an exchange was left half done.
pub(super) fn set_broken() {
    CLOSED.store(BROKEN, Ordering::Relaxed);
}

/// The error of every call from now on, if MPI is closed.
///
/// # Errors
/// It is.
#[inline]
pub(super) fn is_open(call: &Call) -> MpiResult<()> {
    match CLOSED.load(Ordering::Relaxed) {
        0 => Ok(()),
        BROKEN => Err(MpiError::Broken { call: *call }),
        _ => Err(MpiError::Ended { call: *call }),
    }
}

fn unavailable(why: impl Into<String>, cure: impl Into<String>) -> MpiError {
    MpiError::Unavailable {
        why: why.into(),
        cure: cure.into(),
    }
}

fn open() -> MpiResult<&'static Table> {
    let path = plugin::find(FILE, OVERRIDE).map_err(missing)?;
    // Global, with libmpi that comes with it: some MPI libraries load parts of their own that look for its symbols.
    // SAFETY: the plugin defines this function so.
    unsafe { plugin::table(&path, true, ENTRY, VERSION) }.map_err(missing)
}

fn missing(fault: Fault) -> MpiError {
    match fault {
        Fault::Named { variable, path } => unavailable(
            format!("{variable} names {}, which does not exist", path.display()),
            "name the plugin's file, or unset it",
        ),
        Fault::NotBuilt => unavailable(
            "its plugin has not been built: that needs mpicc and libclang",
            CURE,
        ),
        Fault::NotLoaded(text) => unavailable(format!("the plugin does not load: {text}"), CURE),
        Fault::NoPlugin { path, text } => unavailable(
            format!("{} is no plugin of forkline: {text}", path.display()),
            "forkline template builds it",
        ),
        Fault::Version => unavailable(
            "the plugin is of another version of forkline",
            "forkline template builds it anew; then restart the kernel",
        ),
    }
}

fn start(table: &'static Table) -> MpiResult<()> {
    let mut level = 0;
    // SAFETY: called once, under a lock; the pointer is valid.
    let code = unsafe { (table.init)(&raw mut level) };
    if code != 0 {
        return Err(unavailable(
            format!("MPI does not start: {}", error_text(table, code)),
            "see whether mpiexec -n 1 hostname works in a terminal",
        ));
    }
    if level < 3 {
        return Err(unavailable(
            "this MPI library was built without threads (MPI_THREAD_MULTIPLE)",
            "install Open MPI or MPICH as the distribution has it",
        ));
    }
    on_exit(end, std::ptr::null_mut());
    Ok(())
}

// SAFETY: glibc's function has this form, and takes any function that may be called at the end of the process.
unsafe extern "C" {
    /// As `atexit`, and tells the exit status.
    safe fn on_exit(
        function: extern "C" fn(status: i32, argument: *mut c_void),
        argument: *mut c_void,
    ) -> i32;
}

/// Ends MPI with the process. A process that failed leaves without: `mpiexec` then ends the others, where this would
/// wait for them.
extern "C" fn end(status: i32, _: *mut c_void) {
    if status != 0 || is_closed() {
        return;
    }
    let (done, waiting) = std::sync::mpsc::channel();
    let finalizer = std::thread::Builder::new().spawn(move || {
        let _nobody_waits_any_more = done.send(finalize());
    });
    if finalizer.is_ok() {
        let _ended_or_not = waiting.recv_timeout(2 * END);
    }
}

/// Ends MPI in this process; it cannot be started again. The same as the end of the process, but it waits for the
/// other ranks, and tells an error.
///
/// # Errors
/// MPI's own.
#[track_caller]
pub(super) fn finalize() -> MpiResult<()> {
    static DONE: AtomicBool = AtomicBool::new(false);
    let Some(table) = STARTED.get() else {
        return Ok(());
    };
    if DONE.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    // Sends that end by themselves reach their ranks first.
    let start = Instant::now();
    while super::wait::reap(table).0 > 0 && start.elapsed() < END {
        std::thread::yield_now();
    }
    if !is_closed() {
        leftover::end_all(table);
    }
    // SAFETY: started, and not ended before.
    let code = unsafe { (table.finalize)() };
    CLOSED.store(ENDED, Ordering::Relaxed);
    check(table, code, || Call::here("finalize"))
}

/// MPI's words for an error code.
pub(super) fn error_text(table: &Table, code: i32) -> String {
    // SAFETY: the room is as said.
    text(|out, capacity| unsafe { (table.error_text)(code, out, capacity) })
}

/// What a function of the table writes.
pub(super) fn text(write: impl FnOnce(*mut u8, usize) -> usize) -> String {
    let mut bytes = [0; 8192];
    let length = write(bytes.as_mut_ptr(), bytes.len());
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}

/// Turns a code of MPI into an error.
#[inline]
pub(super) fn check(table: &Table, code: i32, call: impl FnOnce() -> Call) -> MpiResult<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(failed(table, code, call()))
    }
}

#[cold]
pub(super) fn failed(table: &Table, code: i32, call: Call) -> MpiError {
    let (class, text) = told(table, code);
    MpiError::Failed { call, class, text }
}

/// The kind of an error code, and MPI's words for it.
pub(super) fn told(table: &Table, code: i32) -> (ErrorClass, String) {
    // SAFETY: MPI takes any code.
    let class = match unsafe { (table.error_class)(code) } {
        class::TRUNCATE => ErrorClass::Truncate,
        class::RANK => ErrorClass::Rank,
        class::TAG => ErrorClass::Tag,
        class::COUNT => ErrorClass::Count,
        class::ROOT => ErrorClass::Root,
        class::BUFFER => ErrorClass::Buffer,
        class::OPERATOR => ErrorClass::Operator,
        class::DIMENSIONS => ErrorClass::Dimensions,
        class::TOPOLOGY => ErrorClass::Topology,
        class::WINDOW => ErrorClass::Window,
        class::NO_SUCH_FILE => ErrorClass::NoSuchFile,
        class::FILE_EXISTS => ErrorClass::FileExists,
        class::BAD_FILE => ErrorClass::BadFile,
        class::ACCESS => ErrorClass::Access,
        class::NO_SPACE => ErrorClass::NoSpace,
        class::IO => ErrorClass::Io,
        _ => ErrorClass::Other,
    };
    (class, error_text(table, code))
}
