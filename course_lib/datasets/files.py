"""`Clips` whose sounds are files: decoded once, then kept as one array."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import audio
from course_lib.audio import DECODING_VERSION
from course_lib.cache import cached
from course_lib.datasets import sums
from course_lib.datasets.clips import COLUMNS, Clips
from course_lib.errors import CourseError

PARTS = {"train": 1, "validation": 2, "test": 3}  # folds of the sets that come with one official split


def clips_from_files(
    name: str, table: pd.DataFrame, folder: Path, length_s: float, native_rate_hz: int, content: str
) -> Clips:
    """`Clips` over `table`, whose column `path` is relative to `folder`; `content` is the hash of all files of the set.

    All rows are decoded and cached together, and a part of the clips is a part of that array: five folds cost no more
    time and disk than one.
    """
    names = table["path"].tolist()
    place = pd.Series(range(len(table)), index=table["clip"])
    digest = hashlib.sha256("\n".join([content, *names]).encode()).hexdigest()
    as_loaded = _signature(folder, names)
    table = table[[*COLUMNS, *(column for column in table.columns if column not in COLUMNS)]]

    def reader(asked: pd.DataFrame, rate_hz: int, length_s: float) -> np.ndarray:
        every = cached(decode, digest, rate_hz, float(length_s), DECODING_VERSION, given=(folder, names, as_loaded))
        rows = place.loc[asked["clip"]].to_numpy()
        part = every if np.array_equal(rows, np.arange(len(names))) else every[rows]
        part.setflags(write=False)
        return part

    return Clips(name, table, length_s, native_rate_hz, digest, reader)


def decode(
    content: str, rate_hz: int, length_s: float, version: int, folder: Path, names: Sequence[str], as_loaded: str
) -> np.ndarray:
    """Waveforms of `names` in `folder`, `(clips, samples)`, float32. `version` only completes the key of the cache.

    Raises
    ------
    CourseError
        A file has changed since `as_loaded`: what it holds now must not be kept under the hash of what it held then.
    """
    if _signature(folder, names) != as_loaded:
        raise CourseError(f"{folder}: a sound has changed since the data set was loaded; run again from the start")
    return audio.read_many([folder / name for name in names], rate_hz, length_s)


def _signature(folder: Path, names: Sequence[str]) -> str:
    try:
        return sums.signature(folder, names)
    except OSError as error:
        raise CourseError(f"{error.filename}: {error.strerror}, but it is listed; get the data set again") from error


def read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """The table in `path`, every cell a text.

    Raises
    ------
    CourseError
        No table can be read, or one of `columns` is not in it.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        told = str(error).strip()
        raise CourseError(f"{path}: cannot be read as a table ({told}); get the data set again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise CourseError(f"{path}: lacks the column {missing[0]}; get the data set again")
    return table
