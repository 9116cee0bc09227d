"""The PyOpenCL and NumPy sides of tests/bench/gpu.py: prints `side<TAB>what<TAB>size<TAB>seconds`, the shortest of some rounds."""

import sys
import time

import numpy as np
import pyopencl as cl
import pyopencl.array as cla
from pyopencl.elementwise import ElementwiseKernel
from pyopencl.reduction import ReductionKernel
from pyopencl.scan import InclusiveScanKernel

ROUNDS = 7


def shortest(work) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def report(side: str, what: str, size: int, seconds: float) -> None:
    print(f"{side}\t{what}\t{size}\t{seconds:.9f}", flush=True)


def main() -> None:
    context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    queue = cl.CommandQueue(context)
    rng = np.random.default_rng(1)
    add = ElementwiseKernel(context, "float *out, const float *a, const float *b", "out[i] = a[i] + b[i]", "add")
    fused = ElementwiseKernel(
        context, "float *out, const float *a, const float *b", "out[i] = sqrt(a[i] * a[i] + b[i]) * 0.5f - b[i]", "fused"
    )
    total = ReductionKernel(context, np.float32, "0", "a+b", "x[i]", "const float *x")
    running = InclusiveScanKernel(context, np.float32, "a+b", neutral="0")
    for size in map(int, sys.argv[1:]):
        a, b = rng.random(size, np.float32), rng.random(size, np.float32)
        x, y = cla.to_device(queue, a), cla.to_device(queue, b)
        out = cla.empty_like(x)

        def finished(work):
            def run():
                work()
                queue.finish()

            return run

        report("PyOpenCL", "a + b", size, shortest(finished(lambda: add(out, x, y))))
        report("PyOpenCL", "sqrt(a² + b) / 2 − b", size, shortest(finished(lambda: fused(out, x, y))))
        report("PyOpenCL", "sum", size, shortest(lambda: total(x).get()))
        report("PyOpenCL", "cumulative sum", size, shortest(finished(lambda: running(x, out))))
        host = np.empty_like(a)
        report("NumPy", "a + b", size, shortest(lambda: np.add(a, b, out=host)))
        report("NumPy", "sqrt(a² + b) / 2 − b", size, shortest(lambda: np.sqrt(a * a + b) * np.float32(0.5) - b))
        report("NumPy", "sum", size, shortest(lambda: a.sum()))
        report("NumPy", "cumulative sum", size, shortest(lambda: np.cumsum(a, out=host)))
    for n in (256, 1024):
        a, b = rng.random((n, n), np.float32), rng.random((n, n), np.float32)
        report("NumPy", "matrix product", n, shortest(lambda: a @ b))


main()
