"""Copies of clips, made by one process per core. Every process imports this module, so it imports little itself.

Processes, because Signalsmith holds Python's global interpreter lock: two threads are no faster than one.
"""

import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial

import joblib
import numpy as np

from course_lib.audio.augment import Transform
from course_lib.data.cache import digest

WORTH_PROCESSES_S = 1.0  # starting processes takes half a second, and up to three where they need librosa
IDLE_S = 10  # processes wait this long for the next transform; those of a killed notebook end half a minute later


def copies_of(
    waves: np.ndarray, clips: Sequence[str], *, rate_hz: int, name: str, transform: Transform, seed: int
) -> Iterator[np.ndarray]:
    """A copy of each of `clips` with the sounds `waves` `(clips, samples)`, in order; see `copy_of`.

    The first two are made here, the others by several processes if that saves time.
    """
    copy = partial(copy_of, rate_hz=rate_hz, name=name, transform=transform, seed=seed)
    one_s = 0.0
    for x, clip in zip(waves[:2], clips[:2], strict=True):
        begun = time.perf_counter()
        made = copy(x, clip)
        one_s = time.perf_counter() - begun  # of the second: the first also imports what the transform needs
        yield made
    n_jobs = -1 if one_s * len(clips) > WORTH_PROCESSES_S else 1
    jobs = (joblib.delayed(copy)(x, clip) for x, clip in zip(waves[2:], clips[2:], strict=True))
    with warnings.catch_warnings():
        # A process that has grown by 300 MB, as with librosa, is replaced after its task; the user need not know
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield from joblib.Parallel(n_jobs, return_as="generator", idle_worker_timeout=IDLE_S)(jobs)


def copy_of(x: np.ndarray, clip: str, *, rate_hz: int, name: str, transform: Transform, seed: int) -> np.ndarray:
    """What `transform` makes of `x` `(samples,)`, cut or padded with zeros to its length, float32 within ±1.

    Raises
    ------
    ValueError
        The transform refuses the clip; the message names both.
    """
    rng = np.random.default_rng([seed, int(digest(clip, name), 16)])
    try:
        changed = transform(x, rate_hz, rng)
    except ValueError as error:
        raise ValueError(f"transform {name!r} of clip {clip!r}: {error}") from None
    out = np.zeros(x.shape, np.float32)
    kept = min(len(x), len(changed))
    np.clip(changed[:kept], -1, 1, out=out[:kept])
    return out
