"""Systems of the study on ESC-10: what each costs, how good it is, in one table and one picture.

Left out are frame reducers trained for 240 steps, unusual windows and overlaps, and rows that two grids ran.
Systems were trained with different budgets, each as its grid says; the family names the steps. A point is compared
with the points of its own family in the claims, and across families here, where a longer training may be what differs.
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
    """Systems that share a grid and a recipe: rows of `grid` with all of `fields`, told apart by `named`.

    `named` makes the name of a system from a row; rows for which it gives none are left out. In the picture all of a
    family have their names, unless it is `crowded`; a `sweep` has a line through its points.
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
    """A frame reducer by what it leaves of 10 ms; finer hops by their own name."""
    name, _, saved = str(row["frame_reducer"]).partition(":")
    if name == "none":
        return ""
    finer = "" if row["features.hop_ms"] == 10 else f" from {row['features.hop_ms']:g} ms"
    return f"{name.replace('diffres-light', 'light')} -{100 * float(saved):.0f} %{finer}"


def _learned(row: Mapping[str, object]) -> str:
    return _reducer(row) if str(row["frame_reducer"]).startswith("diffres") else ""


def _fixed(row: Mapping[str, object]) -> str:
    return "" if str(row["frame_reducer"]).startswith("diffres") else _reducer(row)


def _net(row: Mapping[str, object]) -> str:
    return {"ast-tiny": "AST", "mast-tiny": "MAST", "cnn7": "CNN7"}[str(row["model"])]


def _way(row: Mapping[str, object]) -> str:
    """How Lite0 or a CNN was trained: from what, and with which augmentation."""
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
    Family("DiffRes, 800 steps", "diffres", {"recipe.steps": 800, "dataset": "esc10"}, _learned, crowded=True),
    Family("merged by rule, 800 steps", "diffres", {"recipe.steps": 800, "dataset": "esc10"}, _fixed, crowded=True),
    Family("transformers, 600 steps", "transformers", {"dataset": "esc10"}, _net),
    Family("CNN7 and CNN9, 400 steps", "scratch", {}, _way),
    Family("Lite0, from photographs", "transfer", {}, _way),
)  # fmt: skip
GRIDS = tuple(dict.fromkeys(family.grid for family in FAMILIES))
MARKERS = ("o", "s", "^", "v", "D", "P", "X")
COLOURS = (*plots.COLOURS, "#000000")


def table(published: Callable[[str], pd.DataFrame] = questions.published) -> pd.DataFrame:
    """One row a system: `family`, `system`, `macs` (millions a clip, without log-mel), `accuracy`, `low`, `high` (%).

    `published` gives the rows of a grid by its name, none where it was not run: such families are left out. `folds` and
    `seeds` say what the accuracy rests on, `parameters` and `pareto_optimal` (no other is cheaper and better) the rest.
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
    """Accuracy with its interval by source against MACs, logarithmic; a colour and a marker a family."""
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
        plots.log_ticks(ax.xaxis, [t for t in (5, 10, 20, 50, 100, 200, 500, 1000, 2000) if _within(t, systems)])
        ax.margins(x=0.08)
        ax.set(xlabel="million multiply-accumulates a clip", ylabel="test accuracy on ESC-10 (%)")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4)
        _names(systems, ax)
    return fig


def _names(systems: pd.DataFrame, ax: "Axes") -> None:
    """Names beside the points, those of a sweep below their intervals, each where it hides nothing."""
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


def _within(tick: float, systems: pd.DataFrame) -> bool:
    return 0.8 * systems["macs"].min() <= tick <= 1.25 * systems["macs"].max()


def systems_text(systems: pd.DataFrame) -> str:
    """What `systems_figure` shows, in sentences, for those who do not see it."""
    families = []
    for label, rows in systems.groupby("family", sort=False):
        points = [f"{r.system} {r.accuracy:.1f} % at {r.macs:.0f}" for r in rows.sort_values("macs").itertuples()]
        families.append(f"{label}: {', '.join(points)}")
    return (
        "Test accuracy on ESC-10 against million multiply-accumulates a clip, logarithmic, a marker a family of "
        f"systems, with intervals by source. {'. '.join(families)}."
    )
