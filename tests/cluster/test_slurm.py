"""Ranks started by Slurm: by srun from outside of a job, and by mpiexec within one; and a notebook within one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import nbformat
import psutil
import pytest
from slurm import Cluster, missing

from harness import eventually, start

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(missing() is not None, reason=f"not run: {missing()}")

WORLD = "let world = mpi::world()?;\nlet rank = world.rank();"
NODE = 'std::env::var("SLURMD_NODENAME")?'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_srun_starts_ranks_on_two_nodes(cluster: Cluster, tmp_path: Path) -> None:
    client = start(cwd=tmp_path, env=cluster.environment)
    client.run("fn square(n: usize) -> usize { n * n }")
    code = f'%%mpi -n 2 --launcher "srun -N2 --mpi=pmix"\n{WORLD}\n({NODE}, square(rank + 2), world.allreduce(rank + 1, |a, b| a + b)?)'
    result = client.run(code)
    result.equal(result.stdout, '[0] ("n1", 4, 3)\n[1] ("n2", 9, 3)\n')
    result = client.execute('%%mpi\nif rank == 1 { panic!("no") }\nworld.recv::<u8>(1, 0)?;').expect_error("Panic")
    result.equal(result.evalue, "rank 1 of 2 panicked: no")
    result.matches(r"rank 0 waited in recv from rank 1, tag 0 \(cell \[\d+\], line 3\)", result.traceback)
    result = client.run("%%mpi\nrank")
    result.equal(result.stdout, "[0] 0\n[1] 1\n")
    # The job ends with the group, also if the kernel is killed.
    pids = [int(pid) for pid in re.findall(r"process (\d+)", client.run("%mpi status").stdout)]
    os.kill(client.process.pid, signal.SIGKILL)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), 15, "the ranks to end")
    eventually(lambda: cluster.ask("squeue", "-h") == "", 30, "the job to end")
    client.close()


def test_a_notebook_runs_within_a_job(cluster: Cluster, tmp_path: Path) -> None:
    source = ROOT / "notebooks/ch04-mpi/08-reduction.ipynb"
    # The two nodes are one machine with one name, so Open MPI would take the memory of one for that of the other.
    over_tcp = {"OMPI_MCA_btl": "tcp,self"}
    command = [
        "salloc", "-N2", "-n4", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--output-dir", str(tmp_path),
        "--output", "done.ipynb", "--ExecutePreprocessor.timeout=120", str(source),
    ]  # fmt: skip
    done = subprocess.run(command, env=os.environ | cluster.environment | over_tcp, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "stream"
    )
    assert "check: " in printed


def test_mpiexec_within_a_job_reaches_both_nodes(cluster: Cluster, tmp_path: Path) -> None:
    # A kernel that is started by salloc has the job's variables, as one in a batch job has.
    script = tmp_path / "in-job.py"
    script.write_text(
        "import sys\nsys.path[:0] = [" + repr(str(ROOT / "tests")) + "]\nfrom harness import start\n"
        f"client = start(cwd={str(tmp_path)!r})\n"
        f"result = client.run({f'%%mpi -n 2 -- --map-by node{chr(10)}{WORLD}{chr(10)}({NODE}, world.allreduce(rank + 1, |a, b| a + b)?)'!r})\n"
        "print(result.stdout, end='')\nclient.close()\n"
    )
    command = ["salloc", "-Q", "-N2", "-n2", "python3", str(script)]
    done = subprocess.run(command, env=os.environ | cluster.environment, capture_output=True, text=True, timeout=180)
    assert done.stdout == '[0] ("n1", 3)\n[1] ("n2", 3)\n', done.stderr[-3000:]
