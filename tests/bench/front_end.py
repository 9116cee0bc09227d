"""A front end for measurements: it starts a kernel and takes the time of each answer.

The harness of the tests checks every message on the way and reconnects in its own time; here nothing
may stand between the kernel and the clock, so this is a few sockets and no more. The sockets connect
before the kernel exists and try again each millisecond (ZeroMQ's default of 100 ms would be the
result). Time is counted from just before Popen.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.session import Session

# A kernel that has not answered by then is broken, not slow.
LIMIT = 180.0


class NoAnswer(Exception):
    """The kernel did not answer in time."""


def options(description: str, rounds: int) -> argparse.ArgumentParser:
    """What all scripts can be told: how many rounds, and of which kernel."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--kernel", default="forkline")
    return parser


class Kernel:
    """One kernel process and the sockets to it; a context manager that ends it."""

    def __init__(self, name: str, command: list[str] | None = None, env: dict[str, str] | None = None) -> None:
        """`command` is for a kernel that Jupyter does not know; `{connection_file}` stands in it."""
        self.name = name
        self.folder = tempfile.TemporaryDirectory(prefix="forkline-bench-")
        spec = KernelSpecManager().get_kernel_spec(name) if command is None else None
        path, info = write_connection_file(str(Path(self.folder.name) / "connection.json"))
        self.session = Session(key=info["key"].encode() if isinstance(info["key"], str) else info["key"])
        self.context = zmq.Context()
        self.poller = zmq.Poller()
        self.sockets: dict[str, zmq.Socket] = {}
        for channel, kind in (("shell", zmq.DEALER), ("control", zmq.DEALER), ("iopub", zmq.SUB)):
            socket = self.context.socket(kind)
            socket.linger = 0
            socket.reconnect_ivl = 1
            if kind == zmq.SUB:
                socket.subscribe(b"")
            else:
                socket.identity = self.session.bsession
            socket.connect(f"tcp://{info['ip']}:{info[channel + '_port']}")
            self.poller.register(socket, zmq.POLLIN)
            self.sockets[channel] = socket
        command = [part.replace("{connection_file}", path) for part in command or spec.argv]
        environment = {**os.environ, **(spec.env if spec else {}), **(env or {})}
        # What is written here must not wait for a reader.
        self.log = open(Path(self.folder.name) / "log", "wb")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, env=environment, cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.send("control", "shutdown_request", {"restart": False})
                self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        finally:
            self.context.destroy(linger=0)
            self.log.close()
            self.folder.cleanup()

    def send(self, channel: str, kind: str, content: dict[str, Any]) -> str:
        message = self.session.msg(kind, content)
        self.session.send(self.sockets[channel], message)
        return message["header"]["msg_id"]

    def messages(self, limit: float):
        """All messages as they come: channel, message, time of arrival."""
        deadline = time.perf_counter() + limit
        while True:
            rest = deadline - time.perf_counter()
            if rest <= 0:
                return
            for socket, _ in self.poller.poll(rest * 1000):
                at = time.perf_counter()
                channel = next(name for name, known in self.sockets.items() if known is socket)
                _, parts = self.session.feed_identities(socket.recv_multipart())
                yield channel, self.session.deserialize(parts), at
            if self.process.poll() is not None:
                raise NoAnswer(f"{self.name} ended with {self.process.returncode}\n{self.last_words()}")

    def last_words(self) -> str:
        self.log.flush()
        return "\n".join(Path(self.log.name).read_text(errors="replace").splitlines()[-20:])

    def kernel_info(self, channel: str = "shell", limit: float = LIMIT) -> float:
        """Seconds from the request to the reply."""
        asked = time.perf_counter()
        request = self.send(channel, "kernel_info_request", {})
        return self.reply(channel, request, limit) - asked

    def reply(self, channel: str, request: str, limit: float = LIMIT) -> float:
        """When the reply to a request came."""
        for came, message, at in self.messages(limit):
            if came == channel and message["parent_header"].get("msg_id") == request:
                return at
        raise NoAnswer(f"{self.name}: no reply on {channel} in {limit} s\n{self.last_words()}")

    def start_cell(self, code: str) -> str:
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        return self.send("shell", "execute_request", {**content, "stop_on_error": True})

    def execute(self, code: str) -> float:
        """Seconds from the request to the later one of reply and idle."""
        asked = time.perf_counter()
        ended, _ = self.run(code)
        return ended - asked

    def printed(self, code: str) -> str:
        """What a cell prints; returns when it has ended."""
        _, text = self.run(code)
        return text

    def run(self, code: str) -> tuple[float, str]:
        """When a cell has ended, by the later one of reply and idle, and what it has printed."""
        request = self.start_cell(code)
        text, replied, idle = "", None, None
        for channel, message, at in self.messages(LIMIT):
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if channel == "shell":
                if content["status"] != "ok":
                    raise NoAnswer(f"{self.name}: {code!r} failed\n" + json.dumps(content, indent=1))
                replied = at
            elif message["header"]["msg_type"] == "stream":
                text += content["text"]
            elif message["header"]["msg_type"] == "status" and content["execution_state"] == "idle":
                idle = at
            if replied and idle:
                return max(replied, idle), text
        raise NoAnswer(f"{self.name}: {code!r} did not end\n{self.last_words()}")

    def wait_printed(self, request: str, text: str) -> None:
        """Until a cell has printed something."""
        for _, message, _ in self.messages(LIMIT):
            if message["parent_header"].get("msg_id") == request and text in message["content"].get("text", ""):
                return
        raise NoAnswer(f"{self.name}: {text!r} was not printed\n{self.last_words()}")

    def resident_mb(self) -> float:
        """Memory of the kernel's own process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return float("nan")


def median_min_max(samples: list[float], unit: float = 1.0, digits: int = 3) -> str:
    found = (statistics.median(samples), min(samples), max(samples))
    return " | ".join(f"{value * unit:.{digits}f}" for value in found)


def machine() -> str:
    """The facts of the machine that matter, without its name."""

    def said_by(*command: str) -> str:
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
        except OSError:
            return f"no {command[0]}"

    def line_of(path: str, start: str) -> str:
        lines = Path(path).read_text().splitlines()
        return next((line.split(sep, 1)[1].strip(' "') for line in lines for sep in ":=" if line.startswith(start) and sep in line), "?")

    memory = int(line_of("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({line_of('/proc/cpuinfo', 'model name')}), {memory:.0f} GiB, "
        f"{line_of('/etc/os-release', 'PRETTY_NAME')}, {' '.join(said_by('rustc', '-V').split()[:2])}, "
        f"Python {platform.python_version()}; load at the beginning {load:.2f}"
    )
