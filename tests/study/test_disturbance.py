"""Answers to disturbed test clips: what the disturbances are, and what a row keeps of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_runs import ON_CLIPS as TINY
from tiny_runs import lasting

from course_lib import profiles
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.models import classifier, diffres
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
        (
            {"dataset": "timing", "frame_reducer": "oracle:0.5"},
            "disturb=True: the oracle does not know where shifted events are",
        ),
        ({"dataset": "fsd50k", "task": "tags"}, "disturb=True: only for clips with one label each"),
    ],
)
def test_what_cannot_be_disturbed_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        from_fields({"fold": 1, "seed": 0, "disturb": True} | fields)


# --- The beginning of a clip


@pytest.fixture(scope="module")
def long_waves():
    return np.random.default_rng(0).standard_normal((4, 5 * 16_000)).astype(np.float32)


def network(reducer, hop_ms):
    torch.manual_seed(0)
    x = np.random.default_rng(1).normal(-50, 10, (4, 100, 64)).astype(np.float32)
    return classifier.Normalised(classifier.classifier("cnn7", 10, reducer=reducer), x), FeatureSpec(hop_ms=hop_ms)


def test_a_network_hears_the_first_seconds_as_long_as_it_gets_enough_frames(long_waves):
    cases = ("none", 40.0, "12345"), ("none", 80.0, "2345"), ("diffres-light:0.75", 20.0, "2345")
    for reducer, hop_ms, seconds in cases:
        model, spec = network(reducer, hop_ms)
        found = disturbance.beginnings(model, long_waves, spec, precision="fp32")
        plain = [name for name in found if "chunks" not in name]
        assert plain == [f"first {second} s" for second in seconds]
        assert len(found) == (1 if reducer == "none" else 2) * len(seconds)
    model, spec = network("none", 10.0)
    assert disturbance.beginnings(model, long_waves[:, :16_000], spec, precision="fp32") == {}


def test_a_hop_that_does_not_divide_a_second_leaves_whole_chunks(long_waves):
    """At 80 ms a chunk has 12 frames, and three seconds have 37: the last one belongs to no chunk."""
    model, spec = network("diffres-light:0.5", 80.0)
    found = disturbance.beginnings(model, long_waves, spec, precision="fp32")
    assert {f"first {second} s, in chunks" for second in (3, 4, 5)} <= set(found)


def test_what_comes_later_does_not_matter(long_waves):
    model, spec = network("diffres-light:0.5", 10.0)
    other = long_waves.copy()
    other[:, 3 * 16_000 :] = 0
    first, second = (disturbance.beginnings(model, waves, spec, precision="fp32") for waves in (long_waves, other))
    for name in ("first 1 s", "first 3 s", "first 3 s, in chunks"):
        np.testing.assert_array_equal(first[name], second[name])


def test_in_chunks_the_widths_of_a_chunk_depend_on_that_chunk_alone(long_waves):
    reducer = diffres.DiffRes(64, 0.75, scorer="light").eval()
    x = torch.tensor(np.random.default_rng(2).normal(-10, 3, (2, 300, 64)), dtype=torch.float32)
    changed = x.clone()
    changed[:, 200:] += 5
    whole = reducer(x).scores
    with disturbance.in_chunks(reducer, 100), torch.inference_mode():
        before, after = reducer(x), reducer(changed)
    torch.testing.assert_close(before.scores[:, :200], after.scores[:, :200])
    torch.testing.assert_close(before.scores.unflatten(1, (3, 100)).sum(2), torch.full((2, 3), 25.0))
    assert before.features.shape == (2, 3, 75, 64)
    torch.testing.assert_close(reducer(x).scores, whole)  # and outside, everything is as it was


def test_chunks_of_one_clip_are_merged_like_clips_of_their_own():
    reducer = diffres.DiffRes(64, 0.75, scorer="light").eval()
    x = torch.tensor(np.random.default_rng(3).normal(-10, 3, (2, 200, 64)), dtype=torch.float32)
    with torch.inference_mode():
        apart = [reducer(part).features[:, :2] for part in x.split(100, dim=1)]
        with disturbance.in_chunks(reducer, 100):
            together = reducer(x).features[:, :2]
    torch.testing.assert_close(together, torch.cat(apart, dim=2), atol=0.01, rtol=0)  # nats; widths differ by rounding
