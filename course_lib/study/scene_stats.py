"""What rows on scenes say: three F1 of each condition, and differences by pairs of starts on the same scenes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from course_lib.evaluation.intervals import Interval, paired_difference
from course_lib.study import stats
from course_lib.study.config import SceneRun, field_names
from course_lib.study.stats import REPEATS

SCORES = ("tagging", "segment", "event")
NOTHING = Interval(math.nan, math.nan, math.nan)


def condition_fields(rows: pd.DataFrame) -> list[str]:
    """Fields that tell the conditions among `rows` apart: those of a run with more than one value, but no repeats."""
    fields = [name for name in field_names(SceneRun) if name in rows.columns and name not in REPEATS]
    return [name for name in fields if rows[name].nunique(dropna=False) > 1]


def mean(values: Sequence[float]) -> Interval:
    """Mean of one score over starts and its t interval, whose ends are NaN for a single start.

    It tells how much the start of training matters on these scenes, and nothing of other scenes.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return Interval(float(values.mean()), math.nan, math.nan)
    return paired_difference(values, np.zeros(len(values)))


def difference(first: pd.DataFrame, second: pd.DataFrame, score: str) -> Interval | None:
    """Rows `first` less rows `second` in the test F1 of `score`: `stats.difference`, its interval alone."""
    seen = stats.difference(first, second, score=f"test_{score}_f1")
    return seen.interval if seen else None


def summarise(
    rows: pd.DataFrame, by: Sequence[str] | None = None, against: Mapping[str, object] | None = None
) -> pd.DataFrame:
    """One row a condition, in the order of `rows`: each F1 with its interval, its difference to another condition.

    `by` are the fields that make a condition, None for those that vary. The other condition has the fields of
    `against` instead of its own; without, it is the first. Columns `tagging`, `tagging_low`, `tagging_high`,
    `tagging_difference`, `..._difference_low`, `..._difference_high`, `tagging_smallest`, and so on; shares.
    """
    by = list(condition_fields(rows) if by is None else by)
    groups = dict(list(rows.groupby(by, sort=False, dropna=False))) if by else {(): rows}
    groups = {key if isinstance(key, tuple) else (key,): group for key, group in groups.items()}
    first = next(iter(groups))
    table = []
    for key, group in groups.items():
        wanted = tuple((against or {}).get(name, value) for name, value in zip(by, key, strict=True))
        base = wanted if against and not set(against).isdisjoint(by) else first
        other = None if base == key else groups.get(base)
        row = dict(zip(by, key, strict=True)) | {"seeds": group["seed"].nunique(), "rows": len(group)}
        for score in SCORES:
            row |= _told(score, group, other)
        table.append(row | {name: float(group[name].median()) for name in ("parameters", "train_seconds")})
    return pd.DataFrame(table)


def _told(score: str, group: pd.DataFrame, other: pd.DataFrame | None) -> dict[str, float]:
    """One score of a condition, its difference to another one, and the smallest that could have been seen."""
    seen = None if other is None else stats.difference(group, other, score=f"test_{score}_f1")
    row = {f"{score}_smallest": seen.smallest if seen else math.nan}
    gap = seen.interval if seen else NOTHING
    for name, found in ((score, mean(group[f"test_{score}_f1"])), (f"{score}_difference", gap)):
        row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
    return row
