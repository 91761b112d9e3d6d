"""`make lab` in a real browser: JupyterLab opens a copy of the first notebook, all its cells run, figures respond."""

import html
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import nbformat
import pytest
from helpers import LIVELY, OVERFLOWING, sound
from rich.console import Console

from course_lib import paths
from course_lib.tools import authoring, workspace

TOKEN, START_S = "of-this-test-alone", 90
ROOT = ("--ServerApp.root_dir=.",)  # links lead from the copies to the quizzes
FIRST = authoring.sources()[0].stem


@pytest.fixture
def copies(tmp_path):
    """The learner's copies, as `make lab` makes them, in a place of this test's own."""
    make = ["make", "--dry-run", "--silent", "-C", str(paths.repo_root()), "lab", "ARGS="]  # not those of the tests
    asked = subprocess.run(make, capture_output=True, text=True)
    assert re.search(rf"course work *\n.*jupyter lab {' '.join(ROOT)} work/{FIRST}.ipynb$", asked.stdout, re.M)
    workspace.prepare(tmp_path / "work", [], Console(quiet=True))
    return tmp_path / "work"


@contextmanager
def lab(folder, notebook):
    """Address that JupyterLab opens when it is started in `folder` as `make lab` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "jupyterlab", *ROOT, str(notebook.relative_to(folder)), "--no-browser",
             f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
             f"--IdentityProvider.token={TOKEN}", "--allow-root"]  # fmt: skip
    own = {"JUPYTER_CONFIG_DIR": folder / "config", "JUPYTER_DATA_DIR": folder / "data",
           "JUPYTER_RUNTIME_DIR": folder / "runtime", "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
           "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces", "COURSE_OFFLINE": "1"}  # fmt: skip
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            words, cwd=folder, stdout=log, stderr=log, env=os.environ | {k: str(v) for k, v in own.items()}
        )
    try:
        yield opened(server, folder)
    finally:
        server.send_signal(signal.SIGTERM)  # ends its kernels too
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def opened(server, folder):
    """Address of the notebook, from the file that the server hands to a browser."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        for page in (folder / "runtime").glob("jpserver-file-to-run-*-open.html"):
            found = re.search(r'href="(http\S+)"', page.read_text(encoding="utf-8"))
            if found and "is running at" in (folder / "lab.log").read_text(encoding="utf-8"):
                return html.unescape(found[1])
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start: {(folder / 'lab.log').read_text(encoding='utf-8')[-1500:]}")


def run_all(page, address):
    """The notebook's panel, after every cell has run."""
    page.goto(address)
    panel = page.locator(".jp-NotebookPanel:visible")
    panel.locator(".jp-Cell").first.wait_for(timeout=90_000)
    page.get_by_text(re.compile(r"ipykernel\) \| Idle")).first.wait_for(timeout=90_000)  # earlier, it asks for a kernel
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    last = panel.locator(".jp-CodeCell .jp-InputPrompt").last
    last.filter(has_text=re.compile(r"\[\d+\]:")).wait_for(state="attached", timeout=150_000)
    return panel


@pytest.mark.timeout(300)
def test_make_lab_opens_the_first_notebook_which_runs_and_shows_a_figure(copies, visit):
    with lab(copies.parent, copies / f"{FIRST}.ipynb") as address:
        assert re.search(rf"/lab/tree/work/{FIRST}.ipynb\?", address)
        page = visit(viewport={"width": 1200, "height": 1500}).page
        panel = run_all(page, address)
        assert FIRST in page.locator(".lm-TabBar-tab.jp-mod-current:visible").first.inner_text()
        assert panel.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
        figure = panel.locator(".jp-OutputArea-output figure img").first
        figure.scroll_into_view_if_needed()
        assert figure.evaluate("i => i.complete && i.naturalWidth") > 300


@pytest.mark.timeout(300)
def test_figures_respond_to_keys_and_to_a_sound_of_ones_own(tmp_path, visit):
    nbformat.write(authoring.convert(LIVELY, "00_lively", solutions=False), tmp_path / "00_lively.ipynb")
    sound(tmp_path / "mine.wav", rate_hz=96_000)
    sound(tmp_path / "short.wav", length_s=0.05)
    with lab(tmp_path, tmp_path / "00_lively.ipynb") as address:
        page = visit(viewport={"width": 1400, "height": 1600}).page
        cells = run_all(page, address).locator(".jp-CodeCell")
        shown = [cells.nth(k).locator(".jp-InputArea-editor:visible").count() for k in range(5)]
        assert shown == [1, 1, 1, 0, 1], "the cell that only draws is not folded, or others are"
        assert page.evaluate(OVERFLOWING, ".jp-CodeCell .cm-scroller") == []
        drawn, own_sound = cells.nth(3), cells.nth(4)

        slider, picture = drawn.locator("input[type=range]"), drawn.locator("figure img:visible")
        slider.focus()
        seen = [picture.get_attribute("src")]
        for key, value in (("ArrowRight", "80 ms"), ("ArrowDown", "20 ms"), ("Home", "1 ms")):
            page.keyboard.press(key)  # JupyterLab has other uses for these
            assert slider.get_attribute("aria-valuetext") == value
            assert drawn.locator(".scrub-value").inner_text() == value
            seen.append(picture.get_attribute("src"))
        assert seen[0] == seen[2] and len(set(seen)) == 3 and picture.count() == 1

        field, picture = own_sound.locator("input[type=text]"), own_sound.locator("figure img")
        picture.wait_for(timeout=30_000)
        first = picture.get_attribute("src")
        field.fill(str(tmp_path / "mine.wav"))
        field.press("Enter")
        own_sound.get_by_text("Shown: mine.wav").wait_for(timeout=30_000)
        own = picture.get_attribute("src")
        assert own != first
        field.fill(str(tmp_path / "short.wav"))
        field.press("Enter")
        own_sound.get_by_text("short.wav: lasts 50 ms").wait_for(timeout=30_000)
        assert picture.get_attribute("src") == own
