"""`Clips`, the one face that every data set shows."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from course_lib.errors import UsageError

COLUMNS = ("clip", "label", "fold", "source")
BETWEEN = "|"  # stands between the labels of a clip in the column `labels`


@dataclass(frozen=True)
class Clips:
    """Labelled clips of one length.

    Attributes
    ----------
    name : name of the data set, or the path of the user's manifest.
    table : one row a clip, columns `clip` (name), `label`, `fold` (whole number from 1), `source` (the recording
        that the clip was cut from) and whatever else the set has (`path`, `speaker`, ...). Where clips have several
        labels, `labels` holds all of them, `|` between, and `label` the first. Index 0 .. n-1.
    length_s : seconds that `waves` gives every clip, by cutting or padding at the end.
    native_rate_hz : rate of the stored audio.
    content : hash over the sounds themselves, and over what the user's manifest says of them; the key of every cache.
    events : strong labels, columns `clip`, `onset_s`, `offset_s`, `label`, or None where the set has none.
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
        """Labels in alphabetical order; a clip's target is its label's place here."""
        return sorted(self.table["label"].unique())

    @property
    def targets(self) -> np.ndarray:
        """Place of each clip's label in `classes`, shape `(clips,)`, int64."""
        return np.searchsorted(self.classes, self.table["label"].to_numpy(dtype=str)).astype(np.int64)

    @property
    def several(self) -> bool:
        """Whether clips have several labels each."""
        return "labels" in self.table.columns

    @property
    def tag_names(self) -> list[str]:
        """Every label that some clip has among its labels, in alphabetical order."""
        return list(self._tags.columns)

    @property
    def tags(self) -> np.ndarray:
        """1 where a clip has a label of `tag_names`, else 0: `(clips, labels)`, float32."""
        return self._tags.to_numpy(np.float32)

    @cached_property
    def _tags(self) -> pd.DataFrame:
        return self.table["labels"].str.get_dummies(BETWEEN) if self.several else pd.get_dummies(self.table["label"])

    def waves(self, rate_hz: int = 16_000, length_s: float | None = None) -> np.ndarray:
        """All clips as one read-only array `(clips, samples)`, float32 within ±1, mono, resampled to `rate_hz`."""
        return self.reader(self.table, rate_hz, self.length_s if length_s is None else length_s)

    def where(self, mask: np.ndarray | pd.Series) -> "Clips":
        """The clips for which `mask` is true, with their strong labels."""
        table = self.table[np.asarray(mask)].reset_index(drop=True)
        events = None if self.events is None else self.events[self.events["clip"].isin(table["clip"])]
        return replace(self, table=table, events=events)
