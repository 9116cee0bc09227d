//! How a task ended, as Celery's result stores write it: `{"task_id", "status", "result", "traceback", "children"}`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Success(Value),
    /// The error, and the name of a Python exception that says the same.
    Failure(String, &'static str),
    Revoked(String),
}

#[derive(Serialize, Deserialize)]
struct Meta {
    task_id: String,
    status: String,
    result: Value,
    #[serde(default)]
    traceback: Value,
    #[serde(default)]
    children: Vec<Value>,
    #[serde(default)]
    date_done: Value,
}

impl Outcome {
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Success(_))
    }

    pub fn to_json(&self, id: &str) -> String {
        let (status, result) = match self {
            Outcome::Success(value) => ("SUCCESS", value.clone()),
            Outcome::Failure(message, exception) => ("FAILURE", exception_of(exception, message)),
            Outcome::Revoked(why) => ("REVOKED", exception_of("TaskRevokedError", why)),
        };
        let meta = Meta {
            task_id: id.to_owned(),
            status: status.to_owned(),
            result,
            traceback: Value::Null,
            children: vec![],
            date_done: Value::from(crate::message::in_future(std::time::Duration::ZERO)),
        };
        json!(meta).to_string()
    }

    /// What a result store has; none if the task has not ended yet.
    pub fn from_json(text: &[u8]) -> Result<Option<(String, Outcome)>> {
        let meta: Meta =
            serde_json::from_slice(text).map_err(|why| Error::mismatch("a result", why))?;
        let outcome = match &*meta.status {
            "SUCCESS" => Outcome::Success(meta.result),
            "FAILURE" => Outcome::Failure(message_of(&meta.result), "Exception"),
            "REVOKED" => Outcome::Revoked(message_of(&meta.result)),
            _ => return Ok(None),
        };
        Ok(Some((meta.task_id, outcome)))
    }
}

fn exception_of(class: &str, message: &str) -> Value {
    // Where Python looks for the class.
    let module = match class {
        "TaskRevokedError" | "TimeLimitExceeded" | "NotRegistered" => "celery.exceptions",
        _ => "builtins",
    };
    json!({"exc_type": class, "exc_message": [message], "exc_module": module})
}

/// The text of an exception: what it was made with.
fn message_of(exception: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match exception.get("exc_message") {
        Some(Value::Array(parts)) => parts.iter().map(text).collect::<Vec<_>>().join(", "),
        Some(one) => text(one),
        None => text(exception),
    }
}
