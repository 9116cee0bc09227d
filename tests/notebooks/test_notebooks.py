"""Every notebook of the repository runs from top to bottom, headless, in a fresh kernel.

Cells tagged `raises-exception` may fail and cells tagged `skip-execution` are left out, as Jupyter
has it. A notebook runs in a copy of its folder, so that what it writes stays out of the repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from harness import KERNEL_NAME, plain

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(p for p in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
NAMES = [str(p.relative_to(FOLDER)) for p in NOTEBOOKS]
CELL_SECONDS = 120


def run_notebook(path: Path, work: Path) -> nbformat.NotebookNode:
    """Execute the notebook and return it with its outputs."""
    folder = work / "notebook"
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        startup_timeout=60,
        kernel_name=notebook.metadata.get("kernelspec", {}).get("name", KERNEL_NAME),
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        return client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        # nbclient's own message shows the cell only; say which one it is, and what it printed.
        pytest.fail(f"{path.name}: {where(notebook)}\n{type(error).__name__}: {plain(str(error))[-4000:]}", pytrace=False)


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
    found = []
    for output in outputs:
        if output.output_type == "stream":
            found.append(output.text)
        elif output.output_type == "error":
            found.append("\n".join([f"{output.ename}: {output.evalue}", *output.traceback]))
        else:
            found += [value for value in output.data.values() if isinstance(value, str)]
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = run_notebook(path, tmp_path)
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code" or "raises-exception" in cell.metadata.get("tags", []):
            continue
        errors = [o for o in cell.outputs if o.output_type == "error"]
        assert not errors, f"cell {number}:\n{cell.source}\n{plain(errors[0].evalue)}"
    if path.name == "00-quickstart.ipynb":
        check_quickstart(notebook)


def check_quickstart(notebook: nbformat.NotebookNode) -> None:
    """The quickstart shows what the kernel can: a picture, several displays, a table, a check."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    rich = [
        output.data
        for cell in code
        for output in cell.outputs
        if output.output_type in ("display_data", "execute_result")
    ]
    html = [data["text/html"] for data in rich if "text/html" in data]
    assert any("image/svg+xml" in data for data in rich) or any("<svg" in text for text in html), "no SVG picture"
    assert any("<table" in text for text in html), "no table"
    displays = [sum(o.output_type == "display_data" for o in cell.outputs) for cell in code]
    assert max(displays, default=0) >= 2, "no cell with two displays"
    everything = "".join(text for cell in code for text in texts(cell.outputs))
    assert any(line.strip().startswith("check:") for line in everything.splitlines()), "no line that begins with `check:`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_names_its_kernel(path: Path) -> None:
    metadata = nbformat.read(path, as_version=4).metadata
    assert metadata.get("kernelspec", {}).get("name") == "forkline", f"{path.name}: metadata.kernelspec.name"
    assert metadata.get("language_info", {}).get("name") == "rust", f"{path.name}: metadata.language_info.name"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_is_valid(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))


def test_there_is_a_quickstart() -> None:
    assert (FOLDER / "00-quickstart.ipynb").is_file(), "notebooks/00-quickstart.ipynb is missing"
