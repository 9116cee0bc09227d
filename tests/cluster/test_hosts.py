"""Ranks on two hosts that share no folder of sessions: the same cells, messages, errors and ends as on one."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Iterator

import pytest
from hosts import SecondHost, missing

from harness import Client, eventually, start

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"not run: {missing()}")

WORLD = "let world = mpi::world()?;\nlet rank = world.rank();"


@pytest.fixture(scope="module")
def node2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondHost]:
    folder = tmp_path_factory.mktemp("node2")
    [hidden] = Path(os.environ["FORKLINE_HOME"]).glob("*/sessions")
    host = SecondHost(folder, hidden)
    try:
        host.start()
        yield host
    finally:
        host.stop()


@pytest.fixture
def cluster(node2: SecondHost, tmp_path: Path) -> Iterator[Client]:
    client = start(cwd=tmp_path, env=node2.environment())
    yield client
    client.close()


def test_ranks_of_two_hosts_are_one_group(node2: SecondHost, cluster: Client) -> None:
    cluster.run("fn square(n: usize) -> usize { n * n }")
    code = f'%%mpi -n 2 --hostfile {node2.folder}/hosts\n{WORLD}\nprintln!("{{}} of {{}}", square(rank + 2), world.size());'
    result = cluster.run(code)
    result.equal(result.stdout, "[0] 4 of 2\n[1] 9 of 2\n")
    result = cluster.run("%%mpi\nmpi::processor_name()?")
    here = os.uname().nodename
    result.equal(result.stdout, f'[0] "{here}"\n[1] "node2"\n')
    # Variables stay, and messages go both ways, short and long.
    result = cluster.run(
        "%%mpi\nlet mine = vec![rank as f64; 100_000];\n"
        "let other: Vec<f64> = world.sendrecv(&mine, 1 - rank, 0, 1 - rank, 0)?;\n"
        "(other.len(), other[0], world.allreduce(rank + 1, |a, b| a + b)?)"
    )
    result.equal(result.stdout, "[0] (100000, 1.0, 3)\n[1] (100000, 0.0, 3)\n")
    result = cluster.run("%mpi status")
    result.matches(rf"rank 0: process \d+ on {re.escape(here)}\n  rank 1: process \d+ on node2\n", result.stdout)
    result = cluster.run("%mpi pull rank as ranks")
    result = cluster.run("ranks")
    result.equal(result.text, "[0, 1]")


def test_a_panic_there_names_its_line_here(node2: SecondHost, cluster: Client) -> None:
    cluster.run("fn check(n: usize) {\n    assert!(n < 1, \"rank {n}\");\n}")
    cluster.run(f"%%mpi -n 2 --host {node2.here}:1,{node2.there}:1\n{WORLD}")
    result = cluster.execute("%%mpi\nprintln!(\"begun\");\ncheck(rank);\nworld.barrier()?;").expect_error("Panic")
    result.equal(result.evalue, "rank 1 of 2 panicked: rank 1")
    result.matches(r"in cell \[\d+\], line 2", result.traceback)
    result.matches(r"rank 0 waited in barrier \(cell \[\d+\], line 4\)", result.traceback)
    result.equal(result.stdout, "[0,1] begun\n")


def test_an_end_there_ends_the_group(node2: SecondHost, cluster: Client) -> None:
    start_group = f"%%mpi -n 2 --hostfile {node2.folder}/hosts\n{WORLD}"
    cluster.run(start_group)
    result = cluster.execute("%%mpi\nif rank == 1 { std::process::exit(3) }\nworld.barrier()?;").expect_error("RankEnded")
    result.has("rank 1 of 2 ended its process with exit status 3", result.evalue)
    result.matches(r"in cell \[\d+\], line 2", result.traceback)
    cluster.run(start_group)
    [pid] = node2.processes(" rank")
    request = cluster.start_execute('%%mpi --out interleaved\nprintln!("begun");\nworld.recv::<u8>(1 - rank, 0)?;')
    cluster.wait_printed(request, "[1] begun\n")
    os.kill(pid, signal.SIGKILL)
    result = cluster.collect(request).expect_error("RankEnded")
    result.has("rank 1 of 2 is gone", result.evalue)
    # MPI itself may end a rank whose partner is gone, before it can say where it stood.
    result.matches(r"rank 0 (waited in recv from rank 1|had not finished)", result.traceback)


def test_a_hang_is_told_and_interrupted_on_both(node2: SecondHost, cluster: Client) -> None:
    cluster.run(f"%%mpi -n 2 --hostfile {node2.folder}/hosts\n{WORLD}")
    request = cluster.start_execute('%%mpi --out interleaved\nprintln!("begun");\nworld.recv::<u8>(1 - rank, 0)?;')
    # Said only when the kernel has seen both of them wait: an interrupt before that may find one on its way there.
    cluster.wait_printed(request, "perhaps a deadlock", name="stderr", timeout=30)
    cluster.interrupt()
    result = cluster.collect(request).expect_error("Interrupted")
    result.matches(r"rank 1 waited in recv from rank 0, tag 0 \(cell \[\d+\], line 3\)", result.traceback)
    result = cluster.run("%%mpi\nrank")
    result.equal(result.stdout, "[0] 0\n[1] 1\n")


def test_a_killed_kernel_leaves_nothing_there(node2: SecondHost, tmp_path: Path) -> None:
    def laid_down() -> set[str]:
        return {name for name in node2.shell("ls /tmp").split() if name.startswith("forkline-rank-")}

    before = laid_down()
    client = start(cwd=tmp_path, env=node2.environment())
    client.run(f"%%mpi -n 2 --hostfile {node2.folder}/hosts\n{WORLD}")
    assert node2.processes(" rank")
    assert laid_down() - before
    os.kill(client.process.pid, signal.SIGKILL)
    eventually(lambda: not node2.processes(" rank") and not node2.processes("orted"), 15, "the ranks there to end")
    client.close()
    # The libraries that were laid down there are gone too.
    assert not laid_down() - before


def test_what_is_missing_there_is_told(node2: SecondHost, cluster: Client) -> None:
    result = cluster.execute(f"%%mpi -n 2 --host {node2.network}.9:2\n1").expect_error("LaunchError")
    result.has("mpiexec could not start the group", result.evalue)
    result = cluster.execute("%%mpi -n 2 --hostfile nowhere\n1").expect_error("UsageError")
    result.has("--hostfile nowhere: No such file", result.traceback)
