//! Queues between processes.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::message::{self, Message, MessageError, Packet};
use super::ring::{Ring, Unread};
use super::shared::{Shared, handle};
use crate::interrupt;

/// Bytes that a queue holds unless told otherwise. Memory is taken only as far as it is used.
const CAPACITY: usize = 64 << 20;

/// Why a message did not get into a queue or out of it.
#[derive(Debug)]
pub enum QueueError {
    /// There was no room, at once or in time.
    Full,
    /// There was no message, at once or in time.
    Empty,
    /// `task_done` was called more often than messages were put.
    NoTask,
    /// The message could not be written or read.
    Message(MessageError),
}

impl fmt::Display for QueueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueError::Full => formatter.write_str(
                "the queue is full: nobody took a message in time; do: get from it, wait longer, or use put()",
            ),
            QueueError::Empty => formatter.write_str(
                "the queue is empty: nobody put a message in time; do: put to it, wait longer, or use get()",
            ),
            QueueError::NoTask => formatter.write_str(
                "there is no task to be done: task_done() was called more often than put(); \
                 do: call it once for each message that get() has given",
            ),
            QueueError::Message(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for QueueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            QueueError::Message(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MessageError> for QueueError {
    fn from(error: MessageError) -> Self {
        QueueError::Message(error)
    }
}

/// A queue between any number of processes: first in, first out. Clones, and what a process gets as an argument,
/// are the same queue.
///
/// Messages lie in shared memory, by default up to 64 MiB of it; beyond that `put` waits for room. A message that
/// is larger than that goes through in pieces, so `put` then ends only when somebody gets it. A process that is
/// killed never leaves half a message and never keeps the others from the queue; what it was putting or
/// getting in that moment is lost. There is no thread behind a queue: what `put` has put is there for everybody.
///
/// ```
/// use forkline::prelude::*;
///
/// let queue = processes::Queue::new();
/// queue.put((1, "one".to_owned()))?;
/// queue.put((2, "two".to_owned()))?;
/// assert_eq!(queue.len(), 2);
/// assert_eq!(queue.get()?, (1, "one".to_owned()));
/// # Ok::<(), processes::QueueError>(())
/// ```
pub struct Queue<T: Message> {
    shared: Shared<Ring>,
    message: PhantomData<fn(T) -> T>,
}

handle!(Queue<T: Message>);

impl<T: Message> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Message> Queue<T> {
    /// An empty queue of any number of messages, up to 64 MiB in all.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn new() -> Self {
        Self::with_limits(usize::MAX, CAPACITY)
    }

    /// An empty queue of at most so many messages; Python's `maxsize`. At least one.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn bounded(messages: usize) -> Self {
        Self::with_limits(messages, CAPACITY)
    }

    /// An empty queue of at most so many messages and so many bytes; the bytes are rounded up to a power of two,
    /// and are 4096 at least. Each message costs 16 bytes more than it has, rounded up to a multiple of 16.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn with_limits(messages: usize, bytes: usize) -> Self {
        let kind = std::any::type_name::<Self>();
        Self::of(Shared::ring(kind, messages.max(1), bytes))
    }

    fn of(shared: Shared<Ring>) -> Self {
        Queue {
            shared,
            message: PhantomData,
        }
    }

    /// Puts a message in; waits for room.
    ///
    /// # Errors
    /// [`QueueError::Message`]: the value has no form in bytes, or has a handle in it, which cannot go this way.
    pub fn put(&self, message: T) -> Result<(), QueueError> {
        self.put_until(&message, None)
    }

    /// Puts a message in if there is room at once.
    ///
    /// # Errors
    /// [`QueueError::Full`], also for one that is larger than the queue; [`QueueError::Message`] as for [`put`](Self::put).
    pub fn try_put(&self, message: T) -> Result<(), QueueError> {
        in_bytes(&message, |bytes| self.shared.try_write(bytes))?.map_err(|_| QueueError::Full)
    }

    /// Puts a message in; waits for room for the time.
    ///
    /// # Errors
    /// [`QueueError::Full`]; [`QueueError::Message`] as for [`put`](Self::put).
    pub fn put_timeout(&self, message: T, time: Duration) -> Result<(), QueueError> {
        self.put_until(&message, interrupt::deadline(time))
    }

    fn put_until(&self, message: &T, deadline: Option<Instant>) -> Result<(), QueueError> {
        in_bytes(message, |bytes| self.shared.write(bytes, deadline))?.map_err(|_| QueueError::Full)
    }

    /// Takes the oldest message out; waits for one.
    ///
    /// # Errors
    /// [`QueueError::Message`]: the bytes are not a `T`; the message is gone.
    pub fn get(&self) -> Result<T, QueueError> {
        from_bytes(self.shared.read(None))
    }

    /// Takes the oldest message out if there is one.
    ///
    /// # Errors
    /// [`QueueError::Empty`]; [`QueueError::Message`] as for [`get`](Self::get).
    pub fn try_get(&self) -> Result<T, QueueError> {
        from_bytes(self.shared.try_read())
    }

    /// Takes the oldest message out; waits for one for the time.
    ///
    /// # Errors
    /// [`QueueError::Empty`]; [`QueueError::Message`] as for [`get`](Self::get).
    pub fn get_timeout(&self, time: Duration) -> Result<T, QueueError> {
        from_bytes(self.shared.read(interrupt::deadline(time)))
    }

    /// How many messages are in the queue. Others put and get, so it may be another number already.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no message is in the queue; as little to rely on as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue has as many messages as it may have.
    pub fn is_full(&self) -> bool {
        self.len() >= self.shared.most()
    }

    /// How many messages may be in the queue; none if any number.
    #[doc(alias = "maxsize")]
    pub fn most(&self) -> Option<usize> {
        Some(self.shared.most()).filter(|&most| most != usize::MAX)
    }
}

impl<T: Message> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Queue");
        shown.field("len", &self.len());
        if let Some(most) = self.most() {
            shown.field("most", &most);
        }
        shown.finish()
    }
}

/// A [`Queue`] that knows when all its messages have been worked through. All that a queue can, it can too.
///
/// ```
/// use forkline::prelude::*;
///
/// let tasks = processes::JoinableQueue::new();
/// tasks.put(1)?;
/// assert_eq!(tasks.get()?, 1);
/// assert!(!tasks.join_timeout(Duration::ZERO)); // taken, but not done
/// tasks.task_done()?;
/// tasks.join();
/// # Ok::<(), processes::QueueError>(())
/// ```
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(bound = "", transparent)]
pub struct JoinableQueue<T: Message> {
    queue: Queue<T>,
}

impl<T: Message> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        JoinableQueue {
            queue: self.queue.clone(),
        }
    }
}

impl<T: Message> Default for JoinableQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Message> Deref for JoinableQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T: Message> JoinableQueue<T> {
    /// An empty queue, as [`Queue::new`].
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn new() -> Self {
        JoinableQueue {
            queue: Queue::new(),
        }
    }

    /// An empty queue of at most so many messages, as [`Queue::bounded`].
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn bounded(messages: usize) -> Self {
        JoinableQueue {
            queue: Queue::bounded(messages),
        }
    }

    /// Tells that a message that was got has been worked through. For who gets messages, once for each.
    ///
    /// # Errors
    /// [`QueueError::NoTask`]: it was told of all messages already.
    pub fn task_done(&self) -> Result<(), QueueError> {
        if self.queue.shared.task_done() {
            Ok(())
        } else {
            Err(QueueError::NoTask)
        }
    }

    /// How many messages were put and not yet told as done.
    pub fn unfinished(&self) -> usize {
        usize::try_from(self.queue.shared.unfinished()).unwrap_or(usize::MAX)
    }

    /// Waits until [`task_done`](Self::task_done) was called for every message. A process that was killed with a
    /// message in its hands tells nothing, and then this waits for ever.
    pub fn join(&self) {
        self.queue.shared.join(None);
    }

    /// Waits as [`join`](Self::join) does, for the time; `false` if something is unfinished then.
    pub fn join_timeout(&self, time: Duration) -> bool {
        self.queue.shared.join(interrupt::deadline(time))
    }
}

impl<T: Message> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("JoinableQueue")
            .field("len", &self.len())
            .field("unfinished", &self.unfinished())
            .finish()
    }
}

thread_local! {
    /// Where this thread writes messages before they go.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer beyond this size is not kept.
const KEPT: usize = 1 << 20;

/// Calls `send` with the message's bytes.
fn in_bytes<T: Message, R>(message: &T, send: impl FnOnce(&[u8]) -> R) -> Result<R, MessageError> {
    if let Some(plain) = message::plain_bytes(message) {
        return Ok(send(plain));
    }
    // Taken out, because a `Serialize` of the user's may use a queue itself.
    let mut buffer = BUFFER.take();
    buffer.clear();
    message::encode_into(message, false, &mut buffer)?;
    let result = send(&buffer);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    Ok(result)
}

fn from_bytes<T: Message>(read: Result<Vec<u8>, Unread>) -> Result<T, QueueError> {
    match read {
        Ok(bytes) => Ok(message::decode(Packet {
            bytes,
            descriptors: Vec::new(),
        })?),
        Err(Unread::Empty) => Err(QueueError::Empty),
        Err(Unread::TooLarge(size)) => Err(QueueError::Message(MessageError::Decode(format!(
            "there is no memory for its {size} bytes"
        )))),
    }
}

#[cfg(test)]
mod tests;
