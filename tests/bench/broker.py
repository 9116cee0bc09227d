#!/usr/bin/env python3
"""Task queues of the pack `broker` beside Celery, on the same brokers: RabbitMQ and Redis.

    python tests/bench/broker.py [--rounds 5] [--tasks 2000] [--brokers redis rabbitmq]

The sides take turns, round by round, on one broker that this script has started. Each side has one worker with two slots (Celery:
its own way, two processes forked beforehand) that is there from the beginning. Three things are timed, for tasks that add two
numbers:

* submit: all tasks are put into a queue that nobody reads;
* drain: all tasks lie in the queue, their results not wanted, and a worker begins to read it, until the last is done;
* whole: all are submitted and all results are waited for.

Celery's client submits one task after the other, which is its only way; forkline does so too in `submit` and `whole`, and besides
in batches (`call_all`). Both wait for the broker's word that it has a task; of RabbitMQ Celery must be told to (`confirm_publish`). Celery and its transports come from a virtual environment that is made beside the tests' own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import textwrap
import time
from collections import defaultdict
from pathlib import Path

from front_end import Kernel, machine
from venvs import python_with

PACKAGES = ["celery[redis]==5.7.0"]

SETUP = r"""
use broker::{App, Command, Config, Done, Options, Server, Worker};

async fn add((a, b): (i64, i64)) -> Result<i64, String> { Ok(a + b) }

async fn hold((ms,): (u64,)) -> Result<(), String> { tasks::sleep(Duration::from_millis(ms)).await; Ok(()) }

pub fn worker(config: Config) -> Result<Done, String> {
    Worker::new(&config, "worker").slots(2).in_stock(4).task("add", add).task("hold", hold).run().map_err(|error| error.to_string())
}

/// Seconds of each part, a line each.
fn measure(url: &str, n: i64) -> Result<(), broker::Error> {
    let wait = Duration::from_secs(120);
    let unread = App::connect(&Config::new(url).queue("forkline-unread"))?;
    let config = Config::new(url).queue("forkline-read");
    let app = App::connect(&config)?;
    let process = processes::spawn(worker, (config,)).unwrap();
    app.result::<i64>(&app.delay("add", (1, 1))?, wait)?;
    let time = |what: &str, begun: Instant| println!("{what}\t{:.9}", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    for i in 0..n { unread.delay("add", (i, i))?; }
    time("submit", begun);
    assert_eq!(unread.purge()?, n as u64);
    let begun = Instant::now();
    unread.call_all("add", (0..n).map(|i| (i, i)), &Options::default())?;
    time("submit, batches", begun);
    assert_eq!(unread.purge()?, n as u64);

    // Both slots are taken until all tasks lie in the queue.
    let held = app.call_all("hold", [(2000,); 2], &Options::default())?;
    app.call_all("add", (0..n).map(|i| (i, i)), &Options { ignore_result: true, ..Options::default() })?;
    let last = app.delay("add", (1, 1))?;
    assert!(app.n_waiting()? >= n as u64 - 10, "the queue is read already");
    app.result::<()>(&held[0], wait)?;
    let begun = Instant::now();
    app.result::<i64>(&last, wait)?;
    time("drain", begun);

    let begun = Instant::now();
    let ids = (0..n).map(|i| app.delay("add", (i, i))).collect::<Result<Vec<_>, _>>()?;
    for (i, id) in ids.iter().enumerate() { assert_eq!(app.result::<i64>(id, wait)?, 2 * i as i64); }
    time("whole", begun);
    let begun = Instant::now();
    let ids = app.call_all("add", (0..n).map(|i| (i, i)), &Options::default())?;
    for (i, id) in ids.iter().enumerate() { assert_eq!(app.result::<i64>(id, wait)?, 2 * i as i64); }
    time("whole, batches", begun);
    app.tell(&["worker"], Command::Shutdown, Duration::from_secs(5))?; // without names it would end Celery's too
    process.join().unwrap().unwrap();
    Ok(())
}
"""

APPLICATION = """
    import os
    from celery import Celery

    url = os.environ["BROKER"]
    app = Celery("bench", broker=url, backend="rpc://" if url.startswith("amqp") else url)
    if url.startswith("amqp"):
        # Else it does not wait until RabbitMQ has the task, as forkline does.
        app.conf.broker_transport_options = {"confirm_publish": True}

    @app.task
    def add(a, b):
        return a + b
"""

CLIENT = """
    import sys, time
    from bench import add, app

    n = int(sys.argv[1])
    add.apply_async((1, 1), queue="celery-read").get(timeout=120)

    def timed(what, begun):
        print(f"{what}\\t{time.perf_counter() - begun:.9f}", flush=True)

    begun = time.perf_counter()
    for i in range(n):
        add.apply_async((i, i), queue="celery-unread")
    timed("submit", begun)
    with app.connection_for_write() as connection:
        assert connection.default_channel.queue_purge("celery-unread") == n

    # They are put there before the worker may read them.
    app.control.cancel_consumer("celery-read", reply=True)
    for i in range(n):
        add.apply_async((i, i), queue="celery-read", ignore_result=True)
    last = add.apply_async((1, 1), queue="celery-read")
    begun = time.perf_counter()
    app.control.add_consumer("celery-read", reply=False)
    last.get(timeout=120)
    timed("drain", begun)

    begun = time.perf_counter()
    results = [add.apply_async((i, i), queue="celery-read") for i in range(n)]
    for i, result in enumerate(results):
        assert result.get(timeout=120) == 2 * i
    timed("whole", begun)
"""

# What is timed, and with which of Celery's figures it is compared.
ROWS = {"submit": "submit", "submit, batches": "submit", "drain": "drain", "whole": "whole", "whole, batches": "whole"}
Times = dict[str, list[float]]


def python_with_celery() -> Path:
    return python_with("celery", "import celery, redis", *PACKAGES)


class Celery:
    """A worker of Celery's, there for all rounds."""

    def __init__(self, python: Path, folder: Path, url: str) -> None:
        (folder / "bench.py").write_text(textwrap.dedent(APPLICATION))
        (folder / "client.py").write_text(textwrap.dedent(CLIENT))
        self.python, self.folder = python, folder
        self.env = {**os.environ, "BROKER": url}
        command = [python, "-m", "celery", "-A", "bench", "worker", "-c", "2", "-Q", "celery-read", "-l", "warning"]
        self.worker = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle"],
            cwd=folder, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

    def measure(self, n: int) -> str:
        command = [self.python, "client.py", str(n)]
        return subprocess.run(command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True, check=True, timeout=600).stdout

    def close(self) -> None:
        self.worker.terminate()
        self.worker.wait(60)


def take(times: Times, text: str) -> None:
    for line in text.splitlines():
        what, tab, seconds = line.partition("\t")
        if tab and what in ROWS:
            times[what].append(float(seconds))


def show(name: str, n: int, ours: Times, theirs: Times) -> bool:
    print(f"\n{name}\n\n| tasks in a second | forkline | Celery | ratio: median | smallest | largest |\n|---|---|---|---|---|---|")
    is_met = True
    for what, other in ROWS.items():
        ratios = [b / a for a, b in zip(ours[what], theirs[other])]
        ratio = statistics.median(ratios)
        mine, yours = n / statistics.median(ours[what]), n / statistics.median(theirs[other])
        print(f"| {what} | {mine:,.0f} | {yours:,.0f} | {ratio:.1f} | {min(ratios):.1f} | {max(ratios):.1f} |")
        if what in ("drain", "whole, batches"):
            is_met = is_met and ratio >= 5
    return is_met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--brokers", nargs="+", choices=["redis", "rabbitmq"], default=["redis", "rabbitmq"])
    parser.add_argument("--kernel", default="forkline")
    options = parser.parse_args()
    python = python_with_celery()
    print(f"{machine()}\n{options.rounds} rounds of {options.tasks} tasks each, the sides in turns on one broker")
    for name in options.brokers:
        ours: Times = defaultdict(list)
        theirs: Times = defaultdict(list)
        with tempfile.TemporaryDirectory() as folder, Kernel(options.kernel) as kernel:
            kernel.execute("%load broker")
            kernel.execute(SETUP)
            url = kernel.printed(f'let server = Server::{name}()?;\nprintln!("{{}}", server.url());').strip()
            celery = Celery(python, Path(folder), url)
            try:
                for _ in range(options.rounds):
                    take(ours, kernel.printed(f'measure("{url}", {options.tasks})?;'))
                    time.sleep(0.5)
                    take(theirs, celery.measure(options.tasks))
            finally:
                celery.close()
        is_met = show(name, options.tasks, ours, theirs)
        print(f"\nAt least 5 times Celery in `drain` and `whole, batches`: {'met' if is_met else 'not met'}.")


if __name__ == "__main__":
    main()
