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


def published(folder, grid, **columns):
    """A summary of a grid below `folder`."""
    (folder / grid).mkdir()
    pd.DataFrame(columns).to_csv(folder / grid / "summary.csv", index=False)


def test_sweeps_are_told_apart_by_window_and_steps(tmp_path):
    assert figures.hop_sweeps(tmp_path) == {}
    share = {"accuracy": [0.8, 0.7, 0.6], "low": [0.7, 0.6, 0.5], "high": [0.9, 0.8, 0.7]}
    hops = {"features.hop_ms": [20.0, 10.0, 20.0]}
    published(tmp_path, "lesson", part=["hop", "hop", "overlap"], **hops, **share)
    fronts, parts = ["none", "none", "diffres:0.5"], ["patience", "patience, finer", "patience"]
    published(tmp_path, "diffres", part=parts, front=fronts, **hops, **share)
    sweeps = figures.hop_sweeps(tmp_path)
    assert [rows["features.hop_ms"].tolist() for rows in sweeps.values()] == [[10, 20], [20], [10, 20]]
    fig = figures.sweeps_figure(sweeps)
    lines = [bar[0] for bar in fig.axes[0].containers]
    assert [line.get_ydata().tolist() for line in lines] == [pytest.approx(y) for y in ([70, 80], [60], [70, 80])]
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == list(sweeps)
    assert "window 25 ms, 800 steps: 70.0 % at 10 ms, 80.0 % at 20 ms" in figures.sweeps_text(sweeps)
    plt.close(fig)
