"""Average precision of tags, for clips with several labels; it needs no threshold.

Each label ranks all clips by their scores and gets an average precision. Their mean weights rare and frequent labels
equally.
"""

import numpy as np
from sklearn.metrics import average_precision_score


def average_precisions(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision of each label over all clips, `(labels,)`, float64; NaN for a label that no clip has.

    `targets` are 0 or 1, `scores` any numbers that are higher for more likely labels, both `(clips, labels)`. Average
    precision is the mean, over the clips with the label, of the precision among all clips scored no lower. The expected
    value of random scores is the label's share of clips.
    Source: scikit-learn, `average_precision_score`.
    """
    present = targets.any(0)
    found = np.full(targets.shape[1], np.nan)
    for label in np.flatnonzero(present):
        found[label] = average_precision_score(targets[:, label], scores[:, label])
    return found


def mean_average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Mean of `average_precisions` over the labels that any clip has, from 0 to 1; NaN if there are none."""
    found = average_precisions(targets, scores)
    return float(np.nanmean(found)) if targets.any() else float("nan")
