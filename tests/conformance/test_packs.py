"""Crates beside the prelude: packs that are compiled once, drivers that a cell links itself, and a prelude that stays."""

from __future__ import annotations

import re
import subprocess
from ctypes.util import find_library
from pathlib import Path

import pytest

from harness import Client

ROOT = Path(__file__).resolve().parents[2]

RAW_OPENCL = """use ocl::ProQue;
let queue = ProQue::builder().src("__kernel void twice(__global float *x) { x[get_global_id(0)] *= 2.0f; }").dims(1000).build()?;
let buffer = queue.buffer_builder::<f32>().fill_val(21.0).build()?;
unsafe { queue.kernel_builder("twice").arg(&buffer).build()?.enq()? };
let mut doubled = vec![0.0_f32; 1000];
buffer.read(&mut doubled).enq()?;"""


def test_packs_are_listed(kernel: Client) -> None:
    result = kernel.run("%load")
    result.matches(r"(?m)^ocl +(ready|not built) +OpenCL by hand", result.stdout)
    result = kernel.execute("%load nothing").expect_error("UsageError")
    result.has("packs are cust, ndarray, ocl, queue", result.traceback)
    result.has(":dep nothing", result.traceback)


@pytest.mark.timeout(600)
def test_a_pack_is_loaded_and_variables_stay(kernel: Client) -> None:
    if find_library("OpenCL") is None:
        pytest.skip("NOT RUN: no OpenCL driver on this machine")
    kernel.run("let kept = vec![1, 2, 3];")
    # On a new machine it is built now.
    first = kernel.run("%load ocl", timeout=600)
    first.lacks("Compiling forkline", first.stdout + first.stderr)
    kernel.run(RAW_OPENCL, timeout=120)
    result = kernel.run("(kept.len(), doubled.iter().sum::<f32>())")
    result.equal(result.text, "(3, 42000.0)")
    result = kernel.run("%load")
    result.matches(r"(?m)^ocl +ready", result.stdout)


@pytest.mark.timeout(600)
def test_a_built_pack_compiles_nothing(kernel: Client, start_kernel) -> None:  # noqa: ANN001
    if find_library("OpenCL") is None:
        pytest.skip("NOT RUN: no OpenCL driver on this machine")
    kernel.run("%load ocl", timeout=600)
    another = start_kernel()
    result = another.run("%load ocl", timeout=120)
    result.equal(result.stdout + result.stderr, "")


def test_a_driver_that_is_missing_is_an_ordinary_error(kernel: Client) -> None:
    if find_library("cuda") is not None:
        pytest.skip("NOT RUN: there is a CUDA driver on this machine")
    kernel.run("let kept = 5;")
    result = kernel.execute("%load cust").expect_error("PackError")
    result.has("libcuda.so.1 is needed", result.traceback)
    # A cell that links it by itself fails before it is loaded, and nothing is lost.
    cell = '#[link(name = "cuda")]\nunsafe extern "C" { fn cuInit(flags: u32) -> i32; }\nunsafe { cuInit(0) }'
    result = kernel.execute(cell).expect_error("CompileError")
    result.has("libcuda.so.1 is needed", result.traceback)
    result.has("do:  install NVIDIA's driver", result.traceback)
    result.equal(kernel.run("kept").text, "5")


# What people bring, and what forkline's own chapters bring.
CRATES = ["axum", "cudarc", "image", "itertools", "lapin", "nalgebra", "ndarray", "num", "ocl", "proptest", "rand", "redis",
          "reqwest", "sqlx", "tarpc", "tokio-util"]  # fmt: skip


def packs() -> dict[str, str]:
    """The packs of the kernel: what each adds to a Cargo.toml."""
    text = (ROOT / "kernel/src/engine/packs.rs").read_text()
    string = r'"((?:[^"\\]|\\.|\\\n)*)"'
    found = {}
    for name, body in re.findall(r'name: "(\w+)",\s.*?dependencies: &\[(.*?)\],\n        driver:', text, re.DOTALL):
        pairs = re.findall(rf"\(\s*{string},\s*{string},?\s*\)", body)
        # As Rust reads them: a backslash at a line's end swallows the indentation, and one before a quote itself.
        pairs = [(crate, re.sub(r"\\\n\s*", "", version).replace("\\", "")) for crate, version in pairs]
        found[name] = "".join(f"{crate} = {version}\n" for crate, version in pairs)
    return found


def features(folder: Path, crate: str | None) -> set[str]:
    """The crates below the prelude with their features, derive macros included, if a notebook also has another crate."""
    return features_with(folder, dependency(crate) if crate else "")


def dependency(crate: str) -> str:
    more = {"cudarc": '{ version = "*", default-features = false, features = ["driver", "dynamic-loading", "cuda-12080"] }'}
    return f"{crate} = {more.get(crate, chr(34) + '*' + chr(34))}\n"


def features_with(folder: Path, lines: str) -> set[str]:
    """The same with any lines of dependencies."""
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src/lib.rs").touch()
    (folder / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "notebook"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n'
        f'forkline = {{ path = "{ROOT / "prelude"}" }}\n{lines}'
    )
    done = subprocess.run(
        ["cargo", "tree", "-p", "forkline", "-e", "normal,build", "--prefix", "none", "-f", "{p} {f}"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line.removesuffix("(*)").strip() for line in done.stdout.splitlines()}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    folder = tmp_path_factory.mktemp("notebook")
    return folder, features(folder, None)


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_does_not_change_the_prelude(notebook: tuple[Path, set[str]], crate: str) -> None:
    folder, alone = notebook
    asked_more = features(folder, crate) - alone
    assert not asked_more, f"the prelude would be compiled anew; prelude/Cargo.toml lists what crates ask for: {asked_more}"


@pytest.mark.parametrize("pack", packs())
def test_a_pack_does_not_change_the_prelude(notebook: tuple[Path, set[str]], pack: str) -> None:
    folder, alone = notebook
    lines = packs()[pack]
    assert lines, f"no crate of the pack {pack} was found in packs.rs"
    asked_more = features_with(folder, lines) - alone
    assert not asked_more, f"the prelude would be compiled anew; prelude/Cargo.toml lists what crates ask for: {asked_more}"


def test_every_pack_is_looked_at(kernel: Client) -> None:
    result = kernel.run("%load")
    result.equal(re.findall(r"(?m)^(\w+)", result.stdout), list(packs()))
