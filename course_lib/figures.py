"""Figures of published rows, for the README and the report. They take tables and know nothing of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd

from course_lib import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def hop_figure(summary: pd.DataFrame) -> "Figure":
    """Accuracy against the hop, and against what a clip costs, from a table of `stats.summarise` with one row a hop."""
    rows = summary.sort_values("features.hop_ms")
    hops, percent = rows["features.hop_ms"].to_numpy(), 100 * rows[["accuracy", "low", "high"]].to_numpy()
    with plt.rc_context(plots.STYLE):
        fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
        left.set_xscale("log")
        label = "mean, 95 % by source"
        plots.intervals(hops, {label: percent}, left, xlabel="hop (ms)", ylabel="test accuracy (%)")
        plots.log_ticks(left.xaxis, hops)
        costs = rows["macs"].to_numpy() / 1e6
        names = [f"{hop:g} ms" for hop in hops]
        plots.pareto(costs, percent[:, 0], names, right, xlabel="million MACs a clip", ylabel="test accuracy (%)")
        right.margins(x=0.15, y=0.15)
    return fig


def hop_text(summary: pd.DataFrame) -> str:
    """What `hop_figure` shows, in a sentence, for those who do not see it."""
    rows = summary.sort_values("features.hop_ms")
    points = [f"{100 * share:.1f} % at {hop:g} ms" for hop, share in rows[["features.hop_ms", "accuracy"]].to_numpy()]
    return f"Test accuracy against the hop, and against the cost of a clip: {', '.join(points)}."


def hop_sweeps(folder: Path) -> dict[str, pd.DataFrame]:
    """Summaries of the sweeps of the hop that are published below `folder`, by a label, each in order of the hop.

    At a window of 25 ms and 240 steps first; with a window as long as 2.5 hops; and with 800 steps.
    """
    found = {}
    if (folder / "lesson" / "summary.csv").is_file():
        parts = dict(tuple(pd.read_csv(folder / "lesson" / "summary.csv").groupby("part")))
        found |= {"window 25 ms, 240 steps": parts["hop"], "window 2.5 hops, 240 steps": parts["overlap"]}
    if (folder / "diffres" / "summary.csv").is_file():
        rows = pd.read_csv(folder / "diffres" / "summary.csv")
        rows = rows[(rows["front"] == "none") & rows["part"].str.startswith("patience")]
        found["window 25 ms, 800 steps"] = rows.drop_duplicates("features.hop_ms")
    return {label: rows.sort_values("features.hop_ms") for label, rows in found.items()}


def sweeps_figure(sweeps: Mapping[str, pd.DataFrame]) -> "Figure":
    """Test accuracy with its interval against the hop, a line a sweep of `hop_sweeps`."""
    hops = sorted({hop for rows in sweeps.values() for hop in rows["features.hop_ms"]})
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(8, 4))
        for k, (label, rows) in enumerate(sweeps.items()):
            middle, low, high = 100 * rows[["accuracy", "low", "high"]].to_numpy().T
            at = rows["features.hop_ms"] * 1.04 ** (k - 1)  # beside each other, not on top
            ax.errorbar(at, middle, yerr=[middle - low, high - middle], marker="osD"[k % 3], capsize=3, label=label)
        ax.set_xscale("log", base=2)
        ax.set_xticks(hops, [f"{hop:g}" for hop in hops])
        ax.set(xlabel="hop (ms)", ylabel="test accuracy (%)")
        ax.legend(loc="lower left")
    return fig


def sweeps_text(sweeps: Mapping[str, pd.DataFrame]) -> str:
    """What `sweeps_figure` shows, in a sentence, for those who do not see it."""
    lines = []
    for label, rows in sweeps.items():
        points = [
            f"{100 * share:.1f} % at {hop:g} ms" for hop, share in rows[["features.hop_ms", "accuracy"]].to_numpy()
        ]
        lines.append(f"{label}: {', '.join(points)}")
    return f"Test accuracy against the hop, {len(sweeps)} lines. {'; '.join(lines)}."


def claims_figure(answers: pd.DataFrame) -> "Figure":
    """Differences with their intervals from a table of `claims.answers`, a panel a place, with the margins allowed."""
    places = {where: rows for where, rows in answers.groupby("where", sort=False)}
    sizes = [len(rows) for rows in places.values()]
    with plt.rc_context(plots.STYLE):
        fig, axes = plt.subplots(
            len(places), 1, figsize=(11, 0.3 * sum(sizes) + 0.6 * len(places) + 0.8), squeeze=False, height_ratios=sizes
        )  # fmt: skip
        for ax, (where, rows) in zip(axes[:, 0], places.items(), strict=True):
            labels = [f"{row.claim}: {row.question}" if row.claim else row.question for row in rows.itertuples()]
            plots.forest(100 * rows[["difference", "low", "high"]].to_numpy(), labels, ax, xlabel="")
            ax.set_title(where, loc="left")
            for margin in sorted({-100 * margin for margin in rows["margin"] if margin}):
                ax.axvline(margin, color="black", linestyle=":", linewidth=1)
        axes[-1, 0].set_xlabel("difference in test accuracy (points)")
    return fig


def claims_text(answers: pd.DataFrame) -> str:
    """What `claims_figure` shows, in a sentence, for those who do not see it."""
    told = []
    for where, rows in answers.groupby("where", sort=False):
        points = [f"{row.question} {100 * row.difference:+.1f}" for row in rows.itertuples()]
        told.append(f"{where}: {'; '.join(points)}")
    return f"Differences in test accuracy in points with 95 % intervals, one line a question. {'. '.join(told)}."
