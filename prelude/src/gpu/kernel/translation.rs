//! The translator: opened at the first launch, asked once for each kernel and language.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Definition;
use super::interface::{CUDA, ENTRY, OPENCL, Order, Table, Text, VERSION};
use crate::gpu::device::Dialect;
use crate::gpu::error::{self, GpuError, GpuResult};
use crate::plugin::{self, Fault};
use crate::rt;

/// A kernel in one of the languages.
#[derive(Debug)]
pub(super) struct Translation {
    /// The kernel's name in the cell.
    pub of: &'static Definition,
    pub text: String,
    /// Its name in the text.
    pub name: String,
    pub has_barrier: bool,
    pub needs_f64: bool,
    /// What it notes faults under.
    pub id: u32,
    pub sites: Vec<Site>,
    /// For each line of the text that of the macro's which it comes from, 0 for none.
    lines: Vec<u32>,
    /// Whether lines are those of the cell; else of the macro's words on one line.
    is_from_file: bool,
}

/// Where something may go wrong in a kernel.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub kind: String,
    line: u32,
    /// The slice, as the kernel calls it.
    pub name: String,
}

fn table() -> GpuResult<&'static Table> {
    static TABLE: OnceLock<Result<&'static Table, String>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let open = || {
            let path = plugin::find("libforkline_translate.so", "FORKLINE_TRANSLATOR")?;
            // SAFETY: the translator defines this function so.
            unsafe { plugin::table(&path, false, ENTRY, VERSION) }
        };
        open().map_err(|fault| match fault {
            Fault::Named { variable, path } => {
                format!("{variable} names {}, which does not exist", path.display())
            }
            Fault::NotBuilt => "it has not been built".to_owned(),
            Fault::NotLoaded(text) => format!("it does not load: {text}"),
            Fault::NoPlugin { path, text } => format!("{} is none: {text}", path.display()),
            Fault::Version => "it is of another version of forkline".to_owned(),
        })
    });
    table.as_ref().copied().map_err(|why| GpuError::Kernel {
        name: "kernel!".to_owned(),
        what: "the translator of kernels is missing".to_owned(),
        why: why.clone(),
        cure: "forkline template builds it; then restart the kernel".to_owned(),
    })
}

/// A kernel in a language, translated at the first call.
///
/// # Errors
/// It holds what no device can do; there is no translator.
pub(super) fn translation(
    of: &'static Definition,
    dialect: Dialect,
) -> GpuResult<Arc<Translation>> {
    type Known = HashMap<(&'static str, &'static str, Dialect, (u32, u32)), Arc<Translation>>;
    static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
    let at = (of.location.line(), of.location.column());
    let key = (of.tokens, of.name, dialect, at);
    let known = KNOWN.get_or_init(Mutex::default);
    if let Some(found) = known
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
    {
        // A cell that is run again has the same words in a library of its own, whose place is told then.
        if std::ptr::eq(found.of, of) {
            return Ok(Arc::clone(found));
        }
    }
    let translation = Arc::new(translate(of, dialect)?);
    super::faults::register(&translation);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(key, Arc::clone(&translation));
    Ok(translation)
}

fn translate(of: &'static Definition, dialect: Dialect) -> GpuResult<Translation> {
    let table = table()?;
    let file = from_call(of).unwrap_or_default();
    let order = Order {
        tokens: Text::of(of.tokens),
        file: Text::of(&file),
        kernel: Text::of(of.name),
        dialect: match dialect {
            Dialect::Cuda => CUDA,
            Dialect::OpenCl => OPENCL,
        },
    };
    // SAFETY: the texts live during the call; the answer is given back once it is copied.
    let answer = unsafe {
        let answer = (table.translate)(order);
        let copy = String::from_utf8_lossy(answer.bytes()).into_owned();
        (table.free)(answer);
        copy
    };
    read(of, &answer)
}

/// The file from the call of `kernel!` on, if it can be read. In a session it is the source of the cell that was compiled last,
/// which is the one that runs; the translator compares the words.
fn from_call(of: &Definition) -> Option<String> {
    let name = of.location.file();
    let session = std::env::var_os("EVCXR_TMPDIR").map(std::path::PathBuf::from);
    // Paths are those of the workspace; tests run in a package's folder, one below.
    let folders = [session, Some("".into()), Some("..".into())];
    let read = |folder: std::path::PathBuf| std::fs::read_to_string(folder.join(name)).ok();
    let text = folders.into_iter().flatten().find_map(read)?;
    let line = of.location.line() as usize;
    let before: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let column = text[before..]
        .char_indices()
        .nth(of.location.column() as usize - 1)?
        .0;
    // Blanks, so that columns are the file's.
    let indent = " ".repeat(of.location.column() as usize - 1);
    Some(indent + &text[before + column..])
}

fn read(of: &'static Definition, answer: &str) -> GpuResult<Translation> {
    let mut translation = Translation {
        of,
        text: String::new(),
        name: String::new(),
        has_barrier: false,
        needs_f64: false,
        id: 0,
        sites: Vec::new(),
        lines: Vec::new(),
        is_from_file: false,
    };
    let (head, text) = answer.split_once("\n\n").unwrap_or((answer, ""));
    translation.text = text.to_owned();
    for line in head.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        match fields.as_slice() {
            ["error", line, column, is_from_file, words] => {
                let column = (*is_from_file == "true").then_some(*column);
                return Err(refusal(of, line.parse().unwrap_or(1), column, words));
            }
            ["kernel", name, id] => {
                translation.name = (*name).to_owned();
                translation.id = id.parse().unwrap_or(0);
            }
            ["barrier"] => translation.has_barrier = true,
            ["f64"] => translation.needs_f64 = true,
            ["lines", lines] => {
                let lines = lines.split(' ').map(|line| line.parse().unwrap_or(0));
                translation.lines = lines.collect();
            }
            ["source", from] => translation.is_from_file = *from == "file",
            ["site", kind, line, _, name] => translation.sites.push(Site {
                kind: (*kind).to_owned(),
                line: line.parse().unwrap_or(1),
                name: (*name).to_owned(),
            }),
            _ => {}
        }
    }
    Ok(translation)
}

fn refusal(of: &Definition, line: u32, column: Option<&str>, words: &str) -> GpuError {
    // Without the file all words are the call's line.
    let further = if column.is_some() { line - 1 } else { 0 };
    let place = rt::place_at(of.location, of.location.line() + further);
    let place = match column {
        Some(column) => format!("{place}, column {column}"),
        None => place,
    };
    let (why, cure) = words.split_once(": ").unwrap_or((
        words,
        "do this part on the host, or write it in another way",
    ));
    GpuError::Kernel {
        name: format!("kernel {}", of.name),
        what: format!("cannot run on a device ({place})"),
        why: why.to_owned(),
        cure: cure.to_owned(),
    }
}

impl Translation {
    /// The place of a site: `cell [3], line 2`.
    pub(super) fn place(&self, site: &Site) -> String {
        self.place_of(site.line)
    }

    fn place_of(&self, line: u32) -> String {
        let of = self.of.location;
        let further = if self.is_from_file { line - 1 } else { 0 };
        rt::place_at(of, of.line() + further)
    }

    /// The compiler's refusal of the text, with the cell's lines in place of the text's. Other errors stay as they are.
    pub(super) fn refused(&self, error: GpuError) -> GpuError {
        let GpuError::Compile { device, log, .. } = &error else {
            return error;
        };
        let complaints: Vec<(Option<usize>, &str)> = log
            .lines()
            .filter(|line| line.contains("error"))
            .map(|line| (error::named_line(line), line.trim()))
            .collect();
        let mut places: Vec<String> = Vec::new();
        for (number, _) in &complaints {
            let line = number.and_then(|number| self.lines.get(number.checked_sub(1)?));
            let place = line
                .filter(|line| **line > 0)
                .map(|line| self.place_of(*line));
            places.extend(place.filter(|place| !places.contains(place)));
        }
        let at = match places.is_empty() {
            true => rt::place(self.of.location),
            false => places.join(", "),
        };
        GpuError::Kernel {
            name: format!("kernel {}", self.of.name),
            what: format!("what became of it does not compile for {device} ({at})"),
            why: complaints
                .first()
                .map_or_else(|| log.trim().to_owned(), |(_, words)| (*words).to_owned()),
            cure: format!(
                "write these lines in another way; {}::source(gpu::Dialect::{:?})? shows the text that the compiler saw",
                self.of.name,
                device.dialect().unwrap_or(Dialect::OpenCl)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::device;

    #[test]
    fn a_compilers_words_lead_to_the_line_that_the_text_comes_from() {
        static OF: Definition = Definition {
            name: "f",
            tokens: "fn f() {}",
            location: std::panic::Location::caller(),
            form: |_| (),
        };
        let answer = "source\tfile\nkernel\tkernel_f\t7\nlines\t0 3 4\n\na\nb\nc\n";
        let translation = read(&OF, answer).unwrap();
        let log = "<program>:3:5: error: no such word\n<program>:2:1: warning: unused";
        let refused = translation.refused(GpuError::Compile {
            device: device::device("rayon").unwrap(),
            name: "f".to_owned(),
            log: log.to_owned(),
            source: String::new(),
        });
        let words = refused.to_string();
        assert!(words.contains("no such word"), "{words}");
        let line = OF.location.line() + 3;
        assert!(
            words.contains(&format!(":{line})")) || words.contains(&format!("line {line}")),
            "{words}"
        );
        assert!(words.contains("f::source"), "{words}");
    }
}
