"""The timing probe, where a run of DiffRes either fails or reaches the ceiling, so that successes are counted.

Notebook: 08.
"""

import pandas as pd

from course_lib.analysis import questions
from course_lib.evaluation.intervals import Interval

SUCCESS = 0.95  # lowest test accuracy of a run that succeeds
COLUMNS = (
    "condition", "frame_reducer", "hop_ms", "runs", "successes", "low", "high", "succeeded", "mean", "best_of_three",
)  # fmt: skip


def runs() -> pd.DataFrame:
    """The published rows on the timing probe."""
    rows = questions.published("diffres")
    return rows[rows["dataset"] == "timing"] if len(rows) else rows


def best_of_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """For each fold of one condition, the row with the highest validation accuracy, then the lowest loss."""
    order = rows.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True])
    return order.groupby("fold").head(1).sort_values("fold")


def success_interval(successes: int, runs: int, level: float = 0.95) -> Interval:
    """The share of runs that succeed and its exact binomial (Clopper-Pearson) interval."""
    from scipy.stats import binomtest

    found = binomtest(successes, runs).proportion_ci(level, method="exact")
    return Interval(successes / runs, float(found.low), float(found.high), level)


def successes(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per condition of the probe, the most successful first; shares.

    Columns: `condition` in words, `frame_reducer`, `hop_ms`, `runs`, `successes` (runs with a test accuracy of at least
    `SUCCESS`), `low` and `high` of their share, `succeeded` (mean accuracy of these runs, NaN if there are none),
    `mean` (of all runs), and `best_of_three` (mean over folds of the runs chosen by validation).
    """
    found = []
    for (reducer, hop_ms), of_condition in rows.groupby(["frame_reducer", "features.hop_ms"]):
        good = of_condition["test_accuracy"] >= SUCCESS
        share = success_interval(int(good.sum()), len(good))
        found.append((
            name(reducer, hop_ms), reducer, hop_ms, len(good), int(good.sum()), share.low, share.high,
            of_condition.loc[good, "test_accuracy"].mean(), of_condition["test_accuracy"].mean(),
            best_of_seeds(of_condition)["test_accuracy"].mean(),
        ))  # fmt: skip
    table = pd.DataFrame(found, columns=list(COLUMNS))
    return table.sort_values(["successes", "best_of_three"], ascending=False, ignore_index=True)


def name(reducer: str, hop_ms: float) -> str:
    """A condition of the probe in words."""
    kind, _, saved = reducer.partition(":")
    if kind == "none":
        return f"all frames of {hop_ms:g} ms"
    words = {"diffres-light": "DiffRes (light scorer)", "diffres": "DiffRes (published scorer)",
             "uniform": "equal widths", "energy": "widths by energy", "flux": "widths by flux"}  # fmt: skip
    return f"{words.get(kind, kind)}, {100 - 100 * float(saved):g} % of the frames"
