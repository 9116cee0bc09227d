#!/usr/bin/env python3
"""How soon the kernel says who it is: from the start of its process, and while it is at work.

    python tests/bench/kernel_info.py [--rounds 10] [--kernel forkline] [--yardstick python3]

Each round starts a kernel and its yardstick in turns. Four things are measured:

* start: from just before Popen to the kernel_info reply;
* warming up: requests in the first second after that, while forkline's engine starts behind it;
* busy, shell and busy, control: requests while a cell runs an endless loop, on the two sockets.

One round before the first is not counted: it brings programs and libraries into memory. The kernels
are found as Jupyter finds them, by JUPYTER_PATH; needed are jupyter_client, pyzmq and the kernels.
Results belong into BENCHMARKS.md, with the machine, on which nothing else should be running.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict

from front_end import Kernel, NoAnswer, machine, median_min_max

LOOPS = {
    "rust": 'println!("started"); loop { std::hint::spin_loop(); }',
    "python": 'print("started", flush=True)\nwhile True: pass',
}
REQUESTS = 10
# A kernel that serves its shell socket between cells only would keep us waiting for ever.
PATIENCE = 2.0

Samples = dict[tuple[str, str], list[float]]


def one_round(name: str, samples: Samples) -> None:
    with Kernel(name) as kernel:
        request = kernel.send("shell", "kernel_info_request", {})
        samples[name, "start"].append(kernel.reply("shell", request) - kernel.started)
        for _ in range(REQUESTS):
            time.sleep(0.08)
            samples[name, "warming up"].append(kernel.kernel_info())
        loop = LOOPS["python" if name.startswith("python") else "rust"]
        kernel.wait_printed(kernel.start_cell(loop), "started")
        # The control socket first: on the other one a request may stay unanswered.
        for channel in ("control", "shell"):
            for _ in range(REQUESTS):
                try:
                    samples[name, f"busy, {channel}"].append(kernel.kernel_info(channel, PATIENCE))
                except NoAnswer:
                    break


def main() -> None:
    parser = argparse.ArgumentParser(description="How soon the kernel says who it is.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--kernel", default="forkline")
    parser.add_argument("--yardstick", default="python3", help="another kernel, started in turns (none: leave it out)")
    options = parser.parse_args()
    names = [options.kernel] + ([options.yardstick] if options.yardstick != "none" else [])
    print(f"{machine()}\n{options.rounds} rounds in turns; milliseconds\n")
    samples: Samples = defaultdict(list)
    for number in range(options.rounds + 1):
        for name in names if number % 2 else reversed(names):
            one_round(name, samples if number else defaultdict(list))
    print("| kernel_info | kernel | median | min | max | samples |")
    print("|---|---|---|---|---|---|")
    for what in ("start", "warming up", "busy, shell", "busy, control"):
        for name in names:
            found = samples.get((name, what))
            row = f"{median_min_max(found, 1000, 1)} | {len(found)}" if found else f"no answer in {PATIENCE:.0f} s | | | 0"
            print(f"| {what} | {name} | {row} |")
    for what in ("start", "warming up", "busy, shell", "busy, control"):
        both = [samples.get((name, what)) for name in names]
        if len(both) == 2 and all(both):
            ratio = statistics.median(both[1]) / statistics.median(both[0])
            print(f"\n{what}: median of {names[1]} / median of {names[0]} = {ratio:.1f}")


if __name__ == "__main__":
    main()
