//! How a failed cell of a group is told: one error, with what became of each rank.

use super::labels::numbers;
use super::standing::Standing;
use super::{Cause, Outcome, Told};
use crate::session::failure::{self, CellError, Cells};
use crate::session::panics;
use std::time::Duration;

/// What is left after a group has ended.
const ENDED: &str = "the group is ended and the variables of all ranks are gone; functions, types and imports \
                     are still defined, and the next %%mpi starts a new group";

/// Why the cell failed, if it did.
pub fn of(outcome: &Outcome, cells: &Cells) -> Option<CellError> {
    match outcome.cause {
        // It is told by what they waited for.
        None | Some(Cause::InVain) => {}
        Some(Cause::TimedOut(limit)) => return Some(timed_out(outcome, limit)),
        Some(Cause::Interrupted) => return Some(did_not_yield(outcome)),
    }
    if let Some(why) = &outcome.launch_failed {
        return Some(CellError::new("LaunchError", why.clone()));
    }
    let is_in_vain = outcome.is_released || outcome.cause.is_some();
    if !outcome.lost.is_empty() && !is_in_vain {
        return Some(lost(outcome, cells));
    }
    if outcome.is_interrupted() && !is_in_vain {
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
        let told = self.ranks.iter().map(|(number, told)| (*number, told));
        states(told, apart_from)
    }

    /// Whether the cell was asked to end, and has ended so on some rank.
    pub fn is_interrupted(&self) -> bool {
        self.ranks.values().any(|told| told.interrupted)
    }
}

/// What became of ranks, apart from some: `rank 0 finished; ranks 1-3 waited in barrier (cell [2], line 4)`. Three and
/// more have lines of their own, each with its newline before it.
pub fn states<'a>(
    ranks: impl Iterator<Item = (u32, &'a Told)>,
    apart_from: &[u32],
) -> Option<String> {
    // In the order of the first rank of each.
    let mut states: Vec<(String, Vec<u32>)> = Vec::new();
    for (number, told) in ranks.filter(|(number, _)| !apart_from.contains(number)) {
        let state = told.state();
        match states.iter_mut().find(|(known, _)| *known == state) {
            Some((_, ranks)) => ranks.push(number),
            None => states.push((state, vec![number])),
        }
    }
    let texts: Vec<String> = states
        .iter()
        .map(|(state, ranks)| format!("{} {state}", named(ranks)))
        .collect();
    match texts.len() {
        0 => None,
        1 | 2 => Some(texts.join("; ")),
        _ => Some(texts.iter().map(|text| format!("\n  {text}")).collect()),
    }
}

/// `rank 2`, `ranks 0-2`.
pub fn named(ranks: &[u32]) -> String {
    let noun = if ranks.len() == 1 { "rank" } else { "ranks" };
    format!("{noun} {}", numbers(ranks))
}

impl Told {
    /// How far a rank has come.
    fn state(&self) -> String {
        let stood = || self.standing.as_ref().and_then(Standing::describe);
        let text = if self.panic.is_some() {
            "panicked"
        } else if self.user_error.is_some() {
            "returned an error"
        } else if self.ended && !self.interrupted {
            "finished"
        } else if let Some(stood) = stood() {
            return stood;
        } else if self.ended {
            "was interrupted"
        } else if self.begun {
            "had not finished"
        } else {
            "had not begun"
        };
        text.to_owned()
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
    head += &rest(outcome, &all);
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
    head += &rest(outcome, &all);
    let mut traceback = vec![head];
    traceback.extend(failure::excerpt(place, cells));
    Some(CellError {
        ename: "Error".to_owned(),
        evalue,
        traceback,
    })
}

/// The last lines about ranks that have failed: what became of the others, and of the group.
fn rest(outcome: &Outcome, failed: &[u32]) -> String {
    let mut text = String::new();
    if let Some(others) = outcome.others(failed) {
        text += &format!("\n{}", others.trim_start_matches('\n'));
    }
    if outcome.is_released || outcome.cause == Some(Cause::InVain) {
        text += "\nthe cell was ended, because nobody was left to send what they waited for";
    }
    if outcome.is_ended {
        text += &format!("\ndo:  {ENDED}");
    }
    text
}

/// How a failed cell leaves a group that lives on.
const LIVES: &str = "go on: the group is still there, and so are variables of earlier cells, but for those that the \
                     cell had moved";

/// How it leaves one whose messages it has broken off.
const BROKEN: &str = "begin anew: messages were broken off that cannot be taken back, so the group is ended and the \
                      variables of all ranks are gone; functions, types and imports are still defined";

fn interrupted(outcome: &Outcome) -> CellError {
    let ending = if outcome.is_ended { BROKEN } else { LIVES };
    CellError::new(
        "Interrupted",
        format!(
            "the cell was interrupted\n\
             why: it was asked for, and the code ended at its next loop, sleep or wait\n\
             ranks: {}\n\
             do:  {ending}",
            outcome.others(&[]).unwrap_or_default()
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

fn timed_out(outcome: &Outcome, limit: Duration) -> CellError {
    CellError::new(
        "TimedOut",
        format!(
            "the cell ran longer than its limit of {} s\n\
             why: --timeout says so; perhaps a rank waits for a message that nobody sends{}\n\
             do:  {ENDED}",
            limit.as_secs_f64(),
            ranks_line(outcome)
        ),
    )
}

fn did_not_yield(outcome: &Outcome) -> CellError {
    let (why, ending) = if outcome.ranks.values().any(|told| told.begun) {
        let why = "its code did not yield within two seconds";
        (format!("{why}{}", ranks_line(outcome)), ENDED)
    } else {
        let why = "it was asked for, and the launcher had not started the ranks yet".to_owned();
        (
            why,
            "try the launcher in a terminal if it takes long; the next %%mpi starts a new group",
        )
    };
    CellError::new(
        "Interrupted",
        format!("the cell was interrupted\nwhy: {why}\ndo:  {ending}"),
    )
}

fn ranks_line(outcome: &Outcome) -> String {
    let states = outcome.others(&[]);
    states.map_or(String::new(), |states| format!("\nranks: {states}"))
}
