"""`Scenes`, the interface of every set with several sounds per clip, strong labels and perhaps video frames."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from course_lib.checked import Count, checked
from course_lib.data import events as lists
from course_lib.errors import CourseError

PARTS = ("weak", "unlabelled", "validation", "test")
COLUMNS = ("filename", "part", "source")


@dataclass(frozen=True)
class Scenes:
    """Clips of one length, each with any number of events.

    Attributes
    ----------
    name : name of the set, or the path of the user's folder.
    table : one row per scene, columns `filename`, `part` (one of `PARTS`), `source` (what must not be in two parts: a
        video, or the scene itself if it was mixed from recordings of its own part). Index 0 .. n-1.
    classes : labels in order; a label's index here is its column in every array.
    clip_s : length of every scene in seconds.
    content : hash of sounds, video frames and labels; part of the key of every cache.
    reader : function `(table, rate_hz) -> (scenes, samples)`, float32 within ±1, behind `waves`.
    video_reader : function `(table, frame_rate_hz, size_px) -> (scenes, frames, size, size, 3)`, uint8, frame `k` as
        it is seen at `(k + 0.5) / frame_rate_hz` seconds; None if there is no video.
    tags : weak labels of the parts `weak`, `validation` and `test`: columns `filename`, `event_label`.
    events : strong labels of `validation` and `test` only: columns `filename`, `onset`, `offset`, `event_label`.
    """

    name: str
    table: pd.DataFrame
    classes: list[str]
    clip_s: float
    content: str
    reader: Callable[[pd.DataFrame, int], np.ndarray] = field(repr=False, compare=False)
    video_reader: Callable[[pd.DataFrame, float, int], np.ndarray] | None = field(repr=False, compare=False)
    tags: pd.DataFrame = field(repr=False, compare=False)
    events: pd.DataFrame = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        missing = [column for column in COLUMNS if column not in self.table.columns]
        if missing:
            raise CourseError(f"{self.name}: the table of scenes lacks the columns {', '.join(missing)}")
        foreign = sorted(set(self.table["part"]) - set(PARTS))
        if foreign:
            raise CourseError(f"{self.name}: part {foreign[0]!r} is unknown; expected one of {', '.join(PARTS)}")
        parts = self.table.groupby("source")["part"].nunique()
        if (parts > 1).any():
            raise CourseError(
                f"{self.name}: source {parts.idxmax()!r} is in {parts.max()} parts; training on one would "
                "leak into another; put it into one"
            )
        held = set(self.table.loc[self.table["part"].isin(["validation", "test"]), "filename"])
        if not set(self.events["filename"]) <= held:
            raise CourseError(
                f"{self.name}: has strong labels of training scenes; give them only for validation and test scenes"
            )
        lists.check(self.events, self.classes, clip_s=self.clip_s, where=self.name)

    def __len__(self) -> int:
        return len(self.table)

    def waves(self, rate_hz: int = 16_000, rows: slice = slice(None)) -> np.ndarray:
        """Scenes, all or those in `rows`, as one array `(scenes, samples)`, float32 within ±1, mono."""
        return self.reader(self.table[rows].reset_index(drop=True), rate_hz)

    def video_frames(self, frame_rate_hz: float = 1.0, size_px: int = 128, rows: slice = slice(None)) -> np.ndarray:
        """Images `(scenes, frames, size, size, 3)`, uint8; frame `k` is what is seen at `(k + 0.5) / frame_rate_hz` s.

        Raises
        ------
        CourseError
            The set has no video frames.
        """
        if self.video_reader is None:
            raise CourseError(f"{self.name}: has no video frames; choose features of sound only")
        return self.video_reader(self.table[rows].reset_index(drop=True), frame_rate_hz, size_px)

    def part(self, *names: str) -> "Scenes":
        """The scenes of these parts with their labels.

        Raises
        ------
        CourseError
            There are none.
        """
        chosen = self.table["part"].isin(names)
        if not chosen.any():
            raise CourseError(f"{self.name}: has no scenes in the part {' or '.join(names)}")
        table = self.table[chosen].reset_index(drop=True)
        mine = set(table["filename"])
        tags, events = (t[t["filename"].isin(mine)].reset_index(drop=True) for t in (self.tags, self.events))
        return replace(self, table=table, tags=tags, events=events)

    @property
    def targets(self) -> np.ndarray:
        """Weak labels as an array `(scenes, classes)` of 0 and 1, float32.

        Raises
        ------
        CourseError
            Some of these scenes are unlabelled.
        """
        if (self.table["part"] == "unlabelled").any():
            raise CourseError(f"{self.name}: unlabelled scenes have no targets; take a part of them")
        return lists.to_tags(self.tags, self.table["filename"], self.classes).astype(np.float32)


@checked
class SceneSpec:
    """How many scenes, and how hard. Hashable, so that it can be part of a key.

    Attributes
    ----------
    weak, unlabelled, validation, test : scenes per part.
    clip_s : length of a scene in seconds.
    most_events : a scene has 1 to this many events, of any class, at any time, also overlapping.
    quietest_db, loudest_db : level of an event above the background noise while it lasts is drawn from this range.
    longest_s : an event that would last longer is cut to a length drawn from 1 s to this.
    flash : video frames show what sounds exactly from onset to offset, instead of as in real video.
    seed : seed of everything that is drawn.
    """

    weak: Count = 1200
    unlabelled: Count = 1200
    validation: Count = 150
    test: Count = 300
    clip_s: float = 10.0
    most_events: Count = 4
    quietest_db: float = 0.0
    loudest_db: float = 15.0
    longest_s: float = 4.0
    flash: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.longest_s <= self.clip_s:
            raise ValueError(f"longest_s={self.longest_s}, clip_s={self.clip_s}: need 1 <= longest_s <= clip_s")
        if not self.quietest_db <= self.loudest_db:
            raise ValueError(f"quietest_db={self.quietest_db}: must be at most loudest_db={self.loudest_db}")
