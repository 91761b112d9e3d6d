"""`AugmentedClips`: clips with their augmented copies, which no split can separate. Notebook: 04."""

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from tqdm import tqdm

from course_lib.audio import io as audio_io
from course_lib.audio import timebase
from course_lib.audio.augment import Transform
from course_lib.audio.io import DECODING_VERSION
from course_lib.data import folds
from course_lib.data.cache import cached, digest
from course_lib.data.clips import Clips
from course_lib.data.workers import copies_of
from course_lib.errors import CourseError, UsageError

ORIGINAL = "original"  # the `transform` of a clip that is not a copy
PROBE_RATE_HZ = 16_000


@dataclass(frozen=True)
class AugmentedClips(Clips):
    """`Clips` whose table holds each clip and its augmented copies, made by `with_copies`.

    Two more columns: `original`, the clip that a row was made from (its own name for the clips themselves), and
    `transform`, the name of the transform (`original` for the clips themselves). Strong labels cover the originals
    only, because stretching a copy changes them.

    Raises
    ------
    UsageError
        The table lacks one of the two columns.
    CourseError
        A source lies in two folds, or a copy has another label, fold or source than its clip.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not {"original", "transform"} <= set(self.table.columns):
            raise UsageError(f"{self.name}: the table lacks `original` and `transform`; make copies with with_copies")
        folds.check_sources_whole(self.table)
        inherited = self.table.groupby("original")[["label", "fold", "source"]].nunique().max(axis=1)
        if (inherited > 1).any():
            raise CourseError(
                f"{self.name}: copies of clip {inherited.idxmax()!r} have another label, fold or source than the clip; "
                "make copies with with_copies, which keeps all three"
            )

    @property
    def is_original(self) -> np.ndarray:
        """True for the clips themselves, False for their copies, shape `(rows,)`."""
        return (self.table["transform"] == ORIGINAL).to_numpy()

    def where(self, mask: np.ndarray | pd.Series) -> "AugmentedClips":
        """The rows for which `mask` is true; of each source it must take all rows, none, or exactly the originals.

        Two masks that pass this check and share no row share no source either: a model trained on a clip cannot be
        tested on its copy.

        Raises
        ------
        CourseError
            The mask takes some copies of a source but not others.
        """
        return super().where(self._whole(mask))

    def originals_only(self, mask: np.ndarray | pd.Series) -> np.ndarray:
        """`mask` without the copies, because we test on sounds as they were recorded. Raises like `where`."""
        return self._whole(mask) & self.is_original

    def _whole(self, mask: np.ndarray | pd.Series) -> np.ndarray:
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (len(self),):
            raise ValueError(f"mask: {mask.dtype} of shape {mask.shape}, expected bool of shape ({len(self)},)")
        ways = pd.DataFrame({"all": mask, "none": ~mask, "originals": mask == self.is_original})
        parted = ~ways.groupby(self.table["source"].to_numpy()).all().any(axis=1)
        if parted.any():
            raise CourseError(
                f"{self.name}: the mask separates copies of source {parted.idxmax()!r} ({parted.sum()} such); "
                "take whole sources, as folds.split does, or originals_only of them"
            )
        return mask


def with_copies(clips: Clips, transforms: Mapping[str, Transform], *, seed: int = 0) -> AugmentedClips:
    """`clips`, then a copy of each by the first of `transforms` (name to function), then by the second, and so on.

    A copy has the label, the fold and the source of its clip. A transform is a function `(x, rate_hz, rng)` of one clip
    `(samples,)`, as in `augment.NAA`. What it draws depends only on `seed`, the clip's name and its own name, not on
    the order or number of clips. Copies are cut, or padded with zeros, to the length of the clip, then clipped to ±1.

    Sounds are computed on all cores when `waves` is first called, and kept on disk, one array per transform. The cache
    key includes what the transform does to a probe signal, so that a changed transform of the same name is not mistaken
    for the old one. Notebook: 04.

    Raises
    ------
    UsageError
        `clips` already contains copies, or a transform is called `original`.
    CourseError
        A source of `clips` lies in two folds.
    """
    if isinstance(clips, AugmentedClips):
        raise UsageError(
            f"{clips.name}: already contains copies; give with_copies the original clips and all transforms at once"
        )
    if ORIGINAL in transforms:
        raise UsageError(f"a transform cannot be called {ORIGINAL!r}: that name stands for no transform")
    names = clips.table["clip"].astype(str)
    blocks = [clips.table.assign(original=names, transform=ORIGINAL)]
    for name in transforms:
        blocks.append(clips.table.assign(clip=names + "+" + name, original=names, transform=name))
    keys = {name: digest(name, _identity(transform), seed) for name, transform in transforms.items()}
    base = digest(clips.content, *names)
    place = pd.Series(range(len(clips)), index=names)

    def reader(asked: pd.DataFrame, rate_hz: int, length_s: float) -> np.ndarray:
        shape = (len(asked), timebase.seconds_to_samples(length_s, rate_hz))
        out = audio_io.room_for(shape, np.float32, "take one fold, fewer transforms, a smaller profile or a lower rate")
        for name, rows in asked.groupby("transform", sort=False).indices.items():
            wanted = place.loc[asked["original"].iloc[rows]].to_numpy()
            if name == ORIGINAL:
                out[rows] = clips.reader(clips.table.iloc[wanted], rate_hz, length_s)
            else:
                key = (base, digest(keys[name], DECODING_VERSION), rate_hz, clips.length_s)
                every = cached("make_copies", key, partial(make_copies, clips, name, transforms[name], seed, rate_hz))
                kept = min(every.shape[1], out.shape[1])
                out[rows, :kept] = every[wanted, :kept]
        out.setflags(write=False)
        return out

    table = pd.concat(blocks, ignore_index=True)
    content = digest(base, *keys.values())
    return AugmentedClips(clips.name, table, clips.length_s, clips.native_rate_hz, content, reader, clips.events)


def make_copies(clips: Clips, name: str, transform: Transform, seed: int, rate_hz: int) -> np.ndarray:
    """One copy of each of `clips`, `(clips, samples)`, float32 within ±1."""
    waves, names = clips.waves(rate_hz), clips.table["clip"].astype(str).tolist()
    out = np.empty(waves.shape, np.float32)
    with closing(copies_of(waves, names, rate_hz=rate_hz, name=name, transform=transform, seed=seed)) as made:
        for row, copy in enumerate(tqdm(made, name, len(out), delay=1, disable=None, unit="copy")):
            out[row] = copy
    return out


def _identity(transform: Transform) -> str:
    """Hash of what a transform does to a probe signal, and of the settings that it was made with.

    The probe fades from full scale to -100 dB, so that it reveals thresholds; small changes of a threshold show in the
    settings. Hashing the source code would not do, because it names constants without their values.
    """
    rng = np.random.default_rng(0)
    probe = rng.uniform(-1, 1, 2 * PROBE_RATE_HZ) * np.geomspace(1, 1e-5, 2 * PROBE_RATE_HZ)
    done = np.asarray(transform(probe.astype(np.float32), PROBE_RATE_HZ, rng))
    settings = _lasting(_settings(transform), within=(transform,))
    return digest(done.dtype, done.shape, hashlib.sha256(done.tobytes()).hexdigest(), settings)


def _settings(function: object) -> list:
    """What a function was made with: the arguments of a partial, else what a function closes over."""
    if isinstance(function, partial):
        return [function.args, sorted(function.keywords.items())]
    return [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]


def _lasting(value: object, within: tuple) -> object:
    """`value`, with other text for the parts of it whose text differs between processes or leaves numbers out.

    Functions and objects whose text is a place in memory become their name and their settings, arrays a hash. `within`
    are those around `value`: a function may close over itself.
    """
    if isinstance(value, np.ndarray):
        return digest(value.dtype, value.shape, hashlib.sha256(value.tobytes()).hexdigest())
    if type(value) in (list, tuple):
        return type(value)(_lasting(part, within) for part in value)
    if type(value) is dict:
        return {name: _lasting(part, within) for name, part in value.items()}
    if isinstance(value, str) or " at 0x" not in repr(value):
        return value
    named = value if hasattr(value, "__qualname__") else type(value)
    name = f"{named.__module__}.{named.__qualname__}"
    if any(value is outer for outer in within):
        return name
    parts = [_settings(value), *(getattr(value, part, None) for part in ("func", "__self__", "__dict__"))]
    return [name, *(_lasting(part, (*within, value)) for part in parts)]
