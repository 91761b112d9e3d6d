"""Scores of tags: known values, guessing, labels that no clip has."""

import numpy as np
import pytest

from course_lib.evaluation import tagging


def test_average_precision_by_hand():
    """Ranks 1 and 3 of four hold the label: precisions 1 and 2/3."""
    targets = np.array([[1], [0], [1], [0]])
    assert tagging.average_precisions(targets, np.array([[0.9], [0.8], [0.7], [0.1]])) == pytest.approx(
        [(1 + 2 / 3) / 2]
    )


def test_a_guess_has_the_share_of_the_label_and_a_label_that_no_clip_has_does_not_count():
    targets = np.zeros((1000, 3))
    targets[:100, 0], targets[:500, 1] = 1, 1
    each = tagging.average_precisions(targets, np.zeros((1000, 3)))
    assert each[:2] == pytest.approx([0.1, 0.5]) and np.isnan(each[2])
    assert tagging.mean_average_precision(targets, np.zeros((1000, 3))) == pytest.approx(0.3)
    assert np.isnan(tagging.mean_average_precision(0 * targets, targets))
