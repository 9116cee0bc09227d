"""Remote objects: the pack is loaded, objects are called by name across processes, and strangers at the port harm nobody."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest
from harness import Client, eventually

OBJECT = """
#[remote::object]
pub trait Hello {
    fn welcome(&self, name: &str) -> remote::Result<String>;
    fn half(&self, number: &str) -> remote::Result<i64>;
    fn nap(&self, milliseconds: u64) -> remote::Result<()>;
    fn boom(&self) -> remote::Result<()>;
    fn big(&self, bytes: Vec<u8>) -> remote::Result<usize>;
}
pub struct Greeter;
impl Hello for Greeter {
    fn welcome(&self, name: &str) -> remote::Result<String> { println!("{name} was here"); Ok(format!("Hi welcome {name}")) }
    fn half(&self, number: &str) -> remote::Result<i64> { Ok(number.parse::<i64>().map_err(remote::Error::method)? / 2) }
    fn nap(&self, milliseconds: u64) -> remote::Result<()> { thread::sleep(Duration::from_millis(milliseconds)); Ok(()) }
    fn boom(&self) -> remote::Result<()> { panic!("no luck") }
    fn big(&self, bytes: Vec<u8>) -> remote::Result<usize> { Ok(bytes.len()) }
}
pub fn serve_elsewhere(network: remote::Network, name: String) {
    network.serve::<dyn Hello>(&name, Arc::new(Greeter)).unwrap().join().unwrap();
}
"""

SERVER = """
let names = remote::NameServer::start(&remote::Key::new("the key of this test")?, "127.0.0.1:0")?;
let network = names.network();
let server = network.serve::<dyn Hello>("server", Arc::new(Greeter))?;
let hello = network.proxy::<dyn Hello>("server");
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def remote(kernel: Client) -> Client:
    """A kernel with the pack, an object and its server. What the server prints may come after its cell."""
    kernel.late_allowed = True
    if not kernel.execute("let _known: Option<Greeter> = None;").ok:
        # On a new machine the pack is built now.
        loaded = kernel.run("%load remote", timeout=600)
        loaded.lacks("Compiling forkline v", loaded.stdout + loaded.stderr)
        kernel.run(OBJECT, timeout=120)
    kernel.run(SERVER, timeout=120)
    yield kernel
    kernel.run("%stop --all")
    kernel.late_allowed = True


def port_of(kernel: Client) -> int:
    return int(kernel.run("server.address().port()").text)


def welcomes(kernel: Client) -> None:
    result = kernel.run('hello.welcome("Ruvika")?')
    result.equal(result.text, '"Hi welcome Ruvika"')


def refused(kernel: Client) -> list[str]:
    """What the server has noted of those whom it refused."""
    result = kernel.run('server.refusals().into_iter().map(|refusal| refusal.why).collect::<Vec<_>>().join("; ")')
    return [text for text in result.text.strip('"').split("; ") if text]


def until_closed(connection: socket.socket) -> bytes:
    connection.settimeout(20)
    said = b""
    try:
        while part := connection.recv(1000):
            said += part
    except ConnectionResetError:
        pass
    return said


def worker_of(kernel: Client) -> psutil.Process:
    return psutil.Process(int(kernel.run("std::process::id()").text))


def test_an_object_is_called_by_name(remote: Client) -> None:
    welcomes(remote)
    result = remote.run("server.uri()")
    result.matches(r'^"obj_[0-9a-f]{32}@127\.0\.0\.1:\d+"$', result.text)
    result = remote.run('network.list("s")?.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")')
    result.matches(r'^"server \(Hello, alive\) obj_', result.text)
    result = remote.run('network.proxy::<dyn Hello>(server.uri()).half("84")?')
    result.equal(result.text, "42")


def test_what_the_server_prints_comes_under_its_cell(remote: Client) -> None:
    begun = remote.run('let printing = network.serve::<dyn Hello>("printing", Arc::new(Greeter))?;')
    remote.run('network.proxy::<dyn Hello>("printing").welcome("Somebody")?')
    remote.wait_printed(begun.id, "Somebody was here")


def test_errors_say_what_to_do(remote: Client) -> None:
    result = remote.execute('network.proxy::<dyn Hello>("nobody").welcome("x")?;').expect_error()
    result.has("nobody: there is no such name", result.traceback)
    result.has("why: names that are: server", result.traceback)
    result = remote.execute('hello.half("x")?;').expect_error()
    result.has("invalid digit found in string", result.traceback)
    result = remote.execute("hello.boom()?;").expect_error()
    result.has("server: boom panicked: no luck", result.traceback)
    result = remote.execute("hello.secret()").expect_error()
    result.has("no method named `secret`", result.traceback)
    welcomes(remote)


def test_a_trait_that_cannot_be_called_says_why(remote: Client) -> None:
    result = remote.execute("#[remote::object]\ntrait Bad { fn count(&self) -> u32; }").expect_error()
    result.has("a method of a remote object cannot return `u32`", result.traceback)
    result = remote.execute("#[remote::object]\ntrait Bad { fn change(&mut self) -> remote::Result<()>; }").expect_error()
    result.has("takes `&self`", result.traceback)
    result = remote.execute('network.proxy::<dyn ToString>("server")').expect_error()
    result.has("cannot be called from afar", result.traceback)


def test_an_interrupt_ends_a_call_and_the_server_goes_on(remote: Client) -> None:
    remote.run("let waiting = network.deadline(Duration::from_secs(600));")
    sent = remote.start_execute('println!("waiting"); waiting.proxy::<dyn Hello>("server").nap(8_000)?;')
    remote.wait_printed(sent, "waiting")
    before = time.monotonic()
    remote.interrupt()
    remote.collect(sent).expect_error("Interrupted")
    assert time.monotonic() - before < 5
    welcomes(remote)


def test_a_server_in_another_process_is_dead_when_it_is_killed(remote: Client) -> None:
    remote.run('let process = processes::spawn(serve_elsewhere, (network.clone(), "elsewhere".to_owned()))?;')
    remote.run('network.wait_for(&["elsewhere"], Duration::from_secs(20))?; let there = network.proxy::<dyn Hello>("elsewhere");')
    result = remote.run('there.welcome("you")?')
    result.equal(result.text, '"Hi welcome you"')
    os.kill(int(remote.run("process.pid().unwrap()").text), signal.SIGKILL)
    eventually(lambda: remote.run('network.lookup("elsewhere").is_err()').text == "true", 20, "its silence is noticed")
    result = remote.execute('network.lookup("elsewhere")?;').expect_error()
    result.has("elsewhere: its server is dead", result.traceback)
    # Another one gets the name, and the proxy finds it.
    remote.run('let again = processes::spawn(serve_elsewhere, (network.clone(), "elsewhere".to_owned()))?;')
    remote.run('network.wait_for(&["elsewhere"], Duration::from_secs(20))?;')
    result = remote.run('there.welcome("back")?')
    result.equal(result.text, '"Hi welcome back"')
    remote.run("again.kill();")


def test_servers_are_jobs(remote: Client) -> None:
    result = remote.run("%jobs")
    for name in ["name server", "server"]:
        result.matches(rf"(?m)^{name} .*running", result.stdout + result.shown)
    remote.run("%stop server")
    result = remote.execute('hello.welcome("x")?;').expect_error()
    result.has("server: ", result.traceback)
    remote.run('let server = network.serve::<dyn Hello>("server", Arc::new(Greeter))?;')
    welcomes(remote)


def test_another_notebook_finds_it_by_the_environment(remote: Client, start_kernel) -> None:  # noqa: ANN001
    address = remote.run("names.address()").text
    another = start_kernel()
    another.late_allowed = True
    another.run("%load remote", timeout=600)
    another.run(OBJECT, timeout=120)
    result = another.execute('remote::proxy::<dyn Hello>("server")?;').expect_error()
    result.has("the environment variable FORKLINE_REMOTE_KEY is not set", result.traceback)
    another.run(f"%env FORKLINE_NAMESERVER={address}\n%env FORKLINE_REMOTE_KEY=the key of this test")
    result = another.run('remote::proxy::<dyn Hello>("server")?.welcome("you")?', timeout=120)
    result.equal(result.text, '"Hi welcome you"')
    another.run("%env FORKLINE_REMOTE_KEY=another key of this test")
    result = another.execute('remote::proxy::<dyn Hello>("server")?.welcome("you")?').expect_error()
    result.has("the name server: ", result.traceback)
    result.has("it has another key", result.traceback)
    welcomes(remote)


def test_garbage_is_refused_and_noted(remote: Client) -> None:
    port = port_of(remote)
    for garbage in [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"x" * 100, b"\x00" * 64, os.urandom(5000)]:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(garbage)
            assert until_closed(connection) == b""
    eventually(lambda: refused(remote) == ["it speaks another protocol"] * 3, 20, "all are noted")
    welcomes(remote)


def test_who_is_slow_or_goes_half_way_disturbs_nobody(remote: Client) -> None:
    port = port_of(remote)
    half = socket.create_connection(("127.0.0.1", port), timeout=20)
    half.sendall(b"FLremot2")
    half.shutdown(socket.SHUT_WR)
    assert until_closed(half) == b""
    silent = socket.create_connection(("127.0.0.1", port), timeout=20)
    slow = socket.create_connection(("127.0.0.1", port), timeout=20)
    before = time.monotonic()
    for byte in b"FLremo":
        slow.sendall(bytes([byte]))
        welcomes(remote)
    assert until_closed(silent) == b"" and until_closed(slow) == b""
    assert time.monotonic() - before < 15
    noted = ["it went before it had proved the key", *["it did not prove the key within 5s"] * 2]
    eventually(lambda: refused(remote) == noted, 20, "all are noted")


def test_an_announced_gigabyte_costs_no_memory(remote: Client) -> None:
    port = port_of(remote)
    welcomes(remote)
    worker = worker_of(remote)
    before = worker.memory_info().rss
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall((1 << 30).to_bytes(4) + b"x" * 60)
            assert until_closed(connection) == b""
    assert worker.memory_info().rss - before < 50 << 20
    # A client with the key is told before it sends, and the server's limit holds for one that has another limit.
    result = remote.execute("hello.big(vec![1; 20 << 20])?;").expect_error()
    result.has("the arguments of big has 2097", result.traceback)
    result = remote.execute('network.max_message(1 << 30).proxy::<dyn Hello>("server").big(vec![1; 20 << 20])?;').expect_error()
    result.has("the connection broke before big was answered", result.traceback)
    result = remote.run("hello.big(vec![1; 10 << 20])?")
    result.equal(result.text, str(10 << 20))


def test_a_wrong_key_is_refused_and_nothing_is_lost(remote: Client) -> None:
    remote.run('let stranger = remote::Network::new(&remote::Key::random()?).name_server(names.address())?;')
    result = remote.execute("stranger.proxy::<dyn Hello>(server.uri()).welcome(\"x\")?;").expect_error()
    result.has("so it has another key", result.traceback)
    eventually(lambda: refused(remote) == ["it has another key"], 20, "it is noted")
    # Calls of others, while strangers come.
    remote.run(
        "let answered = thread::scope(|scope| {\n"
        "    let strangers = scope.spawn(|| (0..50).filter(|_| stranger.lookup(\"server\").is_err()).count());\n"
        "    let calls = scope.spawn(|| (0..500).filter(|n| hello.half(&(2 * n).to_string()) == Ok(*n)).count());\n"
        "    (strangers.join().unwrap(), calls.join().unwrap())\n"
        "});"
    )
    result = remote.run("answered")
    result.equal(result.text, "(50, 500)")
    result = remote.run("server.n_calls() >= 500")
    result.equal(result.text, "true")


def test_the_name_server_refuses_strangers_and_keeps_its_names(remote: Client) -> None:
    address = ("127.0.0.1", int(remote.run("names.address().port()").text))
    where = remote.run('network.lookup("server")?.to_string()').text
    worker = worker_of(remote)
    before = worker.memory_info().rss
    silent = socket.create_connection(address, timeout=20)
    slow = socket.create_connection(address, timeout=20)
    half = socket.create_connection(address, timeout=20)
    half.sendall(b"FLremot2 and")
    half.shutdown(socket.SHUT_WR)
    for garbage in [b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100, os.urandom(5000), *[(1 << 30).to_bytes(4) + b"x" * 60] * 50]:
        with socket.create_connection(address, timeout=20) as connection:
            connection.sendall(garbage)
            assert until_closed(connection) == b""
    # Who asks by datagram without a proof of the key does not even learn that there is one.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(address)
        asking.settimeout(0.5)
        for question in [b"", b"FLnames?", b"FLnames?" + os.urandom(64), os.urandom(60_000)]:
            asking.send(question)
        with pytest.raises(TimeoutError):
            asking.recv(100)
    slow.sendall(b"F")
    result = remote.run(
        "let stranger = remote::Network::new(&remote::Key::random()?).name_server(names.address())?;\n"
        'let refused = [stranger.list("").is_err(), stranger.lookup("server").is_err(), stranger.remove("server").is_err()];\n'
        'let found = remote::Network::discover(&remote::Key::new("the key of this test")?, names.address().port())?;\n'
        '(refused, found.lookup("server")?.to_string())'
    )
    result.equal(result.text, f"([true, true, true], {where})")
    assert until_closed(silent) == until_closed(slow) == until_closed(half) == b""
    assert worker.memory_info().rss - before < 50 << 20
    noted = ["it did not prove the key within 5s"] * 2 + ["it has another key"] * 3 + ["it speaks another protocol"] * 52 + ["it went before it had proved the key"]
    why = 'let mut why: Vec<String> = names.refusals().into_iter().map(|refusal| refusal.why).collect();\nwhy.sort();\nwhy.join("; ")'
    eventually(lambda: remote.run(why).text.strip('"').split("; ") == noted, 20, "all are noted")
    welcomes(remote)


def test_a_built_pack_is_loaded_without_a_build(remote: Client, start_kernel) -> None:  # noqa: ANN001
    result = start_kernel().run("%load remote", timeout=120)
    # Nothing is said to be compiled.
    result.equal(result.stdout + result.stderr, "")
