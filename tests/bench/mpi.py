"""Compares messages of `forkline::mpi` with the same in C, compiled by mpicc: latency, bandwidth, a small reduction.

    python tests/bench/mpi.py            5 turns of each, 2 ranks
    python tests/bench/mpi.py --turns 9 --ranks 4

The two programs (`tests/mpi/ranks`, `tests/mpi/ping.c`) run in turns; each reports the shortest of 15 rounds, and here the
medians over the turns are shown, in nanoseconds, with the ratio of the two. The reference is the repository's own build.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "mpi")]

import test_mpi as mpi  # noqa: E402


def measured(command: list[str], environment: dict[str, str]) -> dict[tuple[str, int], float]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2)
    return {(name, int(size)): float(time) for name, size, time in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    options = parser.parse_args()
    mpi.cargo(mpi.HERE / "ranks", "rustc", "--release", "--locked", "--quiet", "--", "-C", "prefer-dynamic")
    mpi.cargo(mpi.ROOT / "prelude/mpi", "build", "--release", "--locked", "--quiet")
    environment = mpi.environment(mpi.target() / "release/libforkline_mpi.so")
    ours, theirs = defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "ping"
        subprocess.run(["mpicc", "-O2", "-o", reference, mpi.HERE / "ping.c"], check=True)
        start = mpi.launcher(options.ranks)
        for _ in range(options.turns):
            for times, command, env in [
                (ours, [*start, str(mpi.target() / "release/ranks"), "timing"], environment),
                (theirs, [*start, str(reference)], dict(os.environ)),
            ]:
                for key, time in measured(command, env).items():
                    times[key].append(time)
    print(f"{'call':<20} {'bytes':>9} {'forkline ns':>12} {'C ns':>12} {'ratio':>6}")
    for (name, size), times in ours.items():
        mine = statistics.median(times)
        in_c = statistics.median(theirs[name, size]) if (name, size) in theirs else None
        rest = f"{in_c:12.1f} {mine / in_c:6.2f}" if in_c else ""
        print(f"{name:<20} {size:>9} {mine:12.1f} {rest}".rstrip())


if __name__ == "__main__":
    main()
