//! Scans by rayon.

use super::super::parallel;

use super::super::element::Plain;

/// Values of a part. Fixed, so that the result does not depend on the number of cores.
pub(crate) const PART: usize = 1 << 15;

/// Writes to each place of `out` what `write` makes of what came before it and of the value there.
pub(super) fn scan<R: Plain, A: Copy + Send + Sync, O: Plain>(
    items: &[R],
    out: &mut [O],
    identity: A,
    load: impl Fn(R) -> A + Sync,
    combine: impl Fn(A, A) -> A + Sync,
    write: impl Fn(A, A) -> O + Sync,
) {
    let part = |items: &[R], out: &mut [O], before: A| {
        let mut before = before;
        for (item, out) in items.iter().zip(out) {
            let value = load(*item);
            let after = combine(before, value);
            *out = write(before, after);
            before = after;
        }
    };
    if items.len() <= PART {
        return part(items, out, identity);
    }
    let total = |items: &[R]| {
        let total = |items: &[R]| {
            let mut items = items.iter().map(|item| load(*item));
            let first = items.next().unwrap_or(identity);
            items.fold(first, &combine)
        };
        // Four rows at a time, that the additions need not wait for each other.
        let (left, right) = items.split_at(items.len() / 2);
        let ((a, b), (c, d)) = (
            left.split_at(left.len() / 2),
            right.split_at(right.len() / 2),
        );
        combine(combine(total(a), total(b)), combine(total(c), total(d)))
    };
    let n_parts = items.len().div_ceil(PART);
    let totals = parallel::collect(n_parts, &|part| total(parallel::part_of(items, PART, part)));
    let mut before = identity;
    let carries: Vec<A> = totals
        .into_iter()
        .map(|total| {
            let carry = before;
            before = combine(before, total);
            carry
        })
        .collect();
    parallel::parts_mut(out, PART, &|number, out| {
        part(parallel::part_of(items, PART, number), out, carries[number]);
    });
}
