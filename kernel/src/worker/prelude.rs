//! The prelude's library as the worker sees it: loaded once, called through a small C interface.
//!
//! The worker has its own copy of Rust's standard library, the prelude and the cells share another.
//! So nothing but plain data and C functions crosses here; the twin of [`Host`] is in the prelude's
//! `rt` module and the two change together.

use super::frames::Kind;
use super::{RUST_LIBS, backtrace, channel, dl_error, kept, locate, profile};
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Version of the C interface.
const VERSION: u32 = 7;

/// What the worker offers to the prelude.
#[repr(C)]
struct Host {
    version: u32,
    send: unsafe extern "C" fn(kind: u32, payload: *const u8, length: usize),
    input: unsafe extern "C" fn(
        prompt: *const u8,
        prompt_length: usize,
        password: u32,
        out: *mut u8,
        capacity: usize,
    ) -> isize,
    on_cell_thread: unsafe extern "C" fn() -> u32,
    this_run: unsafe extern "C" fn() -> u64,
    enter_run: unsafe extern "C" fn(u64) -> u64,
    take_interrupt: unsafe extern "C" fn() -> u32,
    render_png: unsafe extern "C" fn(
        svg: *const u8,
        length: usize,
        scale: f64,
        take: unsafe extern "C" fn(*mut c_void, *const u8, usize),
        context: *mut c_void,
    ) -> u32,
    locate: unsafe extern "C" fn(
        address: *const c_void,
        file: *const u8,
        file_length: usize,
        line: u32,
        out: *mut u8,
        capacity: usize,
    ) -> usize,
    stack: unsafe extern "C" fn(thread: i32, out: *mut u8, capacity: usize) -> usize,
}

static HOST: Host = Host {
    version: VERSION,
    send,
    input,
    on_cell_thread,
    this_run,
    enter_run,
    take_interrupt,
    render_png,
    locate: place_of,
    stack: stack_of,
};

/// What the prelude offers to the worker.
struct Prelude {
    path: PathBuf,
    identity: Option<Identity>,
    cell_begin: unsafe extern "C" fn(),
    cell_end: unsafe extern "C" fn(),
    interrupt: unsafe extern "C" fn(),
    left_behind: unsafe extern "C" fn() -> u32,
    set_env: unsafe extern "C" fn(*const u8, usize, *const u8, usize),
    unset_env: unsafe extern "C" fn(*const u8, usize),
    mpi_state: unsafe extern "C" fn(*mut u8, usize) -> usize,
}

static PRELUDE: OnceLock<Prelude> = OnceLock::new();

/// What tells one build of a library from another.
#[derive(PartialEq, Eq)]
struct Identity {
    modified: SystemTime,
    length: u64,
}

/// Loads the prelude named by the environment; without one, cells run without it.
pub fn load() -> anyhow::Result<()> {
    let Some(path) = std::env::var_os(super::PRELUDE).map(PathBuf::from) else {
        return Ok(());
    };
    if let Some(libs) = std::env::var_os(RUST_LIBS) {
        // The standard library first, by its path: cells and the prelude then find it loaded, and
        // the environment of the programs that a cell starts stays as it was.
        for entry in std::fs::read_dir(libs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("libstd-") && name.ends_with(".so") {
                open(&entry.path())?;
            }
        }
    }
    let library = open(&path)?;
    let start: unsafe extern "C" fn(*const Host) -> u32 = symbol(library, "forkline_rt_start")?;
    let prelude = Prelude {
        identity: identity(&path),
        path,
        cell_begin: symbol(library, "forkline_rt_cell_begin")?,
        cell_end: symbol(library, "forkline_rt_cell_end")?,
        interrupt: symbol(library, "forkline_rt_interrupt")?,
        left_behind: symbol(library, "forkline_rt_left_behind")?,
        set_env: symbol(library, "forkline_rt_setenv")?,
        unset_env: symbol(library, "forkline_rt_unsetenv")?,
        mpi_state: symbol(library, "forkline_mpi_state")?,
    };
    // SAFETY: the prelude keeps the pointer, and HOST lives for ever.
    let version = unsafe { start(&raw const HOST) };
    anyhow::ensure!(
        version == VERSION,
        "the prelude speaks version {version} of the interface, this worker {VERSION}"
    );
    let _ = PRELUDE.set(prelude);
    Ok(())
}

/// Loads the libraries, the prelude's last, and lives as a process of a cell; returns only on failure.
pub fn live_as_child<'a>(libraries: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    let mut last = None;
    for path in libraries {
        last = Some(open(path)?);
    }
    let library = last.ok_or_else(|| anyhow::anyhow!("no libraries were named"))?;
    let live: unsafe extern "C" fn() = symbol(library, "forkline_rt_child")?;
    // SAFETY: the prelude's function takes nothing; the parent has put the descriptors in their places.
    unsafe { live() };
    Ok(())
}

/// Whether the library on disk is another one than the one loaded. The cells compiled from now on
/// are linked against the new one and cannot run in this process.
pub fn has_changed() -> bool {
    PRELUDE
        .get()
        .is_some_and(|prelude| identity(&prelude.path) != prelude.identity)
}

/// A cell is about to run.
pub fn cell_begin() {
    if let Some(prelude) = PRELUDE.get() {
        // SAFETY: the function takes nothing and may be called at any time.
        unsafe { (prelude.cell_begin)() };
    }
}

/// The cell has run: flushes what Rust's standard output holds.
pub fn cell_end() {
    if let Some(prelude) = PRELUDE.get() {
        // SAFETY: as above.
        unsafe { (prelude.cell_end)() };
    }
}

/// The user has interrupted the cell that runs.
pub fn interrupt() {
    if let Some(prelude) = PRELUDE.get() {
        // SAFETY: the function takes nothing and may be called at any time.
        unsafe { (prelude.interrupt)() };
    }
}

/// The cell in progress is left behind. False if what it holds cannot be done without.
pub fn left_behind() -> bool {
    // SAFETY: the function takes nothing; the thread of the cell runs no code any more.
    PRELUDE
        .get()
        .is_some_and(|prelude| unsafe { (prelude.left_behind)() } != 0)
}

/// Sets or removes an environment variable as the cells see it, under the lock of their standard
/// library.
pub fn set_env(name: &str, value: Option<&str>) {
    let Some(prelude) = PRELUDE.get() else { return };
    // SAFETY: each pointer goes with its length; the prelude copies what it needs.
    unsafe {
        match value {
            Some(value) => {
                (prelude.set_env)(name.as_ptr(), name.len(), value.as_ptr(), value.len());
            }
            None => (prelude.unset_env)(name.as_ptr(), name.len()),
        }
    }
}

/// What MPI does in this process; see the prelude's function. Null without the prelude.
pub fn mpi_state() -> serde_json::Value {
    let Some(prelude) = PRELUDE.get() else {
        return serde_json::Value::Null;
    };
    let mut text = vec![0; 4096];
    loop {
        // SAFETY: the text has room as said.
        let length = unsafe { (prelude.mpi_state)(text.as_mut_ptr(), text.len()) };
        if length <= text.len() {
            text.truncate(length);
            return serde_json::from_slice(&text).unwrap_or_default();
        }
        // More threads wait than there was room for.
        text.resize(length, 0);
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Identity {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
    })
}

fn open(path: &Path) -> anyhow::Result<*mut c_void> {
    let name = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: loading runs the library's initialisers, which is what is wanted here.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    anyhow::ensure!(
        !library.is_null(),
        "{} cannot be loaded: {}",
        path.display(),
        dl_error()
    );
    Ok(library)
}

/// A function of the prelude.
fn symbol<F: Copy>(library: *mut c_void, name: &str) -> anyhow::Result<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    let c_name = CString::new(name)?;
    // SAFETY: the handle comes from dlopen and the name is a C string.
    let address = unsafe { libc::dlsym(library, c_name.as_ptr()) };
    anyhow::ensure!(
        !address.is_null(),
        "the prelude lacks {name}: {}",
        dl_error()
    );
    // SAFETY: F is a function pointer (its size is checked), and the prelude defines the function
    // with this signature; both are built from one repository and compare versions at start.
    Ok(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&address) })
}

/// # Safety
/// `payload` must be readable for `length` bytes.
unsafe extern "C" fn send(kind: u32, payload: *const u8, length: usize) {
    // SAFETY: promised by the caller.
    let payload = unsafe { std::slice::from_raw_parts(payload, length) };
    let kind = match kind {
        1 => Kind::Display,
        2 => Kind::ClearOutput,
        3 => {
            // The panic hook runs on top of the stack that panicked.
            let mut report: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
            if report["frames"].is_null() {
                report["frames"] = serde_json::json!(backtrace::capture());
            }
            if let Some(copy) = kept::keep() {
                report["kept"] = serde_json::json!(copy);
            }
            channel::send(Kind::Panic, report.to_string().as_bytes());
            return;
        }
        4 => Kind::Report,
        5 => Kind::Value,
        _ => return,
    };
    channel::send(kind, payload);
}

/// # Safety
/// `prompt` must be readable and `out` writable for the lengths given.
unsafe extern "C" fn input(
    prompt: *const u8,
    prompt_length: usize,
    password: u32,
    out: *mut u8,
    capacity: usize,
) -> isize {
    // SAFETY: promised by the caller.
    let prompt = unsafe { std::slice::from_raw_parts(prompt, prompt_length) };
    let prompt = String::from_utf8_lossy(prompt);
    match channel::ask(&prompt, password != 0) {
        Ok(line) => {
            // SAFETY: promised by the caller.
            unsafe { give(&line, out, capacity) as isize }
        }
        Err(channel::NoInput::NotAllowed) => -1,
        Err(channel::NoInput::Interrupted) => -2,
    }
}

/// Writes a text, cut to what fits, and returns how many bytes.
///
/// # Safety
/// `out` must be writable for `capacity` bytes.
unsafe fn give(text: &str, out: *mut u8, capacity: usize) -> usize {
    let mut length = text.len().min(capacity);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    // SAFETY: `out` has room for `capacity` bytes and is not part of `text`.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, length) };
    length
}

/// # Safety
/// `file` must be readable and `out` writable for the lengths given.
unsafe extern "C" fn place_of(
    address: *const c_void,
    file: *const u8,
    file_length: usize,
    line: u32,
    out: *mut u8,
    capacity: usize,
) -> usize {
    // SAFETY: promised by the caller.
    let file = unsafe { std::slice::from_raw_parts(file, file_length) };
    let place = backtrace::cell_library_of(address as usize)
        .and_then(|library| locate::locate(&library, &String::from_utf8_lossy(file), line));
    // SAFETY: promised by the caller.
    place.map_or(0, |place| unsafe { give(&place, out, capacity) })
}

/// # Safety
/// `out` must be writable for `capacity` bytes.
unsafe extern "C" fn stack_of(thread: i32, out: *mut u8, capacity: usize) -> usize {
    let frames = profile::look_at(thread);
    if frames.is_empty() {
        return 0;
    }
    // SAFETY: promised by the caller.
    unsafe { give(&locate::locate_frames(&frames).join("\n"), out, capacity) }
}

/// # Safety
/// `svg` must be readable for `length` bytes; `take` may be called with `context` and bytes.
unsafe extern "C" fn render_png(
    svg: *const u8,
    length: usize,
    scale: f64,
    take: unsafe extern "C" fn(*mut c_void, *const u8, usize),
    context: *mut c_void,
) -> u32 {
    // SAFETY: promised by the caller.
    let svg = unsafe { std::slice::from_raw_parts(svg, length) };
    let svg = String::from_utf8_lossy(svg);
    // A panic of the renderer must not reach the caller, whose standard library is another one.
    let rendered = std::panic::catch_unwind(|| super::png::render(&svg, scale as f32));
    let rendered =
        rendered.unwrap_or_else(|_| Err("the renderer failed on this picture".to_owned()));
    let (is_picture, bytes) = match rendered {
        Ok(picture) => (1, picture),
        Err(why) => (0, why.into_bytes()),
    };
    // SAFETY: promised by the caller; the bytes live during the call.
    unsafe { take(context, bytes.as_ptr(), bytes.len()) };
    is_picture
}

extern "C" fn on_cell_thread() -> u32 {
    u32::from(channel::on_cell_thread())
}

extern "C" fn take_interrupt() -> u32 {
    u32::from(channel::take_interrupt())
}

extern "C" fn this_run() -> u64 {
    channel::current_run()
}

extern "C" fn enter_run(run: u64) -> u64 {
    channel::enter_run(run)
}
