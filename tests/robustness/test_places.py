"""Where forkline's data lies and who else uses it: odd paths, two kernels, another compiler, no network."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import pytest
from harness import Client, plain

pytestmark = pytest.mark.timeout(2400)

# Building the prelude takes minutes, more of them where other tests compile beside it, so these tests share one home.
BUILDING = 1100.0


@contextmanager
def mounted(place: Path, options: str) -> Iterator[bool]:
    """A file system in memory at a new folder; False where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "forkline-test", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


@dataclass(frozen=True)
class Home:
    """A home that cannot be written, and the small disk with a name that programs stumble over which stands in for it."""

    disk: Path
    environment: dict[str, str]

    def record(self) -> Path:
        return next(self.disk.glob("forkline-*/*/template/forkline.json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("places")
    disk, read_only = folder / "forkline dìsk ü", folder / "read only"
    with mounted(disk, "size=3g"), mounted(read_only, "ro") as is_mounted:
        if not is_mounted:
            # This keeps everybody out but root, who can mount.
            read_only.chmod(0o555)
        yield Home(disk, {"FORKLINE_HOME": str(read_only), "TMPDIR": str(disk)})


def test_two_kernels_build_one_template_at_an_odd_path(start_kernel: Callable[..., Client], home: Home) -> None:
    kernels = [start_kernel(warm=False, env=home.environment) for _ in range(2)]
    cells = [
        "use std::sync::atomic::{AtomicU64, Ordering::SeqCst};\npub static N: AtomicU64 = AtomicU64::new(0);",
        "N.fetch_add((1..=4_u64).into_par_iter().sum::<u64>(), SeqCst);",
        'let text = format!("{}", N.load(SeqCst));',
        "text",
    ]
    requests = [kernel.start_execute(cells[0]) for kernel in kernels]
    notices = [kernel.collect(request, timeout=BUILDING).expect_ok().stderr for kernel, request in zip(kernels, requests)]
    # One builds, or both were too early to see it done; nobody fails.
    assert any("building the prelude" in notice for notice in notices), notices
    for kernel in kernels:
        for code in cells[1:-1]:
            kernel.run(code)
        assert kernel.run(cells[-1]).text == '"10"'


def test_a_template_of_another_compiler_is_built_again(start_kernel: Callable[..., Client], home: Home) -> None:
    found = json.loads(home.record().read_text())
    wanted = found["rustc"]
    home.record().write_text(json.dumps({**found, "rustc": "1.0.0"}))
    kernel = start_kernel(warm=False, env=home.environment)
    result = kernel.collect(kernel.start_execute("1 + 1"), timeout=BUILDING).expect_ok()
    result.has(f"the prelude was built by rustc 1.0.0, and now there is rustc {wanted}", result.stderr)
    assert result.text == "2"
    assert json.loads(home.record().read_text())["rustc"] == wanted


def test_a_dependency_that_cannot_be_had_costs_nothing(start_kernel: Callable[..., Client]) -> None:
    kernel = start_kernel(env={"CARGO_NET_OFFLINE": "true"})
    kernel.run("let kept = vec![1, 2, 3];")
    result = kernel.execute(':dep surely_no_crate_of_this_name = "1"').expect_error()
    result.has("surely_no_crate_of_this_name", plain(result.traceback))
    assert kernel.run("kept.len()").text == "3"
    assert kernel.run("(0..10_u64).into_par_iter().sum::<u64>()").text == "45"


def test_a_disk_that_becomes_full_costs_no_variables(start_kernel: Callable[..., Client], home: Home) -> None:
    if not home.disk.is_mount():
        pytest.skip("not run: mount needs root")
    kernel = start_kernel(warm=False, env=home.environment)
    kernel.collect(kernel.start_execute("let kept = vec![1, 2, 3];"), timeout=BUILDING).expect_ok()
    filler = home.disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            pass
        file.flush()
    for code in ["kept.len() + 1_000_001", "let another = String::from(\"text\");"]:
        result = kernel.execute(code).expect_error("DiskFull")
        for part in ["the disk is full", "why:", "do:", "No space left on device"]:
            result.has(part, plain(result.traceback))
    filler.unlink()
    assert kernel.run("kept.len()").text == "3"
    kernel.shutdown()


def test_a_home_that_cannot_be_written_is_replaced(start_kernel: Callable[..., Client], home: Home) -> None:
    kernel = start_kernel(warm=False, env=home.environment)
    request = kernel.start_execute("(0..10_u64).into_par_iter().sum::<u64>()")
    assert kernel.collect(request, timeout=BUILDING).expect_ok().text == "45"
    assert home.record().is_file() and not any(Path(home.environment["FORKLINE_HOME"]).iterdir())
    kernel.shutdown()
