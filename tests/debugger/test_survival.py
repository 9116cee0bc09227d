"""Whatever becomes of the debugger or the worker: the kernel lives, and the cell if it can."""

from __future__ import annotations

import os
import signal
import sys

import pytest

import dap
import harness

LOOP = """let mut turns = 0u64;
while !std::path::Path::new(GATE).exists() {
    turns += 1;
    std::thread::sleep(std::time::Duration::from_millis(1));
}
println!("over {}", turns > 0);"""


def loop(gate: harness.Gate) -> str:
    return LOOP.replace("GATE", harness.rust_str(gate.path))


def test_an_interrupt_ends_a_cell_that_stands_at_a_breakpoint(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = "let kept = 5;\nloop {\n    std::hint::black_box(kept);\n    std::thread::yield_now();\n}"
    kernel.run("let safe = 7;")
    debugger.set_breakpoints(code, 4)
    request = kernel.start_execute(code)
    debugger.wait_stop("breakpoint")
    kernel.interrupt()
    kernel.collect(request).expect_error("Interrupted")
    assert kernel.run("safe").text == "7"
    # The next cell stops again.
    debugger.set_breakpoints("safe + 1", 1)
    request = kernel.start_execute("safe + 1")
    debugger.go(debugger.wait_stop("breakpoint"))
    assert kernel.collect(request).expect_ok().text == "8"


def test_a_killed_debugger_leaves_the_cell_running(
    kernel: harness.Client, debugger: dap.Debugger, gate: harness.Gate
) -> None:
    code = loop(gate)
    debugger.set_breakpoints(code, 3)
    request = kernel.start_execute(code)
    debugger.wait_stop("breakpoint")
    (adapter,) = dap.adapters(kernel)
    adapter.kill()
    debugger.wait_event("terminated")
    assert debugger.ask("debugInfo")["isStarted"] is False
    gate.open()
    assert kernel.collect(request).expect_ok().stdout == "over true\n"
    # It can be turned on again, and the breakpoint is there again.
    debugger.start()
    gate.path.unlink()
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    debugger.set_breakpoints(code)
    debugger.go(thread)
    gate.open()
    assert kernel.collect(request).expect_ok().stdout == "over true\n"


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "turned off"])
def test_threads_that_run_into_traps_of_a_debugger_that_ends_go_on(
    kernel: harness.Client, debugger: dap.Debugger, gate: harness.Gate, is_killed: bool
) -> None:
    code = (
        "let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();\n"
        "let sum = pool.install(|| (0..100_000u64).into_par_iter().map(|n| {\n"
        f"    if n % 50 == 0 {{ {gate.opening} }}\n"
        "    let other = n ^ 1;\n"
        "    other + 1\n"
        "}).sum::<u64>());\n"
        "sum"
    )
    # Never true: each pass costs LLDB a stop, so there are always threads in a trap.
    debugger.set_breakpoints(code, {"line": 5, "condition": "other == 987654321"})
    request = kernel.start_execute(code)
    harness.eventually(gate.is_open, harness.CELL, "a thread has begun")
    if is_killed:
        (adapter,) = dap.adapters(kernel)
        adapter.kill()
    else:
        debugger.stop()
    assert kernel.collect(request).expect_ok().text == "5000050000"
    if is_killed:
        debugger.wait_event("terminated")


def test_turned_off_everything_goes_on(kernel: harness.Client, debugger: dap.Debugger, gate: harness.Gate) -> None:
    code = loop(gate)
    debugger.set_breakpoints(code, 3)
    request = kernel.start_execute(code)
    debugger.wait_stop("breakpoint")
    debugger.stop()
    assert harness.still_there(dap.adapters(kernel), 5) == []
    gate.open()
    assert kernel.collect(request).expect_ok().stdout == "over true\n"
    assert kernel.run("turns > 0").text == "true"


def test_a_worker_that_ends_under_the_debugger_is_followed_by_another(
    kernel: harness.Client, debugger: dap.Debugger
) -> None:
    fatal = "let before = 1;\nstd::process::abort();"
    request = kernel.start_execute(fatal)
    # LLDB stops at a fatal signal, before it has its effect.
    debugger.go(debugger.wait_stop())
    kernel.collect(request).expect_error()
    code = "let again = 2;\nagain * 2"
    debugger.set_breakpoints(code, 2)
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    assert debugger.locals(thread)["again"]["value"] == "2"
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "4"


def test_a_worker_killed_at_a_breakpoint_is_an_error_of_its_cell(
    kernel: harness.Client, debugger: dap.Debugger
) -> None:
    worker = kernel.worker_pid()
    code = "let here = 3;\nhere + 1"
    debugger.set_breakpoints(code, 2)
    request = kernel.start_execute(code)
    debugger.wait_stop("breakpoint")
    os.kill(worker, signal.SIGKILL)
    kernel.collect(request).expect_error()
    request = kernel.start_execute(code)
    debugger.go(debugger.wait_stop("breakpoint"))
    assert kernel.collect(request).expect_ok().text == "4"


def test_a_kernel_that_ends_takes_the_debugger_along(start_kernel) -> None:
    kernel = start_kernel()
    debugger = dap.Debugger(kernel).start()
    code = "let here = 3;\nhere + 1"
    debugger.set_breakpoints(code, 2)
    kernel.start_execute(code)
    debugger.wait_stop("breakpoint")
    family = kernel.process.descendants()
    assert dap.adapters(kernel)
    os.kill(kernel.process.pid, signal.SIGKILL)
    assert harness.still_there(family, 10) == []


REFUSING = """#!{python}
import json, sys
while True:
    length = 0
    while (line := sys.stdin.buffer.readline().strip()):
        length = int(line.split(b":")[1])
    if not length:
        break
    asked = json.loads(sys.stdin.buffer.read(length))
    answer = {{"type": "response", "seq": 0, "request_seq": asked["seq"], "command": asked["command"],
               "success": asked["command"] != "attach", "message": "attach failed: Operation not permitted", "body": {{}}}}
    text = json.dumps(answer).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(text) + text)
    sys.stdout.buffer.flush()
"""


def with_adapter(start_kernel, folder, text: str) -> dap.Debugger:
    """A kernel whose debugger is this program."""
    program = folder / "lldb-dap-30"
    program.write_text(text)
    program.chmod(0o755)
    kernel = start_kernel(env={"PATH": f"{folder}:{os.environ['PATH']}"})
    return dap.Debugger(kernel)


def test_a_system_that_forbids_tracing_is_told_what_to_do(start_kernel, tmp_path) -> None:
    debugger = with_adapter(start_kernel, tmp_path, REFUSING.format(python=sys.executable))
    text = debugger.refused("attach")
    assert text.startswith("attach: the debugger cannot attach to the worker\nwhy: attach failed: Operation not permitted")
    assert "do:  allow" in text and "ptrace_scope" in text
    assert debugger.ask("debugInfo")["isStarted"] is False
    assert debugger.client.run("1 + 1").text == "2"


def test_a_debugger_that_ends_at_once_is_an_error_of_attach(start_kernel, tmp_path) -> None:
    debugger = with_adapter(start_kernel, tmp_path, "#!/bin/sh\nexit 3\n")
    assert "the debugger has ended" in debugger.refused("attach")
    assert debugger.client.run("1 + 1").text == "2"
