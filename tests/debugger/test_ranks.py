"""`%%mpi --debug K`: rank K under the debugger, the others not, and nobody is ended for waiting for it."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

import dap
import harness

pytestmark = pytest.mark.skipif(
    shutil.which("mpiexec") is None, reason="mpiexec is missing: no rank can be debugged (apt-get install openmpi-bin)"
)

# The others wait for rank 2, which stops in `share`.
CELL = """%%mpi -n 3 --debug 2 {options}
fn share(rank: usize) -> usize {{
    let part = rank * 10;
    part + 1
}}
let world = mpi::world()?;
let rank = world.rank();
if rank == 2 {{
    let name = String::from("the last");
    let part = share(rank);
    world.send(&(part + name.len()), 0, 7)?;
    world.send(&part, 1, 7)?;
}} else {{
    let got: usize = world.recv(2, 7)?;
    println!("{{got}}");
}}"""


def cell(options: str = "") -> str:
    return CELL.format(options=options)


def test_a_breakpoint_stops_the_rank_that_is_named(kernel: harness.Client, debugger: dap.Debugger) -> None:
    kernel.run("let before = 5;")
    code = cell()
    debugger.set_breakpoints(code, 4)
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    frames = debugger.stack(thread)
    assert (frames[0]["name"], frames[0]["line"]) == ("share", 4)
    assert frames[1]["name"].startswith("cell [") and frames[1]["line"] == 10
    values = debugger.locals(thread)
    assert (values["rank"]["value"], values["part"]["value"]) == ("2", "20")
    assert debugger.locals(thread, 1)["name"]["value"] == '"the last"'
    assert thread in [t["id"] for t in debugger.ask("threads")["threads"]]
    name, line = debugger.step("stepOut", thread)
    assert name.startswith("cell [") and line in (10, 11)
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().stdout == "[0] 29\n[1] 21\n"
    # An ordinary cell is debugged again, in the process that has its variables.
    ordinary = "let after = before + 1;\nafter * 2"
    debugger.set_breakpoints(ordinary, 2)
    request = kernel.start_execute(ordinary)
    thread = debugger.wait_stop("breakpoint")
    assert debugger.locals(thread)["after"]["value"] == "6"
    debugger.set_breakpoints(ordinary)
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "12"


def test_functions_of_ordinary_cells_stop_before_and_after(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = "fn shared(n: usize) -> usize {\n    let more = n + 1;\n    more\n}\nshared(6)"
    debugger.set_breakpoints(code, 2)
    request = kernel.start_execute(code)
    debugger.go(debugger.wait_stop("breakpoint"))
    assert kernel.collect(request).expect_ok().text == "7"
    request = kernel.start_execute("%%mpi -n 3 --debug 1\nlet world = mpi::world()?;\nshared(world.rank())")
    thread = debugger.wait_stop("breakpoint")
    assert debugger.where(thread) == ("shared", 2)
    assert debugger.locals(thread)["n"]["value"] == "1"
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().stdout == "[0] 1\n[1] 2\n[2] 3\n"
    # The function that the worker has loaded already stops too, now that the debugger is back.
    request = kernel.start_execute("shared(7)")
    thread = debugger.wait_stop("breakpoint")
    assert debugger.locals(thread)["n"]["value"] == "7"
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "8"


def test_ranks_without_it_are_not_stopped(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = cell()
    debugger.set_breakpoints(code, 4)
    request = kernel.start_execute(code)
    debugger.go(debugger.wait_stop("breakpoint"))
    kernel.collect(request).expect_ok()
    assert kernel.run("%%mpi\nshare(world.rank())").stdout == "[0] 1\n[1] 11\n[2] 21\n"


def test_a_stopped_rank_is_no_deadlock_and_costs_no_time(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = cell("--timeout 2")
    debugger.set_breakpoints(code, 4)
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    # Longer than the limit, and longer than ranks may wait for each other before it is said. Nothing is to come, so there
    # is nothing to wait for but the time.
    begun = time.monotonic()
    harness.eventually(lambda: time.monotonic() - begun > 5, 10, "five seconds are over")
    assert debugger.where(thread) == ("share", 4)
    debugger.go(thread)
    result = kernel.collect(request).expect_ok()
    assert result.stdout == "[0] 29\n[1] 21\n"
    assert "no rank has gone on" not in result.stderr


def test_an_interrupt_ends_a_cell_whose_rank_stands_still(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = (
        "%%mpi -n 3 --debug 2\nlet world = mpi::world()?;\nif world.rank() == 2 {\n    loop {\n"
        "        std::hint::black_box(1);\n        std::thread::yield_now();\n    }\n}\n"
        "let got: u8 = world.recv(2, 7)?;"
    )
    debugger.set_breakpoints(code, 6)
    request = kernel.start_execute(code)
    debugger.wait_stop("breakpoint")
    kernel.interrupt()
    kernel.collect(request).expect_error("Interrupted")
    assert kernel.run("1 + 1").text == "2"


def test_a_stopped_rank_that_is_killed_is_an_error_of_its_cell(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = cell()
    debugger.set_breakpoints(code, 4)
    request = kernel.start_execute(code)
    rank = debugger.wait_stop("breakpoint")
    # The thread that runs cells is the first one of its process.
    os.kill(rank, signal.SIGKILL)
    kernel.collect(request).expect_error()
    request = kernel.start_execute(code)
    debugger.go(debugger.wait_stop("breakpoint"))
    assert kernel.collect(request).expect_ok().stdout == "[0] 29\n[1] 21\n"


def test_what_cannot_be_debugged_is_said(kernel: harness.Client, debugger: dap.Debugger) -> None:
    error = kernel.execute("%%mpi -n 3 --debug 3\n1").expect_error("UsageError")
    assert "there is no rank 3 among 3" in error.traceback
    debugger.stop()
    error = kernel.execute("%%mpi -n 3 --debug 1\n1").expect_error("DebuggerError")
    assert "the debugger is off" in error.traceback and "do:" in error.traceback
    debugger.start()
