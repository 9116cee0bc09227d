//! Whole algorithms: tiles in local memory, escape times, atomics, sums of groups.

use super::*;

kernel! {
    const TILE: usize = 8;

    /// The product of a (m x k) and b (k x n), by tiles.
    fn matmul(a: &[f32], b: &[f32], c: &mut [f32], m: usize, n: usize, k: usize) {
        let left = local!([f32; TILE * TILE]);
        let right = local!([f32; TILE * TILE]);
        let (x, y) = (0, 0);
    }
}

kernel! {
    const SIDE: usize = 8;

    fn tiled(a: &[f32], b: &[f32], c: &mut [f32], m: usize, n: usize, k: usize) {
        let left = local!([f32; SIDE * SIDE]);
        let right = local!([f32; SIDE * SIDE]);
        let column = global_id(0);
        let row = global_id(1);
        let x = local_id(0);
        let y = local_id(1);
        let mut sum = 0.0;
        for tile in 0..k.div_euclid(SIDE) + 1 {
            let from_a = tile * SIDE + x;
            let from_b = tile * SIDE + y;
            left[y * SIDE + x] = if row < m && from_a < k { a[row * k + from_a] } else { 0.0 };
            right[y * SIDE + x] = if column < n && from_b < k { b[from_b * n + column] } else { 0.0 };
            barrier();
            for i in 0..SIDE {
                sum += left[y * SIDE + i] * right[i * SIDE + x];
            }
            barrier();
        }
        if row < m && column < n {
            c[row * n + column] = sum;
        }
    }
}

#[test]
fn tiles_make_a_matrix_product() {
    let (m, n, k) = (19, 30, 21);
    let items = |n: usize| -> Vec<f32> { random(n).map(|x| (x % 10) as f32).collect() };
    let (a, b) = (items(m * k), items(k * n));
    let mut expected = vec![0.0; m * n];
    for row in 0..m {
        for column in 0..n {
            expected[row * n + column] = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
        }
    }
    on_each(|_| {
        let (a, b) = (array(&a)?, array(&b)?);
        let mut c = zeros([m, n])?;
        tiled::over([32, 24])
            .group([8, 8])
            .run((&a, &b, &mut c, m, n, k))?;
        assert_eq!(c.to_vec()?, expected);
        Ok(())
    });
    cuda("tiled", tiled::source);
    // What a device cannot do is the same error everywhere, also where Rust could run it.
    let error = matmul::source(Dialect::OpenCl).unwrap_err().to_string();
    let line = line_of(include_str!("algorithms.rs"), "let (x, y) = (0, 0);");
    let wanted = format!(
        "algorithms.rs:{line}, column 13)\nwhy: a pattern is not supported in a kernel\ndo:  "
    );
    assert!(error.contains(&wanted), "{error}\nwanted {wanted}");
}

kernel! {
    fn julia(out: &mut [u32], width: usize, height: usize, cx: f32, cy: f32) {
        let x = global_id(0);
        let y = global_id(1);
        let mut re = x as f32 / width as f32 * 3.0 - 1.5;
        let mut im = y as f32 / height as f32 * 2.0 - 1.0;
        let mut n = 0;
        while n < 200 {
            let square = re * re - im * im;
            im = 2.0 * re * im + cy;
            re = square + cx;
            if re * re + im * im > 4.0 {
                break;
            }
            n += 1;
        }
        out[y * width + x] = n;
    }
}

#[test]
fn a_julia_set_has_its_form() {
    let (width, height) = (67, 41);
    on_each(|_| {
        let mut out = zeros([height, width])?;
        julia::over([width, height]).run((&mut out, width, height, -0.8, 0.156))?;
        let out = out.to_vec()?;
        // One step in which a product and a sum are rounded together may move a point or two at the edge.
        let inside = out.iter().filter(|n| **n == 200).count();
        assert!((20..400).contains(&inside), "{inside}");
        assert!(out[0] < 5, "{}", out[0]);
        Ok(())
    });
    cuda("julia", julia::source);
}

kernel! {
    const BINS: usize = 16;

    fn histogram(items: &[u32], bins: &[Atomic<u32>]) {
        let own = local!([Atomic<u32>; BINS]);
        let at = local_id(0);
        if at < BINS {
            own[at].store(0);
        }
        barrier();
        let i = global_id(0);
        if i < items.len() {
            own[(items[i] % BINS as u32) as usize].fetch_add(1);
        }
        barrier();
        if at < BINS {
            bins[at].fetch_add(own[at].load());
        }
    }

    fn every_atomic(a: &[Atomic<i32>], b: &[Atomic<f32>], seen: &mut [i32]) {
        let i = global_id(0);
        let k = i as i32;
        a[0].fetch_add(k);
        a[1].fetch_sub(k);
        a[2].fetch_max(k);
        a[3].fetch_min(-k);
        a[4].fetch_or(k);
        a[5].fetch_xor(k);
        a[6].fetch_and(k | 64);
        a[7].compare_and_swap(0, 5);
        b[0].fetch_add(0.5);
        b[1].fetch_max(k as f32);
        // Each gets another one.
        seen[a[8].fetch_add(1) as usize] = a[7].swap(5);
    }

    fn wide(a: &[Atomic<u64>], b: &[Atomic<f64>]) {
        a[0].fetch_add(1 << 40);
        b[0].fetch_add(0.25);
    }
}

#[test]
fn atomics_lose_nothing() {
    let items: Vec<u32> = random(1000).map(|x| x as u32).collect();
    let mut expected = vec![0; 16];
    for item in &items {
        expected[*item as usize % 16] += 1;
    }
    on_each(|_| {
        let a = array(&items)?;
        let mut bins = zeros::<u32>(16)?;
        histogram::over(1024).group(64).run((&a, &mut bins))?;
        assert_eq!(bins.to_vec()?, expected);
        let mut a = array(&[0, 0, 0, 0, 0, 0, 127, 0, 0])?;
        let mut b = zeros::<f32>(2)?;
        let mut seen = zeros::<i32>(64)?;
        every_atomic::over(64)
            .group(8)
            .run((&mut a, &mut b, &mut seen))?;
        assert_eq!(a.to_vec()?, [2016, -2016, 63, -63, 63, 0, 64, 5, 64]);
        assert_eq!(b.to_vec()?, [32.0, 63.0]);
        assert_eq!(seen.to_vec()?, [5; 64]);
        Ok(())
    });
    on_each(|device| {
        // Not every OpenCL has atomics of 64 bits.
        let extensions = device
            .fact("extensions")
            .unwrap_or("cl_khr_int64_base_atomics");
        if extensions.contains("cl_khr_int64_base_atomics") {
            let (mut a, mut b) = (zeros::<u64>(1)?, zeros::<f64>(1)?);
            wide::over(100).run((&mut a, &mut b))?;
            assert_eq!((a.item()?, b.item()?), (100 << 40, 25.0));
        }
        Ok(())
    });
    for (name, source) in [
        ("histogram", histogram::source as fn(_) -> _),
        ("every_atomic", every_atomic::source),
    ] {
        cuda(name, source);
    }
    cuda("wide", wide::source);
}

kernel! {
    /// Adds up the tile; all of the group call it.
    fn total(tile: &mut [f32], from: usize) -> f32 {
        let mut half = local_size(0) / 2;
        let i = local_id(0);
        while half > 0 {
            barrier();
            if i < half {
                tile[i] += tile[i + half];
            }
            half /= 2;
        }
        barrier();
        first(tile, from)
    }

    fn first(tile: &[f32], from: usize) -> f32 {
        tile[from]
    }

    fn group_sums(a: &[f32], sums: &mut [f32]) {
        let tile = local!([f32; 64]);
        tile[local_id(0)] = a[global_id(0)];
        let sum = total(tile, 0) + first(a, 0);
        if local_id(0) == 0 {
            sums[group_id(0)] = sum;
        }
    }
}

#[test]
fn helpers_take_local_and_global_memory() {
    let items: Vec<f32> = (0..256).map(|i| i as f32).collect();
    on_each(|_| {
        let a = array(&items)?;
        let mut sums = zeros::<f32>(4)?;
        group_sums::over(256).group(64).run((&a, &mut sums))?;
        let expected: Vec<f32> = items.chunks(64).map(|part| part.iter().sum()).collect();
        assert_eq!(sums.to_vec()?, expected);
        Ok(())
    });
    cuda("group_sums", group_sums::source);
}
