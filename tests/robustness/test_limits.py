"""What is bounded, and what is left behind: long output, a broken history, the files of a killed kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest

from harness import Client


def test_output_beyond_the_limit_is_dropped_and_says_so(start_kernel: Callable[..., Client]) -> None:
    kernel = start_kernel(env={"FORKLINE_OUTPUT_LIMIT_MB": "1"})
    result = kernel.run('for _ in 0..3_000 { println!("{}", "x".repeat(999)); }', timeout=60)
    assert 1_000_000 < len(result.stdout) < 1_100_000, f"{len(result.stdout)} bytes came"
    result.has("output cut: this cell has written more than 1 MB", result.stdout, "stdout")
    after = kernel.run('println!("the next cell");')
    after.equal(after.stdout, "the next cell\n")
    # The kernel itself has something to say after the limit, here the times.
    timed = kernel.run('%%time\nfor _ in 0..3_000 { println!("{}", "x".repeat(999)); }', timeout=60)
    assert len(timed.stdout) < 1_100_000, f"{len(timed.stdout)} bytes came"
    after = kernel.run('println!("still here");')
    after.equal(after.stdout, "still here\n")


def test_broken_history_costs_the_history_only(start_kernel: Callable[..., Client], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "history.sqlite").write_bytes(b"this is no database\n" * 100)
    # In a home without a template the engine is busy for long; neither this nor that needs it.
    kernel = start_kernel(warm=False, env={"FORKLINE_HOME": str(home)})
    kernel.kernel_info("shell")
    assert kernel.history("tail", n=5) == []


@pytest.mark.slow
def test_folder_of_a_killed_kernel_goes_with_the_next_start(start_kernel: Callable[..., Client]) -> None:
    home = os.environ.get("FORKLINE_HOME")
    if not home:
        pytest.skip("FORKLINE_HOME is not set, so the sessions' folders are not known")
    killed = start_kernel()
    pattern = f"*/sessions/{killed.process.process.pid}-*"
    (folder,) = Path(home).glob(pattern)
    killed.process.kill()
    assert folder.is_dir()
    start_kernel()
    assert not folder.exists()
