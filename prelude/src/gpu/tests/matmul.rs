//! Matrix products against three plain loops.

use super::inputs::{Numbers, assert_close, in_each_manner};
use super::*;

fn expected<T: Numeric>(a: &[T], b: &[T], [m, n, k]: [usize; 3]) -> Vec<T> {
    let mut c = vec![T::ZERO; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                c[i * n + j] = c[i * n + j].plus(a[i * k + p].times(b[p * n + j]));
            }
        }
    }
    c
}

const SHAPES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [2, 3, 4],
    [0, 3, 4],
    [3, 0, 4],
    [3, 4, 0],
    [16, 16, 16],
    [64, 64, 64],
    [65, 63, 17],
    [5, 300, 257],
    [300, 5, 1000],
    [1, 129, 300],
    [127, 1, 31],
    [130, 70, 600],
    [33, 257, 255],
];

fn check<T: Numeric>(numbers: &mut Numbers, make: fn(&mut Numbers) -> T) -> GpuResult<()> {
    for [m, n, k] in SHAPES {
        let (a, b) = (numbers.many(m * k, make), numbers.many(k * n, make));
        let c = array_of([m, k], &a)?.matmul(&array_of([k, n], &b)?)?;
        assert_eq!(c.shape(), [m, n]);
        assert_eq!(
            c.to_vec()?,
            expected(&a, &b, [m, n, k]),
            "{m} x {k} by {k} x {n}"
        );
        let x = numbers.many(k, make);
        let y = array_of([m, k], &a)?.matmul(&array(&x)?)?;
        assert_eq!(y.shape(), [m]);
        assert_eq!(
            y.to_vec()?,
            expected(&a, &x, [m, 1, k]),
            "{m} x {k} by a vector"
        );
        let z = array(&x)?.matmul(&array_of([k, n], &b)?)?;
        assert_eq!(
            z.to_vec()?,
            expected(&x, &b, [1, n, k]),
            "a vector by {k} x {n}"
        );
    }
    Ok(())
}

#[test]
fn products_of_integers_are_exact() {
    in_each_manner(|_, numbers| {
        check(numbers, |numbers| numbers.next() as i32)?;
        check(numbers, |numbers| numbers.next() as i64)?;
        check(numbers, |numbers| numbers.next() as u32)?;
        check(numbers, |numbers| numbers.next())
    });
}

#[test]
fn products_of_small_whole_floats_are_exact() {
    in_each_manner(|device, numbers| {
        check(numbers, |numbers| numbers.below(17) as f32 - 8.0)?;
        if device.has_f64() {
            check(numbers, |numbers| numbers.below(1000) as f64 - 500.0)?;
        }
        Ok(())
    });
}

#[test]
fn large_tiles_and_views_give_the_same() {
    in_each_manner(|_, numbers| {
        // From 1024 on, wide devices take larger tiles.
        let (m, n, k) = (1030, 1025, 70);
        let (a, b) = (
            numbers.many(m * k, |numbers| numbers.unit() as f32),
            numbers.many(k * n, |numbers| numbers.unit() as f32),
        );
        let (x, y) = (array_of([m, k], &a)?, array_of([k, n], &b)?);
        let c = x.matmul(&y)?;
        let exact = |a: &[f32]| a.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
        let sums = expected(&exact(&a), &exact(&b), [m, n, k]);
        for (is, sum) in c.to_vec()?.into_iter().zip(sums) {
            assert_close(f64::from(is), sum, 1e-5);
        }
        let again = y.transpose().matmul(&x.transpose())?.transpose();
        for (is, sum) in again.to_vec()?.into_iter().zip(c.to_vec()?) {
            assert_close(f64::from(is), f64::from(sum), 1e-5);
        }
        let part = x.slice((5..905, step(.., -2)))?;
        let other = y.slice((0..35, 3..10))?;
        let product = expected(&part.to_vec()?, &other.to_vec()?, [900, 7, 35]);
        for (is, sum) in part.matmul(&other)?.to_vec()?.into_iter().zip(product) {
            assert_close(f64::from(is), f64::from(sum), 1e-5);
        }
        Ok(())
    });
}

#[test]
fn shapes_that_do_not_fit_are_told() {
    in_each_manner(|_, _| {
        let a = zeros::<f32>([2, 3])?;
        for other in [zeros([2, 3])?, zeros(2)?, zeros([1, 3, 1])?] {
            let error = a.matmul(&other).unwrap_err();
            assert!(matches!(error, GpuError::Shape { .. }), "{error}");
        }
        assert!(zeros::<f32>(3)?.matmul(&zeros(3)?).is_err());
        Ok(())
    });
}
