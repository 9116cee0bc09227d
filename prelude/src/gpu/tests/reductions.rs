//! Reductions against plain Rust in higher precision.

use super::inputs::{Numbers, SIZES, assert_close, in_each_manner};
use super::*;

fn check_integers<T: Numeric + Ord>(numbers: &mut Numbers, make: fn(u64) -> T) -> GpuResult<()> {
    for n in SIZES {
        let items = numbers.many(n, |numbers| make(numbers.next()));
        let a = array(&items)?;
        let sum = items.iter().fold(T::ZERO, |a, b| a.plus(*b));
        let product = items.iter().fold(T::ONE, |a, b| a.times(*b));
        assert_eq!((a.sum()?, a.product()?), (sum, product), "{n} items");
        let square = items.iter().fold(T::ZERO, |a, b| a.plus(b.times(*b)));
        assert_eq!(a.dot(&a)?, square, "{n} items");
        if n == 0 {
            assert!(matches!(a.min(), Err(GpuError::Empty { .. })));
            assert!(matches!(a.argmax(), Err(GpuError::Empty { .. })));
            continue;
        }
        let first = |wanted| items.iter().position(|x| Some(x) == wanted).unwrap();
        assert_eq!(Some(&a.min()?), items.iter().min(), "{n} items");
        assert_eq!(Some(&a.max()?), items.iter().max(), "{n} items");
        assert_eq!(a.argmin()?, first(items.iter().min()), "{n} items");
        assert_eq!(a.argmax()?, first(items.iter().max()), "{n} items");
        let mean = items.iter().map(|x| x.to_f64()).sum::<f64>() / n as f64;
        assert_close(
            a.mean()? / mean.abs().max(1.0),
            mean / mean.abs().max(1.0),
            1e-9,
        );
    }
    Ok(())
}

#[test]
fn integers_wrap_and_keep_their_order() {
    in_each_manner(|_, numbers| {
        check_integers(numbers, |x| x as i32)?;
        check_integers(numbers, |x| x as u32)?;
        check_integers(numbers, |x| x as i64)?;
        check_integers(numbers, |x| x)?;
        // Many equal ones: the first place counts.
        check_integers(numbers, |x| (x % 3) as i32 - 1)
    });
}

fn check_floats<T: Float>(numbers: &mut Numbers, tolerance: f64) -> GpuResult<()> {
    for n in SIZES {
        let items = numbers.many(n, |numbers| T::from_f64(numbers.unit() + 0.5));
        let exact: Vec<f64> = items.iter().map(|x| x.to_f64()).collect();
        let a = array(&items)?;
        let sum: f64 = exact.iter().sum();
        assert_close(a.sum()?.to_f64(), sum, tolerance);
        let squares = exact.iter().map(|x| x * x).sum::<f64>();
        assert_close(a.dot(&a)?.to_f64(), squares, tolerance);
        assert_close(a.norm()?, squares.sqrt(), tolerance);
        if n == 0 {
            assert_eq!((a.sum()?, a.product()?), (T::ZERO, T::ONE));
            assert!(a.mean().is_err() && a.variance().is_err());
            continue;
        }
        let mean = sum / n as f64;
        assert_close(a.mean()?, mean, tolerance);
        let variance = exact.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert_close(a.variance()?, variance, tolerance);
        assert_close(a.std_dev()?, variance.sqrt(), tolerance);
        let least = exact.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(a.min()?.to_f64(), least);
        assert_eq!(exact.iter().position(|x| *x == least), Some(a.argmin()?));
        // One that is not a number is the result, wherever it is.
        let mut items = items;
        let place = numbers.below(n);
        items[place] = T::from_f64(f64::NAN);
        let a = array(&items)?;
        assert!(a.min()?.is_nan() && a.max()?.is_nan() && a.sum()?.is_nan());
        assert_eq!((a.argmin()?, a.argmax()?), (place, place));
    }
    let close_to_one = array(&numbers.many(20, |numbers| T::from_f64(1.0 + numbers.unit() * 0.1)))?;
    let product = close_to_one
        .to_vec()?
        .iter()
        .fold(1.0, |a, b| a * b.to_f64());
    assert_close(close_to_one.product()?.to_f64(), product, 10.0 * tolerance);
    Ok(())
}

#[test]
fn floats_are_near_the_exact_result() {
    in_each_manner(|device, numbers| {
        check_floats::<f32>(numbers, 1e-6)?;
        if device.has_f64() {
            check_floats::<f64>(numbers, 1e-13)?;
        }
        Ok(())
    });
}

#[test]
fn long_sums_stay_exact_and_variance_survives_a_large_mean() {
    in_each_manner(|_, numbers| {
        let items = numbers.many(10_000_000, |numbers| (numbers.unit() + 0.5) as f32);
        let exact: f64 = items.iter().map(|x| f64::from(*x)).sum();
        let a = array(&items)?;
        assert_close(f64::from(a.sum()?), exact, 1e-6);
        let far = numbers.many(100_000, |numbers| 1e6 + numbers.unit());
        let mean = far.iter().sum::<f64>() / far.len() as f64;
        let variance = far.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / far.len() as f64;
        assert_close(array(&far)?.variance()?, variance, 1e-9);
        Ok(())
    });
}

#[test]
fn truths_are_counted() {
    in_each_manner(|_, numbers| {
        for n in SIZES {
            let items = numbers.many(n, |numbers| numbers.below(3) == 0);
            let a = array(&items)?;
            assert_eq!(a.count_true()?, items.iter().filter(|x| **x).count());
            assert_eq!(a.any()?, items.iter().any(|x| *x));
            assert_eq!(a.all()?, items.iter().all(|x| *x));
            assert!(ones::<bool>(n)?.all()? && !zeros::<bool>(n)?.any()?);
        }
        let mut one = vec![false; 100_001];
        one[numbers.below(100_001)] = true;
        assert!(array(&one)?.any()?);
        assert_eq!(array(&one)?.count_true()?, 1);
        Ok(())
    });
}

#[test]
fn views_are_reduced_as_their_elements() {
    in_each_manner(|_, numbers| {
        let items = numbers.many(101 * 57, |numbers| numbers.below(1000) as i64);
        let a = array_of([101, 57], &items)?;
        for view in [
            a.transpose(),
            a.slice((3..90, step(1.., -3)))?,
            a.at(0, 17)?,
            a.at(1, 5)?.broadcast_to([4, 101])?,
            a.slice(50..50)?,
        ] {
            let items = view.to_vec()?;
            assert_eq!(view.sum()?, items.iter().sum());
            let contiguous = array_of(view.shape(), &items)?;
            assert_eq!(view.dot(&contiguous)?, items.iter().map(|x| x * x).sum());
            if let Some(max) = items.iter().max() {
                assert_eq!(view.max()?, *max);
                assert_eq!(Some(view.argmax()?), items.iter().position(|x| x == max));
            }
        }
        assert!(a.dot(&a.transpose()).is_err());
        Ok(())
    });
}

#[test]
fn axes_are_reduced_one_by_one() {
    let shapes: [&[usize]; 15] = [
        &[7],
        &[1_000_003],
        &[3, 5],
        &[300, 1000],
        &[1000, 300],
        &[100_003, 4],
        &[4, 100_003],
        &[1, 50_000, 3],
        &[5, 40, 129],
        &[2, 3000, 128],
        &[2, 9000, 1],
        &[0, 4],
        &[4, 0, 3],
        &[3, 2, 5, 4],
        &[2, 8192],
    ];
    in_each_manner(|_, numbers| {
        for shape in shapes {
            let n: usize = shape.iter().product();
            let items = numbers.many(n, |numbers| numbers.below(2001) as i32 - 1000);
            let a = array_of(shape, &items)?;
            for axis in 0..shape.len() {
                let inner: usize = shape[axis + 1..].iter().product();
                let fold = |identity: i32, combine: fn(i32, i32) -> i32| {
                    let mut out = vec![identity; n.checked_div(shape[axis]).unwrap_or(0)];
                    for (i, item) in items.iter().enumerate() {
                        let place = i / (shape[axis] * inner) * inner + i % inner;
                        out[place] = combine(out[place], *item);
                    }
                    out
                };
                let sum = a.sum_axis(axis)?;
                assert_eq!(sum.n_axes(), shape.len() - 1);
                if shape[axis] == 0 {
                    assert!(a.min_axis(axis).is_err());
                    assert_eq!(sum.to_vec()?, vec![0; sum.len()]);
                    continue;
                }
                assert_eq!(
                    sum.to_vec()?,
                    fold(0, i32::wrapping_add),
                    "{shape:?} {axis}"
                );
                assert_eq!(a.product_axis(axis)?.to_vec()?, fold(1, i32::wrapping_mul));
                assert_eq!(a.min_axis(axis)?.to_vec()?, fold(i32::MAX, i32::min));
                assert_eq!(a.max_axis(axis)?.to_vec()?, fold(i32::MIN, i32::max));
            }
            assert!(a.sum_axis(shape.len()).is_err());
        }
        let items = numbers.many(3000 * 70, |numbers| numbers.unit() as f32);
        let a = array_of([3000, 70], &items)?;
        for (j, sum) in a.sum_axis(0)?.to_vec()?.into_iter().enumerate() {
            let exact: f64 = items[j..].iter().step_by(70).map(|x| f64::from(*x)).sum();
            assert_close(f64::from(sum), exact, 1e-6);
        }
        for (i, mean) in a.mean_axis(1)?.to_vec()?.into_iter().enumerate() {
            let row = &items[70 * i..70 * (i + 1)];
            let exact: f64 = row.iter().map(|x| f64::from(*x)).sum::<f64>() / 70.0;
            assert_close(f64::from(mean), exact, 1e-6);
        }
        Ok(())
    });
}
