"""Tests of the exercises in notebook 03."""

import librosa
import numpy as np

from course_lib.audio import timebase
from course_lib.lesson.checks import NotYet, call, expect_array, expect_function


def stretched_length(answer: object) -> str:
    """03.1: samples after a time stretch."""

    def reference(n_samples: int, rate: float) -> int:
        return round(n_samples / rate)

    slips = {
        "the wrong way round: a rate above 1 is faster, so the clip gets shorter": lambda n, r: round(n * r),
        "rounded down: the nearest whole number is expected": lambda n, r: int(n / r),
        "not a whole number: round to the nearest sample": lambda n, r: n / r,
    }
    cases = [(44_100, 0.7), (44_100, 1.2), (16_000, 1.5), (10, 3.0), (80_000, 1.0)]
    expect_function(answer, reference, cases, unit="samples", slips=slips)
    return "Slow 0.7 makes 44,100 samples 63,000."


def cents(answer: object) -> str:
    """03.2: an interval in cents."""

    def reference(from_hz: float, to_hz: float) -> float:
        return 1200 * float(np.log2(to_hz / from_hz))

    slips = {
        "that is in semitones; a semitone has 100 cents": lambda a, b: reference(a, b) / 100,
        "that is in octaves; an octave has 1200 cents": lambda a, b: reference(a, b) / 1200,
        "the sign is reversed: upwards is positive": lambda a, b: -reference(a, b),
        "cents are logarithmic with base 2; yours uses another base": lambda a, b: 1200 * float(np.log(b / a)),
        "a ratio, not a difference in Hz: take the logarithm of b / a": lambda a, b: b - a,
    }
    cases = [(440.0, 880.0), (440.0, 493.8833), (440.0, 415.3047), (100.0, 101.0)]
    expect_function(answer, reference, cases, unit="cents", rel=1e-6, slips=slips)
    return "An octave is 1200 cents; most people can hear a change of about 10."


RATE_HZ = 16_000
SLOWER = 0.7
SHORTEST = 512  # with shorter windows, two tones 60 Hz apart beat inside a bin, and the beat is slowed down


def click_length_ms(n_fft: int) -> float:
    """Time in ms that holds 90 % of the energy of a click over faint noise, slowed by the vocoder; as in section 3."""
    x = 1e-4 * np.random.default_rng(0).standard_normal(RATE_HZ)
    x[6000] = 0.9
    slow = librosa.effects.time_stretch(x, rate=SLOWER, n_fft=n_fft)
    centre, reach = round(6000 / SLOWER), timebase.ms_to_samples(200, RATE_HZ)
    energy = np.cumsum(slow[centre - reach : centre + reach] ** 2)
    early, late = np.searchsorted(energy / energy[-1], [0.05, 0.95])
    return timebase.samples_to_ms(float(late - early), RATE_HZ)


def window(answer: object) -> str:
    """03.3: the shortest window that leaves two tones intact, and what it does to a click."""
    got = call(answer)
    if (
        not isinstance(got, tuple | list)
        or len(got) != 2
        or not all(isinstance(g, int | float | np.number) for g in got)
    ):
        raise NotYet(f"return two numbers, n_fft and click_ms; got {got!r}")
    n_fft, click_ms = got
    if n_fft not in (2**k for k in range(5, 14)):
        raise NotYet(f"n_fft={n_fft!r}: give a power of two in samples, such as 1024")
    if n_fft < SHORTEST:
        raise NotYet(f"with {n_fft} samples, {1000 * n_fft / RATE_HZ:g} ms, the slider shows more than two tones")
    if n_fft > SHORTEST:
        raise NotYet(f"with {n_fft} samples no tone has a companion, but a shorter window is enough")
    measured_ms = click_length_ms(int(n_fft))
    if abs(click_ms - measured_ms) > 0.25 * measured_ms:
        raise NotYet(f"the window is right; with it the click is {measured_ms:.0f} ms long, you predicted {click_ms:g}")
    return f"512 samples, a little short of the rule's 533, are enough. The click is {measured_ms:.0f} ms long."


def shift(answer: object) -> str:
    """03.4: a shift to later or earlier, filled with zeros."""
    x = np.arange(1.0, 7.0)

    def shifted(n_samples: int) -> np.ndarray:
        return np.pad(x, 9)[9 - n_samples : 15 - n_samples]  # no case shifts by more than 9

    for n_samples in (2, -2, 0, 9, -9):
        by = f"by {n_samples}"
        slips = {
            f"{by}: what leaves at one end comes back at the other; fill with zeros instead": np.roll(x, n_samples),
            f"{by}: the wrong direction; positive is later": shifted(-n_samples),
        }
        got = call(answer, x.copy(), n_samples)
        expect_array(got, shifted(n_samples), what=f"shift {by}", slips=slips)
    return "There and back again loses what fell off the end: only a circular shift is reversible."


def noise_factor(answer: object) -> str:
    """03.5: how loud the noise must be for a ratio in dB."""
    rng = np.random.default_rng(0)
    x, noise = 0.2 + 0.3 * rng.standard_normal(4000), 0.03 + 0.05 * rng.standard_normal(4000)  # neither has mean 0
    for snr_db in (0.0, 10.0, -6.0):
        wanted = float(np.sqrt(np.mean(x**2) / np.mean(noise**2) / 10 ** (snr_db / 10)))
        got = call(answer, x.copy(), noise.copy(), snr_db)
        if not np.isscalar(got) and np.ndim(got) != 0:
            raise NotYet(f"expected one number, got an array of shape {np.shape(got)}; return only the factor")
        slips = {
            "that is the ratio of powers; a factor on samples is its square root": wanted**2,
            "dB of power: 10 ** (snr_db / 10) before the root, or 10 ** (snr_db / 20) after it": float(
                np.sqrt(np.mean(x**2) / np.mean(noise**2)) / 10 ** (snr_db / 10)
            ),
            "the sign of the dB is reversed: a higher ratio means less noise": wanted * 10 ** (snr_db / 10),
            "that is the standard deviation, which subtracts the mean first; power is the mean of the squares": float(
                np.std(x) / np.std(noise) / 10 ** (snr_db / 20)
            ),
            "the noise has its own level: divide by it": wanted * float(np.sqrt(np.mean(noise**2))),
        }
        for reason, slip in slips.items():
            if np.isclose(got, slip, rtol=1e-6) and not np.isclose(got, wanted, rtol=1e-6):
                raise NotYet(reason)
        if not np.isclose(got, wanted, rtol=1e-6):
            raise NotYet(f"at {snr_db:g} dB it gives {got:.4g}, expected {wanted:.4g}")
    return "At 0 dB sound and noise have the same power."


EXERCISES = {
    "03.1": stretched_length,
    "03.2": cents,
    "03.3": window,
    "03.4": shift,
    "03.5": noise_factor,
}
