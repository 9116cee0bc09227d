"""A front end's debugger for tests: it speaks the Debug Adapter Protocol over the control channel."""

from __future__ import annotations

import itertools
import shutil
from typing import Any

import psutil

import harness


def find_adapter() -> str | None:
    """The debugger that the kernel would take."""
    names = [f"lldb-dap-{version}" for version in range(30, 17, -1)] + ["lldb-dap"]
    return next((found for name in names if (found := shutil.which(name))), None)


def murmur2(data: bytes, seed: int) -> int:
    """MurmurHash2 with 32 bits, as JupyterLab computes the names of cells' files."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = seed ^ len(data)
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        value = (value * factor & mask) ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def adapters(kernel: harness.Client) -> list[psutil.Process]:
    """The debuggers below the kernel that have not ended."""
    family = kernel.process.descendants()
    return [p for p, words in zip(family, map(words_of, family)) if "lldb-dap" in words]


def words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class Debugger:
    """The debugger of one kernel, as JupyterLab uses it."""

    def __init__(self, client: harness.Client) -> None:
        self.client = client
        self.numbers = itertools.count(1)
        self.seen = 0
        # Threads come and go, and a debugger says so, also when no cell runs.
        client.late_allowed = True

    def request(self, command: str, timeout: float = 40.0, **arguments: Any) -> dict[str, Any]:
        """The content of the reply, whatever it says."""
        content = {"type": "request", "seq": next(self.numbers), "command": command, "arguments": arguments}
        self.client.late_allowed = True
        result = self.client.ask("debug_request", content, channel="control", timeout=timeout)
        assert result.content["request_seq"] == content["seq"]
        assert result.content["command"] == command
        return result.content

    def ask(self, command: str, timeout: float = 40.0, **arguments: Any) -> dict[str, Any]:
        """The body of a reply that must be a success."""
        reply = self.request(command, timeout, **arguments)
        assert reply["success"], f"{command}: {reply.get('message')}"
        return reply.get("body") or {}

    def refused(self, command: str, **arguments: Any) -> str:
        """The message of a reply that must not be a success."""
        reply = self.request(command, **arguments)
        assert not reply["success"], f"{command} was a success: {reply}"
        return reply["message"]

    # ---- as JupyterLab does it

    def start(self) -> Debugger:
        self.ask("initialize", clientID="test", adapterID="forkline", linesStartAt1=True, columnsStartAt1=True)
        self.ask("attach")
        self.ask("configurationDone")
        return self

    def stop(self) -> None:
        self.ask("disconnect", restart=False, terminateDebuggee=False)

    def dump(self, code: str) -> str:
        return self.ask("dumpCell", code=code)["sourcePath"]

    def set_breakpoints(self, code: str, *lines: int | dict[str, Any]) -> list[dict[str, Any]]:
        path = self.dump(code)
        asked = [line if isinstance(line, dict) else {"line": line} for line in lines]
        body = self.ask("setBreakpoints", source={"path": path}, breakpoints=asked, sourceModified=False)
        self.ask("configurationDone")
        return body["breakpoints"]

    # ---- events

    def events(self, name: str) -> list[harness.Message]:
        return [m for m in self.client.log if m.type == "debug_event" and m.content["event"] == name]

    def wait_event(self, name: str, timeout: float = 40.0) -> harness.Message:
        """The next event of this name that was not waited for before."""

        def look() -> harness.Message | None:
            while self.seen < len(self.client.log):
                message = self.client.log[self.seen]
                self.seen += 1
                if message.type == "debug_event" and message.content["event"] == name:
                    return message
            return None

        return self.client.wait(look, timeout, f"the event {name}")

    def wait_stop(self, reason: str | None = None, timeout: float = 40.0) -> int:
        """The thread that stops next."""
        body = self.wait_event("stopped", timeout).content["body"]
        if reason is not None:
            assert body["reason"] == reason, body
        return body["threadId"]

    # ---- looking around

    def stack(self, thread: int) -> list[dict[str, Any]]:
        return self.ask("stackTrace", threadId=thread)["stackFrames"]

    def where(self, thread: int) -> tuple[str, int]:
        """Name and line of the innermost frame."""
        top = self.stack(thread)[0]
        return top["name"], top["line"]

    def locals(self, thread: int, frame: int = 0) -> dict[str, dict[str, Any]]:
        frame_id = self.stack(thread)[frame]["id"]
        scopes = self.ask("scopes", frameId=frame_id)["scopes"]
        return {v["name"]: v for v in self.parts(scopes[0]["variablesReference"])}

    def parts(self, reference: int, **page: int) -> list[dict[str, Any]]:
        return self.ask("variables", variablesReference=reference, **page)["variables"]

    def go(self, thread: int) -> None:
        self.ask("continue", threadId=thread)

    def step(self, command: str, thread: int) -> tuple[str, int]:
        self.ask(command, threadId=thread)
        return self.where(self.wait_stop("step"))
