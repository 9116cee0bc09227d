//! Reductions by rayon.

use super::super::element::Plain;
use super::super::parallel;
use super::BLOCK;
use super::text::TILE;

/// Values that are combined side by side, so that the compiler makes vectors of them.
const LANES: usize = 32;
/// Blocks that are reduced by one part of the work.
const BLOCKS: usize = 8;
/// Units of work that an axis is at least cut into, if it is long: fixed, so that the result does not depend on the cores.
const UNITS: usize = 64;

/// All values together. Blocks are cut by their places and joined neighbour by neighbour: the result is the same for every
/// number of cores, and errors of rounding grow with the logarithm of the length.
pub(super) fn whole<A: Copy + Send + Sync>(
    n: usize,
    identity: A,
    block: impl Fn(usize, usize) -> A + Sync,
    combine: impl Fn(A, A) -> A + Sync,
) -> A {
    if n <= BLOCK {
        return combine(identity, block(0, n));
    }
    // Several blocks to a part: a part is to be worth its start.
    let n_blocks = n.div_ceil(BLOCK);
    let parts = parallel::collect(n_blocks.div_ceil(BLOCKS), &|part| {
        let blocks = part * BLOCKS..n_blocks.min((part + 1) * BLOCKS);
        let blocks = blocks.map(|b| block(b * BLOCK, n.min((b + 1) * BLOCK)));
        blocks.collect::<Vec<A>>()
    });
    let blocks = parts.concat();
    pairwise(&blocks, &combine)
}

fn pairwise<A: Copy>(items: &[A], combine: &impl Fn(A, A) -> A) -> A {
    match items {
        [only] => *only,
        _ => {
            let (left, right) = items.split_at(items.len() / 2);
            combine(pairwise(left, combine), pairwise(right, combine))
        }
    }
}

/// The values of a block, in lanes.
#[inline(always)]
pub(super) fn lanes<R: Plain, A: Copy>(
    items: &[R],
    identity: A,
    load: impl Fn(R) -> A,
    combine: impl Fn(A, A) -> A,
) -> A {
    let mut lanes = [identity; LANES];
    let (whole, rest) = items.as_chunks::<LANES>();
    for items in whole {
        lanes = std::array::from_fn(|lane| combine(lanes[lane], load(items[lane])));
    }
    for (lane, item) in lanes.iter_mut().zip(rest) {
        *lane = combine(*lane, load(*item));
    }
    total(lanes, combine)
}

/// The lanes as one; not by a slice of them, which would keep them out of registers.
#[inline(always)]
fn total<A: Copy>(mut lanes: [A; LANES], combine: impl Fn(A, A) -> A) -> A {
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for lane in 0..n {
            lanes[lane] = combine(lanes[lane], lanes[lane + n]);
        }
    }
    lanes[0]
}

/// As [`lanes`], of pairs of two slices of the same length.
#[inline(always)]
pub(super) fn lanes_of_two<R: Plain, A: Copy>(
    items: (&[R], &[R]),
    identity: A,
    load: impl Fn(R, R) -> A,
    combine: impl Fn(A, A) -> A,
) -> A {
    let mut lanes = [identity; LANES];
    let ((a, a_rest), (b, b_rest)) = (items.0.as_chunks::<LANES>(), items.1.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        lanes = std::array::from_fn(|lane| combine(lanes[lane], load(a[lane], b[lane])));
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane = combine(*lane, load(*a, *b));
    }
    total(lanes, combine)
}

/// The middle axis of `outer` × `length` × `inner` items, into `outer` × `inner`.
pub(super) fn axis<R: Plain>(
    items: &[R],
    length: usize,
    inner: usize,
    out: &mut [R],
    identity: R,
    combine: impl Fn(R, R) -> R + Sync + Copy,
) {
    if length == 0 || out.is_empty() {
        out.fill(identity);
        return;
    }
    let outer = out.len() / inner;
    let enough = UNITS.div_ceil(outer * inner.div_ceil(TILE));
    let segments = enough.min((length * inner).div_ceil(BLOCK)).min(length);
    let of_segments = |out: &mut [R]| {
        parallel::parts_mut(out, inner, &|q, out| {
            let (o, s) = (q / segments, q % segments);
            let (first, end) = (length * s / segments, length * (s + 1) / segments);
            let all = &items[(o * length + first) * inner..(o * length + end) * inner];
            if inner == 1 {
                out[0] = run(all, identity, combine);
                return;
            }
            parallel::parts_mut(out, 8 * TILE, &|part, out| {
                for (tile, out) in out.chunks_mut(TILE).enumerate() {
                    let first = (8 * part + tile) * TILE;
                    columns(all, inner, first, out, identity, combine);
                }
            });
        });
    };
    if segments == 1 {
        return of_segments(out);
    }
    let mut parts = vec![identity; out.len() * segments];
    of_segments(&mut parts);
    for (o, out) in out.chunks_mut(inner).enumerate() {
        let all = &parts[o * segments * inner..(o + 1) * segments * inner];
        columns(all, inner, 0, out, identity, combine);
    }
}

/// One row, block by block.
fn run<R: Plain>(items: &[R], identity: R, combine: impl Fn(R, R) -> R + Copy) -> R {
    if items.len() <= BLOCK {
        return lanes(items, identity, |x| x, combine);
    }
    let (left, right) = items.split_at(items.len() / 2);
    combine(run(left, identity, combine), run(right, identity, combine))
}

/// Columns side by side, from column `first` on, in blocks of 64 rows.
fn columns<R: Plain>(
    items: &[R],
    inner: usize,
    first: usize,
    out: &mut [R],
    identity: R,
    combine: impl Fn(R, R) -> R,
) {
    out.fill(identity);
    let mut block = vec![identity; out.len()];
    for rows in items.chunks(64 * inner) {
        block.fill(identity);
        for row in rows.chunks_exact(inner) {
            for (block, item) in block.iter_mut().zip(&row[first..]) {
                *block = combine(*block, *item);
            }
        }
        for (out, block) in out.iter_mut().zip(&block) {
            *out = combine(*out, *block);
        }
    }
}
