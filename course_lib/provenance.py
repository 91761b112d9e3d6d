"""Where a number comes from: date, commit, versions, machine."""

import os
import platform
import subprocess
from datetime import UTC, datetime

from course_lib.paths import repo_root

PACKAGES = ("numpy", "scipy", "librosa", "torch", "torchaudio", "scikit-learn")
# Written by the very runs that ask for the commit, so a change in them does not count as one
MEASURED = (":!tests/expected", ":!bench/results", ":!study/results", ":!README.md")


def provenance() -> dict[str, str]:
    """When, from which commit and on what this run was made."""
    return {"date": now(), "commit": commit(), **environment()}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> str:
    """The checked-out commit, with `+changes` when anything but measured results differs; `unknown` outside of git."""
    try:
        git = ["git", "-C", str(repo_root())]
        sha = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "--", ".", *MEASURED], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return sha.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def environment() -> dict[str, str]:
    """What a number may depend on besides the code: versions, machine, threads."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }
