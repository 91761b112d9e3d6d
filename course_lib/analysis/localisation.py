"""Scenes rescored from the stored events: localisation separated from recognition, and constant answers.

Event F1 mixes two abilities, because an event that is not recognised cannot be localised. Here two systems are compared
on the events of the classes that both recognise in a scene. Notebook: 11.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.analysis import questions
from course_lib.data.events import COLUMNS
from course_lib.evaluation import detection
from course_lib.study import config, scene_run, stats
from course_lib.training.mean_teacher import COLLAR_S

PAIR = ["filename", "event_label"]
SEGMENT_S = 1.0


def estimated(row: dict) -> pd.DataFrame:
    """The detected events of a row; with a single stream and all frames, corrected for the offset of its features."""
    events, spec = pd.read_csv(io.StringIO(row["test_estimated"])), config.from_fields(row)
    if len(spec.names) == 1 and spec.frame_reducer == "none":
        times = events[["onset", "offset"]] + scene_run.offset_s(spec)
        events[["onset", "offset"]] = times.clip(0, spec.scenes.clip_s)
    return events


@dataclass(frozen=True)
class Shared:
    """Two runs on the same scenes, on the pairs of scene and class that both recognise.

    Attributes
    ----------
    row : the row of the first run.
    pairs : the number of pairs of scene and class.
    true, first, second : the true events of these pairs, and the events that each of the two runs detected.
    """

    row: dict
    pairs: int
    true: pd.DataFrame
    first: pd.DataFrame
    second: pd.DataFrame


def shared_runs(first: pd.DataFrame, second: pd.DataFrame, truth: pd.DataFrame) -> Iterator[Shared]:
    """Every fold and seed that both conditions have, on the same scenes.

    `first` and `second` are rows, `truth` is what `study.scene_run.published` returns.
    """
    others = {(row["fold"], row["seed"], row["content"]): row for row in second.to_dict("records")}
    for row in first.to_dict("records"):
        other = others.get((row["fold"], row["seed"], row["content"]))
        if other is None:
            continue
        true = truth.loc[truth["content"] == row["content"], COLUMNS]
        lists = [estimated(row), estimated(other)]
        shared = true[PAIR].drop_duplicates()
        for events in lists:
            shared = shared.merge(events[PAIR].drop_duplicates(), on=PAIR)
        yield Shared(row, len(shared), *(events.merge(shared, on=PAIR)[COLUMNS] for events in (true, *lists)))


def on_shared_pairs(first: pd.DataFrame, second: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Event F1 of two conditions on the pairs of scene and class that both recognise, for every fold and seed of both.

    Arguments as for `shared_runs`. Columns: `fold`, `seed`, `pairs` (of scene and class), and `first` and `second`,
    event F1 as a share with a collar of 200 ms.
    """
    found = []
    for run in shared_runs(first, second, truth):
        classes = list(run.row["classes"])
        scores = [
            detection.event_based_f1(run.true, events, classes, COLLAR_S, COLLAR_S, zero_division=0).micro_f1
            for events in (run.first, run.second)
        ]
        found.append((run.row["fold"], run.row["seed"], run.pairs, *scores))
    return pd.DataFrame(found, columns=["fold", "seed", "pairs", "first", "second"])


def onset_errors_s(true: pd.DataFrame, events: pd.DataFrame) -> np.ndarray:
    """For every true event, the onset of the nearest detected event of its scene and class minus its own, in s.

    Events of a scene and class without any detected event are left out.
    """
    left, right = (one.sort_values("onset") for one in (true, events))
    right = right[["onset", *PAIR]].assign(found=right["onset"])
    nearest = pd.merge_asof(left, right, on="onset", by=PAIR, direction="nearest")
    return (nearest["found"] - nearest["onset"]).dropna().to_numpy()


def localised(
    first: dict,
    second: dict,
    where: str = "event",
    published: Callable[[str], pd.DataFrame] = questions.published,
) -> tuple[stats.Difference | None, pd.DataFrame]:
    """Event F1 on shared pairs, `first` minus `second`; and the table of `on_shared_pairs`.

    `where` is a place of questions.toml; `first` and `second` are fields that differ from the usual ones there.
    `published` returns the rows of a grid by its name. The difference is over folds, after averaging their seeds, or
    over the seeds of a single fold. It is None for fewer than two, or if a condition lacks some of its runs.
    """
    grid, repeats = questions.grid_of(where)
    rows, truth = published(grid), scene_run.published(grid)
    usual = questions.usual_fields(where)
    sides = [questions.chosen(rows, usual | fields) for fields in (first, second)]
    if truth.empty or min(len(side) for side in sides) < repeats:
        return None, pd.DataFrame()
    table = on_shared_pairs(*sides, truth)
    if len(table) < 2:
        return None, table
    paired_by = "fold" if table["fold"].nunique() > 1 else "seed"
    gaps = (table["first"] - table["second"]).groupby(table[paired_by]).mean()
    overlap = stats.overlap_of(sides[0]) if paired_by == "fold" else 0.0
    return stats.of_values(gaps.to_numpy(), paired_by=paired_by, overlap=overlap), table


def constant_answers(truth: pd.DataFrame, filenames: int, clip_s: float) -> dict[str, float]:
    """Micro F1, as shares, of a constant answer: every class in every scene, active from start to end.

    `truth` has the events of one set of scenes (columns `filename`, `onset`, `offset`, `event_label`), of which there
    are `filenames`, each `clip_s` long. Keys are those of `stats.SCORES`. Scenes without events count too.
    """
    classes = sorted(truth["event_label"].unique())
    names = list(truth["filename"].unique())
    names += [f"empty {k}" for k in range(filenames - len(names))]
    always = pd.DataFrame([(name, 0.0, clip_s, label) for name in names for label in classes], columns=COLUMNS)
    true = truth[COLUMNS]
    tags = true[PAIR].drop_duplicates()
    return {
        "tagging": 2 * len(tags) / (len(tags) + len(always)),  # every tag is found, and the others are false alarms
        "segment": detection.segment_based_f1(true, always, classes, clip_s, SEGMENT_S, zero_division=0).micro_f1,
        "event": detection.event_based_f1(true, always, classes, COLLAR_S, COLLAR_S, zero_division=0).micro_f1,
    }


def published_baselines() -> dict[str, float]:
    """`constant_answers` on the published test scenes of the first study; empty if there are none."""
    rows = questions.chosen(questions.published("scenes"), questions.usual_fields("event"))
    return mean_baselines(rows.iloc[:1], scene_run.published())


def mean_baselines(rows: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """`constant_answers` on the test scenes of `rows`, averaged over their folds; empty without rows or `truth`."""
    if rows.empty or truth.empty:
        return {}
    found = [
        constant_answers(truth[truth["content"] == row["content"]], int(row["n_test"]), float(row["scenes.clip_s"]))
        for row in rows.drop_duplicates("content").to_dict("records")
    ]
    return pd.DataFrame(found).mean().to_dict()


# --- Scenes on five folds

EVERY_FOLD = "tagging, five folds"  # a place of questions.toml
CONDITIONS = {
    "log-mel": {"streams": "spectral", "auditory_ms": 320},
    "auditory every 80 ms": {"streams": "auditory", "auditory_ms": 80},
    "auditory every 160 ms": {"streams": "auditory", "auditory_ms": 160},
    "auditory every 320 ms": {"streams": "auditory", "auditory_ms": 320},
    "log-mel and auditory every 320 ms": {"streams": "spectral+auditory", "auditory_ms": 320},
}
LOCALISED = (  # the pairs of conditions whose localisation is compared
    ("log-mel", "auditory every 320 ms"),
    ("log-mel", "log-mel and auditory every 320 ms"),
    ("auditory every 80 ms", "auditory every 320 ms"),
    ("auditory every 160 ms", "auditory every 320 ms"),
)
QUANTILES = (0.1, 0.5, 0.9)


def on_five_folds(published: Callable[[str], pd.DataFrame] = questions.published) -> dict[str, pd.DataFrame]:
    """The rows of each of `CONDITIONS` that has all its runs."""
    grid, repeats = questions.grid_of(EVERY_FOLD)
    rows, usual = published(grid), questions.usual_fields(EVERY_FOLD)
    found = {name: questions.chosen(rows, usual | fields) for name, fields in CONDITIONS.items()}
    return {name: rows for name, rows in found.items() if len(rows) >= repeats}


def onset_table(conditions: Mapping[str, pd.DataFrame], truth: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the onset error (ms) of both sides of `LOCALISED` on the events that both recognise, over all runs.

    `conditions` is what `on_five_folds` returns. Columns: `first`, `second` (conditions), `events`, and for each side
    and quantile one such as `first 0.1`.
    """
    found = []
    for first, second in LOCALISED:
        if first not in conditions or second not in conditions:
            continue
        runs = list(shared_runs(conditions[first], conditions[second], truth))
        row: dict[str, object] = {"first": first, "second": second, "events": sum(len(run.true) for run in runs)}
        for side in ("first", "second"):
            errors_s = np.concatenate([onset_errors_s(run.true, getattr(run, side)) for run in runs])
            row |= {f"{side} {q:g}": 1000 * np.quantile(errors_s, q) for q in QUANTILES}
        found.append(row)
    return pd.DataFrame(found)
