"""Fixtures: JupyterLab, a headless Chromium, notebooks on forkline. Without one of them all of this is skipped."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Callable, Iterator

import pytest

import lab

BROWSER = lab.find_browser()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in ("playwright", "jupyterlab") if importlib.util.find_spec(name) is None]
    if BROWSER is None:
        missing.insert(0, "chromium (apt-get install chromium)")
    for item in items:
        if missing and item.path.parent.name == "browser":
            item.add_marker(pytest.mark.skip(reason=f"not there: {', '.join(missing)}"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Server]:
    held = lab.Server(tmp_path_factory.mktemp("lab"))
    yield held
    held.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # The sandbox needs more than root has in a container, and /dev/shm is small there.
        held = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
        )
        yield held
        held.close()


@pytest.fixture(scope="module")
def open_notebook(server: lab.Server, browser) -> Iterator[Callable[..., lab.Notebook]]:
    """Opens a new notebook with these cells."""
    opened: list[lab.Notebook] = []

    def open_(name: str, *cells: str) -> lab.Notebook:
        opened.append(lab.Notebook(server, browser, name, cells))
        return opened[-1]

    open_.opened = opened  # type: ignore[attr-defined]
    yield open_
    for notebook in opened:
        notebook.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """What a failure looked like, in a picture beside the test's temporary files, and in words."""
    report = (yield).get_result()
    opened = getattr(getattr(item, "funcargs", {}).get("open_notebook"), "opened", [])
    if report.failed and opened:
        report.sections.append(("browser", opened[-1].describe(item.name)))


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """Where pictures for the documentation go, if somebody wants new ones."""
    return lab.pictures()
