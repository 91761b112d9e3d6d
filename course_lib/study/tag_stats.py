"""What rows on clips with several labels say: mean average precision, and differences by pairs."""

import math
from functools import partial

import pandas as pd

from course_lib.evaluation.intervals import Interval, paired_difference
from course_lib.study import stats

SCORE = "test_map"


def mean(rows: pd.DataFrame) -> Interval:
    """Mean average precision of one condition: starts of a fold averaged, then folds, with the t interval of these.

    A set with one official split has a single fold: the interval is then over starts, tells how much the start of
    training matters, and nothing of other sounds. Its ends are NaN where there is one row alone.
    """
    by = "fold" if rows["fold"].nunique() > 1 else "seed"
    each = rows.groupby(by)[SCORE].mean().to_numpy()
    if len(each) < 2:
        return Interval(float(each.mean()), math.nan, math.nan)
    return paired_difference(each, 0 * each)


def _condition(rows: pd.DataFrame, other: pd.DataFrame | None) -> dict:
    found = mean(rows)
    row = {"map": found.mean, "low": found.low, "high": found.high}
    kept = rows.get("validation_map", pd.Series(dtype=float))  # none where nothing was chosen
    row |= {"validation_map": float(kept.mean())} | stats.counted(rows)
    return row | stats.compared(rows, other, SCORE) | stats.costs(rows)


condition_fields = stats.condition_fields
summarise = partial(stats.summarise, condition=_condition)
