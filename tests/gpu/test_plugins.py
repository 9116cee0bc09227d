"""Does nothing need a driver before it is asked for, and do the GPU plugins build, open and fail in an ordinary way?

The plugins are those that `forkline template` has built for the tests. What needs no GPU is tested everywhere: what is in
the libraries, OpenCL's start with and without drivers, and CUDA C++ compiled by NVRTC.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORKLINE = os.environ.get("FORKLINE_BIN", "forkline")
LIMIT = 60

# What the only function of a plugin is named, and the symbols of the drivers and of NVRTC.
ENTRY = "forkline_gpu_plugin"
FOREIGN = re.compile(r"^(cu|cl|nvrtc)[A-Z]\w*$")
DRIVER = re.compile(r"lib(cuda|OpenCL|nvrtc)\b")

needs_opencl = pytest.mark.skipif(
    ctypes.util.find_library("OpenCL") is None,
    reason="not run: OpenCL is not installed (sudo apt install pocl-opencl-icd)",
)


def version_dir() -> Path:
    [plugins] = Path(os.environ["FORKLINE_HOME"]).glob("*/plugins")
    return plugins.parent


def plugin(name: str) -> Path:
    return version_dir() / f"plugins/libforkline_{name}.so"


def prelude() -> Path:
    template = version_dir() / "template"
    return template / json.loads((template / "forkline.json").read_text())["library"]


def output(*command: str | Path, **options) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT, **options).stdout


def symbols(library: Path, kind: str) -> list[str]:
    lines = output("nm", "-D", f"--{kind}-only", library).splitlines()
    return [line.split()[-1].split("@")[0] for line in lines]


# ---- what is in the libraries


@pytest.mark.parametrize("library", ["prelude", "opencl", "cuda", "program"])
def test_no_driver_is_needed_when_it_is_loaded(library: str) -> None:
    paths = {"prelude": prelude(), "program": Path(FORKLINE)}
    needed = [line for line in output("readelf", "-d", paths.get(library) or plugin(library)).splitlines() if "(NEEDED)" in line]
    assert needed
    assert not [line for line in needed if DRIVER.search(line)]


def test_the_prelude_has_no_symbol_of_a_driver() -> None:
    for library in [prelude(), Path(FORKLINE)]:
        undefined = symbols(library, "undefined")
        assert undefined
        assert not [name for name in undefined if FOREIGN.match(name)]


@pytest.mark.parametrize(("name", "prefix", "calls"), [("opencl", "cl", "clGetPlatformIDs"), ("cuda", "cu", "cuInit")])
def test_a_plugin_calls_one_driver_and_gives_one_function(name: str, prefix: str, calls: str) -> None:
    foreign = [symbol for symbol in symbols(plugin(name), "undefined") if FOREIGN.match(symbol)]
    assert calls in foreign
    assert all(symbol.startswith(prefix) for symbol in foreign)
    assert symbols(plugin(name), "defined") == [ENTRY]


# ---- opened

OPEN = """
import ctypes, sys
driver, plugin = sys.argv[1:]
if driver:
    ctypes.CDLL(driver, ctypes.RTLD_GLOBAL)
opened = ctypes.CDLL(plugin)
opened.forkline_gpu_plugin.restype = ctypes.POINTER(ctypes.c_void_p)
table = opened.forkline_gpu_plugin()
print("version", ctypes.cast(table, ctypes.POINTER(ctypes.c_uint32))[0])
start = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_uint32))(table[1])
n = ctypes.c_uint32(99)
print("start", start(ctypes.byref(n)), "devices", n.value)
"""


def opened(driver: str, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OPEN, driver, plugin(name)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        # ocl's own functions wait ten seconds for a driver; the plugin must not.
        timeout=9,
    )


@pytest.mark.parametrize("name", ["opencl", "cuda"])
def test_without_its_driver_a_plugin_is_an_ordinary_error_of_the_loader(name: str) -> None:
    result = opened("", name)
    assert result.returncode == 1
    assert "OSError" in result.stderr and "undefined symbol: c" in result.stderr


@needs_opencl
def test_behind_the_driver_devices_are_counted() -> None:
    result = opened("libOpenCL.so.1", "opencl")
    assert re.fullmatch(r"version 1\nstart 0 devices \d+\n", result.stdout), result.stderr


@needs_opencl
def test_a_loader_without_drivers_has_no_devices_at_once() -> None:
    result = opened("libOpenCL.so.1", "opencl", OCL_ICD_VENDORS="/nonexistent")
    assert result.stdout == "version 1\nstart 0 devices 0\n", result.stderr


# ---- built


def template(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FORKLINE, "template"], env=os.environ | environment, capture_output=True, text=True, check=True, timeout=300
    )


def doctor(row: str) -> str:
    shown = subprocess.run([FORKLINE, "doctor"], capture_output=True, text=True, timeout=LIMIT).stdout
    return next(line for line in shown.splitlines() if row in line)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_plugin_that_does_not_build_takes_nothing_with_it(tmp_path: Path) -> None:
    records = [version_dir() / f"plugins/{name}.txt" for name in ("opencl", "cuda")]
    wanted = [record.read_text() for record in records]
    refuses = tmp_path / "rustc"
    refuses.write_text(
        '#!/bin/sh\ncase "$*" in *"--crate-name forkline_opencl "*) echo "it is refused here" >&2; exit 1 ;; esac\nexec "$@"\n'
    )
    refuses.chmod(0o755)
    for record in records:
        record.unlink()
    try:
        result = template(RUSTC_WRAPPER=str(refuses))
        assert "building the GPU plugins" in result.stdout
        assert "it is refused here" in result.stderr
        assert "GPU plugins could not be built: opencl" in result.stderr
        assert "why: the messages above say" in result.stderr and "do:  forkline template" in result.stderr
        assert not records[0].exists() and records[1].read_text() == wanted[1]
        if ctypes.util.find_library("OpenCL"):
            assert "forkline template" in doctor("OpenCL")
    finally:
        result = template()
    assert not result.stderr.strip()
    assert [record.read_text() for record in records] == wanted
    assert "GPU plugins" not in template().stdout


# ---- CUDA C++ without a GPU

TEXT = """
extern "C" __global__ void scale(double *a, double factor, unsigned long long n) {
    __shared__ double tile[128];
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < n ? a[i] : 0.0;
    __syncthreads();
    if (i < n) {
        a[i] = tile[threadIdx.x] * factor;
        atomicAdd(a, sqrt(factor));
    }
}
"""


def checked(check: Path, nvrtc: str, file: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [check, file, *arguments],
        env=os.environ | {"FORKLINE_NVRTC": nvrtc} | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def test_a_text_compiles_for_three_generations(check: Path, nvrtc: str, tmp_path: Path) -> None:
    file = tmp_path / "scale.cu"
    file.write_text(TEXT)
    result = checked(check, nvrtc, file, "75", "80", "90")
    assert result.returncode == 0, result.stderr
    assert re.findall(r"NVRTC 12\.9 (sm_\d+): [1-9]\d* bytes", result.stdout) == ["sm_75", "sm_80", "sm_90"]


def test_nvrtc_is_found_where_pip_puts_it(check: Path, nvrtc: str, tmp_path: Path) -> None:
    file = tmp_path / "scale.cu"
    file.write_text(TEXT)
    result = checked(check, "", file, "80", VIRTUAL_ENV=sys.prefix)
    assert result.returncode == 0 and " sm_80: " in result.stdout, result.stderr


def test_a_wrong_text_is_named_with_its_line(check: Path, nvrtc: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.cu"
    file.write_text(TEXT.replace("sqrt(factor)", "root(factor)"))
    result = checked(check, nvrtc, file, "80")
    assert result.returncode == 1
    assert 'kernel.cu(9): error: identifier "root" is undefined' in result.stderr


def test_without_a_compiler_the_cure_is_named(check: Path, tmp_path: Path) -> None:
    file = tmp_path / "scale.cu"
    file.write_text(TEXT)
    result = checked(check, "/nowhere/libnvrtc.so", file, "80", PATH="/nowhere", CUDA_HOME="", CUDA_PATH="")
    if " nvcc " in result.stdout:
        pytest.skip("not run: a toolkit in /usr/local/cuda or /opt/cuda has an nvcc")
    assert result.returncode == 2
    assert "no compiler of CUDA C++ for sm_80: /nowhere/libnvrtc.so: cannot open" in result.stderr
    assert "pip install nvidia-cuda-nvrtc-cu12" in result.stderr
