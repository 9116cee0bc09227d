//! What the tests of algorithms have in common: every manner of working on every device, and fresh random input.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;

/// Sizes around those of groups, blocks and tiles.
pub(super) const SIZES: [usize; 10] = [0, 1, 2, 31, 255, 256, 257, 1000, 10_007, 1_000_003];

/// Runs a test with each device as the default, and with kernels for cards on every device that has kernels. The numbers that
/// it is given are other ones each time; `FORKLINE_TEST_SEED` brings those of a failure back.
pub(super) fn in_each_manner(test: impl Fn(Device, &mut Numbers) -> GpuResult<()>) {
    let seed = match std::env::var("FORKLINE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64),
    };
    for device in devices() {
        let run = |manner: &str| {
            let work = || device.scope(|| test(device, &mut Numbers(seed)));
            let outcome = catch_unwind(AssertUnwindSafe(work));
            if !matches!(outcome, Ok(Ok(()))) {
                println!("failed on {device}, {manner}, with FORKLINE_TEST_SEED={seed}");
            }
            match outcome {
                Ok(Ok(())) => println!("passed on {device}, {manner}"),
                Ok(Err(error)) => panic!("{error}"),
                Err(panic) => resume_unwind(panic),
            }
        };
        run("as it is");
        if device.dialect().is_some() && !device.is_wide() {
            FORCED_WIDE.set(true);
            run("forced wide");
            FORCED_WIDE.set(false);
        }
    }
}

/// Numbers without an order in them (splitmix64).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From 0 up to 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn many<T>(&mut self, n: usize, mut make: impl FnMut(&mut Numbers) -> T) -> Vec<T> {
        (0..n).map(|_| make(self)).collect()
    }
}

/// Whether two numbers differ by no more than so much of the larger, or of 1.
#[track_caller]
pub(super) fn assert_close(is: f64, expected: f64, tolerance: f64) {
    let scale = is.abs().max(expected.abs()).max(1.0);
    let is_close = (is - expected).abs() <= tolerance * scale || (is.is_nan() && expected.is_nan());
    assert!(is_close, "{is} is not within {tolerance} of {expected}");
}
