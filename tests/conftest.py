"""Fixtures: a kernel for each module, kernels of one's own, gates; and what a failure prints.

`FORKLINE_TESTS_NO_SKIP=1` turns every skip into a failure, so that a missing tool cannot hide.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import harness


class Keeper:
    """Holds a module's kernel, and replaces it when a test has left it dead or busy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client: harness.Client | None = None

    def get(self) -> harness.Client:
        if self.client is not None and not self.client.usable():
            self.client.close()
            self.client = None
        if self.client is None:
            self.client = harness.start(cwd=self.folder)
        self.client.forget()
        return self.client

    def close(self) -> None:
        if self.client is not None:
            self.client.close()


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    held = Keeper(tmp_path_factory.mktemp("cwd"))
    yield held
    held.close()


@pytest.fixture
def kernel(keeper: Keeper) -> Iterator[harness.Client]:
    """A warm kernel, shared by the tests of a module; nothing may be published late."""
    client = keeper.get()
    yield client
    client.settle()


@pytest.fixture
def start_kernel(tmp_path: Path) -> Iterator[Callable[..., harness.Client]]:
    """Starts kernels that belong to this test alone."""
    started: list[harness.Client] = []

    def start(name: str = harness.KERNEL_NAME, **options: Any) -> harness.Client:
        options.setdefault("cwd", tmp_path)
        client = harness.start(name, **options)
        started.append(client)
        return client

    start.clients = started  # type: ignore[attr-defined]
    yield start
    for client in started:
        client.close()


@pytest.fixture
def gate(tmp_path: Path) -> harness.Gate:
    return harness.Gate(tmp_path / "gate")


@pytest.fixture
def new_gate(tmp_path: Path) -> Callable[[], harness.Gate]:
    numbers = itertools.count()
    return lambda: harness.Gate(tmp_path / f"gate-{next(numbers)}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("FORKLINE_TESTS_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but FORKLINE_TESTS_NO_SKIP is set: {report.longrepr}"
    if report.failed and report.when in ("call", "teardown"):
        for client in clients_of(item):
            report.sections.append(("kernel", client.describe()))


def clients_of(item: pytest.Item) -> list[harness.Client]:
    arguments = getattr(item, "funcargs", {})
    clients = list(getattr(arguments.get("start_kernel"), "clients", []))
    if isinstance(arguments.get("kernel"), harness.Client):
        clients.append(arguments["kernel"])
    return clients


# Modules that take minutes. Where several run at once they come first, so that none of them is left over at the end.
LONG = ["test_packs", "test_queue", "test_remote", "test_web", "test_lambda", "test_compile", "test_places", "test_ranks"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is not built yet is expected to fail; when it passes, its mark must go."""
    for item in items:
        if item.get_closest_marker("design"):
            item.add_marker(pytest.mark.xfail(strict=True, reason="not built yet"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
