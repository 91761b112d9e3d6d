"""Questions to rows on scenes: what is compared with what, pair by pair, and the paper's numbers beside."""

import numpy as np
import pandas as pd
import pytest

from course_lib.analysis import scene_questions
from course_lib.analysis.scene_questions import ALL, PAPER, QUESTIONS, answers, levels
from course_lib.study import scene_run

USUAL = {
    "auditory_ms": 320, "align": "nearest", "fusion": "mid", "frame_reducer": "none", "scenes.flash": False,
    "recipe.ema_decay": 0.98, "recipe.unlabelled": 6, "fold": 1,
}  # fmt: skip


def rows(*conditions, seeds=3):
    """Rows with made scores: a level of the condition plus one of the start."""
    table = [
        USUAL | fields | {"seed": seed} | {f"test_{s}_f1": level + 0.1 * seed + 0.001 * seed * place for s in PAPER}
        for place, (fields, level) in enumerate(conditions)
        for seed in range(seeds)
    ]
    return pd.DataFrame(table)


def test_a_difference_is_taken_start_by_start():
    found = answers(rows(({"streams": "spectral"}, 0.3), ({"streams": "auditory"}, 0.4)))
    row = found[(found["score"] == "tagging") & (found["question"] == "auditory better than spectral")].iloc[0]
    assert row["difference"] == pytest.approx(0.101) and row["pairs"] == 3 and row["verdict"] == "holds"
    assert row["paper"] == pytest.approx(81.03 - 76.22) and row["second"] == pytest.approx(0.4)
    assert set(found["score"]) == {"tagging", "segment", "event"} and len(found) == 3


def test_only_the_field_in_question_differs():
    """A teacherless row of the same streams is not mixed into the comparison of streams."""
    table = rows(
        ({"streams": "spectral+auditory"}, 0.5),
        ({"streams": "spectral+auditory", "recipe.unlabelled": 0}, 0.4),
        ({"streams": "spectral+auditory", "recipe.unlabelled": 0, "recipe.ema_decay": 0.0}, 0.2),
        ({"streams": "auditory"}, 0.45),
        ({"streams": "auditory", "auditory_ms": 40}, 0.1),
        ({"streams": "visual"}, 0.3),
    )
    found = answers(table).set_index(["score", "question"])["difference"].round(2)
    assert found["tagging", "spectral+auditory better than auditory"] == 0.05
    assert found["event", "auditory every 40 ms better than every 320 ms"] == -0.35
    assert found["event", "unlabelled scenes better than none"] == 0.10
    assert found["event", "teacher and unlabelled scenes better than neither"] == 0.30


def test_levels_stand_beside_the_papers():
    found = levels(rows(({"streams": "spectral"}, 0.3), ({"streams": ALL}, 0.6))).set_index(["score", "streams"])
    assert found.loc[("event", "spectral"), "paper"] == 33.03
    assert found.loc[("tagging", ALL), "mean"] == pytest.approx(100 * np.mean([0.6, 0.701, 0.802]))
    assert len(found) == 6


def test_a_hop_is_no_better_for_an_offset_that_is_undone(monkeypatch):
    """Rows whose events differ by what the nearest frame moves, and by nothing else."""
    table = rows(*(({"streams": "auditory", "auditory_ms": hop}, 0.3) for hop in (0, 40, 320)))
    monkeypatch.setattr(scene_run, "spec_of", lambda row: row["auditory_ms"])
    monkeypatch.setattr(scene_run, "offset_s", lambda hop: hop / 10_000)
    monkeypatch.setattr(scene_run, "set_right", lambda mine, truth: mine.assign(test_event_f1=0.5))
    found, offsets = scene_questions.hops_set_right(table, pd.DataFrame({"content": ["c"]}))
    assert offsets == {40: 4.0, 320: 32.0} and found["difference"].tolist() == [0.0]
    assert scene_questions.hops_set_right(table, pd.DataFrame())[1] == {}


def test_no_rows_no_answers():
    assert answers(pd.DataFrame()).empty and levels(pd.DataFrame()).empty
    alone = rows(({"streams": "spectral"}, 0.3), ({"streams": "auditory"}, 0.4), seeds=1)
    assert answers(alone).empty, "one start makes no pair"


def test_questions_ask_each_thing_once():
    asked = [(q.score, q.text) for q in QUESTIONS]
    assert len(asked) == len(set(asked))
    for q in QUESTIONS:
        assert dict(q.first) != dict(q.second) and q.score in PAPER
    assert scene_questions._paper("event", ALL, "spectral") == -0.38
