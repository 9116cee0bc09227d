"""Jobs: servers that go on behind their cell, are replaced, stopped and listed, through a real client."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Callable

import psutil
import pytest
from harness import Client, Result, eventually, plain
from strangers import drip, rest_of

GREETER = (
    'let server = jobs::listen("greeter", "127.0.0.1:0", |mut stream, _peer| {{\n'
    '    println!("somebody came");\n'
    '    std::io::Write::write_all(&mut stream, b"{}")\n'
    "}})?;\n"
    "server.address().unwrap().port()"
)

# A message begins with its length, as in the notebook on sockets; the answer is how long it was.
LENGTHS = """
fn length_of_message(mut stream: std::net::TcpStream) -> std::io::Result<()> {
    use std::io::{Read, Write};
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let length = u64::from_be_bytes(length);
    if length > 1_000_000 { return Err(std::io::Error::other(format!("a message of {length} bytes is too long"))); }
    let mut message = Vec::new();
    (&stream).take(length).read_to_end(&mut message)?;
    if message.len() as u64 != length { return Err(std::io::Error::other(format!("{} bytes of {length} came", message.len()))); }
    write!(stream, "{length}")
}
let lengths = jobs::Server::new("lengths").n_handlers(4).n_waiting(4)
    .read_timeout(Some(Duration::from_secs(2))).connection_time(Some(Duration::from_secs(3)))
    .listen("127.0.0.1:0", |stream, _peer| length_of_message(stream))?;
lengths.address().unwrap().port()"""


@pytest.fixture
def quiet(kernel: Client) -> Client:
    """A kernel in which no job runs before the test, nor after it; what jobs print may come late."""
    kernel.late_allowed = True
    yield kernel
    kernel.run("%stop --all")
    kernel.late_allowed = True


def said(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        return b"".join(iter(lambda: connection.recv(100), b"")).decode()


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def state(kernel: Client, name: str) -> str:
    result = kernel.run(f'jobs::list().iter().find(|job| job.name == "{name}").unwrap().state.to_string()')
    return result.text.strip('"')


def port_of(result: Result) -> int:
    return int(result.text)


def test_a_server_goes_on_behind_its_cell_and_prints_there(quiet: Client) -> None:
    begun = quiet.run(GREETER.format("hello"))
    assert said(port_of(begun)) == "hello"
    quiet.wait_printed(begun.id, "somebody came")
    # Later cells see the handle.
    result = quiet.run("(server.name(), server.state(), server.n_served())")
    result.equal(result.text, '("greeter", Running, 1)')
    assert said(port_of(begun)) == "hello"
    result = quiet.run("server.n_served()")
    result.equal(result.text, "2")


def test_a_cell_that_is_run_again_replaces_its_job(quiet: Client) -> None:
    first = quiet.run(GREETER.format("one"))
    port = port_of(first)
    first.lacks("takes its place", first.stdout)
    assert said(port) == "one"
    same_port = GREETER.format("two").replace("127.0.0.1:0", f"127.0.0.1:{port}")
    second = quiet.run(same_port)
    second.equal(second.stdout.splitlines()[0], "job greeter: the one before has been stopped, this one takes its place")
    second.equal(port_of(second), port)
    assert said(port) == "two"
    result = quiet.run('jobs::list().iter().filter(|job| job.name == "greeter").count()')
    result.equal(result.text, "1")


def test_the_list_has_state_address_and_connections(quiet: Client) -> None:
    port = port_of(quiet.run(GREETER.format("x")))
    said(port)
    quiet.run('let _ = jobs::spawn("ticker", |stop| while !stop.wait(Duration::from_millis(5)) {})?;')
    quiet.run('let _ = jobs::spawn("failing", |_| Err::<(), _>("no luck"))?.join(Duration::from_secs(20));')
    result = quiet.run("%jobs")
    result.has("<table", result.shown)
    for text in ["greeter", f"127.0.0.1:{port}", "ticker", "running", "failed: no luck"]:
        result.has(text, result.text)
    result.matches(r"\d\d:\d\d:\d\d", result.text)
    result = quiet.run("%help jobs")
    result.has("connections", result.shown)


def test_stop_ends_one_or_all(quiet: Client) -> None:
    port = port_of(quiet.run(GREETER.format("x")))
    quiet.run('jobs::spawn("the ticker", |stop| while !stop.wait(Duration::from_millis(5)) {})?;')
    quiet.run('jobs::spawn_async("sleeper", async { tasks::sleep(Duration::from_secs(600)).await })?;')
    result = quiet.run("%stop the ticker")
    result.equal(result.stdout, "job the ticker: stopped\n")
    assert state(quiet, "the ticker") == "ended" and state(quiet, "greeter") == "running"
    result = quiet.run("%stop --all")
    result.equal(sorted(result.stdout.splitlines()), ["job greeter: stopped", "job sleeper: stopped"])
    assert is_refused(port)
    result = quiet.run("%stop --all")
    result.equal(result.stdout, "no job runs\n")
    result = quiet.execute("%stop nobody").expect_error("Error")
    result.has("job nobody: there is none", result.shown)
    result = quiet.execute("%stop").expect_error("UsageError")
    result.has("%stop NAME", result.shown)
    result = quiet.execute("%jobs now").expect_error("UsageError")


def test_an_interrupt_ends_the_cell_and_no_job(quiet: Client) -> None:
    quiet.run(
        'static ROUNDS: atomic::AtomicU64 = atomic::AtomicU64::new(0);\n'
        'jobs::spawn("before", |stop| while !stop.wait(Duration::from_millis(2)) { ROUNDS.fetch_add(1, atomic::Ordering::Relaxed); })?;'
    )
    # One that the interrupted cell itself began, whose loop has the check for interrupts.
    request = quiet.start_execute(
        'let own = jobs::spawn("own", |stop| { let mut n = 0_u64; while !stop.requested() { n += 1; thread::yield_now(); } std::hint::black_box(n); })?;\n'
        'let task = jobs::spawn_async("own task", async { loop { tasks::sleep(Duration::from_millis(2)).await; } })?;\n'
        'println!("started");\nlet mut n = 0_u64;\nloop { n += 1; std::hint::black_box(n); }'
    )
    quiet.wait_printed(request, "started")
    quiet.interrupt().expect_ok()
    quiet.collect(request, timeout=20).expect_error("Interrupted")
    for name in ["before", "own", "own task"]:
        assert state(quiet, name) == "running", name
    quiet.run(
        "let seen = ROUNDS.load(atomic::Ordering::Relaxed);\n"
        "while ROUNDS.load(atomic::Ordering::Relaxed) == seen { thread::yield_now(); }"
    )


def test_a_cell_that_is_left_behind_leaves_jobs_alone(quiet: Client) -> None:
    port = port_of(quiet.run(GREETER.format("hello")))
    request = quiet.start_execute('let (_open, wait) = mpsc::channel::<()>();\nprintln!("started");\nwait.recv()?;')
    quiet.wait_printed(request, "started")
    quiet.interrupt().expect_ok()
    quiet.collect(request, timeout=20).expect_error("Interrupted")
    assert said(port) == "hello"
    assert state(quiet, "greeter") == "running"


def test_a_panic_is_shown_under_its_cell_and_is_the_state(quiet: Client) -> None:
    begun = quiet.run(
        'let (go, wait) = mpsc::channel::<()>();\n'
        'let job = jobs::spawn("unlucky", move |_| { let _ = wait.recv(); panic!("out of luck"); })?;'
    )
    quiet.run("drop(go);\nlet end = job.join(Duration::from_secs(20)).unwrap_err().to_string();")
    quiet.wait_printed(begun.id, "out of luck", name="stderr")
    result = quiet.run("end")
    result.has("panicked: out of luck", result.text)
    assert state(quiet, "unlucky") == "failed: panicked: out of luck"


def test_a_port_in_use_names_the_process(quiet: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        result = quiet.execute(f'jobs::listen("late", "127.0.0.1:{port}", |_stream, _peer| ())?;').expect_error()
        text = plain(result.shown)
        result.has(f"127.0.0.1:{port} is in use", text)
        result.has(f"process {os.getpid()} ({psutil.Process().name()[:15]})", text)
        result.has("do:  ", text)


def test_a_job_that_does_not_stop_is_an_error(quiet: Client) -> None:
    code = (
        'let (go, wait) = mpsc::channel::<()>();\n'
        'jobs::spawn("stubborn", move |_| { let _ = wait.recv(); })?;'
    )
    quiet.run(code)
    result = quiet.execute("%stop stubborn").expect_error("Error")
    result.has("stop.requested()", plain(result.shown))
    quiet.run("drop(go);")


def test_a_handler_may_be_of_any_kind_of_end(quiet: Client) -> None:
    quiet.run(
        'let one = jobs::listen("unit", "127.0.0.1:0", |_stream, _peer| ())?;\n'
        'let two = jobs::listen("result", "127.0.0.1:0", |_stream, _peer| -> Result<(), String> { Err("no".into()) })?;\n'
        'let three = jobs::spawn_async("endless", async { loop { tasks::yield_now().await; } })?;\n'
        'let four = jobs::spawn_async("result of a task", async { "x".parse::<u8>().map(drop) })?;'
    )
    result = quiet.run("four.join(Duration::from_secs(20)).unwrap_err().to_string()")
    result.has("invalid digit", result.text)


@pytest.mark.parametrize("end", ["shutdown", "kill"])
def test_jobs_end_with_their_process(start_kernel: Callable[..., Client], end: str) -> None:
    kernel = start_kernel()
    port = port_of(kernel.run(GREETER.format("x")))
    worker = kernel.worker_pid()
    if end == "kill":
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: is_refused(port), 20, "the port is free")
        # A new worker knows no job.
        eventually(lambda: kernel.execute("jobs::list().len()").ok, 60, "a new worker")
        result = kernel.run("jobs::list().len()")
        result.equal(result.text, "0")
    else:
        kernel.shutdown()
        eventually(lambda: is_refused(port), 20, "the port is free")


def message(length: int, *parts: bytes) -> bytes:
    return length.to_bytes(8, "big") + b"".join(parts)


class Lengths:
    """A server with small limits in a cell."""

    def __init__(self, kernel: Client) -> None:
        self.kernel = kernel
        self.port = port_of(kernel.run(LENGTHS))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def goes_on(self) -> None:
        with self.connect() as connection:
            connection.sendall(message(3, b"abc"))
            assert rest_of(connection) == b"3"

    def notes(self, text: str) -> None:
        """It is noted as the server's last error, as soon as its thread has come to it."""
        holds = f'lengths.last_error().is_some_and(|error| error.contains("{text}"))'
        self.kernel.run(f"while !({holds}) {{ thread::sleep(Duration::from_millis(2)); }}", timeout=20)


@pytest.fixture
def lengths(quiet: Client) -> Lengths:
    server = Lengths(quiet)
    server.goes_on()
    return server


def test_garbage_is_refused_and_noted(lengths: Lengths) -> None:
    for garbage in [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100_000, os.urandom(64)]:
        with lengths.connect() as connection:
            try:
                connection.sendall(garbage)
            except (ConnectionResetError, BrokenPipeError):
                pass
            assert rest_of(connection) == b""
        lengths.goes_on()
    lengths.notes("is too long")
    with lengths.connect() as connection:
        connection.sendall(message(100, b"half of it"))
        connection.shutdown(socket.SHUT_WR)
        assert rest_of(connection) == b""
    lengths.notes("10 bytes of 100 came")
    lengths.goes_on()
    result = lengths.kernel.run("%jobs")
    result.has("10 bytes of 100 came", result.text)


def test_who_is_silent_or_slow_has_its_time(lengths: Lengths) -> None:
    # Nothing, and half of a message: the time of a read. One byte now and then: the time of a connection.
    silent, half, slow = lengths.connect(), lengths.connect(), lengths.connect()
    half.sendall(message(10, b"12345"))
    slow.sendall(message(1000))
    begun = time.monotonic()
    lengths.goes_on()
    assert time.monotonic() - begun < 1, "nobody waits for them"
    drip(slow, 0.1, 15)
    taken = time.monotonic() - begun
    assert 2 < taken < 8, taken
    assert rest_of(silent) == b"" and rest_of(half) == b""
    # With an end of its stream or a failed read; either is noted.
    result = lengths.kernel.run("(lengths.n_served(), lengths.last_error().is_some())")
    result.equal(result.text, "(5, true)")
    for connection in (silent, half, slow):
        connection.close()
    lengths.goes_on()


def test_an_announced_gigabyte_costs_no_memory(lengths: Lengths) -> None:
    worker = psutil.Process(lengths.kernel.worker_pid())
    before = worker.memory_info().rss
    for _ in range(50):
        with lengths.connect() as connection:
            connection.sendall(message(1 << 30, b"x" * 1000))
            assert rest_of(connection) == b""
    assert worker.memory_info().rss - before < 20 << 20
    lengths.notes("a message of 1073741824 bytes is too long")
    lengths.goes_on()


def test_more_clients_than_it_serves_are_closed_at_once_and_counted(lengths: Lengths) -> None:
    held = [lengths.connect() for _ in range(8)]
    begun = time.monotonic()
    for _ in range(5):
        with lengths.connect() as connection:
            assert rest_of(connection) == b""
    assert time.monotonic() - begun < 1, "they are told at once"
    for connection in held:
        connection.sendall(message(2, b"ab"))
    assert [rest_of(connection) for connection in held] == [b"2"] * 8, "who waited is served when its turn comes"
    result = lengths.kernel.run('(lengths.n_refused(), lengths.last_error().unwrap().contains("was refused: 4 connections are served and 4 wait"))')
    result.equal(result.text, "(5, true)")
