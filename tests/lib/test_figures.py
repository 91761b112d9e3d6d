"""Figures of published rows show the numbers of the table that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import figures

SUMMARY = pd.DataFrame(
    {"features.hop_ms": [80.0, 5.0, 20.0], "accuracy": [0.7, 0.8, 0.9], "low": [0.6, 0.7, 0.85],
     "high": [0.75, 0.9, 0.95], "macs": [1e7, 16e7, 4e7]}
)  # fmt: skip


def test_hops_rise_to_the_right_and_costs_are_in_millions():
    fig = figures.hop_figure(SUMMARY)
    left, right = fig.axes
    line = left.containers[0][0]
    assert line.get_xdata().tolist() == [5, 20, 80]
    assert line.get_ydata() == pytest.approx([80, 90, 70])
    points = right.collections[0].get_offsets().tolist()
    assert np.allclose(points, [[160, 80], [40, 90], [10, 70]])
    assert [t.get_text() for t in right.texts] == ["5 ms", "20 ms", "80 ms"]
    assert (left.get_xlabel(), right.get_xlabel()) == ("hop (ms)", "million MACs a clip")
    plt.close(fig)


def test_the_text_tells_the_same():
    text = figures.hop_text(SUMMARY)
    assert "80.0 % at 5 ms, 90.0 % at 20 ms, 70.0 % at 80 ms" in text
