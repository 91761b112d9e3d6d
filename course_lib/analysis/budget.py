"""How far frames can be merged on the timing probe, and how often learning where to merge fails.

Made from the rows of the grids `failures` and `budget`, which share their settings. The rules and bars are in
study/protocol.md, *Failures of learned widths* and *Budget curve*. Notebooks: 07, 08.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.analysis import probe, questions, verdicts
from course_lib.analysis.verdicts import Part
from course_lib.study import stats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRIDS = ("failures", "budget")
INPUT_HOP_MS = 2.5
VARIANT, PUBLISHED = "diffres-contrast", "diffres-light"
REDUCTIONS = (0.75, 0.9, 0.95)
SINGLE_SEEDS = (0, 1, 2, 3)  # of the runs that are counted individually
CURVE_SEEDS, N_FOLDS = (0, 1), 5  # of the runs that the curve compares
N_SINGLE = 20  # single runs of a form at a reduction: five folds, four seeds
BAR_SINGLE, BAR_GROUPS = 18, 20  # successes needed among the single runs, and among the 20 groups of three
CONDITIONS = {
    "none": "longer hop", "uniform": "equal widths", "random": "random widths", "energy": "widths by energy",
    "flux": "widths by flux", PUBLISHED: "DiffRes, light scorer", "diffres": "DiffRes, published scorer and guide loss",
    VARIANT: "DiffRes, contrast variant", "shuffled": "DiffRes, widths shuffled", "oracle": "oracle",
}  # fmt: skip
STYLES = {
    "oracle": ("black", "D", "--"), "longer hop": ("grey", "o", "-"), "equal widths": (plots.COLOURS[0], "s", "-"),
    "widths by flux": (plots.COLOURS[2], "^", "-"), "DiffRes, light scorer": (plots.COLOURS[1], "v", "-"),
    "DiffRes, contrast variant": (plots.COLOURS[3], "P", "-"),
}  # fmt: skip


def runs(grids: Sequence[str] = GRIDS) -> pd.DataFrame:
    """The published rows of `grids`, with `kind` (a key of `CONDITIONS`) and `saved` (share of frames removed)."""
    rows = pd.concat([questions.published(grid) for grid in grids], ignore_index=True)
    if not len(rows):
        return rows
    kind = rows["frame_reducer"].str.partition(":")
    by_hop = 1 - INPUT_HOP_MS / rows["features.hop_ms"]
    return rows.assign(kind=kind[0], saved=pd.to_numeric(kind[2], errors="coerce").fillna(by_hop).round(4))


def curve(grids: Sequence[str] = GRIDS) -> pd.DataFrame:
    """One row per condition and share of frames saved, as far as rows of `grids` are published.

    Columns: `condition` in words, `frame_reducer` (without its share), `saved`, `runs`, `folds`, `accuracy`, `low`,
    `high` (%, interval by source), `successes` (runs of at least `probe.SUCCESS`), and `success_low`, `success_high`
    (exact 95 % interval of their share). `longer hop` at `saved` 0 stands for all frames of 2.5 ms.
    """
    columns = ["condition", "frame_reducer", "saved", "runs", "folds", "accuracy", "low", "high", "successes",
               "success_low", "success_high"]  # fmt: skip
    rows, found = runs(grids), []
    if len(rows):
        for (kind, saved), alike in rows.groupby(["kind", "saved"]):
            got = stats.accuracy(alike).scaled(100)
            good = int((alike["test_accuracy"] >= probe.SUCCESS).sum())
            share = probe.success_interval(good, len(alike))
            found.append((
                CONDITIONS[kind], kind, saved, len(alike), alike["fold"].nunique(), got.mean, got.low, got.high, good,
                share.low, share.high,
            ))  # fmt: skip
    table = pd.DataFrame(found, columns=columns)
    rank = table["condition"].map(list(CONDITIONS.values()).index)
    return table.assign(rank=rank).sort_values(["rank", "saved"], ignore_index=True).drop(columns="rank")


def failures() -> pd.DataFrame:
    """How often a single run of either form of DiffRes succeeds, over the seeds in `SINGLE_SEEDS`.

    One row per reduction. Columns: `saved`; `variant`, `variant_runs`, `published`, `published_runs` (successes and
    runs), `variant_mean`, `published_mean` (test accuracy of the runs that succeed, in %); `p`, of Fisher's exact test,
    two-sided, with Holm's correction over the reductions, NaN until all twenty runs of both forms are published at
    every reduction; `groups`, `groups_met` (groups of three seeds of the variant, and those whose run with the best
    validation accuracy succeeds); and `counts_met`: whether both counts of the bar are reached, None while one of them
    can still change.
    """
    from scipy.stats import fisher_exact

    rows, found = runs(), []
    for saved in REDUCTIONS:
        at = rows[rows["saved"] == saved] if len(rows) else rows
        row: dict[str, object] = {"saved": saved}
        for name, kind in (("variant", VARIANT), ("published", PUBLISHED)):
            single = at[(at["kind"] == kind) & at["seed"].isin(SINGLE_SEEDS)] if len(at) else at
            accuracies = np.array(single["test_accuracy"]) if len(single) else np.array([])
            good = accuracies >= probe.SUCCESS
            mean = 100 * accuracies[good].mean() if good.any() else np.nan
            row |= {name: int(good.sum()), f"{name}_runs": len(good), f"{name}_mean": mean}
        groups = best_of_three(at[at["kind"] == VARIANT]) if len(at) else []
        met = sum(accuracy >= probe.SUCCESS for accuracy in groups)
        found.append(row | {"groups": len(groups), "groups_met": met, "counts_met": _counts_met(row, len(groups), met)})
    table = pd.DataFrame(found)
    counts = table[["variant", "variant_runs", "published", "published_runs"]].to_numpy()
    p = np.full(len(table), np.nan)
    if (counts[:, [1, 3]] == N_SINGLE).all():
        p = stats.holm([fisher_exact([[a, n - a], [b, m - b]]).pvalue for a, n, b, m in counts])
    return table.assign(p=p)


def _counts_met(row: Mapping[str, object], groups: int, met: int) -> bool | None:
    """Whether both counts of the bar are reached; None while that depends on runs that are still missing."""
    if N_SINGLE - row["variant_runs"] + row["variant"] < BAR_SINGLE or met < groups:
        return False
    return True if row["variant_runs"] == N_SINGLE and groups == BAR_GROUPS else None


def answers() -> list[Part]:
    """Is the variant better than equal widths, than widths by flux and than the light scorer, at each reduction?

    Nine differences in accuracy, with the pooled standard deviation of both grids and Holm's correction. Empty until
    every row that one of them needs is published.
    """
    rows = runs()
    if not len(rows):
        return []
    rows = rows[rows["seed"].isin(CURVE_SEEDS)]
    design = rows.drop(columns=["kind", "saved"])
    parts = []
    for saved in REDUCTIONS:
        by_kind = dict(tuple(rows[rows["saved"] == saved].groupby("kind")))
        for rival in ("uniform", "flux", PUBLISHED):
            pair = [by_kind.get(kind, rows[:0]) for kind in (VARIANT, rival)]
            if any(len(of_kind) < N_FOLDS * len(CURVE_SEEDS) for of_kind in pair):
                return []
            about = f"{100 * (1 - saved):g} % of the frames, over {CONDITIONS[rival]}"
            parts.append(Part(about, questions.DATA["timing"], stats.difference(*pair, design=design)))
    return verdicts.corrected(parts)


def best_of_three(rows: pd.DataFrame) -> list[float]:
    """Test accuracies of the runs chosen by validation among seeds 3k, 3k + 1, 3k + 2 of a fold; whole groups only."""
    chosen = []
    for _, group in rows.groupby(["fold", rows["seed"] // 3]):
        if len(group) == 3:
            chosen.append(float(probe.best_of_seeds(group)["test_accuracy"].iloc[0]))
    return chosen


def figure(found: pd.DataFrame) -> "Figure":
    """Test accuracy against the share of frames kept, between floor and oracle, a line per condition.

    `found` is the table of `curve`. Error bars are intervals by source; an open marker means that some runs failed and
    others did not, so their mean describes neither.
    """
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(9, 4.6))
        for condition, (colour, marker, line) in STYLES.items():
            rows = found[found["condition"] == condition].sort_values("saved")
            if not len(rows):
                continue  # no name in the legend without a line
            kept = 100 * (1 - rows["saved"])
            error = [rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]]
            ax.errorbar(kept, rows["accuracy"], yerr=error, fmt="none", ecolor=colour, elinewidth=1, capsize=2)
            ax.plot(kept, rows["accuracy"], color=colour, linestyle=line, linewidth=1)
            split = (rows["successes"] > 0) & (rows["successes"] < rows["runs"])
            for mixed, face in ((False, colour), (True, "white")):
                at = split == mixed
                ax.plot(kept[at], rows["accuracy"][at], marker, color=colour, markerfacecolor=face, markersize=8)
            ax.plot([], [], marker, color=colour, linestyle=line, label=condition)
        ax.axhline(50, color="grey", linewidth=1, linestyle=":")
        ax.set_xscale("log")
        plots.log_ticks(ax.xaxis, (5, 10, 25, 50, 100))
        ax.set(xlabel="frames kept (% of all frames of 2.5 ms)", ylabel="test accuracy (%)", ylim=(45, 103))
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def text(found: pd.DataFrame) -> str:
    """`figure` in sentences."""
    lines = []
    for condition in STYLES:
        rows = found[found["condition"] == condition].sort_values("saved")
        points = [
            f"{r.accuracy:.0f} % at {100 * (1 - r.saved):g} % ({r.successes} of {r.runs} runs reach 95 %)"
            for r in rows.itertuples()
        ]
        if points:
            lines.append(f"{condition}: {', '.join(points)}")
    return f"Test accuracy on the timing probe against the share of frames kept. {'; '.join(lines)}. Chance is 50 %."
