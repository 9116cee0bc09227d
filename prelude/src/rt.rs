//! The C ABI between this library and the worker process, and the only place with raw pointers.
//!
//! The worker's executable has its own copy of std, so nothing that std owns (a `String`, an unwinding
//! panic) crosses here: only integers, bytes that are valid during the call, and C functions.
//!
//! What always holds:
//! * no function here unwinds into the worker;
//! * a frame that has been sent is with the worker when [`send`] returns, so frames of one thread
//!   keep their order;
//! * without a worker (a plain program, a test) every function is a no-op that says so.

use std::ffi::{OsStr, c_void};
use std::io::Write;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::panic::{Location, PanicHookInfo};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use crate::processes::child;
use crate::{interrupt, json, store};

/// The version of [`Host`] that this library understands.
pub const ABI_VERSION: u32 = 7;

/// A frame with a MIME bundle to show.
pub const DISPLAY: u32 = 1;
/// A frame that clears the cell's output: payload `0`, or `1` to wait for the next output.
pub const CLEAR_OUTPUT: u32 = 2;
/// A frame with the facts of a panic.
pub const PANIC: u32 = 3;
/// A frame for the kernel itself: `{"report": name, "value": …}`.
pub const REPORT: u32 = 4;
/// A frame with the bytes of a value that the kernel is to keep for a while.
pub(crate) const VALUE: u32 = 5;

/// What the worker offers.
#[repr(C)]
pub struct Host {
    /// [`ABI_VERSION`].
    pub version: u32,
    /// Sends one frame to the kernel. The payload is read during the call only. May block; any thread may call.
    pub send: unsafe extern "C" fn(kind: u32, payload: *const u8, len: usize),
    /// Asks the front end for a line of text. Writes at most `cap` bytes of UTF-8, without newline, to `out`
    /// and returns how many; -1: the front end takes no input; -2: interrupted.
    pub input: unsafe extern "C" fn(
        prompt: *const u8,
        prompt_len: usize,
        password: u32,
        out: *mut u8,
        cap: usize,
    ) -> isize,
    /// 1 on the thread that runs the current cell, else 0.
    pub on_cell_thread: unsafe extern "C" fn() -> u32,
    /// The number of the cell's run that the calling thread works for.
    pub this_run: unsafe extern "C" fn() -> u64,
    /// Lets the calling thread work for a run: what it prints belongs to that, and so does an interrupt. 0 is
    /// whatever run is in progress. Returns what it worked for before, to be given back.
    pub enter_run: unsafe extern "C" fn(run: u64) -> u64,
    /// 1 if the calling thread belongs to the cell that the user has interrupted, else 0. The cell then counts
    /// as interrupted.
    pub take_interrupt: unsafe extern "C" fn() -> u32,
    /// Makes a PNG file of an SVG image, `scale` pixels for each unit. Gives `take` the bytes of the file, or the
    /// text why there is none, once during the call, with `context`. 1: it was the file.
    pub render_png: unsafe extern "C" fn(
        svg: *const u8,
        len: usize,
        scale: f64,
        take: unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, len: usize),
        context: *mut c_void,
    ) -> u32,
    /// Asks the kernel for the place in a cell of a line of a cell's source: `address` lies in the cell's library,
    /// `file` and `line` are the compiler's. Writes at most `cap` bytes of UTF-8 to `out`, such as `cell [3], line 2`,
    /// and returns how many; 0 if the line is not the user's.
    pub locate: unsafe extern "C" fn(
        address: *const c_void,
        file: *const u8,
        file_len: usize,
        line: u32,
        out: *mut u8,
        cap: usize,
    ) -> usize,
    /// Where a thread of this process stands, by the system's number of it: a line such as `work, cell [3], line 2` for each
    /// of its frames that lies in a cell, innermost first. Writes at most `cap` bytes of UTF-8 to `out` and returns how many;
    /// 0 if there is no such frame or the thread does not answer.
    pub stack: unsafe extern "C" fn(thread: i32, out: *mut u8, cap: usize) -> usize,
}

/// Written once by [`forkline_rt_start`] (release), read by [`host`] (acquire).
static HOST: AtomicPtr<Host> = AtomicPtr::new(std::ptr::null_mut());

fn host() -> Option<&'static Host> {
    let host = HOST.load(Ordering::Acquire);
    // SAFETY: null, or the pointer given to `forkline_rt_start`, whose caller promised that it stays valid for ever.
    unsafe { host.as_ref() }
}

/// Sends a frame; `false` if there is no worker to take it. A child's frames go by way of its parent.
pub fn send(kind: u32, payload: &str) -> bool {
    let Some(host) = host() else {
        return child::ask(kind, payload);
    };
    // SAFETY: `payload` is valid for the whole call, which is all that `Host::send` asks for.
    unsafe { (host.send)(kind, payload.as_ptr(), payload.len()) };
    true
}

/// Sends a frame that is no text; `false` if there is no worker to take it.
pub(crate) fn send_bytes(kind: u32, payload: &[u8]) -> bool {
    let Some(host) = host() else { return false };
    // SAFETY: as in `send`.
    unsafe { (host.send)(kind, payload.as_ptr(), payload.len()) };
    true
}

/// Sends a report, whose value is JSON text; `false` if there is no worker to take it.
pub fn report(name: &str, value: String) -> bool {
    host().is_some()
        && send(
            REPORT,
            &json::object([("report", json::string(name)), ("value", value)]),
        )
}

/// Whether a worker is there to take frames, perhaps by way of a parent.
pub fn has_host() -> bool {
    host().is_some() || child::this().is_some_and(|child| child.start.in_notebook)
}

/// This process is a copy of a worker and none itself.
pub(crate) fn forget_host() {
    HOST.store(std::ptr::null_mut(), Ordering::Release);
}

/// What came of asking the front end for a line.
pub enum Answer {
    /// There is no worker: ask standard input.
    NoHost,
    /// The front end takes no input, as in a headless run.
    NotAllowed,
    /// The user interrupted the cell.
    Interrupted,
    /// The bytes of the line.
    Line(Vec<u8>),
}

/// Asks the front end for a line.
pub fn ask(prompt: &str, password: bool) -> Answer {
    let Some(host) = host() else {
        return Answer::NoHost;
    };
    // The front ends' input boxes hold one line; a megabyte of zeroed memory costs nothing until it is touched.
    let mut line = vec![0u8; 1 << 20];
    let (out, cap) = (line.as_mut_ptr(), line.len());
    // SAFETY: prompt and buffer are valid for the whole call, and the worker writes at most `cap` bytes.
    let len = unsafe { (host.input)(prompt.as_ptr(), prompt.len(), password.into(), out, cap) };
    match usize::try_from(len) {
        Ok(len) => {
            line.truncate(len);
            Answer::Line(line)
        }
        Err(_) if len == -2 => Answer::Interrupted,
        Err(_) => Answer::NotAllowed,
    }
}

/// Whether the calling thread is the one that runs cells.
pub(crate) fn on_cell_thread() -> bool {
    // SAFETY: `Host::on_cell_thread` asks for nothing.
    host().is_some_and(|host| unsafe { (host.on_cell_thread)() } != 0)
}

/// Whether the calling thread belongs to an interrupted cell and is to end.
pub fn take_interrupt() -> bool {
    // SAFETY: `Host::take_interrupt` asks for nothing.
    host().is_some_and(|host| unsafe { (host.take_interrupt)() } != 0)
}

/// Marks the calling thread as one of a shared pool: it works for whatever cell is in progress.
pub(crate) fn mark_pool_thread() {
    enter_run(0);
}

fn enter_run(run: u64) -> u64 {
    // SAFETY: `Host::enter_run` asks for nothing.
    host().map_or(0, |host| unsafe { (host.enter_run)(run) })
}

/// The run of a cell, for work that another thread will do for it.
#[derive(Clone, Copy)]
pub(crate) struct Run(u64);

impl Run {
    /// The one that the calling thread works for.
    pub(crate) fn here() -> Run {
        // SAFETY: `Host::this_run` asks for nothing.
        Run(host().map_or(0, |host| unsafe { (host.this_run)() }))
    }

    /// Lets the calling thread work for it as long as the result lives.
    pub(crate) fn enter(self) -> Entered {
        Entered {
            before: enter_run(self.0),
            _of_this_thread: PhantomData,
        }
    }
}

#[cfg(test)]
impl Run {
    pub(crate) fn numbered(number: u64) -> Run {
        Run(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// The calling thread works for a [`Run`].
pub(crate) struct Entered {
    before: u64,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        enter_run(self.before);
    }
}

/// Turns an SVG image into the bytes of a PNG file, `scale` pixels for each unit of the image.
///
/// # Errors
/// The text says why there is no picture.
pub fn render_png(svg: &str, scale: f64) -> Result<Vec<u8>, String> {
    unsafe extern "C" fn take(context: *mut c_void, bytes: *const u8, len: usize) {
        // SAFETY: `context` is the vector below, and the worker promises valid bytes.
        unsafe { (*context.cast::<Vec<u8>>()).extend_from_slice(self::bytes(bytes, len)) };
    }
    let Some(host) = host() else {
        return Err("outside of a notebook there is no renderer".to_owned());
    };
    let mut taken: Vec<u8> = Vec::new();
    let context = (&raw mut taken).cast();
    // SAFETY: the text and the vector are valid for the whole call, in which alone `take` is called.
    match unsafe { (host.render_png)(svg.as_ptr(), svg.len(), scale, take, context) } {
        1 => Ok(taken),
        _ => Err(String::from_utf8_lossy(&taken).into_owned()),
    }
}

/// Where in a cell this is: `cell [3], line 2`. None outside of cells, and where there is no kernel to ask. Takes a
/// moment: the kernel knows, and answers when it has seen all that was printed before.
fn locate(location: &'static Location<'static>, line: u32) -> Option<String> {
    let host = host()?;
    let file = location.file();
    let mut out = [0_u8; 64];
    let address: *const Location<'static> = location;
    // SAFETY: all pointers are valid for the whole call; the worker writes at most what fits into `out`.
    let length = unsafe {
        (host.locate)(
            address.cast(),
            file.as_ptr(),
            file.len(),
            line,
            out.as_mut_ptr(),
            out.len(),
        )
    };
    let text = std::str::from_utf8(out.get(..length)?).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// A line as a message names it: `cell [3], line 2`; outside of cells the file's line.
pub(crate) fn place(location: &'static Location<'static>) -> String {
    place_at(location, location.line())
}

/// As [`place`], for another line of the same file.
pub(crate) fn place_at(location: &'static Location<'static>, line: u32) -> String {
    locate(location, line).unwrap_or_else(|| format!("{}:{line}", location.file()))
}

/// The frames of a thread that lie in cells, innermost first, as text.
pub(crate) fn stack(thread: i32) -> Vec<String> {
    let Some(host) = host() else {
        return Vec::new();
    };
    // Deep recursions are cut: their innermost frames are what one looks for.
    let mut out = vec![0; 16 << 10];
    // SAFETY: the buffer is valid for the whole call, and the worker writes at most what fits into it.
    let length = unsafe { (host.stack)(thread, out.as_mut_ptr(), out.len()) };
    out.truncate(length);
    let text = String::from_utf8_lossy(&out);
    text.lines().map(str::to_owned).collect()
}

/// Writes out what std still holds of a line without its newline, so that frames come after it.
pub fn flush_stdout() {
    let _closed_stdout_is_no_news = std::io::stdout().flush();
}

/// Connects this library to the worker; returns the ABI version, or 0 if the worker speaks another one.
///
/// # Safety
///
/// `host` is null or points to a [`Host`] that stays valid and unchanged until the process ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forkline_rt_start(host: *const Host) -> u32 {
    // The version is read alone first: of another version's `Host` nothing else is known.
    // SAFETY: the caller promises null or a valid pointer, and `version` comes first in every version.
    if host.is_null() || unsafe { (&raw const (*host).version).read() } != ABI_VERSION {
        return 0;
    }
    // Pairs with the load in `host()`.
    HOST.store(host.cast_mut(), Ordering::Release);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        install_panic_hook();
        start_flusher();
        build_rayon_pool();
    });
    ABI_VERSION
}

/// A cell begins: text without a newline shall arrive while it runs.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_rt_cell_begin() {
    interrupt::set_pending(false);
    store::forget_taken();
    FLUSHER.set_running(true);
}

/// The user has interrupted the cell that runs.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_rt_interrupt() {
    interrupt::set_pending(true);
}

/// The thread of the cell in progress has been stopped for ever. 0 if this process is of no use without it: a
/// thread of rayon's pool waits for what that thread holds, and every later loop would wait with it.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_rt_left_behind() -> u32 {
    let names = store::leave_taken();
    let names: Vec<String> = names.iter().map(|name| json::string(name)).collect();
    report("left_behind", format!("[{}]", names.join(",")));
    u32::from(pool_answers())
}

/// Whether each thread of rayon's pool comes to a new job within a moment.
fn pool_answers() -> bool {
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    rayon::spawn_broadcast(move |_| {
        // Read by the loop below for its own sake only.
        counted.fetch_add(1, Ordering::Relaxed);
    });
    for _ in 0..200 {
        if answered.load(Ordering::Relaxed) >= rayon::current_num_threads() {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// A cell has ended: writes out the rest of its text before returning.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_rt_cell_end() {
    interrupt::set_pending(false);
    FLUSHER.set_running(false);
    flush_stdout();
}

/// Sets an environment variable, under the lock that std's readers of the environment take.
///
/// A name that is empty or holds `=` or NUL, and a value that holds NUL, are ignored.
///
/// # Safety
///
/// Both pointers are valid for their lengths. As for [`std::env::set_var`], no foreign code may read
/// the environment at the same time; the worker calls this between cells, where only a user's own
/// thread in foreign code could.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forkline_rt_setenv(
    name: *const u8,
    name_len: usize,
    value: *const u8,
    value_len: usize,
) {
    // SAFETY: the caller promises valid pointers.
    let (name, value) = unsafe { (bytes(name, name_len), bytes(value, value_len)) };
    if is_env_name(name) && !value.contains(&0) {
        // SAFETY: std's lock is taken; for foreign readers see this function's own condition.
        unsafe { std::env::set_var(OsStr::from_bytes(name), OsStr::from_bytes(value)) };
    }
}

/// Removes an environment variable; what [`forkline_rt_setenv`] ignores is ignored here too.
///
/// # Safety
///
/// As for [`forkline_rt_setenv`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forkline_rt_unsetenv(name: *const u8, name_len: usize) {
    // SAFETY: the caller promises a valid pointer.
    let name = unsafe { bytes(name, name_len) };
    if is_env_name(name) {
        // SAFETY: as in `forkline_rt_setenv`.
        unsafe { std::env::remove_var(OsStr::from_bytes(name)) };
    }
}

/// # Safety
///
/// `start` is valid for `len` bytes during `'a`, or null with `len` 0.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, len) }
}

fn is_env_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b'=') && !name.contains(&0)
}

/// Builds rayon's global pool now, so that its threads are marked before they first print. A cell that
/// calls `build_global` is told by rayon that the pool exists. `RAYON_NUM_THREADS` counts when set before the start.
fn build_rayon_pool() {
    let _pool_of_an_embedding_program = rayon::ThreadPoolBuilder::new()
        .thread_name(|index| format!("rayon-{index}"))
        .start_handler(|_| mark_pool_thread())
        .build_global();
}

/// Brings out text without a newline (a progress line, a prompt) while a cell runs.
struct Flusher {
    running: Mutex<bool>,
    begun: Condvar,
}

static FLUSHER: Flusher = Flusher {
    running: Mutex::new(false),
    begun: Condvar::new(),
};

/// Long enough to cost nothing, short enough that text seems to come at once.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

impl Flusher {
    fn set_running(&self, running: bool) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
        if running {
            self.begun.notify_one();
        }
    }

    /// The lock is not held while flushing: the end of a cell never waits here.
    fn run(&self) {
        loop {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let running = self
                .begun
                .wait_while(running, |running| !*running)
                .unwrap_or_else(PoisonError::into_inner);
            // Returns early only when the next cell begins; one more flush does no harm.
            let (running, _) = self
                .begun
                .wait_timeout(running, FLUSH_EVERY)
                .unwrap_or_else(PoisonError::into_inner);
            let still_running = *running;
            drop(running);
            if still_running {
                flush_stdout();
            }
        }
    }
}

fn start_flusher() {
    // Where no thread can be had, text arrives at its newline or at the cell's end.
    let _thread = thread::Builder::new()
        .name("forkline-flush".into())
        .spawn(|| {
            // The write to stdout happens here, whoever printed.
            mark_pool_thread();
            FLUSHER.run();
        });
}

/// Sends panics to the kernel, which decides what to print. The hook must not panic: that would abort.
pub(crate) fn install_panic_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !has_host() || !send(PANIC, &panic_json(info)) {
            previous(info);
        }
    }));
}

/// The worker adds the stack: it knows which libraries are the cells', and the text form of std takes tens of
/// milliseconds for each panic.
fn panic_json(info: &PanicHookInfo<'_>) -> String {
    let current = thread::current();
    let (file, line, column) = info.location().map_or(("", 0, 0), |location| {
        (location.file(), location.line(), location.column())
    });
    let process = child::this();
    let (is_main, of_child) = match process {
        Some(process) => (
            child::is_main_thread(),
            [
                ("process", json::string(&process.start.name)),
                ("frames", child::frames()),
            ]
            .map(Some),
        ),
        None => (false, [None, None]),
    };
    let name = if is_main {
        "main"
    } else {
        current.name().unwrap_or("<unnamed>")
    };
    let fields = [
        (
            "message",
            json::string(info.payload_as_str().unwrap_or("Box<dyn Any>")),
        ),
        ("file", json::string(file)),
        ("line", line.to_string()),
        ("column", column.to_string()),
        ("thread", json::string(name)),
        ("on_cell_thread", on_cell_thread().to_string()),
    ];
    json::object(fields.into_iter().chain(of_child.into_iter().flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_names_with_equals_sign_or_nul_are_refused() {
        for (name, valid) in [
            ("HOME", true),
            ("", false),
            ("A=B", false),
            ("A\0", false),
            ("Ä", true),
        ] {
            assert_eq!(is_env_name(name.as_bytes()), valid, "{name:?}");
        }
    }

    #[test]
    fn another_abi_version_is_refused() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { forkline_rt_start(std::ptr::null()) }, 0);
    }
}
