"""A real browser, headless, that says what it fetched and what it complained about; skipped where there is none."""

import functools
import os
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LOCAL = re.compile(r"^(data:|blob:|file:|(https?|wss?)://(127\.0\.0\.1|localhost)[:/])")


@pytest.fixture(scope="module")
def browser():
    """Chromium of this machine; none is downloaded. `COURSE_CHROMIUM` names one that is not on the path."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: uv sync --group site installs it")
    found = os.environ.get("COURSE_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path (Debian: apt install chromium)")
    with playwright.sync_playwright() as p:
        own = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        chromium = p.chromium.launch(executable_path=found, args=["--disable-background-networking", *own])
        yield chromium
        chromium.close()


class Visit:
    """A page of the browser, with what it fetched from elsewhere and what it complained about.

    With `offline` it is given nothing from elsewhere and may ask for it, as pages of a run do.
    """

    def __init__(self, browser, offline=False, **options):
        self.context = browser.new_context(**options)
        self.offline, self.foreign, self.complaints = offline, [], []
        self.page = self.context.new_page()
        if offline:
            self.page.route(lambda url: not LOCAL.match(url), lambda route: route.abort())
        self.page.on("request", self._fetched)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _fetched(self, request):
        if not LOCAL.match(request.url) and not self.offline:
            self.foreign.append(request.url)

    def _said(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")


@pytest.fixture
def visit(browser):
    """`visit(...)` opens a fresh page; at the end, nothing came from another host."""
    visits = []

    def open_page(**options):
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()
    assert [url for each in visits for url in each.foreign] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def serve():
    """`serve(folder)` is its address on this machine, with a slash at the end."""
    servers = []

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
