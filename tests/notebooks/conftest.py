"""Where several tests run at once, all that look at one notebook stay together: it is run once for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nbformat
import pytest

from runs import FOLDER
from test_recipes import Recipe, ids_of

HERE = Path(__file__).resolve().parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.xdist_group(group_of(item)))


def group_of(item: pytest.Item) -> str:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if isinstance(path := parameters.get("path"), Path):
        # Those with less than this machine has are runs of their own.
        run = item.path.stem if item.path.stem in ("test_devices", "test_restart") else "notebook"
        return f"{run} {path.relative_to(FOLDER)}"
    if isinstance(recipe := parameters.get("recipe"), Recipe):
        home = next((path for path in recipe.notebooks() if recipe.id in ids_in(path)), None)
        return f"notebook {home.relative_to(FOLDER)}" if home else recipe.where()
    return item.path.stem


@cache
def ids_in(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return {id for cell in nbformat.read(path, as_version=4).cells for id in ids_of(cell)}
