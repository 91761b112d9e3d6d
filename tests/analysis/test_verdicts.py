"""Claims are judged by their intervals and by nothing else."""

import re

import numpy as np
import pandas as pd
import pytest

from course_lib.analysis import claim_parts, claims, questions, scene_questions, verdicts
from course_lib.analysis.claims import CLAIMS
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_RUN, NOT_SHOWN, NOT_TESTABLE, Claim, Evidence, Part
from course_lib.evaluation.intervals import Interval, verdict
from course_lib.models import transformers
from course_lib.study.config import RunSpec, to_dict
from course_lib.training import cost
from course_lib.training.supervised import Recipe

UP, DOWN, OPEN = Interval(2.0, 1.0, 3.0), Interval(-5.0, -7.0, -3.0), Interval(0.0, -1.0, 1.0)
NOTHING = Evidence(lambda name: pd.DataFrame())


def part(gap, **more):
    return Part("a question", gap, **more)


@pytest.mark.parametrize(
    ("gaps", "word"),
    [
        ([UP], HOLDS), ([OPEN], NOT_SHOWN), ([DOWN], CONTRADICTED), ([None], NOT_RUN), ([UP, UP], HOLDS),
        ([UP, OPEN], NOT_SHOWN), ([UP, DOWN], NOT_SHOWN), ([OPEN, DOWN], CONTRADICTED), ([UP, None], NOT_SHOWN),
        ([DOWN, None], CONTRADICTED), ([None, None], NOT_RUN),
    ],
)  # fmt: skip
def test_a_claim_holds_when_all_of_it_does(gaps, word):
    assert verdicts.overall([part(gap) for gap in gaps]) == word
    assert verdicts.overall([part(gap) for gap in gaps[::-1]]) == word


def test_a_margin_is_what_may_be_lost():
    assert part(OPEN, margin=2.0).verdict == HOLDS and part(DOWN, margin=2.0).verdict == CONTRADICTED
    assert verdicts.first_sentence([part(OPEN, margin=2.0)]) == "The whole interval lies above -2."


@pytest.mark.parametrize("gap", [UP, DOWN, OPEN, None, Interval(1.0, 1.0, 1.0)])
def test_the_first_sentence_says_what_the_verdict_says(gap):
    told = verdicts.first_sentence([part(gap)])
    assert gap is None or verdicts.first_sentence([part(gap, design="counted")]) == "This is counted, not estimated."
    words = {HOLDS: "above 0", CONTRADICTED: "below 0", NOT_SHOWN: "has 0 in it", NOT_RUN: "not been run"}
    assert words[part(gap).verdict] in told, "pairs that all agree are an estimate too"
    multilabel = verdicts.first_sentence([part(gap), part(UP), part(UP), part(None)])
    held = 2 + (part(gap).verdict == HOLDS)
    assert multilabel.startswith(f"Of 4 questions {held} hold") and ("2 were" if gap is None else "1 was") in multilabel


def test_a_row_of_the_table_tells_design_control_and_reason():
    claim = Claim("X1", "says", "Because of it.", lambda e: [part(UP, design="5 folds x 3"), part(None)], "99",
                  control=lambda e: "a control")  # fmt: skip
    row = verdicts.judged(claim, NOTHING)
    assert row["ours"] == "a question: +2.0 (+1.0 to +3.0); 1 not run" and row["design"] == "5 folds x 3"
    assert (row["control"], row["verdict"], row["paper"]) == ("a control", NOT_SHOWN, "99")
    assert row["reason"] == "Of 2 questions 1 holds and 1 was not run. Because of it."
    row = verdicts.judged(Claim("X2", "says", "No data. None at all.", ours=lambda e: "a level"), NOTHING)
    assert (row["verdict"], row["ours"], row["reason"]) == (NOT_TESTABLE, "a level", "No data. None at all.")


# --- the claims themselves ---------------------------------------------------------------------------------------


def test_every_claim_of_the_four_papers_is_there_once():
    wanted = [f"{paper}{n}" for paper, last in (("A", 5), ("B", 5), ("C", 9), ("D", 5)) for n in range(1, last + 1)]
    assert [claim.key for claim in CLAIMS] == wanted


def test_without_rows_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(claim_parts, "published_dir", lambda: tmp_path)
    found = verdicts.table(CLAIMS, NOTHING).set_index("id")
    counted = ["B1", "B4"]
    assert set(found.drop(counted)["verdict"]) == {NOT_RUN, NOT_TESTABLE}
    assert not re.search(r"[+-]\d", " ".join(found.drop(counted)["ours"])), "a number without rows"
    assert found.loc[found["verdict"] == NOT_TESTABLE].index.tolist() == ["A5", "B3", "C1", "D2", "D3"]


@pytest.fixture(scope="module")
def table():
    return verdicts.table(CLAIMS, Evidence()).set_index("id")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.key)
def test_a_reason_has_two_sentences_and_no_verdict_of_its_own(claim, table):
    told = re.sub(r"\d\.\d", "", table.loc[claim.key, "reason"])
    assert len(re.findall(r"[.](?: |$)", told)) == 2, told
    words = re.findall(r"\bholds\b|\bcontradict|\bnot shown\b|\bconfirm|\brefute|\bproves?\b", claim.why)
    assert not words, "the second sentence stands beside whatever verdict the rows give"
    assert not re.search(r"(?<!ESC)[+-]\d", claim.why), "numbers come from rows"


def test_verdicts_follow_from_the_published_rows(table):
    """Asked once more by hand, of the same rows."""
    answers = questions.answers(questions.published("diffres")).set_index(["where", "question"])
    a3 = answers[(answers["claim"] == "A3") & (answers["macs"] <= 0.75)].drop(questions.SHORT, level="where")
    words = set(a3["verdict"])
    assert (table.loc["A3", "verdict"] == HOLDS) == (words == {HOLDS}) and len(a3) == 4
    for value in a3["difference"]:
        assert f"{100 * value:+.1f} (" in table.loc["A3", "ours"]
    scenes = scene_questions.answers(questions.published("scenes")).set_index(["score", "question"])
    for key, score, question in (
        ("C2", "tagging", "auditory better than spectral"), ("C5", "tagging", "all three better than spectral"),
        ("C6", "segment", "all three better than spectral"),
    ):  # fmt: skip
        row = scenes.loc[(score, question)]
        assert table.loc[key, "verdict"] == row["verdict"] and f"{100 * row['low']:+.1f} to" in table.loc[key, "ours"]
    row = scenes.loc[("event", "all three better than spectral")]
    turned = Interval(-row["difference"], -row["high"], -row["low"])
    assert table.loc["C7", "verdict"] == verdict(turned, questions.EQUAL)


def test_a_part_has_the_verdict_of_the_question_that_it_asks():
    """Margins and all: what `claims` and `scene_claims` say of a question is what a claim hears of it."""
    evidence = Evidence()
    for row in evidence.clips.itertuples():
        assert evidence.clip(row.question, row.where).verdict == row.verdict
        assert evidence.clip(row.question, row.where).margin == 100 * row.margin
    assert {questions.EQUAL, 0} == set(evidence.clips["margin"])
    for row in evidence.scenes.itertuples():
        assert evidence.scene(row.question, row.score).verdict == row.verdict


def test_every_question_of_a_claim_is_one_that_is_asked():
    """A misspelt question would be a part that is silently never run."""
    asked = {q.text for qs in (questions.DIFFRES, questions.TWINS, questions.TRANSFER) for q in qs}
    places = {q.where for qs in (questions.DIFFRES, questions.TWINS, questions.TRANSFER) for q in qs} | {
        *questions.TASKS.values()
    }
    scenes = {(q.score, q.text) for q in scene_questions.QUESTIONS}
    seen = []

    class Listening(Evidence):
        def clip(self, question, where, about=""):
            seen.append(question in asked and where in places)
            return part(None)

        def scene(self, question, score, about="", **how):
            seen.append((score, question) in scenes)
            return part(None)

    evidence = Listening(lambda name: pd.DataFrame())
    for claim in CLAIMS:
        for find in (claim.ask, claim.control, claim.ours):
            before = len(seen)
            if find:
                find(evidence)
            assert all(seen[before:]), claim.key
    assert len(seen) > 40


# --- parts that take more than one question ----------------------------------------------------------------------


def clip_row(fold, hits, model="cnn7", loss=1.0, **fields):
    names = [f"{fold}-{k}" for k in range(20)]
    base = to_dict(RunSpec("esc10", fold, 0, model=model, recipe=Recipe(steps=400, roll=False, spec_augment=False)))
    return base | {"test_accuracy": hits / 20, "test_clips": names, "test_sources": names,
                   "test_correct": [1] * hits + [0] * (20 - hits), "status": "done",
                   "history.validation_loss": [2.0, loss]} | fields  # fmt: skip


def test_overfitting_is_the_last_loss_and_learning_is_above_chance():
    rows = [clip_row(f, 2 + f % 2, model) for f in range(1, 6) for model in ("cnn7", "cnn9")]
    rows += [clip_row(f, 9, m, 0.8 + 0.01 * f, copies="naa") for f in range(1, 6) for m in ("cnn7", "cnn9")]
    rows += [clip_row(f, 9, "cnn7", 1.2, **{"recipe.image_augment": True}) for f in range(1, 6)]
    found = claim_parts.d4(Evidence(lambda name: pd.DataFrame(rows if name == "scratch" else [])))
    assert [p.verdict for p in found] == [NOT_SHOWN, HOLDS, CONTRADICTED, NOT_SHOWN, HOLDS, NOT_RUN]
    assert found[0].gap.mean == pytest.approx(3.0) and found[1].gap.mean == pytest.approx(0.17)
    assert "+0.17 (" in found[1].text and found[1].text.endswith("nats")


def test_what_there_was_to_curb_is_the_rise_of_the_loss_where_nothing_is_augmented():
    looks = {"cnn7": [2.0, 0.5, 0.8], "cnn9": [2.0, 0.9, 0.6]}
    rows = [clip_row(f, 9, m, **{"history.validation_loss": looks[m]}) for f in (1, 2) for m in looks]
    rows += [clip_row(1, 9, "cnn7", copies="naa", **{"history.validation_loss": [0.1, 9.0]})]
    told = claim_parts.d4_control(Evidence(lambda name: pd.DataFrame(rows if name == "scratch" else [])))
    assert told.endswith("CNN7 0.30, CNN9 0.00")


def test_networks_of_base_size_are_counted_without_computing():
    both = claim_parts.base_networks(*claim_parts.SIZES[1])
    assert both["widths"] == [96, 192, 384, 768]
    small = transformers.mast_tiny(64, 64, 3)
    assert cost.macs(transformers.mast_tiny(64, 64, 3).to("meta"), 64, 64) == cost.macs(small, 64, 64)
    assert both["AST"]["parameters"] > both["MAST"]["parameters"] > 40


def test_separability_is_read_with_its_sign(monkeypatch):
    value = {f"{m}_{n}": v for m in ("silhouette", "nmi", "purity", "davies_bouldin") for n, v in
             (("AST", 0.2), ("MAST", 0.5))}  # fmt: skip
    value |= {f"{name}_reach": 0.03 for name in value} | {"accuracy_AST": 60.0, "accuracy_MAST": 70.0}
    monkeypatch.setattr(claim_parts, "recorded", lambda name: value)
    found = claim_parts.b5(NOTHING)
    assert [p.verdict for p in found] == [HOLDS] * 3 + [CONTRADICTED], "of Davies-Bouldin less is better"
    assert np.isclose(found[0].gap.high - found[0].gap.mean, 0.03 * 2**0.5)
    assert "AST 60 %, MAST 70 %" in claim_parts.b5_control(NOTHING)


def test_the_sweep_of_the_hop_leaves_out_what_has_fewer_starts():
    found = claim_parts.sweep(Evidence())
    assert found.groupby("features.hop_ms").size().nunique() == 1 and 2.5 not in set(found["features.hop_ms"])
    assert set(found["recipe.steps"]) == {240} and set(found["features.window_ms"]) == {25}
    assert claims.LITE != claims.SMALL
