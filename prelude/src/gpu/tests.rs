//! The same tests on every device that is there: rayon always, OpenCL and CUDA where a driver and its plugin are. What is
//! made for wide devices runs on others too.

mod arrays;
mod closures;
mod elementwise;
mod examples;
mod inputs;
mod matmul;
mod random;
mod reductions;
mod scans;
mod sorting;
mod sources;

use super::device::FORCED_WIDE;
use super::*;

/// Runs a test with each device as the default, best first, and says which.
pub(super) fn on_each(test: impl Fn(Device) -> GpuResult<()>) {
    for device in devices() {
        run(device, &test);
        if device.dialect().is_some() && !device.is_wide() {
            FORCED_WIDE.set(true);
            run(device, &test);
            FORCED_WIDE.set(false);
        }
    }
}

fn run(device: Device, test: &impl Fn(Device) -> GpuResult<()>) {
    let way = if device.is_wide() {
        ", in many work items"
    } else {
        ""
    };
    if let Err(error) = device.scope(|| test(device)) {
        panic!("on {device}{way}: {error}");
    }
    println!("passed on {device}{way}");
}

/// Fresh numbers, and the seed that they came from: show it where a test fails.
pub(super) struct Fresh {
    pub seed: u64,
    state: u64,
}

impl Fresh {
    pub(super) fn new() -> Fresh {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = now.map_or(1, |time| time.as_nanos() as u64) | 1;
        Fresh { seed, state: seed }
    }

    /// Any number (by splitmix64).
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from −`size` to `size`.
    pub(super) fn number(&mut self, size: f64) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 * size - size
    }
}
