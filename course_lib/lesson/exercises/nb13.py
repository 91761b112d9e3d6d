"""Tests of the exercises in notebook 13."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from course_lib.lesson.checks import NotYet, call, expect_function

Rows = list[dict]
FIRST: Rows = [
    {"fold": 2, "seed": 0, "accuracy": 0.75}, {"fold": 2, "seed": 1, "accuracy": 0.5},
    {"fold": 1, "seed": 0, "accuracy": 0.875}, {"fold": 1, "seed": 2, "accuracy": 0.0},
    {"fold": 3, "seed": 0, "accuracy": 0.625}, {"fold": 4, "seed": 0, "accuracy": 0.25},
]  # fmt: skip
SECOND: Rows = [
    {"fold": 1, "seed": 0, "accuracy": 0.75}, {"fold": 1, "seed": 1, "accuracy": 1.0},
    {"fold": 2, "seed": 1, "accuracy": 0.75}, {"fold": 2, "seed": 0, "accuracy": 0.5},
    {"fold": 3, "seed": 0, "accuracy": 0.875}, {"fold": 5, "seed": 0, "accuracy": 1.0},
]  # fmt: skip


def fold_differences(answer: object) -> str:
    """13.1: differences in pairs, one a fold."""
    got = _numbers(call(answer, [dict(row) for row in FIRST], [dict(row) for row in SECOND]))
    right = _paired(FIRST, SECOND)
    wanted = [float(np.mean(right[fold])) for fold in sorted(right)]
    if _same(got, wanted):
        return "Folds 4 and 5 are left out: only one of the two conditions was run there."
    single = [gap for fold in sorted(right) for gap in right[fold]]
    slips = {
        "one number per seed; seeds of a fold share its clips: average them": single,
        "second less first; it is the first less the second": [-value for value in wanted],
        "only over the seeds that both have: seed 2 and seed 1 of fold 1 have no partner": _means(FIRST, SECOND),
        "in the order of the folds, not of the rows": [float(np.mean(right[fold])) for fold in (2, 1, 3)],
        "as shares, as they were given": [100 * value for value in wanted],
        "a mean over all folds; one number a fold is asked for": [float(np.mean(wanted))],
        "summed over the seeds of a fold; take their mean": [float(np.sum(right[fold])) for fold in sorted(right)],
    }
    for reason, slip in slips.items():
        if _same(got, slip):
            raise NotYet(reason)
    raise NotYet(f"expected {wanted} for folds 1, 2 and 3, got {[round(value, 6) for value in got]}")


def _paired(first: Rows, second: Rows) -> dict[int, list[float]]:
    """Differences by fold, over the seeds that both have."""
    other = {(row["fold"], row["seed"]): row["accuracy"] for row in second}
    found: dict[int, list[float]] = {}
    for row in first:
        if (row["fold"], row["seed"]) in other:
            found.setdefault(row["fold"], []).append(row["accuracy"] - other[row["fold"], row["seed"]])
    return found


def _means(first: Rows, second: Rows) -> list[float]:
    """Differences of the folds' means, each over its own seeds."""
    both = [
        {fold: [r["accuracy"] for r in rows if r["fold"] == fold] for fold in (1, 2, 3)} for rows in (first, second)
    ]
    return [float(np.mean(both[0][fold]) - np.mean(both[1][fold])) for fold in (1, 2, 3)]


def _numbers(found: object) -> list[float]:
    if isinstance(found, dict):
        raise NotYet("a list of numbers in the order of the folds, not a dict")
    if not isinstance(found, list | tuple | np.ndarray):
        raise NotYet(f"expected a list of numbers, got {type(found).__name__} {found!r}")
    try:
        return [float(value) for value in found]
    except (TypeError, ValueError):
        raise NotYet(f"expected a list of numbers, got {found!r}") from None


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other))


Part = tuple[float, float, float] | None
UP, DOWN, OPEN, CLOSE = (0.5, 3.0, 0.0), (-9.0, -3.0, 2.0), (-1.0, 1.0, 0.0), (-1.0, 1.0, 2.0)


def judge(answer: object) -> str:
    """13.2: the verdict of a claim of several questions."""
    cases = [
        [UP], [OPEN], [DOWN], [CLOSE], [UP, CLOSE], [UP, OPEN], [UP, DOWN], [OPEN, DOWN], [UP, None], [None, DOWN],
        [None, None], [(-3.0, -1.0, 2.0)], [(0.0, 2.0, 0.0)],
    ]  # fmt: skip
    got = [call(answer, list(case)) for case in cases]
    wanted = [_rule(case) for case in cases]
    for case, found, right in zip(cases, got, wanted, strict=True):
        if found == right:
            continue
        if not isinstance(found, str):
            raise NotYet(f"expected a text such as 'holds', got {type(found).__name__} {found!r}")
        for reason, slip in SLIPS.items():
            if all(a == b for a, b in zip(got, map(slip, cases), strict=True)):
                raise NotYet(reason)
        raise NotYet(f"for {case}: expected {right!r}, got {found!r}")
    return "One open question keeps a claim open, and an unasked one does as well."


def _rule(
    parts: Sequence[Part],
    *,
    margin: Callable[[float], float] = lambda m: m,
    drop: bool = False,
    some: Callable = all,
    mixed: str = "not shown",
) -> str:
    """The rule of notebook 13, and with other arguments what comes of known mistakes."""
    run = [part for part in parts if part is not None]
    if not run:
        return "not run"
    above = [low > -margin(m) for low, _, m in run] + [False] * (0 if drop else len(parts) - len(run))
    below = [high < -margin(m) for _, high, m in run]
    if some(above):
        return "holds"
    if any(below):
        return mixed if any(above) else "contradicted"
    return "not shown"


SLIPS: dict[str, Callable[[Sequence[Part]], str]] = {
    "the margin is what may be lost: compare with minus the margin": lambda p: _rule(p, margin=lambda m: -m),
    "the margin is left out; compare with minus the margin": lambda p: _rule(p, margin=lambda m: 0.0),
    "a question that was not run keeps the claim from holding": lambda p: _rule(p, drop=True),
    "all questions must hold, not one of them": lambda p: _rule(p, some=any),
    "where one question holds and another is contradicted, nothing is shown": lambda p: _rule(p, mixed="contradicted"),
}


def pairs_needed(answer: object) -> str:
    """13.3: how many pairs an effect takes."""
    cases = [(2.0, 1.0), (1.0, 2.0), (4.5, 2.0), (3.5, 0.5), (1.4, 4.0)]

    def wanted(sd: float, effect: float, errors: float = 2.8, power: int = 2, whole: Callable = math.ceil) -> float:
        return whole((errors * sd / effect) ** power)

    slips = {
        "the square: half the effect takes four times the pairs": lambda s, e: wanted(s, e, power=1),
        "the other way round: more scatter takes more pairs": lambda s, e: wanted(e, s),
        "round up, not to the nearest": lambda s, e: wanted(s, e, whole=round),
        "pairs are whole, and one too few is too few: round up": lambda s, e: wanted(s, e, whole=math.floor),
        "a whole number: round up": lambda s, e: wanted(s, e, whole=float),
        "1.96 alone finds the effect in half of the studies": lambda s, e: wanted(s, e, errors=1.96),
        "0.84 alone is the power; both add up": lambda s, e: wanted(s, e, errors=0.84),
        "that is a standard error too few: 2.8 of them": lambda s, e: wanted(s, e, errors=1.0),
    }
    expect_function(answer, wanted, cases, unit="pairs", slips=slips)
    return "The fourth wants 385 pairs: an effect of half a point under a scatter of 3.5 is far away."


EXERCISES = {"13.1": fold_differences, "13.2": judge, "13.3": pairs_needed}
