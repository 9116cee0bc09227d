//! Where the broker is, and which queue is meant: what applications and workers must agree on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The environment variable that names a broker: `amqp://user:password@host:5672`, `redis://host:6379`.
pub const BROKER_VARIABLE: &str = "FORKLINE_BROKER";

/// Where the broker is, and which queue is meant. It can be an argument of a process.
///
/// ```
/// let config = broker::Config::new("redis://127.0.0.1:6379").queue("letters");
/// assert_eq!(config.kind().unwrap(), broker::Kind::Redis);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub(crate) url: String,
    pub(crate) queue: String,
    pub(crate) has_priorities: bool,
    pub(crate) results: Option<String>,
    pub(crate) lease: Duration,
}

/// What brokers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// AMQP 0.9.1.
    RabbitMq,
    /// Lists and hashes of Redis, as Celery lays them out.
    Redis,
}

impl Config {
    /// A queue named `forkline`, with priorities, on a broker: `amqp://[user:password@]host[:port][/vhost]` or
    /// `redis://[:password@]host[:port][/database]`.
    ///
    /// Results come back through the broker: from RabbitMQ to the [`App`](crate::App) that has asked, in Redis for everybody.
    pub fn new(url: impl Into<String>) -> Config {
        Config {
            url: url.into(),
            queue: "forkline".to_owned(),
            has_priorities: true,
            results: None,
            lease: Duration::from_secs(10),
        }
    }

    /// The queue that a Celery application of Python has if it is told nothing: `celery`, on RabbitMQ without priorities.
    pub fn celery(url: impl Into<String>) -> Config {
        Config {
            queue: "celery".to_owned(),
            has_priorities: false,
            ..Config::new(url)
        }
    }

    /// The broker that the environment names ([`BROKER_VARIABLE`]).
    ///
    /// # Errors
    /// The variable is not set.
    pub fn from_env() -> Result<Config> {
        match std::env::var(BROKER_VARIABLE) {
            Ok(url) => Ok(Config::new(url)),
            Err(_) => Err(Error::BadUrl {
                url: String::new(),
                why: format!("{BROKER_VARIABLE} is not set"),
            }),
        }
    }

    /// Another name of the queue.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>) -> Config {
        self.queue = name.into();
        self
    }

    /// Another place for results: a Redis, whatever the broker is. They are kept for a day, for whoever knows the id.
    #[must_use]
    pub fn results(mut self, url: impl Into<String>) -> Config {
        self.results = Some(url.into());
        self
    }

    /// For how long a worker on Redis may be silent until its tasks are given to others; 10 s if nothing is said. (RabbitMQ sees
    /// the end of its connection.)
    #[must_use]
    pub fn lease(mut self, time: Duration) -> Config {
        self.lease = time.max(Duration::from_millis(300));
        self
    }

    /// Where the broker is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which broker it is.
    ///
    /// # Errors
    /// The URL begins neither with `amqp://` nor with `redis://`.
    pub fn kind(&self) -> Result<Kind> {
        kind_of(&self.url)
    }

    /// Where results go if it is a Redis.
    pub(crate) fn redis_for_results(&self) -> Result<Option<&str>> {
        let url = self.results.as_deref().unwrap_or(&self.url);
        match (kind_of(url)?, &self.results) {
            (Kind::Redis, _) => Ok(Some(url)),
            (Kind::RabbitMq, None) => Ok(None),
            (Kind::RabbitMq, Some(_)) => Err(Error::BadUrl {
                url: without_password(url),
                why: "results can be kept in a Redis only".to_owned(),
            }),
        }
    }
}

fn kind_of(url: &str) -> Result<Kind> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme {
        "amqp" | "pyamqp" => Ok(Kind::RabbitMq),
        "redis" => Ok(Kind::Redis),
        "amqps" | "rediss" => Err(Error::BadUrl {
            url: without_password(url),
            why: "this pack is built without TLS".to_owned(),
        }),
        _ => Err(Error::BadUrl {
            url: without_password(url),
            why: "a broker's URL begins with amqp:// or redis://".to_owned(),
        }),
    }
}

/// A URL that may be shown: passwords are no part of messages.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        None => url.to_owned(),
        Some(at) => {
            let user = rest[..at].split(':').next().unwrap_or("");
            let separator = if user.is_empty() { "" } else { "@" };
            format!("{scheme}://{user}{separator}{}", &rest[at + 1..])
        }
    }
}
