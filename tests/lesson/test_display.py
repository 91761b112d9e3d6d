"""What notebooks call: figures with words, players that stay small, numbers that are judged."""

import base64
import io
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from PIL import Image

from course_lib.errors import UsageError
from course_lib.lesson import display, expected, pictures


@pytest.fixture
def displayed(monkeypatch):
    """Everything handed to the notebook's display, as (mime bundle or object, metadata)."""
    seen = []
    monkeypatch.setattr(display, "display", lambda thing, raw=False, metadata=None: seen.append((thing, metadata)))
    return seen


def line(size=(4, 3), slope=1):
    fig, ax = plt.subplots(figsize=size)
    ax.plot([0, slope])
    return fig


def test_show_gives_a_picture_whose_words_are_in_the_attribute_alone(displayed):
    fig = line()
    alt = 'A straight line that rises from 0 to 1, "slowly" & <surely>.'
    display.show(fig, alt=alt, caption="A line & its slope.")
    ((bundle, _),) = displayed
    found = pictures.figure_in({"data": {"text/html": bundle["text/html"].splitlines(keepends=True)}})
    assert (found.alt, found.caption) == (alt, "A line & its slope.")
    assert Image.open(io.BytesIO(base64.b64decode(found.png))).width > 300
    text = re.sub(r"<[^>]*>", "", bundle["text/html"])
    assert text == "A line &amp; its slope." and bundle["text/plain"] == alt
    assert not plt.fignum_exists(fig.number)


def test_a_figure_needs_no_caption(displayed):
    display.show(line(), alt="A straight line that rises from 0 to 1.")
    page = displayed[0][0]["text/html"]
    assert "figcaption" not in page and pictures.figure_in({"data": {"text/html": page}}).caption == ""
    assert pictures.figure_in({"data": {"text/html": "<table></table>"}}) is None
    assert pictures.figure_in({"output_type": "stream", "name": "stdout", "text": "1"}) is None


ALT = "Lines that rise more steeply the further the slider goes."


def test_scrub_holds_every_picture_and_shows_the_start(displayed):
    figures = {f"slope {k}": line(slope=k) for k in (1, 2, 4)}
    display.scrub(figures, label="slope", start="slope 2", alt=ALT, caption="Three lines.")
    page = displayed[0][0]["text/html"]
    tags = re.findall(r"<img [^>]*>", page)
    assert [re.search('data-name="([^"]*)"', tag)[1] for tag in tags] == list(figures)
    assert ["display:none" in tag and "this.closest" not in tag for tag in tags] == [True, False, True]
    assert all(ALT in tag for tag in tags) and 'value="1"' in page and 'max="2"' in page
    for tag in tags:
        assert Image.open(io.BytesIO(base64.b64decode(tag.split("base64,")[1].rstrip('">')))).size == (400, 300)
    assert not any(plt.fignum_exists(fig.number) for fig in figures.values())


def noise(seed):
    fig = plt.figure(figsize=(3, 1.5))
    fig.add_axes((0, 0, 1, 1)).imshow(np.random.default_rng(seed).random((150, 300)), cmap="magma", aspect="auto")
    return fig


def test_scrub_gives_up_detail_before_it_gives_up(displayed):
    display.scrub({str(k): noise(k) for k in range(4)}, label="seed", start="0", alt=ALT)
    assert 100_000 < len(displayed[0][0]["text/html"]) <= pictures.LARGEST_SCRUB
    with pytest.raises(ValueError, match=r"12 pictures take \d+ kB, at most 200 kB fit"):
        display.scrub({str(k): noise(k) for k in range(12)}, label="seed", start="0", alt=ALT)


def test_scrub_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match="at least six words"):
        display.scrub({"a": None}, label="x", start="a", alt="Some lines.")
    with pytest.raises(ValueError, match="start='b': no figure of that name; there are a"):
        display.scrub({"a": line()}, label="x", start="b", alt=ALT)
    with pytest.raises(ValueError, match="differ in size"):
        display.scrub({"a": line(), "b": line((5, 3))}, label="x", start="a", alt=ALT)


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


def test_a_pair_is_one_figure_with_a_player_each(displayed):
    x = 0.5 * np.sin(np.arange(16_000) / 10)
    display.play_pair({"before": x, "after <b>": -x}, 16_000, describe="the same tone, upside down")
    ((shown, _),) = displayed
    assert shown.data.count("<figure>") == 1 and shown.data.count("<audio ") == 2
    assert 'aria-label="after &lt;b&gt;: the same tone, upside down"' in shown.data and "<b>" not in shown.data
    with pytest.raises(ValueError, match="at least two sounds, got 1"):
        display.play_pair({"before": x}, 16_000, describe="one tone and nothing beside it")
    with pytest.raises(ValueError, match=r"1\.50"):
        display.play_pair({"before": x, "after": 3 * x}, 16_000, describe="one tone, then a louder one")


@pytest.mark.parametrize(
    ("prediction", "value", "within", "sentence"),
    [
        (..., 101, 0.0, "No prediction entered. It is 101 frames."),
        (98, 101, 0.0, "You predicted 98; it is 101 frames."),
        (98, 101, 0.1, "You predicted 98, and that is right: it is 101 frames."),
        (np.int64(101), 101, 0.0, "You predicted 101, and that is right: it is 101 frames."),
        ("101", 101, 0.0, "You predicted 101, and that is right: it is 101 frames."),
        ("many", 101, 0.1, "You predicted many; it is 101 frames."),
        (0.5, 0.123456, 0.1, "You predicted 0.5; it is 0.123 frames."),
        (1e4, 16_000, 0.1, "You predicted 10,000; it is 16,000 frames."),
        ("Clock tick", "clock_tick", 0.0, "You predicted Clock tick, and that is right: it is clock_tick frames."),
        (2.0, "2", 0.0, "You predicted 2, and that is right: it is 2 frames."),
        ([98], 101, 0.0, "No prediction entered. It is 101 frames."),
    ],
)
def test_a_prediction_is_answered(displayed, prediction, value, within, sentence):
    display.predict("01.a", 7, "How many?")
    display.predict("01.a", prediction, "How many frames does one second give?")
    display.answer("01.a", value, unit="frames", within=within)
    assert displayed[-1][0].data == sentence


def test_no_prediction_says_what_to_do(displayed):
    display.predict("01.b", ..., "How many frames?")
    display.predict("01.b", [1], "How many frames?")
    display.predict("01.b", 98, "How many frames?")
    said = [markdown.data for markdown, _ in displayed]
    assert "How many frames?" in said[0] and "Replace the `...`" in said[0]
    assert "a number, or a word" in said[1] and "You predict **98**" in said[2]


class Shell:
    def __init__(self, **variables):
        self.user_ns = variables


@pytest.mark.parametrize(
    ("variables", "value", "sentence"),
    [
        ({"profile": "smoke", "dataset": "toy"}, 9.0, display.SMOKE),
        ({"profile": "lesson", "dataset": "toy"}, 9.0, "it helps"),
        ({"profile": "lesson", "dataset": "toy"}, 5.9, "cannot tell"),
        ({"profile": "lesson", "dataset": "toy"}, -9.0, "cannot tell"),
        ({"profile": "lesson", "dataset": "/my/sounds"}, 9.0, "cannot tell"),
        ({"profile": "study", "dataset": "toy"}, 9.0, "cannot tell"),
        ({}, 9.0, "cannot tell"),
        (None, 9.0, "cannot tell"),
    ],
)
def test_conclude_shows_the_sentence_that_the_run_has_earned(
    displayed, monkeypatch, tmp_path, variables, value, sentence
):
    metrics = {"gain": {"kind": "effect", "mean": 8.0, "sd": 2.0}, "other": {"kind": "band"}}
    (tmp_path / "lesson.json").write_text(json.dumps({"toy": {"05_x": {"metrics": {}}, "06_y": {"metrics": metrics}}}))
    monkeypatch.setattr(expected, "expected_path", lambda profile: tmp_path / f"{profile}.json")
    monkeypatch.setattr(display, "get_ipython", lambda: None if variables is None else Shell(**variables))
    display.conclude("gain", np.float64(value), unit="points", if_clear="it helps", if_not="cannot tell", step=1)
    ((bundle, _),) = displayed
    assert bundle["text/markdown"] == bundle["text/plain"] == sentence
    judged = {"kind": "info"} if (variables or {}).get("profile") == "smoke" else {"kind": "effect", "step": 1.0}
    entry = {"name": "gain", "value": value, "unit": "points"} | judged
    assert bundle[display.RECORD_MIME] == entry
    display.conclude("other", value, if_clear="it helps", if_not="cannot tell")
    assert displayed[-1][0]["text/markdown"] != "it helps", "no effect of that name is on file"


def test_an_effect_that_no_data_set_changes_is_looked_up_under_the_one_it_was_measured_with(
    displayed, monkeypatch, tmp_path
):
    metrics = {"gain": {"kind": "effect", "mean": 8.0, "sd": 2.0}}
    (tmp_path / "lesson.json").write_text(json.dumps({"toy": {"05_x": {"metrics": metrics}}}))
    monkeypatch.setattr(expected, "expected_path", lambda profile: tmp_path / f"{profile}.json")
    monkeypatch.setattr(display, "get_ipython", lambda: Shell(profile="lesson", dataset="/my/sounds"))
    for dataset, sentence in (("toy", "it helps"), (None, "cannot tell")):
        display.conclude("gain", 9.0, if_clear="it helps", if_not="cannot tell", dataset=dataset)
        assert displayed[-1][0]["text/markdown"] == sentence


def test_without_the_course_no_conclusion_is_drawn(monkeypatch):
    def refuse(profile):
        raise UsageError("course_lib was installed without the course")

    monkeypatch.setattr(expected, "expected_path", refuse)
    assert expected.effect("lesson", "synth10", "gain") is None


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
        {"value": "large", "kind": "effect"},
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
