#!/usr/bin/env python3
"""How long cells take: from a kernel's start to the first `let`, and small cells once it is warm.

    python tests/bench/cells.py [--rounds 7] [--kernel forkline]

Each round starts a fresh kernel, takes the time from Popen to the end of its first `let`, runs one
cell that is not counted, and then each kind of cell once: from the request to reply and idle. So a
table's row is made of as many samples as there were rounds, each from another process.

Only forkline is measured for now; evcxr_jupyter, in turns on the same machine, comes later. The
kernel is found as Jupyter finds it, by JUPYTER_PATH; needed are jupyter_client and pyzmq.
Results belong into BENCHMARKS.md, with the machine, on which nothing else should be running.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

from front_end import Kernel, machine, median_min_max

FIRST_LET = "let first = vec![1_u8, 2, 3];"
CELLS = {
    "expression": "1 + 1",
    "`let` of a String": 'let s = String::from("abc");',
    "expression on a variable": "s.len()",
    "println!": 'println!("{s}");',
    "rayon sum": "(0..1_000_000_u64).into_par_iter().sum::<u64>()",
    "`let` of a rayon collect": "let v: Vec<u64> = (0..1_000_u64).into_par_iter().map(|i| i * i).collect();",
    "fn definition": "pub fn double(x: u64) -> u64 { 2 * x }",
    "call of that fn": "double(21)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="How long cells take.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kernel", default="forkline")
    options = parser.parse_args()
    print(f"{machine()}\n{options.kernel}, {options.rounds} rounds, each with a fresh kernel; seconds\n")
    samples: dict[str, list[float]] = defaultdict(list)
    memory: list[float] = []
    for _ in range(options.rounds):
        with Kernel(options.kernel) as kernel:
            request = kernel.send("shell", "kernel_info_request", {})
            kernel.reply("shell", request)
            kernel.execute(FIRST_LET)
            samples["start to first `let` done"].append(time.perf_counter() - kernel.started)
            kernel.execute("2 + 2")
            for name, code in CELLS.items():
                samples[name].append(kernel.execute(code))
            memory.append(kernel.resident_mb())
    codes = {"start to first `let` done": FIRST_LET, **CELLS}
    print("| what | cell | median | min | max |")
    print("|---|---|---|---|---|")
    for name, found in samples.items():
        code = codes[name].replace("|", "\\|")
        print(f"| {name} | `{code}` | {median_min_max(found)} |")
    print(f"\nmemory of the kernel's process at the end (MB; median, min, max): {median_min_max(memory, digits=0)}")


if __name__ == "__main__":
    main()
