//! Where cells come from: the beginning and the end of anything that can be iterated over, and maps.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;

use super::MAX_KEPT;
use super::cell::Cell;

/// The first and the last of many things, and how many lie between.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ends<T> {
    /// At most [`MAX_KEPT`].
    first: Vec<T>,
    n_between: usize,
    /// At most [`MAX_KEPT`].
    last: Vec<T>,
}

/// Takes the items that a table keeps; the others are stepped over and cost no text.
pub(super) fn kept<I, T>(items: impl IntoIterator<Item = I>, make: impl Fn(I) -> T) -> Ends<T> {
    let mut items = items.into_iter();
    let mut first = Vec::new();
    while first.len() < MAX_KEPT
        && let Some(item) = items.next()
    {
        first.push(make(item));
    }
    let mut n_between = 0;
    let mut last = VecDeque::new();
    for item in items {
        last.push_back(item);
        if last.len() > MAX_KEPT {
            last.pop_front();
            n_between += 1;
        }
    }
    Ends {
        first,
        n_between,
        last: last.into_iter().map(make).collect(),
    }
}

impl<T> Ends<T> {
    /// How many things there are, kept or not.
    pub(super) fn n(&self) -> usize {
        self.first.len() + self.n_between + self.last.len()
    }

    /// What is kept, with its number among all.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &T)> {
        let after = self.first.len() + self.n_between;
        self.first.iter().enumerate().chain(
            self.last
                .iter()
                .enumerate()
                .map(move |(at, item)| (after + at, item)),
        )
    }

    /// What is kept.
    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.last)
    }

    pub(super) fn map<U>(self, mut make: impl FnMut(T) -> U) -> Ends<U> {
        Ends {
            first: self.first.into_iter().map(&mut make).collect(),
            n_between: self.n_between,
            last: self.last.into_iter().map(&mut make).collect(),
        }
    }

    /// What a table shows that may have `limit` rows: the first, how many are left out, the last.
    pub(super) fn shown(&self, limit: usize) -> (Vec<&T>, usize, Vec<&T>) {
        let n = self.n();
        let limit = if n <= limit { n } else { limit };
        let (n_first, n_last) = (limit - limit / 2, limit / 2);
        let kept: Vec<_> = self.numbered().collect();
        // All that is kept lies in `first` unless some is in `last`, and both are as long as they can be then.
        let first: Vec<_> = kept
            .iter()
            .filter(|(at, _)| *at < n_first)
            .map(|(_, item)| *item)
            .collect();
        let last: Vec<_> = kept
            .iter()
            .filter(|(at, _)| *at >= n_first && *at >= n - n_last)
            .map(|(_, item)| *item)
            .collect();
        let n_left_out = n - first.len() - last.len();
        (first, n_left_out, last)
    }
}

impl Ends<Vec<Cell>> {
    /// Rows of columns that are equally long.
    pub(super) fn transposed(columns: Vec<Ends<Cell>>) -> Self {
        let n_between = columns.first().map_or(0, |column| column.n_between);
        let (first, last): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .map(|column| (column.first, column.last))
            .unzip();
        Self {
            first: turned(first),
            n_between,
            last: turned(last),
        }
    }
}

fn turned(columns: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    let n_rows = columns.first().map_or(0, Vec::len);
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    (0..n_rows)
        .map(|_| columns.iter_mut().filter_map(Iterator::next).collect())
        .collect()
}

/// A named column; [`table!`](crate::table!) makes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub(super) name: String,
    pub(super) cells: Ends<Cell>,
}

impl Column {
    /// The values of anything that can be iterated over, under a name.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item: Debug>) -> Self {
        Self::of_texts(name.into(), kept(values, |value| format!("{value:?}")))
    }

    #[inline(never)]
    fn of_texts(name: String, texts: Ends<String>) -> Self {
        Self {
            name,
            cells: texts.map(|text| Cell::read(&text)),
        }
    }
}

/// What [`map`](super::map) shows: a map, or a slice of pairs.
pub trait Pairs {
    /// Calls `body` with each key and its value.
    fn each_pair(&self, body: &mut dyn FnMut(&dyn Debug, &dyn Debug));

    /// Whether the order means something; else the table is sorted by its keys.
    fn is_ordered(&self) -> bool {
        true
    }
}

impl<K: Debug, V: Debug, S> Pairs for HashMap<K, V, S> {
    fn each_pair(&self, body: &mut dyn FnMut(&dyn Debug, &dyn Debug)) {
        self.iter().for_each(|(key, value)| body(key, value));
    }

    fn is_ordered(&self) -> bool {
        false
    }
}

impl<K: Debug, V: Debug> Pairs for BTreeMap<K, V> {
    fn each_pair(&self, body: &mut dyn FnMut(&dyn Debug, &dyn Debug)) {
        self.iter().for_each(|(key, value)| body(key, value));
    }
}

impl<K: Debug, V: Debug> Pairs for [(K, V)] {
    fn each_pair(&self, body: &mut dyn FnMut(&dyn Debug, &dyn Debug)) {
        self.iter().for_each(|(key, value)| body(key, value));
    }
}

impl<K: Debug, V: Debug> Pairs for Vec<(K, V)> {
    fn each_pair(&self, body: &mut dyn FnMut(&dyn Debug, &dyn Debug)) {
        self.as_slice().each_pair(body);
    }
}

impl<K: Debug, V: Debug, const N: usize> Pairs for [(K, V); N] {
    fn each_pair(&self, body: &mut dyn FnMut(&dyn Debug, &dyn Debug)) {
        self.as_slice().each_pair(body);
    }
}
