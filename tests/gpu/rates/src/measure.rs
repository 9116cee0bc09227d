//! What the device reaches in a second: the shortest of some rounds, by the host's clock around work that is waited for.

use std::time::Instant;

use forkline::gpu::{self, Device, GpuResult};

const ROUNDS: usize = 10;

/// The shortest time of `work`, in seconds; it is run once before.
fn shortest(device: Device, mut work: impl FnMut() -> GpuResult<()>) -> GpuResult<f64> {
    work()?;
    device.finish()?;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        work()?;
        device.finish()?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Measures with arrays of so many bytes, and prints a table.
pub fn all(device: Device, bytes: usize) -> GpuResult<()> {
    let n = bytes / 4;
    let mut random = gpu::random(1);
    let (a, b) = (random.uniform::<f32>(n)?, random.uniform::<f32>(n)?);
    println!(
        "Rates with arrays of {} MiB, the best of {ROUNDS} rounds:\n",
        bytes >> 20
    );
    println!("| what | ms | GB/s | of copy | GFLOP/s |\n|---|---|---|---|---|");
    let mut copy_rate = 0.0;
    let mut row = |what: &str, seconds: f64, moved: usize, operations: f64| {
        let rate = moved as f64 / seconds * 1e-9;
        if what == "copy within the device" {
            copy_rate = rate;
        }
        let share = if moved > 0 && copy_rate > 0.0 {
            format!("{:.0} %", 100.0 * rate / copy_rate)
        } else {
            String::new()
        };
        let rate = if moved > 0 {
            format!("{rate:.1}")
        } else {
            String::new()
        };
        let flops = if operations > 0.0 {
            format!("{:.1}", operations / seconds * 1e-9)
        } else {
            String::new()
        };
        println!(
            "| {what} | {:.4} | {rate} | {share} | {flops} |",
            seconds * 1e3
        );
    };
    let each = n as f64;
    row(
        "copy within the device",
        shortest(device, || a.copy().map(drop))?,
        2 * bytes,
        0.0,
    );
    let seconds = shortest(device, || gpu::zip((&a, &b), |(a, b)| a + b).map(drop))?;
    row("a + b", seconds, 3 * bytes, each);
    let seconds = shortest(device, || {
        gpu::zip((&a, &b), |(a, b)| (a * a + b).sqrt() * 0.5 - b).map(drop)
    })?;
    row("√(a² + b) / 2 − b", seconds, 3 * bytes, 5.0 * each);
    row("sum", shortest(device, || a.sum().map(drop))?, bytes, each);
    row(
        "dot product",
        shortest(device, || a.dot(&b).map(drop))?,
        2 * bytes,
        2.0 * each,
    );
    row("max", shortest(device, || a.max().map(drop))?, bytes, each);
    row(
        "cumulative sum",
        shortest(device, || a.cumsum().map(drop))?,
        2 * bytes,
        each,
    );
    row(
        "uniform random numbers",
        shortest(device, || random.uniform::<f32>(n).map(drop))?,
        bytes,
        0.0,
    );
    let part = a.slice(..n.min(1 << 24))?.copy()?;
    row(
        "sort (at most 16 Mi)",
        shortest(device, || part.sort().map(drop))?,
        0,
        0.0,
    );
    for size in [1024, 4096] {
        if size == 4096 && !matches!(device.kind(), gpu::Kind::Cuda | gpu::Kind::OpenClGpu) {
            continue;
        }
        let (x, y) = (
            random.uniform::<f32>([size, size])?,
            random.uniform::<f32>([size, size])?,
        );
        let operations = 2.0 * (size as f64).powi(3);
        let seconds = shortest(device, || x.matmul(&y).map(drop))?;
        row(
            &format!("matrix product {size} x {size}"),
            seconds,
            0,
            operations,
        );
    }
    let host = a.to_vec()?;
    let seconds = shortest(device, || gpu::array(&host).map(drop))?;
    row("host to device", seconds, bytes, 0.0);
    row(
        "device to host",
        shortest(device, || a.to_vec().map(drop))?,
        bytes,
        0.0,
    );
    let few = gpu::zeros::<f32>(1)?;
    row(
        "a launch, waited for",
        shortest(device, || few.copy().map(drop))?,
        0,
        0.0,
    );
    println!();
    Ok(())
}
