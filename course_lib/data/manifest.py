"""Your own sounds: a manifest, or a folder with one sub-folder per class.

A manifest is a CSV file with the columns `filename,label` and, if you have them, `fold,source,labels`. Names are
relative to the CSV file. Without `source`, each file is its own source; without `fold`, folds are made that keep each
source whole.
If a sound has several labels, `labels` lists them all, separated by `|`, and `label` is the main one.

`manifest_from_list` writes such a file for corpora that publish lists of video segments without the sound.
"""

import csv
import io
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from course_lib.audio import io as audio_io
from course_lib.data import download, folds
from course_lib.data.cache import digest
from course_lib.data.clips import BETWEEN, Clips, clips_from_files
from course_lib.errors import CourseError, UsageError
from course_lib.paths import atomic_write

COLUMNS = ("filename", "label", "fold", "source", "labels")  # of a manifest; others are ignored
MOST_FOLDS = 5
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf")  # that libsndfile reads
LONGEST_S = 10.0  # one long recording among short ones would otherwise pad them all to its length
log = logging.getLogger(__name__)


def load_manifest(path: str | Path, clips_per_class: int | None = None, seed: int = 0) -> Clips:
    """The clips that the CSV file `path` lists; at most `clips_per_class` of them per class.

    All clips get the length of the longest, at most 10 s. `content` is a hash of every file and of its entries in the
    list, recomputed at each call: if a file has changed, it is decoded again; if a label has changed, the result counts
    as a different data set.

    Raises
    ------
    CourseError
        The list or a file is invalid; the one-line message names the CSV file and the line in it.
    """
    path = Path(path).expanduser()
    return _own_clips(path, path.parent, read_manifest(path), clips_per_class, seed)


def load_folder(folder: str | Path, clips_per_class: int | None = None, seed: int = 0) -> Clips:
    """The clips in `folder`, which has one sub-folder per class; at most `clips_per_class` of them per class.

    Sound files (`SUFFIXES`) may be nested deeper inside the sub-folder of their class. Hidden files and other types
    are skipped. Each file is its own source, and `seed` determines the folds: if several files come from one recording,
    use a manifest and give their `source`. Length and content are as in `load_manifest`.

    Raises
    ------
    CourseError
        A sub-folder without sounds, fewer than two classes, a class with fewer than three files, or a damaged file.
    """
    folder = Path(folder).expanduser()
    return _own_clips(folder, folder, read_folder(folder), clips_per_class, seed)


def _own_clips(path: Path, folder: Path, table: pd.DataFrame, clips_per_class: int | None, seed: int) -> Clips:
    """`Clips` over the `table` that was read from `path`; its column `path` is relative to `folder`."""
    if table["label"].nunique() < 2:
        raise CourseError(f"{path}: has one label, {table['label'][0]!r}; telling classes apart needs two")
    if "fold" not in table:
        table["fold"] = _made_folds(path, table, seed)

    def probe(row: dict) -> tuple[int, int]:
        try:
            return audio_io.probe(folder / row["path"])
        except CourseError as error:
            place = f"{path}:{row['line']}: " if "line" in row else ""
            raise CourseError(f"{place}{error}") from error

    heads = audio_io.threaded(probe, table.to_dict("records"), "looking at", "file")
    rate_hz = Counter(rate for rate, _ in heads).most_common(1)[0][0]
    lengths_s = [samples / rate for rate, samples in heads]
    longer = sum(length > LONGEST_S for length in lengths_s)
    if longer:
        log.warning("%s: %d clips are longer than %g s and are cut there", path, longer, LONGEST_S)
    content = download.content_hash(download.file_checksums(folder, table["path"].tolist()))
    table = folds.subsample(table.drop(columns="line", errors="ignore"), clips_per_class, seed)
    clips = clips_from_files(str(path), table, folder, min(max(lengths_s), LONGEST_S), rate_hz, content)
    return replace(clips, content=digest(clips.content, digest(clips.table.to_csv(index=False))))


def _made_folds(path: Path, table: pd.DataFrame, seed: int) -> list[int]:
    """Five folds by source, or as many as the class with the fewest sources allows."""
    sources = table.groupby("label")["source"].nunique()
    n_folds = min(MOST_FOLDS, int(sources.min()))
    if n_folds < folds.FEWEST:
        raise CourseError(
            f"{path}: label {sources.idxmin()!r} comes from {sources.min()} sources; training, validation and test "
            f"need {folds.FEWEST}, so add recordings, or name the folds in the column fold of a manifest"
        )
    return folds.folds_by_source(table, n_folds, seed).tolist()


def read_folder(folder: Path) -> pd.DataFrame:
    """One row per sound in the sub-folders of `folder`: `clip`, `label`, `source`, `path`."""
    rows = []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = [path for path in sorted(sub.rglob("*")) if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
        if not files:
            raise CourseError(f"{sub}: holds no sounds ({', '.join(SUFFIXES)}); add some, or take the folder away")
        names = [path.relative_to(folder).as_posix() for path in files]
        rows += [{"clip": name, "label": sub.name, "source": name, "path": name} for name in names]
    if not rows:
        raise CourseError(f"{folder}: has no sub-folders; expected one sub-folder per class, with the sounds inside")
    return pd.DataFrame(rows)


def read_manifest(path: Path) -> pd.DataFrame:
    """One row per sound listed in `path`: `line`, `clip`, `label`, `source`, `path`, and `fold`, `labels` if given.

    `line` is its number in the file. Commas, semicolons or tabs separate cells; blank lines are ignored.
    """
    table = _cells(path)

    def refuse(wrong: pd.Series, words: Callable[[pd.Series], str]) -> None:
        if wrong.any():
            row = table[wrong].iloc[0]
            raise CourseError(f"{path}:{row['line']}: {words(row)}")

    def of_source(column: str) -> pd.Series:
        return table.groupby("source")[column].transform("first")

    refuse(table["filename"] == "", lambda row: "the filename is empty; fill it in or delete the line")
    refuse(table["label"] == "", lambda row: "the label is empty; fill it in or delete the line")
    table["filename"] = table["filename"].str.replace("\\", "/")  # written on Windows
    there = table["filename"].map(lambda name: (path.parent / name).is_file())
    refuse(~there, lambda row: f"no such file: {path.parent / row['filename']}; names are relative to the CSV file")
    target = table["filename"].map(lambda name: str((path.parent / name).resolve()))
    first = table.groupby(target)["line"].transform("min")
    refuse(
        table["line"] > first,
        lambda row: f"{row['filename']} is already on line {first[row.name]}; delete one of them",
    )
    if "labels" in table:
        labels = [[label.strip() for label in cell.split(BETWEEN)] for cell in table["labels"]]
        empty = pd.Series(["" in several for several in labels])
        refuse(empty, lambda row: f"one of the labels {row['labels']!r} is empty; write them as dog|rain")
        foreign = pd.Series([label not in several for label, several in zip(table["label"], labels, strict=True)])
        refuse(foreign, lambda row: f"label {row['label']!r} is not among the labels {row['labels']!r}; add it")
        table["labels"] = [BETWEEN.join(several) for several in labels]
    named = table.get("source", pd.Series("", table.index))
    table["source"] = named.where(named != "", table["filename"])
    if "fold" in table and (table["fold"] != "").any():
        whole = table["fold"].str.fullmatch("0*[1-9][0-9]{0,8}")
        refuse(~whole, lambda row: f"fold {row['fold']!r} is no whole number from 1; give all lines one or none")
        table["fold"] = table["fold"].astype(int)
        other, line = of_source("fold"), of_source("line")
        refuse(
            table["fold"] != other,
            lambda row: (
                f"source {row['source']!r} is in fold {row['fold']} here and in fold {other[row.name]} on line "
                f"{line[row.name]}; put a source into one fold"
            ),
        )
        if table["fold"].nunique() < folds.FEWEST:
            found = table["fold"].nunique()
            raise CourseError(f"{path}: has {found} folds; training, validation and test need {folds.FEWEST}")
    else:
        table = table.drop(columns="fold", errors="ignore")
    table = table.assign(clip=table["filename"]).rename(columns={"filename": "path"})
    return table[[c for c in ("line", "clip", "label", "source", "path", "labels", "fold") if c in table]]


def _cells(path: Path) -> pd.DataFrame:
    """The cells of a manifest as texts, in those of `COLUMNS` that it has, and the number of each `line`."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin files with a byte-order mark
    except UnicodeDecodeError as error:
        raise CourseError(f"{path}: is not UTF-8 text; save it as CSV, UTF-8") from error
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror}; expected a CSV file with the columns filename,label") from error
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows = []
    try:
        names = [name.strip().lower() for name in next(lines, [])]
        for needed in ("filename", "label"):
            if names.count(needed) != 1:
                found = "twice" if needed in names else f"not among {', '.join(names) or 'no names'}"
                line = "the first line names the columns filename,label"
                raise CourseError(f"{path}:1: column {needed} is {found}; {line}")
        places = {name: names.index(name) for name in COLUMNS if name in names}
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) <= max(places.values()):
                found = f"has {len(cells)} cells, fewer than the first line"
                raise CourseError(f"{path}:{lines.line_num}: {found}; add what is missing")
            rows.append({name: cells[place].strip() for name, place in places.items()} | {"line": lines.line_num})
    except csv.Error as error:
        raise CourseError(f"{path}:{lines.line_num}: not a table ({error}); save it as CSV, UTF-8") from error
    if not rows:
        raise CourseError(f"{path}: lists no files; add a line for each sound")
    return pd.DataFrame(rows)


# --- Corpora that come as a list of labels: from the list and a folder of their sounds to a manifest

ENDINGS = (".wav", ".flac", ".ogg")
HELD_OUT = 10  # one source in ten of training validates
FOLDS = {"validation": 1, "train": 2, "test": 3}  # `folds.split` validates on the fold that follows the test fold


def vggsound(listing: Path) -> pd.DataFrame:
    """The clips of `vggsound.csv`: YouTube id, start in seconds, label, `train` or `test`. Files: `ID_000030.wav`."""
    table = _read_list(listing, ["id", "start", "label", "part"])
    name = table["id"] + "_" + table["start"].map("{:06.0f}".format)
    return table.assign(name=name)


def audioset(listing: Path) -> pd.DataFrame:
    """The clips of `balanced_train_segments.csv`, `unbalanced_...` or `eval_segments.csv` (the test part).

    Each row has the YouTube id, start, end and labels of a clip. Labels stay codes (`/m/09x0r`), because AudioSet's
    class names contain commas. Files: `ID_30000.wav`, with the start in ms, as in AudioSet's strong labels.
    """
    table = _read_list(listing, ["id", "start", "end", "labels"])
    return table.assign(
        name=table["id"] + "_" + (1000 * table["start"]).map("{:.0f}".format),
        label=table["labels"].str.split(",").str[0],
        labels=table["labels"].str.replace(",", BETWEEN),
        part="test" if "eval" in listing.stem.lower() else "train",
    )


LISTS = {"vggsound": vggsound, "audioset": audioset}


def manifest_from_list(kind: str, listings: Sequence[Path], folder: Path, output: Path) -> str:
    """Write to `output` a manifest of the clips in official `listings` found in `folder`; returns the counts as text.

    Validation is fold 1, training 2, test 3. These lists have no validation part, so about one training source in ten
    is set aside by a hash of its name, the same on every machine.

    Raises
    ------
    UsageError
        `kind` is unknown.
    CourseError
        A list cannot be read or has an incomplete row or an unknown part, a part has no clip in the folder, or the
        manifest cannot be written.
    """
    if kind not in LISTS:
        raise UsageError(f"kind {kind!r} is unknown; choose one of {', '.join(LISTS)}")
    listed = pd.concat([LISTS[kind](path) for path in listings]).drop_duplicates(ignore_index=True)
    if not folder.is_dir():
        raise CourseError(f"{folder}: no such folder; give the one that holds the clips as files")
    here = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS}
    table = listed[listed["name"].isin(list(here))]
    validates = (table["part"] == "train") & table["id"].map(held_out).astype(bool)
    fold = table["part"].mask(validates, "validation").map(FOLDS)
    for part, number in FOLDS.items():
        if not (fold == number).any():
            example = listed["name"][0]
            raise CourseError(
                f"{folder}: has no clip of the {part} part, of {len(listed)} listed ones; the study needs all three; "
                f"clips are looked for as {example}.wav"
            )
    base = output.resolve().parent
    try:
        names = [Path(os.path.relpath(here[name].resolve(), base)).as_posix() for name in table["name"]]
        found = table.assign(filename=names, fold=fold, source=table["id"])
        columns = [c for c in ("filename", "label", "fold", "source", "labels") if c in found]
        atomic_write(output, found[columns].to_csv(index=False, lineterminator="\n"))
    except (OSError, ValueError) as error:  # on Windows there is no relative path to another drive
        raise CourseError(f"{output}: cannot be written ({error}); name a file beside the sounds") from error
    return f"{len(table)} of {len(listed)} listed clips are there, {len(listed) - len(table)} are missing"


def held_out(source: str) -> bool:
    """Whether a training source is set aside for validation: about one in ten, chosen by a hash of its name."""
    return int(digest(source), 16) % HELD_OUT == 0


def _read_list(listing: Path, columns: list[str]) -> pd.DataFrame:
    """The rows of a list without a header, ignoring comments after `#`; `start` is a number, the rest is text."""
    try:
        table = pd.read_csv(listing, header=None, names=columns, comment="#", skipinitialspace=True, dtype=str)
        if table.empty:
            raise ValueError("it is empty")
        table["start"] = table["start"].astype(float)
    except (OSError, ValueError) as error:
        reason = str(error).strip()
        raise CourseError(
            f"{listing}: cannot be read as a list of {', '.join(columns)} ({reason}); get it again"
        ) from error
    bad = table.isna().any(axis=1)
    expected = ", ".join(columns)
    if "part" in columns:
        bad |= ~table["part"].isin(list(FOLDS))
        expected = f"{expected}, the part one of {', '.join(FOLDS)}"
    if bad.any():
        row = bad.to_numpy().argmax()
        found = ", ".join(table.iloc[row].fillna("").astype(str))
        raise CourseError(f"{listing}, row {row + 1}: found {found}; expected {expected}; get the list again")
    return table
