"""Counts of failed runs and the budget curve, on rows made up so that the answers are known."""

import numpy as np
import pandas as pd
import pytest
from made_rows import publisher
from scipy.stats import beta

from course_lib.analysis import budget

ROW = {"dataset": "timing", "features.hop_ms": 2.5, "validation_loss": 0.1}


def row(kind, fold, seed, right, hop_ms=2.5, saved=0.9, of=20, validation=None):
    reducer = "none" if kind == "none" else f"{kind}:{saved}"
    clips = [f"{fold}-{k}" for k in range(of)]
    return ROW | {
        "frame_reducer": reducer, "features.hop_ms": hop_ms, "fold": fold, "seed": seed, "test_accuracy": right / of,
        "validation_accuracy": right / of if validation is None else validation, "test_clips": clips,
        "test_sources": clips, "test_correct": [k < right for k in range(of)],
    }  # fmt: skip


@pytest.fixture
def published(monkeypatch):
    """A function that publishes rows, in both grids together."""
    return publisher(monkeypatch, "failures", "budget")


def every(kind, right, seeds=range(4), saved=0.9):
    return [row(kind, fold, seed, right, saved=saved) for fold in range(1, 6) for seed in seeds]


def test_nothing_is_counted_before_rows_are_published(published):
    published([])
    assert len(budget.curve()) == 0
    assert budget.failures()[["variant_runs", "published_runs", "groups"]].to_numpy().sum() == 0
    assert budget.failures()["counts_met"].tolist() == [None] * 3


def test_a_condition_has_its_mean_and_the_exact_interval_of_its_successes(published):
    published([row("uniform", 1, 0, 20), row("uniform", 2, 0, 10), row("uniform", 2, 1, 12)])
    [found] = budget.curve().to_dict("records")
    assert found["condition"] == "equal widths" and found["runs"] == 3 and found["folds"] == 2
    assert found["accuracy"] == pytest.approx(100 * (1 + 0.55) / 2)  # seeds of a fold first, then folds
    assert found["successes"] == 1
    low, high = beta.ppf(0.025, 1, 3), beta.ppf(0.975, 2, 2)
    assert (found["success_low"], found["success_high"]) == pytest.approx((low, high))


def test_a_longer_hop_saves_as_many_frames_as_a_reducer(published):
    published([row("none", 1, 0, 20, hop_ms=hop) for hop in (2.5, 10.0, 25.0, 50.0)])
    assert budget.curve()["saved"].tolist() == [0, 0.75, 0.9, 0.95]


def test_the_bar_needs_single_runs_and_groups_of_three(published):
    others = [each for saved in (0.75, 0.95) for each in every("diffres-light", 20, saved=saved)]
    published(every("diffres-contrast", 20, range(12)) + every("diffres-light", 10) + others)
    found = budget.failures().set_index("saved").loc[0.9]
    assert found["counts_met"] is True
    assert (found["variant"], found["variant_runs"], found["published"], found["published_runs"]) == (20, 20, 0, 20)
    assert (found["groups"], found["groups_met"]) == (20, 20)
    assert found["variant_mean"] == 100 and np.isnan(found["published_mean"])

    failing = every("diffres-contrast", 20, range(12))
    for each in failing[:3]:  # seeds 0 to 2 of fold 1
        each["test_accuracy"] = 0.7
    published(failing + every("diffres-light", 10))
    found = budget.failures().set_index("saved").loc[0.9]
    assert found["variant"] == 17 and found["groups_met"] == 19 and found["counts_met"] is False


@pytest.mark.parametrize(
    ("failed", "counts_met"),
    [
        ({1: [3], 2: [3]}, True),  # 18 single runs; of each group of three another run is chosen
        ({1: [3], 2: [3], 3: [3]}, False),  # 17, and all 20 groups
        ({1: [9, 10, 11]}, False),  # all 20 single runs, and 19 groups
    ],
)
def test_both_halves_of_the_bar_have_to_be_met(published, failed, counts_met):
    rows = every("diffres-contrast", 20, range(12)) + every("diffres-light", 20)
    for each in rows:
        if each["frame_reducer"].startswith("diffres-contrast") and each["seed"] in failed.get(each["fold"], []):
            each["test_accuracy"] = each["validation_accuracy"] = 0.7
    published(rows)
    assert budget.failures().set_index("saved")["counts_met"][0.9] is counts_met


def test_the_bar_is_open_while_a_missing_run_could_still_decide_it(published):
    single, rest = every("diffres-contrast", 20, range(4)), every("diffres-contrast", 20, range(4, 12))
    published(single + rest[:-1])
    assert budget.failures().set_index("saved")["counts_met"][0.9] is None
    for each in single[3::4][:2]:  # seed 3, which begins a group of three
        each["test_accuracy"] = 0.7
    published(single[:-1])
    assert budget.failures().set_index("saved")["counts_met"][0.9] is None  # 18 of 20 can still be reached
    single[11]["test_accuracy"] = 0.7
    published(single[:-1])
    assert budget.failures().set_index("saved")["counts_met"][0.9] is False


def both_forms(light=10):
    return [
        each
        for saved in budget.REDUCTIONS
        for kind, right, seeds in (("diffres-contrast", 20, range(12)), ("diffres-light", light, range(4)))
        for each in every(kind, right, seeds, saved=saved)
    ]


def test_the_forms_are_compared_once_all_single_runs_are_published(published):
    from course_lib.tools import results

    rows = both_forms()
    published(rows)
    lines = results.counted_failures()
    assert (
        "| 10 % | 20 of 20 (83 to 100 %), mean 100.0 | 0 of 20 (0 to 17 %), none | < 0.001 | 20 of 20 | reached |"
        in lines
    )
    published(rows[:-1])
    assert budget.failures()["p"].isna().all() and results.counted_failures() == []


def test_the_p_values_are_corrected_for_three_reductions(published):
    published(both_forms())
    from math import comb

    alone = 2 / comb(40, 20)  # of all tables with these margins, the two most extreme
    np.testing.assert_allclose(budget.failures()["p"], 3 * alone, rtol=1e-6)


def test_of_three_runs_the_one_with_the_best_validation_counts():
    seeds = [row("diffres-contrast", 1, seed, right, validation=best)
             for seed, right, best in ((0, 20, 0.8), (1, 10, 0.9), (2, 15, 0.7), (3, 20, 1.0))]  # fmt: skip
    assert budget.best_of_three(pd.DataFrame(seeds)) == [0.5]  # seed 3 begins a group that is not whole
    tied = [each | {"validation_accuracy": 1.0, "validation_loss": loss}
            for each, loss in zip(seeds[:3], (0.3, 0.2, 0.1), strict=True)]  # fmt: skip
    assert budget.best_of_three(pd.DataFrame(tied)) == [0.75]


def test_the_figure_has_a_line_for_each_condition_and_open_marks_where_runs_part(published):
    published(
        [row("uniform", fold, 0, 12) for fold in (1, 2)]
        + [row("diffres-light", 1, 0, 20), row("diffres-light", 2, 0, 10)]
    )
    found = budget.curve()
    [ax] = budget.figure(found).axes
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 1 and line.get_marker() != "None"]
    faces = {line.get_marker(): line.get_markerfacecolor() for line in drawn}
    assert faces["v"] == "white" and faces["s"] != "white"
    assert "DiffRes, light scorer: 75 % at 10 % (1 of 2 runs reach 95 %)" in budget.text(found)


def test_the_curve_is_compared_once_all_its_rows_are_there(published):
    rows = []
    for saved in budget.REDUCTIONS:
        for kind, right in (("diffres-contrast", 18), ("diffres-light", 18), ("uniform", 10), ("flux", 14)):
            for each in every(kind, right, seeds=range(2), saved=saved):
                # Folds differ alike for all conditions, seeds not at all: only one condition has a spread of its own
                shift = each["fold"] + (kind == "flux") * (each["fold"] % 2)
                rows.append(each | {"test_accuracy": each["test_accuracy"] - 0.02 * shift})
    published(rows[:-1])
    assert budget.answers() == []
    published(rows)
    found = budget.answers()
    assert len(found) == 9 and found[0].about == "25 % of the frames, over equal widths"
    gains = [part.found.interval.mean for part in found]
    assert gains == pytest.approx([0.4, 0.2 + 0.02 * 3 / 5, 0.0] * 3)
    assert [part.verdict for part in found] == ["holds", "holds", "not shown"] * 3
    [std] = {round(part.found.std, 9) for part in found}
    residuals = np.array([-1, 1, -1, 1, -1]) * 0.01 + 0.002  # of flux against its mean, in each of three reductions
    left = np.outer(np.repeat([-1, -1, -1, 3], 3) / 4, residuals)  # twelve conditions in twelve rows
    assert std == pytest.approx(np.sqrt(2 * (left**2).sum() / (11 * 4)))
