"""What rows say: scores with intervals, differences by pairs, the smallest effect that those pairs could detect."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.evaluation.intervals import Interval, accuracy_by_source, paired_difference
from course_lib.study.config import FIELDS, SceneRun, field_names

REPEATS = ("fold", "seed")  # fields that repeat a condition instead of making another
SCORES = ("tagging", "segment", "event")  # of rows on scenes
COSTS = ("frames", "parameters", "macs", "feature_macs", "latency_ms", "train_seconds", "minutes")


@dataclass(frozen=True)
class Difference:
    """A score of one condition less that of another, as shares.

    `pairs` is how many pairs the interval rests on, `paired_by` what they are: `fold` (the seeds of a fold averaged:
    they share its clips and are no pairs of their own) or, where there is a single fold, `seed`; then the interval
    tells of training alone, not of other sounds. `minimum_detectable_effect` is that of these pairs.
    """

    interval: Interval
    pairs: int
    paired_by: str
    minimum_detectable_effect: float


def condition_fields(rows: pd.DataFrame) -> list[str]:
    """Fields that tell the conditions among `rows` apart: those of a run with more than one value, but no repeats."""
    names = field_names(SceneRun) if "streams" in rows.columns else FIELDS
    fields = [name for name in names if name in rows.columns and name not in REPEATS]
    return [name for name in fields if rows[name].nunique(dropna=False) > 1]


def scores_of(rows: pd.DataFrame) -> dict[str, str]:
    """The columns that `rows` are judged by, by the names of the scores.

    Rows on scenes have three F1, rows on clips with several labels the mean average precision `map`, others `accuracy`.
    """
    if "test_tagging_f1" in rows.columns:
        return {name: f"test_{name}_f1" for name in SCORES}
    name = "map" if "test_map" in rows.columns else "accuracy"
    return {name: f"test_{name}"}


def mean_score(rows: pd.DataFrame, score: str = "test_accuracy") -> float:
    """Column `score` of one condition: the seeds of a fold averaged, then the folds."""
    return float(rows.groupby("fold")[score].mean().mean())


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean of `values` and its t interval, whose ends are NaN for a single value."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return Interval(float(values.mean()), math.nan, math.nan)
    return paired_difference(values, np.zeros(len(values)))


def repeats_interval(rows: pd.DataFrame, score: str) -> Interval:
    """Mean of column `score` of one condition: the seeds of a fold averaged, then the t interval over the folds.

    With a single fold the interval is over seeds: it tells how much the seed of the training matters, and nothing of
    other sounds.
    """
    by = "fold" if rows["fold"].nunique() > 1 else "seed"
    return mean_interval(rows.groupby(by)[score].mean())


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
    std = float(np.std(means[:, 0] - means[:, 1], ddof=1))
    return Difference(interval, len(means), paired_by, minimum_detectable_effect(std, len(means), level=level))


def minimum_detectable_effect(std: float, pairs: int, *, power: float = 0.8, level: float = 0.95) -> float:
    """True difference that a two-sided paired t test would find with probability `power`, in the unit of `std`.

    `std` is the standard deviation of the differences, `pairs` their number. Solved with the noncentral t distribution.
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed. 1988, chapter 2.

    Raises
    ------
    ValueError
        Fewer than two pairs, a negative standard deviation, a power or level outside of 0 to 1.
    """
    if pairs < 2 or std < 0 or not 0 < power < 1 or not 0 < level < 1:
        raise ValueError(f"std={std}, pairs={pairs}, power={power}, level={level}: need std >= 0, pairs >= 2, shares")
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    critical = t.ppf((1 + level) / 2, pairs - 1)

    def lacking(standard_errors: float) -> float:
        wrong_way = np.nan_to_num(nct.cdf(-critical, pairs - 1, standard_errors))  # scipy has no number for almost 0
        return nct.sf(critical, pairs - 1, standard_errors) + wrong_way - power

    return std / math.sqrt(pairs) * float(brentq(lacking, 0, 8 * critical))


def summarise(
    rows: pd.DataFrame, by: Sequence[str] | None = None, against: Mapping[str, object] | None = None
) -> pd.DataFrame:
    """One row a condition, in the order of `rows`: scores, their intervals and differences to another one, costs.

    `by` are the fields that make a condition, None for those that vary. With `against`, a condition is compared with
    the one that has these fields instead and agrees in the others; without, or where none of them varies, with the
    first one of its data set. Scores and differences are shares, costs medians.

    Rows on clips have `accuracy` or `map`, `low`, `high`, `difference`, `difference_low` and so on; rows on scenes have
    all of that for each of their scores: `tagging`, `tagging_low`, `tagging_high`, `tagging_difference` and so on.
    """
    by = list(condition_fields(rows) if by is None else by)
    groups = dict(_groups(rows, by))
    table = []
    for values, group in groups.items():
        other = groups.get(_baseline(values, by, against, groups))
        table.append(dict(zip(by, values, strict=True)) | _condition(group, other))
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


def _condition(rows: pd.DataFrame, other: pd.DataFrame | None) -> dict[str, object]:
    """The columns of one condition, compared with `other`, which may be missing or the same."""
    row: dict[str, object] = {}
    scores = scores_of(rows)
    for name, column in scores.items():
        found = accuracy(rows) if name == "accuracy" else repeats_interval(rows, column)
        compared = None if other is None or other is rows else difference(rows, other, score=column)
        prefix = f"{name}_" if len(scores) > 1 else ""
        row |= {name: found.mean, f"{prefix}low": found.low, f"{prefix}high": found.high}
        if f"validation_{name}" in rows.columns:  # not where nothing was chosen
            row[f"validation_{name}"] = float(rows[f"validation_{name}"].mean())
        row |= {prefix + column: value for column, value in _compared(compared).items()}
    row |= {"folds": rows["fold"].nunique(), "seeds": rows["seed"].nunique(), "rows": len(rows)}
    if "accuracy" in scores:
        row |= {name: len({each for row in rows[f"test_{name}"] for each in row}) for name in ("clips", "sources")}
    return row | {name: float(rows[name].median()) for name in COSTS if name in rows.columns}


def _compared(seen: Difference | None) -> dict[str, object]:
    """A difference as columns; NaN where there is none."""
    if seen is None:
        seen = Difference(Interval(math.nan, math.nan, math.nan), 0, "", math.nan)
    return {
        "difference": seen.interval.mean,
        "difference_low": seen.interval.low,
        "difference_high": seen.interval.high,
        "pairs": seen.pairs,
        "paired_by": seen.paired_by,
        "minimum_detectable_effect": seen.minimum_detectable_effect,
    }
