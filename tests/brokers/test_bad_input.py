"""What is no task in the queue, and what is no broker at the port: refused with words, nothing lost, nobody ended."""

from __future__ import annotations

import base64
import json
import socket
import threading
from typing import Callable, Iterator

import pytest
from queues import STOP, Broker
from harness import Client
from kombu import Connection

pytestmark = pytest.mark.timeout(1200)

GARBAGE = [
    b"\x00\xff\xfe garbage",
    b"",
    b"[]",
    b"{}",
    b'{"body": "%%%", "headers": {}, "properties": {"body_encoding": "base64"}}',
    json.dumps({"body": "W10=", "headers": {"task": "add"}, "properties": {"body_encoding": "base64"}}).encode(),
    json.dumps({"body": "x" * 2_000_000, "headers": {"task": 1, "id": []}, "properties": {}}).encode(),
]


def put_garbage(broker: Broker, queue: str) -> None:
    with Connection(broker.url) as connection:
        channel = connection.default_channel
        for raw in GARBAGE:
            if broker.kind == "redis":
                channel.client.lpush(queue, raw)
            else:
                headers = {"task": 7, "id": {}} if raw.startswith(b"{") else None
                message = channel.prepare_message(raw, content_type="application/data", content_encoding="binary", headers=headers)
                channel.basic_publish(message, exchange="", routing_key=queue)


def test_garbage_in_the_queue_is_put_aside(broker: Broker, queue: Client) -> None:
    name = queue.run('format!("{app:?}")').text.split()[1]
    put_garbage(broker, name)
    # One whose headers are right, and whose body is not what headers promise.
    queue.run(
        f"""let workers = begin(&config, 1, 1, &begun);
        let refused = App::connect(&config.clone().queue("{name}.refused"))?;""",
        timeout=90,
    )
    result = queue.run(
        f"""let limit = Instant::now() + SOON;
        while refused.n_waiting()? < {len(GARBAGE)} && Instant::now() < limit {{ thread::sleep(Duration::from_millis(10)); }}
        (refused.n_waiting()?, app.result::<i64>(&app.delay("add", (20, 22))?, SOON)?)""",
        timeout=120,
    )
    result.equal(result.text.replace("\n", "").replace(" ", ""), f"({len(GARBAGE)},42)")
    result = queue.run("refused.purge()?;\n" + STOP + "workers[0].join()??.refused", timeout=60)
    result.equal(result.text, str(len(GARBAGE)))


def test_a_body_that_is_not_what_the_headers_promise_is_a_failure(broker: Broker, queue: Client) -> None:
    name = queue.run('format!("{app:?}")').text.split()[1]
    headers = {"task": "add", "id": "by-hand", "lang": "py", "eta": "tomorrow"}
    body = b"not JSON"
    with Connection(broker.url) as connection:
        channel = connection.default_channel
        if broker.kind == "redis":
            envelope = {"body": base64.b64encode(body).decode(), "headers": headers, "properties": {"body_encoding": "base64"}}
            channel.client.lpush(name, json.dumps(envelope))
            channel.client.lpush(name, json.dumps({**envelope, "headers": {**headers, "id": "by-hand-2", "eta": None}}))
        else:
            for more in ({}, {"id": "by-hand-2", "eta": None}):
                message = channel.prepare_message(body, headers={**headers, **more})
                channel.basic_publish(message, exchange="", routing_key=name)
    queue.run("let workers = begin(&config, 1, 1, &begun);", timeout=90)
    result = queue.run('app.result::<i64>(&app.delay("add", (20, 22))?, SOON)?', timeout=90)
    result.equal(result.text, "42")
    if broker.kind == "redis":
        result = queue.run('(failed::<i64>(&app, "by-hand"), failed::<i64>(&app, "by-hand-2"))')
        result.has('the time \\"tomorrow\\"', result.text)
        result.has("the body of a message", result.text)
    result = queue.run(STOP + "workers[0].join()??.failed", timeout=60)
    result.equal(result.text, "2")


class NoBroker:
    """Listens, and answers each connection in its own way."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.held: list[socket.socket] = []
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(client)
            try:
                self.answer(client)
            except OSError:
                pass  # it has hung up

    def close(self) -> None:
        self.listener.close()
        for client in self.held:
            client.close()


def silent(_client: socket.socket) -> None:
    pass


def garbage(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"\xff" * 10_000)


def announces_a_gigabyte(client: socket.socket) -> None:
    # A bulk string of Redis of this length; for AMQP a frame of that size on channel 0.
    first = client.recv(1)
    client.sendall(b"$1073741824\r\n" if first == b"*" else b"\x01\x00\x00\x40\x00\x00\x00" + b"x" * 1000)


def hangs_up(client: socket.socket) -> None:
    client.close()


@pytest.fixture
def no_broker() -> Iterator[Callable[[Callable[[socket.socket], None]], NoBroker]]:
    made: list[NoBroker] = []

    def make(answer: Callable[[socket.socket], None]) -> NoBroker:
        made.append(NoBroker(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("answer", [silent, garbage, announces_a_gigabyte, hangs_up])
def test_what_is_no_broker_is_an_error_soon(broker: Broker, queue: Client, no_broker: Callable, answer: Callable) -> None:
    scheme = "redis" if broker.kind == "redis" else "amqp"
    port = no_broker(answer).port
    result = queue.run(f'App::connect(&Config::new("{scheme}://user:secret@127.0.0.1:{port}")).err().map(|error| error.to_string())', timeout=60)
    result.has(f"{scheme}://user@127.0.0.1:{port}: no broker that lets us in", result.text)
    result.lacks("secret", result.text)
    result = queue.run("app.n_waiting()?")
    result.equal(result.text, "0")


def test_a_port_without_a_server_and_urls_of_others_are_errors_at_once(broker: Broker, queue: Client) -> None:
    scheme = "redis" if broker.kind == "redis" else "amqp"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = queue.run(
        f"""for url in ["{scheme}://127.0.0.1:{port}", "{scheme}s://127.0.0.1:{port}", "localhost"] {{
            println!("{{}}", App::connect(&Config::new(url)).unwrap_err());
        }}"""
    )
    result.matches(r"(?i)connection refused", result.stdout)
    result.has("without TLS", result.stdout)
    result.has("begins with amqp:// or redis://", result.stdout)


def test_a_wrong_password_is_refused(broker: Broker, queue: Client) -> None:
    wrong = broker.url.replace("://", "://guest:wrong@")
    result = queue.run(f'println!("{{}}", App::connect(&Config::new("{wrong}")).unwrap_err());', timeout=60)
    result.has("no broker that lets us in", result.stdout)
    result.lacks("wrong", result.stdout.replace("WRONGPASS", ""))


def test_a_queue_that_is_something_else_is_an_error(broker: Broker, queue: Client) -> None:
    if broker.kind == "redis":
        with Connection(broker.url) as connection:
            for key in ("no-list", "no-list\x06\x169"):
                connection.default_channel.client.set(key, "text")
        result = queue.run('App::connect(&config.clone().queue("no-list"))?.delay("add", (1, 1)).unwrap_err().to_string()', timeout=60)
        result.has("the broker did not do this", result.text)
        result.has("WRONGTYPE", result.text)
        # A worker waits until somebody has mended it, and says so now and then.
        started = queue.run('let one = processes::spawn(worker, (config.clone().queue("no-list"), "stubborn".to_owned(), 1, begun.clone()))?;', timeout=60)
        queue.wait_printed(started.id, "stubborn: the broker is gone", name="stderr")
        with Connection(broker.url) as connection:
            connection.default_channel.client.delete("no-list", "no-list\x06\x169")
        result = queue.run('let app = App::connect(&config.clone().queue("no-list"))?;\napp.result::<i64>(&app.delay("add", (20, 22))?, SOON)?', timeout=90)
        result.equal(result.text, "42")
        printed = "".join(m.content["text"] for m in queue.by_parent[started.id] if m.is_stream("stderr"))
        assert printed.count("the broker is gone") < 60, "it does not fill the notebook with its words"
        queue.run(STOP + "one.join()??;", timeout=60)
    else:
        # An exclusive queue of somebody else's connection.
        with Connection(broker.url) as connection:
            connection.default_channel.queue_declare("not-ours", exclusive=True)
            result = queue.run('App::connect(&config.clone().queue("not-ours")).unwrap_err().to_string()', timeout=60)
            result.has("RESOURCE_LOCKED", result.text)
