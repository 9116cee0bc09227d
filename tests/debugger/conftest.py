"""Fixtures: a kernel whose debugger is on. Without a debugger on this machine all of this is skipped."""

from __future__ import annotations

from typing import Iterator

import pytest

import dap
import harness


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if dap.find_adapter() is None:
        for item in items:
            if item.path.parent.name == "debugger":
                item.add_marker(pytest.mark.skip(reason="no lldb-dap 18.1 or newer (apt-get install lldb-19)"))


@pytest.fixture
def debugger(kernel: harness.Client) -> Iterator[dap.Debugger]:
    """The debugger of the module's kernel, on; off again when the test is over."""
    held = dap.Debugger(kernel).start()
    yield held
    if kernel.usable():
        info = held.ask("debugInfo")
        for source in info["breakpoints"]:
            held.ask("setBreakpoints", source={"path": source["source"]}, breakpoints=[])
        held.ask("setExceptionBreakpoints", filters=[])
        held.stop()
