//! What a cell can say beside Rust: `%name`, `%%name`, `!command`, `?path`.
//!
//! Each magic lives in a file of its own, with its help text; `%help` is made of these. To add one,
//! write a file with a [`Magic`] and name it in [`ALL`]; `cd` is a good model.
//!
//! A cell is cut into parts at its magic lines, and the parts run in order. The Rust parts keep
//! their line numbers. evcxr's commands (`:dep` and its like) go to evcxr as they are.

mod cd;
mod compiler;
mod debug;
mod env;
mod gpu;
mod help;
mod jobs;
mod load;
mod mpi;
mod parse;
mod profile;
mod shell;
mod show;
mod shuttle;
mod test;
mod time;
mod timeit;
mod who;
mod writefile;

use crate::session::{CellContext, CellError};
use parse::{Cell, Part};
pub use parse::{is_magic_cell, is_question, without_magics};
pub use time::readable;

/// Where a magic may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `%name arguments`
    Line,
    /// `%%name arguments` on the first line; the rest of the cell is its text.
    Cell,
    Both,
}

/// One magic.
pub struct Magic {
    pub name: &'static str,
    pub form: Form,
    /// How it is written, for instance `%cd [folder]`.
    pub usage: &'static str,
    /// One line.
    pub summary: &'static str,
    /// More, if one line does not say it all.
    pub details: &'static str,
    pub run: fn(&mut CellContext<'_>, &Call<'_>) -> Result<(), CellError>,
}

/// A magic as it was written.
pub struct Call<'a> {
    pub arguments: &'a str,
    /// The rest of the cell, for `%%name`.
    pub body: Option<&'a str>,
    /// Line of the magic in the cell, from 1.
    pub line: usize,
}

impl Call<'_> {
    /// The body or the arguments as code whose lines are those of the cell.
    pub fn code(&self) -> String {
        match self.body {
            Some(body) => "\n".repeat(self.line) + body,
            None => "\n".repeat(self.line - 1) + self.arguments,
        }
    }
}

/// All magics, in the order in which `%lsmagic` lists them.
pub static ALL: &[&Magic] = &[
    &help::HELP,
    &help::LSMAGIC,
    &who::WHO,
    &who::WHOS,
    &time::TIME,
    &timeit::TIMEIT,
    &timeit::BENCH,
    &profile::PROFILE,
    &debug::DEBUG,
    &test::TEST,
    &shuttle::SHUTTLE,
    &mpi::MPI,
    &load::LOAD,
    &gpu::DEVICE,
    &gpu::GPUPROF,
    &jobs::JOBS,
    &jobs::STOP,
    &compiler::OPT,
    &compiler::CHECKS,
    &compiler::CACHE,
    &env::ENV,
    &cd::CD,
    &cd::PWD,
    &writefile::WRITEFILE,
    &shell::BASH,
    &shell::SH,
    &show::HTML,
    &show::MARKDOWN,
    &show::LATEX,
    &show::SVG,
];

/// Runs a cell.
///
/// # Errors
/// What the front end is to show; parts after a failed one do not run.
pub fn run(context: &mut CellContext<'_>, cell: &str) -> Result<(), CellError> {
    match parse::parse(cell) {
        Cell::Magic { name, call } => {
            let magic = find(name, true)?;
            (magic.run)(context, &call)
        }
        Cell::Describe(path) => describe_path(context, path),
        Cell::Parts(parts) => {
            for part in parts {
                match part {
                    Part::Code(text) => context.run_code(&text)?,
                    Part::Magic { name, call } => {
                        let magic = find(name, false)?;
                        (magic.run)(context, &call)?;
                    }
                    Part::Shell(command) => shell::run(context, command)?,
                    Part::Quit => context.end_kernel(),
                }
                if context.interrupted() {
                    return Err(CellError::new("Interrupted", "the cell was interrupted"));
                }
            }
            Ok(())
        }
    }
}

/// Names that may follow `%` or, for `is_cell`, `%%`.
pub fn names(is_cell: bool) -> Vec<&'static str> {
    ALL.iter()
        .filter(|magic| fits(magic, is_cell))
        .map(|magic| magic.name)
        .collect()
}

fn fits(magic: &Magic, is_cell: bool) -> bool {
    magic.form == Form::Both || (magic.form == Form::Cell) == is_cell
}

fn find(name: &str, is_cell: bool) -> Result<&'static Magic, CellError> {
    let sign = if is_cell { "%%" } else { "%" };
    if let Some(magic) = ALL
        .iter()
        .find(|magic| magic.name == name && fits(magic, is_cell))
    {
        return Ok(magic);
    }
    let other = ALL.iter().find(|magic| magic.name == name);
    let (why, instead) = match other {
        Some(magic) => (
            format!("{name} exists, but is written {}", magic.usage),
            magic.usage.to_owned(),
        ),
        None => {
            let mut near: Vec<&&Magic> = ALL.iter().filter(|magic| fits(magic, is_cell)).collect();
            near.sort_by_key(|magic| distance(name, magic.name));
            let near: Vec<String> = near
                .iter()
                .take_while(|magic| distance(name, magic.name) <= 2.max(name.len() / 3))
                .take(3)
                .map(|magic| format!("{sign}{}", magic.name))
                .collect();
            let do_this = if near.is_empty() {
                "%lsmagic    (lists all magics)".to_owned()
            } else {
                format!(
                    "did you mean {}?    %lsmagic lists all magics",
                    near.join(" or ")
                )
            };
            ("there is no magic of that name".to_owned(), do_this)
        }
    };
    Err(CellError::new(
        "UnknownMagic",
        format!("{sign}{name}: unknown magic\nwhy: {why}\ndo:  {instead}"),
    ))
}

/// How many letters must be changed, added or removed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

fn describe_path(context: &mut CellContext<'_>, path: &str) -> Result<(), CellError> {
    match context.describe(path) {
        Some(data) => {
            context.page(data);
            Ok(())
        }
        None => Err(CellError::new(
            "NotFound",
            format!(
                "?{path}: nothing is known about it\n\
                 why: no item, variable or magic of that name is in scope\n\
                 do:  write its whole path, for instance ?std::sync::Mutex::lock"
            ),
        )),
    }
}

/// The help of the magic whose name is at a byte position.
pub fn describe(code: &str, position: usize) -> Option<String> {
    let line_start = code[..position]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = code[line_start..].lines().next()?.trim_start();
    let line = line.strip_prefix("//").unwrap_or(line);
    let name = line.strip_prefix("%%").or_else(|| line.strip_prefix('%'))?;
    let name = name.split_whitespace().next()?;
    let magic = ALL.iter().find(|magic| magic.name == name)?;
    Some(help::text(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_magic_names_its_neighbours() {
        let error = find("whoz", false).err().unwrap();
        assert!(error.traceback[0].contains("%whos"), "{error:?}");
        let error = find("writefile", false).err().unwrap();
        assert!(error.traceback[0].contains("%%writefile"), "{error:?}");
        assert!(find("xyzzyx", false).err().unwrap().traceback[0].contains("%lsmagic"));
    }

    #[test]
    fn distances_are_levenshteins() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn every_magic_has_its_help() {
        for magic in ALL {
            assert!(magic.usage.contains(magic.name), "{}", magic.name);
            assert!(!magic.summary.is_empty() && !magic.summary.ends_with('.'));
        }
    }
}
