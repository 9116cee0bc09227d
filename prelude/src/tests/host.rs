//! A worker that keeps the frames it is sent.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::rt::{ABI_VERSION, Host, PANIC, forkline_rt_start};

static FRAMES: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());
static TURN: Mutex<()> = Mutex::new(());

unsafe extern "C" fn send(kind: u32, payload: *const u8, len: usize) {
    // SAFETY: the library's promise for the time of the call.
    let payload = unsafe { std::slice::from_raw_parts(payload, len) };
    let payload = String::from_utf8(payload.to_vec()).expect("frames are UTF-8");
    if kind == PANIC {
        // The hook prints nothing; a failing test shall say why.
        eprintln!("{payload}");
    }
    FRAMES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((kind, payload));
}

/// Answers with the prompt; the prompts `deny` and `interrupt` do what they say.
unsafe extern "C" fn input(
    prompt: *const u8,
    prompt_len: usize,
    password: u32,
    out: *mut u8,
    cap: usize,
) -> isize {
    // SAFETY: the library's promise for the time of the call.
    let prompt = unsafe { std::slice::from_raw_parts(prompt, prompt_len) };
    match prompt {
        b"deny" => return -1,
        b"interrupt" => return -2,
        _ => {}
    }
    let answer = [
        if password == 1 {
            b"hidden "
        } else {
            b"answer "
        },
        prompt,
    ]
    .concat();
    assert!(answer.len() <= cap);
    // SAFETY: `out` takes `cap` bytes, and the answer is not longer.
    unsafe { out.copy_from_nonoverlapping(answer.as_ptr(), answer.len()) };
    answer.len() as isize
}

unsafe extern "C" fn on_cell_thread() -> u32 {
    1
}

std::thread_local! {
    static RUN: Cell<u64> = const { Cell::new(0) };
}

unsafe extern "C" fn this_run() -> u64 {
    RUN.get()
}

unsafe extern "C" fn enter_run(run: u64) -> u64 {
    RUN.replace(run)
}

/// Draws only `<ok/>`, whose bytes are those of the file.
unsafe extern "C" fn render_png(
    svg: *const u8,
    len: usize,
    scale: f64,
    take: unsafe extern "C" fn(*mut c_void, *const u8, usize),
    context: *mut c_void,
) -> u32 {
    // SAFETY: the library's promise for the time of the call.
    let svg = unsafe { std::slice::from_raw_parts(svg, len) };
    let is_drawn = scale > 0.0 && svg == b"<ok/>";
    let given = if is_drawn {
        svg
    } else {
        b"a test draws nothing"
    };
    // SAFETY: `take` is called once, during the call, with bytes that live as long.
    unsafe { take(context, given.as_ptr(), given.len()) };
    u32::from(is_drawn)
}

/// Nobody interrupts a test.
unsafe extern "C" fn take_interrupt() -> u32 {
    0
}

/// A test is no cell.
unsafe extern "C" fn locate(
    _address: *const c_void,
    _file: *const u8,
    _file_len: usize,
    _line: u32,
    _out: *mut u8,
    _cap: usize,
) -> usize {
    0
}

/// No thread of a test is in a cell.
unsafe extern "C" fn stack(_thread: i32, _out: *mut u8, _cap: usize) -> usize {
    0
}

static HOST: Host = Host {
    version: ABI_VERSION,
    send,
    input,
    on_cell_thread,
    this_run,
    enter_run,
    take_interrupt,
    render_png,
    locate,
    stack,
};

/// One test's turn with the worker: frames are of this test only.
pub struct Turn(#[allow(dead_code)] MutexGuard<'static, ()>);

/// Starts the library if that is to be done, waits for the other tests, and forgets their frames.
pub fn turn() -> Turn {
    static START: Once = Once::new();
    let turn = Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner));
    // SAFETY: `HOST` is a static.
    START.call_once(|| assert_eq!(unsafe { forkline_rt_start(&HOST) }, ABI_VERSION));
    turn.frames();
    turn
}

impl Turn {
    /// Takes the frames that have come.
    pub fn frames(&self) -> Vec<(u32, String)> {
        std::mem::take(&mut *FRAMES.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the only frame that has come.
    #[allow(dead_code)]
    pub fn frame(&self) -> (u32, String) {
        let mut frames = self.frames();
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0)
    }
}
