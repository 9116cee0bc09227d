"""A Jupyter front end for tests: it starts a kernel, talks to it, and watches its conduct.

A test reads like the protocol: `result = kernel.execute("1 + 1")`, then look at `result.text`.
Whatever a test asks, the rules that hold for every request are checked on the way: one session id,
unique message ids, the request's header as parent, busy first and idle last, nothing after idle.

Nothing here sleeps to get things in order. Every wait names what it waits for, has a deadline, and
on failure prints the conversation so far and the end of the kernel's own log.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable

import psutil
import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.session import Session

KERNEL_NAME = os.environ.get("KERNEL_UNDER_TEST", "forkline")

# The first cell waits for the engine to warm up, which takes longer when tests share few cores.
FIRST_CELL = 90.0
CELL = 40.0
REQUEST = 20.0

# The specification lets reply and idle come in either order; front ends want both at once.
GAP = 5.0

MIN_VERSION = (5, 4)
# Keeps rustc busy for minutes, in a constant that it must evaluate.
SLOW_ITEM = (
    "#[allow(long_running_const_eval)]\n"
    "pub const SLOW: u64 = { let mut i = 0u64; while i < 10_000_000_000 { i += 1; } i };"
)
SLOW_TO_COMPILE = f"{SLOW_ITEM}\nSLOW"

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
ABSENT = object()


def plain(text: str) -> str:
    """The text without its colours."""
    return ANSI.sub("", text)


def squeezed(text: str) -> str:
    """The text without white space and trailing commas, to compare `{:?}` with `{:#?}`."""
    return re.sub(r",(?=[\])}])", "", re.sub(r"\s+", "", text))


def rust_str(text: str | Path) -> str:
    """The text as a Rust string literal."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@dataclass
class Message:
    """One message as it came from the kernel."""

    channel: str
    at: float
    wall: float
    raw: dict[str, Any]

    @property
    def type(self) -> str:
        return self.raw["header"]["msg_type"]

    @property
    def header(self) -> dict[str, Any]:
        return self.raw["header"]

    @property
    def parent_header(self) -> dict[str, Any]:
        return self.raw["parent_header"]

    @property
    def parent_id(self) -> str | None:
        return self.parent_header.get("msg_id")

    @property
    def content(self) -> dict[str, Any]:
        return self.raw["content"]

    @property
    def metadata(self) -> dict[str, Any]:
        return self.raw["metadata"]

    def is_status(self, state: str) -> bool:
        return self.type == "status" and self.content.get("execution_state") == state

    def is_stream(self, name: str) -> bool:
        return self.type == "stream" and self.content.get("name") == name

    def brief(self, start: float = 0.0) -> str:
        content = self.content
        if self.type == "status":
            text = content.get("execution_state", "?")
        elif self.type == "stream":
            text = f"{content.get('name')} {content.get('text')!r}"
        elif self.type == "error" or content.get("status") == "error":
            tail = plain("\n".join(content.get("traceback") or []))
            text = f"{content.get('ename')!r}: {content.get('evalue')!r}\n{tail}"
        else:
            text = json.dumps(content, default=str, ensure_ascii=False)
        if len(text) > 1500:
            text = text[:1000] + f" ... ({len(text)} characters)"
        return f"{self.at - start:8.3f} {self.channel:7} {self.type:20} {text}"


def transcript(messages: Iterable[Message], limit: int = 60) -> str:
    """The messages one a line, the middle left out if there are many."""
    listed = list(messages)
    if not listed:
        return "(no messages)"
    start = listed[0].at
    if len(listed) > limit:
        half = limit // 2
        lines = [m.brief(start) for m in listed[:half]]
        lines.append(f"         ... {len(listed) - 2 * half} messages ...")
        lines += [m.brief(start) for m in listed[-half:]]
    else:
        lines = [m.brief(start) for m in listed]
    return "\n".join(lines)


@dataclass
class Result:
    """Everything that one request led to."""

    request: dict[str, Any]
    reply: Message
    messages: list[Message]
    inputs: list[Message] = field(default_factory=list)

    @property
    def content(self) -> dict[str, Any]:
        return self.reply.content

    @property
    def status(self) -> str:
        return self.content.get("status", "(none)")

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def count(self) -> int:
        return self.content["execution_count"]

    @property
    def id(self) -> str:
        return self.request["header"]["msg_id"]

    @property
    def iopub(self) -> list[Message]:
        return [m for m in self.messages if m.channel == "iopub"]

    @property
    def outputs(self) -> list[Message]:
        """What a notebook would show: streams, displays, results, errors, clearing."""
        return [m for m in self.iopub if m.type not in ("status", "execute_input")]

    def of_type(self, *types: str) -> list[Message]:
        return [m for m in self.iopub if m.type in types]

    @property
    def stdout(self) -> str:
        return "".join(m.content["text"] for m in self.iopub if m.is_stream("stdout"))

    @property
    def stderr(self) -> str:
        return "".join(m.content["text"] for m in self.iopub if m.is_stream("stderr"))

    @property
    def displays(self) -> list[dict[str, Any]]:
        return [m.content["data"] for m in self.of_type("display_data")]

    @property
    def result(self) -> dict[str, Any]:
        """The bundle of the execute_result; empty if there is none."""
        found = self.of_type("execute_result")
        assert len(found) <= 1, self.story("more than one execute_result")
        return found[0].content["data"] if found else {}

    @property
    def text(self) -> str:
        """The execute_result as plain text."""
        return self.result.get("text/plain", "")

    @property
    def shown(self) -> str:
        """All text that a reader would see, whatever way it came."""
        parts = []
        for message in self.outputs:
            content = message.content
            if message.type == "stream":
                parts.append(content["text"])
            elif message.type == "error":
                parts.append(f"{content['ename']}: {content['evalue']}\n" + "\n".join(content["traceback"]))
            else:
                parts += [v if isinstance(v, str) else json.dumps(v) for v in content.get("data", {}).values()]
        return plain("\n".join(parts))

    @property
    def errors(self) -> list[Message]:
        return self.of_type("error")

    @property
    def ename(self) -> str:
        return self.content.get("ename", "")

    @property
    def evalue(self) -> str:
        return self.content.get("evalue", "")

    @property
    def coloured_traceback(self) -> str:
        return "\n".join(self.content.get("traceback") or [])

    @property
    def traceback(self) -> str:
        return plain(self.coloured_traceback)

    @property
    def gap(self) -> float:
        """Seconds between reply and idle, whichever came first."""
        idle = [m for m in self.iopub if m.is_status("idle")]
        return abs(idle[-1].at - self.reply.at)

    def story(self, what: str) -> str:
        asked = self.request["content"].get("code")
        asked = f"\n--- the cell\n{asked}" if asked is not None else ""
        return f"{what}{asked}\n--- the conversation\n{transcript(self.messages)}"

    def expect_ok(self) -> Result:
        if not self.ok:
            raise AssertionError(self.story(f"expected status ok, got {self.status}"))
        return self

    def expect_error(self, ename: str | None = None) -> Result:
        """The reply is an error, with exactly one matching `error` on iopub."""
        if self.status != "error":
            raise AssertionError(self.story(f"expected status error, got {self.status}"))
        if ename is not None:
            self.equal(self.ename, ename, "ename")
        if not self.request["content"].get("silent"):
            if len(self.errors) != 1:
                raise AssertionError(self.story(f"expected exactly one error on iopub, got {len(self.errors)}"))
            for key in ("ename", "evalue", "traceback"):
                self.equal(self.errors[0].content.get(key), self.content.get(key), f"{key} on iopub and in the reply")
        return self

    def equal(self, got: Any, wanted: Any, what: str = "value") -> None:
        if got != wanted:
            raise AssertionError(self.story(f"{what}:\n  wanted: {wanted!r}\n  got:    {got!r}"))

    def has(self, part: str, within: str, what: str = "text") -> None:
        if part not in within:
            raise AssertionError(self.story(f"{what} lacks {part!r}; it is:\n{within}"))

    def lacks(self, part: str, within: str, what: str = "text") -> None:
        if part in within:
            raise AssertionError(self.story(f"{what} should not contain {part!r}; it is:\n{within}"))

    def matches(self, pattern: str, within: str, what: str = "text") -> None:
        if not re.search(pattern, within, re.MULTILINE):
            raise AssertionError(self.story(f"{what} does not match /{pattern}/; it is:\n{within}"))


def conduct_faults(request: dict[str, Any], messages: list[Message], reply: Message) -> list[str]:
    """What the kernel did wrong around one request, by the rules that hold for all of them."""
    faults = []
    asked = request["header"]["msg_type"]
    iopub = [m for m in messages if m.channel == "iopub"]
    wanted_reply = asked.replace("_request", "_reply")
    if reply.type != wanted_reply:
        faults.append(f"the reply is {reply.type}, not {wanted_reply}")
    for message in messages:
        for key, value in request["header"].items():
            got = message.parent_header.get(key, ABSENT)
            if got != value:
                shown = "absent" if got is ABSENT else repr(got)
                faults.append(f"{message.type}: parent_header.{key} is {shown}, not the request's {value!r}")
    if not iopub or not iopub[0].is_status("busy"):
        faults.append("the first message on iopub is not status busy")
    if not iopub or not iopub[-1].is_status("idle"):
        faults.append("the last message on iopub is not status idle")
    for state in ("busy", "idle"):
        seen = sum(m.is_status(state) for m in iopub)
        if seen != 1:
            faults.append(f"status {state} was sent {seen} times")
    if asked == "execute_request":
        faults += _execute_faults(request["content"], iopub, reply)
    return faults


def _execute_faults(asked: dict[str, Any], iopub: list[Message], reply: Message) -> list[str]:
    faults = []
    echoes = [m for m in iopub if m.type == "execute_input"]
    aborted = reply.content.get("status") == "aborted"
    if asked.get("silent"):
        if echoes:
            faults.append("a silent request was echoed as execute_input")
        if any(m.type == "execute_result" for m in iopub):
            faults.append("a silent request published an execute_result")
    elif asked["code"].strip() and not aborted:
        if len(echoes) != 1:
            faults.append(f"execute_input was sent {len(echoes)} times")
        elif iopub[1] is not echoes[0]:
            faults.append("execute_input does not follow busy at once")
        elif echoes[0].content.get("code") != asked["code"]:
            faults.append("execute_input does not repeat the cell's text")
    if not aborted and not isinstance(reply.content.get("execution_count"), int):
        faults.append("execute_reply lacks execution_count")
    for message in iopub:
        # Outside history the next number may be shown although it is not taken.
        if message.type in ("execute_input", "execute_result") and asked.get("store_history", True):
            if message.content.get("execution_count") != reply.content.get("execution_count"):
                faults.append(f"{message.type} and execute_reply differ in execution_count")
    return faults


class KernelProcess:
    """A kernel started from its kernelspec, with a connection file of our own making."""

    def __init__(
        self,
        name: str = KERNEL_NAME,
        *,
        cwd: str | Path | None = None,
        env: dict[str, str] | None = None,
        curve: bool = False,
        connection_file: str | Path | None = None,
    ) -> None:
        spec = KernelSpecManager().get_kernel_spec(name)
        self.spec = spec
        self.folder = tempfile.TemporaryDirectory(prefix="kernel-test-")
        self.connection_file = str(connection_file or Path(self.folder.name) / "connection.json")
        if connection_file is None:
            keys: dict[str, Any] = {}
            if curve:
                public, secret = zmq.curve_keypair()
                keys = {"curve_publickey": public, "curve_secretkey": secret}
            write_connection_file(self.connection_file, key=uuid.uuid4().hex.encode(), kernel_name=name, **keys)
        self.connection = json.loads(Path(self.connection_file).read_text())
        places = {"connection_file": self.connection_file, "resource_dir": spec.resource_dir}
        argv = [re.sub(r"\{(\w+)\}", lambda m: places.get(m[1], m[0]), part) for part in spec.argv]
        if argv[0] in ("python", "python3"):
            argv[0] = sys.executable
        environment = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
        for key, value in (spec.env or {}).items():
            environment[key] = re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], m[0]), value)
        environment.update(env or {})
        self.log_path = Path(self.folder.name) / "kernel.log"
        self.family: set[psutil.Process] = set()
        self.started = time.monotonic()
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=cwd or self.folder.name,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def log_tail(self, limit: int = 3000) -> str:
        try:
            return self.log_path.read_text(errors="replace")[-limit:]
        except OSError:
            return ""

    def descendants(self) -> list[psutil.Process]:
        """The processes under the kernel, as far down as they go."""
        try:
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        # Remembered, so that none outlives its test even if the kernel has lost track of it.
        self.family.update(found)
        return found

    def wait_exit(self, timeout: float) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the kernel process was still there after {timeout} s\n{self.log_tail()}") from None

    def kill(self) -> None:
        """End the kernel and everything under it, whatever state it is in."""
        self.descendants()
        if self.alive():
            self.process.kill()
        self.process.wait()
        for member in self.family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(self.family, timeout=5)


def still_there(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Those of the processes that have not ended after `timeout` seconds; zombies count as ended."""
    deadline = time.monotonic() + timeout
    alive = list(processes)
    while True:
        alive = [p for p in alive if p.is_running() and not _is_zombie(p)]
        if not alive or time.monotonic() > deadline:
            return alive
        psutil.wait_procs(alive, timeout=0.05)


def command_lines(processes: Iterable[psutil.Process]) -> list[list[str]]:
    """The words of each process' command, without those that have ended while we looked."""
    found = []
    for process in processes:
        try:
            found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """The first true value of `condition`, for events that no message announces."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s still not: {what}")
        time.sleep(0.02)


class Client:
    """A front end with all five sockets, read in one thread whenever a test waits."""

    def __init__(self, process: KernelProcess, *, server_key: Any = None) -> None:
        """Connect to the kernel; without a `server_key` as the connection file says, with False in the clear."""
        self.process = process
        connection = process.connection
        self.session = Session(
            key=connection["key"].encode(),
            signature_scheme=connection["signature_scheme"],
            session=uuid.uuid4().hex,
            username="tester",
        )
        self.context = zmq.Context()
        self.curve = server_key if server_key is not None else connection.get("curve_publickey")
        self.sockets = {
            "shell": self.connect("shell", zmq.DEALER),
            "control": self.connect("control", zmq.DEALER),
            "stdin": self.connect("stdin", zmq.DEALER),
            "iopub": self.connect("iopub", zmq.SUB),
        }
        self.poller = zmq.Poller()
        for socket in self.sockets.values():
            self.poller.register(socket, zmq.POLLIN)
        self.log: list[Message] = []
        self.by_parent: dict[str, list[Message]] = {}
        self.requests: dict[str, dict[str, Any]] = {}
        self.pending: dict[str, str] = {}
        self.finished: set[str] = set()
        self.late: list[Message] = []
        self.late_allowed = False
        self.kernel_session: str | None = None
        self.seen_ids: set[str] = set()
        self.closed = False

    def connect(self, channel: str, kind: int, topic: bytes = b"") -> zmq.Socket:
        """A socket of our own on one of the kernel's channels."""
        connection = self.process.connection
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.rcvhwm = 0
        socket.reconnect_ivl = 5
        if kind == zmq.DEALER:
            socket.identity = self.session.bsession
        if kind == zmq.SUB:
            socket.subscribe(topic)
        if self.curve:
            public, secret = zmq.curve_keypair()
            socket.curve_publickey, socket.curve_secretkey = public, secret
            socket.curve_serverkey = self.curve.encode() if isinstance(self.curve, str) else self.curve
        port = connection[f"{channel}_port"]
        if connection["transport"] == "tcp":
            socket.connect(f"tcp://{connection['ip']}:{port}")
        else:
            socket.connect(f"{connection['transport']}://{connection['ip']}-{port}")
        return socket

    # ---- receiving

    def pump(self, timeout: float) -> None:
        """Take in what has arrived, waiting up to `timeout` seconds for the first of it."""
        for socket, _ in self.poller.poll(max(0, int(timeout * 1000))):
            channel = next(name for name, s in self.sockets.items() if s is socket)
            # Bounded, so that a kernel that floods one channel cannot keep us from the others.
            for _ in range(200):
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                self._take(channel, frames)

    def _take(self, channel: str, frames: list[bytes]) -> None:
        _, parts = self.session.feed_identities(frames)
        message = Message(channel, time.monotonic(), time.time(), self.session.deserialize(parts))
        self.log.append(message)
        self._check_header(message)
        parent = message.parent_id
        if parent is None:
            return
        self.by_parent.setdefault(parent, []).append(message)
        if channel == "iopub" and parent in self.finished:
            self.late.append(message)

    def _check_header(self, message: Message) -> None:
        header = message.header
        if self.kernel_session is None:
            self.kernel_session = header["session"]
        assert header["session"] == self.kernel_session, (
            f"header.session changed from {self.kernel_session} to {header['session']} in {message.brief()}"
        )
        assert header["msg_id"] not in self.seen_ids, f"the message id was used before: {message.brief()}"
        self.seen_ids.add(header["msg_id"])
        version = tuple(int(part) for part in header["version"].split(".")[:2])
        assert version >= MIN_VERSION, f"protocol version {header['version']} in {message.brief()}"
        for key in ("username", "date"):
            assert key in header, f"header lacks {key}: {message.brief()}"

    def wait(self, condition: Callable[[], Any], timeout: float, what: str) -> Any:
        """Pump until `condition` gives something true, and return that."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                self.fail(f"waited {timeout:g} s for {what}")
            if not self.process.alive():
                self.pump(0.1)
                value = condition()
                if value:
                    return value
                self.fail(f"the kernel ended with code {self.process.process.poll()} while waiting for {what}")
            self.pump(min(left, 0.25))

    def wait_message(
        self, want: Callable[[Message], bool], timeout: float, what: str, parent: str | None = None
    ) -> Message:
        """The first message, of all so far or still to come, that `want` accepts."""
        looked = 0

        def look() -> Message | None:
            nonlocal looked
            source = self.log if parent is None else self.by_parent.get(parent, [])
            while looked < len(source):
                message = source[looked]
                looked += 1
                if want(message):
                    return message
            return None

        return self.wait(look, timeout, what)

    def wait_printed(self, request: str, text: str, timeout: float = CELL, name: str = "stdout") -> Message:
        """Wait until the request has printed `text`; returns the message that completed it."""

        def look() -> Message | None:
            so_far = ""
            for message in self.by_parent.get(request, []):
                if message.is_stream(name):
                    so_far += message.content["text"]
                    if text in so_far:
                        return message
                elif message.is_status("idle") and request not in self.finished:
                    self.fail(f"the cell ended without printing {text!r} on {name}")
            return None

        return self.wait(look, timeout, f"{text!r} on {name}")

    def fail(self, what: str) -> None:
        raise AssertionError(f"{what}\n{self.describe()}")

    def describe(self) -> str:
        state = "running" if self.process.alive() else f"ended with code {self.process.process.poll()}"
        asked = "\n".join(f"  {kind}" for kind in self.pending.values()) or "  none"
        return (
            f"--- kernel process {state}; requests without an answer:\n{asked}\n"
            f"--- the conversation\n{transcript(self.log[-80:])}\n"
            f"--- the kernel's own log\n{self.process.log_tail()}"
        )

    # ---- sending

    def send(
        self,
        msg_type: str,
        content: dict[str, Any] | None = None,
        channel: str = "shell",
        buffers: list[bytes] | None = None,
        expects_reply: bool = True,
    ) -> str:
        """Send a request and return its id; `collect` waits for what comes of it."""
        message = self.session.msg(msg_type, content or {})
        self.session.send(self.sockets[channel], message, buffers=buffers)
        request = {"header": message["header"], "content": message["content"], "channel": channel}
        self.requests[message["msg_id"]] = request
        if expects_reply:
            self.pending[message["msg_id"]] = f"{msg_type} {str(content or '')[:200]}"
        return message["msg_id"]

    def frames(self, msg_type: str, content: dict[str, Any] | None = None) -> tuple[str, list[bytes]]:
        """A signed message as it would go over the wire, for tests that bend it first."""
        message = self.session.msg(msg_type, content or {})
        return message["msg_id"], self.session.serialize(message)

    def collect(
        self, request: str, timeout: float = CELL, answers: list[str] | None = None, unanswered: bool = False
    ) -> Result:
        """Wait for reply and idle of a request, check its conduct, and return all of it.

        `answers` are given to input requests, one after the other. An input request that no answer
        is left for fails the test, unless it is to stay `unanswered`.
        """
        asked = self.requests[request]
        channel = asked["channel"]
        queue = list(answers or [])
        handled = 0
        inputs: list[Message] = []
        reply: Message | None = None
        is_idle = False

        def step() -> bool:
            """Looks at each message once: a cell may print tens of thousands."""
            nonlocal handled, reply, is_idle
            messages = self.by_parent.get(request, [])
            while handled < len(messages):
                message = messages[handled]
                handled += 1
                if message.channel == channel:
                    reply = reply or message
                is_idle = is_idle or message.is_status("idle")
                if message.type == "input_request":
                    inputs.append(message)
                    if unanswered:
                        continue
                    if not queue:
                        self.fail("an input request came that no answer is left for")
                    self.answer(message, queue.pop(0))
            return bool(reply or is_idle)

        what = asked["header"]["msg_type"].replace("_request", "_reply")
        self.wait(step, timeout, f"{what} or idle")
        # What was printed may still be on its way while the reply is here: the gap is one without any message.
        while not (reply and is_idle):
            before = handled
            self.wait(lambda: step() and handled > before, GAP, f"both {what} and idle, of which one has come")
        self.pending.pop(request, None)
        self.finished.add(request)
        messages = list(self.by_parent[request])
        result = Result(asked, reply, messages, inputs)
        faults = conduct_faults(asked, messages, result.reply)
        if faults and not self.late_allowed:
            raise AssertionError(result.story("the kernel's conduct was wrong:\n  " + "\n  ".join(faults)))
        if queue:
            raise AssertionError(result.story(f"answers that nobody asked for: {queue}"))
        return result

    def answer(self, input_request: Message, value: str) -> None:
        self.session.send(self.sockets["stdin"], "input_reply", {"value": value}, parent=input_request.raw)

    def ask(self, msg_type: str, content: dict[str, Any] | None = None, channel: str = "shell", timeout: float = REQUEST) -> Result:
        return self.collect(self.send(msg_type, content, channel), timeout)

    # ---- requests by name

    def start_execute(self, code: str, **options: Any) -> str:
        """Send a cell without waiting for it."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
            **options,
        }
        return self.send("execute_request", content)

    def execute(self, code: str, timeout: float = CELL, answers: list[str] | None = None, **options: Any) -> Result:
        if answers is not None:
            options.setdefault("allow_stdin", True)
        return self.collect(self.start_execute(code, **options), timeout, answers)

    def run(self, code: str, timeout: float = CELL, **options: Any) -> Result:
        """Execute a cell that must succeed."""
        return self.execute(code, timeout, **options).expect_ok()

    def complete(self, code: str, cursor: int | None = None, timeout: float = REQUEST) -> Result:
        cursor = len(code) if cursor is None else cursor
        return self.ask("complete_request", {"code": code, "cursor_pos": cursor}, timeout=timeout)

    def inspect(self, code: str, cursor: int | None = None, detail: int = 0, timeout: float = REQUEST) -> Result:
        cursor = len(code) if cursor is None else cursor
        return self.ask("inspect_request", {"code": code, "cursor_pos": cursor, "detail_level": detail}, timeout=timeout)

    def is_complete(self, code: str) -> Result:
        return self.ask("is_complete_request", {"code": code})

    def history(self, access: str, **options: Any) -> list[list[Any]]:
        content = {"hist_access_type": access, "output": False, "raw": True, **options}
        result = self.ask("history_request", content).expect_ok()
        return result.content["history"]

    def kernel_info(self, channel: str = "shell", timeout: float = REQUEST) -> Result:
        return self.ask("kernel_info_request", channel=channel, timeout=timeout).expect_ok()

    def interrupt(self, timeout: float = REQUEST) -> Result:
        return self.ask("interrupt_request", channel="control", timeout=timeout)

    def heartbeat(self, payload: bytes = b"ping", timeout: float = 5.0) -> bytes | None:
        """What the heartbeat sends back, None if nothing came in time."""
        socket = self.connect("hb", zmq.REQ)
        try:
            socket.send(payload)
            return socket.recv() if socket.poll(int(timeout * 1000)) else None
        finally:
            socket.close()

    # ---- life

    def ready(self, timeout: float = 30.0) -> Client:
        """Wait until the kernel answers and our subscription to iopub has taken effect."""
        deadline = time.monotonic() + timeout
        while True:
            request = self.send("kernel_info_request", expects_reply=False)
            until = min(deadline, time.monotonic() + 1.0)
            while time.monotonic() < until:
                self.pump(0.05)
                got = self.by_parent.get(request, [])
                if any(m.channel == "shell" for m in got) and any(m.is_status("idle") for m in got):
                    self.fence()
                    return self
                if not self.process.alive():
                    self.fail("the kernel ended before it answered")
            if time.monotonic() >= deadline:
                self.fail(f"no kernel_info_reply within {timeout} s")

    def warm(self, timeout: float = FIRST_CELL) -> Client:
        """Run a first cell that leaves no trace, so that later ones are quick."""
        self.execute("()", timeout, silent=True, store_history=False).expect_ok()
        return self

    def fence(self, channel: str = "control") -> None:
        """When this returns, everything that the kernel published before has been received."""
        self.kernel_info(channel)

    def usable(self) -> bool:
        return not self.closed and self.process.alive() and not self.pending

    def settle(self) -> None:
        """At the end of a test: nothing unanswered, nothing published after its cell was idle."""
        if not self.usable():
            return
        self.fence()
        late, self.late = self.late, []
        allowed, self.late_allowed = self.late_allowed, False
        if late and not allowed:
            raise AssertionError("published after the request was idle:\n" + transcript(late))

    def forget(self) -> None:
        """Drop the conversation so far, so that failures show only the test at hand."""
        self.log.clear()
        for request in self.finished:
            self.by_parent.pop(request, None)
            self.requests.pop(request, None)

    def shutdown(self, restart: bool = False, timeout: float = REQUEST) -> Result:
        return self.ask("shutdown_request", {"restart": restart}, channel="control", timeout=timeout)

    def worker_pid(self) -> int:
        """The process in which cells run, by its own account."""
        return int(self.run("std::process::id()", store_history=False).text)

    def disconnect(self) -> None:
        if not self.closed:
            self.closed = True
            self.context.destroy(linger=0)

    def close(self) -> None:
        """Shut the kernel down, by force if it does not go by itself."""
        try:
            if not self.closed and self.process.alive():
                self.send("shutdown_request", {"restart": False}, "control", expects_reply=False)
                try:
                    self.process.process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
        finally:
            self.disconnect()
            self.process.kill()
            self.process.folder.cleanup()


def start(name: str = KERNEL_NAME, *, warm: bool = True, **options: Any) -> Client:
    """A new kernel with a client that is connected and, unless told otherwise, warm."""
    process = KernelProcess(name, **options)
    client = Client(process)
    try:
        client.ready()
        return client.warm() if warm else client
    except BaseException:
        client.close()
        raise


def signal_process(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)


class Gate:
    """A file that a cell waits for, so that a test decides when the cell goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def closed(self) -> str:
        """Rust statements that wait until the gate is open."""
        return (
            f"while !std::path::Path::new({rust_str(self.path)}).exists() "
            "{ std::thread::sleep(std::time::Duration::from_millis(2)); }"
        )

    @property
    def opening(self) -> str:
        """Rust statement that opens the gate from a cell."""
        return f"std::fs::write({rust_str(self.path)}, b\"\").unwrap();"

    def open(self) -> None:
        self.path.touch()

    def is_open(self) -> bool:
        return self.path.exists()
