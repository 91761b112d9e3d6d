"""Tests of the exercises in notebook 01."""

import numpy as np
from scipy import signal

from course_lib.audio import timebase
from course_lib.lesson.checks import NotYet, call, expect_function


def frame_count(answer: object) -> str:
    """01.1: number of frames, centred or not."""

    def reference(n_samples: int, n_fft: int, hop: int, centred: bool) -> int:
        return timebase.frame_count(n_samples, n_fft, hop, centred=centred)

    cases = [
        (16_000, 400, 160, True),
        (16_000, 400, 160, False),
        (16_000, 401, 160, True),
        (110_250, 1024, 220, True),
        (399, 400, 160, False),
        (400, 400, 160, False),
        (1000, 64, 128, False),
        (100, 400, 160, False),  # short enough for a count without a guard to fall below 0
    ]
    slips = {
        "the last frame is missing: a signal of exactly one window has one frame, so add 1": lambda n, w, h, c: max(
            reference(n, w, h, c) - 1, 0
        ),
        "`1 + n // hop` holds for even windows only; pad n_fft // 2 on both sides and count": lambda n, w, h, c: (
            1 + n // h if c else reference(n, w, h, c)
        ),
        "`centred` makes no difference in your function; it pads n_fft // 2 samples on each side": lambda n, w, h, c: (
            reference(n, w, h, False)
        ),
        "a signal shorter than its window has no frame; yours gives another number": lambda n, w, h, c: (
            1 + (n - w) // h if n < w else reference(n, w, h, c)
        ),
    }
    expect_function(answer, reference, cases, unit="frames", slips=slips)
    return "The same counts as `course_lib.audio.timebase.frame_count`, odd windows included."


def reported_hz(answer: object) -> str:
    """01.4: the rate at which an undersampled modulation appears."""

    def reference(modulation_hz: float, hop_ms: float) -> float:
        rate = 1000 / hop_ms
        return min(modulation_hz % rate, rate - modulation_hz % rate)

    slips = {
        "right for rates below half the frame rate; higher ones fold back": lambda f, h: f,
        "one subtraction of the frame rate is not enough for every case; use the remainder": lambda f, h: abs(
            1000 / h - f
        ),
        "a rate above half the frame rate must fold down (rate minus remainder)": lambda f, h: f % (1000 / h),
        "the frame rate is 1000 / hop_ms, since the hop is in milliseconds": lambda f, h: min(
            f % (1 / h), 1 / h - f % (1 / h)
        ),
    }
    cases = [(60.0, 10.0), (30.0, 10.0), (60.0, 1.0), (160.0, 10.0), (250.0, 10.0), (70.0, 20.0), (130.0, 25.0)]
    expect_function(answer, reference, cases, unit="Hz", rel=1e-6, slips=slips)
    return "At a hop of 10 ms, 60 Hz appears as 40 Hz."


def closest_clicks_ms(answer: object) -> str:
    """01.3: how close clicks may be so that one Hann window separates them and two notes, with dips of 3 dB."""

    def reference(tone_distance_hz: float) -> float:
        return 1000 / tone_distance_hz

    slips = {
        "that is the window itself; it separates clicks half its length apart": lambda f: 2000 / f,
        "a dip *begins* at a third of the window; 3 dB need half of it": lambda f: 2000 / f / 3,
        "that is in seconds; the question is about milliseconds": lambda f: 1 / f,
        "twice the window is the wrong way round: it separates clicks half its length apart": lambda f: 4000 / f,
        "the notes come apart at half a main lobe, 2 / N, not at 1 / N": lambda f: 500 / f,
    }
    expect_function(answer, reference, [(60.0,), (40.0,), (100.0,), (12.5,)], unit="ms", rel=1e-3, slips=slips)
    return "Time difference times frequency difference is 1: notes 40 Hz apart need clicks 25 ms apart."


def removing_window_ms(answer: object) -> str:
    """01.5: the shortest Hann window that removes a modulation from its frames."""

    def reference(modulation_hz: float) -> float:
        return 3000 / modulation_hz

    slips = {
        "that is the first zero of the Hann window itself; the energy is weighted by its square": lambda f: 2000 / f,
        "that is one period of the modulation, and the table shows how much is left of it": lambda f: 1000 / f,
        "that is in seconds; the question is about milliseconds": lambda f: 3 / f,
        "it vanishes there as well, but a shorter window already removes it": lambda f: 4000 / f,
        "the faster the modulation, the shorter the window that removes it": lambda f: 50 * f / 60,
    }
    expect_function(answer, reference, [(60.0,), (80.0,), (40.0,), (250.0,)], unit="ms", rel=0.02, slips=slips)
    return "The square of the Hann window has its first zero at 3 / N: 80 Hz is gone at 37.5 ms."


def enbw_bins(answer: object) -> str:
    """01.2: equivalent noise bandwidth."""
    for shape in ("boxcar", "hann", "blackman"):
        w = signal.get_window(shape, 512)
        got = call(answer, w)
        expected = len(w) * np.sum(w**2) / np.sum(w) ** 2
        if not isinstance(got, int | float | np.number):
            raise NotYet(f"expected one number, got {type(got).__name__}")
        if np.isclose(got * len(w), expected, rtol=1e-6):  # the factor N forgotten
            raise NotYet(f"{shape}: {got:.4g} is N times too small; the result is in bins, so multiply by the length")
        if np.isclose(got, len(w) ** 2 / expected, rtol=1e-6) and shape != "boxcar":
            raise NotYet(f"{shape}: upside down; the sum of the squares is the numerator")
        if not np.isclose(got, expected, rtol=1e-6):
            raise NotYet(f"{shape}: {got:.4g} bins, expected {expected:.4g}; it is 1 for the rectangular window")
    return "1.5 bins for Hann: half as much noise again as an ideal bin."


EXERCISES = {
    "01.1": frame_count,
    "01.2": enbw_bins,
    "01.3": closest_clicks_ms,
    "01.4": reported_hz,
    "01.5": removing_window_ms,
}
