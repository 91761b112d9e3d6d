"""Figures: units on the axes, styles besides colours, time in the right place, no torch."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib import plots


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_waveform_is_in_ms_below_a_second_and_in_s_above(ax):
    assert plots.waveform(np.zeros(1600), 16_000, ax).get_xlabel() == "time (ms)"
    assert ax.lines[0].get_xdata()[-1] == pytest.approx(99.9375)
    assert plots.waveform(np.zeros(32_000), 16_000, ax, start_s=1).get_xlabel() == "time (s)"
    assert ax.lines[1].get_xdata()[0] == 1


def test_spectrogram_puts_time_right_and_frequency_up(ax):
    levels = np.full((10, 5), -90.0)
    levels[7, 1] = -20.0
    plots.spectrogram(levels, np.arange(10) * 0.2, np.arange(5) * 1000.0, ax, range_db=50)
    mesh = ax.collections[0]
    row, column = np.unravel_index(mesh.get_array().argmax(), (5, 10))
    assert (row, column) == (1, 7)
    assert mesh.get_clim() == (-70, -20)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "frequency (kHz)")


def test_lines_differ_by_more_than_colour(ax):
    plots.lines(
        np.arange(3), {name: np.arange(3) for name in "abcdef"}, ax, xlabel="hop (ms)", ylabel="dB", markers=True
    )
    styles = {(line.get_linestyle(), line.get_marker()) for line in ax.lines}
    assert len({str(s) for s in styles}) == 6
    assert ax.get_legend() is not None


def test_type_can_be_read():
    sizes = {key: value for key, value in plots.STYLE.items() if "size" in key and "figure" not in key}
    assert sizes and min(sizes.values()) >= 11


def test_plots_do_not_wake_torch():
    code = "import sys, course_lib.plots, course_lib.timebase; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_intervals_show_mean_low_and_high(ax):
    found = {"a": [(50, 40, 70), (60, 50, 65)], "b": [(1, 0, 2), (3, 2, 4)]}
    plots.intervals([10, 20], found, ax, xlabel="hop (ms)", ylabel="accuracy (%)", spread=0.5)
    line, _, (bars,) = ax.containers[0]
    assert line.get_ydata().tolist() == [50, 60]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[40, 70], [50, 65]]
    assert ax.containers[0][0].get_xdata().tolist() == [9.75, 19.75]
    assert ax.get_xlabel() == "hop (ms)" and ax.get_legend() is not None


def test_the_front_of_pareto_holds_what_nothing_beats(ax):
    plots.pareto([8, 1, 4, 2, 2], [80, 50, 60, 70, 65], list("abcde"), ax, xlabel="MACs", ylabel="accuracy (%)")
    front = ax.lines[0]
    assert front.get_xdata().tolist() == [1, 2, 8] and front.get_ydata().tolist() == [50, 70, 80]
    assert [t.get_text() for t in ax.texts] == list("abcde")


def test_ticks_of_a_logarithmic_axis_are_plain_numbers(ax):
    ax.set_xscale("log")
    plots.log_ticks(ax.xaxis, [2.5, 10, 320])
    ax.set_xlim(2, 400)
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2.5", "10", "320"]
    assert len(ax.xaxis.get_minorticklocs()) == 0
