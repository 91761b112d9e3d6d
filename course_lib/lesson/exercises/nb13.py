"""Tests of the exercises in notebook 13."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from course_lib.analysis import questions
from course_lib.lesson.checks import NotYet, call, expect_function
from course_lib.study import stats

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
    """13.1: paired differences, one per fold."""
    got = _numbers(call(answer, [dict(row) for row in FIRST], [dict(row) for row in SECOND]))
    right = _paired(FIRST, SECOND)
    wanted = [float(np.mean(right[fold])) for fold in sorted(right)]
    if _same(got, wanted):
        return "Folds 4 and 5 are left out: only one of the two conditions was run there."
    single = [gap for fold in sorted(right) for gap in right[fold]]
    slips = {
        "that is one number per run; the seeds of a fold share its clips, so average them": single,
        "that is second minus first; return first minus second": [-value for value in wanted],
        "only over the seeds that both have: seed 2 and seed 1 of fold 1 have no partner": _means(FIRST, SECOND),
        "return them in the order of the folds, not of the rows": [float(np.mean(right[fold])) for fold in (2, 1, 3)],
        "keep the unit of the accuracies; do not multiply by 100": [100 * value for value in wanted],
        "that is the mean over all folds; return one number per fold": [float(np.mean(wanted))],
        "these are sums over a fold's seeds; take the mean": [float(np.sum(right[fold])) for fold in sorted(right)],
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
        raise NotYet("expected a list of numbers in the order of the folds, not a dict")
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
    """13.2: the verdict on a claim from several questions."""
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
    return "A claim holds only if every one of its questions has been run and holds."


def _rule(
    parts: Sequence[Part],
    *,
    margin: Callable[[float], float] = lambda m: m,
    drop: bool = False,
    some: Callable = all,
    mixed: str = "not shown",
) -> str:
    """The rule of notebook 13, or with other arguments the result of a known mistake."""
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
    "the margin is the loss that is allowed: compare with minus the margin": lambda p: _rule(p, margin=lambda m: -m),
    "the margin is missing; compare with minus the margin": lambda p: _rule(p, margin=lambda m: 0.0),
    "a question that was not run keeps the claim from holding": lambda p: _rule(p, drop=True),
    "all questions must hold, not one of them": lambda p: _rule(p, some=any),
    "where one question holds and another is contradicted, nothing is shown": lambda p: _rule(p, mixed="contradicted"),
}


def pairs_needed(answer: object) -> str:
    """13.3: how many pairs are needed to detect an effect."""
    cases = [(2.0, 1.0), (1.0, 2.0), (4.5, 2.0), (3.5, 0.5), (1.4, 4.0)]

    def wanted(sd: float, effect: float, errors: float = 2.8, power: int = 2, whole: Callable = math.ceil) -> float:
        return whole((errors * sd / effect) ** power)

    slips = {
        "square the ratio: half the effect needs four times as many pairs": lambda s, e: wanted(s, e, power=1),
        "the other way round: a larger standard deviation needs more pairs": lambda s, e: wanted(e, s),
        "round up, not to the nearest whole number": lambda s, e: wanted(s, e, whole=round),
        "round up: with one pair fewer the effect is missed too often": lambda s, e: wanted(s, e, whole=math.floor),
        "a whole number: round up": lambda s, e: wanted(s, e, whole=float),
        "with 1.96, only half of the studies find the effect; use 2.8": lambda s, e: wanted(s, e, errors=1.96),
        "0.84 is for the power only; use the sum, 2.8": lambda s, e: wanted(s, e, errors=0.84),
        "the effect must measure 2.8 standard errors, not one": lambda s, e: wanted(s, e, errors=1.0),
    }
    expect_function(answer, wanted, cases, unit="pairs", slips=slips)
    return "For half a point with a standard deviation of 3.5 you need 385 pairs."


SETTINGS = ("dataset", "recipe.steps", "features.hop_ms", "frame_reducer")
WORDS = ("holds", "contradicted", "not shown")


def my_question(answer: object) -> str:
    """13.4: a question about the published rows: two conditions, differing in one setting, a margin, an expectation."""
    asked = call(answer)
    if not isinstance(asked, dict) or set(asked) != {"first", "second", "margin", "expected"}:
        raise NotYet("return a dict with the keys 'first', 'second', 'margin' and 'expected'")
    for side in ("first", "second"):
        if not isinstance(asked[side], dict) or set(asked[side]) != set(SETTINGS):
            raise NotYet(f"'{side}' must be a dict with the keys {', '.join(SETTINGS)}")
    differing = [name for name in SETTINGS if asked["first"][name] != asked["second"][name]]
    if len(differing) != 1:
        found = f"they differ in {', '.join(differing)}" if differing else "they are equal"
        raise NotYet(f"the two conditions must differ in exactly one setting; {found}")
    if differing == ["dataset"]:
        raise NotYet("two data sets have different folds, so there are no pairs; let another setting differ")
    margin = asked["margin"]
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin <= 10:
        raise NotYet(f"the margin is a number of points from 0 to 10, got {margin!r}")
    if asked["expected"] not in WORDS:
        raise NotYet(f"'expected' is one of {', '.join(map(repr, WORDS))}, got {asked['expected']!r}")
    rows = questions.published("diffres")
    runs = {side: questions.chosen(rows, asked[side]) for side in ("first", "second")}
    for side, of_side in runs.items():
        if of_side.empty:
            raise NotYet(f"the grid 'diffres' has no run with the settings of '{side}'; see the list above")
    pairs = runs["first"].merge(runs["second"], on=list(stats.REPEATS))["fold"].nunique()
    if pairs < 2:
        raise NotYet(f"the two conditions share {pairs} folds; choose two that share at least two")
    return f"Your question compares {' and '.join(str(asked[s][differing[0]]) for s in runs)} over {pairs} folds."


EXERCISES = {"13.1": fold_differences, "13.2": judge, "13.3": pairs_needed, "13.4": my_question}
