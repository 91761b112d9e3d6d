"""Questions to the rows of the study, on rows whose answer is known."""

from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import plots
from course_lib.analysis import figures, questions
from course_lib.study import grid
from course_lib.study.config import FIELDS, RunSpec, to_dict, typed
from course_lib.training.supervised import Recipe

CLIPS = 20


def row(frame_reducer, fold, seed, hits, macs, **more):
    """A row with `hits` of its clips right."""
    spec = RunSpec("esc10", fold, seed, frame_reducer=frame_reducer, recipe=Recipe(steps=240, spec_augment=False))
    names = [f"{fold}-{k}" for k in range(CLIPS)]
    return to_dict(spec) | {
        "status": "done", "device": "cpu", "macs": macs, "test_accuracy": hits / CLIPS, "test_clips": names,
        "test_sources": names, "test_correct": [1] * hits + [0] * (CLIPS - hits),
    } | more  # fmt: skip


@pytest.fixture
def rows():
    """Five folds: 15 of 20 right without a frame reducer, 14 or 15 with the light scorer, 10 with the published one."""
    made = [row("none", fold, 0, 15, 100) for fold in range(1, 6)]
    made += [row("diffres-light:0.5", fold, 0, 15 - (fold == 1), 60) for fold in range(1, 6)]
    made += [row("diffres:0.5", fold, 0, 10 + fold % 2, 80) for fold in range(1, 6)]
    return pd.DataFrame(made)


def test_questions_are_answered_by_pairs_and_only_where_both_sides_were_run(rows):
    found = questions.answers(rows).set_index("question")
    assert len(found) == 2, "the other questions lack their rows"
    assert set(found["where"]) == {questions.SHORT}
    light = found.loc["DiffRes, half the frames, no worse than 10 ms"]
    assert light["difference"] == pytest.approx(-0.01) and light["pairs"] == 5 and light["seeds"] == 1
    assert light["first"] == pytest.approx(0.74) and light["second"] == 0.75 and light["macs"] == 0.6
    assert light["low"] < -questions.EQUAL < light["high"] and light["verdict"] == "not shown"
    published = found.loc["DiffRes, published scorer, half the frames, no worse than 10 ms"]
    assert published["verdict"] == "contradicted" and published["macs"] == 0.8


def test_runs_that_stand_against_one_of_another_kind_of_machine_are_counted(rows):
    assert set(questions.answers(rows)["mixed"]) == {""}
    cards = rows["device"].where(~((rows["frame_reducer"] == "diffres-light:0.5") & (rows["fold"] < 3)), "cuda:1")
    found = questions.answers(rows.assign(device=cards)).set_index("question")["mixed"]
    assert found["DiffRes, half the frames, no worse than 10 ms"] == "2 of 5"
    assert found["DiffRes, published scorer, half the frames, no worse than 10 ms"] == ""
    assert questions.answers(rows.assign(device=[f"cuda:{k % 2}" for k in range(len(rows))]))["mixed"].eq("").all()


def test_rows_of_another_recipe_are_not_mixed_in(rows):
    other = pd.DataFrame(
        [row("diffres-light:0.5", fold, 1, 0, 60, **{"recipe.spec_augment": True}) for fold in range(1, 6)]
    )
    more = pd.DataFrame([row("diffres-light:0.5", fold, 1, 0, 60, **{"recipe.steps": 800}) for fold in range(1, 6)])
    both = questions.answers(pd.concat([rows, other, more], ignore_index=True))
    pd.testing.assert_frame_equal(both, questions.answers(rows))


def test_accuracies_are_those_of_the_pairs(rows):
    """A seed that only one side has would otherwise move its accuracy away from the difference."""
    more = pd.DataFrame([row("none", fold, 1, 0, 100) for fold in range(1, 6)])
    both = questions.answers(pd.concat([rows, more], ignore_index=True))
    pd.testing.assert_frame_equal(both, questions.answers(rows))
    assert np.allclose(both["first"] - both["second"], both["difference"])


def test_no_rows_no_answers():
    assert questions.answers(pd.DataFrame()).columns.tolist() == list(questions.COLUMNS)
    assert questions.published("no such grid").empty


ASKED = {"diffres": questions.DIFFRES, "transformers": questions.TWINS, "transfer": questions.TRANSFER}
ASKED |= {name: questions.of_task(name, where) for name, where in questions.TASKS.items()}


@lru_cache
def runs_of(name):
    return [to_dict(spec) for spec in grid.read(grid.find(name)).specs]


@pytest.mark.parametrize(
    ("name", "question"), [(n, q) for n, qs in ASKED.items() for q in qs], ids=lambda v: getattr(v, "text", v)
)
def test_every_question_is_asked_of_runs_that_the_grid_holds(name, question):
    """A misspelt field or value would otherwise be a question that is silently never answered."""
    for side in (question.first, question.second):
        wanted = {**questions.USUAL, **question.usual, **side}
        assert all(typed(name, value) == value for name, value in wanted.items()) and set(wanted) <= set(FIELDS)
        found = [run for run in runs_of(name) if all(run[field] == value for field, value in wanted.items())]
        pairs = {(run["fold"], run["seed"]) for run in found}
        assert len(pairs) >= 3
        if name != "diffres":  # whose budgets share a few conditions of other recipes
            assert len(found) == len(pairs), "two conditions would be taken for one"


def test_the_published_answers_are_complete():
    rows = questions.published()
    assert len(questions.answers(rows)) == len(questions.DIFFRES)


def test_the_figure_marks_what_leaves_out_zero(rows):
    answers = questions.answers(rows)
    fig = figures.claims_figure(answers)
    ax = fig.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"A3: {q}" for q in answers["question"]]
    drawn = [bar[0] for bar in ax.containers]
    assert np.allclose([line.get_xdata()[0] for line in drawn], 100 * answers["difference"])
    assert [line.get_marker() for line in drawn] == ["o", "s"], "only the second interval leaves out 0"
    assert "-1.0" in figures.claims_text(answers)
    plt.close(fig)


def test_a_forest_reads_from_above():
    _, ax = plt.subplots()
    plots.forest([(1, 0.5, 2), (0, -1, 1)], ["first", "second"], ax, xlabel="points")
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_xlabel() == "points"
    plt.close("all")


def test_rows_that_learnt_from_a_fold_more_answer_no_question():
    rows = questions.published("transfer")
    wrong = rows[~rows["refit"]].assign(refit=True, test_accuracy=0.0)
    mixed = questions.answers(pd.concat([rows, wrong], ignore_index=True), questions.TRANSFER)
    pd.testing.assert_frame_equal(mixed, questions.answers(rows, questions.TRANSFER))
