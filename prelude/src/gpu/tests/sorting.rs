//! Order, selection, places, counts, against std's.

use super::inputs::{Numbers, SIZES, in_each_manner};
use super::*;

fn bits<T: Numeric>(items: &[T]) -> Vec<u64> {
    items.iter().map(|item| item.order_bits()).collect()
}

fn check_order<T: Numeric>(
    numbers: &mut Numbers,
    sizes: &[usize],
    make: fn(&mut Numbers) -> T,
) -> GpuResult<()> {
    for &n in sizes {
        let items = numbers.many(n, make);
        let a = array(&items)?;
        let mut expected = items.clone();
        expected.sort_by_key(|item| item.order_bits());
        assert_eq!(bits(&a.sort()?.to_vec()?), bits(&expected), "{n} items");
        let mut unique = bits(&expected);
        unique.dedup();
        assert_eq!(bits(&a.unique()?.to_vec()?), unique, "{n} items");
        let mut places: Vec<u64> = (0..n as u64).collect();
        places.sort_by_key(|place| items[*place as usize].order_bits());
        assert_eq!(a.argsort()?.to_vec()?, places, "{n} items");
        let mut stable: Vec<u64> = (0..n as u64).collect();
        stable.sort_by_key(|place| !items[*place as usize].order_bits());
        assert_eq!(a.argsort_descending()?.to_vec()?, stable, "{n} items");
        expected.sort_by_key(|item| !item.order_bits());
        assert_eq!(bits(&a.sort_descending()?.to_vec()?), bits(&expected));
        assert_eq!(
            bits(&a.to_vec()?),
            bits(&items),
            "the array itself has changed"
        );
    }
    Ok(())
}

#[test]
fn integers_are_sorted() {
    in_each_manner(|_, numbers| {
        check_order(numbers, &SIZES, |numbers| numbers.next() as i32)?;
        check_order(numbers, &SIZES[..9], |numbers| numbers.next() as u32)?;
        check_order(numbers, &SIZES[..9], |numbers| numbers.next() as i64)?;
        check_order(numbers, &SIZES, |numbers| numbers.next())?;
        check_order(numbers, &SIZES[..9], |numbers| numbers.below(5) as i32 - 2)
    });
}

#[test]
fn floats_are_sorted_with_nan_last() {
    in_each_manner(|device, numbers| {
        check_order(numbers, &SIZES, |numbers| match numbers.below(40) {
            0 => f32::NAN,
            1 => -f32::NAN,
            2 => -0.0,
            3 => 0.0,
            4 => f32::NEG_INFINITY,
            5 => f32::MIN_POSITIVE / 8.0,
            _ => (numbers.unit() as f32 - 0.5) * 1e3,
        })?;
        if device.has_f64() {
            check_order(numbers, &SIZES, |numbers| match numbers.below(20) {
                0 => f64::NAN,
                1 => -0.0,
                2 => 0.0,
                _ => (numbers.unit() - 0.5).powi(5),
            })?;
        }
        let zeros = array(&[0.0_f32, -0.0, f32::NAN, 0.0])?;
        assert_eq!(zeros.argsort()?.to_vec()?, [0, 1, 3, 2]);
        assert!(zeros.sort()?.to_vec()?[1].is_sign_negative());
        Ok(())
    });
}

#[test]
fn masks_select_in_order() {
    in_each_manner(|_, numbers| {
        for n in SIZES {
            for share in [2, 50, 1] {
                let items = numbers.many(n, |numbers| numbers.next() as i32);
                let mask = numbers.many(n, |numbers| numbers.below(share) == 0);
                let (a, m) = (array(&items)?, array(&mask)?);
                let chosen = items.iter().zip(&mask).filter(|(_, is)| **is);
                let chosen: Vec<i32> = chosen.map(|(item, _)| *item).collect();
                assert_eq!(a.compress(&m)?.to_vec()?, chosen, "{n} items, 1 of {share}");
                let places: Vec<u64> = (0..n as u64).filter(|i| mask[*i as usize]).collect();
                assert_eq!(m.nonzero()?.to_vec()?, places);
            }
        }
        let a = array_of([3, 4], &(0..12).map(f64::from).collect::<Vec<_>>())?;
        let chosen = a
            .transpose()
            .compress(&a.transpose().slice((.., ..))?.gt(5.0)?)?;
        assert_eq!(chosen.to_vec()?, [8.0, 9.0, 6.0, 10.0, 7.0, 11.0]);
        assert_eq!(a.nonzero()?.to_vec()?, (1..12).collect::<Vec<u64>>());
        assert!(a.compress(&ones::<bool>(12)?).is_err());
        Ok(())
    });
}

#[test]
fn places_are_taken_and_put() {
    in_each_manner(|_, numbers| {
        for n in SIZES.into_iter().skip(1) {
            let items = numbers.many(n, |numbers| numbers.unit() as f32);
            let places = numbers.many(2 * n, |numbers| numbers.below(n) as u32);
            let a = array(&items)?;
            let expected: Vec<f32> = places.iter().map(|i| items[*i as usize]).collect();
            let taken = a.take(&array_of([2, n], &places)?)?;
            assert_eq!(taken.shape(), [2, n]);
            assert_eq!(taken.to_vec()?, expected);
            // Each place once: an order of all.
            let mut order: Vec<i64> = (0..n as i64).collect();
            (1..n).for_each(|i| order.swap(i, numbers.below(i + 1)));
            let mut put = a.clone();
            put.put(&array(&order)?, &array(&items)?)?;
            let back = put.take(&array(&order)?)?;
            assert_eq!((back.to_vec()?, a.to_vec()?), (items.clone(), items));
        }
        let mut b = array_of([2, 3], &[1, 2, 3, 4, 5, 6])?.transpose();
        assert_eq!(b.take(&array(&[1_u64, 5])?)?.to_vec()?, [4, 6]);
        b.put(&array(&[1_u64])?, &array(&[40])?)?;
        assert_eq!(
            (b.shape(), b.to_vec()?),
            (&[3, 2][..], vec![1, 40, 2, 5, 3, 6])
        );
        let error = b.take(&array(&[0, -1])?).unwrap_err().to_string();
        assert!(error.starts_with("take with -1, item 1: "), "{error}");
        assert!(b.put(&array(&[6])?, &array(&[0])?).is_err());
        assert!(b.put(&array(&[1, 2])?, &array(&[0])?).is_err());
        assert_eq!(b.to_vec()?, [1, 40, 2, 5, 3, 6]);
        Ok(())
    });
}

#[test]
fn arrays_are_joined_along_each_axis() {
    in_each_manner(|_, numbers| {
        let make = |numbers: &mut Numbers, shape: [usize; 3]| {
            array_of(
                shape,
                &numbers.many(shape.iter().product(), |numbers| numbers.next()),
            )
        };
        for (axis, lengths) in [(0, [3, 1, 700]), (1, [5, 0, 2]), (2, [1, 64, 300])] {
            let arrays: Vec<Array<u64>> = lengths
                .into_iter()
                .map(|length| {
                    let mut shape = [7, 11, 13];
                    shape[axis] = length;
                    make(numbers, shape)
                })
                .collect::<GpuResult<_>>()?;
            let joined = concatenate(&arrays.iter().collect::<Vec<_>>(), axis)?;
            assert_eq!(joined.shape()[axis], lengths.iter().sum());
            let mut first = 0;
            for array in &arrays {
                let end = first + array.shape()[axis];
                let part = match axis {
                    0 => joined.slice(first..end)?,
                    1 => joined.slice((.., first..end))?,
                    _ => joined.slice((.., .., first..end))?,
                };
                assert_eq!(part.to_vec()?, array.to_vec()?);
                first = end;
            }
        }
        let a = array_of([2, 2], &[true, false, true, true])?;
        let joined = concatenate(&[&a.transpose(), &a], 1)?;
        assert_eq!(
            joined.to_vec()?,
            [true, true, true, false, false, true, true, true]
        );
        assert!(concatenate(&[&a, &a], 2).is_err());
        assert!(concatenate(&[&a, &zeros([2, 1])?], 0).is_err());
        assert!(concatenate::<f32>(&[], 0).is_err());
        Ok(())
    });
}

#[test]
fn values_are_counted() {
    in_each_manner(|device, numbers| {
        for n in SIZES {
            for bins in [1, 10, 2048, 5000] {
                let items = numbers.many(n, |numbers| numbers.below(bins) as i32);
                let mut counts = vec![0_u64; bins];
                items.iter().for_each(|x| counts[*x as usize] += 1);
                assert_eq!(
                    array(&items)?.bincount(bins)?.to_vec()?,
                    counts,
                    "{n} in {bins}"
                );
                let items = numbers.many(n, |numbers| (numbers.unit() * 3.0 - 1.0) as f32);
                let mut counts = vec![0_u64; bins];
                let scale = (bins as f64 / 1.5) as f32;
                for x in items.iter().filter(|x| **x >= -0.5 && **x <= 1.0) {
                    counts[(((x + 0.5) * scale) as usize).min(bins - 1)] += 1;
                }
                assert_eq!(array(&items)?.histogram(bins, -0.5, 1.0)?.to_vec()?, counts);
            }
        }
        let a = array(&[0_i64, 5, 10, 11, -1, 4])?;
        assert_eq!(a.histogram(2, 0.0, 10.0)?.to_vec()?, [2, 2]);
        if device.has_f64() {
            let a = array(&[0.0, f64::NAN, 1.0, f64::INFINITY])?;
            assert_eq!(a.histogram(4, 0.0, 1.0)?.to_vec()?, [1, 0, 0, 1]);
        }
        assert!(a.histogram(0, 0.0, 1.0).is_err() && a.histogram(1, 1.0, 1.0).is_err());
        assert!(a.bincount(10).is_err());
        Ok(())
    });
}
