"""Downloads from a server on this machine: everything that can go wrong leaves one line and nothing half-written.

No host, a download that breaks off and a wrong checksum are in `tests/faults/test_fault_downloads.py`.
"""

import errno
import io
import os
import shutil
import stat
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pooch
import pytest
from helpers import FILES, zipped

from course_lib import paths
from course_lib.data import download, registry
from course_lib.data.registry import Entry, RemoteFile
from course_lib.errors import CourseError, UsageError


@pytest.fixture
def toy(host, tmp_path, monkeypatch):
    """A data set called `toy` with a committed manifest. Returns a function that changes its entry."""
    root = tmp_path / "repository"
    (root / "data" / "manifests").mkdir(parents=True)
    for name, data in FILES.items():
        (tmp_path / "true" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "true" / name).write_bytes(data)
    published = download.file_checksums(tmp_path / "true", list(FILES))
    download.write_checksums(published, root / "data" / "manifests" / "toy.sha256")
    monkeypatch.setattr(paths, "shipped", lambda name: root / name)
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between pooch's attempts
    common = {"clips": 4, "classes": 2, "rate_hz": 8_000, "length_s": 1.0, "folds": "", "protocol": "", "layout": ""}
    common |= {"name": "toy", "title": "", "flaws": "", "licence": "", "citation": "", "unpacked_mb": 1}
    common |= {"needs": ("audio/*.wav",), "manifest": "toy.sha256"}

    def change(checksum=None, **kwargs):
        file = RemoteFile(host.url, 1, checksum, ("audio/*.wav",))
        entry = Entry(**common | {"files": (file,)} | kwargs)
        monkeypatch.setattr(registry, "_entries", lambda: {"toy": entry})

    change()
    return change


def leftovers():
    """Everything in the data folder but complete data sets."""
    folder = paths.data_dir()
    return sorted(p.name for p in folder.iterdir() if p.name != "toy") if folder.exists() else []


def complaint(action=lambda: download.get("toy"), kind=CourseError):
    with pytest.raises(kind) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fails_cleanly():
    text = complaint()
    assert not download.folder("toy").exists(), "nothing may stand where a complete data set belongs"
    assert set(leftovers()) <= {"archives"}
    assert not any(paths.data_dir().glob("archives/toy/*")), "no half download"
    return text


def test_get_verifies_and_the_second_time_asks_nobody(toy, host):
    assert not download.present("toy")
    folder = download.get("toy")
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert download.present("toy") and leftovers() == ["archives"]
    assert download.get("toy") == folder and host.asked == 1
    assert download.verify("toy") == "toy: 4 files match the checksums published with the course"


def test_force_fetches_again_and_replaces(toy, host):
    folder = download.get("toy")
    (folder / "audio" / "0.wav").write_bytes(b"changed")
    download.get("toy", force=True)
    assert host.asked == 2 and (folder / "audio" / "0.wav").read_bytes() == FILES["audio/0.wav"]


def test_force_that_fails_keeps_what_was_there(toy, host):
    folder = download.get("toy")
    host.files.clear()
    assert "answered 404" in complaint(lambda: download.get("toy", force=True))
    assert download.present("toy") and (folder / "audio" / "0.wav").exists()


def test_flipped_byte_missing_and_foreign_files_are_named(toy):
    folder = download.get("toy")
    data = bytearray(FILES["audio/1.wav"])
    data[1_000] ^= 1
    (folder / "audio" / "1.wav").write_bytes(data)
    (folder / "audio" / "2.wav").unlink()
    (folder / "audio" / "extra.wav").touch()
    (folder / "audio" / "._1.wav").touch()  # litter of macOS
    text = complaint(lambda: download.verify("toy"))
    assert text.startswith(f"{folder}: 3 wrong among 4 files: audio/2.wav is missing, audio/1.wav differs from")
    assert "audio/extra.wav does not belong to the set; run: course data get toy --force" in text
    assert not download.present("toy")
    assert "audio/1.wav differs from the published file" in complaint()


def test_a_copied_data_folder_is_verified_once_more(toy, host):
    folder = download.get("toy")
    os.utime(folder / "audio" / "0.wav", (0, 0))
    assert not download.present("toy")
    download.get("toy")
    assert download.present("toy") and host.asked == 1


def test_content_is_the_same_wherever_the_files_are(toy, tmp_path, monkeypatch):
    download.get("toy")
    first = download.content("toy")
    shutil.copytree(paths.data_dir(), tmp_path / "elsewhere")
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "elsewhere"))
    assert download.content("toy") == first


def test_mirror_comes_before_the_network(toy, host, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "toy.zip").write_bytes(zipped())
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    download.get("toy", network=False)
    assert download.present("toy") and host.asked == 0


def test_wrong_file_in_the_mirror_is_blamed_by_name(toy, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "toy.zip").write_bytes(zipped(FILES | {"audio/3.wav": b"other"}))
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "mirror"))
    assert f"{tmp_path / 'mirror' / 'toy.zip'}: 1 wrong among 4 files: audio/3.wav differs from" in fails_cleanly()


def test_offline_says_where_to_put_the_file_and_then_takes_it(toy, host, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    text = fails_cleanly()
    assert "COURSE_OFFLINE forbids the network; download http://127.0.0.1" in text and host.asked == 0
    assert f"put it into {download.staging('toy')}" in text
    download.staging("toy").mkdir(parents=True)
    (download.staging("toy") / "toy.zip").write_bytes(zipped())
    download.get("toy")
    assert download.present("toy") and host.asked == 0


def test_without_network_the_command_is_named(toy):
    assert complaint(lambda: download.get("toy", network=False)) == (
        "toy is not on this machine; run: course data get toy"
    )
    assert "run: course data get toy" in complaint(lambda: download.verify("toy"))


def test_not_found(toy, host):
    host.files.clear()
    assert "toy.zip: the host answered 404; try again" in fails_cleanly()
    assert host.asked == 1 + download.RETRIES


def test_right_sum(toy, host, tmp_path):
    archive = zipped()  # a zip file holds times of writing: a second one may differ
    (tmp_path / "toy.zip").write_bytes(archive)
    host.files["toy.zip"] = archive
    toy(checksum="sha256:" + pooch.file_hash(str(tmp_path / "toy.zip")), manifest="")
    download.get("toy")
    assert download.verify("toy") == "toy: 4 files match the checksums computed when it was fetched"
    (download.folder("toy") / "audio" / "0.wav").write_bytes(b"x")
    assert "audio/0.wav differs from the published file" in complaint(lambda: download.verify("toy"))


def test_file_by_hand_with_a_wrong_checksum(toy, monkeypatch):
    toy(checksum="md5:" + "0" * 32)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    download.staging("toy").mkdir(parents=True)
    (download.staging("toy") / "toy.zip").write_bytes(zipped())
    text = complaint()
    assert "md5 checksum is" in text and text.startswith(str(download.staging("toy") / "toy.zip"))


def test_incomplete_archive(toy, host):
    host.files["toy.zip"] = zipped({"other.txt": b""})
    assert "incomplete, no file matches audio/*.wav; get it again from its publisher" in fails_cleanly()
    host.files["toy.zip"] = zipped()
    download.get("toy")  # the bad download does not stand in the way


def test_little_room(toy, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 500_000))
    assert "1 MB are needed and 0 MB are free; free some, or name another disk in COURSE_DATA_DIR" in fails_cleanly()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
@pytest.mark.parametrize(
    "where", ["tempfile.mkdtemp", "shutil.copyfileobj", "course_lib.data.download.problems", "pathlib.Path.rename"]
)
def test_an_interruption_or_a_full_disk_leaves_nothing_half_written(toy, monkeypatch, where, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(where, fail)
    with pytest.raises(type(error)):
        download.get("toy")
    assert not download.folder("toy").exists() and leftovers() == ["archives"]


def test_interrupted_between_the_two_renames(toy, monkeypatch):
    folder = download.get("toy")
    real = type(folder).rename

    def rename(self, target):
        if self.name == "new":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(type(folder), "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        download.get("toy", force=True)
    assert download.present("toy")


def test_many_at_the_same_time(toy):
    with ThreadPoolExecutor(6) as pool:
        assert {str(f) for f in pool.map(lambda _: download.get("toy"), range(6))} == {str(download.folder("toy"))}
    assert download.present("toy") and leftovers() == ["archives"]


def test_by_hand(toy):
    toy(by_hand="its archives are split: unpack them", manifest="")
    assert f"and its archives are split: unpack them into {download.folder('toy')}" in fails_cleanly()
    download.folder("toy").mkdir(parents=True)
    assert "no file matches audio/*.wav; put the published files there" in complaint()
    (download.folder("toy") / "audio").mkdir()
    (download.folder("toy") / "audio" / "a.wav").touch()
    assert download.get("toy", network=False) == download.folder("toy") and download.present("toy")


def test_names():
    assert "nothing to fetch" in complaint(lambda: download.get("synth10"), UsageError)
    assert download.present("synth10") and "nothing to verify" in download.verify("synth10")
    assert "'nope' is unknown" in complaint(lambda: download.get("nope"), UsageError)


# --- archives that mean harm -------------------------------------------------------------------------------------


def tarred(path, *members):
    """A tar.gz of `(TarInfo or name, content)`."""
    with tarfile.open(path, "w:gz") as t:
        for info, data in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(data) if info.isreg() else 0
            t.addfile(info, io.BytesIO(data))
    return path


def as_zip(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for info, data in members:
            z.writestr(info, data)
    return path


both_kinds = pytest.mark.parametrize("make", [as_zip, tarred])


def unpack(archive, tmp_path, limit=10**7, strip=0, keep=()):
    (tmp_path / "into").mkdir()
    download.unpack(archive, tmp_path / "into", RemoteFile("", strip, keep=keep), limit)
    return download.listing(tmp_path / "into")


def refusal(archive, tmp_path, limit=10**7):
    text = complaint(lambda: unpack(archive, tmp_path, limit))
    assert text.startswith(str(archive))
    assert not (tmp_path / "evil").exists()
    return text


@both_kinds
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "{here}/evil", "..\\evil", "C:\\evil", "C:/evil", "a\nb", ".."]
)
def test_names_that_lead_outside(tmp_path, make, name):
    archive = make(tmp_path / "bad", (name.format(here=tmp_path), b"x"))
    assert "leads outside its folder or cannot be a file name" in refusal(archive, tmp_path)


@both_kinds
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "./a"), ("a", "a/b")])
def test_two_members_of_one_name(tmp_path, make, names):
    assert "two members share the name" in refusal(make(tmp_path / "bad", *((n, b"x") for n in names)), tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar(tmp_path, kind):
    info = tarfile.TarInfo("inside")
    info.type, info.linkname = kind, "../evil"
    assert "'inside' is a link or a device" in refusal(tarred(tmp_path / "bad", (info, b"")), tmp_path)


def test_a_link_in_a_zip_is_written_as_a_plain_file(tmp_path):
    info = zipfile.ZipInfo("inside")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert unpack(as_zip(tmp_path / "bad", (info, b"../evil")), tmp_path) == ["inside"]
    assert not (tmp_path / "into" / "inside").is_symlink()


@both_kinds
def test_more_bytes_than_the_registry_allows(tmp_path, make):
    archive = make(tmp_path / "bad", ("a", bytes(6_000)), ("b", bytes(6_000)))
    assert "it holds more than 10,000 bytes" in refusal(archive, tmp_path, limit=10_000)


def test_zip_that_lies_about_a_size(tmp_path):
    archive = as_zip(tmp_path / "bad", ("a", bytes(5_000)))
    data = archive.read_bytes()
    archive.write_bytes(data.replace((5_000).to_bytes(4, "little"), (50).to_bytes(4, "little")))
    assert "damaged or truncated" in refusal(archive, tmp_path)


def test_encrypted_zip(tmp_path):
    archive = as_zip(tmp_path / "bad", ("a", b"x"))
    data = bytearray(archive.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert "is encrypted" in refusal(archive, tmp_path)


@both_kinds
@pytest.mark.parametrize("left", [0, 20, 0.5, 0.95])
def test_truncated_archives(tmp_path, make, left):
    archive = make(tmp_path / "bad", *((f"{n}", os.urandom(5_000)) for n in range(10)))
    data = archive.read_bytes()
    archive.write_bytes(data[: int(left * len(data)) if left < 1 else left])
    assert "damaged or truncated archive" in refusal(archive, tmp_path)


@both_kinds
def test_good_archives(tmp_path, make):
    archive = make(tmp_path / "good", ("./top/a/1.wav", b"one"), ("./top/a/2.txt", b"two"), ("./top/b.wav", b"three"))
    assert unpack(archive, tmp_path, 8, 1, ("*.wav",)) == ["a/1.wav", "b.wav"]
