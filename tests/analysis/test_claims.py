"""The claims of the papers are judged by the published rows, and every question of theirs is one that is asked."""

import re

import numpy as np
import pandas as pd
import pytest
from made_rows import clip_row

from course_lib.analysis import claims, questions
from course_lib.analysis.claims import Claim, Evidence
from course_lib.analysis.verdicts import (
    BY_CONSTRUCTION,
    CONTRADICTED,
    HOLDS,
    NOT_RUN,
    NOT_SHOWN,
    NOT_TESTABLE,
    ONE_FOLD,
    UNCONVERGED,
)
from course_lib.data.events import COLUMNS
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval
from course_lib.models import transformers
from course_lib.study import grid, scene_run
from course_lib.study.config import to_dict
from course_lib.training import cost

CLAIMS = claims.claims()
NOTHING = Evidence(lambda name: pd.DataFrame())
HALF = {"question": claims.HALF, "where": questions.LONG}


def evidence_of(grid, rows):
    """Evidence from the rows of one grid alone."""
    return Evidence(lambda name: pd.DataFrame(rows if name == grid else []))


def test_a_claim_has_a_row_for_each_data_set_with_design_and_control():
    published = Evidence()
    answer = published.part(**HALF)
    missing, digits = ({"question": claims.HALF, "where": where} for where in ("NSynth", "spoken digits"))
    claim = Claim("X1", "says", "Because of it.", "99", [HALF | {"about": "half"}, missing, digits],
                  [HALF, missing, {"compute": "worth_of_a_leak"}])  # fmt: skip
    rows = claims.judged(claim, published)
    assert [(row["data"], row["verdict"]) for row in rows] == [
        ("ESC-10", NOT_SHOWN), ("NSynth", NOT_RUN), ("spoken digits", NOT_SHOWN)
    ]  # fmt: skip
    row = rows[0]
    assert row["ours"] == f"half: {answer.difference}" and row["design"] == "5 folds x 3"
    control, leak = row["control"].split("; ")
    assert control == answer.text and leak.startswith("making copies before a random split")
    assert (row["reason"], row["paper"]) == ("Because of it.", "99") and rows[1]["ours"] == "1 not run"


def test_a_verdict_of_the_design_stands_beside_the_numbers():
    for word in (NOT_TESTABLE, NOT_SHOWN, BY_CONSTRUCTION):
        [row] = claims.judged(Claim("X2", "says", "No data.", parts=[HALF], verdict=word), Evidence())
        assert row["verdict"] == word and row["ours"].startswith("DiffRes, half the frames")
    [row] = claims.judged(Claim("X3", "says", "No rows.", parts=[HALF], verdict=NOT_SHOWN), NOTHING)
    assert row["verdict"] == NOT_RUN, "an open question that nobody asked"


def test_evidence_from_some_grids_knows_no_others(monkeypatch):
    rows = pd.DataFrame({"fold": [1]})
    monkeypatch.setattr(questions, "published", lambda grid: rows)
    evidence = claims.evidence_from("lesson")
    assert len(evidence.rows("lesson")) == 1 and evidence.rows("scenes").empty


def test_p_values_are_corrected_over_all_data_sets_of_a_claim():
    alone = {where: claims.parts_of(Claim("X", "s", "w", parts=[{"question": claims.HALF, "where": where}]), Evidence())
             for where in (questions.LONG, "spoken digits")}  # fmt: skip
    both = claims.parts_of(Claim("X", "s", "w", parts=[HALF, HALF | {"where": "spoken digits"}]), Evidence())
    raw = [part.p for parts in alone.values() for part in parts]
    assert raw[0] < raw[1] and [part.p for part in both] == pytest.approx([2 * raw[0], max(2 * raw[0], raw[1])])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"question": "is it so?", "where": "ESC-50"}, r"questions.toml has no question 'is it so\?' about 'ESC-50'"),
        (HALF | {"abuot": "half"}, "unexpected keyword argument 'abuot'"),
        ({"compute": "own_hop"}, "compute = 'own_hop': no such function; did you mean own_hops"),
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


def test_only_the_design_may_decide_beforehand(monkeypatch):
    given = {"id": "A1", "says": "so", "why": "thus", "verdict": "holds"}
    monkeypatch.setattr(claims, "read_toml", lambda _: {"claim": [given]})
    with pytest.raises(CourseError, match=r"^claims.toml: claim 'A1': verdict 'holds', expected met by construction "):
        claims.claims.__wrapped__()


def test_a_turned_question_asks_for_the_opposite_with_its_own_margin():
    straight = Evidence().part("all three better than spectral", "event")
    turned = Evidence().part("all three better than spectral", "event", turned=True, margin=questions.EQUAL)
    gap = straight.found.interval
    assert turned.found.interval == Interval(-gap.mean, -gap.high, -gap.low)
    assert (straight.margin, turned.margin) == (0, 0.02)


# --- the claims themselves ---------------------------------------------------------------------------------------


def test_every_claim_of_the_four_papers_is_there():
    wanted = [f"{paper}{n}" for paper, last in (("A", 5), ("B", 5), ("C", 9), ("D", 5)) for n in range(1, last + 1)]
    assert list(dict.fromkeys(claim.id[:2] for claim in CLAIMS)) == wanted
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)


def test_without_rows_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(claims, "published_dir", lambda: tmp_path)
    found = claims.table(NOTHING).set_index("id")
    counted = ["B1", "B4"]
    assert set(found.loc[counted, "verdict"]) == {BY_CONSTRUCTION}
    assert set(found.drop(counted)["verdict"]) == {NOT_RUN, NOT_TESTABLE}
    assert not re.search(r"[+-]\d", " ".join(found.drop(counted)["ours"])), "a number without rows"


@pytest.fixture(scope="module")
def table():
    return claims.table(Evidence())


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_a_reason_has_no_verdict_and_no_result_of_its_own(claim):
    words = re.findall(r"\bholds\b|\bcontradict|\bnot shown\b|\bconfirm|\brefute|\bproves?\b", claim.why)
    assert claim.why and not words, "it stands beside whatever verdict the rows give"
    assert not re.search(r"(?<!ESC)[+-]\d", claim.why), "numbers come from rows"


def test_verdicts_of_the_published_rows(table):
    """What the rules of study/protocol.md give for today's rows; see also test_results.py, which recomputes them."""
    found = table.set_index(["id", "data"])["verdict"]
    assert found["A1", "timing probe"] == HOLDS and found["A1", "ESC-10"] == NOT_SHOWN
    assert found["D5b", "ESC-10"] == HOLDS and found["D5a", "ESC-10"] == NOT_SHOWN
    assert found["C7a", questions.SCENES] == found["C7b", questions.SCENES] == HOLDS
    assert {found["C8", questions.SCENES], found["C9", questions.SCENES]} == {ONE_FOLD}


def test_questions_name_the_claim_that_they_decide():
    """Holm's procedure over the answers of a grid corrects as the claim does, if the grid has all its questions."""
    families = {
        "ESC-50",
        "ten spoken words",
        "timing probe of 10 s",
    }  # where questions are corrected by family, and once more for the claim
    larger = {"Speech Commands", "NSynth", "FSD50K", "UrbanSound8K"}  # not published yet
    parts = {(entry["question"], entry["where"]): claim.id for claim in CLAIMS for entry in claim.parts
             if "question" in entry and claim.id[0] in "AB" and claim.id != "A5"
             and entry["where"] not in families}  # fmt: skip
    named = {(q.text, q.where): q.claim for q in questions.questions() if q.claim[:1] in tuple("AB") and q.claim
             and q.where not in larger}  # fmt: skip
    assert parts == named
    # Each grid corrects for its own questions, the claim for those of all grids, rows or not
    answers = pd.concat([questions.answers(grid) for grid in ("diffres", "budget")]).set_index(["where", "question"])
    for claim in CLAIMS[:4]:
        for entry, part in zip(claim.parts, claims.parts_of(claim, Evidence()), strict=True):
            if entry["where"] in families:
                continue
            row = answers.loc[(entry["where"], entry["question"])]
            assert part.p >= row["p"] > 0 and part.verdict in (row["verdict"], NOT_SHOWN)
            if not any(entry["where"] in families or "2.5 hops" in entry["where"] for entry in claim.parts):
                assert part.p == pytest.approx(row["p"])


def test_the_papers_own_figures_are_those_beside_the_questions():
    """C2 to C7 quote two levels and their difference."""
    levels = [f"{value:.2f}" for score in ("tagging", "segment", "event") for value in
              questions.paper_scores(score).values()]  # fmt: skip
    quoted = [claim for claim in CLAIMS if claim.id[:2] in ("C2", "C3", "C4", "C5", "C6", "C7") and claim.paper]
    assert len(quoted) == 6
    for claim in quoted:
        numbers = re.findall(r"[+-]?\d+\.\d+", claim.paper)
        assert set(numbers[:2]) <= set(levels)
        assert float(numbers[2]) == pytest.approx(float(numbers[1]) - float(numbers[0]))


# --- parts that take more than one question ----------------------------------------------------------------------


def test_overfitting_is_the_last_loss_and_learning_is_above_chance():
    def row(right, fold, model, loss, **fields):
        return clip_row(right, fold, model=model, **{"history.validation_loss": [2.0, loss]}, **fields)

    rows = [row(2 + f % 2, f, m, 1.0) for f in range(1, 6) for m in ("cnn7", "cnn9")]
    rows += [row(9, f, m, 0.8 + 0.01 * f, copies="naa") for f in range(1, 6) for m in ("cnn7", "cnn9")]
    rows += [row(9, f, "cnn7", 1.2, **{"recipe.image_augment": True}) for f in range(1, 6)]
    evidence = evidence_of("scratch", rows)
    found = [part for claim in CLAIMS if claim.id.startswith("D4")
             for part in claims.parts_of(claim, evidence)]  # fmt: skip
    assert [p.verdict for p in found] == [NOT_SHOWN, NOT_SHOWN, HOLDS, HOLDS, CONTRADICTED, NOT_RUN]
    assert found[0].found.interval.mean == pytest.approx(0.03) and found[2].found.interval.mean == pytest.approx(0.17)
    assert "+0.17 (" in found[2].text and found[2].text.endswith("nats")


def test_a_claim_does_not_hold_on_a_data_set_while_a_question_about_it_was_not_run():
    rows = [clip_row(9, f, model="cnn7", **{"history.validation_loss": [2.0, loss]}, **fields)
            for f in range(1, 6) for loss, fields in ((1.0, {}), (0.5 + 0.01 * f, {"copies": "naa"}))]  # fmt: skip
    [claim] = [each for each in CLAIMS if each.id == "D4b"]
    [found] = claims.judged(claim, evidence_of("scratch", rows))
    assert found["data"] == "ESC-10" and found["ours"].endswith("1 not run") and found["verdict"] == NOT_SHOWN


def test_a_claim_that_cannot_be_shown_is_not_run_where_it_has_no_rows():
    claim = Claim("X3", "says", "No data.", parts=[HALF, HALF | {"where": "spoken digits"}], verdict=NOT_SHOWN)
    rows = questions.published("diffres")
    found = claims.judged(claim, evidence_of("diffres", rows[rows["dataset"] == "esc10"]))
    assert {row["data"]: row["verdict"] for row in found} == {"ESC-10": NOT_SHOWN, "spoken digits": NOT_RUN}


def test_a_margin_of_a_claim_needs_the_turned_question():
    with pytest.raises(CourseError, match="leave out margin"):
        NOTHING.part(**HALF, margin=0.02)


def test_what_there_was_to_curb_is_the_rise_of_the_loss_where_nothing_is_augmented():
    losses = {"cnn7": [2.0, 0.5, 0.8], "cnn9": [2.0, 0.9, 0.6]}
    rows = [clip_row(9, f, model=m, **{"history.validation_loss": losses[m]}) for f in (1, 2) for m in losses]
    rows += [clip_row(9, copies="naa", **{"history.validation_loss": [0.1, 9.0]})]
    assert claims.risen_losses(evidence_of("scratch", rows)).endswith("CNN7 0.30, CNN9 0.00")


DOG = pd.DataFrame([("a", 1.0, 2.0, "dog"), ("b", 3.0, 4.0, "dog")], columns=COLUMNS)


def rows_on_five_folds(late_s):
    """A row per run of the grid `events` that hears both dogs, `late_s(streams)` late; tagging is best with both."""
    tagging = {"spectral": 0.6, "auditory": 0.8, "spectral+auditory": 0.82}
    rows = []
    for spec in grid.read(grid.find("events")).specs:
        moved = DOG.assign(onset=DOG["onset"] + late_s(spec), offset=DOG["offset"] + late_s(spec))
        f1 = tagging[spec.streams] + 0.01 * (spec.fold % 3) * (spec.streams == "spectral")
        scores = {f"test_{name}_f1": f1 for name in ("tagging", "segment", "event")}
        curves = {"history.step": [1125, 1500], "history.validation_tagging": [0.6, 0.6]}
        counts = {"n_test": 300, "n_train": 1200, "content": f"fold {spec.fold}", "device": "cpu", "classes": ["dog"]}
        rows.append(to_dict(spec) | scores | curves | counts | {"test_estimated": moved.to_csv(index=False)})
    return rows


def verdicts_on_five_folds(rows):
    found = claims.table(evidence_of("events", rows))
    return found[found["data"].str.endswith("(five folds)")].set_index("id")["verdict"]


def test_scenes_on_five_folds_get_verdicts_over_folds(monkeypatch):
    truth = pd.concat([DOG.assign(content=f"fold {fold}") for fold in range(1, 6)])
    monkeypatch.setattr(scene_run, "published", lambda grid="scenes": truth if grid == "events" else truth.iloc[:0])
    rows = rows_on_five_folds(lambda spec: float(spec.auditory_ms == 320 and spec.streams == "auditory"))
    found = verdicts_on_five_folds(rows)
    assert dict(found) == {"C2": HOLDS, "C6": HOLDS, "C7a": HOLDS, "C7b": HOLDS, "C7c": HOLDS, "C8": HOLDS}
    localised = claims.localised_by(evidence_of("events", rows), "spectral", "auditory", where="tagging, five folds")
    assert localised.design == "5 folds x 2" and localised.found.paired_by == "fold"
    assert localised.found.interval.mean == pytest.approx(1) and localised.found.pairs == 5

    lacking = verdicts_on_five_folds(rows[1:])
    assert dict(lacking) == {"C8": HOLDS}, "only this claim needs no row of the log-mel"

    rising = {"history.validation_tagging": [0.6, 0.63]}
    rows = [row | rising if row["streams"] == "spectral" else row for row in rows]
    found = verdicts_on_five_folds(rows)
    assert found["C8"] == HOLDS and set(found.drop("C8")) == {UNCONVERGED}


def test_networks_of_base_size_are_counted_without_computing():
    both = claims.base_networks(500, 50)
    assert both["widths"] == [96, 192, 384, 768]
    deeper = claims.base_networks(500, 50, claims.MVITV2_B)
    assert deeper["MAST"]["parameters"] > both["MAST"]["parameters"] and deeper["AST"] == both["AST"]
    small = transformers.mast_tiny(64, 64, 3)
    assert cost.macs(transformers.mast_tiny(64, 64, 3).to("meta"), 64, 64) == cost.macs(small, 64, 64)
    assert both["AST"]["parameters"] > both["MAST"]["parameters"] > 40


def test_separability_is_read_with_its_sign(monkeypatch):
    value = {f"probe_{m}_{n}_long": v for m in ("silhouette", "nmi", "purity", "davies_bouldin") for n, v in
             (("AST", 0.2), ("MAST", 0.5))}  # fmt: skip
    value |= {f"{name}_reach": 0.03 for name in value} | {
        "probe_accuracy_AST_long": 60.0,
        "probe_accuracy_MAST_long": 70.0,
    }
    monkeypatch.setattr(claims, "recorded", lambda name: value)
    found = claims.separability(NOTHING)
    assert [p.found.interval.mean for p in found] == pytest.approx([0.3] * 3 + [-0.3]), "lower is better of the last"
    assert {p.verdict for p in found} == {ONE_FOLD}
    assert np.isclose(found[0].found.interval.high - found[0].found.interval.mean, 0.03 * 2**0.5)
    assert "AST 60 %, MAST 70 %" in claims.separability_accuracy(NOTHING)


def test_the_sweep_of_the_hop_leaves_out_what_has_fewer_seeds():
    found = claims.sweep(Evidence())
    assert found.groupby("features.hop_ms").size().nunique() == 1 and 2.5 not in set(found["features.hop_ms"])
    assert set(found["recipe.steps"]) == {240} and set(found["features.window_ms"]) == {25}
