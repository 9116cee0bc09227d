#!/usr/bin/env python3
"""What the locks of `threads` cost while nobody waits, beside those that they are built on.

    python tests/bench/threads.py [--rounds 9]

All cases run in one worker, in turns, round by round. Each is a loop that takes and gives back one lock. What the
prelude adds is the note of who holds it since which line, which a report of a deadlock needs. Needed are
jupyter_client and pyzmq.
"""

from __future__ import annotations

import json
import statistics

from front_end import Kernel, machine, options

PASSES = 1_000_000
SETUP = f"""
const PASSES: u64 = {PASSES};
fn nanoseconds(mut pass: impl FnMut()) -> f64 {{
    let begun = Instant::now();
    for _ in 0..PASSES {{
        pass();
    }}
    begun.elapsed().as_nanos() as f64 / PASSES as f64
}}
static STD: Mutex<u64> = Mutex::new(0);
static PARKING_LOT: parking_lot::Mutex<u64> = parking_lot::Mutex::new(0);
static REENTRANT: parking_lot::ReentrantMutex<std::cell::Cell<u64>> = parking_lot::ReentrantMutex::new(std::cell::Cell::new(0));
static LOCK: threads::Lock<u64> = threads::Lock::new(0);
static RLOCK: threads::RLock<std::cell::Cell<u64>> = threads::RLock::new(std::cell::Cell::new(0));
static PLACES: threads::Semaphore = threads::Semaphore::new(1);
"""
CASES = {
    "std's Mutex": "*STD.lock().unwrap() += 1",
    "parking_lot's Mutex": "*PARKING_LOT.lock() += 1",
    "threads::Lock": "*LOCK.lock() += 1",
    "parking_lot's ReentrantMutex": "{ let value = REENTRANT.lock(); value.set(value.get() + 1) }",
    "threads::RLock": "{ let value = RLOCK.lock(); value.set(value.get() + 1) }",
    "threads::Semaphore": "drop(PLACES.permit())",
}
RATIOS = [("threads::Lock", "parking_lot's Mutex"), ("threads::RLock", "parking_lot's ReentrantMutex")]


def main() -> None:
    arguments = options("What the locks of `threads` cost.", rounds=9).parse_args()
    print(f"{machine()}\n{arguments.rounds} rounds of {PASSES:,} passes each, in turns in one worker\n")
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    cell = "".join(f'println!("{{}} {{}}", {json.dumps(name)}, nanoseconds(|| {code}));\n' for name, code in CASES.items())
    with Kernel(arguments.kernel) as kernel:
        kernel.execute(SETUP)
        for _ in range(arguments.rounds):
            for line in kernel.printed(cell).splitlines():
                name, _, number = line.rpartition(" ")
                samples[name].append(float(number))
    print("| taken and given back (ns) | median | min | max |\n|---|---|---|---|")
    for name, found in samples.items():
        print(f"| {name} | {statistics.median(found):.1f} | {min(found):.1f} | {max(found):.1f} |")
    print()
    for name, floor in RATIOS:
        ratios = [one / other for one, other in zip(samples[name], samples[floor], strict=True)]
        more = statistics.median(samples[name]) - statistics.median(samples[floor])
        print(f"{name}: {statistics.median(ratios):.2f} times {floor} (median of the rounds), {more:.1f} ns more.")


if __name__ == "__main__":
    main()
