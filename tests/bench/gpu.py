"""Arrays of `forkline::gpu` beside PyOpenCL on the same device, and NumPy and ndarray on the processor.

    python tests/bench/gpu.py                          5 turns, arrays of 1 and 16 million numbers
    python tests/bench/gpu.py --turns 9 --sizes 4096 1000000
    python tests/bench/gpu.py --device cuda            forkline alone, with what a copy within the device reaches

The sides run in turns: a cell of a kernel for forkline (the devices that are named, OpenCL and rayon unless told) and for
ndarray, a Python program for PyOpenCL and NumPy. Each reports the shortest of 7 rounds; shown are medians over the turns in
microseconds, and ratios of forkline on OpenCL to PyOpenCL: below 1 forkline is quicker. Results that are arrays stay on the
device, sums are fetched. PyOpenCL comes from a virtual environment that is made beside the tests' own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Client, start  # noqa: E402
from venvs import python_with  # noqa: E402

COMMON = r"""
fn shortest(mut work: impl FnMut()) -> f64 {
    work();
    (0..7).map(|_| { let begun = Instant::now(); work(); begun.elapsed().as_secs_f64() }).fold(f64::INFINITY, f64::min)
}
fn report(side: &str, what: &str, size: usize, seconds: f64) { println!("{side}\t{what}\t{size}\t{seconds:.9}"); }
"""

ARRAYS = r"""
fn measure(name: &str, sizes: &[usize]) -> gpu::GpuResult<()> {
    let device = gpu::device(name)?;
    let side = format!("forkline {name}");
    device.scope(|| -> gpu::GpuResult<()> {
        for &size in sizes {
            let mut random = gpu::random(1);
            let (a, b) = (random.uniform::<f32>(size)?, random.uniform::<f32>(size)?);
            let run = |what: &str, work: &dyn Fn() -> gpu::GpuResult<gpu::Array<f32>>| {
                report(&side, what, size, shortest(|| { work().unwrap(); device.finish().unwrap(); }));
            };
            run("copy", &|| a.copy());
            run("a + b", &|| gpu::zip((&a, &b), |(a, b)| a + b));
            run("sqrt(a² + b) / 2 − b", &|| gpu::zip((&a, &b), |(a, b)| (a * a + b).sqrt() * 0.5 - b));
            report(&side, "sum", size, shortest(|| { std::hint::black_box(a.sum().unwrap()); }));
            run("cumulative sum", &|| a.cumsum());
        }
        for n in [256, 1024] {
            let mut random = gpu::random(1);
            let (a, b) = (random.uniform::<f32>([n, n])?, random.uniform::<f32>([n, n])?);
            report(&side, "matrix product", n, shortest(|| { a.matmul(&b).unwrap(); device.finish().unwrap(); }));
        }
        Ok(())
    })
}
"""

NDARRAY = r"""
fn measure_ndarray(sizes: &[usize]) {
    use ndarray::{Array1, Array2, Zip};
    for &size in sizes {
        let a = Array1::from_shape_fn(size, |i| (i % 1000) as f32 * 0.001);
        let b = Array1::from_shape_fn(size, |i| (i % 777) as f32 * 0.001);
        let mut out = Array1::<f32>::zeros(size);
        report("ndarray", "a + b", size, shortest(|| Zip::from(&mut out).and(&a).and(&b).for_each(|out, &a, &b| *out = a + b)));
        report("ndarray", "sqrt(a² + b) / 2 − b", size, shortest(|| Zip::from(&mut out).and(&a).and(&b)
            .for_each(|out, &a, &b| *out = (a * a + b).sqrt() * 0.5 - b)));
        report("ndarray", "sum", size, shortest(|| { std::hint::black_box(a.sum()); }));
    }
    for n in [256, 1024] {
        let a = Array2::from_shape_fn((n, n), |(i, j)| (i + j) as f32 * 0.001);
        let b = Array2::from_shape_fn((n, n), |(i, j)| (i * j % 100) as f32 * 0.01);
        report("ndarray", "matrix product", n, shortest(|| { std::hint::black_box(a.dot(&b)); }));
    }
}
"""

Times = dict[tuple[str, int], dict[str, list[float]]]


def python_with_pyopencl() -> Path:
    return python_with("pyopencl", "import pyopencl, numpy, mako", "pyopencl", "numpy", "mako")


def take(times: Times, text: str) -> None:
    for line in text.splitlines():
        if line.count("\t") == 3:
            side, what, size, seconds = line.split("\t")
            times[what, int(size)][side].append(float(seconds))


def show(times: Times, turns: int) -> None:
    sides = sorted({side for row in times.values() for side in row}, key=lambda side: (not side.startswith("forkline"), side))
    print(f"{turns} turns; microseconds\n")
    has_ratio = "PyOpenCL" in sides and "forkline opencl" in sides
    print(f"{'what':<22} {'size':>9}" + "".join(f" {side:>16}" for side in sides) + (f" {'to PyOpenCL':>12}" if has_ratio else ""))
    for (what, size), row in times.items():
        medians = {side: statistics.median(values) for side, values in row.items()}
        cells = "".join(f" {medians[side] * 1e6:16.1f}" if side in medians else f" {'':>16}" for side in sides)
        ratio = ""
        if has_ratio and "PyOpenCL" in medians and "forkline opencl" in medians:
            ratio = f" {medians['forkline opencl'] / medians['PyOpenCL']:12.2f}"
        print(f"{what:<22} {size:>9}{cells}{ratio}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 16_000_000])
    parser.add_argument("--device", nargs="+", default=["opencl", "rayon"])
    options = parser.parse_args()
    with_others = "opencl" in options.device
    sizes = ", ".join(map(str, options.sizes))
    times: Times = defaultdict(lambda: defaultdict(list))
    kernel: Client = start()
    kernel.run(COMMON)
    kernel.run(ARRAYS)
    if with_others:
        # Its crates may have the prelude compiled again, with other features.
        kernel.run(":dep ndarray", timeout=600)
        kernel.run(NDARRAY)
        python = python_with_pyopencl()
    for _ in range(options.turns):
        for device in options.device:
            take(times, kernel.run(f'measure("{device}", &[{sizes}])?;', timeout=600).stdout)
        if with_others:
            take(times, kernel.run(f"measure_ndarray(&[{sizes}]);", timeout=600).stdout)
            command = [python, HERE / "gpu/opencl.py", *map(str, options.sizes)]
            take(times, subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    kernel.close()
    show(times, options.turns)


if __name__ == "__main__":
    main()
