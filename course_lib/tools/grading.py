"""Grade a folder of submitted notebooks: every one is executed anew, and one line says what its checks found.

A submission is a file that anyone may have broken in any way. Whatever is wrong with it ends as a remark in its line.
What it shows from the student's own run is thrown away first; the parameters are ours, so that nobody is graded on
another profile; and a cell that raises does not end the run, so that every exercise is judged on its own.

The check runs inside the student's notebook, so the count is as honest as the student.
"""

import asyncio
import csv
import importlib
import io
import os
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.errors import CourseError, UsageError
from course_lib.lesson import checks
from course_lib.paths import atomic_write
from course_lib.tools import runner

if TYPE_CHECKING:
    from nbformat import NotebookNode

MISSING = "missing"
COLUMNS = ("student", "file", "notebook", "passed", "of", "exercises", "remark", "minutes")
LONGEST_REMARK = 200
POLL_S = 0.2


@dataclass(frozen=True)
class Grade:
    """One line: a submission, the state of each exercise of its notebook, and what else was wrong."""

    student: str
    file: str
    notebook: str
    states: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    minutes: float = 0.0

    @property
    def passed(self) -> int:
        return sum(state == checks.PASSED for state in self.states.values())

    def exercises(self) -> str:
        """All exercises in a line; what is not yet right with what differs."""
        said = {e: f": {self.messages[e]}" if s == checks.NOT_YET else "" for e, s in self.states.items()}
        return "; ".join(f"{e} {s}{said[e]}" for e, s in self.states.items())

    def row(self) -> tuple:
        """The values of `COLUMNS`."""
        counts = (self.passed, len(self.states)) if self.states else ("", "")
        return self.student, self.file, self.notebook, *counts, self.exercises(), self.remark, f"{self.minutes:.2f}"


def submissions(folder: Path) -> list[Path]:
    """Notebooks below `folder`, in order; Jupyter's own checkpoints are not anybody's.

    Raises
    ------
    UsageError
        There is no such folder.
    CourseError
        No notebook is in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name the folder that holds the submitted notebooks")
    below = {path: path.relative_to(folder).parts for path in folder.rglob("*.ipynb")}
    found = sorted(path for path, parts in below.items() if not any(part.startswith(".") for part in parts))
    if not found:
        raise CourseError(f"{folder}: no .ipynb file in it or below; put one folder a student there, or one file each")
    return found


def grade(
    folder: Path,
    parameters: Mapping[str, object],
    *,
    limit_s: float,
    workers: int,
    on_done: Callable[[Grade], None] = lambda done: None,
) -> tuple[list[Grade], bool]:
    """Grades of all submissions below `folder` in order of their paths, and whether all of them were reached.

    `limit_s` is the time that one submission may take from its first cell to its last. `on_done` is called with each
    grade as it comes. A `KeyboardInterrupt` stops the kernels; what was graded until then comes back. So does every
    error of `on_done` stop them, which is then raised: nothing is executed that nobody keeps.
    """
    paths = submissions(folder)
    done: dict[Path, Grade] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(graded, path, folder, parameters, limit_s, stop): path for path in paths}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED)[0]:
                    path = running.pop(future)
                    done[path] = future.result()
                    on_done(done[path])
        except BaseException as error:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if not isinstance(error, KeyboardInterrupt):
                raise
    return [done[path] for path in paths if path in done], len(done) == len(paths)


def graded(path: Path, folder: Path, parameters: Mapping[str, object], limit_s: float, stop: threading.Event) -> Grade:
    """The grade of one submission, whatever is in the file."""
    inside = path.relative_to(folder)
    student = inside.parts[0] if len(inside.parts) > 1 else path.stem
    number, states, messages, remark, start = "", {}, {}, "", time.monotonic()
    try:
        notebook = _fresh(path, parameters)
        number = number_of(notebook)
        if not number:
            return Grade(student, str(inside), "", remark="no check of this course in it: not one of its notebooks")
        trouble = _execute(notebook, limit_s, stop)
        states, messages = counted(notebook, number)
        remark = "; ".join(filter(None, (trouble, runner.raised(notebook) or runner.never_ran(notebook))))
    except Exception as error:  # broken in whatever way: the others still want a grade
        remark = f"cannot be read as a notebook ({type(error).__name__}: {error})"
    minutes = (time.monotonic() - start) / 60
    return Grade(student, str(inside), number, states, messages, _one_line(remark), minutes)


def _fresh(path: Path, parameters: Mapping[str, object]) -> "NotebookNode":
    """The submission without outputs, with our values behind its `parameters` cell."""
    import nbformat
    from papermill.parameterize import parameterize_notebook  # seconds to import, with nbformat

    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])  # papermill counts on them
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.setdefault("papermill", {})
    return parameterize_notebook(notebook, dict(parameters), kernel_name="python3", language="python")


def number_of(notebook: Mapping) -> str:
    """Two digits of the notebook whose exercises are checked most often in it; empty where none is."""
    code = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    named = Counter(re.findall(r"""\bcheck\(\s*["'](\d\d)\.\d""", code))
    known = [number for number, _ in named.most_common() if _exercises(number)]
    return known[0] if known else ""


def _exercises(number: str) -> list[str]:
    try:
        return sorted(importlib.import_module(f"course_lib.lesson.exercises.nb{number}").EXERCISES)
    except ImportError:
        return []


def counted(notebook: Mapping, number: str) -> tuple[dict[str, str], dict[str, str]]:
    """State and message of every exercise of notebook `number`; the last check of each counts, none is `MISSING`."""
    last = {outcome["exercise"]: outcome for outcome in checks.outcomes(notebook)}
    wanted = _exercises(number)
    states = {e: last[e]["state"] if e in last else MISSING for e in wanted}
    return states, {e: _one_line(last[e]["message"]) for e in wanted if e in last}


def _execute(notebook: "NotebookNode", limit_s: float, stop: threading.Event) -> str:
    """Execute `notebook` in place and in an empty folder; returns what ended it early, if anything did."""
    from nbclient import NotebookClient

    begun: list[NotebookNode] = []
    quiet = {"MPLBACKEND": "agg", "COURSE_STRICT": "0"}  # strict would raise what the check has already shown
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            allow_errors=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": folder}},
            extra_arguments=["--IPKernelApp.log_level=50"],
            on_cell_execute=lambda cell, cell_index: begun.append(cell),
        )
        try:
            trouble = asyncio.run(_watched(client, dict(os.environ) | quiet, limit_s, stop))
        except Exception as error:  # a dead kernel, a full disk: a remark, and what was checked before still counts
            trouble = f"{type(error).__name__}: {error}"
    for cell in begun[-1:] if trouble else ():  # a cell gets its number when it begins, this one did not end
        cell.execution_count = None
    return trouble


async def _watched(client, environment: dict[str, str], limit_s: float, stop: threading.Event) -> str:
    """Run `client` to its end, or end it when its time is over or everything is to stop."""
    task = asyncio.ensure_future(client.async_execute(env=environment))
    deadline = time.monotonic() + limit_s
    why = ""
    while not task.done() and not why:
        await asyncio.wait({task}, timeout=POLL_S)
        why = "interrupted" if stop.is_set() else f"stopped after {limit_s:g} s" if time.monotonic() > deadline else ""
    if task.done():
        await task
        return ""
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):  # nbclient takes a cancelled cell for a dead kernel
        await task
    return why


def _one_line(text: str) -> str:
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(text)).split())
    return line if len(line) <= LONGEST_REMARK else line[: LONGEST_REMARK - 1] + "…"


def table(grades: Sequence[Grade]) -> str:
    """The grades as CSV text, a line a submission."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(g.row() for g in grades)
    return text.getvalue()


def write_table(grades: Sequence[Grade], path: Path) -> None:
    """Write `table` to `path`, whole.

    Raises
    ------
    CourseError
        It cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, table(grades))
    except OSError as error:
        raise CourseError(f"{path}: cannot be written ({error.strerror}); name another file (--output)") from error


def by_exercise(grades: Sequence[Grade]) -> list[tuple[str, int, int, str]]:
    """For each exercise: how many passed it, how many were asked, and what was said most often to the others."""
    rows = []
    for exercise in sorted({e for g in grades for e in g.states}):
        asked = [g for g in grades if exercise in g.states]
        passed = sum(g.states[exercise] == checks.PASSED for g in asked)
        said = Counter(g.messages[exercise] for g in asked if g.states[exercise] == checks.NOT_YET)
        rows.append((exercise, passed, len(asked), said.most_common(1)[0][0] if said else ""))
    return rows
