"""One run a folder: whoever lives holds it, whoever was killed does not, and of many at once one wins."""

import os
import subprocess
import sys

import pytest

from course_lib import paths

CONTEND = """
import sys
from pathlib import Path
from course_lib import paths

paths.PATIENCE_S = 0
for folder in sys.stdin:
    try:
        with paths.lock(Path(folder.strip()), "a race"):
            print("won", flush=True)
            sys.stdin.readline()
    except paths.FolderInUse:
        print("lost", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def contender():
    """A function that starts a process which tries to claim the folders it is told."""
    started = []

    def start():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, "-c", CONTEND], **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def tell(process, text):
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def test_a_claim_lasts_as_long_as_its_block_and_leaves_nothing(tmp_path):
    folder = tmp_path / "new" / "run"
    with pytest.raises(RuntimeError), paths.lock(folder, "notebooks"):
        assert paths.holder(folder) == os.getpid()
        raise RuntimeError
    assert paths.holder(folder) is None and not folder.parent.exists()


def test_only_what_a_refused_run_made_and_left_empty_is_removed(tmp_path):
    mine, used = tmp_path / "mine", tmp_path / "new" / "used"
    mine.mkdir()
    with paths.lock(mine, "notebooks"):
        (mine / "empty").mkdir()
    with paths.lock(used, "notebooks"):
        (used / "empty").mkdir()
        (used / "record").touch()
    assert [*mine.iterdir()] == [mine / "empty"] and [*used.iterdir()] == [used / "record"]


def test_a_living_owner_is_named_and_a_killed_one_forgotten(tmp_path, contender, monkeypatch):
    monkeypatch.setattr(paths, "PATIENCE_S", 0.1)
    owner = contender()
    tell(owner, tmp_path)
    assert owner.stdout.readline() == "won\n" and paths.holder(tmp_path) == owner.pid
    with pytest.raises(paths.FolderInUse) as caught, paths.lock(tmp_path, "notebooks"):
        pass
    line = f"process {owner.pid} is running notebooks there; wait for it or choose another --output"
    assert str(caught.value) == f"{tmp_path}: {line}"
    owner.kill()
    owner.wait()
    (tmp_path / ".lock").write_text(str(os.getppid()))  # the number of the dead, given to a process that lives
    assert paths.holder(tmp_path) is None
    with paths.lock(tmp_path, "notebooks"):
        assert paths.holder(tmp_path) == os.getpid()


def test_of_many_at_once_one_wins(tmp_path, contender):
    many = [contender() for _ in range(4)]
    for turn in range(5):
        for process in many:
            tell(process, tmp_path / str(turn))
        assert sorted(process.stdout.readline() for process in many) == ["lost\n"] * 3 + ["won\n"]
        for process in many:
            tell(process, "on")
