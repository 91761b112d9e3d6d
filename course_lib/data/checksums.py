"""Lists of SHA-256 sums in the format of `sha256sum`, and the comparison of a folder with one."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from course_lib.audio import io as audio_io
from course_lib.errors import CourseError
from course_lib.paths import atomic_write


def read(path: Path) -> dict[str, str]:
    """Sums by file name, from lines `sum, two spaces, name`.

    Raises
    ------
    CourseError
        A line is something else.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise CourseError(f"{path}:{number}: expected a SHA-256 sum, two spaces and a name, found {line[:80]!r}")
        found[name] = digest
    return found


def write(sums: dict[str, str], path: Path) -> None:
    """Writes `sums` as `read` reads them, sorted by name."""
    atomic_write(path, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))


def of_files(folder: Path, names: list[str]) -> dict[str, str]:
    """Sum of each of `names` in `folder`; an empty text for one that is not there. In parallel, with a progress bar."""
    return dict(zip(names, audio_io.threaded(lambda name: _sum(folder / name), names, "checking", "file"), strict=True))


def of_sums(sums: dict[str, str]) -> str:
    """One sum over all names and sums: the same for the same files wherever they are."""
    return hashlib.sha256("\n".join(f"{sums[name]}  {name}" for name in sorted(sums)).encode()).hexdigest()


def problems(folder: Path, expected: dict[str, str]) -> list[str]:
    """What differs between `folder` and the list, a sentence each: missing, changed and foreign files."""
    kinds = {Path(name).suffix for name in expected}
    foreign = sorted(name for name in set(listing(folder)) - set(expected) if Path(name).suffix in kinds)
    found = of_files(folder, sorted(expected))
    missing = [f"{name} is missing" for name, digest in found.items() if not digest]
    changed = [f"{name} has other content than published" for name, d in found.items() if d and d != expected[name]]
    return missing + changed + [f"{name} does not belong to it" for name in foreign]


def listing(folder: Path) -> list[str]:
    """Sorted names of all files below `folder`; those that begin with a dot are the course's own or the system's."""
    inside = len(str(folder)) + 1
    # os.walk because Path.rglob takes ten times as long over the 100,000 files of the larger sets
    found = (os.path.join(place, name)[inside:] for place, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    return sorted(name.replace(os.sep, "/") for name in found if not name.rpartition(os.sep)[2].startswith("."))


def signature(folder: Path, names: Iterable[str]) -> str:
    """Hash over names, sizes and times of files: compared in milliseconds, where their content takes seconds."""
    found = ((name, os.stat(os.path.join(folder, name))) for name in names)  # noqa: PTH116, PTH118, for speed
    text = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in found)
    return hashlib.sha256(text.encode()).hexdigest()


def _sum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
