//! The items of a loop, counted.

use std::iter::FusedIterator;

use super::Progress;
use crate::interrupt;

/// The items of an iterator, with a bar; [`progress`](super::progress) makes it.
pub struct ProgressIter<I> {
    pub(super) items: I,
    pub(super) bar: Progress,
    /// Whether the loop has an item that is not done yet.
    has_item: bool,
    /// Done, but not told to the bar yet.
    n_untold: u64,
    stride: u64,
}

impl<I: Iterator> ProgressIter<I> {
    pub(super) fn new(items: I) -> Self {
        let bar = match items.size_hint() {
            (least, Some(most)) if least == most => Progress::new(least as u64),
            _ => Progress::without_total(),
        };
        Self {
            items,
            bar,
            has_item: false,
            n_untold: 0,
            stride: 1,
        }
    }
}

impl<I> ProgressIter<I> {
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

    /// The bar's handle, to set a message from inside the loop.
    pub fn handle(&self) -> Progress {
        self.bar.clone()
    }

    fn tell(&mut self) {
        self.bar.bar().add(self.n_untold);
        self.n_untold = 0;
        self.stride = self.bar.bar().stride();
    }
}

impl<I: Iterator> Iterator for ProgressIter<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        if self.has_item {
            self.has_item = false;
            self.n_untold += 1;
            if self.n_untold >= self.stride {
                self.tell();
            }
        }
        interrupt::check();
        let item = self.items.next();
        self.has_item = item.is_some();
        if item.is_none() {
            self.tell();
            self.bar.finish();
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for ProgressIter<I> {}
impl<I: FusedIterator> FusedIterator for ProgressIter<I> {}

/// The loop was left: after the last item the bar has ended already.
impl<I> Drop for ProgressIter<I> {
    fn drop(&mut self) {
        self.tell();
        self.bar.bar().end(false);
    }
}
