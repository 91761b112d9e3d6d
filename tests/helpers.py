"""What tests of several folders use: a server of downloads, tiny sounds and notebooks, and patience."""

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import nbformat
import numpy as np
import psutil
import soundfile as sf

from course_lib.audio import windows
from course_lib.tools import authoring

PATIENCE_S = 280  # for a busy machine
FILES = {f"audio/{n}.wav": bytes([n]) * 2_000 for n in range(4)}  # of the data set `toy`

HEAD = """# %% [markdown]
# # A notebook for the tests of the runner

# %% tags=["parameters"]
profile: str = "smoke"  # how much
dataset: str = "synth10"  # on what
seed: int = 0  # of everything random

# %%
from course_lib.lesson.display import record
"""
RECORD = '\n# %%\nrecord("answer", 42, kind="exact")\n'

LINE = 88  # characters that a line of code has room for on the site and in JupyterLab, at 1,400 pixels
# What a browser says of a page: code that does not fit into its cell
OVERFLOWING = """kind => [...document.querySelectorAll(kind)].filter(
    e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 80))"""
LIVELY = """# %% [markdown]
# # Figures that respond

# %%
import matplotlib.pyplot as plt
import numpy as np

from course_lib.lesson.display import live, play_pair, record, scrub, show

# %% tags=["parameters"]
profile: str = "smoke"  # how much

# %%
x = 0.5 * np.sin(np.arange(8000) / 9)
# As long as a line may be, 88 characters:  abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQ


def draw(x, rate_hz, hop_ms):
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.plot(x[:400][:: int(hop_ms)])
    return fig


sounds = {"before": x, "after": -x}
play_pair(sounds, 16_000, describe="a tone, and the same upside down")
show(draw(x, 16_000, 1), alt="A sine of nearly eight periods, 400 samples long.")

# %% tags=["hide-input"]
# A slider over three hops
figures = {f"{hop_ms} ms": draw(x, 16_000, hop_ms) for hop_ms in (1, 20, 80)}
words = "A sine that loses its shape as the hop grows."
scrub(figures, label="hop", start="20 ms", alt=words, caption="A sine.")

# %%
live(draw, label="hop (ms)", values=[1, 20, 80], sound=x, rate_hz=16_000)

# %% tags=["record"]
record("answer", 42, kind="exact")
"""  # a notebook whose figures have a slider


def write_notebooks(folder, sources):
    """Notebooks in `folder` from percent-format texts by name; returns their paths."""
    paths = []
    for name, text in sources.items():
        path = folder / f"{name}.ipynb"
        nbformat.write(authoring.convert(text, name, solutions=True), path)
        paths.append(path)
    return paths


def zipped(files=FILES, top="toy-1.0/"):
    """Bytes of a zip that holds `files` below the folder `top`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as z:
        for name, data in files.items():
            z.writestr(top + name, data)
    return out.getvalue()


@contextmanager
def serving() -> Iterator[ThreadingHTTPServer]:
    """A server: `server.files[name]` is served, `server.short` cuts every answer, `server.asked` counts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            data = server.files.get(self.path[1:])
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write((data or b"")[: server.short])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.short, server.asked = {"toy.zip": zipped()}, None, 0
    server.url = f"http://127.0.0.1:{server.server_port}/toy.zip"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def sound(path, hz=440.0, length_s=0.2, rate_hz=8_000):
    """A tone in the file `path`, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * length_s)) / rate_hz), rate_hz)


def wait_for(found, seconds=PATIENCE_S):
    """What `found()` gives as soon as that is anything."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return result


def workers(process=None):
    """Processes that `process`, or this one, started to work for it."""
    children = psutil.Process(process).children()
    return [p for p in children if "multiprocessing.spawn" in " ".join(p.cmdline())]


def gone(process):
    """True for a process that has ended, whether or not somebody asked for its end."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def cut_windows(x, window, hop):
    """Starts and windows of the waveform `x`, cut from the whole: what a stream of blocks must give too."""
    starts = windows.window_starts(len(x), window, hop)
    padded = np.pad(x, (0, max(0, window - len(x))))
    return starts, np.stack([padded[start : start + window] for start in starts])
