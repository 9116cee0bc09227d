//! `!command`, `%%bash` and `%%sh`: programs outside Rust, their output shown as it comes.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};
use std::process::Command;

pub static BASH: Magic = Magic {
    name: "bash",
    form: Form::Cell,
    usage: "%%bash [arguments]",
    summary: "run the cell with bash",
    details: "Its output is shown as it comes; a status other than 0 fails the cell.",
    run: |context, call| script(context, "bash", call),
};

pub static SH: Magic = Magic {
    name: "sh",
    form: Form::Cell,
    usage: "%%sh [arguments]",
    summary: "run the cell with sh",
    details: "Its output is shown as it comes; a status other than 0 fails the cell.",
    run: |context, call| script(context, "sh", call),
};

/// Runs the command behind a `!`.
pub fn run(context: &mut CellContext<'_>, command: &str) -> Result<(), CellError> {
    context.run_program(
        &format!("!{command}"),
        Command::new("sh").arg("-c").arg(command),
        None,
    )
}

fn script(context: &mut CellContext<'_>, program: &str, call: &Call<'_>) -> Result<(), CellError> {
    // The text comes by the standard input, as IPython does it, so it has no limit of length.
    let arguments = call.arguments.split_whitespace();
    context.run_program(
        &format!("%%{program}"),
        Command::new(program).arg("-s").args(arguments),
        Some(call.body.unwrap_or_default()),
    )
}
