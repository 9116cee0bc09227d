#!/usr/bin/env python3
"""How long the debugger takes to attach and to step, and what a cell costs while it is on.

    python tests/bench/debugger.py [--rounds 20]

One kernel, one front end, over the sockets. Attaching is counted from the request to its reply, in which LLDB is started
and has read the worker's libraries; a step from the request to the event that says where the thread stands. Needed are
lldb-19 and what the tests need.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "debugger")]

import dap  # noqa: E402
import harness  # noqa: E402
from front_end import machine, options  # noqa: E402

LOOP = "let mut sum = 0u64;\nfor n in 0..1000u64 {\n    sum += n;\n    sum ^= 1;\n}\nsum"
# Milliseconds.
TARGETS = {"attach": 1000.0, "step": 100.0}


def main() -> None:
    arguments = options(__doc__.splitlines()[0], rounds=20).parse_args()
    if dap.find_adapter() is None:
        sys.exit("no lldb-dap 18.1 or newer is on PATH (apt-get install lldb-19)")
    samples: dict[str, list[float]] = {name: [] for name in ("attach", "step", "cell, off", "cell, on", "stack")}

    def timed(name: str, body) -> None:
        begun = time.perf_counter()
        body()
        samples[name].append((time.perf_counter() - begun) * 1e3)

    kernel = harness.start(arguments.kernel)
    try:
        debugger = dap.Debugger(kernel)
        for number in range(arguments.rounds):
            timed("cell, off", lambda: kernel.run(f"{number} + 1_000"))
            debugger.ask("initialize")
            timed("attach", lambda: debugger.ask("attach"))
            # The first cell finds the compiler's libraries and LLDB's caches cold.
            kernel.run("()")
            timed("cell, on", lambda: kernel.run(f"{number} + 2_000"))
            if number + 1 < arguments.rounds:
                debugger.stop()
        debugger.set_breakpoints(LOOP, 3)
        request = kernel.start_execute(LOOP)
        thread = debugger.wait_stop("breakpoint")
        debugger.set_breakpoints(LOOP)

        def step() -> None:
            debugger.ask("next", threadId=thread)
            debugger.wait_stop("step")

        for _ in range(arguments.rounds):
            timed("step", step)
            timed("stack", lambda: debugger.stack(thread))
        debugger.go(thread)
        kernel.collect(request)
    finally:
        kernel.close()
    print(f"{machine()}\n{arguments.rounds} rounds\n")
    print("| ms | median | min | max | target |\n|---|---|---|---|---|")
    for name, found in samples.items():
        target = TARGETS.get(name)
        middle = statistics.median(found)
        verdict = "" if target is None else f"{target:.0f}: {'met' if middle < target else 'not met'}"
        print(f"| {name} | {middle:.1f} | {min(found):.1f} | {max(found):.1f} | {verdict} |")


if __name__ == "__main__":
    main()
