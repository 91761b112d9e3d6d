"""Intervals cover the truth as often as they say, and are wider where clips share a source."""

import numpy as np
import pytest
from scipy.stats import binom, t

from course_lib.evaluation.intervals import Interval, accuracy_by_source, paired_difference, verdict


def clustered(rng, n_sources=60, takes=4):
    """Sources that are right or wrong as a whole, with probability 0.7."""
    right = np.repeat(rng.random(n_sources) < 0.7, takes)
    return right, np.repeat(np.arange(n_sources), takes)


def test_interval_by_source_covers_where_one_by_clip_does_not():
    rng = np.random.default_rng(0)
    covered, naive = 0, 0
    for _ in range(300):
        right, sources = clustered(rng)
        found = accuracy_by_source(right, sources, draws=400)
        covered += found.low <= 0.7 <= found.high
        by_clip = accuracy_by_source(right, np.arange(len(right)), draws=400)
        naive += by_clip.low <= 0.7 <= by_clip.high
    assert binom.cdf(covered, 300, 0.95) > 1e-3
    assert naive < 0.8 * 300


def test_accuracy_is_the_mean_over_clips_and_seeds_repeat():
    right, sources = clustered(np.random.default_rng(1))
    first, again = (accuracy_by_source(right, sources, seed=3) for _ in range(2))
    assert first == again and first.mean == right.mean()
    assert first.low < first.mean < first.high
    assert first.scaled(100).low == pytest.approx(100 * first.low)
    assert "to" in str(first)


def test_a_perfect_score_has_no_width():
    found = accuracy_by_source(np.ones(10), np.arange(10))
    assert (found.mean, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("correct", "sources"), [([], []), ([1, 0], [1]), ([[1], [0]], [[1], [2]]), ([1, 0, 1], ["a", "a", "a"])]
)
def test_what_has_no_interval_is_refused(correct, sources):
    with pytest.raises(ValueError, match=r"one source per clip|from one source"):
        accuracy_by_source(np.array(correct), np.array(sources))


def test_pairs_see_what_folds_hide():
    """Folds that scatter by 8 points, a true gain of 2: the paired interval excludes zero."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.08, 15)
    found = paired_difference(base + 0.02 + rng.normal(0, 0.01, 15), base)
    assert found.low > 0 and found.low < 0.02 < found.high
    assert (paired_difference(base, base).low, paired_difference(base, base).high) == (0, 0)
    with pytest.raises(ValueError, match="at least two pairs"):
        paired_difference(base[:1], base[:1])


def test_a_difference_on_the_same_clips_is_surer_than_its_two_ends():
    rng = np.random.default_rng(0)
    sources, easy = np.repeat(np.arange(60), 2), rng.random(120)
    first, second = (easy > 0.2).astype(float), (easy > 0.25).astype(float)
    ends = [accuracy_by_source(r, sources) for r in (first, second)]
    between = accuracy_by_source(first - second, sources)
    assert between.mean == pytest.approx(ends[0].mean - ends[1].mean)
    assert between.high - between.low < min(end.high - end.low for end in ends)


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.01, 0.03, 0.0, "holds"),
        (-0.01, 0.03, 0.0, "not shown"),
        (-0.03, -0.01, 0.0, "contradicted"),
        (-0.01, 0.03, 0.02, "holds"),
        (-0.03, -0.01, 0.02, "not shown"),
        (-0.05, -0.03, 0.02, "contradicted"),
        (0.0, 0.1, 0.0, "not shown"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side_of_the_margin(low, high, margin, expected):
    assert verdict(Interval((low + high) / 2, low, high), margin) == expected


@pytest.mark.parametrize(("low", "high", "margin"), [(0.0, 1.0, -0.1), (float("nan"), 1.0, 0.0), (0, 1, float("nan"))])
def test_a_verdict_on_nothing_is_refused(low, high, margin):
    with pytest.raises(ValueError, match="expected a margin of 0 or more and an interval with ends"):
        verdict(Interval(0.5, low, high), margin)


def test_a_level_widens_an_interval_by_what_it_says():
    rng = np.random.default_rng(0)
    right, apart = rng.random(60) < 0.7, rng.normal(size=9)
    for width in (lambda level: accuracy_by_source(right, np.arange(60), level=level),
                  lambda level: paired_difference(apart, 0 * apart, level=level)):  # fmt: skip
        half, usual = width(0.5), width(0.95)
        assert usual.low < half.low < half.high < usual.high and half.level == 0.5
    found = paired_difference(apart, 0 * apart, level=0.8)
    assert found.high - found.mean == pytest.approx(t.ppf(0.9, 8) * apart.std(ddof=1) / 3)
