#!/usr/bin/env python3
"""What processes and what they share cost, beside the standard library of CPython, on the same machine and work.

    python tests/bench/processes.py [--rounds 5] [--cases queue pool]

Both sides do the same: a parent and child processes of two that work at the same time. Ours runs in cells of a
real kernel, the other in a Python of its own for each measurement. They take turns, round by round, and each
round gives a ratio; the table has the median of both times and of the ratios, with their smallest and largest.
Children of the other side are forked, the fastest way that it has, unless a case says otherwise. The time of
starting is not in what is sent, only where it is the case itself. Needed are jupyter_client and pyzmq.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import statistics
import subprocess
import sys
import time

SMALL, LARGE = 64, 1 << 20

SETUP = """
use processes::{Barrier, Lock, Manager, Pool, Queue, Receiver, Sender, Value};

pub fn put(queue: Queue<Vec<u8>>, size: usize, count: usize) {
    let message = vec![7_u8; size];
    for _ in 0..count { queue.put(message.clone()).unwrap(); }
}

pub fn send(pipe: Sender<Vec<u8>>, size: usize, count: usize) {
    let message = vec![7_u8; size];
    for _ in 0..count { pipe.send(message.clone()).unwrap(); }
}

pub fn echo(requests: Queue<u32>, answers: Queue<u32>, count: usize) {
    for _ in 0..count { answers.put(requests.get().unwrap()).unwrap(); }
}

pub fn meet(barrier: Barrier, count: usize) {
    for _ in 0..count { barrier.wait().unwrap(); }
}

pub fn add(value: Value<u64>, lock: Lock, barrier: Barrier, count: usize) {
    barrier.wait().unwrap();
    for _ in 0..count {
        let _guard = lock.lock();
        let seen = value.get();
        value.set(seen + 1);
    }
}

pub fn square(n: u64) -> u64 { n * n }
pub fn nothing() {}

/// Seconds of one of so many; what comes first is not counted.
fn each(count: usize, first: impl FnOnce(), rest: impl FnOnce()) -> f64 {
    first();
    let begun = Instant::now();
    rest();
    begun.elapsed().as_secs_f64() / count as f64
}
"""


def _queue(size: int, count: int) -> str:
    return f"""{{
    let queue = Queue::new();
    let process = processes::spawn(put, (queue.clone(), {size}, {count} + 1))?;
    let time = each({count}, || drop(queue.get().unwrap()), || for _ in 0..{count} {{ assert_eq!(queue.get().unwrap().len(), {size}); }});
    process.join()?;
    println!("{{time:e}}");
}}"""


def _pipe(size: int, count: int) -> str:
    return f"""{{
    let (sender, receiver) = processes::pipe();
    let process = processes::spawn(send, (sender, {size}, {count} + 1))?;
    let time = each({count}, || drop(receiver.recv().unwrap()), || for _ in 0..{count} {{ assert_eq!(receiver.recv().unwrap().len(), {size}); }});
    process.join()?;
    println!("{{time:e}}");
}}"""


POOL = """{
    let pool = Pool::new(2)?;
    assert_eq!(pool.map(square, 0..10_000_u64)?.iter().sum::<u64>(), 333_283_335_000);
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(pool.map(square, 0..10_000_u64)?.len(), 10_000);
    }
    let time = begun.elapsed().as_secs_f64() / 50_000.0;
    println!("{time:e}");
}"""

EXECUTOR = """{
    use executors::Executor as _;
    let pool = executors::ProcessPool::new(2);
    assert_eq!(pool.map(square, 0..100_u64).count(), 100);
    let begun = Instant::now();
    let squares: Vec<u64> = pool.map(square, 0..10_000_u64).collect::<Result<_, _>>()?;
    let time = begun.elapsed().as_secs_f64() / 10_000.0;
    assert_eq!(squares.iter().sum::<u64>(), 333_283_335_000);
    println!("{time:e}");
}"""

# For each case what one of its units is, and our side; the other side is the function of the same name below.
CASES: dict[str, tuple[str, str]] = {
    "queue, 64 bytes": ("message", _queue(SMALL, 1_000_000)),
    "queue, 1 MiB": ("message", _queue(LARGE, 500)),
    "queue, there and back": (
        "round trip",
        """{
    let (requests, answers) = (Queue::new(), Queue::new());
    let process = processes::spawn(echo, (requests.clone(), answers.clone(), 3001))?;
    let one = |n| { requests.put(n).unwrap(); assert_eq!(answers.get().unwrap(), n); };
    let time = each(3000, || one(0), || for n in 0..3000 { one(n); });
    process.join()?;
    println!("{time:e}");
}""",
    ),
    "pipe, 64 bytes": ("message", _pipe(SMALL, 100_000)),
    "pipe, 1 MiB": ("message", _pipe(LARGE, 300)),
    "barrier of 2": (
        "round",
        """{
    let barrier = Barrier::new(2);
    let process = processes::spawn(meet, (barrier.clone(), 3001))?;
    let time = each(3000, || drop(barrier.wait().unwrap()), || meet(barrier.clone(), 3000));
    process.join()?;
    println!("{time:e}");
}""",
    ),
    "lock, one process": (
        "lock and release",
        """{
    let lock = Lock::new();
    println!("{:e}", each(100_000, || drop(lock.lock()), || for _ in 0..100_000 { drop(lock.lock()); }));
}""",
    ),
    "lock, two processes": (
        "addition under the lock",
        """{
    let (value, lock, barrier) = (Value::new(0), Lock::new(), Barrier::new(2));
    let process = processes::spawn(add, (value.clone(), lock.clone(), barrier.clone(), 20_000))?;
    barrier.wait().unwrap();
    let begun = Instant::now();
    for _ in 0..20_000 { let _guard = lock.lock(); let seen = value.get(); value.set(seen + 1); }
    process.join()?;
    let time = begun.elapsed().as_secs_f64() / 40_000.0;
    assert_eq!(value.get(), 40_000);
    println!("{time:e}");
}""",
    ),
    "manager, addition in a dictionary": (
        "addition",
        """{
    let manager = Manager::new();
    let dict = manager.dict::<u32, u64>();
    println!("{:e}", each(1000, || drop(dict.insert(1, 0).unwrap()), || for _ in 0..1000 {
        let seen = dict.get(&1).unwrap().unwrap();
        dict.insert(1, seen + 1).unwrap();
    }));
}""",
    ),
    "pool of 2, map of 10,000": ("task", POOL),
    "executor of 2, map of 10,000": ("task", EXECUTOR),
    "spawn and join": (
        "process",
        '{ println!("{:e}", each(10, || (), || for _ in 0..10 { processes::spawn(nothing, ()).unwrap().join().unwrap(); })); }',
    ),
    "fork and join": (
        "process",
        '{ println!("{:e}", each(50, || (), || for _ in 0..50 { processes::fork(nothing).unwrap().join().unwrap(); })); }',
    ),
}


def _timed(count: int, first, rest) -> float:
    first()
    begun = time.perf_counter()
    rest()
    return (time.perf_counter() - begun) / count


def _put(queue, size: int, count: int) -> None:
    message = bytes(size)
    for _ in range(count):
        queue.put(message)


def _send(pipe, size: int, count: int) -> None:
    message = bytes(size)
    for _ in range(count):
        pipe.send(message)


def _echo(requests, answers, count: int) -> None:
    for _ in range(count):
        answers.put(requests.get())


def _meet(barrier, count: int) -> None:
    for _ in range(count):
        barrier.wait()


def _add(value, lock, barrier, count: int) -> float:
    barrier.wait()
    begun = time.perf_counter()
    for _ in range(count):
        with lock:
            value.value += 1
    return begun


def _square(n: int) -> int:
    return n * n


def _nothing() -> None:
    pass


def _other_queue(context, size: int, count: int) -> float:
    queue = context.Queue()
    process = context.Process(target=_put, args=(queue, size, count + 1))
    process.start()

    def get() -> None:
        for _ in range(count):
            queue.get()

    result = _timed(count, queue.get, get)
    process.join()
    return result


def _other_pipe(context, size: int, count: int) -> float:
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sending, size, count + 1))
    process.start()

    def receive() -> None:
        for _ in range(count):
            receiving.recv()

    result = _timed(count, receiving.recv, receive)
    process.join()
    return result


def other(case: str) -> float:
    """Seconds of one unit, by CPython's standard library."""
    context = multiprocessing.get_context("spawn" if case.startswith("spawn") else "fork")
    if case == "queue, 64 bytes":
        return _other_queue(context, SMALL, 30_000)
    if case == "queue, 1 MiB":
        return _other_queue(context, LARGE, 200)
    if case == "pipe, 64 bytes":
        return _other_pipe(context, SMALL, 30_000)
    if case == "pipe, 1 MiB":
        return _other_pipe(context, LARGE, 200)
    if case == "queue, there and back":
        requests, answers = context.Queue(), context.Queue()
        process = context.Process(target=_echo, args=(requests, answers, 2001))
        process.start()

        def one() -> None:
            requests.put(1)
            answers.get()

        result = _timed(2000, one, lambda: [one() for _ in range(2000)])
        process.join()
        return result
    if case == "barrier of 2":
        barrier = context.Barrier(2)
        process = context.Process(target=_meet, args=(barrier, 2001))
        process.start()
        result = _timed(2000, barrier.wait, lambda: _meet(barrier, 2000))
        process.join()
        return result
    if case == "lock, one process":
        lock = context.Lock()

        def take() -> None:
            for _ in range(50_000):
                with lock:
                    pass

        return _timed(50_000, lambda: None, take)
    if case == "lock, two processes":
        value, lock, barrier = context.Value("Q", 0, lock=False), context.Lock(), context.Barrier(2)
        process = context.Process(target=_add, args=(value, lock, barrier, 10_000))
        process.start()
        begun = _add(value, lock, barrier, 10_000)
        process.join()
        assert value.value == 20_000
        return (time.perf_counter() - begun) / 20_000
    if case == "manager, addition in a dictionary":
        with context.Manager() as manager:
            shared = manager.dict({1: 0})

            def add() -> None:
                for _ in range(1000):
                    shared[1] += 1

            return _timed(1000, lambda: shared[1], add)
    if case == "pool of 2, map of 10,000":
        with context.Pool(2) as pool:
            many = lambda: pool.map(_square, range(10_000))  # noqa: E731
            return _timed(50_000, many, lambda: [many() for _ in range(5)])
    if case == "executor of 2, map of 10,000":
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            one_by_one = lambda: list(executor.map(_square, range(10_000)))  # noqa: E731
            return _timed(10_000, lambda: list(executor.map(_square, range(100))), one_by_one)
    if case in ("spawn and join", "fork and join"):

        def start() -> None:
            for _ in range(10):
                process = context.Process(target=_nothing)
                process.start()
                process.join()

        return _timed(10, lambda: None, start)
    raise ValueError(case)


def shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def main() -> None:
    parser = argparse.ArgumentParser(description="What processes cost, beside CPython's standard library.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kernel", default="forkline")
    parser.add_argument("--cases", nargs="*", help="only cases with one of these words in their name")
    parser.add_argument("--other", help="run the other side of one case and print its seconds")
    options = parser.parse_args()
    if options.other:
        print(repr(other(options.other)))
        return

    # The other side must not load these.
    from front_end import Kernel, machine

    chosen = [case for case in CASES if not options.cases or any(word in case for word in options.cases)]
    print(f"{machine()}\nCPython {sys.version.split()[0]}; {options.rounds} rounds, in turns\n")
    ours: dict[str, list[float]] = {case: [] for case in chosen}
    theirs: dict[str, list[float]] = {case: [] for case in chosen}
    with Kernel(options.kernel) as kernel:
        kernel.execute(SETUP)
        for case in chosen:  # compiles the cell, and warms both sides
            kernel.printed(CASES[case][1])
        for _ in range(options.rounds):
            for case in chosen:
                ours[case].append(float(kernel.printed(CASES[case][1]).split()[-1]))
                done = subprocess.run(
                    [sys.executable, __file__, "--other", case], capture_output=True, text=True, check=True, timeout=300
                )
                theirs[case].append(float(done.stdout))
    print("| case | one | forkline | CPython | ratio | smallest | largest |\n|---|---|---|---|---|---|---|")
    for case in chosen:
        ratios = [their / our for our, their in zip(ours[case], theirs[case])]
        print(
            f"| {case} | {CASES[case][0]} | {shown(statistics.median(ours[case]))} | {shown(statistics.median(theirs[case]))} "
            f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} | {max(ratios):.1f} |"
        )
    if "queue, 64 bytes" in chosen:
        ratio = statistics.median(t / o for o, t in zip(ours["queue, 64 bytes"], theirs["queue, 64 bytes"]))
        print(f"\nQueue of small messages: {ratio:.0f} times as fast, target 10: {'met' if ratio >= 10 else 'not met'}.")


if __name__ == "__main__":
    main()
