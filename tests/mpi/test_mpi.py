"""Does `forkline::mpi` do what MPI does, on every rank, also when something is wrong, and without MPI?

The program `ranks` beside this file makes every call and checks its results on all ranks; here it is built, run under
`mpiexec` with several numbers of ranks, and judged by its output. Without an MPI library only what is said of that is
tested, and the rest is skipped, loudly.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import Client

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# The first of the tests waits for the prelude to be compiled.
pytestmark = pytest.mark.timeout(900)
LIMIT = 120

needs_mpi = pytest.mark.skipif(
    not (shutil.which("mpiexec") and shutil.which("mpicc")),
    reason="not run: MPI is not installed (sudo apt install openmpi-bin libopenmpi-dev libclang-dev)",
)


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "mpi"


def cargo(folder: Path, *arguments: str) -> None:
    environment = os.environ | {"CARGO_TARGET_DIR": str(target())}
    subprocess.run(["cargo", *arguments], cwd=folder, env=environment, check=True, timeout=900)


@pytest.fixture(scope="session")
def program() -> Path:
    # The standard library is a dylib in the prelude, so it must be one here.
    cargo(HERE / "ranks", "rustc", "--release", "--locked", "--quiet", "--", "-C", "prefer-dynamic")
    return target() / "release/ranks"


@pytest.fixture(scope="session")
def plugin() -> Path:
    cargo(ROOT / "prelude/mpi", "build", "--release", "--locked", "--quiet")
    return target() / "release/libforkline_mpi.so"


def environment(plugin: Path | None) -> dict[str, str]:
    libs = subprocess.run(["rustc", "--print", "target-libdir"], capture_output=True, text=True, check=True).stdout.strip()
    made = os.environ | {"LD_LIBRARY_PATH": f"{target()}/release/deps:{libs}"}
    made.pop("FORKLINE_MPI_PLUGIN", None)
    return made | ({"FORKLINE_MPI_PLUGIN": str(plugin)} if plugin else {})


def launcher(ranks: int) -> list[str]:
    version = subprocess.run(["mpiexec", "--version"], capture_output=True, text=True).stdout
    options = ["--allow-run-as-root", "--oversubscribe"] if "Open" in version else []
    return ["mpiexec", *options, "-n", str(ranks)]


def run(program: Path, plugin: Path | None, ranks: int, *scenarios: str) -> subprocess.CompletedProcess[str]:
    command = [*(launcher(ranks) if ranks else []), str(program), *scenarios]
    return subprocess.run(command, env=environment(plugin), capture_output=True, text=True, timeout=LIMIT)


def scenarios() -> list[str]:
    source = (HERE / "ranks/src/main.rs").read_text()
    listed = source.split("const ALL", 1)[1].split("];", 1)[0]
    return re.findall(r'\("(\w+)",', listed)


@needs_mpi
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5])
def test_every_call_is_right_on_every_rank(program: Path, plugin: Path, ranks: int) -> None:
    done = run(program, plugin, ranks, "all")
    assert done.returncode == 0, done.stdout + done.stderr
    said = Counter(re.findall(r"ok (\w+)", done.stdout))
    assert said == {name: ranks for name in scenarios()}


@needs_mpi
def test_outside_of_mpiexec_the_world_has_one_rank(program: Path, plugin: Path) -> None:
    done = run(program, plugin, 0, "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [f"ok {name}" for name in scenarios()]


@needs_mpi
def test_windows_need_no_shared_memory(program: Path, plugin: Path) -> None:
    # As between machines; MPICH does not read these variables.
    names = ["counter", "put_get", "halo", "histogram", "swap_lock", "window_operators", "bounds", "window_locks"]
    apart = environment(plugin) | {"OMPI_MCA_osc": "^sm", "OMPI_MCA_btl": "tcp,self"}
    done = subprocess.run([*launcher(2), str(program), *names], env=apart, capture_output=True, text=True, timeout=LIMIT)
    if "has windows only with UCX" in done.stderr:
        pytest.skip("not run: this Open MPI was built without UCX, so it has windows on one machine only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Counter(re.findall(r"ok (\w+)", done.stdout)) == {name: 2 for name in names}


@needs_mpi
def test_ranks_that_wait_say_where(program: Path, plugin: Path) -> None:
    done = run(program, plugin, 3, "late")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("stands in allreduce") == 2


@needs_mpi
def test_after_finalize_calls_are_errors(program: Path, plugin: Path) -> None:
    done = run(program, plugin, 2, "finalize")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok finalize") == 2


@needs_mpi
@pytest.mark.parametrize("scenario", ["abort", "panic"])
def test_a_rank_that_fails_ends_the_others(program: Path, plugin: Path, scenario: str) -> None:
    started = time.monotonic()
    done = run(program, plugin, 3, scenario)
    assert done.returncode != 0
    assert f"ok {scenario}" not in done.stdout
    assert time.monotonic() - started < 30


@needs_mpi
def test_a_missing_plugin_is_said(program: Path, tmp_path: Path) -> None:
    done = run(program, None, 0, "world")
    assert done.returncode == 3
    assert "its plugin has not been built" in done.stdout and "apt install" in done.stdout
    done = run(program, tmp_path / "nowhere.so", 0, "world")
    assert done.returncode == 3
    assert "does not exist" in done.stdout


@needs_mpi
def test_a_foreign_library_is_no_plugin(program: Path, tmp_path: Path) -> None:
    source, library = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text("static unsigned table[100] = {999}; void *forkline_mpi_plugin(void) { return table; }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    done = run(program, library, 0, "world")
    assert done.returncode == 3 and "another version" in done.stdout
    source.write_text("int nothing;")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    done = run(program, library, 0, "world")
    assert done.returncode == 3 and "is no plugin of forkline" in done.stdout


@needs_mpi
def test_a_missing_libmpi_is_said(program: Path, plugin: Path, tmp_path: Path) -> None:
    # A copy that asks for a library of another name, as long as the right one, which no machine has.
    copy = tmp_path / "plugin.so"
    data = plugin.read_bytes()
    assert b"libmpi.so" in data
    copy.write_bytes(data.replace(b"libmpi.so", b"libxyz.so").replace(b"libmpich.so", b"libxyzch.so"))
    done = run(program, copy, 0, "world")
    assert done.returncode == 3
    assert "libxyz" in done.stdout and "apt install" in done.stdout


def test_a_cell_may_call_mpi_or_learns_what_is_missing(kernel: Client) -> None:
    result = kernel.execute("let world = mpi::world()?;\n(world.rank(), world.size(), world.bcast(Some(7), 0)?)")
    if shutil.which("mpicc") and shutil.which("mpiexec"):
        result.equal(result.text, "(0, 1, 7)")
    else:
        result.expect_error("Error")
        result.has("apt install", result.traceback)


@needs_mpi
def test_an_error_names_the_line_of_the_cell(kernel: Client) -> None:
    kernel.run("let world = mpi::world()?;")
    result = kernel.execute("let n = 1;\nworld.send(&n, 7, 3)?;").expect_error("Error")
    result.matches(r"^Error: send to rank 7, tag 3 \(cell \[\d+\], line 2\): ", result.traceback)
    result.equal(result.stdout + result.stderr, "")


@needs_mpi
def test_a_wait_can_be_interrupted(kernel: Client) -> None:
    kernel.run("let world = mpi::world()?; let kept = 5;")
    for call in [
        "world.recv::<u8>(0, 1)?;",
        "world.recv_slice(&mut [0_u8; 4], 0, 1)?;",
        "world.recv_slice(&mut vec![0_u8; 100_000], 0, 1)?;",
        "world.probe(0, 1)?;",
        "world.irecv::<u8>(0, 1)?.wait()?;",
        "world.ssend(&1, 0, 77)?;",
    ]:
        request = kernel.start_execute(f'println!("started");\n{call}')
        kernel.wait_printed(request, "started")
        asked = time.monotonic()
        kernel.interrupt().expect_ok()
        result = kernel.collect(request, timeout=10).expect_error("Interrupted")
        assert result.reply.at - asked < 1.5, call
    after = kernel.run("world.send(&kept, 0, 2)?; world.recv::<i32>(0, 2)?")
    after.equal(after.text, "5")
