//! Where a cell's processor time went: out of what the worker's profiler says, a picture and a table.
//!
//! * `stacks`    the samples with names in place of addresses, and what of a stack is of interest
//! * `names`     names of functions as a reader wants them
//! * `tree`      which function called which, for each thread
//! * `table`     the tree and the lines as text and HTML
//! * `flame`     the tree as a flame graph
//!
//! What always holds: everything is a share of the samples that were taken, so the parts of the picture
//! add up; a function is one box however often it calls itself. Library code that the compiler has put into
//! a function of the user's counts as the line that uses it: it is that function's code.

mod flame;
mod names;
mod stacks;
mod table;
mod tree;

use super::failure::Cells;
pub use names::is_digest;
use serde_json::{Map, Value};
pub use stacks::read;
use std::time::Duration;

/// A profile with names.
#[derive(Default)]
pub struct Profile {
    pub samples: u64,
    /// Samples that were lost.
    dropped: u64,
    /// Samples whose stack could not be followed to its end.
    broken: u64,
    wall: Duration,
    /// Of all threads together.
    processor: Duration,
    stacks: Vec<Stack>,
}

/// Samples with the same stack.
struct Stack {
    thread: String,
    count: u64,
    /// Outermost first.
    frames: Vec<Frame>,
}

/// One function of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    code: Code,
    /// Line of the cell; 0 in a library.
    line: usize,
    /// The function's name in full.
    full: String,
}

/// What a box of the picture stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Code {
    /// A function that the user wrote, and the cell in which it is defined; 0 if that is not known.
    Function { name: String, cell: usize },
    /// A line of a cell's own statements.
    Statement { cell: usize, line: usize },
    /// A function of a library, and the library's name.
    Library { name: String, home: String },
}

impl Code {
    fn is_users(&self) -> bool {
        !matches!(self, Code::Library { .. })
    }

    fn name(&self) -> &str {
        match self {
            Code::Function { name, .. } | Code::Library { name, .. } => name,
            Code::Statement { .. } => "the cell",
        }
    }

    /// `[3]:2`, or nothing for a library.
    fn place(&self, line: usize) -> String {
        match self {
            Code::Function { cell: 0, .. } => String::new(),
            Code::Function { cell, .. } => format!("[{cell}]:{line}"),
            Code::Statement { cell, line } => format!("[{cell}]:{line}"),
            Code::Library { .. } => String::new(),
        }
    }

    fn cell(&self) -> Option<usize> {
        match self {
            Code::Function { cell, .. } | Code::Statement { cell, .. } => Some(*cell),
            Code::Library { .. } => None,
        }
    }
}

impl Profile {
    /// Processor time for each sample, lost ones included.
    fn interval(&self) -> Duration {
        let all = self.samples + self.dropped;
        self.processor / u32::try_from(all.max(1)).unwrap_or(u32::MAX)
    }

    /// Two lines: how much was seen, and how much of it was the user's own code.
    fn summary(&self) -> [String; 2] {
        let lost = match self.dropped {
            0 => "none lost".to_owned(),
            dropped => format!("{dropped} lost"),
        };
        let first = format!(
            "{} samples of {} of processor time in {}, one every {} of a thread's own; {lost}",
            self.samples,
            seconds(self.processor),
            seconds(self.wall),
            seconds(self.interval()),
        );
        let (mut own, mut called) = (0, 0);
        for stack in &self.stacks {
            if stack
                .frames
                .last()
                .is_some_and(|frame| frame.code.is_users())
            {
                own += stack.count;
            } else if stack.frames.iter().any(|frame| frame.code.is_users()) {
                called += stack.count;
            }
        }
        let share = |count| percent(count, self.samples);
        let rest = self.samples - own - called;
        let mut second = format!(
            "your own code {}, libraries that it called {}",
            share(own),
            share(called)
        );
        if rest > 0 {
            second.push_str(&format!(
                ", libraries on threads of their own {}",
                share(rest)
            ));
        }
        if self.broken * 50 > self.samples {
            second.push_str(&format!(
                "; {} of the stacks are shown in part only",
                share(self.broken)
            ));
        }
        [first, second]
    }
}

/// The forms in which a profile is shown; or the text why there is nothing to be seen.
pub fn show(profile: &Profile, cells: &Cells, top: usize) -> Result<Map<String, Value>, String> {
    if profile.samples == 0 {
        return Err(format!(
            "%%profile: no samples\n\
             why: the cell used {} of processor time in {}; a sample is taken for every few \
             milliseconds that a thread computes, and time in which it sleeps or waits is not seen\n\
             do:  make the cell compute for longer (100 ms is a beginning); %%time tells the time that it \
             waits\n",
            seconds(profile.processor),
            seconds(profile.wall),
        ));
    }
    let tree = tree::Tree::new(profile);
    let table = table::Table::new(profile, &tree, cells, top);
    let summary = profile.summary();
    let picture = |theme| flame::draw(&tree, &summary[1], cells, theme);
    let mut data = Map::new();
    let mut insert = |mime: &str, text: String| data.insert(mime.to_owned(), Value::from(text));
    insert(
        "text/html",
        format!(
            "<div>{}{}</div>",
            picture(flame::Theme::OfPage),
            table.html(&summary)
        ),
    );
    insert("image/svg+xml", picture(flame::Theme::OfReader));
    insert("text/plain", table.text(&summary));
    Ok(data)
}

fn percent(count: u64, all: u64) -> String {
    format!("{:.1} %", count as f64 * 100.0 / all.max(1) as f64)
}

fn seconds(time: Duration) -> String {
    crate::magics::readable(time)
}

/// As the content of an element or of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The user's text of a line, without its indentation.
fn source(cells: &Cells, code: &Code, line: usize) -> String {
    const LONGEST: usize = 64;
    let text = code.cell().and_then(|cell| cells.get(&cell));
    let line = match code {
        Code::Statement { line, .. } => *line,
        _ => line,
    };
    let text = text.and_then(|text| text.lines().nth(line.checked_sub(1)?));
    cut(text.unwrap_or_default().trim(), LONGEST)
}

/// At most so many characters.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(longest.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
fn example() -> Profile {
    let user = |name: &str, line| Frame {
        code: Code::Function {
            name: name.to_owned(),
            cell: 3,
        },
        line,
        full: name.to_owned(),
    };
    let cell = |line| Frame {
        code: Code::Statement { cell: 4, line },
        line,
        full: "the cell".to_owned(),
    };
    let library = |name: &str| Frame {
        code: Code::Library {
            name: name.to_owned(),
            home: "libc".to_owned(),
        },
        line: 0,
        full: name.to_owned(),
    };
    let stack = |thread: &str, count, frames: &[Frame]| Stack {
        thread: thread.to_owned(),
        count,
        frames: frames.to_vec(),
    };
    Profile {
        samples: 100,
        dropped: 0,
        broken: 0,
        wall: Duration::from_millis(300),
        processor: Duration::from_millis(400),
        stacks: vec![
            stack("main", 50, &[cell(2), user("heavy", 2)]),
            stack("main", 10, &[cell(2), user("heavy", 3)]),
            stack(
                "main",
                10,
                &[cell(3), user("light<T>", 7), library("memcpy")],
            ),
            // `heavy` calls itself, also through another function.
            stack(
                "rayon-0",
                20,
                &[
                    cell(4),
                    user("heavy", 4),
                    user("other", 9),
                    user("heavy", 2),
                ],
            ),
            stack(
                "rayon-1",
                10,
                &[library("main_loop"), library("steal"), library("main_loop")],
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_adds_up() {
        let [first, second] = example().summary();
        assert_eq!(
            first,
            "100 samples of 400 ms of processor time in 300 ms, one every 4.00 ms of a thread's own; \
             none lost"
        );
        assert_eq!(
            second,
            "your own code 80.0 %, libraries that it called 10.0 %, libraries on \
             threads of their own 10.0 %"
        );
    }

    #[test]
    fn a_cell_that_waits_says_why_there_is_no_picture() {
        let sleeping = Profile {
            wall: Duration::from_secs(1),
            ..Profile::default()
        };
        let text = show(&sleeping, &Cells::new(), 10).err().unwrap();
        assert!(text.starts_with("%%profile: no samples\nwhy: "), "{text}");
        assert!(text.contains("\ndo:  "), "{text}");
    }

    #[test]
    fn all_three_forms_name_the_functions() {
        let data = show(&example(), &Cells::new(), 10).unwrap();
        for mime in ["text/html", "image/svg+xml", "text/plain"] {
            let text = data[mime].as_str().unwrap();
            assert!(
                text.contains("heavy") && text.contains("[3]:2"),
                "{mime}: {text}"
            );
        }
    }
}
