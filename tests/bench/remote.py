#!/usr/bin/env python3
"""What a call of a remote object costs, beside Pyro5, on the same machine and work.

    python tests/bench/remote.py [--rounds 5] [--cases small MiB]

Both sides do the same: an object is served by one process and called from another on this machine, over TCP, by client threads
that have a proxy each and begin together once all are connected. Ours runs in cells of a real kernel, Pyro5 in a client of its own
for each measurement, with a server that is forked from it. Pyro5 is measured with serpent, as it comes, and with msgpack, another of its
formats that can send bytes and is quicker. The sides take turns, round by round; the table has medians of calls in a second and of the
ratios of each round, with the smallest and largest ratio. Connecting, looking a name up
and the proof of the key are before the clock. For the small calls there is a floor too, what the machine gives anybody: 64 bytes that a
process sends back over TCP, by blocking reads and writes and nothing else. Pyro5 comes from a virtual environment that is made beside the tests' own; needed are
jupyter_client and pyzmq.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import threading
import time
from pathlib import Path

from venvs import python_with

PYRO5, MSGPACK = "5.17", "1.2.4"
SERIALIZERS = ["serpent", "msgpack"]
SIZE = 1 << 20
THREADS = 4
TARGET = 10

SETUP = """
#[remote::object]
pub trait Desk {
    fn add(&self, a: i64, b: i64) -> remote::Result<i64>;
    fn length(&self, bytes: Vec<u8>) -> remote::Result<usize>;
}
pub struct Clerk;
impl Desk for Clerk {
    fn add(&self, a: i64, b: i64) -> remote::Result<i64> { Ok(a + b) }
    fn length(&self, bytes: Vec<u8>) -> remote::Result<usize> { Ok(bytes.len()) }
}
pub fn serve_elsewhere(network: remote::Network) {
    network.serve::<dyn Desk>("desk", Arc::new(Clerk)).unwrap().join().unwrap();
}
pub fn echo_elsewhere(tell: processes::Sender<u16>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tell.send(listener.local_addr().unwrap().port()).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 64];
            while stream.read_exact(&mut bytes).is_ok() { stream.write_all(&bytes).unwrap(); }
        });
    }
}
/// Seconds of one call, by so many threads that connect, then all make so many calls; the first call of each is not counted.
fn each<C>(n_threads: usize, count: usize, connect: impl Fn() -> C + Sync, call: impl Fn(&mut C) + Sync) -> f64 {
    let barrier = std::sync::Barrier::new(n_threads + 1);
    thread::scope(|scope| {
        let client = || {
            let mut connection = connect();
            call(&mut connection);
            barrier.wait();
            for _ in 0..count { call(&mut connection); }
        };
        let clients: Vec<_> = (0..n_threads).map(|_| scope.spawn(client)).collect();
        barrier.wait();
        let begun = Instant::now();
        for client in clients { client.join().unwrap(); }
        begun.elapsed().as_secs_f64() / (n_threads * count) as f64
    })
}
"""

SERVE = """
let key = remote::Key::random()?;
let names = remote::NameServer::start(&key, "127.0.0.1:0")?;
let network = names.network();
let server = processes::spawn(serve_elsewhere, (network.clone(),))?;
network.wait_for(&["desk"], Duration::from_secs(20))?;
let (tell, told) = processes::pipe();
let echo = processes::spawn(echo_elsewhere, (tell,))?;
let echo_port = told.recv()?;
"""

ADD = "|desk| assert_eq!(desk.add(5, 5).unwrap(), 10)"
LENGTH = f"|desk| assert_eq!(desk.length(vec![7; {SIZE}]).unwrap(), {SIZE})"

FLOOR = """|| { let stream = std::net::TcpStream::connect(("127.0.0.1", echo_port)).unwrap(); stream.set_nodelay(true).unwrap(); stream },
    |stream| { use std::io::{Read, Write}; let mut bytes = [0; 64]; stream.write_all(&bytes).unwrap(); stream.read_exact(&mut bytes).unwrap(); }"""

# For each case: threads, calls of each thread on our side, our call, calls of each thread by serpent and by msgpack.
CASES: dict[str, tuple[int, int, str, int, int]] = {
    "small, 1 thread": (1, 5000, ADD, 3000, 3000),
    f"small, {THREADS} threads": (THREADS, 4000, ADD, 1000, 1000),
    "1 MiB, 1 thread": (1, 200, LENGTH, 30, 100),
    f"1 MiB, {THREADS} threads": (THREADS, 50, LENGTH, 8, 30),
}


def python_with_pyro5() -> Path:
    asked = f"import Pyro5, msgpack; assert Pyro5.__version__ == '{PYRO5}'"
    return python_with("pyro5", asked, f"Pyro5=={PYRO5}", f"msgpack=={MSGPACK}")


# ---- the other side, in an interpreter that has Pyro5 -------------------------------------------


def _serve(uri) -> None:  # noqa: ANN001
    import Pyro5.api
    import serpent

    @Pyro5.api.expose
    class Clerk:
        def add(self, a: int, b: int) -> int:
            return a + b

        def length(self, data: bytes | dict) -> int:
            # serpent sends bytes as a text and leaves it to the receiver to make bytes of it.
            return len(serpent.tobytes(data) if isinstance(data, dict) else data)

    daemon = Pyro5.api.Daemon(host="127.0.0.1")
    uri.send(str(daemon.register(Clerk(), "desk")))
    daemon.requestLoop()


def other(case: str, serializer: str) -> float:
    """Seconds of one call, by Pyro5."""
    import Pyro5.api

    Pyro5.api.config.SERIALIZER = serializer
    n_threads, _, _, *counts = CASES[case]
    count = counts[SERIALIZERS.index(serializer)]
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    server = context.Process(target=_serve, args=(sending,), daemon=True)
    server.start()
    uri = receiving.recv()
    barrier = threading.Barrier(n_threads + 1)
    data = bytes([7]) * SIZE
    is_small = case.startswith("small")

    def client() -> None:
        with Pyro5.api.Proxy(uri) as desk:

            def call() -> None:
                if is_small:
                    assert desk.add(5, 5) == 10
                else:
                    assert desk.length(data) == SIZE

            call()
            barrier.wait()
            for _ in range(count):
                call()

    clients = [threading.Thread(target=client) for _ in range(n_threads)]
    for one in clients:
        one.start()
    barrier.wait()
    begun = time.perf_counter()
    for one in clients:
        one.join()
    taken = time.perf_counter() - begun
    server.terminate()
    server.join()
    return taken / (n_threads * count)


# ---- both in turns ------------------------------------------------------------------------------


def rate(seconds: list[float]) -> str:
    return f"{1 / statistics.median(seconds):,.0f}"


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="What a call of a remote object costs, beside Pyro5.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kernel", default="forkline")
    parser.add_argument("--cases", nargs="*", help="only cases with one of these words in their name")
    parser.add_argument("--other", nargs=2, metavar=("CASE", "SERIALIZER"), help="run Pyro5's side of one case and print its seconds")
    options = parser.parse_args()
    if options.other:
        print(repr(other(*options.other)))
        return

    # The other side must not load these.
    from front_end import Kernel, machine

    python = python_with_pyro5()
    chosen = [case for case in CASES if not options.cases or any(word in case for word in options.cases)]
    print(f"{machine()}\nPyro5 {PYRO5}, msgpack {MSGPACK}; {options.rounds} rounds, in turns\n", flush=True)
    ours: dict[str, list[float]] = {case: [] for case in chosen}
    theirs: dict[str, dict[str, list[float]]] = {case: {name: [] for name in SERIALIZERS} for case in chosen}
    floor: dict[str, list[float]] = {case: [] for case in chosen}
    with Kernel(options.kernel) as kernel:
        kernel.execute("%load remote")
        kernel.execute(SETUP)
        kernel.execute(SERVE)
        connect = '|| network.proxy::<dyn Desk>("desk")'
        cells = {case: f'println!("{{:e}}", each({threads}, {count}, {connect}, {call}));' for case, (threads, count, call, *_) in CASES.items()}
        echoes = {case: f'println!("{{:e}}", each({threads}, {count}, {FLOOR}));' for case, (threads, count, *_) in CASES.items()}
        for case in chosen:  # compiles the cells, and warms both sides
            kernel.printed(cells[case])
            kernel.printed(echoes[case])
        for _ in range(options.rounds):
            for case in chosen:
                ours[case].append(float(kernel.printed(cells[case]).split()[-1]))
                for name in SERIALIZERS:
                    command = [python, __file__, "--other", case, name]
                    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
                    theirs[case][name].append(float(done.stdout))
                if case.startswith("small"):
                    floor[case].append(float(kernel.printed(echoes[case]).split()[-1]))
        kernel.execute("server.kill();\necho.kill();")
    print("| calls in a second | forkline | Pyro5, serpent | Pyro5, msgpack | to serpent | to msgpack | floor |\n|---|---|---|---|---|---|---|")
    ratios: dict[str, list[list[float]]] = {}
    for case in chosen:
        ratios[case] = [[their / our for our, their in zip(ours[case], theirs[case][name])] for name in SERIALIZERS]
        columns = [case, rate(ours[case]), *(rate(theirs[case][name]) for name in SERIALIZERS), *map(spread, ratios[case])]
        print(f"| {' | '.join(columns)} | {rate(floor[case]) if floor[case] else ''} |")
    print()
    for case, of_formats in ratios.items():
        as_it_comes, other_format = (statistics.median(found) for found in of_formats)
        reached = "met" if min(as_it_comes, other_format) >= TARGET else "met by serpent only" if as_it_comes >= TARGET else "not met"
        print(f"{case}: {as_it_comes:.1f} times as many calls as Pyro5 as it comes, {other_format:.1f} times with msgpack; target {TARGET}: {reached}.")


if __name__ == "__main__":
    main()
