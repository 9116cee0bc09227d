//! Closures, operators, casts and ranges, against plain Rust.

use super::*;

/// Lengths around what blocks, groups and pieces are made of.
const LENGTHS: [usize; 9] = [0, 1, 2, 255, 256, 513, 1000, 10_007, 300_001];

fn numbers(fresh: &mut Fresh, n: usize) -> Vec<f32> {
    (0..n).map(|_| fresh.number(10.0) as f32).collect()
}

/// Whether all are equal up to what functions of 32 bits may differ: some units in the last place of the result or of 1.
fn assert_close(found: &[f32], expected: &[f64], seed: u64) {
    assert_eq!(found.len(), expected.len());
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let tolerance = 4.0 * f64::from(f32::EPSILON) * expected.abs().max(1.0);
        let is_same = (f64::from(found) - expected).abs() <= tolerance
            || (found.is_nan() && expected.is_nan());
        assert!(
            is_same,
            "element {i}: {found} where {expected} was expected (seed {seed})"
        );
    }
}

#[test]
fn a_closure_is_one_pass_over_all_elements() {
    on_each(|_| {
        let mut fresh = Fresh::new();
        for n in LENGTHS {
            let (a, b) = (numbers(&mut fresh, n), numbers(&mut fresh, n));
            let (x, y) = (array(&a)?, array(&b)?);
            let found = zip((&x, &y), |(x, y)| {
                (x * x + y.abs()).sqrt() * 2.0 - x.gt(y).select(x, 0.5)
            })?;
            let expected: Vec<f64> = a
                .iter()
                .zip(&b)
                .map(|(&x, &y)| {
                    let choice = if x > y { x } else { 0.5 };
                    f64::from((x * x + y.abs()).sqrt() * 2.0 - choice)
                })
                .collect();
            // Sums may cancel: compared with the size of what was added.
            let found = found.to_vec()?;
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let difference = (f64::from(*found) - expected).abs();
                assert!(
                    difference < 1e-4,
                    "{n}: element {i}: {found} for {expected} (seed {})",
                    fresh.seed
                );
            }
        }
        Ok(())
    });
}

#[test]
fn functions_of_real_numbers_are_those_of_std() {
    on_each(|_| {
        let mut fresh = Fresh::new();
        let a: Vec<f32> = (0..3000).map(|_| fresh.number(0.999) as f32).collect();
        let x = array(&a)?;
        macro_rules! check {
            ($($name:ident)*) => {$(
                let found = x.map(|x| x.$name())?.to_vec()?;
                let expected: Vec<f64> = a.iter().map(|&x| f64::from(x).$name()).collect();
                assert_close(&found, &expected, fresh.seed);
            )*};
        }
        check!(sin cos tan asin acos atan sinh cosh tanh exp exp2 abs floor ceil round trunc);
        let positive = x.map(|x| x.abs() + 0.25)?;
        let b: Vec<f64> = a.iter().map(|&x| f64::from(x.abs() + 0.25)).collect();
        macro_rules! check_positive {
            ($($name:ident)*) => {$(
                let expected: Vec<f64> = b.iter().map(|&x| x.$name() + 2.0).collect();
                assert_close(&positive.map(|x| x.$name() + 2.0)?.to_vec()?, &expected, fresh.seed);
            )*};
        }
        check_positive!(sqrt ln log2 log10 recip);
        let powers: Vec<f64> = b.iter().map(|&x| x.powi(3)).collect();
        assert_close(&positive.map(|x| x.powi(3))?.to_vec()?, &powers, fresh.seed);
        let powers: Vec<f64> = b.iter().map(|&x| x.powf(1.5)).collect();
        assert_close(
            &positive.map(|x| x.powf(1.5))?.to_vec()?,
            &powers,
            fresh.seed,
        );
        Ok(())
    });
}

#[test]
fn integers_wrap_and_never_trap() {
    on_each(|_| {
        let a = [i32::MIN, -7, -1, 0, 1, 7, i32::MAX, 12];
        let b = [-1, 2, 0, 0, -3, -2, 1, 33];
        let (x, y) = (array(&a)?, array(&b)?);
        let pairs = || a.iter().zip(&b).map(|(&a, &b)| (a, b));
        let check = |found: GpuResult<Array<i32>>, f: fn(i32, i32) -> i32| -> GpuResult<()> {
            let expected: Vec<i32> = pairs().map(|(a, b)| f(a, b)).collect();
            assert_eq!(found?.to_vec()?, expected);
            Ok(())
        };
        check(Ok(&x + &y), i32::wrapping_add)?;
        check(Ok(&x - &y), i32::wrapping_sub)?;
        check(Ok(&x * &y), i32::wrapping_mul)?;
        check(Ok(&x / &y), |a, b| {
            a.checked_div(b).unwrap_or(if b == 0 { 0 } else { a })
        })?;
        check(Ok(&x % &y), |a, b| a.checked_rem(b).unwrap_or(0))?;
        check(zip((&x, &y), |(a, b)| a << b), |a, b| {
            a.wrapping_shl(b as u32)
        })?;
        check(zip((&x, &y), |(a, b)| a >> b), |a, b| {
            a.wrapping_shr(b as u32)
        })?;
        check(zip((&x, &y), |(a, b)| a.min(b) ^ a.max(b)), |a, b| {
            a.min(b) ^ a.max(b)
        })?;
        check(x.map(|a| a.abs().pow(3)), |a, _| {
            a.wrapping_abs().wrapping_pow(3)
        })?;
        check(x.map(|a| -a | !a), |a, _| a.wrapping_neg() | !a)?;
        check(x.map(|a| a.signum()), |a, _| a.signum())?;
        Ok(())
    });
}

#[test]
fn casts_are_those_of_as() {
    on_each(|_| {
        let a = [
            f64::NAN,
            -1e300,
            -2.5,
            -0.5,
            0.0,
            0.99,
            3e9,
            1e19,
            1e300,
            f64::INFINITY,
            2147483647.5,
        ];
        let x = array(&a)?;
        assert_eq!(x.cast::<i32>()?.to_vec()?, a.map(|x| x as i32));
        assert_eq!(x.cast::<u32>()?.to_vec()?, a.map(|x| x as u32));
        assert_eq!(x.cast::<i64>()?.to_vec()?, a.map(|x| x as i64));
        assert_eq!(x.cast::<u64>()?.to_vec()?, a.map(|x| x as u64));
        assert_eq!(x.cast::<bool>()?.to_vec()?, a.map(|x| x != 0.0));
        let b = a.map(|x| x as f32);
        assert_eq!(array(&b)?.cast::<i64>()?.to_vec()?, b.map(|x| x as i64));
        let c = [i64::MIN, -1, 0, 1 << 40, i64::MAX];
        assert_eq!(array(&c)?.cast::<i32>()?.to_vec()?, c.map(|x| x as i32));
        assert_eq!(array(&c)?.cast::<f32>()?.to_vec()?, c.map(|x| x as f32));
        assert_eq!(array(&[true, false])?.cast::<f64>()?.to_vec()?, [1.0, 0.0]);
        Ok(())
    });
}

#[test]
fn views_and_broadcast_arrays_go_in_as_they_are() {
    on_each(|_| {
        let a = arange::<i64>(60)?.reshape([3, 4, 5])?;
        let expected: Vec<i64> = (0..5)
            .flat_map(|k| (0..4).flat_map(move |j| (0..3).map(move |i| i * 20 + j * 5 + k)))
            .collect();
        assert_eq!(a.transpose().to_vec()?, expected);
        let row = arange::<i64>(5)?;
        let whole = a.slice((1.., .., step(.., -2)));
        assert_eq!(whole?.shape(), [2, 4, 3]);
        let part = a.slice((1..2, .., step(.., -2)))?;
        let found = &part + &row.slice(0..3)?;
        let expected: Vec<i64> = (0..4)
            .flat_map(|j| (0..3).map(move |k| 20 + j * 5 + 4 - 2 * k + k))
            .collect();
        assert_eq!(
            (found.shape(), found.to_vec()?),
            ([1, 4, 3].as_slice(), expected)
        );
        let column = arange::<i64>(3)?.reshape([3, 1])?;
        let table = &column * &row;
        assert_eq!(table.shape(), [3, 5]);
        assert_eq!(table.get([2, 4])?, 8);
        let error = zip((&row, &column.ravel()?), |(a, b)| a + b)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("zip of arrays of shapes [5] and [3]"),
            "{error}"
        );
        Ok(())
    });
}

#[test]
fn writing_in_place_keeps_other_arrays() {
    on_each(|_| {
        let mut a = arange::<f32>(1000)?;
        let before = a.clone();
        a += 1.0;
        a *= &before;
        let expected: Vec<f32> = (0..1000).map(|i| (i as f32 + 1.0) * i as f32).collect();
        assert_eq!(a.to_vec()?, expected);
        assert_eq!(before.get(999)?, 999.0);
        let mut part = a.slice(10..20)?;
        part -= 5.0;
        assert_eq!((part.get(0)?, a.get(10)?), (105.0, 110.0));
        a.apply(|x| x * 0.0)?;
        assert_eq!(a.to_vec()?, [0.0; 1000]);
        Ok(())
    });
}

#[test]
fn comparisons_and_choices() {
    on_each(|_| {
        let a = array(&[3.0_f32, f32::NAN, -1.0])?;
        assert_eq!(a.gt(0.0)?.to_vec()?, [true, false, false]);
        assert_eq!(a.ne(&a)?.to_vec()?, [false, true, false]);
        let mask = &!&a.gt(0.0)? & &a.le(10.0)?;
        assert_eq!(mask.to_vec()?, [false, false, true]);
        let chosen = mask.choose(&a, &array(&[9.0_f32])?)?;
        assert_eq!(chosen.to_vec()?, [9.0, 9.0, -1.0]);
        assert_eq!(a.map(|x| x.is_nan())?.to_vec()?, [false, true, false]);
        assert_eq!(a.maximum(0.5)?.to_vec()?, [3.0, 0.5, 0.5]);
        Ok(())
    });
}

#[test]
fn ranges() {
    on_each(|_| {
        assert_eq!(arange::<u32>(4)?.to_vec()?, [0, 1, 2, 3]);
        assert_eq!(linspace(1.0, 2.0, 3)?.to_vec()?, [1.0, 1.5, 2.0]);
        assert_eq!(linspace(5.0_f32, 9.0, 1)?.to_vec()?, [5.0]);
        assert!(linspace(5.0_f32, 9.0, 0)?.is_empty());
        let third = linspace(0.0_f64, 1.0, 4)?.to_vec()?;
        assert_eq!(third[3], 1.0);
        Ok(())
    });
}

#[test]
#[should_panic(expected = "an Expr was used outside of the closure")]
fn an_expression_stays_in_its_closure() {
    let a = array(&[1.0_f32]).unwrap();
    let mut kept = None;
    let _first = a.map(|x| {
        kept = Some(x);
        x
    });
    let _second = a.map(|x| x + kept.unwrap());
}
