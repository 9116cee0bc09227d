"""`%%shuttle`: races and deadlocks are found, a schedule gives the same failure again, and all that is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import Client, eventually, rust_str

# The first cell builds the crate.
BUILD = 600

RACE = """
let counter = Arc::new(std::sync::atomic::AtomicUsize::new(0));
let threads: Vec<_> = (0..2).map(|_| {
    let counter = Arc::clone(&counter);
    std::thread::spawn(move || {
        let seen = counter.load(std::sync::atomic::Ordering::SeqCst);
        counter.store(seen + 1, std::sync::atomic::Ordering::SeqCst);
    })
}).collect();
for thread in threads { thread.join().unwrap(); }
assert_eq!(counter.load(std::sync::atomic::Ordering::SeqCst), 2, "an addition was lost");
"""
MENDED = RACE.replace(
    "let seen = counter.load(std::sync::atomic::Ordering::SeqCst);\n        counter.store(seen + 1, ", "counter.fetch_add(1, "
)
DEADLOCK = """
let (a, b) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
let (a2, b2) = (Arc::clone(&a), Arc::clone(&b));
let other = thread::spawn(move || { let _b = b2.lock().unwrap(); let _a = a2.lock().unwrap(); });
{ let _a = a.lock().unwrap(); let _b = b.lock().unwrap(); }
other.join().unwrap();
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheduler", ["random", "pct", "dfs"])
def test_a_race_is_found_and_comes_again(kernel: Client, scheduler: str) -> None:
    found = kernel.execute(f"%%shuttle --scheduler {scheduler}{RACE}", timeout=BUILD).expect_error("ScheduleFailed")
    found.has(f"in cell [{found.count}], line 11", found.evalue)
    found.has("an addition was lost", found.stdout)
    found.has("why: ", found.traceback)
    text = re.search(r"--replay (\S+)", found.traceback).group(1)
    again = kernel.execute(f"%%shuttle --replay {text}{RACE}").expect_error("ScheduleFailed")
    again.has("an addition was lost", again.stdout)
    last = kernel.execute(f"%%shuttle --replay last{RACE}").expect_error("ScheduleFailed")
    last.has(text, last.traceback)


@pytest.mark.timeout(900)
def test_a_deadlock_is_found(kernel: Client) -> None:
    found = kernel.execute(f"%%shuttle{DEADLOCK}", timeout=BUILD).expect_error("ScheduleFailed")
    found.has("a deadlock", found.traceback)
    found.has(f"the main thread in cell [{found.count}], line 5\n  another in cell [{found.count}], line 4\n", found.stdout)


@pytest.mark.timeout(900)
def test_what_is_right_passes(kernel: Client) -> None:
    result = kernel.run(f"%%shuttle --iterations 200 --seed 7{MENDED}", timeout=BUILD)
    result.matches(r"^200 schedules pass \(random, seed 7, ", result.stdout)
    every = kernel.run(f"%%shuttle --scheduler dfs{MENDED}")
    every.matches(r"^all \d+ schedules pass \(dfs, ", every.stdout)


@pytest.mark.timeout(900)
def test_functions_of_earlier_cells_are_simulated_too(kernel: Client) -> None:
    body = RACE.replace('assert_eq!(counter.load(std::sync::atomic::Ordering::SeqCst), 2, "an addition was lost");', "")
    kernel.run(f"fn count() -> usize {{ {body} counter.load(std::sync::atomic::Ordering::SeqCst) }}")
    found = kernel.execute("%%shuttle\nassert_eq!(count(), 2);", timeout=BUILD).expect_error("ScheduleFailed")
    found.has("left: 1", found.stdout)
    real = kernel.run("count()")
    assert real.text in ("1", "2")


@pytest.mark.timeout(900)
def test_a_failure_may_be_expected(kernel: Client) -> None:
    result = kernel.run(f"%%shuttle --expect failure{RACE}", timeout=BUILD)
    result.matches(r"(?m)^check: schedule \d+ of 1000 failed", result.stdout)
    passes = kernel.execute(f"%%shuttle --expect failure{MENDED}").expect_error("ScheduleFailed")
    passes.has("no schedule failed, and one was to", passes.evalue)


@pytest.mark.timeout(900)
def test_interrupt_ends_the_search(kernel: Client, tmp_path: Path) -> None:
    kernel.run("let kept = 41;")
    begun = tmp_path / "begun"
    code = f"%%shuttle\nstd::fs::write({rust_str(begun)}, std::process::id().to_string()).unwrap();\nloop {{ std::hint::black_box(1); }}"
    request = kernel.start_execute(code)
    eventually(lambda: begun.exists() and begun.read_text(), BUILD, "the search has begun")
    pid = int(begun.read_text())
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10, "its process is gone")
    after = kernel.run("kept + 1")
    after.equal(after.text, "42")


@pytest.mark.timeout(900)
def test_what_cannot_be_explored_is_told(kernel: Client) -> None:
    endless = kernel.execute("%%shuttle --timeout 1\nloop { std::hint::black_box(1); }", timeout=BUILD)
    endless.expect_error("ScheduleFailed").has("still running after 1s", endless.evalue)
    alone = kernel.execute("%%shuttle --scheduler pct\nassert!(1 + 1 == 2);").expect_error("ScheduleFailed")
    alone.has("there is one thread only", alone.traceback)
    other = kernel.execute(f"%%shuttle --replay 9102120180408924250000{DEADLOCK}").expect_error("ScheduleFailed")
    other.has("does not belong to this code", other.evalue)
    wrong = kernel.execute('%%shuttle\nlet x: i32 = "text";').expect_error("E0308")
    wrong.has(f"cell [{wrong.count}]:2:", wrong.traceback)
    usage = kernel.execute("%%shuttle --scheduler fifo\n1").expect_error("UsageError")
    usage.has("no scheduler `fifo`", usage.traceback)
