"""Virtual environments for the other sides of benchmarks, beside the tests' own: made when first asked for, and again when they are
not what is asked. Standard library only, since the interpreters in them import the benchmarks too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forkline"


def python_with(name: str, asked: str, *packages: str) -> Path:
    """The interpreter of `<name>-venv`, in which the statements `asked` run; `packages` are pip's words that make it so."""
    venv = CACHE / f"{name}-venv"
    python = venv / "bin/python"
    if not python.exists() or subprocess.run([python, "-c", asked], capture_output=True).returncode:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
    return python
