"""What notebooks call: figures with words, players that stay small, numbers that are judged."""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from PIL import Image

from course_lib.lesson import display


@pytest.fixture
def displayed(monkeypatch):
    """Everything handed to the notebook's display, as (mime bundle or object, metadata)."""
    seen = []
    monkeypatch.setattr(display, "display", lambda thing, raw=False, metadata=None: seen.append((thing, metadata)))
    return seen


def test_show_gives_picture_alt_and_caption_and_closes(displayed):
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    alt = "A straight line that rises from 0 to 1."
    display.show(fig, alt=alt)
    (bundle, metadata), (caption, _) = displayed
    assert metadata["image/png"]["alt"] == alt and alt in caption.data
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.width > 300
    assert not plt.fignum_exists(fig.number)


@pytest.mark.parametrize("words", ["", "A figure.", "the noise again"])
def test_words_that_say_nothing_are_refused(words):
    with pytest.raises(ValueError, match="at least six words"):
        display.show(None, alt=words)
    with pytest.raises(ValueError, match="at least four words"):
        display.play(np.zeros(9), 16_000, describe=words)


def sound_of(html):
    data = html.split("base64,")[1].split('"')[0]
    return soundfile.read(io.BytesIO(base64.b64decode(data)))


def test_play_keeps_level_cuts_and_escapes(displayed):
    x = 0.25 * np.sin(np.arange(5 * 44_100) / 10)
    display.play(x, 44_100, describe='a tone, "steady" & <long>')
    html = displayed[0][0].data
    assert "&quot;steady&quot; &amp; &lt;long&gt;" in html and "<long>" not in html
    y, rate = sound_of(html)
    assert rate == 16_000 and len(y) == 32_000
    assert np.abs(y[1000:-1000]).max() == pytest.approx(0.25, abs=0.01)
    assert len(html) < 100_000


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 9)), "one clip"),
        (np.array([]), "one clip"),
        (np.array([np.nan]), "finite"),
        (np.full(9, 1.5), "1.50"),
    ],
)
def test_play_refuses_what_cannot_be_heard(x, message):
    with pytest.raises(ValueError, match=message):
        display.play(x, 16_000, describe="nothing that can be heard")


def test_record_and_records_are_inverse(displayed):
    display.record("frames", np.int64(101), unit="frames", kind="exact")
    display.record("error", np.float32(0.5), kind="rel", rel=1e-3)
    display.record("device", "cpu", kind="info")
    display.record("accuracy", 93.5, unit="%", step=np.float32(0.25))
    display.record("spread", 0.5)
    cells = [{"outputs": [{"data": json.loads(json.dumps(bundle))}]} for bundle, _ in displayed]
    found = display.records({"cells": [*cells, {"outputs": [{"output_type": "stream"}]}, {}]})
    assert found["frames"] == {"name": "frames", "value": 101, "unit": "frames", "kind": "exact"}
    assert found["error"]["rel"] == 1e-3 and found["device"]["value"] == "cpu"
    assert found["accuracy"]["step"] == 0.25 and type(displayed[3][0][display.RECORD_MIME]["step"]) is float
    assert "step" not in found["error"] and "step" not in found["spread"]
    assert displayed[0][0]["text/plain"] == "frames = 101 frames"
    with pytest.raises(ValueError, match="'frames' is recorded twice"):
        display.records({"cells": cells + cells[:1]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": float("nan")},
        {"value": np.inf},
        {"value": [1, 2]},
        {"value": True},
        {"value": 1.0, "kind": "about"},
        {"value": 1.0, "kind": "rel"},
        {"value": 1.0, "kind": "band", "rel": 0.1},
        {"value": 1.0, "step": 0.0},
        {"value": 1.0, "step": np.inf},
        {"value": 1, "kind": "exact", "step": 1},
        {"value": 1.0, "kind": "rel", "rel": 0.1, "step": 0.5},
    ],
)
def test_record_refuses_what_cannot_be_judged(displayed, wrong):
    with pytest.raises(ValueError, match=r"record\('x'\)"):
        display.record("x", **wrong)


def test_seeding_is_repeatable():
    import torch

    first = display.seed_everything(3).random(), torch.rand(1).item()
    second = display.seed_everything(3).random(), torch.rand(1).item()
    assert first == second
    assert display.seed_everything(4).random() != first[0]
