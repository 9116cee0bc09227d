//! Stacks, variables and values, from LLDB's words into those of cells and of Rust.

use super::adapter::lock;
use super::{Debugger, names};
use serde_json::{Value, json};

/// How many frames are looked at.
const DEPTH: u32 = 200;
/// How many parts of a value are shown at once, unless the front end says how many it wants.
const PAGE: usize = 100;
/// From here on numbers of values are ours: the rest of one that is shown in pages.
const FIRST_PAGE: i64 = 1 << 30;

/// Answers without a body have an empty one.
pub fn object(body: Value) -> Value {
    if body.is_object() { body } else { json!({}) }
}

impl Debugger {
    /// Cell, file and line of one of LLDB's frames, if the user wrote it.
    pub(super) fn place_of(&self, frame: &Value) -> Option<(usize, String, usize)> {
        let source = frame["source"]["path"].as_str()?;
        let line = frame["line"].as_u64()? as usize;
        self.cells.place(source, line)
    }

    /// A thread's stack: the user's frames first, the others behind them and marked.
    pub(super) fn stack(&self, arguments: &Value) -> Result<Value, String> {
        let asked = json!({ "threadId": arguments["threadId"], "startFrame": 0, "levels": DEPTH });
        let body = self.ask("stackTrace", &asked)?;
        let frames = body["stackFrames"].as_array().cloned().unwrap_or_default();
        let (users, others): (Vec<_>, Vec<_>) = frames
            .into_iter()
            .map(|frame| {
                let place = self.place_of(&frame);
                (frame, place)
            })
            .partition(|(_, place)| place.is_some());
        let mut list = Vec::new();
        for (frame, place) in users.into_iter().chain(others) {
            let name = names::function_name(frame["name"].as_str().unwrap_or_default());
            let mut shown = json!({ "id": frame["id"], "column": 1 });
            match place {
                Some((cell, file, line)) => {
                    let is_cell = name.contains("run_user_code_");
                    shown["name"] = json!(if is_cell {
                        format!("cell [{cell}]")
                    } else {
                        name
                    });
                    shown["line"] = json!(line);
                    shown["source"] = json!({ "path": file, "name": format!("cell [{cell}]") });
                }
                None => {
                    shown["name"] = json!(name);
                    shown["line"] = json!(0);
                    shown["presentationHint"] = json!("subtle");
                    let path = frame["source"]["path"].as_str().unwrap_or_default();
                    if std::path::Path::new(path).is_file() {
                        shown["line"] = frame["line"].clone();
                        shown["source"] = json!({
                            "path": path, "name": frame["source"]["name"], "presentationHint": "deemphasize",
                        });
                    }
                }
            }
            list.push(shown);
        }
        let number = |name: &str| arguments[name].as_u64().unwrap_or(0) as usize;
        let total = list.len();
        let levels = if number("levels") == 0 {
            total
        } else {
            number("levels")
        };
        let list: Vec<Value> = list
            .into_iter()
            .skip(number("startFrame"))
            .take(levels)
            .collect();
        Ok(json!({ "stackFrames": list, "totalFrames": total }))
    }

    /// What a frame has: its variables. Registers are nobody's question here.
    pub(super) fn scopes(&self, arguments: &Value) -> Result<Value, String> {
        let body = self.ask("scopes", arguments)?;
        let scopes: Vec<Value> = body["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|scope| scope["name"] == "Locals")
            .map(|scope| {
                json!({
                    "name": "Locals",
                    "presentationHint": "locals",
                    "variablesReference": scope["variablesReference"],
                    "expensive": false,
                })
            })
            .collect();
        Ok(json!({ "scopes": scopes }))
    }

    /// The parts of a scope or a value, a page of them.
    pub(super) fn variables(&self, arguments: &Value) -> Result<Value, String> {
        let number = |name: &str| arguments[name].as_u64().unwrap_or(0) as usize;
        let mut reference = arguments["variablesReference"].as_i64().unwrap_or_default();
        let mut start = number("start");
        if reference >= FIRST_PAGE {
            let page = usize::try_from(reference - FIRST_PAGE).unwrap_or(usize::MAX);
            let page = lock(&self.state).pages.get(page).copied();
            let (of, first) = page.ok_or("variables: this value is of an earlier stop")?;
            (reference, start) = (of, first + start);
        }
        let count = match number("count") {
            0 => PAGE,
            wanted => wanted,
        };
        let asked = json!({ "variablesReference": reference, "start": start, "count": count + 1 });
        let body = self.ask("variables", &asked)?;
        let found = body["variables"].as_array().cloned().unwrap_or_default();
        let has_more = found.len() > count;
        let mut list: Vec<Value> = found
            .iter()
            .take(count)
            .filter(|variable| !names::is_internal(variable["name"].as_str().unwrap_or_default()))
            .map(variable)
            .collect();
        // Who asks for so many knows that there may be more.
        if has_more && number("count") == 0 {
            let mut state = lock(&self.state);
            state.pages.push((reference, start + count));
            list.push(json!({
                "name": format!("[{}…]", start + count),
                "value": "more",
                "type": "",
                "variablesReference": FIRST_PAGE + state.pages.len() as i64 - 1,
            }));
        }
        Ok(json!({ "variables": list }))
    }

    /// The value of an expression: a variable, a part of it, arithmetic. A backtick makes it a command of LLDB's.
    pub(super) fn evaluate(&self, arguments: &Value) -> Result<Value, String> {
        let expression = arguments["expression"].as_str().unwrap_or_default().trim();
        let is_command = expression.starts_with('`');
        let mut asked = json!({
            "expression": if is_command { expression.to_owned() } else { names::condition(expression) },
            "context": if is_command { "repl" } else { "watch" },
        });
        match arguments["frameId"]
            .as_i64()
            .or_else(|| self.frame_in_front())
        {
            Some(frame) => asked["frameId"] = json!(frame),
            None => {
                return Err(format!(
                    "{expression}: nothing is stopped\nwhy: an expression has its meaning in a frame\n\
                     do:  set a breakpoint and run the cell"
                ));
            }
        }
        let body = self.ask("evaluate", &asked).map_err(|why| {
            let first = why.lines().next().unwrap_or_default();
            format!(
                "{expression}: LLDB cannot evaluate it\nwhy: {}\n\
                 do:  name a variable or a part of it (v[0], p.x, n + 1); methods of Rust cannot be called",
                first.trim_start_matches("error: ")
            )
        })?;
        let kind = names::type_name(body["type"].as_str().unwrap_or_default());
        Ok(json!({
            "result": names::value(&body["result"], &kind),
            "type": kind,
            "variablesReference": reference(&body, &kind),
        }))
    }

    /// The innermost frame of the user's, of a thread that stands still.
    fn frame_in_front(&self) -> Option<i64> {
        let thread = lock(&self.state).stopped.first().copied()?;
        let stack = self
            .stack(&json!({ "threadId": thread, "levels": 1 }))
            .ok()?;
        stack["stackFrames"][0]["id"].as_i64()
    }

    /// The session's variables, stopped or not.
    pub(super) fn inspect(&self) -> Value {
        let state = lock(&self.state);
        let list: Vec<Value> = state
            .variables
            .iter()
            .map(|(name, kind)| {
                json!({
                    "name": name, "type": kind, "value": "", "evaluateName": name, "variablesReference": 0,
                })
            })
            .collect();
        json!({ "variables": list })
    }

    /// The libraries of the worker.
    pub(super) fn modules(&self, arguments: &Value) -> Result<Value, String> {
        if self.session().is_err() {
            return Ok(json!({ "modules": [], "totalModules": 0 }));
        }
        let body = self.ask("modules", &json!({}))?;
        let all = body["modules"].as_array().cloned().unwrap_or_default();
        let number = |name: &str| arguments[name].as_u64().unwrap_or(0) as usize;
        let total = all.len();
        let count = if number("moduleCount") == 0 {
            total
        } else {
            number("moduleCount")
        };
        let some: Vec<Value> = all
            .into_iter()
            .skip(number("startModule"))
            .take(count)
            .collect();
        Ok(json!({ "modules": some, "totalModules": total }))
    }
}

/// The number by which the parts of a value are asked for; 0 if there are none to be seen.
fn reference(lldb: &Value, kind: &str) -> i64 {
    match names::is_text(kind) {
        true => 0,
        false => lldb["variablesReference"].as_i64().unwrap_or(0),
    }
}

/// A variable in the front end's words.
fn variable(lldb: &Value) -> Value {
    let name = lldb["name"].as_str().unwrap_or_default();
    let kind = names::type_name(lldb["type"].as_str().unwrap_or_default());
    let mut variable = json!({
        "name": name,
        "value": names::value(&lldb["value"], &kind),
        "type": kind,
        "variablesReference": reference(lldb, &kind),
    });
    // What LLDB has made up itself cannot be asked for by name.
    let path = lldb["evaluateName"].as_str().unwrap_or_default();
    if !path.is_empty() && !path.contains("->[") && !path.contains('$') {
        variable["evaluateName"] = json!(path);
    }
    variable
}
