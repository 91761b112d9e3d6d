"""Every exercise: the right answer passes, and each known slip is told by its own message."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal

from course_lib import checks, exercises
from course_lib.checks import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, PASSED, judge

RIGHT = {
    "00.1": 160,
    "01.1": lambda n, w, h, c: 0 if n + c * 2 * (w // 2) < w else 1 + (n + c * 2 * (w // 2) - w) // h,
    "01.2": lambda w: len(w) * np.sum(w**2) / np.sum(w) ** 2,
    "01.3": 12,
    "01.4": lambda f, h: min(f % (1000 / h), 1000 / h - f % (1000 / h)),
    "02.1": lambda power, bank: power @ bank,
    "02.2": lambda power, floor: 10 * np.log10(np.maximum(power, floor)),
    "02.3": lambda n, s, h, m: n * (1 + int(s * 16_000) // int(h * 16)) * m * 4 / 1e6,
    "03.1": lambda n, rate: round(n / rate),
    "03.2": lambda a, b: 1200 * np.log2(b / a),
    "03.3": lambda x, n: np.where((np.arange(6) >= n) & (np.arange(6) < 6 + n), np.roll(x, n), 0),
    "03.4": lambda x, noise, snr: np.sqrt(np.mean(x**2) / np.mean(noise**2)) / 10 ** (snr / 20),
    "04.1": lambda t: sorted(t.groupby("source").filter(lambda rows: rows["fold"].nunique() > 1)["source"].unique()),
    "04.2": lambda t, k: pd.factorize(t["source"])[0] % k + 1,
    "04.3": lambda v, k: 1 - k ** (1.0 - v),
}

SLIPS = [
    ("00.1", 500, "how often we look in 5 seconds"),
    ("00.1", 1600, "100 ms"),
    ("00.1", 159, "too small"),
    ("00.1", "160", "expected one number in samples, got str"),
    ("00.1", True, "got bool"),
    ("01.1", lambda n, w, h, c: 1 + n // h if c else max(0, 1 + (n - w) // h), "even windows only"),
    ("01.1", lambda n, w, h, c: max(0, 1 + (n - w) // h), "`centred` makes no difference"),
    ("01.1", lambda n, w, h, c: RIGHT["01.1"](n, w, h, c) - 1 if RIGHT["01.1"](n, w, h, c) else 0, "add 1"),
    ("01.1", lambda n, w, h: 1, "raised TypeError"),
    ("01.1", lambda n, w, h, c: [1], "expected one number in frames, got list"),
    ("01.1", lambda n, w, h, c: 7, "it gives 7, expected 101 frames"),
    ("01.1", 101, "expected a function, got int"),
    ("01.2", lambda w: np.sum(w**2) / np.sum(w) ** 2, "multiply by the length"),
    ("01.2", lambda w: len(w) * np.sum(w) ** 2 / np.sum(w**2), "bins"),
    ("01.2", lambda w: np.mean(w), "expected"),
    ("01.2", lambda w: w, "expected one number, got ndarray"),
    ("01.3", 3, "the wrong way round"),
    ("01.3", 6, "a longer window still does"),
    ("01.3", 20, "0.3 N"),
    ("01.3", 13, "too large"),
    ("01.4", lambda f, h: f, "folds back"),
    ("01.4", lambda f, h: abs(1000 / h - f), "use the remainder"),
    ("01.4", lambda f, h: f % (1000 / h), "must fold down"),
    ("01.4", lambda f, h: min(f % (1 / h), 1 / h - f % (1 / h)), "in milliseconds"),
    ("02.1", lambda power, bank: (power @ bank).T, "the axes are swapped"),
    ("02.1", lambda power, bank: np.sqrt(power) @ bank, "do not take the root"),
    ("02.1", lambda power, bank: power * bank, "raised ValueError"),
    ("02.1", lambda power, bank: power @ bank + 1, "right shape, but at"),
    ("02.2", lambda power, floor: 20 * np.log10(np.maximum(power, floor)), "not 20"),
    ("02.2", lambda power, floor: 10 * np.log10(power), "minus infinity"),
    ("02.2", lambda power, floor: np.log(np.maximum(power, floor)), "natural logarithm"),
    ("02.2", lambda power, floor: np.log10(np.maximum(power, floor)), "bels"),
    ("02.2", lambda power, floor: 10 * np.log10(power + floor), "np.maximum"),
    ("02.3", lambda n, s, h, m: n * (int(s * 16_000) // int(h * 16)) * m * 4 / 1e6, "the frame at sample 0"),
    ("02.3", lambda n, s, h, m: RIGHT["02.3"](n, s, h, m) / 4, "four bytes"),
    ("02.3", lambda n, s, h, m: 2 * RIGHT["02.3"](n, s, h, m), "float64"),
    ("02.3", lambda n, s, h, m: 1e6 * RIGHT["02.3"](n, s, h, m), "divide the bytes"),
    ("03.1", lambda n, rate: round(n * rate), "the wrong way round"),
    ("03.1", lambda n, rate: n / rate, "round to the nearest sample"),
    ("03.2", lambda a, b: 12 * np.log2(b / a), "in semitones"),
    ("03.2", lambda a, b: np.log2(b / a), "in octaves"),
    ("03.2", lambda a, b: 1200 * np.log2(a / b), "upwards is positive"),
    ("03.2", lambda a, b: 1200 * np.log(b / a), "another base"),
    ("03.2", lambda a, b: b - a, "not a difference"),
    ("03.3", np.roll, "zeros should enter"),
    ("03.3", lambda x, n: RIGHT["03.3"](x, -n), "positive is later"),
    ("03.3", lambda x, n: x[n:], "expected shape (6,), got (4,)"),
    ("03.4", lambda x, noise, snr: RIGHT["03.4"](x, noise, snr) ** 2, "square root"),
    ("03.4", lambda x, noise, snr: RIGHT["03.4"](x, noise, -snr), "turned round"),
    ("03.4", lambda x, noise, snr: np.std(x) * 10 ** (-snr / 20), "it gives"),
    ("03.4", lambda x, noise, snr: noise, "return the factor alone"),
    ("04.1", lambda t: sorted(t["source"].unique()), "several *folds*"),
    ("04.1", lambda t: RIGHT["04.1"](t)[::-1], "not sorted"),
    ("04.1", lambda t: ["s2"], "missing: s5"),
    ("04.1", lambda t: 2, "expected a list of names"),
    ("04.2", lambda t, k: np.arange(len(t)) % k + 1, "lies in two folds"),
    ("04.2", lambda t, k: pd.factorize(t["source"])[0] % k, "expected 1 to"),
    ("04.2", lambda t, k: np.ones(3), "expected one fold a row"),
    ("04.3", lambda v, k: k ** (1.0 - v), "the opposite is asked"),
    ("04.3", lambda v, k: 1 - k ** -float(v), "not its own twin"),
    ("04.3", lambda v, k: 1 - 1 / k, "several"),
]


def every_exercise():
    names = [m.stem for m in Path(exercises.__file__).parent.glob("nb*.py")]
    return sorted(e for name in names for e in importlib.import_module(f"course_lib.exercises.{name}").EXERCISES)


def test_every_exercise_has_an_answer_and_slips_here():
    assert every_exercise() == sorted(RIGHT)
    assert {e for e, _, _ in SLIPS} == set(RIGHT)


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_right_answer_passes_with_a_word_of_praise(exercise):
    outcome = judge(exercise, RIGHT[exercise])
    assert outcome.state == PASSED, outcome.message
    assert outcome.message


@pytest.mark.parametrize(("exercise", "answer", "words"), SLIPS)
def test_a_slip_is_not_yet_and_named(exercise, answer, words):
    outcome = judge(exercise, answer)
    assert outcome.state == NOT_YET, outcome
    assert words in outcome.message


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_placeholder_is_not_attempted(exercise):
    assert judge(exercise, ...).state == NOT_ATTEMPTED
    if callable(RIGHT[exercise]):
        assert judge(exercise, lambda *args: None).state == NOT_ATTEMPTED


def test_a_broken_check_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr(signal, "get_window", lambda *args: 1 / 0)
    assert judge("01.2", RIGHT["01.2"]).state == CANNOT_CHECK
    assert judge("99.1", 1).state == CANNOT_CHECK
    assert judge("01.9", 1).state == CANNOT_CHECK


def test_strict_raises_on_everything_but_passed(monkeypatch):
    checks.check("00.1", 5)  # shown, not raised
    monkeypatch.setenv("COURSE_STRICT", "1")
    checks.check("00.1", 160)
    for wrong in (5, ...):
        with pytest.raises(AssertionError, match=r"Exercise 00\.1: not"):
            checks.check("00.1", wrong)
