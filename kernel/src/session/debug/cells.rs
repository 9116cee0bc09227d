//! The cells as the debugger's front end knows them: files, named by a digest of their text.
//!
//! The front end makes the same name from the same text, so the digest is part of the protocol: MurmurHash2 of the
//! UTF-8 text.

use super::adapter::lock;
use crate::engine::{DebugSource, Place};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What the front end must begin its digests with.
pub const SEED: u32 = 0xc70f_6907;
/// What the names of all cells' files begin with. JupyterLab has names of cells, in place of paths, for files that have
/// this word in them only.
const PREFIX: &str = "ipykernel_";
/// How the names of all cells' files end.
pub const SUFFIX: &str = ".rs";
/// How many compiled sources are kept.
const SOURCES: usize = 256;

/// See the module's text.
pub struct Cells {
    dir: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// File and text of each cell, by execution count.
    cells: HashMap<usize, Text>,
    /// The cell that was begun last.
    latest: usize,
    /// What was compiled for the debugger; the latest last.
    sources: VecDeque<DebugSource>,
}

/// One cell's file and what is in it.
#[derive(Clone)]
pub struct Text {
    pub file: String,
    pub text: String,
}

impl Cells {
    /// Files lie in this folder, which need not be there yet.
    pub fn new(dir: PathBuf) -> Cells {
        Cells {
            dir,
            known: Mutex::default(),
        }
    }

    /// What all names begin with.
    pub fn prefix(&self) -> String {
        format!("{}/{PREFIX}", self.dir.display())
    }

    /// The file of a text.
    pub fn file_of(&self, code: &str) -> String {
        format!(
            "{}{}{SUFFIX}",
            self.prefix(),
            murmur2(code.as_bytes(), SEED)
        )
    }

    /// Writes a cell's text into its file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn dump(&self, code: &str) -> std::io::Result<String> {
        let file = self.file_of(code);
        std::fs::create_dir_all(&self.dir)?;
        std::fs::write(&file, code)?;
        Ok(file)
    }

    /// Whether a file is one of these.
    pub fn is_cell(&self, file: &str) -> bool {
        file.starts_with(&self.prefix()) && Path::new(file).parent() == Some(&self.dir)
    }

    /// The cells that are in compiled sources: number and file, in the order of their numbers.
    pub fn list(&self) -> Vec<(usize, String)> {
        let known = lock(&self.known);
        let places = known.sources.iter().flat_map(|source| &source.places);
        let numbers: BTreeSet<usize> = places.flatten().map(|place| place.cell).collect();
        let file = |number| Some((number, known.cells.get(&number)?.file.clone()));
        numbers.into_iter().filter_map(file).collect()
    }

    /// A cell is about to run.
    pub fn begin(&self, number: usize, code: &str) {
        let file = self.file_of(code);
        let text = code.to_owned();
        let mut known = lock(&self.known);
        known.cells.insert(number, Text { file, text });
        known.latest = number;
    }

    /// The cell of a number.
    pub fn get(&self, number: usize) -> Option<Text> {
        lock(&self.known).cells.get(&number).cloned()
    }

    /// The number of the cell that was begun last; 0 before the first.
    pub fn latest(&self) -> usize {
        lock(&self.known).latest
    }

    /// Number and text of a file's cell; the latest, if several had the same text.
    pub fn of_file(&self, file: &str) -> Option<(usize, String)> {
        let known = lock(&self.known);
        let found = known.cells.iter().filter(|(_, cell)| cell.file == file);
        let (number, cell) = found.max_by_key(|(number, _)| **number)?;
        Some((*number, cell.text.clone()))
    }

    /// Cell and line where a function of this name is defined; the latest.
    pub fn function(&self, name: &str) -> Option<(usize, usize)> {
        let is_definition = |line: &str| {
            let mut words = line.split(|char: char| !(char.is_alphanumeric() || char == '_'));
            words.any(|word| word == "fn") && words.next() == Some(name)
        };
        let known = lock(&self.known);
        let lines = known.cells.iter().flat_map(|(number, cell)| {
            let lines = (1..).zip(cell.text.lines());
            lines.map(move |(line, text)| (*number, line, text))
        });
        lines
            .filter(|(_, _, text)| is_definition(text))
            .map(|(number, line, _)| (number, line))
            .max_by_key(|(number, _)| *number)
    }

    /// Where the statements of the cell in progress begin in a compiled source: the line there, and that of the cell.
    pub fn first_statement(&self, source: &str) -> Option<(usize, usize)> {
        let known = lock(&self.known);
        let cell = known.cells.get(&known.latest)?;
        let lines: Vec<&str> = cell.text.lines().collect();
        let source = known.sources.iter().rfind(|known| known.path == source)?;
        (1..).zip(&source.places).find_map(|(compiled, place)| {
            let place = place.as_ref()?;
            let is_statement = place.cell == known.latest
                && !place.in_item
                && has_code(lines.get(place.line.checked_sub(1)?)?);
            is_statement.then_some((compiled, place.line))
        })
    }

    /// A source was compiled.
    pub fn add(&self, source: DebugSource) {
        let mut known = lock(&self.known);
        known.sources.push_back(source);
        if known.sources.len() > SOURCES {
            known.sources.pop_front();
        }
    }

    /// The lines of compiled sources that belong to a line of a cell's file, by source. Every source that has
    /// any line of the file is there.
    pub fn compiled_lines(&self, file: &str) -> Vec<(String, Vec<(usize, usize)>)> {
        let known = lock(&self.known);
        let of_file = |place: &Option<Place>| {
            let place = place.as_ref()?;
            (known.cells.get(&place.cell)?.file == file).then_some(place.line)
        };
        let mut found = Vec::new();
        for source in &known.sources {
            let lines: Vec<(usize, usize)> = (1..)
                .zip(&source.places)
                .filter_map(|(line, place)| Some((of_file(place)?, line)))
                .collect();
            if !lines.is_empty() {
                found.push((source.path.clone(), lines));
            }
        }
        found
    }

    /// The files of which a compiled source has lines.
    pub fn files_in(&self, source: &str) -> Vec<String> {
        let known = lock(&self.known);
        let mut files: Vec<String> = known
            .sources
            .iter()
            .filter(|known| known.path == source)
            .flat_map(|source| source.places.iter().flatten())
            .filter_map(|place| known.cells.get(&place.cell))
            .map(|cell| cell.file.clone())
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// Cell, its file and the line there, of a line of a compiled source.
    pub fn place(&self, source: &str, line: usize) -> Option<(usize, String, usize)> {
        let known = lock(&self.known);
        let source = known.sources.iter().rfind(|known| known.path == source)?;
        let place = source.places.get(line.checked_sub(1)?).copied()??;
        let file = known.cells.get(&place.cell)?.file.clone();
        Some((place.cell, file, place.line))
    }
}

/// Whether a line has more than blanks, a comment or the end of a block.
pub fn has_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//") && !line.chars().all(|char| "})];".contains(char))
}

/// MurmurHash2 with 32 bits.
fn murmur2(bytes: &[u8], seed: u32) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    let mut hash = seed ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        word = word.wrapping_mul(FACTOR);
        word ^= word >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_reference() {
        assert_eq!(murmur2(b"", 0), 0);
        assert_eq!(murmur2(b"", 1), 0x5bd1_5e36);
        // As the tests' own implementation has it, which is another.
        let text = "let s = \"é\";";
        assert_eq!(murmur2(text.as_bytes(), SEED), 0xcd6d_0955);
    }

    #[test]
    fn lines_lead_to_the_cell_and_back() {
        let cells = Cells::new("/d".into());
        cells.begin(3, "a();\nb();");
        let place = |line| Place {
            cell: 3,
            line,
            in_item: false,
        };
        cells.add(DebugSource {
            path: "/s/cell_1.rs".to_owned(),
            places: vec![None, Some(place(1)), None, Some(place(2))],
        });
        let file = cells.file_of("a();\nb();");
        let lines = cells.compiled_lines(&file);
        assert_eq!(lines, [("/s/cell_1.rs".to_owned(), vec![(1, 2), (2, 4)])]);
        assert_eq!(cells.place("/s/cell_1.rs", 4), Some((3, file.clone(), 2)));
        assert_eq!(cells.place("/s/cell_1.rs", 3), None);
        assert_eq!(cells.files_in("/s/cell_1.rs"), std::slice::from_ref(&file));
        assert_eq!(cells.list(), [(3, file)]);
    }
}
