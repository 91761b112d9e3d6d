"""Scenes rescored from the stored events: localisation separated from recognition, and constant answers.

Event F1 mixes two abilities, because an event that is not recognised cannot be localised. Here two systems are compared
on the events of the classes that both recognise in a scene. Notebook: 11.
"""

import io

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
    """Event F1 of two conditions on the pairs of scene and class that both recognise, one row per seed of both.

    `first` and `second` are rows on the same scenes, `truth` is what `study.scene_run.published` returns. Columns:
    `seed`, `pairs` (of scene and class), and `first` and `second`, event F1 as a share with a collar of 200 ms.
    """
    found = []
    both = first.merge(second, on=["fold", "seed", "content"], suffixes=("", "_second"))
    others = {row["seed"]: row for row in second.to_dict("records")}
    for row in first[first["seed"].isin(both["seed"])].to_dict("records"):
        true = truth.loc[truth["content"] == row["content"], COLUMNS]
        lists = [estimated(row), estimated(others[row["seed"]])]
        shared = true[PAIR].drop_duplicates()
        for events in lists:
            shared = shared.merge(events[PAIR].drop_duplicates(), on=PAIR)
        scores = []
        for events in lists:
            kept = (true.merge(shared, on=PAIR)[COLUMNS], events.merge(shared, on=PAIR)[COLUMNS], list(row["classes"]))
            scores.append(detection.event_based_f1(*kept, COLLAR_S, COLLAR_S, zero_division=0).micro_f1)
        found.append((row["seed"], len(shared), *scores))
    return pd.DataFrame(found, columns=["seed", "pairs", "first", "second"])


def localised(
    first: dict, second: dict, rows: pd.DataFrame, truth: pd.DataFrame
) -> tuple[stats.Difference | None, pd.DataFrame]:
    """Event F1 on shared pairs, `first` minus `second`, over seeds; and the table of `on_shared_pairs`.

    `first` and `second` are fields that differ from the usual ones of scenes. None for fewer than two seeds.
    """
    usual = questions.usual_fields("event")
    sides = [questions.chosen(rows, usual | fields) for fields in (first, second)]
    if truth.empty or any(side.empty for side in sides):
        return None, pd.DataFrame()
    table = on_shared_pairs(*sides, truth)
    if len(table) < 2:
        return None, table
    return stats.of_values((table["first"] - table["second"]).to_numpy(), paired_by="seed"), table


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
