//! Scans against running sums in plain Rust.

use super::inputs::{SIZES, assert_close, in_each_manner};
use super::*;

#[test]
fn running_sums_and_products_of_integers_are_exact() {
    in_each_manner(|_, numbers| {
        for n in SIZES {
            let items = numbers.many(n, |numbers| numbers.next() as i32);
            let a = array(&items)?;
            let mut sum = 0_i32;
            let before: Vec<i32> = items
                .iter()
                .map(|x| {
                    let before = sum;
                    sum = sum.wrapping_add(*x);
                    before
                })
                .collect();
            let after: Vec<i32> = before
                .iter()
                .zip(&items)
                .map(|(a, b)| a.wrapping_add(*b))
                .collect();
            assert_eq!(a.cumsum()?.to_vec()?, after, "{n} items");
            assert_eq!(a.cumsum_exclusive()?.to_vec()?, before, "{n} items");
            let odd: Vec<u64> = items.iter().map(|x| *x as u64 | 1).collect();
            let mut product = 1_u64;
            let products: Vec<u64> = odd
                .iter()
                .map(|x| {
                    product = product.wrapping_mul(*x);
                    product
                })
                .collect();
            assert_eq!(array(&odd)?.cumprod()?.to_vec()?, products, "{n} items");
        }
        Ok(())
    });
}

#[test]
fn running_sums_of_floats_are_near() {
    in_each_manner(|device, numbers| {
        for n in SIZES {
            let items = numbers.many(n, |numbers| numbers.unit() as f32);
            let mut sum = 0.0_f64;
            for (is, item) in array(&items)?.cumsum()?.to_vec()?.into_iter().zip(&items) {
                sum += f64::from(*item);
                assert_close(f64::from(is), sum, 1e-4);
            }
            if !device.has_f64() {
                continue;
            }
            let items = numbers.many(n, |numbers| numbers.unit() - 0.5);
            let mut sum = 0.0;
            for (is, item) in array(&items)?
                .cumsum_exclusive()?
                .to_vec()?
                .into_iter()
                .zip(&items)
            {
                assert_close(is, sum, 1e-10);
                sum += item;
            }
        }
        Ok(())
    });
}

#[test]
fn views_are_scanned_row_by_row() {
    in_each_manner(|_, numbers| {
        let items = numbers.many(70 * 300, |numbers| numbers.below(9) as u32);
        let view = array_of([70, 300], &items)?
            .transpose()
            .slice((step(.., 3), 2..))?;
        let mut sum = 0;
        let expected: Vec<u32> = view
            .to_vec()?
            .into_iter()
            .map(|x| {
                sum += x;
                sum
            })
            .collect();
        let is = view.cumsum()?;
        assert_eq!(is.shape(), [expected.len()]);
        assert_eq!(is.to_vec()?, expected);
        Ok(())
    });
}
