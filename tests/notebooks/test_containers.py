"""What the notebook on containers says of other tools is so: where one is there its part ran, and where it is not there, or may not do
what it should, the notebook says that it was not run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest

from runs import FOLDER, executed, run_notebook, texts

NAME = "ch07-cloud/03-containers.ipynb"
# With the notebook's name as the only parameter, a test shares the run of the other modules.
with_its_run = pytest.mark.parametrize("path", [FOLDER / NAME], ids=[NAME])
TOOLS = ["skopeo", "umoci", "buildah", "runc"]

pytestmark = pytest.mark.timeout(900)


def lines_about(notebook: nbformat.NotebookNode, tool: str) -> list[str]:
    """What was checked with a tool, or not run."""
    printed = [text for cell in notebook.cells if cell.cell_type == "code" for text in texts([o for o in cell.outputs if o.output_type == "stream"])]
    return [line for text in printed for line in text.splitlines() if line.startswith(("check: ", "not run: ")) and tool in line]


def ran(path: Path, tool: str, wanted: list[str]) -> None:
    run = executed(path)
    assert not run.failure, run.failure
    lines = lines_about(run.notebook, tool)
    if shutil.which(tool) is None:
        assert lines == [f"not run: {tool} is not installed (sudo apt install {tool})"]
        pytest.skip(f"{lines[0]} or tests/services.sh containers")
    if lines and lines[0].startswith(f"not run: {tool} may not "):
        assert len(lines) == 1, lines
        pytest.skip(lines[0])
    assert lines == wanted


@with_its_run
def test_skopeo_read_the_image(path: Path) -> None:
    ran(path, "skopeo", ["check: skopeo reads the image"])


@with_its_run
def test_umoci_read_the_image(path: Path) -> None:
    ran(path, "umoci", ["check: umoci reads the image"])


@with_its_run
def test_buildah_built_an_image(path: Path) -> None:
    ran(path, "buildah", ['check: GET / of the image that buildah built = (200, "Hello World!")'])


@with_its_run
def test_runc_ran_a_container(path: Path) -> None:
    ran(path, "runc", ['check: GET / of runc\'s container = (200, "Hello World!")', "check: runc's service is process 1 there"])


@pytest.fixture(scope="module")
def poor_run(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook where skopeo and umoci are not there, and runc and buildah may do nothing."""
    programs = tmp_path_factory.mktemp("programs")
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*"):
            if program.name not in TOOLS and not (programs / program.name).exists() and os.access(program, os.X_OK):
                (programs / program.name).symlink_to(program)
    for tool in ("buildah", "runc"):
        stand_in = programs / tool
        stand_in.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{tool} 0.0" && exit 0\necho "not allowed" >&2\nexit 1\n')
        stand_in.chmod(0o755)
    run = run_notebook(FOLDER / NAME, tmp_path_factory.mktemp("notebook"), {"PATH": str(programs)})
    assert not run.failure, run.failure
    return run.notebook


def test_what_is_missing_or_not_allowed_is_never_a_check(poor_run: nbformat.NotebookNode) -> None:
    for tool in ("skopeo", "umoci"):
        assert lines_about(poor_run, tool) == [f"not run: {tool} is not installed (sudo apt install {tool})"]
    assert lines_about(poor_run, "buildah") == ["not run: buildah may not build images here: not allowed"]
    assert lines_about(poor_run, "runc") == ["not run: runc may not make containers here"]
