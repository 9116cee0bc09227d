"""Every notebook of the repository runs from top to bottom, headless, in a fresh kernel.

Cells tagged `raises-exception` may fail and cells tagged `skip-execution` are left out, as Jupyter
has it. A notebook runs in a copy of its folder, so that what it writes stays out of the repository.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from harness import plain
from runs import FOLDER, NAMES, NOTEBOOKS, executed, skip_without_debugger, skip_without_mpi, texts


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_runs(path: Path) -> None:
    skip_without_mpi(path)
    skip_without_debugger(path)
    run = executed(path)
    if run.failure:
        pytest.fail(run.failure, pytrace=False)
    for number, cell in enumerate(run.notebook.cells, 1):
        if cell.cell_type != "code" or "raises-exception" in cell.metadata.get("tags", []):
            continue
        errors = [o for o in cell.outputs if o.output_type == "error"]
        assert not errors, f"cell {number}:\n{cell.source}\n{plain(errors[0].evalue)}"
    if path.name == "00-quickstart.ipynb":
        check_quickstart(run.notebook)


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
