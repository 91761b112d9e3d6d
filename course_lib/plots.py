"""Figures: functions that take arrays and an `ax`, draw, label axes with units, and return `ax`. None needs torch."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

# Okabe & Ito's colours, distinguishable with every common kind of colour vision; each has its own line style
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")
SHOWN_KHZ = (0.1, 0.5, 1, 2, 4, 7)  # labels of an axis of mel bands

STYLE = {
    "figure.figsize": (9, 3.4),
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINES),
    "lines.linewidth": 1.8,
    "image.cmap": "magma",
}


def use_style() -> None:
    """Make the course's style the default of this session."""
    mpl.rcParams.update(STYLE)


def waveform(x: np.ndarray, rate_hz: float, ax: Axes, *, start_s: float = 0.0) -> Axes:
    """`x` `(samples,)` against time in milliseconds, or in seconds if it lasts a second or more."""
    long = len(x) >= rate_hz
    times = (start_s + np.arange(len(x)) / rate_hz) * (1 if long else 1000)
    ax.plot(times, x, linewidth=0.8, linestyle="-")
    ax.set(xlabel="time (s)" if long else "time (ms)", ylabel="amplitude", xlim=(times[0], times[-1]))
    return ax


def spectrogram(
    levels_db: np.ndarray, times_s: np.ndarray, frequencies_hz: np.ndarray, ax: Axes, *, range_db: float = 70.0
) -> Axes:
    """Image of levels `(frames, bins)` in dB: time to the right, in ms below one second, frequency in kHz upwards.

    Only the loudest `range_db` are distinguished, so that faint noise does not use up the colours.
    """
    times, unit = (times_s * 1000, "ms") if times_s[-1] < 1 else (times_s, "s")
    ax.set(xlabel=f"time ({unit})", ylabel="frequency (kHz)")
    return _levels(levels_db, times, frequencies_hz / 1000, ax, range_db)


def mel_spectrogram(
    levels_db: np.ndarray,
    times_s: np.ndarray,
    ax: Axes,
    *,
    range_db: float = 70.0,
    centres_hz: np.ndarray | None = None,
    top_db: float | None = None,
    bar: bool = True,
) -> Axes:
    """Image of log-mel levels `(frames, mels)` in dB: time in seconds to the right, mel bands upwards.

    With `centres_hz` `(mels,)` the bands are labelled by frequency. For panels to compare, give the same `top_db` and
    `bar=False`, and add one bar with `level_bar`.
    """
    ax.set(xlabel="time (s)", ylabel="mel band")
    _levels(levels_db, times_s, np.arange(levels_db.shape[1]), ax, range_db, top_db, bar)
    if centres_hz is not None:
        mel_ticks(ax.yaxis, centres_hz)
        ax.set_ylabel("frequency (kHz)")
    return ax


def mel_ticks(axis: Axis, centres_hz: np.ndarray) -> Axis:
    """`axis` of mel bands, labelled in kHz at those of `SHOWN_KHZ` that lie within `centres_hz`."""
    shown = [khz for khz in SHOWN_KHZ if centres_hz[0] <= 1000 * khz <= centres_hz[-1]]
    bands = np.interp(np.array(shown) * 1000, centres_hz, np.arange(len(centres_hz)))
    axis.set_ticks(bands, [f"{khz:g}" for khz in shown])
    return axis


def level_bar(axes: Iterable[Axes], label: str = "level (dB)") -> None:
    """One colour bar for the images in `axes`, which share their limits."""
    axes = list(axes)
    image = axes[-1].collections[0]
    axes[0].figure.colorbar(image, ax=axes, label=label, pad=0.01)


def _levels(
    levels_db: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    ax: Axes,
    range_db: float,
    top_db: float | None = None,
    bar: bool = True,
) -> Axes:
    top = float(np.max(levels_db)) if top_db is None else top_db
    limits = {"vmin": top - range_db, "vmax": top}
    image = ax.pcolormesh(x, y, levels_db.T, **limits, shading="nearest", rasterized=True)
    if bar:
        ax.figure.colorbar(image, ax=ax, label="level (dB)", pad=0.01)
    return ax


def split_diagram(fold: np.ndarray, sources: np.ndarray, ax: Axes) -> Axes:
    """A row per clip, a column per fold, and a line through the clips of each source; dashed if it crosses folds.

    `fold` and `sources` are `(clips,)`, with the clips of each source next to each other.
    """
    fold, sources = np.asarray(fold), np.asarray(sources)
    names = list(dict.fromkeys(sources.tolist()))
    middles = []
    for band, name in enumerate(names):
        rows = np.flatnonzero(sources == name)
        if band % 2 == 0:
            ax.axhspan(rows[0] - 0.5, rows[-1] + 0.5, color="0.93", zorder=0)
        torn = len(np.unique(fold[rows])) > 1
        style = {"color": COLOURS[1], "linestyle": "--", "marker": "s"} if torn else {"linestyle": "-", "marker": "o"}
        ax.plot(fold[rows], rows, markersize=8, **({"color": COLOURS[0]} | style))
        middles.append(rows.mean())
    ax.set_yticks(middles, names)
    ax.set_xticks(np.unique(fold))
    ax.set(xlabel="fold", xlim=(fold.min() - 0.5, fold.max() + 0.5), ylim=(len(fold) - 0.5, -0.5))
    return ax


def source_draws(draws: Mapping[str, Sequence[str]], right: Mapping[str, Sequence[bool]], ax: Axes) -> Axes:
    """A row per draw of sources: a box per clip, marked right or wrong, and the accuracy of the draw on its right.

    `draws` maps the name of a row to its sources, each listed as often as it was drawn; `right` maps a source to its
    clips, True for those classified correctly.
    """
    height = 1.7
    widest = 0.0
    for row, drawn in enumerate(draws.values()):
        x, y = 0.0, -height * row
        for source in drawn:
            ax.text(x + len(right[source]) / 2, y + 0.62, source, ha="center", fontsize=11)
            for is_right in right[source]:
                fill, ink, mark = (COLOURS[0], "white", "✓") if is_right else ("white", "black", "✗")
                ax.add_patch(Rectangle((x + 0.06, y - 0.4), 0.88, 0.9, edgecolor="black", facecolor=fill))
                ax.text(x + 0.5, y + 0.05, mark, ha="center", va="center", color=ink, fontsize=11)
                x += 1
            x += 0.5
        widest = max(widest, x)
    for row, drawn in enumerate(draws.values()):
        marks = [is_right for source in drawn for is_right in right[source]]
        share = f"{sum(map(bool, marks))} of {len(marks)}: {100 * np.mean(marks):.0f} %"
        ax.text(widest + 0.3, -height * row, share, va="center")
    ax.set_yticks([-height * row for row in range(len(draws))], list(draws))
    ax.set(xlim=(-0.3, widest + 5), ylim=(-height * len(draws) + 0.8, 1.4), xticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(left=False)
    return ax


def feature_maps(shapes: Sequence[tuple[str, int, int, int]], ax: Axes) -> Axes:
    """The layers of a CNN from left to right, each `(name, channels, frames, mels)` as a stack of sheets.

    A sheet's width is proportional to the frames and its height to the mels, with a minimum size so that it stays
    visible; the stack grows by one sheet whenever the channels double.
    """
    most_frames = max(frames for _, _, frames, _ in shapes)
    most_mels = max(mels for _, _, _, mels in shapes)
    left, step = 0.0, 0.07
    for place, (name, channels, frames, mels) in enumerate(shapes):
        width = max(3.2 * frames / most_frames, 0.12)
        height = max(1.6 * mels / most_mels, 0.12)
        n_sheets = 1 + int(np.log2(channels))
        for sheet in reversed(range(n_sheets)):
            corner = (left + step * sheet, -height / 2 + step * sheet)
            ax.add_patch(Rectangle(corner, width, height, facecolor="white" if sheet else "0.85", edgecolor=COLOURS[0]))
        middle = left + (width + step * (n_sheets - 1)) / 2
        size = f"{channels} × {frames} × {mels}" if frames > 1 else str(channels)
        low = place % 2  # labels side by side would overlap
        ax.annotate(f"{name}\n{size}", (middle, -height / 2), (middle, -1.35 - 0.75 * low), ha="center", va="top",
                    fontsize=11, arrowprops={"arrowstyle": "-", "color": "0.7"})  # fmt: skip
        left += width + step * (n_sheets - 1) + 0.75
    ax.set(xlim=(-0.6, left + 0.2), ylim=(-3.2, 1.5), xticks=[], yticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    return ax


def lines(
    x: np.ndarray, curves: Mapping[str, np.ndarray], ax: Axes, *, xlabel: str, ylabel: str, markers: bool = False
) -> Axes:
    """Several curves over one axis, each with a colour, a line style and, with `markers`, its own marker."""
    for place, (label, y) in enumerate(curves.items()):
        marker = MARKERS[place % len(MARKERS)] if markers else None
        ax.plot(x, y, label=label, marker=marker, linestyle=LINES[place % len(LINES)])
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        ax.legend()
    return ax


def intervals(
    x: np.ndarray,
    found: Mapping[str, Sequence[tuple[float, float, float]]],
    ax: Axes,
    *,
    xlabel: str,
    ylabel: str,
    spread: float = 0.0,
) -> Axes:
    """Series of means with intervals over `x`: for each label one `(mean, low, high)` per value of `x`.

    `spread` is the distance between neighbouring series in units of `x`, or as a fraction of `x` on a logarithmic axis.
    """
    x = np.asarray(x, dtype=np.float64)
    for place, (label, values) in enumerate(found.items()):
        mean, low, high = np.asarray(values, dtype=np.float64).T
        offset = spread * (place - (len(found) - 1) / 2)
        where = x * (1 + offset) if ax.get_xscale() == "log" else x + offset
        style = {"marker": MARKERS[place % len(MARKERS)], "linestyle": LINES[place % len(LINES)]}
        ax.errorbar(where, mean, [mean - low, high - mean], label=label, capsize=3, **style)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(found) > 1:
        ax.legend()
    return ax


# Where a label may go beside its point, offsets in typographic points, the best place first
BESIDE = (("left", (5, 5)), ("left", (5, -14)), ("right", (-5, 5)), ("right", (-5, -14)), ("left", (5, 20)))
MARGIN = 4  # pixels around a point that labels keep clear of


def around(x: np.ndarray, y: np.ndarray, ax: Axes) -> list[Bbox]:
    """Screen boxes around data points, which `place_label` keeps clear of labels."""
    at = ax.transData.transform(np.column_stack([x, y]))
    return [Bbox.from_extents(a - MARGIN, b - MARGIN, a + MARGIN, b + MARGIN) for a, b in at]


def place_label(text: Text, choices: Iterable[Mapping[str, object]], taken: list[Bbox]) -> None:
    """Set `text` to the first of `choices` at which it overlaps nothing in `taken`, else to the last; add its box."""
    for choice in choices:
        text.set(**choice)
        box = text.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
    taken.append(box)


def pareto(cost: np.ndarray, gain: np.ndarray, labels: Sequence[str], ax: Axes, *, xlabel: str, ylabel: str) -> Axes:
    """Labelled points of cost and gain, with rings around the Pareto front; the cost axis is logarithmic."""
    cost, gain = np.asarray(cost, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    order = np.lexsort((-gain, cost))
    front = order[gain[order] > np.maximum.accumulate(np.concatenate([[-np.inf], gain[order][:-1]]))]
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}  # a front may be a single point
    ax.plot(cost[front], gain[front], color="grey", linestyle=":", **ring, label="Pareto front")
    ax.scatter(cost, gain, color=COLOURS[0], zorder=2)
    taken = around(cost, gain, ax)
    for x, y, label in zip(cost, gain, labels, strict=True):
        text = ax.annotate(label, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=11)
        place_label(text, [{"position": at, "ha": ha} for ha, at in BESIDE], taken)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="best")
    return ax


def log_ticks(axis: Axis, values: Sequence[float]) -> Axis:
    """`axis` with ticks at `values` only, labelled as plain numbers instead of powers of ten."""
    axis.set_major_locator(FixedLocator(values))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}" if value < 100 else f"{value:.0f}"))
    axis.set_minor_locator(NullLocator())
    return axis


def forest(found: Sequence[tuple[float, float, float]], labels: Sequence[str], ax: Axes, *, xlabel: str) -> Axes:
    """Differences `(mean, low, high)`, one per row from the top, with a line at 0; filled if they exclude 0."""
    ax.axvline(0, color="grey", linewidth=1, linestyle="-")
    for place, (mean, low, high) in enumerate(found):
        sure = low > 0 or high < 0
        style = {"color": COLOURS[1] if sure else COLOURS[0], "markerfacecolor": None if sure else "white"}
        ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="s" if sure else "o", capsize=3, **style)
    ax.set_yticks(range(len(labels)), list(labels))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set(xlabel=xlabel)
    return ax


def filter_mosaic(filters: np.ndarray, ax: Axes, *, n_across: int = 8) -> Axes:
    """Filters `(filters, 3, height, width)` as small colour pictures, row by row, each on its own scale.

    Grey is 0, and the largest absolute weight of a filter is as far from grey as a colour can be. A filter whose
    weights are all below a hundredth of the largest weight of any filter stays grey.
    """
    filters = np.asarray(filters, dtype=np.float64)
    least = max(float(np.abs(filters).max()) / 100, 1e-9)
    for place, weights in enumerate(filters):
        left, top = 1.15 * (place % n_across), 1.15 * (place // n_across)
        largest = float(np.abs(weights).max())
        reach = largest if largest >= least else 100 * least
        tile = (0.5 + 0.5 * weights / reach).transpose(1, 2, 0)
        ax.imshow(tile, extent=(left, left + 1, top + 1, top), interpolation="nearest")
    n_rows = -(-len(filters) // n_across)
    ax.set(xlim=(-0.05, 1.15 * min(len(filters), n_across) - 0.1), ylim=(1.15 * n_rows - 0.1, -0.05), aspect="equal")
    ax.axis("off")
    return ax


def transfer_steps(ax: Axes, *, source: str, target: str, n_source: int, n_target: int) -> Axes:
    """Transfer learning as two columns of boxes: the pretrained network, and ours with a copied body.

    `source` and `target` say what each is trained on; `n_source` and `n_target` count the outputs of the last layers.
    """
    parts = ("first third", "second third", "last third")
    boxes = [(1.0 + k, 0.8, part, "0.88", "-") for k, part in enumerate(parts)]
    inputs = (source, target)
    heads = (f"last layer\n{n_source:,} outputs", f"new last layer\n{n_target:,} outputs, random weights")
    for column, left in enumerate((0.0, 6.0)):
        ax.text(left + 2, 0.3, inputs[column], ha="center", va="center", fontsize=11)
        new = column == 1
        head = (4.0, 0.95, heads[column], COLOURS[5] if new else "white", "--" if new else "-")
        for bottom, height, label, fill, line in [*boxes, head]:
            style = {"edgecolor": "black", "facecolor": fill, "linestyle": line, "linewidth": 1.2}
            ax.add_patch(Rectangle((left, bottom), 4, height, **style))
            ax.text(left + 2, bottom + height / 2, label, ha="center", va="center", fontsize=11)
        for bottom, top in ((0.55, 1), (1.8, 2), (2.8, 3), (3.8, 4)):
            arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (left + 2, top), (left + 2, bottom), arrowprops=arrow)
    for bottom, _, _, _, _ in boxes:
        arrow = {"arrowstyle": "-|>", "linewidth": 1.8, "color": COLOURS[0]}
        ax.annotate("", (5.95, bottom + 0.4), (4.05, bottom + 0.4), arrowprops=arrow)
    steps = {
        "1. pretrain": (2, 5.25), "2. copy\nthe body": (5, 4.1), "3. add a new last layer": (8, 5.25),
        "4. train": (10.2, 5.25), "from\nscratch": (10.2, 4.47), "frozen,\nor slowly": (10.2, 2.4),
    }  # fmt: skip
    for text, (x, y) in steps.items():
        first = x < 10
        weight = "bold" if text[0].isdigit() else "normal"
        ax.text(x, y, text, ha="center" if first else "left", va="center", fontsize=12, weight=weight)
    ax.set(xlim=(-0.2, 11.8), ylim=(0, 5.5))
    ax.axis("off")
    return ax
