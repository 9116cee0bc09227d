"""What a user sees and does in a notebook: outputs in their forms, completion, help, errors, progress, the interrupt."""

from __future__ import annotations

import re

import pytest

import lab

SQUARES = "let squares: Vec<u64> = (1..=5u64).map(|n| n * n).collect();\nsquares"
PLOT = """plot::line("Speedup", ("threads", ""), ("times as fast", ""))
    .series("measured", (1..=8).map(|n| (n, 1.0 / (0.1 + 0.9 / n as f64))))
    .dashed("ideal", (1..=8).map(|n| (n, n as f64)))"""
FAILS = 'let count: i32 = "many";'
PANICS = "fn third(v: &[u8]) -> u8 {\n    v[2]\n}\nthird(&[1, 2])"
PROGRESS = """for _ in progress(0..60) {
    std::thread::sleep(std::time::Duration::from_millis(20));
}"""
ENDLESS = "println!(\"begun\");\nloop {\n    std::hint::black_box(0);\n}"


@pytest.fixture(scope="module")
def notebook(open_notebook) -> lab.Notebook:
    held = open_notebook("outputs", SQUARES, PLOT, FAILS, PANICS, PROGRESS, ENDLESS, "squ", "")
    held.run_to_end(0)
    return held


def test_a_cell_shows_its_value(notebook: lab.Notebook) -> None:
    assert "[1, 4, 9, 16, 25]" in notebook.text(0)
    assert re.search(r"\[\d+\]", notebook.prompt(0).inner_text())


def test_a_plot_is_a_picture(notebook: lab.Notebook) -> None:
    notebook.run_to_end(1)
    picture = notebook.outputs(1).locator("svg, img").first
    box = picture.bounding_box()
    assert box and box["width"] > 200 and box["height"] > 100


def test_a_compile_error_is_coloured_and_points_at_the_place(notebook: lab.Notebook) -> None:
    text = notebook.run_to_end(2)
    assert "mismatched types" in text and "E0308" in text
    assert notebook.outputs(2).locator("[class*=ansi-]").count() >= 3


def test_a_panic_names_the_line_of_the_cell(notebook: lab.Notebook) -> None:
    text = notebook.run_to_end(3)
    assert "index out of bounds" in text and "line 2" in text and "v[2]" in text
    assert notebook.outputs(3).locator("[class*=ansi-]").count() >= 1


def test_progress_is_one_line_that_changes(notebook: lab.Notebook) -> None:
    notebook.run(4)
    notebook.wait_text(4, "/60")
    seen = set()
    while len(seen) < 3:
        seen.add(notebook.text(4))
    notebook.wait_ran(4)
    notebook.wait_idle()
    assert notebook.outputs(4).count() == 1
    assert notebook.text(4).count("60/60") == 1


def test_the_interrupt_button_ends_a_cell(notebook: lab.Notebook) -> None:
    notebook.run(5)
    notebook.wait_text(5, "begun")
    notebook.command("notebook:interrupt-kernel")
    notebook.wait_text(5, "Interrupted")
    notebook.wait_idle()
    assert "[1, 4, 9, 16, 25]" in notebook.run_to_end(0)


def test_tab_completes(notebook: lab.Notebook) -> None:
    notebook.edit(6)
    notebook.page.keyboard.type("ares.it")
    items = notebook.page.locator(".jp-Completer:visible .jp-Completer-item")
    notebook.press_until("Tab", items.first)
    names = [item.get_attribute("data-value") for item in items.all()]
    assert names[:2] == ["iter", "iter_mut"]
    notebook.page.keyboard.press("Enter")
    notebook.page.wait_for_selector(".jp-Completer", state="hidden")
    assert notebook.cell(6).locator(".cm-content").inner_text() == "squares.iter"


def test_shift_tab_explains(notebook: lab.Notebook) -> None:
    notebook.edit(7)
    notebook.page.keyboard.type("String::from_utf8")
    tooltip = notebook.page.locator(".jp-Tooltip")
    notebook.press_until("Shift+Tab", tooltip)
    text = tooltip.inner_text()
    assert "from_utf8" in text and "UTF-8" in text
    notebook.page.keyboard.press("Escape")
    tooltip.wait_for(state="hidden")
