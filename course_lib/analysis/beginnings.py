"""How soon does a network know what it hears, and what does it cost to assign widths while a sound still arrives?

Made from the rows of the grid `esc50`, which keep their answers to the first seconds of test clips. The rules are in
study/protocol.md, *Hearing the beginning*.
"""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.analysis import disturbance, frontier, questions, verdicts
from course_lib.analysis.disturbance import CONDITION
from course_lib.analysis.verdicts import Part
from course_lib.models import classifier
from course_lib.study import stats
from course_lib.study.disturbance import HEARD_S

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "esc50"
MARGIN = 0.02  # of *no worse*, a share
ASKED = {  # is the accuracy with widths in chunks no worse than with widths over the whole clip?
    "diffres-light:0.5": "DiffRes, half the frames",
    "diffres-light:0.75": "DiffRes, a quarter of the frames",
    "diffres-contrast:0.5": "the variant, half the frames",
    "diffres-contrast:0.75": "the variant, a quarter of the frames",
}


def runs() -> pd.DataFrame:
    """`disturbance.complete` rows of `GRID` with columns `first 1 s` and so on, `first 1 s, in chunks` where merged.

    These are accuracies, shares; NaN where too few frames are left for the network.
    """
    rows = disturbance.complete(GRID)
    if rows.empty:
        return rows
    rows = rows.assign(n_test=rows["disturbed_targets"].map(len))  # of a fold, no more clips than these were heard
    return pd.concat([rows, pd.DataFrame([_accuracies(row) for row in rows.to_dict("records")])], axis=1)


def _accuracies(row: dict) -> dict[str, float]:
    """The columns that `runs` adds to a row."""
    predicted, targets = disturbance.answers_in(row)
    return {name: float(np.mean(each == targets)) for name, each in predicted.items() if name.startswith("first ")}


def table() -> pd.DataFrame:
    """One row per condition of `runs`, fixed hops first, accuracies in %; empty if there are no rows.

    Columns: `condition` in words, `hop_ms`, `frame_reducer`, `merged` (False for fixed hops), `frames_per_s` (how many
    frames the classifier gets), and those of `runs`, whose seeds are averaged, then the folds.
    """
    rows, found = runs(), []
    for (hop_ms, reducer), alike in rows.groupby(CONDITION) if len(rows) else ():
        row = {"condition": frontier.name(hop_ms, reducer), "hop_ms": hop_ms, "frame_reducer": reducer}
        row["frames_per_s"] = 1000 / hop_ms * (1 - saved(reducer))
        accuracies = {name: 100 * stats.mean_score(alike, name) for name in alike if name.startswith("first ")}
        found.append(row | accuracies)
    if not found:
        return pd.DataFrame()
    made = pd.DataFrame(found)
    merged = made["frame_reducer"] != "none"
    return made.assign(merged=merged).sort_values(["merged", "hop_ms", "frame_reducer"], ignore_index=True)


def saved(reducer: str) -> float:
    """The share of the frames that a frame reducer saves."""
    return 0.0 if reducer == "none" else classifier.parse_reducer(reducer)[1]


def answers() -> list[Part]:
    """The questions of `ASKED`, with the standard deviation of their pairs and Holm; empty until all can be asked."""
    rows = runs()
    by_reducer = dict(tuple(rows[rows["features.hop_ms"] == 10.0].groupby("frame_reducer"))) if len(rows) else {}
    if not all(reducer in by_reducer for reducer in ASKED):
        return []
    parts = []
    for reducer, about in ASKED.items():
        both = by_reducer[reducer]
        whole = both.assign(accuracy=both["first 5 s"])
        in_chunks = both.assign(accuracy=both["first 5 s, in chunks"])
        gap = stats.difference(in_chunks, whole, score="accuracy")
        converged = questions.late_rise(both) <= questions.STILL_RISING
        parts.append(Part(about, questions.DATA[GRID], gap, MARGIN, converged=converged))
    return verdicts.corrected(parts)


def figure(found: pd.DataFrame) -> "Figure":
    """Accuracy against the seconds heard, from `table`: fixed hops, then merged frames by share, dashed in chunks."""
    names = [f"first {heard_s:g} s" for heard_s in HEARD_S]
    shares = found["frame_reducer"].map(lambda name: "fixed" if name == "none" else f"{100 - 100 * saved(name):g} %")
    panels = dict(tuple(found.groupby(shares, sort=False)))
    with plt.rc_context(plots.STYLE):
        fig, axes = plt.subplots(1, len(panels), figsize=(1 + 4.5 * len(panels), 4.2), sharey=True, squeeze=False)
        for ax, (share, rows) in zip(axes[0], panels.items(), strict=True):
            looks = zip(plots.COLOURS, plots.MARKERS, strict=True)
            for row, (colour, marker) in zip(rows.to_dict("records"), looks, strict=False):
                look = {"color": colour, "marker": marker}
                label = row["condition"].partition(", ")[0]
                ax.plot(HEARD_S, [row.get(name, np.nan) for name in names], **look, linestyle="-", label=label)
                if share != "fixed":
                    in_chunks = [row.get(f"{name}, in chunks", np.nan) for name in names]
                    ax.plot(HEARD_S, in_chunks, **look, linestyle="--")
            title = "fixed hops" if share == "fixed" else f"{share} of the frames; dashed: in chunks"
            ax.set_title(title, loc="left")
            ax.set_xlabel("heard, from the beginning of the clip (s)")
            ax.set_xticks(HEARD_S)
            ax.legend()
        axes[0, 0].set_ylabel("test accuracy (%)")
    return fig


def text(found: pd.DataFrame) -> str:
    """`figure` in sentences."""
    each = []
    for row in found.to_dict("records"):
        levels = {heard_s: row.get(f"first {heard_s:g} s", np.nan) for heard_s in HEARD_S}
        after = [f"{level:.1f} after {heard_s:g} s" for heard_s, level in levels.items() if not np.isnan(level)]
        each.append(f"{row['condition']} {', '.join(after)}")
    return f"Test accuracy in % against the seconds heard. {'; '.join(each)}."
