"""Figures: functions that take arrays and an `ax`, draw, label with units and return the `ax`. None knows torch."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

# Okabe & Ito's colours, distinguishable with every common kind of colour vision; each has its own line style
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")

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


def waveform(x: np.ndarray, rate_hz: float, ax: Axes, *, start_s: float = 0.0, label: str | None = None) -> Axes:
    """`x` `(samples,)` against time in milliseconds or, from one second up, seconds."""
    long = len(x) >= rate_hz
    times = (start_s + np.arange(len(x)) / rate_hz) * (1 if long else 1000)
    ax.plot(times, x, linewidth=0.8, linestyle="-", label=label)
    ax.set(xlabel="time (s)" if long else "time (ms)", ylabel="amplitude", xlim=(times[0], times[-1]))
    return ax


def spectrogram(
    levels_db: np.ndarray, times_s: np.ndarray, frequencies_hz: np.ndarray, ax: Axes, *, range_db: float = 70.0
) -> Axes:
    """Image of levels `(frames, bins)` in dB: time in seconds to the right, frequency in kHz upwards.

    Only the loudest `range_db` are distinguished, so that noise far below does not take up the colours.
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

    With `centres_hz` `(mels,)` the bands are labelled by frequency. Panels that are compared get the same `top_db`, no
    `bar` of their own, and one from `level_bar`.
    """
    ax.set(xlabel="time (s)", ylabel="mel band")
    _levels(levels_db, times_s, np.arange(levels_db.shape[1]), ax, range_db, top_db, bar)
    if centres_hz is not None:
        mel_ticks(ax.yaxis, centres_hz)
        ax.set_ylabel("frequency (kHz)")
    return ax


def mel_ticks(axis: Axis, centres_hz: np.ndarray, shown_khz: Sequence[float] = (0.1, 0.5, 1, 2, 4, 7)) -> Axis:
    """`axis`, which counts mel bands, labelled in kHz wherever one of `shown_khz` lies among `centres_hz`."""
    shown = [khz for khz in shown_khz if centres_hz[0] <= 1000 * khz <= centres_hz[-1]]
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

    `spread` moves the series apart by so much of `x` (as a factor on a logarithmic axis of `ax`).
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


# Where a name may stand beside its point, in points of print, the best place first
BESIDE = (("left", (5, 5)), ("left", (5, -14)), ("right", (-5, 5)), ("right", (-5, -14)), ("left", (5, 20)))


def around(x: np.ndarray, y: np.ndarray, ax: Axes, margin: float = 4) -> list[Bbox]:
    """Boxes on the screen around points of data, which `place` keeps names off."""
    at = ax.transData.transform(np.column_stack([x, y]))
    return [Bbox.from_extents(a - margin, b - margin, a + margin, b + margin) for a, b in at]


def place(text: Text, choices: Iterable[Mapping[str, object]], taken: list[Bbox]) -> None:
    """Set `text` to the first of `choices` at which it hides nothing `taken`, else to the last, and take its place."""
    for choice in choices:
        text.set(**choice)
        box = text.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
    taken.append(box)


def pareto(cost: np.ndarray, gain: np.ndarray, labels: Sequence[str], ax: Axes, *, xlabel: str, ylabel: str) -> Axes:
    """Points of cost and gain by name, with rings around the Pareto front; cost is logarithmic."""
    cost, gain = np.asarray(cost, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    order = np.lexsort((-gain, cost))
    front = order[gain[order] > np.maximum.accumulate(np.concatenate([[-np.inf], gain[order][:-1]]))]
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}  # a front may be a single point
    ax.plot(cost[front], gain[front], color="grey", linestyle=":", **ring, label="none is cheaper and better")
    ax.scatter(cost, gain, color=COLOURS[0], zorder=2)
    taken = around(cost, gain, ax)
    for x, y, label in zip(cost, gain, labels, strict=True):
        text = ax.annotate(label, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=11)
        place(text, [{"position": at, "ha": ha} for ha, at in BESIDE], taken)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="best")
    return ax


def log_ticks(axis: Axis, values: Sequence[float]) -> Axis:
    """`axis` with a tick at each of `values` and no other, as plain numbers of two digits instead of powers of ten."""
    axis.set_major_locator(FixedLocator(values))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}" if value < 100 else f"{value:.0f}"))
    axis.set_minor_locator(NullLocator())
    return axis


def forest(found: Sequence[tuple[float, float, float]], labels: Sequence[str], ax: Axes, *, xlabel: str) -> Axes:
    """Differences `(mean, low, high)`, one line each from above, around a line at 0; filled where 0 is outside."""
    ax.axvline(0, color="grey", linewidth=1, linestyle="-")
    for place, (mean, low, high) in enumerate(found):
        sure = low > 0 or high < 0
        style = {"color": COLOURS[1] if sure else COLOURS[0], "markerfacecolor": None if sure else "white"}
        ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="s" if sure else "o", capsize=3, **style)
    ax.set_yticks(range(len(labels)), list(labels))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set(xlabel=xlabel)
    return ax
