"""The task queue's status page, in the notebook and in a browser of its own: what workers do is seen while they do it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

import harness
import lab

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks/ch06-distributed/03-task-queue.ipynb"
# The pack is built by whoever needs it first.
BUILD = 900_000

# A worker may be called anything, and the page shows what it is called.
EVIL = "<b id=evil onclick=alert(1)>worker</b>"

BEGIN = f"""let workers = app.start(1, 1)?;
let resting = app.delay(Work::Rest(600_000))?;
while app.entry(&resting)?.state != "active" {{ thread::sleep(Duration::from_millis(5)); }}
let second = processes::spawn(worker, (file.clone(), "{EVIL}".to_owned(), 1, Queue::new()))?;
let sum = app.delay(Work::Add(20, 22))?;
let failed = app.delay(Work::Flaky(9))?;
app.result(&sum, Duration::from_secs(30))?.unwrap();
app.result(&failed, Duration::from_secs(30))?.unwrap_err();
let later = app.call(Work::Add(1, 1), &Options {{ delay: Duration::from_secs(3600), ..Options::default() }})?;
let status = serve_status(&app)?;
let address = status.address().ok_or("no address")?;
let page = status_page(&app.counts()?, &app.workers()?, &app.last(8)?);
frame(address, &page)"""

MORE = "let more = app.delay(Work::Add(100, 23))?;\napp.result(&more, Duration::from_secs(30))?"

STOP = """%stop status page
frame(address, &page)"""

END = "second.kill();\nfor worker in &workers { worker.kill(); }\nstd::fs::remove_dir_all(&folder)?;"

pytestmark = pytest.mark.timeout(BUILD / 1000 + 300)


def definitions() -> str:
    """The cells of the notebook that define the application and its page, as one."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    first = next(number for number, cell in enumerate(cells) if "recipe" in cell.metadata.get("forkline", {}))
    (page,) = [cell.source for cell in cells if "fn status_page(" in cell.source]
    return "\n".join([*(cell.source for cell in cells[:first]), page])


@pytest.fixture(scope="module")
def notebook(open_notebook) -> lab.Notebook:
    # What is run stands first: the page shows a long cell in parts.
    held = open_notebook("status", MORE, BEGIN, STOP, END, definitions())
    held.run_to_end(4, BUILD)
    held.run_to_end(1, 120_000)
    yield held
    held.run_to_end(3)


def live(notebook: lab.Notebook):
    """The page within the notebook's page, as it comes from the job."""
    (frame,) = [frame for frame in notebook.page.frames if frame.parent_frame and frame.url.startswith("http://127.0.0.1:")]
    return frame


def rows(frame) -> list[list[str]]:
    """All rows of all tables, at one moment: it may be loaded again between two looks."""

    def read() -> list[list[str]]:
        try:
            return frame.locator("tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText))")
        except Exception:  # it was being loaded
            return []

    return harness.eventually(read, 20, "the page has its tables")


def test_the_page_is_shown_in_the_notebook_and_loads_itself_again(notebook: lab.Notebook, pictures: Path | None) -> None:
    area = notebook.outputs(1).locator("object")
    area.scroll_into_view_if_needed()
    frame = live(notebook)
    frame.get_by_text("Add(20, 22)").wait_for()
    notebook.picture(pictures, "status-page")
    shown = rows(frame)
    for row in [["active", "1"], ["done", "1"], ["failed", "1"], ["scheduled", "1"], ["worker-001"]]:
        assert row in shown, shown
    by_work = {row[1]: row[2:] for row in shown if len(row) == 6}
    assert by_work["Rest(600000)"] == ["active", "0", "worker-001", ""], by_work
    assert by_work["Add(20, 22)"] == ["done", "1", EVIL, "42"], by_work
    assert by_work["Flaky(9)"][0] == "failed" and by_work["Flaky(9)"][3] == "error: attempt 1 failed", by_work
    assert by_work["Add(1, 1)"][:1] == ["scheduled"], by_work
    # A name that is HTML is shown as it is, and is no element.
    assert [EVIL] in shown and frame.locator("#evil").count() == 0
    # A task that comes now is seen without anybody's doing.
    assert frame.get_by_text("Add(100, 23)").count() == 0
    assert "Ok(123)" in notebook.run_to_end(0)
    frame.get_by_text("Add(100, 23)").wait_for()
    assert ["done", "2"] in rows(frame)


def test_the_page_is_a_page_of_its_own_too(notebook: lab.Notebook, browser, tmp_path: Path) -> None:
    frame = live(notebook)
    page = browser.new_page(viewport=lab.SIZE)
    try:
        answer = page.goto(frame.url)
        assert answer.status == 200 and answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.title() == "Task queue"
        page.get_by_text("Add(20, 22)").wait_for()
        assert page.locator("table").count() == 3 and page.locator("#evil").count() == 0
        # Its style is in force: the policy allows that and no program.
        assert page.locator("table").first.evaluate("table => getComputedStyle(table).borderCollapse") == "collapse"
        # What one sees, for whoever looks for it.
        page.screenshot(path=tmp_path / "status-page.png")
    finally:
        page.close()


def test_when_the_server_is_gone_the_notebook_shows_how_it_was(notebook: lab.Notebook) -> None:
    notebook.run_to_end(2)
    assert "job status page: stopped" in notebook.text(2)
    snapshot = notebook.outputs(2).locator("object iframe")
    snapshot.scroll_into_view_if_needed()
    inside = notebook.page.frame_locator(".jp-Notebook .jp-Cell >> nth=2 >> object iframe")
    inside.get_by_text("Add(20, 22)").wait_for()
    assert inside.get_by_text("worker-001").count() >= 1 and inside.locator("#evil").count() == 0
