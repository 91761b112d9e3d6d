"""Your own sounds: a manifest, or a folder with one sub-folder per class.

A manifest is a CSV file with the columns `filename,label` and, if you have them, `fold,source,labels`. Names are
relative to the CSV file. Without `source`, each file is its own source; without `fold`, folds are made that keep each
source whole.
If a sound has several labels, `labels` lists them all, separated by `|`, and `label` is the main one.

`manifest_from_list` writes such a file for corpora that publish lists of video segments without the sound.
"""

import csv
import hashlib
import io
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from course_lib.audio import io as audio_io
from course_lib.data import download, folds
from course_lib.data.clips import BETWEEN, Clips, clips_from_files
from course_lib.errors import CourseError, UsageError
from course_lib.paths import atomic_write

MOST_FOLDS = 5
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf")  # that libsndfile reads
LONGEST_S = 10.0  # one long recording among short ones would otherwise pad them all to its length
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One line of a manifest; `line` is its number in the file, for the errors."""

    line: int
    filename: str
    label: str
    fold: str
    source: str
    labels: str = ""


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
    rows = read_rows(path)
    table = _table(path, rows)
    table["fold"] = _folds(path, rows, table, seed)
    heads = audio_io.threaded(lambda row: _probe(path, row), rows, "looking at", "file")
    return _own_clips(path, path.parent, table, heads, clips_per_class, seed)


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
    rows = []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = [path for path in sorted(sub.rglob("*")) if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
        if not files:
            raise CourseError(f"{sub}: holds no sounds ({', '.join(SUFFIXES)}); add some, or take the folder away")
        names = [path.relative_to(folder).as_posix() for path in files]
        rows += [{"clip": name, "label": sub.name, "source": name, "path": name} for name in names]
    if not rows:
        raise CourseError(f"{folder}: has no sub-folders; expected one sub-folder per class, with the sounds inside")
    table = pd.DataFrame(rows)
    _check_classes(folder, table)
    table["fold"] = _made_folds(folder, table, seed)
    heads = audio_io.threaded(lambda name: audio_io.probe(folder / name), table["path"].tolist(), "looking at", "file")
    return _own_clips(folder, folder, table, heads, clips_per_class, seed)


def _own_clips(
    path: Path, folder: Path, table: pd.DataFrame, heads: list[tuple[int, int]], clips_per_class: int | None, seed: int
) -> Clips:
    """`Clips` over `table`, whose `path` is relative to `folder`; `heads` has each file's sampling rate and length."""
    rate_hz = Counter(rate for rate, _ in heads).most_common(1)[0][0]
    lengths_s = [samples / rate for rate, samples in heads]
    longer = sum(length > LONGEST_S for length in lengths_s)
    if longer:
        log.warning("%s: %d clips are longer than %g s and are cut there", path, longer, LONGEST_S)
    content = download.content_hash(download.file_checksums(folder, table["path"].tolist()))
    table = folds.subsample(table, clips_per_class, seed)
    clips = clips_from_files(str(path), table, folder, min(max(lengths_s), LONGEST_S), rate_hz, content)
    said = hashlib.sha256(clips.table.to_csv(index=False).encode()).hexdigest()
    return replace(clips, content=hashlib.sha256(f"{clips.content}\n{said}".encode()).hexdigest())


def read_rows(path: Path) -> list[Row]:
    """The rows of a manifest, each checked. Commas, semicolons or tabs separate cells; blank lines are ignored."""
    text = _text(path)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        columns = _columns(path, next(lines, []))
        rows = [_row(path, lines.line_num, cells, columns) for cells in lines if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise CourseError(f"{path}:{lines.line_num}: not a table ({error}); save it as CSV, UTF-8") from error
    if not rows:
        raise CourseError(f"{path}: lists no files; add a line for each sound")
    return rows


def _text(path: Path) -> str:
    """The whole file, without the byte-order mark that spreadsheets add."""
    if path.is_dir():
        raise CourseError(f"{path}: is a folder, expected a CSV file with the columns filename,label")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CourseError(f"{path}: is not UTF-8 text; save it as CSV, UTF-8") from error
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror}; expected a CSV file with the columns filename,label") from error


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Index of each column by its name."""
    names = [name.strip().lower() for name in header]
    for needed in ("filename", "label"):
        if names.count(needed) != 1:
            found = "twice" if names.count(needed) else f"not among {', '.join(names) or 'no names'}"
            raise CourseError(f"{path}:1: column {needed} is {found}; the first line names the columns filename,label")
    return {name: names.index(name) for name in ("filename", "label", "fold", "source", "labels") if name in names}


def _row(path: Path, line: int, cells: list[str], columns: dict[str, int]) -> Row:
    """One line as a `Row`. Cells of other columns are ignored."""
    if len(cells) <= max(columns.values()):
        raise CourseError(f"{path}:{line}: has {len(cells)} cells, fewer than the first line; add what is missing")
    values = {name: cells[place].strip() for name, place in columns.items()}
    for needed in ("filename", "label"):
        if not values[needed]:
            raise CourseError(f"{path}:{line}: the {needed} is empty; fill it in or delete the line")
    name = values["filename"].replace("\\", "/")  # written on Windows
    if not (path.parent / name).is_file():
        raise CourseError(f"{path}:{line}: no such file: {path.parent / name}; names are relative to the CSV file")
    labels = [label.strip() for label in values["labels"].split(BETWEEN)] if "labels" in columns else []
    if "" in labels:
        raise CourseError(f"{path}:{line}: one of the labels {values['labels']!r} is empty; write them as dog|rain")
    if labels and values["label"] not in labels:
        raise CourseError(
            f"{path}:{line}: label {values['label']!r} is not among the labels {values['labels']!r}; add it"
        )
    source = values.get("source", "") or name
    return Row(line, name, values["label"], values.get("fold", ""), source, BETWEEN.join(labels))


def _table(path: Path, rows: list[Row]) -> pd.DataFrame:
    """The columns of `Clips` except the fold."""
    first: dict[Path, int] = {}
    for row in rows:
        target = (path.parent / row.filename).resolve()
        if target in first:
            raise CourseError(
                f"{path}:{row.line}: {row.filename} is already on line {first[target]}; delete one of them"
            )
        first[target] = row.line
    names = [row.filename for row in rows]
    found = {"clip": names, "label": [row.label for row in rows], "source": [row.source for row in rows], "path": names}
    if rows[0].labels:
        found["labels"] = [row.labels for row in rows]
    table = pd.DataFrame(found)
    _check_classes(path, table)
    return table


def _check_classes(path: Path, table: pd.DataFrame) -> None:
    """Raise CourseError if there is only one class."""
    if table["label"].nunique() < 2:
        raise CourseError(f"{path}: has one label, {table['label'][0]!r}; telling classes apart needs two")


def _folds(path: Path, rows: list[Row], table: pd.DataFrame, seed: int) -> list[int]:
    """The folds given in the manifest, checked, or else folds made by source."""
    if not any(row.fold for row in rows):
        return _made_folds(path, table, seed)
    fold_of: dict[str, Row] = {}
    for row in rows:
        if not (row.fold.isascii() and row.fold.isdigit() and int(row.fold) > 0):
            raise CourseError(
                f"{path}:{row.line}: fold {row.fold!r} is no whole number from 1; give all lines one or none"
            )
        other = fold_of.setdefault(row.source, row)
        if int(other.fold) != int(row.fold):
            raise CourseError(
                f"{path}:{row.line}: source {row.source!r} is in fold {row.fold} here and in fold {other.fold} on line "
                f"{other.line}; put a source into one fold"
            )
    found = sorted({int(row.fold) for row in rows})
    if len(found) < folds.FEWEST:
        raise CourseError(f"{path}: has {len(found)} folds; training, validation and test need {folds.FEWEST}")
    return [int(row.fold) for row in rows]


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


def _probe(path: Path, row: Row) -> tuple[int, int]:
    """Sampling rate and number of samples of a listed file; errors name the line that lists it."""
    try:
        return audio_io.probe(path.parent / row.filename)
    except CourseError as error:
        raise CourseError(f"{path}:{row.line}: {error}") from error


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
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % HELD_OUT == 0


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
