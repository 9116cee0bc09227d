"""What the tests of devices share: the program that a machine with a card would run, and what compiles CUDA C++ without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tests/gpu/run.sh packs. Where the environment of the tests has its NVRTC, it finds it by itself."""
    folder = tmp_path_factory.mktemp("packed")
    done = subprocess.run([HERE / "run.sh", "pack", folder], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def of_packed(folder: Path) -> dict[str, str]:
    """The environment in which what was packed runs."""
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(folder),
        "FORKLINE_OPENCL_PLUGIN": str(folder / "libforkline_opencl.so"),
        "FORKLINE_TRANSLATOR": str(folder / "libforkline_translate.so"),
    }


@pytest.fixture(scope="session")
def check() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "gpu"
    workspace = ROOT / "prelude/gpu"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "-p", "forkline-nvrtc"],
        cwd=workspace,
        env=os.environ | {"CARGO_TARGET_DIR": str(target), "CUDA_LIBRARY_PATH": str(workspace / "stubs")},
        check=True,
        timeout=300,
    )
    return target / "release/forkline-nvrtc-check"


@pytest.fixture(scope="session")
def nvrtc() -> str:
    found = sorted(Path(sys.prefix).glob("lib/python3*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"))
    if not found:
        pytest.skip("not run: there is no NVRTC (pip install nvidia-cuda-nvrtc-cu12)")
    return str(found[0])
