"""What the tests of ranks in cells share: MPI, or a word that it is missing, and a group of three."""

from __future__ import annotations

import shutil

import pytest

from harness import Client

WORLD = "let world = mpi::world()?;\nlet rank = world.rank();"


@pytest.fixture
def with_mpi() -> None:
    if not (shutil.which("mpiexec") and shutil.which("mpicc")):
        pytest.skip("not run: MPI is not installed (sudo apt install openmpi-bin libopenmpi-dev libclang-dev)")


@pytest.fixture
def ranks(with_mpi: None, kernel: Client) -> Client:
    """A kernel whose group of three has started MPI."""
    kernel.run(f"%%mpi -n 3\n{WORLD}\nworld.barrier()?;")
    return kernel
