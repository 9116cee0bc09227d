//! Waiting for several futures.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Future;
use crate::interrupt;

/// Where futures leave their numbers when they are done.
#[derive(Default)]
pub(super) struct Signal {
    numbers: Mutex<Vec<usize>>,
    added: Condvar,
}

impl Signal {
    pub fn add(&self, number: usize) {
        self.numbers.lock().push(number);
        self.added.notify_one();
    }

    /// The numbers that have come, or none within the time.
    fn take(&self, deadline: Option<Instant>) -> Option<Vec<usize>> {
        interrupt::wait(deadline, |slice| {
            let mut numbers = self.numbers.lock();
            if numbers.is_empty() {
                self.added.wait_for(&mut numbers, slice);
            }
            (!numbers.is_empty()).then(|| std::mem::take(&mut *numbers))
        })
    }
}

/// A future, or a reference to one.
pub trait AsFuture {
    /// What it promises.
    type Output;

    /// The future itself.
    fn as_future(&self) -> &Future<Self::Output>;
}

impl<R> AsFuture for Future<R> {
    type Output = R;

    fn as_future(&self) -> &Future<R> {
        self
    }
}

impl<F: AsFuture> AsFuture for &F {
    type Output = F::Output;

    fn as_future(&self) -> &Future<F::Output> {
        (*self).as_future()
    }
}

/// When [`wait`](wait()) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// One is done, in any way.
    FirstCompleted,
    /// One has failed, or all are done. A cancelled one has not failed.
    FirstException,
    /// All are done.
    AllCompleted,
}

/// Listens to futures as long as it lives, also when an interrupt unwinds.
struct Listening<'a, F: AsFuture> {
    signal: Arc<Signal>,
    futures: &'a [F],
}

impl<'a, F: AsFuture> Listening<'a, F> {
    fn to(futures: &'a [F]) -> Self {
        let signal = Arc::default();
        for (number, future) in futures.iter().enumerate() {
            future.as_future().core().listen(&signal, number);
        }
        Listening { signal, futures }
    }
}

impl<F: AsFuture> Drop for Listening<'_, F> {
    fn drop(&mut self) {
        for future in self.futures {
            future.as_future().core().forget(&self.signal);
        }
    }
}

/// Waits for several futures, for at most `timeout` (`None`: as long as it takes), and returns those that are done
/// and those that are not, each in the order given. Give the futures themselves, or references to them.
///
/// ```
/// use forkline::prelude::*;
/// use executors::{ThreadPool, When, wait};
///
/// let pool = ThreadPool::new(2);
/// let futures: Vec<_> = (0..4).map(|n| pool.spawn(move || n * n)).collect();
/// let (done, not_done) = wait(futures, When::AllCompleted, None);
/// assert_eq!((done.len(), not_done.len()), (4, 0));
/// ```
pub fn wait<F: AsFuture>(
    futures: impl IntoIterator<Item = F>,
    when: When,
    timeout: impl Into<Option<Duration>>,
) -> (Vec<F>, Vec<F>) {
    let futures: Vec<F> = futures.into_iter().collect();
    let deadline = timeout.into().and_then(interrupt::deadline);
    let mut is_done = vec![false; futures.len()];
    {
        let listening = Listening::to(&futures);
        let mut left = futures.len();
        let mut is_over = false;
        while !is_over && left > 0 {
            let Some(numbers) = listening.signal.take(deadline) else {
                break;
            };
            for number in numbers {
                is_done[number] = true;
                left -= 1;
                is_over |= match when {
                    When::FirstCompleted => true,
                    When::FirstException => futures[number].as_future().has_failed(),
                    When::AllCompleted => false,
                };
            }
        }
    }
    let (mut done, mut open) = (Vec::new(), Vec::new());
    for (future, is_done) in futures.into_iter().zip(is_done) {
        if is_done {
            done.push(future);
        } else {
            open.push(future);
        }
    }
    (done, open)
}

/// The futures in the order in which they are done.
///
/// ```
/// use forkline::prelude::*;
/// use executors::{ThreadPool, as_completed};
///
/// let pool = ThreadPool::new(2);
/// let futures = (0..4).map(|n| pool.spawn(move || n * n));
/// let mut squares: Vec<i32> = as_completed(futures).map(|future| future.result().unwrap()).collect();
/// squares.sort();
/// assert_eq!(squares, [0, 1, 4, 9]);
/// ```
pub fn as_completed<F: AsFuture>(futures: impl IntoIterator<Item = F>) -> AsCompleted<F> {
    AsCompleted::new(futures, None)
}

/// [`as_completed`], which ends when `timeout` is over; [`AsCompleted::not_done`] has the rest.
pub fn as_completed_timeout<F: AsFuture>(
    futures: impl IntoIterator<Item = F>,
    timeout: Duration,
) -> AsCompleted<F> {
    AsCompleted::new(futures, interrupt::deadline(timeout))
}

/// An iterator over futures that are done; [`as_completed`] makes it.
pub struct AsCompleted<F: AsFuture> {
    signal: Arc<Signal>,
    futures: Vec<Option<F>>,
    /// Numbers of futures that are done, the first one last.
    ready: Vec<usize>,
    left: usize,
    deadline: Option<Instant>,
}

impl<F: AsFuture> AsCompleted<F> {
    fn new(futures: impl IntoIterator<Item = F>, deadline: Option<Instant>) -> Self {
        let futures: Vec<Option<F>> = futures.into_iter().map(Some).collect();
        let signal = Arc::default();
        for (number, future) in futures.iter().flatten().enumerate() {
            future.as_future().core().listen(&signal, number);
        }
        AsCompleted {
            signal,
            left: futures.len(),
            futures,
            ready: Vec::new(),
            deadline,
        }
    }

    /// The futures that have not come yet, in the order given.
    pub fn not_done(mut self) -> Vec<F> {
        std::mem::take(&mut self.futures)
            .into_iter()
            .flatten()
            .inspect(|future| future.as_future().core().forget(&self.signal))
            .collect()
    }
}

impl<F: AsFuture> Iterator for AsCompleted<F> {
    type Item = F;

    fn next(&mut self) -> Option<F> {
        if self.left == 0 {
            return None;
        }
        if self.ready.is_empty() {
            self.ready = self.signal.take(self.deadline)?;
            self.ready.reverse();
        }
        self.left -= 1;
        self.futures[self.ready.pop()?].take()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let least = if self.deadline.is_some() {
            0
        } else {
            self.left
        };
        (least, Some(self.left))
    }
}

impl<F: AsFuture> Drop for AsCompleted<F> {
    fn drop(&mut self) {
        for future in self.futures.iter().flatten() {
            future.as_future().core().forget(&self.signal);
        }
    }
}

impl<F: AsFuture> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AsCompleted({} of {} to come)",
            self.left,
            self.futures.len()
        )
    }
}
