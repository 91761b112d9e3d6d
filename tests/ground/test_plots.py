"""Figures: units on the axes, styles besides colours, time in the right place, no torch."""

import subprocess
import sys

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, xyz2lab
from skimage.color.colorconv import xyz_from_rgb

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


def test_series_differ_by_more_than_colour(ax):
    names = "abcdef"
    plots.lines(np.arange(3), {n: np.arange(3) for n in names}, ax, xlabel="hop (ms)", ylabel="dB", markers=True)
    assert len({(str(line.get_linestyle()), line.get_marker()) for line in ax.lines}) == 6
    plots.intervals([10, 20], {n: [(1, 0, 2), (2, 1, 3)] for n in names}, ax, xlabel="hop (ms)", ylabel="%")
    means = [container[0] for container in ax.containers]
    assert len({line.get_marker() for line in means}) == 6
    assert [line.get_linestyle() for line in means][:4] == list(plots.LINES[:4])


def test_a_split_diagram_breaks_the_line_of_a_source_that_crosses_folds(ax):
    plots.split_diagram(np.array([1, 1, 2, 3, 2]), np.array(["a", "a", "b", "b", "c"]), ax)
    whole, torn, single = ax.lines
    assert torn.get_linestyle() != whole.get_linestyle() == single.get_linestyle()
    assert torn.get_marker() != whole.get_marker() == single.get_marker()
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 1], [2, 3], [2]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]


def test_draws_of_sources_count_a_source_as_often_as_it_was_drawn(ax):
    plots.source_draws({"data set": ["A", "B"], "draw 1": ["B", "B"]}, {"A": [True, False], "B": [True]}, ax)
    shown = [text.get_text() for text in ax.texts]
    assert len(ax.patches) == 5 and (shown.count("✓"), shown.count("✗")) == (4, 1)
    assert shown[-2:] == ["2 of 3: 67 %", "2 of 2: 100 %"]


def test_a_forest_tells_what_is_sure_by_shape_and_filling_too(ax):
    plots.forest([(2, 1, 3), (0, -1, 1), (-2, -3, -1)], list("abc"), ax, xlabel="points")
    above, within, below = (container[0] for container in ax.containers)
    assert above.get_marker() == below.get_marker() != within.get_marker()
    assert above.get_markerfacecolor() == below.get_markerfacecolor() != within.get_markerfacecolor()


# Machado, Oliveira & Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE Trans.
# Vis. Comput. Graph. 15(6), 2009, doi:10.1109/TVCG.2009.113: severity 1.0, on linear sRGB
SEEN_WITH = {
    "all cones": np.eye(3),
    "protanopia": [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)],
    "deuteranopia": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)],
    "tritanopia": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)],
}
NEIGHBOURS, ANY_TWO = 12.0, 10.0  # in CIEDE2000, where 1 is just noticed side by side


def distances(colours, seen_with):
    """CIEDE2000 between all colours as they look to an eye, `(colours, colours)`."""
    encoded = np.array([matplotlib.colors.to_rgb(c) for c in colours])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SEEN_WITH[seen_with]), 0, 1)
    lab = xyz2lab(seen @ xyz_from_rgb.T)
    return deltaE_ciede2000(lab[:, None], lab[None])


@pytest.mark.parametrize("seen_with", SEEN_WITH)
def test_colours_are_told_apart_by_every_common_kind_of_vision(seen_with):
    apart = distances(plots.COLOURS, seen_with)
    assert min(apart[k, (k + 1) % len(apart)] for k in range(len(apart))) >= NEIGHBOURS
    assert (apart + 100 * np.eye(len(apart))).min() >= ANY_TWO


def test_every_colour_of_the_cycle_comes_with_a_style_of_its_own():
    n = len(plots.COLOURS)
    for own in (plots.COLOURS, plots.LINES, plots.MARKERS):
        assert len(own) == len(set(own)) == n
    cycle = list(plots.STYLE["axes.prop_cycle"])
    assert [(c["color"], c["linestyle"]) for c in cycle] == list(zip(plots.COLOURS, plots.LINES, strict=True))


def test_type_can_be_read():
    sizes = {key: value for key, value in plots.STYLE.items() if "size" in key and "figure" not in key}
    assert sizes and min(sizes.values()) >= 11


def test_plots_do_not_wake_torch():
    code = "import sys, course_lib.plots, course_lib.audio.timebase; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_feature_maps_get_smaller_as_their_sheets_multiply(ax):
    plots.feature_maps([("log-mel", 1, 100, 32), ("conv 1", 4, 50, 16), ("logits", 10, 1, 1)], ax)
    sheets = [(patch.get_width(), patch.get_height()) for patch in ax.patches]
    assert len(sheets) == 1 + 3 + 4
    assert sheets[1] == pytest.approx((sheets[0][0] / 2, sheets[0][1] / 2))
    assert [text.get_text() for text in ax.texts] == ["log-mel\n1 × 100 × 32", "conv 1\n4 × 50 × 16", "logits\n10"]


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


def test_a_front_of_one_point_is_seen(ax):
    plots.pareto([1, 2, 4], [80, 70, 60], list("abc"), ax, xlabel="MACs", ylabel="accuracy (%)")
    ring, (dots,) = ax.lines[0], ax.collections
    assert ring.get_xdata().tolist() == [1] and ring.get_marker() == "o"
    assert ring.get_markersize() > np.sqrt(dots.get_sizes().max()), "a line through one point is none"


def test_ticks_of_a_logarithmic_axis_are_plain_numbers(ax):
    ax.set_xscale("log")
    plots.log_ticks(ax.xaxis, [2.5, 10, 320])
    ax.set_xlim(2, 400)
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2.5", "10", "320"]
    assert len(ax.xaxis.get_minorticklocs()) == 0


def test_names_of_points_that_lie_close_do_not_hide_each_other():
    fig, ax = plt.subplots(figsize=(5, 3))
    plots.pareto(
        np.array([1.0, 1.05, 10.0]), np.array([70.0, 70.0, 80.0]), ["MAST", "CNN", "AST"], ax, xlabel="", ylabel=""
    )
    boxes = [text.get_window_extent() for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == ["MAST", "CNN", "AST"]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    plt.close(fig)


def test_a_mosaic_shows_each_filter_at_its_own_brightness_and_leaves_unused_ones_grey(ax):
    filters = np.zeros((3, 3, 2, 2))
    filters[0, 0, 0, 0], filters[1, 2, 1, 1], filters[2, 1, 0, 1] = 1.0, -0.1, 0.001
    plots.filter_mosaic(filters, ax, n_across=2)
    tiles = [image.get_array() for image in ax.images]
    assert len(tiles) == 3
    assert np.allclose(tiles[0][0, 0], (1, 0.5, 0.5)) and np.allclose(tiles[1][1, 1], (0.5, 0.5, 0))
    assert np.abs(tiles[2] - 0.5).max() < 0.06
    left, right, _, _ = ax.images[2].get_extent()
    assert (left, right) == (0, 1), "the third stands below the first"


def test_the_steps_of_transfer_name_what_they_are_given(ax):
    plots.transfer_steps(ax, source="photographs", target="240 clips", n_source=1000, n_target=7)
    shown = " ".join(text.get_text() for text in ax.texts)
    assert all(words in shown for words in ("photographs", "240 clips", "1,000 outputs", "7 outputs", "4. train"))
