//! What JupyterLab makes of answers, and what it therefore gets in place of what the protocol has for others.
//!
//! Its panel shows a variable's type alone unless the type is one of Python's; it has no form for frames that are nobody's
//! business, and shows no stack at all if one of them has no source; and what it calls sources of the kernel are the
//! modules.

use super::Debugger;
use super::adapter::lock;
use serde_json::{Value, json};

/// As the front end calls itself when it initializes.
const NAME: &str = "jupyterlab";

impl Debugger {
    /// Who asks.
    pub(super) fn note_client(&self, arguments: &Value) {
        lock(&self.state).is_lab = arguments["clientID"] == NAME;
    }

    /// The body of an answer as whoever asks wants it.
    pub(super) fn adapted(&self, command: &str, mut body: Value) -> Value {
        if !lock(&self.state).is_lab {
            return body;
        }
        match command {
            "variables" => each(&mut body["variables"], tell_value),
            "stackTrace" => {
                if let Some(frames) = body["stackFrames"].as_array_mut() {
                    keep_users(frames);
                }
            }
            "modules" => body = self.cells_as_modules(),
            _ => {}
        }
        body
    }

    /// The cells that are debugged, which have a source to be read.
    fn cells_as_modules(&self) -> Value {
        let cells = self.cells.list();
        let modules: Vec<Value> = cells
            .into_iter()
            .map(
                |(number, file)| json!({ "id": number, "name": format!("cell [{number}]"), "path": file }),
            )
            .collect();
        json!({ "totalModules": modules.len(), "modules": modules })
    }
}

fn each(list: &mut Value, change: impl FnMut(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(change);
}

/// Puts the value behind the type, as a `let` has it.
fn tell_value(variable: &mut Value) {
    let kind = variable["type"].as_str().unwrap_or_default();
    let value = variable["value"].as_str().unwrap_or_default();
    let shown = detail(kind, value);
    variable["type"] = json!(shown);
}

fn detail(kind: &str, value: &str) -> String {
    if value.is_empty() {
        kind.to_owned()
    } else if kind.is_empty() || value.strip_suffix(" {…}") == Some(kind) {
        value.to_owned()
    } else if value.ends_with(" elements") || value.ends_with(" {…}") {
        format!("{kind}, {value}")
    } else {
        format!("{kind} = {value}")
    }
}

/// Leaves the user's frames, or all if there are none, each with a source.
fn keep_users(frames: &mut Vec<Value>) {
    let is_users = |frame: &Value| frame["presentationHint"] != "subtle";
    if frames.iter().any(is_users) {
        frames.retain(is_users);
    }
    for frame in frames {
        if frame["source"].is_null() {
            frame["source"] = json!({ "path": "", "name": "" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_told_as_a_let_has_it() {
        assert_eq!(detail("i32", "4"), "i32 = 4");
        assert_eq!(detail("Vec<f64>", "4 elements"), "Vec<f64>, 4 elements");
        assert_eq!(detail("Point", "Point {…}"), "Point {…}");
        assert_eq!(detail("Arc<Point>", "Arc {…}"), "Arc<Point>, Arc {…}");
        assert_eq!(detail("", "more"), "more");
        assert_eq!(detail("Vec<u8>", ""), "Vec<u8>");
    }

    #[test]
    fn frames_of_others_are_seen_only_if_there_are_no_others() {
        let users = json!({ "name": "f", "source": { "path": "/cell" } });
        let other = json!({ "name": "main", "presentationHint": "subtle" });
        let mut both = vec![users.clone(), other.clone()];
        keep_users(&mut both);
        assert_eq!(both, [users]);
        let mut alone = vec![other];
        keep_users(&mut alone);
        assert_eq!(alone[0]["source"]["path"], "");
    }
}
