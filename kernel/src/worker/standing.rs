//! Where this process stands at this moment, for the kernel's report of who waits for whom: the calls of MPI in which
//! threads wait, and the stack of the thread that runs cells.
//!
//! The thread that listens to the kernel answers, so a cell that waits for ever does not keep it from answering.
//! The cell's thread is looked at by a signal, which a system call that cannot be begun anew notices; so the
//! kernel asks for the stack only when the cell is about to end.

use super::{backtrace, blocked, prelude, profile};
use serde_json::{Value, json};
use std::time::Duration;

/// JSON: the question's token; whether MPI is `broken`; the calls of MPI (`mpi`: text, library, file, line, how long,
/// whether they give up); if the stack is asked for and none waits in MPI, the `frames` of the cell's thread (see
/// [`backtrace::capture`]) and whether it `waits`.
pub fn report(question: &[u8]) -> String {
    let (token, wants_stack) = match question {
        [token @ .., stack] if token.len() == 8 => (token, *stack == 1),
        _ => return json!({}).to_string(),
    };
    let token = token.try_into().map_or(0, u64::from_le_bytes);
    let state = prelude::mpi_state();
    let calls: Vec<Value> = state["standing"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| {
            let mut call = call.clone();
            // The file's name is a text in the library of the code that called.
            let address = call["address"].as_u64().unwrap_or_default();
            call["library"] = json!(backtrace::cell_library_of(address as usize));
            call
        })
        .collect();
    let mut report = json!({ "token": token, "broken": state["broken"], "mpi": calls });
    if wants_stack && calls_are_empty(&report) {
        let thread = blocked::cell_thread();
        // Before the signal, which a waiting thread answers by not waiting.
        report["waits"] = json!(waits(thread));
        report["frames"] = json!(profile::look_at(thread));
    }
    report.to_string()
}

/// A thread that waits may have been woken for a moment, by the launcher's signal for instance.
fn waits(thread: i32) -> bool {
    const LOOKS: u32 = 4;
    (0..LOOKS).any(|look| {
        if look > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        blocked::waits(thread)
    })
}

fn calls_are_empty(report: &Value) -> bool {
    report["mpi"].as_array().is_none_or(Vec::is_empty)
}
