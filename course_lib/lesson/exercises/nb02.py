"""Tests of the exercises in notebook 02."""

import numpy as np

from course_lib.audio import synth10, timebase
from course_lib.audio.features import FeatureSpec, log_mel, mel_bank, power_spectrogram
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


SLIDER_MS = (5, 10, 20, 40, 50, 60, 70, 80)  # the hops that section 7 shows


def measured_rhythm_hz(hop_ms: float) -> float:
    """The rhythm that the helicopter of section 7 shows at `hop_ms`, 0 if its level hardly moves."""
    made = synth10.synth10_table(40, 0)
    row = made[(made["label"] == "helicopter") & (made["number"] == 7)].head(1)
    levels_db = log_mel(synth10.synth10_waves(row)[0], FeatureSpec(hop_ms=hop_ms)).mean(axis=1)
    spectrum = np.abs(np.fft.rfft((levels_db - levels_db.mean()) * np.hanning(len(levels_db)), 8192))
    rhythms_hz = np.fft.rfftfreq(8192, hop_ms / 1000)
    spectrum[rhythms_hz < 0.5] = 0
    return float(rhythms_hz[spectrum.argmax()])


def hop_and_rhythm(answer: object) -> str:
    """02.4: a hop of the learner's choice, and the rhythm that it will show."""
    got = call(answer)
    if (
        not isinstance(got, tuple | list)
        or len(got) != 2
        or not all(isinstance(g, int | float | np.number) for g in got)
    ):
        raise NotYet(f"return two numbers, hop_ms and rhythm_hz; got {got!r}")
    hop_ms, predicted_hz = (float(g) for g in got)
    if not 45 <= hop_ms <= 150:
        raise NotYet(f"hop_ms={hop_ms:g}: choose one between 45 and 150 ms")
    if any(abs(hop_ms - shown) < 0.5 for shown in SLIDER_MS):
        raise NotYet(f"hop_ms={hop_ms:g} is on the slider; choose another")
    frames_per_s = 1000 / hop_ms
    if predicted_hz > frames_per_s / 2 + 0.1:
        raise NotYet(f"{frames_per_s:.3g} frames per second cannot show {predicted_hz:g}: the limit is half of that")
    apparent_hz = abs(10.7 - round(10.7 / frames_per_s) * frames_per_s)
    if apparent_hz < 0.7:
        raise NotYet(f"at {hop_ms:g} ms the blades all but stand still, which is hard to measure; choose another hop")
    measured_hz = measured_rhythm_hz(hop_ms)
    if abs(measured_hz - predicted_hz) > 0.4:
        raise NotYet(f"at {hop_ms:g} ms the picture shows {measured_hz:.1f} per second, you predicted {predicted_hz:g}")
    return f"Predicted {predicted_hz:.1f}, measured {measured_hz:.1f} per second. At 94 ms the blades stand still."


def average_frames(answer: object) -> str:
    """02.5: coarser frames by averaging power instead of skipping frames."""
    levels_db = np.random.default_rng(0).uniform(-80, -20, (11, 3))

    def pooled(x: np.ndarray, factor: int) -> np.ndarray:
        n = len(x) // factor
        return x[: n * factor].reshape(n, factor, -1).mean(axis=1)

    for factor in (1, 2, 4):
        power = 10 ** (levels_db / 10)
        expected = 10 * np.log10(pooled(power, factor))
        slips = {
            "that is the mean of the decibels; go back to power, average, and take the logarithm again": pooled(
                levels_db, factor
            ),
            "that skips frames, as a longer hop does; average over all of them": levels_db[::factor][: len(expected)],
            "that is a sum; take the mean, or the level grows with the number of frames": 10
            * np.log10(factor * pooled(power, factor)),
            "these are powers; take the logarithm again": pooled(power, factor),
        }
        got = call(answer, levels_db.copy(), factor)
        if np.shape(got)[:1] == (len(expected) + 1,) and len(levels_db) % factor:
            raise NotYet(f"11 frames hold {len(expected)} whole groups of {factor}; leave out the rest")
        expect_array(got, expected, what=f"levels of groups of {factor} frames", rel=1e-6, slips=slips)
    return "Averaging uses every frame: the fast rhythm is still lost, but its alias is weak."


EXERCISES = {
    "02.1": mel_power,
    "02.2": to_db,
    "02.3": megabytes,
    "02.4": hop_and_rhythm,
    "02.5": average_frames,
}
