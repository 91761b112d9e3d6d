"""The errors a user can cause. Each is one line: what was found, where, what was expected, what to do."""


class CourseError(Exception):
    """Something outside the code is wrong (a file, a download, a setting). The command line prints it and exits 1."""


class UsageError(CourseError):
    """The request itself cannot be understood (an unknown name, a value out of range). Exit code 2."""
