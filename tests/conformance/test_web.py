"""A web application out of a cell, by the notebook's own `serve`: whatever a client does, it is refused or answered, memory stays
bounded, and the server goes on."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Iterator

import psutil
import pytest
from harness import Client
from strangers import n_closed, rest_of

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks/ch07-cloud/02-web-application.ipynb"

SITE = """use axum::extract::Form;
use axum::routing::{get, post};
#[derive(Deserialize)]
struct Entry { text: String }
let app = Router::new().route("/", get(|| async { "here" })).route("/form", post(|Form(entry): Form<Entry>| async move { entry.text }));
let site = serve("site", "127.0.0.1:0", app)?;
site.address().unwrap().port()"""

# What the notebook gives a connection in all, and what the tests give it.
CONNECTION = ("connection_time(Some(Duration::from_secs(30)))", "connection_time(Some(Duration::from_secs(8)))")
HEAD_SECONDS = 5
CONNECTION_SECONDS = 8

FORM = b"POST /form HTTP/1.1\r\nhost: site\r\ncontent-type: application/x-www-form-urlencoded\r\n"


def serve_cell() -> str:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    (cell,) = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and "fn serve(" in "".join(cell["source"])]
    assert CONNECTION[0] in cell
    return cell.replace(*CONNECTION)


class Site:
    def __init__(self, kernel: Client, port: int) -> None:
        self.kernel, self.port = kernel, port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def goes_on(self) -> None:
        with self.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: site\r\nconnection: close\r\n\r\n")
            text = rest(client)
        assert text.startswith("HTTP/1.1 200 OK") and text.endswith("here"), text

    def memory(self) -> int:
        return psutil.Process(self.kernel.worker_pid()).memory_info().rss


def rest(client: socket.socket) -> str:
    return rest_of(client).decode(errors="replace")


def send(client: socket.socket, part: bytes, limit: int) -> int:
    """Sends the part again and again, up to so many bytes; how many the server let through."""
    sent = 0
    try:
        while sent < limit:
            sent += client.send(part)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return sent


@pytest.fixture(scope="module")
def begun(keeper) -> Site:  # noqa: ANN001
    kernel = keeper.get()
    kernel.late_allowed = True
    # On a new machine the pack is built now.
    loaded = kernel.run("%load web", timeout=900)
    loaded.lacks("Compiling forkline", loaded.stdout + loaded.stderr)
    kernel.run(serve_cell(), timeout=120)
    return Site(kernel, int(kernel.run(SITE, timeout=120).text))


@pytest.fixture
def site(begun: Site) -> Iterator[Site]:
    begun.kernel.late_allowed = True
    yield begun
    begun.goes_on()


pytestmark = pytest.mark.timeout(1000)


def test_a_built_pack_is_loaded_without_compiling(site: Site, start_kernel) -> None:  # noqa: ANN001
    another = start_kernel()
    result = another.run("%load web", timeout=120)
    result.equal(result.stdout + result.stderr, "")


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x00\xff\xfe\x80" * 100 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # how TLS begins
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: site\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(1_000)) + b"\r\n",
        FORM + b"content-length: -1\r\n\r\n",
        FORM + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        FORM + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["bytes", "TLS", "version", "long path", "many fields", "negative length", "two lengths", "no chunk"],
)
def test_garbage_is_refused(site: Site, bytes_: bytes) -> None:
    with site.connect() as client:
        client.sendall(bytes_)
        begun = time.monotonic()
        answer = rest(client)
    assert answer == "" or answer.startswith("HTTP/1.1 4"), answer
    assert time.monotonic() - begun < HEAD_SECONDS + 5


def test_what_is_refused_is_noted(site: Site) -> None:
    with site.connect() as client:
        peer = client.getsockname()[1]
        client.sendall(b"\x00\xff\xfe\x80\r\n\r\n")
        rest(client)
    # Its thread may come to it a moment later.
    site.kernel.run(f'while !site.last_error().is_some_and(|why| why.starts_with("127.0.0.1:{peer}: ")) {{ thread::sleep(Duration::from_millis(2)); }}', timeout=20)
    listed = site.kernel.run("%jobs")
    listed.has(f"127.0.0.1:{peer}: ", listed.text)


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: site\r\n"], ids=["nothing", "half a line", "half a head"])
def test_a_client_that_falls_silent_is_given_up(site: Site, said: bytes) -> None:
    with site.connect() as client:
        client.sendall(said)
        site.goes_on()  # meanwhile
        begun = time.monotonic()
        rest(client)
        assert time.monotonic() - begun < HEAD_SECONDS + 5


@pytest.mark.parametrize(
    ("head", "limit"),
    [(b"GET / HTTP/1.1\r\nx: ", HEAD_SECONDS), (FORM + b"content-length: 1000000\r\n\r\n", CONNECTION_SECONDS)],
    ids=["head", "body"],
)
def test_a_slow_client_has_its_time(site: Site, head: bytes, limit: int) -> None:
    with site.connect() as client:
        client.sendall(head)
        begun = time.monotonic()
        client.settimeout(0.2)
        while time.monotonic() - begun < limit + 5:
            try:
                client.send(b"a")
                if client.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        assert time.monotonic() - begun < limit + 3, "it was served for longer than a client has"


@pytest.mark.parametrize(
    ("head", "part"),
    [(b"content-length: 1000000000", b"x" * 65_536), (b"transfer-encoding: chunked", b"10000\r\n" + b"x" * 65_536 + b"\r\n")],
    ids=["a gigabyte", "no length"],
)
def test_a_body_is_refused_at_the_limit(site: Site, head: bytes, part: bytes) -> None:
    before = site.memory()
    with site.connect() as client:
        client.sendall(FORM + head + b"\r\n\r\n")
        begun = time.monotonic()
        sent = send(client, part, 200_000_000)
        assert sent < 50_000_000, f"{sent} bytes were taken"
        assert time.monotonic() - begun < CONNECTION_SECONDS
    assert site.memory() - before < 30_000_000


def test_a_gigabyte_that_does_not_come_holds_no_memory(site: Site) -> None:
    before = site.memory()
    clients = [site.connect() for _ in range(20)]
    for client in clients:
        client.sendall(FORM + b"content-length: 1000000000\r\n\r\n")
    site.goes_on()
    assert site.memory() - before < 30_000_000
    begun = time.monotonic()
    for client in clients:
        rest(client)
        client.close()
    assert time.monotonic() - begun < CONNECTION_SECONDS + 5


def test_more_clients_than_it_serves_are_closed_at_once(site: Site) -> None:
    clients = [site.connect() for _ in range(64 + 128 + 50)]
    try:
        closed = n_closed(clients, 0.01)
        assert closed >= 50, closed
    finally:
        for client in clients:
            client.close()
    result = site.kernel.run('(site.n_refused() >= 50, site.last_error().unwrap_or_default().contains("was refused"))')
    result.equal(result.text, "(true, true)")


def test_a_form_that_does_not_fit_is_an_answer(site: Site) -> None:
    for body, status in [(b"text=a%20b", 200), (b"other=1", 422), (b"%%%", 422), (b"text=" + b"y" * 2_100_000, 413)]:
        with site.connect() as client:
            client.sendall(FORM + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
            send(client, body, len(body))
            assert client.recv(12) == b"HTTP/1.1 %d" % status, body[:20]
