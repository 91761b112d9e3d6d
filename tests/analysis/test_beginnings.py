"""Accuracy against the seconds heard, on rows made up so that it is known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from made_rows import publisher

from course_lib.analysis import beginnings
from course_lib.study import config
from course_lib.study.stats import holm
from course_lib.training.supervised import Recipe

N_CLIPS = 100
WHOLE = tuple(f"first {k} s" for k in range(1, 6))
CHUNKS = tuple(f"{name}, in chunks" for name in WHOLE)


def of_condition(hop_ms, reducer, right):
    """Ten rows in which `right` gives the number of clips that are answered correctly, by name."""
    made = []
    for fold in range(1, 6):
        for seed in (0, 1):
            spec = config.RunSpec("esc50", fold, seed, recipe=Recipe(steps=6000, spec_augment=False), disturb=True)
            predicted = [[0] * n + [1] * (N_CLIPS - n) for n in right.values()]
            made.append(config.to_dict(spec) | {
                "features.hop_ms": hop_ms, "frame_reducer": reducer, "disturbed_names": list(right),
                "disturbed_targets": [0] * N_CLIPS, "disturbed_predicted": np.ravel(predicted).tolist(),
                "n_train": 10, "n_test": 5, "history.step": [3, 4], "history.validation_accuracy": [0.9, 0.9],
            })  # fmt: skip
    return made


@pytest.fixture
def published(monkeypatch):
    return publisher(monkeypatch, "esc50", "words")


def fixed(hop_ms, *right):
    return of_condition(hop_ms, "none", dict(zip(WHOLE[-len(right) :], right, strict=True)))


def test_accuracy_is_given_for_every_second_that_leaves_enough_frames(published):
    published([*fixed(80.0, 50, 60, 70, 80), *fixed(10.0, 30, 60, 70, 80, 90)])
    rows = beginnings.table().set_index("hop_ms")
    assert rows.loc[10.0, list(WHOLE)].tolist() == [30, 60, 70, 80, 90]
    assert np.isnan(rows.loc[80.0, "first 1 s"]) and rows.loc[80.0, "first 2 s"] == 50
    assert rows["frames_per_s"].to_dict() == {10.0: 100, 80.0: 12.5}
    text = beginnings.text(beginnings.table())
    assert "all frames of 80 ms 50.0 after 2 s" in text and "90.0 after 5 s" in text


def test_four_questions_are_answered_together(published):
    conditions = {}
    for place, reducer in enumerate(beginnings.ASKED):
        right = dict.fromkeys(WHOLE, 80) | dict.fromkeys(CHUNKS, 80 - 15 * (place == 1))
        conditions[reducer] = of_condition(10.0, reducer, right)
    for rows in conditions.values():  # one clip more in one fold, or the differences would have no spread
        place = len(WHOLE) * N_CLIPS - 1
        rows[0]["disturbed_predicted"][place] = 0
    published([row for rows in conditions.values() for row in rows])
    parts = beginnings.answers()
    assert [part.verdict for part in parts] == ["holds", "contradicted", "holds", "holds"]
    assert parts[1].found.interval.mean == pytest.approx(-0.15 - 0.01 / 10)
    assert all(part.found.df == 4 for part in parts), "the standard deviation of its own five pairs"
    assert [part.p for part in parts] == pytest.approx(holm([part.found.p(0.02) for part in parts]))
    assert parts[0].found.corrected.high > parts[0].found.interval.high, "folds share training clips"
    for row in conditions["diffres-light:0.5"]:
        row["history.validation_accuracy"] = [0.87, 0.9]
    published([row for rows in conditions.values() for row in rows])
    verdicts = [part.verdict for part in beginnings.answers()]
    assert verdicts == ["not converged: no verdict", "contradicted", "holds", "holds"]
    published([row for rows in list(conditions.values())[1:] for row in rows])
    assert beginnings.answers() == [], "one of the four has no rows"


def test_nothing_is_said_without_rows(published):
    published([])
    assert beginnings.table().empty and beginnings.answers() == []


def test_the_figure_shows_fixed_hops_and_merged_frames_by_share(published):
    merged = dict.fromkeys(WHOLE, 80) | dict.fromkeys(CHUNKS, 70)
    reducers = ("uniform:0.5", "diffres-light:0.5", "diffres-light:0.75")
    behind = [row for reducer in reducers for row in of_condition(10.0, reducer, merged)]
    published([*fixed(80.0, 50, 60, 70, 80), *fixed(10.0, 30, 60, 70, 80, 90), *behind])
    fig = beginnings.figure(beginnings.table())
    hops, half, quarter = fig.axes
    assert [line.get_ydata()[-1] for line in hops.get_lines()] == [90, 80]
    assert [line.get_linestyle() for line in half.get_lines()] == ["-", "--", "-", "--"]
    assert len({(line.get_color(), line.get_marker()) for line in half.get_lines()}) == 2, "a look for each condition"
    assert len(quarter.get_lines()) == 2 and "25 % of the frames" in quarter.get_title(loc="left")
    plt.close(fig)


def test_the_figure_has_no_empty_panel(published):
    published(fixed(80.0, 50, 60, 70, 80))
    fig = beginnings.figure(beginnings.table())
    assert len(fig.axes) == 1
    plt.close(fig)
