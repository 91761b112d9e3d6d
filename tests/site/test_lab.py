"""`make lab` in a real browser: JupyterLab opens at the first notebook, all its cells run, a figure appears."""

import html
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_lib import paths
from course_lib.tools import authoring

TOKEN, START_S = "of-this-test-alone", 90
FIRST = authoring.sources()[0].stem


@pytest.fixture
def lab(tmp_path, browser):
    """Address that JupyterLab opens when it is started as `make lab` starts it, on a copy of the notebooks."""
    make = ["make", "--dry-run", "--silent", "-C", str(paths.repo_root()), "lab"]
    asked = subprocess.run(make, capture_output=True, text=True)
    command = re.search(r"jupyter lab (\S+)$", asked.stdout, re.M)
    assert command, asked.stdout + asked.stderr
    target = Path(command[1])
    (tmp_path / target.parent).mkdir()
    shutil.copy(paths.repo_root() / target, tmp_path / target)  # a browser saves what it has run
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "jupyterlab", str(target), "--no-browser", f"--ServerApp.port={port}",
             "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", "--allow-root"]  # fmt: skip
    own = {"JUPYTER_CONFIG_DIR": tmp_path / "config", "JUPYTER_DATA_DIR": tmp_path / "data",
           "JUPYTER_RUNTIME_DIR": tmp_path / "runtime", "JUPYTERLAB_SETTINGS_DIR": tmp_path / "settings",
           "JUPYTERLAB_WORKSPACES_DIR": tmp_path / "workspaces", "COURSE_OFFLINE": "1"}  # fmt: skip
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(
            words, cwd=tmp_path, stdout=log, stderr=log, env=os.environ | {k: str(v) for k, v in own.items()}
        )
    try:
        yield opened(server, tmp_path)
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


@pytest.mark.timeout(300)
def test_make_lab_opens_the_first_notebook_which_runs_and_shows_a_figure(lab, visit):
    assert re.search(rf"/lab/tree/\S*{FIRST}.ipynb\?", lab)
    page = visit(viewport={"width": 1200, "height": 1500}).page
    page.goto(lab)
    panel = page.locator(".jp-NotebookPanel:visible")
    panel.locator(".jp-Cell").first.wait_for(timeout=90_000)
    assert FIRST in page.locator(".lm-TabBar-tab.jp-mod-current:visible").first.inner_text()
    page.get_by_text(re.compile(r"ipykernel\) \| Idle")).first.wait_for(timeout=90_000)  # earlier, it asks for a kernel
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    last = panel.locator(".jp-CodeCell .jp-InputPrompt").last
    last.filter(has_text=re.compile(r"\[\d+\]:")).wait_for(state="attached", timeout=150_000)
    assert panel.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    figure = panel.locator(".jp-OutputArea-output img").first
    figure.scroll_into_view_if_needed()
    assert figure.evaluate("i => i.complete && i.naturalWidth") > 300
