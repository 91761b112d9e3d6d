"""What rows say: accuracy with an interval by source, differences by pairs, the smallest effect they could show."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.evaluation.intervals import Interval, accuracy_by_source, paired_difference
from course_lib.study.config import FIELDS

REPEATS = ("fold", "seed")  # fields that repeat a condition instead of making another
COSTS = ("frames", "parameters", "macs", "feature_macs", "latency_ms", "train_seconds", "minutes")


@dataclass(frozen=True)
class Difference:
    """Accuracy of one condition less that of another, or another score, as shares.

    `pairs` is how many pairs the interval rests on, `paired_by` what they are: `fold` (the seeds of a fold averaged:
    they share its clips and are no pairs of their own) or, where there is a single fold, `seed`; then the interval
    tells of training alone, not of other sounds. `smallest` is `minimum_detectable_effect` of these pairs.
    """

    interval: Interval
    pairs: int
    paired_by: str
    smallest: float


def condition_fields(rows: pd.DataFrame) -> list[str]:
    """Fields that tell the conditions among `rows` apart: those of a run with more than one value, but no repeats."""
    fields = [name for name in FIELDS if name in rows.columns and name not in REPEATS]
    return [name for name in fields if rows[name].nunique(dropna=False) > 1]


def score_of(rows: pd.DataFrame) -> str:
    """The column that rows on clips are judged by: accuracy, or mean average precision where clips have more labels."""
    return "test_map" if "test_map" in rows.columns else "test_accuracy"


def mean_score(rows: pd.DataFrame, score: str = "test_accuracy") -> float:
    """`score` of one condition: the seeds of a fold averaged, then the folds."""
    return float(rows.groupby("fold")[score].mean().mean())


def accuracy(rows: pd.DataFrame) -> Interval:
    """Accuracy of one condition: its mean over folds and seeds, and the bootstrap interval over sources.

    The seeds' judgements of a clip are averaged first, then the clips of all folds are pooled, with weights that let
    every fold count the same: more seeds do not make more sounds. With a single source there is no interval, and its
    ends are NaN.
    """
    clips = pd.DataFrame(
        {
            "fold": [fold for fold, row in zip(rows["fold"], rows["test_clips"], strict=True) for _ in row],
            "clip": [clip for row in rows["test_clips"] for clip in row],
            "source": [source for row in rows["test_sources"] for source in row],
            "correct": [correct for row in rows["test_correct"] for correct in row],
        }
    )
    shares = clips.groupby(["fold", "clip", "source"], as_index=False)["correct"].mean()
    mean = mean_score(rows)
    if shares["source"].nunique() < 2:
        return Interval(mean, math.nan, math.nan)
    of_fold = shares.groupby("fold")["clip"].transform("size")
    weights = len(shares) / (shares["fold"].nunique() * of_fold)  # exactly 1 where folds are of one size
    found = accuracy_by_source(shares["correct"].to_numpy(), shares["source"].to_numpy(), weights=weights.to_numpy())
    return Interval(mean, found.low, found.high, found.level)


def difference(
    first: pd.DataFrame, second: pd.DataFrame, *, level: float = 0.95, score: str = "test_accuracy"
) -> Difference | None:
    """Rows `first` less rows `second` in column `score`, over the folds and seeds that both have; None for one pair."""
    columns = [*REPEATS, score]
    both = first[columns].merge(second[columns], on=list(REPEATS), suffixes=("_first", "_second"))
    paired_by = "fold" if both["fold"].nunique() > 1 else "seed"
    means = both.groupby(paired_by)[[f"{score}_first", f"{score}_second"]].mean().to_numpy()
    if len(means) < 2:
        return None
    interval = paired_difference(means[:, 0], means[:, 1], level=level)
    sd = float(np.std(means[:, 0] - means[:, 1], ddof=1))
    return Difference(interval, len(means), paired_by, minimum_detectable_effect(sd, len(means), level=level))


def minimum_detectable_effect(sd: float, pairs: int, *, power: float = 0.8, level: float = 0.95) -> float:
    """True difference that a two-sided paired t test would find with probability `power`, in the unit of `sd`.

    `sd` is the standard deviation of the differences, `pairs` their number. Solved with the noncentral t distribution.
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed. 1988, chapter 2.

    Raises
    ------
    ValueError
        Fewer than two pairs, a negative deviation, a power or level outside of 0 to 1.
    """
    if pairs < 2 or sd < 0 or not 0 < power < 1 or not 0 < level < 1:
        raise ValueError(f"sd={sd}, pairs={pairs}, power={power}, level={level}: need sd >= 0, pairs >= 2, shares")
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    critical = t.ppf((1 + level) / 2, pairs - 1)

    def lacking(standard_errors: float) -> float:
        wrong_way = np.nan_to_num(nct.cdf(-critical, pairs - 1, standard_errors))  # scipy has no number for almost 0
        return nct.sf(critical, pairs - 1, standard_errors) + wrong_way - power

    return sd / math.sqrt(pairs) * float(brentq(lacking, 0, 8 * critical))


def summarise(
    rows: pd.DataFrame,
    by: Sequence[str] | None = None,
    against: Mapping[str, object] | None = None,
    *,
    condition: Callable[[pd.DataFrame, pd.DataFrame | None], dict] | None = None,
) -> pd.DataFrame:
    """One row a condition, in the order of `rows`: `accuracy`, its interval, the difference to another one, costs.

    `by` are the fields that make a condition, None for those that vary. With `against`, a condition is compared with
    the one that has these fields instead and agrees in the others; without, or where none of them varies, with the
    first one of its data set.
    All accuracies and differences are shares; costs are medians. `condition` tells of rows and of those that they are
    compared with, None for accuracies.
    """
    by = list(condition_fields(rows) if by is None else by)
    groups = dict(_groups(rows, by))
    table = []
    for values, group in groups.items():
        other = groups.get(_baseline(values, by, against, groups))
        table.append(dict(zip(by, values, strict=True)) | (condition or _condition)(group, other))
    return pd.DataFrame(table)


def _groups(rows: pd.DataFrame, by: list[str]) -> list[tuple[tuple, pd.DataFrame]]:
    """Each condition's values, None for what is missing, with its rows."""
    if not by:
        return [((), rows)]
    return [
        (tuple(None if pd.isna(v) else v for v in values), group)
        for values, group in rows.groupby(by, sort=False, dropna=False)
    ]


def _baseline(values: tuple, by: list[str], against: Mapping[str, object] | None, groups: Mapping) -> tuple:
    """The condition that `values` is compared with; there may be none of it."""
    if against and not against.keys().isdisjoint(by):
        return tuple(against.get(name, value) for name, value in zip(by, values, strict=True))
    if "dataset" not in by:
        return next(iter(groups))
    place = by.index("dataset")
    return next(other for other in groups if other[place] == values[place])


def _condition(rows: pd.DataFrame, other: pd.DataFrame | None) -> dict:
    found = accuracy(rows)
    row = {"accuracy": found.mean, "low": found.low, "high": found.high}
    kept = rows.get("validation_accuracy", pd.Series(dtype=float))  # none where nothing was chosen
    row |= {"validation_accuracy": float(kept.mean())} | counted(rows)
    row |= {name: len({each for row in rows[f"test_{name}"] for each in row}) for name in ("clips", "sources")}
    return row | compared(rows, other) | costs(rows)


def counted(rows: pd.DataFrame) -> dict[str, int]:
    """How many folds, seeds and rows a condition has."""
    return {"folds": rows["fold"].nunique(), "seeds": rows["seed"].nunique(), "rows": len(rows)}


def compared(rows: pd.DataFrame, other: pd.DataFrame | None, score: str = "test_accuracy") -> dict:
    """The `difference` of a condition in `score` to another one, as columns; NaN where there is none."""
    seen = None if other is None or other is rows else difference(rows, other, score=score)
    return {
        "difference": seen.interval.mean if seen else math.nan,
        "difference_low": seen.interval.low if seen else math.nan,
        "difference_high": seen.interval.high if seen else math.nan,
        "pairs": seen.pairs if seen else 0,
        "paired_by": seen.paired_by if seen else "",
        "minimum_detectable_effect": seen.smallest if seen else math.nan,
    }


def costs(rows: pd.DataFrame) -> dict[str, float]:
    """Medians of what the rows of a condition cost."""
    return {name: float(rows[name].median()) for name in COSTS if name in rows.columns}
