"""Processes that cells start: floods, deaths, interrupts, ends. Nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil
import pytest

from harness import Client, eventually, still_there

SLEEPER = "processes::spawn(|| thread::sleep(Duration::from_secs(600)), ())?"


def children_of_worker(kernel: Client) -> list[psutil.Process]:
    return psutil.Process(kernel.worker_pid()).children(recursive=True)


def test_a_thousand_processes_leave_nothing(kernel: Client) -> None:
    kernel.run("pub fn next(n: u32) -> u32 { n + 1 }\nprocesses::spawn(next, (1,))?.join()?;")
    worker = psutil.Process(kernel.worker_pid())
    descriptors, threads = worker.num_fds(), worker.num_threads()
    result = kernel.run(
        "{ let mut sum = 0u32;\n"
        "for i in 0..100 {\n"
        "    let ten: Vec<_> = (0..10).map(|j| processes::spawn(next, (i * 10 + j,))).collect::<Result<_, _>>()?;\n"
        "    for one in ten { sum += one.join()?; }\n"
        "} println!(\"{sum}\"); }",
        timeout=180,
    )
    result.equal(result.stdout, "500500\n")
    assert worker.children() == []
    eventually(lambda: worker.num_threads() <= threads, 10, f"{threads} threads, as before")
    eventually(lambda: worker.num_fds() <= descriptors, 10, f"{descriptors} descriptors, as before")


def test_a_child_inherits_no_descriptors(kernel: Client) -> None:
    result = kernel.run(
        "pub fn open() -> Vec<String> { let mut names: Vec<String> = std::fs::read_dir(\"/proc/self/fd\").unwrap()\n"
        "    .map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(); names.sort(); names }\n"
        "let other = processes::spawn(|| thread::sleep(Duration::from_secs(600)), ())?;\n"
        "// The folder itself is open while it is read.\n"
        "println!(\"{:?}\", processes::spawn(open, ())?.join()?);\n"
        "println!(\"{:?}\", processes::spawn(|| std::env::vars().filter(|(name, _)| name.starts_with(\"FORKLINE_\") || name.starts_with(\"EVCXR_IS\")).count(), ())?.join()?);\n"
        "other.kill();"
    )
    names, count = result.stdout.splitlines()
    result.equal(names, '["0", "1", "2", "3", "4", "5"]')


def test_a_child_that_prints_a_flood_is_neither_stuck_nor_kept_in_memory(kernel: Client) -> None:
    kernel.run("1")
    before = psutil.Process(kernel.process.pid).memory_info().rss
    result = kernel.run(
        "let flood = processes::spawn(|| { let line = \"x\".repeat(99); for _ in 0..1_000_000 { println!(\"{line}\") } }, ())?;\n"
        "flood.join()?; println!(\"\\nover\");",
        timeout=60,
    )
    assert result.status == "ok"
    grown = psutil.Process(kernel.process.pid).memory_info().rss - before
    assert grown < 100 << 20, f"the kernel grew by {grown >> 20} MiB"
    assert kernel.run("6 * 7").text == "42"


@pytest.mark.parametrize("how", ["shutdown", "kernel killed", "worker killed"])
def test_no_child_outlives_the_session(start_kernel, how: str) -> None:
    kernel = start_kernel()
    kernel.run(
        f"let sleeper = {SLEEPER};\nlet daemon = processes::Process::new(|| -> () {{ loop {{ thread::sleep(Duration::from_secs(1)) }} }}, ()).daemon(true);\n"
        "daemon.start()?;\nlet pool = processes::Pool::new(2)?; let busy = pool.map_async(|_: u32| thread::sleep(Duration::from_secs(600)), 0..8);\n"
        "let parent = processes::spawn(|| { let child = processes::spawn(|| thread::sleep(Duration::from_secs(600)), ()).unwrap(); child.join().unwrap() }, ())?;\n"
        "let copy = processes::fork(|| thread::sleep(Duration::from_secs(600)))?;"
    )
    worker = psutil.Process(kernel.worker_pid())
    members = eventually(lambda: len(found := worker.children(recursive=True)) >= 7 and found, 20, "seven processes")
    if how == "shutdown":
        kernel.shutdown().expect_ok()
    elif how == "kernel killed":
        kernel.process.process.kill()
    else:
        os.kill(worker.pid, signal.SIGKILL)
    assert still_there(members, 10) == []


def test_a_test_of_a_cell_ends_with_the_kernel(start_kernel) -> None:
    kernel = start_kernel()
    kernel.start_execute("%%test\n#[test] fn hangs() { loop { thread::sleep(Duration::from_secs(600)); } }")
    process = psutil.Process(kernel.process.pid)

    def is_the_test(one: psutil.Process) -> bool:
        # Compilers come and go meanwhile.
        with contextlib.suppress(psutil.NoSuchProcess):
            return {"hangs", "--exact"} <= set(one.cmdline())
        return False

    tests = eventually(lambda: [one for one in process.children(recursive=True) if is_the_test(one)], 60, "the process of the test")
    kernel.process.process.kill()
    assert still_there(tests, 10) == []


def test_children_stay_when_only_their_cell_ends(kernel: Client) -> None:
    kernel.run(f"let sleeper = {SLEEPER};")
    kernel.run("1 + 1")
    result = kernel.run("println!(\"{}\", sleeper.is_alive()); sleeper.kill(); println!(\"{:?}\", sleeper.wait()?);")
    result.equal(result.stdout, "true\n-9\n")


def test_an_interrupt_ends_the_wait_and_the_child(kernel: Client) -> None:
    worker = psutil.Process(kernel.worker_pid())
    request = kernel.start_execute(f"println!(\"started\"); {SLEEPER}.join()?;")
    kernel.wait_printed(request, "started")
    eventually(worker.children, 10, "a child")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    eventually(lambda: not worker.children(), 10, "no child")
    assert kernel.run("6 * 7").text == "42"


def test_an_interrupted_map_leaves_the_pool_usable(kernel: Client) -> None:
    kernel.run("let pool = processes::Pool::new(2)?;")
    request = kernel.start_execute("println!(\"started\"); pool.map(|n: u32| { thread::sleep(Duration::from_secs(600)); n }, 0..100)?;")
    kernel.wait_printed(request, "started")
    time.sleep(0.2)
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    result = kernel.run("pool.map(|n: u32| n + 1, 0..4)?", timeout=20)
    result.matches(r"\[\s*1,\s*2,\s*3,\s*4,?\s*\]", result.text)
    kernel.run("drop(pool);")


def test_a_worker_killed_in_the_middle_of_a_map_names_the_item(kernel: Client) -> None:
    kernel.run("let pool = processes::Pool::new(2)?;")
    request = kernel.start_execute(
        "println!(\"started {:?}\", pool.pids().len());\n"
        "pool.map_chunked(|n: u32| { if n == 5 { println!(\"pid={}\", std::process::id()); thread::sleep(Duration::from_secs(600)); } n }, 0..50, 1)?"
    )
    message = kernel.wait_printed(request, "pid=")
    pid = int(message.content["text"].split("pid=")[1].split()[0])
    os.kill(pid, signal.SIGKILL)
    result = kernel.collect(request, timeout=20).expect_error()
    result.has("item 5: PoolWorker-", result.evalue + result.traceback)
    result.has("was ended by signal 9 (SIGKILL, killed)", result.evalue + result.traceback)
    result = kernel.run("pool.map(|n: u32| n + 1, 0..50)?.len()")
    result.equal(result.text, "50")
    kernel.run("drop(pool);")


def test_a_pool_dropped_with_work_queued_ends_at_once(kernel: Client) -> None:
    kernel.run(
        "{ let pool = processes::Pool::new(2)?; let waiting = pool.map_async(|_: u32| thread::sleep(Duration::from_secs(600)), 0..100);\n"
        "drop(pool); println!(\"{}\", waiting.get().unwrap_err()); }",
        timeout=15,
    )
    eventually(lambda: not children_of_worker(kernel), 10, "no worker")


def test_a_child_ends_by_the_ordinary_signals(kernel: Client) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        kernel.run(f"let sleeper = {SLEEPER};")
        child = eventually(lambda: children_of_worker(kernel), 10, "a child")[0]
        # It is the child's own end only when it has begun.
        eventually(lambda: child.name().startswith("Process-"), 10, "the child's name")
        os.kill(child.pid, number)
        result = kernel.run("println!(\"{:?}\", sleeper.wait_timeout(Duration::from_secs(20))?);")
        result.equal(result.stdout, f"{-number}\n")
