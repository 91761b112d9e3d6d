"""Transforms of the sound: lengths, pitch, onsets, level, identities, and one clear error for what cannot be done."""

from functools import partial

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.audio import augment
from course_lib.audio.augment import NAA, add_noise, pitch_shift, random_shift, shift, time_stretch, trim_silence
from course_lib.audio.timebase import ms_to_samples

RATE_HZ = 16_000
ENGINES = augment.ENGINES


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples).astype(np.float32)


def tone(hz: float, n_samples: int = 2 * RATE_HZ) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(n_samples) / RATE_HZ)).astype(np.float32)


def click(place: int, n_samples: int = 2 * RATE_HZ) -> np.ndarray:
    x = np.zeros(n_samples, np.float32)
    x[place] = 0.9
    return x


def f0_hz(x: np.ndarray) -> float:
    """Frequency of the largest peak of the middle half, its place by a parabola through the logarithm."""
    middle = x[len(x) // 4 : 3 * len(x) // 4].astype(float)
    level = np.log(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**20)) + 1e-12)
    top = int(level.argmax())
    before, at, after = level[top - 1 : top + 2]
    return (top + 0.5 * (before - after) / (before - 2 * at + after)) * RATE_HZ / 2**20


def cents(found_hz: float, expected_hz: float) -> float:
    return 1200 * np.log2(found_hz / expected_hz)


def level_db(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(x, dtype=float))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_samples", [4000, 16_001])
@pytest.mark.parametrize("rate", [0.7, 1.0, 1.2, 2.0])
def test_a_rate_above_one_is_faster_and_the_length_is_rounded(engine, n_samples, rate):
    x = noise(n_samples)
    assert time_stretch(x, rate, rate_hz=RATE_HZ, engine=engine).shape == (round(n_samples / rate),)
    assert pitch_shift(x, 3, rate_hz=RATE_HZ, engine=engine).shape == (n_samples,)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("hz", [60, 440, 1000])
def test_pitch_is_exact_to_a_cent_and_comes_back(engine, hz):
    x = tone(hz)
    for rate in (0.7, 1.2):
        assert abs(cents(f0_hz(time_stretch(x, rate, rate_hz=RATE_HZ, engine=engine)), hz)) < 1
    for semitones in (-2, 0.5, 2):
        moved = pitch_shift(x, semitones, rate_hz=RATE_HZ, engine=engine)
        assert abs(cents(f0_hz(moved), hz * 2 ** (semitones / 12))) < 1
        assert abs(cents(f0_hz(pitch_shift(moved, -semitones, rate_hz=RATE_HZ, engine=engine)), hz)) < 1


def test_the_librosa_engine_is_librosa():
    x = noise(RATE_HZ)
    np.testing.assert_array_equal(
        time_stretch(x, 0.7, rate_hz=RATE_HZ, engine="librosa"), librosa.effects.time_stretch(x, rate=0.7)
    )
    ours = pitch_shift(x, 2, rate_hz=RATE_HZ, engine="librosa")
    np.testing.assert_allclose(ours, librosa.effects.pitch_shift(x, sr=RATE_HZ, n_steps=2), atol=1e-5)


def burst(place: int, kind: str, n_samples: int = RATE_HZ) -> np.ndarray:
    """Silence up to `place`, then noise or a tone of 1 kHz that decays over 30 ms."""
    t = np.arange(n_samples - place) / RATE_HZ
    carrier = np.random.default_rng(place).uniform(-1, 1, len(t)) if kind == "noise" else np.cos(2 * np.pi * 1000 * t)
    return np.pad(0.8 * np.exp(-t / 0.03) * carrier, (place, 0)).astype(np.float32)


def beginning(x: np.ndarray) -> int:
    """The first sample that reaches a quarter of the peak."""
    return int(np.argmax(np.abs(x) >= np.abs(x).max() / 4))


def peak(x: np.ndarray) -> int:
    return int(np.abs(x).argmax())


def displacements_ms(transform, rate: float, make=click, find=peak, n_places: int = 12) -> np.ndarray:
    """How much later than at `place / rate` what `find` finds is, for sounds of a second with an onset at `place`."""
    sounds = [
        make(place, n_samples=RATE_HZ)
        for place in np.random.default_rng(1).integers(RATE_HZ // 8, 7 * RATE_HZ // 8, n_places)
    ]
    return 1000 * np.array([find(transform(x)) - find(x) / rate for x in sounds]) / RATE_HZ


def stretcher(rate: float, **options):
    return lambda x: time_stretch(x, rate, rate_hz=RATE_HZ, **options)


@pytest.mark.parametrize(
    ("transform", "rate"),
    [(stretcher(rate), rate) for rate in (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.5, 2)]
    + [(lambda x, by=by: pitch_shift(x, by, rate_hz=RATE_HZ), 1) for by in (-5, -2, 2, 5)],
)
def test_signalsmith_keeps_a_click_to_half_a_millisecond(transform, rate):
    """At a rate of 1, a shift of pitch; the stretches stay within the 0.4 ms of the module's table."""
    assert np.abs(displacements_ms(transform, rate)).max() < (0.5 if rate == 1 else 0.4)


@pytest.mark.parametrize("kind", ["noise", "tone"])
@pytest.mark.parametrize(("rate", "limit_ms"), [(0.5, 2), (0.6, 2), (0.7, 2), (0.8, 2), (1.2, 2), (1.5, 4.5), (2, 4.5)])
def test_signalsmith_keeps_the_beginning_of_a_burst_to_milliseconds(kind, rate, limit_ms):
    moved = np.abs(displacements_ms(stretcher(rate), rate, partial(burst, kind=kind), beginning))
    assert moved.max() < limit_ms
    assert rate != 2 or moved.max() > 1, "the table's limit is not far above what happens"


@pytest.mark.parametrize(("rate", "median_ms"), [(0.5, 64), (0.7, 14), (0.8, 7), (1.2, 22), (2, 39)])
@pytest.mark.parametrize("kind", ["click", "noise"])
def test_librosa_moves_onsets_by_6_to_64_ms(rate, median_ms, kind):
    """The reason for the default. Should librosa mend it, this test says so."""
    sound, find = (click, peak) if kind == "click" else (partial(burst, kind=kind), beginning)
    moved = np.abs(displacements_ms(stretcher(rate, engine="librosa"), rate, sound, find))
    assert np.median(moved) == pytest.approx(median_ms, rel=0.25)
    assert 6 < np.median(moved) < 64.5


def test_a_shorter_window_of_librosa_moves_onsets_less_and_its_pitch_shift_moves_them_too():
    long, short = (
        np.abs(displacements_ms(stretcher(0.7, engine="librosa", n_fft=n_fft), 0.7)) for n_fft in (2048, 512)
    )
    pitched = np.abs(displacements_ms(lambda x: pitch_shift(x, -2, rate_hz=RATE_HZ, engine="librosa"), 1))
    assert 10 < long.max() < 40
    assert 10 < pitched.max() < 50
    assert short.max() < 0.5 * long.max()


@given(
    x=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30).map(lambda v: np.array(v, np.float32)),
    later=st.integers(-40, 40),
)
@settings(max_examples=60)
def test_shift_lets_zeros_enter_or_goes_round(x, later):
    n = len(x)
    moved = shift(x, later)
    expected = np.zeros_like(x)
    if abs(later) < n:
        expected[max(later, 0) : n + min(later, 0)] = x[max(-later, 0) : n - max(later, 0)]
    np.testing.assert_array_equal(moved, expected)
    round_trip = shift(moved, -later)
    kept = slice(max(-later, 0), n - max(later, 0)) if abs(later) < n else slice(0, 0)
    np.testing.assert_array_equal(round_trip[kept], x[kept])
    np.testing.assert_array_equal(shift(x, later, circular=True), np.roll(x, later))
    np.testing.assert_array_equal(shift(shift(x, later, circular=True), -later, circular=True), x)


def test_random_shift_reaches_its_limits_in_both_directions():
    x = np.arange(1, 101, dtype=np.float32)
    rng = np.random.default_rng(0)
    first = [int(random_shift(x, rng, 0.2)[40]) for _ in range(400)]  # 41 where nothing moved
    assert (min(first), max(first)) == (21, 61) and len(set(first)) > 30


def test_what_is_drawn_depends_on_the_generator_alone():
    x = noise(RATE_HZ)
    for name, transform in (NAA | {"noise": lambda x, rate_hz, rng: add_noise(x, rng, 10)}).items():
        first, again, other = (transform(x, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again, err_msg=name)
        assert name not in ("shift", "noise") or (first != other).any()


def test_noise_reaches_its_level():
    x = tone(440)
    for given_noise in (np.random.default_rng(0), noise(1000)):
        added = add_noise(x, given_noise, 10) - x
        assert level_db(x) - level_db(added) == pytest.approx(10, abs=0.01)
    silent = np.zeros(100, np.float32)
    np.testing.assert_array_equal(add_noise(silent, np.random.default_rng(0), 10), silent)


def test_trim_cuts_whole_hops_and_never_into_the_sound():
    x = np.concatenate([np.zeros(7003, np.float32), tone(440, 8002)[1:], np.zeros(9001, np.float32)])
    hop, half_window = ms_to_samples(10, RATE_HZ), ms_to_samples(12.5, RATE_HZ)
    for threshold_db in (20, 40, 60):
        once = trim_silence(x, threshold_db, rate_hz=RATE_HZ)
        first = 7003 - int(np.argmax(once != 0))  # silence that is kept before the tone
        end = first + len(once)
        np.testing.assert_array_equal(once, x[first:end])
        assert first % hop == end % hop == 0
        assert 0 <= 7003 - first <= half_window + hop
        assert 0 <= end - 15_004 <= half_window + hop
        np.testing.assert_array_equal(trim_silence(once, threshold_db, rate_hz=RATE_HZ), once)


def test_trim_leaves_a_steady_tone_and_silence_whole():
    for x in (tone(440, 5003), np.zeros(5003, np.float32), click(0, 1)):
        np.testing.assert_array_equal(trim_silence(x, rate_hz=RATE_HZ), x)


def test_the_papers_set_has_its_six_transforms():
    x = tone(440)
    done = {name: transform(x, RATE_HZ, np.random.default_rng(0)) for name, transform in NAA.items()}
    assert list(done) == ["pitch_up", "pitch_down", "slow", "fast", "shift", "trim"]
    assert len(done["slow"]) == round(len(x) / 0.7)
    assert len(done["fast"]) == round(len(x) / 1.2)
    assert 11 < cents(f0_hz(done["pitch_up"]), 440) / 18 < 11.2  # 200 cents
    assert -11.2 < cents(f0_hz(done["pitch_down"]), 440) / 18 < -11


def test_what_the_set_closes_over_is_as_published():
    """It is part of the name of augmented data: another variable in a closure would disown every published row."""
    settings = {name: [cell.cell_contents for cell in f.__closure__] for name, f in NAA.items()}
    engine = {"engine": "signalsmith"}
    assert settings == {"pitch_up": [engine, 2.0], "pitch_down": [engine, 2.0], "slow": [engine], "fast": [engine],
                        "shift": [0.2], "trim": [40.0]}  # fmt: skip


X = noise(4000)
BAD_CLIPS = {
    "at least one sample": np.zeros(0, np.float32),
    "int16": np.zeros(4000, np.int16),
    "NaN": np.full(4000, np.nan, np.float32),
    "infinity": np.array([0, np.inf] * 2000, np.float32),
    r"shape \(2, 4000\), expected \(samples,\); average the channels": np.zeros((2, 4000), np.float32),
}
CALLS = {
    "shift": lambda x: shift(x, 3),
    "random_shift": lambda x: random_shift(x, np.random.default_rng(0)),
    "time_stretch": lambda x: time_stretch(x, 0.7, rate_hz=RATE_HZ),
    "pitch_shift": lambda x: pitch_shift(x, 2, rate_hz=RATE_HZ),
    "trim_silence": lambda x: trim_silence(x, rate_hz=RATE_HZ),
    "add_noise": lambda x: add_noise(x, np.random.default_rng(0), 10),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("says", BAD_CLIPS)
def test_what_is_no_waveform_is_refused(name, says):
    with pytest.raises(ValueError, match=f"^x: .*{says}"):
        CALLS[name](BAD_CLIPS[says])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda v: time_stretch(X, v, rate_hz=RATE_HZ), "rate={}: must be between 0.1 and 10"),
        (lambda v: pitch_shift(X, v, rate_hz=RATE_HZ), "semitones={}: must be between -24 and 24"),
        (lambda v: trim_silence(X, v, rate_hz=RATE_HZ), "threshold_db={}: must be above 0 and finite"),
        (lambda v: add_noise(X, X, v), "snr_db={}: must be between -120 and 120"),
        (lambda v: random_shift(X, np.random.default_rng(0), v), "largest_fraction={}: must be between 0 and 1"),
    ],
)
@pytest.mark.parametrize("value", [-1e9, float("nan")])
def test_a_number_out_of_range_is_named_with_its_range(call, says, value):
    with pytest.raises(ValueError, match=f"^{says.format(value)}$"):
        call(value)


def test_other_arguments_are_named():
    with pytest.raises(ValueError, match=r"^engine='sox': choose one of signalsmith, librosa"):
        time_stretch(X, 0.7, rate_hz=RATE_HZ, engine="sox")
    with pytest.raises(ValueError, match=r"^n_samples=1.5: must be a whole number"):
        shift(X, 1.5)
    with pytest.raises(ValueError, match=r"^noise: is silent"):
        add_noise(X, np.zeros(9, np.float32), 10)
    with pytest.raises(ValueError, match=r"^x: 959 samples, signalsmith needs at least one window of 960"):
        pitch_shift(X[:959], 2, rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match=r"^x: 2047 samples, librosa needs at least one window of 2048"):
        time_stretch(X[:2047], 1.2, rate_hz=RATE_HZ, engine="librosa")


LENGTHS = st.one_of(st.sampled_from([1, 2, 959, 960, 961, 2047, 2048, 200_000]), st.integers(1, 200_000))


@given(
    n_samples=LENGTHS,
    name=st.sampled_from([*NAA, "add_noise"]),
    engine=st.sampled_from(ENGINES),
    kind=st.sampled_from([np.float32, np.float64]),
    level=st.sampled_from([0.0, 1e-30, 1.0]),
)
@settings(max_examples=60)
def test_any_length_gives_finite_float32_or_one_clear_error(n_samples, name, engine, kind, level):
    x = (level * noise(n_samples)).astype(kind)
    before = x.copy()
    x.setflags(write=False)
    calls = augment.naa(engine=engine) | {"add_noise": lambda x, rate_hz, rng: add_noise(x, rng, 20)}
    stretches = name in ("pitch_up", "pitch_down", "slow", "fast")
    if stretches and n_samples < (2048 if engine == "librosa" else 960):
        with pytest.raises(ValueError, match=rf"^x: {n_samples} samples, {engine} needs at least one window"):
            calls[name](x, RATE_HZ, np.random.default_rng(0))
        return
    out = calls[name](x, RATE_HZ, np.random.default_rng(0))
    assert out.dtype == np.float32 and out.ndim == 1 and len(out) > 0 and np.isfinite(out).all()
    np.testing.assert_array_equal(x, before)


def test_the_free_choices_of_the_set_are_heard():
    x = np.zeros(RATE_HZ, np.float32)
    x[4000:8000], x[8000:12000] = 0.5, 0.005  # the second half of the sound is 40 dB below the first
    still, moved = (augment.naa(largest_fraction=f)["shift"](x, RATE_HZ, np.random.default_rng(0)) for f in (0, 0.2))
    assert np.array_equal(still, x) and not np.array_equal(moved, x)
    lengths = [len(augment.naa(threshold_db=db)["trim"](x, RATE_HZ, None)) for db in (20, 60)]
    assert lengths[0] < 0.7 * lengths[1]
