"""JupyterLab in a browser, as a user has it: a server, a page, a notebook on forkline.

Whatever is waited for is waited for by what the page shows, with a deadline. Names of the page's parts are those of
JupyterLab 4.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat

import harness

# A page of JupyterLab is large, and the first cell waits for the engine to warm up.
PAGE = 60_000
STEP = 30_000
# It is on this machine, whatever proxy there is to others.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# CSS pixels; a picture of it is readable in a README.
SIZE = {"width": 1200, "height": 760}


def find_browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def pictures() -> Path | None:
    """FORKLINE_PICTURES names a folder for pictures; without it none are kept."""
    folder = os.environ.get("FORKLINE_PICTURES")
    return Path(folder) if folder else None


class Server:
    """`jupyter lab` with settings, folders and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.root = folder / "notebooks"
        self.root.mkdir()
        settings = folder / "settings"
        news = settings / "@jupyterlab" / "apputils-extension"
        news.mkdir(parents=True)
        # Else a question about news lies over everything.
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (news / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        environment = os.environ | {
            "JUPYTERLAB_SETTINGS_DIR": str(settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "IPYTHONDIR": str(folder / "ipython"),
        }
        self.log = folder / "server.log"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0"]
        command += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}"]
        command += ["--ServerApp.ip=127.0.0.1", "--LabApp.extension_manager=readonly"]
        self.process = subprocess.Popen(
            command, env=environment, cwd=self.root, stdout=self.log.open("w"), stderr=subprocess.STDOUT
        )
        self.url = harness.eventually(self.address, 60, "JupyterLab answers")

    def address(self) -> str | None:
        """Where it says that it listens, as soon as it answers there."""
        if self.process.poll() is not None:
            raise AssertionError(f"JupyterLab has ended\n{self.tail()}")
        for file in (self.folder / "runtime").glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text())["url"]
                request = urllib.request.Request(f"{url}api/status", headers={"Authorization": f"token {self.token}"})
                DIRECT.open(request, timeout=5).close()
                return url
            except (OSError, ValueError):
                return None
        return None

    def tail(self) -> str:
        return self.log.read_text()[-4000:]

    def close(self) -> None:
        # Its kernels end with it.
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Notebook:
    """One notebook in a page of its own."""

    def __init__(self, server: Server, browser, name: str, cells: tuple[str, ...]) -> None:
        self.server = server
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
        book.metadata["kernelspec"] = {"name": harness.KERNEL_NAME, "display_name": "Rust (forkline)", "language": "rust"}
        nbformat.write(book, server.root / f"{name}.ipynb")
        self.page = browser.new_page(viewport=SIZE, device_scale_factor=1)
        self.page.set_default_timeout(STEP)
        # The mode with one document: no file browser beside it, so there is room.
        self.page.goto(f"{server.url}doc/tree/{name}.ipynb?token={server.token}", timeout=PAGE)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PAGE)
        # A cell that is run before the page knows its kernel is run by nobody.
        self.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle")).wait_for(timeout=PAGE)

    def close(self) -> None:
        self.page.close()

    def wait_idle(self, timeout: int = STEP) -> None:
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=timeout)

    # ---- cells

    def cell(self, number: int):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def edit(self, number: int) -> None:
        """Puts the cursor at the end of a cell."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")

    def run(self, number: int) -> None:
        """Starts a cell; does not wait for its end."""
        self.edit(number)
        self.page.keyboard.press("Control+Enter")

    def press_until(self, key: str, shown, tries: int = 5) -> None:
        """Presses a key whose answer is to be seen. JupyterLab drops one that comes while it still learns which cell is
        the active one, so it is pressed again."""
        for last in range(tries):
            self.page.keyboard.press(key)
            try:
                return shown.wait_for(timeout=3000)
            except Exception:
                if last + 1 == tries:
                    raise

    def prompt(self, number: int):
        return self.cell(number).locator(".jp-InputPrompt")

    def wait_ran(self, number: int, timeout: int = STEP) -> None:
        """Until the cell has its number."""
        self.page.wait_for_function(
            "number => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-Notebook .jp-Cell')[number]"
            ".querySelector('.jp-InputPrompt').textContent)",
            arg=number,
            timeout=timeout,
        )

    def run_to_end(self, number: int, timeout: int = PAGE) -> str:
        self.run(number)
        self.wait_ran(number, timeout)
        self.wait_idle()
        return self.text(number)

    def outputs(self, number: int):
        return self.cell(number).locator(".jp-OutputArea-output")

    def text(self, number: int) -> str:
        return "\n".join(self.outputs(number).all_inner_texts())

    def wait_text(self, number: int, text: str, timeout: int = STEP) -> None:
        self.outputs(number).filter(has_text=text).first.wait_for(timeout=timeout)

    def command(self, name: str) -> None:
        """Presses the button of a command, in the notebook's toolbar."""
        self.page.locator(f"[data-command='{name}']:visible").first.click()

    # ---- the debugger

    def turn_on(self) -> None:
        bug = self.page.locator(".jp-DebuggerBugButton")
        bug.click()
        self.page.wait_for_selector(".jp-DebuggerBugButton[aria-pressed=true]")

    def set_breakpoint(self, number: int, line: int) -> None:
        """A click beside a line, from 1."""
        cell = self.cell(number)
        numbers = cell.locator(".cm-lineNumbers .cm-gutterElement:visible")
        margin = cell.locator(".cm-gutter.cm-breakpoint-gutter")
        box = numbers.filter(has_text=re.compile(f"^{line}$")).first.bounding_box()
        gutter = margin.bounding_box()
        self.page.mouse.click(gutter["x"] + gutter["width"] / 2, box["y"] + box["height"] / 2)
        margin.locator(".cm-breakpoint-icon:visible").first.wait_for()

    def wait_stopped(self, number: int, line_text: str) -> None:
        """Until a cell stands at the line with this text."""
        line = self.cell(number).locator(".jp-DebuggerEditor-highlight").filter(has_text=line_text)
        line.wait_for()

    def frames(self) -> list[str]:
        return self.page.locator(".jp-DebuggerCallstackFrame").all_inner_texts()

    def debug(self, name: str) -> None:
        """One of the debugger's buttons: continue, next, stepIn, stepOut, terminate."""
        self.page.locator(f".jp-DebuggerSidebar [data-command='debugger:{name}']").click()

    # ---- pictures

    def picture(self, folder: Path | None, name: str) -> None:
        """Keeps what the page shows, with few colours: a PNG of some ten kilobytes."""
        if folder is None:
            return
        from PIL import Image
        import io

        folder.mkdir(parents=True, exist_ok=True)
        # Without the lower part, in which there is little.
        image = Image.open(io.BytesIO(self.page.screenshot(clip={"x": 0, "y": 0, "width": SIZE["width"], "height": 572})))
        image = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
        image.save(folder / f"{name}.png", optimize=True)

    def describe(self, name: str) -> str:
        file = self.server.folder / f"{re.sub(r'[^a-z0-9_]+', '-', name)}.png"
        self.page.screenshot(path=file)
        return f"{file}\n{self.page.locator('.jp-Notebook').inner_text()[-3000:]}\n{self.server.tail()}"
