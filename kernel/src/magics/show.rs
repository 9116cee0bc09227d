//! `%%html`, `%%markdown`, `%%latex` and `%%svg`: the cell's text, shown in that form.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};

macro_rules! show {
    ($static:ident, $name:literal, $what:literal, $mime:literal) => {
        pub static $static: Magic = Magic {
            name: $name,
            form: Form::Cell,
            usage: concat!("%%", $name),
            summary: concat!("show the cell as ", $what),
            details: "",
            run: |context, call| show(context, $mime, call),
        };
    };
}

show!(HTML, "html", "HTML", "text/html");
show!(MARKDOWN, "markdown", "Markdown", "text/markdown");
show!(LATEX, "latex", "LaTeX", "text/latex");
show!(SVG, "svg", "an SVG picture", "image/svg+xml");

fn show(context: &mut CellContext<'_>, mime: &str, call: &Call<'_>) -> Result<(), CellError> {
    context.display(mime, call.body.unwrap_or_default());
    Ok(())
}
