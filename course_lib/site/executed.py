"""A run of the notebooks, as `course run` left it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from course_lib import authoring
from course_lib.errors import CourseError
from course_lib.runner import PASSED

HOW = "run `make course` first (PROFILE=lesson for a site to read)"
REPORT = "results.json"
TOLD = {"run": ("profile", "data set", "jobs"), "provenance": ("date", "cores", "machine")}  # on the site


@dataclass(frozen=True)
class Run:
    """Executed notebooks of one folder, with what was asked for and where it ran."""

    folder: Path
    about: dict
    provenance: dict
    minutes: dict[str, float]
    failures: dict[str, str]

    @property
    def notebooks(self) -> list[Path]:
        """The executed copies in the course's order."""
        return [self.folder / f"{name}.ipynb" for name in self.minutes]

    @property
    def title(self) -> str:
        """Profile and data set, in words."""
        return f"profile {self.about['profile']}, data set {Path(str(self.about['data set'])).stem}"


def read(folder: Path) -> Run:
    """The run that `folder` holds.

    Raises
    ------
    CourseError
        There are no executed notebooks with their results in `folder`.
    """
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        results = {}
        for path in sorted(folder.glob("[0-9][0-9]_*.result.json")):
            if path.with_name(path.name.replace(".result.json", ".ipynb")).exists():
                results[path.name.removesuffix(".result.json")] = json.loads(path.read_text(encoding="utf-8"))
        minutes = {name: result["minutes"] for name, result in results.items()}
        failures = {name: result["message"] for name, result in results.items() if result["state"] != PASSED}
        if not all(name in report[part] for part, names in TOLD.items() for name in names):
            raise ValueError(REPORT)
    except (FileNotFoundError, NotADirectoryError):
        raise CourseError(f"{folder}: no {REPORT} there; {HOW}") from None
    except (ValueError, LookupError, TypeError):
        raise CourseError(f"{folder}: {REPORT} or a result there is not what a run leaves; {HOW}") from None
    if not results:
        raise CourseError(f"{folder}: no executed notebooks with their results; {HOW}")
    return Run(folder, report["run"], report["provenance"], minutes, failures)


def latest(runs: Path) -> Run:
    """The run below `runs` that ended last; runs of solutions do not count, they show no exercise.

    A folder that holds no whole run, as one that was interrupted at once leaves it, is passed over.

    Raises
    ------
    CourseError
        There is none yet.
    """
    found = []
    for path in sorted(runs.glob(f"*/{REPORT}")):
        if not path.parent.name.endswith("-solutions"):
            with suppress(CourseError):
                found.append(read(path.parent))
    if not found:
        raise CourseError(f"{runs}: no run of the notebooks yet; {HOW}")
    return max(found, key=lambda run: run.provenance["date"])


def complaints(run: Run) -> list[str]:
    """What is not as it should be with a run that is to become a site, one line each."""
    lines = [f"{name} failed: {message}" for name, message in run.failures.items()]
    for source in authoring.sources():
        name = source.stem
        if name not in run.minutes:
            lines.append(f"{name} was not run")
        elif _own_cells(run.folder / f"{name}.ipynb") != _own_cells(authoring.notebooks_dir() / f"{name}.ipynb"):
            lines.append(f"{name} has changed since it was run")
    return lines


def _own_cells(path: Path) -> list[str]:
    """Text of every cell, without the one that papermill adds."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in cells if "injected-parameters" not in c["metadata"].get("tags", [])]
