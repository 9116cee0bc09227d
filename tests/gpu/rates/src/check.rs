//! Results of the device against those of the processor in higher precision, with fresh numbers each time.

use forkline::gpu::{self, Array, GpuResult};
use forkline::kernel;

/// A result, and how far it may be off.
struct Row {
    what: &'static str,
    n: usize,
    error: f64,
    allowed: f64,
}

kernel! {
    /// Tiles of both factors in local memory, one work item for each element of the product.
    fn tiled(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize) {
        let left = local!([f32; 256]);
        let right = local!([f32; 256]);
        let x = local_id(0);
        let y = local_id(1);
        let column = global_id(0);
        let row = global_id(1);
        let mut sum = 0.0_f32;
        for tile in 0..(k + 15) / 16 {
            let i = tile * 16 + x;
            let j = tile * 16 + y;
            left[y * 16 + x] = if row < m && i < k { a[row * k + i] } else { 0.0 };
            right[y * 16 + x] = if j < k && column < n { b[j * n + column] } else { 0.0 };
            barrier();
            for t in 0..16 {
                sum += left[y * 16 + t] * right[t * 16 + x];
            }
            barrier();
        }
        if row < m && column < n {
            c[row * n + column] = sum;
        }
    }

    /// How often each value comes, by atomic additions.
    fn count(values: &[u32], bins: &[Atomic<u32>]) {
        let i = global_id(0);
        if i < values.len() {
            bins[values[i] as usize].fetch_add(1);
        }
    }
}

/// The largest difference, relative to the largest expected value.
fn difference(found: &[f32], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let size = expected.iter().fold(1e-30_f64, |size, x| size.max(x.abs()));
    let pairs = found.iter().zip(expected);
    let largest = pairs.map(|(&found, &expected)| {
        let difference = (f64::from(found) - expected).abs() / size;
        if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        }
    });
    largest.fold(0.0, f64::max)
}

/// 0 if all are equal, else 1.
fn exact<T: PartialEq>(found: &[T], expected: &[T]) -> f64 {
    if found == expected { 0.0 } else { 1.0 }
}

/// Runs all, prints a table, and returns how many are wrong.
pub fn all() -> GpuResult<usize> {
    let seed = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(1, |time| time.as_nanos() as u64);
    println!("Results against the processor in 64 bits, seed {seed}:\n");
    println!("| what | size | error | allowed | |\n|---|---|---|---|---|");
    let mut rows = Vec::new();
    let mut random = gpu::random(seed);
    for n in [1, 257, 10_007, 4_000_037] {
        let (a, b) = (random.uniform::<f32>(n)?, random.normal::<f32>(n)?);
        let integers = random.integers::<i64>(n, -1000..1000)?;
        reals(&mut rows, &a, &b)?;
        whole(&mut rows, &integers)?;
    }
    matrices(&mut rows, &mut random)?;
    kernels(&mut rows, &mut random)?;
    let mut wrong = 0;
    for row in rows {
        let is_right = row.error <= row.allowed;
        wrong += usize::from(!is_right);
        let mark = if is_right { "ok" } else { "WRONG" };
        println!(
            "| {} | {} | {:.1e} | {:.0e} | {mark} |",
            row.what, row.n, row.error, row.allowed
        );
    }
    println!("\n{} wrong\n", wrong);
    Ok(wrong)
}

fn reals(rows: &mut Vec<Row>, a: &Array<f32>, b: &Array<f32>) -> GpuResult<()> {
    let n = a.len();
    let (x, y) = (a.to_vec()?, b.to_vec()?);
    let mut row = |what, error, allowed| {
        rows.push(Row {
            what,
            n,
            error,
            allowed,
        })
    };
    let wide = |of: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        x.iter()
            .zip(&y)
            .map(|(&x, &y)| of(f64::from(x), f64::from(y)))
            .collect()
    };
    row(
        "a + b",
        difference(&(a + b).to_vec()?, &wide(&|x, y| x + y)),
        1e-6,
    );
    let fused = gpu::zip((a, b), |(x, y)| (x * x + y.abs()).sqrt() * y.sin() - 0.5)?;
    let expected = wide(&|x, y| (x * x + y.abs()).sqrt() * y.sin() - 0.5);
    row(
        "√(a² + |b|) · sin b − ½",
        difference(&fused.to_vec()?, &expected),
        2e-6,
    );
    let chosen = a.gt(b)?.choose(a, b)?;
    row(
        "the larger, by a mask",
        difference(&chosen.to_vec()?, &wide(&f64::max)),
        0.0,
    );
    let sum: f64 = x.iter().map(|&x| f64::from(x)).sum();
    row(
        "sum",
        (f64::from(a.sum()?) - sum).abs() / sum.abs().max(1e-30),
        1e-6,
    );
    let dot: f64 = wide(&|x, y| x * y).iter().sum();
    let size: f64 = wide(&|x, y| (x * y).abs()).iter().sum();
    row(
        "dot product",
        (f64::from(a.dot(b)?) - dot).abs() / size.max(1e-30),
        1e-6,
    );
    let largest = y.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row("max", f64::from((b.max()? - largest).abs()), 0.0);
    row(
        "argmax",
        if y[b.argmax()?] == largest { 0.0 } else { 1.0 },
        0.0,
    );
    let mut running = 0.0;
    let sums: Vec<f64> = x
        .iter()
        .map(|&x| {
            running += f64::from(x);
            running
        })
        .collect();
    // The rounding errors of a running sum grow like the root of its length (N. Higham, Accuracy and Stability of Numerical
    // Algorithms, 4.2), and a device may run through much of it in one piece.
    let of_length = 4.0 * (x.len() as f64).sqrt() * f64::from(f32::EPSILON / 2.0);
    row(
        "cumulative sum",
        difference(&a.cumsum()?.to_vec()?, &sums),
        of_length.max(1e-6),
    );
    let mut sorted = y.clone();
    sorted.sort_by(f32::total_cmp);
    row("sort", exact(&b.sort()?.to_vec()?, &sorted), 0.0);
    let kept: Vec<f32> = y.iter().copied().filter(|&y| y > 0.0).collect();
    row(
        "compress",
        exact(&b.compress(&b.gt(0.0)?)?.to_vec()?, &kept),
        0.0,
    );
    Ok(())
}

fn whole(rows: &mut Vec<Row>, a: &Array<i64>) -> GpuResult<()> {
    let n = a.len();
    let x = a.to_vec()?;
    let mut row = |what, error| {
        rows.push(Row {
            what,
            n,
            error,
            allowed: 0.0,
        })
    };
    let found = a.map(|x| x * 1_000_003 % 1013 + (x >> 3))?;
    let expected: Vec<i64> = x.iter().map(|&x| x * 1_000_003 % 1013 + (x >> 3)).collect();
    row(
        "integers: product, remainder, shift",
        exact(&found.to_vec()?, &expected),
    );
    row(
        "integers: sum",
        exact(&[a.sum()?], &[x.iter().sum::<i64>()]),
    );
    let mut distinct = x.clone();
    distinct.sort_unstable();
    distinct.dedup();
    row("integers: unique", exact(&a.unique()?.to_vec()?, &distinct));
    row(
        "integers: largest by a closure",
        exact(
            &[gpu::reduce(a, i64::MIN, |a, b| a.max(b))?],
            &[distinct[distinct.len() - 1]],
        ),
    );
    let backwards: Vec<i64> = x.iter().rev().copied().collect();
    row(
        "integers: reversed view",
        exact(&a.slice(gpu::step(.., -1))?.to_vec()?, &backwards),
    );
    Ok(())
}

/// The product of two matrices in 64 bits.
fn product(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for t in 0..k {
            let x = f64::from(a[i * k + t]);
            for j in 0..n {
                c[i * n + j] += x * f64::from(b[t * n + j]);
            }
        }
    }
    c
}

fn matrices(rows: &mut Vec<Row>, random: &mut gpu::Random) -> GpuResult<()> {
    for (m, k, n) in [(5, 5, 5), (33, 70, 129), (301, 257, 513)] {
        let (a, b) = (
            random.uniform::<f32>([m, k])?,
            random.uniform::<f32>([k, n])?,
        );
        let expected = product(&a.to_vec()?, &b.to_vec()?, m, k, n);
        let mut row = |what, error| {
            rows.push(Row {
                what,
                n: m * n,
                error,
                allowed: 1e-5,
            })
        };
        row(
            "matrix product",
            difference(&a.matmul(&b)?.to_vec()?, &expected),
        );
        // On the processor each work item of a kernel with barriers is a thread: these would be 160,000.
        if m > 100 && gpu::default().kind() == gpu::Kind::Rayon {
            continue;
        }
        let mut c = gpu::full([m, n], f32::NAN)?;
        tiled::over([n.next_multiple_of(16), m.next_multiple_of(16)])
            .group([16, 16])
            .run((&a, &b, &mut c, m, k, n))?;
        row(
            "matrix product by a tiled kernel!",
            difference(&c.to_vec()?, &expected),
        );
    }
    Ok(())
}

fn kernels(rows: &mut Vec<Row>, random: &mut gpu::Random) -> GpuResult<()> {
    let n = 1_000_003;
    let values = random.integers::<u32>(n, 0..100)?;
    let mut bins = gpu::zeros::<u32>(100)?;
    count::over(n).run((&values, &mut bins))?;
    let mut expected = vec![0_u32; 100];
    for value in values.to_vec()? {
        expected[value as usize] += 1;
    }
    let error = exact(&bins.to_vec()?, &expected);
    rows.push(Row {
        what: "histogram by atomics in kernel!",
        n,
        error,
        allowed: 0.0,
    });
    Ok(())
}
