"""The data sets that the course makes instead of downloading: `synth10` and `timing`."""

import hashlib
from collections.abc import Callable

import numpy as np
import pandas as pd

from course_lib import audio, sounds, synth, timebase, timing
from course_lib.audio import DECODING_VERSION
from course_lib.cache import cached
from course_lib.datasets.clips import Clips

SYNTH10_CLIPS_PER_CLASS = 40  # as ESC-10
TIMING_CLIPS_PER_CLASS = 100


def load_synth10(clips_per_class: int | None = None, seed: int = 0) -> Clips:
    """Ten procedural classes with strong labels, 5 s a clip; None makes 40 clips a class, as in ESC-10.

    Raises
    ------
    ValueError
        Fewer than one clip a class.
    """
    table = synth.synth10_table(SYNTH10_CLIPS_PER_CLASS if clips_per_class is None else clips_per_class, seed)
    events = synth.synth10_events(table)
    return _clips("synth10", synth.SYNTH10_VERSION, table, events, synth.LENGTH_S, synth.synth10_waves)


def load_timing(
    clips_per_class: int | None = None,
    seed: int = 0,
    *,
    tasks: tuple[str, ...] = timing.TASKS,
    fineness_ms: float | None = None,
) -> Clips:
    """Six classes, or two for each of `tasks`, that only timing tells apart, 1 s a clip; None makes 100 a class.

    Raises
    ------
    ValueError
        Fewer than one clip a class, an unknown task, a fineness out of range.
    """
    n_clips = TIMING_CLIPS_PER_CLASS if clips_per_class is None else clips_per_class
    table = timing.timing_table(n_clips, seed, tasks=tasks, fineness_ms=fineness_ms)
    events = timing.timing_events(table)
    return _clips("timing", timing.TIMING_VERSION, table, events, timing.LENGTH_S, timing.timing_waves)


def _clips(
    name: str,
    version: int,
    table: pd.DataFrame,
    events: pd.DataFrame,
    length_s: float,
    make: Callable[[pd.DataFrame], np.ndarray],
) -> Clips:
    """`Clips` over all of `table`, made once; a part of the clips is a part of that array."""
    # Each row of the table names all that its sound depends on; the version stands for the code that makes it
    content = hashlib.sha256(f"{name} {version}\n{table.to_csv(index=False)}".encode()).hexdigest()
    place = pd.Series(range(len(table)), index=table["clip"])

    def reader(asked: pd.DataFrame, rate_hz: int, length_s: float) -> np.ndarray:
        every = cached(render, content, given=(make, table))
        if rate_hz != sounds.RATE_HZ:
            every = cached(at_rate, content, rate_hz, DECODING_VERSION, given=(every,))
        rows = place.loc[asked["clip"]].to_numpy()
        part = every if np.array_equal(rows, np.arange(len(place))) else every[rows]
        n_samples = timebase.seconds_to_samples(length_s, rate_hz)
        part = part[:, :n_samples]  # a view; the copy that padding makes is rarely wanted
        if part.shape[1] < n_samples:
            part = np.pad(part, ((0, 0), (0, n_samples - part.shape[1])))
        part.setflags(write=False)
        return part

    return Clips(name, table, length_s, sounds.RATE_HZ, content, reader, events)


def render(content: str, make: Callable[[pd.DataFrame], np.ndarray], table: pd.DataFrame) -> np.ndarray:
    """All clips at the rate they are made at, `(clips, samples)`, float32; `content` is the key of the cache."""
    return make(table)


def at_rate(content: str, rate_hz: int, version: int, native: np.ndarray) -> np.ndarray:
    """All clips at another rate, `(clips, samples)`, float32 within ±1; `content` and `version` complete the key."""
    resampled = audio.resample(np.ascontiguousarray(native.T), sounds.RATE_HZ, rate_hz).T
    return np.clip(resampled, -1, 1, order="C")
