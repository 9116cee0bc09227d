//! How a failed cell of a group is told: one error, with what became of each rank.

use super::labels::numbers;
use super::{Cause, Outcome, Told};
use crate::session::failure::{self, CellError, Cells};
use crate::session::panics;
use std::collections::BTreeMap;

/// What is left after a group has ended.
const ENDED: &str = "the group is ended and the variables of all ranks are gone; functions, types and imports \
                     are still defined, and the next %%mpi starts a new group";

/// Why the cell failed, if it did.
pub fn of(outcome: &Outcome, cells: &Cells) -> Option<CellError> {
    if let Some(cause) = outcome.cause {
        return Some(ended_from_here(outcome, cause));
    }
    if let Some(why) = &outcome.launch_failed {
        return Some(CellError::new("LaunchError", why.clone()));
    }
    if !outcome.lost.is_empty() {
        return Some(lost(outcome, cells));
    }
    if !outcome.which(|told| told.interrupted).is_empty() {
        return Some(interrupted(outcome));
    }
    if !outcome.which(|told| told.panic.is_some()).is_empty() {
        return Some(panicked(outcome, cells));
    }
    returned(outcome, cells)
}

impl Outcome {
    /// The ranks of which something holds.
    fn which(&self, holds: impl Fn(&Told) -> bool) -> Vec<u32> {
        let found = self.ranks.iter().filter(|(_, told)| holds(told));
        found.map(|(number, _)| *number).collect()
    }

    /// `rank 2 of 4`, `ranks 0-2 of 4`.
    fn name(&self, ranks: &[u32]) -> String {
        format!("{} of {}", named(ranks), self.ranks.len())
    }

    /// What became of all ranks but these, one line.
    fn others(&self, apart_from: &[u32]) -> Option<String> {
        let mut states: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (number, told) in &self.ranks {
            if !apart_from.contains(number) {
                states.entry(told.state()).or_default().push(*number);
            }
        }
        let mut states: Vec<(&str, Vec<u32>)> = states.into_iter().collect();
        states.sort_by_key(|(_, ranks)| ranks.first().copied());
        let texts: Vec<String> = states
            .iter()
            .map(|(state, ranks)| format!("{} {state}", named(ranks)))
            .collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// `rank 2`, `ranks 0-2`.
pub fn named(ranks: &[u32]) -> String {
    let noun = if ranks.len() == 1 { "rank" } else { "ranks" };
    format!("{noun} {}", numbers(ranks))
}

impl Told {
    /// How far a rank has come.
    fn state(&self) -> &'static str {
        if self.panic.is_some() {
            "panicked"
        } else if self.user_error.is_some() {
            "returned an error"
        } else if self.ended {
            "finished"
        } else if self.begun {
            "had not finished"
        } else {
            "had not begun"
        }
    }
}

fn panicked(outcome: &Outcome, cells: &Cells) -> CellError {
    // The same message at the same place is one panic.
    let mut groups: Vec<(Vec<u32>, &panics::PanicReport)> = Vec::new();
    for (number, told) in &outcome.ranks {
        let Some(report) = &told.panic else { continue };
        let known = groups
            .iter_mut()
            .find(|(_, known)| known.message == report.message && known.place == report.place);
        match known {
            Some((ranks, _)) => ranks.push(*number),
            None => groups.push((vec![*number], report)),
        }
    }
    let all: Vec<u32> = outcome.which(|told| told.panic.is_some());
    let (ranks, first) = &groups[0];
    let place = |report: &panics::PanicReport| match report.place {
        Some(place) => panics::describe(place),
        None => report.elsewhere.clone(),
    };
    let evalue = format!("{} panicked: {}", outcome.name(ranks), first.message);
    let mut head = format!("\x1b[1;31mPanic\x1b[0m: {evalue}\nin {}", place(first));
    for (ranks, report) in &groups[1..] {
        head += &format!(
            "\n{} panicked: {}\nin {}",
            named(ranks),
            report.message,
            place(report)
        );
    }
    if let Some(others) = outcome.others(&all) {
        head += &format!("\n{others}");
    }
    let mut traceback = vec![head];
    traceback.extend(failure::excerpt(first.place, cells));
    traceback.extend(panics::frames_text(&first.frames));
    CellError {
        ename: "Panic".to_owned(),
        evalue,
        traceback,
    }
}

fn returned(outcome: &Outcome, cells: &Cells) -> Option<CellError> {
    let mut groups: Vec<(Vec<u32>, &panics::UserError)> = Vec::new();
    for (number, told) in &outcome.ranks {
        let Some(error) = &told.user_error else {
            continue;
        };
        match groups
            .iter_mut()
            .find(|(_, known)| known.text == error.text)
        {
            Some((ranks, _)) => ranks.push(*number),
            None => groups.push((vec![*number], error)),
        }
    }
    let (ranks, first) = groups.first()?;
    let all = outcome.which(|told| told.user_error.is_some());
    let evalue = format!("{}: {}", outcome.name(ranks), first.text);
    let mut head = format!("\x1b[1;31mError\x1b[0m: {evalue}");
    let place = first.frames.last().map(|frame| frame.place);
    if let Some(place) = place {
        head += &format!("\nreturned by `?` in {}", panics::describe(place));
    }
    for (ranks, error) in &groups[1..] {
        head += &format!("\n{}: {}", named(ranks), error.text);
    }
    if let Some(others) = outcome.others(&all) {
        head += &format!("\n{others}");
    }
    let mut traceback = vec![head];
    traceback.extend(failure::excerpt(place, cells));
    Some(CellError {
        ename: "Error".to_owned(),
        evalue,
        traceback,
    })
}

fn interrupted(outcome: &Outcome) -> CellError {
    let yielded = outcome.which(|told| told.interrupted);
    let others = outcome
        .others(&yielded)
        .map_or(String::new(), |others| format!("; {others}"));
    CellError::new(
        "Interrupted",
        format!(
            "the cell was interrupted\n\
             why: it was asked for, and the code ended at its next loop or sleep on {}{others}\n\
             do:  go on: the group is still there, and so are variables of earlier cells, but for those that \
             the cell had moved",
            named(&yielded)
        ),
    )
}

/// A rank has gone by itself: an exit, a crash, somebody killed it.
fn lost(outcome: &Outcome, cells: &Cells) -> CellError {
    let first = outcome.lost[0];
    let told = &outcome.ranks[&first];
    // Those that went in the same way at the same moment; the others were ended for them.
    let same: Vec<u32> = outcome.which(|other| {
        other.gone
            && match (&told.exit, told.crash) {
                (Some(exit), _) => {
                    let status = other.exit.as_ref().map(|exit| exit.status);
                    status == Some(exit.status)
                }
                (None, Some(crash)) => other.crash.is_some_and(|one| one.signal == crash.signal),
                (None, None) => false,
            }
    });
    let same = if same.is_empty() { vec![first] } else { same };
    let who = outcome.name(&same);
    let mut place = None;
    let (what, why) = if let Some(why) = &told.load_failed {
        ("could not load the compiled cell".to_owned(), why.clone())
    } else if let Some(crash) = told.crash {
        let (what, why) = failure::crash_text(crash);
        (what.replace("the cell's code ", ""), why)
    } else if let Some(exit) = &told.exit {
        place = exit.frames.first().map(|frame| frame.place);
        let why = match place {
            Some(place) => format!("the code called exit in {}", panics::describe(place)),
            None => "it called exit, or a library did".to_owned(),
        };
        (
            format!("ended its process with exit status {}", exit.status),
            why,
        )
    } else {
        (
            "is gone".to_owned(),
            "its process has ended without a word: somebody killed it (SIGKILL), or the system was out of memory"
                .to_owned(),
        )
    };
    let what = if same.len() > 1 {
        what.replacen("was ", "were ", 1)
            .replacen("is gone", "are gone", 1)
            .replacen("its process", "their processes", 1)
    } else {
        what
    };
    let others = outcome
        .others(&same)
        .map_or(String::new(), |others| format!("\nothers: {others}"));
    let mut error = CellError::new(
        "RankEnded",
        format!("{who} {what}\nwhy: {why}{others}\ndo:  {ENDED}"),
    );
    error.traceback.extend(failure::excerpt(place, cells));
    error
}

/// The group had to be ended.
fn ended_from_here(outcome: &Outcome, cause: Cause) -> CellError {
    let states = outcome
        .others(&[])
        .map_or(String::new(), |states| format!("\nranks: {states}"));
    match cause {
        Cause::TimedOut(limit) => CellError::new(
            "TimedOut",
            format!(
                "the cell ran longer than its limit of {} s\n\
                 why: --timeout says so; perhaps a rank waits for a message that nobody sends{states}\n\
                 do:  {ENDED}",
                limit.as_secs_f64()
            ),
        ),
        Cause::Interrupted => CellError::new(
            "Interrupted",
            format!(
                "the cell was interrupted\n\
                 why: its code did not yield within two seconds: perhaps a rank waits for a message that nobody \
                 sends{states}\n\
                 do:  {ENDED}"
            ),
        ),
    }
}
