#!/usr/bin/env python3
"""Requests per second of an axum application that runs out of a cell, beside Flask with gunicorn, on the same machine.

    python tests/bench/web.py [--rounds 5] [--seconds 3] [--connections 32]

Both sides answer `GET /` with the same small page, whose heading is put in at each request, and get the same load from wrk, one side
after the other, round by round. Ours is served by the cell of the notebook on web applications, as it stands there. Flask runs in
gunicorn with as many workers as there are processors: once with its usual kind (`sync`, which closes a connection after each answer)
and once with `gthread`, which keeps connections open; a ratio is that to the quicker of the two in the same round. Each measurement
has a server that is warm: a second of load comes before it. wrk has one thread, which shares the processors with the server; the table
says how much of a processor it took, so that one sees whether it was the limit, and how long requests took.

wrk comes from the system's packages: where root and apt-get are there it is installed, otherwise nothing is measured. Flask and gunicorn
come from a virtual environment that is made beside the tests' own; needed are jupyter_client and pyzmq.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from front_end import Kernel, machine
from venvs import python_with

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks/ch07-cloud/02-web-application.ipynb"
FLASK, GUNICORN = "3.1.3", "27.0.1"
KINDS = ["sync", "gthread"]
TARGET = 10

PAGE = "<!doctype html><html><head><title>{{ name }}</title></head><body><h1>Hello {{ name }}!</h1><p>A small page.</p></body></html>"

APPLICATION = f"""
use axum::routing::get;
use axum::response::Html as Page;
const PAGE: &str = r#"{PAGE}"#;
async fn hello() -> Page<String> {{ Page(PAGE.replace("{{{{ name }}}}", "World")) }}
let site = serve("site", "127.0.0.1:0", Router::new().route("/", get(hello)))?;
println!("port {{}}", site.address().ok_or("no address")?.port());
"""

# With a template in a file, which is compiled once; one that is a text of the program would be compiled for each request.
FLASK_APPLICATION = """
from flask import Flask, render_template

app = Flask(__name__)


@app.get("/")
def hello():
    return render_template("page.html", name="World")
"""

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def has_wrk() -> bool:
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", "install", "-y", "wrk"]
        subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL, check=False)
    return shutil.which("wrk") is not None


def gunicorn() -> Path:
    asked = f"from importlib.metadata import version as v; assert (v('flask'), v('gunicorn')) == ('{FLASK}', '{GUNICORN}')"
    return python_with("flask", asked, f"flask=={FLASK}", f"gunicorn=={GUNICORN}").with_name("gunicorn")


# ---- the two servers ----------------------------------------------------------------------------


def serve_cell() -> str:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    (cell,) = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and "fn serve(" in "".join(cell["source"])]
    return cell


@contextmanager
def flask(kind: str, n_workers: int) -> Iterator[int]:
    """gunicorn with the application; its port."""
    # gunicorn does not tell which port it was given, so one that is free now is asked for.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="forkline-bench-") as folder:
        Path(folder, "application.py").write_text(FLASK_APPLICATION)
        Path(folder, "templates").mkdir()
        Path(folder, "templates/page.html").write_text(PAGE)
        command = [gunicorn(), "-w", str(n_workers), "-k", kind, "-b", f"127.0.0.1:{port}", "--log-level", "warning"]
        # Threads that are fewer than the connections would have some of these wait for others to close.
        command += ["--threads", "32"] if kind == "gthread" else []
        server = subprocess.Popen([*command, "application:app"], cwd=folder, stdin=subprocess.DEVNULL)
        try:
            until_it_answers(port, server)
            yield port
        finally:
            server.terminate()
            server.wait(20)


def page(port: int) -> str:
    with DIRECT.open(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.headers
        return answer.read().decode()


def until_it_answers(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            page(port)
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("gunicorn does not answer")


# ---- load ---------------------------------------------------------------------------------------


@dataclass
class Load:
    rate: float
    """Seconds below which half and 99 of 100 requests stayed."""
    median: float
    slow: float
    """What wrk took of a processor."""
    wrk: float


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def load(port: int, connections: int, duration: int) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}s", "--latency", f"http://127.0.0.1:{port}/"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    # A page that was not served is no request that was quick.
    bad = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    if process.returncode or bad:
        raise RuntimeError(f"wrk, exit code {process.returncode}: {bad[0] if bad else text}")
    percentile = {name: seconds(value) for name, value in re.findall(r"^ +(\d\d)% +(\S+)$", text, re.MULTILINE)}
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return Load(rate, percentile["50"], percentile["99"], (used.ru_utime + used.ru_stime) / taken)


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests per second out of a cell, beside Flask with gunicorn.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--kernel", default="forkline")
    options = parser.parse_args()
    if not has_wrk():
        print("NOT RUN: there is no wrk (sudo apt-get install wrk)")
        sys.exit(1)
    gunicorn()
    n_workers = os.cpu_count() or 1
    print(f"{machine()}\nFlask {FLASK}, gunicorn {GUNICORN} with {n_workers} workers; {subprocess.run(['wrk', '-v'], capture_output=True, text=True).stdout.split(chr(10))[0]}")
    print(f"{options.connections} connections, {options.rounds} rounds of {options.seconds} s each, in turns\n", flush=True)
    found: dict[str, list[Load]] = defaultdict(list)
    with Kernel(options.kernel) as kernel:
        kernel.execute("%load web")
        kernel.execute(serve_cell())
        port = int(kernel.printed(APPLICATION).split()[-1])
        wanted = page(port)
        for _ in range(options.rounds):
            load(port, options.connections, 1)
            found["axum out of a cell"].append(load(port, options.connections, options.seconds))
            for kind in KINDS:
                with flask(kind, n_workers) as other:
                    assert page(other) == wanted, page(other)
                    load(other, options.connections, 1)
                    found[f"Flask, gunicorn {kind}"].append(load(other, options.connections, options.seconds))
    ours, *theirs = found.values()
    print("| server | requests in a second | smallest | largest | median of a request | 99 % below | wrk's processor |\n|---|---|---|---|---|---|---|")
    for name, loads in found.items():
        rates = [one.rate for one in loads]
        median, slow, wrk = (statistics.median(getattr(one, what) for one in loads) for what in ("median", "slow", "wrk"))
        print(f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} | {shown(median)} | {shown(slow)} | {wrk:.0%} |")
    ratios = [our.rate / max(other.rate for other in others) for our, *others in zip(ours, *theirs)]
    ratio = statistics.median(ratios)
    print(f"\naxum to the quicker of the two kinds of Flask: {ratio:.1f} ({min(ratios):.1f} to {max(ratios):.1f}), target {TARGET}: {'met' if ratio >= TARGET else 'not met'}.")


if __name__ == "__main__":
    main()
