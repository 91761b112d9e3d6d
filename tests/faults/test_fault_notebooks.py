"""What can happen to a run of the notebooks."""

import json
import shutil
import subprocess

import pytest
from faulty_course import CELL_LIMIT_S, Course
from helpers import HEAD, wait_for, write_notebooks

pytestmark = pytest.mark.timeout(900)  # for a busy machine


def states(folder):
    return {n["notebook"]: n["state"] for n in json.loads((folder / "results.json").read_text())["notebooks"]}


def red(printed, notebook):
    """What the end of the run says of a notebook that failed."""
    return [line for line in printed.splitlines() if line.startswith(f"{notebook}: ")]


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def three(copy, shared_data, tmp_path_factory):
    """One run of a good notebook, one that never ends and one whose kernel is killed: its folder, exit and screen."""
    course = Course(copy, tmp_path_factory.mktemp("three"), shared_data)
    code, printed = course("run", "--only", "0,1,2", "--jobs", "2", "--output", "run")
    assert not course.kernels(), "a kernel was left behind"
    return course.here / "run", code, printed


@pytest.mark.fault(
    "cell that never ends",
    f"`course run` of three notebooks; a cell of one sleeps for ever; the limit per cell is {CELL_LIMIT_S} s",
)
def test_endless_cell(three, tell):
    folder, code, printed = three
    assert states(folder) == {"00_good": "passed", "01_endless": "failed", "02_hungry": "failed"}
    assert json.loads((folder / "01_endless.ipynb").read_text())["cells"]
    tell(
        red(printed, "01_endless"),
        code,
        "nothing: the good notebook passes, the executed copy shows the cell, no process is left",
    )


@pytest.mark.fault(
    "kernel killed for memory",
    "`course run` of three notebooks; the kernel of one gets SIGKILL, as from a system that is out of memory",
)
def test_killed_kernel(three, tell):
    folder, code, printed = three
    assert states(folder)["00_good"] == "passed"
    assert json.loads((folder / "02_hungry.ipynb").read_text())["cells"]
    tell(red(printed, "02_hungry"), code, "nothing: the good notebook passes, the executed copy ends at the cell")


@pytest.mark.fault("misspelt parameter", "`course run -p sead=1` into the folder of an earlier run")
def test_misspelt_parameter(three, course, tell):
    folder, _, _ = three
    before = stamps(folder)
    code, printed = course("run", "--only", "0", "-p", "sead=1", "--output", folder)
    assert stamps(folder) == before
    tell(printed.splitlines(), code, "nothing: no notebook starts; earlier results are untouched")


@pytest.mark.fault(
    "killed run of notebooks",
    "SIGKILL to `course run` with one notebook done and one running; then the same with `--resume`",
)
def test_killed_and_resumed(course, tell):
    run, go = course.here / "run", course.copy / "notebooks" / "go"
    words = ("run", "--only", "0,3", "--jobs", "2", "--output", run)
    process = course.start(*words)
    wait_for(lambda: (run / "00_good.result.json").exists() and (run / "03_slow.ipynb").exists())
    wait_for(course.kernels)
    ended = course.kill(process)
    wait_for(lambda: not course.kernels(), 30)
    before = stamps(run)
    go.touch()
    try:
        code, printed = course(*words, "--resume")
    finally:
        go.unlink()
    assert states(run) == {"00_good": "passed", "03_slow": "passed"}
    assert stamps(run)["00_good.ipynb"] == before["00_good.ipynb"], "run a second time"
    seen = [line for line in printed.splitlines() if "passed" in line and line.startswith("  ")]
    tell(seen, f"{ended}, then {code}", "nothing: what had passed is kept, the rest is run; no kernel outlives the run")


@pytest.mark.fault(
    "full disk, results of notebooks",
    "`course run` writing to a disk of 64 kB; then the same with `--resume` and more room",
)
def test_full_disk_for_results(course, small_disk, tell):
    disk = small_disk("64k")
    words = ("run", "--only", "0", "--output", disk / "run")
    code, printed = course(*words)
    assert not list(disk.rglob("*.partial")) and not list(disk.rglob("*.html"))
    before = stamps(disk / "run")
    subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
    assert course(*words, "--resume")[0] == 0
    assert stamps(disk / "run")["00_good.ipynb"] == before["00_good.ipynb"], "run a second time"
    tell(printed.splitlines()[-1:], code, "nothing: no partial file; the notebook that had passed is not run again")


@pytest.mark.fault("full disk, caches", "`course run` with COURSE_DATA_DIR on a disk of 64 kB")
def test_full_disk_for_caches(course, small_disk, tell):
    disk = small_disk("64k")
    course.env["COURSE_DATA_DIR"] = str(disk / "data")
    code, printed = course("run", "--only", "0", "--output", "run")
    assert states(course.here / "run") == {"00_good": "passed"}
    assert not list(disk.rglob("*.npy*"))
    tell(
        [line for line in printed.splitlines() if "cannot save" in line],
        code,
        "nothing but time: the run passes, and no partial array fills the disk",
    )


@pytest.mark.fault("read-only results", "`course run` into a results folder that is mounted read-only")
def test_read_only_results(three, course, small_disk, tell):
    disk = small_disk("4m")
    words = ("run", "--only", "0", "--output", disk / "run")
    shutil.copytree(three[0], disk / "run")
    before = stamps(disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, printed = course(*words)
    assert stamps(disk / "run") == before
    tell(printed.splitlines(), code, "nothing: reported before any notebook starts; earlier results are untouched")


@pytest.mark.fault("site over sources", "`course site --output notebooks`, where `notebooks/source` holds the sources")
def test_site_over_sources(course, tell):
    source = course.here / "notebooks" / "source" / "00_good.py"
    source.parent.mkdir(parents=True)
    source.write_text("# %%\n")
    code, printed = course("site", "--output", "notebooks")
    assert list(source.parents[1].rglob("*")) == [source.parent, source]
    tell(printed.splitlines(), code, "nothing: reported before anything is written")


@pytest.mark.fault(
    "greedy submission",
    "`course grade` of three submissions: a good one, one that prints for ever, and an archive without a notebook",
)
def test_greedy_submission(course, tell):
    good = (
        HEAD.replace('"smoke"', '"study"') + "\n# %%\nfrom course_lib.lesson.checks import check\ncheck('00.1', 160)\n"
    )
    endless = "\n# %%\nwhile True:\n    print('x' * 10_000)\n"
    write_notebooks(course.here, {"anna": good, "ben": good + endless})
    (course.here / "carla").mkdir()
    (course.here / "carla" / "homework.zip").write_bytes(b"PK")
    code, printed = course("grade", ".", "--output", course.here / "grades.csv")
    assert not course.kernels()
    tell(sorted(printed.splitlines())[:3], code, "nothing: every student has a line, and passed exercises are counted")


@pytest.mark.fault("no place for grades", "`course grade submissions --output marks`, where `marks` is a folder")
def test_no_place_for_grades(course, tell):
    ran, marks = course.here / "ran", course.here / "marks"
    for folder in (course.here / "submissions", marks):
        folder.mkdir()
    cell = f"\n# %%\nopen({str(ran)!r}, 'w')\ncheck('00.1', 1)\n"
    write_notebooks(course.here / "submissions", {"anna": HEAD + cell})
    code, printed = course("grade", "submissions", "--output", "marks")
    assert not ran.exists() and not list(marks.iterdir())
    tell(printed.splitlines(), code, "nothing: reported before any submission is executed")
