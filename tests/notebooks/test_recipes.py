"""Every recipe of notebooks/recipes.toml is in its notebook, is saved executed, and prints what was checked when it runs.

A cell of a recipe has its id in the metadata, as `forkline.recipe`: one id or a list. One test for each recipe, so that
the count of tests tells how many hold. The notebooks run once, together with test_notebooks.py.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from harness import plain
from runs import FOLDER, NOTEBOOKS, executed, skip_without_debugger, skip_without_mpi, texts

# Entries and lettered variants of the book's chapters that are done here.
EXPECTED = {"ch01": (40, 1), "ch02": (11, 9), "ch03": (10, 10), "ch04": (9, 13), "ch05": (5, 6), "ch06": (5, 2), "ch08": (9, 8), "ch09": (6, 11)}

# A cell of ranks has the numbers of those before each line that they printed.
CHECK = re.compile(r"(\[\d+(-\d+)?(,\d+(-\d+)?)*\] )?check:")


@dataclass(frozen=True)
class Recipe:
    id: str
    title: str
    notebook: str = ""
    folder: str = ""

    def notebooks(self) -> list[Path]:
        """Where it may be; a notebook that is missing is in the list too."""
        if self.notebook:
            return [FOLDER / self.notebook]
        return [path for path in NOTEBOOKS if path.parent == FOLDER / self.folder]

    def where(self) -> str:
        return f"notebooks/{self.notebook or self.folder}"


RECIPES = [Recipe(**entry) for entry in tomllib.loads((FOLDER / "recipes.toml").read_text())["recipe"]]
IDS = [recipe.id for recipe in RECIPES]


def ids_of(cell: nbformat.NotebookNode) -> list[str]:
    if cell.cell_type != "code":
        return []
    ids = cell.metadata.get("forkline", {}).get("recipe", [])
    return [ids] if isinstance(ids, str) else list(ids)


def cells_of(notebook: nbformat.NotebookNode, id: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if id in ids_of(cell)]


def checks_of(cells: list[nbformat.NotebookNode]) -> list[str]:
    """The lines that begin with `check:`, on whatever ranks, among what the cells printed. What they only displayed is not
    looked at."""
    printed = [plain(text) for cell in cells for text in texts([o for o in cell.outputs if o.output_type == "stream"])]
    return [line for text in printed for line in text.splitlines() if CHECK.match(line)]


def home_of(recipe: Recipe) -> Path:
    """The notebook that has cells of the recipe."""
    paths = recipe.notebooks()
    for path in paths:
        assert path.is_file(), f"{recipe.id}: {recipe.where()} is missing"
    assert paths, f"{recipe.id}: no notebook in {recipe.where()}"
    found = [path for path in paths if cells_of(nbformat.read(path, as_version=4), recipe.id)]
    assert found, f'{recipe.id}: no code cell with "metadata": {{"forkline": {{"recipe": "{recipe.id}"}}}} in {recipe.where()}'
    names = [str(path.relative_to(FOLDER)) for path in found]
    assert len(found) == 1, f"{recipe.id} is in several notebooks: {names}"
    return found[0]


def test_the_list_is_complete() -> None:
    doubles = [id for id, count in Counter(IDS).items() if count > 1]
    assert not doubles, f"twice in recipes.toml: {doubles}"
    malformed = [id for id in IDS if not re.fullmatch(r"ch\d\d-\d\d[a-z]?", id)]
    assert not malformed, f"ids are ch01-02 or, for a variant, ch01-02a: {malformed}"
    for chapter, (n_entries, n_variants) in EXPECTED.items():
        entries = {id for id in IDS if id.startswith(chapter) and not id[-1].isalpha()}
        assert entries == {f"{chapter}-{number:02}" for number in range(1, n_entries + 1)}
        variants = [id for id in IDS if id.startswith(chapter) and id[-1].isalpha()]
        assert len(variants) == n_variants, f"{chapter}: {variants}"
        assert {id[:-1] for id in variants} <= entries
    for recipe in RECIPES:
        assert recipe.title.strip(), f"{recipe.id} has no title"
        assert bool(recipe.notebook) != bool(recipe.folder), f"{recipe.id}: give either a notebook or a folder"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[str(p.relative_to(FOLDER)) for p in NOTEBOOKS])
def test_notebook_has_no_recipe_that_is_not_listed(path: Path) -> None:
    ids = {id for cell in nbformat.read(path, as_version=4).cells for id in ids_of(cell)}
    assert ids <= set(IDS), f"{path.name}: not in notebooks/recipes.toml: {sorted(ids - set(IDS))}"


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_recipe_is_saved_with_its_check(recipe: Recipe) -> None:
    path = home_of(recipe)
    cells = cells_of(nbformat.read(path, as_version=4), recipe.id)
    assert checks_of(cells), f"{recipe.id}: no line `check: …` is saved in {path.name}; run it from top to bottom and save it"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_recipe_holds(recipe: Recipe) -> None:
    path = home_of(recipe)
    skip_without_mpi(path)
    skip_without_debugger(path)
    run = executed(path)
    cells = cells_of(run.notebook, recipe.id)
    for cell in cells:
        ran = cell.get("execution_count") or "skip-execution" in cell.metadata.get("tags", [])
        assert ran, f"{recipe.id}: {path.name} failed before or in\n{cell.source}\n{run.failure}"
        if "raises-exception" not in cell.metadata.get("tags", []):
            errors = [f"{o.ename}: {plain(o.evalue)}" for o in cell.outputs if o.output_type == "error"]
            assert not errors, f"{recipe.id}: {errors}\n{cell.source}"
    assert checks_of(cells), f"{recipe.id}: none of its {len(cells)} cells in {path.name} printed a line `check: …`"
