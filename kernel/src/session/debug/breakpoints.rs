//! Breakpoints of cells, set in the libraries that have their code.
//!
//! A cell's code may be in no library yet, or in several: functions are compiled again into each later cell
//! that uses them. So breakpoints are kept by the cell's file, and set for each source when it is compiled. There is
//! one list of them for all who debug: what a terminal sets, the front end sees, and the other way round.

use super::adapter::lock;
use super::cells::has_code;
use super::{Debugger, PATIENCE, attach, names};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One breakpoint.
#[derive(Clone)]
pub struct Breakpoint {
    /// As the front end asked for it.
    pub asked: Value,
    /// The line of the cell where it is, from 1.
    pub line: usize,
    /// By which a terminal names it; no other one has had it.
    pub number: u32,
    pub is_enabled: bool,
    /// It goes when it has stopped a thread.
    pub is_temporary: bool,
    /// So many passes do not stop.
    pub ignore: u32,
    /// How often a thread has come by, where the condition was true.
    pub hits: u32,
}

/// What a thread finds at a breakpoint.
pub struct Met {
    pub number: u32,
    /// It does not stop this time.
    pub is_ignored: bool,
}

impl Debugger {
    /// All breakpoints by their numbers, each with its file.
    pub(super) fn breakpoints(&self) -> Vec<(String, Breakpoint)> {
        let state = lock(&self.state);
        let mut all: Vec<(String, Breakpoint)> = state
            .breakpoints
            .iter()
            .flat_map(|(file, list)| list.iter().map(|one| (file.clone(), one.clone())))
            .collect();
        all.sort_by_key(|(_, breakpoint)| breakpoint.number);
        all
    }

    /// Sets one at a line of a cell's file, or at the next one with code.
    pub(super) fn add_breakpoint(
        &self,
        file: &str,
        asked: Value,
        is_temporary: bool,
    ) -> Breakpoint {
        let text = self.cells.of_file(file).map(|(_, text)| text);
        let line = asked["line"].as_u64().unwrap_or(1) as usize;
        let breakpoint = {
            let mut state = lock(&self.state);
            state.last_number += 1;
            let breakpoint = Breakpoint {
                line: line_with_code(&text.unwrap_or_default(), line),
                asked,
                number: state.last_number,
                is_enabled: true,
                is_temporary,
                ignore: 0,
                hits: 0,
            };
            let list = state.breakpoints.entry(file.to_owned()).or_default();
            list.push(breakpoint.clone());
            breakpoint
        };
        self.place(file);
        breakpoint
    }

    /// Changes one, or removes it if `change` returns false. Whether there is one of this number.
    pub(super) fn change_breakpoint(
        &self,
        number: u32,
        change: impl FnOnce(&mut Breakpoint) -> bool,
    ) -> bool {
        let file = {
            let mut state = lock(&self.state);
            let found = state.breakpoints.iter_mut().find_map(|(file, list)| {
                let index = list.iter().position(|one| one.number == number)?;
                Some((file.clone(), list, index))
            });
            let Some((file, list, index)) = found else {
                return false;
            };
            if !change(&mut list[index]) {
                list.remove(index);
            }
            file
        };
        self.place(&file);
        true
    }

    /// A thread has come to breakpoints, of which the adapter has these numbers.
    pub(super) fn meet(&self, hits: &[i64]) -> Option<Met> {
        let (met, is_temporary) = {
            let mut state = lock(&self.state);
            let number = hits.iter().find_map(|hit| state.placed.get(hit).copied())?;
            let one = state
                .breakpoints
                .values_mut()
                .flatten()
                .find(|one| one.is_enabled && one.number == number)?;
            one.hits += 1;
            let is_ignored = one.ignore > 0;
            one.ignore = one.ignore.saturating_sub(1);
            (Met { number, is_ignored }, one.is_temporary)
        };
        if is_temporary && !met.is_ignored {
            self.change_breakpoint(met.number, |_| false);
        }
        Some(met)
    }

    /// The next cell that runs stops at its first statement.
    pub(super) fn stop_at_start(&self, is_wanted: bool) {
        lock(&self.state).stops_at_start = is_wanted;
    }

    /// Whether a thread has come to the first statement of the cell in progress, and is to stop there. It is done so once.
    pub(super) fn take_start(&self, hits: &[i64], frame: &Value) -> bool {
        let is_start = {
            let state = lock(&self.state);
            state.stops_at_start && state.start.is_some_and(|start| hits.contains(&start))
        };
        if is_start {
            self.stop_at_start(false);
            self.place_in(frame["source"]["path"].as_str().unwrap_or_default());
        }
        is_start
    }

    /// Sets the breakpoints of a file in all that is compiled.
    fn place(&self, file: &str) {
        for (source, _) in self.cells.compiled_lines(file) {
            self.place_in(&source);
        }
    }

    /// Replaces the breakpoints of a file. Those that a terminal has disabled, of which the front end does not know,
    /// stay.
    pub(super) fn set_breakpoints(&self, arguments: &Value) -> Result<Value, String> {
        let file = arguments["source"]["path"].as_str().unwrap_or_default();
        let asked = arguments["breakpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let breakpoints = {
            let mut state = lock(&self.state);
            let mut before = state.breakpoints.remove(file).unwrap_or_default();
            let mut breakpoints = Vec::new();
            for asked in asked {
                let line = line_with_code(&text, asked["line"].as_u64().unwrap_or(1) as usize);
                let known = before.iter().position(|known| known.line == line);
                breakpoints.push(match known.map(|index| before.remove(index)) {
                    Some(known) => Breakpoint {
                        asked,
                        is_enabled: true,
                        ..known
                    },
                    None => {
                        state.last_number += 1;
                        Breakpoint {
                            line,
                            asked,
                            number: state.last_number,
                            is_enabled: true,
                            is_temporary: false,
                            ignore: 0,
                            hits: 0,
                        }
                    }
                });
            }
            let mut list = breakpoints.clone();
            list.extend(before.into_iter().filter(|known| !known.is_enabled));
            state.breakpoints.insert(file.to_owned(), list);
            breakpoints
        };
        let answers: Vec<Value> = breakpoints
            .iter()
            .map(|breakpoint| {
                json!({
                    // The cell may not have run: where its code is will be known then.
                    "verified": true,
                    "line": breakpoint.line,
                    "source": { "path": file },
                })
            })
            .collect();
        self.place(file);
        Ok(json!({ "breakpoints": answers }))
    }

    /// Sets all breakpoints that lie in a compiled source.
    pub(super) fn place_in(&self, source: &str) {
        let Ok(session) = self.session() else { return };
        let mut list = Vec::new();
        let mut numbers = Vec::new();
        for file in self.cells.files_in(source) {
            let breakpoints = lock(&self.state).breakpoints.get(&file).cloned();
            let lines = self.cells.compiled_lines(&file);
            let Some((_, lines)) = lines.into_iter().find(|(path, _)| path == source) else {
                continue;
            };
            for breakpoint in breakpoints.unwrap_or_default() {
                if !breakpoint.is_enabled {
                    continue;
                }
                for (_, line) in lines.iter().filter(|(line, _)| *line == breakpoint.line) {
                    list.push(for_adapter(&breakpoint.asked, *line));
                    numbers.push(breakpoint.number);
                }
            }
        }
        let start = match lock(&self.state).stops_at_start {
            true => self.cells.first_statement(source),
            false => None,
        };
        list.extend(start.map(|(compiled, _)| json!({ "line": compiled })));
        let arguments = json!({ "source": { "path": source }, "breakpoints": list });
        match session.adapter.ask("setBreakpoints", arguments, PATIENCE) {
            Ok(body) => {
                // The adapter may move one to a line with code; its number is what a stop is known by.
                let id = |index: usize| body["breakpoints"][index]["id"].as_i64();
                let mut state = lock(&self.state);
                for (index, number) in numbers.iter().enumerate() {
                    state.placed.extend(id(index).map(|id| (id, *number)));
                }
                if start.is_some() {
                    state.start = id(numbers.len());
                }
            }
            Err(why) => eprintln!("forkline: breakpoints cannot be set: {why}"),
        }
    }

    /// Sets the breakpoints of all files, in all sources that have them.
    pub(super) fn place_all(&self) {
        let files: Vec<String> = lock(&self.state).breakpoints.keys().cloned().collect();
        let of_file = |file: &String| self.cells.compiled_lines(file);
        let sources: BTreeSet<String> = files
            .iter()
            .flat_map(of_file)
            .map(|(source, _)| source)
            .collect();
        for source in sources {
            self.place_in(&source);
        }
    }

    /// Whether panics stop.
    pub(super) fn set_exception_breakpoints(&self, arguments: &Value) -> Result<Value, String> {
        let filters = arguments["filters"].as_array().cloned().unwrap_or_default();
        let is_wanted = !filters.is_empty();
        lock(&self.state).stops_at_panics = is_wanted;
        if let Ok(session) = self.session() {
            let functions = attach::function_breakpoints(&session.adapter, is_wanted)?;
            if let Some(session) = &mut lock(&self.state).session {
                session.functions = functions;
            }
        }
        let answers: Vec<Value> = filters
            .iter()
            .map(|_| json!({ "verified": true }))
            .collect();
        Ok(json!({ "breakpoints": answers }))
    }
}

/// A breakpoint in the adapter's words.
fn for_adapter(asked: &Value, line: usize) -> Value {
    let mut breakpoint = json!({ "line": line });
    let text = |name: &str| asked[name].as_str().filter(|text| !text.trim().is_empty());
    if let Some(condition) = text("condition") {
        breakpoint["condition"] = json!(names::condition(condition));
    }
    if let Some(count) = text("hitCondition") {
        // LLDB passes by so often before it stops: `3` means the third time.
        let digits: String = count.chars().filter(char::is_ascii_digit).collect();
        breakpoint["hitCondition"] = json!(digits);
    }
    if let Some(message) = text("logMessage") {
        breakpoint["logMessage"] = json!(message);
    }
    breakpoint
}

/// The line of a cell, from this one on, that has more than blanks and comments.
fn line_with_code(text: &str, line: usize) -> usize {
    (1..)
        .zip(text.lines())
        .skip(line.saturating_sub(1))
        .find(|(_, text)| has_code(text))
        .map_or(line, |(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakpoint_goes_to_the_next_line_with_code() {
        let text = "// first\n\nlet a = 1;\n}\n";
        assert_eq!(line_with_code(text, 1), 3);
        assert_eq!(line_with_code(text, 3), 3);
        assert_eq!(line_with_code(text, 4), 4);
        assert_eq!(line_with_code("", 2), 2);
    }

    #[test]
    fn conditions_and_counts_are_lldbs() {
        let asked = json!({ "line": 2, "condition": "n == 5usize", "hitCondition": ">= 3" });
        let wanted = json!({ "line": 9, "condition": "n == 5", "hitCondition": "3" });
        assert_eq!(for_adapter(&asked, 9), wanted);
    }
}
