"""The harness itself: right about a kernel known to be good, and not fooled by bad conduct.

The good kernel is ipykernel; without it those tests skip. The bad conduct is made by hand.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

import harness
from harness import Client, Gate, Message, conduct_faults


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory):
    if "python3" not in KernelSpecManager().find_kernel_specs():
        pytest.skip("needs ipykernel (pip install ipykernel)")
    client = harness.start("python3", warm=False, cwd=tmp_path_factory.mktemp("cwd"))
    yield client
    client.close()


def test_result_holds_what_the_cell_gave(python: Client) -> None:
    result = python.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert (result.stdout, result.stderr, result.text) == ("out\n", "err\n", "42")
    assert result.count >= 1
    assert result.gap < 0.5


def test_error_is_found_on_iopub_and_in_the_reply(python: Client) -> None:
    result = python.execute("1 / 0").expect_error("ZeroDivisionError")
    assert "division by zero" in result.evalue
    assert "1 / 0" in result.traceback
    assert "\x1b[" in result.coloured_traceback and "\x1b[" not in result.traceback


def test_input_is_answered(python: Client) -> None:
    result = python.execute("name = input('name? ')\nname", answers=["Ada"]).expect_ok()
    assert result.text == "'Ada'"
    assert result.inputs[0].content["prompt"] == "name? "


def test_gate_holds_a_running_cell(python: Client, gate: Gate) -> None:
    code = f"import os, time\nprint('waiting')\nwhile not os.path.exists({str(gate.path)!r}): time.sleep(0.002)\nprint('on')"
    request = python.start_execute(code)
    python.wait_printed(request, "waiting")
    assert python.kernel_info("control").ok
    gate.open()
    assert python.collect(request).expect_ok().stdout == "waiting\non\n"


def test_other_requests_are_collected(python: Client) -> None:
    python.run("some_long_name = 1")
    assert "some_long_name" in python.complete("some_long_n").content["matches"]
    assert python.inspect("print").content["found"]
    assert python.is_complete("def f():").content["status"] == "incomplete"
    assert python.heartbeat(b"are you there?") == b"are you there?"


def test_late_output_is_noticed(python: Client, gate: Gate) -> None:
    python.run(
        "import os, threading, time\n"
        "def later():\n"
        f"    while not os.path.exists({str(gate.path)!r}): time.sleep(0.002)\n"
        "    print('late')\n"
        "threading.Thread(target=later).start()"
    )
    gate.open()
    python.wait(lambda: any(m.is_stream("stdout") for m in python.late), 10, "the late text")
    with pytest.raises(AssertionError, match="published after the request was idle"):
        python.settle()


def test_replayed_and_badly_signed_requests_stay_unanswered(python: Client) -> None:
    once, frames = python.frames("kernel_info_request")
    python.sockets["shell"].send_multipart(frames)
    python.sockets["shell"].send_multipart(frames)
    python.fence("shell")
    assert sum(m.channel == "shell" for m in python.by_parent[once]) == 1


def test_shutdown_leaves_no_process(python_for_shutdown: Client) -> None:
    client = python_for_shutdown
    family = client.process.descendants()
    assert client.shutdown().content["restart"] is False
    client.process.wait_exit(10)
    assert harness.still_there(family, 5) == []


@pytest.fixture
def python_for_shutdown(tmp_path):
    if "python3" not in KernelSpecManager().find_kernel_specs():
        pytest.skip("needs ipykernel (pip install ipykernel)")
    client = harness.start("python3", warm=False, cwd=tmp_path)
    yield client
    client.close()


# ---- conduct made by hand

REQUEST = {
    "header": {"msg_id": "q1", "session": "s", "msg_type": "execute_request"},
    "content": {"code": "1 + 1", "silent": False},
}


def message(msg_type: str, content: dict[str, Any], channel: str = "iopub", **parent: Any) -> Message:
    raw = {
        "header": {"msg_type": msg_type, "msg_id": f"{msg_type}{len(content)}"},
        "parent_header": {**REQUEST["header"], **parent},
        "content": content,
        "metadata": {},
    }
    return Message(channel, time.monotonic(), time.time(), raw)


BUSY = message("status", {"execution_state": "busy"})
IDLE = message("status", {"execution_state": "idle"})
ECHO = message("execute_input", {"code": "1 + 1", "execution_count": 1})
RESULT = message("execute_result", {"execution_count": 1, "data": {"text/plain": "2"}})
REPLY = message("execute_reply", {"status": "ok", "execution_count": 1}, "shell")


def test_good_conduct_has_no_faults() -> None:
    assert conduct_faults(REQUEST, [BUSY, ECHO, RESULT, IDLE, REPLY], REPLY) == []


@pytest.mark.parametrize(
    "messages, part",
    [
        ([ECHO, BUSY, RESULT, IDLE], "first message on iopub is not status busy"),
        ([BUSY, ECHO, IDLE, RESULT], "last message on iopub is not status idle"),
        ([BUSY, ECHO, RESULT], "last message on iopub is not status idle"),
        ([BUSY, RESULT, ECHO, IDLE], "execute_input does not follow busy"),
        ([BUSY, RESULT, IDLE], "execute_input was sent 0 times"),
        ([BUSY, BUSY, ECHO, IDLE], "status busy was sent 2 times"),
        ([BUSY, message("execute_input", {"code": "1", "execution_count": 1}), IDLE], "does not repeat the cell's text"),
        ([BUSY, message("execute_input", {"code": "1 + 1", "execution_count": 7}), IDLE], "differ in execution_count"),
        ([BUSY, ECHO, message("stream", {"name": "stdout", "text": "x"}, session="other"), IDLE], "parent_header.session"),
    ],
)
def test_bad_conduct_is_named(messages: list[Message], part: str) -> None:
    faults = conduct_faults(REQUEST, [*messages, REPLY], REPLY)
    assert any(part in fault for fault in faults), faults


def test_failure_shows_the_cell_and_the_conversation() -> None:
    result = harness.Result(REQUEST, REPLY, [BUSY, ECHO, RESULT, IDLE, REPLY])
    with pytest.raises(AssertionError) as caught:
        result.equal(result.text, "3", "the result")
    for part in ("wanted: '3'", "got:    '2'", "1 + 1", "execute_result"):
        assert part in str(caught.value)
