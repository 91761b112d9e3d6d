"""Confidence intervals: of an accuracy by resampling sources, and of a difference between paired runs.

Clips of one source tend to be right or wrong together. An interval that treats them as independent is too narrow, so
the bootstrap resamples sources, not clips. Notebook: 04.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval at `level`."""

    mean: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"

    def scaled(self, factor: float) -> "Interval":
        """The same in another unit, such as per cent."""
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
    """Accuracy and its percentile bootstrap interval over sources.

    `correct` `(clips,)` holds 0 and 1, or the share of runs that got a clip right; `sources` is `(clips,)`. To compare
    two models on the same clips, pass the difference of their arrays, from -1 to 1. `weights` `(clips,)` is the weight
    of each clip, None for equal weights.
    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; resampled by cluster.

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
        raise ValueError("all clips are of one source; an interval needs at least two")
    drawn = np.random.default_rng(seed).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=draws)
    low, high = np.quantile(drawn @ hits / (drawn @ clips), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.average(correct, weights=weights)), float(low), float(high), level)


def paired_difference(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of `first - second` and its t interval, over pairs such as fold x seed.

    Folds differ from each other by many points, two conditions on the same fold by few: compare within pairs.

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
