//! RabbitMQ: a durable queue, persistent messages, confirms from the broker, acknowledgements when a task is done.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::try_join_all;
use lapin::message::Delivery as Lapin;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::{Delivery, Event, Reply, Tag};
use crate::config::Config;
use crate::control::{Ask, CONTROL, REPLIES, ReplyTo};
use crate::error::{Error, Result};
use crate::message::{Headers, Message};
use crate::outcome::Outcome;

/// A broker that says nothing for so long is none.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// The largest priority of our queues.
const PRIORITIES: u8 = 9;
/// Milliseconds after which the broker forgets a queue for results that nobody reads.
const RESULTS_EXPIRE: i32 = 600_000;
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    url: String,
    queue: String,
    connection: Connection,
    /// What goes out, with confirms.
    out: Channel,
    /// What a worker takes, settles and answers: one after the other, as it was written.
    work: Channel,
    consumer: Mutex<Option<ShortString>>,
}

/// A URL as lapin reads it: for Celery `amqp://host` and `amqp://host//` mean the virtual host `/`.
fn for_lapin(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match path {
        "" | "/" => format!("amqp://{host}/%2f"),
        path => format!("amqp://{host}/{path}"),
    }
}

impl Link {
    pub async fn connect(config: &Config) -> Result<Link> {
        let unreachable = |why: &dyn std::fmt::Display| Error::unreachable(&config.url, why);
        let properties = ConnectionProperties::default().with_connection_name("forkline".into());
        let url = for_lapin(&config.url);
        let connection = tokio::time::timeout(CONNECT_TIME, Connection::connect(&url, properties))
            .await
            .map_err(|_| unreachable(&format!("no answer within {CONNECT_TIME:?}")))?
            .map_err(|error| unreachable(&error))?;
        declare(&connection, &config.queue, config.has_priorities)
            .await
            .map_err(|error| Error::broker("to make the queue", error))?;
        let channels = async {
            let out = connection.create_channel().await?;
            out.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok((out, connection.create_channel().await?))
        };
        let (out, work) = channels
            .await
            .map_err(|error: lapin::Error| unreachable(&error))?;
        Ok(Link(Arc::new(Inner {
            url: config.url.clone(),
            queue: config.queue.clone(),
            connection,
            out,
            work,
            consumer: Mutex::default(),
        })))
    }

    pub fn is(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lost(&self, error: &lapin::Error) -> Error {
        match error.kind() {
            // What it refuses it calls a soft error; it ends the channel and not the connection.
            lapin::ErrorKind::ProtocolError(told)
                if matches!(told.kind(), AMQPErrorKind::Soft(_)) =>
            {
                Error::broker("what was asked of RabbitMQ", error)
            }
            _ => Error::unreachable(&self.0.url, error),
        }
    }

    pub async fn publish(&self, messages: &[Message]) -> Result<()> {
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            let priority = message.priority.min(PRIORITIES);
            let mut properties = plain(PERSISTENT)
                .with_correlation_id(short(&message.headers.id))
                .with_priority(priority)
                .with_headers(table(&json!(message.headers)));
            if let Some(to) = &message.reply_to {
                properties = properties.with_reply_to(short(to));
            }
            let confirm = self.0.out.basic_publish(
                "".into(),
                short(&self.0.queue),
                BasicPublishOptions::default(),
                &message.body,
                properties,
            );
            confirms.push(confirm.await.map_err(|error| self.lost(&error))?);
        }
        let confirmed = try_join_all(confirms).await;
        let confirmed = confirmed.map_err(|error| self.lost(&error))?;
        match confirmed.iter().all(lapin::Confirmation::is_ack) {
            true => Ok(()),
            false => Err(Error::broker("to take a message", "it has refused it")),
        }
    }

    pub async fn n_waiting(&self) -> Result<u64> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self
            .0
            .out
            .queue_declare(short(&self.0.queue), options, FieldTable::default());
        Ok(queue
            .await
            .map_err(|error| self.lost(&error))?
            .message_count()
            .into())
    }

    pub async fn purge(&self) -> Result<u64> {
        let purged = self
            .0
            .out
            .queue_purge(short(&self.0.queue), QueuePurgeOptions::default());
        Ok(purged.await.map_err(|error| self.lost(&error))?.into())
    }

    pub async fn broadcast(&self, ask: &Ask) -> Result<Option<usize>> {
        let done = async {
            self.exchange(CONTROL, ExchangeKind::Fanout).await?;
            let body = json!(ask).to_string();
            let options = BasicPublishOptions::default();
            let channel = &self.0.out;
            channel
                .basic_publish(
                    CONTROL.into(),
                    "".into(),
                    options,
                    body.as_bytes(),
                    plain(TRANSIENT),
                )
                .await?
                .await
        };
        done.await
            .map_err(|error: lapin::Error| self.lost(&error))?;
        Ok(None)
    }

    /// An exchange of Celery's, as it is or as Celery makes it. Others may have made it with other options.
    async fn exchange(&self, name: &str, kind: ExchangeKind) -> Result<(), lapin::Error> {
        let probe = self.0.connection.create_channel().await?;
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let found = probe
            .exchange_declare(name.into(), kind.clone(), passive, FieldTable::default())
            .await;
        if found.is_ok() {
            return probe.close(200, "done".into()).await;
        }
        // What it refuses ends the channel.
        let channel = self.0.connection.create_channel().await?;
        let options = ExchangeDeclareOptions::default();
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await?;
        channel.close(200, "done".into()).await
    }

    /// A queue of this connection's own that gets what is sent to an exchange.
    async fn listen(
        &self,
        queue: &str,
        exchange: &str,
        kind: ExchangeKind,
        key: &str,
    ) -> Result<(lapin::Consumer, Channel), lapin::Error> {
        self.exchange(exchange, kind).await?;
        let channel = self.0.connection.create_channel().await?;
        let own = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(short(queue), own, FieldTable::default())
            .await?;
        let bind = QueueBindOptions::default();
        channel
            .queue_bind(
                short(queue),
                exchange.into(),
                short(key),
                bind,
                FieldTable::default(),
            )
            .await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = channel
            .basic_consume(short(queue), "".into(), options, FieldTable::default())
            .await?;
        Ok((consumer, channel))
    }

    pub async fn inbox(&self, name: &str) -> Result<(ReplyTo, mpsc::UnboundedReceiver<Reply>)> {
        let queue = ReplyTo::queue_of(name);
        let (mut answers, channel) = self
            .listen(&queue, REPLIES, ExchangeKind::Direct, name)
            .await
            .map_err(|error| self.lost(&error))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let delivery = tokio::select! {
                    Some(Ok(delivery)) = answers.next() => delivery,
                    () = sender.closed() => break,
                    else => break,
                };
                let headers = delivery.properties.headers().as_ref().map(json_of);
                let ticket = headers
                    .as_ref()
                    .and_then(|headers| headers["ticket"].as_str());
                // What is no answer is left out.
                if let Ok(words) = serde_json::from_slice(&delivery.data) {
                    let _nobody_waits_any_more =
                        sender.send((ticket.unwrap_or("").to_owned(), words));
                }
            }
            let _it_may_be_gone = channel.close(200, "done".into()).await;
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
        let properties =
            plain(TRANSIENT).with_headers(table(&json!({"ticket": ticket, "clock": 1})));
        let body = json!({worker: answer}).to_string();
        let sent = self.0.work.basic_publish(
            short(&to.exchange),
            short(&to.routing_key),
            BasicPublishOptions::default(),
            body.as_bytes(),
            properties,
        );
        sent.await.map_err(|error| self.lost(&error))?;
        Ok(())
    }

    pub async fn consume(
        &self,
        worker: &str,
        places: &Arc<Semaphore>,
    ) -> Result<mpsc::Receiver<Event>> {
        self.allow(places.available_permits()).await?;
        let begun = async {
            let asks = format!("{worker}.{}.{CONTROL}", crate::message::new_id());
            let asks = self
                .listen(&asks, CONTROL, ExchangeKind::Fanout, "")
                .await?;
            let options = BasicConsumeOptions::default();
            let queue = short(&self.0.queue);
            let tasks = self
                .0
                .work
                .basic_consume(queue, "".into(), options, FieldTable::default())
                .await?;
            Ok((asks, tasks))
        };
        let ((mut asks, asks_channel), mut tasks) = begun
            .await
            .map_err(|error: lapin::Error| self.lost(&error))?;
        *self.0.consumer.lock() = Some(tasks.tag());
        let (sender, receiver) = mpsc::channel(64);
        let to_worker = sender.clone();
        tokio::spawn(async move {
            // The channel lives as long as what comes through it.
            let _channel = asks_channel;
            loop {
                let delivery = tokio::select! {
                    Some(Ok(delivery)) = asks.next() => delivery,
                    () = to_worker.closed() => return,
                    else => return,
                };
                // What is no command is left out.
                if let Ok(ask) = serde_json::from_slice(&delivery.data) {
                    let _nobody_works_any_more = to_worker.send(Event::Ask(ask)).await;
                }
            }
        });
        let own = self.clone();
        tokio::spawn(async move {
            let why = loop {
                let event = match tasks.next().await {
                    Some(Ok(delivery)) => Event::Task(taken(delivery)),
                    Some(Err(error)) => break error.to_string(),
                    // It was cancelled by us, or its connection ended.
                    None if own.0.consumer.lock().is_none() => return,
                    None => break "the connection ended".to_owned(),
                };
                if sender.send(event).await.is_err() {
                    return;
                }
            };
            let _nobody_works_any_more = sender.send(Event::Lost(why)).await;
        });
        Ok(receiver)
    }

    pub async fn stop_consuming(&self) {
        let consumer = self.0.consumer.lock().take();
        if let Some(tag) = consumer {
            let _it_may_be_gone = self
                .0
                .work
                .basic_cancel(tag, BasicCancelOptions::default())
                .await;
        }
    }

    /// So many messages may be with the worker at the same time.
    pub async fn allow(&self, n: usize) -> Result<()> {
        // For the channel, since only that can be changed while messages are taken.
        let options = BasicQosOptions { global: true };
        let n = u16::try_from(n).unwrap_or(u16::MAX).max(1);
        let allowed = self.0.work.basic_qos(n, options).await;
        allowed.map_err(|error| self.lost(&error))
    }

    pub async fn settle(&self, tag: &Tag) -> Result<bool> {
        let Tag::RabbitMq(tag) = tag else {
            return Ok(false);
        };
        let settled = self
            .0
            .work
            .basic_ack(*tag, BasicAckOptions::default())
            .await;
        settled.map_err(|error| self.lost(&error))?;
        Ok(true)
    }

    pub async fn give_back(&self, tag: &Tag) -> Result<()> {
        let Tag::RabbitMq(tag) = tag else {
            return Ok(());
        };
        let options = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        self.0
            .work
            .basic_nack(*tag, options)
            .await
            .map_err(|error| self.lost(&error))
    }

    pub async fn refuse(&self, delivery: &Delivery) -> Result<()> {
        let queue = format!("{}.refused", self.0.queue);
        let why = match &delivery.message {
            Ok(_) => "its task is not known".to_owned(),
            Err(error) => error.to_string(),
        };
        let done = async {
            declare(&self.0.connection, &queue, false).await?;
            let properties =
                plain(PERSISTENT).with_headers(table(&json!({"forkline_refused": why})));
            let options = BasicPublishOptions::default();
            let channel = &self.0.out;
            channel
                .basic_publish("".into(), short(&queue), options, &delivery.raw, properties)
                .await?
                .await
        };
        done.await
            .map_err(|error: lapin::Error| self.lost(&error))?;
        Ok(())
    }

    pub async fn send_result(&self, to: &str, id: &str, outcome: String) -> Result<()> {
        // Queues of ours outlive the broker, Python's do not.
        let mode = if to.starts_with("forkline.") {
            PERSISTENT
        } else {
            TRANSIENT
        };
        let sent = self.0.work.basic_publish(
            "".into(),
            short(to),
            BasicPublishOptions::default(),
            outcome.as_bytes(),
            plain(mode).with_correlation_id(short(id)),
        );
        sent.await.map_err(|error| self.lost(&error))?;
        Ok(())
    }

    /// Where results of an application's tasks come; the name is new, or that of the application's connection before.
    pub async fn results(&self, name: &str) -> Result<mpsc::UnboundedReceiver<(String, Outcome)>> {
        let begun = async {
            let channel = self.0.connection.create_channel().await?;
            let mut arguments = FieldTable::default();
            arguments.insert("x-expires".into(), AMQPValue::LongInt(RESULTS_EXPIRE));
            channel
                .queue_declare(short(name), QueueDeclareOptions::durable(), arguments)
                .await?;
            let options = BasicConsumeOptions::default();
            let consumer =
                channel.basic_consume(short(name), "".into(), options, FieldTable::default());
            Ok((consumer.await?, channel))
        };
        let (mut results, channel) = begun
            .await
            .map_err(|error: lapin::Error| self.lost(&error))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // The channel lives as long as what comes through it.
            let _channel = channel;
            while let Some(Ok(delivery)) = results.next().await {
                let _it_comes_again = delivery.ack(BasicAckOptions::default()).await;
                if let Ok(Some(result)) = Outcome::from_json(&delivery.data)
                    && sender.send(result).is_err()
                {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    pub async fn close(&self) {
        let _it_may_be_gone = self.0.connection.close(200, "done".into()).await;
    }
}

/// Makes a queue if there is none of this name. One that others have made is taken as it is.
async fn declare(
    connection: &Connection,
    queue: &str,
    has_priorities: bool,
) -> Result<(), lapin::Error> {
    let probe = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    if probe
        .queue_declare(short(queue), passive, FieldTable::default())
        .await
        .is_ok()
    {
        return probe.close(200, "done".into()).await;
    }
    // What it refuses ends the channel.
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    if has_priorities {
        arguments.insert(
            "x-max-priority".into(),
            AMQPValue::LongInt(PRIORITIES.into()),
        );
    }
    channel
        .queue_declare(short(queue), QueueDeclareOptions::durable(), arguments)
        .await?;
    channel.close(200, "done".into()).await
}

/// A message of the broker's as the worker sees it.
fn taken(delivery: Lapin) -> Delivery {
    let headers = delivery.properties.headers().as_ref().map(json_of);
    let headers =
        headers.ok_or_else(|| Error::mismatch("a message in the queue", "it has no headers"));
    let message = headers
        .and_then(|headers| {
            serde_json::from_value::<Headers>(headers)
                .map_err(|why| Error::mismatch("the headers of a message", why))
        })
        .map(|headers| Message {
            headers,
            body: delivery.data.clone(),
            reply_to: delivery
                .properties
                .reply_to()
                .as_ref()
                .map(ToString::to_string),
            priority: delivery.properties.priority().unwrap_or(0),
        });
    let n_before = message
        .as_ref()
        .map_or(0, |message| message.headers.forkline_deliveries);
    Delivery {
        tag: Tag::RabbitMq(delivery.delivery_tag),
        message,
        raw: delivery.data,
        n_before: n_before + u32::from(delivery.redelivered),
    }
}

fn plain(mode: u8) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(mode)
}

/// Names in AMQP have 255 bytes at most; longer ones cannot be declared, so they are cut for the error to come from there.
fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

fn table(value: &Value) -> FieldTable {
    let mut table = FieldTable::default();
    if let Value::Object(map) = value {
        for (key, value) in map {
            table.insert(short(key), amqp_of(value));
        }
    }
    table
}

fn amqp_of(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => AMQPValue::LongLongInt(integer),
            None => AMQPValue::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        Value::Array(values) => {
            let mut array = FieldArray::default();
            values.iter().for_each(|value| array.push(amqp_of(value)));
            AMQPValue::FieldArray(array)
        }
        Value::Object(_) => AMQPValue::FieldTable(table(value)),
    }
}

fn json_of(table: &FieldTable) -> Value {
    let pairs = table.inner().iter();
    Value::from(
        pairs
            .map(|(key, value)| (key.to_string(), json_of_value(value)))
            .collect::<Map<_, _>>(),
    )
}

fn json_of_value(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(json_of_value).collect(),
        AMQPValue::Timestamp(seconds) => json!(seconds),
        AMQPValue::FieldTable(table) => json_of(table),
        AMQPValue::ByteArray(bytes) => json!(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::DecimalValue(_) | AMQPValue::Void => Value::Null,
    }
}
