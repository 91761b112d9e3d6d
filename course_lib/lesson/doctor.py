"""What this machine has, what it lacks, and what to do about it."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil
from rich.console import Console
from rich.table import Table

from course_lib import paths, profiles
from course_lib.data import download, registry
from course_lib.errors import CourseError, first_line
from course_lib.lesson import screen

PACKAGES = ("torch", "torchaudio", "torchvision", "librosa", "numpy", "scikit-learn", "papermill", "jupyterlab")
NEEDED_DISK_GB, NEEDED_MEMORY_GB = 2.0, 4.0


def findings() -> list[tuple[str, str, str]]:
    """Rows `(what, found, problem)`; an empty `problem` means that all is well."""
    rows = []
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    rows.append(("Python", platform.python_version(), "" if right else "use Python 3.11, 3.12 or 3.13"))
    for package in PACKAGES:
        try:
            rows.append((package, version(package), ""))
        except PackageNotFoundError:
            rows.append((package, "absent", "run `make course`, which installs the locked packages"))
    memory = psutil.virtual_memory().total / 1e9
    rows.append(("cores", str(os.cpu_count()), ""))
    rows.append(("memory", f"{memory:.1f} GB", "" if memory >= NEEDED_MEMORY_GB else "the course needs 4 GB"))
    rows.append(_device())
    rows += _folders()
    return rows


def _device() -> tuple[str, str, str]:
    """The device that trains, or why torch, which is large and comes in many builds, does not load."""
    try:
        return "device", profiles.device(), ""
    except (ImportError, OSError) as error:
        return "device", f"torch does not load: {first_line(error)}", "run `uv sync --locked --reinstall-package torch`"


def _folders() -> list[tuple[str, str, str]]:
    folder = paths.data_dir()
    free = paths.free_bytes(folder) / 1e9
    low = "" if free >= NEEDED_DISK_GB else "free some space, or point COURSE_DATA_DIR at a larger disk"
    try:
        mirror, problem = str(paths.mirror_dir() or "none"), ""
    except CourseError as error:
        mirror, problem = os.environ["COURSE_MIRROR"], str(error)
    here = [name for name in registry.names() if download.present(name)]
    return [
        ("data sets here", ", ".join(here), ""),
        ("data folder", str(folder), ""),
        ("free disk there", f"{free:.1f} GB", low),
        ("mirror", mirror, problem),
        ("network", "forbidden by COURSE_OFFLINE" if paths.offline() else "allowed", ""),
    ]


def report(console: Console) -> int:
    """Print all findings and the data sets; returns the number of problems."""
    rows = findings()
    table = Table()
    for name in ("what", "found", "what to do"):
        table.add_column(name)
    for what, found, problem in rows:
        table.add_row(what, found, f"[red]{problem}[/]" if problem else "")
    screen.print_table(table, console, "this machine")
    problems = sum(bool(problem) for _, _, problem in rows)
    console.print("all is well" if not problems else f"{problems} of these would stop the course")
    return problems
