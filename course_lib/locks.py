"""One run a folder: a file that says which process writes there."""

import os
from pathlib import Path

import psutil

from course_lib.errors import CourseError
from course_lib.paths import write_whole


class FolderInUse(CourseError):
    """Another run writes to the same folder."""


def lock(folder: Path, what: str) -> Path:
    """Claim `folder` for this process, which runs `what`; returns the file to remove at the end.

    A dead owner's claim is taken over.

    Raises
    ------
    FolderInUse
        Another living run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    owner = holder(folder)
    if owner not in (None, os.getpid()):
        raise FolderInUse(
            f"{folder}: process {owner} is running {what} into it; wait for it or choose another --output"
        )
    write_whole(path, str(os.getpid()))
    return path


def holder(folder: Path) -> int | None:
    """Number of the living process that has claimed `folder`, or None."""
    try:
        owner = int((folder / ".lock").read_text())
    except (OSError, ValueError):
        return None
    return owner if psutil.pid_exists(owner) else None
