"""Real sets with labels in time that the user has got: DESED, AudioSet's strong labels, AVE, and any folder of videos.

None of them may be passed on, so none is fetched: a list and a folder become `Scenes`. Clips that are listed and not
there are counted and told, for results on another part of a set are results on another set. Where every clip is a
video the scenes have video frames, too; a video and a sound of the same name are taken as the video. Notebook: 10.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from course_lib.audio import io as audio_io
from course_lib.audio import timebase, video
from course_lib.data import checksums, segments
from course_lib.data import events as lists
from course_lib.errors import CourseError, UsageError
from course_lib.scenes.scenes import PARTS, Scenes

DESED_CLASSES = [
    "Alarm_bell_ringing", "Blender", "Cat", "Dishes", "Dog", "Electric_shaver_toothbrush", "Frying", "Running_water",
    "Speech", "Vacuum_cleaner",
]  # fmt: skip
DESED_LISTS = ("train/weak", "train/unlabel_in_domain", "validation/validation", "eval/public")
CLIP_S = 10.0  # of all three published sets
SLACK_S = 0.1  # an event may end so much after its clip, whose sound is seldom 10.000 s long; it is cut there
AVE_LISTS = {"trainSet.txt": "weak", "valSet.txt": "validation", "testSet.txt": "test"}
log = logging.getLogger(__name__)


def desed(folder: Path) -> Scenes:
    """DESED, the recorded clips of task 4 of DCASE 2019 to 2023, from its folder or the one above its `dataset`.

    Lists: `metadata/train/weak`, `metadata/train/unlabel_in_domain`, `metadata/validation/validation` and, if it is
    there, `metadata/eval/public`, each `.tsv` or `.csv` with tabs. Without a list of the unlabelled clips they are the
    files in `audio/train/unlabel_in_domain`. Clips are found by their name anywhere in the folder, so that copies at
    16 kHz do, too. One half of the validation list, by a hash of the video's name, chooses models: the same clips with
    or without the public evaluation. That one tests; where it is absent the other half does.

    Raises
    ------
    CourseError
        A list is missing or bad (its name and line are told), or a part has no clip.
    """
    root = folder / "dataset" if (folder / "dataset" / "metadata").is_dir() else folder
    here = _files(root)
    weak_list, unlabelled_list, held_list, public_list = (_list(root / "metadata" / name) for name in DESED_LISTS)
    tags, learnt = lists.read_weak_tsv(weak_list, DESED_CLASSES)
    events, held = _strong(held_list, DESED_CLASSES, CLIP_S)
    half = {name: _in_first_half(_source(name)) for name in held}
    names = {"weak": learnt, "validation": [name for name in held if half[name]]}
    if public_list.is_file():
        public_events, names["test"] = _strong(public_list, DESED_CLASSES, CLIP_S)
        events = pd.concat([events, public_events], ignore_index=True)
    else:
        names["test"] = [name for name in held if not half[name]]
    unlabelled = sorted(path.rpartition("/")[2] for path in here.values() if "train/unlabel_in_domain" in path)
    if unlabelled_list.is_file():
        unlabelled = _table(unlabelled_list, "\t", ["filename"])["filename"]
    names["unlabelled"] = unlabelled
    listed = _one_part_a_source("DESED", _listed(names))
    return _scenes("DESED", root, here, listed, events, tags, DESED_CLASSES, CLIP_S, PARTS)


def audioset_strong(
    listing_train: Path, listing_eval: Path, names: Path, folder: Path, classes: Sequence[str]
) -> Scenes:
    """The clips of AudioSet's temporally strong labels in which one of `classes` sounds.

    `names` is `mid_to_display_name.tsv`, `classes` are display names of it. Files: `SEGMENT_ID.wav` (`ID_30000`, start
    in ms) or `ID.wav`. Training clips keep labels without times; one video in ten of them, by a hash of its name,
    validates; the evaluation list tests. Events of one class that overlap become one. There is no unlabelled part.
    Source: Hershey et al., ICASSP 2021, "The benefit of temporally-strong labels in audio event classification".

    Raises
    ------
    UsageError
        A class is no display name, or is named twice.
    CourseError
        A list cannot be read or has a bad row (told with its number, from 1), or a part has no clip.
    """
    classes = list(classes)
    known = _table(names, "\t", ["mid", "name"], header=False).set_index("mid")["name"]
    foreign = [c for c in classes if c not in set(known) or classes.count(c) > 1]
    if foreign:
        raise UsageError(f"class {foreign[0]!r} is named twice or not in {names}; name each once, as that list does")
    tables = []
    for listing, part in ((listing_train, "weak"), (listing_eval, "test")):
        columns = ["segment_id", "start_time_seconds", "end_time_seconds", "label"]
        rows = _table(listing, "\t", columns).set_axis(lists.COLUMNS, axis=1)
        rows = _published(rows, listing, set(known.index), names).assign(part=part)
        rows["event_label"] = rows["event_label"].map(known)
        tables.append(rows[rows["event_label"].isin(classes)])
    rows = pd.concat(tables, ignore_index=True)
    rows["source"] = rows["filename"].str.rpartition("_")[0]
    validates = (rows["part"] == "weak") & rows["source"].map(segments.held_out).astype(bool)
    rows["part"] = rows["part"].mask(validates, "validation")
    here = _files(folder)
    listed = _one_part_a_source("AudioSet strong", rows[["filename", "part", "source"]].drop_duplicates())
    key = listed["filename"].where(listed["filename"].isin(list(here)), listed["source"])
    events, tags = lists.merge_touching(rows), rows[["filename", "event_label"]].drop_duplicates()
    return _scenes("AudioSet strong", folder, here, listed.assign(key=key), events, tags, classes, CLIP_S)


def ave(folder: Path) -> Scenes:
    """AVE: 10 s of video with one kind of event or more that is heard *and* seen, times in whole seconds.

    Lists `trainSet.txt`, `valSet.txt`, `testSet.txt` and `Annotations.txt` (whose categories are the classes), rows
    `Category&VideoID&Quality&StartTime&EndTime`; files: `AVE/ID.mp4`. Training clips keep labels without times. Rows
    without length, which the lists have, are left out. There is no unlabelled part.
    Source: Tian et al., ECCV 2018, "Audio-visual event localization in unconstrained videos".

    Raises
    ------
    CourseError
        A list cannot be read or has a bad row (told with its number, from 1), or a part has no clip.
    """
    annotations = folder / "Annotations.txt"
    classes = sorted(_ave_rows(annotations)["event_label"].unique())
    tables = []
    for name, part in AVE_LISTS.items():
        rows = _published(_ave_rows(folder / name), folder / name, set(classes), annotations)
        tables.append(rows.assign(part=part))
    rows = pd.concat(tables, ignore_index=True)
    empty = rows["onset"] == rows["offset"]
    if empty.any():
        log.warning("AVE: %d rows have no length and are left out", empty.sum())
    rows = rows[~empty].assign(source=rows["filename"])
    listed = _one_part_a_source("AVE", rows[["filename", "part", "source"]].drop_duplicates())
    tags = rows[["filename", "event_label"]].drop_duplicates()
    return _scenes("AVE", folder, _files(folder), listed, lists.merge_touching(rows), tags, classes, CLIP_S)


def video_folder(folder: Path, listing: Path, clip_s: float = CLIP_S) -> Scenes:
    """Your own clips with sound, or videos: `folder` holds the files, `listing` is a folder of lists in DCASE's form.

    `weak.tsv` (columns `filename`, `event_labels` with commas between them), `validation.tsv` and `test.tsv`
    (`filename`, `onset`, `offset`, `event_label`) have to be there, `unlabelled.tsv` (`filename`) may be; a name alone
    is a clip in which nothing sounds. The classes are the labels of `weak.tsv`. Clips of one recording must be in one
    part: name them `RECORDING_FROM_TO.mp4` in seconds, and they count as one; other names are recordings of their own.
    Names are relative to `folder`, with their endings. All clips get `clip_s` seconds.

    Raises
    ------
    CourseError
        A list is missing or bad (its name and line are told), a part has no clip, or a recording is in two parts.
    """
    tags, learnt = lists.read_weak_tsv(listing / "weak.tsv")
    classes = sorted(tags["event_label"].unique())
    names, tables = {"weak": learnt}, []
    if (listing / "unlabelled.tsv").is_file():
        names["unlabelled"] = _table(listing / "unlabelled.tsv", "\t", ["filename"])["filename"]
    for part in ("validation", "test"):
        events, names[part] = _strong(listing / f"{part}.tsv", classes, clip_s)
        tables.append(events)
    events = pd.concat(tables, ignore_index=True)
    here = {path: path for path in _found(folder)}
    listed = _listed(names)
    listed["key"] = listed["filename"].str.replace("\\", "/")  # written on Windows
    return _scenes(str(folder), folder, here, listed, events, tags, classes, clip_s)


def _scenes(
    name: str, folder: Path, here: dict[str, str], listed: pd.DataFrame, events: pd.DataFrame, tags: pd.DataFrame,
    classes: list[str], clip_s: float, parts: Sequence[str] = ("weak", "validation", "test"),
) -> Scenes:  # fmt: skip
    """The `listed` clips (`filename`, `part`, `source`; `key` where a file's name is another) that are there.

    Their labels are kept, others left out. A part of `parts`, or one that is listed, must not be empty.
    """
    key = listed["key"] if "key" in listed else listed["filename"].map(_stem)
    table = listed.assign(path=key.map(here))[["filename", "part", "source", "path"]]
    missing = table[table["path"].isna()]["part"].value_counts()
    table = table.dropna(subset="path")
    table = table.sort_values("part", key=lambda p: p.map(PARTS.index), kind="stable", ignore_index=True)
    if len(missing):
        which = ", ".join(f"{part} {n}" for part, n in missing.items())
        log.warning("%s: %s (%s)", name, segments.Found(table, len(listed)), which)
    for part in dict.fromkeys([*parts, *listed["part"]]):
        if part not in set(table["part"]):
            raise CourseError(f"{folder}: has none of {missing.get(part, 0)} listed clips of the part {part}; get them")
    held = table.loc[table["part"].isin(["validation", "test"]), "filename"]
    events = events[events["filename"].isin(held)].reset_index(drop=True)
    tags = tags[tags["filename"].isin(table.loc[table["part"] == "weak", "filename"])]
    tags = pd.concat([tags, events[["filename", "event_label"]].drop_duplicates()], ignore_index=True)
    # Of the files only names, sizes and times: to read 20 GB at every start would take minutes
    parts = [checksums.signature(folder, table["path"]), f"{clip_s}", *(t.to_csv() for t in (table, tags, events))]
    content = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    sounds, frames = _readers(folder, clip_s)
    frames = frames if table["path"].map(_is_video).all() else None
    return Scenes(name, table, list(classes), clip_s, content, sounds, frames, tags=tags, events=events)


def _readers(folder: Path, clip_s: float) -> tuple[Callable, Callable]:
    """The `reader` and the `video_reader` of `Scenes` whose table has a column `path`, relative to `folder`."""

    def sounds(table: pd.DataFrame, rate_hz: int) -> np.ndarray:
        def read(path: str) -> np.ndarray:
            is_video, whole = _is_video(path), folder / path
            return video.read_sound(whole, rate_hz, clip_s) if is_video else audio_io.read(whole, rate_hz, clip_s)[0]

        return _read_all(read, table["path"], (timebase.seconds_to_samples(clip_s, rate_hz),), np.float32)

    def frames(table: pd.DataFrame, frame_rate_hz: float, size_px: int) -> np.ndarray:
        def read(path: str) -> np.ndarray:
            return video.read_frames(folder / path, frame_rate_hz, size_px, clip_s)[0]

        shape = (len(timebase.video_frame_times_s(clip_s, frame_rate_hz)), size_px, size_px, 3)
        return _read_all(read, table["path"], shape, np.uint8)

    return sounds, frames


def _read_all(read: Callable[[str], np.ndarray], paths: pd.Series, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """One read-only array over all clips, filled by a thread a core."""
    paths = paths.tolist()
    needed, free = len(paths) * int(np.prod(shape)) * np.dtype(dtype).itemsize, psutil.virtual_memory().available
    if needed > free:
        gigabytes = f"{needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free"
        raise CourseError(f"{len(paths)} clips need {gigabytes}; take a part, or a lower rate or size")
    out = np.empty((len(paths), *shape), dtype)

    def fill(row: int) -> None:
        out[row] = read(paths[row])

    audio_io.threaded(fill, range(len(paths)), "decoding", "clip")
    out.setflags(write=False)
    return out


def _found(folder: Path) -> list[str]:
    """Paths of all sounds and videos below `folder`, relative to it, in order."""
    if not folder.is_dir():
        raise CourseError(f"{folder}: no such folder; give the one that holds the clips as files")
    return [name for name in checksums.listing(folder) if name.lower().endswith((*segments.ENDINGS, *video.ENDINGS))]


def _files(folder: Path) -> dict[str, str]:
    """Path of every sound and video below `folder` by its name without ending; a video wins, else the first."""
    found = sorted(reversed(_found(folder)), key=_is_video)  # of one name the last stays
    return {_stem(path.rpartition("/")[2]): path for path in found}


def _is_video(path: str) -> bool:
    return path.lower().endswith(video.ENDINGS)


def _stem(name: str) -> str:
    """The name without its ending; one that has no known ending (`ID_30.000_40.000`) keeps its dots."""
    known = name.lower().endswith((*segments.ENDINGS, *video.ENDINGS))
    return name.rpartition(".")[0] if known else name


def _source(name: str) -> str:
    """The recording that a clip was cut from: its name without `_FROM_TO` in seconds."""
    return re.sub(r"_\d+(\.\d+)?_\d+(\.\d+)?$", "", _stem(name))


def _in_first_half(source: str) -> bool:
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % 2 == 0


def _listed(names: dict[str, Sequence[str]]) -> pd.DataFrame:
    """`filename`, `part` and `source` of clips that are named part by part."""
    rows = [(name, part, _source(name)) for part, these in names.items() for name in dict.fromkeys(these)]
    return pd.DataFrame(rows, columns=["filename", "part", "source"])


def _one_part_a_source(name: str, listed: pd.DataFrame) -> pd.DataFrame:
    """The table without clips whose recording is also in a later part: what tests must not be learnt from."""
    rank = listed["part"].map({part: k for k, part in enumerate(("unlabelled", "weak", "validation", "test"))})
    kept = rank == rank.groupby(listed["source"]).transform("max")
    if not kept.all():
        log.warning("%s: %d clips are left out: their recordings also validate or test", name, (~kept).sum())
    return listed[kept].reset_index(drop=True)


def _list(stem: Path) -> Path:
    """The list of this name: `.csv` until 2019, `.tsv` since."""
    old = stem.with_name(stem.name + ".csv")
    return old if old.is_file() else stem.with_name(stem.name + ".tsv")


def _strong(path: Path, classes: list[str], clip_s: float) -> tuple[pd.DataFrame, list[str]]:
    """Events of a list of DCASE's, cut at the end of the clip, and all its files."""
    events, names = lists.read_tsv(path, classes, clip_s + SLACK_S)
    return _cut(events, clip_s), names


def _published(rows: pd.DataFrame, path: Path, known: set[str], names: Path) -> pd.DataFrame:
    """Rows of a list whose labels and times are right; equal rows, which published lists have, become one."""
    foreign = ~rows["event_label"].isin(known)
    if foreign.any():
        label = rows["event_label"][foreign].iloc[0]
        row = foreign.to_numpy().argmax() + 1
        raise CourseError(f"{path}, row {row}: label {label!r} is not in {names}; get both again")
    numbered = rows.assign(filename=[f"row {k}" for k in range(1, len(rows) + 1)])  # so that equal rows pass
    lists.check(numbered, clip_s=CLIP_S + SLACK_S, where=str(path))
    return _cut(rows.astype({"onset": float, "offset": float}).drop_duplicates(), CLIP_S)


def _cut(events: pd.DataFrame, clip_s: float) -> pd.DataFrame:
    return events[events["onset"] < clip_s].assign(offset=lambda t: t["offset"].clip(upper=clip_s))


def _ave_rows(path: Path) -> pd.DataFrame:
    rows = _table(path, "&", ["event_label", "filename", "quality", "onset", "offset"], header=False)
    return rows.loc[rows["filename"] != "VideoID", lists.COLUMNS]  # some lists begin with the names of the columns


def _table(path: Path, separator: str, columns: list[str], *, header: bool = True) -> pd.DataFrame:
    """The `columns` of a list, every cell a text; without a `header` the cells of a line are these, in this order."""
    try:
        table = pd.read_csv(
            path, sep=separator, header=0 if header else None, names=None if header else columns, index_col=False,
            dtype=str, keep_default_na=False, quoting=3, encoding="utf-8-sig",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise CourseError(f"{path}: cannot be read as a list ({reason}); get it again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise CourseError(f"{path}: lacks the column {missing[0]}; expected {', '.join(columns)} in line 1")
    return table[columns]
