//! The two brokers behind one face. What differs between them ends here.
//!
//! What always holds: a message is handed on by `publish` only when the broker has it; a message that a worker has taken stays the
//! broker's until it is settled, so it comes again if the worker is gone; only who holds it can settle it.

pub(crate) mod rabbitmq;
pub(crate) mod redis;

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Interval;

use crate::config::{Config, Kind};
use crate::control::{Ask, ReplyTo};
use crate::error::Result;
use crate::message::Message;

/// A connection to the broker. Clones are the same.
#[derive(Clone)]
pub(crate) enum Link {
    RabbitMq(rabbitmq::Link),
    Redis(redis::Link),
}

/// Under what name the broker knows that a worker has a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tag {
    RabbitMq(u64),
    Redis(String),
}

/// A message that a worker has taken.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub tag: Tag,
    /// The message, or why it is none.
    pub message: Result<Message>,
    /// As it came, for those who look at what was refused.
    pub raw: Vec<u8>,
    /// How often it was taken before by a worker that has not settled it, as far as is known.
    pub n_before: u32,
}

/// What comes to a worker.
#[derive(Debug)]
pub(crate) enum Event {
    Task(Delivery),
    Ask(Ask),
    /// The connection is gone.
    Lost(String),
}

/// An answer to a command: the ticket of the question, and the workers' words by name.
pub(crate) type Reply = (String, serde_json::Map<String, Value>);

/// The times at which leases are to be renewed; none where there are no leases.
pub(crate) struct Renewals(Option<Interval>);

impl Renewals {
    pub async fn tick(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

macro_rules! each {
    ($link:expr, $one:ident => $call:expr) => {
        match $link {
            Link::RabbitMq($one) => $call,
            Link::Redis($one) => $call,
        }
    };
}

impl Link {
    pub async fn connect(config: &Config) -> Result<Link> {
        Ok(match config.kind()? {
            Kind::RabbitMq => Link::RabbitMq(rabbitmq::Link::connect(config).await?),
            Kind::Redis => Link::Redis(redis::Link::connect(config).await?),
        })
    }

    /// Returns when the broker has all of them.
    pub async fn publish(&self, messages: &[Message]) -> Result<()> {
        each!(self, link => link.publish(messages).await)
    }

    /// How many messages wait for a worker.
    pub async fn n_waiting(&self) -> Result<u64> {
        each!(self, link => link.n_waiting().await)
    }

    /// Takes out those that wait; how many.
    pub async fn purge(&self) -> Result<u64> {
        each!(self, link => link.purge().await)
    }

    /// Tells all workers. How many have it, where the broker knows.
    pub async fn broadcast(&self, ask: &Ask) -> Result<Option<usize>> {
        each!(self, link => link.broadcast(ask).await)
    }

    /// Where answers to commands of ours come; `name` is new.
    pub async fn inbox(&self, name: &str) -> Result<(ReplyTo, mpsc::UnboundedReceiver<Reply>)> {
        each!(self, link => link.inbox(name).await)
    }

    pub async fn reply(
        &self,
        to: &ReplyTo,
        ticket: &str,
        worker: &str,
        answer: Value,
    ) -> Result<()> {
        each!(self, link => link.reply(to, ticket, worker, answer).await)
    }

    /// Begins to take messages, at most as many at a time as `places` has, and listens to commands. The stream ends with the
    /// receiver, or with [`Event::Lost`].
    pub async fn consume(
        &self,
        worker: &str,
        places: &Arc<Semaphore>,
    ) -> Result<mpsc::Receiver<Event>> {
        each!(self, link => link.consume(worker, places).await)
    }

    /// Takes no more messages; those that it has stay.
    pub async fn stop_consuming(&self) {
        each!(self, link => link.stop_consuming().await);
    }

    /// So many messages may be with the worker at the same time, those that wait for their time included.
    pub async fn allow(&self, n: usize) -> Result<()> {
        match self {
            Link::RabbitMq(link) => link.allow(n).await,
            // It takes no more than there are places.
            Link::Redis(_) => Ok(()),
        }
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Link) -> bool {
        match (self, other) {
            (Link::RabbitMq(a), Link::RabbitMq(b)) => a.is(b),
            (Link::Redis(a), Link::Redis(b)) => a.is(b),
            _ => false,
        }
    }

    /// The message is done with, with its id and result. Whether it was still ours.
    pub async fn settle(&self, tag: &Tag, result: Option<(&str, &str)>) -> Result<bool> {
        match self {
            Link::RabbitMq(link) => link.settle(tag).await,
            Link::Redis(link) => link.settle(tag, result).await,
        }
    }

    /// The message has not been begun and goes back.
    pub async fn give_back(&self, tag: &Tag) -> Result<()> {
        each!(self, link => link.give_back(tag).await)
    }

    /// Puts what cannot be done into a queue beside, `<queue>.refused`, where a person may look at it, and settles it as
    /// [`settle`](Self::settle) does.
    pub async fn refuse(&self, delivery: &Delivery, result: Option<(&str, &str)>) -> Result<()> {
        each!(self, link => link.refuse(delivery).await)?;
        self.settle(&delivery.tag, result).await.map(drop)
    }

    /// Whether what a worker has taken is its own only as long as this connection lives. If not, it is its own for the time of a
    /// lease, over whatever connection.
    pub fn holds_by_connection(&self) -> bool {
        matches!(self, Link::RabbitMq(_))
    }

    /// Whether the broker itself gives a worker no more than it was told to [`allow`](Self::allow). If not, the worker counts places.
    pub fn limits_by_itself(&self) -> bool {
        matches!(self, Link::RabbitMq(_))
    }

    /// Whether the broker knows how often a message was taken, and not only that it was: then somebody must write it into the message.
    pub fn counts_deliveries(&self) -> bool {
        matches!(self, Link::Redis(_))
    }

    /// When leases are to be renewed.
    pub fn renewals(&self) -> Renewals {
        Renewals(match self {
            Link::RabbitMq(_) => None,
            Link::Redis(link) => Some(tokio::time::interval(link.renewal())),
        })
    }

    /// Says again that these are being worked on.
    pub async fn keep(&self, tags: &[Tag]) -> Result<()> {
        match self {
            // Its broker looks at the connection.
            Link::RabbitMq(_) => Ok(()),
            Link::Redis(link) => link.keep(tags).await,
        }
    }

    /// Sends a result to who wants it.
    pub async fn send_result(&self, to: &str, id: &str, outcome: String) -> Result<()> {
        match self {
            Link::RabbitMq(link) => link.send_result(to, id, outcome).await,
            // Its results are kept in the server.
            Link::Redis(_) => Ok(()),
        }
    }

    pub async fn close(&self) {
        match self {
            Link::RabbitMq(link) => link.close().await,
            // Its connections go with what uses them.
            Link::Redis(link) => link.stop_consuming().await,
        }
    }
}
