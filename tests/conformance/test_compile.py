"""How cells are compiled: settings, the cell cache, and the same answers whichever way is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from harness import Client, plain

NOTEBOOK = [
    "use std::collections::BTreeMap;\nfn twice(x: u64) -> u64 { x * 2 }",
    "#[derive(Debug, Clone)]\nstruct Point { x: f64, y: f64 }",
    "let points: Vec<Point> = (0..3).map(|i| Point { x: i as f64, y: 0.5 }).collect();",
    "let mut counts = BTreeMap::from([(1, twice(4))]);",
    "counts.insert(2, 3);\nfor (key, value) in &counts { println!(\"{key} {value}\"); }",
    "(0..1000_u64).into_par_iter().map(twice).sum::<u64>()",
    "points[1].clone()",
    "let wrong: u8 = \"text\";",
    "while counts.len() < 2 { let wrong: u8 = \"text\"; }",
    "undefined + 1",
    "let moved = points; moved.len()",
    "points.len()",
    "\"12x\".parse::<u8>()?",
    "panic!(\"stop\")",
    "counts",
]


def answers(client: Client) -> list[tuple[str, str, str, str]]:
    """What a user sees of each cell."""
    seen = []
    for code in NOTEBOOK:
        result = client.execute(code, stop_on_error=False)
        error = plain(result.traceback) if result.errors else ""
        seen.append((code, result.stdout, result.text if result.ok else "", error))
    return seen


def test_rustc_called_directly_answers_as_cargo_does(start_kernel: Callable[..., Client]) -> None:
    direct = answers(start_kernel(env={"FORKLINE_CACHE_MIB": "0"}))
    through_cargo = answers(start_kernel(env={"FORKLINE_ONLY_CARGO": "1"}))
    assert direct == through_cargo
    kept = answers(start_kernel())
    assert kept == direct
    found = answers(start_kernel())
    assert found == direct


def test_a_failed_cell_after_a_dependency_leaves_the_next_ones_in_order(kernel: Client) -> None:
    # The first build with new dependencies goes through cargo; the look at its errors must not be taken for one.
    kernel.execute(':dep itoa = "1"\nlet wrong: u8 = "text";').expect_error("E0308")
    kernel.execute("let wrong = Nothing(1);").expect_error("E0425")
    # evcxr forgets the dependency of a cell that failed.
    kernel.run(':dep itoa = "1"')
    kernel.execute("let wrong = Nothing(1);").expect_error("E0425")
    assert kernel.run("itoa::Buffer::new().format(12).len()").text == "2"


def test_a_cell_of_an_earlier_session_is_found(start_kernel: Callable[..., Client]) -> None:
    def run_twice(client: Client) -> str:
        # A text that no other test has.
        client.run("let seldom = 40_961_234_u64;")
        client.run("seldom + 17")
        return client.run("%cache").stdout

    first = run_twice(start_kernel())
    second = run_twice(start_kernel())
    assert "found, 0 compiled" in second, (first, second)


def test_a_file_that_a_cell_includes_is_looked_at(start_kernel: Callable[..., Client], tmp_path: Path) -> None:
    data = tmp_path / "with space.txt"
    for text in ["one", "two"]:
        data.write_text(text)
        result = start_kernel().run(f'include_str!("{data}")')
        assert result.text == f'"{text}"'


def test_an_environment_variable_that_a_cell_reads_is_looked_at(start_kernel: Callable[..., Client]) -> None:
    for level in ["1", "2"]:
        client = start_kernel(env={"LEVEL_OF_TEST": level})
        assert client.run('env!("LEVEL_OF_TEST")').text == f'"{level}"'


# Other kernels add to it.
@pytest.mark.alone
def test_the_cache_can_be_cleared(start_kernel: Callable[..., Client]) -> None:
    client = start_kernel()
    client.run("let any = 1;")
    result = client.run("%cache clear")
    result.has("0 cells kept", result.stdout)


def test_cells_are_release_code(kernel: Client) -> None:
    assert kernel.run("cfg!(debug_assertions)").text == "false"
    result = kernel.run("std::hint::black_box(255_u8) + 1")
    assert result.text == "0"


def test_checks_for_one_cell(kernel: Client) -> None:
    result = kernel.execute("%%checks on\nstd::hint::black_box(255_u8) + 1").expect_error("Panic")
    result.has("attempt to add with overflow", result.traceback)
    result.has("line 2", result.traceback)
    assert kernel.run("std::hint::black_box(255_u8) + 1").text == "0"


def test_settings_for_the_session_are_shown(kernel: Client) -> None:
    kernel.run("%checks on")
    kernel.run("%opt 1")
    try:
        assert kernel.run("cfg!(debug_assertions)").text == "true"
        for magic in ["%opt", "%checks", "%whos"]:
            result = kernel.run(magic)
            result.has("optimisation level 1, overflow checks and debug assertions on", result.stdout)
    finally:
        kernel.run("%checks off\n:opt 3")
    result = kernel.run("%opt")
    result.has("optimisation level 3, overflow checks and debug assertions off", result.stdout)


@pytest.mark.parametrize("code", ["%opt 7", "%opt fast", "%checks maybe", "%cache what"])
def test_settings_that_do_not_exist_are_refused(kernel: Client, code: str) -> None:
    result = kernel.execute(code).expect_error("UsageError")
    for word in ["why:", "do:", code]:
        result.has(word, result.traceback)


def test_a_macro_may_use_a_variable_that_the_text_does_not_name(kernel: Client) -> None:
    kernel.run("let hidden_by_macro = 5;")
    kernel.run('#[allow(unused)] macro_rules! show_name { ($name:ident) => { println!("{}", $name) } }')
    assert kernel.run("show_name!(hidden_by_macro)").stdout == "5\n"


def test_columns_of_an_error_in_a_loop_are_the_cells(kernel: Client) -> None:
    code = 'let mut i = 0; while i < 3 { i += 1; let q: u32 = "text"; }'
    result = kernel.execute(code).expect_error("E0308")
    result.has(f"cell [{result.count}]:1:{code.index(chr(34)) + 1}", plain(result.traceback))


def test_loops_in_constants_compile(kernel: Client) -> None:
    kernel.run("const fn sum() -> u32 { let (mut i, mut s) = (0, 0); while i < 10 { s += i; i += 1; } s }")
    kernel.run("const SUM: u32 = { let mut i = 0; while i < 5 { i += 1; } i + sum() };")
    assert kernel.run("SUM").text == "50"


def test_a_function_with_an_exported_name_can_be_defined_anew(kernel: Client) -> None:
    for number in [1, 2]:
        kernel.run(f'#[unsafe(no_mangle)] pub extern "C" fn forkline_test_exported() -> i32 {{ {number} }}')
        assert kernel.run("forkline_test_exported()").text == str(number)
