//! What is looked at in a dialogue: the thread, the frame, the lines around it; the worker's or a dead process's.

use super::super::{Debugger, postmortem};
use super::dialogue::{Dialogue, count};
use super::look::{self, View};
use std::fmt::Write as _;

impl Dialogue {
    /// What is looked at: the worker, or a dead process.
    pub(super) fn debugger(&self) -> &Debugger {
        match &self.dead {
            Some((dead, _)) => &dead.debugger,
            None => &self.shared.debugger,
        }
    }

    /// The view of that.
    pub(super) fn view(&self) -> Result<&View, String> {
        match (&self.dead, &self.view) {
            (Some((_, view)), _) | (None, Some(view)) => Ok(view),
            (None, None) => Err("nothing is stopped\n\
                 why: no cell runs, or the one that does has met no breakpoint\n\
                 do:  break 3:5    (line 5 of cell [3]);  start    (at the beginning of the next cell);  pause"
                .to_owned()),
        }
    }

    fn view_mut(&mut self) -> Option<&mut View> {
        match (&mut self.dead, &mut self.view) {
            (Some((_, view)), _) | (None, Some(view)) => Some(view),
            (None, None) => None,
        }
    }

    pub(super) fn list(&mut self, rest: &str) -> Result<String, String> {
        let view = self.view()?.clone();
        let frame = view.frame()?;
        let around = |line: usize| line.saturating_sub(look::LINES / 2).max(1);
        let numbers: Vec<usize> = rest
            .split([',', ' '])
            .filter_map(|word| word.trim().parse().ok())
            .collect();
        let (first, last) = match (numbers.as_slice(), self.next_line) {
            ([first, last, ..], _) if last >= first => (*first, *last),
            ([first, count, ..], _) => (*first, first + count),
            ([line], _) => (around(*line), around(*line) + look::LINES - 1),
            ([], Some(next)) if rest.is_empty() => (next, next + look::LINES - 1),
            ([], _) => (around(frame.line), around(frame.line) + look::LINES - 1),
        };
        let text = look::listing(self.debugger(), frame, first, last)?;
        self.next_line = Some(last + 1);
        Ok(text)
    }

    pub(super) fn move_by(&mut self, count: usize, is_up: bool) -> Result<String, String> {
        self.view()?;
        let Some(view) = self.view_mut() else {
            return Ok(String::new());
        };
        let target = match is_up {
            true => (view.selected + count).min(view.frames.len().saturating_sub(1)),
            false => view.selected.saturating_sub(count),
        };
        if target == view.selected {
            let end = if is_up { "outermost" } else { "innermost" };
            return Err(format!(
                "this is the {end} frame of yours\nwhy: frames of libraries are not shown\n\
                 do:  where    (shows the stack)"
            ));
        }
        view.selected = target;
        self.next_line = None;
        let view = self.view()?;
        let line = view.source_line(self.debugger());
        Ok(format!("{target}: {}\n{line}", view.frame()?.place()))
    }

    pub(super) fn threads(&self) -> Result<String, String> {
        let current = self.view().map(|view| view.thread).ok();
        let mut text = String::new();
        for (index, (id, name)) in (1..).zip(look::threads(self.debugger())?) {
            let mark = if current == Some(id) { '>' } else { ' ' };
            let place = match View::of(self.debugger(), id) {
                Ok(view)
                    if view
                        .frames
                        .first()
                        .is_some_and(|frame| frame.cell.is_some()) =>
                {
                    view.frames[0].place()
                }
                _ => "no code of a cell".to_owned(),
            };
            let _ = writeln!(text, "{mark} {index:>2}: '{name}'  {place}");
        }
        Ok(text)
    }

    pub(super) fn select_thread(&mut self, rest: &str) -> Result<String, String> {
        let all = look::threads(self.debugger())?;
        let found = match rest.parse::<usize>() {
            Ok(number) => all.get(number.wrapping_sub(1)),
            Err(_) => all.iter().find(|(_, name)| name == rest.trim_matches('\'')),
        };
        let Some((id, name)) = found else {
            return Err(format!(
                "thread {rest}: there is none\nwhy: it takes a number or a name of the list\ndo:  threads    (shows it)"
            ));
        };
        // Nothing of a thread that runs can be read.
        self.view()?;
        let view = View::of(self.debugger(), *id)?;
        let place = view.frame()?.place();
        let text = format!(
            "thread '{name}': {place}\n{}",
            view.source_line(self.debugger())
        );
        if let Some(current) = self.view_mut() {
            *current = view;
        }
        self.next_line = None;
        Ok(text)
    }

    pub(super) fn look_at_dead(&mut self, rest: &str) -> Result<String, String> {
        self.dead = None;
        let number = match rest {
            "" => None,
            rest => Some(count(rest)?),
        };
        let dead = postmortem::open(&self.shared, number)?;
        let view = View::of(&dead.debugger, dead.thread)?;
        self.next_line = None;
        let text = postmortem::headline(&dead, &view);
        self.dead = Some((dead, view));
        Ok(text)
    }
}
