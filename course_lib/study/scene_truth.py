"""What rows on scenes were judged by, kept beside them; and events read again where features came early or late."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import mean_teacher, metrics, timebase
from course_lib.events import COLUMNS
from course_lib.models import crnn
from course_lib.paths import published_dir, write_whole
from course_lib.study import scene_run
from course_lib.study.rows import current_content
from course_lib.study.scene_spec import SceneRun
from course_lib.study.spec import flat_types, from_dict

TRUTH = "truth.parquet"


def keep(specs: Iterable[SceneRun], folder: Path) -> Path:
    """Write the strong labels of all test scenes of `specs` into `folder`, and return the file.

    Columns: `content`, the hash of the scenes as rows have it, `filename`, `onset`, `offset` (s) and `event_label`.
    Rows keep the events that were detected; with the true ones beside them anyone can judge them otherwise.
    """
    sets = {(spec.dataset, spec.fold, spec.scenes) for spec in specs}
    found = {scenes.content: scenes.part("test").events[COLUMNS] for scenes in (scene_run.scenes_of(*s) for s in sets)}
    table = pd.concat([events.assign(content=content) for content, events in sorted(found.items())])
    write_whole(folder / TRUTH, table[["content", *COLUMNS]].to_parquet(None, compression="zstd", index=False))
    return folder / TRUTH


def published() -> pd.DataFrame:
    """What `keep` wrote beside the published rows on scenes; no rows where there is none."""
    path = published_dir() / "scenes" / TRUTH
    if not path.is_file():
        return pd.DataFrame(columns=["content", *COLUMNS])
    return current_content(pd.read_parquet(path))


def spec_of(row: dict) -> SceneRun:
    """The run that `row` is of."""
    fields = {name: row[name] for name in flat_types(SceneRun) if name in row}
    return from_dict({name: None if value != value else value for name, value in fields.items()}, SceneRun)


def offset_s(spec: SceneRun) -> float:
    """Seconds between an output frame of a run with one stream and the sound that it tells of, on average.

    Negative where it tells of an earlier sound. Frames that are brought to others by the nearest are all moved the same
    way where one distance divides the other, by an amount that depends on both; and the strided convolutions on the
    log-mel look one and a half frames before `out_s`. What reads events from such frames finds them early or late.

    Raises
    ------
    ValueError
        The run has several streams, each with an offset of its own, or a front, which has one a frame.
    """
    if len(spec.names) > 1 or spec.front != "none":
        raise ValueError(f"streams={spec.streams!r}, front={spec.front!r}: expected one stream and no front")
    frames_s = scene_run.frame_times_s(spec.features, spec.scenes.clip_s)
    if spec.names == ("spectral",):
        return crnn.EARLY_FRAMES * spec.features.hop_ms / -1000
    (times_s, _), out_s = scene_run.shapes_of(spec, spec.scenes.clip_s)[spec.names[0]], crnn.output_times_s(frames_s)
    inside = (times_s[0] <= out_s) & (out_s <= times_s[-1])  # beyond the ends the first and the last frame stand still
    seen_s = timebase.alignment(times_s, out_s, "nearest" if spec.align == "learned" else spec.align) @ times_s
    return float(np.mean((seen_s - out_s)[inside])) if inside.any() else 0.0


def set_right(rows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """`rows` of one stream each, with the event F1 that they have once their `offset_s` is undone."""
    found = []
    for row in rows.to_dict("records"):
        spec, of_row = spec_of(row), truth[truth["content"] == row["content"]]
        estimated = pd.read_csv(io.StringIO(row["test_estimated"]))
        times = estimated[["onset", "offset"]] + offset_s(spec)
        estimated[["onset", "offset"]] = times.clip(0, spec.scenes.clip_s)
        lists, collar_s = (of_row[COLUMNS], estimated, list(row["classes"])), mean_teacher.COLLAR_S
        found.append(metrics.event_based_f1(*lists, collar_s, collar_s, silent_zero=True).micro_f1)
    return rows.assign(test_event_f1=found)
