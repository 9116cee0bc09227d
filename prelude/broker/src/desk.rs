//! What a worker has on its desk: the messages that it holds, who of them runs, waits for a slot or for its time; the limits that it was
//! told. What it answers to commands stands in `commands`.
//!
//! Each message is attended by a task of its own, from its arrival to its end.

mod commands;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use crate::error::Result;
use crate::message::{Message, in_future};
use crate::outcome::Outcome;
use crate::transport::{Delivery, Event, Link, Renewals, Tag, redis};
use crate::worker::{Context, Done, Worker};

/// A message that so many workers have taken, and none has settled, is given up.
const MOST_DELIVERIES: u32 = 8;
/// So many tasks that ended while the broker was gone are remembered.
const MOST_UNSETTLED: usize = 10_000;
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(600);
/// Between attempts to say how a task ended, while the broker is gone.
const PAUSE: Duration = Duration::from_millis(100);

/// What goes on with a message.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Waits for a slot.
    Reserved,
    /// Waits for its time.
    Scheduled,
    Active {
        since: Instant,
    },
    /// It has ended; its broker does not know yet.
    Ended(String),
}

struct Held {
    message: Message,
    tag: Tag,
    link: Link,
    state: State,
    /// The task that attends it, until it runs.
    attends: Option<AbortHandle>,
    /// The task itself.
    runs: Option<AbortHandle>,
}

#[derive(Default)]
struct Revoked {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

pub(crate) struct Desk {
    worker: Worker,
    store: Option<redis::Results>,
    link: Mutex<Link>,
    slots: Arc<Semaphore>,
    n_slots: AtomicUsize,
    /// Messages that may be held, without those that are scheduled.
    places: Arc<Semaphore>,
    n_scheduled: AtomicUsize,
    held: Mutex<HashMap<String, Held>>,
    revoked: Mutex<Revoked>,
    /// By task: the pause between two, and when the next may begin.
    pauses: Mutex<HashMap<String, (Duration, Instant)>>,
    time_limits: Mutex<HashMap<String, Duration>>,
    totals: Mutex<HashMap<String, u64>>,
    end: watch::Sender<bool>,
    begun: Instant,
    // Counters, read for themselves only.
    succeeded: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    n_revoked: AtomicU64,
    refused: AtomicU64,
}

impl Desk {
    pub fn new(worker: Worker, link: Link, store: Option<redis::Results>) -> Desk {
        let n_slots = worker.slots;
        Desk {
            store,
            link: Mutex::new(link),
            slots: Arc::new(Semaphore::new(n_slots)),
            n_slots: AtomicUsize::new(n_slots),
            places: Arc::new(Semaphore::new(n_slots * (1 + worker.in_stock))),
            worker,
            n_scheduled: AtomicUsize::new(0),
            held: Mutex::default(),
            revoked: Mutex::default(),
            pauses: Mutex::default(),
            time_limits: Mutex::default(),
            totals: Mutex::default(),
            end: watch::Sender::new(false),
            begun: Instant::now(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            n_revoked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub fn name(&self) -> &str {
        &self.worker.name
    }

    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.worker.tasks.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    pub fn log(&self, line: &str) {
        if self.worker.logs {
            println!("[{}] {line}", self.worker.name);
        }
    }

    pub fn done(&self) -> Done {
        Done {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            revoked: self.n_revoked.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    pub async fn told_to_end(&self) {
        let mut end = self.end.subscribe();
        let _never_closed = end.wait_for(|&end| end).await;
    }

    /// Takes messages over a connection that is new.
    pub async fn begin(&self, link: &Link) -> Result<mpsc::Receiver<Event>> {
        *self.link.lock() = link.clone();
        let events = link.consume(&self.worker.name, &self.places).await?;
        self.allow().await?;
        Ok(events)
    }

    /// Tells the broker how many messages may be here.
    async fn allow(&self) -> Result<()> {
        let places = self.n_slots.load(Ordering::Relaxed) * (1 + self.worker.in_stock);
        let link = self.link.lock().clone();
        link.allow(places + self.n_scheduled.load(Ordering::Relaxed))
            .await
    }

    pub fn tags(&self) -> Vec<Tag> {
        self.held
            .lock()
            .values()
            .map(|held| held.tag.clone())
            .collect()
    }

    /// A message has come.
    pub fn take(self: &Arc<Self>, delivery: Delivery) {
        let link = self.link.lock().clone();
        let id = match &delivery.message {
            Ok(message) => message.headers.id.clone(),
            Err(_) => String::new(),
        };
        let mut all = self.held.lock();
        if let Some(held) = all.get_mut(&id) {
            // We have it already: its connection was lost, and the broker gives it out again. Or somebody has sent it twice.
            let twice = match link.holds_by_connection() {
                true => held.link.is(&link),
                false => delivery.n_before == 0,
            };
            let settled = match &held.state {
                State::Ended(outcome) => Some((held.message.clone(), outcome.clone())),
                _ => None,
            };
            if settled.is_none() && !twice {
                held.tag = delivery.tag;
                held.link = link;
                self.free_place();
                return;
            }
            if settled.is_some() {
                all.remove(&id);
            }
            drop(all);
            let own = Arc::clone(self);
            tokio::spawn(async move {
                if let Some((message, outcome)) = settled {
                    let _it_comes_again = own.tell(&link, &delivery.tag, &message, &outcome).await;
                } else {
                    let _it_comes_again = link.settle(&delivery.tag, None).await;
                }
                own.free_place();
            });
            return;
        }
        let Ok(message) = delivery.message.clone() else {
            drop(all);
            self.refuse(link, delivery);
            return;
        };
        if !self.worker.tasks.contains_key(&message.headers.task) {
            drop(all);
            self.refuse(link, delivery);
            return;
        }
        let name = message.headers.task.clone();
        self.log(&format!("received {name}[{id}]"));
        let held = Held {
            message: message.clone(),
            tag: delivery.tag,
            link,
            state: State::Reserved,
            attends: None,
            runs: None,
        };
        all.insert(id.clone(), held);
        let own = Arc::clone(self);
        let attends = tokio::spawn(own.attend(message, delivery.n_before)).abort_handle();
        // It cannot have ended: it needs the lock that we have.
        if let Some(held) = all.get_mut(&id) {
            held.attends = Some(attends);
        }
    }

    /// Puts aside what is no task, or none that this worker knows.
    fn refuse(self: &Arc<Self>, link: Link, delivery: Delivery) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let why = match &delivery.message {
            Ok(message) => format!(
                "there is no task {:?} here; there are {}",
                message.headers.task,
                self.names().join(", ")
            ),
            Err(error) => error.to_string(),
        };
        eprintln!(
            "{}: refused a message: {why}; it lies in the queue {}.refused",
            self.worker.name, self.worker.config.queue
        );
        let own = Arc::clone(self);
        tokio::spawn(async move {
            let mut text = None;
            if let Ok(message) = &delivery.message {
                let outcome = Outcome::Failure(why, "NotRegistered").to_json(&message.headers.id);
                text = match own.announce(&link, message, &outcome).await {
                    Ok(true) => Some((message.headers.id.clone(), outcome)),
                    // Who waits for it does so until its patience ends.
                    Ok(false) | Err(_) => None,
                };
            }
            let result = text.as_ref().map(|(id, text)| (&**id, &**text));
            let _it_comes_again = link.refuse(&delivery, result).await;
            own.free_place();
        });
    }

    /// A message from its arrival to its end.
    async fn attend(self: Arc<Self>, message: Message, n_before: u32) {
        let id = &message.headers.id;
        let n_counted = message.headers.forkline_deliveries;
        if n_before >= MOST_DELIVERIES {
            let why = format!(
                "given up: {n_before} workers have taken it, and none has said how it ended; it may have ended them"
            );
            self.finish(&message, Outcome::Failure(why, "RuntimeError"))
                .await;
            return;
        }
        if n_before > n_counted && !self.link.lock().counts_deliveries() {
            let mut again = message.clone();
            again.headers.forkline_deliveries = n_before;
            self.send_again(again).await;
            return;
        }
        match message.waits() {
            Ok(wait) if wait.is_zero() => {}
            Ok(wait) => {
                self.set_aside(id, true).await;
                tokio::time::sleep(wait).await;
                self.set_aside(id, false).await;
            }
            Err(error) => {
                self.finish(&message, Outcome::Failure(error.to_string(), "ValueError"))
                    .await;
                return;
            }
        }
        self.turn(&message.headers.task).await;
        let Ok(_slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return; // never closed
        };
        if message.has_expired() {
            self.finish(&message, Outcome::Revoked("expired".to_owned()))
                .await;
            return;
        }
        if self.revoked.lock().ids.contains(id) {
            self.finish(&message, Outcome::Revoked("revoked".to_owned()))
                .await;
            return;
        }
        let outcome = self.perform(&message).await;
        if let Outcome::Failure(why, _) = &outcome
            && message.headers.retries
                < message
                    .headers
                    .forkline_max_retries
                    .unwrap_or(self.worker.retries)
        {
            self.log(&format!(
                "{}[{id}] is tried again: {why}",
                message.headers.task
            ));
            self.retried.fetch_add(1, Ordering::Relaxed);
            let mut again = message.clone();
            let delay = again.headers.forkline_retry_delay.unwrap_or(0.0)
                * f64::from(2_u32.pow(again.headers.retries.min(20)));
            let delay = Duration::try_from_secs_f64(delay)
                .unwrap_or_default()
                .min(LONGEST_RETRY_DELAY);
            again.headers.retries += 1;
            again.headers.forkline_deliveries = 0;
            again.headers.eta = (!delay.is_zero()).then(|| in_future(delay));
            self.send_again(again).await;
            return;
        }
        self.finish(&message, outcome).await;
    }

    /// Moves a message out of the places, or back. Those that wait for their time keep nobody from work.
    async fn set_aside(&self, id: &str, aside: bool) {
        if let Some(held) = self.held.lock().get_mut(id) {
            held.state = if aside {
                State::Scheduled
            } else {
                State::Reserved
            };
        }
        if aside {
            self.n_scheduled.fetch_add(1, Ordering::Relaxed);
            self.free_place();
        } else {
            self.n_scheduled.fetch_sub(1, Ordering::Relaxed);
            // It has to be worked on now, place or not.
            self.lose_places(1);
        }
        let _gone = self.allow().await;
    }

    /// Waits until a task of this name may begin.
    async fn turn(&self, name: &str) {
        let begin = match self.pauses.lock().get_mut(name) {
            None => return,
            Some((pause, next)) => {
                let begin = (*next).max(Instant::now());
                *next = begin + *pause;
                begin
            }
        };
        tokio::time::sleep_until(begin.into()).await;
    }

    /// Does the task.
    async fn perform(&self, message: &Message) -> Outcome {
        let headers = &message.headers;
        let wrong = |why: String| Outcome::Failure(why, "TypeError");
        let arguments = match message.arguments() {
            Ok(arguments) => arguments,
            Err(error) => return wrong(error.to_string()),
        };
        let context = Context {
            id: headers.id.clone(),
            n_retries: headers.retries,
            worker: self.worker.name.clone(),
        };
        let Some(run) = self.worker.tasks.get(&headers.task) else {
            return wrong(format!("there is no task {}", headers.task));
        };
        let work = match run(context, arguments) {
            Ok(work) => work,
            Err(why) => return wrong(format!("{}: {why}", headers.task)),
        };
        let (soft, hard) = headers.timelimit;
        let own = soft
            .or(hard)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let limit = own.or_else(|| self.time_limits.lock().get(&headers.task).copied());
        let since = Instant::now();
        let begun = self.held.lock().get_mut(&headers.id).map(|held| {
            let running = tokio::spawn(work);
            held.state = State::Active { since };
            held.runs = Some(running.abort_handle());
            running
        });
        let Some(running) = begun else {
            // It was given back just now, and we are about to be ended.
            return futures::future::pending().await;
        };
        let abort = running.abort_handle();
        let ended = match limit {
            None => Ok(running.await),
            Some(limit) => tokio::time::timeout(limit, running).await,
        };
        *self.totals.lock().entry(headers.task.clone()).or_default() += 1;
        match ended {
            Err(_) => {
                abort.abort();
                let limit = limit.unwrap_or_default();
                Outcome::Failure(
                    format!("over its time limit of {limit:?}"),
                    "TimeLimitExceeded",
                )
            }
            Ok(Ok(Ok(value))) => {
                self.log(&format!(
                    "{}[{}] succeeded in {:.1?}: {value}",
                    headers.task,
                    headers.id,
                    since.elapsed()
                ));
                Outcome::Success(value)
            }
            Ok(Ok(Err(why))) => Outcome::Failure(why, "RuntimeError"),
            Ok(Err(error)) if error.is_cancelled() => Outcome::Revoked("terminated".to_owned()),
            Ok(Err(error)) => {
                let panic = error.into_panic();
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Outcome::Failure(
                    format!("it panicked: {}", text.unwrap_or("")),
                    "RuntimeError",
                )
            }
        }
    }

    /// Says how a task ended, as soon as there is somebody to say it to.
    async fn finish(&self, message: &Message, outcome: Outcome) {
        let id = &message.headers.id;
        match &outcome {
            Outcome::Success(_) => self.succeeded.fetch_add(1, Ordering::Relaxed),
            Outcome::Failure(..) => self.failed.fetch_add(1, Ordering::Relaxed),
            Outcome::Revoked(_) => self.n_revoked.fetch_add(1, Ordering::Relaxed),
        };
        if !outcome.is_success() {
            self.log(&format!(
                "{}[{id}] ended: {outcome:?}",
                message.headers.task
            ));
        }
        let text = outcome.to_json(id);
        loop {
            let Some((link, tag)) = self.place_of(id) else {
                return;
            };
            match self.tell(&link, &tag, message, &text).await {
                Ok(()) => break,
                Err(_) if link.holds_by_connection() => {
                    // It is ours no longer; if it comes back to us, `take` says how it ended.
                    let mut all = self.held.lock();
                    if all.len() < MOST_UNSETTLED
                        && let Some(held) = all.get_mut(id)
                    {
                        if held.tag == tag {
                            held.state = State::Ended(text);
                            return;
                        }
                        continue; // it has come back in between
                    }
                    break;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        self.remove(id);
    }

    /// Queues a message anew and settles the one that it replaces.
    async fn send_again(&self, again: Message) {
        let id = &again.headers.id;
        let Some((link, tag)) = self.place_of(id) else {
            return;
        };
        // It may come back to us before this is done, and must not be taken for the one that we have.
        self.held.lock().remove(id);
        loop {
            let now = self.link.lock().clone();
            if now.publish(std::slice::from_ref(&again)).await.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let link = self.over(&link);
        let _it_comes_twice = link.settle(&tag, None).await;
        self.free_place();
    }

    /// Where a message is settled, and under which tag.
    fn place_of(&self, id: &str) -> Option<(Link, Tag)> {
        let all = self.held.lock();
        let held = all.get(id)?;
        Some((self.over(&held.link), held.tag.clone()))
    }

    /// The connection over which is settled what came by `link`: that one, or whichever there is now.
    fn over(&self, link: &Link) -> Link {
        match link.holds_by_connection() {
            true => link.clone(),
            false => self.link.lock().clone(),
        }
    }

    fn remove(&self, id: &str) {
        if self.held.lock().remove(id).is_some() {
            self.free_place();
        }
    }

    /// A message has gone: another may be taken.
    fn free_place(&self) {
        if !self.link.lock().limits_by_itself() {
            self.places.add_permits(1);
        }
    }

    /// Messages less may be here; what is missing is taken from the places that come free next.
    fn lose_places(&self, n: usize) {
        if !self.link.lock().limits_by_itself() {
            let places = Arc::clone(&self.places);
            tokio::spawn(async move {
                if let Ok(gone) = places.acquire_many_owned(n as u32).await {
                    gone.forget();
                }
            });
        }
    }

    /// Writes the result, then settles.
    async fn tell(&self, link: &Link, tag: &Tag, message: &Message, outcome: &str) -> Result<()> {
        let id = &message.headers.id;
        let is_wanted = self.announce(link, message, outcome).await?;
        if !link
            .settle(tag, is_wanted.then_some((&**id, outcome)))
            .await?
        {
            self.log(&format!(
                "{}[{id}] was given to somebody else meanwhile",
                message.headers.task
            ));
        }
        Ok(())
    }

    /// Writes a result where it is wanted, but for a broker that writes it when the message is settled. Whether anybody wants it.
    async fn announce(&self, link: &Link, message: &Message, outcome: &str) -> Result<bool> {
        let id = &message.headers.id;
        if message.headers.ignore_result == Some(true) {
            return Ok(false);
        }
        match (&self.store, &message.reply_to) {
            (Some(store), _) => store.set(id, outcome).await?,
            (None, Some(to)) => link.send_result(to, id, outcome.to_owned()).await?,
            (None, None) => {}
        }
        Ok(true)
    }

    /// Waits for what runs, gives back what has not begun. Leases are renewed meanwhile.
    pub async fn end(&self, link: &Link, renewals: &mut Renewals) {
        let waiting: Vec<Tag> = {
            let mut all = self.held.lock();
            let idle = |held: &Held| matches!(held.state, State::Reserved | State::Scheduled);
            let ids: Vec<String> = all
                .iter()
                .filter(|(_, held)| idle(held))
                .map(|(id, _)| id.clone())
                .collect();
            let taken = ids.iter().filter_map(|id| all.remove(id));
            taken
                .map(|held| {
                    if let Some(attends) = held.attends {
                        attends.abort();
                    }
                    held.tag
                })
                .collect()
        };
        for tag in waiting {
            let _it_comes_again = link.give_back(&tag).await;
        }
        let runs = || {
            self.held
                .lock()
                .values()
                .any(|held| !matches!(held.state, State::Ended(_)))
        };
        while runs() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
                () = renewals.tick() => {
                    let _gone = link.keep(&self.tags()).await;
                }
            }
        }
    }
}
