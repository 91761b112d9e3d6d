"""The engine in one process: records, resuming, failures, and that no test clip can reach what is chosen."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import sound
from tiny_runs import ON_CLIPS as TINY
from tiny_runs import lasting

from course_lib import paths, profiles
from course_lib.audio.features import FeatureSpec
from course_lib.errors import CourseError, UsageError
from course_lib.study import clip_run, engine, grid, records
from course_lib.study.config import to_dict
from course_lib.training import checkpoint as checkpoints
from course_lib.training import supervised
from course_lib.training.supervised import Recipe

UNMASKED = replace(TINY.recipe, spec_augment=False)  # as the oracle needs it


def run_grid(specs, folder, **options):
    return engine.run_grid(specs, folder, device="cpu", **options)


@pytest.fixture(scope="module")
def row():
    with profiles.one_thread():
        return clip_run.run_one(TINY, device="cpu")


@pytest.fixture
def trained(monkeypatch):
    """The seed of every training."""
    seeds = []
    fit = supervised.fit
    monkeypatch.setattr(supervised, "fit", lambda *a, seed, **k: seeds.append(seed) or fit(*a, seed=seed, **k))
    return seeds


def test_a_row_tells_everything(row):
    assert {name: row[name] for name in to_dict(TINY)} == to_dict(TINY)
    assert row["key"] == TINY.key and len(row["weights"]) == 16
    n = row["n_test"]
    lists = ("test_clips", "test_sources", "test_targets", "test_predicted", "test_correct")
    assert [len(row[name]) for name in lists] == [n] * 5 and n == 20
    assert (
        row["test_accuracy"]
        == np.mean(row["test_correct"])
        == np.mean(np.equal(row["test_targets"], row["test_predicted"]))
    )
    assert {clip.rsplit("-", 2)[0] for clip in row["test_clips"]} == set(row["classes"])
    assert row["history.step"] == [2, 4] and row["chosen_step"] in (2, 4)
    assert row["frames"] == 63 and row["macs"] > row["feature_macs"] > 0
    assert (row["device"], row["threads"]) == ("cpu", 1) and torch.__version__.startswith(row["env.torch"])
    json.dumps(row)


def test_finished_rows_are_never_run_again(tmp_path, trained, row):
    specs = [TINY, replace(TINY, seed=1)]
    told, warmed = [], []
    first = run_grid(specs, tmp_path, on_done=told.append, on_prefetch=lambda *n: warmed.append(n))
    assert [r["status"] for r in first] == ["done", "done"] and told == first and warmed == [(1, 1)]
    assert lasting(first[0]) == lasting(row) | {"status": "done"}, "the engine gives the row of run_one"
    assert trained == [0, 1], "the seed of a row is that of its training"
    assert run_grid(specs, tmp_path) == first
    assert len(trained) == 2, "a second run trains nothing"
    assert not list((tmp_path / "checkpoints").iterdir()) and not (tmp_path / ".lock").exists()
    readings = [json.loads(line) for line in (tmp_path / records.READINGS).read_text().splitlines()]
    assert [(r["key"], r["dataset"], r["fold"], r["clips"]) for r in readings] == [
        (spec.key, "synth10", 1, 20) for spec in specs
    ]


def test_an_interrupted_row_resumes_from_its_last_evaluation(tmp_path, monkeypatch, row):
    evaluate, looked = checkpoints.Progress.evaluate, []

    def cut_off(self, step, scores):
        looked.append(step)
        if len(looked) == 2:
            raise KeyboardInterrupt
        return evaluate(self, step, scores)

    monkeypatch.setattr(checkpoints.Progress, "evaluate", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run_grid([TINY], tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [f"{TINY.key}.pt"]
    assert not list((tmp_path / "records").iterdir()) and not (tmp_path / ".lock").exists()
    record = run_grid([TINY], tmp_path)[0]
    assert looked == [2, 4, 4], "the first half is not trained again"
    assert lasting(record) == lasting(row) | {"status": "done"}


def test_a_checkpoint_of_other_data_is_begun_anew(tmp_path, monkeypatch, row):
    """As when sounds, or the code that makes features of them, changed after a run was cut off."""
    fit, refused = supervised.fit, []

    def stale(*args, checkpoint, **more):
        if not refused:
            refused.append(checkpoint.write_bytes(b"of other data"))
            raise checkpoints.OtherTraining(f"{checkpoint}: belongs to another training")
        assert not checkpoint.exists()
        return fit(*args, checkpoint=checkpoint, **more)

    monkeypatch.setattr(supervised, "fit", stale)
    assert lasting(run_grid([TINY], tmp_path)[0]) == lasting(row) | {"status": "done"} and refused


def test_a_row_of_the_users_own_list_is_run_again_when_the_list_has_changed(tmp_path, trained):
    """A label, or a sound: both go under the same name as before."""
    for k in range(12):
        sound(tmp_path / f"{k}.wav", 300 + 100 * k, length_s=1.5)
    lines = [f"{k}.wav,{'low' if k < 6 else 'high'},{1 + k % 3}\n" for k in range(12)]
    mine = tmp_path / "mine.csv"

    def listed(lines):
        mine.write_text("filename,label,fold\n" + "".join(lines))
        clip_run.clips_of.cache_clear()  # as in a process of its own
        return [replace(TINY, dataset=str(mine), clips_per_class=None, recipe=Recipe(steps=1, batch_size=4, n_evals=1))]

    before = run_grid(listed(lines), tmp_path)[0]
    assert before["status"] == "done", before.get("error")
    assert run_grid(listed(lines), tmp_path) == [before] and len(trained) == 1
    relabelled = run_grid(listed([lines[0].replace("low", "high"), *lines[1:]]), tmp_path)[0]
    assert relabelled["content"] != before["content"] and len(trained) == 2
    sound(tmp_path / "0.wav", 3000, length_s=1.5)
    assert run_grid(listed(lines), tmp_path)[0]["content"] != before["content"] and len(trained) == 3


def test_a_folder_is_a_data_set_of_a_grid(tmp_path, trained):
    mine = tmp_path / "my sounds"
    for k in range(12):
        sound(mine / ("low" if k < 6 else "high") / f"x{k}.wav", 300 + 100 * k, length_s=1.5)
    run = replace(TINY, dataset=str(mine), clips_per_class=None, recipe=Recipe(steps=1, batch_size=4, n_evals=1))
    grid.check(grid.Grid("g", tmp_path / "g.toml", (("a", (run,)),)))
    before = run_grid([run], tmp_path)[0]
    assert (before["status"], before["form"]) == ("done", str(mine)), before.get("error")
    sound(mine / "low" / "x0.wav", 3000, length_s=1.5)
    clip_run.clips_of.cache_clear()
    assert run_grid([run], tmp_path)[0]["content"] != before["content"] and len(trained) == 2


def test_what_a_killed_worker_left_unfinished_goes_with_its_row(tmp_path):
    """It died while writing its checkpoint or record, or between the record and the end of its task."""
    left = [("checkpoints", ".pt.1.partial"), ("records", ".json.1.partial"), ("checkpoints", ".pt")]
    other = tmp_path / "checkpoints" / "another.pt"
    for when in ("before the row", "after its record"):
        for folder, name in left[: 2 if when == "before the row" else 3]:
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{TINY.key}{name}").write_text("cut")
        other.write_text("of a row in flight")
        engine.finish(to_dict(TINY), str(tmp_path), "cpu")
        assert [p.name for p in (tmp_path / "records").iterdir()] == [f"{TINY.key}.json"], when
        assert list((tmp_path / "checkpoints").iterdir()) == [other], when


def test_the_checkpoint_of_a_recorded_row_goes_with_the_next_run(tmp_path):
    """The run was killed between writing the record and removing the checkpoint."""
    run_grid([TINY], tmp_path)
    (tmp_path / "checkpoints" / f"{TINY.key}.pt").write_text("left")
    run_grid([TINY], tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    "error", [CourseError("the loss is nan\nmore"), torch.OutOfMemoryError("CUDA: no room"), MemoryError()]
)
def test_a_failing_row_is_recorded_and_the_rest_goes_on(tmp_path, monkeypatch, error):
    network = clip_run.network

    def broken(name, n_classes, shape):
        if torch.initial_seed() == 1:
            raise error
        return network(name, n_classes, shape)

    monkeypatch.setattr(clip_run, "network", broken)
    specs = [replace(TINY, seed=seed) for seed in (1, 0)]
    records = run_grid(specs, tmp_path)
    assert [r["status"] for r in records] == ["failed", "done"]
    line = str(error).partition("\n")[0] or "no message"
    assert records[0]["error"] == f"{type(error).__name__}: {line}" and records[0]["seed"] == 1
    assert engine.pending(specs, tmp_path) == []
    assert engine.pending(specs, tmp_path, retry_failed=True) == specs[:1]
    monkeypatch.setattr(clip_run, "network", network)
    assert [r["status"] for r in run_grid(specs, tmp_path)] == ["failed", "done"]
    assert [r["status"] for r in run_grid(specs, tmp_path, retry_failed=True)] == ["done", "done"]


def test_one_run_a_folder_and_no_damaged_records(tmp_path):
    refused = pytest.raises(paths.FolderInUse, match=f"process {os.getpid()} is running a study there")
    with paths.lock(tmp_path, "another study"), refused:
        run_grid([TINY], tmp_path)
    records.record_path(tmp_path, TINY.key).parent.mkdir(exist_ok=True)
    records.record_path(tmp_path, TINY.key).write_text("{")
    with pytest.raises(CourseError, match=r"cannot be read as a record .*; remove it to run the row again"):
        run_grid([TINY], tmp_path)


@pytest.mark.parametrize("where", ["checkpoint", "record"])
def test_a_full_disk_stops_the_run_and_is_no_rows_fault(tmp_path, monkeypatch, where):
    """Else every row to come would be recorded as failed, and none run again once there is room."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*(checkpoints, "write_if_due") if where == "checkpoint" else (engine, "_write"), full)
    with pytest.raises(OSError, match="No space left"):
        run_grid([TINY], tmp_path)
    monkeypatch.undo()
    assert engine.pending([TINY], tmp_path) == [TINY]
    assert run_grid([TINY], tmp_path)[0]["status"] == "done"


def rows_learnt(spec):
    """The clips of a run, and those of them that are for training and for validation (None if there are none)."""
    clips = clip_run.clips_of(spec.dataset, spec.clips_per_class, spec.copies)
    x = np.arange(len(clips), dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    splits = clip_run.learning_data(spec, clips, x)
    return clips, *(split and clips.table.iloc[split.x[:, 0, 0].astype(int)] for split in splits)


def test_copies_are_learnt_from_and_never_judged_on():
    clips, learnt, validated = rows_learnt(replace(TINY, copies="naa"))
    assert (len(learnt), len(validated)) == (7 * 60, 20) and 1 not in set(learnt["fold"])
    assert clips.is_original[validated.index].all()


def test_nothing_of_the_test_fold_reaches_what_is_chosen(monkeypatch, row):
    """Labels of the test fold turned round and its features made useless: only the reading itself changes."""
    clips = clip_run.clips_of(TINY.dataset, TINY.clips_per_class)
    is_test = (clips.table["fold"] == TINY.fold).to_numpy()
    table, x = clips.table.copy(), np.array(clip_run.features_of(TINY))
    table.loc[is_test, "label"] = table.loc[is_test, "label"].to_numpy()[::-1]
    x[is_test] = np.nan
    monkeypatch.setattr(clip_run, "clips_of", lambda *_: replace(clips, table=table))
    monkeypatch.setattr(clip_run, "features_of", lambda _: x)
    with profiles.one_thread():
        poisoned = clip_run.run_one(TINY, device="cpu")
    changed = {name for name in lasting(row) if row[name] != poisoned[name]}
    assert "test_targets" in changed and all(name.startswith("test_") for name in changed)
    assert poisoned["weights"] == row["weights"] and poisoned["chosen_step"] == row["chosen_step"]


def test_refit_learns_from_the_clips_for_validation_too_and_keeps_the_last_step(row):
    again = replace(TINY, refit=True)
    _, learnt, validated = rows_learnt(again)
    assert set(learnt["fold"]) == {2, 3, 4, 5} and validated is None
    with profiles.one_thread():
        found = clip_run.run_one(again, device="cpu")
    assert (found["n_train"], found["n_validation"], found["chosen_step"]) == (80, 0, TINY.recipe.steps)
    assert found["test_clips"] == row["test_clips"] and found["weights"] != row["weights"]
    assert not any("validation_" in name for name in found)


def test_one_job_does_without_dask():
    code = "import sys; from course_lib.study import engine, grid, records, stats; print('distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_oracle_gets_a_band_that_says_where_the_events_are():
    spec = replace(
        TINY, dataset="timing", clips_per_class=2, frame_reducer="oracle:0.5", features=FeatureSpec(hop_ms=5.0),
        recipe=UNMASKED,
    )  # fmt: skip
    clips = clip_run.clips_of("timing", 2)
    x = clip_run.features_of(spec)
    assert x.shape[2] == spec.features.n_mels + 1
    centres_s = spec.features.frame_centres_s(x.shape[1])
    event = clips.events.iloc[0]
    band = x[list(clips.table["clip"]).index(event["clip"]), :, -1]
    inside = (centres_s >= event["onset_s"]) & (centres_s < event["offset_s"])
    assert set(np.unique(band)) == {0, 1} and band[inside].all()
    assert not band[centres_s < event["onset_s"] - spec.features.window_ms / 1000].any()


def test_a_short_pause_between_two_events_belongs_to_them():
    spec = FeatureSpec(hop_ms=5.0, window_ms=5.0)
    clips = clip_run.clips_of("timing", 2)
    name = "gap_10ms-0000"
    x = np.zeros((len(clips), 200, 4), dtype=np.float32)
    place = list(clips.table["clip"]).index(name)

    def active_s(*events):
        starts_s, ends_s = zip(*events, strict=True)
        table = pd.DataFrame({"clip": name, "onset_s": starts_s, "offset_s": ends_s})
        return clip_run.with_events(x, replace(clips, events=table), spec)[place, :, -1].sum() * 0.005

    click_s = 0.01  # and half a window on either side of what is active
    assert active_s((0.2, 0.21), (0.305, 0.315)) == pytest.approx(0.115 + 0.005, abs=0.006)  # 95 ms apart
    assert active_s((0.2, 0.21), (0.315, 0.325)) == pytest.approx(2 * (click_s + 0.005), abs=0.011)  # 105 ms
    assert active_s((0.305, 0.315), (0.2, 0.21)) == pytest.approx(0.115 + 0.005, abs=0.006)  # in no order
    # One event within another: what counts is the end of the longer one
    assert active_s((0.2, 0.4), (0.25, 0.26), (0.47, 0.48)) == pytest.approx(0.28 + 0.005, abs=0.006)


def test_the_oracle_needs_strong_labels(tmp_path):
    for label in ("dog", "rain"):
        for n in range(5):
            sound(tmp_path / "mine" / label / f"{n}.wav", 300 + 100 * n + 7 * len(label))
    spec = replace(TINY, dataset=str(tmp_path / "mine"), frame_reducer="oracle:0.5", recipe=UNMASKED)
    with pytest.raises(UsageError, match="no strong labels, which the frame reducer oracle needs"):
        clip_run.features_of(spec)
