//! How many ranks are done, for a cell whose output comes when all are: a line that is there after some seconds, and is
//! replaced by the next.

use super::failure::named;
use super::{Form, State};
use serde_json::{Value, json};
use std::time::Duration;

/// A cell that is shorter shows nothing.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The line of a cell in progress.
pub struct Line {
    id: String,
    done: usize,
}

impl State {
    /// The line, if there is to be one and it has changed. `ran` is how long the cell has run.
    pub(super) fn progress(&mut self, ran: Duration) -> Option<Value> {
        let is_wanted = self.form == Form::Grouped && self.ranks.len() > 1;
        if !is_wanted || ran < PATIENCE {
            return None;
        }
        let done = self.done();
        let is_new = self.line.is_none();
        if self.line.as_ref().is_some_and(|line| line.done == done) {
            return None;
        }
        let id = format!("forkline-ranks-{}-{}", std::process::id(), self.cells);
        self.line = Some(Line { id, done });
        self.message(!is_new, None)
    }

    /// The line at the end of the cell, if there is one.
    pub(super) fn end_progress(&mut self) -> Option<Value> {
        let longest = self.ranks.values().map(|rank| rank.told.times.wall).max();
        let message = self.message(true, longest);
        self.line = None;
        message
    }

    fn done(&self) -> usize {
        let ranks = self.ranks.values();
        ranks.filter(|rank| rank.told.ended).count()
    }

    fn message(&self, is_update: bool, took: Option<Duration>) -> Option<Value> {
        let line = self.line.as_ref()?;
        let (done, all) = (self.done(), self.ranks.len());
        let mut text = format!("{done} of {all} ranks done");
        let running: Vec<u32> = self
            .ranks
            .iter()
            .filter(|(_, rank)| rank.run.is_some())
            .map(|(number, _)| *number)
            .collect();
        if !running.is_empty() {
            text += &format!(", {} at work", named(&running));
        } else if let Some(took) = took.filter(|took| !took.is_zero()) {
            text += &format!(", in {}", crate::magics::readable(took));
        }
        Some(json!({
            "data": {
                "text/plain": text,
                "text/html": format!("<progress value=\"{done}\" max=\"{all}\"></progress> {text}"),
            },
            "display_id": line.id,
            "update": is_update,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ranks::Rank;

    #[test]
    fn the_line_comes_late_and_changes_with_the_ranks() {
        let mut state = State::default();
        for number in 0..2 {
            let rank = Rank {
                run: Some(1),
                ..Rank::default()
            };
            state.ranks.insert(number, rank);
        }
        assert!(state.progress(Duration::from_secs(1)).is_none());
        assert!(state.end_progress().is_none());
        let first = state.progress(PATIENCE).unwrap();
        assert_eq!(
            first["data"]["text/plain"],
            "0 of 2 ranks done, ranks 0,1 at work"
        );
        assert!(state.progress(PATIENCE).is_none());
        let rank = state.ranks.get_mut(&1).unwrap();
        (rank.run, rank.told.ended) = (None, true);
        let second = state.progress(PATIENCE).unwrap();
        assert_eq!(second["update"], true);
        assert_eq!(second["display_id"], first["display_id"]);
        assert_eq!(
            second["data"]["text/plain"],
            "1 of 2 ranks done, rank 0 at work"
        );
    }
}
