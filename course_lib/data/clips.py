"""`Clips`, the interface of every data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from course_lib.audio import io as audio_io
from course_lib.audio.features import FEATURES_VERSION, GROUP_SAMPLES, SPEC_MEANS, FeatureSpec, log_mel_torch
from course_lib.audio.io import DECODING_VERSION
from course_lib.data import download, folds
from course_lib.data.cache import cached, digest
from course_lib.errors import CourseError, UsageError, expect

COLUMNS = ("clip", "label", "fold", "source")
BETWEEN = "|"  # separates the labels of a clip in the column `labels`


@dataclass(frozen=True)
class Clips:
    """Labelled clips of one length.

    Attributes
    ----------
    name : name of the data set, or the path of the user's manifest.
    table : one row per clip, columns `clip` (name), `label`, `fold` (whole number from 1), `source` (the recording
        that the clip was cut from) and whatever else the set has (`path`, `speaker`, ...). If clips have several
        labels, `labels` holds all of them, separated by `|`, and `label` the first. Index 0 .. n-1.
    length_s : seconds that `waves` gives every clip, by cutting or padding at the end.
    native_rate_hz : rate of the stored audio.
    content : hash of the sounds and of their entries in a user's manifest; part of the key of every cache.
    events : strong labels, columns `clip`, `onset_s`, `offset_s`, `label`, or None if the set has none.
    reader : function `(table, rate_hz, length_s) -> (clips, samples)` float32 behind `waves`.
    """

    name: str
    table: pd.DataFrame
    length_s: float
    native_rate_hz: int
    content: str
    reader: Callable[[pd.DataFrame, int, float], np.ndarray] = field(repr=False, compare=False)
    events: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        missing = [c for c in COLUMNS if c not in self.table.columns]
        if missing:
            raise UsageError(f"{self.name}: the table of clips lacks the columns {', '.join(missing)}")

    def __len__(self) -> int:
        return len(self.table)

    @property
    def classes(self) -> list[str]:
        """Labels in alphabetical order; a clip's target is its label's index here."""
        return sorted(self.table["label"].unique())

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def targets(self) -> np.ndarray:
        """Index of each clip's label in `classes`, shape `(clips,)`, int64.

        In a part of a set (see `where`) they are numbered among the classes of that part.
        """
        return np.searchsorted(self.classes, self.table["label"].to_numpy(dtype=str)).astype(np.int64)

    @property
    def multilabel(self) -> bool:
        """Whether clips have several labels each."""
        return "labels" in self.table.columns

    @property
    def tag_names(self) -> list[str]:
        """Every label of any clip, in alphabetical order."""
        return list(self._tags.columns)

    @property
    def tags(self) -> np.ndarray:
        """1 where a clip has a label of `tag_names`, else 0: `(clips, labels)`, float32."""
        return self._tags.to_numpy(np.float32)

    @cached_property
    def _tags(self) -> pd.DataFrame:
        return self.table["labels"].str.get_dummies(BETWEEN) if self.multilabel else pd.get_dummies(self.table["label"])

    def waves(self, rate_hz: int = 16_000, length_s: float | None = None) -> np.ndarray:
        """All clips as one read-only array `(clips, samples)`, float32 within ±1, mono, resampled to `rate_hz`.

        Raises
        ------
        CourseError
            A sound cannot be read, or has changed since the data set was loaded, or the array does not fit into memory.
        """
        return self.reader(self.table, rate_hz, self.length_s if length_s is None else length_s)

    def where(self, mask: np.ndarray | pd.Series) -> "Clips":
        """The clips for which `mask` is true, with their strong labels.

        `classes`, `targets` and `tags` are then those of the part, in which a class of the whole may be missing. To
        compare with a network that was trained on the whole, take `clips.targets[mask]` or `clips.tags[mask]`.
        """
        table = self.table[np.asarray(mask)].reset_index(drop=True)
        events = None if self.events is None else self.events[self.events["clip"].isin(table["clip"])]
        return replace(self, table=table, events=events)

    def split(self, test_fold: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks `(clips,)` of training, validation and test, as `folds.split` makes them."""
        return folds.split(self, test_fold)


# --- `Clips` whose sounds are files: decoded once, then kept as one array

PARTS = {"train": 1, "validation": 2, "test": 3}  # folds of the sets that come with one official split


def clips_from_files(
    name: str, table: pd.DataFrame, folder: Path, length_s: float, native_rate_hz: int, content: str
) -> Clips:
    """`Clips` over `table`, whose column `path` is relative to `folder`; `content` is the hash of all files of the set.

    Where `table` has `start_s`, a clip is the piece of its file that begins there; NaN reads the file from its start.
    All rows are decoded and cached together, and a subset of the clips is a part of that array: five folds cost no more
    time and disk than one.
    """
    names = table["path"].tolist()
    starts_s = table["start_s"].tolist() if "start_s" in table else None
    key = digest(content, *names) if starts_s is None else digest(content, *zip(names, starts_s, strict=True))
    as_loaded = _signature(folder, names)
    table = table[[*COLUMNS, *(column for column in table.columns if column not in COLUMNS)]]

    def reader(asked: pd.DataFrame, rate_hz: int, length_s: float) -> np.ndarray:
        def decode() -> np.ndarray:
            if _signature(folder, names) != as_loaded:  # they must not be cached under the hash of the earlier sounds
                raise CourseError(
                    f"{folder}: a sound has changed since the data set was loaded; run again from the start"
                )
            return audio_io.read_many([folder / name for name in names], rate_hz, length_s, starts_s)

        every = cached("decode", (key, rate_hz, float(length_s), DECODING_VERSION), decode)
        part = rows_of(every, table, asked)
        part.setflags(write=False)
        return part

    return Clips(name, table, length_s, native_rate_hz, key, reader)


def rows_of(every: np.ndarray, table: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
    """The rows of `every`, one per clip of `table`, that belong to the clips in `asked`; no copy if these are all."""
    rows = pd.Series(range(len(table)), index=table["clip"]).loc[asked["clip"]].to_numpy()
    return every if np.array_equal(rows, np.arange(len(table))) else every[rows]


def _signature(folder: Path, names: Sequence[str]) -> str:
    try:
        return download.signature(folder, names)
    except OSError as error:
        raise CourseError(f"{error.filename}: {error.strerror}, but it is listed; get the data set again") from error


def read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """The table in `path`, every cell as text.

    Raises
    ------
    CourseError
        The file cannot be read as a table, or lacks one of `columns`.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = str(error).strip()
        raise CourseError(f"{path}: cannot be read as a table ({reason}); get the data set again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise CourseError(f"{path}: lacks the column {missing[0]}; get the data set again")
    return table


def features(clips: Clips, spec: FeatureSpec, *, length_s: float | None = None, progress: bool = True) -> np.ndarray:
    """Log-mels of a data set, shape `(clips, frames, mels)`, float32, read-only, from disk if computed before.

    Clips are cut or padded to `length_s`, None for the set's own length. The cache key consists of the sounds
    (`clips.content` and the clips' names, in order), the length, `spec`, `FEATURES_VERSION` and `DECODING_VERSION`.
    Work of more than two seconds shows a bar with the time left.

    Raises
    ------
    UsageError
        `clips` is not a `Clips`, or `spec` not a `FeatureSpec`.
    CourseError
        As `Clips.waves`.
    """
    expect("clips", clips, Clips, "clips as load() returns them")
    expect("spec", spec, FeatureSpec, SPEC_MEANS)
    length_s = clips.length_s if length_s is None else length_s
    names = digest(*clips.table["clip"])
    key = (clips.content, names, length_s, spec, (FEATURES_VERSION, DECODING_VERSION))
    return cached("log_mels", key, lambda: _log_mels(clips, spec, length_s, progress))


def _log_mels(clips: Clips, spec: FeatureSpec, length_s: float, progress: bool) -> np.ndarray:
    """What `features` keeps on disk."""
    import torch

    waves = clips.waves(spec.rate_hz, length_s)
    out = np.empty((len(waves), spec.frame_count(waves.shape[1]), spec.n_mels), dtype=np.float32)
    batch = max(1, GROUP_SAMPLES // waves.shape[1])
    bar = tqdm(total=len(waves), desc="log-mel", unit="clip", delay=2, disable=not progress)
    with bar, torch.inference_mode():
        for start in range(0, len(waves), batch):
            x = torch.tensor(waves[start : start + batch])
            out[start : start + batch] = log_mel_torch(x, spec).numpy()
            bar.update(len(x))
    return out
