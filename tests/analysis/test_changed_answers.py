"""Rates of changed answers, on rows made up so that the rates are known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from made_rows import publisher

from course_lib.analysis import disturbance
from course_lib.study import config
from course_lib.study.disturbance import NAMES
from course_lib.study.stats import holm
from course_lib.training.supervised import Recipe

N_CLIPS = 16
SHIFTS = range(2, 18)  # the places in NAMES of the shifts that move a clip


def row(hop_ms, reducer, fold, seed, changed, *, wrong=0, noisy=0):
    """A row whose first `changed` clips get another answer at every shift, and whose last `wrong` ones are wrong.

    In noise of 0 dB, `noisy` clips more are wrong.
    """
    spec = config.RunSpec("speechcommands10", fold, seed, recipe=Recipe(steps=4000, spec_augment=False), disturb=True)
    targets = np.arange(N_CLIPS) % 10
    predicted = np.tile(targets, (len(NAMES), 1))
    predicted[:, N_CLIPS - wrong :] += 1
    predicted[SHIFTS, :changed] += 1
    predicted[NAMES.index("noise 0 dB"), :noisy] += 1
    return config.to_dict(spec) | {
        "features.hop_ms": hop_ms, "frame_reducer": reducer, "disturbed_names": list(NAMES),
        "disturbed_targets": targets.tolist(), "disturbed_predicted": predicted.ravel().tolist(),
        "n_train": 10, "n_test": 5, "history.step": [3, 4], "history.validation_accuracy": [0.9, 0.9],
    }  # fmt: skip


def of_condition(hop_ms, reducer, changed, **more):
    return [row(hop_ms, reducer, fold, seed, changed + fold % 2, **more) for fold in range(1, 6) for seed in (0, 1)]


@pytest.fixture
def published(monkeypatch):
    """A function that publishes rows of ten words."""
    return publisher(monkeypatch, "words", "esc50")


def test_the_rate_counts_pairs_of_a_clip_and_a_shift(published):
    published(of_condition(10.0, "none", 3, wrong=4, noisy=2))
    [found] = disturbance.table("words").to_dict("records")
    assert found["condition"] == "all frames of 10 ms" and not found["merged"]
    assert found["changed"] == pytest.approx(100 * 3.6 / N_CLIPS)  # 4, 3, 4, 3, 4 clips in the five folds
    assert found["changed_right"] == pytest.approx(100 * 3.6 / 12)
    assert found["changed_at"].tolist() == pytest.approx([found["changed"]] * 16)
    assert found["unchanged"] == found["gain +6 dB"] == 75 and found["noise 0 dB"] == pytest.approx(100 * 10 / 16)


def test_a_shift_has_a_rate_of_its_own(published):
    rows = of_condition(40.0, "none", 0)
    for each in rows:
        predicted = np.reshape(each["disturbed_predicted"], (len(NAMES), -1))
        predicted[SHIFTS] = predicted[1]
        predicted[NAMES.index("shift 16/16 hop"), :8] += 1
        each["disturbed_predicted"] = predicted.ravel().tolist()
    published(rows)
    [found] = disturbance.table("words").to_dict("records")
    assert found["changed_at"].tolist() == [0] * 15 + [50]
    assert found["changed_by_hop"] == 50 and found["changed"] == pytest.approx(50 / 16)
    assert found["changed_alike"] == 0  # shifts of 2.5 to 10 ms are the first four


def test_only_hops_with_the_same_shifts_are_compared_at_them(published):
    published([each for hop_ms in (5.0, 10.0, 20.0, 40.0, 60.0) for each in of_condition(hop_ms, "none", 2)])
    rates = disturbance.table("words").set_index("hop_ms")["changed_alike"]
    assert rates.notna().tolist() == [False, True, True, True, False]


def test_conditions_that_lack_a_run_or_have_another_recipe_are_left_out(published):
    guided = [each | {"recipe.guide": 1.0} for each in of_condition(10.0, "diffres:0.5", 1)]
    published([*of_condition(10.0, "none", 1), *of_condition(20.0, "none", 1)[1:], *guided])
    assert disturbance.table("words")["condition"].tolist() == ["all frames of 10 ms"]
    assert disturbance.table("esc50").empty and disturbance.answers("words") == disturbance.answers("esc50") == []


def test_questions_are_answered_together_once_all_can_be(published):
    changed = {(40.0, "none"): 9, (10.0, "none"): 2, (10.0, "diffres-light:0.75"): 1}
    wanted = {condition for _, _, *both in disturbance.ASKED for condition in both}
    rows = [each for condition in wanted for each in of_condition(*condition, changed.get(condition, 5))]
    for k, each in enumerate(rows):  # else every condition has the same folds, and no difference any spread
        each["disturbed_predicted"][N_CLIPS * SHIFTS[3]] += k % 3
    published(rows)
    found = {part.about: part for part in disturbance.answers("words")}
    assert found["all frames, 40 ms over 10 ms, shifts of 2.5 to 10 ms"].verdict == "holds"
    assert found["DiffRes over equal widths, a quarter of the frames"].verdict == "contradicted"
    assert found["DiffRes over equal widths, half the frames"].verdict == "not shown"
    parts = list(found.values())
    assert [part.p for part in parts] == pytest.approx(holm([part.found.p() for part in parts])), "five together"
    assert {part.found.df for part in parts} == {4 * (len(wanted) - 1)}, "pooled over all conditions asked about"
    for each in rows:
        each["history.validation_accuracy"] = [0.87, 0.9]
    published(rows)
    assert {part.verdict for part in disturbance.answers("words")} == {"not converged: no verdict"}
    assert len(found) == 5 and {part.data for part in found.values()} == {"ten spoken words"}


def test_the_figure_shows_hops_on_the_left_and_every_condition_on_the_right(published):
    published([*of_condition(40.0, "none", 4), *of_condition(10.0, "none", 1), *of_condition(10.0, "uniform:0.5", 2)])
    found = {"ten spoken words": disturbance.table("words")}
    fig = disturbance.figure(found)
    left, right = fig.axes
    assert [line.get_label() for line in left.get_lines()] == ["hop 10 ms", "hop 40 ms"]
    assert left.get_lines()[1].get_xdata().tolist() == [2.5 * k for k in range(1, 17)]
    assert [t.get_text() for t in right.get_yticklabels()][-1] == "equal widths, 50 % of the frames"
    plt.close(fig)
    assert "all frames of 40 ms 28.7" in disturbance.text(found)
