#!/usr/bin/env python3
"""What measuring itself costs: spans of a trace, bars, and the check for an interrupt, for each item.

    python tests/bench/measuring.py [--rounds 7]

All cases run in one worker, in turns, round by round: first the empty loop and a look at the clock, the
yardsticks; then what the prelude adds to each pass of a loop. Times are those that the cell itself takes
with `Instant` around a loop of many passes. Needed are jupyter_client and pyzmq.
"""

from __future__ import annotations

import json
import statistics

from front_end import Kernel, machine, options

PASSES = 200_000
SETUP = f"""
const PASSES: u64 = {PASSES};
fn nanoseconds(pass: impl FnOnce()) -> f64 {{
    let begun = Instant::now();
    pass();
    begun.elapsed().as_nanos() as f64 / PASSES as f64
}}
"""
# One line each: what is timed is a whole loop of PASSES passes.
CASES = {
    "empty loop": "nanoseconds(|| for i in 0..PASSES { std::hint::black_box(i); })",
    "a look at the clock": "nanoseconds(|| for _ in 0..PASSES { std::hint::black_box(Instant::now()); })",
    "span, nobody records": 'nanoseconds(|| for _ in 0..PASSES { drop(std::hint::black_box(trace::span("x"))); })',
    "span, recorded": '{ trace::start(); let time = nanoseconds(|| for _ in 0..PASSES { drop(std::hint::black_box(trace::span("x"))); }); trace::stop(); time }',
    "loop with a bar": "nanoseconds(|| for i in progress(0..PASSES) { std::hint::black_box(i); })",
}


def main() -> None:
    arguments = options("What measuring itself costs.", rounds=7).parse_args()
    print(f"{machine()}\n{arguments.rounds} rounds of {PASSES:,} passes each, in turns in one worker\n")
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    cell = "".join(f'println!("{{}} {{}}", {json.dumps(name)}, {code});\n' for name, code in CASES.items())
    with Kernel(arguments.kernel) as kernel:
        kernel.execute(SETUP)
        for _ in range(arguments.rounds):
            for line in kernel.printed(cell).splitlines():
                name, _, number = line.rpartition(" ")
                samples[name].append(float(number))
    print("| for each pass (ns) | median | min | max | above the empty loop |\n|---|---|---|---|---|")
    floor = statistics.median(samples["empty loop"])
    for name, found in samples.items():
        median = statistics.median(found)
        print(f"| {name} | {median:.1f} | {min(found):.1f} | {max(found):.1f} | {median - floor:.1f} |")
    span = statistics.median(samples["span, recorded"]) - floor
    print(f"\nA recorded span: {span:.0f} ns, target under 100: {'met' if span < 100 else 'not met'}.")


if __name__ == "__main__":
    main()
