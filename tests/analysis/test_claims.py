"""The claims of the papers are judged by the published rows, and every question of theirs is one that is asked."""

import re

import numpy as np
import pandas as pd
import pytest
from made_rows import clip_row

from course_lib.analysis import claims, questions
from course_lib.analysis.claims import Claim, Evidence
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_RUN, NOT_SHOWN, NOT_TESTABLE
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval, verdict
from course_lib.models import transformers
from course_lib.training import cost

CLAIMS = claims.claims()
NOTHING = Evidence(lambda name: pd.DataFrame())
HALF = {"question": claims.HALF, "where": questions.LONG}


def evidence_of(grid, rows):
    """Evidence from the rows of one grid alone."""
    return Evidence(lambda name: pd.DataFrame(rows if name == grid else []))


def test_a_row_of_the_table_has_design_control_and_reason():
    published = Evidence()
    answer = published.part(**HALF)
    missing = {"question": claims.HALF, "where": "ESC-50"}
    claim = Claim("X1", "says", "Because of it.", "99", [HALF | {"about": "half"}, missing],
                  [HALF, missing, {"compute": "worth_of_a_leak"}])  # fmt: skip
    row = claims.judged(claim, published)
    assert row["ours"] == f"{answer.text.replace(answer.about, 'half')}; 1 not run" and row["design"] == "5 folds x 3"
    control, leak = row["control"].split("; ")
    assert control == f"{answer.text}, {answer.verdict}" and leak.startswith("copies made before a random split")
    assert row["reason"].startswith("Of 2 questions 1 ") and row["reason"].endswith(" 1 was not run. Because of it.")
    assert (row["verdict"], row["paper"]) == (NOT_SHOWN, "99")
    row = claims.judged(Claim("X2", "says", "No data. None at all.", ours=[HALF]), published)
    assert (row["verdict"], row["reason"]) == (NOT_TESTABLE, "No data. None at all.")
    assert "half the frames" in row["ours"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"question": "is it so?", "where": "ESC-50"}, r"questions.toml has no question 'is it so\?' to 'ESC-50'"),
        (HALF | {"abuot": "half"}, "unexpected keyword argument 'abuot'"),
        ({"compute": "hop_part"}, "compute = 'hop_part': no such function; did you mean hop_parts"),
    ],
)
def test_a_wrong_entry_of_a_claim_is_one_line(entry, said):
    with pytest.raises(CourseError, match=f"^claims.toml: .*{said}") as found:
        claims.found_by(entry, NOTHING)
    assert "\n" not in str(found.value)


def test_a_wrong_key_of_a_claim_is_one_line(monkeypatch):
    monkeypatch.setattr(claims, "read_toml", lambda _: {"claim": [{"id": "A1", "says": "so", "wyh": "thus"}]})
    with pytest.raises(CourseError, match=r"^claims.toml: claim 'A1': (why: not given|wyh: no such field)"):
        claims.claims.__wrapped__()


def test_a_turned_question_asks_for_the_opposite_with_its_own_margin():
    straight = Evidence().part("all three better than spectral", "event")
    turned = Evidence().part("all three better than spectral", "event", turned=True, margin=questions.EQUAL)
    assert turned.gap == Interval(-straight.gap.mean, -straight.gap.high, -straight.gap.low)
    assert (straight.margin, turned.margin) == (0, 2)


# --- the claims themselves ---------------------------------------------------------------------------------------


def test_every_claim_of_the_four_papers_is_there_once():
    wanted = [f"{paper}{n}" for paper, last in (("A", 5), ("B", 5), ("C", 9), ("D", 5)) for n in range(1, last + 1)]
    assert [claim.id for claim in CLAIMS] == wanted


def test_without_rows_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(claims, "published_dir", lambda: tmp_path)
    found = claims.table(NOTHING).set_index("id")
    counted = ["B1", "B4"]
    assert set(found.drop(counted)["verdict"]) == {NOT_RUN, NOT_TESTABLE}
    assert not re.search(r"[+-]\d", " ".join(found.drop(counted)["ours"])), "a number without rows"
    assert found.loc[found["verdict"] == NOT_TESTABLE].index.tolist() == ["A5", "B3", "C1", "D2", "D3"]


@pytest.fixture(scope="module")
def table():
    return claims.table(Evidence()).set_index("id")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_a_reason_has_two_sentences_and_no_verdict_of_its_own(claim, table):
    reason = re.sub(r"\d\.\d", "", table.loc[claim.id, "reason"])
    assert len(re.findall(r"[.](?: |$)", reason)) == 2, reason
    words = re.findall(r"\bholds\b|\bcontradict|\bnot shown\b|\bconfirm|\brefute|\bproves?\b", claim.why)
    assert not words, "the second sentence stands beside whatever verdict the rows give"
    assert not re.search(r"(?<!ESC)[+-]\d", claim.why), "numbers come from rows"


def test_verdicts_follow_from_the_published_rows(table):
    """Asked once more by hand, of the same rows."""
    answers = questions.answers("diffres").set_index(["where", "question"])
    a3 = answers[(answers["claim"] == "A3") & (answers["macs"] <= 0.75)].drop(questions.SHORT, level="where")
    words = set(a3["verdict"])
    assert (table.loc["A3", "verdict"] == HOLDS) == (words == {HOLDS}) and len(a3) == 4
    for value in a3["difference"]:
        assert f"{100 * value:+.1f} (" in table.loc["A3", "ours"]
    scenes = questions.answers("scenes").set_index(["where", "question"])
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
    """Margins and all: what `questions` says of a question is what a claim is judged by."""
    evidence = Evidence()
    for row in evidence.answers.itertuples():
        part = evidence.part(row.question, row.where)
        assert part.verdict == row.verdict and part.margin == 100 * row.margin


def test_the_papers_own_figures_are_those_beside_the_questions():
    """C2 to C7 quote two levels and their difference."""
    levels = [f"{value:.2f}" for score in ("tagging", "segment", "event") for value in
              questions.paper_scores(score).values()]  # fmt: skip
    for claim in CLAIMS[10:17]:
        numbers = re.findall(r"[+-]?\d+\.\d+", claim.paper)
        assert claim.id.startswith("C") and set(numbers[:2]) <= set(levels)
        assert len(numbers) == 1 or float(numbers[2]) == pytest.approx(float(numbers[1]) - float(numbers[0]))


# --- parts that take more than one question ----------------------------------------------------------------------


def test_overfitting_is_the_last_loss_and_learning_is_above_chance():
    def row(right, fold, model, loss, **fields):
        return clip_row(right, fold, model=model, **{"history.validation_loss": [2.0, loss]}, **fields)

    rows = [row(2 + f % 2, f, m, 1.0) for f in range(1, 6) for m in ("cnn7", "cnn9")]
    rows += [row(9, f, m, 0.8 + 0.01 * f, copies="naa") for f in range(1, 6) for m in ("cnn7", "cnn9")]
    rows += [row(9, f, "cnn7", 1.2, **{"recipe.image_augment": True}) for f in range(1, 6)]
    evidence = evidence_of("scratch", rows)
    [claim] = [claim for claim in CLAIMS if claim.id == "D4"]
    found = [part for entry in claim.parts for part in claims.found_by(entry, evidence)]
    assert [p.verdict for p in found] == [NOT_SHOWN, HOLDS, CONTRADICTED, NOT_SHOWN, HOLDS, NOT_RUN]
    assert found[0].gap.mean == pytest.approx(3.0) and found[1].gap.mean == pytest.approx(0.17)
    assert "+0.17 (" in found[1].text and found[1].text.endswith("nats")


def test_what_there_was_to_curb_is_the_rise_of_the_loss_where_nothing_is_augmented():
    losses = {"cnn7": [2.0, 0.5, 0.8], "cnn9": [2.0, 0.9, 0.6]}
    rows = [clip_row(9, f, model=m, **{"history.validation_loss": losses[m]}) for f in (1, 2) for m in losses]
    rows += [clip_row(9, copies="naa", **{"history.validation_loss": [0.1, 9.0]})]
    assert claims.risen_losses(evidence_of("scratch", rows)).endswith("CNN7 0.30, CNN9 0.00")


def test_networks_of_base_size_are_counted_without_computing():
    both = claims.base_networks(500, 50)
    assert both["widths"] == [96, 192, 384, 768]
    small = transformers.mast_tiny(64, 64, 3)
    assert cost.macs(transformers.mast_tiny(64, 64, 3).to("meta"), 64, 64) == cost.macs(small, 64, 64)
    assert both["AST"]["parameters"] > both["MAST"]["parameters"] > 40


def test_separability_is_read_with_its_sign(monkeypatch):
    value = {f"{m}_{n}": v for m in ("silhouette", "nmi", "purity", "davies_bouldin") for n, v in
             (("AST", 0.2), ("MAST", 0.5))}  # fmt: skip
    value |= {f"{name}_reach": 0.03 for name in value} | {"accuracy_AST": 60.0, "accuracy_MAST": 70.0}
    monkeypatch.setattr(claims, "recorded", lambda name: value)
    found = claims.separability(NOTHING)
    assert [p.verdict for p in found] == [HOLDS] * 3 + [CONTRADICTED], "of Davies-Bouldin less is better"
    assert np.isclose(found[0].gap.high - found[0].gap.mean, 0.03 * 2**0.5)
    assert "AST 60 %, MAST 70 %" in claims.separability_accuracy(NOTHING)


def test_the_sweep_of_the_hop_leaves_out_what_has_fewer_seeds():
    found = claims.sweep(Evidence())
    assert found.groupby("features.hop_ms").size().nunique() == 1 and 2.5 not in set(found["features.hop_ms"])
    assert set(found["recipe.steps"]) == {240} and set(found["features.window_ms"]) == {25}
