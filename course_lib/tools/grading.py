"""Grade a folder of submitted notebooks: each is executed again, and one line says what its checks found.

A submission is a file or folder that may be broken in any way. Whatever is wrong with it becomes a remark in its line.
Only the code of its cells is executed, in a new notebook: outputs of the student's own run are ignored. The parameters
are ours, so that everyone is graded on the same profile, and a cell that raises does not end the run, so that every
exercise is judged separately.

The check runs inside the student's notebook, so the count is only as honest as the student.
"""

import csv
import importlib
import io
import json
import re
import symtable
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
from course_lib.tools import authoring, executor

MISSING = "missing"
LARGEST_MB = 100  # of a submitted file; more than any notebook of the course with all its outputs
NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.IGNORECASE)  # browsers and editors append the second ending
NOBODYS = ("__MACOSX", "__pycache__")  # left by programs, like everything hidden
# What no solution needs: the checks and their answers, or a changed numpy
SUSPECT = re.compile(
    r"lesson[. ]+(?:import +)?exercises|EXERCISES|CHECK_MIME|course\.check|notebooks/solutions"
    r"|\b(?:np|numpy|checks)\.\w+ *=(?!=)"
)
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
        """All exercises in one line; those not yet right with what differs."""
        said = {e: f": {self.messages[e]}" if s == checks.NOT_YET else "" for e, s in self.states.items()}
        return "; ".join(f"{e} {s}{said[e]}" for e, s in self.states.items())

    def row(self) -> tuple:
        """The values of `COLUMNS`."""
        counts = (self.passed, len(self.states)) if self.states else ("", "")
        return self.student, self.file, self.notebook, *counts, self.exercises(), self.remark, f"{self.minutes:.2f}"


def submissions(folder: Path) -> list[Path]:
    """What to grade below `folder`, in order: every notebook, and every folder or file handed in instead of one.

    A folder without a notebook is listed itself, unless a folder above it holds one, which it then only accompanies.
    Tables (`.csv`) beside the submissions belong to the teacher and are skipped, as are hidden files such as Jupyter's
    checkpoints.

    Raises
    ------
    UsageError
        There is no such folder.
    CourseError
        It holds no notebook.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name the folder that holds the submitted notebooks")
    found = []
    for place in _visible(folder):
        if place.is_dir():
            found += _handed_in(place)
        elif place.suffix.lower() != ".csv":
            found.append(place)
    if not any(_is_notebook(place) for place in found):
        raise CourseError(f"{folder}: no .ipynb file in it or below; put one folder or one file per student there")
    return found


def _handed_in(folder: Path) -> list[Path]:
    """The notebooks in and below `folder`, and folders below it without any; only `folder` if there is no notebook."""
    try:
        inside = _visible(folder)
    except OSError:  # it cannot be read, which becomes its remark
        return [folder]
    here = [place for place in inside if _is_notebook(place)]
    below = [found for place in inside if place.is_dir() and not place.is_symlink() for found in _handed_in(place)]
    if here:
        return sorted(here + [place for place in below if _is_notebook(place)])
    return below if any(_is_notebook(place) for place in below) else [folder]


def _visible(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if not place.name.startswith(".") and place.name not in NOBODYS)


def _is_notebook(place: Path) -> bool:
    return bool(NOTEBOOK.search(place.name)) and place.is_file()


def grade(
    folder: Path,
    parameters: Mapping[str, object],
    *,
    limit_s: float,
    workers: int,
    memory_gb: float | None = None,
    outputs_mb: float = 20.0,
) -> Iterator[Grade]:
    """Yield the grade of each submission below `folder` as it comes, those that cannot be executed first.

    `limit_s` is the time that one submission may take, `memory_gb` the memory (None: its share of the machine),
    `outputs_mb` the size of its outputs. Closing the iterator, or an error such as `KeyboardInterrupt`, stops the
    submissions that are running.
    """
    tasks, grades = [], {}
    bounds = {"limit_s": limit_s, "memory_gb": memory_gb, "outputs_mb": outputs_mb}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for place, path in enumerate(submissions(folder)):
            opened, cells = _opened(path, folder)
            if not cells:
                yield opened
                continue
            cells, remark = _with_parameters(cells, parameters)
            tasks.append(_task(cells, Path(scratch) / str(place), bounds))
            grades[tasks[-1].output] = replace(opened, remark=remark)
        with closing(executor.execute(tasks, workers)) as ended:
            for task, trouble, minutes in ended:
                yield _graded(grades[task.output], task.output, trouble, minutes)


def _task(cells: list[dict], scratch: Path, bounds: Mapping[str, float | None]) -> executor.Task:
    """How a submission is executed: a notebook of its code, in an empty folder."""
    from nbformat import v4

    (scratch / "empty").mkdir(parents=True)
    about = {"kernelspec": authoring.KERNEL, "language_info": {"name": "python"}}
    code = [v4.new_code_cell(**cell, id=f"cell-{place}") for place, cell in enumerate(cells)]
    notebook = json.dumps(v4.new_notebook(cells=code, metadata=about))  # escapes what UTF-8 cannot hold
    (scratch / "submitted.ipynb").write_text(notebook, encoding="utf-8")
    return executor.Task(
        scratch / "submitted.ipynb",
        {},  # they are in the notebook already
        scratch / "executed.ipynb",
        **bounds,
        keep_going=True,
        folder=scratch / "empty",
        environment={"COURSE_STRICT": "0"},  # strict would raise what the check has already shown
    )


def _opened(path: Path, folder: Path) -> tuple[Grade, list[str]]:
    """The grade of a submission before it is executed, and the code of its cells; if it cannot be, no code."""
    inside = path.relative_to(folder)
    number, remark, cells = "", "", []
    try:
        if not _is_notebook(path):
            remark = _instead_of_a_notebook(path)
        elif path.stat().st_size > 1e6 * LARGEST_MB:
            remark = f"{path.stat().st_size / 1e6:.0f} MB, expected at most {LARGEST_MB}; hand it in without outputs"
        else:
            cells = _code_of(path)
            number = _number_of(cells, path.name)
            if not number:
                remark, cells = "no check of this course in it, so not one of its notebooks", []
    except Exception as error:  # broken in whatever way: the others still get a grade
        remark = f"cannot be read as a notebook ({type(error).__name__}: {error}); hand in the .ipynb file again"
    student = inside.parts[0] if len(inside.parts) > 1 or path.is_dir() else Path(NOTEBOOK.sub("", path.name)).stem
    return Grade(student, str(inside), number, remark=_one_line(remark)), cells


def _instead_of_a_notebook(path: Path) -> str:
    """The remark on a file that is no notebook, or on a folder that holds none."""
    names = [place.name for place in _visible(path)] if path.is_dir() else [path.name]
    if not names:
        return "an empty folder, expected a notebook (.ipynb)"
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"no notebook, found {shown}; hand in the .ipynb file itself, not zipped or exported"


def _code_of(path: Path) -> list[str]:
    """The code of each cell of a notebook, whatever its version of the format and its Unicode encoding."""
    import nbformat

    notebook = nbformat.reader.reads(path.read_bytes())
    cells = nbformat.convert(notebook, 4)["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [text for text in code if text.strip()]


def _with_parameters(cells: Sequence[str], parameters: Mapping[str, object]) -> tuple[list[dict], str]:
    """`cells` with our `parameters` set after each cell that sets any of them, or on top; and what that cannot prevent.

    This works without the tag of the parameters cell, which Colab drops, and if a student sets one again further down.
    """
    ours = {
        "source": "\n".join(f"{name} = {value!r}" for name, value in parameters.items()),
        "metadata": {"tags": [executor.INJECTED]},
    }
    found, remarks = [], []
    for place, code in enumerate(cells, 1):
        found.append({"source": code, "metadata": {}})
        names = _names(code)
        own = [name for name in parameters if name in names and names[name].is_assigned()]
        if own:
            found.append(ours)
        used = [name for name in own if names[name].is_referenced()]
        if used:
            remarks.append(f"code cell {place} sets {', '.join(used)} and runs with that")
        if "check" in names and names["check"].is_assigned() and not names["check"].is_imported():
            remarks.append(f"code cell {place} redefines `check`; read it")
        suspect = SUSPECT.search(code)
        if suspect:
            remarks.append(f"code cell {place} mentions {suspect[0].strip('= ')}; read it")
    return found if ours in found else [ours, *found], "; ".join(remarks)


def _names(code: str) -> dict[str, symtable.Symbol]:
    """The names that a cell sets or uses outside of its functions; none if it is not valid code and so never runs."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        plain = TransformerManager().transform_cell(code)  # without %magics and !commands
        return {symbol.get_name(): symbol for symbol in symtable.symtable(plain, "cell", "exec").get_symbols()}
    except (SyntaxError, ValueError, RecursionError):
        return {}


def _graded(submission: Grade, executed: Path, trouble: str, minutes: float) -> Grade:
    """The grade of a submission from its executed copy; what was checked before it was stopped still counts."""
    try:
        copy = json.loads(executed.read_text(encoding="utf-8"))
        states, messages = _counted(copy, submission.notebook)
        remark = executor.went_wrong(copy, trouble)
    except Exception as error:  # no copy, half of one, or one with outputs that are not the course's
        states, messages = _counted({"cells": []}, submission.notebook)
        remark = trouble or f"the executed copy cannot be read ({type(error).__name__}: {error})"
    remark = "; ".join(filter(None, [_one_line(submission.remark), _one_line(remark)]))
    return replace(submission, states=states, messages=messages, remark=remark, minutes=minutes)


def _number_of(cells: Sequence[str], name: str) -> str:
    """Two digits of the notebook whose exercises `cells` check most often, or else of its file; empty if none."""
    checked = Counter(re.findall(r"""\(\s*["'](\d\d)\.\d["']\s*,""", "\n".join(cells)))
    named = re.findall(r"^(\d\d)_", name)
    known = [number for number in [*(number for number, _ in checked.most_common()), *named] if _exercises(number)]
    return known[0] if known else ""


def _exercises(number: str) -> list[str]:
    try:
        return sorted(importlib.import_module(f"course_lib.lesson.exercises.nb{number}").EXERCISES)
    except ImportError:
        return []


def _counted(notebook: Mapping, number: str) -> tuple[dict[str, str], dict[str, str]]:
    """State and message of every exercise of notebook `number`, from its last check; `MISSING` if it has none."""
    last = {outcome["exercise"]: outcome for outcome in checks.outcomes(notebook)}
    wanted = _exercises(number)
    states = {e: last[e]["state"] if e in last else MISSING for e in wanted}
    return states, {e: _one_line(last[e]["message"]) for e in wanted if e in last}


def _one_line(text: str) -> str:
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(text)).split())
    return line if len(line) <= LONGEST_REMARK else line[: LONGEST_REMARK - 1] + "…"


def write_table(grades: Sequence[Grade], path: Path) -> None:
    """Write the grades to `path` as CSV, atomically, one line per submission.

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
    """For each exercise: how many passed, how many were asked, and the most frequent message to the others."""
    rows = []
    for exercise in sorted({e for g in grades for e in g.states}):
        asked = [g for g in grades if exercise in g.states]
        passed = sum(g.states[exercise] == checks.PASSED for g in asked)
        said = Counter(g.messages[exercise] for g in asked if g.states[exercise] == checks.NOT_YET)
        rows.append((exercise, passed, len(asked), said.most_common(1)[0][0] if said else ""))
    return rows


def grade_folder(
    folder: Path,
    output: Path,
    profile: str,
    dataset: str,
    *,
    minutes: float,
    memory_gb: float | None = None,
    jobs: int,
    console: Console,
) -> int:
    """The exit code, after grading a folder and printing the results. The table is complete after every submission.

    It is written empty before the first, so that nothing is executed in vain if it cannot be written.
    """
    parameters = {"profile": profiles.get(profile).name, "dataset": resolve_dataset(dataset), "seed": 0}
    how = {"limit_s": 60 * minutes, "memory_gb": memory_gb, "workers": jobs}
    total, kept = len(submissions(folder)), []
    write_table(kept, output)
    with closing(grade(folder, parameters, **how)) as grades, suppress(KeyboardInterrupt):
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
