"""Cost and accuracy of the study's systems on ESC-10, in panels of equal training, as a table and as a figure.

Systems of one panel had the same number of steps and the same clips, except in `LARGE`. Frame reducers trained for 240
steps, unusual windows and rows that two grids ran are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.analysis import latency, questions
from course_lib.study import stats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NO_REDUCER = {"frame_reducer": "none"}
SHORT, LONG = "CNN7, 240 steps", "CNN7, 800 steps"
SCRATCH, LITE0, LARGE = "small networks, 600 steps", "Lite0 and CNNs, 400 steps", "Lite0, other budgets"
DRAWN = (SHORT, LONG, SCRATCH, LITE0)  # panels of the figure; `LARGE` mixes budgets


@dataclass(frozen=True)
class Family:
    """Systems of one kind that share a grid and a recipe: rows of `grid` with all of `fields`.

    `named` returns the name of a row's system; rows with an empty name are left out. A `sweep` has a line through its
    points. The figure does not name systems merged by rule, which lie close together.
    """

    label: str
    panel: str
    grid: str
    fields: Mapping[str, object]
    named: Callable[[Mapping[str, object]], str]
    sweep: bool = False


def _hop(row: Mapping[str, object]) -> str:
    return f"{row['features.hop_ms']:g} ms" if row["features.window_ms"] == 25 else ""


def _reducer(row: Mapping[str, object]) -> str:
    """A frame reducer with the share of frames that it saves, and the hop if it is not 10 ms."""
    name, _, saved = str(row["frame_reducer"]).partition(":")
    if name == "none":
        return ""
    finer = "" if row["features.hop_ms"] == 10 else f" from {row['features.hop_ms']:g} ms"
    return f"{name.replace('diffres-light', 'light')} -{100 * float(saved):.0f} %{finer}"


def _is_learned(row: Mapping[str, object]) -> bool:
    return str(row["frame_reducer"]).startswith("diffres")


def _net(row: Mapping[str, object]) -> str:
    return {"ast-tiny": "AST", "mast-tiny": "MAST", "cnn7": "CNN7"}[str(row["model"])]


def _way(row: Mapping[str, object]) -> str:
    """How Lite0 or a CNN was trained: from which weights, and with which augmentation."""
    name = {"lite0": "Lite0", "lite0-scratch": "Lite0 from scratch"}.get(row["model"], str(row["model"]).upper())
    if row["recipe.mixup"]:
        more = ", 4 folds" if row["refit"] else ""
        return f"{row['features.hop_ms']:g} ms, {row['features.n_mels']} bands, {row['recipe.steps']} steps{more}"
    if row["recipe.freeze_steps"]:
        return f"{name}, last layer only"
    how = ", pictures" if row["recipe.image_augment"] else ""
    return f"{name}{', clips' if row['copies'] == 'naa' else how}"


def _plain_way(row: Mapping[str, object]) -> str:
    return "" if row["recipe.mixup"] else _way(row)


def _large_way(row: Mapping[str, object]) -> str:
    return _way(row) if row["recipe.mixup"] else ""


AT_800 = {"recipe.steps": 800, "dataset": "esc10"}
FAMILIES = (
    Family("fixed hop", SHORT, "lesson", {"recipe.steps": 240}, _hop, sweep=True),
    Family("fixed hop", LONG, "diffres", AT_800 | NO_REDUCER, _hop, sweep=True),
    Family("DiffRes", LONG, "diffres", AT_800, lambda row: _reducer(row) if _is_learned(row) else ""),
    Family("merged by rule", LONG, "diffres", AT_800, lambda row: "" if _is_learned(row) else _reducer(row)),
    Family("from scratch", SCRATCH, "transformers", {"dataset": "esc10"}, _net),
    Family("CNNs from scratch", LITE0, "scratch", {}, _way),
    Family("Lite0", LITE0, "transfer", {}, _plain_way),
    Family("Lite0", LARGE, "transfer", {}, _large_way),
)
GRIDS = tuple(dict.fromkeys(family.grid for family in FAMILIES))
MARKERS = ("o", "s", "^")
COLUMNS = ("panel", "family", "system", "accuracy", "low", "high", "macs", "ms_cpu", "ms_gpu", "parameters", "folds",
           "seeds")  # fmt: skip


def table(published: Callable[[str], pd.DataFrame] = questions.published) -> pd.DataFrame:
    """One row per system; `published` gives the rows of a grid by its name. Families that were not run are left out.

    Columns: `panel`, `family`, `system`, `accuracy`, `low`, `high` (%), `macs` (millions per clip, without log-mel),
    `ms_cpu` and `ms_gpu` (see `latency.milliseconds`; NaN where not measured), `parameters`, `folds` and `seeds`.
    """
    found = []
    for family in FAMILIES:
        of_grid = published(family.grid)
        rows = questions.chosen(of_grid, family.fields)
        names = [family.named(row) for row in rows.to_dict("records")]
        for name, of_system in rows.groupby(pd.Series(names, rows.index, dtype=object), sort=False):
            if name:
                got = stats.accuracy(of_system).scaled(100)
                ms = latency.milliseconds(of_grid, of_system.iloc[0])
                found.append((
                    family.panel, family.label, name, got.mean, got.low, got.high, of_system["macs"].median() / 1e6,
                    ms.get("CPU", np.nan), ms.get("GPU", np.nan), int(of_system["parameters"].median()),
                    of_system["fold"].nunique(), of_system["seed"].nunique(),
                ))  # fmt: skip
    return pd.DataFrame(found, columns=list(COLUMNS))


def systems_figure(systems: pd.DataFrame) -> "Figure":
    """Accuracy with its interval by source against milliseconds on a CPU, a panel for each budget."""
    with plt.rc_context(plots.STYLE):
        fig, axes = plt.subplots(2, 2, figsize=(12, 9.5), sharex=True)
        for ax, panel in zip(axes.flat, DRAWN, strict=True):
            of_panel = systems[(systems["panel"] == panel) & systems["ms_cpu"].notna()]
            ax.set_xscale("log")
            ax.set_title(panel, loc="left")
            families = [family for family in FAMILIES if family.panel == panel]
            for family, marker, colour in zip(families, MARKERS, plots.COLOURS, strict=False):
                rows = of_panel[of_panel["family"] == family.label].sort_values("ms_cpu")
                mean = rows["accuracy"]
                ax.errorbar(
                    rows["ms_cpu"], mean, yerr=[mean - rows["low"], rows["high"] - mean], fmt=marker, markersize=7,
                    color=colour, elinewidth=0.6, linewidth=1, linestyle="-" if family.sweep else "none",
                    label=family.label,
                )  # fmt: skip
            ax.set(xlim=(0.7, 25), ylabel="test accuracy (%)")
            ax.margins(y=0.12)
            plots.log_ticks(ax.xaxis, (1, 2, 5, 10, 20))
            ax.legend(loc="lower left")
        for ax in axes[1]:
            ax.set_xlabel("ms per clip on a processor")
        fig.canvas.draw()  # the limits of all panels must be settled before names are placed
        for ax, panel in zip(axes.flat, DRAWN, strict=True):
            of_panel = systems[(systems["panel"] == panel) & systems["ms_cpu"].notna()]
            _names(of_panel, of_panel["family"] != "merged by rule", ax)
    return fig


def _names(systems: pd.DataFrame, named: pd.Series, ax: "Axes") -> None:
    """Write names beside the `named` points of one panel, where they hide no point and no other name."""
    line = 0.022 * np.ptp(ax.get_ylim())
    taken = plots.around(systems["ms_cpu"], systems["accuracy"], ax)
    taken.append(ax.get_legend().get_window_extent())
    for row in systems[named].sort_values("accuracy", ascending=False).itertuples():
        text = ax.text(row.ms_cpu, row.accuracy, row.system, fontsize=9, va="center")
        sides = [("left", 1.05), ("right", 0.95)]
        shifts = product(sorted(line * np.arange(-12, 12, 0.5), key=abs), sides)
        places = ({"x": by * row.ms_cpu, "y": row.accuracy + shift, "ha": side} for shift, (side, by) in shifts)
        plots.place_label(text, places, taken)


def systems_text(systems: pd.DataFrame) -> str:
    """`systems_figure` in sentences."""
    panels = []
    for panel in DRAWN:
        rows = systems[(systems["panel"] == panel) & systems["ms_cpu"].notna()].sort_values("ms_cpu")
        points = [f"{r.system} {r.accuracy:.1f} % at {r.ms_cpu:.1f} ms" for r in rows.itertuples()]
        panels.append(f"{panel}: {', '.join(points)}")
    return (
        f"Test accuracy on ESC-10 against milliseconds per clip on a processor, {len(DRAWN)} panels of equal training. "
        f"{'. '.join(panels)}."
    )
