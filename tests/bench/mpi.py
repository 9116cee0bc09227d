"""Messages of `forkline::mpi` beside the same in C and in mpi4py, and what a launch costs.

    python tests/bench/mpi.py                       5 turns of each, 2 ranks
    python tests/bench/mpi.py --turns 9 --ranks 4
    python tests/bench/mpi.py --only launch         or --only messages

The three programs (`tests/mpi/ranks`, `ping.c`, `ping.py`) run in turns; each reports the shortest of 15 rounds, and here the
medians over the turns are shown, in microseconds for one call or one way, with ratios: below 1 forkline is quicker. A cell
compiles to the code of the first program. The prelude's plugin is the repository's own build; mpi4py comes from a virtual
environment that is made beside the tests' own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "mpi")]

import test_mpi as mpi  # noqa: E402
from venvs import python_with  # noqa: E402

Times = dict[tuple[str, int], list[float]]


def python_with_mpi4py() -> Path:
    # From source, against the library that the others use.
    return python_with("mpi4py", "import mpi4py, numpy", "--no-binary=mpi4py", "mpi4py", "numpy")


def measured(command: list[str], environment: dict[str, str]) -> dict[tuple[str, int], float]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2)
    return {(name, int(size)): float(time) for name, size, time in rows}


def compile_c(folder: Path) -> Path:
    program = folder / "ping"
    subprocess.run(["mpicc", "-O2", "-o", program, mpi.HERE / "ping.c"], check=True)
    return program


def messages(turns: int, ranks: int, folder: Path) -> None:
    mpi.cargo(mpi.HERE / "ranks", "rustc", "--release", "--locked", "--quiet", "--", "-C", "prefer-dynamic")
    mpi.cargo(mpi.ROOT / "prelude/mpi", "build", "--release", "--locked", "--quiet")
    start = mpi.launcher(ranks)
    plain = dict(os.environ)
    programs = {
        "forkline": ([str(mpi.target() / "release/ranks"), "timing"], mpi.environment(mpi.target() / "release/libforkline_mpi.so")),
        "C": ([str(compile_c(folder))], plain),
        "mpi4py": ([str(python_with_mpi4py()), str(mpi.HERE / "ping.py")], plain),
    }
    times: dict[str, Times] = {name: defaultdict(list) for name in programs}
    for _ in range(turns):
        for name, (command, environment) in programs.items():
            for key, value in measured([*start, *command], environment).items():
                times[name][key].append(value)
    print(f"{ranks} ranks, {turns} turns; microseconds\n")
    print(f"{'call':<18} {'bytes':>9} {'forkline':>10} {'C':>10} {'mpi4py':>10} {'to C':>7} {'to mpi4py':>10}")
    for name, size in times["forkline"]:
        mine = statistics.median(times["forkline"][name, size])
        plain_name = name.removesuffix(" checked")
        others = [times[other].get((plain_name, size)) for other in ("C", "mpi4py")]
        medians = [statistics.median(values) if values else None for values in others]
        shown = "".join(f" {value / 1e3:10.2f}" if value else f" {'':>10}" for value in medians)
        ratios = "".join(f" {mine / value:{width}.2f}" if value else f" {'':>{width}}" for value, width in zip(medians, (7, 10)))
        print(f"{name:<18} {size:>9} {mine / 1e3:10.2f}{shown}{ratios}".rstrip())


def launches(turns: int, folder: Path) -> None:
    from harness import start

    hello = [*mpi.launcher(4), str(compile_c(folder)), "hello"]
    kernel = start(cwd=folder)
    kernel.run("%%mpi -n 4\nlet begun = mpi::world()?.rank();")
    found: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, body) -> None:
        begun = time.perf_counter()
        body()
        found[name].append((time.perf_counter() - begun) * 1e3)

    for turn in range(turns):
        # Constants of their own, or the second would be found among those compiled before.
        timed("an ordinary cell", lambda: kernel.run(f"std::hint::black_box({turn}001);"))
        timed("the same on a running group of 4", lambda: kernel.run(f"%%mpi\nstd::hint::black_box({turn}002);"))
        timed("a fresh group of 4, and MPI's start", lambda: kernel.run("%%mpi -n 4 --fresh\nlet begun = mpi::world()?.rank();"))
        timed("mpiexec -n 4 of a hello in C", lambda: subprocess.run(hello, check=True, capture_output=True))
    kernel.close()
    print(f"\n{turns} turns; milliseconds, the median\n")
    for name, values in found.items():
        print(f"{name:<38} {statistics.median(values):8.1f}")
    medians = [statistics.median(values) for values in found.values()]
    print(f"\na cell on the group adds {medians[1] - medians[0]:.1f} ms; a fresh group takes {medians[2] / medians[3]:.2f} of mpiexec")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--only", choices=["messages", "launch"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "launch":
            messages(options.turns, options.ranks, Path(folder))
        if options.only != "messages":
            launches(options.turns, Path(folder))


if __name__ == "__main__":
    main()
