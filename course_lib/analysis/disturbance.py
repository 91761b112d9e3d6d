"""Do answers change when a clip is shifted by a few milliseconds, more often at a long hop or with learned widths?

Made from the rows of the grids `words` and `esc50`, which keep their answers to disturbed test clips. The rules are in
study/protocol.md, *Shift and noise*.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots
from course_lib.analysis import frontier, questions, verdicts
from course_lib.analysis.verdicts import Part
from course_lib.study import stats
from course_lib.study.disturbance import GAINS_DB, N_SHIFTS, SNRS_DB, UNCHANGED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRIDS = {"words": "ten spoken words", "esc50": "ESC-50"}  # and the place of each in questions.toml
CONDITION = ["features.hop_ms", "frame_reducer"]
N_RUNS = 10  # five folds with two seeds: a condition is shown once it has all of them
LEVELS = (*(f"gain {gain_db:+g} dB" for gain_db in GAINS_DB), *(f"noise {snr_db:g} dB" for snr_db in SNRS_DB))
ALIKE_MS = (2.5, 5.0, 7.5, 10.0)  # shifts that hops of 10, 20 and 40 ms have in common
SHARES = ("changed_right", "changed_alike", "changed_by_hop", UNCHANGED, *LEVELS)
ASKED = (  # is this rate of the first condition (hop and frame reducer) higher than that of the second?
    ("all frames, 40 ms over 10 ms, shifts of 2.5 to 10 ms", "changed_alike", (40.0, "none"), (10.0, "none")),
    ("DiffRes over equal widths, half the frames", "changed", (10.0, "diffres-light:0.5"), (10.0, "uniform:0.5")),
    (
        "DiffRes over equal widths, a quarter of the frames",
        "changed",
        (10.0, "diffres-light:0.75"),
        (10.0, "uniform:0.75"),
    ),
    (
        "the variant over equal widths, half the frames",
        "changed",
        (10.0, "diffres-contrast:0.5"),
        (10.0, "uniform:0.5"),
    ),
    (
        "the variant over equal widths, a quarter of the frames",
        "changed",
        (10.0, "diffres-contrast:0.75"),
        (10.0, "uniform:0.75"),
    ),
)


def complete(grid: str) -> pd.DataFrame:
    """The published rows of `grid` that keep such answers, without augmentation and guide loss.

    Of conditions that have all `N_RUNS`.
    """
    rows = questions.published(grid)
    if rows.empty or "disturbed_predicted" not in rows:
        return pd.DataFrame()
    usual = {name: value for name, value in questions.usual_fields(GRIDS[grid]).items() if name not in CONDITION}
    rows = questions.chosen(rows, usual)
    return rows[rows.groupby(CONDITION)["fold"].transform("size") >= N_RUNS].reset_index(drop=True)


def answers_in(row: Mapping) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The predicted classes `(clips,)` of a row by the name of the disturbance, and the true classes `(clips,)`."""
    names, targets = list(row["disturbed_names"]), np.asarray(row["disturbed_targets"])
    predicted = np.reshape(row["disturbed_predicted"], (len(names), len(targets)))
    return dict(zip(names, predicted, strict=True)), targets


def runs(grid: str) -> pd.DataFrame:
    """The rows of `complete` with rates as columns.

    Shares: `changed` (of all pairs of a clip and a shift, those whose answer is not that without the shift),
    `changed_right` (the same of clips answered correctly unshifted), `changed_alike` (at the shifts `ALIKE_MS` alone;
    NaN at a hop that does not have all of them), `changed_by_hop` (at the shift of a whole hop alone), `changed_at` (an
    array, a share for each shift), `unchanged` and each of `LEVELS` (accuracy).
    """
    rows = complete(grid)
    if rows.empty:
        return rows
    rows = rows.assign(n_test=rows["disturbed_targets"].map(len))  # of a fold, no more clips than these were disturbed
    return pd.concat([rows, pd.DataFrame([_rates(row) for row in rows.to_dict("records")])], axis=1)


def _rates(row: Mapping) -> dict[str, object]:
    """The columns that `runs` adds to a row."""
    predicted, targets = answers_in(row)
    usual = predicted[f"shift 0/{N_SHIFTS} hop"]
    shifted = np.stack([predicted[f"shift {k}/{N_SHIFTS} hop"] for k in range(1, N_SHIFTS + 1)])
    changed = shifted != usual  # (shifts, clips)
    shifts_ms = np.arange(1, N_SHIFTS + 1) * row["features.hop_ms"] / N_SHIFTS
    alike = np.isin(shifts_ms, ALIKE_MS)
    accuracies = {name: float(np.mean(predicted[name] == targets)) for name in (UNCHANGED, *LEVELS)}
    return {
        "changed": changed.mean(),
        "changed_right": changed[:, usual == targets].mean(),
        "changed_alike": changed[alike].mean() if alike.sum() == len(ALIKE_MS) else np.nan,
        "changed_by_hop": changed[-1].mean(),
        "changed_at": changed.mean(axis=1),
    } | accuracies


def table(grid: str) -> pd.DataFrame:
    """One row per condition of `runs`, fixed hops first, rates in %: empty if there are no rows.

    Columns: `condition` in words, `hop_ms`, `frame_reducer`, `merged` (False for fixed hops), `changed` with its t
    interval over folds, `low` to `high`, and the other rates of `runs`.
    """
    rows, found = runs(grid), []
    if rows.empty:
        return rows
    for (hop_ms, reducer), alike in rows.groupby(CONDITION):
        rate = stats.repeats_interval(alike, "changed").scaled(100)
        row = {"condition": frontier.name(hop_ms, reducer), "hop_ms": hop_ms, "frame_reducer": reducer}
        row |= {"changed": rate.mean, "low": rate.low, "high": rate.high}
        row |= {"changed_at": 100 * np.mean(np.stack(alike["changed_at"]), axis=0)}  # every fold has as many seeds
        found.append(row | {name: 100 * stats.mean_score(alike, name) for name in SHARES})
    made = pd.DataFrame(found)
    merged = made["frame_reducer"] != "none"
    return made.assign(merged=merged).sort_values(["merged", "hop_ms", "frame_reducer"], ignore_index=True)


def tables() -> dict[str, pd.DataFrame]:
    """`table` of each grid that has rows, by the name of its data set."""
    found = {questions.data_of(place): table(grid) for grid, place in GRIDS.items()}
    return {data: rows for data, rows in found.items() if len(rows)}


def answers(grid: str) -> list[Part]:
    """The questions about `grid` in `ASKED` whose rows are all published, with the pooled standard deviation and Holm.

    Empty until every one of them can be asked, because their p values are corrected together.
    """
    rows = runs(grid)
    if rows.empty:
        return []
    by_condition = dict(tuple(rows.groupby(CONDITION)))
    wanted = list(dict.fromkeys(condition for _, _, *both in ASKED for condition in both))
    if not all(condition in by_condition for condition in wanted):
        return []
    design = pd.concat([by_condition[condition] for condition in wanted])
    data, parts = questions.data_of(GRIDS[grid]), []
    for about, rate, *both in ASKED:
        first, second = (by_condition[condition] for condition in both)
        gap = stats.difference(first, second, score=rate, design=design)
        converged = max(map(questions.late_rise, (first, second))) <= questions.STILL_RISING
        parts.append(Part(about, data, gap, converged=converged))
    return verdicts.corrected(parts)


def figure(found: Mapping[str, pd.DataFrame]) -> "Figure":
    """The rate of changed answers, a row of panels for each data set, from its `table`.

    Left against the shift in milliseconds, a line for each fixed hop, which ends at a shift of one hop; right for every
    condition, over all shifts, with its interval.
    """
    with plt.rc_context(plots.STYLE):
        height = sum(0.34 * len(rows) + 1.2 for rows in found.values())
        fig, axes = plt.subplots(len(found), 2, figsize=(11, max(height, 3.4)), squeeze=False)
        hops_ms = sorted({hop_ms for rows in found.values() for hop_ms in rows.loc[~rows["merged"], "hop_ms"]})
        for (left, right), (data, rows) in zip(axes, found.items(), strict=True):
            fixed = rows[~rows["merged"]]
            for row in fixed.itertuples():
                shifts_ms = np.arange(1, N_SHIFTS + 1) * row.hop_ms / N_SHIFTS
                place = hops_ms.index(row.hop_ms)  # a hop looks the same in all panels
                style = {
                    "color": plots.COLOURS[place % len(plots.COLOURS)],
                    "linestyle": plots.LINES[place % len(plots.LINES)],
                }
                left.plot(shifts_ms, row.changed_at, label=f"hop {row.hop_ms:g} ms", **style)
            left.set_title(data, loc="left")
            left.set(xlabel="shift (ms)", ylabel="changed answers (%)", ylim=(0, None))
            left.legend()
            reach = [rows["changed"] - rows["low"], rows["high"] - rows["changed"]]
            right.errorbar(rows["changed"], range(len(rows)), xerr=reach, fmt="o", capsize=3)
            right.set_yticks(range(len(rows)), rows["condition"])
            right.set(xlabel="changed answers, all shifts (%)", xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))
    return fig


def text(found: Mapping[str, pd.DataFrame]) -> str:
    """`figure` in sentences."""
    panels = [
        f"{data}: " + ", ".join(f"{row.condition} {row.changed:.1f}" for row in rows.itertuples())
        for data, rows in found.items()
    ]
    return f"Answers in % that a shift of the clip by up to one hop changes. {'; '.join(panels)}."
