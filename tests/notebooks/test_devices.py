"""Notebooks with kernels hold on machines that have less than this one: with the processor chosen as device, and without any
driver. What needs a driver says that it was not run; what every recipe checks is checked all the same."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from runs import FOLDER, NOTEBOOKS, Run, run_notebook, texts
from test_recipes import checks_of, ids_of

WITH_DEVICES = [path for path in NOTEBOOKS if path.parent == FOLDER / "ch08-gpu"]
NAMES = [path.stem for path in WITH_DEVICES]

MACHINES = {
    "rayon": {"FORKLINE_DEVICE": "rayon"},
    # Drivers are found by these variables; there is nothing behind them here.
    "no driver": {"OCL_ICD_VENDORS": "/nonexistent", "CUDA_VISIBLE_DEVICES": ""},
}


@pytest.fixture(scope="module")
def run_on(tmp_path_factory: pytest.TempPathFactory):
    """Runs a notebook on all machines at once, when one of them is first asked for. Nothing is timed here."""
    runs: dict[Path, dict[str, Future[Run]]] = {}
    with ThreadPoolExecutor(len(MACHINES)) as pool:

        def run(path: Path, machine: str) -> Run:
            if path not in runs:
                runs[path] = {
                    name: pool.submit(run_notebook, path, tmp_path_factory.mktemp("notebook"), variables)
                    for name, variables in MACHINES.items()
                }
            return runs[path][machine].result()

        yield run


def test_there_are_notebooks_with_devices() -> None:
    assert len(WITH_DEVICES) >= 9


@pytest.mark.timeout(300)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("path", WITH_DEVICES, ids=NAMES)
def test_notebook_holds_with_less(path: Path, machine: str, run_on) -> None:
    run = run_on(path, machine)
    if run.failure:
        pytest.fail(run.failure, pytrace=False)
    for id in sorted({id for cell in run.notebook.cells for id in ids_of(cell)}):
        assert checks_of([cell for cell in run.notebook.cells if id in ids_of(cell)]), f"{id}: no line `check: …` on {machine}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", WITH_DEVICES, ids=NAMES)
def test_without_drivers_rayon_is_the_device(path: Path, run_on) -> None:
    cells = [cell for cell in run_on(path, "no driver").notebook.cells if cell.cell_type == "code"]
    first = "".join(texts(cells[0].outputs))
    assert "OpenCL: found 0 devices" in first, first
    assert "used where none is chosen: rayon" in first, first


@pytest.mark.timeout(300)
def test_a_text_for_opencl_is_not_run_without_it(run_on) -> None:
    path = FOLDER / "ch08-gpu/06-vector-sum.ipynb"
    printed = "".join(text for cell in run_on(path, "no driver").notebook.cells if cell.cell_type == "code" for text in texts(cell.outputs))
    assert printed.count("not run: ") == 2, printed


@pytest.mark.parametrize("path", WITH_DEVICES, ids=NAMES)
def test_a_notebook_begins_with_its_devices(path: Path) -> None:
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert "gpu::detect()" in code[0].source and "gpu::default()" in code[0].source
    saved = "".join(texts(code[0].outputs))
    assert "rayon: always there" in saved, "save it with its outputs"
