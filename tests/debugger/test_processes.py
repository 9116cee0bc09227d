"""Processes that a cell starts while it is debugged: they are not followed, and no breakpoint ends them."""

from __future__ import annotations

import pytest

import dap
import harness

WORK = "fn work(n: i32) -> i32 {\n    let more = n + 1;\n    breakpoint!();\n    more * 2\n}\n"
STARTS = {
    "spawned": "let process = processes::spawn(work, (3,))?;\nlet result = process.join()?;\nresult",
    "forked": "let process = processes::fork(|| work(3))?;\nlet result = process.join()?;\nresult",
    "in a pool": "let pool = processes::Pool::new(2)?;\nlet result = pool.map(work, 3..4)?[0];\nresult",
}


@pytest.mark.parametrize("how", STARTS)
def test_a_process_runs_past_the_breakpoints(kernel: harness.Client, debugger: dap.Debugger, how: str) -> None:
    code = WORK + STARTS[how]
    debugger.set_breakpoints(code, 2, 8)
    request = kernel.start_execute(code)
    # That of the last line is the first one that is met by the process that is debugged.
    thread = debugger.wait_stop("breakpoint")
    assert debugger.where(thread)[1] == 8
    assert debugger.locals(thread)["result"]["value"] == "8"
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "8"


def test_a_process_outlives_a_killed_debugger(
    kernel: harness.Client, debugger: dap.Debugger, gate: harness.Gate, new_gate
) -> None:
    entered = new_gate()
    code = (
        "fn work(n: i32) -> i32 {\n    let more = n + 1;\n    more * 2\n}\n"
        f"let process = processes::fork(|| {{ {entered.opening} {gate.closed} work(3) }})?;\n"
        "process.join()?"
    )
    debugger.set_breakpoints(code, 2)
    request = kernel.start_execute(code)
    harness.eventually(entered.is_open, harness.CELL, "the process runs")
    (adapter,) = dap.adapters(kernel)
    adapter.kill()
    debugger.wait_event("terminated")
    gate.open()
    assert kernel.collect(request).expect_ok().text == "8"
