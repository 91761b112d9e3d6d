"""Scores of tags, where a clip has several labels: average precision, which needs no threshold.

A clip's scores put all labels in an order, a label's scores all clips: average precision is of the latter, label by
label, and its mean counts a rare label as much as a frequent one.
"""

import numpy as np
from sklearn.metrics import average_precision_score


def average_precisions(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision of each label over all clips, `(labels,)`, float64; NaN for a label that no clip has.

    `targets` are 0 or 1, `scores` any numbers that grow with belief, both `(clips, labels)`. It is the mean, over the
    clips with the label, of the precision among all that are scored no lower. A guess gives the label's share of clips.
    Source: scikit-learn, `average_precision_score`.
    """
    present = targets.any(0)
    found = np.full(targets.shape[1], np.nan)
    for label in np.flatnonzero(present):
        found[label] = average_precision_score(targets[:, label], scores[:, label])
    return found


def mean_average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Mean of `average_precisions` over the labels that some clip has, from 0 to 1; NaN where no clip has any."""
    found = average_precisions(targets, scores)
    return float(np.nanmean(found)) if targets.any() else float("nan")
