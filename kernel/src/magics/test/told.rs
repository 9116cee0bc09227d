//! What is shown of a run of tests: the table, what tests printed, and the error of the cell.

use super::options::Options;
use super::outcome::{self, Outcome, Verdict};
use super::places::{describe, with_cells};
use super::report::{self, Row};
use crate::engine::TestProgram;
use crate::session::{CellContext, CellError};

/// What is shown of a run.
pub struct Report<'r, 'c> {
    context: &'r mut CellContext<'c>,
    options: &'r Options,
    rows: Vec<Row>,
    /// What tests printed.
    texts: String,
}

impl<'r, 'c> Report<'r, 'c> {
    /// Nothing was run yet.
    pub fn new(context: &'r mut CellContext<'c>, options: &'r Options) -> Report<'r, 'c> {
        Report {
            context,
            options,
            rows: Vec::new(),
            texts: String::new(),
        }
    }

    /// Adds a test that was run.
    pub fn add(&mut self, shown: String, program: &TestProgram, mut outcome: Outcome) {
        let mut place = String::new();
        let mut excerpt = None;
        if let Some((file, line, column)) = outcome.location.clone() {
            let source_line = program.source.lines().nth(line.saturating_sub(1));
            if file == program.source_name
                && outcome.verdict == Verdict::Error
                && outcome::is_claim_at(source_line.unwrap_or_default(), column)
            {
                outcome.verdict = Verdict::Failure;
            }
            (place, excerpt) = describe(self.context, program, &file, line);
        }
        outcome.output = with_cells(self.context, program, &outcome.output);
        outcome.reason = with_cells(self.context, program, &outcome.reason);
        let bad = matches!(outcome.verdict, Verdict::Failure | Verdict::Error);
        if bad || (self.options.show_output && !outcome.output.is_empty()) {
            let what = match outcome.verdict {
                Verdict::Failure => "failure",
                Verdict::Error => "error",
                Verdict::Ok | Verdict::Ignored => "output",
            };
            let at = if place.is_empty() {
                String::new()
            } else {
                format!(" in {place}")
            };
            if !self.texts.is_empty() {
                self.texts.push('\n');
            }
            self.texts += &format!("---- {shown}: {what}{at} ----\n");
            if let Some(excerpt) = excerpt {
                self.texts += &format!("{excerpt}\n");
            }
            if bad && !outcome.output.contains(&outcome.reason) {
                self.texts += &format!("{}\n", outcome.reason);
            }
            if !outcome.output.is_empty() {
                self.texts += &format!("{}\n", outcome.output);
            }
        }
        let is_run = outcome.verdict != Verdict::Ignored;
        self.rows.push(Row {
            name: shown,
            verdict: outcome.verdict,
            reason: outcome.reason.lines().next().unwrap_or_default().to_owned(),
            place,
            elapsed: is_run.then_some(outcome.elapsed),
        });
    }

    /// Shows the table and what tests printed, and says whether the run has failed.
    ///
    /// # Errors
    /// Not all tests passed, or the outcome is not the one that was expected.
    pub fn show(self, magic: &str, filtered: usize) -> Result<(), CellError> {
        let summary = report::summary(&self.rows);
        let left_out = match filtered {
            0 => String::new(),
            count => format!(" ({count} not chosen)"),
        };
        self.context
            .show(report::table(&self.rows, &format!("{summary}{left_out}")));
        if !self.texts.is_empty() {
            self.context.print("stdout", &self.texts);
        }
        let unexpected = match self.options.expected {
            Some(expected) if expected == report::counts(&self.rows) => {
                self.context
                    .print("stdout", &format!("check: {summary}, as expected\n"));
                return Ok(());
            }
            Some(_) => "it was to end in another way (--expect)\n     ",
            None => "",
        };
        let bad: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| matches!(row.verdict, Verdict::Failure | Verdict::Error))
            .collect();
        let Some(first) = bad.first().copied().or(self.rows.first()) else {
            return Ok(());
        };
        if bad.is_empty() && unexpected.is_empty() {
            return Ok(());
        }
        let why: Vec<String> = bad
            .iter()
            .take(5)
            .map(|row| {
                let at = match row.place.is_empty() {
                    true => String::new(),
                    false => format!(" in {}", row.place),
                };
                format!("{}{at}: {}", row.name, row.reason)
            })
            .collect();
        let more = match bad.len().saturating_sub(5) {
            0 => String::new(),
            count => format!("\n     and {count} more"),
        };
        Err(CellError::new(
            "TestsFailed",
            format!(
                "{magic}: {summary}\nwhy: {unexpected}{}{more}\n\
                 do:  mend the code or the test; %test {} runs that one alone",
                why.join("\n     "),
                first.name.rsplit(".rs::").next().unwrap_or_default(),
            ),
        ))
    }
}
