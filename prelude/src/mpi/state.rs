//! What a monitor outside of this library may ask of a rank, by C functions: whether MPI runs, and where it waits.

use std::thread;
use std::time::Duration;

use super::{library, wait};
use crate::json;

/// Writes, as JSON, whether MPI was started here, whether an interrupt broke it, and in which calls threads of this rank
/// wait: `{"started":true,"broken":false,"standing":[{"call":"recv from rank 1, tag 0","file":…,"address":…,"line":…,
/// "seconds":2.5,"gives_up":false}]}`. The address is that of the file's name, which lies in the library of the code that
/// called; a wait that gives up has a deadline. At most `capacity` bytes; returns the length of the whole text. Any
/// thread may ask at any time.
///
/// # Safety
/// `out` is valid for `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forkline_mpi_state(out: *mut u8, capacity: usize) -> usize {
    let text = text();
    let length = text.len().min(capacity);
    // SAFETY: the caller promises the room.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, length) };
    text.len()
}

pub(super) fn text() -> String {
    let standing: Vec<String> = wait::standing()
        .iter()
        .map(|standing| {
            let call = &standing.call;
            let file = call.location.file();
            json::object([
                ("call", json::string(&call.what())),
                ("file", json::string(file)),
                ("address", (file.as_ptr() as usize).to_string()),
                ("line", call.location.line().to_string()),
                ("gives_up", standing.gives_up.to_string()),
                (
                    "seconds",
                    format!("{:.3}", standing.since.elapsed().as_secs_f64()),
                ),
            ])
        })
        .collect();
    json::object([
        ("started", library::is_started().to_string()),
        ("broken", library::is_broken().to_string()),
        ("standing", format!("[{}]", standing.join(","))),
    ])
}

/// Ends MPI in this rank, for a worker that ends without `exit`. 1 if it ended within the time, in seconds, or was
/// never started; else 0.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_mpi_end(seconds: f64) -> u32 {
    if !library::is_started() || library::is_closed() {
        return u32::from(!library::is_broken());
    }
    let (done, waiting) = std::sync::mpsc::channel();
    let ended = thread::Builder::new().spawn(move || {
        let _nobody_waits_any_more = done.send(library::finalize().is_ok());
    });
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(5));
    u32::from(ended.is_ok() && waiting.recv_timeout(time) == Ok(true))
}
