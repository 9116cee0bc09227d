//! The values of a pool's call one by one.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use super::super::entry::{Body, Entry};
use super::super::message;
use super::queue::{Batch, Job, Reply};
use super::worker;
use super::{Message, Pool, ProcessError};
use crate::interrupt;

/// How many batches for each worker are on their way at first, and how many once values are taken.
const AHEAD: [usize; 2] = [4, 32];

/// The values of [`Pool::imap`] or [`Pool::imap_unordered`], each a value or the reason why there is none.
pub struct Imap<'a, A, R, I> {
    pool: &'a Pool,
    entry: Entry,
    items: I,
    chunk_size: usize,
    is_ordered: bool,
    job: Job,
    sender: Sender<(usize, usize, Reply)>,
    replies: Receiver<(usize, usize, Reply)>,
    /// Items taken so far, and those given out.
    taken: usize,
    on_the_way: usize,
    /// Values that are there, by the place of their item or by that of their coming.
    ready: BTreeMap<usize, Result<R, ProcessError>>,
    next: usize,
    came: usize,
    is_at_end: bool,
    items_type: PhantomData<fn(A)>,
}

impl<'a, A: Message, R: Message + Send, I: Iterator<Item = A>> Imap<'a, A, R, I> {
    pub(super) fn new(pool: &'a Pool, body: Body, items: I, is_ordered: bool) -> Self {
        let (sender, replies) = channel();
        Imap {
            pool,
            entry: Entry::of(body),
            items,
            chunk_size: 1,
            is_ordered,
            job: Job::new(),
            sender,
            replies,
            taken: 0,
            on_the_way: 0,
            ready: BTreeMap::new(),
            next: 0,
            came: 0,
            is_at_end: false,
            items_type: PhantomData,
        }
    }

    /// Items go to the workers in batches of this many: fewer messages, for short tasks; 0 counts as 1.
    #[must_use = "it returns the iterator"]
    pub fn chunk_size(mut self, size: usize) -> Self {
        self.chunk_size = size.max(1);
        self
    }

    /// Sends batches until enough are on their way or wait to be taken.
    fn send(&mut self) {
        let [least, most] = AHEAD.map(|ahead| ahead * self.pool.workers());
        let most = (least + self.next).min(most);
        while !self.is_at_end && self.on_the_way + self.ready.len() / self.chunk_size < most {
            let part: Vec<A> = self.items.by_ref().take(self.chunk_size).collect();
            self.is_at_end = part.len() < self.chunk_size;
            if part.is_empty() {
                break;
            }
            let (first, count, sender) = (self.taken, part.len(), self.sender.clone());
            self.taken += count;
            self.on_the_way += 1;
            match message::encode(&part, true)
                .and_then(|items| worker::with_entry(items, &self.entry))
            {
                Ok(packet) => self.pool.inner.submit([Batch {
                    job: self.job.clone(),
                    kind: self.entry.number(),
                    count,
                    packet,
                    begins: None,
                    reply: Box::new(move |reply| {
                        let _nobody_asks_any_more = sender.send((first, count, reply));
                    }),
                }]),
                Err(error) => {
                    let error = ProcessError::arguments(&self.pool.inner.name, &error);
                    let _it_is_ours = sender.send((first, count, Reply::Lost(0, error)));
                }
            }
        }
    }

    fn put(&mut self, item: usize, value: Result<R, ProcessError>) {
        let place = if self.is_ordered { item } else { self.came };
        self.came += 1;
        let value = value.map_err(|source| match source {
            closed @ ProcessError::PoolClosed { .. } => closed,
            source => ProcessError::Item {
                index: item,
                source: Box::new(source),
            },
        });
        self.ready.insert(place, value);
    }

    /// Takes what came of a batch.
    fn take(&mut self, first: usize, count: usize, reply: Reply) {
        self.on_the_way -= 1;
        let pool = &self.pool.inner.name;
        let name = format!("a worker of {pool}");
        let outcome = match reply {
            Reply::Outcome(outcome) => outcome.into_result(&name).and_then(|packet| {
                worker::values_and_panics::<R>(packet)
                    .map_err(|error| ProcessError::result(&name, &error))
            }),
            Reply::Lost(place, error) => {
                let (at, why) = (first + place, error.to_string());
                let mut error = Some(error);
                for item in first..first + count {
                    let error = if item == at { error.take() } else { None };
                    let error = error.unwrap_or_else(|| ProcessError::Result {
                        name: name.clone(),
                        why: format!("it went together with item {at}, of which came: {why}"),
                    });
                    self.put(item, Err(error));
                }
                return;
            }
            Reply::Cancelled | Reply::Ended => Err(ProcessError::PoolClosed { name: pool.clone() }),
        };
        match outcome {
            Ok((values, panics)) => {
                let (mut values, mut panics) = (values.into_iter(), panics.into_iter().peekable());
                for item in first..first + count {
                    let panic = panics.next_if(|(place, _)| first + *place as usize == item);
                    let value = match panic {
                        Some((_, message)) => Err(ProcessError::Panicked {
                            name: name.clone(),
                            message,
                        }),
                        None => values.next().ok_or_else(|| ProcessError::Result {
                            name: name.clone(),
                            why: "it is missing".to_owned(),
                        }),
                    };
                    self.put(item, value);
                }
            }
            Err(error) => {
                let why = error.to_string();
                let mut error = Some(error);
                for item in first..first + count {
                    let error = error.take().unwrap_or_else(|| ProcessError::Result {
                        name: name.clone(),
                        why: why.clone(),
                    });
                    self.put(item, Err(error));
                }
            }
        }
    }
}

impl<A: Message, R: Message + Send, I: Iterator<Item = A>> Iterator for Imap<'_, A, R, I> {
    type Item = Result<R, ProcessError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.send();
            if let Some(value) = self.ready.remove(&self.next) {
                self.next += 1;
                return Some(value);
            }
            if self.on_the_way == 0 {
                return None;
            }
            let (first, count, reply) =
                interrupt::wait(None, |slice| match self.replies.recv_timeout(slice) {
                    Ok(reply) => Some(Some(reply)),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => Some(None),
                })??;
            self.take(first, count, reply);
            while let Ok((first, count, reply)) = self.replies.try_recv() {
                self.take(first, count, reply);
            }
        }
    }
}

impl<A, R, I> Drop for Imap<'_, A, R, I> {
    fn drop(&mut self) {
        // Whoever has had enough leaves nothing in the queue; an interrupt does not wait for what has been begun.
        if self.on_the_way > 0 {
            self.pool.inner.cancel(&self.job, std::thread::panicking());
        }
    }
}

impl<A, R, I> fmt::Debug for Imap<'_, A, R, I> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, taken, given) = (&self.pool.inner.name, self.taken, self.next);
        write!(
            out,
            "<Imap of {name:?} items taken={taken} values given={given}>"
        )
    }
}
