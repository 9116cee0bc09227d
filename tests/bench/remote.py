#!/usr/bin/env python3
"""Calls of a remote object beside Pyro5: calls per second, in turns.

    python tests/bench/remote.py [--rounds 5] [--kernel forkline]

Each round runs every case once in Pyro5 and once in a cell, one after the other, so that what changes on the machine
meets both. The object is in another process of this machine, its method returns a text of 17 bytes; every answer is
compared. Times are read around the calls; start, connection and compilation are not in them.

* 1 thread     each call waits for the one before
* 8 threads    one proxy for all in forkline; one for each thread in Pyro5, whose proxies belong to a thread
* 1 MB         one thread, an argument of a million bytes

Pyro5 is installed into a virtual environment of its own, which needs a package index once. Needed are jupyter_client
and pyzmq too, and a machine with nothing else to do.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from front_end import Kernel, machine, options

PYRO = "Pyro5==5.16"
CASES = {"1 thread": (1, 3_000, 0), "8 threads": (8, 3_000, 0), "1 MB": (1, 100, 1_000_000)}

SERVER = """
import Pyro5.api

@Pyro5.api.expose
class Greeter:
    def welcome(self, name):
        return "Hi welcome " + name
    def length(self, data):
        return len(data)

daemon = Pyro5.api.Daemon()
print(daemon.register(Greeter), flush=True)
daemon.requestLoop()
"""

# Reads lines `threads calls bytes`, and answers each with the seconds that the calls took.
CLIENT = """
import sys, threading, time
import Pyro5.api

uri = sys.argv[1]

def run(n, size, ready, go):
    with Pyro5.api.Proxy(uri) as proxy:
        data = b"x" * size
        assert proxy.welcome("Ruvika") == "Hi welcome Ruvika"
        ready.release()
        go.wait()
        for _ in range(n):
            if size:
                assert proxy.length(data) == size
            else:
                assert proxy.welcome("Ruvika") == "Hi welcome Ruvika"

for line in sys.stdin:
    threads, calls, size = map(int, line.split())
    ready, go = threading.Semaphore(0), threading.Event()
    workers = [threading.Thread(target=run, args=(calls // threads, size, ready, go)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    begun = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    print(time.perf_counter() - begun, flush=True)
"""

OBJECT = """
#[remote::object]
pub trait Greet {
    fn welcome(&self, name: &str) -> remote::Result<String>;
    fn length(&self, data: String) -> remote::Result<usize>;
}
pub struct Greeter;
impl Greet for Greeter {
    fn welcome(&self, name: &str) -> remote::Result<String> { Ok(format!("Hi welcome {name}")) }
    fn length(&self, data: String) -> remote::Result<usize> { Ok(data.len()) }
}
pub fn serve(network: remote::Network) {
    network.serve::<dyn Greet>("greeter", Arc::new(Greeter)).unwrap().join().unwrap();
}
pub fn calls(object: &dyn Greet, threads: usize, calls: usize, size: usize) -> f64 {
    let data = "x".repeat(size);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| for _ in 0..calls / threads {
                if size > 0 {
                    assert_eq!(object.length(data.clone()).unwrap(), size);
                } else {
                    assert_eq!(object.welcome("Ruvika").unwrap(), "Hi welcome Ruvika");
                }
            });
        }
    });
    begun.elapsed().as_secs_f64()
}
"""

SETUP = """
let names = remote::NameServer::start(&remote::Key::random()?, "127.0.0.1:0")?;
let network = names.network();
let process = processes::spawn(serve, (network.clone(),))?;
network.wait_for(&["greeter"], Duration::from_secs(60))?;
let greeter = network.proxy::<dyn Greet>("greeter");
greeter.welcome("warm")?;
"""


def python() -> Path:
    """The interpreter of the environment with Pyro5; it is made where there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forkline/bench-pyro"
    found = cache / "bin/python"
    if subprocess.run([found, "-c", "import Pyro5.api"], capture_output=True, check=False).returncode if found.exists() else True:
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache], check=True)
        subprocess.run([found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYRO], check=True)
    return found


def main() -> None:
    arguments = options("Calls of a remote object beside Pyro5.", rounds=5).parse_args()
    interpreter = python()
    print(f"{machine()}\n{PYRO}, {arguments.rounds} rounds, in turns\n")
    theirs: dict[str, list[float]] = {name: [] for name in CASES}
    ours: dict[str, list[float]] = {name: [] for name in CASES}
    server = subprocess.Popen([interpreter, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    client = None
    try:
        uri = server.stdout.readline().strip()
        client = subprocess.Popen([interpreter, "-c", CLIENT, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with Kernel(arguments.kernel) as kernel:
            for cell in ["%load remote", OBJECT, SETUP]:
                kernel.execute(cell)
            for _ in range(arguments.rounds):
                for name, (threads, calls, size) in CASES.items():
                    client.stdin.write(f"{threads} {calls} {size}\n")
                    client.stdin.flush()
                    theirs[name].append(calls / float(client.stdout.readline()))
                    code = f'println!("{{}}", calls(&*greeter, {threads}, {calls}, {size}));'
                    ours[name].append(calls / float(json.loads(kernel.printed(code))))
            kernel.execute("process.kill();")
    finally:
        for process in filter(None, [client, server]):
            process.kill()
            process.wait()
    print("| calls per second | Pyro5 | min to max | forkline | min to max | ratio |\n|---|---|---|---|---|---|")
    for name, found in theirs.items():
        one, two = statistics.median(found), statistics.median(ours[name])
        print(
            f"| {name} | {one:.0f} | {min(found):.0f} to {max(found):.0f} | {two:.0f} | {min(ours[name]):.0f} to {max(ours[name]):.0f} "
            f"| {two / one:.1f} |"
        )


if __name__ == "__main__":
    main()
