"""Answers to disturbed test clips: what the disturbances are, and what a row keeps of them."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_runs import ON_CLIPS as TINY
from tiny_runs import lasting

from course_lib import profiles
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.study import clip_run, disturbance
from course_lib.study.config import from_fields


@pytest.fixture(scope="module")
def rows():
    with profiles.one_thread():
        return [clip_run.run_one(spec, device="cpu") for spec in (TINY, replace(TINY, disturb=True))]


@pytest.fixture(scope="module")
def waves():
    return np.random.default_rng(0).standard_normal((3, 1600)).astype(np.float32) * np.float32([[0.1], [0.2], [0]])


def test_each_disturbance_is_what_its_name_says(waves):
    found = dict(disturbance.disturbances(waves, hop_samples=160))
    assert tuple(found) == disturbance.NAMES
    assert found["unchanged"] is waves
    for k in (0, 1, 16):
        shifted = found[f"shift {k}/16 hop"]
        assert shifted.shape == (3, 1760)
        np.testing.assert_array_equal(shifted[:, 10 * k : 10 * k + 1600], waves)
        assert not shifted[:, : 10 * k].any() and not shifted[:, 10 * k + 1600 :].any()
    np.testing.assert_allclose(found["gain +6 dB"], waves * 10 ** (6 / 20), rtol=1e-6)
    for snr_db in (20, 10, 0):
        noise = found[f"noise {snr_db} dB"] - waves
        ratio = np.mean(waves[:2] ** 2, axis=1) / np.mean(noise[:2] ** 2, axis=1)
        np.testing.assert_allclose(10 * np.log10(ratio), snr_db, atol=0.01)
        assert not noise[2].any()  # silence has no level that noise could be relative to


def test_a_shift_by_a_whole_hop_moves_every_frame_by_one(waves):
    spec = FeatureSpec(hop_ms=10.0)
    found = dict(disturbance.disturbances(waves, spec.hop_samples))
    before, after = (log_mel(found[f"shift {k}/16 hop"], spec) for k in (0, 16))
    np.testing.assert_allclose(after[:, 1:], before[:, :-1], atol=1e-4)


def test_the_noise_of_a_clip_differs_from_that_of_another_but_not_with_the_level_or_the_hop(waves):
    found, other = (dict(disturbance.disturbances(waves[[0, 0]], hop)) for hop in (160, 320))
    quiet, loud = found["noise 20 dB"] - waves[[0, 0]], found["noise 0 dB"] - waves[[0, 0]]
    assert not np.allclose(quiet[0], quiet[1])
    np.testing.assert_allclose(loud, 10 * quiet, atol=1e-4)
    np.testing.assert_array_equal(found["noise 0 dB"], other["noise 0 dB"])


def test_a_row_with_disturbed_clips_is_otherwise_the_same_row(rows):
    plain, disturbed = (lasting(row) for row in rows)
    added = {name: disturbed.pop(name) for name in list(disturbed) if name.startswith("disturbed_")}
    assert len(added) == 4 and disturbed.pop("disturb") and not plain.pop("disturb")
    assert plain.pop("key") != disturbed.pop("key")
    assert plain == disturbed


def test_the_answers_to_undisturbed_clips_are_those_of_the_row(rows):
    row = rows[1]
    predicted = np.reshape(row["disturbed_predicted"], (len(row["disturbed_names"]), -1))
    assert row["disturbed_clips"] == row["test_clips"]  # this fold has fewer than MOST_CLIPS
    assert row["disturbed_targets"] == row["test_targets"]
    assert predicted[0].tolist() == row["test_predicted"]


def test_clips_of_a_large_fold_are_taken_evenly(monkeypatch):
    monkeypatch.setattr(disturbance, "MOST_CLIPS", 5)
    with profiles.one_thread():
        row = clip_run.run_one(replace(TINY, disturb=True), device="cpu")
    places = [row["test_clips"].index(clip) for clip in row["disturbed_clips"]]
    assert places[0] == 0 and places[-1] == len(row["test_clips"]) - 1 and len(places) == 5
    assert np.ptp(np.diff(places)) <= 1


def test_copies_of_training_clips_are_not_among_them():
    spec = replace(TINY, disturb=True, copies="naa", clips_per_class=5, recipe=replace(TINY.recipe, steps=2))
    with profiles.one_thread():
        row = clip_run.run_one(spec, device="cpu")
    assert row["disturbed_clips"] == row["test_clips"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "timing", "frame_reducer": "oracle:0.5"}, "disturb=True: the oracle is told where the events are"),
        ({"dataset": "fsd50k", "task": "tags"}, "disturb=True: only for clips with one label each"),
    ],
)
def test_what_cannot_be_disturbed_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        from_fields({"fold": 1, "seed": 0, "disturb": True} | fields)
