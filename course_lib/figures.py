"""Figures of published rows, for the README and the report. They take tables and know nothing of training."""

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


def claims_figure(answers: pd.DataFrame) -> "Figure":
    """Differences with their intervals from a table of `claims.answers`, with the margins that it allows."""
    points = 100 * answers[["difference", "low", "high"]].to_numpy()
    labels = [f"{row.claim}: {row.question}" if row.claim else row.question for row in answers.itertuples()]
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(11, 0.36 * len(answers) + 1))
        plots.forest(points, labels, ax, xlabel="difference in test accuracy (points)")
        margins = sorted({-100 * margin for margin in answers["margin"] if margin})
        for margin in margins:
            ax.axvline(margin, color="black", linestyle=":", linewidth=1)
    return fig


def claims_text(answers: pd.DataFrame) -> str:
    """What `claims_figure` shows, in a sentence, for those who do not see it."""
    points = [f"{row.question} {100 * row.difference:+.1f}" for row in answers.itertuples()]
    return f"Differences in test accuracy in points with 95 % intervals, one line a question: {'; '.join(points)}."
