"""The live twin of a figure: it takes the learner's sound, and a bad one leaves the picture as it was."""

from datetime import datetime

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile as sf

from course_lib.lesson import live

RATE_HZ = 16_000
TONE = 0.5 * np.sin(np.arange(RATE_HZ) / 5).astype(np.float32)


@pytest.fixture
def panel():
    drawn = []

    def draw(x, rate_hz, value):
        if value == 8 and len(x) < 8000:
            raise ValueError("the sound is shorter than the window\nand more")
        drawn.append((x, rate_hz, value))
        fig, ax = plt.subplots(figsize=(2, 1))
        ax.plot(x[: int(value)])
        return fig

    box = live._panel(draw, "window (ms)", [2, 4, 8], TONE, RATE_HZ)
    slider, (path, upload), line, picture = box.children[0], box.children[1].children, *box.children[2:]
    yield type("Panel", (), {"slider": slider, "path": path, "upload": upload, "line": line, "picture": picture,
                             "drawn": drawn})  # fmt: skip
    plt.close("all")


def test_it_begins_with_the_given_sound_and_follows_the_slider(panel):
    assert panel.drawn[-1][1:] == (RATE_HZ, 4) and panel.picture.value.startswith("<figure><img alt=")
    before = panel.picture.value
    panel.slider.value = 8
    assert panel.drawn[-1][2] == 8 and panel.picture.value != before


def test_it_takes_a_long_stereo_sound_at_96_khz(panel, tmp_path):
    sf.write(tmp_path / "mine.wav", np.random.default_rng(0).uniform(-0.1, 0.1, (96_000 * 7, 2)), 96_000)
    panel.path.value = str(tmp_path / "mine.wav")
    x, rate_hz, _ = panel.drawn[-1]
    assert rate_hz == RATE_HZ and x.shape == (5 * RATE_HZ,) and panel.line.value == "Shown: mine.wav"
    panel.slider.value = 2
    assert len(panel.drawn[-1][0]) == 5 * RATE_HZ, "the slider went back to the course's sound"


def test_it_takes_an_upload(panel, tmp_path):
    sf.write(tmp_path / "mine.wav", 0.1 * TONE, RATE_HZ)
    content = memoryview((tmp_path / "mine.wav").read_bytes())
    panel.upload.value = ({"name": "mine.wav", "type": "", "size": len(content), "content": content,
                           "last_modified": datetime.now()},)  # fmt: skip
    assert panel.line.value == "Shown: mine.wav" and np.abs(panel.drawn[-1][0]).max() == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize(
    ("x", "words"),
    [(np.zeros(RATE_HZ), "is silent"), (TONE[:1600], "lasts 100 ms; a sound needs at least 0.2 s"),
     (None, "no such file"), (b"no sound at all", "cannot be read as audio"),
     (TONE[:5000], "mine.wav cannot be drawn: the sound is shorter than the window")],
)  # fmt: skip
def test_a_bad_sound_is_one_line_and_the_picture_stays(panel, tmp_path, x, words):
    file = tmp_path / "mine.wav"
    if isinstance(x, bytes):
        file.write_bytes(x)
    elif x is not None:
        sf.write(file, x, RATE_HZ)
    panel.slider.value = 8
    before, count = panel.picture.value, len(panel.drawn)
    panel.path.value = str(file)
    assert words in panel.line.value and "\n" not in panel.line.value
    assert panel.picture.value == before and len(panel.drawn) == count
    panel.slider.value = 4
    assert np.array_equal(panel.drawn[-1][0], TONE), "the sound before it stays"


def test_an_executed_notebook_shows_only_a_line(monkeypatch):
    seen = []
    monkeypatch.setattr(live, "display", lambda thing, raw=False: seen.append(thing))
    monkeypatch.setenv(live.EXECUTED, "somewhere")
    live.live(None, label="x", values=[1], sound=TONE, rate_hz=RATE_HZ)
    assert "live kernel" in seen[0].data
    monkeypatch.delenv(live.EXECUTED)
    live.live(lambda *_: plt.figure(), label="x", values=[1], sound=TONE, rate_hz=RATE_HZ)
    assert "application/vnd.jupyter.widget-view+json" in seen[1] and "live kernel" in seen[1]["text/plain"]
