"""How good, and how sure: accuracy with an interval by source, and differences with an interval by pairs.

Clips of one source are right or wrong together. An interval that treats them as independent is too narrow, so the
sources are drawn again, not the clips. Notebook: 04.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that covers the truth `level` of the time."""

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
    correct: np.ndarray, sources: np.ndarray, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """Accuracy and its percentile bootstrap interval over sources.

    `correct` is `(clips,)` of 0 and 1 (or of shares, where several runs judged a clip), `sources` `(clips,)`. The
    difference of two such arrays, from -1 to 1, gives the difference of two models on the same clips.
    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; drawn by cluster.

    Raises
    ------
    ValueError
        Other shapes, no clips, or a single source, from which no spread can be told.
    """
    correct, sources = np.asarray(correct, dtype=np.float64), np.asarray(sources)
    if correct.ndim != 1 or correct.shape != sources.shape or not len(correct):
        raise ValueError(f"one source a clip: got shapes {correct.shape} and {sources.shape}")
    _, place = np.unique(sources, return_inverse=True)
    clips, hits = np.bincount(place), np.bincount(place, weights=correct)
    if len(clips) < 2:
        raise ValueError("all clips are of one source; an interval needs at least two")
    drawn = np.random.default_rng(seed).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=draws)
    low, high = np.quantile(drawn @ hits / (drawn @ clips), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(correct.mean()), float(low), float(high), level)


def paired_difference(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of `first - second` and its t interval, over pairs such as fold x seed.

    Folds differ by many points from each other; the same fold under two conditions differs by few. Only the pairs tell.

    Raises
    ------
    ValueError
        Other shapes, or fewer than two pairs.
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
    """What an interval of a difference says of the claim that the truth is above `-margin`.

    `holds` where the whole interval lies above, `contradicted` where it lies below, `not shown` where `-margin` is in
    it. With a margin above 0 this is a test of non-inferiority; the margin has to be chosen before the numbers are
    seen. Notebook: 08.

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


def separability(
    embeddings: np.ndarray,
    labels: np.ndarray,
    sources: np.ndarray,
    *,
    neighbours: int = 5,
    draws: int = 100,
    seed: int = 0,
) -> dict[str, Interval]:
    """How well classes lie apart in `embeddings` `(clips, dims)`, by four measures, each with an interval by source.

    `silhouette` (-1 to 1) compares the distance to the own class with that to the next one; `nmi` (0 to 1) is what
    k-means, told the number of classes, finds of them again; `purity` (0 to 1) is the share of the nearest
    `neighbours` from other sources that are of the clip's class; `davies_bouldin` (0 and up, less is better) sets the
    widths of classes against their distances. Embeddings are brought to deviation 1 in every dimension first.
    Intervals are the value and 1.96 deviations of the same measure on random halves of the sources: drawing sources
    twice, as a bootstrap does, would make clips their own neighbours. They are rather too wide than too narrow.
    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11.

    Raises
    ------
    ValueError
        Shapes that do not belong together, fewer than two classes, or a class of fewer than four sources.
    """
    x, labels, sources = np.asarray(embeddings, dtype=np.float64), np.asarray(labels), np.asarray(sources)
    if x.ndim != 2 or labels.shape != x.shape[:1] or sources.shape != x.shape[:1]:
        raise ValueError(f"embeddings {x.shape}, labels {labels.shape}, sources {sources.shape}: one of each a clip")
    kinds = np.unique(labels)
    few = [k for k in kinds if len(set(sources[labels == k])) < 4]
    if len(kinds) < 2 or few:
        raise ValueError(
            f"labels: {len(kinds)} classes, {len(few)} of them from fewer than four sources; need two and 0"
        )
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-12)
    whole = _apart(x, labels, sources, neighbours, seed)
    rng, halves = np.random.default_rng(seed), []
    for _ in range(draws):
        kept = np.zeros(len(x), dtype=bool)
        for kind in kinds:  # half of the sources of every class, so that no class is lost
            of_kind = np.unique(sources[labels == kind])
            chosen = rng.choice(of_kind, max(2, len(of_kind) // 2), replace=False)
            kept |= (labels == kind) & np.isin(sources, chosen)
        halves.append(_apart(x[kept], labels[kept], sources[kept], neighbours, seed))
    found = {}
    for name, value in whole.items():
        reach = 1.96 * float(np.std([half[name] for half in halves]))
        low, high = np.clip([value - reach, value + reach], *RANGES[name])
        found[name] = Interval(value, float(low), float(high))
    return found


RANGES = {"silhouette": (-1, 1), "nmi": (0, 1), "purity": (0, 1), "davies_bouldin": (0, np.inf)}


def _apart(x: np.ndarray, labels: np.ndarray, sources: np.ndarray, neighbours: int, seed: int) -> dict[str, float]:
    """The four measures of `separability`, once."""
    from sklearn import metrics as measures
    from sklearn.cluster import KMeans

    apart = measures.pairwise_distances(x)
    groups = KMeans(len(np.unique(labels)), n_init=4, random_state=seed).fit_predict(x)
    beside = np.where(sources[:, None] == sources, np.inf, apart).argsort(1, kind="stable")[:, :neighbours]
    return {
        "silhouette": float(measures.silhouette_score(apart, labels, metric="precomputed")),
        "nmi": float(measures.normalized_mutual_info_score(labels, groups)),
        "purity": float((labels[beside] == labels[:, None]).mean()),
        "davies_bouldin": float(measures.davies_bouldin_score(x, labels)),
    }
