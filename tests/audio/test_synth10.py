"""The ten procedural classes: reproducible, honest in their folds, neither trivial nor hopeless, cached by content."""

import inspect
import itertools

import librosa
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from course_lib.audio import synth10
from course_lib.audio.timebase import nearest_frame, seconds_to_samples
from course_lib.data import load

RATE_HZ = synth10.RATE_HZ


@pytest.fixture(scope="module")
def table():
    return synth10.synth10_table(clips_per_class=40, seed=0)


@pytest.fixture(scope="module")
def waves(table):
    return synth10.synth10_waves(table)


@pytest.fixture
def small():
    """Two clips per class, of different sources."""
    return synth10.synth10_table(clips_per_class=2, seed=3)


@pytest.mark.parametrize("clips_per_class", [1, 7, 10, 40, 100])
def test_folds_keep_sources_whole_and_are_balanced(clips_per_class):
    table = synth10.synth10_table(clips_per_class)
    assert table["clip"].is_unique and len(table) == 10 * clips_per_class
    assert (table.groupby("source")["fold"].nunique() == 1).all()
    assert (table.groupby("source")["label"].nunique() == 1).all()
    counts = pd.crosstab(table["label"], table["fold"]).reindex(columns=range(1, 6), fill_value=0).to_numpy()
    assert counts.max() - counts.min() <= 1
    assert table.groupby("source").size().between(1, 3).all()


def test_a_smaller_set_is_the_beginning_of_a_larger_one(table):
    head = table.groupby("label", sort=False).head(7).reset_index(drop=True)
    pd.testing.assert_frame_equal(head, synth10.synth10_table(7))
    with pytest.raises(ValueError, match="at least 1"):
        synth10.synth10_table(0)


def test_waves_are_float32_finite_and_within_full_scale(waves):
    assert waves.shape == (400, 80_000) and waves.dtype == np.float32
    assert np.isfinite(waves).all()
    peaks = np.abs(waves).max(axis=1)
    assert peaks.max() <= 1 and peaks.min() > 0.09  # levels from -20 to -1 dB


def test_another_seed_is_another_sound(small):
    first, other = (synth10.synth10_waves(small.assign(seed=seed)) for seed in (3, 4))
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, other, strict=True)]
    assert np.abs(correlations).max() < 0.5


def test_any_part_equals_the_same_rows_of_the_whole(table, waves):
    rows = np.random.default_rng(1).permutation(len(table))[:12]
    np.testing.assert_array_equal(synth10.synth10_waves(table.iloc[rows]), waves[rows])


def test_takes_share_their_source_and_differ_in_sound(table, waves, monkeypatch):
    second_round = table[table["number"] == 5]  # whose sources have two takes
    for _, takes in second_round.groupby("source"):
        assert len(takes) == 2
        assert np.abs(np.corrcoef(waves[takes.index])[0, 1]) < 0.5
    heard, draw = [], synth10.draw_source
    monkeypatch.setattr(synth10, "draw_source", lambda *key: heard.append(draw(*key)) or heard[-1])
    synth10.synth10_waves(second_round[second_round["label"] == "dog"])
    first, other = (dict(vars(source)) for source in heard)
    np.testing.assert_array_equal(first.pop("room"), other.pop("room"))
    assert first == other
    monkeypatch.undo()
    assert synth10.draw_source("dog", 5, seed=0).parameters != synth10.draw_source("dog", 6, seed=0).parameters


def test_parameters_stay_in_their_ranges_and_reach_both_halves():
    for label, sound in synth10.SOUNDS.items():
        drawn = pd.DataFrame([synth10.draw_source(label, number, seed=0).parameters for number in range(60)])
        assert list(drawn) == list(inspect.signature(sound.make).parameters)[2:]
        for name, (low, high) in sound.ranges.items():
            assert drawn[name].between(low, high).all()
            assert 0.25 < (drawn[name] < np.sqrt(low * high)).mean() < 0.75


def test_events_lie_in_order_inside_their_clips(table):
    events = synth10.synth10_events(table)
    assert list(events) == ["clip", "onset_s", "offset_s", "label"]
    assert set(events["clip"]) == set(table["clip"])
    assert (events["onset_s"] >= 0).all() and (events["offset_s"] <= synth10.LENGTH_S).all()
    assert (events["offset_s"] > events["onset_s"]).all()
    for _, own in events.groupby("clip"):
        assert (own["onset_s"].to_numpy()[1:] >= own["offset_s"].to_numpy()[:-1]).all()


def test_energy_jumps_at_the_onsets(monkeypatch):
    """From the 20 ms before an event to its loudest 20 ms, where the background is 40 dB below the sound."""
    monkeypatch.setattr(synth10, "SNR_DB", (40, 40))
    table = synth10.synth10_table(5)
    table = table[[synth10.SOUNDS[label].pace is not None for label in table["label"]]].reset_index(drop=True)
    waves = synth10.synth10_waves(table)
    events = synth10.synth10_events(table)
    frame = seconds_to_samples(0.02, RATE_HZ)
    power = np.mean(waves.reshape(len(waves), -1, frame).astype(float) ** 2, axis=2)
    row = pd.Series(table.index, index=table["clip"])[events["clip"]].to_numpy()
    before = nearest_frame(events["onset_s"], frame, frame, RATE_HZ, centred=False) - 1
    last = nearest_frame(events["offset_s"], frame, frame, RATE_HZ, centred=False)
    rises_db = [
        10 * np.log10(power[r, b + 1 : e + 1].max() / power[r, b])
        for r, b, e in zip(row, before, last, strict=True)
        if b > 0
    ]
    assert len(rises_db) > 100
    assert np.quantile(rises_db, 0.02) > 3  # the room of one bark may fill the pause before the next
    assert np.median(rises_db) > 10


def test_a_plain_classifier_finds_the_task_neither_trivial_nor_hopeless(table, waves):
    """The baseline of the ESC-10 paper, over folds: mean and standard deviation of 13 MFCCs, a forest of 500 trees."""
    mfcc = np.concatenate(
        [librosa.feature.mfcc(y=x, sr=RATE_HZ, n_mfcc=13, hop_length=1024) for x in np.split(waves, 20)]
    )
    features = np.concatenate([mfcc.mean(axis=2), mfcc.std(axis=2)], axis=1)
    labels, folds = table["label"].to_numpy(dtype=str), table["fold"].to_numpy()
    right = []
    for fold in range(1, 6):
        train = folds != fold
        forest = RandomForestClassifier(500, random_state=0).fit(features[train], labels[train])
        right.append(forest.score(features[~train], labels[~train]))
    assert 0.60 < np.mean(right) < 0.90


def test_clips_are_cached_and_resampled(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    clips = load.load_synth10(clips_per_class=1, seed=5)
    waves = clips.waves()
    assert waves.shape == (10, 80_000) and waves.dtype == np.float32 and not waves.flags.writeable
    np.testing.assert_array_equal(waves, synth10.synth10_waves(clips.table))
    monkeypatch.setattr(synth10, "_clip", None)  # making them again would now fail
    np.testing.assert_array_equal(clips.waves(), waves)
    assert clips.waves(length_s=6.0).shape == (10, 96_000) and not clips.waves(length_s=6.0)[:, 80_000:].any()
    np.testing.assert_array_equal(clips.waves(length_s=1.0), waves[:, :16_000])
    slow = clips.waves(8_000)
    assert slow.shape == (10, 40_000) and slow.dtype == np.float32
    expected = librosa.resample(waves[2], orig_sr=16_000, target_sr=8_000)
    assert np.corrcoef(slow[2], expected)[0, 1] > 0.99
    part = clips.where(clips.table["label"] == "rain")
    np.testing.assert_array_equal(part.waves(), waves[clips.table["label"] == "rain"])
    assert set(part.events["label"]) == {"rain"}


def test_content_changes_with_seed_size_and_version(monkeypatch):
    contents = [load.load_synth10(n, seed).content for n, seed in itertools.product((1, 2), (0, 1))]
    monkeypatch.setattr(synth10, "SYNTH10_VERSION", 0)
    contents.append(load.load_synth10(1, 0).content)
    assert len(set(contents)) == 5
    assert len(load.load_synth10()) == 400
