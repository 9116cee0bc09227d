//! What is done about a cell whose ranks wait in vain: for one that has failed, for each other, or longer than the cell
//! may take.
//!
//! * Longer than `--timeout`: the group is ended.
//! * A rank has failed, and all that still run have waited in MPI since: nobody is left to send what they wait for.
//!   They are told to wait no longer, and the cell fails at once, with where they stood.
//! * A rank has failed, and others go on: the user is told, once.
//! * All that run wait in MPI, for a while now: the user is told, once. It may be a deadlock; it may also be a thread
//!   that will send something in a minute, so nothing is ended.
//!
//! While a rank stands still in the debugger nobody's wait is in vain: no time counts, and afterwards all waits begin
//! anew.

use super::{Cause, Rank, Ranks, Stack, State, failure};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

/// How often the watch looks at what it knows.
const STEP: Duration = Duration::from_millis(20);
/// How often ranks are asked where they stand after one has failed, and how often otherwise. The latter is a few
/// microseconds of each rank's time.
const ASK_SOON: Duration = Duration::from_millis(150);
const ASK: Duration = Duration::from_secs(1);
/// A wait for this long, of all ranks at once, with one that has failed, is in vain.
const IN_VAIN: Duration = Duration::from_millis(400);
/// How long ranks that are released may take to end the cell.
const RELEASE: Duration = Duration::from_secs(2);
/// How long ranks may go on after another one has failed, or may all wait, before the user is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether a rank stands still in the debugger.
pub type IsHeld = Arc<dyn Fn() -> bool + Send + Sync>;

/// Watches the cell in progress until it is over.
pub fn watch(ranks: &Arc<Ranks>, limit: Option<Duration>, is_held: IsHeld) {
    let ranks = Arc::clone(ranks);
    let cell = ranks.state.lock().cells;
    let watch = Watch {
        cell,
        limit,
        begun: None,
        failed: None,
        asked: Instant::now(),
        released: None,
        is_told: false,
        is_held,
        held: None,
        looked: Instant::now(),
    };
    // Without a thread there is no limit, and the user can interrupt.
    let _ = std::thread::Builder::new()
        .name("watch-ranks".to_owned())
        .spawn(move || watch.run(&ranks));
}

struct Watch {
    /// The cell that is watched, by its number among those of ranks.
    cell: u64,
    limit: Option<Duration>,
    /// When ranks began to run it. Compiling does not count, nor does starting the group.
    begun: Option<Instant>,
    /// When a rank was first seen to have failed.
    failed: Option<Instant>,
    asked: Instant,
    released: Option<Instant>,
    is_told: bool,
    is_held: IsHeld,
    /// When a rank was last seen to stand still in the debugger.
    held: Option<Instant>,
    /// The last turn of the watch.
    looked: Instant,
}

impl Watch {
    fn run(mut self, ranks: &Ranks) {
        loop {
            let state = ranks.state.lock();
            let is_over = |state: &mut State| !state.running || state.cells != self.cell;
            let mut state = ranks.state.wait_while(state, STEP, |state| !is_over(state));
            if is_over(&mut state) {
                return;
            }
            let turn = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
            if (self.is_held)() {
                self.hold(turn, &mut state);
                continue;
            }
            if state.is_running() {
                self.begun.get_or_insert_with(Instant::now);
            }
            if state.ranks.values().any(|rank| rank.told.has_failed()) {
                self.failed.get_or_insert_with(Instant::now);
            }
            if let Some(cause) = self.cause() {
                drop(state);
                ranks.end_for(cause);
                return;
            }
            let ran = self.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
            if let Some(message) = state.progress(ran) {
                ranks.outputs.display_of_rank(message);
            }
            self.look(ranks, state);
        }
    }

    /// A rank stands still: this turn of the watch counts for nothing.
    fn hold(&mut self, turn: Duration, state: &mut State) {
        self.held = Some(Instant::now());
        for since in [&mut self.begun, &mut self.failed, &mut self.released] {
            *since = since.map(|since| since + turn);
        }
        // It cannot say where it stands, and what the others say of how long they wait is of no use.
        for rank in state.ranks.values_mut() {
            rank.told.standing = None;
        }
    }

    /// Whether all ranks have waited for so long, and none of that time for the debugger.
    fn all_wait(&self, state: &State, limit: Duration) -> bool {
        self.held.is_none_or(|held| held.elapsed() >= limit) && state.all_wait(limit)
    }

    /// Why the group has to be ended now.
    fn cause(&self) -> Option<Cause> {
        let is_past = |since: Option<Instant>, limit: Duration| {
            since.is_some_and(|since| since.elapsed() >= limit)
        };
        if is_past(self.released, RELEASE) {
            return Some(Cause::InVain);
        }
        let limit = self.limit?;
        is_past(self.begun, limit).then_some(Cause::TimedOut(limit))
    }

    /// Looks at what the ranks have answered, and asks again.
    fn look<'a>(&mut self, ranks: &'a Ranks, mut state: MutexGuard<'a, State>) {
        let pause = if self.failed.is_some() { ASK_SOON } else { ASK };
        if !state.is_running() || self.released.is_some() || self.asked.elapsed() < pause {
            return;
        }
        self.asked = Instant::now();
        if self.failed.is_some() && self.all_wait(&state, IN_VAIN) {
            state.is_released = true;
            state.interrupt();
            self.released = Some(Instant::now());
            return;
        }
        if !self.is_told {
            let text = match self.failed {
                Some(since) if since.elapsed() >= PATIENCE => {
                    state = ranks.ask_where(state, Stack::Too);
                    state.who_goes_on()
                }
                None if self.all_wait(&state, PATIENCE) => Some(state.who_waits()),
                _ => None,
            };
            if let Some(text) = text {
                self.is_told = true;
                drop(state);
                ranks.outputs.text("stderr", &text);
                return;
            }
        }
        state.ask_where(Stack::No);
    }
}

impl State {
    /// Whether ranks run a cell's code at this moment.
    pub(super) fn is_running(&self) -> bool {
        self.running && self.ranks.values().any(|rank| rank.run.is_some())
    }

    /// Whether all ranks that run the cell wait in MPI for so long at least, as they said last.
    fn all_wait(&self, limit: Duration) -> bool {
        let waits = |rank: &Rank| {
            let standing = rank.told.standing.as_ref();
            standing.is_some_and(|standing| standing.has_waited(limit))
        };
        self.ranks
            .values()
            .filter(|rank| rank.run.is_some())
            .all(waits)
    }

    /// What is said when ranks go on after others have failed.
    fn who_goes_on(&self) -> Option<String> {
        let which = |holds: fn(&Rank) -> bool| -> Vec<u32> {
            let found = self.ranks.iter().filter(|(_, rank)| holds(rank));
            found.map(|(number, _)| *number).collect()
        };
        let failed = which(|rank| rank.told.has_failed());
        let running = which(|rank| rank.run.is_some() && !rank.told.has_failed());
        let why = self.ranks.values().find_map(|rank| {
            let error = rank.told.user_error.as_ref().map(|error| &error.text);
            rank.told
                .panic
                .as_ref()
                .map(|panic| &panic.message)
                .or(error)
        });
        (!running.is_empty()).then(|| {
            format!(
                "{} failed ({}), and {} went on for {} s since: {}\nif they wait for it, interrupt the cell\n",
                failure::named(&failed),
                why.map_or("", |why| why.lines().next().unwrap_or_default()),
                failure::named(&running),
                PATIENCE.as_secs(),
                self.states(&failed),
            )
        })
    }

    /// What is said when all ranks wait.
    fn who_waits(&self) -> String {
        format!(
            "no rank has gone on for {} s: {}\nperhaps a deadlock: if nobody is to send what they wait for, interrupt \
             the cell\n",
            PATIENCE.as_secs(),
            self.states(&[]),
        )
    }

    fn states(&self, apart_from: &[u32]) -> String {
        let told = self
            .ranks
            .iter()
            .map(|(number, rank)| (*number, &rank.told));
        failure::states(told, apart_from).unwrap_or_default()
    }
}
