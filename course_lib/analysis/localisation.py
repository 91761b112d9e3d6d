"""Scenes rescored from the stored events: localisation separated from recognition, and constant answers.

Event F1 mixes two abilities, because an event that is not recognised cannot be localised. Here two systems are compared
on the events of the classes that both recognise in a scene. Notebook: 11.
"""

import io
from collections.abc import Callable

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


def on_shared_pairs(first: pd.DataFrame, second: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Event F1 of two conditions on the pairs of scene and class that both recognise, for every fold and seed of both.

    `first` and `second` are rows on the same scenes, `truth` is what `study.scene_run.published` returns. Columns:
    `fold`, `seed`, `pairs` (of scene and class), and `first` and `second`, event F1 as a share with a collar of 200 ms.
    """
    found = []
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
        scores = []
        for events in lists:
            kept = (true.merge(shared, on=PAIR)[COLUMNS], events.merge(shared, on=PAIR)[COLUMNS], list(row["classes"]))
            scores.append(detection.event_based_f1(*kept, COLLAR_S, COLLAR_S, zero_division=0).micro_f1)
        found.append((row["fold"], row["seed"], len(shared), *scores))
    return pd.DataFrame(found, columns=["fold", "seed", "pairs", "first", "second"])


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
    """`constant_answers` on the published test scenes; empty if there are none."""
    rows, truth = questions.published("scenes"), scene_run.published()
    usual = questions.chosen(rows, questions.usual_fields("event"))
    if usual.empty or truth.empty:
        return {}
    row = usual.iloc[0]
    return constant_answers(truth[truth["content"] == row["content"]], int(row["n_test"]), float(row["scenes.clip_s"]))
