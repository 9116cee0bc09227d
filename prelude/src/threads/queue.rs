//! A queue between threads: items go in at one end, and each comes out once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::waits::{self, Place, Signal};
use crate::interrupt;

/// A queue that any number of threads put items into and get them from, bounded if so wished.
///
/// [`new`](Self::new) gives the oldest item first, [`lifo`](Self::lifo) the newest, [`priority`](Self::priority) the
/// smallest. Where consumers tell the end of each item's work by [`task_done`](Self::task_done), [`join`](Self::join)
/// waits until all is done.
///
/// The type of the items must be known in the cell that makes the queue: `Queue::<i32>::new()`, unless something is
/// put in there as well.
///
/// ```
/// use forkline::prelude::*;
///
/// let queue = Arc::new(threads::Queue::bounded(2));
/// let producer = {
///     let queue = Arc::clone(&queue);
///     threads::spawn(move || (0..5).for_each(|n| queue.put(n)))
/// };
/// let items: Vec<i32> = (0..5).map(|_| queue.get()).collect();
/// assert_eq!(items, [0, 1, 2, 3, 4]);
/// assert!(queue.try_get().is_err());
/// producer.join()?;
/// # Ok::<(), forkline::threads::ThreadError>(())
/// ```
pub struct Queue<T> {
    /// `usize::MAX` if it is not bounded.
    capacity: usize,
    state: Mutex<State<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    all_done: Condvar,
}

struct State<T> {
    items: Box<dyn Order<T>>,
    /// Items that were put in and whose `task_done` has not come.
    n_unfinished: usize,
}

/// In which order items come out.
trait Order<T>: Send {
    fn push(&mut self, item: T);
    fn pop(&mut self) -> Option<T>;
    fn len(&self) -> usize;
}

impl<T: Send> Order<T> for VecDeque<T> {
    fn push(&mut self, item: T) {
        self.push_back(item);
    }
    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }
    fn len(&self) -> usize {
        self.len()
    }
}

impl<T: Send> Order<T> for Vec<T> {
    fn push(&mut self, item: T) {
        self.push(item);
    }
    fn pop(&mut self) -> Option<T> {
        self.pop()
    }
    fn len(&self) -> usize {
        self.len()
    }
}

/// The smallest first; of equal ones the older.
struct Smallest<T> {
    heap: BinaryHeap<Reverse<(T, u64)>>,
    n_pushed: u64,
}

impl<T: Ord + Send> Order<T> for Smallest<T> {
    fn push(&mut self, item: T) {
        self.heap.push(Reverse((item, self.n_pushed)));
        self.n_pushed += 1;
    }
    fn pop(&mut self) -> Option<T> {
        self.heap.pop().map(|Reverse((item, _))| item)
    }
    fn len(&self) -> usize {
        self.heap.len()
    }
}

impl<T: Send + 'static> Queue<T> {
    /// A queue without bound that gives the oldest item first.
    pub fn new() -> Self {
        Self::of(VecDeque::new())
    }

    /// The same, for so many items at most: `put` waits while it is full. 0 counts as 1.
    #[doc(alias = "maxsize")]
    pub fn bounded(capacity: usize) -> Self {
        Self::new().capacity(capacity)
    }

    /// A queue without bound that gives the newest item first: a stack.
    #[doc(alias = "LifoQueue")]
    pub fn lifo() -> Self {
        Self::of(Vec::new())
    }

    /// A queue without bound that gives the smallest item first, and of equal ones the oldest. Items with a priority
    /// are tuples: `(1, "urgent")`.
    #[doc(alias = "PriorityQueue")]
    pub fn priority() -> Self
    where
        T: Ord,
    {
        Self::of(Smallest {
            heap: BinaryHeap::new(),
            n_pushed: 0,
        })
    }

    /// Bounds a queue that was just made: `Queue::lifo().capacity(10)`. 0 counts as 1.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.max(1);
        self
    }

    fn of(items: impl Order<T> + 'static) -> Self {
        Self {
            capacity: usize::MAX,
            state: Mutex::new(State {
                items: Box::new(items),
                n_unfinished: 0,
            }),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
            all_done: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Puts an item in; waits while the queue is full.
    #[track_caller]
    pub fn put(&self, item: T) {
        let left = self.put_until(item, None, Location::caller());
        assert!(
            left.is_none(),
            "a wait without a deadline ends with a place"
        );
    }

    /// Puts an item in if there is a place.
    ///
    /// # Errors
    /// [`Full`], which has the item.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, item: T) -> Result<(), Full<T>> {
        let mut item = Some(item);
        self.put_now(&mut item);
        item.map_or(Ok(()), |item| Err(Full(item)))
    }

    /// Waits for a place, for so long at most.
    ///
    /// # Errors
    /// [`Full`], which has the item.
    #[track_caller]
    pub fn put_timeout(&self, item: T, time: Duration) -> Result<(), Full<T>> {
        let left = self.put_until(item, interrupt::deadline(time), Location::caller());
        left.map_or(Ok(()), |item| Err(Full(item)))
    }

    /// Takes the next item out; waits while the queue is empty.
    #[track_caller]
    pub fn get(&self) -> T {
        self.get_until(None, Location::caller())
            .expect("a wait without a deadline ends with an item")
    }

    /// Takes the next item out if there is one.
    ///
    /// # Errors
    /// [`Empty`].
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, Empty> {
        self.get_now().ok_or(Empty)
    }

    /// Waits for an item, for so long at most.
    ///
    /// # Errors
    /// [`Empty`].
    #[track_caller]
    pub fn get_timeout(&self, time: Duration) -> Result<T, Empty> {
        self.get_until(interrupt::deadline(time), Location::caller())
            .ok_or(Empty)
    }

    /// Says that the work on one item that was taken out is done.
    ///
    /// # Errors
    /// [`QueueError::NothingToBeDone`] if it is said more often than items were put in.
    pub fn task_done(&self) -> Result<(), QueueError> {
        let mut state = self.state.lock();
        state.n_unfinished = state
            .n_unfinished
            .checked_sub(1)
            .ok_or(QueueError::NothingToBeDone)?;
        if state.n_unfinished == 0 {
            self.all_done.notify_all();
        }
        Ok(())
    }

    /// Waits until each item that was put in has its [`task_done`](Self::task_done).
    #[track_caller]
    pub fn join(&self) {
        self.join_until(None, Location::caller());
    }

    /// The same, for so long at most; whether all is done.
    #[track_caller]
    pub fn join_timeout(&self, time: Duration) -> bool {
        self.join_until(interrupt::deadline(time), Location::caller())
    }

    /// How many items are in it, at this moment.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether no item is in it, at this moment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no place in it, at this moment.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    fn put_now(&self, item: &mut Option<T>) -> Option<()> {
        let mut state = self.state.lock();
        if state.items.len() >= self.capacity {
            return None;
        }
        state.items.push(item.take()?);
        state.n_unfinished += 1;
        drop(state);
        self.not_empty.notify_one();
        Some(())
    }

    /// The item, if there was no place in time.
    fn put_until(&self, item: T, deadline: Option<Instant>, at: Place) -> Option<T> {
        let mut item = Some(item);
        if self.put_now(&mut item).is_none() {
            waits::wait(&Signal("place in a queue"), at, deadline, |slice| {
                let mut state = self.state.lock();
                if state.items.len() >= self.capacity {
                    self.not_full.wait_for(&mut state, slice);
                }
                drop(state);
                self.put_now(&mut item)
            });
        }
        item
    }

    fn get_now(&self) -> Option<T> {
        let item = self.state.lock().items.pop()?;
        self.not_full.notify_one();
        Some(item)
    }

    fn get_until(&self, deadline: Option<Instant>, at: Place) -> Option<T> {
        self.get_now().or_else(|| {
            waits::wait(&Signal("item of a queue"), at, deadline, |slice| {
                let mut state = self.state.lock();
                if state.items.len() == 0 {
                    self.not_empty.wait_for(&mut state, slice);
                }
                drop(state);
                self.get_now()
            })
        })
    }

    fn join_until(&self, deadline: Option<Instant>, at: Place) -> bool {
        if self.state.lock().n_unfinished == 0 {
            return true;
        }
        waits::wait(&Signal("end of a queue's work"), at, deadline, |slice| {
            let mut state = self.state.lock();
            if state.n_unfinished > 0 {
                self.all_done.wait_for(&mut state, slice);
            }
            (state.n_unfinished == 0).then_some(())
        })
        .is_some()
    }
}

impl<T: Send + 'static> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        let mut text = f.debug_struct("Queue");
        text.field("len", &state.items.len());
        if self.capacity < usize::MAX {
            text.field("capacity", &self.capacity);
        }
        text.field("unfinished", &state.n_unfinished).finish()
    }
}

/// A queue had no place; this is the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the item was not put in: the queue is full; get items out of it, or wait longer with put_timeout() or put()",
        )
    }
}

impl<T> std::error::Error for Full<T> {}

/// A queue had no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty;

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no item was taken out: the queue is empty; put items into it, or wait longer with get_timeout() or get()",
        )
    }
}

impl std::error::Error for Empty {}

/// What was said of a queue's work and cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// `task_done` was called more often than items were put in.
    NothingToBeDone,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToBeDone => f.write_str(
                "task_done() was called once too often: all items that were put in are done; call it once for each get()",
            ),
        }
    }
}

impl std::error::Error for QueueError {}
