"""The effect that each design of the study can detect, and what the next runs would cost and detect.

Costs are estimated from the seconds that published rows took, and the effect detectable on a larger data set from the
spread of differences on the small one. Notebook: 13.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from course_lib.analysis import per_class, questions
from course_lib.analysis.claims import Evidence, sweep
from course_lib.data import registry
from course_lib.study import grid
from course_lib.study.config import RunSpec
from course_lib.study.stats import minimum_detectable_effect

WEEK_H = 168.0
NEXT = ("urbansound8k", "speechcommands", "nsynth", "fsd50k")  # grids that nobody has run yet
# Gains that the papers claim, in points: the smallest that they state for the question
CLAIMED = {"ESC-10, small and from scratch": 4.4}


def designs(evidence: Evidence) -> pd.DataFrame:
    """One row per design: `design`, how many `questions`, `pairs`, `paired_by`, and what it can detect.

    `minimum_detectable_effect` is the median over its questions, in points, `claimed` the least effect that the paper
    states (NaN if it states none), and `sees` says whether the first is below the second.
    """
    found = []
    for where, rows in evidence.answers.groupby("where", sort=False):
        name, claimed = where, CLAIMED.get(where, math.nan)
        if rows["grid"].iloc[0] == "scenes":
            known = questions.paper_scores(where)
            claimed = abs(known[questions.ALL_STREAMS] - known["spectral"])
            name = f"scenes, {where}"
        effect = 100 * rows["minimum_detectable_effect"].median()
        found.append((name, len(rows), rows["pairs"].max(), rows["paired_by"].iloc[0], effect, claimed))
    rows = sweep(evidence)
    cells = per_class.against(rows)
    cells = cells[cells["hop_ms"] != per_class.USUAL_MS]
    pairs = rows["fold"].nunique()
    effects = [100 * minimum_detectable_effect(value, pairs) for value in cells["std"]]
    found.append(("ESC-10, one class, one hop", len(cells), pairs, "fold", np.median(effects), math.nan))
    columns = ["design", "questions", "pairs", "paired_by", "minimum_detectable_effect", "claimed"]
    table = pd.DataFrame(found, columns=columns)
    return table.assign(sees=table["minimum_detectable_effect"] < table["claimed"])


def seconds_a_step(rows: pd.DataFrame, *, gpu: bool = True) -> dict[tuple[str, bool], float]:
    """Median seconds per step of 16 clips, by model and whether a learned frame reducer precedes it."""
    rows = rows[(rows["device"] != "cpu") == gpu]
    rows = rows[rows["recipe.batch_size"] == 16]
    learned = rows["frame_reducer"].str.startswith(("diffres", "shuffled"))
    each = (rows["train_seconds"] / rows["recipe.steps"]).groupby([rows["model"], learned]).median()
    return {(model, bool(scored)): float(value) for (model, scored), value in each.items()}


def _seconds(run: RunSpec, gpu: dict, cpu: dict) -> float:
    """Seconds of a training run on a GPU, NaN if no row measured its network.

    The time of a network that was measured only on a CPU is scaled like that of the 7-layer CNN. The time of a step is
    assumed to be proportional to the batch size, which overestimates it.
    """
    what = (run.model.removesuffix("-scratch"), run.frame_reducer.startswith(("diffres", "shuffled")))
    step, usual = gpu.get(what), ("cnn7", False)
    if step is None and what in cpu and usual in gpu and usual in cpu:
        step = cpu[what] * gpu[usual] / cpu[usual]
    return math.nan if step is None else step * run.recipe.steps * run.recipe.batch_size / 16


def next_runs(published: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """What the prepared grids would take on the GPU of the published rows, and what they could detect.

    Columns: `grid`, `rows`, `hours` of one GPU, `unknown` (rows of networks that no published row measured, not in the
    hours), `week` (share of a week), `clips` per test fold, `pairs`, `minimum_detectable_effect`: that of the pairs of
    folds, in points, if the spread of differences on ESC-10 fell with the root of the number of test clips; NaN for one
    official split, whose pairs are seeds.
    """
    columns = ["grid", "rows", "hours", "unknown", "week", "clips", "pairs", "minimum_detectable_effect"]
    grids = [published(name) for name in ("lesson", "diffres", "transformers", "scratch", "transfer")]
    rows = pd.concat([of_grid for of_grid in grids if len(of_grid)], ignore_index=True)
    gpu, cpu = (seconds_a_step(rows, gpu=where) for where in (True, False))
    aside = float((60 * rows["minutes"] - rows["train_seconds"]).median())
    answers = questions.answers("diffres", published("diffres"))
    std = 100 * float(answers.loc[answers["where"] == questions.LONG, "std"].median())
    found = []
    for name in NEXT:
        runs = grid.read(grid.find(name)).specs
        seconds = np.array([_seconds(run, gpu, cpu) for run in runs])
        known = ~np.isnan(seconds)
        hours = float((seconds[known] + aside).sum() / 3600)
        folds = len({run.fold for run in runs})
        clips = registry.entry(name).clips / folds if folds > 1 else math.nan
        small = float(np.median(rows.loc[rows["dataset"] == "esc10", "n_test"]))
        least = minimum_detectable_effect(std * math.sqrt(small / clips), folds) if folds > 1 else math.nan
        found.append((name, len(runs), hours, int((~known).sum()), hours / WEEK_H, clips, folds, least))
    return pd.DataFrame(found, columns=columns)
