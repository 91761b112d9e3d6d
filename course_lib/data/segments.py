"""Sets that come as a list of labels, whose sounds everyone has to get alone: from the list and a folder to a manifest.

VGGSound, EPIC-SOUNDS, Kinetics and AudioSet publish tables of segments of videos, and no audio. Whoever has cut the
segments into files gets a `manifest.csv` here, which `load` takes; clips that are missing are counted, for results on
another part of a set are results on another set. Notebook: 09.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course_lib.data import clips
from course_lib.data.clips import BETWEEN
from course_lib.errors import CourseError, UsageError
from course_lib.paths import atomic_write

ENDINGS = (".wav", ".flac", ".ogg")
HELD_OUT = 10  # one source in so many validates, where a list has no validation part


@dataclass(frozen=True)
class Found:
    """What a list and a folder have in common: `table` as a manifest has it, and what is missing."""

    table: pd.DataFrame
    listed: int

    def __str__(self) -> str:
        return f"{len(self.table)} of {self.listed} listed clips are there, {self.listed - len(self.table)} are missing"


def vggsound(listing: Path) -> pd.DataFrame:
    """`vggsound.csv`: no header; YouTube id, start in seconds, label, `train` or `test`. Files: `ID_000030.wav`."""
    try:
        names = ["id", "start", "label", "part"]
        table = pd.read_csv(listing, header=None, names=names, dtype=str, skip_blank_lines=False)
        table = table.set_axis(range(1, len(table) + 1)).dropna(how="all")  # by the number of the line
        if table.empty:
            raise ValueError("it is empty")
        start = table["start"].astype(int)
    except (OSError, ValueError) as error:
        told = str(error).strip()
        raise CourseError(f"{listing}: cannot be read as VGGSound's list ({told}); get vggsound.csv again") from error
    name = table["id"] + "_" + start.map("{:06d}".format)
    return pd.DataFrame({"name": name, "label": table["label"], "part": table["part"], "source": table["id"]})


def epic_sounds(listing: Path) -> pd.DataFrame:
    """`EPIC_Sounds_train.csv` or `..._validation.csv`: a segment of a video a line. Files: `ANNOTATION_ID.wav`.

    Train and validation of the set are both labelled, its test is not: give both lists to test on the validation part.
    """
    table = clips.read_csv(listing, ["annotation_id", "video_id", "class"])
    table = table.set_axis(range(2, len(table) + 2))  # by the number of the line
    part = "test" if "valid" in listing.stem.lower() else "train"
    columns = {"name": table["annotation_id"], "label": table["class"], "source": table["video_id"]}
    return pd.DataFrame(columns | {"part": part})


def kinetics(listing: Path) -> pd.DataFrame:
    """A list of Kinetics: label, youtube_id, time_start, time_end, split. Files: `ID_000030_000040.wav`.

    Kinetics-Sounds is a choice of its classes, which is not published as a list of clips: see `classes` of `manifest`.
    """
    table = clips.read_csv(listing, ["label", "youtube_id", "time_start", "time_end", "split"])
    table = table.set_axis(range(2, len(table) + 2))  # by the number of the line
    try:
        start, end = (table[name].astype(float).astype(int).map("{:06d}".format) for name in ("time_start", "time_end"))
    except ValueError as error:
        raise CourseError(f"{listing}: a time is no number ({error}); get the list again") from error
    part = table["split"].replace({"val": "validation", "validate": "validation"})
    name = table["youtube_id"] + "_" + start + "_" + end
    return pd.DataFrame({"name": name, "label": table["label"], "part": part, "source": table["youtube_id"]})


def audioset(listing: Path) -> pd.DataFrame:
    """`balanced_train_segments.csv`, `unbalanced_...` or `eval_segments.csv`: YouTube id, start, end, labels of a clip.

    Lines that begin with `#` are remarks. Labels are the codes of the set (`/m/09x0r`), for its names hold commas; the
    evaluation list tests. Files: `ID_30000.wav`, start in ms, as in the lists of labels in time.
    """
    names = ["id", "start", "end", "labels"]
    try:
        table = pd.read_csv(listing, header=None, names=names, comment="#", skipinitialspace=True, dtype=str)
        if table.isna().any(axis=None):
            raise ValueError(f"a line has fewer than {len(names)} cells")
        start_ms = (1000 * table["start"].astype(float)).round().astype(int)
    except (OSError, ValueError) as error:
        told = str(error).strip()
        raise CourseError(f"{listing}: cannot be read as AudioSet's list ({told}); get it again") from error
    labels, part = table["labels"].str.replace(",", BETWEEN), "test" if "eval" in listing.stem.lower() else "train"
    found = {"name": table["id"] + "_" + start_ms.astype(str), "label": table["labels"].str.split(",").str[0]}
    return pd.DataFrame(found | {"labels": labels, "part": part, "source": table["id"]})


LISTS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "vggsound": vggsound, "epic-sounds": epic_sounds, "kinetics": kinetics, "audioset": audioset,
}  # fmt: skip


def manifest(kind: str, listings: Iterable[Path], folder: Path, classes: Path | None = None) -> Found:
    """The clips of the official `listings` of a set that lie in `folder`, with the folds of its parts.

    Training is fold 1, validation 2, test 3. Where a set has no validation part, one source in ten of training becomes
    it, by a hash of its name: the same on every machine. `classes` is a text file with a label a line, to keep only
    those; of the labels of a clip with several, too.

    Raises
    ------
    UsageError
        No such kind of list.
    CourseError
        A list cannot be read, a line of it is not whole, a class is not in it, no clip is in the folder, or none is
        left to train or test on.
    """
    if kind not in LISTS:
        raise UsageError(f"kind {kind!r} is unknown; choose one of {', '.join(LISTS)}")
    table = pd.concat([_whole(LISTS[kind](path), path) for path in listings]).drop_duplicates(ignore_index=True)
    if classes is not None:
        table = _only(table, classes)
    listed, here = len(table), _files(folder)
    table = table[table["name"].isin(here)].assign(filename=lambda t: t["name"].map(here))
    if table.empty:
        raise CourseError(f"{folder}: has none of {listed} listed clips; they are looked for as {_example(kind)}")
    fold = table["part"].map(clips.PARTS)
    if (fold == clips.PARTS["validation"]).sum() == 0:
        kept = table["source"].map(held_out).astype(bool)
        fold = fold.mask(kept & (fold == clips.PARTS["train"]), clips.PARTS["validation"])
    for part, number in clips.PARTS.items():
        if not (fold == number).any():
            raise CourseError(f"{folder}: has no clip of the {part} part; the study needs all three")
    columns = ["filename", "label", "fold", "source", *(c for c in ("labels",) if c in table)]
    return Found(table.assign(fold=fold.astype(int))[columns].reset_index(drop=True), listed)


def held_out(source: str) -> bool:
    """Whether a source of training is set aside for validation: one in ten is, by its name alone."""
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % HELD_OUT == 0


def write_manifest(found: Found, path: Path) -> None:
    """Keep the table as CSV, whole or not at all; file names are relative to the folder of `path`.

    Raises
    ------
    CourseError
        A sound lies on another drive, to which there is no relative path, or the file cannot be written.
    """
    base = path.resolve().parent
    try:
        names = [Path(os.path.relpath(Path(name).resolve(), base)).as_posix() for name in found.table["filename"]]
        atomic_write(path, found.table.assign(filename=names).to_csv(index=False, lineterminator="\n"))
    except (OSError, ValueError) as error:
        raise CourseError(f"{path}: cannot be written ({error}); name a file beside the sounds") from error


def _whole(table: pd.DataFrame, listing: Path) -> pd.DataFrame:
    """The `table` of a list, its index the number of the line, if every line has a label, a source and a known part."""
    expected = {"label": "a text", "source": "a text", "part": f"one of {', '.join(clips.PARTS)}"}
    for column, words in expected.items():
        wrong = table[column].isna() | (table[column] == "")
        wrong |= ~table[column].isin(list(clips.PARTS)) if column == "part" else False
        if wrong.any():
            line, found = table.index[wrong][0], table[column].fillna("")[wrong].iloc[0]
            raise CourseError(f"{listing}, line {line}: {column} is {found!r}, expected {words}; get the list again")
    return table


def _files(folder: Path) -> dict[str, str]:
    """Path of every sound below `folder` by its name without ending."""
    if not folder.is_dir():
        raise CourseError(f"{folder}: no such folder; give the one that holds the clips as files")
    return {path.stem: str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS}


def _only(table: pd.DataFrame, classes: Path) -> pd.DataFrame:
    """The clips with a label that the file `classes` holds, and of their labels those alone."""
    each = table["labels"].str.split(BETWEEN, regex=False) if "labels" in table else table["label"].map(lambda x: [x])
    wanted = _wanted(classes, set(each.explode()))
    kept = each.map(lambda labels: [label for label in labels if label in wanted])
    table = table.assign(label=kept.str[0])
    if "labels" in table:
        table = table.assign(labels=kept.str.join(BETWEEN))
    return table[kept.str.len() > 0]


def _wanted(classes: Path, known: set[str]) -> set[str]:
    """Labels of a text file, one a line."""
    try:
        wanted = {line.strip() for line in classes.read_text(encoding="utf-8").splitlines() if line.strip()}
    except OSError as error:
        raise CourseError(f"{classes}: {error.strerror}; expected a text file with a label a line") from error
    foreign = sorted(wanted - known)
    if foreign:
        raise CourseError(f"{classes}: {foreign[0]!r} is no label of the list; write labels as the list does")
    return wanted


def _example(kind: str) -> str:
    return {
        "vggsound": "ID_000030.wav (start in seconds)",
        "epic-sounds": "ANNOTATION_ID.wav",
        "kinetics": "ID_000030_000040.wav (start and end in seconds)",
        "audioset": "ID_30000.wav (start in ms)",
    }[kind]
