"""What the network, the disk or a stranger can do to a data set that is fetched, and to sounds of one's own."""

import hashlib
import shutil

import numpy as np
import pytest
import soundfile as sf
from helpers import FILES, sound, zipped

pytestmark = pytest.mark.timeout(900)  # for a busy machine


def sum_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def nothing_half(course):
    """The data folder holds neither the set nor anything begun; what waits to be unpacked is gone too."""
    data = course.here / "data"
    return not (data / "toy").exists() and not any(path.is_file() for path in data.rglob("*"))


def comes_whole(course, *more, files=FILES):
    """The same command brings every file, once the cause is gone."""
    code, printed = course("data", "get", "toy", *more)
    here = course.here / "data" / "toy"
    return code == 0 and "toy is in" in printed and {n: (here / n).read_bytes() for n in files} == files


@pytest.mark.fault("no network", "`course data get toy` while nothing answers at the address")
def test_no_network(toy, course, host, tell):
    toy(url="http://127.0.0.1:9/toy.zip")
    code, printed = course("data", "get", "toy")
    assert nothing_half(course)
    (course.here / "data" / "archives" / "toy").mkdir(parents=True, exist_ok=True)
    (course.here / "data" / "archives" / "toy" / "toy.zip").write_bytes(zipped())
    assert comes_whole(course)
    tell(printed.splitlines(), code, "nothing: no partial file; an archive put there by hand is used")


@pytest.mark.fault(
    "truncated download", "`course data get toy` from a host that closes the connection after 3,000 bytes"
)
def test_truncated_download(toy, course, host, tell):
    host.short = 3_000
    code, printed = course("data", "get", "toy")
    assert nothing_half(course) and host.asked > 1
    host.short = None
    assert comes_whole(course)
    tell(printed.splitlines(), code, "nothing: retried automatically; no partial file; complete at the next call")


@pytest.mark.fault(
    "flipped byte in a download", "`course data get toy` from a host that serves an archive with one bit changed"
)
def test_flipped_byte(toy, course, host, tell):
    good = host.files["toy.zip"]
    toy(checksum=sum_of(good))
    host.files["toy.zip"] = good.replace(FILES["audio/2.wav"], FILES["audio/2.wav"][:-1] + b"\x03")
    assert len(host.files["toy.zip"]) == len(good)
    code, printed = course("data", "get", "toy")
    assert nothing_half(course)
    host.files["toy.zip"] = good
    assert comes_whole(course)
    tell(printed.splitlines(), code, "nothing: the changed archive is deleted; complete at the next call")


@pytest.mark.fault(
    "flipped byte on the disk",
    "one bit of a downloaded sound is changed; `course data verify toy`, then the command it names",
)
def test_flipped_byte_on_the_disk(toy, course, tell):
    assert course("data", "get", "toy")[0] == 0
    changed = course.here / "data" / "toy" / "audio" / "2.wav"
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x03")
    code, printed = course("data", "verify", "toy")
    assert comes_whole(course, "--force")
    tell(printed.splitlines(), code, "nothing: the file is named and replaced")


@pytest.mark.fault("archive with `../`", "`course data get toy` of an archive with a member `../../evil.wav`")
def test_archive_that_leads_outside(toy, course, host, tell):
    host.files["toy.zip"] = zipped(FILES | {"../../evil.wav": b"evil"})
    code, printed = course("data", "get", "toy")
    assert nothing_half(course) and not list(course.here.rglob("*evil*"))
    tell(printed.splitlines(), code, "nothing: no member was written, inside or outside")


@pytest.mark.fault(
    "full disk, download", "`course data get toy` on a disk with room for the archive but not for its contents"
)
def test_full_disk_while_unpacking(toy, course, host, small_disk, tell):
    noise = {f"audio/{n}.wav": np.random.default_rng(n).bytes(200_000) for n in range(4)}
    host.files["toy.zip"] = zipped(noise)
    toy(checksum=sum_of(host.files["toy.zip"]), manifest="")
    disk = small_disk(1_300_000)
    course.env["COURSE_DATA_DIR"] = str(disk / "data")
    code, printed = course("data", "get", "toy")
    left = [path.name for path in disk.rglob("*") if path.is_file()]
    assert left == ["toy.zip"] and sum_of((disk / "data/archives/toy/toy.zip").read_bytes()) == sum_of(
        host.files["toy.zip"]
    )
    course.env["COURSE_DATA_DIR"] = str(course.here / "data")
    shutil.copytree(disk / "data", course.here / "data")
    asked = host.asked
    assert comes_whole(course, files=noise) and host.asked == asked
    tell(printed.splitlines(), code, "nothing: no partial data set; with more room, the kept archive is unpacked")


@pytest.mark.fault(
    "corrupt audio in the middle of a set",
    "`course run --dataset my.csv`; bytes inside the fourth of ten FLAC files are overwritten",
)
def test_corrupt_audio(course, tell):
    lines = ["filename,label"]
    for n in range(10):
        sound(course.here / f"{n}.flac", hz=300 + 50 * n, length_s=1.0)
        lines.append(f"{n}.flac,{'cat' if n % 2 else 'dog'}")
    (course.here / "my.csv").write_text("\n".join(lines))
    fourth = course.here / "3.flac"
    good = fourth.read_bytes()
    middle = len(good) // 2
    fourth.write_bytes(good[:middle] + bytes(200) + good[middle + 200 :])
    assert sf.info(fourth).frames == 8_000, "its head is whole"
    (course.here / "run").mkdir()
    (course.here / "run" / "results.json").write_text("earlier")
    code, printed = course("run", "--dataset", "my.csv", "--only", "0", "--output", "run")
    assert [path.read_text() for path in (course.here / "run").iterdir()] == ["earlier"]
    tell(printed.splitlines(), code, "nothing: reported before any notebook starts; earlier results are untouched")
