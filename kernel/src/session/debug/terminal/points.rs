//! The commands about breakpoints.

use super::super::breakpoints::Breakpoint;
use super::dialogue::Dialogue;
use serde_json::json;
use std::fmt::Write as _;

impl Dialogue {
    /// `break` and what belongs to it.
    pub(super) fn breakpoints(&mut self, command: &str, rest: &str) -> Result<String, String> {
        match command {
            "break" | "tbreak" if rest.is_empty() => Ok(self.list_breakpoints()),
            "break" => self.set(rest, false),
            "tbreak" => self.set(rest, true),
            "condition" => {
                let (number, condition) = rest.split_once(' ').unwrap_or((rest, ""));
                let condition = condition.trim().to_owned();
                self.change(number, move |one| {
                    one.asked["condition"] = json!(condition);
                    true
                })?;
                Ok(String::new())
            }
            "ignore" => {
                let (number, count) = rest.split_once(' ').unwrap_or((rest, "1"));
                let count = count.trim();
                let passes: u32 = count.parse().map_err(|_| {
                    format!("ignore {number} {count}: not a count\nwhy: it is how many passes do not stop\ndo:  ignore {number} 2")
                })?;
                self.change(number, move |one| {
                    one.ignore = passes;
                    true
                })?;
                Ok(format!(
                    "breakpoint {number}: the next {passes} passes do not stop\n"
                ))
            }
            "delete" if rest.is_empty() => {
                let all = self.shared.debugger.breakpoints();
                for (_, one) in &all {
                    self.shared
                        .debugger
                        .change_breakpoint(one.number, |_| false);
                }
                Ok(format!("{} removed\n", all.len()))
            }
            _ => {
                let mut text = String::new();
                let numbers: Vec<&str> = rest
                    .split([' ', ','])
                    .filter(|word| !word.is_empty())
                    .collect();
                if numbers.is_empty() {
                    return Err(format!(
                        "{command}: of which breakpoint?\nwhy: its number belongs behind the command\n\
                         do:  break    (lists them)"
                    ));
                }
                for number in numbers {
                    self.change(number, |one| {
                        one.is_enabled = command == "enable";
                        command != "delete"
                    })?;
                    let _ = writeln!(text, "breakpoint {number} {command}d");
                }
                Ok(text)
            }
        }
    }

    fn change(
        &self,
        number: &str,
        change: impl FnOnce(&mut Breakpoint) -> bool,
    ) -> Result<(), String> {
        let parsed = number.parse::<u32>().ok();
        let is_known =
            parsed.is_some_and(|number| self.shared.debugger.change_breakpoint(number, change));
        is_known.then_some(()).ok_or_else(|| {
            format!("there is no breakpoint {number}\nwhy: none has this number\ndo:  break    (lists them)")
        })
    }

    fn list_breakpoints(&self) -> String {
        let all = self.shared.debugger.breakpoints();
        if all.is_empty() {
            return "no breakpoints\n".to_owned();
        }
        let mut text = String::from("num  kind  enabled  hits  where\n");
        for (file, one) in all {
            let kind = if one.is_temporary { "once" } else { "keep" };
            let enabled = if one.is_enabled { "yes" } else { "no" };
            let place = match self.shared.debugger.cells.of_file(&file) {
                Some((cell, _)) => format!("cell [{cell}] line {}", one.line),
                None => format!("a cell that has not run, line {}", one.line),
            };
            let _ = writeln!(
                text,
                "{:>3}  {kind}  {enabled:<7}  {:>4}  {place}",
                one.number, one.hits
            );
            let condition = one.asked["condition"].as_str().unwrap_or_default();
            if !condition.is_empty() {
                let _ = writeln!(text, "     stops only if {condition}");
            }
            if one.ignore > 0 {
                let _ = writeln!(text, "     the next {} passes do not stop", one.ignore);
            }
        }
        text
    }

    fn set(&mut self, rest: &str, is_temporary: bool) -> Result<String, String> {
        let (place, condition) = split_condition(rest);
        let (cell, line) = self.place_named(place)?;
        let debugger = &self.shared.debugger;
        let text = debugger.cells.get(cell).ok_or_else(|| {
            format!(
                "break {place}: there is no cell [{cell}]\nwhy: no cell of this number has run in this session\n\
                 do:  start    (the next cell stops at its first statement; set it there)"
            )
        })?;
        let lines = text.text.lines().count();
        if line == 0 || line > lines {
            return Err(format!(
                "break {place}: there is no such line\nwhy: cell [{cell}] has {lines} lines\ndo:  break {cell}:{lines}"
            ));
        }
        let mut asked = json!({ "line": line });
        if !condition.is_empty() {
            asked["condition"] = json!(condition);
        }
        let one = debugger.add_breakpoint(&text.file, asked, is_temporary);
        self.created.push(one.number);
        Ok(format!(
            "breakpoint {} at cell [{cell}] line {}\n",
            one.number, one.line
        ))
    }

    /// Cell and line of `5`, `3:5` or the name of a function.
    fn place_named(&self, place: &str) -> Result<(usize, usize), String> {
        let debugger = &self.shared.debugger;
        if let Ok(line) = place.parse() {
            let looked_at = self.view().ok().and_then(|view| view.frame().ok()?.cell);
            return Ok((looked_at.unwrap_or_else(|| debugger.cells.latest()), line));
        }
        if let Some((cell, line)) = place.split_once(':')
            && let (Ok(cell), Ok(line)) = (cell.trim_matches(['[', ']']).parse(), line.parse())
        {
            return Ok((cell, line));
        }
        debugger.cells.function(place).ok_or_else(|| {
            format!(
                "break {place}: not understood\nwhy: it is neither a line nor a function of a cell\n\
                 do:  break 5;  break 3:5    (line 5 of cell [3]);  break 5 if n == 3"
            )
        })
    }
}

/// Place and condition of `5 if n == 3` or, as pdb writes it, `5, n == 3`.
fn split_condition(text: &str) -> (&str, &str) {
    let parts = text.split_once(" if ").or_else(|| text.split_once(','));
    let (place, condition) = parts.unwrap_or((text, ""));
    (place.trim(), condition.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_what_stands_behind_if() {
        assert_eq!(split_condition("5 if n == 3"), ("5", "n == 3"));
        assert_eq!(split_condition("3:5 , n == 3"), ("3:5", "n == 3"));
        assert_eq!(split_condition("go"), ("go", ""));
    }
}
