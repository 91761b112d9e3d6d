"""One run a folder: a file that says which process writes there, locked by the system as long as that process lives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from course_lib.errors import CourseError

PATIENCE_S = 0.5  # longer than somebody takes who only looks whether the folder is in use


class FolderInUse(CourseError):
    """Another run writes to the same folder."""


@contextmanager
def lock(folder: Path, what: str) -> Iterator[None]:
    """Claim `folder`, made if need be, for this process, which runs `what` inside.

    The claim of a process that was killed ended with it, whatever it left behind and whoever has its number now.

    Raises
    ------
    FolderInUse
        Another living run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    try:
        claim = FileLock(path).acquire(timeout=PATIENCE_S)
    except Timeout:
        owner = _owner(path)
        line = f"{f'process {owner}' if owner else 'another process'} is running {what} into it"
        raise FolderInUse(f"{folder}: {line}; wait for it or choose another --output") from None
    with claim:
        with suppress(OSError):  # Windows lets nobody write to a locked file; the number only helps the reader
            path.write_text(str(os.getpid()))
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()  # while it is ours: whoever waits for it sees that, and makes a new one


def holder(folder: Path) -> int | None:
    """Number of the living process that has claimed `folder`, or None."""
    path = folder / ".lock"
    owner = _owner(path)
    if owner is None:
        return None
    try:
        with FileLock(path).acquire(blocking=False):
            return None
    except Timeout:
        return owner
    except OSError:  # a folder that only others may write to
        return owner if psutil.pid_exists(owner) else None


def _owner(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
