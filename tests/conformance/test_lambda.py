"""The emulator of Lambda's runtime API, by the notebook's own cells: whatever comes to its port, it is refused, memory stays bounded, and
functions are called as before."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Iterator

import psutil
import pytest
from definitions import cells_before_recipes
from harness import Client
from strangers import n_closed, rest_of

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks/ch07-cloud/04-serverless.ipynb"
# The pack is built by whoever needs it first.
BUILD_SECONDS = 900
# What the notebook gives a client for a request's head, and for its body.
SECONDS = 5

FUNCTION = """const LIMITS: Limits = Limits { timeout: Duration::from_secs(3), billed_by: Duration::from_millis(1), concurrency: 1 };
let hello = Function::new(|api, log| processes::spawn(hello_instance, (api, log)), LIMITS, api_address, &mailboxes);
let event = json!({"key1": "here", "key2": "", "key3": ""});
api_address.port()"""
CALL = 'let call = hello.invoke(event.clone());\n(call.outcome == Outcome::Value("here".into()), call.cold)'

# The first instance of the first function has this path.
ANSWER = "/1/2018-06-01/runtime/invocation/{}/response"

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 100)


class Emulator:
    def __init__(self, kernel: Client, port: int) -> None:
        self.kernel, self.port = kernel, port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(self, request: bytes) -> str:
        """What comes until the emulator closes the connection."""
        with self.connect() as client:
            try:
                client.sendall(request)
            except (ConnectionResetError, BrokenPipeError):
                pass
            return rest(client)

    def goes_on(self, is_cold: bool = False) -> None:
        result = self.kernel.run(CALL)
        result.equal(result.text, f"(true, {str(is_cold).lower()})")

    def memory(self) -> int:
        return psutil.Process(self.kernel.worker_pid()).memory_info().rss

    def is_served(self) -> None:
        """Somebody else is answered at once."""
        assert self.ask(get("/nowhere")).startswith("HTTP/1.1 404 ")


def rest(client: socket.socket) -> str:
    return rest_of(client).decode(errors="replace")


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n".encode()


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nhost: api\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def begun(keeper) -> Emulator:  # noqa: ANN001
    kernel = keeper.get()
    kernel.late_allowed = True
    for cell in cells_before_recipes(NOTEBOOK, "%load lambda\ndevice::stamp();"):
        kernel.run(cell, timeout=BUILD_SECONDS)
    emulator = Emulator(kernel, int(kernel.run(FUNCTION, timeout=120).text))
    emulator.goes_on(is_cold=True)
    return emulator


@pytest.fixture
def emulator(begun: Emulator) -> Iterator[Emulator]:
    """The emulator with an instance that waits for its next event; after the test it waits still."""
    begun.kernel.late_allowed = True
    yield begun
    begun.goes_on()


@pytest.mark.parametrize(
    "bytes_",
    [b"\x00\xff\xfe\x80" * 100 + b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"],
    ids=["bytes", "TLS", "long path"],
)
def test_garbage_is_refused(emulator: Emulator, bytes_: bytes) -> None:
    answer = emulator.ask(bytes_)
    assert answer == "" or answer.startswith("HTTP/1.1 4"), answer


def test_an_answer_that_nobody_waits_for_is_refused(emulator: Emulator) -> None:
    good = json.dumps("forged").encode()
    for path, body, status in [
        (ANSWER.format("call-9999"), good, 400),  # no such call
        (ANSWER.format("call-9999"), b"{not json", 400),
        (ANSWER.format("call-9999").replace("/1/", "/77/"), good, 404),  # no such instance
        (ANSWER.format("call-9999").replace("/1/", "/x/"), good, 400),
        ("/77/2018-06-01/runtime/init/error", good, 404),
        ("/1/2018-06-01/runtime/init/error", b"\xff", 400),
    ]:
        assert emulator.ask(post(path, body)).startswith(f"HTTP/1.1 {status} "), (path, body)


def test_who_is_silent_or_slow_has_its_time(emulator: Emulator) -> None:
    half = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: api\r\n", post(ANSWER.format("call-9999"), b"[1, ", 1000)]
    clients = [(emulator.connect(), sent) for sent in half]
    for client, sent in clients:
        client.sendall(sent)
    begun = time.monotonic()
    emulator.is_served()
    said = [rest(client) for client, _ in clients]
    assert time.monotonic() - begun < SECONDS + 5
    assert said[3].startswith("HTTP/1.1 408 "), said
    for client, _ in clients:
        client.close()


def test_an_announced_gigabyte_costs_no_memory(emulator: Emulator) -> None:
    before = emulator.memory()
    clients = [emulator.connect() for _ in range(20)]
    for client in clients:
        client.sendall(post(ANSWER.format("call-9999"), b"[", 1_000_000_000))
    emulator.is_served()
    assert emulator.memory() - before < 30_000_000
    for client in clients:
        rest(client)
        client.close()
    # One that comes in truth is taken up to the limit.
    answer = emulator.ask(post(ANSWER.format("call-9999"), b"1" * 50_000_000))
    assert answer == "" or answer.startswith("HTTP/1.1 413 "), answer
    assert emulator.memory() - before < 30_000_000


def test_more_clients_than_it_serves_are_closed_at_once(emulator: Emulator) -> None:
    clients = [emulator.connect() for _ in range(64 + 128 + 30)]
    try:
        closed = n_closed(clients[-60:], 0.05)
        assert closed >= 25, closed
    finally:
        for client in clients:
            client.close()
    listed = emulator.kernel.run("(api.n_refused() >= 25, api.last_error().is_some_and(|why| why.contains(\"was refused\")))")
    listed.equal(listed.text, "(true, true)")
