"""Confidence intervals: of an accuracy by resampling sources, and of a difference between paired runs.

How much would an accuracy change with other recordings of the same kind? The bootstrap treats the data set as a
small copy of the population: it draws as many sources as there are, with replacement, each with all its clips, computes
the accuracy over the clips drawn, and repeats that. The middle 95 % of these accuracies are the interval.

It draws sources, not clips, because clips of one source tend to be right or wrong together. If `m` clips of a source
have variance `v` and correlation `r`, their mean has variance `v / m * (1 + (m - 1) * r)`. Drawing clips assumes
`r = 0` and gives an interval that is too narrow.

An interval measures scatter, not bias: however narrow, it cannot show that nothing has leaked. Nor does it cover other
training seeds, unless results are averaged over seeds first. Notebook: 04.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval from `low` to `high`, at `level` (0.95: the middle 95 % of the draws)."""

    mean: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"

    def scaled(self, factor: float) -> "Interval":
        """The same interval in another unit: `scaled(100)` turns fractions into per cent, or into points."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor, self.level)


def accuracy_by_source(
    correct: np.ndarray,
    sources: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Accuracy with its bootstrap interval, resampled by source.

    Each of `draws` draws takes as many sources as there are, with replacement, with all their clips. To draw with
    replacement is to decide how often each source counts, so a draw is a row of counts `c`, and its accuracy is
    `sum(c * hits) / sum(c * clips)` with the number of clips and of right ones per source. The limits are quantiles of
    these accuracies (for a level of 95 %, 2.5 % and 97.5 %).

    To compare two classifiers on the same clips, pass the difference of their arrays: both are then evaluated on the
    same draws, and what is hard for both cancels (exercise 04.5).

    Parameters
    ----------
    correct : `(clips,)`, 1 for right and 0 for wrong, or the share of runs that were right; differences from -1 to 1.
    sources : `(clips,)`, the source of each clip. `np.arange(len(correct))` makes each clip its own source.
    weights : `(clips,)`, the weight of each clip; None for equal weights.
    level : share of the draws inside the interval.
    draws : number of draws. From a thousand on, the limits hardly move.
    seed : seed of the draws.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; resampled by cluster as in Field &
    Welsh, "Bootstrapping clustered data", JRSS B 69, 2007. Notebook: 04.

    Raises
    ------
    ValueError
        The shapes differ, there are no clips, or only one source.
    """
    correct, sources = np.asarray(correct, dtype=np.float64), np.asarray(sources)
    if correct.ndim != 1 or correct.shape != sources.shape or not len(correct):
        raise ValueError(f"one source per clip: got shapes {correct.shape} and {sources.shape}")
    weights = np.ones(len(correct)) if weights is None else np.asarray(weights, dtype=np.float64)
    _, place = np.unique(sources, return_inverse=True)
    clips, hits = np.bincount(place, weights), np.bincount(place, weights * correct)
    if len(clips) < 2:
        raise ValueError("all clips are from one source; an interval needs at least two")
    drawn = _counts(len(clips), draws, seed)
    low, high = np.quantile(drawn @ hits / (drawn @ clips), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.average(correct, weights=weights)), float(low), float(high), level)


@lru_cache(maxsize=4)  # many results are compared on the same sources, and these take longer to draw than to use
def _counts(n_sources: int, draws: int, seed: int) -> np.ndarray:
    """How often each source is drawn: `(draws, n_sources)`, read-only."""
    equal = np.full(n_sources, 1 / n_sources)
    counts = np.random.default_rng(seed).multinomial(n_sources, equal, size=draws).astype(np.float64)
    counts.flags.writeable = False
    return counts


def paired_difference(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of `first - second` with its t interval, over pairs of runs on the same fold with the same seed.

    With `n` differences of mean `d` and standard deviation `s`, the interval is `d ± t * s / sqrt(n)`, where `t` is a
    quantile of Student's distribution with `n - 1` degrees of freedom. Folds differ from each other by many points, two
    systems on the same fold by few: what is hard for both cancels within a pair. The pairs are treated as independent,
    which folds that share training clips are not quite. Notebook: 04.

    Parameters
    ----------
    first : `(pairs,)`, the results of one system in any unit.
    second : `(pairs,)`, those of another, in the same order.
    level : confidence level of the interval.

    Raises
    ------
    ValueError
        The shapes differ, or there are fewer than two pairs.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError(f"at least two pairs: got shapes {first.shape} and {second.shape}")
    difference = first - second
    if np.ptp(difference) == 0:  # scipy warns and returns no number
        return Interval(float(difference[0]), float(difference[0]), float(difference[0]), level)
    from scipy.stats import ttest_1samp

    found = ttest_1samp(difference, 0).confidence_interval(level)
    return Interval(float(difference.mean()), float(found.low), float(found.high), level)


def verdict(difference: Interval, margin: float = 0.0) -> str:
    """Whether the interval of a difference supports the claim that the true difference is above `-margin`.

    `holds` if the whole interval is above `-margin`, `contradicted` if it is below, `not shown` if it contains it. With
    a margin above 0 this is a non-inferiority test; choose the margin before you see the numbers. Notebook: 08.

    Raises
    ------
    ValueError
        The margin is negative, or the interval has no ends.
    """
    if not margin >= 0 or not difference.low <= difference.high:
        raise ValueError(f"margin={margin}, {difference}: expected a margin of 0 or more and an interval with ends")
    if difference.low > -margin:
        return "holds"
    return "contradicted" if difference.high < -margin else "not shown"
