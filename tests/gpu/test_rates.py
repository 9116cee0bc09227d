"""The program that a machine with a GPU runs, on the devices of this one: results against the processor."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

# The first of the tests waits for the prelude to be compiled.
pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("device", ["opencl", "rayon"])
def test_results_are_those_of_the_processor(folder: Path, of_packed: dict[str, str], device: str) -> None:
    done = subprocess.run(
        [folder / "rates", device, "8"], env=of_packed, capture_output=True, text=True, timeout=300, check=False
    )
    if device == "opencl" and "no such device" in done.stderr:
        pytest.skip(f"NOT RUN: {done.stderr.splitlines()[1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| ok |") >= 60 and "\n0 wrong\n" in done.stdout, done.stdout
    assert "| copy within the device |" in done.stdout


def test_what_was_packed_says_that_there_is_no_card(folder: Path) -> None:
    done = subprocess.run([folder / "run.sh"], capture_output=True, text=True, timeout=600, check=False)
    if "NOT RUN" not in done.stdout:
        # There is one: then it must be right.
        assert "\n0 wrong\n" in done.stdout, done.stdout + done.stderr
        return
    assert done.returncode == 3, done.stdout
