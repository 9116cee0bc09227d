//! `%%writefile`: the cell's text into a file.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};
use std::io::Write as _;

pub static WRITEFILE: Magic = Magic {
    name: "writefile",
    form: Form::Cell,
    usage: "%%writefile [-a] path",
    summary: "write the cell to a file, or append it with -a",
    details: "The file gets exactly the lines below the magic, with a newline at the end.",
    run,
};

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let (append, path) = match call.arguments.strip_prefix("-a ") {
        Some(path) => (true, path.trim()),
        None => (false, call.arguments),
    };
    let path = path.trim_matches(['"', '\'']);
    if path.is_empty() {
        return Err(CellError::new(
            "UsageError",
            "%%writefile: no path\nwhy: the file to write comes behind the magic\ndo:  %%writefile name.rs",
        ));
    }
    let mut text = call.body.unwrap_or_default().to_owned();
    // Front ends cut the last newline of a cell.
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let existed = std::path::Path::new(path).exists();
    std::fs::File::options()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            CellError::new(
                "FileError",
                format!(
                    "%%writefile {path}: the file cannot be written\n\
                     why: {error}\n\
                     do:  %pwd shows where relative paths begin; !mkdir -p makes folders"
                ),
            )
        })?;
    let what = match (append, existed) {
        (true, true) => "Appending to",
        (false, true) => "Overwriting",
        _ => "Writing",
    };
    context.print("stdout", &format!("{what} {path}\n"));
    Ok(())
}
