"""Grade a folder of submitted notebooks: every one is executed anew, and one line says what its checks found.

A submission is a file that anyone may have broken in any way. Whatever is wrong with it ends as a remark in its line.
What it shows from the student's own run is thrown away first; the parameters are ours, so that nobody is graded on
another profile; and a cell that raises does not end the run, so that every exercise is judged on its own.

The check runs inside the student's notebook, so the count is as honest as the student.
"""

import csv
import importlib
import io
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from course_lib import profiles
from course_lib.data.load import resolve_dataset
from course_lib.errors import CourseError, UsageError
from course_lib.lesson import checks
from course_lib.paths import atomic_write
from course_lib.tools import executor

MISSING = "missing"
COLUMNS = ("student", "file", "notebook", "passed", "of", "exercises", "remark", "minutes")
LONGEST_REMARK = 200


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


def grade(folder: Path, parameters: Mapping[str, object], *, limit_s: float, workers: int) -> Iterator[Grade]:
    """Yield the grade of each submission below `folder` as it comes, those that cannot be read first.

    `limit_s` is the time that one submission may take. Closing the iterator, or an error such as `KeyboardInterrupt`,
    stops what is at work: nothing is executed that nobody keeps.
    """
    tasks, grades = [], {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for place, path in enumerate(submissions(folder)):
            opened = _opened(path, folder)
            if opened.remark:
                yield opened
                continue
            tasks.append(_task(path, Path(scratch) / str(place), parameters, limit_s))
            grades[tasks[-1].output] = opened
        with closing(executor.execute(tasks, workers)) as ended:
            for task, trouble, minutes in ended:
                yield _graded(grades[task.output], task.output, trouble, minutes)


def _task(path: Path, scratch: Path, parameters: Mapping[str, object], limit_s: float) -> executor.Task:
    """How a submission is executed: a copy of it, in an empty folder."""
    (scratch / "empty").mkdir(parents=True)
    notebook = scratch / "submitted.ipynb"
    shutil.copyfile(path, notebook)
    return executor.Task(
        notebook,
        parameters,
        scratch / "executed.ipynb",
        limit_s=limit_s,
        keep_going=True,
        folder=scratch / "empty",
        environment={"COURSE_STRICT": "0"},  # strict would raise what the check has already shown
    )


def _opened(path: Path, folder: Path) -> Grade:
    """What a submission is before it is executed; with a remark where it cannot be, whatever is in the file."""
    inside = path.relative_to(folder)
    number, remark = "", ""
    try:
        number = _number_of(json.loads(path.read_text(encoding="utf-8")))
        if not number:
            remark = "no check of this course in it: not one of its notebooks"
    except Exception as error:  # broken in whatever way: the others still want a grade
        remark = f"cannot be read as a notebook ({type(error).__name__}: {error})"
    student = inside.parts[0] if len(inside.parts) > 1 else path.stem
    return Grade(student, str(inside), number, remark=_one_line(remark))


def _graded(submission: Grade, executed: Path, trouble: str, minutes: float) -> Grade:
    """The grade of a submission from its executed copy; what was checked before it was stopped still counts."""
    try:
        copy = json.loads(executed.read_text(encoding="utf-8"))
        states, messages = _counted(copy, submission.notebook)
        remark = executor.went_wrong(copy, trouble)
    except Exception as error:  # no copy, half of one, or one with outputs that are not the course's
        states, messages = _counted({"cells": []}, submission.notebook)
        remark = trouble or f"the executed copy cannot be read ({type(error).__name__}: {error})"
    return replace(submission, states=states, messages=messages, remark=_one_line(remark), minutes=minutes)


def _number_of(notebook: Mapping) -> str:
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


def _counted(notebook: Mapping, number: str) -> tuple[dict[str, str], dict[str, str]]:
    """State and message of every exercise of notebook `number`; the last check of each counts, none is `MISSING`."""
    last = {outcome["exercise"]: outcome for outcome in checks.outcomes(notebook)}
    wanted = _exercises(number)
    states = {e: last[e]["state"] if e in last else MISSING for e in wanted}
    return states, {e: _one_line(last[e]["message"]) for e in wanted if e in last}


def _one_line(text: str) -> str:
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(text)).split())
    return line if len(line) <= LONGEST_REMARK else line[: LONGEST_REMARK - 1] + "…"


def write_table(grades: Sequence[Grade], path: Path) -> None:
    """Write the grades to `path` as CSV, whole, a line a submission.

    Raises
    ------
    CourseError
        It cannot be written there.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(g.row() for g in grades)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, text.getvalue())
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


def grade_folder(
    folder: Path, output: Path, profile: str, dataset: str, *, minutes: float, jobs: int, console: Console
) -> int:
    """Grade a folder and print what came of it; returns the exit code. The table is whole after every submission.

    It is written empty before the first: where it cannot be, nothing is executed in vain.
    """
    parameters = {"profile": profiles.get(profile).name, "dataset": resolve_dataset(dataset), "seed": 0}
    total, kept = len(submissions(folder)), []
    write_table(kept, output)
    with closing(grade(folder, parameters, limit_s=60 * minutes, workers=jobs)) as grades, suppress(KeyboardInterrupt):
        for done in grades:
            kept = sorted([*kept, done], key=lambda g: g.file)
            write_table(kept, output)
            counts = f"{done.passed} of {len(done.states)}" if done.states else "not graded"
            console.print(f"  {escape(done.file)}  {counts}  {escape(done.remark)}", soft_wrap=True)
    for exercise, passed, asked, said in by_exercise(kept):
        often = f"; most often: {escape(said)}" if said else ""
        console.print(f"exercise {exercise}: {passed} of {asked} passed{often}", soft_wrap=True)
    console.print(f"{output}: {len(kept)} of {total} submissions", soft_wrap=True)
    return 0 if len(kept) == total else 130
