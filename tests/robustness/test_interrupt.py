"""Interrupts: the cell ends and says so, the kernel goes on, and nothing else is harmed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness import SLOW_ITEM, SLOW_TO_COMPILE, Client, command_lines, eventually

def interrupted(kernel: Client, code: str, within: float = 10.0):
    """Run the cell until it says `started`, interrupt it, and return its result."""
    request = kernel.start_execute(code)
    kernel.wait_printed(request, "started")
    asked = time.monotonic()
    kernel.interrupt().expect_ok()
    result = kernel.collect(request, timeout=within).expect_error("Interrupted")
    assert result.reply.at - asked < within
    return result


LOOPS = {
    "sleep": "std::thread::sleep(std::time::Duration::from_secs(600));",
    "busy loop": "loop { std::hint::spin_loop(); }",
    "busy loop in a function": "pub fn spin() { loop { std::hint::spin_loop(); } }\nspin();",
    "join of a thread": "std::thread::spawn(|| loop { std::hint::spin_loop(); }).join().unwrap();",
    "channel": "let (_keep, receiver) = std::sync::mpsc::channel::<i32>(); receiver.recv().unwrap();",
    "rayon loop": "(0..4_u64).into_par_iter().for_each(|_| loop { std::hint::spin_loop(); });",
    "mutex deadlock": "{ let lock = std::sync::Mutex::new(0); let _held = lock.lock(); let _again = lock.lock(); }",
    "blocking C call": "unsafe { forkline::libc::pause(); }",
    "tokio sleep": "tokio::runtime::Runtime::new().unwrap().block_on(async { tokio::time::sleep(std::time::Duration::from_secs(600)).await });",
    "child process": 'std::process::Command::new("sleep").arg("600").status().unwrap();',
    "catches panics": "loop { let _ = std::panic::catch_unwind(|| std::thread::sleep(std::time::Duration::from_millis(1))); }",
}


@pytest.mark.parametrize("name", LOOPS)
def test_running_cell_ends_as_interrupted(kernel: Client, name: str) -> None:
    result = interrupted(kernel, f'println!("started");\n{LOOPS[name]}')
    result.equal(result.stdout, "started\n", "text printed before")
    after = kernel.run("6 * 7")
    after.equal(after.text, "42")


def test_endless_printing_ends(kernel: Client) -> None:
    request = kernel.start_execute('let mut i = 0u64; loop { println!("started {i}"); i += 1; }')
    kernel.wait_printed(request, "started 100\n")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=20).expect_error("Interrupted")
    kernel.settle()
    after = kernel.run('println!("quiet");')
    after.equal(after.stdout, "quiet\n", "the next cell's text")


YIELDING = ["sleep", "busy loop", "busy loop in a function", "rayon loop", "join of a thread", "catches panics"]


@pytest.mark.parametrize("name", YIELDING)
def test_interrupt_keeps_variables(kernel: Client, name: str) -> None:
    kernel.run("let held = vec![1, 2, 3];")
    worker = kernel.worker_pid()
    ended = interrupted(kernel, f'println!("started");\n{LOOPS[name]}')
    ended.has("variables of earlier cells are still there", ended.traceback)
    result = kernel.run("held.len()")
    result.equal(result.text, "3")
    assert kernel.worker_pid() == worker


BLOCKED = {
    **{name: LOOPS[name] for name in ["channel", "mutex deadlock", "blocking C call", "tokio sleep"]},
    "condition variable": "{ let pair = (std::sync::Mutex::new(()), std::sync::Condvar::new()); let _never = pair.1.wait(pair.0.lock().unwrap()); }",
    "barrier": "std::sync::Barrier::new(2).wait();",
    "crossbeam channel": "{ let (_keep, receiver) = crossbeam::channel::unbounded::<i32>(); receiver.recv().unwrap(); }",
    "parking_lot deadlock": "{ let lock = parking_lot::Mutex::new(0); let _held = lock.lock(); let _again = lock.lock(); }",
    "threads that wait for each other": "{ let (a, b) = (Mutex::new(0), Mutex::new(0)); let meet = Barrier::new(2);\n"
    "thread::scope(|s| { for (x, y) in [(&a, &b), (&b, &a)] { let meet = &meet; s.spawn(move || { let _x = x.lock(); meet.wait(); let _y = y.lock(); }); } }); }",
}


@pytest.mark.parametrize("name", BLOCKED)
def test_code_that_waits_for_ever_is_left_behind_and_variables_stay(kernel: Client, name: str) -> None:
    kernel.run("let apart = vec![1, 2, 3]; let inside = vec![4];")
    worker = kernel.worker_pid()
    ended = interrupted(kernel, f'println!("started {{}}", inside.len());\n{BLOCKED[name]}')
    ended.has("the variables that the cell used are gone (inside), all others are still there", ended.traceback)
    assert kernel.worker_pid() == worker
    result = kernel.run("apart.iter().sum::<i32>()")
    result.equal(result.text, "6")
    # The lost one is said to be lost, and its name can be used again.
    lost = kernel.execute("inside.len()").expect_error("E0425")
    lost.has("lost with the interrupted cell that used them: inside", lost.stderr)
    assert kernel.run("let inside = 8; inside").text == "8"
    # Threads, rayon, panics and another interrupt work as ever in the thread that took over.
    assert kernel.run("(0..100_u64).into_par_iter().sum::<u64>()").text == "4950"
    kernel.execute('panic!("here")').expect_error("Panic")
    interrupted(kernel, 'println!("started"); loop { std::hint::spin_loop(); }')
    assert kernel.run("apart.len()").text == "3"


def test_a_child_process_that_a_cell_waits_for_is_ended(kernel: Client) -> None:
    kernel.run("let held = 1; let mut kept_child = std::process::Command::new(\"sleep\").arg(\"601\").spawn().unwrap();")
    time.sleep(0.05)
    interrupted(kernel, f'println!("started");\n{LOOPS["child process"]}')
    assert kernel.run("held").text == "1"
    # One that an earlier cell started goes on.
    assert kernel.run("kept_child.try_wait().unwrap().is_none()").text == "true"
    kernel.run("kept_child.kill().unwrap();")


def test_an_input_that_is_interrupted_keeps_variables(kernel: Client) -> None:
    kernel.run("let held = 1;")
    worker = kernel.worker_pid()
    request = kernel.start_execute('let line = input("name? ")?;', allow_stdin=True)
    kernel.wait_message(lambda message: message.type == "input_request", 20, "an input request", request)
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10, unanswered=True).expect_error("Interrupted")
    assert kernel.run("held").text == "1"
    assert kernel.worker_pid() == worker


def test_a_thread_pool_that_waits_for_ever_ends_with_its_worker(kernel: Client) -> None:
    # Every later parallel loop would wait with it.
    kernel.run("pub fn still_defined() -> u8 { 9 }")
    code = 'println!("started"); { let lock = Mutex::new(0); let _held = lock.lock(); (0..8).into_par_iter().for_each(|_| drop(lock.lock())); }'
    ended = interrupted(kernel, code)
    ended.has("variables are gone, functions, types and imports are still defined", ended.traceback)
    assert kernel.run("still_defined()").text == "9"
    assert kernel.run("(0..100_u64).into_par_iter().sum::<u64>()").text == "4950"


def test_computing_that_does_not_yield_ends_with_its_worker(kernel: Client) -> None:
    kernel.run("pub fn still_defined() -> u8 { 9 }")
    code = 'println!("started"); (0..u64::MAX).fold(0, |a: u64, b| std::hint::black_box(a ^ b))'
    ended = interrupted(kernel, code)
    ended.has("variables are gone, functions, types and imports are still defined", ended.traceback)
    assert kernel.run("still_defined()").text == "9"


def test_interrupt_leaves_threads_of_earlier_cells_alone(kernel: Client) -> None:
    kernel.run("use std::sync::atomic::{AtomicU64, Ordering::SeqCst};\npub static TICKS: AtomicU64 = AtomicU64::new(0);")
    kernel.run("std::thread::spawn(|| loop { TICKS.fetch_add(1, SeqCst); std::thread::sleep(std::time::Duration::from_millis(1)); });")
    interrupted(kernel, f'println!("started");\n{LOOPS["busy loop"]}')
    before = int(kernel.run("TICKS.load(SeqCst)").text)
    time.sleep(0.2)
    assert int(kernel.run("TICKS.load(SeqCst)").text) > before


def test_variables_that_the_interrupted_cell_names_are_kept(kernel: Client) -> None:
    kernel.run("let mut counted = vec![0_u64];")
    interrupted(kernel, 'println!("started"); loop { counted[0] += 1; }')
    result = kernel.run("counted[0] > 0")
    result.equal(result.text, "true")


def test_a_sleep_has_its_length(kernel: Client) -> None:
    result = kernel.run(
        "let begun = std::time::Instant::now(); std::thread::sleep(std::time::Duration::from_millis(230)); begun.elapsed().as_millis()"
    )
    assert 230 <= int(result.text) < 330, result.text


def test_interrupt_keeps_functions_and_types(kernel: Client) -> None:
    kernel.run("#[derive(Debug)] pub struct Staying(u8);\npub fn staying() -> Staying { Staying(7) }")
    interrupted(kernel, f'println!("started");\n{LOOPS["join of a thread"]}')
    result = kernel.run("staying().0")
    result.equal(result.text, "7")


def test_interrupt_of_an_idle_kernel_is_harmless(kernel: Client) -> None:
    kernel.run("let undisturbed = 42;")
    worker = kernel.worker_pid()
    for _ in range(3):
        kernel.interrupt().expect_ok()
    result = kernel.run("undisturbed")
    result.equal(result.text, "42")
    assert kernel.worker_pid() == worker


def test_interrupt_just_after_a_cell_does_not_hit_the_next(kernel: Client) -> None:
    for n in range(5):
        kernel.run("1")
        kernel.interrupt().expect_ok()
        result = kernel.run(f"std::thread::sleep(std::time::Duration::from_millis(20)); {n}")
        result.equal(result.text, str(n))


def test_interrupt_aborts_the_queue(kernel: Client) -> None:
    request = kernel.start_execute(f'println!("started"); {LOOPS["busy loop"]}')
    queued = [kernel.start_execute(f'println!("must not run {i}");') for i in range(2)]
    kernel.wait_printed(request, "started")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    assert [kernel.collect(q).status for q in queued] == ["aborted", "aborted"]
    assert kernel.run("6 * 7").text == "42"


def test_second_interrupt_is_answered_too(kernel: Client) -> None:
    request = kernel.start_execute(f'println!("started"); {LOOPS["catches panics"]}')
    kernel.wait_printed(request, "started")
    first = kernel.send("interrupt_request", channel="control")
    second = kernel.send("interrupt_request", channel="control")
    kernel.collect(first).expect_ok()
    kernel.collect(second).expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    assert kernel.run("6 * 7").text == "42"


# ---- while compiling


def compilers(kernel: Client) -> list[str]:
    """The command lines of the compilers that run under the kernel."""
    commands = command_lines(kernel.process.descendants())
    return [" ".join(words) for words in commands if any(Path(word).name in ("rustc", "cargo") for word in words[:2])]


def test_interrupt_stops_a_compile_and_keeps_variables(kernel: Client) -> None:
    kernel.run("let through_compile = vec![1, 2];")
    worker = kernel.worker_pid()
    request = kernel.start_execute(SLOW_TO_COMPILE)
    eventually(lambda: compilers(kernel), 20, "a rustc under the kernel")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    eventually(lambda: not compilers(kernel), 5, "the rustc gone")
    result = kernel.run("through_compile.len()")
    result.equal(result.text, "2")
    assert kernel.worker_pid() == worker


def test_interrupt_during_a_dependency_keeps_variables(kernel: Client, tmp_path) -> None:
    crate = tmp_path / "slow_neighbour"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "slow_neighbour"\nversion = "0.1.0"\nedition = "2024"\n')
    (crate / "src/lib.rs").write_text(f"{SLOW_ITEM}\npub fn slow() -> u64 {{ SLOW }}\n")
    kernel.run("let through_dep = 5;")
    request = kernel.start_execute(f':dep slow_neighbour = {{ path = "{crate}" }}\nslow_neighbour::slow()')
    eventually(lambda: any("--crate-name slow_neighbour" in c for c in compilers(kernel)), 30, "the crate being compiled")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=15).expect_error("Interrupted")
    eventually(lambda: not compilers(kernel), 5, "the compilers gone")
    result = kernel.run("through_dep")
    result.equal(result.text, "5")
