"""Celery of Python on the other side: its client gives tasks to our worker, our application gives tasks to its worker, and each looks
at the other with its own commands."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Iterator

import pytest
from queues import Broker
from harness import Client, eventually, squeezed

pytestmark = pytest.mark.timeout(1200)

APPLICATION = """
    import os
    from celery import Celery

    url = os.environ["BROKER"]
    app = Celery("shop", broker=url, backend="rpc://" if url.startswith("amqp") else url)

    @app.task(name="add")
    def add(a, b):
        return a + b

    @app.task(name="letter")
    def letter(to, lines):
        raise NotImplementedError("it is done elsewhere")

    @app.task(name="python.divide", bind=True)
    def divide(self, a, b):
        return a / b
"""


class Shop:
    """A Celery application in a folder, and what its command line says."""

    def __init__(self, folder: Path, url: str) -> None:
        (folder / "shop.py").write_text(textwrap.dedent(APPLICATION))
        self.folder, self.env = folder, {**os.environ, "BROKER": url}

    def python(self, code: str) -> str:
        command = [sys.executable, "-c", "from shop import *\n" + textwrap.dedent(code)]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def celery(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "celery", "-A", "shop", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr


@pytest.fixture
def shop(broker: Broker, tmp_path: Path) -> Shop:
    return Shop(tmp_path, broker.url)


@pytest.fixture
def celery(broker: Broker) -> Iterator[Client]:
    """A kernel with an application on the queue that Celery uses if it is told nothing."""
    kernel = broker.kernel
    kernel.forget()
    kernel.run("let config = Config::celery(server.url());\nlet app = App::connect(&config)?;\nlet begun = Begun::new();\napp.purge()?;", timeout=120)
    yield kernel


def test_a_client_of_python_gives_tasks_to_our_worker(celery: Client, shop: Shop) -> None:
    celery.run("let workers = begin(&config, 1, 2, &begun);", timeout=90)
    assert shop.python("print(add.delay(5, 5).get(timeout=60))") == "10"
    assert shop.python("print([r.get(timeout=60) for r in [add.delay(i, 1) for i in range(20)]])") == str(list(range(1, 21)))
    # By name, with a struct on our side; with options; an error that Python raises.
    assert shop.python("print(sorted(letter.delay(to='ann', lines=['a', 'b']).get(timeout=60).items()))") == "[('lines', ['b', 'a']), ('to', 'ANN')]"
    assert shop.python("print(add.apply_async((2, 3), countdown=1, expires=60).get(timeout=60))") == "5"
    said = shop.python(
        f"""
        try:
            add.delay({2**63 - 1}, 1).get(timeout=60)
        except RuntimeError as error:
            print(type(error).__name__, error)
        """
    )
    assert said == "RuntimeError 9223372036854775807 + 1 is too large"
    result = celery.run("all_begun(&begun).len()")
    result.equal(result.text, "23")


def test_celerys_command_line_looks_at_our_worker(celery: Client, shop: Shop) -> None:
    if not celery.run("app.workers()?.len() == 1").text == "true":
        celery.run("let workers = begin(&config, 1, 2, &begun);", timeout=90)
    assert "worker-1: OK" in shop.celery("status"), shop.celery("status")
    assert "pong" in shop.celery("inspect", "ping")
    registered = shop.celery("inspect", "registered")
    assert "* add" in registered and "* letter" in registered, registered
    celery.run('let long = app.delay("rest", (60_000,))?;\nwhile ids_in(&app, Command::Active).is_empty() {}', timeout=60)
    active = shop.celery("inspect", "active")
    identifier = celery.run("long.clone()").text.strip('"')
    assert identifier in active and "'rest'" in active, active
    assert "max-concurrency" in shop.celery("inspect", "stats")
    assert "new rate limit set successfully" in shop.celery("control", "rate_limit", "add", "10/m")
    # Revoked with terminate, it ends at its next await.
    shop.python(f"app.control.revoke({identifier!r}, terminate=True)")
    result = celery.run("app.result::<u64>(&long, SOON).unwrap_err().to_string()", timeout=60)
    result.has("was revoked", result.text)
    shop.celery("control", "shutdown")
    result = celery.run("workers.into_iter().map(|worker| worker.join().unwrap().unwrap().succeeded).sum::<u64>() > 0", timeout=60)
    result.equal(result.text, "true")


def test_our_application_gives_tasks_to_a_worker_of_python(celery: Client, shop: Shop) -> None:
    celery.run("app.purge()?;")
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-c", "1", "-n", "python@here", "-l", "info"]
    log = open(shop.folder / "log", "wb")
    worker = subprocess.Popen(command, cwd=shop.folder, env=shop.env, stdout=log, stderr=log)
    try:
        eventually(lambda: "ready" in (shop.folder / "log").read_text(), 60, "the worker is ready")
        result = celery.run(
            """let id = app.delay("python.divide", (7, 2))?;
            let wrong = app.delay("python.divide", (1, 0))?;
            (app.result::<f64>(&id, SOON)?, app.result::<f64>(&wrong, SOON).unwrap_err().to_string(), app.workers()?, app.n_waiting()?)""",
            timeout=120,
        )
        result.equal(squeezed(result.text), squeezed('(3.5, "division by zero", ["python@here"], 0)'))
    except AssertionError:
        print((shop.folder / "log").read_text())
        raise
    finally:
        worker.terminate()
        worker.wait(60)
