"""Arrays that take time to compute, kept on disk as `.npy` files named by a digest of everything they depend on."""

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

    The key must name everything that the array depends on, by values whose `repr` says all there is to say about them
    (numbers, texts, frozen dataclasses); for code, that is a version constant. `given` (the waveforms of a data set
    whose hash is in the key, a progress bar) is passed on but not hashed.

    A file is written under a temporary name and then renamed: a killed run leaves none half-written, and two runs may
    share a cache. A damaged file is computed again. Where the cache cannot be written, one line says so and the
    result is returned all the same.
    """
    path = entry(make, key)
    found = _load(path)
    if found is not None:
        return found
    array = make(*key, *given)
    try:
        _save(array, path)
    except OSError as error:
        log.warning("%s: cannot keep results here (%s); going on without the cache", path.parent, error.strerror)
    found = _load(path)
    if found is not None:
        return found
    array.setflags(write=False)
    return array


def entry(make: Callable[..., np.ndarray], key: Sequence[object]) -> Path:
    """The file that holds `make` of `key`, whether or not it is there yet."""
    digest = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:32]
    return paths.cache_dir() / make.__name__.strip("_") / f"{digest}.npy"


def _load(path: Path) -> np.ndarray | None:
    """The array in `path`; None where there is none, or none that can be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _save(array: np.ndarray, path: Path) -> None:
    """Write `array` under a temporary name beside `path` and rename it."""
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
