"""Your own recorded scenes: a folder of videos or sounds with DCASE's lists, or AVE, whose lists differ.

Such sets may not be redistributed, so nothing is downloaded. Clips that are listed but missing are counted in a
warning, because results on another part of a set are not comparable. If every clip is a video, the scenes have video
frames too. Notebook: 10.
"""

import csv
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.audio import io as audio_io
from course_lib.audio import timebase, video
from course_lib.data import download
from course_lib.data import events as lists
from course_lib.data.cache import digest
from course_lib.errors import CourseError
from course_lib.scenes.scenes import PARTS, Scenes

CLIP_S = 10.0  # as in DESED, AudioSet and AVE
SLACK_S = 0.1  # an event may end this much after its clip, whose sound is seldom 10.000 s long; it is cut there
AVE_LISTS = {"trainSet.txt": "weak", "valSet.txt": "validation", "testSet.txt": "test"}
log = logging.getLogger(__name__)


def video_folder(folder: Path) -> Scenes:
    """Your own clips with sound, or videos: `folder` holds the files, and lists in DCASE's form beside them.

    `weak.tsv` (columns `filename`, `event_labels` with commas between them), `validation.tsv` and `test.tsv`
    (`filename`, `onset`, `offset`, `event_label`) are required, `unlabelled.tsv` (`filename`) is optional; a row with
    only a name is a clip in which nothing sounds. The classes are the labels of `weak.tsv`. Clips of one recording must
    be in one part: name them `RECORDING_FROM_TO.mp4` in seconds, as DESED and AudioSet do, and they count as one; any
    other name is a separate recording. Names are relative to `folder`, with their endings. All clips are cut or padded
    to 10 s.

    Raises
    ------
    CourseError
        A list is missing or bad (the message names the line), a part has no clip, or a recording is in two parts.
    """
    tags, weak = lists.read_weak_tsv(folder / "weak.tsv")
    classes = sorted(tags["event_label"].unique())
    names = {"weak": weak}
    if (folder / "unlabelled.tsv").is_file():
        names["unlabelled"] = lists.read_cells(folder / "unlabelled.tsv", ["filename"])["filename"].unique()
    tables = []
    for part in ("validation", "test"):
        events, names[part] = lists.read_tsv(folder / f"{part}.tsv", classes, CLIP_S + SLACK_S)
        tables.append(events)
    events = _cut(pd.concat(tables, ignore_index=True))
    listed = pd.concat([pd.DataFrame({"filename": of_part, "part": part}) for part, of_part in names.items()])
    listed["source"] = listed["filename"].map(_source)
    return _scenes(str(folder), folder, listed, events, tags, classes)


def ave(folder: Path) -> Scenes:
    """AVE: 10 s videos with one or more kinds of events that are heard *and* seen, times in whole seconds.

    Lists `trainSet.txt`, `valSet.txt`, `testSet.txt` and `Annotations.txt` (whose categories are the classes), rows
    `Category&VideoID&Quality&StartTime&EndTime`; files: `AVE/ID.mp4`. Training clips keep labels without times. Rows
    without length, and training rows of a video that is also in validation or test, are left out. There is no
    unlabelled part. Source: Tian et al., ECCV 2018, "Audio-visual event localization in unconstrained videos".

    Raises
    ------
    CourseError
        A list cannot be read or has a bad row (the message gives its number, from 1), or a part has no clip.
    """
    classes = sorted(_ave_rows(folder / "Annotations.txt")["event_label"].unique())
    tables = []
    for name, part in AVE_LISTS.items():
        rows = _ave_rows(folder / name)
        numbered = rows.assign(filename=[f"row {k}" for k in range(1, len(rows) + 1)])  # so that equal rows pass
        lists.check(numbered, classes, CLIP_S + SLACK_S, where=str(folder / name))
        tables.append(rows.assign(part=part))
    rows = pd.concat(tables).astype({"onset": float, "offset": float}).drop_duplicates(ignore_index=True)
    rank = rows["part"].map(PARTS.index)
    latest = rank.groupby(rows["filename"]).transform("max")
    kept = (rows["onset"] < rows["offset"]) & (rank == latest)
    if not kept.all():
        log.warning("AVE: %d rows without length, or of videos that also validate or test, are left out", (~kept).sum())
    rows = _cut(rows[kept])
    rows["filename"] = "AVE/" + rows["filename"] + ".mp4"
    listed = rows[["filename", "part"]].drop_duplicates().assign(source=lambda table: table["filename"])
    tags = rows[["filename", "event_label"]].drop_duplicates()
    return _scenes("AVE", folder, listed, lists.merge_touching(rows), tags, classes)


def _scenes(
    name: str,
    folder: Path,
    listed: pd.DataFrame,
    events: pd.DataFrame,
    tags: pd.DataFrame,
    classes: list[str],
) -> Scenes:
    """The `listed` clips (`filename`, `part`, `source`) that are in `folder`, with their labels.

    A part that is listed must not be empty.
    """
    listed = listed.assign(path=listed["filename"].str.replace("\\", "/"))  # written on Windows
    here = listed["path"].isin(download.listing(folder))
    missing = listed["part"][~here].value_counts()
    if len(missing):
        which = ", ".join(f"{part} {n}" for part, n in missing.items())
        log.warning("%s: %d of %d listed clips are there, missing: %s", name, here.sum(), len(listed), which)
    table = listed[here].sort_values("part", key=lambda part: part.map(PARTS.index), kind="stable", ignore_index=True)
    for part in listed["part"].unique():
        if part not in set(table["part"]):
            raise CourseError(f"{folder}: has none of the {missing[part]} listed clips of the part {part}; get them")
    held = table.loc[table["part"].isin(["validation", "test"]), "filename"]
    events = events[events["filename"].isin(held)].reset_index(drop=True)
    tags = tags[tags["filename"].isin(table.loc[table["part"] == "weak", "filename"])]
    tags = pd.concat([tags, events[["filename", "event_label"]].drop_duplicates()], ignore_index=True)
    # Only the names, sizes and times of files: reading 20 GB at every start would take minutes
    parts = [download.signature(folder, table["path"]), f"{CLIP_S}", *(t.to_csv() for t in (table, tags, events))]
    content = digest(*parts)
    sounds, frames = _readers(folder)
    all_videos = table["path"].map(_is_video).all()
    return Scenes(name, table, classes, CLIP_S, content, sounds, frames if all_videos else None, tags, events)


def _readers(folder: Path) -> tuple[Callable, Callable]:
    """The `reader` and the `video_reader` of `Scenes` whose table has a column `path`, relative to `folder`."""

    def sounds(table: pd.DataFrame, rate_hz: int) -> np.ndarray:
        cancelled: list[str] = []

        def read(path: str) -> np.ndarray:
            if _is_video(path):
                return video.read_sound(folder / path, rate_hz, CLIP_S, cancelled=cancelled)
            return audio_io.read(folder / path, rate_hz, CLIP_S, cancelled=cancelled)[0]

        waves = _read_all(read, table["path"], (timebase.seconds_to_samples(CLIP_S, rate_hz),), np.float32)
        audio_io.warn_cancelled(cancelled, len(table))
        return waves

    def frames(table: pd.DataFrame, frame_rate_hz: float, size_px: int) -> np.ndarray:
        def read(path: str) -> np.ndarray:
            return video.read_frames(folder / path, frame_rate_hz, size_px, CLIP_S)

        shape = (len(timebase.video_frame_times_s(CLIP_S, frame_rate_hz)), size_px, size_px, 3)
        return _read_all(read, table["path"], shape, np.uint8)

    return sounds, frames


def _read_all(read: Callable[[str], np.ndarray], paths: pd.Series, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """One read-only array over all clips, filled by a thread per core."""
    paths = paths.tolist()
    out = audio_io.room_for((len(paths), *shape), dtype, "take a part, or a lower rate or size")

    def fill(row: int) -> None:
        out[row] = read(paths[row])

    audio_io.threaded(fill, range(len(paths)), "decoding", "clip")
    out.setflags(write=False)
    return out


def _is_video(path: str) -> bool:
    return path.lower().endswith(video.ENDINGS)


def _source(name: str) -> str:
    """The recording that a clip was cut from: its name without the ending and `_FROM_TO` in seconds."""
    stem = re.sub(r"\.[A-Za-z]\w*$", "", name)  # `ID_30.000_40.000` keeps its dots
    return re.sub(r"_\d+(\.\d+)?_\d+(\.\d+)?$", "", stem)


def _cut(events: pd.DataFrame) -> pd.DataFrame:
    """The events, cut off at the end of the clip."""
    inside = events[events["onset"] < CLIP_S]
    return inside.assign(offset=inside["offset"].clip(upper=CLIP_S))


def _ave_rows(path: Path) -> pd.DataFrame:
    """The rows of one of AVE's lists as an event list, every cell as text."""
    columns = ["event_label", "filename", "quality", "onset", "offset"]
    try:
        rows = pd.read_csv(
            path, sep="&", header=None, names=columns, index_col=False, dtype=str, keep_default_na=False,
            quoting=csv.QUOTE_NONE, encoding="utf-8-sig",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise CourseError(f"{path}: cannot be read as a list ({reason}); get it again") from error
    return rows.loc[rows["filename"] != "VideoID", lists.COLUMNS]  # some lists begin with the names of the columns
