"""Where things live: every folder that the course reads or writes, and the environment variables that move them.

| variable          | meaning                                                              | default             |
|-------------------|----------------------------------------------------------------------|---------------------|
| `COURSE_DATA_DIR` | downloaded data sets and the caches made from them                   | user's cache folder |
| `COURSE_MIRROR`   | folder searched by file name before the network                      | none                |
| `COURSE_OFFLINE`  | `1` forbids the network                                              | unset               |
| `COURSE_CLIP_S`   | clip length of your own sounds, in s (`course run --clip-s` sets it) | from the files      |
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from course_lib.errors import CourseError, UsageError

PACKAGE = Path(__file__).resolve().parent


def repo_root() -> Path:
    """Folder that holds `course_lib/`, `notebooks/` and `data/`: above this package, else from the current folder up.

    Raises
    ------
    UsageError
        The library was installed without the course, and the current folder is not inside its repository.
    """
    root = checkout()
    if root:
        return root
    here = Path.cwd()
    for folder in (here, *here.parents):
        if _holds_course(folder):
            return folder
    raise UsageError(
        f"{here}: this needs the course's repository, and course_lib was installed without it; clone the repository "
        "and run the command inside it"
    )


def checkout() -> Path | None:
    """The repository that this code is part of, or None if it was installed from a wheel."""
    return PACKAGE.parent if _holds_course(PACKAGE.parent) else None


def _holds_course(folder: Path) -> bool:
    return (folder / "course_lib").is_dir() and (folder / "data" / "registry.toml").is_file()


def shipped(name: str) -> Path:
    """File or folder `name` of the repository that a wheel contains too, such as `data/registry.toml`."""
    root = checkout()
    return (root or PACKAGE / "shipped") / name


def data_dir() -> Path:
    """Folder of downloaded data: `COURSE_DATA_DIR`, else in the user's cache. Not created here."""
    chosen = os.environ.get("COURSE_DATA_DIR")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("temporal-resolution-course")


def cache_dir() -> Path:
    """Folder of decoded audio and features. Deleting it costs time, never results."""
    return data_dir() / "cache"


def mirror_dir() -> Path | None:
    """Folder searched before the network, or None.

    Raises
    ------
    UsageError
        `COURSE_MIRROR` names something that is not a folder; this is reported at once, not after a failed download.
    """
    chosen = os.environ.get("COURSE_MIRROR")
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise UsageError(f"COURSE_MIRROR={chosen}: no such folder; unset it or name a folder of downloaded files")
    return folder


def offline() -> bool:
    """True when `COURSE_OFFLINE` forbids the network."""
    return os.environ.get("COURSE_OFFLINE", "").lower() not in ("", "0", "false", "no")


def clip_s() -> float | None:
    """Clip length of the user's own sounds in seconds, from `COURSE_CLIP_S`; None derives it from the files.

    Raises
    ------
    UsageError
        It is not a number.
    """
    chosen = os.environ.get("COURSE_CLIP_S")
    try:
        return float(chosen) if chosen else None
    except ValueError:
        raise UsageError(f"COURSE_CLIP_S={chosen}: expected seconds, such as 4") from None


def runs_dir() -> Path:
    """Folder of executed notebooks and study rows, in the repository, else in the current folder. Git ignores it."""
    return (checkout() or Path.cwd()) / "runs"


def site_dir() -> Path:
    """Default folder of the site. Everything in it is made by `course site`."""
    return repo_root() / "runs" / "site"


def study_dir() -> Path:
    """Folder of the study: its protocol, questions, claims, grids and results."""
    return shipped("study")


def grids_dir() -> Path:
    """Folder of the study's grids, one TOML file each."""
    return study_dir() / "grids"


def published_dir() -> Path:
    """Folder of the committed results that the course quotes, with their provenance."""
    return study_dir() / "results"


def as_folder(path: Path, option: str) -> Path:
    """`path` as an absolute path, which is a folder or can become one; `option` is the option that names it.

    Raises
    ------
    UsageError
        The path, or a part of it, is a file.
    """
    whole = path.resolve()
    for place in (whole, *whole.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(f"{option} {path}: {place} is a file, expected a folder; name another")
    return whole


def free_bytes(folder: Path) -> int:
    """Free space on the disk where `folder` is, or will be."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` under a temporary name and rename it, so that `path` is never half-written."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # two processes may write the same file
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a full disk names no file, others the partial
        raise
    finally:
        with suppress(OSError):  # if a parent is a file, nothing was written
            partial.unlink(missing_ok=True)


def write_if_changed(path: Path, text: str) -> list[Path]:
    """Write `text` unless the file holds it already; returns the path if that changed it."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text)
    return [path]


# --- One run per folder: a file names the process that writes there, and is locked for as long as that process lives

PATIENCE_S = 0.5  # longer than a check of whether the folder is in use takes


class FolderInUse(CourseError):
    """Another run writes to the same folder."""


@contextmanager
def lock(folder: Path, what: str) -> Iterator[None]:
    """Claim `folder`, created if need be, for this process; `what` says what it runs there.

    The claim of a killed process ends with it, even if its lock file remains and its process number is reused. A folder
    created for the run is removed if it is still empty afterwards, as when the run was refused.

    Raises
    ------
    FolderInUse
        Another running process holds it.
    """
    from filelock import FileLock, Timeout  # imported here, because most callers need only a path

    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    try:
        claim = FileLock(path).acquire(timeout=PATIENCE_S)
    except Timeout:
        owner = _owner(path)
        line = f"{f'process {owner}' if owner else 'another process'} is running {what} there"
        raise FolderInUse(f"{folder}: {line}; wait for it or choose another --output") from None
    with claim:
        with suppress(OSError):  # Windows allows no writing to a locked file; the number only informs the user
            path.write_text(str(os.getpid()))
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()  # while it is ours: a process waiting for it notices, and makes a new one
            inside = sorted(folder.rglob("*"), reverse=True) if made else []
            for place in [*inside, *made]:
                with suppress(OSError):  # a file, or a folder that is not empty
                    place.rmdir()


def holder(folder: Path) -> int | None:
    """Number of the running process that has claimed `folder`, or None."""
    import psutil
    from filelock import FileLock, Timeout

    path = folder / ".lock"
    owner = _owner(path)
    if owner is None:
        return None
    try:
        with FileLock(path).acquire(blocking=False):
            return None
    except Timeout:
        return owner
    except OSError:  # a folder that we may not write to
        return owner if psutil.pid_exists(owner) else None


def _owner(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
