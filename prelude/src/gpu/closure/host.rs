//! Reductions and scans of traced closures on the processor: the interpreter joins blocks of values with blocks of values.

use super::super::parallel;

use super::super::element::Plain;
use super::super::fuse::{Axes, HostInputs, View};
use super::super::graph::{Graph, NodeId};
use super::super::interpret::{BLOCK, Inputs, Machine, bytes_of};

/// Values of a part: fixed, so that the result does not depend on the number of cores.
const PART: usize = BLOCK * 128;

/// Two blocks as the inputs of the closure.
struct Pair<'a>(&'a [u8], &'a [u8]);

impl Inputs for Pair<'_> {
    fn load(&self, number: u32, _: usize, bytes: &mut [u8]) {
        let from = if number == 0 { self.0 } else { self.1 };
        bytes.copy_from_slice(&from[..bytes.len()]);
    }
}

/// Joins values with values, into the first.
fn join<R: Plain>(machine: &mut Machine<'_>, a: &mut [R], b: &[R]) {
    let n = b.len();
    let pair = Pair(bytes_of(&*a), bytes_of(b));
    let joined = machine.run::<R>(&pair, None, 0, n).to_vec();
    a[..n].copy_from_slice(&joined);
}

/// The same of two that are kept, into a third.
fn joined<R: Plain>(machine: &mut Machine<'_>, a: &[R], b: &[R]) -> Vec<R> {
    let pair = Pair(bytes_of(a), bytes_of(b));
    machine.run::<R>(&pair, None, 0, a.len()).to_vec()
}

/// Where values come from.
pub(super) enum Values<'a, R> {
    Items(&'a [R]),
    Mapped(Machine<'a>, &'a [View], Axes),
}

impl<'a, R: Plain> Values<'a, R> {
    pub(super) fn mapped(
        graph: &'a Graph,
        root: NodeId,
        views: &'a [View],
        shape: &[usize],
    ) -> Values<'a, R> {
        Values::Mapped(Machine::new(graph, root), views, Axes::of(shape, views))
    }
}

/// All values joined, in any order.
pub(super) fn reduce<R: Plain>(
    graph: &Graph,
    root: NodeId,
    identity: R,
    values: &Values<'_, R>,
    n: usize,
) -> R {
    let machine = Machine::new(graph, root);
    let total = |machine: &mut Machine<'_>, part: usize| {
        let mut sums = vec![identity; BLOCK];
        let (first, end) = (part * PART, n.min((part + 1) * PART));
        match values {
            Values::Items(items) => {
                for block in items[first..end].chunks(BLOCK) {
                    join(machine, &mut sums, block);
                }
            }
            Values::Mapped(map, views, axes) => {
                let (mut map, inputs) = (map.clone(), HostInputs { views, axes });
                for first in (first..end).step_by(BLOCK) {
                    let block = map.run::<R>(&inputs, None, first, BLOCK.min(end - first));
                    join(machine, &mut sums, block);
                }
            }
        }
        while sums.len() > 1 {
            let upper = sums.split_off(sums.len() / 2);
            join(machine, &mut sums, &upper);
        }
        sums[0]
    };
    let n_parts = n.div_ceil(PART);
    if n_parts <= 1 {
        return total(&mut machine.clone(), 0);
    }
    let totals = parallel::collect(n_parts, &|part| total(&mut machine.clone(), part));
    reduce(graph, root, identity, &Values::Items(&totals), n_parts)
}

/// Joins each value with all before it, in their order.
///
/// A part is cut into as many lanes as a block has values; each step goes one value further in all of them.
pub(super) fn scan<R: Plain>(
    graph: &Graph,
    root: NodeId,
    identity: R,
    items: &[R],
    out: &mut [R],
    is_inclusive: bool,
) {
    let machine = Machine::new(graph, root);
    let n_parts = items.len().div_ceil(PART);
    let mut carries = vec![identity; n_parts];
    if n_parts > 1 {
        let totals = parallel::collect(n_parts, &|part| {
            let items = parallel::part_of(items, PART, part);
            Lanes::new(items).total(&mut machine.clone(), identity)
        });
        let mut machine = machine.clone();
        for part in 1..n_parts {
            carries[part] = joined(
                &mut machine,
                &carries[part - 1..part],
                &totals[part - 1..part],
            )[0];
        }
    }
    parallel::parts_mut(out, PART, &|part, out| {
        let lanes = Lanes::new(parallel::part_of(items, PART, part));
        lanes.scan(
            &mut machine.clone(),
            identity,
            carries[part],
            out,
            is_inclusive,
        );
    });
}

/// A part as lanes of equal length, the last of which may be shorter.
struct Lanes<'a, R> {
    items: &'a [R],
    length: usize,
    n: usize,
}

impl<'a, R: Plain> Lanes<'a, R> {
    fn new(items: &'a [R]) -> Lanes<'a, R> {
        let length = items.len().div_ceil(BLOCK).max(1);
        let n = items.len().div_ceil(length);
        Lanes { items, length, n }
    }

    /// Value `step` of each lane that has it.
    fn step(&self, step: usize, values: &mut Vec<R>) {
        values.clear();
        let of_lanes = self.items[step.min(self.items.len())..].iter();
        values.extend(of_lanes.step_by(self.length).take(self.n));
    }

    /// What each lane comes to.
    fn totals(&self, machine: &mut Machine<'_>, identity: R) -> Vec<R> {
        let (mut totals, mut values) = (vec![identity; self.n], Vec::new());
        for step in 0..self.length {
            self.step(step, &mut values);
            join(machine, &mut totals, &values);
        }
        totals
    }

    /// What all come to: neighbours are joined with neighbours.
    fn total(&self, machine: &mut Machine<'_>, identity: R) -> R {
        let mut totals = self.totals(machine, identity);
        while totals.len() > 1 {
            let last = (totals.len() % 2 == 1).then(|| totals[totals.len() - 1]);
            let pairs = totals.as_chunks::<2>().0;
            let (left, right): (Vec<R>, Vec<R>) = pairs.iter().map(|[a, b]| (*a, *b)).unzip();
            totals = joined(machine, &left, &right);
            totals.extend(last);
        }
        totals.first().copied().unwrap_or(identity)
    }

    fn scan(
        &self,
        machine: &mut Machine<'_>,
        identity: R,
        carry: R,
        out: &mut [R],
        is_inclusive: bool,
    ) {
        // What each lane and all before it come to.
        let mut sums = self.totals(machine, identity);
        let mut reach = 1;
        while reach < self.n {
            let further = joined(machine, &sums[..self.n - reach], &sums[reach..]);
            sums[reach..].copy_from_slice(&further);
            reach *= 2;
        }
        let mut before = vec![carry; self.n];
        if self.n > 1 {
            let carried = joined(machine, &before[1..], &sums[..self.n - 1]);
            before[1..].copy_from_slice(&carried);
        }
        let mut values = Vec::new();
        for step in 0..self.length {
            self.step(step, &mut values);
            let after = joined(machine, &before[..values.len()], &values);
            let written = if is_inclusive { &after } else { &before };
            for (lane, value) in written.iter().take(values.len()).enumerate() {
                out[lane * self.length + step] = *value;
            }
            before[..after.len()].copy_from_slice(&after);
        }
    }
}
