"""Notebooks with ranks survive a restart of the kernel in their middle: no rank of before is left, each cell of the rest
runs without those before it, and the whole runs from the top again."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.util import ensure_async, run_sync

from harness import KERNEL_NAME, command_lines, still_there
from runs import CELL_SECONDS, FOLDER, NOTEBOOKS, needs_ranks, skip_without_mpi
from test_recipes import checks_of, ids_of

WITH_RANKS = [path for path in NOTEBOOKS if needs_ranks(path)]


def ranks() -> list[psutil.Process]:
    """The processes of ranks that this test has brought about, through kernels and launchers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[-1:] == ["rank"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def run(client: NotebookClient, cells: list[tuple[int, nbformat.NotebookNode]]) -> None:
    for index, cell in cells:
        cell.outputs, cell.execution_count = [], None
        client.execute_cell(cell, index)
        if ids_of(cell):
            assert checks_of([cell]), f"no line `check: …` of\n{cell.source}"


def restart(client: NotebookClient) -> None:
    before = ranks()
    assert before, "no ranks are there to be ended"

    async def again() -> None:
        await ensure_async(client.km.restart_kernel(now=False))
        await ensure_async(client.kc.wait_for_ready(timeout=60))

    run_sync(again)()
    left = still_there(before, timeout=10)
    assert not left, command_lines(left)


def test_there_are_notebooks_with_ranks() -> None:
    assert {path.parent.name for path in WITH_RANKS} >= {"ch04-mpi"}
    assert len(WITH_RANKS) >= 9


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", WITH_RANKS, ids=[str(path.relative_to(FOLDER)) for path in WITH_RANKS])
def test_a_restart_in_the_middle(path: Path, tmp_path: Path) -> None:
    skip_without_mpi(path)
    folder = tmp_path / "notebook"
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        startup_timeout=60,
        kernel_name=KERNEL_NAME,
        resources={"metadata": {"path": str(folder)}},
    )
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    half = (len(cells) + 1) // 2
    with client.setup_kernel():
        run(client, cells[:half])
        restart(client)
        run(client, cells[half:])
        restart(client)
        run(client, cells)
