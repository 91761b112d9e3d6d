"""Arrays that cost time to make, kept on disk under a key of everything they depend on."""

import hashlib
import inspect
import logging
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np
from joblib import Memory

from course_lib import paths

log = logging.getLogger(__name__)
warnings.filterwarnings("ignore", "Unable to cache to disk")  # joblib's, which we tell in one line


def source_digest(*modules: ModuleType) -> str:
    """Hash of the source of `modules`: as part of a key it makes a changed formula miss the old entries."""
    text = "\n".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cached(make: Callable[..., np.ndarray], *key: object, given: Sequence[object] = ()) -> np.ndarray:
    """`make(*key, *given)` as a read-only array, from disk if it was made before.

    The key must name everything that the array depends on; `given` (the waveforms of a data set whose hash is in the
    key, a progress bar) is handed on but not hashed. Entries are written to a temporary name and then renamed, so that
    a killed run leaves none half-written, and two runs may share a cache. A cache that cannot be written is reported
    and done without: a full disk costs time, not the result.
    """
    folder = paths.cache_dir() / make.__module__.rsplit(".", 1)[-1]
    names = list(inspect.signature(make).parameters)
    try:
        memory = Memory(folder, mmap_mode="r", verbose=0)
        return memory.cache(make, ignore=names[len(key) :])(*key, *given)
    except (OSError, KeyError) as error:  # the second is joblib's, for an entry that it could not write
        _remove_partial(folder)
        why = error.strerror if isinstance(error, OSError) else f"{paths.free_bytes(folder) / 1e6:.0f} MB are free"
        log.warning("%s: cannot keep results here (%s); going on without the cache", folder, why)
        return make(*key, *given)


def _remove_partial(folder: Path) -> None:
    """Remove what joblib could not finish writing: it would fill the disk that was too small for it."""
    mine = f"*-{os.getpid()}-{id(threading.current_thread())}"  # how joblib ends the name of a file it is writing
    with suppress(OSError):
        for path in folder.rglob(mine):
            path.unlink()
