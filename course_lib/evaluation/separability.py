"""How well classes separate in the embeddings of clips. Notebook: 09."""

import numpy as np

from course_lib.evaluation.intervals import Interval


def separability(
    embeddings: np.ndarray,
    labels: np.ndarray,
    sources: np.ndarray,
    *,
    neighbours: int = 5,
    draws: int = 100,
    seed: int = 0,
) -> dict[str, Interval]:
    """How well classes separate in `embeddings` `(clips, dims)`, by four measures, each with an interval by source.

    `silhouette` (-1 to 1) compares the distance of a clip to its own class with that to the nearest other class; `nmi`
    (0 to 1) is the agreement of the classes with the same number of k-means clusters; `purity` (0 to 1) is the share of
    a clip's nearest `neighbours` from other sources that have its class; `davies_bouldin` (0 and up, lower is better)
    relates the spread within classes to the distance between them. Every dimension is scaled to standard deviation 1
    first. Intervals are the value ± 1.96 standard deviations of the measure on random halves of the sources, because a
    bootstrap would draw a source twice and make clips their own neighbours. The intervals are conservative, except for
    purity if half of the clips are no more than `neighbours`. Source: Efron & Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 11.

    Raises
    ------
    ValueError
        The shapes do not match, there are fewer than two classes, or a class has fewer than four sources.
    """
    x, labels, sources = np.asarray(embeddings, dtype=np.float64), np.asarray(labels), np.asarray(sources)
    if x.ndim != 2 or labels.shape != x.shape[:1] or sources.shape != x.shape[:1]:
        raise ValueError(f"embeddings {x.shape}, labels {labels.shape}, sources {sources.shape}: one of each per clip")
    kinds = np.unique(labels)
    few = [k for k in kinds if len(set(sources[labels == k])) < 4]
    if len(kinds) < 2 or few:
        raise ValueError(
            f"labels: {len(kinds)} classes, {len(few)} of them from fewer than four sources; need at least 2, and 0"
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
        half_width = 1.96 * float(np.std([half[name] for half in halves]))
        low, high = np.clip([value - half_width, value + half_width], *RANGES[name])
        found[name] = Interval(value, float(low), float(high))
    return found


RANGES = {"silhouette": (-1, 1), "nmi": (0, 1), "purity": (0, 1), "davies_bouldin": (0, np.inf)}


def _apart(x: np.ndarray, labels: np.ndarray, sources: np.ndarray, neighbours: int, seed: int) -> dict[str, float]:
    """The four measures of `separability`, once."""
    from sklearn import metrics as measures
    from sklearn.cluster import KMeans

    apart = measures.pairwise_distances(x)
    groups = KMeans(len(np.unique(labels)), n_init=4, random_state=seed).fit_predict(x)
    others = np.where(sources[:, None] == sources, np.inf, apart)
    beside = others.argsort(1, kind="stable")[:, :neighbours]
    real = np.isfinite(np.take_along_axis(others, beside, 1))  # there may be fewer clips of other sources
    return {
        "silhouette": float(measures.silhouette_score(apart, labels, metric="precomputed")),
        "nmi": float(measures.normalized_mutual_info_score(labels, groups)),
        "purity": float((labels[beside] == labels[:, None])[real].mean()),
        "davies_bouldin": float(measures.davies_bouldin_score(x, labels)),
    }
