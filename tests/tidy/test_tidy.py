"""Rules of the house that can be read off the files; each failure says what to do instead."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 700


def files_of_the_repository() -> list[Path]:
    """Tracked files and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


FILES = files_of_the_repository()


def inside(path: Path, *folders: str) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return any(name == folder or name.startswith(folder + "/") for folder in folders)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


RUST = [path for path in FILES if path.suffix == ".rs" and inside(path, "kernel", "prelude")]
SOURCES = [path for path in RUST if inside(path, "kernel/src", "prelude/src")]
NOTEBOOKS = [path for path in FILES if path.suffix == ".ipynb"]

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
  | (?P<open>/\*)
  | (?P<raw>b?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>[bc]?"(?:\\.|[^"\\])*")
  | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)


def code_of(source: str) -> str:
    """Rust source with comments and literals blanked out, line by line in place."""
    parts, position = [], 0

    def blank(text: str) -> str:
        return re.sub(r"[^\n]", " ", text)

    while found := TOKEN.search(source, position):
        parts.append(source[position : found.start()])
        end = found.end()
        if found["open"]:
            end = end_of_comment(source, found.start())
        parts.append(blank(source[found.start() : end]))
        position = end
    parts.append(source[position:])
    return "".join(parts)


def end_of_comment(source: str, start: int) -> int:
    """Block comments of Rust nest."""
    depth, position = 0, start
    for found in re.finditer(r"/\*|\*/", source[start:]):
        depth += 1 if found[0] == "/*" else -1
        position = start + found.end()
        if depth == 0:
            return position
    return len(source)


def test_blanking_leaves_code_alone() -> None:
    source = 'let a = "zmq::x"; // evcxr::y\nlet b = \'"\'; /* zmq:: /* nested */ dbg!() */ let c: &\'a str = r#"todo!()"#; keep!();'
    code = code_of(source)
    for gone in ("zmq::", "evcxr::", "dbg!", "todo!"):
        assert gone not in code
    for kept in ("let a =", "let b =", "let c: &'a str =", "keep!();"):
        assert kept in code
    assert code.count("\n") == 1


def lines_with(pattern: str, paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        for number, line in enumerate(code_of(path.read_text()).splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name_of(path)}:{number}: {path.read_text().splitlines()[number - 1].strip()}")
    return found


def no_lines(found: list[str], cure: str) -> None:
    assert not found, cure + "\n  " + "\n  ".join(found)


# ---- rooms


def test_only_the_engine_calls_evcxr() -> None:
    others = [p for p in RUST if not inside(p, "kernel/src/engine", "kernel/src/main.rs")]
    no_lines(
        lines_with(r"(?<![\w:])evcxr(::|\s*;|\s+as\b)", others),
        "evcxr is called in kernel/src/engine alone; put a function there and call that:",
    )


def test_main_takes_only_the_runtime_hook_from_evcxr() -> None:
    main = ROOT / "kernel/src/main.rs"
    if not main.is_file():
        pytest.skip("no kernel/src/main.rs")
    found = [line for line in lines_with(r"(?<![\w:])evcxr::", [main]) if "runtime_hook" not in line]
    no_lines(found, "main.rs may call evcxr::runtime_hook and nothing else of evcxr:")


def test_only_the_engine_knows_rust_analyzer() -> None:
    others = [p for p in RUST if not inside(p, "kernel/src/engine")]
    no_lines(
        lines_with(r"(?<![\w:])ra_ap_\w+(::|\s*;)", others),
        "rust-analyzer's crates are called in kernel/src/engine alone:",
    )


def test_only_the_protocol_knows_zeromq() -> None:
    others = [p for p in RUST if not inside(p, "kernel/src/protocol", "kernel/src/doctor")]
    no_lines(
        lines_with(r"(?<![\w:])zmq(::|\s*;|\s+as\b)", others),
        "sockets belong to kernel/src/protocol; give it a message and let it send:",
    )


def test_prelude_knows_nothing_of_the_wire() -> None:
    prelude = [p for p in RUST if inside(p, "prelude")]
    no_lines(lines_with(r"(?<![\w:])(zmq|evcxr|jupyter_protocol)\s*(::|;)", prelude), "the prelude is for cells and knows no wire:")


# ---- files


@pytest.mark.parametrize("path", RUST, ids=[name_of(p) for p in RUST])
def test_rust_file_says_what_it_is(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert lines, f"{name_of(path)} is empty: write it or remove it"
    assert lines[0].startswith("//! ") and len(lines[0]) > 10, (
        f"{name_of(path)} begins with {lines[0]!r}: begin with a `//!` line that says what the file gives"
    )


@pytest.mark.parametrize("path", SOURCES, ids=[name_of(p) for p in SOURCES])
def test_source_file_is_not_too_long(path: Path) -> None:
    count = len(path.read_text().splitlines())
    assert count <= LONGEST, f"{name_of(path)} has {count} lines: split it where its first line needs an `and`"


def test_nothing_unfinished_is_left() -> None:
    no_lines(
        lines_with(r"\b(todo|unimplemented|dbg)!\s*[(\[{]", RUST),
        "finish it, return an error that says what is missing, or use the log:",
    )


def test_each_unsafe_block_has_its_reason() -> None:
    found = []
    for path in SOURCES:
        source = path.read_text().splitlines()
        for number, line in enumerate(code_of(path.read_text()).splitlines()):
            if not re.search(r"\bunsafe\s*\{|\bunsafe impl\b", line):
                continue
            above = source[max(0, number - 12) : number + 1]
            if not any("SAFETY:" in text for text in above):
                found.append(f"{name_of(path)}:{number + 1}: {source[number].strip()}")
    no_lines(found, "say above it, in a `// SAFETY:` comment, who guarantees what:")


# ---- notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[name_of(p) for p in NOTEBOOKS])
def test_notebook_shows_no_paths_of_the_machine(path: Path) -> None:
    found = []
    for number, cell in enumerate(json.loads(path.read_text())["cells"], 1):
        for text in re.findall(r"/(?:root|home)/[^\s\"'<]*", json.dumps(cell.get("outputs", []))):
            found.append(f"cell {number}: {text}")
    no_lines(found, f"{name_of(path)}: let the cell print a path relative to the notebook, then save it again:")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[name_of(p) for p in NOTEBOOKS])
def test_notebook_holds_no_error(path: Path) -> None:
    for number, cell in enumerate(json.loads(path.read_text())["cells"], 1):
        if "raises-exception" in cell.get("metadata", {}).get("tags", []):
            continue
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error", f"{name_of(path)} cell {number}: saved with {output['ename']}"


# ---- texts


@pytest.mark.parametrize("command", ["install.sh", "tests/run.sh"])
def test_readme_names_the_commands(command: str) -> None:
    readme = ROOT / "README.md"
    assert readme.is_file(), "README.md is missing"
    assert command in readme.read_text(), f"README.md does not name {command}"
    assert (ROOT / command).is_file(), f"{command} is missing"


def test_test_modules_say_what_they_ask() -> None:
    found = [
        name_of(path)
        for path in FILES
        if path.suffix == ".py" and inside(path, "tests") and not re.match(r'(#![^\n]*\n)?"""', path.read_text())
    ]
    no_lines(found, "begin the file with a docstring:")
