//! Commands to workers while they run, and their answers: Celery's remote control. A command goes to all workers, each looks
//! whether it is meant.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Where commands go, as Celery's workers know it: an exchange.
pub(crate) const CONTROL: &str = "celery.pidbox";
/// Where answers to them go.
pub(crate) const REPLIES: &str = "reply.celery.pidbox";

/// What workers can be told and asked. Celery's own `inspect` and `control` send the same.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Are you there?
    Ping,
    /// The names of the tasks that it can do.
    Registered,
    /// Tasks that run.
    Active,
    /// Tasks that it has and that wait for a slot.
    Reserved,
    /// Tasks that it has and that wait for their time.
    Scheduled,
    /// The ids of tasks that are not to be done.
    Revoked,
    /// Numbers: what it has done, its slots, its process.
    Stats,
    /// The queues from which it takes tasks.
    Queues,
    /// At most so many tasks of this name in a second, in each worker; 0 is no limit.
    RateLimit(String, f64),
    /// A limit of time for each task of this name that begins from now on; none is no limit.
    TimeLimit(String, Option<Duration>),
    /// So many slots more.
    Grow(usize),
    /// So many slots less; one stays.
    Shrink(usize),
    /// Not to begin this task.
    Revoke(String),
    /// Not to begin this task, and to end it where it runs: at its next `.await`.
    Terminate(String),
    /// To finish what runs, and end.
    Shutdown,
}

/// A command on its way: `{"method", "arguments", "destination", "reply_to", "ticket"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub method: String,
    #[serde(default)]
    pub arguments: Value,
    /// The names of the workers that are meant; none are all.
    #[serde(default)]
    pub destination: Option<Vec<String>>,
    #[serde(default)]
    pub reply_to: Option<ReplyTo>,
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Where the answers to a command are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReplyTo {
    pub exchange: String,
    pub routing_key: String,
}

impl ReplyTo {
    /// Whoever asks under this name.
    pub fn inbox_of(name: &str) -> ReplyTo {
        ReplyTo {
            exchange: REPLIES.to_owned(),
            routing_key: name.to_owned(),
        }
    }

    /// The queue in which the answers come.
    pub fn queue_of(name: &str) -> String {
        format!("{name}.{REPLIES}")
    }
}

impl Command {
    pub(crate) fn to_ask(&self) -> (&'static str, Value) {
        match self {
            Command::Ping => ("ping", json!({})),
            Command::Registered => ("registered", json!({"taskinfoitems": []})),
            Command::Active => ("active", json!({})),
            Command::Reserved => ("reserved", json!({})),
            Command::Scheduled => ("scheduled", json!({})),
            Command::Revoked => ("revoked", json!({})),
            Command::Stats => ("stats", json!({})),
            Command::Queues => ("active_queues", json!({})),
            Command::RateLimit(task, per_second) => {
                let rate_limit = format!("{per_second}/s");
                (
                    "rate_limit",
                    json!({"task_name": task, "rate_limit": rate_limit}),
                )
            }
            Command::TimeLimit(task, limit) => {
                let hard = limit.map(|limit| limit.as_secs_f64());
                (
                    "time_limit",
                    json!({"task_name": task, "hard": hard, "soft": null}),
                )
            }
            Command::Grow(n) => ("pool_grow", json!({"n": n})),
            Command::Shrink(n) => ("pool_shrink", json!({"n": n})),
            Command::Revoke(id) => (
                "revoke",
                json!({"task_id": id, "terminate": false, "signal": null}),
            ),
            Command::Terminate(id) => (
                "revoke",
                json!({"task_id": id, "terminate": true, "signal": "SIGTERM"}),
            ),
            Command::Shutdown => ("shutdown", json!({})),
        }
    }
}

/// What a worker is to do, from whoever has sent it.
#[derive(Debug, PartialEq)]
pub(crate) enum Order {
    Plain(Command),
    Revoke { ids: Vec<String>, terminate: bool },
}

impl Ask {
    pub fn order(&self) -> Result<Order> {
        let text = |key: &str| self.arguments.get(key).and_then(Value::as_str);
        let needs = |key: &str| {
            Error::mismatch(
                format!("the command {}", self.method),
                format!("it has no {key}"),
            )
        };
        let n = || {
            self.arguments
                .get("n")
                .and_then(Value::as_u64)
                .unwrap_or(1)
                .min(10_000) as usize
        };
        Ok(Order::Plain(match &*self.method {
            "ping" => Command::Ping,
            "registered" | "dump_tasks" => Command::Registered,
            "active" | "dump_active" => Command::Active,
            "reserved" | "dump_reserved" => Command::Reserved,
            "scheduled" | "dump_schedule" => Command::Scheduled,
            "revoked" | "dump_revoked" => Command::Revoked,
            "stats" => Command::Stats,
            "active_queues" => Command::Queues,
            "rate_limit" => {
                let name = text("task_name").ok_or_else(|| needs("task_name"))?;
                let rate = self.arguments.get("rate_limit").unwrap_or(&Value::Null);
                Command::RateLimit(name.to_owned(), per_second(rate)?)
            }
            "time_limit" => {
                let name = text("task_name").ok_or_else(|| needs("task_name"))?;
                let seconds = |key: &str| self.arguments.get(key).and_then(Value::as_f64);
                let limit = seconds("hard").or_else(|| seconds("soft"));
                let limit = limit.and_then(|limit| Duration::try_from_secs_f64(limit).ok());
                Command::TimeLimit(name.to_owned(), limit)
            }
            "pool_grow" => Command::Grow(n()),
            "pool_shrink" => Command::Shrink(n()),
            "shutdown" => Command::Shutdown,
            "revoke" => {
                let ids = match self.arguments.get("task_id") {
                    Some(Value::String(id)) => vec![id.clone()],
                    Some(Value::Array(ids)) => ids
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                    _ => return Err(needs("task_id")),
                };
                let terminate = self
                    .arguments
                    .get("terminate")
                    .and_then(Value::as_bool)
                    .unwrap_or(false);
                return Ok(Order::Revoke { ids, terminate });
            }
            other => {
                let why = "this worker does not know it";
                return Err(Error::mismatch(format!("the command {other}"), why));
            }
        }))
    }
}

/// A rate as Celery writes it: `10/s`, `100/m`, `1000/h`, a number of tasks in a second; 0 and nothing are no limit.
fn per_second(rate: &Value) -> Result<f64> {
    let wrong = || {
        Error::mismatch(
            format!("the rate {rate}"),
            "a rate is like 10/s, 100/m, 1000/h",
        )
    };
    let text = match rate {
        Value::Null => return Ok(0.0),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err(wrong()),
    };
    let (number, unit) = text.split_once('/').unwrap_or((&text, "s"));
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number / seconds),
        _ => Err(wrong()),
    }
}
