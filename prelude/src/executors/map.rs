//! The results of a map, in the order of what went in.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;

use super::{Future, TaskError};

/// The results of many calls in the order of their arguments; [`Executor::map`](super::Executor::map) makes it.
///
/// Each step waits for one. Dropping it cancels the calls that have not begun.
#[must_use = "the calls that have not begun are cancelled when this is dropped"]
pub struct Results<R> {
    futures: VecDeque<Future<R>>,
}

impl<R> Results<R> {
    /// The results of these futures, one after the other.
    pub fn new(futures: Vec<Future<R>>) -> Self {
        Results {
            futures: futures.into(),
        }
    }
}

impl<R> Iterator for Results<R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        // It leaves the queue when its result is there: an interrupt in between cancels this one too.
        let result = self.futures.front()?.result();
        self.futures.pop_front();
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.futures.len(), Some(self.futures.len()))
    }
}

impl<R> ExactSizeIterator for Results<R> {}
impl<R> FusedIterator for Results<R> {}

impl<R> Drop for Results<R> {
    fn drop(&mut self) {
        for future in &self.futures {
            future.cancel();
        }
    }
}

impl<R> fmt::Debug for Results<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.futures.iter().filter(|future| future.done()).count();
        write!(f, "Results({ready} of {} are there)", self.futures.len())
    }
}
