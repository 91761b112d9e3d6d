"""Grading takes whatever is in the folder, and says one honest line about each."""

import csv
import json
import os
import signal
import subprocess
import sys

import nbformat
import psutil
import pytest
from helpers import gone, wait_for
from rich.console import Console

from course_lib.cli import main as cli
from course_lib.errors import CourseError, UsageError
from course_lib.lesson import checks
from course_lib.tools import authoring, grading

HEAD = """# %% tags=["parameters"]
profile: str = "study"  # how much
dataset: str = "esc10"  # on what
seed: int = 7  # of everything random

# %%
from course_lib.lesson.checks import check
"""
GOOD = HEAD + '\n# %% tags=["exercise"]\nlooks = 160\ncheck("00.1", looks)\n'
SUBMITTED = {
    "anna/00_start_here": GOOD,
    "ben/00_start_here": GOOD.replace("160", "500"),
    "carla/00_start_here": GOOD.replace("looks = 160", "looks = ..."),
    "dora/00_start_here": HEAD + "\n# %%\n1 / 0\n" + GOOD.removeprefix(HEAD),
    "emil/00_start_here": GOOD + "while True:\n    pass\n",
    "fred/00_start_here": HEAD + "\n# %%\nimport os\nos._exit(1)\n" + GOOD.removeprefix(HEAD),
    "gina/00_start_here": HEAD + '\n# %%\nprint("I deleted it")  # check("00.1", looks)\n',
    "hugo/00_start_here": HEAD + '\n# %%\ninput("name?")\n' + GOOD.removeprefix(HEAD),
    "ines/poem": "# %%\nprint(1)\n",
    "jan/00_start_here": GOOD
    + '\n# %%\nassert (profile, dataset, seed) == ("smoke", "synth10", 0)\n'
    + "from pathlib import Path\nPath('note.txt').write_text('jan was here')\n",
    "leo/00_start_here": HEAD + '\n# %% tags=["exercise"]\ncheck("00.1", samples_between)\n',
}
BROKEN = {
    "mia/empty": "",
    "nora/text": "Dear teacher,",
    "otto/list": "[]",
    "pia/cells": '{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "quin/cell": '{"cells": [{}], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
}
WANTED = {  # file: (passed, of, words of the line)
    "anna/00_start_here": ("1", "3", "00.1 passed"),
    "ben/00_start_here": ("0", "3", "00.1 not yet: 500 samples: that is how often we look in 5 seconds"),
    "carla/00_start_here": ("0", "3", "00.1 not attempted"),
    "dora/00_start_here": ("1", "3", "cell 3 of 4 (1 / 0): ZeroDivisionError: division by zero"),
    "emil/00_start_here": ("1", "3", "cell 3 of 3 (looks = 160) never ran to its end; stopped after 15 s"),
    "fred/00_start_here": ("0", "3", "cell 3 of 4 (import os) never ran to its end; Kernel died"),
    "gina/00_start_here": ("0", "3", "00.1 missing"),
    "hugo/00_start_here": ("1", "3", "StdinNotImplementedError"),
    "ines/poem": ("", "", "not one of its notebooks"),
    "jan/00_start_here": ("1", "3", "00.1 passed"),
    "leo/00_start_here": ("0", "3", "NameError: name 'samples_between' is not defined"),
    **dict.fromkeys(BROKEN, ("", "", "cannot be read as a notebook")),
    "cleo/00_start_here.IPYNB": ("1", "3", "00.1 passed"),
    "jo": ("", "", "no notebook, found homework.zip; hand in the .ipynb file itself"),
    "kai": ("", "", "no notebook, found a.py, b.html, c.pdf and 1 more; hand in"),
    "lea": ("", "", "an empty folder, expected a notebook"),
    "max.py": ("", "", "no notebook, found max.py; hand in"),
    "nils/later/paul": ("", "", "no notebook, found homework.zip; hand in"),
    "nils/later/otto/00_start_here": ("0", "3", "00.1 not attempted"),
    "vast/00_start_here": ("", "", "101 MB, expected at most 100; hand it in without outputs"),
}


def submit(folder, name, text, tags=True):
    path = folder / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = authoring.convert(text, "00_x", solutions=True)
    for cell in notebook.cells:  # what the student's own run has left there, the forged pass of a dead cell included
        if cell.cell_type == "code":
            told = vars(checks.Outcome("00.1", checks.PASSED, "forged"))
            cell.outputs = [nbformat.v4.new_output("display_data", {checks.CHECK_MIME: told})]
            cell.execution_count = 3
        if not tags:
            cell.metadata.pop("tags", None)
    nbformat.write(notebook, path)


def hand_in_otherwise(folder):
    """What some students hand in instead of a notebook, and what is nobody's."""
    submit(folder, "cleo/00_start_here", GOOD)
    good = (folder / "cleo/00_start_here.ipynb").rename(folder / "cleo/00_start_here.IPYNB")
    good.write_bytes(good.read_text(encoding="utf-8").encode("utf-8-sig"))
    submit(folder, "nils/later/otto/00_start_here", GOOD.replace("160", "..."))
    (folder / "nils/later/otto/figures").mkdir()
    (folder / "lea").mkdir()
    others = (
        "jo/homework.zip",
        "kai/a.py",
        "kai/b.html",
        "kai/c.pdf",
        "kai/d.txt",
        "max.py",
        "nils/later/paul/homework.zip",
    )
    for name in (*others, "roster.csv", "__MACOSX/jo/._00_start_here.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"PK")
    (folder / "vast").mkdir()
    with (folder / "vast/00_start_here.ipynb").open("wb") as vast:
        vast.truncate(101_000_000)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The table of all of them, through the real command, by file without its ending."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, text in SUBMITTED.items():
        submit(folder, name, text, tags=not name.startswith("jan"))  # Colab keeps none
    hand_in_otherwise(folder)
    for name, text in BROKEN.items():
        (folder / name).parent.mkdir()
        (folder / f"{name}.ipynb").write_text(text)
    submit(folder, "anna/.ipynb_checkpoints/00_start_here-checkpoint", GOOD)
    before = sorted(folder.rglob("*"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        words = f"course grade {folder} --output {folder.parent}/marks/grades.csv --minutes 0.25 --jobs 2"
        patch.setattr(sys, "argv", words.split())
        patch.setenv("COURSE_STRICT", "1")  # a teacher who has it set loses nothing
        cli.main()
    assert not stop.value.code
    assert sorted(folder.rglob("*")) == before, "grading leaves the submissions as they are"
    with (folder.parent / "marks" / "grades.csv").open(encoding="utf-8", newline="") as lines:
        return {row["file"].removesuffix(".ipynb"): row for row in csv.DictReader(lines)}


def test_there_is_a_line_for_every_submission_and_no_other(rows):
    assert list(rows) == sorted(WANTED)
    assert {row["student"] for row in rows.values()} == {name.split("/")[0].removesuffix(".py") for name in WANTED}
    assert {row["notebook"] for row in rows.values() if row["of"]} == {"00"}
    assert not any("\n" in value or "Traceback" in value for row in rows.values() for value in row.values())


@pytest.mark.parametrize("name", WANTED)
def test_the_line_says_what_was_passed_and_what_was_wrong(rows, name):
    passed, of, words = WANTED[name]
    row = rows[name]
    assert (row["passed"], row["of"]) == (passed, of), row
    assert words in f"{row['exercises']} | {row['remark']}", row


def test_what_runs_to_its_end_has_no_remark(rows):
    clean = {name for name, row in rows.items() if not row["remark"]}
    whole = [f"{who}/00_start_here" for who in ("anna", "ben", "carla", "gina", "jan", "nils/later/otto")]
    assert clean == {*whole, "cleo/00_start_here.IPYNB"}


def test_the_real_solution_of_a_notebook_gets_everything(tmp_path):
    solution = authoring.notebooks_dir() / "solutions" / "00_start_here.ipynb"
    (tmp_path / "teacher.ipynb").write_bytes(solution.read_bytes())
    given = {"profile": "smoke", "dataset": "synth10", "seed": 0}
    (teacher,) = grading.grade(tmp_path, given, limit_s=120, workers=1)
    assert teacher.student == "teacher"
    assert (teacher.passed, len(teacher.states), teacher.remark) == (3, 3, "")


def test_the_class_is_told_by_exercise_with_what_was_said_most():
    slip, other = "add 1: the frame at 0 counts", "it gives 7"
    said = [(checks.PASSED, "good"), (checks.NOT_YET, slip), (checks.NOT_YET, other), (checks.NOT_YET, slip)]
    grades = [grading.Grade(str(k), "f", "01", {"01.1": s}, {"01.1": m}) for k, (s, m) in enumerate(said)]
    assert grading.by_exercise([*grades, grading.Grade("x", "f", "")]) == [("01.1", 1, 4, slip)]


def test_a_folder_that_is_not_there_or_empty_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        grading.submissions(tmp_path / "nowhere")
    with pytest.raises(CourseError, match=r"no \.ipynb file"):
        grading.submissions(tmp_path)


def grade_folder(folder, output, jobs):
    return grading.grade_folder(folder, output, "smoke", "synth10", minutes=5, jobs=jobs, console=Console(quiet=True))


def test_where_no_table_can_be_written_nothing_is_executed(tmp_path):
    ran = tmp_path / "ran"
    submit(tmp_path, "in/anna/00_start_here", HEAD + f"\n# %%\nopen({str(ran)!r}, 'w')\n" + GOOD.removeprefix(HEAD))
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "grades.csv"
    with pytest.raises(CourseError, match=rf"^{output}: cannot be written \(.+\); name another file \(--output\)"):
        grade_folder(tmp_path / "in", output, jobs=1)
    assert not ran.exists()


def test_a_grade_that_cannot_be_kept_stops_the_rest(tmp_path, monkeypatch):
    """The submission at work is stopped, those that wait are never begun."""
    ran = tmp_path / "ran"
    ran.mkdir()
    submit(tmp_path, "in/anna", GOOD)
    for name in ("ben", "carla"):
        submit(tmp_path, f"in/{name}", GOOD + f"\n# %%\nimport time\ntime.sleep(60)\nopen({f'{ran}/{name}'!r}, 'w')\n")

    def full(grades, path):
        if grades:
            raise CourseError("grades.csv: cannot be written")

    monkeypatch.setattr(grading, "write_table", full)
    with pytest.raises(CourseError, match="cannot be written"):
        grade_folder(tmp_path / "in", tmp_path / "grades.csv", jobs=2)
    assert not list(ran.iterdir()) and not kernels()


def kernels():
    return [p for p in psutil.Process().children(recursive=True) if "ipykernel_launcher" in " ".join(p.cmdline())]


GO = """
import sys
from course_lib.cli.main import main
sys.argv = ["course", "grade", sys.argv[1], "--output", sys.argv[1] + "/grades.csv", "--jobs", "2"]
main()
"""


def test_interrupting_keeps_what_is_graded_and_leaves_no_kernel(tmp_path):
    for name in ("anna/00_start_here", "emil/00_start_here"):
        submit(tmp_path, name, SUBMITTED[name])
    process = subprocess.Popen([sys.executable, "-c", GO, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    table = tmp_path / "grades.csv"
    wait_for(lambda: table.exists() and "00.1" in table.read_text())
    family = psutil.Process(process.pid).children(recursive=True)
    assert family, "the endless submission should still be running"
    os.kill(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "1 of 2 submissions" in printed
    assert all(gone(p) for p in family), "a kernel was left behind"
    assert json.dumps((tmp_path / "grades.csv").read_text()).count("00.1 passed") == 1
