"""Statistics of rows: scores with intervals, paired differences, and the smallest effect that the pairs can detect."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from course_lib.evaluation.intervals import Interval, accuracy_by_source, paired_difference
from course_lib.study.config import RunSpec, SceneRun, defaults

REPEATS = ("fold", "seed")  # fields that replicate a condition instead of defining another
SCORES = ("tagging", "segment", "event")  # of rows on scenes
COSTS = ("frames", "parameters", "macs", "feature_macs", "latency_ms", "train_seconds", "minutes")
LEVEL, POWER = 0.95, 0.8  # of intervals, and of the test behind the minimum detectable effect
ROUNDING = 1e-12  # a difference of shares that is smaller comes from adding them
UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Difference:
    """The score of one condition minus that of another, as a share; NaN if they were not compared.

    Attributes
    ----------
    interval : the mean difference and its t interval.
    corrected : the same, widened because the folds share training clips (`overlap` in `of_values`).
    pairs, paired_by : the number of pairs and what they are: `fold` (the seeds of a fold share its clips, so they are
        averaged) or, with a single fold, `seed`; the interval then covers the randomness of training, not the choice of
        sounds.
    std, df : standard deviation of the differences, and its degrees of freedom.
    """

    interval: Interval = UNKNOWN
    corrected: Interval = UNKNOWN
    pairs: int = 0
    paired_by: str = ""
    std: float = math.nan
    df: int = 0

    @property
    def minimum_detectable_effect(self) -> float:
        """The minimum detectable effect of these pairs, as a share."""
        return minimum_detectable_effect(self.std, self.pairs, df=self.df) if self.pairs > 1 else math.nan

    def p(self, margin: float = 0.0) -> float:
        """p value of a two-sided t test that the true difference is `-margin`, a share."""
        return t_test_p(self.interval.mean + margin, self.std / math.sqrt(self.pairs), self.df)

    def reversed(self) -> "Difference":
        """The second condition minus the first."""
        return replace(self, interval=_turned(self.interval), corrected=_turned(self.corrected))


def t_test_p(distance: float, error: float, df: int) -> float:
    """p value of a two-sided t test that the true `distance` is 0, from its standard `error`.

    A distance that is only the rounding of a sum counts as 0.
    """
    from scipy.stats import t

    if abs(distance) < ROUNDING:
        return 1.0
    return float(2 * t.sf(abs(distance) / error, df)) if error > ROUNDING else 0.0


def _turned(gap: Interval) -> Interval:
    """The interval of the opposite difference."""
    return Interval(-gap.mean, -gap.high, -gap.low, gap.level)


def condition_fields(rows: pd.DataFrame) -> list[str]:
    """Fields that distinguish the conditions among `rows`: those with more than one value, except fold and seed."""
    names = defaults(SceneRun if "streams" in rows.columns else RunSpec)
    fields = [name for name in names if name in rows.columns and name not in REPEATS]
    return [name for name in fields if rows[name].nunique(dropna=False) > 1]


def scores_of(rows: pd.DataFrame) -> dict[str, str]:
    """The columns of `rows` with their scores, by the names of the scores.

    Rows on scenes have three F1 scores, rows on clips with several labels have `map` (mean average precision), others
    have `accuracy`.
    """
    if "test_tagging_f1" in rows.columns:
        return {name: f"test_{name}_f1" for name in SCORES}
    name = "map" if "test_map" in rows.columns else "accuracy"
    return {name: f"test_{name}"}


def mean_score(rows: pd.DataFrame, score: str = "test_accuracy") -> float:
    """Mean of column `score` of one condition: averaged over the seeds of each fold, then over the folds."""
    return float(rows.groupby("fold")[score].mean().mean())


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean of `values` and its t interval, whose ends are NaN for a single value."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return Interval(float(values.mean()), math.nan, math.nan)
    return paired_difference(values, np.zeros(len(values)))


def repeats_interval(rows: pd.DataFrame, score: str) -> Interval:
    """Mean of column `score` of one condition: averaged over the seeds of each fold, with a t interval over the folds.

    With a single fold the interval is over seeds: it covers the randomness of training, not the choice of sounds.
    """
    by = "fold" if rows["fold"].nunique() > 1 else "seed"
    return mean_interval(rows.groupby(by)[score].mean())


def accuracy(rows: pd.DataFrame) -> Interval:
    """Accuracy of one condition: its mean over folds and seeds, and the bootstrap interval over sources.

    Each clip is averaged over the seeds first, because more seeds do not mean more sounds. Then the clips of all folds
    are pooled, weighted so that every fold counts equally. With a single source the ends of the interval are NaN.
    """
    lists = ["test_clips", "test_sources", "test_correct"]
    clips = rows[["fold", *lists]].explode(lists).astype({"test_correct": float})
    shares = clips.groupby(["fold", "test_clips", "test_sources"], as_index=False)["test_correct"].mean()
    correct, sources = shares["test_correct"].to_numpy(), shares["test_sources"].to_numpy()
    mean = mean_score(rows)
    if len(np.unique(sources)) < 2:
        return Interval(mean, math.nan, math.nan)
    of_fold = shares.groupby("fold")["test_clips"].transform("size")
    weights = len(shares) / (shares["fold"].nunique() * of_fold)  # exactly 1 if all folds have the same size
    found = accuracy_by_source(correct, sources, weights=weights.to_numpy())
    return Interval(mean, found.low, found.high, found.level)


def difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    score: str = "test_accuracy",
    design: pd.DataFrame | None = None,
) -> Difference | None:
    """Column `score` of `first` minus that of `second`, over shared folds and seeds; None for fewer than two pairs.

    The standard deviation is that of the differences themselves or, if `design` holds the rows of all conditions of the
    design, pooled over these (see `pooled_std`).
    """
    columns = [*REPEATS, score, *first.columns.intersection(["n_train", "n_test"])]
    both = first[columns].merge(second[[*REPEATS, score]], on=list(REPEATS), suffixes=("_first", "_second"))
    paired_by = "fold" if both["fold"].nunique() > 1 else "seed"
    means = both.groupby(paired_by)[[f"{score}_first", f"{score}_second"]].mean()
    if len(means) < 2:
        return None
    pooled = None if design is None else pooled_std(design, both[list(REPEATS)], score)
    overlap = 0.0
    if paired_by == "fold" and "n_train" in both and "n_train" in second:
        overlap = float(both["n_test"].median() / min(first["n_train"].min(), second["n_train"].min()))
    values = (means[f"{score}_first"] - means[f"{score}_second"]).to_numpy()
    return of_values(values, paired_by=paired_by, pooled=pooled, overlap=overlap)


def of_values(
    values: np.ndarray,
    *,
    paired_by: str = "fold",
    pooled: tuple[float, int] | None = None,
    overlap: float = 0.0,
) -> Difference:
    """The `Difference` of given differences `(pairs,)`, at least two.

    `pooled` is their standard deviation with its degrees of freedom; None estimates both from `values`. `overlap` is
    the number of test clips in a fold divided by the number of training clips. The training sets of folds share clips,
    so the corrected interval takes the variance of the mean to be `std² (1 / pairs + overlap)`.
    Source: Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=np.float64)
    mean, pairs = float(values.mean()), len(values)
    std, df = pooled or (float(values.std(ddof=1)), pairs - 1)
    reach = float(t.ppf((1 + LEVEL) / 2, df)) * std / math.sqrt(pairs)
    wide = reach * math.sqrt(1 + pairs * overlap)
    corrected = Interval(mean, mean - wide, mean + wide, LEVEL) if overlap else UNKNOWN
    return Difference(Interval(mean, mean - reach, mean + reach, LEVEL), corrected, pairs, paired_by, std, df)


def overlap_of(rows: pd.DataFrame) -> float:
    """Test clips divided by training clips of a fold; 0 if the rows do not record them."""
    known = {"n_test", "n_train"} <= set(rows.columns)
    return float(rows["n_test"].median() / rows["n_train"].min()) if known else 0.0


def pooled_std(design: pd.DataFrame, repeats: pd.DataFrame, score: str) -> tuple[float, int]:
    """Standard deviation of the difference of two conditions of a design, and its degrees of freedom.

    Only conditions in `design` that have all of `repeats` (pairs of fold and seed) are used. Their means by fold, or
    with a single fold their scores by seed, are centred by condition and by fold, and the residuals are pooled, on the
    assumption that all conditions have the same variance.
    """
    block = "fold" if repeats["fold"].nunique() > 1 else "seed"
    fields = condition_fields(design)
    rows = design[[*fields, *REPEATS, score]].merge(repeats, on=list(REPEATS))
    rows["condition"] = rows.groupby(fields, dropna=False).ngroup()
    complete = rows.groupby("condition")[score].transform("size") == len(repeats)
    table = rows[complete].pivot_table(index="condition", columns=block, values=score)
    left = table.sub(table.mean(axis=1), axis=0) - table.mean(axis=0) + table.to_numpy().mean()
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return math.sqrt(2 * float((left**2).to_numpy().sum()) / df), df


def holm(p: Sequence[float]) -> np.ndarray:
    """The p values `(questions,)` corrected for the number of questions by Holm's procedure.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(raised, 1)
    return found


def minimum_detectable_effect(std: float, pairs: int, *, df: int | None = None, level: float = LEVEL) -> float:
    """True difference that a two-sided paired t test detects with probability `POWER`, in the unit of `std`.

    `std` is the standard deviation of the differences, `pairs` their number, `df` its degrees of freedom if it does not
    come from these pairs. Solved with the noncentral t distribution.
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed. 1988, chapter 2.

    Raises
    ------
    ValueError
        Fewer than two pairs, a negative standard deviation, a level not between 0 and 1.
    """
    if pairs < 2 or std < 0 or not 0 < level < 1:
        raise ValueError(f"std={std}, pairs={pairs}, level={level}: need std >= 0, pairs >= 2, a share")
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    df = pairs - 1 if df is None else df
    critical = t.ppf((1 + level) / 2, df)

    def lacking(standard_errors: float) -> float:
        wrong_way = np.nan_to_num(nct.cdf(-critical, df, standard_errors))  # scipy returns NaN near 0
        return nct.sf(critical, df, standard_errors) + wrong_way - POWER

    return std / math.sqrt(pairs) * float(brentq(lacking, 0, 8 * critical))


def summarise(
    rows: pd.DataFrame, by: Sequence[str] | None = None, against: Mapping[str, object] | None = None
) -> pd.DataFrame:
    """One row per condition, in the order of `rows`: scores, their intervals and differences to another one, costs.

    `by` names the fields that define a condition; None takes those that vary. A condition is compared with the one that
    has the values `against` and otherwise agrees with it or, if none of these fields varies, with the first condition
    of its data set. Scores and differences are shares, costs are medians.

    Rows on clips have `accuracy` or `map`, `low`, `high`, `difference`, `difference_low` and so on; rows on scenes have
    these for each of their scores: `tagging`, `tagging_low`, `tagging_high`, `tagging_difference` and so on.
    """
    by = list(condition_fields(rows) if by is None else by)
    groups = dict(_groups(rows, by))
    table = []
    for values, group in groups.items():
        other = groups.get(_baseline(values, by, against, groups))
        table.append(dict(zip(by, values, strict=True)) | _condition(group, other))
    return pd.DataFrame(table)


def _groups(rows: pd.DataFrame, by: list[str]) -> list[tuple[tuple, pd.DataFrame]]:
    """Each condition's values, None for a missing one, with its rows."""
    if not by:
        return [((), rows)]
    return [
        (tuple(None if pd.isna(v) else v for v in values), group)
        for values, group in rows.groupby(by, sort=False, dropna=False)
    ]


def _baseline(values: tuple, by: list[str], against: Mapping[str, object] | None, groups: Mapping) -> tuple:
    """The condition that `values` is compared with, which may not exist."""
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
        compared = compared or Difference()
        prefix = f"{name}_" if len(scores) > 1 else ""
        row |= {name: found.mean, f"{prefix}low": found.low, f"{prefix}high": found.high}
        if f"validation_{name}" in rows.columns:  # absent where nothing was chosen
            row[f"validation_{name}"] = float(rows[f"validation_{name}"].mean())
        row |= {
            f"{prefix}difference": compared.interval.mean,
            f"{prefix}difference_low": compared.interval.low,
            f"{prefix}difference_high": compared.interval.high,
            f"{prefix}pairs": compared.pairs,
            f"{prefix}paired_by": compared.paired_by,
            f"{prefix}minimum_detectable_effect": compared.minimum_detectable_effect,
        }
    row |= {"folds": rows["fold"].nunique(), "seeds": rows["seed"].nunique(), "rows": len(rows)}
    if "accuracy" in scores:
        row |= {name: len({each for row in rows[f"test_{name}"] for each in row}) for name in ("clips", "sources")}
    return row | {name: float(rows[name].median()) for name in COSTS if name in rows.columns}
