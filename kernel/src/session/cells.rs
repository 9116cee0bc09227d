//! The engine's thread: starts the engine, then takes one job after the other from the queue.

use super::context::CellContext;
use super::failure::{CellError, Cells};
use super::outputs::Begin;
use super::queue::Job;
use super::ranks::Group;
use super::requests::{byte_offset, complete_magic, completion_reply};
use super::{Shared, bundle, control, debug};
use crate::engine::{Engine, Settings, word_at};
use crate::magics;
use crate::protocol::{Message, Parent};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What lives as long as the session and belongs to the engine's thread alone.
pub struct Runner {
    pub(super) shared: Arc<Shared>,
    pub engine: Result<Engine, String>,
    /// The ranks; none before the first cell of theirs.
    pub(super) group: Option<Group>,
    /// Text of each cell by execution count, for excerpts in errors.
    pub cells: Cells,
    count: usize,
    /// Variables that went with a cell that was left behind, of which evcxr does not know yet.
    pub left_behind: std::collections::HashSet<String>,
    /// What the start of the engine had to say; shown with the first cell.
    notices: Vec<String>,
}

/// Serves jobs until the process ends.
pub fn serve(shared: &Arc<Shared>) {
    let mut runner = Runner {
        shared: Arc::clone(shared),
        engine: Err("the engine has not been started".to_owned()),
        group: None,
        cells: Cells::new(),
        count: 0,
        left_behind: std::collections::HashSet::new(),
        notices: Vec::new(),
    };
    runner.start_engine();
    loop {
        match shared.queue.next() {
            Job::Execute(message) => runner.execute(&message),
            Job::Complete(message) => runner.complete(&message),
            Job::Inspect(message) => runner.inspect(&message),
            Job::Show {
                name,
                parent,
                answer,
            } => {
                let _has_given_up = answer.send(runner.show(&name, parent));
            }
        }
    }
}

impl Runner {
    fn start_engine(&mut self) {
        let settings = Settings {
            side_channel: self.shared.side_channel.path(),
            session: self.shared.session_dir.clone(),
            process_group: self.shared.process_group,
            notify: {
                let shared = Arc::clone(&self.shared);
                Box::new(move |text| shared.outputs.text("stderr", text))
            },
            debugging: debug::for_cells(&self.shared),
        };
        let mut notices = Vec::new();
        let started = Engine::start(settings, &mut |text| {
            eprintln!("forkline: {text}");
            notices.push(text.to_owned());
        });
        self.engine = started.map_err(|error| format!("{error:#}"));
        self.notices.extend(notices);
        if let Ok(engine) = &mut self.engine {
            self.shared.outputs.set_locator(engine.locator());
            if let Err(failure) = engine.load_user_config() {
                self.notices.push(format!(
                    "evcxr's configuration could not be loaded: {failure:?}"
                ));
            }
            // Whoever waits already waits for a cell, which need not be a `let`.
            if self.shared.queue.is_empty() {
                engine.warm_up();
            }
        }
        self.note_names();
    }

    /// One execute request, from busy to idle.
    fn execute(&mut self, message: &Message) {
        let shared = Arc::clone(&self.shared);
        let wire = &shared.wire;
        wire.status(&message.parent, "busy");
        let content = &message.content;
        let flag = |name: &str, default| content[name].as_bool().unwrap_or(default);
        let code = content["code"].as_str().unwrap_or_default();
        let silent = flag("silent", false);
        let keep = flag("store_history", true) && !silent;
        if keep {
            self.count += 1;
        }
        let number = self.count.max(1);
        shared.interrupts.begin();
        if !silent {
            let input = json!({ "code": code, "execution_count": number });
            wire.publish(&message.parent, "execute_input", input);
        }
        if keep && !code.trim().is_empty() {
            self.history(|history| history.store(number, code));
        }
        self.cells.insert(number, code.to_owned());
        shared.debugger.begin(number, code);
        shared.outputs.begin(Begin {
            parent: message.parent.clone(),
            count: number,
            silent,
            allow_stdin: flag("allow_stdin", true),
        });
        for notice in std::mem::take(&mut self.notices) {
            shared.outputs.text("stderr", &format!("{notice}\n"));
        }
        let mut payload = Vec::new();
        let result = if self.engine.is_err() {
            // Perhaps the user has mended it since.
            self.start_engine();
            match &self.engine {
                Err(why) => Err(CellError::new(
                    "EngineError",
                    format!("the engine cannot start\nwhy: {why}"),
                )),
                Ok(_) => self.run(number, code, &mut payload),
            }
        } else {
            self.run(number, code, &mut payload)
        };
        let reply = match result {
            Ok(text) => {
                if keep && let Some(text) = text {
                    self.history(|history| history.store_output(number, &text));
                }
                let expressions = self.user_expressions(number, &content["user_expressions"]);
                shared.outputs.finish();
                json!({
                    "status": "ok",
                    "execution_count": number,
                    "payload": payload,
                    "user_expressions": expressions,
                })
            }
            Err(error) => {
                shared.outputs.finish();
                wire.publish(&message.parent, "error", error.to_json());
                let mut reply = error.to_json();
                reply["status"] = json!("error");
                reply["execution_count"] = json!(number);
                reply["payload"] = json!([]);
                reply["user_expressions"] = json!({});
                reply
            }
        };
        shared.interrupts.end();
        shared.debugger.cell_over(number);
        let failed = reply["status"] == "error";
        // What is queued by now; what a front end sends after it has the reply is a new beginning.
        let aborted = if failed && flag("stop_on_error", true) {
            shared.queue.abort()
        } else {
            Vec::new()
        };
        // A front end that has the reply may ask for a completion, or for the variables, at once.
        self.note_names();
        shared.queue.almost_done();
        wire.reply(message, "execute_reply", reply);
        wire.status(&message.parent, "idle");
        self.answer_aborted(&aborted, number);
    }

    /// Runs a cell; returns the text of its result.
    fn run(
        &mut self,
        number: usize,
        code: &str,
        payload: &mut Vec<Value>,
    ) -> Result<Option<String>, CellError> {
        let mut context = CellContext::new(self, number, code);
        let result = magics::run(&mut context, code);
        payload.append(&mut context.payload);
        let text = context.result.take();
        if context.wants_end {
            control::end(&self.shared);
        }
        result.map(|()| text)
    }

    /// Evaluates the request's expressions; each stands for itself.
    fn user_expressions(&mut self, number: usize, expressions: &Value) -> Value {
        let mut results = Map::new();
        for (name, expression) in expressions.as_object().into_iter().flatten() {
            let expression = expression.as_str().unwrap_or_default();
            self.shared.outputs.capture(true);
            let mut context = CellContext::new(self, number, expression);
            let outcome = context.run_code(expression);
            let data = self.shared.outputs.take_captured();
            self.shared.outputs.capture(false);
            let result = match outcome {
                Ok(()) => {
                    json!({ "status": "ok", "data": data.unwrap_or_default(), "metadata": {} })
                }
                Err(error) => {
                    let mut result = error.to_json();
                    result["status"] = json!("error");
                    result
                }
            };
            results.insert(name.clone(), result);
        }
        Value::from(results)
    }

    /// What a variable shows as a result; nothing if it cannot be shown.
    fn show(&mut self, name: &str, parent: Parent) -> Map<String, Value> {
        let shared = Arc::clone(&self.shared);
        let number = self.count.max(1);
        shared.interrupts.begin();
        shared.outputs.begin(Begin {
            parent,
            count: number,
            silent: true,
            allow_stdin: false,
        });
        shared.outputs.capture(true);
        let shown = CellContext::new(self, number, name).run_code(name);
        let data = shared.outputs.take_captured();
        shared.outputs.capture(false);
        shared.outputs.finish();
        shared.interrupts.end();
        shown.ok().and(data).unwrap_or_default()
    }

    /// Answers the cells queued behind a failed one without running them.
    fn answer_aborted(&self, aborted: &[Message], number: usize) {
        for message in aborted {
            let wire = &self.shared.wire;
            wire.status(&message.parent, "busy");
            let reply = json!({
                "status": "aborted",
                "execution_count": number,
                "payload": [],
                "user_expressions": {},
            });
            wire.reply(message, "execute_reply", reply);
            wire.status(&message.parent, "idle");
        }
    }

    fn complete(&mut self, message: &Message) {
        let wire = self.shared.wire.clone();
        wire.status(&message.parent, "busy");
        let code = message.content["code"].as_str().unwrap_or_default();
        let cursor = message.content["cursor_pos"].as_u64().unwrap_or(0) as usize;
        let position = byte_offset(code, cursor);
        let reply = complete_magic(code, position).unwrap_or_else(|| {
            // Same length, so positions stay what they are.
            let text = magics::without_magics(code);
            let found = match &mut self.engine {
                Ok(engine) => quietly(|| engine.complete(&text, position)),
                Err(_) => None,
            };
            match found {
                Some(Ok(found)) => {
                    let candidates: Vec<(String, &str)> = found
                        .candidates
                        .iter()
                        .map(|candidate| (candidate.text.clone(), candidate.kind.as_str()))
                        .filter(|(text, _)| !text.starts_with("forkline_warm"))
                        .collect();
                    completion_reply(code, found.range, &candidates)
                }
                _ => completion_reply(code, position..position, &[]),
            }
        });
        // A front end that has this reply may ask again at once.
        self.shared.queue.almost_done();
        wire.reply(message, "complete_reply", reply);
        wire.status(&message.parent, "idle");
    }

    fn inspect(&mut self, message: &Message) {
        let wire = self.shared.wire.clone();
        wire.status(&message.parent, "busy");
        let code = message.content["code"].as_str().unwrap_or_default();
        let cursor = message.content["cursor_pos"].as_u64().unwrap_or(0) as usize;
        let found = self.describe(code, byte_offset(code, cursor));
        let data = found.clone().unwrap_or_default();
        let reply = json!({
            "status": "ok",
            "found": found.is_some(),
            "data": data,
            "metadata": {},
        });
        self.shared.queue.almost_done();
        wire.reply(message, "inspect_reply", reply);
        wire.status(&message.parent, "idle");
    }

    /// Documentation of the name at a byte position.
    pub fn describe(&mut self, code: &str, position: usize) -> Option<Map<String, Value>> {
        if let Some(help) = magics::describe(code, position) {
            return Some(bundle::text(&help));
        }
        let text = magics::without_magics(code);
        let word = word_at(&text, position);
        if word.is_empty() {
            return None;
        }
        let engine = self.engine.as_mut().ok()?;
        let (plain, html) = quietly(|| engine.inspect(&text, word.end)).flatten()?;
        let mut data = bundle::text(&plain);
        data.insert("text/html".to_owned(), Value::from(html));
        Some(data)
    }

    fn history(&self, change: impl FnOnce(&super::History)) {
        let history = self
            .shared
            .history
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&history);
    }

    /// Keeps the names that completion offers while the engine is busy.
    fn note_names(&self) {
        let Ok(engine) = &self.engine else { return };
        self.shared.debugger.set_variables(engine.variables());
        let mut names: Vec<(String, &'static str)> = Vec::new();
        names.extend(
            engine
                .variables()
                .into_iter()
                .map(|(name, _)| (name, "instance")),
        );
        names.extend(engine.items().into_iter().map(|name| (name, "function")));
        let keywords = [
            "async", "await", "break", "const", "continue", "else", "enum", "false", "for", "impl",
            "let", "loop", "match", "mod", "move", "pub", "return", "self", "static", "struct",
            "trait", "true", "type", "unsafe", "use", "where", "while",
        ];
        names.extend(keywords.map(|word| (word.to_owned(), "keyword")));
        names.sort();
        names.dedup_by(|one, other| one.0 == other.0);
        *self
            .shared
            .names
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = names;
    }
}

/// A panic inside rust-analyzer costs the answer, not the kernel.
fn quietly<T>(body: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).ok()
}
