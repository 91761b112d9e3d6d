"""Tests of the exercises in notebook 02."""

import numpy as np

from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec, mel_bank, power_spectrogram
from course_lib.lesson.checks import NotYet, call, expect_array, expect_function


def mel_power(answer: object) -> str:
    """02.1: bins to bands."""
    spec = FeatureSpec()
    power = power_spectrogram(np.random.default_rng(0).standard_normal(4000) / 8, spec)
    bank = mel_bank(spec)
    got = call(answer, power.copy(), bank.copy())
    if np.shape(got) == (len(power), bank.shape[1]) and np.allclose(got, np.sqrt(power) @ bank):
        raise NotYet("the weights act on power; do not take the root first")
    expect_array(got, power @ bank, what="mel power (frames, mels)")
    return "One matrix product: every frame's bins, weighted and summed into bands."


def to_db(answer: object) -> str:
    """02.2: level with a floor."""
    power = np.array([[1.0, 10.0, 100.0], [1e-3, 1e-12, 0.0]])
    expected = 10 * np.log10(np.maximum(power, 1e-10))
    with np.errstate(divide="ignore"):
        got = np.asarray(call(answer, power.copy(), 1e-10), dtype=np.float64)
        slips = {
            "that is the dB of an amplitude; power takes a factor of 10, not 20": 2 * expected,
            "that is the natural logarithm; dB take log10": np.log(np.maximum(power, 1e-10)),
            "the factor 10 is missing: without it these are bels": expected / 10,
            "natural logarithm times 10; dB take log10": 10 * np.log(np.maximum(power, 1e-10)),
            "adding the floor moves every level a little; raise only what lies below it (np.maximum)": 10
            * np.log10(power + 1e-10),
        }
    if got.shape == power.shape and np.isneginf(got).any():
        raise NotYet("silence became minus infinity: raise power to the floor before the logarithm")
    expect_array(got, expected, what="level (dB)", rel=1e-9, slips=slips)
    return "Silence is at the floor, -100 dB, and everything above it is untouched."


def megabytes(answer: object) -> str:
    """02.3: size of a data set's features."""

    def reference(n_clips: int, length_s: float, hop_ms: float, n_mels: int) -> float:
        samples, hop = timebase.seconds_to_samples(length_s, 16_000), timebase.ms_to_samples(hop_ms, 16_000)
        return n_clips * timebase.frame_count(samples, 512, hop) * n_mels * 4 / 1e6

    slips = {
        "the frame at sample 0 is missing: centred frames are 1 + samples // hop": lambda n, s, h, m: (
            n * (int(s * 16_000) // int(h * 16)) * m * 4 / 1e6
        ),
        "float32 takes four bytes": lambda n, s, h, m: reference(n, s, h, m) / 4,
        "that is float64, eight bytes; features are float32, four": lambda n, s, h, m: 2 * reference(n, s, h, m),
        "the result is in megabytes: divide the bytes by 10^6": lambda n, s, h, m: 1e6 * reference(n, s, h, m),
        "a megabyte is 10^6 bytes here, not 2^20": lambda n, s, h, m: reference(n, s, h, m) * 1e6 / 2**20,
    }
    cases = [(400, 5.0, 10.0, 64), (1, 1.0, 2.5, 40), (8732, 4.0, 20.0, 128)]
    expect_function(answer, reference, cases, unit="MB", rel=1e-6, slips=slips)
    return "400 clips of 5 s at 10 ms and 64 bands: 51 MB; at 1 ms it would be half a gigabyte."


EXERCISES = {"02.1": mel_power, "02.2": to_db, "02.3": megabytes}
