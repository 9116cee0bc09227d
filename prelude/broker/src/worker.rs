//! A worker: takes tasks from the queue, as many at a time as it has slots, and says how they ended. It connects again when the
//! broker was gone, and obeys commands.
//!
//! What always holds: a task is settled only after its result is written; what was not settled is done by somebody else; a task that
//! ends its worker again and again is given up.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forkline::tasks;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::message::Arguments;
use crate::transport::{Event, Link, redis};

/// How long the first connection may take: broker and worker may be started together.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What a task knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its id.
    pub id: String,
    /// How often it was tried before.
    pub n_retries: u32,
    /// Who does it.
    pub worker: String,
}

/// How a task ends: with JSON, or with the words of its error.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;
/// A task that can be done.
pub(crate) type Run = Box<dyn Fn(Context, Arguments) -> Result<Work, String> + Send + Sync>;

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that failed and are not tried again.
    pub failed: u64,
    /// Attempts that failed, for which the task was queued again.
    pub retried: u64,
    /// Tasks that were revoked, terminated, or had expired.
    pub revoked: u64,
    /// Messages that are no task that it knows. They lie in the queue `<queue>.refused`.
    pub refused: u64,
}

/// A worker that is being set up.
///
/// It is the body of a process: [`run`](Self::run) ends when it is told to ([`Command::Shutdown`](crate::Command)), or with the process.
///
/// ```no_run
/// use broker::{Config, Done, Worker};
///
/// async fn add((a, b): (i64, i64)) -> Result<i64, String> {
///     a.checked_add(b).ok_or_else(|| format!("{a} + {b} is too large"))
/// }
///
/// pub fn worker(config: Config, name: String) -> Result<Done, String> {
///     Worker::new(&config, &name).slots(4).task("add", add).run().map_err(|error| error.to_string())
/// }
/// ```
pub struct Worker {
    pub(crate) config: Config,
    pub(crate) name: String,
    pub(crate) slots: usize,
    pub(crate) in_stock: usize,
    pub(crate) logs: bool,
    pub(crate) retries: u32,
    pub(crate) tasks: HashMap<String, Run>,
}

impl Worker {
    /// A worker of this name, with one slot and no tasks yet. Names tell workers apart: no two should have the same.
    pub fn new(config: &Config, name: &str) -> Worker {
        Worker {
            config: config.clone(),
            name: name.to_owned(),
            slots: 1,
            in_stock: 1,
            logs: false,
            retries: 0,
            tasks: HashMap::new(),
        }
    }

    /// So many tasks at the same time, at least one.
    #[must_use]
    pub fn slots(mut self, n: usize) -> Worker {
        self.slots = n.clamp(1, 10_000);
        self
    }

    /// So many messages more are taken for each slot, so that it never waits for the broker; 1 if nothing is said. Priorities count
    /// among those that nobody has taken.
    #[must_use]
    pub fn in_stock(mut self, n: usize) -> Worker {
        self.in_stock = n.min(1000);
        self
    }

    /// A line for each task that comes and ends.
    #[must_use]
    pub fn logs(mut self, yes: bool) -> Worker {
        self.logs = yes;
        self
    }

    /// How often tasks are tried again that do not say so themselves.
    #[must_use]
    pub fn retries(mut self, n: u32) -> Worker {
        self.retries = n;
        self
    }

    /// What is done for the tasks of this name: an `async fn` of the arguments, which are a tuple, or a struct if they are given by
    /// name. What computes for long belongs into `tasks::spawn_blocking`.
    #[must_use]
    pub fn task<A, F, R, E>(
        self,
        name: &str,
        run: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Worker
    where
        A: DeserializeOwned,
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        self.task_with(name, move |_context, arguments| run(arguments))
    }

    /// As [`task`](Self::task), for one that wants to know its id or attempt.
    #[must_use]
    pub fn task_with<A, F, R, E>(
        mut self,
        name: &str,
        run: impl Fn(Context, A) -> F + Send + Sync + 'static,
    ) -> Worker
    where
        A: DeserializeOwned,
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        let run: Run = Box::new(move |context, arguments| {
            let work = run(context, read(arguments)?);
            Ok(Box::pin(async move {
                let result = work.await.map_err(|error| error.to_string())?;
                serde_json::to_value(result)
                    .map_err(|why| format!("its result cannot be written as JSON: {why}"))
            }))
        });
        self.tasks.insert(name.to_owned(), run);
        self
    }

    /// Works until it is told to shut down; then finishes what runs, gives back what it has not begun, and says what it has done.
    ///
    /// # Errors
    /// No broker answers within 20 s. One that goes later is waited for.
    pub fn run(self) -> Result<Done> {
        tasks::block_on(serve(self))
    }
}

/// Arguments as the task's function takes them.
fn read<A: DeserializeOwned>((args, kwargs): Arguments) -> Result<A, String> {
    let by_name = !kwargs.is_empty();
    if by_name && !args.is_empty() {
        return Err(
            "its arguments came partly in order and partly by name; send them in one way"
                .to_owned(),
        );
    }
    let value = match by_name {
        true => Value::from(kwargs),
        // What takes nothing takes (), which serde writes as null.
        false if args.is_empty() && size_of::<A>() == 0 => Value::Null,
        false => Value::from(args),
    };
    serde_json::from_value(value)
        .map_err(|why| format!("its arguments are others than it takes: {why}"))
}

/// Tries until it is connected, at most for a time if one is given.
async fn connect(config: &Config, patience: Option<Duration>) -> Result<Link> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match Link::connect(config).await {
            Err(Error::Unreachable { .. })
                if patience.is_none_or(|patience| begun.elapsed() < patience) =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            // What the broker refuses may be mended there while we wait.
            Err(Error::Broker { .. }) if patience.is_none() => tokio::time::sleep(LAST_PAUSE).await,
            result => return result,
        }
    }
}

async fn serve(worker: Worker) -> Result<Done> {
    let config = worker.config.clone();
    let mut link = connect(&config, Some(PATIENCE)).await?;
    let store = match (&link, config.redis_for_results()?) {
        (Link::RabbitMq(_), Some(url)) => Some(redis::Results::connect(url).await?),
        (Link::Redis(_), Some(url)) if config.results.is_some() => {
            Some(redis::Results::connect(url).await?)
        }
        _ => None,
    };
    let desk = Arc::new(Desk::new(worker, link.clone(), store));
    desk.log(&format!("ready; tasks: {}", desk.names().join(", ")));
    let mut renewals = link.renewals();
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let why = match desk.begin(&link).await {
            Err(error) => error.to_string(),
            Ok(mut events) => loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = desk.told_to_end() => {
                        link.stop_consuming().await;
                        while let Ok(event) = events.try_recv() {
                            if let Event::Task(delivery) = event {
                                let _it_comes_again = link.give_back(&delivery.tag).await;
                            }
                        }
                        desk.end(&link, &mut renewals).await;
                        link.close().await;
                        return Ok(desk.done());
                    }
                    () = renewals.tick() => {
                        // An error shows in the stream of events too.
                        let _gone = link.keep(&desk.tags()).await;
                        continue;
                    }
                };
                match event {
                    Some(Event::Task(delivery)) => desk.take(delivery),
                    Some(Event::Ask(ask)) => desk.hear(ask),
                    Some(Event::Lost(why)) => {
                        // What was given out with a lease is ours, whatever the connection.
                        while let Ok(event) = events.try_recv() {
                            if let Event::Task(delivery) = event
                                && !link.holds_by_connection()
                            {
                                desk.take(delivery);
                            }
                        }
                        break why;
                    }
                    None => break "the connection ended".to_owned(),
                }
            },
        };
        eprintln!(
            "{}: the broker is gone: {why}; tries to reach it again",
            desk.name()
        );
        link.close().await;
        // A broker that lets us in and refuses to work would be asked a thousand times in a second.
        pause = match begun.elapsed() {
            worked if worked > LAST_PAUSE * 2 => FIRST_PAUSE,
            _ => (pause * 2).min(LAST_PAUSE),
        };
        tokio::time::sleep(pause).await;
        link = connect(&config, None).await?;
        eprintln!("{}: the broker is there again", desk.name());
    }
}
