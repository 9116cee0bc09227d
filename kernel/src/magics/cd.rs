//! `%cd` and `%pwd`: the current folder of the kernel and its cells.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};
use std::path::PathBuf;

pub static CD: Magic = Magic {
    name: "cd",
    form: Form::Line,
    usage: "%cd [folder]",
    summary: "change the current folder; without one, go home",
    details: "Cells, programs they start and relative paths of :dep see the change at once.",
    run: cd,
};

pub static PWD: Magic = Magic {
    name: "pwd",
    form: Form::Line,
    usage: "%pwd",
    summary: "print the current folder",
    details: "",
    run: |context, _| print(context),
};

fn cd(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let home = || {
        std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default()
    };
    let wanted = call.arguments.trim_matches(['"', '\'']);
    let dir = match wanted.strip_prefix('~') {
        _ if wanted.is_empty() => home(),
        Some(rest) => home().join(rest.trim_start_matches('/')),
        None => PathBuf::from(wanted),
    };
    context.change_dir(&dir).map_err(|error| {
        CellError::new(
            "FolderError",
            format!(
                "%cd {wanted}: the folder cannot be entered\n\
                 why: {error}\n\
                 do:  %pwd and !ls show where you are and what is there"
            ),
        )
    })?;
    print(context)
}

fn print(context: &mut CellContext<'_>) -> Result<(), CellError> {
    let dir = std::env::current_dir().map_err(|error| {
        CellError::new(
            "FolderError",
            format!("the current folder is gone\nwhy: {error}\ndo:  %cd to another"),
        )
    })?;
    context.print("stdout", &format!("{}\n", dir.display()));
    Ok(())
}
