"""The pack `queue`: a task queue whose workers are processes of their own, through a real client.

What is tested is what the notebook on task queues shows: its cells that define the application are run here, under other loads and other accidents.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Callable

import nbformat
import psutil
import pytest
from definitions import cells_before_recipes
from harness import Client, Result, eventually, rust_str
from strangers import drip, rest_of

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks/ch06-distributed/03-task-queue.ipynb"
# The pack is built by whoever needs it first.
BUILD_SECONDS = 900

OPEN = "let app = app.open(Path::new({}))?;"
SHUTDOWN = "app.tell(None, Command::Shutdown)?;\nfor worker in &workers { worker.join()??; }"


@pytest.fixture
def queue(kernel: Client, tmp_path: Path) -> Client:
    """A kernel with the application defined and a store of the test's own."""
    if not kernel.execute("let _known: Option<Command> = None;").ok:
        kernel.forget()
        for cell in cells_before_recipes(NOTEBOOK, "%load queue"):
            kernel.run(cell, timeout=BUILD_SECONDS)
    kernel.forget()
    kernel.run(OPEN.format(rust_str(tmp_path / "tasks.sqlite")))
    return kernel


def children(kernel: Client) -> set[int]:
    return {process.pid for process in kernel.process.descendants()}


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_the_pack_is_loaded_into_another_session_without_a_build(kernel: Client, start_kernel: Callable[..., Client]) -> None:
    first = kernel.run("%load queue", timeout=BUILD_SECONDS)
    first.lacks("Compiling forkline", first.stdout + first.stderr)
    another = start_kernel()
    another.run("let kept = vec![1, 2, 3];")
    result = another.run("%load queue", timeout=120)
    result.equal(result.stdout + result.stderr, "")
    result = another.run("(apalis::prelude::TaskBuilder::new(kept.len()).build().args, ulid::Ulid::generate().to_string().len())")
    result.equal(result.text, "(3, 26)")


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_each_task_is_done_exactly_once_by_several_processes(queue: Client) -> None:
    queue.run("let workers = app.start(4, 2)?;")
    result = queue.run(
        """let ids = (0..300).map(|n| app.delay(Work::Add(n, 1))).collect::<io::Result<Vec<_>>>()?;
        let sum: i64 = ids.iter().map(|id| app.result(id, Duration::from_secs(60)).unwrap().unwrap()).sum();
        let mut started: Vec<String> = app.events().into_iter().filter(|event| event.what == "started").map(|event| event.task).collect();
        let n_started = started.len();
        started.sort();
        started.dedup();
        (sum, n_started, started.len(), app.counts()?)""",
        timeout=120,
    )
    result.equal(result.text, f'({sum(range(1, 301))}, 300, 300, {{"done": 300}})')
    # Not one worker did it all.
    result = queue.run('app.list("done")?.into_iter().map(|task| task.worker.unwrap()).collect::<std::collections::BTreeSet<_>>().len() > 1')
    result.equal(result.text, "true")
    queue.run(SHUTDOWN)


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_a_killed_workers_task_is_done_by_another(queue: Client) -> None:
    victim = queue.run(
        """let workers = app.start(2, 1)?;
        let ids = (0..4).map(|_| app.delay(Work::Rest(2000))).collect::<io::Result<Vec<_>>>()?;
        while app.list("active")?.len() < 2 { thread::sleep(Duration::from_millis(5)); }
        let name = app.list("active")?[0].worker.clone().unwrap();
        let held = app.list("active")?[0].id.clone();
        workers[app.workers()?.iter().position(|worker| *worker == name).unwrap()].pid().unwrap()"""
    )
    pid = int(victim.text)
    assert pid in children(queue), "the worker is a process of its own"
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10, "the worker is gone")
    result = queue.run(
        """let results = ids.iter().map(|id| app.result(id, Duration::from_secs(60))).collect::<io::Result<Vec<_>>>()?;
        (results == vec![Ok(2000); 4], app.counts()?, app.entry(&held)?.worker != Some(name))""",
        timeout=120,
    )
    result.equal(result.text, '(true, {"done": 4}, true)')
    queue.run("app.tell(None, Command::Shutdown)?;\nfor worker in &workers { let _one_was_killed = worker.join(); }")


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_what_was_revoked_is_never_done(queue: Client) -> None:
    result = queue.run(
        """let ids = (0..40).map(|n| app.delay(Work::Add(n, 0))).collect::<io::Result<Vec<_>>>()?;
        let workers = app.start(2, 1)?;
        let revoked: Vec<String> = ids.iter().rev().filter(|id| app.revoke(id).unwrap()).cloned().collect();
        for id in &ids { let _all_are_settled = app.result(id, Duration::from_secs(60))?; }
        let started: Vec<String> = app.events().into_iter().filter(|event| event.what == "started").map(|event| event.task).collect();
        let counts = app.counts()?;
        (revoked.iter().all(|id| !started.contains(id)), counts.values().sum::<i64>(),
         counts.get("revoked").copied().unwrap_or(0) == revoked.len() as i64, started.len() + revoked.len())""",
        timeout=120,
    )
    result.equal(result.text, "(true, 40, true, 40)")
    queue.run(SHUTDOWN)


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_tasks_outlive_the_session(queue: Client, start_kernel: Callable[..., Client], tmp_path: Path) -> None:
    queue.run("let ids = (0..5).map(|n| app.delay(Work::Add(n, 10))).collect::<io::Result<Vec<_>>>()?;")
    ids = queue.run("ids.join(\" \")").text.strip('"').split()
    owner = start_kernel()
    for cell in cells_before_recipes(NOTEBOOK, "%load queue"):
        owner.run(cell, timeout=BUILD_SECONDS)
    owner.run(OPEN.format(rust_str(tmp_path / "tasks.sqlite")))
    owner.run("let more = app.delay(Work::Add(50, 10))?;")
    # A kernel that is killed says good-bye to nobody.
    owner.process.kill()
    listed = queue.run('app.list("waiting")?.len()')
    listed.equal(listed.text, "6")
    queue.run("let workers = app.start(1, 1)?;")
    result = queue.run('while app.counts()?.get("done") != Some(&6) { thread::sleep(Duration::from_millis(5)); }\napp.counts()?', timeout=60)
    result.equal(result.text, '{"done": 6}')
    result = queue.run(f'app.result("{ids[4]}", Duration::ZERO)??')
    result.equal(result.text, "14")
    queue.run(SHUTDOWN)


def refused(kernel: Client, path: Path) -> Result:
    return kernel.run(f"app.open(Path::new({rust_str(path)})).err().map(|error| error.to_string())", timeout=60)


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_a_file_that_is_no_store_is_an_error_at_once(queue: Client, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.sqlite"
    garbage.write_bytes(b"this is no database " * 500)
    result = refused(queue, garbage)
    result.has("file is not a database", result.text)
    # A folder, and a file in a folder that is not there.
    result = refused(queue, tmp_path)
    result.has("unable to open database file", result.text)
    result = refused(queue, tmp_path / "nowhere" / "tasks.sqlite")
    result.has("unable to open database file", result.text)
    # The kernel goes on, and so does the store that is one.
    result = queue.run("app.delay(Work::Add(1, 1))?.len()")
    result.equal(result.text, "26")


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_a_wait_for_a_result_that_does_not_come_can_be_interrupted(queue: Client) -> None:
    queue.run("let id = app.delay(Work::Add(1, 1))?;")
    request = queue.start_execute('println!("waits");\napp.result(&id, Duration::from_secs(3600))?')
    queue.wait_printed(request, "waits")
    queue.interrupt()
    result = queue.collect(request, 30)
    assert not result.ok
    result = queue.run("app.entry(&id)?.state")
    result.equal(result.text, '"waiting"')


def rest(client: socket.socket) -> str:
    return rest_of(client).decode(errors="replace")


@pytest.mark.timeout(BUILD_SECONDS + 300)
def test_the_status_page_refuses_strangers_and_goes_on(queue: Client) -> None:
    (page,) = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code" and "fn status_page(" in cell.source]
    queue.late_allowed = True
    queue.run(page, timeout=60)
    queue.run("let id = app.delay(Work::Add(20, 22))?;")
    port = int(queue.run("let status = serve_status(&app)?;\nstatus.address().unwrap().port()").text)

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=30)

    def goes_on() -> None:
        with connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: status\r\n\r\n")
            answer = rest(client)
        assert answer.startswith("HTTP/1.1 200 OK\r\n") and "<td>Add(20, 22)</td><td>waiting</td>" in answer, answer

    goes_on()
    worker = psutil.Process(queue.worker_pid())
    before = worker.memory_info().rss
    silent, half, slow = connect(), connect(), connect()
    half.sendall(b"GET / HTTP/1.1\r\nhost: st")
    begun = time.monotonic()
    for garbage in [b"\x00\xff\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: 1000000000\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 10_000_000]:
        with connect() as client:
            try:
                client.sendall(garbage)
            except (ConnectionResetError, BrokenPipeError):
                pass
            answer = rest(client)
        assert answer == "" or answer.startswith("HTTP/1.1 405 "), answer
        goes_on()
    # The three have their five seconds, and no more.
    drip(slow, 0.2, 15)
    assert rest(silent) == rest(half) == ""
    assert time.monotonic() - begun < 12
    assert worker.memory_info().rss - before < 20 << 20
    goes_on()
    result = queue.run("status.last_error().is_some()")
    result.equal(result.text, "true")
    queue.run("%stop status page")
