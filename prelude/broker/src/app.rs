//! An application: who puts tasks into a queue, asks for their results, and tells workers what to do.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forkline::{jobs, tasks};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;

use crate::config::Config;
use crate::control::{Ask, Command};
use crate::error::{Error, Result};
use crate::message::{Message, in_future, new_id};
use crate::outcome::Outcome;
use crate::transport::{Link, redis};

/// How long is waited for a broker that was there and is gone.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
/// So many messages go out before their confirms are waited for.
const BATCH: usize = 500;
/// Results that came and were not asked for; the oldest are forgotten.
const MOST_RESULTS: usize = 100_000;
/// For workers to say that they are there.
const PING_TIME: Duration = Duration::from_millis(1000);

/// How a task is to be done, if not as usual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Not before this time is over.
    pub delay: Duration,
    /// 0 to 9; higher ones come first. (Redis knows four steps: 0, 1 to 3, 4 to 6, 7 to 9.)
    pub priority: u8,
    /// How often it is tried again after an error. None: as the worker says, which is not at all if it says nothing.
    pub retries: Option<u32>,
    /// Before the first time that it is tried again; each next time twice as long, up to ten minutes.
    pub retry_delay: Duration,
    /// It is ended after so much time, at its next `.await`.
    pub time_limit: Option<Duration>,
    /// It is not begun after so much time.
    pub expires: Option<Duration>,
    /// Nobody wants its result.
    pub ignore_result: bool,
}

/// An application. Clones are the same; processes of their own connect by a [`Config`].
///
/// Its functions wait, so inside of a task call them by `tasks::spawn_blocking`.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: Config,
    link: tokio::sync::Mutex<Option<Link>>,
    results: Results,
}

/// Where results are.
enum Results {
    /// In a Redis, for everybody.
    Kept {
        url: String,
        store: tokio::sync::Mutex<Option<redis::Results>>,
    },
    /// They are sent to a queue of this application.
    Sent { queue: String, known: Arc<Known> },
}

#[derive(Default)]
struct Known {
    outcomes: Mutex<(HashMap<String, Outcome>, VecDeque<String>)>,
    more: Notify,
}

impl Known {
    fn add(&self, id: String, outcome: Outcome) {
        let mut known = self.outcomes.lock();
        let (outcomes, order) = &mut *known;
        if outcomes.insert(id.clone(), outcome).is_none() {
            order.push_back(id);
        }
        if order.len() > MOST_RESULTS
            && let Some(oldest) = order.pop_front()
        {
            outcomes.remove(&oldest);
        }
        drop(known);
        self.more.notify_waiters();
    }

    fn get(&self, id: &str) -> Option<Outcome> {
        self.outcomes.lock().0.get(id).cloned()
    }
}

impl App {
    /// Connects to the broker, and makes the queue if there is none.
    ///
    /// # Errors
    /// The URL names no broker, none answers there, or it lets us not in.
    pub fn connect(config: &Config) -> Result<App> {
        let results = match config.redis_for_results()? {
            Some(url) => Results::Kept {
                url: url.to_owned(),
                store: tokio::sync::Mutex::default(),
            },
            None => Results::Sent {
                queue: format!("forkline.results.{}", new_id()),
                known: Arc::default(),
            },
        };
        let app = App(Arc::new(Shared {
            config: config.clone(),
            link: tokio::sync::Mutex::default(),
            results,
        }));
        tasks::block_on(app.0.link())?;
        Ok(app)
    }

    /// Where its broker is, for workers.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Queues a task, and returns its id when the broker has it. The short form of [`call`](Self::call).
    ///
    /// A tuple has the arguments in order, `(x,)` one of them; a struct has them by name.
    ///
    /// # Errors
    /// The arguments cannot be written as JSON, or the broker is gone and does not come back.
    pub fn delay(&self, task: &str, arguments: impl Serialize) -> Result<String> {
        self.call(task, arguments, &Options::default())
    }

    /// Queues a task, and says how it is to be done.
    ///
    /// # Errors
    /// As [`delay`](Self::delay).
    pub fn call(&self, task: &str, arguments: impl Serialize, options: &Options) -> Result<String> {
        let message = self.message(task, &arguments, options)?;
        let id = message.headers.id.clone();
        self.publish(vec![message])?;
        Ok(id)
    }

    /// Queues many tasks of a name. The broker confirms them together, which is much faster than one after the other.
    ///
    /// # Errors
    /// As [`delay`](Self::delay). Some of them may be queued then.
    pub fn call_all<A: Serialize>(
        &self,
        task: &str,
        arguments: impl IntoIterator<Item = A>,
        options: &Options,
    ) -> Result<Vec<String>> {
        let messages = arguments
            .into_iter()
            .map(|arguments| self.message(task, &arguments, options));
        let messages = messages.collect::<Result<Vec<_>>>()?;
        let ids = messages
            .iter()
            .map(|message| message.headers.id.clone())
            .collect();
        self.publish(messages)?;
        Ok(ids)
    }

    fn message(
        &self,
        task: &str,
        arguments: &impl Serialize,
        options: &Options,
    ) -> Result<Message> {
        let mut message = Message::new(task, arguments)?;
        message.priority = options.priority;
        if !options.ignore_result
            && let Results::Sent { queue, .. } = &self.0.results
        {
            message.reply_to = Some(queue.clone());
        }
        let headers = &mut message.headers;
        headers.eta = (!options.delay.is_zero()).then(|| in_future(options.delay));
        headers.expires = options.expires.map(in_future);
        headers.timelimit.0 = options.time_limit.map(|limit| limit.as_secs_f64());
        headers.ignore_result = Some(options.ignore_result);
        headers.forkline_max_retries = options.retries;
        let delay = options.retry_delay;
        headers.forkline_retry_delay = (!delay.is_zero()).then_some(delay.as_secs_f64());
        Ok(message)
    }

    fn publish(&self, messages: Vec<Message>) -> Result<()> {
        for batch in messages.chunks(BATCH) {
            self.0.with_link(async |link| link.publish(batch).await)?;
        }
        Ok(())
    }

    /// Waits for the result of a task.
    ///
    /// # Errors
    /// The task's own error; it was revoked; it is no `R`; there is no result in time. Results that RabbitMQ carries are with the
    /// application that has asked for the task, for as long as it lives.
    pub fn result<R: DeserializeOwned>(&self, id: &str, timeout: Duration) -> Result<R> {
        match self.outcome(id, timeout)? {
            Outcome::Success(value) => serde_json::from_value(value)
                .map_err(|why| Error::mismatch(format!("the result of {id}"), why)),
            Outcome::Failure(message, _) => Err(Error::Failed {
                id: id.to_owned(),
                message,
            }),
            Outcome::Revoked(_) => Err(Error::Revoked { id: id.to_owned() }),
        }
    }

    fn outcome(&self, id: &str, timeout: Duration) -> Result<Outcome> {
        let waited = tasks::block_on(async {
            let come = async {
                match &self.0.results {
                    Results::Sent { known, .. } => Ok(wait(known, id).await),
                    Results::Kept { url, store } => poll(url, store, id).await,
                }
            };
            tokio::time::timeout(timeout, come).await
        });
        waited.unwrap_or_else(|_| {
            Err(Error::NoResult {
                id: id.to_owned(),
                time: timeout,
            })
        })
    }

    /// Whether the task has ended, in one way or the other.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn has_ended(&self, id: &str) -> Result<bool> {
        match self.outcome(id, Duration::from_millis(1)) {
            Ok(_) => Ok(true),
            Err(Error::NoResult { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many tasks wait in the broker. Those that a worker has are not among them.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn n_waiting(&self) -> Result<u64> {
        self.0.with_link(async |link| link.n_waiting().await)
    }

    /// Takes out the tasks that wait in the broker; how many.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn purge(&self) -> Result<u64> {
        self.0.with_link(async |link| link.purge().await)
    }

    /// The names of the workers that answer within a second.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn workers(&self) -> Result<Vec<String>> {
        Ok(self
            .tell(&[], Command::Ping, PING_TIME)?
            .into_keys()
            .collect())
    }

    /// Tells workers something, those of these names or all that are on the broker, whatever their queue and language; their answers by
    /// name. It waits until all have answered that the broker knows of, at most for this time.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn tell(
        &self,
        workers: &[&str],
        command: Command,
        time: Duration,
    ) -> Result<BTreeMap<String, Value>> {
        let (method, arguments) = command.to_ask();
        let destination =
            (!workers.is_empty()).then(|| workers.iter().map(|&name| name.to_owned()).collect());
        self.0.with_link(async |link| {
            let ticket = new_id();
            let (reply_to, mut answers) = link.inbox(&new_id()).await?;
            let ask = Ask {
                method: method.to_owned(),
                arguments: arguments.clone(),
                destination: Option::<Vec<String>>::clone(&destination),
                reply_to: Some(reply_to),
                ticket: Some(ticket.clone()),
            };
            let told = link.broadcast(&ask).await?;
            let wanted = match workers.len() {
                0 => told,
                n => Some(n),
            };
            let mut replies = BTreeMap::new();
            let all = async {
                while wanted.is_none_or(|n| replies.len() < n) {
                    let Some((of, words)) = answers.recv().await else {
                        return;
                    };
                    if of == ticket {
                        replies.extend(words);
                    }
                }
            };
            let _some_may_be_silent = tokio::time::timeout(time, all).await;
            Ok(replies)
        })
    }

    /// Keeps a task from being begun: workers that are there now will not. How many know it.
    ///
    /// A worker that is started later does not know, as with Celery; let tasks expire for that.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn revoke(&self, id: &str) -> Result<usize> {
        Ok(self
            .tell(&[], Command::Revoke(id.to_owned()), PING_TIME)?
            .len())
    }

    /// Keeps a task from being begun, and ends it where it runs, at its next `.await`.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn terminate(&self, id: &str) -> Result<usize> {
        Ok(self
            .tell(&[], Command::Terminate(id.to_owned()), PING_TIME)?
            .len())
    }

    /// Queues a task again and again, as a job of this name: `%jobs` lists it, `%stop` ends it, and a second one of the name takes
    /// its place. A tick at which the broker is gone is left out.
    ///
    /// # Errors
    /// The arguments cannot be written as JSON; the job cannot begin.
    pub fn every(
        &self,
        name: &str,
        time: Duration,
        task: &str,
        arguments: impl Serialize,
    ) -> Result<jobs::Job> {
        let app = self.clone();
        let task = task.to_owned();
        let arguments = serde_json::to_value(arguments)
            .map_err(|why| Error::mismatch(format!("the arguments of {task}"), why))?;
        Message::new(&task, &arguments)?;
        let beating = async move {
            let mut clock = tokio::time::interval(time.max(Duration::from_millis(1)));
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                clock.tick().await;
                let message = app.message(&task, &arguments, &Options::default())?;
                if let Ok(link) = app.0.link().await
                    && link.publish(&[message]).await.is_err()
                {
                    app.0.forget_link().await;
                }
            }
            #[expect(
                unreachable_code,
                reason = "it tells the compiler the type of the job's errors"
            )]
            Ok::<(), Error>(())
        };
        jobs::spawn_async(name, beating).map_err(|error| Error::broker("to begin the job", error))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        let url = crate::config::without_password(config.url());
        write!(out, "App(queue {} at {url})", config.queue)
    }
}

impl Shared {
    /// The connection, made anew if there is none.
    async fn link(&self) -> Result<Link> {
        let mut slot = self.link.lock().await;
        if let Some(link) = &*slot {
            return Ok(link.clone());
        }
        let link = Link::connect(&self.config).await?;
        if let (Results::Sent { queue, known }, Link::RabbitMq(rabbitmq)) = (&self.results, &link) {
            let mut come = rabbitmq.results(queue).await?;
            let known = Arc::downgrade(known);
            tasks::spawn(async move {
                while let Some((id, outcome)) = come.recv().await
                    && let Some(known) = known.upgrade()
                {
                    known.add(id, outcome);
                }
            });
        }
        *slot = Some(link.clone());
        Ok(link)
    }

    async fn forget_link(&self) {
        let link = self.link.lock().await.take();
        if let Some(link) = link {
            link.close().await;
        }
    }

    /// Does something on the broker; if the connection is lost, again on a new one.
    fn with_link<T, F>(&self, act: impl Fn(Link) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let begun = Instant::now();
        tasks::block_on(async {
            loop {
                let result = match self.link().await {
                    Ok(link) => act(link).await,
                    Err(error) => Err(error),
                };
                match result {
                    Err(Error::Unreachable { .. }) if begun.elapsed() < PATIENCE => {
                        self.forget_link().await;
                        tokio::time::sleep(PAUSE).await;
                    }
                    // With what it refuses RabbitMQ ends the channel.
                    Err(error @ Error::Broker { .. }) => {
                        self.forget_link().await;
                        return Err(error);
                    }
                    result => return result,
                }
            }
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Not `tasks::block_on`: the last clone may go inside of a task.
        if let Some(link) = self.link.get_mut().take() {
            tasks::spawn(async move { link.close().await });
        }
    }
}

async fn wait(known: &Known, id: &str) -> Outcome {
    loop {
        let mut more = std::pin::pin!(known.more.notified());
        // From now on nothing that comes is missed.
        more.as_mut().enable();
        if let Some(outcome) = known.get(id) {
            return outcome;
        }
        more.await;
    }
}

async fn poll(
    url: &str,
    store: &tokio::sync::Mutex<Option<redis::Results>>,
    id: &str,
) -> Result<Outcome> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let mut slot = store.lock().await;
        let found = match &*slot {
            Some(store) => store.get(id).await,
            None => match redis::Results::connect(url).await {
                Ok(store) => {
                    *slot = Some(store);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match found {
            Ok(Some(text)) => {
                if let Some((_, outcome)) = Outcome::from_json(&text)? {
                    return Ok(outcome);
                }
            }
            Ok(None) => {}
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_) => *slot = None,
        }
        drop(slot);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
