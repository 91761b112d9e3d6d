"""A copy of the course that faults are done to, runs beside the first cases, and the table of faults."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from fault_table import DOC, Row, cases, normalised, screen, stored, written
from faulty_course import CLOCK, TOY, Course, made_copy
from helpers import FILES

from course_lib.data import download
from course_lib.paths import atomic_write, repo_root

ROWS = pytest.StashKey[dict[str, Row]]()


def pytest_addoption(parser):
    parser.addoption("--write-table", action="store_true", help="write docs/faults.md from what the cases see")


def pytest_configure(config):
    config.addinivalue_line("markers", "fault(name, done): a row of docs/faults.md")
    config.stash[ROWS] = {}
    if config.getoption("--write-table", False) and config.getoption("numprocesses", None):
        raise pytest.UsageError("--write-table: the rows come together in one process; leave out -n")


def pytest_sessionfinish(session, exitstatus):
    """Write the table from a good run; a case that was not run, or cannot be made on this machine, keeps its row."""
    if session.config.getoption("--write-table", False) and exitstatus == 0:
        rows = stored() | session.config.stash[ROWS]
        DOC.parent.mkdir(exist_ok=True)
        DOC.write_text(written([rows[name] for name in cases() if name in rows]), encoding="utf-8")


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    """The copy of the course."""
    return made_copy(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory):
    """Data and caches that the cases share, as they would at a user's."""
    return tmp_path_factory.mktemp("shared") / "data"


@pytest.fixture
def course(copy, shared_data, tmp_path):
    """The command line, run from a folder of this test's own."""
    course = Course(copy, tmp_path, shared_data)
    yield course
    course.stop()


@pytest.fixture
def toy(course, host, tmp_path):
    """The command line with a data set `toy` that `host` serves and a data folder of its own; returns a function that
    changes the address and the sum of its archive."""
    registry = (repo_root() / "data" / "registry.toml").read_text(encoding="utf-8")
    true = tmp_path / "true"
    for name, data in FILES.items():
        (true / name).parent.mkdir(parents=True, exist_ok=True)
        (true / name).write_bytes(data)
    download.write_checksums(
        download.file_checksums(true, list(FILES)), course.copy / "data" / "manifests" / "toy.sha256"
    )
    course.env["COURSE_DATA_DIR"] = str(tmp_path / "data")

    def change(url=host.url, checksum="", manifest="toy.sha256"):
        line = f'checksum = "{checksum}"' if checksum else ""
        table = TOY.format(url=url, checksum=line, manifest=manifest)
        atomic_write(course.copy / "data" / "registry.toml", registry + table)  # the early study may be reading it

    change()
    return change


@pytest.fixture(scope="session", autouse=True)
def beside(request, copy, shared_data, tmp_path_factory):
    """Runs that need nobody, one after the other: begun beside the first cases, where any case asks for them.

    Where tests are spread over processes, they begin in the one that needs them, when it does.
    """
    wanted = {name for item in request.session.items for name in item.fixturenames}
    wanted = set() if "PYTEST_XDIST_WORKER" in os.environ else wanted
    course = Course(copy, tmp_path_factory.mktemp("beside"), shared_data)
    (course.here / "sitecustomize.py").write_text(CLOCK, encoding="utf-8")
    own = {"PYTHONPATH": f"{course.here}{os.pathsep}{copy}", "CLOCK_BACK": str(course.here / "clock" / "records")}
    pool = ThreadPoolExecutor(1)
    study = ("study", "run", copy / "little.toml", "--output")
    runs = {"quiet": {}, "clock": own}
    begin = cache(lambda name: pool.submit(course, *study, name, **runs[name]))
    for name in runs:
        if name in wanted:
            begin(name)
    yield course, begin
    pool.shutdown(wait=False, cancel_futures=True)
    course.stop()


@pytest.fixture(scope="session")
def quiet(beside):
    """Folder of the rows of the study without a fault."""
    course, begin = beside
    code, printed = begin("quiet").result()
    assert code == 0 and "3 rows done, 0 failed" in printed, printed
    return course.here / "quiet"


@pytest.fixture(scope="session")
def clock(beside):
    """Folder, exit and screen of the study whose clock went back by an hour after its first row."""
    course, begin = beside
    return course.here / "clock", *begin("clock").result()


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a disk of some bytes and returns its folder; skips the case where that is forbidden."""
    made = []

    def make(size):
        folder = tmp_path / "disk"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        made.append(folder)
        return folder

    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("a small disk needs root to be mounted")
    yield make
    for folder in made:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def tell(request, course, tmp_path):
    """A function `tell(lines, exit, lost)`: a row of this case is compared with the table, or kept for it.

    A case of several faults names the one it means.
    """
    done_by_fault = {marker.args[0]: marker.args[1] for marker in request.node.iter_markers("fault")}

    def told(seen, exit_status, lost, fault=None):
        fault = fault or next(iter(done_by_fault))
        places = [str(place) for place in (tmp_path, course.copy)]
        lines = [normalised(line, places) for line in seen]
        row = Row(fault, done_by_fault[fault], screen(lines), str(exit_status), lost)
        request.config.stash[ROWS][fault] = row
        if not request.config.getoption("--write-table", False):
            assert stored().get(fault) == row, "docs/faults.md tells another story; if this is better: make faults"

    return told
