"""Your own sounds: a manifest, or a folder with one sub-folder per class.

A manifest is a CSV file with the columns `filename,label` and, if you have them, `fold,source,labels`. Names are
relative to the CSV file. Without `source`, each file is its own source; without `fold`, folds are made that keep each
source whole. If a sound has several labels, `labels` lists them all, separated by `|`, and `label` is the main one.

Whatever the source column says, files with equal bytes are one source. All clips get one length, `common_length_s`;
longer files are cut into several clips of the same source.

`manifest_from_list` writes such a file for corpora that publish lists of video segments without the sound, and
`manifest_from_folder` for a folder, to be edited.
"""

import csv
import io
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.audio import io as audio_io
from course_lib.data import download, folds
from course_lib.data.cache import digest
from course_lib.data.clips import BETWEEN, Clips, clips_from_files
from course_lib.errors import CourseError, UsageError
from course_lib.paths import atomic_write

COLUMNS = ("filename", "label", "fold", "source", "labels")  # of a manifest; others are ignored
SUFFIXES = (  # that libsndfile reads
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64",
)  # fmt: skip
SHORTEST_S, LONGEST_S = 1.0, 10.0  # of a clip; every notebook runs on clips of a second
TAKE = re.compile(r"[ _/-]+\(?\d+\)?$")  # the number at the end of `siren_3` and `siren (3)`
log = logging.getLogger(__name__)


def load_manifest(
    path: str | Path, clips_per_class: int | None = None, seed: int = 0, clip_s: float | None = None
) -> Clips:
    """The clips that the CSV file `path` lists; at most `clips_per_class` of them per class.

    All clips are `clip_s` seconds long, by default `COURSE_CLIP_S` or else `common_length_s` of the files. `content` is
    a hash of every file and of its entries in the list, recomputed at each call: if a file has changed, it is decoded
    again; if a label has changed, the result counts as a different data set. One line reports what was cut, padded or
    dropped, and how many files are equal.

    Raises
    ------
    CourseError
        The list or a file is invalid, equal files have two labels, or a class is missing from a fold; the one-line
        message names the CSV file and the line in it.
    """
    path = Path(path).expanduser()
    return _own_clips(path, path.parent, read_manifest(path), clips_per_class, seed, clip_s)


def load_folder(
    folder: str | Path, clips_per_class: int | None = None, seed: int = 0, clip_s: float | None = None
) -> Clips:
    """The clips in `folder`, which has one sub-folder per class; at most `clips_per_class` of them per class.

    Sound files (`SUFFIXES`) may be nested deeper inside the sub-folder of their class. Hidden files and other types are
    skipped. Sources come from the file names, see `sources_from_names`, and `seed` determines the folds. Length,
    content and the line that is reported are as in `load_manifest`.

    Raises
    ------
    CourseError
        A sub-folder without sounds, fewer than two classes, a class with fewer than three sources, equal files in two
        classes, or a damaged file.
    """
    folder = Path(folder).expanduser()
    return _own_clips(folder, folder, read_folder(folder), clips_per_class, seed, clip_s)


def _own_clips(
    path: Path, folder: Path, table: pd.DataFrame, clips_per_class: int | None, seed: int, clip_s: float | None
) -> Clips:
    """`Clips` over the `table` that was read from `path`; its column `path` is relative to `folder`."""
    if table["label"].nunique() < 2:
        raise CourseError(f"{path}: has only one label, {table['label'][0]!r}; a classifier needs at least two")

    def probe(row: dict) -> tuple[int, int]:
        try:
            return audio_io.probe(folder / row["path"])
        except CourseError as error:
            place = f"{path}:{row['line']}: " if "line" in row else ""
            raise CourseError(f"{place}{error}") from error

    heads = audio_io.threaded(probe, table.to_dict("records"), "looking at", "file")
    rate_hz = Counter(rate for rate, _ in heads).most_common(1)[0][0]
    lengths_s = np.array([samples / rate for rate, samples in heads])
    checksums = download.file_checksums(folder, table["path"].tolist())
    table, notes = _merge_equal_files(path, table, checksums)
    notes = table.attrs.get("notes", []) + notes
    length_s = common_length_s(lengths_s, clip_s)
    table, cut = _in_pieces(table, lengths_s, length_s)
    if "fold" not in table:
        try:
            table["fold"] = folds.made_folds(table, seed)
        except CourseError as error:
            raise CourseError(f"{path}: {error}, or name the folds in the column fold of a manifest") from None
    notes = [*notes, *cut]
    if notes:
        log.warning("%s: %s", path, "; ".join(notes))
    table = folds.subsample(table.drop(columns="line", errors="ignore"), clips_per_class, seed)
    folds.check_classes(str(path), table)
    clips = clips_from_files(str(path), table, folder, length_s, rate_hz, download.content_hash(checksums))
    of_length = () if length_s == min(lengths_s.max(), LONGEST_S) and "start_s" not in table else (f"{length_s:g} s",)
    return replace(clips, content=digest(clips.content, digest(clips.table.to_csv(index=False)), *of_length))


def common_length_s(lengths_s: np.ndarray, clip_s: float | None = None) -> float:
    """Length of every clip in seconds: `clip_s`, else `COURSE_CLIP_S`, else the 75th percentile of `lengths_s`.

    The percentile is limited to 1 to 10 s. It keeps one long file from padding all the short ones to its length.

    Raises
    ------
    UsageError
        A length that is not positive and finite.
    """
    clip_s = paths.clip_s() if clip_s is None else clip_s
    if clip_s is None:
        return float(np.clip(np.quantile(lengths_s, 0.75, method="lower"), SHORTEST_S, LONGEST_S))
    if not 0 < clip_s < np.inf:
        raise UsageError(f"clip_s: found {clip_s}, expected seconds above 0")
    return float(clip_s)


def _in_pieces(table: pd.DataFrame, lengths_s: np.ndarray, length_s: float) -> tuple[pd.DataFrame, list[str]]:
    """`table` with a row per piece of `length_s`, and what was done to the files.

    The second piece of `a.wav` is the clip `a.wav#2`; where files were cut, `start_s` is where a piece begins, NaN for
    files that are read whole. A remainder becomes one more piece if it is at least half of `length_s` long.
    """
    n_pieces = np.maximum(1, np.floor(lengths_s / length_s + 0.5).astype(int))
    lost_s = np.maximum(0, lengths_s - n_pieces * length_s)
    counts = {
        "longer cut into {} pieces": (n_pieces > 1, n_pieces[n_pieces > 1].sum()),
        "shorter padded": (lengths_s < length_s, 0),
        "ends dropped ({:.1f} s in all)": (lost_s > 0, lost_s.sum()),
    }
    said = [f"{where.sum()} {words.format(number)}" for words, (where, number) in counts.items() if where.any()]
    if (n_pieces > 1).any():
        number = np.concatenate([np.arange(n) for n in n_pieces])
        cut = np.repeat(n_pieces > 1, n_pieces)
        table = table.loc[table.index.repeat(n_pieces)].reset_index(drop=True)
        table["clip"] += np.where(number > 0, [f"#{n + 1}" for n in number], "")
        table["start_s"] = np.where(cut, number * length_s, np.nan)
    return table, [f"clips of {length_s:g} s: {', '.join(said)}"] if said else []


def _merge_equal_files(path: Path, table: pd.DataFrame, checksums: dict[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """`table` in which files with equal bytes have one source, as do all sources that share such a file.

    Raises
    ------
    CourseError
        Equal files with two labels, or in two of the given folds.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sums = table["path"].map(checksums)
    n_equal = int(sums.duplicated(keep=False).sum())
    if not n_equal:
        return table, []
    labels = table["labels"].str.split(BETWEEN).map(sorted).map(BETWEEN.join) if "labels" in table else table["label"]
    for name, values in {"labelled": labels, "in fold": table.get("fold", pd.Series(0, table.index))}.items():
        first = values.groupby(sums).transform("first")
        if (values != first).any():
            row = (values != first).idxmax()
            other = (sums == sums[row]).idxmax()
            a, b = (f"{table['path'][i]}{f' on line {table.line[i]}' if 'line' in table else ''}" for i in (other, row))
            raise CourseError(
                f"{path}: {a} is {name} {first[row]}, but {b}, byte for byte the same sound, "
                f"is {name} {values[row]}; correct one of them or delete it"
            )
    rows = np.arange(len(table))
    first_alike = [pd.Series(rows).groupby(key.to_numpy()).transform("first") for key in (table["source"], sums)]
    edges = (np.tile(rows, 2), np.concatenate(first_alike))
    graph = coo_array((np.ones(2 * len(rows)), edges), shape=(len(rows), len(rows)))
    source = connected_components(graph, directed=False)[1]
    table = table.assign(source=table.groupby(source)["source"].transform("first"))
    return table, [f"{n_equal} files are the same as another, byte for byte; equal files count as one source"]


def clean(text: str) -> str:
    """`text` in Unicode's form NFC, without zero-width characters, with single spaces, and only between words."""
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).split())


def _as_on_disk(folder: Path, name: str) -> str:
    """`name` in the Unicode form under which the file exists: as written, NFC, or NFD (macOS); else as written."""
    for text in (name, name.strip(), clean(name)):
        for form in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
            if text and (folder / form).is_file():
                return form
    return name.strip()


def _refuse_twins(path: Path, table: pd.DataFrame) -> None:
    """Raise CourseError if two file names differ only in what cannot be seen."""
    twins = table[table["clip"].duplicated(keep=False)]
    if len(twins):
        alike = twins[twins["clip"] == twins["clip"].iloc[0]]["path"].map(ascii).tolist()
        raise CourseError(f"{path}: the names {alike[0]} and {alike[1]} look alike; rename one of the files")


def read_folder(folder: Path) -> pd.DataFrame:
    """One row per sound in the sub-folders of `folder`: `clip`, `label`, `source`, `path`."""
    rows, others = [], []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        visible = [path for path in sorted(sub.rglob("*")) if path.is_file() and path.name[0] != "."]
        files = [path for path in visible if path.suffix.lower() in SUFFIXES]
        others += [path.relative_to(folder).as_posix() for path in visible if path.suffix.lower() not in SUFFIXES]
        if not files:
            raise CourseError(f"{sub}: holds no sounds ({', '.join(SUFFIXES)}); add some, or remove the folder")
        names = [path.relative_to(folder).as_posix() for path in files]
        rows += [{"clip": clean(name), "label": clean(sub.name), "source": clean(name), "path": name} for name in names]
    if not rows:
        raise CourseError(f"{folder}: has no sub-folders; expected one sub-folder per class, with the sounds inside")
    table = pd.DataFrame(rows)
    _refuse_twins(folder, table)
    sources = sources_from_names(table)
    if sources is None:
        note = f"each of the {len(table)} files is its own source, because the names show no pattern"
    else:
        table["source"] = sources
        note = f"{sources.nunique()} sources from the names of {len(table)} files, such as {sources[0]!r}"
    table.attrs["notes"] = [f"{note} (to change that: course data manifest folder {folder})"]
    if others:
        table.attrs["notes"].append(f"{len(others)} files of other types are left out, such as {others[0]!r}")
    return table


def sources_from_names(table: pd.DataFrame) -> pd.Series | None:
    """The source of each row of `table`, `(clips,)`, from the file names; None if they show no pattern.

    The source is the name in the folder of its class, without its ending and the number at its end: `dog/rex_1.wav`,
    `dog/rex_2.wav` and `cat/rex (3).wav` come from `rex`. That counts as a pattern if it groups files of a class and
    leaves every class at least three sources, which its folds need; otherwise the numbers probably count recordings.
    Grouping too much only widens intervals; grouping too little would leak.
    """
    inside = table["clip"].str.partition("/")[2].str.rpartition(".")[0]
    sources = inside.str.replace(TAKE, "", regex=True)
    grouped = (
        pd.DataFrame({"label": table["label"], "source": sources}).duplicated().any()
        and (sources.groupby(table["label"]).nunique() >= folds.FEWEST).all()
    )
    return sources if grouped else None


def manifest_from_folder(folder: Path, output: Path) -> str:
    """Write to `output` a table of the sounds in `folder`, which has one sub-folder per class; returns counts as text.

    The columns are `filename,label,source`: correct what the names do not show, and add `fold` if you have folds.

    Raises
    ------
    CourseError
        As `load_folder`, or the table cannot be written.
    """
    if not folder.is_dir():
        raise CourseError(f"{folder}: no such folder; give one that has a sub-folder per class")
    table = read_folder(folder)
    _write_manifest(output, table.assign(filename=[folder / name for name in table["path"]]))
    sources = table["source"].nunique()
    return f"{len(table)} files of {table['label'].nunique()} classes from {sources} sources; check the column source"


def _write_manifest(output: Path, table: pd.DataFrame) -> None:
    """Write the columns of a manifest that `table` has; names become relative to the folder of `output`."""
    base = output.resolve().parent
    try:
        names = [Path(os.path.relpath(path.resolve(), base)).as_posix() for path in table["filename"]]
        columns = [c for c in ("filename", "label", "fold", "source", "labels") if c in table]
        atomic_write(output, table.assign(filename=names)[columns].to_csv(index=False, lineterminator="\n"))
    except (OSError, ValueError) as error:  # on Windows there is no relative path to another drive
        raise CourseError(f"{output}: cannot be written ({error}); choose a file beside the sounds") from error


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

    for column in table.columns.intersection(["label", "fold", "source", "labels"]):
        table[column] = table[column].map(clean)
    refuse(table["filename"].map(clean) == "", lambda row: "the filename is empty; fill it in or delete the line")
    refuse(table["label"] == "", lambda row: "the label is empty; fill it in or delete the line")
    names = table["filename"].str.replace("\\", "/")  # written on Windows
    table["filename"] = names.map(lambda name: _as_on_disk(path.parent, name))
    table["clip"] = table["filename"].map(clean)
    there = table["filename"].map(lambda name: (path.parent / name).is_file())
    refuse(~there, lambda row: f"no such file: {path.parent / row['filename']}; names are relative to the CSV file")
    target = table["filename"].map(lambda name: str((path.parent / name).resolve()))
    first = table.groupby(target)["line"].transform("min")
    refuse(
        table["line"] > first,
        lambda row: f"{row['filename']} is already on line {first[row.name]}; delete one of them",
    )
    if "labels" in table:
        labels = [[clean(label) for label in cell.split(BETWEEN)] for cell in table["labels"]]
        empty = pd.Series(["" in several for several in labels])
        refuse(empty, lambda row: f"one of the labels {row['labels']!r} is empty; write them as dog|rain")
        foreign = pd.Series([label not in several for label, several in zip(table["label"], labels, strict=True)])
        refuse(foreign, lambda row: f"label {row['label']!r} is not among the labels {row['labels']!r}; add it")
        table["labels"] = [BETWEEN.join(several) for several in labels]
    named = table.get("source", pd.Series("", table.index))
    table["source"] = named.where(named != "", table["clip"])
    if "fold" in table and (table["fold"] != "").any():
        whole = table["fold"].str.fullmatch("0*[1-9][0-9]{0,8}")
        refuse(~whole, lambda row: f"fold {row['fold']!r} is not a whole number from 1; give all lines a fold or none")
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
    table = table.rename(columns={"filename": "path"})
    _refuse_twins(path, table)
    return table[[c for c in ("line", "clip", "label", "source", "path", "labels", "fold") if c in table]]


def _cells(path: Path) -> pd.DataFrame:
    """The cells of a manifest as text, for those of `COLUMNS` that it has, and the number of each `line`."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin files with a byte-order mark
    except UnicodeDecodeError as error:
        raise CourseError(f"{path}: is not UTF-8 text; save it as CSV, UTF-8") from error
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror}; expected a CSV file with the columns filename,label") from error
    lines = _opened_table(text)
    rows = []
    try:
        names = [clean(name).lower() for name in next(lines, [])]
        if names and names[0].startswith("sep="):  # from which Excel reads the separator
            names = [clean(name).lower() for name in next(lines, [])]
        for needed in ("filename", "label"):
            if names.count(needed) != 1:
                found = "twice" if needed in names else f"not among {', '.join(names) or 'no names'}"
                line = "the first line must name the columns filename,label"
                raise CourseError(f"{path}:1: column {needed} is {found}; {line}")
        places = {name: names.index(name) for name in COLUMNS if name in names}
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) <= max(places.values()):
                found = f"has {len(cells)} cells, fewer than the first line"
                raise CourseError(f"{path}:{lines.line_num}: {found}; add what is missing")
            rows.append({name: cells[place] for name, place in places.items()} | {"line": lines.line_num})
    except csv.Error as error:
        raise CourseError(f"{path}:{lines.line_num}: not a table ({error}); save it as CSV, UTF-8") from error
    if not rows:
        raise CourseError(f"{path}: lists no files; add a line for each sound")
    return pd.DataFrame(rows)


def _opened_table(text: str):
    """A reader of `text` whose cells are separated by commas, semicolons or tabs, whichever finds both columns."""
    readers = {}
    for separator in ",;\t":
        head = csv.reader(io.StringIO(text), delimiter=separator)
        names = [clean(name).lower() for line in (next(head, []), next(head, [])) for name in line]
        readers[separator] = len({"filename", "label"} & set(names)), text.partition("\n")[0].count(separator)
    separator = max(readers, key=readers.get)
    return csv.reader(io.StringIO(text), delimiter=separator, strict=True)


# --- Corpora that come as a list of labels: from the list and a folder of their sounds to a manifest

ENDINGS = (".wav", ".flac", ".ogg")
HELD_OUT = 10  # one training source in ten is used for validation
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
                f"{folder}: has no clip of the {part} part among {len(listed)} listed ones; the study needs all three; "
                f"clips are expected as {example}.wav"
            )
    _write_manifest(output, table.assign(filename=table["name"].map(here), fold=fold, source=table["id"]))
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
