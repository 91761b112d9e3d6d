"""A classifier on long recordings: times, ends, silence, memory, and that blocks change nothing."""

import numpy as np
import psutil
import pytest
import soundfile as sf
import torch
from helpers import cut_windows
from torch import nn

from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec
from course_lib.errors import CourseError, UsageError
from course_lib.evaluation import recordings, streams
from course_lib.models import wave_classifier
from course_lib.models.wave_classifier import WaveClassifier

RATE_HZ = 8_000
GROWTH_BYTES = 50e6
LOUD_DB = -5.0


class Loudness(nn.Module):
    """Logits of 5 and -5: whether a window holds a loud tone below 1 kHz, and whether one above."""

    def forward(self, x):
        level = x.amax(dim=1)  # (clips, mels)
        loudest = torch.stack([level[:, :16].amax(1), level[:, 16:].amax(1)], dim=1)
        return torch.where(loudest > LOUD_DB, 5.0, -5.0)


@pytest.fixture
def classifier():
    spec = FeatureSpec(rate_hz=RATE_HZ, n_mels=32)
    return WaveClassifier("loudness", Loudness(), ["low", "high"], spec, multilabel=True)


def recording(path, length_s, tones, rate_hz=RATE_HZ, **kwargs):
    """A file of silence with `tones`: onset, offset (s) and frequency (Hz)."""
    t = np.arange(timebase.seconds_to_samples(length_s, rate_hz)) / rate_hz
    x = sum((0.5 * np.sin(2 * np.pi * hz * t) * ((t >= on) & (t < off)) for on, off, hz in tones), 0 * t)
    sf.write(path, x, rate_hz, **kwargs)
    return path


def events_of(table):
    return [(row.event_label, row.onset, row.offset) for row in table.itertuples()]


def test_events_are_where_the_sounds_are(tmp_path, classifier):
    """Without overlap and with sounds on the grid, times are exact; also at another rate, and up to the very end."""
    path = recording(tmp_path / "a.wav", 20.3, [(3, 6, 300), (5, 9, 2000), (15, 20.3, 300)], rate_hz=44_100)
    table = recordings.detect(path, classifier, window_s=1.0, overlap=0.0)
    assert events_of(table) == [("low", 3, 6), ("high", 5, 9), ("low", 15, 20.3)]
    assert set(table["filename"]) == {"a.wav"} and np.allclose(table["confidence"], 0.9933, atol=1e-3)


@pytest.mark.parametrize(("overlap", "how", "expected"), [(0.5, "mean", (3.0, 6.0)), (0.5, "max", (2.5, 6.5))])
def test_overlapping_windows(tmp_path, classifier, overlap, how, expected):
    """A frame of 0.5 s lies in two windows of 1 s: of those at an edge one holds the tone and the other does not."""
    path = recording(tmp_path / "a.wav", 10, [(3, 6, 300)])
    table = recordings.detect(path, classifier, window_s=1.0, overlap=overlap, how=how, threshold=0.6)
    assert events_of(table) == [("low", *expected)]


def test_blocks_change_nothing(classifier):
    """The stream gives what all windows at once give."""
    x = (0.002 * np.random.default_rng(0).standard_normal(61_234)).astype(np.float32)
    x[20_000:40_000] *= 100
    window, hop = 8_000, 3_000
    starts, waves = cut_windows(x, window, hop)
    whole = streams.aggregate(starts, classifier.probabilities(waves), window, hop, len(x))
    assert len(np.unique(whole)) > 2
    for size in (501, 7_000, 61_234):
        blocks = np.split(x, range(size, len(x), size))
        cut = {"window_samples": window, "hop_samples": hop, "n_samples": len(x)}
        np.testing.assert_array_equal(
            np.concatenate(list(recordings.frame_probabilities(blocks, classifier, **cut))), whole
        )


@pytest.mark.parametrize("length_s", [0.001, 0.3, 1.0, 1.0001])
def test_recordings_about_as_short_as_a_window(tmp_path, classifier, length_s):
    path = recording(tmp_path / "a.wav", length_s, [(0, length_s, 300)])
    table = recordings.detect(path, classifier, window_s=1.0, min_s=2.0)
    assert len(table) == (length_s > 0.001)  # 8 samples are no tone
    for row in table.itertuples():
        assert row.onset == 0 and abs(row.offset - length_s) <= 1 / RATE_HZ


def test_silence_has_no_events_and_costs_no_network(tmp_path):
    """Every class of a softmax would be there, if silence were given to it."""
    classifier = wave_classifier.load("esc10-fixed")
    path = recording(tmp_path / "a.wav", 10, [(4, 5, 300)], rate_hz=16_000)
    assert recordings.detect(path, classifier, threshold=0.2, window_s=1.0)["onset"].min() >= 3
    seen = []
    true = classifier.probabilities
    classifier.probabilities = lambda waves: seen.append(len(waves)) or true(waves)
    assert recordings.detect(recording(tmp_path / "b.wav", 10, []), classifier, threshold=0.0).empty
    assert seen == [1], "only the trial of the window"


def test_stereo_is_averaged_and_levels_at_full_scale_are_taken(tmp_path, classifier):
    t = np.arange(5 * RATE_HZ) / RATE_HZ
    sf.write(tmp_path / "a.wav", np.stack([np.sin(600 * np.pi * t), 0 * t], axis=1), RATE_HZ)
    sf.write(tmp_path / "b.wav", np.clip(9 * np.sin(600 * np.pi * t), -1, 1), RATE_HZ)
    for name in ("a.wav", "b.wav"):
        table = recordings.detect(tmp_path / name, classifier, window_s=1.0)
        assert ("low", 0.0, 5.0) in events_of(table)


def test_what_cannot_be_done_is_told(tmp_path, classifier):
    path = recording(tmp_path / "a.wav", 1, [])
    with pytest.raises(CourseError, match=r"nowhere\.wav: no such file"):
        recordings.detect(tmp_path / "nowhere.wav", classifier)
    with pytest.raises(ValueError, match=r"overlap=1\.0: must be at least 0 and below 1"):
        recordings.detect(path, classifier, overlap=1.0)
    with pytest.raises(UsageError, match=r"window of 0\.01 s: esc10-fixed cannot take it"):
        recordings.detect(path, wave_classifier.load("esc10-fixed"), window_s=0.01)


def test_ten_minutes_need_no_more_memory_than_one(tmp_path):
    classifier = wave_classifier.load("esc10-fixed")
    rng, path = np.random.default_rng(0), tmp_path / "ten.wav"
    with sf.SoundFile(path, "w", 44_100, 2) as file:
        for _ in range(60):
            file.write(0.1 * rng.standard_normal((441_000, 2)))
    process, used = psutil.Process(), []
    table = recordings.detect(path, classifier, on_block=lambda block: used.append(process.memory_info().rss))
    assert len(used) == 60 and len(table)
    assert max(used) - max(used[:6]) < GROWTH_BYTES


def test_events_come_while_the_file_is_read(tmp_path, classifier):
    path = recording(tmp_path / "a.wav", 300, [(3, 6, 300), (280, 290, 300)])
    read = []
    found = recordings.stream_events(path, classifier, on_block=lambda block: read.append(len(block)))
    assert next(found).onset_s < 6
    assert sum(read) < 100 * RATE_HZ
