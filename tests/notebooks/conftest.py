"""Where several tests run at once, all that look at one run of a notebook stay together, in one process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nbformat
import pytest
from xdist.scheduler import LoadScopeScheduling

from runs import FOLDER, NOTEBOOKS
from test_devices import MACHINES
from test_recipes import ids_of

# Tests of these modules run a notebook in their own way, so each notebook is a run there.
OTHER_RUNS = ["test_devices", "test_restart"]


class RunByRun(LoadScopeScheduling):
    """Sends tests to processes by the run that they look at."""

    def _split_scope(self, nodeid: str) -> str:
        module = Path(nodeid.split("::")[0]).stem
        parameters = nodeid.partition("[")[2].rstrip("]")
        if module in OTHER_RUNS:
            for machine in MACHINES:
                parameters = parameters.removesuffix(f"-{machine}")
            return f"{module} {parameters}"
        return homes().get(parameters, parameters) or module


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> RunByRun:  # noqa: ANN001
    return RunByRun(config, log)


@cache
def homes() -> dict[str, str]:
    """The notebook of each recipe."""
    found = {}
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            found |= {id: str(path.relative_to(FOLDER)) for id in ids_of(cell)}
    return found
