//! Kernels from Rust to OpenCL C and CUDA C.
//!
//! The text of a `kernel!` goes in; out comes the text of one of its functions as a kernel, with what its host must know:
//! the places where it checks an index, the source line of each line, whether it waits at a barrier. There is no driver
//! here, and nothing is compiled.
//!
//! What always holds: a text that comes out compiles, or this has a bug; one that does not come out is an error with line
//! and column; the same text gives the same answer.
//!
//! * `types`     types and how they are found
//! * `ir`        the tree between `check` and `emit`
//! * `check`     from syn's tree to that one
//! * `emit`      from that one to the text
//! * `source`    the text as it stands in a file
//! * `interface` the C interface, a file of the prelude's

mod check;
mod emit;
mod entry;
#[allow(dead_code, reason = "the prelude uses the rest")]
#[path = "../../../src/gpu/kernel/interface.rs"]
mod interface;
mod ir;
mod source;
mod types;

pub use emit::{Site, SiteKind};
pub use ir::{Error, Place};
pub use source::between_braces;

use syn::parse::Parser as _;

/// The language of a kernel's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenCl,
    Cuda,
}

/// A kernel's text and what its host must know.
#[derive(Debug)]
pub struct Kernel {
    pub text: String,
    /// What the kernel calls itself when it notes a fault.
    pub id: u32,
    /// The name of the kernel in the text.
    pub name: String,
    /// The places where something may go wrong, by the number that the kernel notes.
    pub sites: Vec<Site>,
    /// For each line of the text the line of the source that it comes from, 0 for none.
    pub lines: Vec<usize>,
    pub has_barrier: bool,
    pub local_bytes: u64,
    pub needs_f64: bool,
}

/// Translates one function of a `kernel!`.
///
/// # Errors
/// It holds what no device can do.
pub fn translate(source: &str, kernel: &str, dialect: Dialect) -> Result<Kernel, Error> {
    let items = parse(source)?;
    let functions = check::check(&items, kernel)?;
    let has_barrier = functions.last().is_some_and(|kernel| kernel.has_barrier);
    let text = emit::print(&functions, dialect);
    Ok(Kernel {
        text: text.text,
        id: text.id,
        name: format!("kernel_{kernel}"),
        sites: text.sites,
        lines: text.lines,
        has_barrier,
        local_bytes: text.local_bytes,
        needs_f64: text.needs_f64,
    })
}

fn parse(source: &str) -> Result<Vec<syn::Item>, Error> {
    let items = |input: syn::parse::ParseStream| {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(input.parse()?);
        }
        Ok(items)
    };
    items.parse_str(source).map_err(|error| {
        let start = error.span().start();
        Error {
            place: Place {
                line: start.line,
                column: start.column + 1,
            },
            text: error.to_string(),
        }
    })
}

#[cfg(test)]
mod tests;
