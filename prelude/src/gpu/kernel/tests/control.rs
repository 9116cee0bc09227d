//! Loops, branches, names: each kernel writes what plain Rust gives.

use super::*;

kernel! {
    fn loops(out: &mut [i64], n: i64) {
        let mut k = 0;
        for i in 0..5 { out[k] = i; k += 1; }
        for i in (0..5).rev() { out[k] = i; k += 1; }
        for i in 0..=4 { if i == 2 { continue; } out[k] = i; k += 1; }
        for i in (0..=4).rev() { out[k] = i; k += 1; }
        for i in (1..12).step_by(3) { out[k] = i; k += 1; }
        for i in (1_i32..12).step_by(3).rev() { out[k] = i as i64; k += 1; }
        for i in (1..12).rev().step_by(3) { out[k] = i; k += 1; }
        for i in (-3..=n).step_by(2) { out[k] = i; k += 1; }
        for _ in n..0 { k += 1000; }
        for i in (250_u8..=255).rev() { out[k] = i as i64; k += 1; }
        for i in 253_u8..=255 { out[k] = i as i64; k += 1; }
        'outer: for i in 0..10 {
            for j in 0..10 {
                if j > i { continue 'outer; }
                if i * j > 20 { break 'outer; }
                out[k] = i * 10 + j;
                if j == 3 { break; }
            }
            k += 1;
        }
        let mut x = 1;
        let found = loop {
            x *= 3;
            if x > n * 100 { break x; }
        };
        out[k] = found;
        let mut left = 7;
        while { left -= 2; left > 0 } { k += 1; }
        out[k + 1] = left;
        if n == 9 { return; }
        out[k + 2] = 77;
    }
}

/// What the loops above write.
fn expected_loops() -> Vec<i64> {
    let mut all: Vec<i64> = vec![0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 1, 3, 4, 4, 3, 2, 1, 0];
    all.extend((1..12).step_by(3));
    all.extend((1_i32..12).step_by(3).rev().map(i64::from));
    all.extend((1..12).rev().step_by(3));
    all.extend((-3..=9).step_by(2));
    all.extend((250..=255).rev());
    all.extend(253..=255);
    all
}

#[test]
fn loops_turn_as_in_rust() {
    on_each(|_| {
        let mut out = full(100, -1_i64)?;
        loops::over(1).run((&mut out, 9))?;
        let (out, expected) = (out.to_vec()?, expected_loops());
        assert_eq!(out[..expected.len()], expected);
        let rayon = device("rayon")?.scope(|| {
            let mut out = full(100, -1_i64)?;
            loops::over(1).run((&mut out, 9))?;
            out.to_vec()
        })?;
        assert_eq!(out, rayon);
        Ok(())
    });
    cuda("loops", loops::source);
}

kernel! {
    const LIMIT: i32 = 3;

    fn kind(x: i32) -> i32 {
        match x {
            0 => 100,
            1 | 2 => 200,
            LIMIT => 300,
            4..=6 => 400,
            n if n % 2 == 0 => { let half = n / 2; half }
            i32::MIN..=-1 => return -1,
            _ => 500,
        }
    }

    fn branches(out: &mut [i32], flags: &mut [u32], is_loud: bool) {
        let i = global_id(0);
        let x = i as i32 - 4;
        out[i] = kind(x);
        let sign = if x < 0 { -1 } else if x == 0 { 0 } else { let one = 1; one };
        out[i] += if is_loud { sign * 1000 } else { 0 };
        let even = x % 2 == 0;
        flags[i] = (even && !(x > 2) | (x == 9)) as u32 + match even { true => 10, false => 20 };
        if is_loud && out[i] > 1_000_000 { out[i] = 0; }
    }

    fn names(half: &mut [f32], kernel: f32, __global: f32, float4: u32) {
        let get_global_id = global_id(0);
        let uint = half[get_global_id];
        let x = uint + kernel;
        let x = x * __global;
        let fmax = { let x = x + 1.0; x * 2.0 };
        let größe = fmax.max(3.0);
        let r#switch = größe + float4 as f32;
        half[get_global_id] = r#switch;
    }

    fn arrays(out: &mut [f32]) {
        let i = global_id(0);
        let mut grid = [[0.0_f32; 4]; 3];
        let mut ones = [1.0; 5];
        let list = [3_usize, 1, 2];
        for row in 0..3 {
            for column in 0..4 { grid[row][column] = (row * 4 + column + i) as f32; }
        }
        ones[i % 5] += grid[list[0] - 1][2];
        ones[4] *= 2.0;
        let mut sum = 0.0;
        for k in 0..ones.len() { sum += ones[k]; }
        out[i] = sum + grid[list[1]][list[2]];
    }
}

#[test]
fn branches_go_as_in_rust() {
    on_each(|_| {
        let (mut out, mut flags) = (zeros::<i32>(20)?, zeros::<u32>(20)?);
        branches::over(20).run((&mut out, &mut flags, true))?;
        let on_rayon = device("rayon")?.scope(|| {
            let (mut out, mut flags) = (zeros::<i32>(20)?, zeros::<u32>(20)?);
            branches::over(20).run((&mut out, &mut flags, true))?;
            Ok::<_, GpuError>((out.to_vec()?, flags.to_vec()?))
        })?;
        assert_eq!((out.to_vec()?, flags.to_vec()?), on_rayon);
        assert_eq!(on_rayon.0[4..11], [100, 1200, 1200, 1300, 1400, 1400, 1400]);
        Ok(())
    });
    cuda("branches", branches::source);
}

#[test]
fn names_and_arrays_are_those_of_rust() {
    on_each(|_| {
        let mut a = array(&[1.0_f32, 2.0])?;
        names::over(2).run((&mut a, 0.5, 2.0, 4))?;
        assert_eq!(a.to_vec()?, [12.0, 16.0]);
        let mut out = zeros::<f32>(6)?;
        arrays::over(6).run((&mut out,))?;
        let expected: Vec<f32> = (0..6_usize)
            .map(|i| {
                let mut ones = [1.0; 5];
                ones[i % 5] += (10 + i) as f32;
                ones[4] *= 2.0;
                ones.iter().sum::<f32>() + (6 + i) as f32
            })
            .collect();
        assert_eq!(out.to_vec()?, expected);
        Ok(())
    });
    cuda("names", names::source);
    cuda("arrays", arrays::source);
}
