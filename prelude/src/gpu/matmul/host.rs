//! Matrix products by rayon.

use super::super::parallel;

use super::super::Numeric;

/// Columns that are calculated together: their sums stay in registers.
const WIDTH: usize = 16;
/// Rows that are calculated together.
const HEIGHT: usize = 4;
/// Steps of a sum before the next columns' turn: so that a panel stays in the first cache.
const DEPTH: usize = 256;
/// Rows of one task, at most.
const ROWS: usize = 64;

/// `c` = `a` · `b`, of `m` × `k` and `k` × `n` elements.
pub(super) fn matmul<T: Numeric>(
    a: &[T::Raw],
    b: &[T::Raw],
    c: &mut [T::Raw],
    [m, n, k]: [usize; 3],
) {
    if k == 0 || c.is_empty() {
        return c.fill(T::ZERO.to_raw());
    }
    // Panels of columns, whose rows lie one after the other; what is missing at the edge is 0.
    let n_panels = n.div_ceil(WIDTH);
    let mut panels = vec![[T::ZERO; WIDTH]; n_panels * k];
    parallel::parts_mut(&mut panels, k, &|panel, rows| {
        let (first, end) = (panel * WIDTH, n.min((panel + 1) * WIDTH));
        for (p, row) in rows.iter_mut().enumerate() {
            for (to, from) in row.iter_mut().zip(&b[p * n + first..p * n + end]) {
                *to = T::from_raw(*from);
            }
        }
    });
    let rows = m.div_ceil(4 * rayon::current_num_threads());
    let rows = rows.next_multiple_of(HEIGHT).min(ROWS);
    parallel::parts_mut(c, rows * n, &|part, c| {
        task::<T>(parallel::part_of(a, rows * k, part), &panels, c, n, k);
    });
}

/// Some rows, with the widest vectors that there are here.
fn task<T: Numeric>(a: &[T::Raw], panels: &[[T; WIDTH]], c: &mut [T::Raw], n: usize, k: usize) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { task_avx2::<T>(a, panels, c, n, k) };
    }
    rows_of::<T>(a, panels, c, n, k);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn task_avx2<T: Numeric>(
    a: &[T::Raw],
    panels: &[[T; WIDTH]],
    c: &mut [T::Raw],
    n: usize,
    k: usize,
) {
    rows_of::<T>(a, panels, c, n, k);
}

#[inline(always)]
fn rows_of<T: Numeric>(a: &[T::Raw], panels: &[[T; WIDTH]], c: &mut [T::Raw], n: usize, k: usize) {
    for p0 in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - p0);
        for (number, panel) in panels.chunks_exact(k).enumerate() {
            let panel = &panel[p0..p0 + depth];
            let first = number * WIDTH;
            let blocks = c.chunks_mut(HEIGHT * n).zip(a.chunks(HEIGHT * k));
            for (c, a) in blocks {
                if a.len() == HEIGHT * k {
                    let rows: [&[T::Raw]; HEIGHT] =
                        std::array::from_fn(|r| &a[r * k + p0..r * k + p0 + depth]);
                    block::<T, HEIGHT>(rows, panel, c, n, first, p0 > 0);
                } else {
                    for (c, a) in c.chunks_mut(n).zip(a.chunks(k)) {
                        block::<T, 1>([&a[p0..p0 + depth]], panel, c, n, first, p0 > 0);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn block<T: Numeric, const N: usize>(
    rows: [&[T::Raw]; N],
    panel: &[[T; WIDTH]],
    c: &mut [T::Raw],
    n: usize,
    first: usize,
    adds: bool,
) {
    let mut sums = [[T::ZERO; WIDTH]; N];
    let rows = rows.map(|row| &row[..panel.len()]);
    // By numbers and on copies: else the compiler leaves the sums in memory, which is fifteen times slower.
    for p in 0..panel.len() {
        let line = panel[p];
        for r in 0..N {
            let factor = T::from_raw(rows[r][p]);
            sums[r] = std::array::from_fn(|j| sums[r][j].plus(factor.times(line[j])));
        }
    }
    for (row, sums) in c.chunks_mut(n).zip(&sums) {
        for (to, sum) in row[first..].iter_mut().zip(sums) {
            let before = if adds { T::from_raw(*to) } else { T::ZERO };
            *to = before.plus(*sum).to_raw();
        }
    }
}

/// `c` = `a` · `x`, of `m` × `k` and `k` elements.
pub(super) fn matvec<T: Numeric>(a: &[T::Raw], x: &[T::Raw], c: &mut [T::Raw], k: usize) {
    if k == 0 {
        return c.fill(T::ZERO.to_raw());
    }
    let rows = (1_usize << 14).div_ceil(k);
    parallel::parts_mut(c, rows, &|part, c| {
        let a = parallel::part_of(a, rows * k, part);
        for (c, row) in c.iter_mut().zip(a.chunks_exact(k)) {
            let mut lanes = [T::ZERO; 32];
            let ((row, row_rest), (x, x_rest)) = (row.as_chunks::<32>(), x.as_chunks::<32>());
            for (row, x) in row.iter().zip(x) {
                for (lane, (a, x)) in lanes.iter_mut().zip(row.iter().zip(x)) {
                    *lane = lane.plus(T::from_raw(*a).times(T::from_raw(*x)));
                }
            }
            for (lane, (a, x)) in lanes.iter_mut().zip(row_rest.iter().zip(x_rest)) {
                *lane = lane.plus(T::from_raw(*a).times(T::from_raw(*x)));
            }
            *c = lanes.iter().fold(T::ZERO, |a, b| a.plus(*b)).to_raw();
        }
    });
}
