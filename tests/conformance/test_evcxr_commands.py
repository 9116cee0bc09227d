"""The commands of evcxr, which its users type without thinking."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Client, Result


def test_vars_lists_variables_and_types(kernel: Client) -> None:
    kernel.run("let listed_here: u16 = 5;")
    result = kernel.run(":vars")
    result.has("listed_here", result.shown)
    result.has("u16", result.shown)


def test_help_lists_the_commands(kernel: Client) -> None:
    result = kernel.run(":help")
    for name in (":dep", ":vars", ":clear"):
        result.has(name, result.shown)


def test_version_is_shown(kernel: Client) -> None:
    result = kernel.run(":version")
    result.matches(r"\d+\.\d+\.\d+", result.shown)


def test_opt_sets_the_optimisation_level(kernel: Client) -> None:
    result = kernel.run(":opt 2")
    result.has("2", result.shown)
    after = kernel.run("6 * 7")
    after.equal(after.text, "42")
    kernel.run(":opt 3")


def test_efmt_sets_how_errors_are_shown(kernel: Client) -> None:
    kernel.run(":efmt {:?}")
    result = kernel.execute('"abc".parse::<i32>()?;').expect_error()
    result.has("ParseIntError", result.evalue + result.traceback, "the error by Debug")
    kernel.run(":efmt {}")
    result = kernel.execute('"abc".parse::<i32>()?;').expect_error()
    result.has("invalid digit found in string", result.evalue, "the error by Display")
    result.lacks("ParseIntError", result.evalue, "the error by Display")


def test_type_shows_a_variables_type(kernel: Client) -> None:
    kernel.run("let typed = vec![Some(1u8)];")
    result = kernel.run(":type typed")
    result.has("Vec<Option<u8>>", result.shown.replace("std::option::", "").replace("core::option::", ""))


def test_last_compile_dir_is_a_folder(kernel: Client) -> None:
    kernel.run("1")
    result = kernel.run(":last_compile_dir")
    paths = [Path(word) for word in result.shown.split() if word.startswith("/")]
    assert paths and paths[0].exists(), result.story("no such folder")


def test_clear_forgets_everything(kernel: Client) -> None:
    kernel.run("let cleared = 1; pub fn cleared_too() {}")
    kernel.run(":clear")
    kernel.execute("cleared").expect_error()
    kernel.execute("cleared_too()").expect_error()
    result = kernel.run("6 * 7")
    result.equal(result.text, "42")


def test_prelude_is_there_after_clear(kernel: Client) -> None:
    kernel.run(":clear")
    result = kernel.run('display(&Html::new("<b>x</b>"));')
    result.equal(len(result.displays), 1, "number of displays")


def test_unknown_command_is_an_error(kernel: Client) -> None:
    result = kernel.execute(":no_such_command").expect_error()
    result.has(":no_such_command", result.evalue + result.traceback, "the error")


def test_command_and_code_share_a_cell(kernel: Client) -> None:
    result = kernel.run(":efmt {}\nlet shared = 41;\nshared + 1")
    result.equal(result.text, "42")


def test_compile_error_below_a_command_has_its_line(kernel: Client) -> None:
    result = kernel.execute(':efmt {}\n\nlet n: i32 = "text";').expect_error("E0308")
    result.matches(r'^\D*3\s*[|│]\s*let n: i32 = "text";', result.traceback, "the line number")


# ---- dependencies


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    folder = tmp_path / "neighbour"
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text('[package]\nname = "neighbour"\nversion = "0.1.0"\nedition = "2024"\n')
    (folder / "src/lib.rs").write_text("/// Adds one.\npub fn next(n: u32) -> u32 {\n    n + 1\n}\n")
    return folder


def no_registry(result: Result) -> bool:
    words = ("failed to download", "failed to fetch", "failed to query", "Could not resolve", "spurious network", "offline")
    return any(word in result.shown for word in words)


def test_dependency_in_a_folder_can_be_used(kernel: Client, crate: Path) -> None:
    result = kernel.run(f':dep neighbour = {{ path = "{crate}" }}\nneighbour::next(41)', timeout=90)
    result.equal(result.text, "42")
    after = kernel.run("use neighbour::next;\nnext(1)")
    after.equal(after.text, "2")


def test_dependency_keeps_variables(kernel: Client, crate: Path) -> None:
    renamed = crate.with_name("second_neighbour")
    crate.rename(renamed)
    manifest = renamed / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("neighbour", "second_neighbour"))
    kernel.run("let before_dep = 40u32;")
    result = kernel.run(f':dep second_neighbour = {{ path = "{renamed}" }}\nsecond_neighbour::next(before_dep) + 1', timeout=90)
    result.equal(result.text, "42")


@pytest.mark.network
def test_dependency_of_the_registry_can_be_used(kernel: Client) -> None:
    result = kernel.execute(':dep itoa = "1"\nitoa::Buffer::new().format(42u8).to_string()', timeout=100)
    if not result.ok and no_registry(result):
        pytest.skip("needs a crate registry")
    result.expect_ok()
    result.equal(result.text, '"42"')


def test_missing_dependency_is_an_error_and_is_forgotten(kernel: Client, tmp_path: Path) -> None:
    missing = tmp_path / "no_such_folder"
    result = kernel.execute(f':dep absent_neighbour = {{ path = "{missing}" }}\n1', timeout=90).expect_error()
    result.has("no_such_folder", result.evalue + result.traceback, "the error")
    after = kernel.run("6 * 7")
    after.equal(after.text, "42")


def test_dependency_that_does_not_compile_is_an_error(kernel: Client, crate: Path) -> None:
    renamed = crate.with_name("broken_neighbour")
    crate.rename(renamed)
    (renamed / "Cargo.toml").write_text((renamed / "Cargo.toml").read_text().replace("neighbour", "broken_neighbour"))
    (renamed / "src/lib.rs").write_text('pub fn next() -> u32 { "not a number" }\n')
    result = kernel.execute(f':dep broken_neighbour = {{ path = "{renamed}" }}\n1', timeout=90).expect_error()
    result.has("mismatched types", result.evalue + result.traceback, "the error")
    after = kernel.run("6 * 7")
    after.equal(after.text, "42")
