//! `forkline doctor`: a table of what this machine has, what each piece adds, and the command
//! that brings what is missing.
//!
//! What always holds:
//! * nothing is changed, and no piece that is missing is an error of the table;
//! * every program that is asked has 5 s to answer, and all are asked at the same time;
//! * the exit code is 0 exactly if every required piece is there.
//!
//! * `rows`    the pieces, one function from the machine to a [`Row`] each
//! * `probe`   questions to programs and folders, with a time limit

mod probe;
mod rows;

use serde::Serialize;
use std::io::IsTerminal;

/// One piece of the machine.
#[derive(Debug, Clone, Serialize)]
struct Row {
    piece: &'static str,
    required: bool,
    state: State,
    /// Its version or place; empty if it is missing.
    found: String,
    /// What it adds, or what is missing and the command that brings it.
    note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Missing,
}

impl Row {
    fn required(piece: &'static str) -> Self {
        Self {
            piece,
            required: true,
            state: State::Missing,
            found: String::new(),
            note: String::new(),
        }
    }

    fn optional(piece: &'static str) -> Self {
        Self {
            required: false,
            ..Self::required(piece)
        }
    }

    fn ok(self, found: impl Into<String>, adds: &str) -> Self {
        self.with(State::Ok, found.into(), adds.to_owned())
    }

    /// Present, but something about it is not as it should be.
    fn warn(self, found: impl Into<String>, note: impl Into<String>) -> Self {
        self.with(State::Warn, found.into(), note.into())
    }

    fn missing(self, note: impl Into<String>) -> Self {
        self.with(State::Missing, String::new(), note.into())
    }

    fn with(self, state: State, found: String, note: String) -> Self {
        Self {
            state,
            found,
            note,
            ..self
        }
    }
}

/// Prints the table, or the same as JSON; the result is the exit code.
pub fn run(json: bool) -> i32 {
    let rows = rows::all();
    if json {
        println!("{}", as_json(&rows));
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", as_table(&rows, colour));
    }
    i32::from(!is_complete(&rows))
}

fn is_complete(rows: &[Row]) -> bool {
    rows.iter()
        .all(|row| !row.required || row.state != State::Missing)
}

fn as_json(rows: &[Row]) -> String {
    let report = serde_json::json!({
        "forkline": env!("CARGO_PKG_VERSION"),
        "complete": is_complete(rows),
        "pieces": rows,
    });
    format!("{report:#}")
}

fn as_table(rows: &[Row], colour: bool) -> String {
    // A longer entry (a path, mostly) pushes its own note to the right, not everybody's.
    const WIDEST: usize = 44;
    let width = |texts: &mut dyn Iterator<Item = &str>| {
        let longest = texts.map(|text| text.chars().count()).max();
        longest.unwrap_or(0).min(WIDEST)
    };
    let piece_width = width(&mut rows.iter().map(|row| row.piece));
    let found_width = width(&mut rows.iter().map(|row| row.found.as_str()));
    let mut table = format!(
        "forkline {}\n\n{:<8}  {:<piece_width$}  {:<found_width$}  what it adds, or what brings it\n",
        env!("CARGO_PKG_VERSION"),
        "state",
        "piece",
        "found",
    );
    for row in rows {
        let (word, code) = match (row.state, row.required) {
            (State::Ok, _) => ("ok", "32"),
            (State::Warn, _) => ("warn", "33"),
            (State::Missing, true) => ("MISSING", "31"),
            (State::Missing, false) => ("absent", "2"),
        };
        let word = if colour {
            format!("\x1b[{code}m{word:<8}\x1b[0m")
        } else {
            format!("{word:<8}")
        };
        let line = format!(
            "{word}  {:<piece_width$}  {:<found_width$}  {}",
            row.piece, row.found, row.note
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    let missing: Vec<_> = rows
        .iter()
        .filter(|row| row.required && row.state == State::Missing)
        .map(|row| row.piece)
        .collect();
    table.push_str(&if missing.is_empty() {
        "\nEverything that the kernel needs is there; what is absent is optional.\n".to_owned()
    } else {
        format!(
            "\nThe kernel needs what is missing: {}.\n",
            missing.join(", ")
        )
    });
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_rows() -> Vec<Row> {
        vec![
            Row::required("rustc").ok("1.95.0", "compiles the cells"),
            Row::required("libzmq").warn("4.3.4 without CURVE", "no encrypted connections"),
            Row::optional("MPI").missing("ranks: sudo apt install openmpi-bin"),
        ]
    }

    #[test]
    fn table_has_a_line_for_each_piece_and_no_colour_in_a_file() {
        let table = as_table(&some_rows(), false);
        assert!(!table.contains('\x1b'));
        let lines: Vec<_> = table.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines[2].starts_with("ok        rustc "), "{table}");
        assert!(lines[3].starts_with("warn      libzmq"), "{table}");
        assert!(lines[4].starts_with("absent    MPI "), "{table}");
        let column = lines[2].find("compiles");
        assert_eq!(column, lines[3].find("no encrypted"), "{table}");
        assert_eq!(column, lines[4].find("ranks"), "{table}");
        assert!(as_table(&some_rows(), true).contains("\x1b[32mok"));
    }

    #[test]
    fn only_a_missing_required_piece_makes_it_incomplete() {
        let mut rows = some_rows();
        assert!(is_complete(&rows));
        rows.push(Row::required("Jupyter").missing("pip install jupyterlab"));
        assert!(!is_complete(&rows));
        let table = as_table(&rows, false);
        assert!(table.contains("MISSING   Jupyter"), "{table}");
        assert!(
            table.ends_with("The kernel needs what is missing: Jupyter.\n"),
            "{table}"
        );
    }

    #[test]
    fn json_says_the_same_as_the_table() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&some_rows())).unwrap();
        assert_eq!(report["complete"], true);
        assert_eq!(report["pieces"][0]["found"], "1.95.0");
        assert_eq!(report["pieces"][1]["state"], "warn");
        assert_eq!(report["pieces"][2]["required"], false);
    }
}
