"""A disk cache of computed arrays: `.npy` files, each named by the digest of everything that the array depends on."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

from course_lib import paths

log = logging.getLogger(__name__)


def cached(name: str, key: Sequence[object], make: Callable[[], np.ndarray]) -> np.ndarray:
    """What `make()` returns, as a read-only array, memory-mapped from disk if it was computed before.

    `name` is the folder of arrays of this kind. The key must include everything that the array depends on, as values
    whose `repr` describes them completely (numbers, strings, frozen dataclasses); a hash stands for waveforms, a
    version constant for code.

    Files are written under a temporary name and then renamed, so that a killed run leaves no incomplete entry and
    several runs can share a cache. A damaged entry is computed again. If the cache cannot be written, a one-line
    warning is logged and the result is still returned.
    """
    path = paths.cache_dir() / name / f"{digest(tuple(key))[:32]}.npy"
    found = _load(path)
    if found is not None:
        return found
    array = make()
    try:
        _save(array, path)
    except OSError as error:
        reason = error.strerror or f"{paths.free_bytes(path.parent) / 1e6:.0f} MB are free"  # numpy gives no reason
        log.warning("%s: cannot save results here (%s); continuing without the cache", path.parent, reason)
    found = _load(path)
    if found is not None:
        return found
    array.setflags(write=False)
    return array


def digest(*parts: object) -> str:
    """SHA-256 of `parts` as lines of text, 64 hexadecimal digits."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _load(path: Path) -> np.ndarray | None:
    """The array in `path`; None if the file is missing or cannot be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _save(array: np.ndarray, path: Path) -> None:
    """Write `array` to a temporary file next to `path`, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by `tempfile`, whose files only their owner may read: a cache can be shared
    partial = path.with_name(f"{path.stem}-{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            np.save(file, array, allow_pickle=False)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
