"""`workers`: processes that make copies, and `copies_of`: what each of them does. Every worker imports this, so little.

Processes, since Signalsmith holds Python's lock while it works: two threads are no faster than one.
"""

import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import joblib
import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

Transform = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]  # (x, rate_hz, rng) -> x
Start = Callable[[], ProcessPoolExecutor]  # starts the workers when first called

# Below this a transform is done here. Starting workers takes half a second, and librosa, which `trim` needs for half a
# millisecond a clip and has imported here already, takes each of them three.
WORTH_PROCESSES_S = 1.0
TASK_S, LARGEST_TASK = 0.15, 16  # long beside the way to a worker, short beside the wait for the last one
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


@contextmanager
def workers() -> Iterator[Start]:
    """A function that hands out the same processes, one a core, at every call. They start at the first and end here.

    joblib would keep them for later; those of a notebook's kernel would outlive the kernel.
    """
    started = []

    def start() -> ProcessPoolExecutor:
        if not started:
            end = partial(_end_with, os.getpid())
            started.append(ProcessPoolExecutor(joblib.cpu_count(), initializer=end, env=ONE_THREAD))
        return started[0]

    with warnings.catch_warnings():
        # A worker that grew by 300 MB, as for librosa and what it compiles, ends after its task and another takes over
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        try:
            yield start
        finally:
            for executor in started:
                _shut_down(executor)


def _shut_down(executor: ProcessPoolExecutor) -> None:
    """End the workers, also where a second Ctrl-C comes while they are being ended."""
    try:
        executor.shutdown(kill_workers=True)
    except KeyboardInterrupt:
        executor.shutdown(kill_workers=True)
        raise


def _end_with(parent: int) -> None:
    """Let this process end when `parent` was killed and could not end it: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.name == "posix":  # elsewhere a process keeps the number of a parent that is gone
        threading.Thread(target=watch, daemon=True).start()


def spread(
    start: Start, waves: np.ndarray, clips: Sequence[str], rate_hz: int, name: str, transform: Transform, seed: int
) -> Iterator[np.ndarray]:
    """`copies_of` all `clips` in order, some at a time: two here, the others over workers where that saves time.

    `waves` is `(clips, samples)`, each result `(some clips, samples)`. Raises like `copies_of`.
    """
    made = partial(copies_of, rate_hz=rate_hz, name=name, transform=transform, seed=seed)
    yield made(waves[:1], clips[:1])  # this also imports what the transform needs, so the second is timed
    if len(clips) == 1:
        return
    begun = time.perf_counter()
    yield made(waves[1:2], clips[1:2])
    one_s = max(time.perf_counter() - begun, 1e-6)
    size = int(np.clip(TASK_S / one_s, 1, LARGEST_TASK))
    starts = range(2, len(clips), size)
    worth = joblib.cpu_count() > 1 and one_s * len(clips) > WORTH_PROCESSES_S
    every = start().map if worth else map
    yield from every(made, (waves[k : k + size] for k in starts), (clips[k : k + size] for k in starts))


def copies_of(
    waves: np.ndarray, clips: Sequence[str], *, rate_hz: int, name: str, transform: Transform, seed: int
) -> np.ndarray:
    """A copy of each of `clips` with the sounds `waves` `(clips, samples)`, of the same shape, float32 within ±1.

    Raises
    ------
    ValueError
        What the transform says of the first clip that it refuses, with its own name and the clip's.
    """
    out = np.zeros(waves.shape, np.float32)
    for x, clip, copy in zip(waves, clips, out, strict=True):
        rng = np.random.default_rng([seed, int(digest(clip, name), 16)])
        try:
            changed = transform(x, rate_hz, rng)
        except ValueError as error:
            raise ValueError(f"transform {name!r} of clip {clip!r}: {error}") from None
        kept = min(len(copy), len(changed))
        np.clip(changed[:kept], -1, 1, out=copy[:kept])
    return out


def digest(*parts: object) -> str:
    """SHA-256 of `parts` as lines of text, 64 hexadecimal digits."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
