//! The engine of the ranks, and the life of their group.

use super::last::{self, Last};
use super::watch::{IsHeld, watch};
use super::{Form, Outcome, Ranks, failure};
use crate::engine::{Content, Engine, Failure, RankSettings};
use crate::session::Shared;
use crate::session::debug;
use crate::session::failure::{CellError, Cells, from_engine};
use crate::session::outputs::{Facts, RunTimes};
use crate::worker::group::Plan;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a cell of the ranks asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How a new group is to be started; none if any that runs will do.
    pub plan: Option<Plan>,
    /// A new group, even if the one that runs is as asked for.
    pub fresh: bool,
    pub form: Form,
    pub limit: Option<Duration>,
    /// The rank that is to run under the debugger.
    pub debugged: Option<u32>,
}

/// The ranks of a session. The engine is started with the first cell of theirs.
pub struct Group {
    ranks: Arc<Ranks>,
    engine: Engine,
    plan_file: PathBuf,
    plan: Plan,
    /// How much of what the session's cells define is known to the engine.
    known: usize,
    /// The ranks were ended after a cell, which has said so. Evcxr is told before the next one: it would have to
    /// compile for that, and compilers are ended while a cell is interrupted.
    is_over: bool,
    /// The values of the last cell that had some.
    last: Vec<Last>,
    /// Whether a rank stands still in the debugger.
    is_held: IsHeld,
}

/// The cell that is run.
pub struct CellText<'a> {
    pub number: usize,
    /// What is compiled, on the lines of the cell.
    pub text: &'a str,
    pub cell: &'a str,
    /// All cells by number, for excerpts.
    pub cells: &'a Cells,
}

/// What a cell of the ranks has returned.
#[derive(Default)]
pub struct Ran {
    pub content: Content,
    /// Times by rank.
    pub times: BTreeMap<u32, RunTimes>,
    /// Variables that evcxr has lost, once each.
    pub lost: Vec<String>,
    /// Values that were handed over, by rank.
    pub values: BTreeMap<u32, Vec<Vec<u8>>>,
}

impl Group {
    /// Starts the engine; no rank yet.
    ///
    /// # Errors
    /// There is no place for its files.
    pub(in crate::session) fn start(
        shared: &Arc<Shared>,
        main: &mut Engine,
    ) -> anyhow::Result<Group> {
        let session = shared.session_dir.join("ranks");
        std::fs::create_dir_all(&session)?;
        let plan_file = session.join("group.json");
        write_plan(&plan_file, &Plan::default())?;
        let notify = Arc::clone(shared);
        let engine = main.for_ranks(RankSettings {
            side_channel: shared.side_channel.path_for_ranks(),
            session,
            plan: plan_file.clone(),
            notify: Box::new(move |text| notify.outputs.text("stderr", text)),
            debugging: debug::for_ranks(shared),
        })?;
        let standing = Arc::clone(shared);
        let ranks = Arc::clone(&shared.ranks);
        ranks.set_locator(engine.locator());
        Ok(Group {
            ranks,
            engine,
            plan_file,
            plan: Plan::default(),
            known: 0,
            is_over: false,
            last: Vec::new(),
            is_held: Arc::new(move || standing.debugger.holds_a_rank()),
        })
    }

    /// How the group is, or was, started.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Variables of the ranks, and their types.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.engine.variables()
    }

    /// The value of each rank's last expression, in the last cell that had one, as a table.
    pub fn last_values(&self) -> Option<Map<String, Value>> {
        (!self.last.is_empty()).then(|| last::bundle(&self.last))
    }

    /// Whether ranks have ended while no cell ran. The group is forgotten then.
    ///
    /// # Errors
    /// The process of the engine cannot be replaced.
    pub fn notice_loss(&mut self) -> Result<Option<String>, CellError> {
        if std::mem::take(&mut self.is_over) {
            self.end()?;
            return Ok(None);
        }
        if !self.ranks.is_broken() {
            return Ok(None);
        }
        let lost = self
            .ranks
            .state
            .lock()
            .lost
            .first()
            .copied()
            .unwrap_or_default();
        self.end()?;
        Ok(Some(format!(
            "rank {lost} ended while no cell was running (killed from outside, or by a thread of an earlier cell), \
             and the group with it: the variables of all ranks are gone, functions, types and imports are still \
             defined\n"
        )))
    }

    /// Takes over what the session's cells have defined since the last time; returns what could not be. If the
    /// user has cleared everything, so do the ranks.
    ///
    /// # Errors
    /// The process of the engine cannot be replaced.
    pub fn take_definitions(&mut self, main: &mut Engine) -> Result<Vec<String>, CellError> {
        if main.is_cleared_since(self.known) {
            self.end()?;
        }
        let (known, failed) = self.engine.take_definitions(main, self.known);
        self.known = known;
        Ok(failed)
    }

    /// Starts a group if there is none, or not the one asked for.
    ///
    /// # Errors
    /// One error for all ranks.
    pub fn begin(
        &mut self,
        main: &mut Engine,
        request: &Request,
        cell: &CellText<'_>,
    ) -> Result<(), CellError> {
        if !self.is_as_wanted(request) {
            let text = "();";
            self.run(main, request, &CellText { text, ..*cell })?;
        }
        Ok(())
    }

    fn wanted(&self, request: &Request) -> Plan {
        request.plan.clone().unwrap_or_else(|| self.plan.clone())
    }

    fn is_as_wanted(&self, request: &Request) -> bool {
        !request.fresh && self.ranks.is_alive() && self.wanted(request) == self.plan
    }

    /// Runs a cell on all ranks; starts a group if there is none, or not the one asked for.
    ///
    /// # Errors
    /// One error for all ranks.
    pub fn run(
        &mut self,
        main: &mut Engine,
        request: &Request,
        cell: &CellText<'_>,
    ) -> Result<Ran, CellError> {
        let wanted = self.wanted(request);
        if !self.is_as_wanted(request) {
            self.end()?;
            self.set_plan(&wanted)?;
        }
        self.ranks.begin(request.form);
        watch(&self.ranks, request.limit, Arc::clone(&self.is_held));
        let result = self
            .engine
            .run_on_ranks(main, cell.number, cell.text, cell.cell);
        let ended = matches!(result, Err(Failure::WorkerEnded(_)));
        let mut outcome = self.ranks.settle(ended);
        if let Some(last) = last::of(outcome.ranks.iter()) {
            self.last = last;
        }
        // One that did not begin is no example for the next.
        if !outcome.ranks.is_empty() {
            self.plan = wanted;
        }
        if ended {
            // Evcxr has started another leader, which is to wait for a plan.
            self.ranks.forget(serde_json::Map::new());
            self.set_plan(&Plan::default())?;
        } else if outcome.is_interrupted() && self.ranks.has_broken_mpi() {
            outcome.is_ended = true;
            self.ranks.end();
            self.is_over = true;
        }
        if let Some(error) = failure::of(&outcome, cell.cells) {
            return Err(error);
        }
        match result {
            Ok(content) => Ok(ran(content, &outcome)),
            Err(failure) => Err(from_engine(failure, &Facts::default())),
        }
    }

    /// Ends the ranks, if there are any. Evcxr has a leader without a group then, which begins one when there
    /// is a plan. Variables are gone.
    ///
    /// # Errors
    /// The process of the engine cannot be replaced.
    pub fn end(&mut self) -> Result<(), CellError> {
        if self.ranks.state.lock().ranks.is_empty() {
            return Ok(());
        }
        self.ranks.end();
        self.ranks.forget(serde_json::Map::new());
        self.set_plan(&Plan::default())?;
        self.engine
            .replace_worker()
            .map_err(|failure| from_engine(failure, &Facts::default()))
    }

    /// How the group is to begin with the next order.
    fn set_plan(&self, plan: &Plan) -> Result<(), CellError> {
        let variables = plan
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.clone())));
        self.ranks.forget(variables.collect());
        write_plan(&self.plan_file, plan)
            .map_err(|error| CellError::new("LaunchError", format!("{error:#}")))
    }
}

fn write_plan(file: &std::path::Path, plan: &Plan) -> anyhow::Result<()> {
    Ok(std::fs::write(file, serde_json::to_vec(plan)?)?)
}

fn ran(content: Content, outcome: &Outcome) -> Ran {
    let mut lost: Vec<String> = outcome
        .ranks
        .values()
        .flat_map(|told| told.lost_variables.clone())
        .collect();
    lost.sort();
    lost.dedup();
    let with_values = outcome
        .ranks
        .iter()
        .map(|(rank, told)| (*rank, told.values.clone()));
    let with_times = outcome.ranks.iter().filter(|(_, told)| told.ended);
    Ran {
        content,
        values: with_values.collect(),
        times: with_times.map(|(rank, told)| (*rank, told.times)).collect(),
        lost,
    }
}
