//! Reductions and scans by closures.

use super::inputs::{SIZES, assert_close, in_each_manner};
use super::*;

#[test]
fn closures_reduce() {
    in_each_manner(|_, numbers| {
        for n in SIZES {
            let items = numbers.many(n, |numbers| numbers.next() as i32);
            let a = array(&items)?;
            let sum = items.iter().fold(0_i32, |a, b| a.wrapping_add(*b));
            assert_eq!(reduce(&a, 0, |a, b| a + b)?, sum, "{n} items");
            let all = items.iter().fold(-1, |a, b| a & b);
            assert_eq!(a.reduce(-1, |a, b| a & b)?, all);
            // With a constant: addition modulo a number.
            let small = array(&items.iter().map(|x| x.rem_euclid(1000)).collect::<Vec<_>>())?;
            let sum = items.iter().fold(0, |a, b| (a + b.rem_euclid(1000)) % 1000);
            assert_eq!(small.reduce(0, |a, b| (a + b) % 1000)?, sum);
            let most = items.iter().copied().max().unwrap_or(i32::MIN);
            assert_eq!(a.reduce(i32::MIN, |a, b| a.gt(b).select(a, b))?, most);
            let truths = items.iter().map(|x| x % 3 == 0).collect::<Vec<_>>();
            let odd = truths.iter().fold(false, |a, b| a ^ b);
            assert_eq!(array(&truths)?.reduce(false, |a, b| a ^ b)?, odd);
        }
        Ok(())
    });
}

#[test]
fn closures_map_and_reduce_in_one_pass() {
    in_each_manner(|_, numbers| {
        for n in SIZES {
            let x = numbers.many(n, |numbers| numbers.unit() as f32);
            let y = numbers.many(n, |numbers| numbers.unit() as f32);
            let (a, b) = (array(&x)?, array(&y)?);
            let distance = map_reduce(
                (&a, &b),
                |(a, b)| (a - b) * (a - b) * 2.0,
                0.0,
                |a, b| a + b,
            )?;
            let pairs = x.iter().zip(&y);
            let exact: f64 = pairs.map(|(x, y)| f64::from(x - y).powi(2) * 2.0).sum();
            assert_close(f64::from(distance), exact, 1e-5);
            let above = map_reduce(&a, |x| x.gt(0.25).cast::<u64>(), 0, |a, b| a + b)?;
            assert_eq!(above, x.iter().filter(|x| **x > 0.25).count() as u64);
        }
        // Broadcast and transposed ones.
        let items = numbers.many(300 * 40, |numbers| numbers.below(100) as i64);
        let a = array_of([300, 40], &items)?;
        let one = array(&[3_i64])?;
        let sum = map_reduce((&a, &one), |(a, b)| a * b, 0, |a, b| a + b)?;
        assert_eq!(sum, 3 * items.iter().sum::<i64>());
        let sum = map_reduce(
            (&a.transpose(), &a.at(1, 0)?),
            |(a, b)| a * b,
            0,
            |a, b| a + b,
        )?;
        let exact: i64 = items
            .chunks(40)
            .map(|row| row[0] * row.iter().sum::<i64>())
            .sum();
        assert_eq!(sum, exact);
        assert!(map_reduce((&a, &array(&[1, 2])?), |(a, _)| a, 0, |a, b| a + b).is_err());
        Ok(())
    });
}

#[test]
fn closures_scan_in_order() {
    in_each_manner(|_, numbers| {
        for n in SIZES {
            // Steps x → p·x + q modulo 251, as p + 256·q, one after the other: associative, but not commutative.
            let items = numbers.many(n, |numbers| {
                (numbers.below(251) + 256 * numbers.below(251)) as u32
            });
            let then = |a: u32, b: u32| {
                let ((p, q), (r, s)) = ((a & 255, a >> 8), (b & 255, b >> 8));
                (p * r % 251) | ((q * r + s) % 251) << 8
            };
            let mut before = 1;
            let (mut exclusive, mut inclusive) = (Vec::new(), Vec::new());
            for item in &items {
                exclusive.push(before);
                before = then(before, *item);
                inclusive.push(before);
            }
            let a = array(&items)?;
            let closure = |a: Expr<u32>, b: Expr<u32>| {
                let ((p, q), (r, s)) = ((a & 255, a >> 8), (b & 255, b >> 8));
                (p * r % 251) | (((q * r + s) % 251) << 8)
            };
            assert_eq!(a.scan(1, closure)?.to_vec()?, inclusive, "{n} items");
            assert_eq!(
                a.scan_exclusive(1, closure)?.to_vec()?,
                exclusive,
                "{n} items"
            );
        }
        let a = array_of([2, 3], &[3.0, 1.0, 4.0, 1.0, 5.0, 9.0])?.transpose();
        let most = a.scan(f64::NEG_INFINITY, |a, b| a.max(b))?;
        assert_eq!(most.to_vec()?, [3.0, 3.0, 3.0, 5.0, 5.0, 9.0]);
        Ok(())
    });
}
