"""Questions to the rows of the study, on rows whose answer is known."""

from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_rows import clip_row

from course_lib import paths
from course_lib.analysis import figures, questions
from course_lib.errors import CourseError
from course_lib.study import config, grid, scene_run, stats
from course_lib.study.config import to_dict, typed
from course_lib.training.supervised import Recipe

ASKED = questions.questions()


def row(frame_reducer, fold, seed, right, macs, **more):
    return clip_row(right, fold, seed, frame_reducer=frame_reducer, macs=macs, device="cpu", **more)


@pytest.fixture
def rows():
    """Five folds: 15 of 20 right without a frame reducer, 14 or 15 with the light scorer, 10 with the published one."""
    made = [row("none", fold, 0, 15, 100) for fold in range(1, 6)]
    made += [row("diffres-light:0.5", fold, 0, 15 - (fold == 1), 60) for fold in range(1, 6)]
    made += [row("diffres:0.5", fold, 0, 10 + fold % 2, 80) for fold in range(1, 6)]
    return pd.DataFrame(made)


def test_questions_are_answered_by_pairs_and_only_where_both_sides_were_run(rows):
    found = questions.answers("diffres", rows).set_index("question")
    assert len(found) == 2, "the other questions lack their rows"
    assert set(found["where"]) == {questions.SHORT}
    light = found.loc["DiffRes, half the frames, no worse than 10 ms"]
    assert light["difference"] == pytest.approx(-0.01) and light["pairs"] == 5 and light["seeds"] == 1
    assert light["first"] == pytest.approx(0.74) and light["second"] == 0.75 and light["macs"] == 0.6
    assert light["low"] < -questions.EQUAL < light["high"] and light["verdict"] == "not shown"
    published = found.loc["DiffRes, published scorer, half the frames, no worse than 10 ms"]
    assert published["verdict"] == "contradicted" and published["macs"] == 0.8


def test_runs_that_stand_against_one_of_another_kind_of_machine_are_counted(rows):
    assert set(questions.answers("diffres", rows)["mixed"]) == {""}
    cards = rows["device"].where(~((rows["frame_reducer"] == "diffres-light:0.5") & (rows["fold"] < 3)), "cuda:1")
    found = questions.answers("diffres", rows.assign(device=cards)).set_index("question")["mixed"]
    assert found["DiffRes, half the frames, no worse than 10 ms"] == "2 of 5"
    assert found["DiffRes, published scorer, half the frames, no worse than 10 ms"] == ""
    many_cards = rows.assign(device=[f"cuda:{k % 2}" for k in range(len(rows))])
    assert questions.answers("diffres", many_cards)["mixed"].eq("").all()


def test_rows_of_another_recipe_or_without_a_partner_are_not_mixed_in(rows):
    """A seed that only one side has would otherwise move its accuracy away from the difference."""
    other = [row("diffres-light:0.5", fold, 1, 0, 60, **{"recipe.spec_augment": True}) for fold in range(1, 6)]
    other += [row("diffres-light:0.5", fold, 1, 0, 60, **{"recipe.steps": 800}) for fold in range(1, 6)]
    other += [row("none", fold, 1, 0, 100) for fold in range(1, 6)]
    other += [row("none", fold, 0, 0, 100, refit=True) for fold in range(1, 6)]
    both = questions.answers("diffres", pd.concat([rows, pd.DataFrame(other)], ignore_index=True))
    pd.testing.assert_frame_equal(both, questions.answers("diffres", rows))
    assert np.allclose(both["first"] - both["second"], both["difference"])


def words(accuracy, hop_ms, *, seeds=(0, 1), rise=0.0):
    """Rows of ten words at a hop, whose validation accuracy rises by `rise` in the last quarter of the steps."""
    spec = config.RunSpec("speechcommands10", 1, 0, recipe=Recipe(steps=4000, spec_augment=False))
    fields = to_dict(spec) | {"features.hop_ms": float(hop_ms), "features.window_ms": 2.5 * hop_ms, "macs": 100}
    return [
        fields | {"fold": fold, "seed": seed, "test_accuracy": accuracy + 0.001 * (fold + seed) * (hop_ms > 10),
                  "device": "cpu", "history.step": [1000, 2000, 3000, 4000],
                  "history.validation_accuracy": [0.5, 0.7, 0.9 - rise, 0.9]}
        for fold in range(1, 6) for seed in seeds
    ]  # fmt: skip


def test_where_ten_runs_are_planned_fewer_are_not_asked():
    half = pd.DataFrame([*words(0.9, 10), *words(0.8, 20, seeds=(0,)), *words(0.7, 40)])
    assert {answer.split()[-2] for answer in questions.answers("words", half)["question"] if "better" in answer} == {
        "40"
    }


def test_a_condition_that_still_improved_at_the_end_of_its_training_gets_no_verdict():
    rows = pd.DataFrame([*words(0.9, 10), *words(0.8, 20, rise=0.019), *words(0.7, 40, rise=0.021)])
    assert questions.late_rise(questions.chosen(rows, {"features.hop_ms": 40.0})) == pytest.approx(0.021)
    found = questions.answers("words", rows).set_index("question")["verdict"]
    assert found["all frames of 10 ms better than all frames of 20 ms"] == "holds"
    assert found["all frames of 10 ms better than all frames of 40 ms"] == "not converged: no verdict"


def test_the_questions_of_a_family_are_corrected_together():
    rows = pd.DataFrame([*words(0.9, 10), *words(0.896, 20), *words(0.7, 40)])  # of hops of 5 and 60 ms there are none
    found = questions.answers("words", rows).set_index("question")["p"]
    of_words = [q for q in ASKED if q.where == "ten spoken words" and q.text in found]
    alone = {q.text: questions.compared(q, rows).p() for q in of_words}
    close, far = (f"all frames of 10 ms better than all frames of {hop_ms} ms" for hop_ms in (20, 40))
    assert alone[far] < alone[close]
    assert found[far] == pytest.approx(4 * alone[far]) and found[close] == pytest.approx(min(1, 3 * alone[close]))


def test_no_rows_no_answers():
    for name in ("diffres", "scenes"):
        assert questions.answers(name, pd.DataFrame()).columns.tolist() == list(questions.COLUMNS)
    assert questions.published("no such grid").empty and questions.levels(pd.DataFrame()).empty


# --- the file of questions


@lru_cache
def runs_of(name):
    return [to_dict(spec) for spec in grid.read(grid.find(name)).specs]


@pytest.mark.parametrize("question", ASKED, ids=lambda question: f"{question.where}: {question.text}")
def test_every_question_is_asked_of_runs_that_the_grid_holds(question):
    """A misspelt value would otherwise be a question that is silently never answered."""
    kind = config.SPECS["scenes" if question.score else "clips"]
    assert question.first != question.second and question.margin in (0, questions.EQUAL)
    for wanted in (question.first, question.second):
        assert typed(wanted, kind("esc10", 1, 0)) == wanted
        found = [run for run in runs_of(question.grid) if all(run[name] == value for name, value in wanted.items())]
        pairs = {(run["fold"], run["seed"]) for run in found}
        assert len(pairs) >= 3
        if question.grid != "diffres":  # whose budgets share a few conditions of other recipes
            assert len(found) == len(pairs), "two conditions would be taken for one"


def test_every_question_is_asked_once_and_answered_if_its_grid_is_published():
    assert len({(question.text, question.where) for question in ASKED}) == len(ASKED)
    for name in ("diffres", "scenes", "transfer", "transformers"):
        assert len(questions.answers(name)) == sum(question.grid == name for question in ASKED)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"UrbanSound8K" = { grid = "urbansound8k", fields = { dataset',
            '"UrbanSound8K" = { grid = "urbansound8k", fields = { datset',
            "datset: not a field of a run",
        ),
        ('first = "fine-tuned"', 'first = "tuned"', "no condition 'tuned'; there are neither augmented,"),
        ('of = ["timing probe"]', 'of = ["probe"]', "no place 'probe'; there are ESC-10, 800 steps,"),
        ("margin = 0.02", "margni = 0.02", "question 'DiffRes, a quarter fewer frames, no worse than 10 ms': .*margni"),
        ("[conditions]", "[conditions", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_in_one_line(monkeypatch, tmp_path, old, new, said):
    text = (paths.study_dir() / "questions.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "questions.toml").write_text(text.replace(old, new), encoding="utf-8")
    cached = (questions._file, questions.usual_fields, questions.questions)
    monkeypatch.setattr(paths, "study_dir", lambda: tmp_path)
    for function in cached:
        function.cache_clear()
    try:
        with pytest.raises(CourseError, match=said):
            questions.questions()
    finally:
        for function in cached:
            function.cache_clear()


# --- rows on scenes


def scene_rows(*conditions, seeds=3):
    """Rows on scenes with made scores: a level of the condition plus one of the seed."""
    table = [
        questions.usual_fields("event") | fields | {"fold": 1, "seed": seed, "device": "cpu"}
        | {f"test_{score}_f1": level + 0.1 * seed + 0.001 * seed * place for score in stats.SCORES}
        for place, (fields, level) in enumerate(conditions)
        for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(table)


def test_a_difference_between_scenes_is_taken_seed_by_seed():
    conditions = ({"streams": "spectral"}, 0.3), ({"streams": "auditory"}, 0.4)
    found = questions.answers("scenes", scene_rows(*conditions))
    row = found[(found["where"] == "tagging") & (found["question"] == "auditory better than spectral")].iloc[0]
    assert row["difference"] == pytest.approx(0.101) and row["verdict"] == "one fold: no verdict"
    assert (row["pairs"], row["paired_by"]) == (3, "seed")
    assert row["paper"] == pytest.approx(81.03 - 76.22) and row["second"] == pytest.approx(0.4)
    assert set(found["where"]) == {"tagging", "segment", "event"} and len(found) == 3
    assert found["paper"].isna().tolist() == [False, True, True], "the paper has its auditory score of tagging alone"
    assert questions.answers("scenes", scene_rows(*conditions, seeds=1)).empty, "one seed makes no pair"


def test_only_the_field_in_question_differs():
    """A teacherless row of the same streams is not mixed into the comparison of streams."""
    table = scene_rows(
        ({"streams": "spectral+auditory"}, 0.5),
        ({"streams": "spectral+auditory", "recipe.unlabelled": 0}, 0.4),
        ({"streams": "spectral+auditory", "recipe.unlabelled": 0, "recipe.ema_decay": 0.0}, 0.2),
        ({"streams": "auditory"}, 0.45),
        ({"streams": "auditory", "auditory_ms": 40}, 0.1),
        ({"streams": "visual"}, 0.3),
    )
    found = questions.answers("scenes", table).set_index(["where", "question"])["difference"].round(2)
    assert found["tagging", "spectral+auditory better than auditory"] == 0.05
    assert found["event", "auditory every 40 ms better than every 320 ms"] == -0.35
    assert found["event", "unlabelled scenes better than none"] == 0.10
    assert found["event", "teacher and unlabelled scenes better than neither"] == 0.30


def test_levels_stand_beside_the_papers():
    table = scene_rows(({"streams": "spectral"}, 0.3), ({"streams": questions.ALL_STREAMS}, 0.6))
    found = questions.levels(table).set_index(["score", "streams"])
    assert found.loc[("event", "spectral"), "paper"] == 33.03
    assert found.loc[("tagging", questions.ALL_STREAMS), "mean"] == pytest.approx(100 * np.mean([0.6, 0.701, 0.802]))
    assert len(found) == 6


def test_a_hop_is_no_better_for_an_offset_that_is_undone(monkeypatch):
    """Rows whose events differ by what the nearest frame moves, and by nothing else."""
    table = scene_rows(*(({"streams": "auditory", "auditory_ms": hop}, 0.3) for hop in (320, 0, 40)))
    monkeypatch.setattr(config, "from_fields", lambda row: row["auditory_ms"])
    monkeypatch.setattr(scene_run, "offset_s", lambda hop: hop / 10_000)
    monkeypatch.setattr(scene_run, "set_right", lambda rows, truth: rows.assign(test_event_f1=0.5))
    found, offsets = questions.offsets_undone(table, pd.DataFrame({"content": ["c"]}))
    assert list(offsets.items()) == [(40, 4.0), (320, 32.0)] and found["difference"].tolist() == [0.0]
    assert questions.offsets_undone(table, pd.DataFrame())[1] == {}


# --- the figure


def test_the_figure_marks_what_leaves_out_zero(rows):
    answers = questions.answers("diffres", rows)
    fig = figures.claims_figure(answers)
    ax = fig.axes[0]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "from above"
    assert [t.get_text() for t in ax.get_yticklabels()] == answers["question"].tolist(), "240 steps decide no claim"
    drawn = [bar[0] for bar in ax.containers]
    assert np.allclose([line.get_xdata()[0] for line in drawn], 100 * answers["difference"])
    assert [line.get_marker() for line in drawn] == ["o", "s"], "only the second interval leaves out 0"
    assert "ESC-10, 240 steps, 1 of 2 intervals exclude 0" in figures.claims_text(answers)
    plt.close(fig)
