"""The gallery of notebook 00: a card for each sound, described, escaped and small."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from course_lib.lesson import gallery as gallery_module
from course_lib.lesson.gallery import gallery

RATE_HZ = 16_000
TICK = np.zeros(24_000)
TICK[8_000] = 0.8
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / RATE_HZ)


@pytest.fixture
def page(monkeypatch):
    """HTML of what `gallery` displays."""
    shown = []
    monkeypatch.setattr(gallery_module, "display", lambda output: shown.append(output.data))

    def made(sounds):
        gallery(sounds, RATE_HZ)
        return shown.pop()

    return made


def test_every_sound_has_a_picture_a_name_and_a_player_in_words(page):
    html = page({"clock_tick": TICK, "a <b> & c": TONE})
    assert html.count("<img ") == html.count("<audio ") == html.count("<figcaption>") == 2
    assert "<figcaption>clock tick</figcaption>" in html and "<b>" not in html
    assert all(len(alt.split()) >= 6 for alt in re.findall(r'alt="([^"]*)"', html))
    assert all(len(label.split()) >= 4 for label in re.findall(r'aria-label="([^"]*)"', html))


def test_the_player_holds_the_sound_and_ten_fit_into_a_notebook(page):
    html = page({"tone": TONE})
    (encoded,) = re.findall(r"data:audio/mpeg;base64,([^\"]+)", html)
    x, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(encoded)))
    spectrum = np.abs(np.fft.rfft(x))
    assert rate_hz == RATE_HZ and np.fft.rfftfreq(len(x), 1 / RATE_HZ)[spectrum.argmax()] == pytest.approx(440, abs=2)
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 24_000)  # the hardest to compress
    assert len(page({"noise": noise})) < 40_000


@pytest.mark.parametrize("x", [np.zeros(8_000), np.zeros(20), TICK[:300]])
def test_silent_and_very_short_sounds_have_cards_too(page, x):
    assert page({"x": x}).count("<img ") == 1


@pytest.mark.parametrize(
    "sounds", [{}, {"x": np.zeros((2, 10))}, {"x": np.zeros(0)}, {"x": np.array([0.0, np.nan])}, {"x": 3 * TONE}]
)
def test_what_is_no_sound_is_refused(sounds):
    with pytest.raises(ValueError, match="gallery: "):
        gallery(sounds, RATE_HZ)
