"""What can happen to a study: every row is there once, and as in the run without a fault."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from helpers import wait_for, workers

from course_lib.study import records as rows

QUIET = "rows equal those of an undisturbed run"

pytestmark = pytest.mark.timeout(900)  # for a busy machine


def study(course, *more):
    return ("study", "run", course.copy / "little.toml", "--output", course.here / "run", *more)


def records(folder):
    return sorted((folder / "records").glob("*.json"))


def begun(course):
    return list((course.here / "run" / "checkpoints").glob("*.pt"))


def within_a_row(folder):
    """Whether there is a checkpoint of a row that has no record yet."""
    recorded = {path.stem for path in records(folder)}
    return any(path.stem not in recorded for path in (folder / "checkpoints").glob("*.pt"))


def whole(folder, quiet):
    """True where every row is on record once, equal to that of the quiet run, and nothing is left over."""
    found = rows.compare(rows.gather(quiet), rows.gather(folder))
    assert found["state"].tolist() == ["same"] * 3, found.to_string()
    left = [path for path in folder.rglob("*") if path.suffix in (".pt", ".partial") or path.name == ".lock"]
    assert not left, left
    return True


def first(printed):
    """How many rows there are and are to be run, without where."""
    return printed.splitlines()[0].partition(", records in")[0]


def last(printed):
    return [line for line in printed.splitlines() if line.strip()][-1]


@pytest.mark.fault("killed worker", "`course study run --jobs 2`; SIGKILL to one of the two workers during a row")
def test_killed_worker(course, quiet, tell):
    process = course.start(*study(course, "--jobs", "2"))
    wait_for(lambda: begun(course))
    os.kill(workers(process.pid)[0].pid, signal.SIGKILL)
    code, printed = course.end(process)
    assert whole(course.here / "run", quiet)
    # Python may warn after that line of a semaphore that the killed process left
    seen = [line for line in printed.splitlines() if "rows done" in line]
    tell(seen, code, f"nothing: its row was run again; {QUIET}")


@pytest.mark.fault(
    "lost scheduler",
    "`course study run --scheduler HOST`; SIGKILL to the scheduler after the first row; then without `--scheduler`",
)
def test_lost_scheduler(course, quiet, tell):
    file = course.here / "dask.json"
    dask, options = Path(sys.executable).with_name("dask"), ["--host", "127.0.0.1", "--scheduler-file", file]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": course.here, "env": course.env}
    head = subprocess.Popen([dask, "scheduler", "--port", "0", "--no-dashboard", *options], **silent)
    hand = subprocess.Popen([dask, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *options], **silent)
    try:
        wait_for(file.exists)
        address = json.loads(wait_for(file.read_text))["address"]
        process = course.start(*study(course, "--scheduler", address.removeprefix("tcp://")))
        wait_for(lambda: records(course.here / "run"))
        head.kill()
        code, printed = course.end(process)
    finally:
        for started in (head, hand):
            started.kill()
            started.wait()
    kept = records(course.here / "run")
    again, resumed = course(*study(course))
    assert 1 <= len(kept) < 3 and again == 0 and whole(course.here / "run", quiet)
    told = [line for line in printed.splitlines() if line and "✔" not in line and "records in" not in line]
    tell([*told, last(resumed)], f"{code}, then {again}", f"nothing: the rows on record are kept; {QUIET}")


@pytest.mark.fault("two runs at once", "`course study run` while another writes to the same folder")
@pytest.mark.fault(
    "killed study", "SIGKILL to `course study run` during the second of three rows; then the same command"
)
def test_two_at_once_then_killed_and_resumed(course, quiet, tell):
    folder = course.here / "run"
    process = course.start(*study(course))
    wait_for(lambda: records(folder) and within_a_row(folder))
    process.send_signal(signal.SIGSTOP)  # held there, however long the other takes on a busy machine
    refused, complaint = course(*study(course))
    ended = course.kill(process)
    kept = {path: path.stat().st_mtime_ns for path in records(folder)}
    assert len(kept) < 3 and within_a_row(folder), "killed in the middle"
    code, printed = course(*study(course))
    assert code == 0, printed
    assert whole(folder, quiet)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())
    tell([last(complaint)], refused, f"nothing: the first run continues; its {QUIET}", "two runs at once")
    kept_row = "the finished row is kept, the interrupted one resumes from its last validation checkpoint"
    what = f"nothing: {kept_row}; {QUIET}"
    tell([first(printed), last(printed)], f"{ended}, then {code}", what, "killed study")


@pytest.mark.fault(
    "full disk, study",
    "`course study run` on a disk with one of three rows and no room for more; then the same with room",
)
def test_full_disk(course, quiet, small_disk, tell):
    disk = small_disk("256k")
    (disk / "records").mkdir()
    shutil.copy(records(quiet)[0], disk / "records")
    (course.here / "run").symlink_to(disk)
    code, printed = course(*study(course))
    assert records(disk) == [disk / "records" / records(quiet)[0].name] and not begun(course)
    subprocess.run(["mount", "-o", "remount,size=512m", disk], check=True)
    again, resumed = course(*study(course))
    assert again == 0 and whole(disk, quiet)
    what = f"nothing: no row is recorded as failed, the finished one is kept; {QUIET}"
    tell([last(printed), first(resumed), last(resumed)], f"{code}, then {again}", what)


@pytest.mark.fault("clock going back", "`course study run`; after the first row the clock goes back by an hour")
def test_clock_going_back(clock, quiet, tell):
    folder, code, printed = clock
    found = rows.gather(folder)
    dates = sorted(datetime.fromisoformat(date) for date in found["date"])
    assert (dates[-1] - dates[0]).total_seconds() > 3000, "the clock went back"
    assert (found["minutes"] > 0).all() and (found["train_seconds"] > 0).all() and whole(folder, quiet)
    tell([last(printed)], code, f"nothing: {QUIET}, durations are correct; only the dates show it")


@pytest.mark.fault("misspelt device", "`course study run --device gpu`")
def test_misspelt_device(course, tell):
    code, printed = course(*study(course, "--device", "gpu"))
    assert not (course.here / "run").exists()
    tell([last(printed)], code, "nothing: reported before any row is run; none is recorded as failed")
