"""The cache: never stale, never half-written, never the reason that a result is lost."""

import numpy as np
import pytest

from course_lib import paths
from course_lib.data import cache
from course_lib.errors import UsageError

made = []


def ramp(length=5, step=2.0, note="a"):
    def make():
        made.append((length, step, note))
        return np.arange(length) * step

    return cache.cached("ramp", (length, step), make)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "data"))
    made.clear()


def test_made_once_and_read_only():
    first, again = ramp(note="a"), ramp(note="what is not in the key does not count")
    assert made == [(5, 2.0, "a")]
    assert first.tolist() == again.tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="read-only"):
        again[0] = 1
    for key in ((6, 2.0), (5, 3.0), (5, 2)):
        ramp(*key)
    assert len(made) == 4, "every part of the key counts"


@pytest.mark.parametrize("damage", ["empty", "no array", "cut short"])
def test_a_damaged_entry_is_made_anew(damage):
    ramp()
    (file,) = paths.cache_dir().rglob("*.npy")
    file.write_bytes({"empty": b"", "no array": b"not an array", "cut short": file.read_bytes()[:-8]}[damage])
    assert ramp().tolist() == [0, 2, 4, 6, 8]
    assert len(made) == 2


@pytest.mark.parametrize("number, text", [(28, "No space left on device"), (30, "Read-only file system")])
def test_a_cache_that_cannot_be_written_costs_no_result(monkeypatch, caplog, number, text):
    """Half of an array is written: what there is of it must go, and nobody may write to the result."""

    def half(file, array, **kwargs):
        file.write(b"half")
        raise OSError(number, text)

    monkeypatch.setattr("numpy.save", half)
    found = ramp()
    assert found.tolist() == [0, 2, 4, 6, 8] and not found.flags.writeable
    assert f"cannot save results here ({text}); continuing without the cache" in caplog.text
    assert not [path for path in paths.cache_dir().rglob("*") if path.is_file()]


def test_an_entry_may_be_read_by_all_who_may_read_other_files(tmp_path):
    """On a shared disk, whoever comes second must not find a file that only the first can read."""
    ramp()
    (file,) = paths.cache_dir().rglob("*.npy")
    (tmp_path / "any").touch()
    assert file.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_write_whole_leaves_the_old_text_when_it_fails(tmp_path, monkeypatch):
    target = tmp_path / "results.json"
    paths.atomic_write(target, "old")

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", half)
    with pytest.raises(OSError, match=r"No space left on device: '.*results\.json'"):
        paths.atomic_write(target, "new text")
    monkeypatch.undo()
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    assert paths.data_dir() == tmp_path / "data" and paths.cache_dir().parent == paths.data_dir()
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"COURSE_MIRROR=.*no such folder"):
        paths.mirror_dir()
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    assert paths.mirror_dir() == tmp_path
    for value, forbidden in (("1", True), ("yes", True), ("0", False), ("", False), ("false", False)):
        monkeypatch.setenv("COURSE_OFFLINE", value)
        assert paths.offline() is forbidden
