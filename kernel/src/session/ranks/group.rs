//! The engine of the ranks, and the life of their group.

use super::{Form, Outcome, Ranks, failure, watch};
use crate::engine::{Content, Engine, Failure, RankSettings};
use crate::session::Shared;
use crate::session::failure::{CellError, Cells, from_engine};
use crate::session::outputs::{Facts, RunTimes};
use crate::worker::group::Plan;
use serde_json::Value;
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
}

/// The ranks of a session. The engine is started with the first cell of theirs.
pub struct Group {
    ranks: Arc<Ranks>,
    engine: Engine,
    plan_file: PathBuf,
    plan: Plan,
    /// How much of what the session's cells define is known to the engine.
    known: usize,
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
        })?;
        let ranks = Arc::clone(&shared.ranks);
        ranks.set_locator(engine.locator());
        Ok(Group {
            ranks,
            engine,
            plan_file,
            plan: Plan::default(),
            known: 0,
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

    /// Whether ranks have ended while no cell ran. The group is forgotten then.
    ///
    /// # Errors
    /// The process of the engine cannot be replaced.
    pub fn notice_loss(&mut self) -> Result<Option<String>, CellError> {
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
        let wanted = request.plan.clone().unwrap_or_else(|| self.plan.clone());
        if request.fresh || !self.ranks.is_alive() || wanted != self.plan {
            self.end()?;
            self.set_plan(&wanted)?;
        }
        self.ranks.begin(request.form);
        watch(&self.ranks, request.limit);
        let result = self
            .engine
            .run_on_ranks(main, cell.number, cell.text, cell.cell);
        let ended = matches!(result, Err(Failure::WorkerEnded(_)));
        let outcome = self.ranks.settle(ended);
        // One that could not begin is no example for the next.
        if outcome.launch_failed.is_none() {
            self.plan = wanted;
        }
        if ended {
            // Evcxr has started another leader, which is to wait for a plan.
            self.ranks.forget(serde_json::Map::new());
            self.set_plan(&Plan::default())?;
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
    let with_times = outcome.ranks.iter().filter(|(_, told)| told.ended);
    Ran {
        content,
        times: with_times.map(|(rank, told)| (*rank, told.times)).collect(),
        lost,
    }
}
