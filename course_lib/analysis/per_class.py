"""Which temporal resolution each class of sound needs, and how much of the answer is noise between folds and seeds.

Ten classes times a few hops are many questions about few clips. Classes are compared by F1. Every difference has a t
interval over folds and a p value that Holm's procedure corrects for the number of questions. The gain from a hop for
each class is measured on folds that did not choose it.
Notebook: 13.
"""

import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.evaluation.intervals import Interval, paired_difference
from course_lib.study import stats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL_MS = 10.0
SURE = 0.05  # probability of at least one false positive in a whole table


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """F1 of each class, `f1` by `label`, `hop_ms` and `fold`, from rows on clips, the seeds of a fold averaged.

    Recall would favour a network that predicts a class too often.
    """
    from sklearn.metrics import f1_score

    found = []
    for row in rows.to_dict("records"):
        true, labels = np.asarray(row["test_targets"]), np.arange(len(row["classes"]))
        by_class = f1_score(true, row["test_predicted"], labels=labels, average=None, zero_division=0)
        for k, label in enumerate(row["classes"]):
            if (true == k).any():
                found.append((label, row["features.hop_ms"], row["fold"], by_class[k]))
    table = pd.DataFrame(found, columns=["label", "hop_ms", "fold", "f1"])
    return table.groupby(["label", "hop_ms", "fold"], as_index=False)["f1"].mean()


def _by_fold(rows: pd.DataFrame) -> pd.DataFrame:
    """`scores` with a row per fold and a column per label and hop, without folds that lack one of these."""
    return scores(rows).pivot(index="fold", columns=["label", "hop_ms"], values="f1").sort_index(axis=1).dropna()


def against(rows: pd.DataFrame) -> pd.DataFrame:
    """How the F1 of each class at each hop differs from that at `USUAL_MS`: one row per class and hop, shares.

    Columns: `label`, `hop_ms`, `f1`, `difference` with its t interval over folds `low` to `high` and its standard
    deviation `std`, `p` (Holm's, over every difference of the table), and `sure` (whether `p` is below 0.05). For
    `USUAL_MS` itself the difference is 0, and `sure` is false.
    """
    wide = _by_fold(rows).T
    table = wide.mean(axis=1).rename("f1").reset_index()
    gaps = [wide.loc[(row.label, row.hop_ms)] - wide.loc[(row.label, USUAL_MS)] for row in table.itertuples()]
    seen = [paired_difference(gap.to_numpy(), np.zeros(len(gap))) for gap in gaps]
    table[["difference", "low", "high"]] = [(s.mean, s.low, s.high) for s in seen]
    asked = table["hop_ms"] != USUAL_MS
    table["std"] = [gap.std(ddof=1) for gap in gaps]
    errors = table["std"].to_numpy() / math.sqrt(wide.shape[1])
    table["p"] = 1.0
    p = [stats.t_test_p(gap, error, wide.shape[1] - 1) for gap, error in zip(table["difference"], errors, strict=True)]
    table.loc[asked, "p"] = stats.holm(np.array(p)[asked])
    table["sure"] = table["p"] < SURE
    return table


def own_hop(rows: pd.DataFrame) -> tuple[Interval, pd.DataFrame]:
    """The gain from one hop for each class over one hop for all, both chosen on the other folds, as a share.

    Returns the gain in F1, averaged over classes, with its t interval over folds, and a row per class: the `hop_ms`
    that all folds together would choose, and `agree`, the number of folds that choose the same. Among equally good hops
    the coarsest is chosen.
    """
    wide = _by_fold(rows)
    labels, hops = (wide.columns.unique(name) for name in ("label", "hop_ms"))
    cube = wide.to_numpy().reshape(len(wide), len(labels), len(hops))[:, :, ::-1]  # coarsest first
    hops, gains, choices = hops.to_numpy()[::-1], [], []
    for place, here in enumerate(cube):
        others = np.delete(cube, place, axis=0).mean(axis=0)
        own, one = _first_best(others), int(_first_best(others.mean(axis=0)))
        gains.append(here[np.arange(len(labels)), own].mean() - here[:, one].mean())
        choices.append(hops[own])
    whole = hops[_first_best(cube.mean(axis=0))]
    agree = (np.array(choices) == whole).sum(axis=0)
    gain = paired_difference(np.array(gains), np.zeros(len(gains)))
    return gain, pd.DataFrame({"label": labels, "hop_ms": whole, "agree": agree})


def _first_best(shares: np.ndarray) -> np.ndarray:
    """Index of the highest share along the last axis, the first of several that differ only by rounding."""
    return shares.round(9).argmax(axis=-1)


def _whole(points: float) -> str:
    """Points rounded to whole ones, with their sign; `0` has none."""
    return f"{round(points):+d}" if round(points) else "0"


def classes_figure(table: pd.DataFrame) -> "Figure":
    """Draw `against` as a heat map, classes by hops; significant cells are framed."""
    points = 100 * table.pivot(index="label", columns="hop_ms", values="difference").drop(columns=USUAL_MS)
    sure = table.pivot(index="label", columns="hop_ms", values="sure").loc[points.index, points.columns]
    reach = max(1.0, float(points.abs().max().max()))
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(8, 0.42 * len(points) + 1.4))
        image = ax.imshow(points, cmap="PuOr", vmin=-reach, vmax=reach, aspect="auto")
        for (row, column), value in np.ndenumerate(points.to_numpy()):
            dark = abs(value) > 0.6 * reach
            ax.text(column, row, _whole(value), ha="center", va="center", color="white" if dark else "black")
            if sure.iat[row, column]:
                ax.add_patch(plt.Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, linewidth=2.5))
        ax.set_xticks(range(points.shape[1]), [f"{hop:g}" for hop in points.columns])
        ax.set_yticks(range(len(points)), [label.replace("_", " ") for label in points.index])
        ax.set_xlabel("hop (ms)")
        fig.colorbar(image, ax=ax, label=f"F1 in points against {USUAL_MS:g} ms")
    return fig


def classes_text(table: pd.DataFrame) -> str:
    """`classes_figure` in a sentence."""
    asked = table[table["hop_ms"] != USUAL_MS]
    lines = []
    for label, rows in asked.groupby("label"):
        points = [f"{_whole(100 * row.difference)} at {row.hop_ms:g} ms" for row in rows.itertuples()]
        lines.append(f"{label.replace('_', ' ')} {', '.join(points)}")
    framed = int(asked["sure"].sum())
    return (
        f"F1 minus that at {USUAL_MS:g} ms in points, classes by hops; {framed} of {len(asked)} differences are "
        f"significant and framed: {'; '.join(lines)}."
    )
