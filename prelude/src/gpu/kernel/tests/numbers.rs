//! Arithmetic with the meaning of Rust, on random and on extreme numbers.

use super::*;

kernel! {
    fn signed(a: &[i32], b: &[i32], out: &mut [i32]) {
        let i = global_id(0);
        let x = a[i];
        let y = b[i];
        let at = i * 32;
        out[at] = x.wrapping_add(y);
        out[at + 1] = x.wrapping_mul(y);
        out[at + 2] = x.wrapping_sub(y);
        out[at + 3] = if y != 0 && y != -1 { x / y } else { 0 };
        out[at + 4] = if y != 0 && y != -1 { x % y } else { 0 };
        out[at + 5] = x.wrapping_shl(y as u32);
        out[at + 6] = x.wrapping_shr(y as u32);
        out[at + 7] = x & y | !x ^ y;
        out[at + 8] = x.max(y);
        out[at + 9] = x.min(y);
        out[at + 10] = x.rem_euclid(if y > 0 || y < -1 { y } else { 3 });
        out[at + 11] = x.div_euclid(if y > 0 || y < -1 { y } else { 3 });
        out[at + 12] = x.saturating_add(y);
        out[at + 13] = x.saturating_sub(y);
        out[at + 14] = x.signum();
        out[at + 15] = x.abs_diff(y) as i32;
        out[at + 16] = x.rotate_left(y as u32 % 50);
        out[at + 17] = x.count_ones() as i32;
        out[at + 18] = x.leading_zeros() as i32;
        out[at + 19] = x.trailing_zeros() as i32;
        out[at + 20] = x.clamp(-1000, 1000).pow(3);
        out[at + 21] = x as i8 as i32;
        out[at + 22] = x as u16 as i32;
        out[at + 23] = x as i64 as f32 as i32;
        out[at + 24] = (x as u8 >> 3 | x as u8) as i32;
        out[at + 25] = x.unsigned_abs() as i32;
        out[at + 26] = (x as i16).wrapping_mul(y as i16) as i32;
        out[at + 27] = x.wrapping_neg();
        out[at + 28] = (x >> 3) + (x & 15) * 7 - 5;
        out[at + 29] = (x as i8).leading_zeros() as i32 + (y as u16).trailing_zeros() as i32;
    }

    fn unsigned(a: &[u64], b: &[u64], out: &mut [u64]) {
        let i = global_id(0);
        let x = a[i];
        let y = b[i];
        let at = i * 16;
        out[at] = x.wrapping_add(y);
        out[at + 1] = x.wrapping_mul(y);
        out[at + 2] = x.wrapping_sub(y);
        out[at + 3] = if y != 0 { x / y + x % y } else { x / 3 };
        out[at + 4] = x.rotate_right(y as u32);
        out[at + 5] = x.count_zeros() as u64;
        out[at + 6] = x.leading_zeros() as u64;
        out[at + 7] = x.trailing_zeros() as u64;
        out[at + 8] = x.saturating_add(y);
        out[at + 9] = x.saturating_sub(y);
        out[at + 10] = x.is_power_of_two() as u64;
        out[at + 11] = x as u32 as u64 ^ y as i32 as u64;
        out[at + 12] = (x >> 60) << 4 | 0xffff_ffff_0000_0001;
        out[at + 13] = x.abs_diff(y).rem_euclid(1000);
        out[at + 14] = (x as usize / 2) as u64 + u64::MAX / 2;
    }
}

/// The extreme ones, and random ones of all sizes.
fn numbers(n: usize) -> Vec<u64> {
    let special = [
        0,
        1,
        2,
        u64::MAX,
        1 << 31,
        (1 << 31) - 1,
        1 << 63,
        0xffff_ffff,
        0x8000_0001,
    ];
    let random = random(n).enumerate().map(|(i, x)| x >> (i % 64));
    special.into_iter().chain(random).collect()
}

#[test]
fn integers_are_those_of_rust() {
    let a = numbers(300);
    let mut b = a.clone();
    b.rotate_left(7);
    let signs = |all: &[u64]| all.iter().map(|x| *x as i32).collect::<Vec<_>>();
    let run = || {
        let (x, y) = (array(&signs(&a))?, array(&signs(&b))?);
        let mut out = zeros::<i32>(a.len() * 32)?;
        signed::over(a.len()).run((&x, &y, &mut out))?;
        let (x, y) = (array(&a)?, array(&b)?);
        let mut wide = zeros::<u64>(a.len() * 16)?;
        unsigned::over(a.len()).run((&x, &y, &mut wide))?;
        Ok::<_, GpuError>((out.to_vec()?, wide.to_vec()?))
    };
    let expected = device("rayon").unwrap().scope(run).unwrap();
    on_each(|device| {
        let found = run()?;
        for (i, (found, expected)) in found.0.iter().zip(&expected.0).enumerate() {
            let (x, y) = (a[i / 32] as i32, b[i / 32] as i32);
            assert_eq!(
                found,
                expected,
                "operation {} of {x} and {y} on {device}",
                i % 32
            );
        }
        for (i, (found, expected)) in found.1.iter().zip(&expected.1).enumerate() {
            let (x, y) = (a[i / 16], b[i / 16]);
            assert_eq!(
                found,
                expected,
                "operation {} of {x} and {y} on {device}",
                i % 16
            );
        }
        Ok(())
    });
    cuda("signed", signed::source);
    cuda("unsigned", unsigned::source);
}

kernel! {
    fn casts(a: &[f32], b: &[f64], out: &mut [i64], bits: &mut [u32]) {
        let i = global_id(0);
        let x = a[i];
        let y = b[i];
        let at = i * 16;
        out[at] = x as i32 as i64;
        out[at + 1] = x as u32 as i64;
        out[at + 2] = x as i64;
        out[at + 3] = x as u64 as i64;
        out[at + 4] = x as u8 as i64;
        out[at + 5] = x as i16 as i64;
        out[at + 6] = y as i32 as i64;
        out[at + 7] = y as u32 as i64;
        out[at + 8] = y as i64;
        out[at + 9] = y as u64 as i64;
        out[at + 10] = (y as f32).to_bits() as i64;
        out[at + 11] = x.is_nan() as i64 + 2 * x.is_finite() as i64 + 4 * (y.is_infinite() as i64);
        out[at + 12] = x.signum().to_bits() as i64;
        out[at + 13] = (y.round() as i64).wrapping_add(x.trunc() as i64);
        bits[i] = f32::from_bits(x.to_bits()).max(0.5).min(f32::MAX).to_bits();
    }
}

#[test]
fn casts_saturate() {
    let mut items: Vec<f64> = numbers(100)
        .iter()
        .map(|x| *x as i64 as f64 * 0.5)
        .collect();
    items.extend([
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.5,
        1.5,
        2.5,
        -0.5,
        -1.5,
        1e300,
        -1e300,
    ]);
    items.extend([
        255.9,
        256.0,
        -0.9,
        -1.0,
        32767.5,
        2147483647.0,
        2147483648.0,
        -2147483649.0,
        1.8446744073709552e19,
    ]);
    let singles: Vec<f32> = items.iter().map(|x| *x as f32).collect();
    let run = || {
        let (a, b) = (array(&singles)?, array(&items)?);
        let (mut out, mut bits) = (zeros::<i64>(items.len() * 16)?, zeros::<u32>(items.len())?);
        casts::over(items.len()).run((&a, &b, &mut out, &mut bits))?;
        Ok::<_, GpuError>((out.to_vec()?, bits.to_vec()?))
    };
    let expected = device("rayon").unwrap().scope(run).unwrap();
    on_each(|device| {
        let found = run()?;
        for (i, (found, expected)) in found.0.iter().zip(&expected.0).enumerate() {
            // The bits of a NaN may be any NaN's.
            let is_nan = items[i / 16].is_nan() && matches!(i % 16, 10 | 12);
            assert!(
                is_nan || found == expected,
                "cast {} of {} on {device}: {found} {expected}",
                i % 16,
                items[i / 16]
            );
        }
        assert_eq!(found.1, expected.1);
        Ok(())
    });
    cuda("casts", casts::source);
}

kernel! {
    fn floats(a: &[f32], b: &[f64], out: &mut [f64]) {
        let i = global_id(0);
        let x = a[i];
        let y = b[i];
        let at = i * 48;
        out[at] = x.sqrt() as f64;
        out[at + 1] = (x.sin() + x.cos() * x.tan()) as f64;
        out[at + 2] = x.exp().ln() as f64;
        out[at + 3] = (x.log2() + x.log10()) as f64;
        out[at + 4] = x.powi(3) as f64 + x.powi(-2) as f64;
        out[at + 5] = x.powf(1.5) as f64;
        out[at + 6] = (x.floor() + x.ceil() + x.round() + x.trunc()) as f64;
        out[at + 7] = x.fract() as f64;
        out[at + 8] = x.mul_add(2.0, 1.0) as f64;
        out[at + 9] = (-x).clamp(-2.0, 2.0) as f64;
        out[at + 10] = (-x).rem_euclid(0.7) as f64;
        out[at + 11] = x.hypot(2.0) as f64;
        out[at + 12] = x.atan2(-2.0) as f64;
        out[at + 13] = (x.tanh() + (x * 0.1).sinh() - (x * 0.1).cosh()) as f64;
        out[at + 14] = (x % 0.7) as f64;
        out[at + 15] = (x.recip() + x.to_degrees() - x.to_radians()) as f64;
        out[at + 16] = y.sqrt() + y.cbrt();
        out[at + 17] = y.sin() * y.cos();
        out[at + 18] = y.exp2().log2() + y.ln_1p() - y.exp_m1();
        out[at + 19] = y.powi(5) - y.powf(0.3);
        out[at + 20] = y.div_euclid(-0.3);
        out[at + 21] = (y / 20.0).asin() + (y / 20.0).acos() + y.atan();
        out[at + 22] = y.copysign(-1.0) + y.log(3.0);
        out[at + 23] = std::f64::consts::PI * y + f64::from(x) + f64::EPSILON;
        out[at + 24] = (x * std::f32::consts::TAU + f32::MIN_POSITIVE) as f64;
        out[at + 25] = f32::max(x, 3.0) as f64 + f64::hypot(y, 1.0);
        out[at + 26] = 1e-3 * 0.1 + 3.0 / 7.0;
        out[at + 27] = (0.1_f32 + 1e10) as f64;
    }
}

#[test]
fn floats_are_those_of_rust_up_to_their_last_digits() {
    let items: Vec<f64> = (1..200).map(|i| f64::from(i) * 0.093).collect();
    let singles: Vec<f32> = items.iter().map(|x| *x as f32).collect();
    let run = || {
        let (a, b) = (array(&singles)?, array(&items)?);
        let mut out = zeros::<f64>(items.len() * 48)?;
        floats::over(items.len()).run((&a, &b, &mut out))?;
        out.to_vec()
    };
    let expected = device("rayon").unwrap().scope(run).unwrap();
    on_each(|device| {
        for (i, (found, expected)) in run()?.iter().zip(&expected).enumerate() {
            let (x, kind) = (items[i / 48], i % 48);
            let near = if !(16..=23).contains(&kind) {
                2e-5
            } else {
                1e-12
            };
            let is_near = (found - expected).abs() <= near * expected.abs().max(1.0);
            assert!(
                is_near,
                "function {kind} of {x} on {device}: {found} {expected}"
            );
        }
        Ok(())
    });
    cuda("floats", floats::source);
}
