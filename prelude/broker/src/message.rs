//! A task as it travels: Celery's message protocol, version 2. Headers say which task it is and how it is to be done, the body has
//! its arguments.
//!
//! <https://docs.celeryq.dev/en/stable/internals/protocol.html>. Headers of ours begin with `forkline_`; workers of others do not
//! look at them, and hand them on.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, Result};

/// Which task, and how it is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub task: String,
    pub id: String,
    /// Not before.
    #[serde(default)]
    pub eta: Option<String>,
    /// Not after.
    #[serde(default)]
    pub expires: Option<String>,
    /// How often it was tried again.
    #[serde(default)]
    pub retries: u32,
    /// Seconds: a limit at which the task is asked to end, and one at which it is ended.
    #[serde(default)]
    pub timelimit: (Option<f64>, Option<f64>),
    #[serde(default)]
    pub ignore_result: Option<bool>,
    #[serde(default)]
    pub forkline_max_retries: Option<u32>,
    /// Seconds.
    #[serde(default)]
    pub forkline_retry_delay: Option<f64>,
    /// How often it was taken by a worker that did not say how it ended.
    #[serde(default)]
    pub forkline_deliveries: u32,
    /// What else there is: it is handed on when a task is tried again.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A task as it travels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub headers: Headers,
    /// JSON: `[args, kwargs, embed]`.
    pub body: Vec<u8>,
    /// Where its result is wanted.
    pub reply_to: Option<String>,
    /// 0 to 9; higher ones come first.
    pub priority: u8,
}

/// Arguments: in order, or by name.
pub(crate) type Arguments = (Vec<Value>, Map<String, Value>);

impl Message {
    /// A task of this name: a tuple has the arguments in order, a struct or a map by name.
    pub fn new(task: &str, arguments: &impl Serialize) -> Result<Message> {
        let what = || format!("the arguments of {task}");
        let value = serde_json::to_value(arguments).map_err(|why| Error::mismatch(what(), why))?;
        let (args, kwargs) = match value {
            Value::Null => (vec![], Map::new()),
            Value::Array(args) => (args, Map::new()),
            Value::Object(kwargs) => (vec![], kwargs),
            other => {
                let why = format!("{other} is neither a tuple nor a struct; one argument is (x,)");
                return Err(Error::mismatch(what(), why));
            }
        };
        let id = new_id();
        let short = |text: String| text.chars().take(200).collect::<String>();
        let args = Value::from(args);
        let others = json!({
            "lang": "rust",
            "root_id": id,
            "parent_id": null,
            "group": null,
            "argsrepr": short(args.to_string()),
            "kwargsrepr": short(Value::from(kwargs.clone()).to_string()),
            "origin": format!("{}@forkline", std::process::id()),
        });
        let Value::Object(others) = others else {
            unreachable!("it is written as an object")
        };
        let embed = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": null});
        Ok(Message {
            headers: Headers {
                task: task.to_owned(),
                id,
                eta: None,
                expires: None,
                retries: 0,
                timelimit: (None, None),
                ignore_result: Some(false),
                forkline_max_retries: None,
                forkline_retry_delay: None,
                forkline_deliveries: 0,
                others,
            },
            body: json!([args, kwargs, embed]).to_string().into_bytes(),
            reply_to: None,
            priority: 0,
        })
    }

    pub fn arguments(&self) -> Result<Arguments> {
        let parsed: (Vec<Value>, Map<String, Value>, Value) = serde_json::from_slice(&self.body)
            .map_err(|why| Error::mismatch("the body of a message", why))?;
        Ok((parsed.0, parsed.1))
    }

    /// How long it has to wait; none if that is no time.
    pub fn waits(&self) -> Result<Duration> {
        let eta = self.headers.eta.as_deref().map(parse_time).transpose()?;
        let wait = eta.map(|eta| eta - OffsetDateTime::now_utc());
        Ok(wait
            .and_then(|wait| Duration::try_from(wait).ok())
            .unwrap_or_default())
    }

    pub fn has_expired(&self) -> bool {
        let expires = self.headers.expires.as_deref().map(parse_time);
        matches!(expires, Some(Ok(end)) if end <= OffsetDateTime::now_utc())
    }
}

/// A time as Celery writes it.
pub(crate) fn in_future(wait: Duration) -> String {
    let time = OffsetDateTime::now_utc() + wait;
    // Nothing in it cannot be written: the year has four digits for the next 7900 years.
    time.format(&Rfc3339).unwrap_or_default()
}

fn parse_time(text: &str) -> Result<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        // A time of Python without a zone; Celery counts in UTC.
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339))
        .map_err(|why| Error::mismatch(format!("the time {text:?}"), why))
}

/// A UUID of version 4.
pub(crate) fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("/dev/urandom can be read on every Linux");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    format!(
        "{}-{}-{}-{}-{}",
        hex(&bytes[..4]),
        hex(&bytes[4..6]),
        hex(&bytes[6..8]),
        hex(&bytes[8..10]),
        hex(&bytes[10..])
    )
}
