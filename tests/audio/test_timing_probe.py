"""The timing probe: the two classes of a task differ in time and in nothing else, at the resolution it claims."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, ks_2samp
from sklearn.ensemble import RandomForestClassifier

from course_lib.audio import timing_probe
from course_lib.audio.timebase import frame_centres_s, ms_to_samples
from course_lib.data import load

CLIPS_PER_CLASS = 100
# A guesser exceeds the first with probability 0.001, stays below the second with probability 0.001
CHANCE = binom.ppf([0.999, 0.001], 2 * CLIPS_PER_CLASS, 0.5) / (2 * CLIPS_PER_CLASS)


@pytest.fixture(scope="module")
def table():
    return timing_probe.timing_table(CLIPS_PER_CLASS, seed=0)


@pytest.fixture(scope="module")
def waves(table):
    return timing_probe.timing_waves(table)


def accuracy(features: np.ndarray, pair) -> float:
    """Share of clips of the two classes in `pair` that a forest trained on the other folds tells right."""
    variant, fold = pair["variant"].to_numpy(), pair["fold"].to_numpy()
    right = np.zeros(len(pair), dtype=bool)
    for left_out in range(1, 6):
        test = fold == left_out
        forest = RandomForestClassifier(100, random_state=0).fit(features[~test], variant[~test])
        right[test] = forest.predict(features[test]) == variant[test]
    return right.mean()


def long_term_bands(waves: np.ndarray) -> np.ndarray:
    """Log of the energy of 40 equal bands over the whole clip, `(clips, 40)`."""
    power = np.abs(np.fft.rfft(waves)[:, 1:]) ** 2
    return np.log(power.reshape(len(waves), 40, -1).mean(axis=2))


def frame_energies(waves: np.ndarray, hop_ms: float, n_kept: int = 12) -> np.ndarray:
    """What frames tell of time: the energies from the first loud one on, and the autocorrelation of all."""
    hop = ms_to_samples(hop_ms, timing_probe.RATE_HZ)
    n_frames = waves.shape[1] // hop
    energy = np.sum(waves[:, : n_frames * hop].reshape(len(waves), n_frames, hop) ** 2, axis=2)
    energy /= energy.sum(axis=1, keepdims=True)
    first = np.argmax(energy > 0.1 * energy.max(axis=1, keepdims=True), axis=1)
    aligned = np.take_along_axis(np.pad(energy, ((0, 0), (0, n_kept))), first[:, None] + np.arange(n_kept), axis=1)
    spectrum = np.fft.rfft(energy - energy.mean(axis=1, keepdims=True), 2 * n_frames)
    return np.hstack([aligned, np.fft.irfft(np.abs(spectrum) ** 2)[:, :n_kept]])


def of_task(table, waves, task):
    own = (table["task"] == task).to_numpy()
    return table[own], waves[own].astype(float)


def test_table_has_six_balanced_classes_named_by_their_milliseconds(table):
    assert table["label"].unique().tolist() == [
        *("gap_5ms", "gap_10ms", "am_rising_40ms", "am_falling_40ms", "order_20_40ms", "order_40_20ms")
    ]
    assert table["clip"].is_unique and (table["source"] == table["clip"]).all()
    assert (table.groupby(["label", "fold"]).size() == CLIPS_PER_CLASS // 5).all()
    few = timing_probe.timing_table(3, tasks=["order"], fineness_ms=2.5)
    assert few["label"].unique().tolist() == ["order_2.5_5ms", "order_5_2.5ms"]


@pytest.mark.parametrize(
    "wrong", [{"clips_per_class": 0}, {"tasks": ["rhythm"]}, {"fineness_ms": 0.1}, {"fineness_ms": 80}]
)
def test_requests_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        timing_probe.timing_table(**wrong)


def test_needed_resolution_is_the_fineness():
    assert [timing_probe.needed_resolution_ms(task) for task in ("gap", "am", "order")] == [5, 10, 20]
    assert timing_probe.needed_resolution_ms("gap", 2.5) == 2.5


def test_waves_are_reproducible_and_within_full_scale(table, waves):
    assert waves.shape == (600, 16_000) and waves.dtype == np.float32
    assert np.isfinite(waves).all() and np.abs(waves).max() <= 1
    rows = np.random.default_rng(0).permutation(len(table))[:20]
    assert timing_probe.timing_waves(table.iloc[rows]).tobytes() == waves[rows].tobytes()
    assert not np.array_equal(timing_probe.timing_waves(table.iloc[rows].assign(seed=1)), waves[rows])


@pytest.mark.parametrize("fineness_ms", [0.25, 50.0])
def test_the_finest_and_the_coarsest_probe_can_be_made(fineness_ms):
    table = timing_probe.timing_table(5, fineness_ms=fineness_ms)
    waves, events = timing_probe.timing_waves(table), timing_probe.timing_events(table)
    assert np.isfinite(waves).all() and np.abs(waves).max() <= 1
    assert (events["onset_s"] >= 0).all() and (events["offset_s"] <= timing_probe.LENGTH_S).all()


def test_events_are_the_bursts(table, waves):
    """Nearly all energy lies inside the events, and their lengths and silences are those of the labels."""
    events = timing_probe.timing_events(table)
    times_s = frame_centres_s(waves.shape[1], 1, 1, timing_probe.RATE_HZ)
    for row in range(0, len(table), 25):
        own = events[events["clip"] == table["clip"][row]]
        inside = [(times_s >= e.onset_s) & (times_s < e.offset_s) for e in own.itertuples()]
        energy = waves[row].astype(float) ** 2
        assert energy[np.any(inside, axis=0)].sum() > 0.995 * energy.sum()
    bursts = events.groupby("clip").agg(
        first=("offset_s", "first"), second=("onset_s", "last"), label=("label", "first")
    )
    silence_ms = (1000 * (bursts["second"] - bursts["first"])).groupby(bursts["label"]).agg(["min", "max"])
    for label, expected in {"gap_5ms": 5, "gap_10ms": 10, "order_20_40ms": 20, "order_40_20ms": 20}.items():
        assert silence_ms.loc[label].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize("task", timing_probe.TASKS)
def test_starts_and_energies_of_a_pair_are_drawn_alike(table, waves, task):
    pair, x = of_task(table, waves, task)
    onset_s = timing_probe.timing_events(pair).groupby("clip")["onset_s"].first()[pair["clip"]].to_numpy()
    second = (pair["variant"] == 1).to_numpy()
    for values in (onset_s, np.sum(x**2, axis=1)):
        assert ks_2samp(values[second], values[~second]).pvalue > 0.001


@pytest.mark.parametrize("task", timing_probe.TASKS)
def test_long_term_spectra_tell_nothing(table, waves, task):
    pair, x = of_task(table, waves, task)
    assert CHANCE[1] <= accuracy(long_term_bands(x), pair) <= CHANCE[0]


def test_the_spectral_test_would_notice_a_cue(table, waves):
    """One decibel more in a few bands of one class is found: chance above is no weakness of the classifier."""
    pair, x = of_task(table, waves, "am")
    louder = long_term_bands(x) + 0.23 * pair["variant"].to_numpy()[:, None] * (np.arange(40) < 8)
    assert accuracy(louder, pair) > CHANCE[0]


@pytest.mark.parametrize("task", timing_probe.TASKS)
def test_frames_as_fine_as_claimed_tell_the_pair_apart_and_coarse_ones_do_not(table, waves, task):
    pair, x = of_task(table, waves, task)
    needed_ms = timing_probe.needed_resolution_ms(task)
    assert accuracy(frame_energies(x, needed_ms / 2), pair) > 0.9
    assert accuracy(frame_energies(x, needed_ms), pair) > 0.75
    # At 16 f a pattern still lies across the border of two frames once in a while
    assert accuracy(frame_energies(x, 16 * needed_ms), pair) < CHANCE[0] + 1 / 32


def test_another_request_is_another_data_set():
    clips = load.load_timing(clips_per_class=5, seed=2)
    assert clips.classes == sorted(clips.table["label"].unique()) and len(clips.events) == 50
    others = [load.load_timing(5, 3), load.load_timing(5, 2, fineness_ms=5), load.load_timing(6, 2)]
    assert len({clips.content, *(other.content for other in others)}) == 4


def test_the_rise_and_fall_of_am_has_the_period_of_its_name():
    """Ten milliseconds of resolution are four a period: 40 ms, spread so that no alias tells the class."""
    table = timing_probe.timing_table(40, tasks=["am"], fineness_ms=10)
    onset_s = timing_probe.timing_events(table).set_index("clip")["onset_s"]
    hz, periods_ms = np.fft.rfftfreq(2**17, 1 / timing_probe.RATE_HZ), []
    inside = (hz > 12) & (hz < 45)
    for clip, wave in zip(table["clip"], timing_probe.timing_waves(table).astype(float), strict=True):
        start = int(onset_s[clip] * timing_probe.RATE_HZ) + 1
        power = wave[start : start + 7998] ** 2
        spectrum = np.abs(np.fft.rfft(power - power.mean(), 2**17))
        periods_ms.append(1000 / hz[inside][spectrum[inside].argmax()])
    assert np.median(periods_ms) == pytest.approx(40, rel=0.08)
    assert min(periods_ms) < 33 and max(periods_ms) > 47


def test_a_smaller_set_is_the_beginning_of_a_larger_one_and_has_all_folds():
    few = timing_probe.timing_table(7)
    assert set(few.groupby("label")["fold"].apply(tuple)) == {(1, 2, 3, 4, 5, 1, 2)}
    more = timing_probe.timing_table(12).groupby("label").head(7).reset_index(drop=True)
    pd.testing.assert_frame_equal(few, more)


def test_in_ten_seconds_the_events_are_rarer_and_the_background_as_faint():
    table = timing_probe.timing_table(20)
    waves, events = timing_probe.timing_waves(table, 10.0), timing_probe.timing_events(table, 10.0)
    assert waves.shape == (120, 160_000) and np.abs(waves).max() <= 1
    short = timing_probe.timing_events(table)
    lasting_s, lasting_short_s = (each["offset_s"] - each["onset_s"] for each in (events, short))
    assert lasting_s.to_numpy() == pytest.approx(lasting_short_s.to_numpy())
    assert events["onset_s"].min() < 1 and 9 < events["offset_s"].max() <= 10
    times_s = frame_centres_s(waves.shape[1], 1, 1, timing_probe.RATE_HZ)
    for wave, (_, own) in zip(waves, events.groupby("clip", sort=False), strict=True):
        spans = [(times_s >= e.onset_s) & (times_s < e.offset_s) for e in own.itertuples()]
        inside = np.any(spans, axis=0)
        background, event = (np.sum(wave[part].astype(float) ** 2) for part in (~inside, inside))
        seconds = np.mean(~inside) * 10
        assert 10 * np.log10(background / seconds / event) == pytest.approx(timing_probe.BACKGROUND_DB, abs=0.3)


def test_the_long_probe_is_a_data_set():
    clips = load.load_timing10s(1)
    assert (clips.name, clips.length_s, len(clips)) == ("timing10s", 10.0, 6)
    assert clips.waves(16_000).shape == (6, 160_000)
    assert clips.content != load.load_timing(1).content
