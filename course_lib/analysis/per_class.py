"""Which temporal resolution each class of sound needs, and how much of the answer is noise of folds and starts.

Ten classes times a few hops are many questions to few clips. Every difference has a t interval over folds, and a p
value that Holm's procedure has made larger for the number of questions; a shrunken difference keeps the share of the
spread that noise does not explain; and what each class gains by a hop of its own is measured on folds that had no say
in which hop that is. Notebook: 12.
"""

import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.evaluation.intervals import Interval, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL_MS = 10.0
SURE = 0.05  # chance of one false mark or more in a whole table


def recalls(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of right answers by `label`, `hop_ms` and `fold`, the starts of a fold averaged, from rows on clips."""
    found = [
        (label, row["features.hop_ms"], row["fold"], np.mean(np.asarray(row["test_correct"])[of_class]))
        for row in rows.to_dict("records")
        for k, label in enumerate(row["classes"])
        if (of_class := np.asarray(row["test_targets"]) == k).any()
    ]
    table = pd.DataFrame(found, columns=["label", "hop_ms", "fold", "accuracy"])
    return table.groupby(["label", "hop_ms", "fold"], as_index=False)["accuracy"].mean()


def _by_fold(rows: pd.DataFrame) -> pd.DataFrame:
    """`recalls`, a line a fold and a column a label and hop; folds that lack one of these are left out."""
    return recalls(rows).pivot(index="fold", columns=["label", "hop_ms"], values="accuracy").sort_index(axis=1).dropna()


def against(rows: pd.DataFrame, hop_ms: float = USUAL_MS) -> pd.DataFrame:
    """One row a class and hop: `accuracy`, its `difference` to `hop_ms` with the t interval over folds, all as shares.

    `p` is Holm's, over every difference of the table; `sure` says whether it is below 0.05. `shrunk` is the difference
    drawn to the mean of its hop by the share of the spread among classes that is noise of folds (James and Stein).
    Columns: `label`, `hop_ms`, `accuracy`, `difference`, `low`, `high`, `p`, `sure`, `shrunk`; at `hop_ms` itself the
    difference is 0 and nothing is sure.
    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979;
    Efron & Morris, "Data analysis using Stein's estimator", JASA 70, 1975.
    """
    wide = _by_fold(rows).T
    table = wide.mean(axis=1).rename("accuracy").reset_index()
    gaps = [wide.loc[(row.label, row.hop_ms)] - wide.loc[(row.label, hop_ms)] for row in table.itertuples()]
    seen = [paired_difference(gap.to_numpy(), np.zeros(len(gap))) for gap in gaps]
    table[["difference", "low", "high"]] = [(s.mean, s.low, s.high) for s in seen]
    asked = table["hop_ms"] != hop_ms
    errors = np.array([gap.std(ddof=1) / math.sqrt(len(gap)) for gap in gaps])
    table["p"] = 1.0
    table.loc[asked, "p"] = holm(_p_values(table["difference"], errors, wide.shape[1])[asked])
    table["sure"] = table["p"] < SURE
    table["shrunk"] = table["difference"]
    for _, of_hop in table[asked].groupby("hop_ms"):
        middle = of_hop["difference"].mean()
        table.loc[of_hop.index, "shrunk"] = middle + real_share(of_hop["difference"], errors[of_hop.index]) * (
            of_hop["difference"] - middle
        )
    return table


def _p_values(means: pd.Series, errors: np.ndarray, folds: int) -> np.ndarray:
    """Of a two-sided t test of each mean; 1 where all folds agree on no difference, or there are too few to ask."""
    from scipy.stats import t

    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * t.sf(np.abs(means.to_numpy()) / errors, folds - 1)
    return np.nan_to_num(found, nan=1.0)


def holm(p: np.ndarray) -> np.ndarray:
    """p values `(questions,)` that may be compared with one level although so many questions were asked."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(raised, 1)
    return found


def real_share(means: np.ndarray, errors: np.ndarray) -> float:
    """Share, 0 to 1, of the spread among `means` that their standard `errors` do not explain."""
    spread = float(np.var(means, ddof=1))
    return max(0.0, 1 - float(np.mean(np.square(errors))) / spread) if spread > 0 else 0.0


def own_hop(rows: pd.DataFrame) -> tuple[Interval, pd.DataFrame]:
    """What a hop of its own is worth to a class, chosen on other folds: the gain over one hop for all, as a share.

    For every fold the others choose: one hop for each class, and one for all. Returns the mean gain in recall over the
    classes with its t interval over folds, and a row a class: the `hop_ms` that all folds together would choose, and
    `agree`, how many of the choices say the same. The first of equally good hops is the coarsest.
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
    """Place of the highest along the last axis, of equals the first, though means of equals differ in a last digit."""
    return shares.round(9).argmax(axis=-1)


def classes_figure(table: pd.DataFrame, hop_ms: float = USUAL_MS) -> "Figure":
    """`against` as a grid of numbers, classes by hops; what is sure stands in a frame."""
    points = 100 * table.pivot(index="label", columns="hop_ms", values="difference").drop(columns=hop_ms)
    sure = table.pivot(index="label", columns="hop_ms", values="sure").loc[points.index, points.columns]
    reach = max(1.0, float(points.abs().max().max()))
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(8, 0.42 * len(points) + 1.4))
        image = ax.imshow(points, cmap="PuOr", vmin=-reach, vmax=reach, aspect="auto")
        for (row, column), value in np.ndenumerate(points.to_numpy()):
            dark = abs(value) > 0.6 * reach
            ax.text(column, row, f"{round(value):+d}", ha="center", va="center", color="white" if dark else "black")
            if sure.iat[row, column]:
                ax.add_patch(plt.Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, linewidth=2.5))
        ax.set_xticks(range(points.shape[1]), [f"{hop:g}" for hop in points.columns])
        ax.set_yticks(range(len(points)), [label.replace("_", " ") for label in points.index])
        ax.set_xlabel("hop (ms)")
        fig.colorbar(image, ax=ax, label=f"points against {hop_ms:g} ms")
    return fig


def classes_text(table: pd.DataFrame, hop_ms: float = USUAL_MS) -> str:
    """What `classes_figure` shows, in a sentence, for those who do not see it."""
    asked = table[table["hop_ms"] != hop_ms]
    lines = [
        f"{label.replace('_', ' ')} " + ", ".join(f"{100 * d:+.0f} at {h:g} ms" for h, d in
                                                  of[["hop_ms", "difference"]].to_numpy())
        for label, of in asked.groupby("label")
    ]  # fmt: skip
    framed = int(asked["sure"].sum())
    return (
        f"Difference in accuracy to {hop_ms:g} ms in points, classes by hops, {framed} of {len(asked)} in a frame as "
        f"more than noise: {'; '.join(lines)}."
    )
