"""Event lists: what sounds in which file, from when to when.

A list is a table with the columns `filename`, `onset`, `offset` (seconds) and `event_label`, one event per row, as in
DCASE's TSV files. An event may have no length (`offset` equal to `onset`, which sed_eval accepts); rows may overlap,
but not be equal. Notebook: 11.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.errors import CourseError

COLUMNS = ["filename", "onset", "offset", "event_label"]
WEAK_COLUMNS = ["filename", "event_labels"]
ROUNDING_S = 1e-6  # times closer than this count as equal


def read_tsv(
    path: Path, classes: Sequence[str] | None = None, clip_s: float = np.inf
) -> tuple[pd.DataFrame, list[str]]:
    """The events of a DCASE list, and all its files in their order.

    A row with only a file name means that nothing sounds in that file: it is not an event, but the file is listed.

    Raises
    ------
    CourseError
        The file cannot be read as such a list, or contains what `check` refuses; the message names the line.
    """
    table = read_cells(path, COLUMNS)
    filenames = table["filename"].unique().tolist()
    empty = (table[COLUMNS[1:]] == "").all(axis=1) & (table["filename"] != "")
    table = table[~empty]
    check(table, classes, clip_s, str(path), lines=table.index)
    return table.astype({"onset": float, "offset": float}).reset_index(drop=True), filenames


def read_weak_tsv(path: Path, classes: Sequence[str] | None = None) -> tuple[pd.DataFrame, list[str]]:
    """The labels of a DCASE list without times, as `filename` and `event_label`, one label per row; and all its files.

    The list has one line per file, with its labels separated by commas. A file without labels, in which nothing sounds,
    has no row in the table but is among the files.

    Raises
    ------
    CourseError
        The file cannot be read as such a list, a label is not in `classes`, or a file has a label twice.
    """
    table = read_cells(path, WEAK_COLUMNS)
    table = table.assign(event_label=table["event_labels"].str.split(",")).explode("event_label")
    table["event_label"] = table["event_label"].str.strip()
    filenames = table["filename"].unique().tolist()
    table = table.loc[(table["event_labels"] != "") | (table["filename"] == ""), ["filename", "event_label"]]
    _refuse_first(table, _wrong_names(table, classes), str(path), lines=table.index)
    return table.reset_index(drop=True), filenames


def read_cells(path: Path, columns: list[str]) -> pd.DataFrame:
    """The `columns` of a TSV as text; the index is the line number. Blank lines are left out.

    Raises
    ------
    CourseError
        The file cannot be read, lacks a column, or a line has another number of cells than the first.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CourseError(f"{path}: cannot be read ({reason}); expected a TSV of {', '.join(columns)}") from error
    header = lines[0].split("\t")
    missing = [name for name in columns if name not in header]
    if missing:
        raise CourseError(f"{path}: lacks the column {missing[0]}; expected a TSV with {', '.join(columns)} in line 1")
    rows = {k: line.split("\t") for k, line in enumerate(lines[1:], start=2) if line.strip()}
    for k, cells in rows.items():
        if len(cells) != len(header):
            raise CourseError(
                f"{path}, line {k}: has {len(cells)} cells, expected {len(header)} with tabs between them"
            )
    return pd.DataFrame.from_dict(rows, orient="index", columns=header, dtype=str)[columns]


def check(
    events: pd.DataFrame,
    classes: Sequence[str] | None = None,
    clip_s: float = np.inf,
    where: str = "events",
    lines: Sequence[int] | None = None,
) -> None:
    """Raise CourseError unless `events` is an event list with labels from `classes` and clips that end at `clip_s`.

    `where` names the list in the message; `lines` are the lines of its file that the rows come from.

    Raises
    ------
    CourseError
        A column is missing; a row has no file name, a time that is not a number or below 0, an offset before its onset
        or after `clip_s`, a label not in `classes`, or repeats an earlier row. The message names the row, from 1, or
        line.
    """
    missing = [name for name in COLUMNS if name not in events.columns]
    if missing:
        raise CourseError(f"{where}: lacks the column {missing[0]}; an event list has {', '.join(COLUMNS)}")
    onset_s, offset_s = (pd.to_numeric(events[name], errors="coerce").to_numpy(float) for name in ("onset", "offset"))
    faults = []
    for name, time_s in (("onset", onset_s), ("offset", offset_s)):
        faults += [
            (~np.isfinite(time_s), name, "is not a time in seconds"),
            (time_s < 0, name, "is below 0 s, the start of the file"),
            (time_s > clip_s + ROUNDING_S, name, f"lies beyond the end of the clip at {clip_s:g} s"),
        ]
    faults.append((offset_s < onset_s, "offset", "lies before onset"))
    _refuse_first(events, faults, where, lines)
    numeric = events[COLUMNS].assign(onset=onset_s, offset=offset_s)
    _refuse_first(numeric, _wrong_names(numeric, classes), where, lines)


def _wrong_names(table: pd.DataFrame, classes: Sequence[str] | None) -> list[tuple[pd.Series, str, str]]:
    """Faults for `_refuse_first`: rows without a file name, with an unknown label, or that repeat an earlier row."""
    filename, label = table["filename"], table["event_label"]
    unknown = label.isna() | (label == "") if classes is None else ~label.isin(list(classes))
    known = "" if classes is None else f"; expected one of {', '.join(map(str, classes))}"
    return [
        (filename.isna() | (filename == ""), "filename", "is not a file name"),
        (unknown, "event_label", f"is unknown{known}"),
        (table.duplicated(), "event_label", "repeats an earlier row; list each event once"),
    ]


def _refuse_first(table: pd.DataFrame, faults: list, where: str, lines: Sequence[int] | None) -> None:
    """Raise CourseError for the first row with one of `faults`: a mask of rows, the column at fault, what is wrong."""
    for wrong, column, words in faults:
        if np.any(wrong):
            k = int(np.argmax(wrong))
            place = f"row {k + 1}" if lines is None else f"line {lines[k]}"
            raise CourseError(f"{where}, {place}: {column} {table[column].tolist()[k]!r} {words}")


def merge_touching(events: pd.DataFrame, gap_s: float = 0.0) -> pd.DataFrame:
    """The list with events of one file and label merged if they overlap, touch or are at most `gap_s` apart.

    DCASE's annotations have no gap under 0.15 s. Sorted by file (as they first come), onset and label.
    """
    table = events[COLUMNS].astype({"onset": float, "offset": float})
    table["file"] = pd.factorize(table["filename"])[0]
    table = table.sort_values(["file", "event_label", "onset"], kind="stable")
    sound = ["file", "event_label"]
    table["reach"] = table.groupby(sound, observed=True)["offset"].cummax()  # a long event may outlast later ones
    before = table.groupby(sound, observed=True)["reach"].shift()
    table["block"] = (~(table["onset"] <= before + gap_s + ROUNDING_S)).cumsum()
    merged = table.groupby("block").agg({"file": "first", "filename": "first", "onset": "first", "offset": "max",
                                         "event_label": "first"})  # fmt: skip
    return merged.sort_values(["file", "onset", "event_label"])[COLUMNS].reset_index(drop=True)


def encode_events(events: pd.DataFrame, filenames: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """The list in numbers: columns `file` and `label`, indices into `filenames` and `classes`, and `onset`, `offset`.

    Raises
    ------
    ValueError
        A file or label is not among them, or one of them is named twice.
    """
    table = {"file": _places(events["filename"], filenames), "label": _places(events["event_label"], classes)}
    return pd.DataFrame(table | {name: pd.to_numeric(events[name]).to_numpy(float) for name in ("onset", "offset")})


def _places(column: pd.Series, known: Sequence[str]) -> np.ndarray:
    """Indices into `known` of the entries of a column, whose name is in the messages of errors."""
    index = pd.Index(known)
    if not index.is_unique:
        raise ValueError(f"{column.name} {index[index.duplicated()][0]!r} is listed twice; name each once")
    places = index.get_indexer(column)
    if (places < 0).any():
        raise ValueError(f"{column.name} {column.iloc[places.argmin()]!r} is not one of the {len(index)} known ones")
    return places


def to_tags(labels: pd.DataFrame, filenames: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Which class is in which file, bool `(files, classes)`, from columns `filename` and `event_label`.

    Raises
    ------
    ValueError
        A file or label is unknown, or a file or class is named twice.
    """
    found = np.zeros((len(filenames), len(classes)), dtype=bool)
    found[_places(labels["filename"], filenames), _places(labels["event_label"], classes)] = True
    return found


def to_frames(
    events: pd.DataFrame, filenames: Sequence[str], classes: Sequence[str], n_frames: int, frame_s: float
) -> np.ndarray:
    """Which class sounds when, as bool `(files, n_frames, classes)`; frame `k` begins at `k * frame_s`.

    Frames last `frame_s` and are active where an event covers their middle. An event between two middles marks the
    frame it is centred in, so that no event is lost. What lies beyond the last frame is cut off.

    Raises
    ------
    ValueError
        A file or label is unknown, `check` would refuse a time, or an event begins more than a frame after the last
        frame.
    """
    table = encode_events(events, filenames, classes)
    onset, offset = (table[name].to_numpy() / frame_s for name in ("onset", "offset"))  # in frames
    odd = ~((onset >= 0) & (offset >= onset) & (onset <= n_frames + 1))
    if odd.any():
        filename, begin, end, _ = events[COLUMNS].iloc[odd.argmax()]
        raise ValueError(f"{filename}: an event from {begin} s to {end} s; there are {n_frames} frames of {frame_s} s")
    tiny = ROUNDING_S / frame_s
    first = np.ceil(onset - 0.5 - tiny).astype(np.int64)
    last = np.minimum(np.ceil(offset - 0.5 - tiny).astype(np.int64), n_frames)
    between = last <= first
    first[between] = np.minimum(np.floor((onset + offset) / 2 + tiny).astype(np.int64), n_frames - 1)[between]
    last[between] = first[between] + 1
    change = np.zeros((len(filenames), n_frames + 1, len(classes)), np.int16)
    np.add.at(change, (table["file"], first, table["label"]), 1)
    np.add.at(change, (table["file"], last, table["label"]), -1)
    return change.cumsum(axis=1, dtype=np.int16)[:, :-1] > 0


def from_frames(
    active: np.ndarray,
    filenames: Sequence[str],
    classes: Sequence[str],
    frame_s: float,
    clip_s: float = np.inf,
    first_s: float = 0.0,
) -> pd.DataFrame:
    """The event list of bool `(files, frames, classes)`, one event per run of active frames. Inverse of `to_frames`.

    The first frame begins at `first_s`. Events are cut off at 0 and at `clip_s`; frames that begin at `clip_s` or
    later, such as padding, are ignored. Sorted by file, onset and label.

    Raises
    ------
    ValueError
        The array is not bool, or not of these files and classes.
    """
    active = np.asarray(active)
    if active.dtype != bool or active.ndim != 3 or active.shape[::2] != (len(filenames), len(classes)):
        raise ValueError(
            f"active is {active.dtype} {active.shape}: expected bool (files, frames, classes) with {len(filenames)} "
            f"files and {len(classes)} classes"
        )
    change = np.diff(active.transpose(0, 2, 1).astype(np.int8), axis=2, prepend=0, append=0)
    file, label, first = np.nonzero(change == 1)
    last = np.nonzero(change == -1)[2]  # both come in the order of their runs
    onset, offset = np.maximum(first_s + first * frame_s, 0), first_s + last * frame_s
    names, labels = np.asarray(filenames, dtype=object), np.asarray(classes, dtype=object)
    table = {
        "filename": names[file],
        "onset": onset,
        "offset": np.minimum(offset, clip_s),
        "event_label": labels[label],
    }
    order = np.lexsort((label, onset, file))
    order = order[onset[order] < clip_s - ROUNDING_S]
    return pd.DataFrame(table).iloc[order].reset_index(drop=True).astype({"filename": "str", "event_label": "str"})
