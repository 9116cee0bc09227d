"""The end of a kernel: it answers, it goes, and it takes every process along."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

import harness
from harness import SLOW_TO_COMPILE, Client, command_lines, eventually, still_there


def family(client: Client) -> list:
    """All processes of a warm kernel; there must be some, or the tests below show nothing."""
    found = client.process.descendants()
    assert found, "a warm kernel has at least a worker process"
    return found


@pytest.mark.parametrize("restart", [True, False])
def test_shutdown_is_answered_and_done(start_kernel, restart: bool) -> None:
    client = start_kernel()
    members = family(client)
    result = client.shutdown(restart=restart).expect_ok()
    result.equal(result.content["restart"], restart, "restart")
    assert client.process.wait_exit(5) == 0
    assert still_there(members, 2) == []


def test_restarted_kernel_takes_the_same_ports_at_once(start_kernel, tmp_path) -> None:
    first = start_kernel()
    first.run("let before_restart = 1;")
    first.shutdown(restart=True)
    first.process.wait_exit(5)
    second = start_kernel(connection_file=first.process.connection_file)
    second.execute("before_restart").expect_error()
    assert second.run("6 * 7").text == "42"


def test_shutdown_during_the_warm_up(start_kernel) -> None:
    client = start_kernel(warm=False)
    members = client.process.descendants()
    client.shutdown().expect_ok()
    client.process.wait_exit(5)
    assert still_there(members, 2) == []


def test_shutdown_while_a_cell_runs(start_kernel) -> None:
    client = start_kernel()
    request = client.start_execute('println!("started"); loop { std::hint::spin_loop(); }')
    client.wait_printed(request, "started")
    members = family(client)
    client.shutdown().expect_ok()
    client.process.wait_exit(5)
    assert still_there(members, 2) == []


def test_shutdown_with_cells_in_the_queue(start_kernel) -> None:
    client = start_kernel()
    requests = [client.start_execute('println!("started"); loop { std::hint::spin_loop(); }') for _ in range(3)]
    client.wait_printed(requests[0], "started")
    members = family(client)
    client.shutdown().expect_ok()
    client.process.wait_exit(5)
    assert still_there(members, 2) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("running", [False, True], ids=["idle", "running"])
def test_killed_kernel_leaves_no_process(start_kernel, number: signal.Signals, running: bool) -> None:
    client = start_kernel()
    if running:
        request = client.start_execute('println!("started"); loop { std::hint::spin_loop(); }')
        client.wait_printed(request, "started")
    members = family(client)
    os.kill(client.process.pid, number)
    client.process.wait_exit(5)
    assert still_there(members, 2) == []


def test_kernel_killed_while_compiling_leaves_no_process(start_kernel) -> None:
    client = start_kernel()
    client.start_execute(SLOW_TO_COMPILE)
    eventually(
        lambda: any(Path(words[0]).name == "rustc" for words in command_lines(client.process.descendants()) if words),
        20,
        "a rustc under the kernel",
    )
    members = family(client)
    client.process.process.kill()
    client.process.wait_exit(5)
    assert still_there(members, 2) == []


@pytest.mark.parametrize("content", [None, '{"shell_port": 1', '{"transport": "tcp"}'], ids=["missing", "cut off", "lacking ports"])
def test_unusable_connection_file_is_named(tmp_path, content: str | None) -> None:
    path = tmp_path / "connection.json"
    if content is not None:
        path.write_text(content)
    argv = KernelSpecManager().get_kernel_spec(harness.KERNEL_NAME).argv
    command = [part.replace("{connection_file}", str(path)) for part in argv]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.returncode not in (0, 101), f"exit code {ended.returncode}\n{ended.stderr}"
    assert str(path) in ended.stderr, f"the message does not name the file:\n{ended.stderr}"
