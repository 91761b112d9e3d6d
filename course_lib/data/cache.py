"""A disk cache of computed arrays: `.npy` files, each named by a digest of everything that the array depends on."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from course_lib import paths

log = logging.getLogger(__name__)


def cached(make: Callable[..., np.ndarray], *key: object, given: Sequence[object] = ()) -> np.ndarray:
    """`make(*key, *given)` as a read-only array, memory-mapped from disk if it was computed before.

    The key must include everything that the array depends on, as values whose `repr` describes them completely
    (numbers, strings, frozen dataclasses); code is represented by a version constant. `given` is passed to `make` but
    not hashed: for example waveforms whose hash is in the key, or a progress bar.

    Files are written under a temporary name and then renamed, so that a killed run leaves no incomplete entry and
    several runs can share a cache. A damaged entry is computed again. If the cache cannot be written, a one-line
    warning is logged and the result is still returned.
    """
    path = entry(make, key)
    found = _load(path)
    if found is not None:
        return found
    array = make(*key, *given)
    try:
        _save(array, path)
    except OSError as error:
        reason = error.strerror or f"{paths.free_bytes(path.parent) / 1e6:.0f} MB are free"  # numpy gives no reason
        log.warning("%s: cannot keep results here (%s); going on without the cache", path.parent, reason)
    found = _load(path)
    if found is not None:
        return found
    array.setflags(write=False)
    return array


def entry(make: Callable[..., np.ndarray], key: Sequence[object]) -> Path:
    """The path of the file for `make(*key)`, whether or not it exists yet."""
    digest = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:32]
    return paths.cache_dir() / make.__name__.strip("_") / f"{digest}.npy"


def _load(path: Path) -> np.ndarray | None:
    """The array in `path`; None if the file is missing or cannot be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _save(array: np.ndarray, path: Path) -> None:
    """Write `array` to a temporary file next to `path`, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=path.stem, suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array, allow_pickle=False)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
