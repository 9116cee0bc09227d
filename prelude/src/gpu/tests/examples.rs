//! The examples in the documentation of what arrays calculate as a whole; cargo runs no doc tests of a dylib.

use super::inputs::in_each_manner;
use super::*;

#[test]
fn examples_of_reductions_and_scans_hold() {
    in_each_manner(|_, _| {
        let a = array(&[1, 2, 3, 4])?;
        assert_eq!((a.sum()?, a.product()?, a.min()?, a.max()?), (10, 24, 1, 4));
        assert_eq!((a.mean()?, a.variance()?, a.argmax()?), (2.5, 1.25, 3));
        let (x, y) = (array(&[1.0, 2.0, 3.0])?, array(&[4.0, 5.0, 6.0])?);
        assert_eq!(x.dot(&y)?, 32.0);
        let truths = array(&[true, false, true])?;
        let counted = (truths.count_true()?, truths.any()?, truths.all()?);
        assert_eq!(counted, (2, true, false));
        let a = array_of([2, 3], &[1, 2, 3, 4, 5, 6])?;
        assert_eq!(a.sum_axis(0)?.to_vec()?, [5, 7, 9]);
        assert_eq!(a.sum_axis(1)?.to_vec()?, [6, 15]);
        let v = array(&[3, 1, 4, 1, 5])?;
        assert_eq!(reduce(&v, 0, |a, b| a + b)?, 14);
        assert_eq!(reduce(&v, i32::MIN, |a, b| a.max(b))?, 5);
        let most = v.scan(i32::MIN, |a, b| a.max(b))?;
        assert_eq!(most.to_vec()?, [3, 3, 4, 4, 5]);
        let (a, b) = (array(&[1.0, 5.0])?, array(&[3.0, 4.0])?);
        let farthest = map_reduce((&a, &b), |(a, b)| (a - b).abs(), 0.0, |x, y| x.max(y))?;
        assert_eq!(farthest, 2.0);
        let a = array(&[3, 1, 4])?;
        assert_eq!(a.cumsum()?.to_vec()?, [3, 4, 8]);
        assert_eq!(a.cumsum_exclusive()?.to_vec()?, [0, 3, 4]);
        Ok(())
    });
}

#[test]
fn examples_of_order_and_selection_hold() {
    in_each_manner(|_, _| {
        let a = array(&[3, 1, 2])?;
        assert_eq!(a.sort()?.to_vec()?, [1, 2, 3]);
        assert_eq!(a.sort_descending()?.to_vec()?, [3, 2, 1]);
        assert_eq!(a.argsort()?.to_vec()?, [1, 2, 0]);
        assert_eq!(array(&[3, 1, 3, 2, 1])?.unique()?.to_vec()?, [1, 2, 3]);
        let mask = array(&[true, false, true])?;
        let chosen = array(&[1.5, 2.5, 3.5])?.compress(&mask)?;
        assert_eq!(chosen.to_vec()?, [1.5, 3.5]);
        assert_eq!(array(&[0, 7, 0, -1])?.nonzero()?.to_vec()?, [1, 3]);
        let a = array(&[10, 20, 30])?;
        assert_eq!(a.take(&array(&[2, 0, 2])?)?.to_vec()?, [30, 10, 30]);
        assert!(a.take(&array(&[3])?).is_err());
        let mut a = zeros::<f32>(4)?;
        a.put(&array(&[3, 1])?, &array(&[0.5, 1.5])?)?;
        assert_eq!(a.to_vec()?, [0.0, 1.5, 0.0, 0.5]);
        let (a, b) = (array(&[1, 2])?, array(&[3])?);
        assert_eq!(concatenate(&[&a, &b], 0)?.to_vec()?, [1, 2, 3]);
        let a = array(&[0, 2, 2, 1, 2])?;
        assert_eq!(a.bincount(4)?.to_vec()?, [1, 1, 3, 0]);
        let a = array(&[0.1, 0.2, 0.6, 1.0, 7.0])?;
        assert_eq!(a.histogram(2, 0.0, 1.0)?.to_vec()?, [2, 2]);
        Ok(())
    });
}

#[test]
fn examples_of_products_and_random_numbers_hold() {
    in_each_manner(|_, _| {
        let a = array_of([2, 3], &[1, 2, 3, 4, 5, 6])?;
        assert_eq!(a.matmul(&a.transpose())?.to_vec()?, [14, 32, 32, 77]);
        assert_eq!(a.matmul(&array(&[1, 0, 1])?)?.to_vec()?, [4, 10]);
        let error = a.matmul(&a).unwrap_err().to_string();
        assert!(
            error.starts_with("matmul of shapes [2, 3] and [2, 3]"),
            "{error}"
        );
        let mut numbers = random(42);
        let x = numbers.uniform::<f32>([100, 100])?;
        assert!((x.mean()? - 0.5).abs() < 0.02);
        let dice = numbers.integers(1000, 1..7)?;
        assert_eq!((dice.min()?, dice.max()?), (1, 6));
        assert_eq!(random(42).uniform::<f32>(10_000)?.to_vec()?, x.to_vec()?);
        let x = random(1).normal::<f32>(100_000)? * 3.0 + 10.0;
        assert!((x.mean()? - 10.0).abs() < 0.1 && (x.std_dev()? - 3.0).abs() < 0.1);
        Ok(())
    });
}
