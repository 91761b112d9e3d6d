"""Tests of the exercises in notebook 04."""

import math

import numpy as np
import pandas as pd

from course_lib.data import folds
from course_lib.evaluation.intervals import accuracy_by_source
from course_lib.lesson.checks import NotYet, call, expect_function


def _table() -> pd.DataFrame:
    """Twelve clips of six sources, two of which lie in two folds."""
    return pd.DataFrame(
        {
            "clip": [f"clip{i}" for i in range(12)],
            "label": ["dog", "rain"] * 6,
            "source": ["s1", "s1", "s2", "s2", "s3", "s3", "s4", "s4", "s5", "s5", "s6", "s6"],
            "fold": [1, 1, 2, 3, 1, 1, 2, 2, 3, 1, 2, 2],
        }
    )


def _names(got: object) -> list[str]:
    """Names as a list of texts, from a list, a tuple, or an array or index of pandas and numpy."""
    if not isinstance(got, list | tuple | np.ndarray | pd.Index | pd.Series):
        raise NotYet(f"expected a list of names, got {type(got).__name__}")
    return [str(name) for name in got]


def crossing_sources(answer: object) -> str:
    """04.1: sources in more than one fold."""
    table = _table()
    wanted, got = folds.crossing_sources(table), _names(call(answer, table.copy()))
    if len(set(got)) < len(got):
        raise NotYet(f"each name once: yours has {len(got)} entries for {len(set(got))} sources, one per row")
    if got == sorted(table["source"].unique()):
        raise NotYet("these are all sources with several clips; we ask for several *folds* (nunique, not size)")
    if sorted(got) == wanted and got != wanted:
        raise NotYet("the right names, but not sorted")
    missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    if missing or extra:
        raise NotYet(f"missing: {', '.join(missing) or 'none'}; too many: {', '.join(extra) or 'none'}")
    if _names(call(answer, table.assign(fold=1))):
        raise NotYet("in a table with one fold nothing crosses; yours still finds something")
    return "The same as `course_lib.data.folds.crossing_sources`."


def folds_by_source(answer: object) -> str:
    """04.2: a split that keeps sources whole."""
    table = _table().sample(frac=1, random_state=0)  # rows of a source need not be neighbours
    for n_folds in (2, 3):
        got = np.asarray(call(answer, table.copy(), n_folds))
        if got.shape != (len(table),):
            raise NotYet(f"expected one fold per row, shape ({len(table)},), got {got.shape}")
        found = sorted({int(k) for k in got})
        if found != list(range(1, n_folds + 1)):
            raise NotYet(f"with n_folds={n_folds} the folds are {found}, expected 1 to {n_folds}, all of them in use")
        crossing = folds.crossing_sources(table.assign(fold=got))
        if crossing:
            raise NotYet(f"source {crossing[0]} lies in two folds; give the fold to the source, then to its rows")
    return "Nothing crosses. The library's `folds_by_source` also balances the classes."


def meets_a_twin(answer: object) -> str:
    """04.3: the probability that a version in the test set has another version in training."""

    def reference(versions: int, n_folds: int) -> float:
        return 1 - (1 / n_folds) ** (versions - 1)

    slips = {
        "that is the probability that *all* the others are in the test fold; we ask for the opposite": lambda v, k: (
            (1 / k) ** (v - 1)
        ),
        "a version is not its own twin: there are versions - 1 others": lambda v, k: 1 - (1 / k) ** v,
        "that is the probability for one other version; with several, one of them in training is enough": lambda v, k: (
            1 - 1 / k
        ),
        "that is the probability that *all* the others are in training; one is enough": lambda v, k: (
            (1 - 1 / k) ** (v - 1)
        ),
    }
    expect_function(answer, reference, [(7, 5), (2, 5), (3, 10), (1, 5)], unit="", rel=1e-9, slips=slips)
    return "With four versions and five folds it is 99.2 %, with seven 99.99 %: nearly every test clip has a twin."


def sources_needed(answer: object) -> str:
    """04.4: the half-width of an interval shrinks with the square root of the number of sources."""

    def reference(n_sources: int, half_width: float, wanted: float) -> int:
        return math.ceil(n_sources * (half_width / wanted) ** 2)

    slips = {
        "half the width takes more than twice the sources: the width shrinks with their square root": lambda n, h, w: (
            math.ceil(n * h / w)
        ),
        "the wrong way round: a narrower interval takes more sources, not fewer": lambda n, h, w: math.ceil(
            n * (w / h) ** 2
        ),
        "that takes the root where the square is needed: solve 1 / sqrt(n) for n": lambda n, h, w: math.ceil(
            n * math.sqrt(h / w)
        ),
        "round up: one source fewer is not enough": lambda n, h, w: math.floor(n * (h / w) ** 2),
        "right, but return whole sources: round up": lambda n, h, w: n * (h / w) ** 2,
    }
    cases = [(100, 8.0, 4.0), (304, 5.0, 2.0), (150, 7.8, 2.9), (60, 3.0, 3.0)]
    expect_function(answer, reference, cases, unit="sources", rel=1e-9, slips=slips)
    return "Half the width takes four times the sources. ESC-50 has 1,524 sources, UrbanSound8K 1,297."


def _two_classifiers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right and wrong of two classifiers that mostly agree, and the sources: 80 of three clips each."""
    rng = np.random.default_rng(4)
    sources = np.repeat([f"s{k:02d}" for k in range(80)], 3)
    hard = np.repeat(rng.random(80) < 0.4, 3)  # both classifiers fail on these sources
    better = np.repeat(rng.random(80) < 0.25, 3)  # and the second fails on some more
    first = (~hard).astype(float)
    second = (~hard & ~better).astype(float)
    order = rng.permutation(len(sources))  # the clips of a source need not be neighbours
    return first[order], second[order], sources[order]


def paired_interval(answer: object) -> str:
    """04.5: the paired bootstrap by source."""
    first, second, sources = _two_classifiers()
    got = call(answer, first.copy(), second.copy(), sources.copy(), 2000, np.random.default_rng(0))
    if not isinstance(got, tuple | list | np.ndarray) or len(got) != 2:
        raise NotYet(f"expected two numbers, the lower and the upper limit, got {type(got).__name__}")
    low, high = (float(limit) for limit in got)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise NotYet(f"a limit is not a number: {low}, {high}")
    wanted = accuracy_by_source(first - second, sources, draws=4000)
    wrong_unit = accuracy_by_source(first - second, np.arange(len(sources)), draws=4000)
    error = max(abs(low - wanted.low), abs(high - wanted.high))
    if error < 0.015:
        again = call(answer, second.copy(), first.copy(), sources.copy(), 2000, np.random.default_rng(0))
        if abs(float(again[0]) + high) > 0.015 or abs(float(again[1]) + low) > 0.015:
            raise NotYet("with the two classifiers swapped the interval should change its sign, and yours does not")
        return "Both classifiers on the same draw. `accuracy_by_source(first - second, sources)` does the same."
    limits = f"{low:.3f} to {high:.3f}"
    if low > high:
        raise NotYet(f"{limits}: the lower limit comes first")
    if max(abs(low + wanted.high), abs(high + wanted.low)) < 0.015:
        raise NotYet(f"{limits}: that is second minus first; we ask for first minus second")
    if max(abs(low / 100 - wanted.low), abs(high / 100 - wanted.high)) < 0.015:
        raise NotYet(f"{limits}: that is in per cent; leave it as a fraction")
    if max(abs(low - wrong_unit.low), abs(high - wrong_unit.high)) < 0.012:
        raise NotYet(f"{limits} is too narrow: you have resampled clips; draw sources, each with all its clips")
    if high - low > 1.3 * (wanted.high - wanted.low):
        raise NotYet(f"{limits} is too wide: evaluate both classifiers on the *same* draw, not on one each")
    if high - low < 0.5 * (wanted.high - wanted.low):
        raise NotYet(f"{limits} is far too narrow: draw as many sources as there are, *with* replacement")
    raise NotYet(f"{limits}; expected about {wanted.low:.3f} to {wanted.high:.3f}")


EXERCISES = {
    "04.1": crossing_sources,
    "04.2": folds_by_source,
    "04.3": meets_a_twin,
    "04.4": sources_needed,
    "04.5": paired_interval,
}
