"""Rows on scenes: their specification, one row, what test scenes may change, the grid and its report."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_runs import ON_SCENES as TINY
from tiny_runs import lasting
from typer.testing import CliRunner

from course_lib import paths, profiles
from course_lib.cli.main import app
from course_lib.data.events import COLUMNS
from course_lib.errors import CourseError, UsageError
from course_lib.study import grid, records, scene_run, stats
from course_lib.study.config import SceneRun, to_dict
from course_lib.tools import readme
from course_lib.training import mean_teacher


@pytest.fixture(scope="module")
def row():
    with profiles.one_thread():
        return scene_run.run_one(TINY, device="cpu")


def test_a_row_has_scores_curves_and_where_it_came_from(row):
    assert {name: row[name] for name in to_dict(TINY)} == to_dict(TINY)
    for score in stats.SCORES:
        assert 0 <= row[f"test_{score}_f1"] <= 1 and len(row[f"test_{score}_by_class"]) == 10
    assert len(row["test_segment_curve"]) == len(scene_run.SEGMENTS_S)
    assert row["test_segment_curve"][scene_run.SEGMENTS_S.index(1.0)] == row["test_segment_f1"]
    assert row["test_event_curve"][scene_run.COLLARS_S.index(0.2)] == row["test_event_f1"]
    assert row["n_test"] == 4 and row["commit"] and row["content"]
    assert 0 <= row["test_psds1"] <= row["test_psds2"] <= 1


def test_psds_is_that_of_smoothed_probabilities_of_classes_that_occur(monkeypatch):
    scenes, found = scene_run.scenes_of("synth10", 1, TINY.scenes), scene_run.features_of(TINY)
    model = scene_run.network(TINY, len(scenes.classes), scene_run.shapes_of(TINY, scenes.clip_s), scenes.clip_s)
    made = pd.DataFrame([("test-0", 2.0, 6.0, scenes.classes[0])], columns=COLUMNS)
    test, out_s = scene_run.judged(scenes, found, "test"), model.out_s
    test = replace(test, events=made.assign(filename=test.filenames[0]))
    monkeypatch.setattr(scene_run, "judged", lambda *_: test)
    spiky = np.zeros((len(test.filenames), len(out_s), len(test.classes)))
    spiky[:, 2::5] = 1  # single frames, more probable than the event
    spiky[0, (out_s >= 2) & (out_s <= 6), 0] = 0.8
    scores = mean_teacher.scores(model, test, TINY.recipe.median_ms) | {"strong": spiky}
    monkeypatch.setattr(mean_teacher, "scores", lambda *_: scores)
    row = scene_run.read_test(model, TINY, scenes, found, log=None)
    assert row["test_psds1"] == row["test_psds2"] == 1
    assert scene_run.psds_of(spiky, test, out_s, scene_run.PSDS1) == 0
    silent = replace(test, events=test.events.iloc[:0])
    assert np.isnan(scene_run.psds_of(spiky, silent, out_s, scene_run.PSDS2))


def test_rows_are_judged_again_by_the_truth_that_lies_beside_them(tmp_path, monkeypatch, row):
    truth = pd.read_parquet(scene_run.keep([TINY, replace(TINY, seed=1)], tmp_path))
    assert set(truth["content"]) == {row["content"]} and len(truth) == row["n_events"]
    late_s = -scene_run.offset_s(TINY)
    assert late_s == pytest.approx(0.06), "one and a half frames of 40 ms"
    estimated = truth[COLUMNS].assign(onset=truth["onset"] + late_s, offset=truth["offset"] + late_s)
    barely = row | {"test_estimated": estimated.to_csv(index=False)}
    monkeypatch.setattr(mean_teacher, "COLLAR_S", 0.05)
    assert scene_run.set_right(pd.DataFrame([barely]), truth)["test_event_f1"].tolist() == [1.0]
    monkeypatch.setattr(scene_run, "offset_s", lambda spec: 0.0)
    assert scene_run.set_right(pd.DataFrame([barely]), truth)["test_event_f1"][0] < 0.5
    monkeypatch.setattr(mean_teacher, "COLLAR_S", 0.2)
    assert scene_run.set_right(pd.DataFrame([row]), truth)["test_event_f1"][0] == row["test_event_f1"]


@pytest.mark.parametrize(
    ("change", "moved_ms"),
    [({"auditory_ms": 40}, -15), ({"auditory_ms": 80}, 5), ({"auditory_ms": 160}, -35), ({"auditory_ms": 320}, 20),
     ({"auditory_ms": 320, "align": "learned"}, 20), ({"auditory_ms": 320, "align": "interpolate"}, 0),
     ({"auditory_ms": 0}, 0), ({"streams": "spectral"}, -30), ({"streams": "spectral", "centred": True}, 0)],
)  # fmt: skip
def test_what_an_alignment_moves_is_known(change, moved_ms):
    spec = replace(SceneRun("esc10", 1, 0, streams="auditory"), **change)
    assert 1000 * scene_run.offset_s(spec) == pytest.approx(moved_ms)


@pytest.mark.parametrize("change", [{"streams": "spectral+auditory"}, {"frame_reducer": "diffres-light:0.5"}])
def test_several_offsets_are_not_one(change):
    with pytest.raises(ValueError, match="expected one stream and no frame reducer"):
        scene_run.offset_s(replace(TINY, **change))


def test_published_rows_and_their_truth_belong_together():
    found, truth = records.done(records.gather(records.find("scenes"))), scene_run.published()
    n_events = truth["content"].value_counts()
    assert (found["n_events"] == found["content"].map(n_events)).all() and set(found["content"]) == set(n_events.index)


def test_nothing_of_the_test_scenes_reaches_what_is_chosen(monkeypatch, row):
    """Other labels and other sounds of the test scenes change test scores alone."""
    scenes, found = scene_run.scenes_of("synth10", 1, TINY.scenes), scene_run.features_of(TINY)
    of_test = scenes.events["filename"].str.startswith("test")
    poisoned = replace(scenes, events=scenes.events[~of_test].reset_index(drop=True))
    x = np.array(found["spectral"].x)
    x[scenes.table["part"] == "test"] = np.nan
    monkeypatch.setattr(scene_run, "scenes_of", lambda *_: poisoned)
    monkeypatch.setattr(scene_run, "features_of", lambda _: {"spectral": replace(found["spectral"], x=x)})
    with profiles.one_thread():
        other = scene_run.run_one(TINY, device="cpu")
    changed = {name for name, value in lasting(other).items() if repr(value) != repr(lasting(row)[name])}
    assert changed and all(name.startswith("test_") or name == "n_events" for name in changed)


GRID = """
task = "scenes"
[common]
dataset = "synth10"
fold = 1
seed = [0, 1]
features.hop_ms = 40
features.n_mels = 32
scenes = { weak = 8, unlabelled = 4, validation = 4, test = 4 }
recipe = { steps = 4, weak = 4, unlabelled = 2, looks = 2, masks = false }
[[part]]
name = "fusion"
streams = "spectral"
fusion = ["mid", "early"]
"""


def test_a_grid_of_scenes_runs_resumes_and_is_reported(tmp_path, monkeypatch, row):
    path = tmp_path / "tiny.toml"
    path.write_text(GRID)
    read = grid.read(path)
    assert len(read.specs) == 4 and read.specs[0] == TINY and read.task == "scenes"
    runner, output = CliRunner(), tmp_path / "out"
    done = runner.invoke(app, ["study", "run", str(path), "--output", str(output), "--device", "cpu"])
    assert done.exit_code == 0 and "4 rows done" in done.output and "tagging" in done.output, done.output
    again = runner.invoke(app, ["study", "run", str(path), "--output", str(output)])
    assert "4 rows, 0 to run" in again.output
    record = records.read_record(output, TINY.key)
    # as texts: a class that no test scene has scores NaN, which is not equal to itself
    assert json.dumps(lasting(record)) == json.dumps(lasting(row) | {"status": "done"}), "the row of run_one"
    told = runner.invoke(app, ["study", "report", str(path), "--output", str(output), "--against", "fusion=early"])
    assert told.exit_code == 0 and "4 of 4 rows" in told.output, told.output
    summary = stats.summarise(records.done(records.gather(output)))
    assert list(summary["fusion"]) in (["mid", "early"], ["early", "mid"]) and set(summary["seeds"]) == {2}
    same = runner.invoke(app, ["study", "diff", str(output), str(output)])
    assert same.exit_code == 0 and "same: 4" in same.output
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "results")
    monkeypatch.setattr(readme, "refresh", tuple)
    published = runner.invoke(app, ["study", "report", str(path), "--output", str(output), "--publish"])
    assert published.exit_code == 0, published.output
    assert set(pd.read_parquet(tmp_path / "results" / read.name / "truth.parquet")["content"]) == {row["content"]}


def test_differences_are_taken_pair_by_pair():
    table = pd.DataFrame({"fold": 1, "seed": [0, 1, 2] * 2, "streams": ["spectral"] * 3 + ["auditory"] * 3})
    for score in stats.SCORES:
        table[f"test_{score}_f1"] = [0.1, 0.5, 0.9, 0.2, 0.61, 1.0]
    table = table.assign(parameters=1, train_seconds=1.0)
    found = stats.summarise(table).set_index("streams")
    assert found.loc["auditory", "tagging_difference"] == pytest.approx(0.31 / 3)
    assert found.loc["auditory", "tagging_difference_low"] > 0.08, "starts differ by far more than the pairs do"
    assert found.loc["auditory", "tagging_low"] < 0 and found.loc["spectral", "seeds"] == 3
    assert np.isnan(found.loc["spectral", "tagging_difference"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('task = "scenes"', 'task = "dreams"', "task: dreams: unknown task"),
        ('streams = "spectral"', 'streams = "smell"', "expected some of spectral, auditory, visual"),
        ('fusion = ["mid", "early"]', 'fusion = "late"', "fusion: found 'late'"),
        ("{ steps = 4", "{ steps = 0", "recipe.steps: found 0"),
        ("{ weak = 8", "{ weak = 0", "scenes.weak: found 0"),
        ("fold = 1", "fold = 1\nmodel = 1", "model: unknown key"),
    ],
)
def test_a_bad_grid_of_scenes_is_one_line(tmp_path, old, new, said):
    path = tmp_path / "bad.toml"
    path.write_text(GRID.replace(old, new))
    with pytest.raises(UsageError, match=said):
        grid.read(path)


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ('streams = "auditory"\nauditory_ms = 50', "auditory_ms=50: mn04_as has frames of"),
        ('streams = "spectral"\nframe_rate_hz = 0.05', "frame_rate_hz=0.05: gives no frame in 10.0 s; use at least"),
    ],
)
def test_what_cannot_run_is_found_before_training(tmp_path, streams, said):
    path = tmp_path / "bad.toml"
    path.write_text(GRID.replace('streams = "spectral"', streams))
    with pytest.raises(UsageError, match=f"part 'fusion': {said}"):
        grid.check(grid.read(path))


@pytest.mark.parametrize(("fault", "kind"), [(CourseError, CourseError), (ValueError, UsageError),
                                             (RuntimeError, UsageError)])  # fmt: skip
def test_what_a_set_or_a_network_refuses_is_one_line_with_its_part(tmp_path, monkeypatch, fault, kind):
    def refuse(*_):
        raise fault("no\nmore")

    monkeypatch.setattr(scene_run, "scenes_of", refuse)
    (tmp_path / "bad.toml").write_text(GRID)
    with pytest.raises(kind, match=r"bad\.toml: part 'fusion': no$") as told:
        grid.check(grid.read(tmp_path / "bad.toml"))
    assert type(told.value) is kind


@pytest.fixture
def recorded(tmp_path):
    """A folder of sounds with the lists of three parts, none unlabelled."""
    rng = np.random.default_rng(0)
    strong, names = [], {"weak": [], "validation": [], "test": []}
    for part, n in (("weak", 4), ("validation", 2), ("test", 2)):
        for k in range(n):
            x = rng.normal(size=80_000) * 0.01
            x[16_000:40_000] += np.sin(np.arange(24_000) * (0.3 + 0.9 * (k % 2)))[:] * 0.5
            name = f"{part}{k}.wav"
            soundfile.write(tmp_path / name, x, 8000)
            label = ("low", "high")[k % 2]
            names[part].append(f"{name}\t{label}")
            strong.append((part, f"{name}\t2.0\t5.0\t{label}"))
    (tmp_path / "weak.tsv").write_text("\n".join(["filename\tevent_labels", *names["weak"]]))
    for part in ("validation", "test"):
        lines = [line for of, line in strong if of == part]
        (tmp_path / f"{part}.tsv").write_text("\n".join(["filename\tonset\toffset\tevent_label", *lines]))
    return tmp_path


def test_recorded_scenes_run_as_made_ones_do(recorded):
    spec = replace(TINY, dataset=f"videos:{recorded}")
    told = CliRunner().invoke(app, ["data", "scenes", spec.dataset])
    assert told.exit_code == 0 and "8 scenes of 10 s, 2 classes, without video" in told.output, told.output
    assert "test: 2 scenes from 2 sources, 2 events" in told.output
    with profiles.one_thread():
        row = scene_run.run_one(spec, device="cpu")
    assert row["n_test"] == 2 and row["n_events"] == 2 and row["classes"] == ["high", "low"]
    with pytest.raises(CourseError, match="has no video frames"):
        scene_run.run_one(replace(spec, streams="visual"), device="cpu")
    (recorded / "test.tsv").unlink()
    refused = CliRunner().invoke(app, ["data", "scenes", spec.dataset])
    assert refused.exit_code != 0
