//! Random numbers: the same everywhere, and distributed as they say.

use super::inputs::{SIZES, assert_close, in_each_manner};
use super::*;

#[test]
fn numbers_are_the_same_on_every_device_and_for_every_length() {
    let rayon = device("rayon").unwrap();
    in_each_manner(|device, numbers| {
        let seed = numbers.next();
        for n in SIZES {
            let draw = || {
                let mut random = random(seed);
                let f32s = random.uniform::<f32>(n)?.to_vec()?;
                let f64s = random.uniform::<f64>(n)?.to_vec()?;
                let i32s = random.integers(n, i32::MIN..i32::MAX)?.to_vec()?;
                let u64s = random.integers(n, 3..u64::MAX - 1)?.to_vec()?;
                let i64s = random.integers(n, -7_i64..13)?.to_vec()?;
                GpuResult::Ok((f32s, f64s, i32s, u64s, i64s))
            };
            let close = || {
                let mut random = random(seed ^ 1);
                Ok::<_, GpuError>((
                    random.normal::<f32>(n)?.to_vec()?,
                    random.normal::<f64>(n)?.to_vec()?,
                ))
            };
            if !device.has_f64() {
                continue;
            }
            assert_eq!(draw()?, rayon.scope(draw)?, "{n} of {seed}");
            let (here, there) = (close()?, rayon.scope(close)?);
            for (a, b) in here.0.iter().zip(&there.0) {
                assert_close(f64::from(*a), f64::from(*b), 1e-5);
            }
            for (a, b) in here.1.iter().zip(&there.1) {
                assert_close(*a, *b, 1e-12);
            }
            // The beginning does not depend on how many are drawn.
            let one_more = random(seed).uniform::<f32>(n + 1)?.to_vec()?;
            assert_eq!(one_more[..n], random(seed).uniform::<f32>(n)?.to_vec()?);
        }
        Ok(())
    });
}

#[test]
fn draws_and_seeds_differ() {
    in_each_manner(|_, numbers| {
        let seed = numbers.next();
        let mut random = random(seed);
        let (a, b) = (random.uniform::<f32>(64)?, random.uniform::<f32>(64)?);
        assert_ne!(a.to_vec()?, b.to_vec()?);
        let other = super::random(seed.wrapping_add(1 << 32)).uniform::<f32>(64)?;
        assert_ne!(a.to_vec()?, other.to_vec()?);
        assert!(random.integers(5, 3..3).is_err());
        assert_eq!(random.uniform::<f32>([3, 4])?.shape(), [3, 4]);
        Ok(())
    });
}

#[test]
fn numbers_are_distributed_as_they_should() {
    // A fixed seed: these bounds would be missed by chance, if rarely.
    in_each_manner(|_, _| {
        let n = 1_000_000;
        let mut random = random(2026);
        let x = random.uniform::<f32>(n)?;
        assert!(x.min()? >= 0.0 && x.max()? < 1.0);
        assert_close(x.mean()?, 0.5, 2e-3);
        assert_close(x.variance()?, 1.0 / 12.0, 1e-3);
        let counts = x.histogram(100, 0.0, 1.0)?.to_vec()?;
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        let x = random.normal::<f32>(n)?;
        assert_close(x.mean()?, 0.0, 5e-3);
        assert_close(x.variance()?, 1.0, 1e-2);
        let beyond = x.to_vec()?.iter().filter(|x| x.abs() > 1.96).count();
        assert!((48_000..52_000).contains(&beyond), "{beyond}");
        let dice = random.integers(n, -2..4_i64)?;
        let counts = (&dice + 2).bincount(6)?.to_vec()?;
        assert!(
            counts
                .iter()
                .all(|count| (165_000..168_500).contains(count)),
            "{counts:?}"
        );
        Ok(())
    });
}
