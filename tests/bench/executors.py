#!/usr/bin/env python3
"""Pools of threads and processes beside CPython's: whole programs and many small tasks, in turns.

    python tests/bench/executors.py [--rounds 5] [--kernel forkline]

Each round runs every case once here (CPython's concurrent.futures) and once in a cell, one after the other, so that
what changes on the machine meets both. Times are wall-clock times read inside of the program, without the start of
an interpreter or the compilation of a cell.

* count       ten jobs that each count to 10,000,000: sequential, 2 and 5 threads, 5 processes
* lists       ten lists of 1,000,000 random numbers in [0, 1): sequential, 10 threads, 10 processes
* small       a map of 10,000 tasks that do next to nothing: 4 threads, 4 processes (CPython's with chunks of one, as its
              executor has them, and of 100, for which ours has `processes::Pool`)

Needed are jupyter_client and pyzmq, and a machine with nothing else to do.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Callable

from front_end import Kernel, machine, options

COUNT = 10_000_000
LENGTH = 1_000_000
SMALL = 10_000


def count(number: int) -> int:
    done = 0
    while done < COUNT:
        done += 1
    return done * number


def random_list(seed: int) -> float:
    source = random.Random(seed)
    return sum([source.random() for _ in range(LENGTH)])


def small(number: int) -> int:
    return number + 1


def pooled(pool: Callable[[], Executor], function: Callable[[int], object], items: range, **options: int) -> Callable[[], object]:
    def run() -> object:
        with pool() as executor:
            return list(executor.map(function, items, **options))

    return run


def threads(workers: int) -> Callable[[], Executor]:
    return lambda: ThreadPoolExecutor(workers)


def processes(workers: int) -> Callable[[], Executor]:
    return lambda: ProcessPoolExecutor(workers)


ITEMS = range(1, 11)
PYTHON: dict[str, Callable[[], object]] = {
    "count, sequential": lambda: [count(n) for n in ITEMS],
    "count, 2 threads": pooled(threads(2), count, ITEMS),
    "count, 5 threads": pooled(threads(5), count, ITEMS),
    "count, 5 processes": pooled(processes(5), count, ITEMS),
    "lists, sequential": lambda: [random_list(n) for n in ITEMS],
    "lists, 10 threads": pooled(threads(10), random_list, ITEMS),
    "lists, 10 processes": pooled(processes(10), random_list, ITEMS),
    "small, 4 threads": pooled(threads(4), small, range(SMALL)),
    "small, 4 processes": pooled(processes(4), small, range(SMALL)),
    "small, 4 processes, chunks of 100": pooled(processes(4), small, range(SMALL), chunksize=100),
}

SETUP = f"""
use executors::{{ProcessPool, ThreadPool}};

fn count(number: u64) -> u64 {{
    let mut done = 0;
    while done < {COUNT} {{
        done = std::hint::black_box(done + 1);
    }}
    done * number
}}

fn random_list(seed: u64) -> f64 {{
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let list: Vec<f64> = (0..{LENGTH})
        .map(|_| {{
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }})
        .collect();
    std::hint::black_box(&list).iter().sum()
}}

fn small(number: u64) -> u64 {{
    number + 1
}}

fn seconds<R>(run: impl FnOnce() -> R) -> f64 {{
    let begun = Instant::now();
    std::hint::black_box(run());
    begun.elapsed().as_secs_f64()
}}
"""
# The pool is made and ended inside of the time, as CPython's `with` does it.
CELLS = {
    "count, sequential": "(1..=10).map(count).collect::<Vec<_>>()",
    "count, 5 threads": "ThreadPool::new(5).map(count, 1..=10).map(Result::unwrap).collect::<Vec<_>>()",
    "count, 2 threads": "ThreadPool::new(2).map(count, 1..=10).map(Result::unwrap).collect::<Vec<_>>()",
    "count, 5 processes": "ProcessPool::new(5).map(count, 1..=10).map(Result::unwrap).collect::<Vec<_>>()",
    "lists, sequential": "(1..=10).map(random_list).collect::<Vec<_>>()",
    "lists, 10 threads": "ThreadPool::new(10).map(random_list, 1..=10).map(Result::unwrap).collect::<Vec<_>>()",
    "lists, 10 processes": "ProcessPool::new(10).map(random_list, 1..=10).map(Result::unwrap).collect::<Vec<_>>()",
    "small, 4 processes": f"ProcessPool::new(4).map(small, 0..{SMALL}).map(Result::unwrap).collect::<Vec<_>>()",
    "small, 4 processes, chunks of 100": f"processes::Pool::new(4).unwrap().map_chunked(small, 0..{SMALL}, 100).unwrap()",
    "small, 4 threads": f"ThreadPool::new(4).map(small, 0..{SMALL}).map(Result::unwrap).collect::<Vec<_>>()",
}


def main() -> None:
    arguments = options("Pools of threads and processes beside CPython's.", rounds=5).parse_args()
    print(f"{machine()}\n{arguments.rounds} rounds, in turns\n")
    python: dict[str, list[float]] = {name: [] for name in PYTHON}
    cells: dict[str, list[float]] = {name: [] for name in CELLS}
    with Kernel(arguments.kernel) as kernel:
        kernel.execute(SETUP)
        for _ in range(arguments.rounds):
            for name, run in PYTHON.items():
                begun = time.perf_counter()
                run()
                python[name].append(time.perf_counter() - begun)
                if code := CELLS.get(name):
                    cells[name].append(float(json.loads(kernel.printed(f'println!("{{}}", seconds(|| {code}));'))))
    print("| seconds | CPython | min to max | forkline | min to max | ratio |\n|---|---|---|---|---|---|")
    for name, found in python.items():
        median = statistics.median(found)
        row = f"| {name} | {median:.4f} | {min(found):.4f} to {max(found):.4f} |"
        if own := cells.get(name):
            ours = statistics.median(own)
            print(f"{row} {ours:.4f} | {min(own):.4f} to {max(own):.4f} | {median / ours:.1f} |")
        else:
            print(f"{row} | | |")
    one, two = (statistics.median(cells[f"count, {how}"]) for how in ("sequential", "2 threads"))
    print(f"\nforkline's 2 threads count {one / two:.2f} times as fast as one")


if __name__ == "__main__":
    main()
