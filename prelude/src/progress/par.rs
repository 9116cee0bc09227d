//! The items of a parallel iterator, counted after the work on them.
//!
//! A consumer is put around the one that does the work, as rayon's own adaptors do it. It is no indexed
//! iterator: that would take a producer too, and `enumerate` and `zip` can as well stand inside.

use rayon::iter::ParallelIterator;
use rayon::iter::plumbing::{Consumer, Folder, UnindexedConsumer};

use super::Progress;
use crate::interrupt;

/// The items of a parallel iterator, with a bar; [`par_progress`](super::par_progress) makes it.
pub struct ParProgress<I> {
    pub(super) items: I,
    pub(super) bar: Progress,
}

impl<I: ParallelIterator> ParProgress<I> {
    pub(super) fn new(items: I) -> Self {
        let bar = match items.opt_len() {
            Some(n) => Progress::new(n as u64),
            None => Progress::without_total(),
        };
        Self { items, bar }
    }
}

impl<I> ParProgress<I> {
    /// Says how many items there will be, where the iterator does not know.
    pub fn total(self, n: u64) -> Self {
        self.bar.bar().set_total(Some(n));
        self
    }

    /// Puts a name in front of the bar.
    pub fn name(self, name: &str) -> Self {
        self.bar.bar().set_name(name);
        self
    }
}

impl<I: ParallelIterator> ParallelIterator for ParProgress<I> {
    type Item = I::Item;

    fn drive_unindexed<C: UnindexedConsumer<I::Item>>(self, consumer: C) -> C::Result {
        let Self { items, bar } = self;
        let result = items.drive_unindexed(Counting {
            inner: consumer,
            bar: &bar,
        });
        // A search that has found something leaves items undone.
        bar.bar().end_by_count();
        result
    }

    /// With it `collect` writes each item to its place.
    fn opt_len(&self) -> Option<usize> {
        self.items.opt_len()
    }
}

struct Counting<'a, C> {
    inner: C,
    bar: &'a Progress,
}

impl<'a, T, C: Consumer<T>> Consumer<T> for Counting<'a, C> {
    type Folder = CountingFolder<'a, C::Folder>;
    type Reducer = C::Reducer;
    type Result = C::Result;

    fn split_at(self, index: usize) -> (Self, Self, C::Reducer) {
        let bar = self.bar;
        let (left, right, reducer) = self.inner.split_at(index);
        (
            Self { inner: left, bar },
            Self { inner: right, bar },
            reducer,
        )
    }

    fn into_folder(self) -> Self::Folder {
        CountingFolder {
            inner: self.inner.into_folder(),
            bar: self.bar,
            n_untold: 0,
        }
    }

    fn full(&self) -> bool {
        self.inner.full()
    }
}

impl<T, C: UnindexedConsumer<T>> UnindexedConsumer<T> for Counting<'_, C> {
    fn split_off_left(&self) -> Self {
        Self {
            inner: self.inner.split_off_left(),
            bar: self.bar,
        }
    }

    fn to_reducer(&self) -> Self::Reducer {
        self.inner.to_reducer()
    }
}

struct CountingFolder<'a, F> {
    inner: F,
    bar: &'a Progress,
    /// Done, but not told to the bar yet: workers meet at its counter only every so often.
    n_untold: u64,
}

impl<T, F: Folder<T>> Folder<T> for CountingFolder<'_, F> {
    type Result = F::Result;

    fn consume(mut self, item: T) -> Self {
        interrupt::check();
        self.inner = self.inner.consume(item);
        self.n_untold += 1;
        let bar = self.bar.bar();
        if self.n_untold >= bar.stride() {
            bar.add(self.n_untold);
            self.n_untold = 0;
        }
        self
    }

    fn complete(self) -> F::Result {
        self.bar.bar().add(self.n_untold);
        self.inner.complete()
    }

    fn full(&self) -> bool {
        self.inner.full()
    }
}
