"""Cost and accuracy of the study's systems on ESC-10, in one table and one figure.

Left out are frame reducers trained for 240 steps, unusual windows and overlaps, and rows that two grids ran. Families
were trained for different numbers of steps, which their names state: between families, a longer training may be what
makes the difference. The claims compare systems of one family only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.analysis import questions
from course_lib.study import stats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NO_REDUCER = {"frame_reducer": "none"}


@dataclass(frozen=True)
class Family:
    """Systems that share a grid and a recipe: rows of `grid` with all of `fields`.

    `named` gives the name of a row's system; rows without one are left out. The figure shows all names of a family,
    except those of a `crowded` one; a `sweep` has a line through its points.
    """

    label: str
    grid: str
    fields: Mapping[str, object]
    named: Callable[[Mapping[str, object]], str]
    crowded: bool = False
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
    how = "pictures augmented" if row["recipe.image_augment"] else "plain"
    if row["copies"] == "naa":
        how = "clips augmented"
    if row["model"] != "lite0":
        return f"{str(row['model']).removeprefix('lite0-').upper()} {how}".replace("SCRATCH plain", "from scratch")
    if row["recipe.freeze_steps"]:
        return "frozen"
    picture = f"{row['features.hop_ms']:g} ms, {row['features.n_mels']} bands, {row['recipe.steps']} steps"
    return f"{picture}{', 4 folds' if row['refit'] else ''}" if row["recipe.mixup"] else how


FAMILIES = (
    Family("fixed hop, 240 steps", "lesson", {"recipe.steps": 240}, _hop, sweep=True),
    Family("fixed hop, 800 steps", "diffres", {"recipe.steps": 800, "dataset": "esc10"} | NO_REDUCER, _hop,
           crowded=True, sweep=True),
    Family("DiffRes, 800 steps", "diffres", {"recipe.steps": 800, "dataset": "esc10"},
           lambda row: _reducer(row) if _is_learned(row) else "", crowded=True),
    Family("merged by rule, 800 steps", "diffres", {"recipe.steps": 800, "dataset": "esc10"},
           lambda row: "" if _is_learned(row) else _reducer(row), crowded=True),
    Family("transformers, 600 steps", "transformers", {"dataset": "esc10"}, _net),
    Family("CNN7 and CNN9, 400 steps", "scratch", {}, _way),
    Family("Lite0, from photographs", "transfer", {}, _way),
)  # fmt: skip
GRIDS = tuple(dict.fromkeys(family.grid for family in FAMILIES))
MARKERS = ("o", "s", "^", "v", "D", "P", "X")
COLOURS = (*plots.COLOURS, "#000000")


def table(published: Callable[[str], pd.DataFrame] = questions.published) -> pd.DataFrame:
    """One row per system; `published` gives the rows of a grid by its name. Families that were not run are left out.

    Columns: `family`, `system`, `macs` (millions per clip, without log-mel), `accuracy`, `low`, `high` (%),
    `parameters`, `folds`, `seeds`, and `pareto_optimal` (no other is cheaper and better).
    """
    found = []
    for family in FAMILIES:
        rows = questions.chosen(published(family.grid), family.fields)
        names = [family.named(row) for row in rows.to_dict("records")]
        for name, of_system in rows.groupby(pd.Series(names, rows.index, dtype=object), sort=False):
            if name:
                got = stats.accuracy(of_system).scaled(100)
                found.append((family.label, name, of_system["macs"].median() / 1e6, got.mean, got.low, got.high,
                              int(of_system["parameters"].median()), of_system["fold"].nunique(),
                              of_system["seed"].nunique()))  # fmt: skip
    columns = ["family", "system", "macs", "accuracy", "low", "high", "parameters", "folds", "seeds"]
    made = pd.DataFrame(found, columns=columns)
    cheaper = made["macs"].to_numpy()[:, None] <= made["macs"].to_numpy()
    better = made["accuracy"].to_numpy()[:, None] >= made["accuracy"].to_numpy()
    made["pareto_optimal"] = (cheaper & better).sum(axis=0) == 1  # none but itself
    return made


def systems_figure(systems: pd.DataFrame) -> "Figure":
    """Accuracy with its interval by source against MACs, logarithmic; a colour and a marker for each family."""
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(12, 7))
        ax.set_xscale("log")
        for family, marker, colour in zip(FAMILIES, MARKERS, COLOURS, strict=True):
            rows = systems[systems["family"] == family.label].sort_values("macs")
            if rows.empty:
                continue
            mean, line = rows["accuracy"], "-" if family.sweep else "none"
            ax.errorbar(
                rows["macs"], mean, yerr=[mean - rows["low"], rows["high"] - mean], fmt=marker, markersize=7,
                color=colour, elinewidth=0.5, linewidth=1, linestyle=line, label=family.label,
            )  # fmt: skip
        best = systems[systems["pareto_optimal"]].sort_values("macs")
        style = {"color": "grey", "linestyle": ":", "zorder": 0, "label": "none is cheaper and better"}
        ax.plot(best["macs"], best["accuracy"], **style)
        plots.log_ticks(ax.xaxis, (5, 10, 20, 50, 100, 200, 500, 1000, 2000))
        ax.margins(x=0.08)
        ax.set(xlabel="million multiply-accumulates a clip", ylabel="test accuracy on ESC-10 (%)")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4)
        _names(systems, ax)
    return fig


def _names(systems: pd.DataFrame, ax: "Axes") -> None:
    """Write names beside the points, or below the intervals of a sweep, where they hide nothing."""
    crowded = {family.label for family in FAMILIES if family.crowded}
    sweeps = {family.label for family in FAMILIES if family.sweep} - crowded
    named = systems[systems["pareto_optimal"] | ~systems["family"].isin(crowded)].sort_values(
        "accuracy", ascending=False
    )
    below = named["family"].isin(sweeps)
    line = 0.03 * np.ptp(ax.get_ylim())
    taken = plots.around(systems["macs"], systems["accuracy"], ax)
    for row in pd.concat([named[below], named[~below]]).itertuples():
        y, sides = row.accuracy, [("left", 1.04), ("right", 0.96)]
        if row.family in sweeps:
            y, sides = row.low - 0.7 * line, [("center", 1.0)]
        text = ax.text(row.macs, y, row.system, fontsize=10, va="center")
        shifts = product(sorted(line * np.arange(-8, 8, 0.25), key=abs), sides)
        plots.place(text, ({"x": factor * row.macs, "y": y + shift, "ha": ha} for shift, (ha, factor) in shifts), taken)


def systems_text(systems: pd.DataFrame) -> str:
    """`systems_figure` in sentences."""
    families = []
    for label, rows in systems.groupby("family", sort=False):
        points = [f"{r.system} {r.accuracy:.1f} % at {r.macs:.0f}" for r in rows.sort_values("macs").itertuples()]
        families.append(f"{label}: {', '.join(points)}")
    return (
        "Test accuracy on ESC-10 against million multiply-accumulates a clip, logarithmic, a marker a family of "
        f"systems, with intervals by source. {'. '.join(families)}."
    )
