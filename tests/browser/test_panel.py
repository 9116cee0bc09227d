"""The debugger as JupyterLab shows it: the bug, the margin, the panel on the right."""

from __future__ import annotations

from pathlib import Path

import pytest

import dap
import lab

MEAN = """fn mean(readings: &[f64], name: &str) -> f64 {
    let mut sum = 0.0;
    for reading in readings {
        sum += reading;
    }
    println!("{name}: {} readings", readings.len());
    sum / readings.len() as f64
}

let count: i32 = 4;
let place = String::from("harbour");
let readings: Vec<f64> = (1..=count).map(|n| 1.5 * n as f64).collect();
let average = mean(&readings, &place);
println!("{average:.2}");"""

pytestmark = pytest.mark.skipif(dap.find_adapter() is None, reason="no lldb-dap 18.1 or newer (apt-get install lldb-19)")


@pytest.fixture(scope="module")
def notebook(open_notebook) -> lab.Notebook:
    held = open_notebook("debugging", MEAN)
    held.run_to_end(0)
    held.turn_on()
    return held


def test_a_click_in_the_margin_stops_the_cell_and_the_panel_shows_where(
    notebook: lab.Notebook, pictures: Path | None
) -> None:
    page = notebook.page
    notebook.set_breakpoint(0, 13)
    notebook.run(0)
    notebook.wait_stopped(0, "let average")
    page.locator(".jp-DebuggerCallstackFrame").first.wait_for()
    frames = notebook.frames()
    assert frames[0].startswith("cell ["), frames
    panel = page.locator(".jp-DebuggerVariables")
    for text in ("i32 = 4", 'String = "harbour"', "Vec<f64>, 4 elements"):
        panel.get_by_text(text).wait_for()
    notebook.picture(pictures, "debugger-stopped")


def test_steps_and_continue(notebook: lab.Notebook, pictures: Path | None) -> None:
    notebook.debug("stepIn")
    notebook.wait_stopped(0, "let mut sum")
    notebook.page.locator(".jp-DebuggerCallstackFrame").filter(has_text="mean").first.wait_for()
    notebook.debug("next")
    notebook.wait_stopped(0, "for reading in")
    notebook.debug("next")
    notebook.wait_stopped(0, "sum += reading")
    panel = notebook.page.locator(".jp-DebuggerVariables")
    # A reference shows what it leads to.
    panel.get_by_text("*f64 = 1.5").wait_for()
    notebook.picture(pictures, "debugger-step")
    notebook.debug("continue")
    notebook.wait_text(0, "3.75")
    notebook.wait_idle()
    assert "harbour: 4 readings" in notebook.text(0)


def test_turned_off_the_cell_runs_through(notebook: lab.Notebook) -> None:
    notebook.page.locator(".jp-DebuggerBugButton").click()
    notebook.page.wait_for_selector(".jp-DebuggerBugButton[aria-pressed=false]")
    assert "3.75" in notebook.run_to_end(0)
