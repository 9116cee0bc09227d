//! Redis: lists as Celery lays them out (kombu's virtual transport), and a lease for each message that a worker has.
//!
//! Celery's own workers keep what they have in a hash for an hour. Here a lease is renewed while the worker lives and runs out
//! after some seconds if not; then the next worker that asks gets the message. Each step is one script, so it happens as a whole or
//! not at all.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, RedisError, Script};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Delivery, Event, Reply, Tag};
use crate::config::Config;
use crate::control::{Ask, CONTROL, REPLIES, ReplyTo};
use crate::error::{Error, Result};
use crate::message::{Headers, Message, new_id};

/// A server that says nothing for so long is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long results are kept, in seconds.
const RESULTS_EXPIRE: u64 = 86_400;
/// Looks for work: at first often, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);
/// At most so many messages are taken at once.
const BATCH: usize = 64;
/// Between the parts of names, as kombu writes them.
const SEPARATOR: &str = "\u{6}\u{16}";

#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    url: String,
    queue: String,
    lease: Duration,
    database: i64,
    client: Client,
    connection: MultiplexedConnection,
    /// Whether results are written together with the end of a task.
    keeps_results: bool,
    stop: watch::Sender<bool>,
}

/// Takes what nobody works on any more, then what waits. Each message gets a token, under which it is held.
///
/// Keys: held, leases, lists by priority. Arguments: how many, the lease in ms, the beginning of tokens.
const FETCH: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[1])
local taken = {}
local function take(count, list, payload)
  local token = ARGV[3] .. (#taken / 3)
  count = string.format('%d', count)
  redis.call('HSET', KEYS[1], token, count .. ':' .. list .. ':' .. payload)
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), token)
  table.insert(taken, token)
  table.insert(taken, count)
  table.insert(taken, payload)
end
for _, token in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)) do
  local entry = redis.call('HGET', KEYS[1], token)
  redis.call('HDEL', KEYS[1], token)
  redis.call('ZREM', KEYS[2], token)
  if entry then
    local count, list, payload = string.match(entry, '^(%d+):(%d):(.*)$')
    take(tonumber(count) + 1, list, payload)
  end
end
for key = 3, #KEYS do
  while #taken / 3 < most do
    local payload = redis.call('RPOP', KEYS[key])
    if not payload then break end
    take(0, key - 2, payload)
  end
end
return taken
";

/// Keys: held, leases. Arguments: the token, then for a result its key, its text and the seconds that it is kept.
const SETTLE: &str = r"
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] then
  redis.call('SET', ARGV[2], ARGV[3], 'EX', ARGV[4])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 1
";

/// Keys: held, leases, lists by priority. Argument: the token.
const GIVE_BACK: &str = r"
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local list, payload = string.match(entry, '^%d+:(%d):(.*)$')
redis.call('RPUSH', KEYS[2 + tonumber(list)], payload)
return 1
";

/// Keys: leases. Arguments: the lease in ms, then the tokens.
const KEEP: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[1]), ARGV[i])
end
";

/// A message as kombu writes it.
#[derive(Serialize, Deserialize)]
struct Envelope {
    body: String,
    #[serde(default, rename = "content-encoding")]
    content_encoding: Value,
    #[serde(default, rename = "content-type")]
    content_type: Value,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    properties: Map<String, Value>,
}

impl Envelope {
    fn new(body: &[u8], headers: Value, properties: Value) -> Envelope {
        let mut properties = match properties {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        properties.insert("body_encoding".to_owned(), json!("base64"));
        properties.insert("delivery_mode".to_owned(), json!(2));
        properties.insert("delivery_tag".to_owned(), json!(new_id()));
        Envelope {
            body: BASE64.encode(body),
            content_encoding: json!("utf-8"),
            content_type: json!("application/json"),
            headers,
            properties,
        }
    }

    fn body(&self) -> Result<Vec<u8>> {
        match self.properties.get("body_encoding").and_then(Value::as_str) {
            Some("base64") => BASE64
                .decode(&self.body)
                .map_err(|why| Error::mismatch("the body of a message", why)),
            _ => Ok(self.body.clone().into_bytes()),
        }
    }

    fn read(raw: &[u8]) -> Result<Envelope> {
        serde_json::from_slice(raw).map_err(|why| Error::mismatch("a message in the queue", why))
    }
}

/// A connection with our patience.
pub(crate) async fn connect(url: &str) -> Result<(Client, MultiplexedConnection)> {
    let unreachable = |error: RedisError| Error::unreachable(url, error);
    let client = Client::open(url).map_err(unreachable)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await;
    let mut connection = connection.map_err(unreachable)?;
    // A server that asks for a password lets everybody connect.
    let _: String = redis::cmd("PING")
        .query_async(&mut connection)
        .await
        .map_err(unreachable)?;
    Ok((client, connection))
}

/// Results, under the keys that Celery gives them.
#[derive(Clone)]
pub(crate) struct Results {
    url: String,
    connection: MultiplexedConnection,
}

fn result_key(id: &str) -> String {
    format!("celery-task-meta-{id}")
}

impl Results {
    pub async fn connect(url: &str) -> Result<Results> {
        let (_, connection) = connect(url).await?;
        Ok(Results {
            url: url.to_owned(),
            connection,
        })
    }

    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let mut connection = self.connection.clone();
        let found = connection.get(result_key(id)).await;
        found.map_err(|error| Error::unreachable(&self.url, error))
    }

    pub async fn set(&self, id: &str, outcome: &str) -> Result<()> {
        let key = result_key(id);
        let mut connection = self.connection.clone();
        let set = redis::pipe()
            .atomic()
            .set_ex(&key, outcome, RESULTS_EXPIRE)
            .ignore()
            .publish(&key, outcome)
            .ignore()
            .query_async(&mut connection)
            .await;
        set.map_err(|error| Error::unreachable(&self.url, error))
    }
}

impl Link {
    pub async fn connect(config: &Config) -> Result<Link> {
        let (client, connection) = connect(&config.url).await?;
        Ok(Link(Arc::new(Inner {
            url: config.url.clone(),
            queue: config.queue.clone(),
            lease: config.lease,
            database: client.get_connection_info().redis_settings().db(),
            client,
            connection,
            keeps_results: config.results.is_none(),
            stop: watch::Sender::new(false),
        })))
    }

    pub fn is(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lost(&self, error: &RedisError) -> Error {
        // A server that has just been started answers, but reads its data first.
        let comes_soon = matches!(error.code(), Some("LOADING" | "MASTERDOWN" | "TRYAGAIN"));
        let is_gone = error.is_io_error() || error.is_connection_dropped() || error.is_timeout();
        match comes_soon || is_gone || error.is_connection_refusal() {
            true => Error::unreachable(&self.0.url, error),
            false => Error::broker("what was asked of Redis", error),
        }
    }

    fn held(&self) -> String {
        format!("forkline.held.{}", self.0.queue)
    }

    fn leases(&self) -> String {
        format!("forkline.leases.{}", self.0.queue)
    }

    /// The lists, those first that are looked at first. kombu has four steps, and 0 is the most urgent.
    fn lists(&self) -> [String; 4] {
        let queue = &self.0.queue;
        let list = |step: u8| format!("{queue}{SEPARATOR}{step}");
        [queue.clone(), list(3), list(6), list(9)]
    }

    pub async fn publish(&self, messages: &[Message]) -> Result<()> {
        let lists = self.lists();
        let mut pipe = redis::pipe();
        for message in messages {
            let step = (9 - message.priority.min(9)) / 3;
            let properties = json!({
                "correlation_id": message.headers.id,
                "reply_to": message.reply_to,
                "priority": step * 3,
                "delivery_info": {"exchange": "", "routing_key": self.0.queue},
            });
            let envelope = Envelope::new(&message.body, json!(message.headers), properties);
            pipe.lpush(&lists[usize::from(step)], json!(envelope).to_string())
                .ignore();
        }
        let mut connection = self.0.connection.clone();
        let published = pipe.query_async(&mut connection).await;
        published.map_err(|error| self.lost(&error))
    }

    pub async fn n_waiting(&self) -> Result<u64> {
        let mut pipe = redis::pipe();
        for list in self.lists() {
            pipe.llen(list);
        }
        let mut connection = self.0.connection.clone();
        let lengths: Vec<u64> = pipe
            .query_async(&mut connection)
            .await
            .map_err(|error| self.lost(&error))?;
        Ok(lengths.iter().sum())
    }

    pub async fn purge(&self) -> Result<u64> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for list in self.lists() {
            pipe.llen(&list).del(&list).ignore();
        }
        let mut connection = self.0.connection.clone();
        let lengths: Vec<u64> = pipe
            .query_async(&mut connection)
            .await
            .map_err(|error| self.lost(&error))?;
        Ok(lengths.iter().sum())
    }

    fn topic(&self) -> String {
        format!("/{}.{CONTROL}", self.0.database)
    }

    pub async fn broadcast(&self, ask: &Ask) -> Result<Option<usize>> {
        let body = json!(ask).to_string();
        let properties = json!({"delivery_info": {"exchange": CONTROL, "routing_key": ""}});
        let envelope = Envelope::new(body.as_bytes(), json!({"clock": 1}), properties);
        let mut connection = self.0.connection.clone();
        let n = connection
            .publish(self.topic(), json!(envelope).to_string())
            .await;
        Ok(Some(n.map_err(|error| self.lost(&error))?))
    }

    pub async fn inbox(&self, name: &str) -> Result<(ReplyTo, mpsc::UnboundedReceiver<Reply>)> {
        let list = ReplyTo::queue_of(name);
        let bindings = format!("_kombu.binding.{REPLIES}");
        let binding = [name, "", &list].join(SEPARATOR);
        // A list that is waited for holds up its connection.
        let (_, mut connection) = connect(&self.0.url).await?;
        let bound: Result<(), _> = connection.sadd(&bindings, &binding).await;
        bound.map_err(|error| self.lost(&error))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while !sender.is_closed() {
                let popped: Result<Option<(String, Vec<u8>)>, _> =
                    connection.brpop(&list, 0.2).await;
                let raw = match popped {
                    Ok(Some((_, raw))) => raw,
                    Ok(None) => continue,
                    Err(_) => break,
                };
                let Ok(envelope) = Envelope::read(&raw) else {
                    continue;
                };
                let words = envelope
                    .body()
                    .ok()
                    .and_then(|body| serde_json::from_slice(&body).ok());
                if let Some(words) = words {
                    let ticket = envelope.headers["ticket"].as_str().unwrap_or("").to_owned();
                    let _nobody_waits_any_more = sender.send((ticket, words));
                }
            }
            let mut pipe = redis::pipe();
            pipe.srem(&bindings, &binding).ignore().del(&list).ignore();
            let _it_does_no_harm: Result<(), _> = pipe.query_async(&mut connection).await;
        });
        Ok((ReplyTo::inbox_of(name), receiver))
    }

    pub async fn reply(
        &self,
        to: &ReplyTo,
        ticket: &str,
        worker: &str,
        answer: Value,
    ) -> Result<()> {
        let mut connection = self.0.connection.clone();
        let bindings: Vec<String> = connection
            .smembers(format!("_kombu.binding.{}", to.exchange))
            .await
            .map_err(|error| self.lost(&error))?;
        let queue = bindings.iter().find_map(|binding| {
            let mut parts = binding.split(SEPARATOR);
            (parts.next() == Some(&to.routing_key)).then(|| parts.last())?
        });
        let Some(queue) = queue else {
            return Ok(()); // who has asked is gone
        };
        let body = json!({worker: answer}).to_string();
        let properties =
            json!({"delivery_info": {"exchange": to.exchange, "routing_key": to.routing_key}});
        let envelope = Envelope::new(
            body.as_bytes(),
            json!({"ticket": ticket, "clock": 1}),
            properties,
        );
        let pushed: Result<(), _> = connection.lpush(queue, json!(envelope).to_string()).await;
        pushed.map_err(|error| self.lost(&error))
    }

    pub async fn consume(
        &self,
        worker: &str,
        places: &Arc<Semaphore>,
    ) -> Result<mpsc::Receiver<Event>> {
        let mut asks = self
            .0
            .client
            .get_async_pubsub()
            .await
            .map_err(|error| self.lost(&error))?;
        asks.subscribe(self.topic())
            .await
            .map_err(|error| self.lost(&error))?;
        let (sender, receiver) = mpsc::channel(BATCH);
        let to_worker = sender.clone();
        let mut stop = self.0.stop.subscribe();
        tokio::spawn(async move {
            let mut messages = asks.into_on_message();
            loop {
                let message = tokio::select! {
                    message = messages.next() => message,
                    _ = stop.wait_for(|&stop| stop) => return,
                };
                let Some(message) = message else {
                    let _nobody_works_any_more = to_worker
                        .send(Event::Lost("the connection ended".to_owned()))
                        .await;
                    return;
                };
                let ask = Envelope::read(message.get_payload_bytes())
                    .and_then(|envelope| envelope.body())
                    .ok()
                    .and_then(|body| serde_json::from_slice(&body).ok());
                if let Some(ask) = ask
                    && to_worker.send(Event::Ask(ask)).await.is_err()
                {
                    return;
                }
            }
        });
        let own = self.clone();
        let places = Arc::clone(places);
        let worker = worker.to_owned();
        tokio::spawn(async move {
            if let Err(error) = own.feed(&worker, &places, &sender).await {
                let _nobody_works_any_more = sender.send(Event::Lost(error.to_string())).await;
            }
        });
        Ok(receiver)
    }

    /// Takes messages as long as there are places, until it is stopped.
    async fn feed(
        &self,
        worker: &str,
        places: &Semaphore,
        sender: &mpsc::Sender<Event>,
    ) -> Result<(), RedisError> {
        let script = Script::new(FETCH);
        let prefix = format!("{worker}:{}:", new_id());
        let mut connection = self.0.connection.clone();
        let mut stop = self.0.stop.subscribe();
        let mut pause = FIRST_PAUSE;
        for round in 0_u64.. {
            let first = tokio::select! {
                first = places.acquire() => first,
                _ = stop.wait_for(|&stop| stop) => return Ok(()),
            };
            let Ok(mut taken) = first else {
                return Ok(());
            };
            while taken.num_permits() < BATCH
                && let Ok(more) = places.try_acquire()
            {
                taken.merge(more);
            }
            let n = taken.num_permits();
            let mut call = script.key(self.held());
            call.key(self.leases());
            for list in self.lists() {
                call.key(list);
            }
            call.arg(n)
                .arg(self.0.lease.as_millis() as u64)
                .arg(format!("{prefix}{round}."));
            let found: Vec<(String, u32, Vec<u8>)> = call.invoke_async(&mut connection).await?;
            // A place goes with its message, and comes back from the worker.
            if let Some(with_messages) = taken.split(found.len().min(n)) {
                with_messages.forget();
            }
            drop(taken);
            if found.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stop.wait_for(|&stop| stop) => return Ok(()),
                }
                pause = (pause * 2).min(LAST_PAUSE);
                continue;
            }
            pause = FIRST_PAUSE;
            for (token, n_before, raw) in found {
                if sender
                    .send(Event::Task(taken_message(token, n_before, raw)))
                    .await
                    .is_err()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub async fn stop_consuming(&self) {
        self.0.stop.send_replace(true);
    }

    /// Together with its end a task's result is written, if this server has the results.
    pub async fn settle(&self, tag: &Tag, result: Option<(&str, &str)>) -> Result<bool> {
        let Tag::Redis(token) = tag else {
            return Ok(false);
        };
        let script = Script::new(SETTLE);
        let mut call = script.key(self.held());
        call.key(self.leases()).arg(token);
        if let Some((id, outcome)) = result
            && self.0.keeps_results
        {
            call.arg(result_key(id)).arg(outcome).arg(RESULTS_EXPIRE);
        }
        let mut connection = self.0.connection.clone();
        call.invoke_async(&mut connection)
            .await
            .map_err(|error| self.lost(&error))
    }

    pub async fn give_back(&self, tag: &Tag) -> Result<()> {
        let Tag::Redis(token) = tag else {
            return Ok(());
        };
        let script = Script::new(GIVE_BACK);
        let mut call = script.key(self.held());
        call.key(self.leases());
        for list in self.lists() {
            call.key(list);
        }
        let mut connection = self.0.connection.clone();
        let given: Result<i64, _> = call.arg(token).invoke_async(&mut connection).await;
        given.map(drop).map_err(|error| self.lost(&error))
    }

    pub async fn refuse(&self, delivery: &Delivery) -> Result<()> {
        let mut connection = self.0.connection.clone();
        let pushed: Result<(), _> = connection
            .lpush(format!("{}.refused", self.0.queue), &delivery.raw)
            .await;
        pushed.map_err(|error| self.lost(&error))?;
        Ok(())
    }

    pub async fn keep(&self, tags: &[Tag]) -> Result<()> {
        let script = Script::new(KEEP);
        let mut call = script.key(self.leases());
        call.arg(self.0.lease.as_millis() as u64);
        for tag in tags {
            if let Tag::Redis(token) = tag {
                call.arg(token);
            }
        }
        let mut connection = self.0.connection.clone();
        call.invoke_async(&mut connection)
            .await
            .map_err(|error| self.lost(&error))
    }

    /// A third of the lease: two renewals may fail.
    pub fn renewal(&self) -> Duration {
        self.0.lease / 3
    }
}

fn taken_message(token: String, n_before: u32, raw: Vec<u8>) -> Delivery {
    let message = Envelope::read(&raw).and_then(|envelope| {
        let body = envelope.body()?;
        let headers: Headers = serde_json::from_value(envelope.headers)
            .map_err(|why| Error::mismatch("the headers of a message", why))?;
        let property = |key: &str| envelope.properties.get(key);
        let step = property("priority").and_then(Value::as_u64).unwrap_or(0);
        Ok(Message {
            headers,
            body,
            reply_to: property("reply_to")
                .and_then(Value::as_str)
                .map(str::to_owned),
            priority: 9 - step.min(9) as u8,
        })
    });
    let n_headers = message
        .as_ref()
        .map_or(0, |message| message.headers.forkline_deliveries);
    Delivery {
        tag: Tag::Redis(token),
        message,
        raw,
        n_before: n_before + n_headers,
    }
}
