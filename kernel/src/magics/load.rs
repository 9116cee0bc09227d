//! `%load`: crates that are compiled already.

use super::{Call, Form, Magic};
use crate::engine::drivers;
use crate::engine::packs::{self, Pack};

use crate::session::{CellContext, CellError};
use std::process::Command;

pub static LOAD: Magic = Magic {
    name: "load",
    form: Form::Line,
    usage: "%load [pack …]",
    summary: "bring a pack of crates that is compiled once for all sessions; alone it lists them",
    details: "As `:dep` for each of its crates, in seconds: what is compiled is taken over, and no network is needed. \
              The first `%load` of a pack on a machine builds it, and so does `forkline pack NAME` before.",
    run: load,
};

fn load(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    if call.arguments.trim().is_empty() {
        context.print("stdout", &packs::list());
        return Ok(());
    }
    let packs: Vec<&Pack> = call
        .arguments
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .map(|name| packs::find(name).ok_or_else(|| unknown(name)))
        .collect::<Result<_, _>>()?;
    for pack in packs {
        if let Some((why, cure)) = pack.driver.and_then(drivers::missing) {
            return Err(failed(pack, &why, cure));
        }
        if !pack.is_built() {
            build(context, pack)?;
        }
        let session = context.session_file("");
        pack.join(&session).map_err(|error| {
            failed(
                pack,
                &format!("{error:#}"),
                "free some space, then %load again",
            )
        })?;
        context.run_code(&("\n".repeat(call.line - 1) + &pack.lines()))?;
    }
    Ok(())
}

/// In a process of its own, which an interrupt ends.
fn build(context: &mut CellContext<'_>, pack: &Pack) -> Result<(), CellError> {
    let program = std::env::current_exe().map_err(|error| {
        failed(
            pack,
            &error.to_string(),
            "install forkline again, then restart the kernel",
        )
    })?;
    let what = format!("building the pack {}", pack.name);
    context.run_program(&what, Command::new(program).args(["pack", pack.name]), None)
}

fn unknown(name: &str) -> CellError {
    let names: Vec<_> = packs::ALL.iter().map(|pack| pack.name).collect();
    CellError::new(
        "UsageError",
        format!(
            "%load {name}: there is no such pack\nwhy: packs are {}\n\
             do:  any crate can be brought by :dep {name} = \"…\"",
            names.join(", ")
        ),
    )
}

fn failed(pack: &Pack, why: &str, cure: &str) -> CellError {
    let text = format!(
        "%load {}: the pack cannot be used here\nwhy: {why}\ndo:  {cure}",
        pack.name
    );
    CellError::new("PackError", text)
}
