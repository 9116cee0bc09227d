"""Headless runs tell failure from success: nbclient's API and the nbconvert command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from harness import KERNEL_NAME, plain

pytestmark = pytest.mark.timeout(240)

GOOD = ["let a = 20;", 'println!("text"); a + 22']
PANICS = ['println!("before");', 'let n = 7;\npanic!("boom {n}");', 'println!("after");']
DOES_NOT_COMPILE = ["1", 'let n: i32 = "text";', "2"]
RETURNS_AN_ERROR = ["1", '"abc".parse::<i32>()?;', "2"]
KILLS_ITS_WORKER = ["1", "std::process::abort();", "20 + 22"]


def notebook_of(cells: list[str], tags: dict[int, list[str]] | None = None) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": KERNEL_NAME, "display_name": "x", "language": "rust"}})
    for number, source in enumerate(cells):
        cell = nbformat.v4.new_code_cell(source)
        if tags and number in tags:
            cell.metadata["tags"] = tags[number]
        notebook.cells.append(cell)
    return notebook


def execute(notebook: nbformat.NotebookNode, folder: Path, **options) -> nbformat.NotebookNode:
    return NotebookClient(
        notebook, timeout=90, startup_timeout=60, resources={"metadata": {"path": str(folder)}}, **options
    ).execute()


def test_good_notebook_has_its_outputs(tmp_path: Path) -> None:
    notebook = execute(notebook_of(GOOD), tmp_path)
    outputs = notebook.cells[1].outputs
    assert [o.output_type for o in outputs] == ["stream", "execute_result"]
    assert outputs[0].text == "text\n"
    assert outputs[1].data["text/plain"] == "42"
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]


@pytest.mark.parametrize(
    ("cells", "part"),
    [(PANICS, "boom 7"), (DOES_NOT_COMPILE, "mismatched types"), (RETURNS_AN_ERROR, "invalid digit"), (KILLS_ITS_WORKER, "")],
    ids=["panic", "compile error", "question mark", "abort"],
)
def test_failing_cell_fails_the_notebook(tmp_path: Path, cells: list[str], part: str) -> None:
    notebook = notebook_of(cells)
    with pytest.raises(CellExecutionError) as caught:
        execute(notebook, tmp_path)
    assert part in plain(str(caught.value))
    assert cells[1] in str(caught.value)
    assert notebook.cells[2].outputs == []


@pytest.mark.parametrize("cells", [PANICS, KILLS_ITS_WORKER], ids=["panic", "abort"])
def test_errors_can_be_allowed(tmp_path: Path, cells: list[str]) -> None:
    notebook = execute(notebook_of(cells), tmp_path, allow_errors=True)
    assert [o.output_type for o in notebook.cells[1].outputs][-1] == "error"
    last = notebook.cells[2].outputs[0]
    assert (last.get("text") or last["data"]["text/plain"]) in ("after\n", "42")


def test_tagged_cell_may_fail(tmp_path: Path) -> None:
    notebook = execute(notebook_of(PANICS, {1: ["raises-exception"]}), tmp_path)
    assert notebook.cells[1].outputs[-1].ename == "Panic"
    assert notebook.cells[2].outputs[0].text == "after\n"


def test_error_can_be_allowed_by_its_name(tmp_path: Path) -> None:
    notebook = execute(notebook_of(PANICS), tmp_path, allow_error_names=["Panic"])
    assert notebook.cells[2].outputs[0].text == "after\n"


def nbconvert(path: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--output", "done.ipynb", *options, str(path)]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=200)


def test_nbconvert_tells_a_panic_from_success(tmp_path: Path) -> None:
    path = tmp_path / "panics.ipynb"
    nbformat.write(notebook_of(PANICS), path)
    failed = nbconvert(path)
    assert failed.returncode != 0
    assert "boom 7" in plain(failed.stderr), failed.stderr
    assert not (tmp_path / "done.ipynb").exists()
    allowed = nbconvert(path, "--allow-errors")
    assert allowed.returncode == 0, allowed.stderr
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    assert done.cells[1].outputs[-1].evalue == "boom 7"
    assert done.cells[2].outputs[0].text == "after\n"


def test_nbconvert_makes_a_page(tmp_path: Path) -> None:
    path = tmp_path / "good.ipynb"
    cells = [*GOOD, 'display(&Html::new("<b id=\'shown\'>bold</b>"));', "%who"]
    nbformat.write(notebook_of(cells), path)
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", str(path)]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "good.html").read_text()
    assert re.search("<b id=.shown.>bold</b>", page)
    # The lexer named by kernel_info colours the cells: `let` is a keyword of Rust.
    assert "highlight" in page and ">let</span>" in page
