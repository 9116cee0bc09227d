"""Whatever a cell does to its worker, the kernel stays, and definitions stay with it."""

from __future__ import annotations

import os
import platform
import signal

import psutil
import pytest

from harness import Client, Result, still_there

# An instruction that no processor of the kind accepts.
TRAP = "ud2" if platform.machine() == "x86_64" else "udf #0"

DEATHS = {
    "abort": ("std::process::abort();", r"SIGABRT|signal 6|abort"),
    "exit 3": ("std::process::exit(3);", r"\b3\b"),
    "exit 0": ("std::process::exit(0);", r"exit|ended"),
    "segfault": ("unsafe { std::ptr::null_mut::<i32>().write_volatile(1) };", r"SIGSEGV|signal 11|segmentation"),
    "stack overflow": (
        "#[inline(never)] pub fn endless(n: u64) -> u64 { let room = [n; 64]; std::hint::black_box(&room); endless(n + 1) + room[3] }\nendless(0)",
        r"(?i)stack overflow|SIGSEGV|SIGABRT",
    ),
    "illegal instruction": (f'unsafe {{ std::arch::asm!("{TRAP}") }};', r"SIGILL|signal 4|illegal"),
    "panic while unwinding": (
        "pub struct Bomb;\nimpl Drop for Bomb { fn drop(&mut self) { panic!(\"again\"); } }\n"
        'let _bomb = Bomb; panic!("first");',
        r"(?i)SIGABRT|abort|panic",
    ),
    "killed by itself": (
        'unsafe extern "C" { fn kill(pid: i32, signal: i32) -> i32; }\nunsafe { kill(std::process::id() as i32, 9) };\nloop {}',
        r"SIGKILL|signal 9|killed",
    ),
    "death of a thread": (
        "std::thread::spawn(|| unsafe { std::ptr::null_mut::<i32>().write_volatile(1) }).join().unwrap();",
        r"SIGSEGV|signal 11|segmentation",
    ),
}


def prepared(kernel: Client, tag: str) -> None:
    """A function, a type, an import and a variable whose names end in `tag`."""
    kernel.run(
        f"#[derive(Debug, PartialEq)] pub struct Kept{tag} {{ n: i32 }}\n"
        f"pub fn kept_{tag}(n: i32) -> Kept{tag} {{ Kept{tag} {{ n: n + 1 }} }}\n"
        f"use std::collections::BTreeSet as Set{tag};\n"
        f"let lost_{tag} = 5;"
    )


def check_fresh_worker(kernel: Client, tag: str) -> None:
    """The next cells run, know what was defined, and do not know the variables."""
    result = kernel.run(f"let set: Set{tag}<i32> = [1, 2].into_iter().collect(); (kept_{tag}(41) == Kept{tag} {{ n: 42 }}, set.len())")
    result.matches(r"true,\s*2", result.text, "what earlier cells defined")
    kernel.execute(f"lost_{tag}").expect_error()


@pytest.mark.parametrize("name", DEATHS)
def test_kernel_survives_the_death_of_its_worker(kernel: Client, name: str) -> None:
    code, reason = DEATHS[name]
    tag = name.title().replace(" ", "").lower()
    prepared(kernel, tag)
    before = kernel.worker_pid()
    result = kernel.execute(f'println!("last words");\n{code}').expect_error()
    result.equal(result.stdout, "last words\n", "text printed before")
    result.matches(reason, result.evalue + "\n" + result.traceback, "the reason")
    assert kernel.worker_pid() != before, "the worker should be another process"
    check_fresh_worker(kernel, tag)


def test_error_says_that_variables_are_gone(kernel: Client) -> None:
    kernel.run("let precious = 1;")
    result = kernel.execute("std::process::abort();").expect_error()
    result.matches(r"(?i)variables?", result.evalue + "\n" + result.traceback, "the explanation")


def test_worker_killed_from_outside_while_a_cell_runs(kernel: Client) -> None:
    prepared(kernel, "running")
    worker = kernel.worker_pid()
    request = kernel.start_execute('println!("started"); loop { std::hint::spin_loop(); }')
    kernel.wait_printed(request, "started")
    os.kill(worker, signal.SIGKILL)
    result = kernel.collect(request, timeout=10).expect_error()
    result.matches(r"SIGKILL|signal 9|killed", result.evalue + "\n" + result.traceback, "the reason")
    check_fresh_worker(kernel, "running")


def test_worker_killed_from_outside_while_idle(kernel: Client) -> None:
    prepared(kernel, "idle")
    worker = psutil.Process(kernel.worker_pid())
    worker.kill()
    assert still_there([worker], 5) == []
    assert kernel.process.alive()
    check_fresh_worker(kernel, "idle")


def test_worker_that_dies_aborts_the_queue(kernel: Client) -> None:
    failing = kernel.start_execute("std::process::abort();")
    queued = kernel.start_execute("1")
    kernel.collect(failing).expect_error()
    assert kernel.collect(queued).status == "aborted"
    assert kernel.run("6 * 7").text == "42"


def test_many_deaths_leave_no_processes(kernel: Client) -> None:
    kernel.run("1")
    before = len(kernel.process.descendants())
    for _ in range(5):
        kernel.execute("std::process::abort();").expect_error()
    kernel.run("1")
    after = kernel.process.descendants()
    assert len(after) <= before, f"{before} processes before, then {[p.name() for p in after]}"


def test_child_of_a_cell_does_not_hold_the_kernel_up(kernel: Client) -> None:
    kernel.run("1")
    result: Result = kernel.run('let child = std::process::Command::new("sleep").arg("300").spawn()?; child.id()')
    child = psutil.Process(int(result.text))
    try:
        kernel.execute("std::process::abort();", timeout=15).expect_error()
        assert kernel.run("6 * 7").text == "42"
    finally:
        child.kill()


def test_closed_stdout_does_not_end_the_kernel(kernel: Client) -> None:
    kernel.execute('unsafe extern "C" { fn close(fd: i32) -> i32; }\nunsafe { close(1); close(2); close(0); }')
    kernel.execute("std::process::abort();")
    result = kernel.run('println!("again");')
    result.equal(result.stdout, "again\n")


def test_cell_that_closes_every_file_does_not_end_the_kernel(kernel: Client) -> None:
    kernel.execute('unsafe extern "C" { fn close(fd: i32) -> i32; }\nfor fd in 0..256 { unsafe { close(fd); } }', timeout=30)
    kernel.execute("1")
    result = kernel.run("6 * 7")
    result.equal(result.text, "42")


def test_forked_child_does_not_answer_for_its_parent(kernel: Client) -> None:
    result = kernel.run(
        'unsafe extern "C" { fn fork() -> i32; fn _exit(code: i32) -> !; fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32; }\n'
        'let child = unsafe { fork() };\nif child == 0 { println!("child"); unsafe { _exit(0) } }\n'
        'unsafe { waitpid(child, std::ptr::null_mut(), 0) };\nprintln!("parent");'
    )
    result.equal(sorted(result.stdout.split()), ["child", "parent"])
    assert kernel.run("6 * 7").text == "42"
