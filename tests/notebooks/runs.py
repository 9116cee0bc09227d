"""The notebooks of the repository, and a run of each: once in a session, for all tests that look at what came of it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from harness import KERNEL_NAME, plain

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(p for p in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
NAMES = [str(p.relative_to(FOLDER)) for p in NOTEBOOKS]
CELL_SECONDS = 120
HAS_MPI = bool(shutil.which("mpiexec") and shutil.which("mpicc"))


def needs_ranks(path: Path) -> bool:
    """Whether cells of the notebook run on ranks."""
    cells = nbformat.read(path, as_version=4).cells
    return any(cell.cell_type == "code" and cell.source.startswith("%%mpi") for cell in cells)


def needs_debugger(path: Path) -> bool:
    """Whether cells of the notebook run under the debugger."""
    cells = nbformat.read(path, as_version=4).cells
    return any(cell.cell_type == "code" and re.match("%%?debug", cell.source) for cell in cells)


def skip_without_debugger(path: Path) -> None:
    """What cannot run is no pass."""
    names = [f"lldb-dap-{version}" for version in range(18, 31)] + ["lldb-dap"]
    if needs_debugger(path) and not any(map(shutil.which, names)):
        pytest.skip("not run: there is no lldb-dap (sudo apt install lldb-19)")


def skip_without_mpi(path: Path) -> None:
    """What cannot run is no pass."""
    if not HAS_MPI and needs_ranks(path):
        pytest.skip("not run: MPI is not installed (sudo apt install openmpi-bin libopenmpi-dev libclang-dev)")


@dataclass
class Run:
    """A notebook with the outputs of a run, up to the cell that failed, and what failed."""

    notebook: nbformat.NotebookNode
    failure: str | None


@cache
def executed(path: Path) -> Run:
    """Runs a notebook in a copy of its folder when it is first asked for."""
    with tempfile.TemporaryDirectory(prefix="forkline-notebook-") as work:
        return run_notebook(path, Path(work))


def run_notebook(path: Path, work: Path, variables: dict[str, str] | None = None) -> Run:
    """Runs a notebook in a copy of its folder within `work`, its kernel with these variables beside those of the test."""
    folder = work / "notebook"
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
    notebook = nbformat.read(path, as_version=4)
    # What was saved must not pass for what this run printed.
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        startup_timeout=60,
        kernel_name=notebook.metadata.get("kernelspec", {}).get("name", KERNEL_NAME),
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute(env={**os.environ, **(variables or {})})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        # nbclient's own message shows the cell only; say which one it is, and what it printed.
        message = f"{path.name}: {where(notebook)}\n{type(error).__name__}: {plain(str(error))[-4000:]}"
        return Run(notebook, message)
    return Run(notebook, None)


def where(notebook: nbformat.NotebookNode) -> str:
    """The last code cell that was started: its number, its source, and what came of it."""
    started = [
        (number, cell)
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code" and (cell.get("execution_count") or cell.outputs)
    ]
    if not started:
        return "before the first cell"
    number, cell = started[-1]
    printed = plain("".join(texts(cell.outputs)))[-2000:]
    return f"cell {number} of {len(notebook.cells)}\n--- source\n{cell.source}\n--- outputs\n{printed}"


def texts(outputs: list[Any]) -> list[str]:
    """All that a cell printed and showed, as texts."""
    found = []
    for output in outputs:
        if output.output_type == "stream":
            found.append(output.text)
        elif output.output_type == "error":
            found.append("\n".join([f"{output.ename}: {output.evalue}", *output.traceback]))
        else:
            found += [value for value in output.data.values() if isinstance(value, str)]
    return found
