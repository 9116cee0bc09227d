"""What a notebook defines, for tests that run its program under other loads and other accidents."""

from __future__ import annotations

from pathlib import Path

import nbformat


def cells_before_recipes(notebook: Path, first: str) -> list[str]:
    """The cells of the notebook up to the first that belongs to a recipe; this text is the first of them."""
    found = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            if "recipe" in cell.metadata.get("forkline", {}):
                break
            found.append(cell.source)
    assert found and found[0] == first, f"{notebook.name} begins with {first!r}"
    return found
