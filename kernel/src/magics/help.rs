//! `%help` and `%lsmagic`: made of what the magics say about themselves.

use super::{ALL, Call, Form, Magic};
use crate::session::{CellContext, CellError};
use std::fmt::Write as _;

pub static HELP: Magic = Magic {
    name: "help",
    form: Form::Line,
    usage: "%help [magic]",
    summary: "what a cell can say beside Rust",
    details: "",
    run: help,
};

pub static LSMAGIC: Magic = Magic {
    name: "lsmagic",
    form: Form::Line,
    usage: "%lsmagic",
    summary: "list the names of all magics",
    details: "",
    run: lsmagic,
};

/// The help of one magic.
pub fn text(magic: &Magic) -> String {
    let mut text = format!("{}\n    {}\n", magic.usage, magic.summary);
    if !magic.details.is_empty() {
        let _ = writeln!(text, "    {}", magic.details);
    }
    text
}

fn help(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let name = call.arguments.trim_start_matches('%');
    if !name.is_empty() {
        let magic =
            super::find(name, false).or_else(|error| super::find(name, true).map_err(|_| error))?;
        context.print("stdout", &text(magic));
        return Ok(());
    }
    let mut text = String::from("magics (`//% name` and `//%% name` are the same):\n");
    let width = ALL.iter().map(|magic| magic.usage.len()).max().unwrap_or(0);
    for magic in ALL {
        let _ = writeln!(text, "  {:width$}  {}", magic.usage, magic.summary);
    }
    text.push_str(
        "\nin cells:\n  \
         !command             run a shell command\n  \
         ?path                documentation, for instance ?Vec::push\n  \
         :help                the commands of evcxr, such as :dep regex = \"1\"\n  \
         use forkline::prelude::*   is in effect: rayon, crossbeam, tokio, display, device::info()\n",
    );
    context.print("stdout", &text);
    Ok(())
}

fn lsmagic(context: &mut CellContext<'_>, _: &Call<'_>) -> Result<(), CellError> {
    let list = |sign: &str, is_cell| {
        let names = super::names(is_cell);
        let names: Vec<String> = names.iter().map(|name| format!("{sign}{name}")).collect();
        names.join("  ")
    };
    debug_assert!(ALL.iter().any(|magic| magic.form == Form::Both));
    context.print(
        "stdout",
        &format!(
            "line magics:\n{}\n\ncell magics:\n{}\n\n%help says what they do.\n",
            list("%", false),
            list("%%", true)
        ),
    );
    Ok(())
}
