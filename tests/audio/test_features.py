"""Log-mels: our two ways against each other and against librosa, and the cache around them."""

import dataclasses
import itertools

import librosa
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.audio import features, timebase
from course_lib.audio.features import FeatureSpec, log_mel, log_mel_torch, mel_power
from course_lib.data import clips
from course_lib.data.clips import Clips

GRID = [
    FeatureSpec(hop_ms=hop_ms, window_ms=window_ms, n_mels=n_mels, n_fft=n_fft)
    for hop_ms, (window_ms, n_fft), n_mels in itertools.product(
        (0.5, 1, 2.5, 5, 10, 20, 80), ((2, None), (25, None), (25, 401), (25, 2048), (128, None)), (20, 64)
    )
]
# A band of a frame is a sum of squares from a transform whose error is relative to the loudest bin of that frame.
# So: 1e-4 of the band itself, 1e-10 of the loudest band anywhere.
POWER = {"rtol": 1e-4}
LEVEL_DB = {"rtol": 0, "atol": 1e-3}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def chirp(n_samples: int = 8000) -> np.ndarray:
    return (0.5 * librosa.chirp(fmin=100, fmax=7000, sr=16_000, length=n_samples)).astype(np.float32)


def librosa_power(x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    band = {"n_mels": spec.n_mels, "fmin": spec.fmin_hz, "fmax": spec.top_hz}
    frame = {"n_fft": spec.fft_samples, "win_length": spec.window_samples, "hop_length": spec.hop_samples}
    return librosa.feature.melspectrogram(y=x, sr=spec.rate_hz, pad_mode="constant", **frame, **band).T


@pytest.mark.parametrize("spec", GRID, ids=str)
def test_reference_is_librosa(spec):
    x = noise(4000)
    theirs = librosa_power(x, spec)
    np.testing.assert_allclose(mel_power(x, spec), theirs, atol=1e-10 * theirs.max(), **POWER)


@pytest.mark.parametrize("spec", GRID, ids=str)
def test_twin_is_the_reference(spec):
    x = noise(2, 4000)
    linear = dataclasses.replace(spec, log="none")
    theirs = mel_power(x, spec)
    ours = log_mel_torch(torch.from_numpy(x), linear).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-10 * theirs.max(), **POWER)
    np.testing.assert_allclose(log_mel_torch(torch.from_numpy(x), spec).numpy(), log_mel(x, spec), **LEVEL_DB)


def test_db_is_that_of_librosa_without_its_dynamic_range_limit():
    x = chirp()
    theirs = librosa.power_to_db(librosa_power(x, FeatureSpec()), top_db=None)
    loud = theirs > theirs.max() - 80  # further down a float32 transform adds its own noise
    assert loud.mean() > 0.1
    np.testing.assert_allclose(log_mel(x, FeatureSpec())[loud], theirs[loud], rtol=0, atol=1e-2)


@pytest.mark.parametrize("log", features.LOGS)
def test_a_loud_chirp_has_the_same_levels_in_both(log):
    spec = FeatureSpec(log=log)
    loud = log_mel(chirp(), FeatureSpec()) > -60
    ours, reference = log_mel_torch(torch.from_numpy(chirp()), spec).numpy()[loud], log_mel(chirp(), spec)[loud]
    np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-3)


@settings(max_examples=40)
@given(
    n_samples=st.integers(1, 3000),
    hop_ms=st.floats(0.5, 80),
    window_ms=st.floats(2, 128),
    n_mels=st.integers(1, 40),
    n_clips=st.integers(1, 5),
)
def test_any_hop_window_and_length_work(n_samples, hop_ms, window_ms, n_mels, n_clips):
    spec = FeatureSpec(hop_ms=hop_ms, window_ms=window_ms, n_mels=n_mels)
    x = noise(n_clips, n_samples)
    reference, ours = log_mel(x, spec), log_mel_torch(torch.from_numpy(x), spec).numpy()
    assert ours.shape == reference.shape == (n_clips, spec.frame_count(n_samples), n_mels)
    assert len(spec.frame_centres_s(reference.shape[1])) == reference.shape[1]
    assert ours.dtype == reference.dtype == np.float32
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-2)


def test_batch_is_one_clip_after_the_other_whatever_the_blocks(monkeypatch):
    spec = FeatureSpec(hop_ms=0.5)
    x = noise(5, 3000)
    whole = log_mel_torch(torch.from_numpy(x), spec)
    monkeypatch.setattr(features, "GROUP_SAMPLES", 7000)
    monkeypatch.setattr(features, "BLOCK_SAMPLES", 100 * spec.fft_samples)
    for clip, ours, blocked in zip(x, whole, log_mel_torch(torch.from_numpy(x), spec), strict=True):
        np.testing.assert_allclose(log_mel(clip, spec), ours.numpy(), **LEVEL_DB)
        torch.testing.assert_close(log_mel_torch(torch.from_numpy(clip), spec), blocked, **LEVEL_DB)
    np.testing.assert_allclose(log_mel(x, spec), whole.numpy(), **LEVEL_DB)


@pytest.mark.parametrize(("log", "expected"), [("db", -100), ("ln", np.log(1e-10)), ("none", 0)])
def test_silence_is_finite(log, expected):
    spec = FeatureSpec(log=log)
    for silent in (log_mel(np.zeros(800, np.float32), spec), log_mel_torch(torch.zeros(800), spec).numpy()):
        np.testing.assert_allclose(silent, expected, rtol=1e-6)


def test_a_click_lies_at_the_centre_of_its_frame():
    spec = FeatureSpec(window_ms=4, hop_ms=2.5)
    x = np.zeros(8000, dtype=np.float32)
    x[4000] = 1
    levels = log_mel(x, spec).sum(axis=1)
    assert spec.frame_centres_s(len(levels))[levels.argmax()] == 0.25


def test_gradient_reaches_the_samples_and_is_the_slope():
    spec = FeatureSpec(window_ms=4, hop_ms=2, n_mels=8, log="ln")
    x = torch.from_numpy(noise(2, 400)).requires_grad_()
    log_mel_torch(x, spec).sum().backward()
    direction = noise(2, 400, seed=1)
    ahead, behind = (log_mel(x.detach().double().numpy() + step * direction, spec) for step in (1e-4, -1e-4))
    slope = (ahead.astype(np.float64) - behind).sum() / 2e-4
    assert float((x.grad * torch.from_numpy(direction)).sum()) == pytest.approx(slope, rel=1e-2)


def test_a_first_call_inside_inference_mode_leaves_the_gradient_intact():
    spec = FeatureSpec(n_mels=7)
    with torch.inference_mode():
        log_mel_torch(torch.zeros(500), spec)
    x = torch.from_numpy(noise(500)).requires_grad_()
    log_mel_torch(x, spec).sum().backward()
    assert x.grad.abs().sum() > 0


def test_autocast_does_not_lower_the_precision():
    x = torch.from_numpy(noise(4000))
    with torch.autocast("cpu", torch.bfloat16):
        ours = log_mel_torch(x, FeatureSpec())
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), log_mel(x.numpy(), FeatureSpec()), **LEVEL_DB)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_twin_on_a_gpu():
    x = noise(3, 4000)
    ours = log_mel_torch(torch.from_numpy(x).cuda(), FeatureSpec()).cpu().numpy()
    np.testing.assert_allclose(ours, log_mel(x, FeatureSpec()), **LEVEL_DB)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hop_ms": 0}, "hop_ms=0.0: must be above 0"),
        ({"hop_ms": "10"}, "hop_ms: found '10', expected a number"),
        ({"hop_ms": 0.01}, "hop_ms=0.01: must be at least one sample, 0.0625 ms"),
        ({"window_ms": float("nan")}, "window_ms=nan"),
        ({"n_fft": 256}, "n_fft=256: must hold the window, at least 400"),
        ({"n_fft": 512.5}, "n_fft: found 512.5, expected a whole number"),
        ({"n_mels": 64.0}, "n_mels: found 64.0, expected a whole number"),
        ({"fmax_hz": 9000}, "fmax_hz=9000.0: need .* <= 8000"),
        ({"fmin_hz": 500, "fmax_hz": 400}, "fmin_hz=500.0, fmax_hz=400.0"),
        ({"log": "log2"}, "log='log2': choose one of db, ln, none"),
        ({"floor": 0}, "floor=0"),
        ({"window": "no such"}, "window='no such'"),
        ({"n_fft": 512, "n_mels": 200}, "n_mels=200: 4 mel bands hold no bin of n_fft=512; use n_fft=1024"),
    ],
)
def test_bad_specifications_say_what_is_wrong(bad, message):
    with pytest.raises(ValueError, match=message):
        log_mel(noise(1000), FeatureSpec(**bad))


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4)), np.zeros(0), np.zeros((0, 5)), np.zeros(5, np.int16)])
def test_bad_waveforms_are_refused_by_both(bad):
    for call in (lambda: log_mel(bad, FeatureSpec()), lambda: log_mel_torch(torch.from_numpy(bad), FeatureSpec())):
        with pytest.raises(ValueError, match="waveforms"):
            call()


def test_the_fft_that_is_suggested_leaves_no_band_empty():
    for window_ms, n_mels, rate_hz in itertools.product((2, 25), (20, 64, 200), (8_000, 16_000, 44_100)):
        spec = FeatureSpec(rate_hz=rate_hz, window_ms=window_ms, n_mels=n_mels)
        assert features.mel_bank(spec).max(axis=0).min() > 0


class Counted:
    """A data set of noise that counts how often it is read."""

    def __init__(self, names=("a", "b", "c"), content="hash"):
        table = pd.DataFrame({"clip": names, "label": "x", "fold": 1, "source": names})
        self.reads = 0
        self.clips = Clips("noise", table, 0.1, 16_000, content, self.read)

    def read(self, table, rate_hz, length_s):
        self.reads += 1
        return noise(len(table), timebase.seconds_to_samples(length_s, rate_hz))


CHANGES = {
    "rate_hz": 8_000, "window_ms": 20.0, "hop_ms": 5.0, "n_fft": 1024, "n_mels": 32, "fmin_hz": 20.0,
    "fmax_hz": 4000.0, "log": "ln", "floor": 1e-8, "window": "hamming",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))


@pytest.mark.usefixtures("cache")
def test_features_are_made_once_and_read_back_without_a_copy():
    made = Counted()
    first, second = clips.features(made.clips, FeatureSpec()), clips.features(made.clips, FeatureSpec())
    assert made.reads == 1
    assert isinstance(second, np.memmap) and not second.flags.writeable
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(second, log_mel(made.clips.waves(), FeatureSpec()), **LEVEL_DB)


@pytest.mark.usefixtures("cache")
def test_whatever_changes_the_numbers_misses_the_cache(monkeypatch):
    assert set(CHANGES) == {field.name for field in dataclasses.fields(FeatureSpec)}
    made, spec = Counted(), FeatureSpec()
    calls = [lambda: clips.features(made.clips, spec)]
    for change in CHANGES.items():
        calls.append(lambda change=change: clips.features(made.clips, dataclasses.replace(spec, **dict([change]))))
    calls.append(lambda: clips.features(made.clips, spec, length_s=0.2))
    calls.append(lambda: clips.features(made.clips.where([True, False, True]), spec))
    calls.append(lambda: clips.features(dataclasses.replace(made.clips, content="other"), spec))
    for done, call in enumerate(calls, start=1):
        call()
        assert made.reads == done
    for call in calls:
        call()
    assert made.reads == len(calls)
    for name in ("FEATURES_VERSION", "DECODING_VERSION"):
        monkeypatch.setattr(clips, name, 0)
        done = made.reads
        calls[0]()
        assert made.reads == done + 1


def test_a_tone_at_a_centre_of_a_mel_band_is_loudest_in_that_band():
    spec = FeatureSpec(n_mels=20)
    times_s = np.arange(spec.rate_hz) / spec.rate_hz
    for band in (0, 7, 19):
        tone = np.sin(2 * np.pi * spec.mel_centres_hz[band] * times_s)
        assert log_mel(tone, spec)[20].argmax() == band
