"""What tells the types of variables is one process for all kernels, which is copied for each: it may end, and nobody notices."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import psutil
import pytest
from harness import Client, eventually, still_there

pytestmark = pytest.mark.timeout(300)

Start = Callable[..., Client]


def own_crate(folder: Path) -> Path:
    """A crate whose sources may change."""
    crate = folder / "own_crate"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "own_crate"\nversion = "0.1.0"\nedition = "2024"\n')
    (crate / "src/lib.rs").write_text(
        "pub struct Own(pub u8);\nimpl Own { pub fn doubled(&self) -> u8 { self.0 * 2 } }\npub fn own() -> Own { Own(7) }\n"
    )
    return crate


def analyzers(folder: Path) -> list[psutil.Process]:
    """Those that work in a folder: a copy works where its kernel does, and what is copied in none (that is, in /)."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:2] == ["analyzer"] and Path(process.cwd()) == folder:
                found.append(process)
        except psutil.Error:
            continue
    return found


def copy_of(client: Client, folder: Path) -> psutil.Process:
    # One that it had before may be about to end.
    [copy] = eventually(lambda: len(found := analyzers(folder)) == 1 and found, 10, "one copy for this kernel")
    assert copy not in client.process.descendants(), "it is no part of the kernel, and ends by itself"
    return copy


@pytest.fixture(autouse=True)
def is_possible() -> None:
    """Where the kernel of the system does not tell what threads do, nothing is copied."""
    try:
        told = Path("/proc/self/syscall").read_text().strip()
    except OSError:
        told = ""
    if not told:
        pytest.skip("not run: /proc/self/syscall says nothing on this system")


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder for sockets of our own. Its path must be short."""
    with tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp") as folder:
        yield Path(folder)


def hosts(sockets: Path) -> list[psutil.Process]:
    """What is copied, of those that listen in a folder."""
    return [process for process in analyzers(Path("/")) if process.cmdline()[2].startswith(f"{sockets}/")]


def test_a_kernel_has_a_copy_that_goes_with_it(start_kernel: Start, tmp_path: Path) -> None:
    client = start_kernel()
    client.run("let words = vec![String::from(\"a\")];")
    copy = copy_of(client, tmp_path)
    kernel = psutil.Process(client.process.pid)
    assert kernel.memory_info().rss < 250 << 20, "the libraries are not read in the kernel"
    client.shutdown()
    assert still_there([copy], 5) == []


def test_a_kernel_that_is_killed_leaves_no_copy(start_kernel: Start, tmp_path: Path) -> None:
    client = start_kernel()
    copy = copy_of(client, tmp_path)
    os.kill(client.process.pid, signal.SIGKILL)
    assert still_there([copy], 5) == []


def test_without_its_copy_a_kernel_gets_another(start_kernel: Start, tmp_path: Path) -> None:
    client = start_kernel()
    client.run("let first = (1..4_u8).map(u64::from).collect::<Vec<_>>();")
    before = copy_of(client, tmp_path)
    before.kill()
    assert client.run("let second = first.iter().map(|n| n * 2).collect::<Vec<_>>();\nsecond").text == "[2, 4, 6]"
    assert client.run("second.len() + first.len()").text == "6"
    assert copy_of(client, tmp_path) != before


def test_kernels_share_what_is_copied_and_outlive_it(start_kernel: Start, sockets: Path, tmp_path: Path) -> None:
    environment = {"TMPDIR": str(sockets), "FORKLINE_ANALYZER_STAYS": "1"}
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    clients = [start_kernel(cwd=folder, env=environment) for folder in folders]
    for client in clients:
        client.run("let n = 20_u64;")
    [host] = hosts(sockets)
    copies = [copy_of(client, folder) for client, folder in zip(clients, folders)]
    assert {copy.ppid() for copy in copies} == {host.pid}
    host.kill()
    for copy in copies:
        copy.kill()
    for client in clients:
        assert client.run("let more = n + 22;\nmore").text == "42"
    [other] = hosts(sockets)
    assert other != host
    # When the last kernel has gone it stays for a moment, and leaves nothing.
    for client in clients:
        client.shutdown()
    assert still_there([other], 10) == []
    assert [path for folder in sockets.glob(".forkline-*") for path in folder.iterdir()] == []


def test_several_kernels_at_once_start_one(start_kernel: Start, sockets: Path, tmp_path: Path) -> None:
    environment = {"TMPDIR": str(sockets), "FORKLINE_ANALYZER_STAYS": "1"}
    clients = [start_kernel(warm=False, env=environment) for _ in range(3)]
    requests = [client.start_execute("let n = [1_u8, 2].map(u32::from);\nn") for client in clients]
    for client, request in zip(clients, requests):
        assert client.collect(request, timeout=120).expect_ok().text == "[1, 2]"
    assert len(hosts(sockets)) == 1
    assert len(analyzers(tmp_path)) == 3


@pytest.mark.parametrize("why", ["chosen", "no folder"])
def test_a_kernel_can_do_without(start_kernel: Start, sockets: Path, tmp_path: Path, why: str) -> None:
    if why == "chosen":
        environment = {"FORKLINE_ANALYZER": "own"}
    else:
        # Somebody else could listen there.
        environment = {"TMPDIR": str(sockets)}
        folder = sockets / f".forkline-{os.geteuid()}"
        folder.mkdir()
        folder.chmod(0o777)
    client = start_kernel(env=environment)
    assert client.run("let n = [1_u8, 2].map(u32::from);\nn").text == "[1, 2]"
    assert analyzers(tmp_path) == [] and hosts(sockets) == []
    reply = client.complete("n.map").expect_ok()
    assert "map" in "".join(reply.content["matches"])


def test_what_a_dependency_brings_is_known(start_kernel: Start, tmp_path: Path) -> None:
    crate = own_crate(tmp_path)
    client = start_kernel()
    copy = copy_of(client, tmp_path)
    client.run(f':dep own_crate = {{ path = "{crate}" }}', timeout=120)
    client.run("let it = own_crate::own();", timeout=120)
    assert client.run("it.0").text == "7"
    reply = client.complete("it.dou").expect_ok()
    assert [match for match in reply.content["matches"] if "doubled" in match]
    assert copy.is_running()


def test_what_a_pack_brings_is_known_to_the_next_kernel(start_kernel: Start, sockets: Path, tmp_path: Path) -> None:
    environment = {"TMPDIR": str(sockets), "FORKLINE_ANALYZER_STAYS": "30"}
    [first, second, third] = [tmp_path / name for name in "abc"]
    for folder in (first, second, third):
        folder.mkdir()
    one = start_kernel(cwd=first, env=environment)
    one.run("%load ndarray", timeout=600)
    one.run("let grid = ndarray::Array2::<f64>::zeros((2, 3));", timeout=120)
    [before, after] = sorted(eventually(lambda: len(found := hosts(sockets)) == 2 and found, 20, "a host that knows the pack"), key=lambda p: p.create_time())
    assert copy_of(one, first).ppid() == before.pid
    other = start_kernel(cwd=second, env=environment)
    assert copy_of(other, second).ppid() == before.pid
    other.run("%load ndarray", timeout=60)
    other.run("let grid = ndarray::Array2::<f64>::ones((2, 3));")
    assert other.run("grid.sum()").text == "6.0"
    assert copy_of(other, second).ppid() == after.pid
    # One with a dependency whose sources may change has nothing to give.
    crate = own_crate(tmp_path)
    with_own = start_kernel(cwd=third, env=environment)
    with_own.run(f':dep own_crate = {{ path = "{crate}" }}', timeout=120)
    assert with_own.run("let it = own_crate::own();\nit.0", timeout=120).text == "7"
    assert len(hosts(sockets)) == 2
