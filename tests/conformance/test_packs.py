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
    result.has("packs are broker, cust, lambda, ndarray, oci, ocl, queue, remote, web", result.traceback)
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
CRATES = ["axum", "cudarc", "image", "itertools", "lambda_runtime", "lapin", "nalgebra", "ndarray", "num", "ocl", "proptest", "rand",
          "redis", "reqwest", "rstest", "sqlx", "tarpc", "tokio-util", "ureq"]  # fmt: skip
MORE = {"cudarc": '{ version = "*", default-features = false, features = ["driver", "dynamic-loading", "cuda-12080"] }'}


def packs() -> dict[str, list[str]]:
    """What each pack asks for, as lines of a Cargo.toml; those of a pack below another are the other's too."""
    source = (ROOT / "kernel/src/engine/packs.rs").read_text()
    found: dict[str, list[str]] = {}
    below: dict[str, str] = {}
    for text in source.split("    Pack {\n")[1:]:
        text = text.split("\n    },\n")[0]
        name = re.search(r'name: "(\w+)"', text)[1]
        pairs = re.findall(r'\(\s*"([\w-]+)",\s*"((?:[^"\\]|\\[\s\S])*)",?\s*\)', text)
        # As Rust reads them: a backslash at a line's end swallows the indentation, and one before a quote itself.
        pairs = [(crate, re.sub(r"\\\n\s*", "", wanted).replace("\\", "")) for crate, wanted in pairs]
        found[name] = [f"{crate} = {wanted}" for crate, wanted in pairs]
        if own := re.search(r'own: &\["(\w+)"\]', text):
            found[name].append(f'{own[1]} = {{ path = "{ROOT / "prelude" / own[1]}" }}')
        if on := re.search(r'on: Some\("(\w+)"\)', text):
            below[name] = on[1]
    return {name: found[below[name]] + lines if name in below else lines for name, lines in found.items()}


PACKS = packs()


def features(folder: Path, lines: list[str]) -> set[str]:
    """The crates below the prelude and below its macros with their features, if a notebook also has others."""
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src/lib.rs").touch()
    (folder / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "notebook"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n'
        f'forkline = {{ path = "{ROOT / "prelude"}" }}\n' + "\n".join(lines) + "\n"
    )
    done = subprocess.run(
        ["cargo", "tree", "-p", "forkline", "-e", "all", "--prefix", "none", "-f", "{p} {f}"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line.removesuffix("(*)").strip() for line in done.stdout.splitlines()}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    folder = tmp_path_factory.mktemp("notebook")
    return folder, features(folder, [])


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_does_not_change_the_prelude(notebook: tuple[Path, set[str]], crate: str) -> None:
    folder, alone = notebook
    wanted = MORE.get(crate, '"*"')
    asked_more = features(folder, [f"{crate} = {wanted}"]) - alone
    assert not asked_more, f"the prelude would be compiled anew; prelude/Cargo.toml lists what crates ask for: {asked_more}"


def test_all_packs_are_looked_at(kernel: Client) -> None:
    result = kernel.run("%load")
    result.equal(sorted(PACKS), [line.split()[0] for line in result.stdout.splitlines()])
    assert all(PACKS.values()) and PACKS["lambda"][: len(PACKS["web"])] == PACKS["web"], PACKS


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_does_not_change_the_prelude(notebook: tuple[Path, set[str]], pack: str) -> None:
    folder, alone = notebook
    asked_more = features(folder, PACKS[pack]) - alone
    assert not asked_more, f"the pack would compile the prelude anew; prelude/Cargo.toml lists what crates ask for: {asked_more}"
