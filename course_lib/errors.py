"""The errors a user can cause. Each is one line: what was found, where, what was expected, what to do."""

import errno
from types import UnionType

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
OF_THE_DISK = FULL | {errno.EACCES, errno.EPERM, errno.EIO, errno.ENOLCK}
OF_THE_PATH = {
    errno.EEXIST: "exists and is not a folder",
    errno.ENOTDIR: "leads through a file, expected a folder",
    errno.EISDIR: "is a folder, expected a file",
    errno.ENOENT: "does not exist",
}


class CourseError(Exception):
    """Something outside the code is wrong (a file, a download, a setting). The command line prints it and exits 1."""


class UsageError(CourseError):
    """The request itself cannot be understood (an unknown name, a value out of range). Exit code 2."""


def expect(name: str, value: object, kind: type | UnionType, meaning: str) -> None:
    """Raise UsageError unless the argument `name` is of `kind`; `meaning` says in words what is expected."""
    if not isinstance(value, kind):
        expected = getattr(kind, "__name__", kind)  # a union of types has no name
        raise UsageError(f"{name}: got {type(value).__name__}, expected {expected}, {meaning}")


def first_line(error: BaseException, if_empty: str = "") -> str:
    """First line of the message; for an empty one `if_empty`, or else the name of the error's type."""
    return (str(error).strip().splitlines() or [if_empty or type(error).__name__])[0]


def disk_is_full(error: BaseException | None) -> bool:
    """True for the error of a disk that cannot be written to because it is full or read-only."""
    return isinstance(error, OSError) and error.errno in FULL


def disk_line(error: OSError) -> str | None:
    """One line about a disk that is full, write-protected or failing, or about a wrong path; None for another error.

    An error of another kind is a bug.
    """
    if error.errno in OF_THE_PATH and error.filename:
        return f"{error.filename}: {OF_THE_PATH[error.errno]}; name another place (--output, COURSE_DATA_DIR)"
    if error.errno not in OF_THE_DISK:
        return None
    place = error.filename or "the disk"
    return f"{place}: {error.strerror}; make room or allow writing, or name another folder (--output, COURSE_DATA_DIR)"
